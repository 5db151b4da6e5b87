//! How one kind of server signs in, renews, and says "not authenticated".
//!
//! A protocol says what to send and what an answer means. It keeps no state, decides nothing about the session, and does no
//! I/O.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graphql_session_renewal::Cause;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::http::{Answer, Endpoint, Envelope, GraphqlError, Origin, RawReply, Request};

mod declared;
mod flow;
mod oauth2;
mod twenty;

pub use declared::{DeclaredProtocol, PRESETS};
pub use flow::{
    Conversation, Flow, Given, Listening, Need, Redirected, SignInMethod, SignInStep, StepAnswer,
    Unanswered, Workspace,
};
pub use oauth2::{OAuth2, OAuth2Client, OAuth2Settings, REDIRECT_PORTS};
pub use twenty::Twenty;

/// The code of a refused access token, as Apollo Server and those after it say it.
const UNAUTHENTICATED: &str = "UNAUTHENTICATED";

/// One kind of server. An application can bring its own, as [`Config::protocol`](crate::Config::protocol).
///
/// A server that takes and returns plain JSON, and says `invalid_refresh_token` when a session is over:
///
/// ```
/// use std::time::Duration;
///
/// use graphql_session::{
///     Answer, Cause, Code, Dialect, Endpoint, Error, Expiry, Facts, Flow, Held, Issued, Origin, Protocol, Reading, Request,
///     SignInMethod, Target, TokenHeader, Tokens,
/// };
/// use secrecy::{ExposeSecret, SecretString};
/// use serde::{Deserialize, Serialize};
///
/// struct Acme {
///     facts: Facts,
/// }
///
/// impl Acme {
///     fn new() -> Self {
///         Self {
///             facts: Facts {
///                 name: "acme".into(),
///                 endpoints: vec![Endpoint::new("graphql", "/graphql")],
///                 token_header: TokenHeader::Bearer,
///                 call_headers: Vec::new(),
///                 grace: None,
///                 reuse_ends_session: true,
///                 expiry_margin: Duration::from_secs(1),
///                 lives_below_paths: true,
///                 idle_connection: Duration::from_secs(4),
///             },
///         }
///     }
/// }
///
/// impl Protocol for Acme {
///     fn facts(&self) -> &Facts {
///         &self.facts
///     }
///
///     fn sign_in(&self, server: &Origin) -> Flow {
///         let host = server.host().to_owned();
///         Flow::new(|conversation| async move {
///             let answer = conversation.send(Request::get(Target::api("/health"))).await?;
///             if let Some(error) = answer.leads_elsewhere(&host) {
///                 return Err(error);
///             }
///             if answer.status != 200 {
///                 return Err(Error::new(Code::NotThisServer, "This is not an Acme server. Check the address."));
///             }
///             conversation.offer(vec![SignInMethod::Password]).await?;
///             let login = conversation.password().await?;
///             let body = SignIn { email: &login.email, password: login.password.expose_secret() };
///             let answer = conversation.send(Request::json(Target::api("/auth/login"), &body)).await?;
///             match tokens(&answer) {
///                 Some(tokens) => Ok(Issued::new(tokens)),
///                 None if answer.status == 401 => Err(Error::new(Code::WrongPassword, "This password is wrong.")),
///                 None => Err(Error::new(Code::SignInRefused, "The server refused the sign-in.")),
///             }
///         })
///     }
///
///     // All Acme servers speak the same.
///     fn dialects(&self, _last: Option<&Dialect>) -> Vec<Dialect> {
///         vec![Dialect::default()]
///     }
///
///     fn renewal(&self, held: &Held<'_>, _dialect: &Dialect) -> Option<Request> {
///         let body = Refresh { refresh: held.refresh.expose_secret() };
///         Some(Request::json(Target::api("/auth/refresh"), &body))
///     }
///
///     fn read_renewal(&self, answer: &Answer, _dialect: &Dialect) -> Reading {
///         if let Some(tokens) = tokens(answer) {
///             return Reading::Renewed(tokens);
///         }
///         // Only the server's own words end a session. A proxy can answer 401, too.
///         match error(answer) {
///             Some("invalid_refresh_token") => Reading::Rejected {
///                 ambiguous: false,
///                 cause: Cause::Http(answer.status),
///             },
///             Some("slow_down") => Reading::Inconclusive { cause: Cause::Throttled(answer.status) },
///             _ => Reading::NotProtocol,
///         }
///     }
///
///     fn revocation(&self, held: &Held<'_>) -> Option<Request> {
///         let body = Refresh { refresh: held.refresh.expose_secret() };
///         Some(Request::json(Target::api("/auth/logout"), &body))
///     }
///
///     fn is_revoked(&self, answer: &Answer) -> bool {
///         answer.status == 204
///     }
/// }
///
/// // Structs that borrow their secrets: a `serde_json::Value` would be a copy that nobody overwrites.
/// #[derive(Serialize)]
/// struct SignIn<'a> {
///     email: &'a str,
///     password: &'a str,
/// }
///
/// #[derive(Serialize)]
/// struct Refresh<'a> {
///     refresh: &'a str,
/// }
///
/// #[derive(Deserialize)]
/// struct Pair<'a> {
///     access: &'a str,
///     refresh: Option<&'a str>,
/// }
///
/// #[derive(Deserialize)]
/// struct Refusal<'a> {
///     error: &'a str,
/// }
///
/// fn tokens(answer: &Answer) -> Option<Tokens> {
///     let pair: Pair<'_> = serde_json::from_slice(&answer.body).ok()?;
///     Some(Tokens {
///         refresh: pair.refresh.map(SecretString::from),
///         ..Tokens::of(pair.access.into(), Expiry::Unknown)
///     })
/// }
///
/// fn error(answer: &Answer) -> Option<&str> {
///     let refusal: Refusal<'_> = serde_json::from_slice(&answer.body).ok()?;
///     Some(refusal.error)
/// }
///
/// let read = |status, body: &'static str| Acme::new().read_renewal(&Answer::new(status, body), &Dialect::default());
/// assert!(matches!(read(200, r#"{"access":"a","refresh":"r"}"#), Reading::Renewed(_)));
/// assert!(matches!(read(401, r#"{"error":"invalid_refresh_token"}"#), Reading::Rejected { .. }));
/// assert!(matches!(read(401, "<html>Log in to the proxy</html>"), Reading::NotProtocol));
/// ```
pub trait Protocol: Send + Sync + 'static {
    /// What is the same for every server of this kind.
    fn facts(&self) -> &Facts;

    /// The conversation that signs a person in at `server`. It first finds out whether such a server is there and what it
    /// offers, up to [`Conversation::offer`]; then it signs in by the method that was chosen.
    fn sign_in(&self, server: &Origin) -> Flow;

    /// The dialects in which a renewal can be spoken, best first, given the one that worked last.
    fn dialects(&self, last: Option<&Dialect>) -> Vec<Dialect>;

    /// The request that exchanges the held refresh token for new credentials. `None` where the dialect is not this
    /// protocol's.
    fn renewal(&self, held: &Held<'_>, dialect: &Dialect) -> Option<Request>;

    /// What one answer to a renewal means.
    fn read_renewal(&self, answer: &Answer, dialect: &Dialect) -> Reading;

    /// Whether a call's reply says that its access token is not (or no longer) accepted. `envelope` is `None` where the body
    /// is not GraphQL's. Asked about each part of a batch that did not run, and about a reply with data and errors: a query
    /// is sent once more then.
    ///
    /// By default, any error with the code `UNAUTHENTICATED`; where none has a code, [`RawReply::refuses_bearer`].
    fn refuses(&self, reply: &RawReply<'_>, envelope: Option<&Envelope>) -> bool {
        refuses_by_default(reply, envelope)
    }

    /// Who the credentials belong to, where that is known. Used to notice another account's credentials. Default: as the
    /// tokens were read.
    fn subject(&self, tokens: &Tokens) -> Option<String> {
        tokens.identity.subject.clone()
    }

    /// Tells the server that a session is over; `None` where the protocol cannot.
    fn revocation(&self, held: &Held<'_>) -> Option<Request>;

    /// Whether the server's answer to that says that it did it. Default: any HTTP 2xx.
    fn is_revoked(&self, answer: &Answer) -> bool {
        (200..300).contains(&answer.status)
    }

    /// A request without credentials that tells whether a server that was away is back. Default: the smallest query, at the
    /// first endpoint.
    fn probe(&self) -> Request {
        let endpoint = self.facts().endpoints.first();
        let path = endpoint.map_or(Cow::Borrowed("/"), |endpoint| endpoint.path.clone());
        let query = serde_json::json!({ "query": "{__typename}" });
        Request::json(crate::http::Target::Api(path), &query)
    }

    /// Whether that server's answer says that it is back. Default: any but a gateway's and an overloaded server's.
    fn is_back(&self, answer: &Answer) -> bool {
        !matches!(answer.status, 408 | 425 | 429 | 500..)
    }
}

/// Any error with the code `UNAUTHENTICATED`; where none has a code, [`RawReply::refuses_bearer`].
fn refuses_by_default(reply: &RawReply<'_>, envelope: Option<&Envelope>) -> bool {
    let Some(envelope) = envelope else {
        return reply.refuses_bearer();
    };
    let mut codes = envelope.errors.iter().filter_map(GraphqlError::code);
    match codes.next() {
        None => reply.refuses_bearer(),
        Some(first) => first == UNAUTHENTICATED || codes.any(|code| code == UNAUTHENTICATED),
    }
}

/// What is the same for every server of one kind.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Short name, stored with the credentials: `twenty`.
    pub name: Cow<'static, str>,
    /// The endpoints that calls may name. Nothing else can be reached.
    pub endpoints: Vec<Endpoint>,
    /// How calls show the access token.
    pub token_header: TokenHeader,
    /// Headers that every call needs besides, with lower-case names: such as a vendor's API key, which is no secret.
    pub call_headers: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    /// How long after a renewal the used refresh token still works, by the server's default. `None`: not at all.
    pub grace: Option<Duration>,
    /// Whether a used refresh token that comes in after its grace time ends the session at the server. One that may have
    /// been used is then not sent again once that time is over.
    pub reuse_ends_session: bool,
    /// An access token this close to its end counts as expired: by how much the server's statement may be too late.
    pub expiry_margin: Duration,
    /// Whether such a server may live below a path, as in `https://example.com/crm`. The path of an address that a person types
    /// is a part of it then; elsewhere it is dropped, because people paste the address of a page.
    pub lives_below_paths: bool,
    /// How long a connection may be idle before it is given up: shorter than the server keeps it. Only until the server's
    /// replies say it themselves: with `Keep-Alive: timeout=`, or by HTTP/2, in which a server announces its farewell.
    pub idle_connection: Duration,
}

