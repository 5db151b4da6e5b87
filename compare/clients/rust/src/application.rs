//! The application around a client: as little as makes one.
//!
//! Of the compared clients none has a store, a sign-out or a replay. The application keeps the tokens of the sign-in in a
//! file, reads them at its next start, and at the sign-out drops the client and removes the file. It does not wait for a
//! renewal that is on the wire; what one brings after the sign-out is not stored. A refused call is an error. Ours has all
//! three; of the file only the bare side of a measurement makes use then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::task::AbortHandle;

use crate::client::{Client, Kind, Place};
use crate::measure;
use crate::protocol::{Reply, Settlement, Status, tell};
use crate::store::{Store, Tokens};
use crate::wire::{Wire, operation};

const SIGNED_OUT: &str = "signed out";

/// The application of one process, with the client that its windows share.
pub(crate) struct Application {
    place: Place,
    /// None while nobody is signed in.
    client: Option<Arc<Client>>,
    calls: Calls,
}

impl Application {
    pub(crate) async fn open(
        kind: Kind,
        origin: String,
        store: Store,
        windows: usize,
        tokens: Option<Tokens>,
    ) -> Result<Self, String> {
        let place = Place {
            wire: Arc::new(Wire::new(&origin)?),
            origin,
            store,
            windows,
        };
        let is_new = tokens.is_some();
        let tokens = match tokens {
            Some(tokens) => place.store.write(&tokens).map(|()| Some(tokens)),
            None => place.store.read(),
        };
        let client = match tokens.map_err(|error| format!("the store: {error}"))? {
            Some(tokens) => Some(Client::open(kind, &place, tokens, is_new).await?),
            None => None,
        };
        Ok(Self {
            place,
            client: client.map(Arc::new),
            calls: Calls::default(),
        })
    }

    /// Begins a call in a task of its own, and tells how it settled.
    pub(crate) fn call(&self, id: u64, window: usize, query: &str) {
        let settle = move |settlement| {
            tell(&Reply::Settled {
                settled: id,
                settlement,
            })
        };
        let Some(client) = self.client.clone() else {
            return settle(Settlement::error(SIGNED_OUT));
        };
        if window >= self.place.windows {
            return settle(Settlement::error("no such window"));
        }
        let wire = self.place.wire.clone();
        let call = tokio::spawn(perform(client, wire, window, operation(query)));
        self.calls.add(id, call.abort_handle());
        let calls = self.calls.clone();
        tokio::spawn(async move {
            let settlement = match call.await {
                Ok(settlement) => settlement,
                Err(ended) if ended.is_cancelled() => Settlement::ABORTED,
                Err(_) => Settlement::error("the client panicked"),
            };
            calls.remove(id);
            settle(settlement);
        });
    }

    /// Takes a call back by dropping its future, which is the way of these clients.
    pub(crate) fn abort(&self, id: u64) {
        self.calls.abort(id);
    }

    pub(crate) async fn sign_out(&mut self) {
        match self.client.as_deref() {
            Some(Client::Holdfast(holdfast)) => holdfast.sign_out().await,
            client => {
                if let Some(Client::Smithy(smithy)) = client {
                    smithy.sign_out();
                }
                self.client = None;
            }
        }
        self.place.store.remove();
        tell(&Reply::SignedOut { signed_out: true });
    }

    pub(crate) async fn status(&self) {
        let signed_in = match self.client.as_deref() {
            Some(Client::Holdfast(holdfast)) => holdfast.is_signed_in().await,
            client => client.is_some() || self.place.store.holds_tokens(),
        };
        tell(&Reply::Status {
            status: Status { signed_in },
        });
    }

    pub(crate) async fn expire(&self) {
        if let Err(error) = self.place.store.expire() {
            eprintln!("the store: {error}");
        }
        if let Some(client) = &self.client {
            client.expire().await;
        }
        tell(&Reply::Expired { expired: true });
    }

    pub(crate) fn measure(&self, callers: usize, calls: usize, turns: usize) {
        let Some(client) = self.client.clone() else {
            return tell(&Reply::measured(Err(SIGNED_OUT.to_owned())));
        };
        let (wire, store) = (self.place.wire.clone(), self.place.store.clone());
        tokio::spawn(async move {
            tell(&Reply::measured(
                measure::measure(client, wire, store, callers, calls, turns).await,
            ));
        });
    }

    pub(crate) fn waiters(&self, calls: usize, turns: usize) {
        let Some(client) = self.client.clone() else {
            return tell(&Reply::waited(Err(SIGNED_OUT.to_owned())));
        };
        let (wire, store) = (self.place.wire.clone(), self.place.store.clone());
        tokio::spawn(async move {
            tell(&Reply::waited(
                measure::waiters(client, wire, store, calls, turns).await,
            ));
        });
    }

    pub(crate) fn replays(&self, turns: usize) {
        let Some(client) = self.client.clone() else {
            return tell(&Reply::replayed(Err(SIGNED_OUT.to_owned())));
        };
        let (wire, store) = (self.place.wire.clone(), self.place.store.clone());
        tokio::spawn(async move {
            tell(&Reply::replayed(
                measure::replays(client, wire, store, turns).await,
            ));
        });
    }
}

async fn perform(
    client: Arc<Client>,
    wire: Arc<Wire>,
    window: usize,
    body: bytes::Bytes,
) -> Settlement {
    match client.call(&wire, body).await {
        Ok(answer) => answer.settlement(),
        Err(failure) => {
            if failure.logout {
                tell(&Reply::Logout {
                    logout: true,
                    window,
                });
            }
            Settlement::error(failure.text)
        }
    }
}

/// The calls that have not settled yet.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<HashMap<u64, AbortHandle>>>);

impl Calls {
    fn add(&self, id: u64, call: AbortHandle) {
        self.lock().insert(id, call);
    }

    fn abort(&self, id: u64) {
        if let Some(call) = self.lock().get(&id) {
            call.abort();
        }
    }

    fn remove(&self, id: u64) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, AbortHandle>> {
        self.0.lock().expect("nothing panics while it is held")
    }
}
