//! [`Step`]: what the renewal is doing.

use crate::cause::Cause;
use crate::ids::CredentialsInfo;
use crate::time::Awake;

/// What the renewal is doing. While it is neither `Idle`, `Pausing` nor `KeepingLock`, exactly one action is under way,
/// and the event that reports it moves the step on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Nothing.
    Idle,
    /// Waiting for the account's lock.
    Locking,
    /// Reading the state file, the ended list and the vault.
    Rereading,
    /// Writing `renewing` into the vault's record.
    Marking,
    /// An exchange is on the wire.
    Exchanging {
        /// What is being exchanged.
        from: CredentialsInfo,
        /// When it was sent.
        sent_at: Awake,
        /// Its number since the last success, from 1.
        attempt: u32,
    },
    /// Writing credentials: new ones, or the held ones again.
    Saving {
        /// Which.
        received: CredentialsInfo,
        /// Tries before this one.
        tries: u32,
    },
    /// Rejected: reading once more before the rejection counts.
    Confirming {
        /// The server gives the same answer by mistake, too.
        ambiguous: bool,
        /// The words of the rejection.
        cause: Cause,
    },
    /// Waiting for the next attempt.
    Pausing {
        /// When it is due.
        due: Awake,
        /// Nothing but time ends this pause: the server asked for it, or a rejection is to be asked for again.
        fixed: bool,
    },
    /// The held credentials could not be saved. The lock is kept, because nobody else may exchange the stored, spent token.
    KeepingLock {
        /// When to save again.
        due: Awake,
        /// Tries so far.
        tries: u32,
    },
    /// Removing the entry of a session that is over.
    Removing,
}