/// How calls show the access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenHeader {
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer,
    /// `Authorization:` with another scheme, such as `JWT`.
    Scheme(Cow<'static, str>),
    /// The token alone, in a header of this lower-case name.
    Named(Cow<'static, str>),
}

/// How one server is spoken to, where servers of a kind differ: by their release, their addresses, or the client id that
/// they gave. JSON, opaque to everything but its protocol; kept with the credentials. It holds no secret.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dialect(Arc<serde_json::Value>);

impl Dialect {
    /// A dialect that a protocol can read again.
    ///
    /// # Panics
    /// When `value` cannot be JSON: a map whose keys are no texts.
    pub fn of(value: &impl Serialize) -> Self {
        Self(Arc::new(
            serde_json::to_value(value).expect("a dialect is JSON"),
        ))
    }

    /// The text that it is; `None` where it is something else.
    pub(crate) fn text(&self) -> Option<&str> {
        self.0.as_str()
    }

    /// What it was made of; `None` where it was something else.
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        T::deserialize(&*self.0).ok()
    }
}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dialect({})", self.0)
    }
}

/// What a session holds, as far as a protocol needs it.
pub struct Held<'a> {
    /// The access token. Some servers want it for a renewal.
    pub access: &'a str,
    /// The refresh token.
    pub refresh: &'a SecretString,
    /// The dialect in which the session was begun, or renewed last.
    pub dialect: &'a Dialect,
}

