//! [`Cause`]: why an attempt, a call or a session came out as it did. Every row of the table in the core's `verdict` has
//! one.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::reasons::VaultError;

/// Why an attempt, a call or a session came out as it did. A closed list of words: a cause never holds text of a server
/// or a person, so it may stand in a log, an error, a journal and a bug report.
///
/// Its word is its [`Display`](fmt::Display) and its serialised form: `dns`, `http_503`, `graphql_UNAUTHENTICATED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// There is no such host, or nothing that could resolve its name. Nothing was sent.
    Dns,
    /// No connection to the host. Nothing was sent.
    Connect,
    /// The server's certificate is by nobody whom this machine trusts. Nothing was sent.
    CertificateUntrusted,
    /// The server's certificate has expired. Nothing was sent.
    CertificateExpired,
    /// The server's certificate is not valid yet. Nothing was sent.
    CertificateNotYetValid,
    /// The server's certificate is for other names. Nothing was sent.
    CertificateOtherName,
    /// What answers does not speak TLS. Nothing was sent.
    NotTls,
    /// The server speaks no TLS that this client accepts. Nothing was sent.
    Tls,
    /// The system's proxy does not answer. Nothing was sent.
    ProxyUnreachable,
    /// The system's proxy wants a name and a password, or other ones. Nothing was sent.
    ProxyAuthentication,
    /// The system's proxy makes no connection to the server. Nothing was sent.
    ProxyRefused,
    /// The server says that it did not look at the request (HTTP/2: REFUSED_STREAM, GOAWAY).
    StreamRefused,
    /// The request could not be built or sent here. Nothing was sent.
    NotSent,
    /// No answer within the limit.
    Timeout,
    /// The connection broke before the first byte of an answer.
    ConnectionLost,
    /// The answer broke off, or stalled.
    Truncated,
    /// The answer was longer than is accepted.
    TooLong,
    /// New tokens.
    NewTokens,
    /// A new access token; the refresh token stays.
    NewAccessToken,
    /// Tokens of another account, which were dropped.
    OtherAccount,
    /// A rule of a declared protocol, by its number in the file, from 1; with the HTTP status.
    Rule(u8, u16),
    /// The answer to a renewal was lost, and the server ends a session whose refresh token comes a second time: it is not sent
    /// again.
    NotSentAgain,
    /// A browser came back from another authorization server (RFC 9207).
    OtherIssuer,
    /// The protocol named an address at an origin to which the credentials are not bound; nothing was sent.
    ForeignOrigin,
    /// An HTTP status without the protocol's words.
    Http(u16),
    /// An HTML page in place of an answer: a captive portal, a login proxy.
    HtmlPage(u16),
    /// An answer without a body.
    EmptyAnswer(u16),
    /// An answer that is no JSON object.
    NotJson(u16),
    /// An answer that is compressed, and does not say so.
    NotDecoded(u16),
    /// JSON that has neither tokens nor errors.
    NoTokens(u16),
    /// An error in GraphQL's words.
    Graphql(GraphqlCode, u16),
    /// An error of an OAuth 2 server, by its code, with the HTTP status.
    OAuth(OAuthError, u16),
    /// The server wants fewer requests.
    Throttled(u16),
    /// The server complains about the request, and says nothing about the token.
    BadRequest(u16),
    /// The server speaks no dialect of the protocol that this client knows.
    OtherDialect(u16),
    /// The protocol's own code panicked.
    ProtocolPanicked,
    /// The keyring did not do it.
    Vault(VaultError),
    /// Another process holds the account's lock.
    LockHeld,
    /// There is no lock to take: the file system does not give one.
    NoLock(IoFailure),
    /// The state folder could not be read or written.
    Files(IoFailure),
    /// Another process made the attempt; its journal has the cause.
    OtherProcess,
    /// Another process has renewed, and the keyring does not show what it stored.
    NewerNotShown,
    /// The server refuses an access token that it has just issued.
    FreshTokenRefused,
    /// The person's own sign-out.
    SignOut,
    /// Attempts failed for as long as `end_after` allows.
    EndAfter,
}

/// A GraphQL error code from the list that servers share; never the server's own text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GraphqlCode {
    /// `UNAUTHENTICATED`.
    Unauthenticated,
    /// `FORBIDDEN`.
    Forbidden,
    /// `BAD_USER_INPUT`.
    BadUserInput,
    /// `NOT_FOUND`.
    NotFound,
    /// `GRAPHQL_VALIDATION_FAILED`.
    ValidationFailed,
    /// `GRAPHQL_PARSE_FAILED`.
    ParseFailed,
    /// `INTERNAL_SERVER_ERROR`.
    InternalServerError,
    /// Another code.
    Other,
    /// None.
    Missing,
}

