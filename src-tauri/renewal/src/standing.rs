//! Where a session stands, where its credentials rest, and why: the closed lists that people and programs see.

use serde::{Deserialize, Serialize};

/// Whether the credentials rest in the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", content = "reason", rename_all = "snake_case")]
pub enum Storage {
    /// They would survive a restart (or there are none).
    Saved,
    /// They live in memory only; saving is tried again and again.
    NotSaved(NotSaved),
}

/// RenewalReason credentials could not be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotSaved {
    /// The keyring is locked. Remedy: unlock it.
    KeyringLocked,
    /// There is no keyring service. Remedy: install or start one.
    KeyringMissing,
    /// The keyring did not answer within its limit.
    KeyringSlow,
    /// The keyring answered with an error.
    KeyringFailed,
    /// The record is longer than the platform allows (Windows: 2560 bytes).
    TooLong,
}

/// RenewalReason a stored session cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockedReason {
    /// The keyring is locked, or did not answer (it may wait behind a prompt).
    KeyringLocked,
    /// There is no keyring service.
    KeyringMissing,
    /// The keyring says "no entry" while the state file says one was saved: a keyring that was never unlocked says
    /// the same, so this is not taken for signed out.
    KeyringLockedOrCleared,
    /// The keyring answered with an error, or the entry is damaged.
    KeyringFailed,
}

/// RenewalReason a session is over. There is no other reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndingReason {
    /// The person signed out.
    SignedOut,
    /// The server rejected the refresh token that was still the stored one.
    Rejected,
    /// The server rejected it after an answer had been lost: the lost answer held the newer one.
    LostAnswer,
    /// A person set `end_after`, and that much awake time passed with failed attempts.
    UnreachableTooLong,
}

/// Who is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreachable {
    /// The server, or the network on the way.
    Server,
    /// Another process of this application renews, and does not finish; or it has renewed, and the keyring does not
    /// show what it stored.
    HeldByOtherProcess,
}

/// RenewalReason a vault did not do it. The session survives every one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum VaultError {
    /// The keyring is locked; the person can unlock it.
    #[error("the keyring is locked")]
    Locked,
    /// There is no keyring service on this machine.
    #[error("there is no keyring service")]
    Missing,
    /// The text is longer than the platform allows.
    #[error("the record is too long for the keyring")]
    TooLong,
    /// The vault did not answer within its limit. Only the keeper says this.
    #[error("the keyring did not answer in time")]
    Slow,
    /// Anything else; the cause is in the log, without the text.
    #[error("the keyring failed")]
    Failed,
}

/// What an inconclusive attempt did to the refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenFate {
    /// It never left this machine.
    NotSent,
    /// The server answered, and did not exchange it.
    NotUsed,
    /// The server may have exchanged it, and the answer is lost.
    MaybeUsed,
}
