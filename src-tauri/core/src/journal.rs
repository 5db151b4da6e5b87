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

use graphql_session_renewal::Exchange;

mod round;

pub use round::{Attempt, Outcome, Reason, Renewal, Saved};

pub use graphql_session_renewal::Note;
pub(crate) use round::NoteContext;
use round::RenewalRecorder;

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

/// The list, oldest first; the oldest are dropped beyond [`CAPACITY`].
#[derive(Debug, Default)]
pub(crate) struct Journal {
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    entries: VecDeque<Entry>,
    round: RenewalRecorder,
}

impl Journal {
    /// Notes what was decided, or what the shell alone knows; with it a renewal's record, where it ends a round.
    pub(crate) fn note(&self, at: Timestamp, note: &Note, around: &NoteContext) {
        self.push(at, note.what(), &facts(note));
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

/// The numbers and words of a note.
fn facts(note: &Note) -> Value {
    match *note {
        Note::Opened
        | Note::SignedIn
        | Note::SignedOut
        | Note::Adopted
        | Note::Saved
        | Note::EntryLost => json!({}),
        Note::AttemptSent {
            why,
            attempt,
            generation,
            waiters,
        } => json!({
            "why": why, "attempt": attempt, "generation": generation, "waiters": waiters,
        }),
        Note::Answered { exchange, took } => match exchange {
            Exchange::Renewed(info) => {
                json!({ "verdict": "renewed", "ms": took, "generation": info.generation })
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
        Note::Renewed {
            generation,
            waiters,
        } => json!({ "generation": generation, "waiters": waiters }),
        Note::SaveFailed(error) => json!({ "cause": error.to_string() }),
        Note::Removed(done) | Note::Revoked(done) => json!({ "done": done }),
        Note::WaitersTold { waiters } => json!({ "waiters": waiters }),
        Note::Ended(reason) => json!({ "reason": reason }),
        Note::LockWaited { ms } => json!({ "ms": ms }),
    }
}