impl GraphqlCode {
    /// The code that a server wrote.
    pub fn of(code: Option<&str>) -> Self {
        match code {
            Some("UNAUTHENTICATED") => Self::Unauthenticated,
            Some("FORBIDDEN") => Self::Forbidden,
            Some("BAD_USER_INPUT") => Self::BadUserInput,
            Some("NOT_FOUND") => Self::NotFound,
            Some("GRAPHQL_VALIDATION_FAILED") => Self::ValidationFailed,
            Some("GRAPHQL_PARSE_FAILED") => Self::ParseFailed,
            Some("INTERNAL_SERVER_ERROR") => Self::InternalServerError,
            Some(_) => Self::Other,
            None => Self::Missing,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Unauthenticated => "graphql_UNAUTHENTICATED",
            Self::Forbidden => "graphql_FORBIDDEN",
            Self::BadUserInput => "graphql_BAD_USER_INPUT",
            Self::NotFound => "graphql_NOT_FOUND",
            Self::ValidationFailed => "graphql_GRAPHQL_VALIDATION_FAILED",
            Self::ParseFailed => "graphql_GRAPHQL_PARSE_FAILED",
            Self::InternalServerError => "graphql_INTERNAL_SERVER_ERROR",
            Self::Other => "graphql_other_code",
            Self::Missing => "graphql_no_code",
        }
    }
}

/// The error code of an OAuth 2 server (RFC 6749, sections 4.1.2.1 and 5.2; RFC 8628, section 3.5; RFC 8707, section 2). One
/// of the list that the standards have; never the server's own text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OAuthError {
    /// `invalid_grant`: the code, or the refresh token, is not (or no longer) good.
    InvalidGrant,
    /// `invalid_client`: the server does not know the application.
    InvalidClient,
    /// `invalid_request`.
    InvalidRequest,
    /// `unauthorized_client`: the application may not use this grant.
    UnauthorizedClient,
    /// `unsupported_grant_type`.
    UnsupportedGrantType,
    /// `invalid_scope`.
    InvalidScope,
    /// `invalid_target`: the `resource` is not one that the server knows.
    InvalidTarget,
    /// `access_denied`: the person, or the server, declined.
    AccessDenied,
    /// `server_error`.
    ServerError,
    /// `temporarily_unavailable`.
    TemporarilyUnavailable,
    /// `authorization_pending`: the person has not typed the device code yet.
    AuthorizationPending,
    /// `slow_down`: the server is asked too often.
    SlowDown,
    /// `expired_token`: the device code has expired.
    ExpiredToken,
    /// Another code.
    Other,
}

impl OAuthError {
    /// The code that a server wrote.
    pub fn of(code: &str) -> Self {
        match code {
            "invalid_grant" => Self::InvalidGrant,
            "invalid_client" => Self::InvalidClient,
            "invalid_request" => Self::InvalidRequest,
            "unauthorized_client" => Self::UnauthorizedClient,
            "unsupported_grant_type" => Self::UnsupportedGrantType,
            "invalid_scope" => Self::InvalidScope,
            "invalid_target" => Self::InvalidTarget,
            "access_denied" => Self::AccessDenied,
            "server_error" => Self::ServerError,
            "temporarily_unavailable" => Self::TemporarilyUnavailable,
            "authorization_pending" => Self::AuthorizationPending,
            "slow_down" => Self::SlowDown,
            "expired_token" => Self::ExpiredToken,
            _ => Self::Other,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidClient => "invalid_client",
            Self::InvalidRequest => "invalid_request",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
            Self::Other => "oauth_other_error",
        }
    }
}

/// Why the file system gives no lock, or does not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IoFailure {
    /// The folder or the file is gone.
    NotFound,
    /// This user may not write there.
    PermissionDenied,
    /// The file system is read-only.
    ReadOnly,
    /// The disk, or this user's share of it, is full.
    StorageFull,
    /// The file system has no locks.
    Unsupported,
    /// This process, or the system, has no more files to open.
    TooManyOpen,
    /// The file system did not answer within the limit.
    Slow,
    /// The file does not hold what it should: it was cut off, or another program wrote it.
    Damaged,
    /// Anything else.
    Other,
}

/// "No more files to open", in this process and in the system: errors without a kind of their own. The same on Linux,
/// macOS and the BSDs.
#[cfg(unix)]
const TOO_MANY_OPEN: [i32; 2] = [24, 23];

/// "No locks available": a network file system without its lock service.
#[cfg(unix)]
const NO_LOCKS: i32 = if cfg!(target_os = "linux") { 37 } else { 77 };

impl From<&std::io::Error> for IoFailure {
    fn from(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        #[cfg(unix)]
        match error.raw_os_error() {
            Some(number) if TOO_MANY_OPEN.contains(&number) => return Self::TooManyOpen,
            Some(NO_LOCKS) => return Self::Unsupported,
            _ => {}
        }
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::PermissionDenied => Self::PermissionDenied,
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::StorageFull,
            ErrorKind::Unsupported => Self::Unsupported,
            ErrorKind::TimedOut => Self::Slow,
            _ => Self::Other,
        }
    }
}

