//! A network that changes on demand.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use graphql_session::{Network, NetworkWatch, OnNetworkChange};

/// A computer's network, which changes when a test says so. Clones are handles on the same one.
#[derive(Clone, Default)]
pub struct ScriptedNetwork {
    watchers: Arc<Mutex<Vec<Weak<OnNetworkChange>>>>,
}

impl ScriptedNetwork {
    /// The network changes: every session that watches it learns that.
    pub fn change(&self) {
        let watching: Vec<_> = self.watchers().iter().filter_map(Weak::upgrade).collect();
        for on_change in watching {
            on_change();
        }
    }

    /// How many sessions watch it.
    pub fn watching(&self) -> usize {
        let watchers = self.watchers();
        let live = watchers.iter().filter(|watcher| watcher.strong_count() > 0);
        live.count()
    }

    fn watchers(&self) -> MutexGuard<'_, Vec<Weak<OnNetworkChange>>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network for ScriptedNetwork {
    fn watch(&self, on_change: OnNetworkChange) -> Option<NetworkWatch> {
        let watcher = Arc::new(on_change);
        self.watchers().push(Arc::downgrade(&watcher));
        Some(Box::new(watcher))
    }
}

impl fmt::Debug for ScriptedNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedNetwork")
            .field("watching", &self.watching())
            .finish()
    }
}
