//! A file in place of the keyring, which several processes share.

use std::path::PathBuf;

use graphql_session::{Vault, VaultError};
use secrecy::{ExposeSecret, SecretString};

/// A file in place of the keyring, replaced by rename.
pub(crate) struct FileVault(PathBuf);

impl FileVault {
    pub(crate) fn in_folder(folder: &std::path::Path) -> Self {
        Self(folder.join("vault"))
    }
}

impl Vault for FileVault {
    fn read(&self, _account: &str) -> Result<Option<SecretString>, VaultError> {
        match std::fs::read_to_string(&self.0) {
            Ok(text) => Ok(Some(text.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(_) => Err(VaultError::Failed),
        }
    }

    fn write(&self, _account: &str, text: &SecretString) -> Result<(), VaultError> {
        let new = self.0.with_extension(format!("{}.new", std::process::id()));
        std::fs::write(&new, text.expose_secret()).map_err(|_| VaultError::Failed)?;
        std::fs::rename(&new, &self.0).map_err(|_| VaultError::Failed)
    }

    fn remove(&self, _account: &str) -> Result<(), VaultError> {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(VaultError::Failed),
            _ => Ok(()),
        }
    }
}
