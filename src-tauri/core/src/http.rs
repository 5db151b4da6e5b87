//! Requests and answers over HTTP, below every protocol: to whom they go, what came back, and what a failure proves.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use graphql_session_renewal::Cause;

use crate::error::{Code, Error};

mod envelope;
mod origin;
mod transport;

pub use envelope::{Data, Envelope, Extensions, GraphqlError};
pub use origin::Origin;
pub use transport::AuthClient;
pub(crate) use transport::{Clients, header_date, read_body, retry_after};

/// A named GraphQL path of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The name that calls use.
    pub name: &'static str,
    /// The path below the origin, with its leading slash.
    pub path: &'static str,
}

/// A POST with a JSON body. Its Debug shows the path only: the body may hold a token.
#[derive(Clone)]
pub struct Request {
    /// The path below the origin.
    pub path: &'static str,
    /// The JSON body.
    pub body: Bytes,
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
    /// The body.
    pub body: Bytes,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Why there is no complete answer, and with it what is proven about the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportError {
    /// No such host, or no resolver: nothing was sent.
    Dns,
    /// No connection: nothing was sent.
    Connect,
    /// No trusted TLS: nothing was sent.
    Tls,
    /// The connection broke before the first byte of an answer: the server may have acted.
    ConnectionLost,
    /// No answer within the limit: the server may have acted.
    Timeout,
    /// The answer broke off or stalled: the server has acted, and what it said is lost.
    Truncated,
    /// The answer was longer than is accepted: the server has acted, and what it said was not read.
    TooLong,
}

impl TransportError {
    /// Whether it is certain that the server never saw the request.
    pub fn not_sent(self) -> bool {
        matches!(self, Self::Dns | Self::Connect | Self::Tls)
    }

    /// The same as a word of the journal.
    pub fn cause(self) -> Cause {
        match self {
            Self::Dns => Cause::Dns,
            Self::Connect => Cause::Connect,
            Self::Tls => Cause::Tls,
            Self::ConnectionLost => Cause::ConnectionLost,
            Self::Timeout => Cause::Timeout,
            Self::Truncated => Cause::Truncated,
            Self::TooLong => Cause::TooLong,
        }
    }

    /// The error that a sign-in form shows.
    pub fn sign_in_error(self, host: &str) -> Error {
        match self {
            Self::Dns => Error::new(
                Code::HostNotFound,
                format!(
                    "There is no server called {host}, or no network. Check the address and your connection."
                ),
            ),
            Self::Tls => Error::new(
                Code::Certificate,
                format!(
                    "The certificate of {host} is not trusted. Ask the person who runs the server."
                ),
            ),
            Self::Connect => Error::new(
                Code::NoAnswer,
                format!(
                    "{host} does not accept connections. Check the address, or try again later."
                ),
            ),
            Self::ConnectionLost | Self::Timeout | Self::Truncated | Self::TooLong => Error::new(
                Code::NoAnswer,
                format!("{host} gave no complete answer. Try again in a moment."),
            ),
        }
    }
}
