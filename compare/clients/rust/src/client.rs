//! The clients, behind one face: a call with what authorizes it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;

use crate::google::Google;
use crate::holdfast::Holdfast;
use crate::smithy::Smithy;
use crate::store::{Store, Tokens};
use crate::wire::{Answer, Wire, bearer};

/// How far a client's clock jumps so that its access token has expired for sure: longer than any lives.
pub(crate) const JUMP: Duration = Duration::from_secs(24 * 60 * 60);

/// Which client.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Holdfast,
    Smithy,
    Google,
}

/// The client of one process. Its windows share it, as all of them are made to be shared: in an application whose Rust
/// side is one process there is one of them, however many windows it has.
pub(crate) enum Client {
    Holdfast(Holdfast),
    Smithy(Box<Smithy>),
    Google(Google),
}

/// Where a client is opened.
pub(crate) struct Place {
    pub(crate) origin: String,
    pub(crate) wire: Arc<Wire>,
    pub(crate) store: Store,
    pub(crate) windows: usize,
}

/// Why a call was not made, or got no answer.
pub(crate) struct Failure {
    /// Shows no token, and nothing that the server wrote.
    pub(crate) text: String,
    /// The client says that it will not succeed again.
    pub(crate) logout: bool,
}

impl Kind {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "holdfast" => Some(Self::Holdfast),
            "smithy" => Some(Self::Smithy),
            "google" => Some(Self::Google),
            _ => None,
        }
    }

    /// The crates that it is made of, by the names that the lock file has.
    pub(crate) fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Holdfast => &["graphql-session"],
            Self::Smithy => &["aws-smithy-runtime", "aws-smithy-runtime-api"],
            Self::Google => &["google-cloud-auth"],
        }
    }
}

impl Client {
    /// For a person who has signed in with these tokens: just now, or before the last start of the process.
    pub(crate) async fn open(
        kind: Kind,
        place: &Place,
        tokens: Tokens,
        is_new: bool,
    ) -> Result<Self, String> {
        match kind {
            Kind::Holdfast => Holdfast::open(place, is_new.then_some(tokens))
                .await
                .map(Self::Holdfast),
            Kind::Smithy => Smithy::open(place, tokens)
                .map(|smithy| Self::Smithy(Box::new(smithy)))
                .map_err(|error| error.to_string()),
            Kind::Google => Google::open(&place.origin, &tokens.refresh).map(Self::Google),
        }
    }

    /// One call: ours makes it itself; for the others the application asks for the headers that authorize it, and sends it.
    pub(crate) async fn call(&self, wire: &Wire, body: Bytes) -> Result<Answer, Failure> {
        let headers = match self {
            Self::Holdfast(holdfast) => return holdfast.call(body).await,
            Self::Smithy(smithy) => smithy.authorization().await?,
            Self::Google(google) => google.authorization().await?,
        };
        let sent = wire.call(headers, body).await;
        sent.map_err(|error| Failure {
            text: error.to_string(),
            logout: false,
        })
    }

    /// The headers of a bare request with a valid token. Ours gives no token away: it is the one of the sign-in.
    pub(crate) async fn ready_headers(&self, store: &Store) -> Result<HeaderMap, String> {
        let headers = match self {
            Self::Holdfast(_) => {
                let stored = store.read().map_err(|error| error.to_string())?;
                let stored = stored.ok_or("the store has no tokens")?;
                return bearer(&stored.access).map_err(|error| error.to_string());
            }
            Self::Smithy(smithy) => smithy.authorization().await,
            Self::Google(google) => google.authorization().await,
        };
        headers.map_err(|failure| failure.text)
    }

    /// Whether it replays a refused call.
    pub(crate) fn replays(&self) -> bool {
        matches!(self, Self::Holdfast(_))
    }

    /// Has the client believe that a day has passed.
    pub(crate) async fn expire(&self) {
        match self {
            Self::Holdfast(holdfast) => holdfast.expire(),
            Self::Smithy(smithy) => smithy.expire(),
            Self::Google(google) => google.expire().await,
        }
    }
}
