//! The server: issues tokens, refuses the calls of others, holds answers back, and remembers what was asked.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

/// More than any wait takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// Seconds. google renews tokens that live for less than four minutes every 10 s.
const LIFETIME: u32 = 1800;

type Answer = (StatusCode, String);

pub(crate) struct Server {
    origin: String,
    shared: Arc<Shared>,
}

#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) body: Value,
    /// The number at the end of its access token.
    pub(crate) token: usize,
}

/// What goes wrong with a renewal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// This status, with a Retry-After of a minute.
    Status(u16),
    /// A page for people, with 200.
    Page,
    /// The connection ends without an answer.
    Reset,
    /// The answer breaks off.
    Cut,
}

struct Shared {
    state: Mutex<Known>,
    /// Wakes who waits for something to have been asked.
    asked: Notify,
    /// One permit lets one answer go.
    calls: Semaphore,
    renewals: Semaphore,
}

#[derive(Default)]
struct Known {
    accepted: HashSet<String>,
    issued: usize,
    calls: Vec<Call>,
    exchanged: Vec<String>,
    expired: usize,
    at_once: usize,
    most_at_once: usize,
    answer: Option<(u16, &'static str)>,
    /// Its calls are answered with 200, and no data.
    without_data: Option<usize>,
    faults: VecDeque<Fault>,
    rejects: bool,
    holds_calls: bool,
    holds_renewals: bool,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            asked: Notify::new(),
            calls: Semaphore::new(0),
            renewals: Semaphore::new(0),
        });
        shared.known().accepted.insert("secret-access-0".to_owned());
        let router = Router::new()
            .route("/graphql", post(graphql))
            .route("/oauth/token", post(token))
            .route("/control/expire", post(expire))
            .route("/control/replays", get(async || r#"{"µs":[1]}"#))
            .with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { origin, shared }
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.known().calls.clone()
    }

    /// The refresh tokens that came, in their order.
    pub(crate) fn exchanged(&self) -> Vec<String> {
        self.shared.known().exchanged.clone()
    }

    /// The number of the newest access token.
    #[cfg(target_os = "linux")]
    pub(crate) fn newest(&self) -> usize {
        self.shared.known().issued
    }

    /// How often `/control/expire` was asked.
    pub(crate) fn expired(&self) -> usize {
        self.shared.known().expired
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.known().most_at_once
    }

    pub(crate) fn answer_with(&self, status: u16, body: &'static str) {
        self.shared.known().answer = Some((status, body));
    }

    /// The calls with the access token of this number are answered with 200, and no data.
    pub(crate) fn give_no_data_to(&self, token: usize) {
        self.shared.known().without_data = Some(token);
    }

    /// One for each of the next renewals.
    pub(crate) fn renewals_go_wrong(&self, faults: &[Fault]) {
        self.shared.known().faults.extend(faults);
    }

    pub(crate) fn refuse_all_issued(&self) {
        self.shared.known().accepted.clear();
    }

    pub(crate) fn reject_renewals(&self) {
        self.shared.known().rejects = true;
    }

    pub(crate) fn hold_calls(&self) {
        self.shared.known().holds_calls = true;
    }

    pub(crate) fn release_calls(&self, calls: usize) {
        self.shared.calls.add_permits(calls);
    }

    pub(crate) fn hold_renewals(&self) {
        self.shared.known().holds_renewals = true;
    }

    pub(crate) fn release_renewals(&self, renewals: usize) {
        self.shared.renewals.add_permits(renewals);
    }

    /// Waits until it holds, looking each time that something was asked.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let waiting = async {
            loop {
                let asked = self.shared.asked.notified();
                if holds(self) {
                    return;
                }
                asked.await;
            }
        };
        timeout(DEADLINE, waiting)
            .await
            .unwrap_or_else(|_| panic!("{what} did not come"));
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.state.lock().expect("nothing panics while it is held")
    }
}

