//! Closed lists that people and programs see: where credentials rest, and why something is as it is.

use serde::{Deserialize, Serialize};

/// Whether credentials rest in the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", content = "reason", rename_all = "snake_case")]
pub enum Storage {
    /// They would survive a restart (or there are none).
    Saved,
    /// They live in memory only, and saving is tried again and again; or nobody is signed in, and the vault could not be
    /// read at the start.
    NotSaved(VaultError),
}

/// Why a vault did not do it. The session survives every one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The keyring is locked. Remedy: the person unlocks it.
    #[error("the keyring is locked")]
    #[serde(rename = "keyring_locked")]
    Locked,
    /// There is no keyring service on this machine. Remedy: install or start one.
    #[error("there is no keyring service")]
    #[serde(rename = "keyring_missing")]
    Missing,
    /// The text is longer than the platform allows (Windows: 2,560 bytes).
    #[error("the record is too long for the keyring")]
    #[serde(rename = "too_long")]
    TooLong,
    /// The keyring did not answer within its limit.
    #[error("the keyring did not answer in time")]
    #[serde(rename = "keyring_slow")]
    Slow,
    /// The entry belongs to the same application with another state folder: a sandboxed and a native installation share the
    /// keyring, and not the lock. It is neither used nor written over. Remedy: use one of them, or sign in here.
    #[error("the keyring's entry belongs to another installation of this application")]
    #[serde(rename = "keyring_other_folder")]
    OtherFolder,
    /// The entry is of a session at another server than the one that the settings name. It is neither used nor written over.
    /// Remedy: sign in here, or correct the setting.
    #[error("the keyring's entry is of a session at another server")]
    #[serde(rename = "keyring_other_server")]
    OtherServer,
    /// The keyring answered with an error; the log has its cause, without the text.
    #[error("the keyring failed")]
    #[serde(rename = "keyring_failed")]
    Failed,
}

impl VaultError {
    /// Its word in causes.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Locked => "keyring_locked",
            Self::Missing => "keyring_missing",
            Self::TooLong => "keyring_record_too_long",
            Self::Slow => "keyring_slow",
            Self::OtherFolder => "keyring_other_folder",
            Self::OtherServer => "keyring_other_server",
            Self::Failed => "keyring_failed",
        }
    }
}

/// Why a stored session cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LockedReason {
    /// The keyring is locked, or did not answer: it may wait behind a prompt.
    KeyringLocked,
    /// There is no keyring service.
    KeyringMissing,
    /// The keyring says "no entry", and the state file says that one was saved. A keyring that was never unlocked says
    /// the same, so this does not mean that nobody is signed in.
    KeyringLockedOrCleared,
    /// The keyring answered with an error, or the entry is damaged.
    KeyringFailed,
    /// The entry belongs to another installation of the application: see [`VaultError::OtherFolder`].
    KeyringOtherFolder,
    /// The entry is of a session at another server: see [`VaultError::OtherServer`].
    KeyringOtherServer,
    /// The keyring shows no entry, and the state folder cannot be read: nobody knows whether a session is stored.
    FilesUnreadable,
}

impl From<VaultError> for LockedReason {
    fn from(error: VaultError) -> Self {
        match error {
            // A locked keyring with its prompt open does not answer in time, either.
            VaultError::Locked | VaultError::Slow => Self::KeyringLocked,
            VaultError::Missing => Self::KeyringMissing,
            VaultError::OtherFolder => Self::KeyringOtherFolder,
            VaultError::OtherServer => Self::KeyringOtherServer,
            VaultError::TooLong | VaultError::Failed => Self::KeyringFailed,
        }
    }
}

/// Why a session is over. There is no other reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndingReason {
    /// The person signed out.
    SignedOut,
    /// The server rejected the refresh token that was still the stored one.
    Rejected,
    /// The server rejected it after an answer was lost: the newer token was in the lost answer.
    LostAnswer,
    /// The application set `end_after`, and attempts failed for that much awake time.
    UnreachableTooLong,
}

/// What does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unreachable {
    /// The server, or the network on the way.
    Server,
    /// Another process of this application: it renews and does not finish, or it has renewed and the keyring does not
    /// show what it stored.
    HeldByOtherProcess,
    /// This computer's state folder: it does not answer, or gives no lock where the settings ask for one.
    StateFolder,
}

/// What an inconclusive attempt did to the refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenFate {
    /// It never left this machine.
    NotSent,
    /// The server answered, and did not exchange it.
    NotUsed,
    /// The server may have exchanged it, and the answer is lost.
    MaybeUsed,
}

/// Why a page was refused a server: what the plugin allows no page, whatever the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerRefusal {
    /// It is another server than so far, and the person has not confirmed it.
    NotConfirmed,
    /// Too many servers, or too many sign-ins, were tried in a minute.
    TooOften,
    /// The address, the e-mail address or the password is longer than any real one.
    TooLong,
}
