//! The Secret Service of the Linux desktops, on a connection that is closed when its service goes away.
//!
//! A locked keyring opens a prompt, and `secret-service` then waits for the signal that it is done: without a limit,
//! because people take their time. When the service dies meanwhile, nobody sends that signal, and the wait would never
//! end. So the bus is asked, before the first call, to tell when the service's name loses its owner, and the
//! connection is closed then. That fails whatever waits on it, and it makes sure that nothing that began at the old
//! service goes on at the next one: a removal whose wait were only abandoned would still remove, once the next
//! service says "done" of another prompt that happens to have the same path.
//!
//! The keyring project's own store does not give its connection away. This one finds and writes the same entries.

use std::any::Any;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use keyring_core::api::{Credential, CredentialApi, CredentialStoreApi};
use keyring_core::{CredentialStore, Entry, Error as StoreError};
use secret_service::blocking::{Item, SecretService};
use secret_service::{EncryptionType, Error};
use tokio::sync::oneshot;
use zbus::blocking::Connection;
use zbus::blocking::fdo::DBusProxy;
use zbus::fdo::NameOwnerChanged;
use zeroize::Zeroizing;

use crate::credentials::Credentials;

/// The service's name on the bus.
const SERVICE: &str = "org.freedesktop.secrets";

/// What a secret is, to other programs.
const CONTENT_TYPE: &str = "application/octet-stream";

/// Opens a session with the keyring service.
pub(super) fn open() -> Result<Arc<CredentialStore>, StoreError> {
    let connection = WatchedConnection::open()?;
    let secrets = SecretService::connect_with_existing(EncryptionType::Dh, connection.bus.clone())
        .map_err(store_error)?;
    Ok(Arc::new(Store(Arc::new(Opened {
        secrets,
        _connection: connection,
    }))))
}

/// A connection to the session bus that is closed when the service goes away, or when this is dropped.
struct WatchedConnection {
    bus: Connection,
    _in_use: oneshot::Sender<()>,
}

impl WatchedConnection {
    fn open() -> Result<Self, StoreError> {
        let bus = Connection::session().map_err(platform_failure)?;
        // The connection's own thread ends with its last task, and only there is tidied up what a broken wait leaves
        // behind: without this task the socket of a closed connection would stay open.
        let (in_use, dropped) = oneshot::channel();
        let until_dropped = async move { drop(dropped.await) };
        let executor = bus.inner().executor();
        executor.spawn(until_dropped, "keyring in use").detach();
        let connection = Self {
            bus: bus.clone(),
            _in_use: in_use,
        };

        let mut changes = DBusProxy::new(&bus)
            .and_then(|names| names.receive_name_owner_changed_with_args(&[(0, SERVICE)]))
            .map_err(platform_failure)?;
        // It ends with the connection: there is one for each open store.
        std::thread::Builder::new()
            .name("keyring-watch".into())
            .spawn(move || {
                let is_loss = |change: NameOwnerChanged| {
                    change.args().is_ok_and(|args| args.old_owner.is_some())
                };
                if changes.any(is_loss) {
                    tracing::debug!(target: "graphql_session", "keyring service has gone");
                    let _ = bus.close();
                }
            })
            .map_err(platform_failure)?;
        Ok(connection)
    }
}

impl Drop for WatchedConnection {
    fn drop(&mut self) {
        let _ = self.bus.clone().close();
    }
}

struct Opened {
    /// Dropped before its connection.
    secrets: SecretService<'static>,
    _connection: WatchedConnection,
}

struct Store(Arc<Opened>);

impl CredentialStoreApi for Store {
    fn vendor(&self) -> String {
        env!("CARGO_PKG_NAME").into()
    }

    fn id(&self) -> String {
        SERVICE.into()
    }

