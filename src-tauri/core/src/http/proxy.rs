//! [`SystemProxy`]: the proxy that the system's settings name for a server.

use std::error::Error as StdError;

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use super::transport_error::TransportError;

/// What hyper and reqwest say when it was the proxy that failed. The types of these errors are private; a test for each
/// keeps the texts true.
const UNREACHABLE: [&str; 2] = [
    "tunnel error: failed to create underlying connection",
    "SOCKS error: failed to create underlying connection",
];
const WANTS_PASSWORD: [&str; 3] = [
    "tunnel error: proxy authorization required",
    "SOCKS error: credentials not accepted",
    "SOCKS error: server does not support user/pass authentication",
];
const REFUSED: [&str; 2] = ["tunnel error: ", "SOCKS error: "];

/// The proxy between this computer and a server, by HTTPS_PROXY, ALL_PROXY and NO_PROXY, or by the settings of macOS and
/// Windows. reqwest reads the same ones; this is for the words.
#[derive(Clone)]
pub(crate) struct SystemProxy {
    /// Host and port, without name and password.
    name: String,
}

impl SystemProxy {
    /// The proxy for this address; `None` where it is reached without one.
    pub(super) fn of(address: &Url) -> Option<Self> {
        let address = address.as_str().parse().ok()?;
        let proxy = Matcher::from_system().intercept(&address)?;
        let host = proxy.uri().host()?;
        let port = proxy.uri().port();
        Some(Self {
            name: port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
        })
    }

    /// Host and port, for sentences.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// What one of the causes of an error says about the proxy, if it is about the proxy.
pub(super) fn failure(cause: &(dyn StdError + 'static)) -> Option<TransportError> {
    let text = cause.to_string();
    let begins_with = |beginnings: &[&str]| {
        let mut beginnings = beginnings.iter();
        beginnings.any(|beginning| text.starts_with(beginning))
    };
    if begins_with(&UNREACHABLE) {
        Some(TransportError::ProxyUnreachable)
    } else if begins_with(&WANTS_PASSWORD) {
        Some(TransportError::ProxyAuthentication)
    } else if begins_with(&REFUSED) {
        Some(TransportError::ProxyRefused)
    } else {
        None
    }
}
