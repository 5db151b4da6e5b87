//! A bounded list of what happened to the session, without secrets, and the same as `tracing` events.
//!
//! Small entries say what happened step by step. When a renewal is over, one entry `renewal` says all of it: its facts are
//! those of [`Renewal`]. Every entry is also an event of level `INFO` with the target `graphql_session`: its message is the
//! entry's word, its fields are `account`, `generation`, `cause` and `ms` where they apply, and `facts` (as JSON).

use std::collections::VecDeque;
use std::sync::Mutex;

use graphql_session_renewal::{Cause, Exchange, Note};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

mod renewal;

pub(crate) use renewal::NoteContext;
use renewal::RenewalRecorder;
pub use renewal::{Attempt, Outcome, Reason, Renewal, Saved};

/// Entries kept. A renewal makes about six, so this covers a working day of 30 min tokens many times over.
const CAPACITY: usize = 1_000;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// When; milliseconds since 1970 on the wire.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub at: Timestamp,
    /// What, from a closed list of words: `opened`, `signed_in`, `signed_out`, `attempt_sent`, `answered`, `renewed`, `adopted`,
    /// `saved`, `save_failed`, `entry_lost`, `removed`, `waiters_told`, `ended`, `revoked`, `lock_waited`, `lock_not_taken`,
    /// `file_not_written`, `server_checked`, `sign_in_sent`, `server_refused`, `renewal`.
    pub what: &'static str,
    /// Numbers and words about it, of a `renewal` those of [`Renewal`]; never text that came from outside.
    pub facts: Map<String, Value>,
}

/// The list, oldest first; the oldest are dropped beyond [`CAPACITY`].
#[derive(Debug)]
pub(crate) struct Journal {
    account: String,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    entries: VecDeque<Entry>,
    renewal: RenewalRecorder,
}

impl Journal {
    pub(crate) fn new(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            inside: Mutex::default(),
        }
    }

    /// Notes what was decided, or what the driver alone knows; with it a renewal's record, where it ends one.
    pub(crate) fn note(&self, at: Timestamp, note: &Note, context: &NoteContext) {
        let held = context.to.or(context.from);
        self.push(at, note.word(), facts(note), held);
        let renewal = self.lock().renewal.take(note, context);
        if let Some(renewal) = renewal {
            self.push(at, "renewal", json!(renewal), held);
        }
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.lock().entries.iter().cloned().collect()
    }

    /// Into the list, and out as a `tracing` event.
    fn push(&self, at: Timestamp, what: &'static str, facts: Value, held: Option<u64>) {
        let Value::Object(facts) = facts else {
            unreachable!("facts are an object")
        };
        let number = |key| facts.get(key).and_then(Value::as_u64);
        let generation = number("generation").or_else(|| number("to")).or(held);
        let cause = facts.get("cause").and_then(Value::as_str);
        tracing::info!(
            target: "graphql_session",
            account = self.account,
            generation,
            cause,
            ms = number("ms"),
            facts = %json!(facts),
            "{what}",
        );
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
        Note::AttemptSent {
            reason,
            attempt,
            generation,
            waiters,
        } => json!({
            "why": reason, "attempt": attempt, "generation": generation, "waiters": waiters,
        }),
        Note::Answered { exchange, took } => answered(exchange, took),
        Note::Renewed {
            generation,
            waiters,
        } => json!({ "generation": generation, "waiters": waiters }),
        Note::SaveFailed(error) => because(json!({}), Some(Cause::Vault(error))),
        Note::Removed(done) | Note::Revoked(done) => json!({ "done": done }),
        Note::WaitersTold { waiters, cause } => because(json!({ "waiters": waiters }), cause),
        Note::Ended(reason, cause) => because(json!({ "reason": reason }), Some(cause)),
        Note::LockWaited { ms } => json!({ "ms": ms }),
        Note::LockNotTaken(cause) | Note::FileNotWritten(cause) => because(json!({}), Some(cause)),
        Note::ServerChecked { other } | Note::SignInSent { other } => json!({ "other": other }),
        Note::ServerRefused(reason) => json!({ "reason": reason }),
        Note::Opened
        | Note::SignedIn
        | Note::SignedOut
        | Note::Adopted
        | Note::Saved
        | Note::EntryLost => json!({}),
    }
}

fn answered(exchange: Exchange, took: u64) -> Value {
    let facts = match exchange {
        Exchange::Renewed(info, _) => {
            json!({ "verdict": "renewed", "ms": took, "generation": info.generation })
        }
        Exchange::Rejected { ambiguous, .. } => {
            json!({ "verdict": "rejected", "ms": took, "ambiguous": ambiguous })
        }
        Exchange::Inconclusive {
            token, retry_after, ..
        } => match retry_after {
            Some(pause) => json!({
                "verdict": "inconclusive", "ms": took, "token": token, "retryAfterMs": pause,
            }),
            None => json!({ "verdict": "inconclusive", "ms": took, "token": token }),
        },
    };
    because(facts, Some(exchange.cause()))
}

/// The facts, with the cause and its HTTP status where there are any.
fn because(mut facts: Value, cause: Option<Cause>) -> Value {
    if let Some(cause) = cause {
        facts["cause"] = json!(cause);
        if let Some(status) = cause.http_status() {
            facts["httpStatus"] = json!(status);
        }
    }
    facts
}
