//! The demo server's switches and counts, over HTTP.

use http::{Method, Request};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::{Value, json};

use super::waiting::until;

/// The server requires this header, so that no web page can change its switches.
const CONTROL_HEADER: (&str, &str) = ("x-demo-control", "1");

/// Changes the switches of one demo server and reads its counts.
pub(crate) struct DemoControl {
    /// The server's address, as people type it.
    pub(crate) origin: String,
    client: Client<HttpConnector, String>,
}

/// What reached the server since the last reset of the counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) calls_refused: u64,
    pub(crate) renewals_sent: u64,
    pub(crate) renewals_accepted: u64,
    pub(crate) renewals_refused: u64,
    pub(crate) renewals_held: u64,
    operations: Vec<OperationCount>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct OperationCount {
    name: String,
    count: u64,
}

impl Counts {
    /// How often an operation of this name was sent, refused ones included.
    pub(crate) fn operation(&self, name: &str) -> u64 {
        self.operations
            .iter()
            .filter(|operation| operation.name == name)
            .map(|operation| operation.count)
            .sum()
    }
}

impl DemoControl {
    pub(crate) fn new(origin: String) -> Self {
        let client = Client::builder(TokioExecutor::new())
            // The server closes idle connections, so each request opens its own.
            .pool_max_idle_per_host(0)
            .build(HttpConnector::new());
        Self { origin, client }
    }

    /// Changes the switches that `change` names.
    pub(crate) async fn turn(&self, change: Value) {
        self.request(Method::POST, "/demo/switches", change.to_string())
            .await;
    }

    /// Expires every access token and resets the counts.
    pub(crate) async fn expire_and_count(&self) {
        self.turn(json!({ "expireAccessTokens": true, "resetCounts": true }))
            .await;
    }

    /// The same, and renewals wait until [`release_renewals`](Self::release_renewals): whatever the page sends meanwhile is
    /// sent with the expired token.
    pub(crate) async fn expire_and_hold_renewals(&self) {
        self.turn(json!({ "expireAccessTokens": true, "resetCounts": true, "holdRenewals": true }))
            .await;
    }

    /// Lets renewals go on.
    pub(crate) async fn release_renewals(&self) {
        self.turn(json!({ "holdRenewals": false })).await;
    }

    /// The server's counts.
    pub(crate) async fn counts(&self) -> Counts {
        let answer = self
            .request(Method::GET, "/demo/counts", String::new())
            .await;
        serde_json::from_slice(&answer).expect("counts")
    }

    /// Waits until `reached` holds for the server's counts.
    pub(crate) async fn until_counted(
        &self,
        what: &str,
        reached: impl Fn(&Counts) -> bool,
    ) -> Counts {
        until(what, async || Some(self.counts().await).filter(&reached)).await
    }

    /// Waits until the server has refused so many calls.
    pub(crate) async fn until_refused(&self, calls: u64) {
        let refused = |counts: &Counts| counts.calls_refused >= calls;
        let what = format!("{calls} refusals");
        self.until_counted(&what, refused).await;
    }

    async fn request(&self, method: Method, path: &str, body: String) -> Vec<u8> {
        let (header, value) = CONTROL_HEADER;
        let request = Request::builder()
            .method(&method)
            .uri(format!("{}{path}", self.origin))
            .header(header, value)
            .body(body)
            .expect("a request");
        let answer = self.client.request(request).await;
        let (head, body) = answer.expect("the demo server answers").into_parts();
        let body = body.collect().await.expect("the whole answer").to_bytes();
        let text = String::from_utf8_lossy(&body);
        assert!(
            head.status.is_success(),
            "{method} {path}: {} {text}",
            head.status
        );
        body.to_vec()
    }
}