    fn build(
        &self,
        application: &str,
        account: &str,
        _: Option<&HashMap<&str, &str>>,
    ) -> Result<Entry, StoreError> {
        Ok(Entry::new_with_credential(Arc::new(StoredItem {
            store: self.0.clone(),
            application: application.into(),
            account: account.into(),
        })))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The item of an application and an account, whether or not it is there. There may be several: an import or an old copy has
/// the same attributes, in this collection or another. The newest credentials among them count, and the next write leaves
/// one item.
struct StoredItem {
    store: Arc<Opened>,
    application: String,
    account: String,
}

impl StoredItem {
    fn attributes(&self) -> HashMap<&str, &str> {
        HashMap::from([
            ("service", self.application.as_str()),
            ("username", self.account.as_str()),
        ])
    }

    /// Finds all of them, the last modified first, and unlocks them, which may wait for the person. Never none.
    fn find(&self) -> Result<Vec<Item<'_>>, StoreError> {
        let secrets = &self.store.secrets;
        let found = secrets
            .search_items(self.attributes())
            .map_err(store_error)?;
        if !found.locked.is_empty() {
            let locked: Vec<_> = found.locked.iter().collect();
            secrets.unlock_all(&locked).map_err(store_error)?;
        }
        let items = found.unlocked.into_iter().chain(found.locked);
        let mut items: Vec<_> = items.collect();
        if items.is_empty() {
            return Err(StoreError::NoEntry);
        }
        if items.len() > 1 {
            items.sort_by_cached_key(|item| Reverse(item.get_modified().unwrap_or(0)));
        }
        Ok(items)
    }

    /// Makes it, in the collection that the person has chosen for this.
    fn create(&self, secret: &[u8]) -> Result<(), Error> {
        let collection = self.store.secrets.get_default_collection()?;
        if collection.is_locked()? {
            collection.unlock()?;
        }
        let label = format!("keyring:{}@{}", self.account, self.application);
        collection.create_item(&label, self.attributes(), secret, true, CONTENT_TYPE)?;
        Ok(())
    }
}

impl CredentialApi for StoredItem {
    fn set_secret(&self, secret: &[u8]) -> Result<(), StoreError> {
        match self.find() {
            Ok(items) => {
                let (kept, others) = items.split_first().ok_or(StoreError::NoEntry)?;
                kept.set_secret(secret, CONTENT_TYPE).map_err(store_error)?;
                delete_all(others)
            }
            Err(StoreError::NoEntry) => self.create(secret).map_err(store_error),
            Err(error) => Err(error),
        }
    }

    fn get_secret(&self) -> Result<Vec<u8>, StoreError> {
        let items = self.find()?;
        let secrets = items
            .iter()
            .map(|item| item.get_secret().map(Zeroizing::new));
        // An empty one was written by nobody here.
        let is_written = |secret: &Result<Zeroizing<Vec<u8>>, _>| !matches!(secret, Ok(secret) if secret.is_empty());
        let mut secrets: Vec<_> = secrets.filter(is_written).collect();
        // The time of an item's last change says little: an old copy that was imported today is the last modified. What
        // cannot be read counts only where nothing can, and the last modified first.
        secrets.sort_by_cached_key(|secret| {
            let secret = secret.as_ref().ok();
            Reverse(secret.and_then(|secret| Credentials::recency(secret)))
        });
        let newest = secrets.into_iter().next().ok_or(StoreError::NoEntry)?;
        newest
            .map(|mut secret| std::mem::take(&mut *secret))
            .map_err(store_error)
    }

    fn delete_credential(&self) -> Result<(), StoreError> {
        delete_all(&self.find()?)
    }

    fn get_credential(&self) -> Result<Option<Arc<Credential>>, StoreError> {
        self.find().map(|_| None)
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        Some((self.application.clone(), self.account.clone()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn delete_all(items: &[Item<'_>]) -> Result<(), StoreError> {
    items
        .iter()
        .try_for_each(|item| item.delete().map_err(store_error))
}

fn store_error(error: Error) -> StoreError {
    match error {
        Error::Locked | Error::NoResult | Error::Prompt => {
            StoreError::NoStorageAccess(Box::new(error))
        }
        _ => platform_failure(error),
    }
}

fn platform_failure(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::PlatformFailure(Box::new(error))
}