async fn graphql(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Answer {
    let Some(header) = headers.get("authorization") else {
        return renew_token(&shared, &body);
    };
    let header = header.to_str().expect("text");
    let bearer = header.strip_prefix("Bearer ").expect("a bearer token");
    let token = bearer
        .rsplit('-')
        .next()
        .and_then(|number| number.parse().ok());
    let token = token.expect("a numbered token");
    let holds = {
        let mut known = shared.known();
        known.calls.push(Call {
            body: serde_json::from_slice(&body).expect("JSON"),
            token,
        });
        known.at_once += 1;
        known.most_at_once = known.most_at_once.max(known.at_once);
        known.holds_calls
    };
    shared.asked.notify_waiters();
    if holds {
        shared.calls.acquire().await.expect("never closed").forget();
    }
    let mut known = shared.known();
    known.at_once -= 1;
    if !known.accepted.contains(bearer) {
        let refusal = json!({"errors": [{"extensions": {"code": "UNAUTHENTICATED"}}]});
        return (StatusCode::UNAUTHORIZED, refusal.to_string());
    }
    if known.without_data == Some(token) {
        return (
            StatusCode::OK,
            r#"{"errors":[{"message":"no"}]}"#.to_owned(),
        );
    }
    let (status, answer) = known
        .answer
        .unwrap_or((200, r#"{"data":{"people":{"totalCount":3}}}"#));
    (
        StatusCode::from_u16(status).expect("a status"),
        answer.to_owned(),
    )
}

/// In both forms: smithy's resolver sends a form, google sends JSON.
async fn token(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let text = String::from_utf8(body.to_vec()).expect("text");
    let fields: Value = serde_json::from_str(&text).unwrap_or_else(|_| {
        text.split('&')
            .filter_map(|field| field.split_once('='))
            .collect()
    });
    assert_eq!(fields["grant_type"], "refresh_token");
    let holds = {
        let mut known = shared.known();
        let exchanged = fields["refresh_token"].as_str().expect("a token");
        known.exchanged.push(exchanged.to_owned());
        known.holds_renewals
    };
    shared.asked.notify_waiters();
    if holds {
        shared
            .renewals
            .acquire()
            .await
            .expect("never closed")
            .forget();
    }
    let mut known = shared.known();
    if let Some(fault) = known.faults.pop_front() {
        drop(known);
        return fault.answer();
    }
    if known.rejects {
        let rejection =
            json!({"error": "invalid_grant", "error_description": "secret, for all we know"});
        return (StatusCode::BAD_REQUEST, rejection.to_string()).into_response();
    }
    let (access, refresh) = known.issue();
    let issued = json!({
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": LIFETIME,
        "refresh_token": refresh,
    });
    (StatusCode::OK, issued.to_string()).into_response()
}

/// In Twenty's words, for ours.
fn renew_token(shared: &Shared, body: &[u8]) -> Answer {
    let asked: Value = serde_json::from_slice(body).expect("JSON");
    assert_eq!(asked["operationName"], "RenewToken");
    let (access, refresh) = shared.known().issue();
    let until = Timestamp::now() + SignedDuration::from_secs(LIFETIME.into());
    let tokens = json!({
        "accessOrWorkspaceAgnosticToken": {"token": access, "expiresAt": until},
        "refreshToken": {"token": refresh, "expiresAt": until},
    });
    let issued = json!({"data": {"renewToken": {"tokens": tokens}}});
    (StatusCode::OK, issued.to_string())
}

impl Known {
    fn issue(&mut self) -> (String, String) {
        self.issued += 1;
        let access = format!("secret-access-{}", self.issued);
        self.accepted.insert(access.clone());
        (access, format!("secret-refresh-{}", self.issued))
    }
}

impl Fault {
    fn answer(self) -> Response {
        match self {
            Self::Status(status) => {
                let status = StatusCode::from_u16(status).expect("a status");
                (status, [("retry-after", "60")], "later").into_response()
            }
            Self::Page => "<html>secret</html>".into_response(),
            // Ends the task of the connection, without a word on standard error.
            Self::Reset => resume_unwind(Box::new("reset")),
            Self::Cut => {
                let pieces = [
                    Ok(Bytes::from_static(br#"{"access_token":"secret"#)),
                    Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                ];
                Body::from_stream(stream::iter(pieces)).into_response()
            }
        }
    }
}

async fn expire(State(shared): State<Arc<Shared>>) -> StatusCode {
    let mut known = shared.known();
    known.accepted.clear();
    known.expired += 1;
    StatusCode::NO_CONTENT
}
