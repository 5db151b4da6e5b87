//! The OS keyring: Secret Service on Linux, the keychain on macOS, the credential manager on Windows.

#[cfg(target_os = "linux")]
mod linux;

use std::sync::{Arc, Mutex, PoisonError};

use graphql_session_renewal::VaultError;
use keyring_core::{CredentialStore, Entry, Error as StoreError};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::Vault;

/// Longest secret of the Windows credential manager, in bytes: `CRED_MAX_CREDENTIAL_BLOB_SIZE` in `wincred.h`.
const WINDOWS_LONGEST: usize = 5 * 512;

/// The OS keyring, one entry per account under the application's name.
///
/// Its store is opened on first use, and opened anew after the service has gone away: a restarted Secret Service knows
/// none of its old sessions.
pub struct Keyring {
    service: String,
    store: Mutex<Option<Arc<CredentialStore>>>,
}

impl Keyring {
    /// A keyring whose entries belong to `service`, the name that the person sees in the keyring's own program.
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            store: Mutex::new(None),
        }
    }

    /// Runs `action` on the account's entry. A store that fails is dropped and opened once more: its service may have
    /// been restarted.
    fn with_entry<T>(
        &self,
        account: &str,
        action: impl Fn(&Entry) -> Result<T, StoreError>,
    ) -> Result<T, VaultError> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let had_store = store.is_some();
        match self.attempt(&mut store, account, &action) {
            Err(Failure::Store(error)) if had_store && is_worth_a_new_store(&error) => {
                *store = None;
                self.attempt(&mut store, account, &action)
            }
            first => first,
        }
        .map_err(|failure| match failure {
            Failure::Open(error) => {
                tracing::debug!(target: "graphql_session", cause = kind(&error), "keyring store did not open");
                match error {
                    StoreError::NoStorageAccess(_) => VaultError::Locked,
                    _ => VaultError::Missing,
                }
            }
            Failure::Store(error) => vault_error(&error),
        })
    }

    fn attempt<T>(
        &self,
        store: &mut Option<Arc<CredentialStore>>,
        account: &str,
        action: &impl Fn(&Entry) -> Result<T, StoreError>,
    ) -> Result<T, Failure> {
        let opened = match store {
            Some(store) => store.clone(),
            None => store.insert(open_store().map_err(Failure::Open)?).clone(),
        };
        let entry = opened
            .build(&self.service, account, None)
            .map_err(Failure::Store)?;
        action(&entry).map_err(Failure::Store)
    }
}

enum Failure {
    Open(StoreError),
    Store(StoreError),
}

impl Vault for Keyring {
    fn read(&self, account: &str) -> Result<Option<SecretString>, VaultError> {
        self.with_entry(account, |entry| match entry.get_secret() {
            Ok(bytes) => {
                let bytes = Zeroizing::new(bytes);
                // An entry that is not text was not written by us; as text it reads as damaged.
                Ok(Some(SecretString::from(&*String::from_utf8_lossy(&bytes))))
            }
            Err(StoreError::NoEntry) => Ok(None),
            Err(error) => Err(error),
        })
    }

    fn write(&self, account: &str, text: &SecretString) -> Result<(), VaultError> {
        self.with_entry(account, |entry| {
            entry.set_secret(text.expose_secret().as_bytes())
        })
    }

    fn remove(&self, account: &str) -> Result<(), VaultError> {
        self.with_entry(account, |entry| match entry.delete_credential() {
            Ok(()) | Err(StoreError::NoEntry) => Ok(()),
            Err(error) => Err(error),
        })
    }

    fn longest(&self) -> Option<usize> {
        cfg!(windows).then_some(WINDOWS_LONGEST)
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

#[cfg(target_os = "linux")]
fn open_store() -> Result<Arc<CredentialStore>, StoreError> {
    linux::open()
}

#[cfg(target_os = "macos")]
fn open_store() -> Result<Arc<CredentialStore>, StoreError> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(windows)]
fn open_store() -> Result<Arc<CredentialStore>, StoreError> {
    Ok(windows_native_keyring_store::Store::new()?)
}

fn is_worth_a_new_store(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::PlatformFailure(_) | StoreError::BadStoreFormat(_)
    )
}

fn vault_error(error: &StoreError) -> VaultError {
    // The error's own text can quote the entry; only its kind is logged.
    tracing::debug!(target: "graphql_session", cause = kind(error), "keyring call failed");
    match error {
        StoreError::NoStorageAccess(_) => VaultError::Locked,
        StoreError::TooLong(..) => VaultError::TooLong,
        StoreError::PlatformFailure(cause) if says_no_service(&**cause) => VaultError::Missing,
        _ => VaultError::Failed,
    }
}

/// The Secret Service store reports a bus without a keyring service as a platform failure with D-Bus' own words.
fn says_no_service(cause: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(cause);
    while let Some(current) = cause {
        let text = current.to_string();
        if text.contains("ServiceUnknown") || text.contains("not provided by any .service") {
            return true;
        }
        cause = current.source();
    }
    false
}

fn kind(error: &StoreError) -> &'static str {
    match error {
        StoreError::PlatformFailure(_) => "platform failure",
        StoreError::NoStorageAccess(_) => "no storage access",
        StoreError::NoEntry => "no entry",
        StoreError::BadEncoding(_) => "bad encoding",
        StoreError::BadDataFormat(..) => "bad data format",
        StoreError::BadStoreFormat(_) => "bad store format",
        StoreError::TooLong(..) => "too long",
        _ => "other",
    }
}
