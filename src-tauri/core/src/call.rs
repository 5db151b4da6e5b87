//! [`Call`] and [`Reply`]: what a caller hands over, and what comes back; and the headers between them.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use crate::credentials::Credentials;
use crate::error::{Code, Error};
use crate::operation::OperationKind;

/// Request headers that a caller may set. Everything else stays out: above all `authorization`, `cookie` and `host`.
const ALLOWED_HEADERS: [&str; 4] = [
    "content-type",
    "accept",
    "accept-language",
    "apollo-require-preflight",
];

/// Prefixes of further ones, for tracing and client names.
const ALLOWED_PREFIXES: [&str; 3] = ["x-", "graphql-", "apollographql-"];

/// Forwarding headers speak of addresses; a page has no say in those.
const REFUSED_PREFIX: &str = "x-forwarded";

/// The content type of an upload.
const FORM: &str = "multipart/form-data";

/// One GraphQL request, as the page made it.
#[derive(Clone)]
pub struct Call {
    /// Name of one of the protocol's endpoints, such as `graphql`.
    pub endpoint: String,
    /// Request headers; see the allow-list in the manual. Authorization is the session's business.
    pub headers: Vec<(String, String)>,
    /// The request body: a JSON request, or an upload in the GraphQL multipart request form, whose content type has to
    /// name its boundary. Kept until the call has settled, so that a replay sends all of it again; never copied. At most
    /// [`Limits::request_bytes`](crate::Limits::request_bytes).
    pub body: Bytes,
    /// The call's own limit. Default and upper bound: [`Limits::call`](crate::Limits::call).
    pub deadline: Option<Duration>,
}

impl Call {
    /// A call with a JSON body and the default deadline.
    pub fn new(endpoint: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            endpoint: endpoint.into(),
            headers: Vec::new(),
            body: body.into(),
            deadline: None,
        }
    }

    /// What it does, by its parsed document: that of the body, or of the form's `operations` in an upload.
    pub fn operation(&self) -> OperationKind {
        match self.content_type() {
            Some(form) if form.trim_start().starts_with(FORM) => {
                OperationKind::of_form(form, &self.body)
            }
            _ => OperationKind::of(&self.body),
        }
    }

    /// As it will be sent: of several headers of one name, the last.
    fn content_type(&self) -> Option<&str> {
        let last = self
            .headers
            .iter()
            .rfind(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()));
        last.map(|(_, value)| value.as_str())
    }

    /// Whether its body may be sent.
    ///
    /// # Errors
    /// [`Code::TooLarge`] for one of more than `limit` bytes.
    pub(crate) fn fits(&self, limit: usize) -> Result<(), Error> {
        if self.body.len() > limit {
            return Err(Error::new(
                Code::TooLarge,
                "This is larger than the application may send at once. Send less at a time.",
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("endpoint", &self.endpoint)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A server's reply, untouched.
#[derive(Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Content type, as sent.
    pub content_type: Option<String>,
    /// The body, to the byte.
    pub body: Bytes,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The headers of a request, as far as a caller may set them.
///
/// # Errors
/// [`Code::InvalidRequest`] for any other.
pub(crate) fn allowed_headers(headers: &[(String, String)]) -> Result<HeaderMap, Error> {
    let mut allowed = HeaderMap::new();
    for (name, value) in headers {
        let refused = || {
            Error::new(
                Code::InvalidRequest,
                "A request header is not allowed here; the session sets Authorization itself.",
            )
        };
        let name = name.to_ascii_lowercase();
        let has = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        if !ALLOWED_HEADERS.contains(&&*name) && !has(&ALLOWED_PREFIXES) || has(&[REFUSED_PREFIX]) {
            return Err(refused());
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        let value = HeaderValue::from_str(value).map_err(|_| refused())?;
        allowed.insert(name, value);
    }
    allowed
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    Ok(allowed)
}

/// The same, with the access token.
pub(crate) fn authorized(headers: &HeaderMap, held: &Credentials) -> Result<HeaderMap, Error> {
    let mut headers = headers.clone();
    let bearer = zeroize::Zeroizing::new(format!("Bearer {}", held.access.expose_secret()));
    let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| {
        Error::new(
            Code::Internal,
            "The access token is not one that HTTP can carry. Sign in again.",
        )
    })?;
    // Keeps it out of Debug and of HTTP/2's header table.
    bearer.set_sensitive(true);
    headers.insert(AUTHORIZATION, bearer);
    Ok(headers)
}
