//! Where credentials rest: the [`Vault`] trait, the OS keyring, and plain memory.
//!
//! A vault is blocking and may block for minutes (a locked keyring with a prompt open). The session therefore never
//! calls one itself: one dedicated thread does (`vault/thread.rs`), and everything else waits for it with a limit.

use std::collections::HashMap;
use std::sync::Mutex;

use secrecy::{ExposeSecret, SecretString};

#[cfg(feature = "keyring")]
mod keyring;
mod thread;

use graphql_session_renewal::VaultError;
#[cfg(feature = "keyring")]
pub use keyring::Keyring;
pub(crate) use thread::VaultThread;

/// A place for one secret text per account. An application can bring its own, as [`Config::vault`](crate::Config::vault).
///
/// Called from one dedicated thread per session; calls may block. A vault that keeps its entries in memory:
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::{Arc, Mutex};
///
/// use graphql_session::{Config, Vault, VaultError};
/// use secrecy::{ExposeSecret, SecretString};
///
/// #[derive(Default)]
/// struct InMemory(Mutex<HashMap<String, SecretString>>);
///
/// impl Vault for InMemory {
///     fn read(&self, account: &str) -> Result<Option<SecretString>, VaultError> {
///         // A failure is an error, never `None`: that would be "nobody is signed in".
///         let entries = self.0.lock().map_err(|_| VaultError::Failed)?;
///         Ok(entries.get(account).cloned())
///     }
///
///     fn write(&self, account: &str, text: &SecretString) -> Result<(), VaultError> {
///         let mut entries = self.0.lock().map_err(|_| VaultError::Failed)?;
///         entries.insert(account.to_owned(), text.clone());
///         Ok(())
///     }
///
///     fn remove(&self, account: &str) -> Result<(), VaultError> {
///         let mut entries = self.0.lock().map_err(|_| VaultError::Failed)?;
///         entries.remove(account);
///         Ok(())
///     }
/// }
///
/// let vault = InMemory::default();
/// assert!(vault.read("default")?.is_none());
/// vault.write("default", &SecretString::from("credentials"))?;
/// assert_eq!(vault.read("default")?.expect("written").expose_secret(), "credentials");
/// vault.remove("default")?;
/// vault.remove("default")?; // no entry is success
///
/// let mut config = Config::new("my-app", std::env::temp_dir());
/// config.vault = Arc::new(vault);
/// # Ok::<(), VaultError>(())
/// ```
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

    /// Longest text that can be stored, in bytes. A longer record goes without its access token, which the next start renews.
    /// Default: none.
    fn longest(&self) -> Option<usize> {
        None
    }
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
