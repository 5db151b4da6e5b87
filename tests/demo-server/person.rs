//! A person in front of the demo server's pages, with a browser that knows forms and no scripts.

use serde_json::Value;
use url::Url;

use crate::client::{Ask, Reply};

/// Somebody who answers page after page.
pub(crate) struct Person {
    host: String,
    pub(crate) page: Reply,
}

impl Person {
    /// Opens the address that an application gave to the browser.
    pub(crate) async fn open(address: &str) -> Self {
        let url: Url = address.parse().expect("an address");
        let host = format!(
            "{}:{}",
            url.host_str().expect("a host"),
            url.port().expect("a port")
        );
        let query = url.query().unwrap_or_default();
        let line = format!("GET {}?{query}", url.path());
        let page = Ask::to(&host, &line, Value::Null).raw("").send().await;
        Self { host, page }
    }

    /// Fills in the page's form and sends it, as a browser does.
    pub(crate) async fn submit(&mut self, fields: &[(&str, &str)]) {
        self.page = self.filled_in(fields).send().await;
    }

    /// The page's form, as it is sent.
    pub(crate) fn filled_in(&self, fields: &[(&str, &str)]) -> Ask {
        assert!(
            self.page
                .text
                .contains("<form method=\"post\" action=\"/authorize\"")
        );
        let mut fields = fields.to_vec();
        let visit = self.visit();
        fields.push(("visit", &visit));
        Ask::to(&self.host, "POST /authorize", Value::Null)
            .header("origin", &format!("http://{}", self.host))
            .form(&fields)
    }

    /// The hidden field of the form.
    fn visit(&self) -> String {
        let (_, rest) = self
            .page
            .text
            .split_once("name=\"visit\" value=\"")
            .expect("a form");
        rest.split('"').next().unwrap_or_default().to_owned()
    }

    pub(crate) async fn sign_in(&mut self, email: &str, password: &str) {
        self.submit(&[("email", email), ("password", password)])
            .await;
    }

    /// Lets the application in; returns where the browser is sent.
    pub(crate) async fn allow(&mut self) -> String {
        self.submit(&[("answer", "allow")]).await;
        assert_eq!(self.page.status, 303, "{:?}", self.page);
        self.page.location.clone()
    }
}

/// A parameter of an address.
pub(crate) fn parameter(address: &str, name: &str) -> Option<String> {
    let url: Url = address.parse().expect("an address");
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}
