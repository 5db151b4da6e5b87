//! [`Note`]: what a decision writes into the journal.

use crate::cause::Cause;
use crate::event::{Exchange, RenewalReason};
use crate::reasons::{EndingReason, ServerRefusal, VaultError};

/// What can happen to a session. The decisions write these; the driver adds what it alone knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// The stored session was read at the start.
    Opened,
    /// The person signed in, and calls use the new credentials.
    SignedIn,
    /// The person signed out, or in anew.
    SignedOut,
    /// An exchange was sent.
    AttemptSent {
        /// What asked for the renewal.
        reason: RenewalReason,
        /// Its number since the last success, from 1.
        attempt: u32,
        /// The generation that is to be renewed.
        generation: u64,
        /// Calls that wait.
        waiters: usize,
    },
    /// An exchange ended.
    Answered {
        /// What it proved.
        exchange: Exchange,
        /// From sending to the verdict, in ms.
        took: u64,
    },
    /// Calls use the new credentials.
    Renewed {
        /// Their generation.
        generation: u64,
        /// Calls that waited.
        waiters: usize,
    },
    /// Another process had renewed, and its credentials were taken over.
    Adopted,
    /// Credentials were stored.
    Saved,
    /// Credentials, or the mark of an attempt, could not be stored.
    SaveFailed(VaultError),
    /// The keyring has lost the entry.
    EntryLost,
    /// The entry of a session that is over was removed, or could not be.
    Removed(bool),
    /// Waiters were woken with a failure.
    WaitersTold {
        /// How many.
        waiters: usize,
        /// Why.
        cause: Option<Cause>,
    },
    /// The session ended.
    Ended(EndingReason, Cause),
    /// The server was asked to revoke credentials, and did or did not.
    Revoked(bool),
    /// The lock was waited for.
    LockWaited {
        /// How long, in ms.
        ms: u64,
    },
    /// The lock could not be taken.
    LockNotTaken(Cause),
    /// The state file or the ended list could not be written. It is written later.
    FileNotWritten(Cause),
    /// An address was checked.
    ServerChecked {
        /// Whether it is another server than the session's.
        other: bool,
    },
    /// An e-mail address and a password were sent.
    SignInSent {
        /// Whether to another server than the session's.
        other: bool,
    },
    /// A page wanted to check an address, or to sign in there, and was refused.
    ServerRefused(ServerRefusal),
}

impl Note {
    /// Its word in the journal.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::SignedIn => "signed_in",
            Self::SignedOut => "signed_out",
            Self::AttemptSent { .. } => "attempt_sent",
            Self::Answered { .. } => "answered",
            Self::Renewed { .. } => "renewed",
            Self::Adopted => "adopted",
            Self::Saved => "saved",
            Self::SaveFailed(_) => "save_failed",
            Self::EntryLost => "entry_lost",
            Self::Removed(_) => "removed",
            Self::WaitersTold { .. } => "waiters_told",
            Self::Ended(..) => "ended",
            Self::Revoked(_) => "revoked",
            Self::LockWaited { .. } => "lock_waited",
            Self::LockNotTaken(_) => "lock_not_taken",
            Self::FileNotWritten(_) => "file_not_written",
            Self::ServerChecked { .. } => "server_checked",
            Self::SignInSent { .. } => "sign_in_sent",
            Self::ServerRefused(_) => "server_refused",
        }
    }
}
