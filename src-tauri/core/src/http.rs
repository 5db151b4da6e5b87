//! Requests and answers over HTTP, below every protocol: to whom they go, what came back, and what a failure proves.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::cleared::ClearedBuffer;

mod envelope;
mod one_handshake;
mod origin;
mod proxy;
mod resolver;
mod tls;
mod transport;
mod transport_error;

pub(crate) use envelope::values;
pub use envelope::{Data, Envelope, Extensions, GraphqlError};
pub use origin::Origin;
pub(crate) use origin::{AddressRules, read_host};
pub(crate) use tls::read_certificates;
pub use transport::AuthClient;
pub(crate) use transport::{Clients, Over, header_date, read_body, retry_after};
pub use transport_error::TransportError;

/// A named GraphQL path of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The name that calls use.
    pub name: &'static str,
    /// The path below the origin, with its leading slash.
    pub path: &'static str,
}

/// A POST with a JSON body. Its Debug shows the path only: the body may hold a token or a password, and is overwritten when it
/// is dropped.
#[derive(Clone)]
pub struct Request {
    /// The path below the origin.
    pub path: &'static str,
    body: Bytes,
}

impl Request {
    /// A request with `body` as JSON. Give it a struct that borrows its secrets: a `serde_json::Value` is a copy that nobody
    /// overwrites.
    ///
    /// # Panics
    /// Where JSON has no such value, as for a map whose keys are no texts.
    pub fn json(path: &'static str, body: &impl Serialize) -> Self {
        let body = ClearedBuffer::json(body).freeze();
        Self { path, body }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A complete answer to an exchange.
#[derive(Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The pause that the server asks for, capped at 10 min.
    pub retry_after: Option<Duration>,
    /// The origin to which a redirect leads, where it is another one. It is not followed.
    pub redirects_to: Option<String>,
    /// The body. One that came over the network is overwritten when its last handle is dropped.
    pub body: Bytes,
}

/// A call's reply, as a protocol judges whether it is a refusal. Its Debug shows the status only.
#[derive(Clone, Copy)]
pub struct RawReply<'a> {
    /// HTTP status.
    pub status: u16,
    /// The header `WWW-Authenticate`, if it is there and is text.
    pub www_authenticate: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

impl RawReply<'_> {
    /// Whether it says in HTTP's own words that the bearer token is not accepted: 401, or `WWW-Authenticate` with
    /// `error="invalid_token"` (RFC 6750, section 3).
    pub fn refuses_bearer(&self) -> bool {
        self.status == 401
            || self
                .www_authenticate
                .is_some_and(|challenge| challenge.contains("invalid_token"))
    }
}

impl fmt::Debug for RawReply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawReply")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
