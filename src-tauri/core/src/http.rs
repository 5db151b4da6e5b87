//! Requests and answers over HTTP, below every protocol: to whom they go, what came back, and what a failure proves.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde::Serialize;
use url::{Url, form_urlencoded};

use crate::cleared::ClearedBuffer;
use crate::error::{Code, Error};

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
pub(crate) use transport::{
    AuthClient, Clients, EndpointNumber, Over, Route, header_date, idle_time, read_body,
    retry_after,
};
pub use transport_error::TransportError;

/// A named GraphQL path of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The name that calls use.
    pub name: Cow<'static, str>,
    /// The path below the origin, with its leading slash.
    pub path: Cow<'static, str>,
}

impl Endpoint {
    /// An endpoint whose name and path are known when the program is built.
    pub const fn new(name: &'static str, path: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            path: Cow::Borrowed(path),
        }
    }
}

/// One request of a sign-in, a renewal or a sign-out. Its Debug shows where it goes only: headers and body may hold secrets.
#[derive(Clone)]
pub struct Request {
    /// GET or POST.
    pub method: Method,
    /// Where it goes.
    pub to: Target,
    /// Headers besides those that the body needs, with lower-case names.
    pub headers: Vec<(Cow<'static, str>, SecretString)>,
    /// The body, which decides the content type.
    pub body: Body,
}

/// The method of a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Asks, and changes nothing.
    Get,
    /// Everything else.
    Post,
}

/// Where a [`Request`] goes. A session sends it only to an origin that its credentials, or its sign-in, are bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A path at the API's origin, with its leading slash.
    Api(Cow<'static, str>),
    /// An address at the issuer's origin, or at the API's.
    Address(Url),
}

/// The body of a [`Request`]. What [`Request::json`] and [`Request::form`] make is overwritten in memory when it is dropped.
#[derive(Clone)]
pub enum Body {
    /// None.
    Empty,
    /// JSON.
    Json(Bytes),
    /// `application/x-www-form-urlencoded`.
    Form(Bytes),
}

impl Request {
    /// A GET.
    pub fn get(to: Target) -> Self {
        Self {
            method: Method::Get,
            to,
            headers: Vec::new(),
            body: Body::Empty,
        }
    }

    /// A POST of JSON. Give it a struct that borrows its secrets: a `serde_json::Value` is a copy that nobody overwrites.
    ///
    /// # Panics
    /// Where JSON has no such value, as for a map whose keys are no texts.
    pub fn json(to: Target, body: &impl Serialize) -> Self {
        Self::post(to, Body::Json(ClearedBuffer::json(body).freeze()))
    }

    /// A POST of a form.
    pub fn form(to: Target, fields: &[(&str, &str)]) -> Self {
        Self::post(to, Body::Form(to_form(fields)))
    }

    /// A POST.
    pub fn post(to: Target, body: Body) -> Self {
        Self {
            method: Method::Post,
            to,
            headers: Vec::new(),
            body,
        }
    }
}

impl Target {
    /// A path at the API's origin that is known when the program is built.
    pub const fn api(path: &'static str) -> Self {
        Self::Api(Cow::Borrowed(path))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Json(_) => "Json(..)",
            Self::Form(_) => "Form(..)",
        })
    }
}

fn to_form(fields: &[(&str, &str)]) -> Bytes {
    let mut form = ClearedBuffer::default();
    for (name, value) in fields {
        let before: &[u8] = if form.len() == 0 { b"" } else { b"&" };
        for (separator, text) in [(before, name), (b"=", value)] {
            form.push(separator);
            for part in form_urlencoded::byte_serialize(text.as_bytes()) {
                form.push(part.as_bytes());
            }
        }
    }
    form.freeze()
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
    headers: HeaderMap,
}

impl Answer {
    /// An answer without headers, for tests of code that reads answers.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            retry_after: None,
            redirects_to: None,
            body: body.into(),
            headers: HeaderMap::new(),
        }
    }

    /// The error that a sign-in form shows for an answer of `host` that redirects to another origin, which it names. Nothing is
    /// ever sent there: an address that a person has not named gets no password and no token.
    pub fn leads_elsewhere(&self, host: &str) -> Option<Error> {
        let there = self.redirects_to.as_deref()?;
        let sentence = format!("{host} leads to {there}. Use that address, if you know it.");
        Some(Error::new(Code::LeadsElsewhere, sentence).leading_to(there))
    }

    /// A header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_written_as_browsers_write_it() {
        let fields = [("grant_type", "refresh_token"), ("token", "a+b &ü=")];
        let form = to_form(&fields);
        let written = std::str::from_utf8(&form).expect("ASCII");
        assert_eq!(written, "grant_type=refresh_token&token=a%2Bb+%26%C3%BC%3D");
    }

    #[test]
    fn debug_shows_no_header_and_no_body() {
        let mut request = Request::form(Target::api("/token"), &[("refresh_token", "secret")]);
        request
            .headers
            .push(("authorization".into(), "secret".into()));
        assert!(!format!("{request:?} {:?}", request.body).contains("secret"));
    }
}
