//! [`TransportError`]: why there is no complete answer.

use graphql_session_renewal::Cause;

/// Why there is no complete answer, and with it what is proven about the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportError {
    /// No such host, or no resolver: nothing was sent.
    Dns,
    /// No connection: nothing was sent.
    Connect,
    /// The server's certificate is by nobody whom this computer trusts: nothing was sent.
    CertificateUntrusted,
    /// The server's certificate has expired: nothing was sent.
    CertificateExpired,
    /// The server's certificate is not valid yet: nothing was sent.
    CertificateNotYetValid,
    /// The server's certificate is for other names: nothing was sent.
    CertificateOtherName,
    /// What answers does not speak TLS: nothing was sent.
    NotTls,
    /// The server speaks no TLS that this client accepts: nothing was sent.
    Tls,
    /// The system's proxy does not answer: nothing was sent.
    ProxyUnreachable,
    /// The system's proxy wants a name and a password, or other ones: nothing was sent.
    ProxyAuthentication,
    /// The system's proxy makes no connection to the server: nothing was sent.
    ProxyRefused,
    /// The protocol named an address at an origin to which the credentials are not bound: nothing was sent.
    ForeignOrigin,
    /// The server says that it did not look at the request (HTTP/2: REFUSED_STREAM, GOAWAY).
    StreamRefused,
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
    /// Whether it is certain that the server did nothing with the request.
    pub fn not_sent(self) -> bool {
        match self {
            Self::Dns
            | Self::Connect
            | Self::CertificateUntrusted
            | Self::CertificateExpired
            | Self::CertificateNotYetValid
            | Self::CertificateOtherName
            | Self::NotTls
            | Self::Tls
            | Self::ProxyUnreachable
            | Self::ProxyAuthentication
            | Self::ProxyRefused
            | Self::ForeignOrigin
            | Self::StreamRefused => true,
            Self::ConnectionLost | Self::Timeout | Self::Truncated | Self::TooLong => false,
        }
    }

    /// Whether the request was sent and no byte of an answer has arrived: the connection broke, or the server refused to
    /// look at it.
    pub(crate) fn was_on_the_way(self) -> bool {
        matches!(self, Self::ConnectionLost | Self::StreamRefused)
    }

    /// The same as a word of the journal.
    pub fn cause(self) -> Cause {
        match self {
            Self::Dns => Cause::Dns,
            Self::Connect => Cause::Connect,
            Self::CertificateUntrusted => Cause::CertificateUntrusted,
            Self::CertificateExpired => Cause::CertificateExpired,
            Self::CertificateNotYetValid => Cause::CertificateNotYetValid,
            Self::CertificateOtherName => Cause::CertificateOtherName,
            Self::NotTls => Cause::NotTls,
            Self::Tls => Cause::Tls,
            Self::ProxyUnreachable => Cause::ProxyUnreachable,
            Self::ProxyAuthentication => Cause::ProxyAuthentication,
            Self::ProxyRefused => Cause::ProxyRefused,
            Self::ForeignOrigin => Cause::ForeignOrigin,
            Self::StreamRefused => Cause::StreamRefused,
            Self::ConnectionLost => Cause::ConnectionLost,
            Self::Timeout => Cause::Timeout,
            Self::Truncated => Cause::Truncated,
            Self::TooLong => Cause::TooLong,
        }
    }

    /// What happened, with the name of the host or of the proxy, and what to do.
    pub(super) fn sentence(self, host: &str, proxy: Option<&str>) -> String {
        let proxy = proxy.unwrap_or("of this computer");
        match self {
            Self::Dns => format!(
                "There is no server called {host}, or no network. Check the address and your connection."
            ),
            Self::Connect => format!(
                "{host} does not accept connections. Check the address, or try again later."
            ),
            Self::CertificateUntrusted => format!(
                "The certificate of {host} is not trusted. Install your organisation's root certificate on this computer, or ask the person who runs the server."
            ),
            Self::CertificateExpired => format!(
                "The certificate of {host} has expired. Check this computer's date, or ask the person who runs the server to renew it."
            ),
            Self::CertificateNotYetValid => {
                format!("The certificate of {host} is not valid yet. Check this computer's date.")
            }
            Self::CertificateOtherName => format!(
                "The certificate of {host} is for another name. Check the address, or ask the person who runs the server."
            ),
            Self::NotTls => {
                format!("{host} does not speak TLS there. Check the address and its port.")
            }
            Self::Tls => format!(
                "{host} speaks no TLS that this application accepts. Ask the person who runs the server."
            ),
            Self::ProxyUnreachable => format!(
                "The proxy {proxy} does not answer. Check the proxy settings of this computer, or your connection."
            ),
            Self::ProxyAuthentication => format!(
                "The proxy {proxy} asks for a name and a password, or refuses those in the proxy settings of this computer. Correct them there."
            ),
            Self::ProxyRefused => format!(
                "The proxy {proxy} makes no connection to {host}. Check the address, or ask the person who runs the proxy."
            ),
            Self::ForeignOrigin => format!(
                "{host} names another server for the sign-in than before. Sign in again, or ask the person who runs it."
            ),
            Self::StreamRefused => {
                format!("{host} takes no requests just now. Try again in a moment.")
            }
            Self::ConnectionLost | Self::Timeout | Self::Truncated | Self::TooLong => {
                format!("{host} gave no complete answer. Try again in a moment.")
            }
        }
    }
}
