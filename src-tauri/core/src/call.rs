//! [`Call`] and [`Reply`]: what a caller hands over, and what comes back; and the headers between them.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use graphql_session_renewal::SessionId;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::credentials::Credentials;
use crate::error::{Code, Error};
use crate::operation::OperationKind;

/// Request headers that a caller may set, with lower-case names. Everything else stays out: what says who asks, from where,
/// and what for (`authorization`, `cookie`, `x-forwarded-for`, `x-original-url`, `x-http-method-override`, `x-hasura-role`).
/// [`Config::allowed_headers`](crate::Config::allowed_headers) adds to them.
const ALLOWED_HEADERS: [&str; 18] = [
    "accept",
    "accept-language",
    "apollo-require-preflight",
    "apollographql-client-name",
    "apollographql-client-version",
    "content-type",
    "graphql-client-name",
    "graphql-client-version",
    "graphql-preflight",
    "graphql-require-preflight",
    "traceparent",
    "tracestate",
    "x-apollo-operation-id",
    "x-apollo-operation-name",
    "x-correlation-id",
    "x-locale",
    "x-request-id",
    "x-schema-version",
];

/// Most headers that a caller may set on one call. GraphQL clients set about three.
const MOST_HEADERS: usize = 32;

/// Most bytes of their names and values: what servers usually accept in all (nginx: 8 KiB), with room for the access token.
const MOST_HEADER_BYTES: usize = 4 << 10;

/// Reply headers that a caller gets. Everything else stays here: above all `set-cookie` and `www-authenticate`.
const REPLY_HEADERS: [&str; 3] = ["etag", "retry-after", "x-request-id"];

/// Prefixes of further ones, for tracing and limits.
const REPLY_PREFIXES: [&str; 4] = ["graphql-", "apollographql-", "ratelimit-", "x-ratelimit-"];

/// Headers that are sent besides: the content type and Authorization here, `accept`, `accept-encoding`, `host` and
/// `content-length` by the HTTP client. With room for them the table is made once.
const MORE_HEADERS: usize = 6;

/// The content type of an upload.
const FORM: &str = "multipart/form-data";

/// One GraphQL request, as the page made it.
#[derive(Clone)]
pub struct Call {
    /// Name of one of the protocol's endpoints, such as `graphql`.
    pub endpoint: Cow<'static, str>,
    /// Request headers: those of a closed list ([the manual](crate) has it), at most 32 with 4 KiB in all. Authorization is
    /// the session's business.
    pub headers: Vec<(String, String)>,
    /// The request body: a JSON request, or an upload in the GraphQL multipart request form, whose content type has to
    /// name its boundary. Kept until the call has settled, so that a replay sends all of it again; never copied. At most
    /// [`Limits::request_bytes`](crate::Limits::request_bytes).
    pub body: Bytes,
    /// The call's own limit. Default and upper bound: [`Limits::call_timeout`](crate::Limits::call_timeout).
    pub deadline: Option<Duration>,
}

impl Call {
    /// A call with a JSON body and the default deadline.
    pub fn new(endpoint: impl Into<Cow<'static, str>>, body: impl Into<Bytes>) -> Self {
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
#[non_exhaustive]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Content type, as sent.
    pub content_type: Option<String>,
    /// The body, to the byte.
    pub body: Bytes,
    /// The session that it was sent under, which may be over by now.
    pub session: SessionId,
    headers: HeaderMap,
}

impl Reply {
    /// A reply without headers, for tests of code that takes replies.
    pub fn new(status: u16, body: impl Into<Bytes>, session: SessionId) -> Self {
        Self {
            status,
            content_type: None,
            body: body.into(),
            session,
            headers: HeaderMap::new(),
        }
    }

    /// The reply with what the server sent as its headers.
    pub(crate) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.content_type = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        self.headers = headers;
        self
    }

    /// What it is judged by.
    pub(crate) fn parts(&self) -> (u16, &HeaderMap, &[u8]) {
        (self.status, &self.headers, &self.body)
    }

    /// Further headers, with lower-case names: those of a closed list (`etag`, `retry-after`, `x-request-id`, and what
    /// begins with `graphql-`, `apollographql-`, `ratelimit-` or `x-ratelimit-`). Cookies and authentication are not among
    /// them.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let shown = self
            .headers
            .iter()
            .filter(|(name, _)| is_handed_on(name.as_str()));
        shown.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Whether callers get this header of a reply.
fn is_handed_on(name: &str) -> bool {
    REPLY_HEADERS.contains(&name) || REPLY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The headers of a request, as far as a caller may set them. Those of a call that waits take no more room than the
/// caller's own; the table that is sent is made for each sending.
pub(crate) struct AllowedHeaders(Vec<(HeaderName, HeaderValue)>);

impl AllowedHeaders {
    /// Reads them. `further` ones are allowed, too.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] for any other, and for too many.
    pub(crate) fn of(headers: &[(String, String)], further: &[String]) -> Result<Self, Error> {
        let sizes = headers.iter().map(|(name, value)| name.len() + value.len());
        if headers.len() > MOST_HEADERS || sizes.sum::<usize>() > MOST_HEADER_BYTES {
            return Err(Error::new(
                Code::InvalidRequest,
                "A call has at most 32 request headers with 4 KiB in all. Send less.",
            ));
        }
        headers
            .iter()
            .map(|header| allowed(header, further))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Sets one that is not the caller's to choose.
    pub(crate) fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push((name, value));
    }

    /// As they are sent, with the access token. Of several of one name, the last.
    pub(crate) fn authorized(&self, held: &Credentials) -> Result<HeaderMap, Error> {
        let shared = held.access.headers().ok_or_else(|| {
            Error::new(
                Code::Internal,
                "The access token is not one that HTTP can carry. Sign in again.",
            )
        })?;
        let mut headers = HeaderMap::with_capacity(self.0.len() + MORE_HEADERS);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in &self.0 {
            headers.insert(name, value.clone());
        }
        for (name, value) in shared {
            headers.insert(name, value.clone());
        }
        Ok(headers)
    }
}

fn allowed(
    (name, value): &(String, String),
    further: &[String],
) -> Result<(HeaderName, HeaderValue), Error> {
    let refused = || {
        Error::new(
            Code::InvalidRequest,
            "A request header is not among those that a call may carry. The setting `allowedHeaders` adds more.",
        )
    };
    let name = name.to_ascii_lowercase();
    let is_added = || further.iter().any(|more| more.eq_ignore_ascii_case(&name));
    if !ALLOWED_HEADERS.contains(&&*name) && !is_added() {
        return Err(refused());
    }
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
    let value = HeaderValue::from_str(value).map_err(|_| refused())?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_get_only_the_listed_headers_of_a_reply() {
        let mut sent = HeaderMap::new();
        for (name, value) in [
            ("set-cookie", "session=secret"),
            ("www-authenticate", "Bearer"),
            ("x-request-id", "7"),
            ("x-ratelimit-remaining", "41"),
            ("x-powered-by", "a server"),
        ] {
            sent.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let reply = Reply::new(200, "", SessionId::of(1)).with_headers(sent);
        let mut shown: Vec<_> = reply.headers().collect();
        shown.sort_unstable();
        assert_eq!(
            shown,
            [("x-ratelimit-remaining", "41"), ("x-request-id", "7")]
        );
    }
}
