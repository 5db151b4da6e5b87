//! The clients, behind one face: what authorizes the next request.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::runtime::{Builder, Runtime};

use crate::google::Google;
use crate::smithy::Smithy;
use crate::store::{Store, Tokens};
use crate::wire::Wire;

/// How far a client's clock jumps so that its access token has expired for sure: longer than any lives.
pub(crate) const JUMP: Duration = Duration::from_secs(24 * 60 * 60);

/// Threads of a runtime that has several: the cores of the machine that the figures are from.
const WORKERS: usize = 2;

/// Which client.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Smithy,
    Google,
}

/// The client of one process. Its windows share it, as both clients are made to be shared: in an application whose Rust
/// side is one process there is one of them, however many windows it has.
pub(crate) enum Client {
    Smithy(Box<Smithy>),
    Google(Google),
}

/// Why a call cannot be made.
pub(crate) struct Unauthorized {
    /// Shows no token, and nothing that the server wrote.
    pub(crate) text: String,
    /// The client says that it will not succeed again.
    pub(crate) logout: bool,
}

impl Kind {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "smithy" => Some(Self::Smithy),
            "google" => Some(Self::Google),
            _ => None,
        }
    }

    /// What its calls, and the bare ones beside them, run on: several threads, as in a desktop application. google's clock
    /// can only be moved on one.
    pub(crate) fn runtime(self) -> std::io::Result<Runtime> {
        match self {
            Self::Smithy => Builder::new_multi_thread()
                .worker_threads(WORKERS)
                .enable_all()
                .build(),
            Self::Google => Builder::new_current_thread().enable_all().build(),
        }
    }
}

impl Client {
    pub(crate) fn open(
        kind: Kind,
        origin: &str,
        wire: Arc<Wire>,
        store: Store,
        tokens: Tokens,
    ) -> Result<Self, String> {
        match kind {
            Kind::Smithy => Smithy::open(origin, wire, store, tokens)
                .map(|smithy| Self::Smithy(Box::new(smithy)))
                .map_err(|error| error.to_string()),
            Kind::Google => Google::open(origin, &tokens.refresh).map(Self::Google),
        }
    }

    /// The headers that authorize one request; renews first where the client finds that necessary.
    pub(crate) async fn authorization(&self) -> Result<HeaderMap, Unauthorized> {
        match self {
            Self::Smithy(smithy) => smithy.authorization().await,
            Self::Google(google) => google.authorization().await,
        }
    }

    /// Has the client believe that a day has passed.
    pub(crate) async fn expire(&self) {
        match self {
            Self::Smithy(smithy) => smithy.expire(),
            Self::Google(google) => google.expire().await,
        }
    }
}
