//! The application around a client: as little as makes one.
//!
//! Neither client has a store, a sign-out or a replay. The application keeps the tokens of the sign-in in a file, reads
//! them at its next start, and at the sign-out drops the client and removes the file. It does not wait for a renewal that
//! is on the wire, nor keep one from storing what it got. A refused call is an error.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::task::AbortHandle;

use crate::client::{Client, Kind};
use crate::measure;
use crate::protocol::{Reply, Settlement, Status, tell};
use crate::store::{Store, Tokens};
use crate::wire::{Wire, operation};

const SIGNED_OUT: &str = "signed out";

/// The application of one process, with the client that its windows share.
pub(crate) struct Application {
    windows: usize,
    wire: Arc<Wire>,
    store: Store,
    /// None while nobody is signed in.
    client: Option<Arc<Client>>,
    calls: Calls,
}

impl Application {
    pub(crate) fn open(
        kind: Kind,
        origin: &str,
        store: Store,
        windows: usize,
        tokens: Option<Tokens>,
    ) -> Result<Self, String> {
        let wire = Arc::new(Wire::new(origin)?);
        let tokens = match tokens {
            Some(tokens) => store.write(&tokens).map(|()| Some(tokens)),
            None => store.read(),
        };
        let client = tokens
            .map_err(|error| format!("the store: {error}"))?
            .map(|tokens| Client::open(kind, origin, wire.clone(), store.clone(), tokens))
            .transpose()?
            .map(Arc::new);
        Ok(Self {
            windows,
            wire,
            store,
            client,
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
        if window >= self.windows {
            return settle(Settlement::error("no such window"));
        }
        let call = tokio::spawn(perform(client, self.wire.clone(), window, operation(query)));
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

    pub(crate) fn sign_out(&mut self) {
        self.client = None;
        self.store.remove();
        tell(&Reply::SignedOut { signed_out: true });
    }

    pub(crate) fn status(&self) {
        let signed_in = self.client.is_some() || self.store.holds_tokens();
        tell(&Reply::Status {
            status: Status { signed_in },
        });
    }

    pub(crate) async fn expire(&self) {
        if let Err(error) = self.store.expire() {
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
        let wire = self.wire.clone();
        tokio::spawn(async move {
            tell(&Reply::measured(
                measure::measure(client, wire, callers, calls, turns).await,
            ));
        });
    }

    pub(crate) fn waiters(&self, calls: usize, turns: usize) {
        let Some(client) = self.client.clone() else {
            return tell(&Reply::waited(Err(SIGNED_OUT.to_owned())));
        };
        let (wire, store) = (self.wire.clone(), self.store.clone());
        tokio::spawn(async move {
            tell(&Reply::waited(
                measure::waiters(client, wire, store, calls, turns).await,
            ));
        });
    }
}

/// What the application does for each call: asks the client for its headers, and sends it.
async fn perform(
    client: Arc<Client>,
    wire: Arc<Wire>,
    window: usize,
    body: bytes::Bytes,
) -> Settlement {
    let authorization = match client.authorization().await {
        Ok(authorization) => authorization,
        Err(unauthorized) => {
            if unauthorized.logout {
                tell(&Reply::Logout {
                    logout: true,
                    window,
                });
            }
            return Settlement::error(unauthorized.text);
        }
    };
    match wire.call(authorization, body).await {
        Ok(answer) => answer.settlement(),
        Err(error) => Settlement::error(error),
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