/// Who signs in.
#[derive(Clone, Debug)]
pub struct PasswordLogin {
    /// E-mail address, or another name that the server takes.
    pub email: String,
    /// Password; its Debug shows nothing.
    pub password: SecretString,
}

/// What a sign-in produced.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The new credentials.
    pub tokens: Tokens,
    /// The dialect that the server spoke.
    pub dialect: Dialect,
    /// The origin that issued them and renews them, where that is not the API's. The credentials are bound to both.
    pub issuer: Option<String>,
    /// The API's origin, where the person chose another one than they signed in at: one of several workspaces.
    pub server: Option<String>,
}

impl Issued {
    /// Credentials that the API's own origin issued.
    pub fn new(tokens: Tokens) -> Self {
        Self {
            tokens,
            dialect: Dialect::default(),
            issuer: None,
            server: None,
        }
    }
}

/// How a protocol reads one answer to a renewal. A cause comes from a constant list, and never holds the server's text.
#[derive(Clone, Debug)]
pub enum Reading {
    /// New tokens.
    Renewed(Tokens),
    /// A final error.
    Rejected {
        /// This server gives the same answer by mistake, too: it is asked once more before the rejection counts.
        ambiguous: bool,
        /// The words of the rejection.
        cause: Cause,
    },
    /// The server does not know this dialect; another one is tried at once, and this was no attempt.
    OtherDialect,
    /// An error in the protocol's words that is not final.
    Inconclusive {
        /// The words of the error.
        cause: Cause,
    },
    /// Not the protocol's words at all.
    NotProtocol,
}

