//! What is worth noting: the words of the journal.

use super::{EndingReason, Exchange, RenewalReason, VaultError};

/// What can happen to a session. The decisions write these; the shell adds what it alone knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each word is its own documentation; the facts are numbers and words
pub enum Note {
    Opened,
    SignedIn,
    SignedOut,
    AttemptSent {
        why: RenewalReason,
        attempt: u32,
        generation: u64,
        waiters: usize,
    },
    Answered {
        exchange: Exchange,
        took: u64,
    },
    Renewed {
        generation: u64,
        waiters: usize,
    },
    Adopted,
    Saved,
    SaveFailed(VaultError),
    EntryLost,
    Removed(bool),
    WaitersTold {
        waiters: usize,
    },
    Ended(EndingReason),
    Revoked(bool),
    LockWaited {
        ms: u64,
    },
}

impl Note {
    /// Its word in the journal.
    pub fn what(&self) -> &'static str {
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
            Self::Ended(_) => "ended",
            Self::Revoked(_) => "revoked",
            Self::LockWaited { .. } => "lock_waited",
        }
    }
}
