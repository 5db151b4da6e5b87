//! Where credentials rest: the [`Vault`] trait, the OS keyring, and plain memory.
//!
//! A vault is blocking and may block for minutes (a locked keyring with a prompt open). The session therefore never
//! calls one itself: one dedicated thread does (`vault/thread.rs`), and everything else waits for it with a limit.

use std::collections::HashMap;
use std::sync::Mutex;

use secrecy::{ExposeSecret, SecretString};

mod keyring;
mod thread;

use graphql_session_renewal::VaultError;
pub use keyring::Keyring;
pub(crate) use thread::VaultThread;

/// A place for one secret text per account. Adopters can bring their own.
///
/// Called from one dedicated thread per session; calls may block.
pub trait Vault: Send + Sync + 'static {
    /// The stored text, or `None` where nothing is stored. An error is never "no entry".
    ///
    /// # Errors
    /// Any [`VaultError`]; none of them says anything about whether a session exists.
    fn read(&self, account: &str) -> Result<Option<SecretString>, VaultError>;

    /// Stores `text`, replacing what was there.
    ///
    /// # Errors
    /// Any [`VaultError`]; the old text is then still there.
    fn write(&self, account: &str, text: &SecretString) -> Result<(), VaultError>;

    /// Removes the entry; no entry is success.
    ///
    /// # Errors
    /// Any [`VaultError`]; the entry is then still there.
    fn remove(&self, account: &str) -> Result<(), VaultError>;
}

/// Memory only: for tests, and for applications that must not leave anything behind.
#[derive(Default)]
pub struct MemoryVault {
    entries: Mutex<HashMap<String, SecretString>>,
}

impl MemoryVault {
    /// An empty vault.
    pub fn new() -> Self {
        Self::default()
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<String, SecretString>> {
        // A panic between two steps cannot leave a map half written: every step is one call.
        self.entries
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Vault for MemoryVault {
    fn read(&self, account: &str) -> Result<Option<SecretString>, VaultError> {
        Ok(self.entries().get(account).cloned())
    }

    fn write(&self, account: &str, text: &SecretString) -> Result<(), VaultError> {
        let text = SecretString::from(text.expose_secret());
        self.entries().insert(account.to_owned(), text);
        Ok(())
    }

    fn remove(&self, account: &str) -> Result<(), VaultError> {
        self.entries().remove(account);
        Ok(())
    }
}

impl std::fmt::Debug for MemoryVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryVault").finish_non_exhaustive()
    }
}
