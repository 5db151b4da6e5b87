//! A bounded list of what happened to the session, without secrets, and the same as `tracing` events.
//!
//! Small entries say what happened step by step. When a round of renewal is over, one entry `renewal` says all of it:
//! its facts are those of [`Renewal`]. Every entry is also an event of level `INFO` with the target `graphql_session`,
//! whose fields `what` and `facts` (as JSON) say the same.

use std::collections::VecDeque;
use std::sync::Mutex;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::renewal::{Exchange, Why};
use crate::status::EndingReason;
use crate::vault::VaultError;

mod round;

pub use round::{Attempt, Outcome, Reason, Renewal, Saved};

pub(crate) use round::Circumstances;
use round::Round;

/// Entries kept. A renewal makes about six, so this covers a working day of 30 min tokens many times over.
const CAPACITY: usize = 1_000;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// When; milliseconds since 1970 on the wire.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub at: Timestamp,
    /// What, from a closed list of words: those of [`Note`], and `renewal`.
    pub what: &'static str,
    /// Numbers and words about it, of a `renewal` those of [`Renewal`]; never text that came from outside.
    pub facts: Map<String, Value>,
}

/// What can happen to a session. The decisions write these; the shell adds what it alone knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each word is its own documentation; the facts are numbers and words
pub enum Note {
    Opened,
    SignedIn,
    SignedOut,
    AttemptSent {
        why: Why,
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
    fn what(&self) -> &'static str {
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

    fn facts(&self) -> Value {
        match *self {
            Self::Opened
            | Self::SignedIn
            | Self::SignedOut
            | Self::Adopted
            | Self::Saved
            | Self::EntryLost => json!({}),
            Self::AttemptSent {
                why,
                attempt,
                generation,
                waiters,
            } => json!({
                "why": why, "attempt": attempt, "generation": generation, "waiters": waiters,
            }),
            Self::Answered { exchange, took } => match exchange {
                Exchange::Renewed(stamp) => {
                    json!({ "verdict": "renewed", "ms": took, "generation": stamp.generation })
                }
                Exchange::Rejected { ambiguous } => {
                    json!({ "verdict": "rejected", "ms": took, "ambiguous": ambiguous })
                }
                Exchange::Inconclusive { token, retry_after } => match retry_after {
                    Some(pause) => json!({
                        "verdict": "inconclusive", "ms": took, "token": token, "retryAfterMs": pause,
                    }),
                    None => json!({ "verdict": "inconclusive", "ms": took, "token": token }),
                },
            },
            Self::Renewed {
                generation,
                waiters,
            } => json!({ "generation": generation, "waiters": waiters }),
            Self::SaveFailed(error) => json!({ "cause": error.to_string() }),
            Self::Removed(done) | Self::Revoked(done) => json!({ "done": done }),
            Self::WaitersTold { waiters } => json!({ "waiters": waiters }),
            Self::Ended(reason) => json!({ "reason": reason }),
            Self::LockWaited { ms } => json!({ "ms": ms }),
        }
    }
}

/// The list, oldest first; the oldest are dropped beyond [`CAPACITY`].
#[derive(Debug, Default)]
pub(crate) struct Journal {
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    entries: VecDeque<Entry>,
    round: Round,
}

impl Journal {
    /// Notes what was decided, or what the shell alone knows; with it a renewal's record, where it ends a round.
    pub(crate) fn note(&self, at: Timestamp, note: &Note, around: &Circumstances) {
        self.push(at, note.what(), &note.facts());
        let renewal = self.lock().round.take(note, around);
        if let Some(renewal) = renewal {
            self.push(at, "renewal", &json!(renewal));
        }
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.lock().entries.iter().cloned().collect()
    }

    /// To both readers: the list, and whoever listens to `tracing`.
    fn push(&self, at: Timestamp, what: &'static str, facts: &Value) {
        tracing::info!(target: "graphql_session", what, %facts, "session");
        let facts = facts.as_object().cloned().unwrap_or_default();
        let entries = &mut self.lock().entries;
        if entries.len() == CAPACITY {
            entries.pop_front();
        }
        entries.push_back(Entry { at, what, facts });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.inside
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
