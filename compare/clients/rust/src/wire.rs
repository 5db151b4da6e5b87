//! The requests, by one lean reqwest client for both sides of every comparison: the same sockets, nothing built per call
//! that need not be.

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, InvalidHeaderValue};
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::protocol::Settlement;

/// Requests on the wire at a time, as for every client that is compared. reqwest itself has no limit.
const CONNECTIONS: usize = 32;

/// One server, and the connections to it.
pub(crate) struct Wire {
    http: reqwest::Client,
    places: Semaphore,
    graphql: Url,
    token: Url,
    expire: Url,
    replays: Url,
}

/// A reply, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// What the token endpoint issued (RFC 6749, section 5.1). No derived `Debug`: it would print the tokens.
#[derive(Deserialize)]
pub(crate) struct Issued {
    pub(crate) access_token: String,
    /// Seconds.
    pub(crate) expires_in: u32,
    pub(crate) refresh_token: Option<String>,
}

/// Why a request or an exchange came to nothing. Says nothing that the server wrote.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("could not connect")]
    NotConnected,
    #[error("no reply")]
    NoReply,
    #[error("the renewal was answered with status {0}")]
    RenewalRefused(StatusCode),
    #[error("the renewal's answer cannot be read")]
    Unreadable,
}

impl Wire {
    pub(crate) fn new(origin: &str) -> Result<Self, String> {
        let url = |path: &str| {
            Url::parse(origin)
                .and_then(|origin| origin.join(path))
                .map_err(|error| error.to_string())
        };
        let json =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let http = reqwest::Client::builder()
            .default_headers(json)
            .pool_max_idle_per_host(CONNECTIONS)
            // The clock of google's driver jumps; that must not close the connections of either side.
            .pool_idle_timeout(None)
            .no_proxy()
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            http,
            places: Semaphore::new(CONNECTIONS),
            graphql: url("/graphql")?,
            token: url("/oauth/token")?,
            expire: url("/control/expire")?,
            replays: url("/control/replays")?,
        })
    }

    /// One operation, with the headers that authorize it.
    pub(crate) async fn call(
        &self,
        authorization: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, WireError> {
        let request = self
            .http
            .post(self.graphql.clone())
            .headers(authorization)
            .body(body);
        self.send(request).await
    }

    /// Exchanges a refresh token, once.
    pub(crate) async fn renew(&self, refresh_token: &str) -> Result<Issued, WireError> {
        let answer = self.send(self.renewal(refresh_token)).await?;
        Issued::read(answer.status, &answer.body)
    }

    /// The request of an exchange (RFC 6749, section 6).
    pub(crate) fn renewal(&self, refresh_token: &str) -> reqwest::RequestBuilder {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        self.http.post(self.token.clone()).form(&form)
    }

    /// Sends what is a request already.
    pub(crate) async fn execute(&self, request: reqwest::Request) -> Result<Answer, WireError> {
        let http = self.http.clone();
        self.send(reqwest::RequestBuilder::from_parts(http, request))
            .await
    }

    /// Has the speed server refuse every access token that it has issued so far.
    pub(crate) async fn expire_all(&self) -> Result<(), WireError> {
        self.send(self.http.post(self.expire.clone()))
            .await
            .map(drop)
    }

    /// The times from a refusal to the replay, in µs, that the speed server has seen since it was asked last.
    pub(crate) async fn replay_times(&self) -> Result<Vec<f64>, WireError> {
        #[derive(Deserialize)]
        struct Times {
            #[serde(rename = "µs")]
            microseconds: Vec<f64>,
        }
        let answer = self.send(self.http.get(self.replays.clone())).await?;
        let times: Times =
            serde_json::from_slice(&answer.body).map_err(|_| WireError::Unreadable)?;
        Ok(times.microseconds)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, WireError> {
        let _place = self.places.acquire().await.expect("never closed");
        let reply = request.send().await?;
        let status = reply.status();
        let body = reply.bytes().await?;
        Ok(Answer { status, body })
    }
}

impl Issued {
    /// From the endpoint's answer.
    pub(crate) fn read(status: StatusCode, body: &[u8]) -> Result<Self, WireError> {
        if !status.is_success() {
            return Err(WireError::RenewalRefused(status));
        }
        serde_json::from_slice(body).map_err(|_| WireError::Unreadable)
    }
}

impl From<reqwest::Error> for WireError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_connect() {
            Self::NotConnected
        } else {
            Self::NoReply
        }
    }
}

impl Answer {
    /// What a GraphQL client would make of it.
    pub(crate) fn settlement(&self) -> Settlement {
        #[derive(Deserialize)]
        struct Envelope {
            data: Option<Value>,
            #[serde(default)]
            errors: Vec<Value>,
        }
        if !self.status.is_success() {
            return Settlement::error(format!("status {}", self.status.as_u16()));
        }
        match serde_json::from_slice(&self.body) {
            Ok(Envelope {
                data: Some(_),
                errors,
            }) if errors.is_empty() => Settlement::DATA,
            Ok(Envelope { data: Some(_), .. }) => Settlement::PARTIAL,
            Ok(Envelope { data: None, .. }) => Settlement::error("no data"),
            Err(_) => Settlement::error("not a GraphQL answer"),
        }
    }
}

/// The body of a call.
pub(crate) fn operation(query: &str) -> Bytes {
    #[derive(Serialize)]
    struct Operation<'a> {
        query: &'a str,
    }
    serde_json::to_vec(&Operation { query })
        .expect("a string is JSON")
        .into()
}

/// The header that a bearer token goes in, marked so that no log shows it.
pub(crate) fn bearer(token: &str) -> Result<HeaderMap, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}
