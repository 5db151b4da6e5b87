//! How one kind of server signs in, renews, and says "not authenticated".
//!
//! A protocol says what to send and what an answer means. It keeps no state, decides nothing about the session, and
//! opens no connection of its own.

use std::fmt;
use std::time::Duration;

use graphql_session_renewal::Cause;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::clock::BoxFuture;
use crate::error::Error;
use crate::http::{Answer, AuthClient, Endpoint, Envelope, GraphqlError, RawReply, Request};

mod twenty;

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
///     Answer, AuthClient, BoxFuture, Cause, Code, Dialect, Endpoint, Error, Facts, Issued, PasswordLogin, Protocol,
///     Reading, Request, Tokens,
/// };
/// use secrecy::{ExposeSecret, SecretString};
/// use serde::{Deserialize, Serialize};
///
/// static FACTS: Facts = Facts {
///     name: "acme",
///     endpoints: &[Endpoint { name: "graphql", path: "/graphql" }],
///     grace: None,
///     expiry_margin: Duration::from_secs(1),
///     lives_below_paths: true,
///     idle_connection: Duration::from_secs(4),
/// };
///
/// struct Acme;
///
/// impl Protocol for Acme {
///     fn facts(&self) -> &Facts {
///         &FACTS
///     }
///
///     fn check<'a>(&'a self, client: &'a AuthClient) -> BoxFuture<'a, Result<(), Error>> {
///         Box::pin(async move {
///             let answer = client.get("/health").await.map_err(|error| client.sign_in_error(error))?;
///             if let Some(error) = client.leads_elsewhere(&answer) {
///                 return Err(error);
///             }
///             match answer.status {
///                 200 => Ok(()),
///                 500.. => Err(Error::new(Code::NoAnswer, "The server has a problem. Try again later.")),
///                 _ => Err(Error::new(Code::NotThisServer, "This is not an Acme server. Check the address.")),
///             }
///         })
///     }
///
///     fn sign_in<'a>(
///         &'a self,
///         client: &'a AuthClient,
///         login: &'a PasswordLogin,
///     ) -> BoxFuture<'a, Result<Issued, Error>> {
///         Box::pin(async move {
///             let body = SignIn { email: &login.email, password: login.password.expose_secret() };
///             let answer = client
///                 .post(&Request::json("/auth/login", &body))
///                 .await
///                 .map_err(|error| client.sign_in_error(error))?;
///             match tokens(&answer) {
///                 Some(tokens) => Ok(Issued { tokens, dialect: Dialect::default() }),
///                 None if answer.status == 401 => Err(Error::new(Code::WrongPassword, "This password is wrong.")),
///                 None => Err(Error::new(Code::SignInRefused, "The server refused the sign-in.")),
///             }
///         })
///     }
///
///     // All Acme servers speak the same.
///     fn dialects(&self, _last: Option<Dialect>) -> Vec<Dialect> {
///         vec![Dialect::default()]
///     }
///
///     fn renewal(&self, refresh: &SecretString, _dialect: Dialect) -> Request {
///         Request::json("/auth/refresh", &Refresh { refresh: refresh.expose_secret() })
///     }
///
///     fn read_renewal(&self, answer: &Answer, _dialect: Dialect) -> Reading {
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
///     fn subject(&self, _tokens: &Tokens) -> Option<String> {
///         None
///     }
///
///     fn revocation(&self, refresh: &SecretString, _dialect: Dialect) -> Option<Request> {
///         Some(Request::json("/auth/logout", &Refresh { refresh: refresh.expose_secret() }))
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
///         access: pair.access.into(),
///         access_expires_at: None,
///         refresh: pair.refresh.map(SecretString::from),
///         refresh_expires_at: None,
///     })
/// }
///
/// fn error(answer: &Answer) -> Option<&str> {
///     let refusal: Refusal<'_> = serde_json::from_slice(&answer.body).ok()?;
///     Some(refusal.error)
/// }
///
/// let answer = |status, body: &'static str| Answer {
///     status,
///     retry_after: None,
///     redirects_to: None,
///     body: body.into(),
/// };
/// let read = |answer| Acme.read_renewal(&answer, Dialect::default());
/// assert!(matches!(read(answer(200, r#"{"access":"a","refresh":"r"}"#)), Reading::Renewed(_)));
/// assert!(matches!(read(answer(401, r#"{"error":"invalid_refresh_token"}"#)), Reading::Rejected { .. }));
/// assert!(matches!(read(answer(401, "<html>Log in to the proxy</html>")), Reading::NotProtocol));
/// ```
pub trait Protocol: Send + Sync + 'static {
    /// What is the same for every server of this kind.
    fn facts(&self) -> &Facts;

    /// Asks whether this kind of server answers at `client`'s origin.
    ///
    /// # Errors
    /// A code that a sign-in form can show: [`NotThisServer`](crate::Code::NotThisServer) and the network's.
    fn check<'a>(&'a self, client: &'a AuthClient) -> BoxFuture<'a, Result<(), Error>>;

    /// Signs in with a password.
    ///
    /// # Errors
    /// A code that a sign-in form can show.
    fn sign_in<'a>(
        &'a self,
        client: &'a AuthClient,
        login: &'a PasswordLogin,
    ) -> BoxFuture<'a, Result<Issued, Error>>;

    /// The dialects in which a renewal can be spoken, best first, given the one that worked last.
    fn dialects(&self, last: Option<Dialect>) -> Vec<Dialect>;

    /// The request that exchanges `refresh` for new credentials, without any Authorization.
    fn renewal(&self, refresh: &SecretString, dialect: Dialect) -> Request;

    /// What one answer to a renewal means.
    fn read_renewal(&self, answer: &Answer, dialect: Dialect) -> Reading;

    /// Whether a call's reply says that its access token is not (or no longer) accepted. `envelope` is `None` where the body
    /// is not GraphQL's. Asked about each part of a batch that did not run, and about a reply with data and errors: a query
    /// is sent once more then.
    ///
    /// By default, any error with the code `UNAUTHENTICATED`; where none has a code, [`RawReply::refuses_bearer`].
    fn refuses(&self, reply: &RawReply<'_>, envelope: Option<&Envelope>) -> bool {
        let Some(envelope) = envelope else {
            return reply.refuses_bearer();
        };
        let mut codes = envelope.errors.iter().filter_map(GraphqlError::code);
        match codes.next() {
            None => reply.refuses_bearer(),
            Some(first) => first == UNAUTHENTICATED || codes.any(|code| code == UNAUTHENTICATED),
        }
    }

    /// Who the credentials belong to, where the tokens say so. Used to notice another account's credentials.
    fn subject(&self, tokens: &Tokens) -> Option<String>;

    /// Tells the server that a refresh token is no longer wanted; `None` where the protocol cannot.
    fn revocation(&self, refresh: &SecretString, dialect: Dialect) -> Option<Request>;
}