impl IoFailure {
    /// Its word where there is no lock.
    fn lock_word(self) -> &'static str {
        match self {
            Self::NotFound => "no_lock_not_found",
            Self::PermissionDenied => "no_lock_permission_denied",
            Self::ReadOnly => "no_lock_read_only",
            Self::StorageFull => "no_lock_storage_full",
            Self::Unsupported => "no_lock_unsupported",
            Self::TooManyOpen => "no_lock_too_many_open",
            Self::Slow => "no_lock_slow",
            Self::Damaged => "no_lock_damaged",
            Self::Other => "no_lock_failed",
        }
    }

    /// Its word where files could not be read or written.
    fn files_word(self) -> &'static str {
        match self {
            Self::NotFound => "files_not_found",
            Self::PermissionDenied => "files_permission_denied",
            Self::ReadOnly => "files_read_only",
            Self::StorageFull => "files_storage_full",
            Self::Unsupported => "files_unsupported",
            Self::TooManyOpen => "files_too_many_open",
            Self::Slow => "files_slow",
            Self::Damaged => "files_damaged",
            Self::Other => "files_failed",
        }
    }
}

impl Cause {
    /// Whether the request did not get to the server: there is no network, or nothing that accepts a connection. It says
    /// nothing about how busy the server is.
    pub fn is_before_the_server(self) -> bool {
        matches!(
            self,
            Self::Dns | Self::Connect | Self::ProxyUnreachable | Self::NotSent
        )
    }

    /// The HTTP status of the answer, where there was one.
    pub fn http_status(self) -> Option<u16> {
        match self {
            Self::Http(status)
            | Self::HtmlPage(status)
            | Self::EmptyAnswer(status)
            | Self::NotJson(status)
            | Self::NotDecoded(status)
            | Self::NoTokens(status)
            | Self::Graphql(_, status)
            | Self::Throttled(status)
            | Self::OAuth(_, status)
            | Self::Rule(_, status)
            | Self::BadRequest(status)
            | Self::OtherDialect(status) => Some(status),
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http(status) => return write!(f, "http_{status}"),
            Self::Rule(number, _) => return write!(f, "rule_{number}"),
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::CertificateUntrusted => "certificate_untrusted",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateNotYetValid => "certificate_not_yet_valid",
            Self::CertificateOtherName => "certificate_other_name",
            Self::NotTls => "not_tls",
            Self::Tls => "tls",
            Self::ProxyUnreachable => "proxy_unreachable",
            Self::ProxyAuthentication => "proxy_authentication",
            Self::ProxyRefused => "proxy_refused",
            Self::StreamRefused => "stream_refused",
            Self::NotSent => "not_sent",
            Self::Timeout => "timeout",
            Self::ConnectionLost => "connection_lost",
            Self::Truncated => "truncated",
            Self::TooLong => "too_long",
            Self::NewTokens => "new_tokens",
            Self::NewAccessToken => "new_access_token",
            Self::OtherAccount => "other_account",
            Self::NotSentAgain => "not_sent_again",
            Self::OtherIssuer => "other_issuer",
            Self::ForeignOrigin => "foreign_origin",
            Self::OAuth(error, _) => error.word(),
            Self::HtmlPage(_) => "html_page",
            Self::EmptyAnswer(_) => "empty_answer",
            Self::NotJson(_) => "not_json",
            Self::NotDecoded(_) => "not_decoded",
            Self::NoTokens(_) => "no_tokens",
            Self::Graphql(code, _) => code.word(),
            Self::Throttled(_) => "throttled",
            Self::BadRequest(_) => "bad_request",
            Self::OtherDialect(_) => "other_dialect",
            Self::ProtocolPanicked => "protocol_panicked",
            Self::Vault(error) => error.word(),
            Self::LockHeld => "lock_held",
            Self::NoLock(failure) => failure.lock_word(),
            Self::Files(failure) => failure.files_word(),
            Self::OtherProcess => "other_process",
            Self::NewerNotShown => "newer_not_shown",
            Self::FreshTokenRefused => "fresh_token_refused",
            Self::SignOut => "sign_out",
            Self::EndAfter => "end_after",
        })
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_a_word_and_keeps_the_status_beside_it() {
        let refused = Cause::Graphql(GraphqlCode::of(Some("UNAUTHENTICATED")), 200);
        assert_eq!(refused.to_string(), "graphql_UNAUTHENTICATED");
        assert_eq!(refused.http_status(), Some(200));
        assert_eq!(Cause::Http(503).to_string(), "http_503");
        assert_eq!(Cause::Dns.http_status(), None);
    }

    #[test]
    fn a_code_that_is_not_on_the_list_leaves_none_of_its_text() {
        let foreign = Cause::Graphql(GraphqlCode::of(Some("eyJhbGciOi")), 400);
        assert_eq!(foreign.to_string(), "graphql_other_code");
    }
}
