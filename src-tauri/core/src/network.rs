//! [`Network`]: tells when the system's network has changed.

use std::any::Any;

/// What is called after a change of the network.
pub type OnNetworkChange = Box<dyn Fn() + Send + Sync>;

/// Dropping it ends the watch that it was made for.
pub type NetworkWatch = Box<dyn Any + Send + Sync>;

/// Tells when the system's network has changed: another Wi-Fi, a cable, a VPN. The session then opens new connections, and
/// tries again where the server could not be reached.
pub trait Network: Send + Sync + 'static {
    /// Calls `on_change` after each change, until what this returns is dropped; `None` where changes cannot be noticed.
    /// `on_change` takes no time.
    fn watch(&self, on_change: OnNetworkChange) -> Option<NetworkWatch>;
}

/// The system's network. Needs the feature `network`, which is on by default; without it nothing is noticed, and an application
/// calls [`Session::network_changed`](crate::Session::network_changed) itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemNetwork;

impl Network for SystemNetwork {
    fn watch(&self, on_change: OnNetworkChange) -> Option<NetworkWatch> {
        #[cfg(feature = "network")]
        return addresses::watch(on_change);
        #[cfg(not(feature = "network"))]
        {
            drop(on_change);
            None
        }
    }
}

/// The network has changed where this computer's addresses have: the system tells of that on Linux, macOS and Windows, and
/// one thread of the process waits for it, which nothing else wakes.
#[cfg(feature = "network")]
mod addresses {
    use std::collections::BTreeSet;
    use std::mem;
    use std::net::IpAddr;
    use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

    use netwatcher::Update;

    use super::{NetworkWatch, OnNetworkChange};

    /// All sessions of a process share one watch.
    static WATCHERS: Mutex<Vec<Weak<OnNetworkChange>>> = Mutex::new(Vec::new());

    /// Whether the process watches. Once started, for as long as it runs: a thread that ends with the last session and starts
    /// with the next one costs more.
    static IS_WATCHING: OnceLock<bool> = OnceLock::new();

    pub(super) fn watch(on_change: OnNetworkChange) -> Option<NetworkWatch> {
        IS_WATCHING.get_or_init(start).then_some(())?;
        let watcher = Arc::new(on_change);
        let mut watchers = watchers();
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(Arc::downgrade(&watcher));
        drop(watchers);
        Some(Box::new(watcher))
    }

    fn start() -> bool {
        let mut known = None;
        let started = netwatcher::watch_interfaces_with_callback(move |update| {
            let now = addresses(&update);
            if known
                .replace(now.clone())
                .is_some_and(|before| before != now)
            {
                tell();
            }
        });
        match started {
            Ok(watch) => {
                mem::forget(watch);
                true
            }
            Err(error) => {
                tracing::warn!(target: "graphql_session", %error, "network_not_watched");
                false
            }
        }
    }

    /// The addresses by which others can be reached. The rest comes and goes with each container and each phone nearby.
    fn addresses(update: &Update) -> BTreeSet<IpAddr> {
        let interfaces = update.interfaces.values();
        let addresses =
            interfaces.flat_map(|interface| interface.ips.iter().map(|record| record.ip));
        addresses
            .filter(|address| leads_elsewhere(*address))
            .collect()
    }

    fn leads_elsewhere(address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
            IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
        }
    }

    fn tell() {
        // Called without the list's lock: what an application does there may open a session.
        let watching: Vec<_> = watchers().iter().filter_map(Weak::upgrade).collect();
        for on_change in watching {
            on_change();
        }
    }

    fn watchers() -> MutexGuard<'static, Vec<Weak<OnNetworkChange>>> {
        WATCHERS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn addresses_of_this_computer_alone_are_no_network() {
            for (address, counts) in [
                ("127.0.0.1", false),
                ("169.254.3.4", false),
                ("::1", false),
                ("fe80::1", false),
                ("192.168.1.5", true),
                ("10.8.0.2", true),
                ("2001:db8::1", true),
                ("fd00::1", true),
            ] {
                let address = address.parse().expect("an address");
                assert_eq!(leads_elsewhere(address), counts, "{address}");
            }
        }
    }
}
