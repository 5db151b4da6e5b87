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
use crate::http::{Answer, AuthClient, Endpoint, Envelope, Request};

mod twenty;

pub use twenty::Twenty;

/// One kind of server. Adopters can bring their own.
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

    /// Whether a call's reply says that its access token is not (or no longer) accepted. Asked only about replies without
    /// a data object: where part of a call ran, its reply is the caller's.
    fn refuses(&self, status: u16, envelope: &Envelope) -> bool;

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