/// What is the same for every server of one kind.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Short name, stored with the credentials: `twenty`.
    pub name: &'static str,
    /// The endpoints that calls may name. Nothing else can be reached.
    pub endpoints: &'static [Endpoint],
    /// How long after a renewal the used refresh token still works, by the server's default. `None`: not at all.
    pub grace: Option<Duration>,
    /// An access token this close to its end counts as expired: by how much the server's statement may be too late.
    pub expiry_margin: Duration,
    /// Whether such a server may live below a path, as in `https://example.com/crm`. The path of an address that a person types
    /// is a part of it then; elsewhere it is dropped, because people paste the address of a page.
    pub lives_below_paths: bool,
    /// How long a connection may be idle before it is given up: shorter than the server keeps it.
    pub idle_connection: Duration,
}

/// A way of speaking one protocol that servers of different releases differ in (field names, endpoint). Opaque to
/// everything but its protocol; remembered with the credentials.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Dialect(pub u8);

/// Who signs in.
#[derive(Clone, Debug)]
pub struct PasswordLogin {
    /// E-mail address.
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
    /// When the server will refuse the access token, by the server's clock.
    pub access_expires_at: Option<Timestamp>,
    /// Exchanged for new credentials. Empty only in the answer to a renewal: the old one is kept.
    pub refresh: Option<SecretString>,
    /// When the server will refuse the refresh token, by the server's clock.
    pub refresh_expires_at: Option<Timestamp>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("access_expires_at", &self.access_expires_at)
            .field("refresh_expires_at", &self.refresh_expires_at)
            .finish_non_exhaustive()
    }
}