/// An access token with its refresh token, as a server issues them. Debug shows the expiries only.
#[derive(Clone)]
pub struct Tokens {
    /// Sent with every call.
    pub access: SecretString,
    /// When the server will refuse the access token.
    pub access_expires: Expiry,
    /// Exchanged for new credentials. Empty only in the answer to a renewal: the old one is kept.
    pub refresh: Option<SecretString>,
    /// When the server will refuse the refresh token.
    pub refresh_expires: Expiry,
    /// Who they belong to, as far as the server says.
    pub identity: Identity,
}

impl Tokens {
    /// An access token alone.
    pub fn of(access: SecretString, access_expires: Expiry) -> Self {
        Self {
            access,
            access_expires,
            refresh: None,
            refresh_expires: Expiry::Unknown,
            identity: Identity::default(),
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("access_expires", &self.access_expires)
            .field("refresh_expires", &self.refresh_expires)
            .finish_non_exhaustive()
    }
}

/// When a token expires, as servers state it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// At this time, by the server's clock.
    At(Timestamp),
    /// So long after the request was sent.
    In(Duration),
    /// The server does not say, or nobody can read it. The token is used until the server refuses it.
    Unknown,
}

impl From<Option<Timestamp>> for Expiry {
    fn from(at: Option<Timestamp>) -> Self {
        at.map_or(Self::Unknown, Self::At)
    }
}

/// Who credentials belong to. Nobody checks a signature: it comes from the server that issues the credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The server's name for the account; never shown. Used to notice another account's credentials.
    pub subject: Option<String>,
    /// An e-mail address or another name for people.
    pub name: Option<String>,
}

impl Identity {
    /// From the claims of a JWT (OpenID Connect Core, section 5.1); `None` where it is none.
    pub(crate) fn in_jwt(token: &SecretString) -> Option<Self> {
        #[derive(Deserialize)]
        struct Claims {
            sub: Option<String>,
            email: Option<String>,
            preferred_username: Option<String>,
            name: Option<String>,
        }
        let claims: Claims = claims(token.expose_secret())?;
        Some(Self {
            subject: claims.sub,
            name: claims.email.or(claims.preferred_username).or(claims.name),
        })
    }
}

/// The claims of a JWT, unchecked.
pub(crate) fn claims<T: DeserializeOwned>(token: &str) -> Option<T> {
    let payload = token.split('.').nth(1)?;
    let payload = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?);
    serde_json::from_slice(&payload).ok()
}
