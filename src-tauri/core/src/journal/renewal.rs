//! One record per renewal, folded from the notes that are taken on its way.

use std::collections::VecDeque;

use graphql_session_renewal::{
    Cause, EndingReason, Exchange, Note, RenewalReason, TokenFate, Unreachable,
};
use serde::Serialize;

/// Attempts kept in one record, the last ones. A round with waiters makes about eight; a day without a server makes
/// thousands, of which nobody reads more than the end.
const ATTEMPTS_KEPT: usize = 20;

/// A renewal from its trigger to its outcome, as the facts of a `renewal` entry. Absent fields are left out.
///
/// ```json
/// { "why": "refused", "from": 4, "to": 5, "waiters": 8,
///   "attempts": [{ "verdict": "inconclusive", "cause": "http_503", "httpStatus": 503, "token": "not_used", "ms": 31,
///                  "retryAfterMs": 2000 },
///                { "verdict": "renewed", "cause": "new_tokens", "ms": 58 }],
///   "attemptCount": 2, "lockWaitMs": 0, "saved": true, "outcome": "renewed" }
/// ```
///
/// A round that gives up for now is a record, too (`unreachable`); what is tried in the background afterwards belongs
/// to the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Renewal {
    /// What asked for it first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<RenewalReason>,
    /// The generation that was to be renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The generation that calls use now: after `renewed` and `adopted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// Calls that got the outcome.
    pub waiters: usize,
    /// The last 20 attempts of this process, oldest first. None where another process tried.
    pub attempts: VecDeque<Attempt>,
    /// All attempts of this process.
    pub attempt_count: u64,
    /// How long this process waited for the account's lock, in ms.
    pub lock_wait_ms: u64,
    /// `true`, or why the new credentials live in memory only; after `renewed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<Saved>,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it `ended`, or who is `unreachable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What made it `ended` or `unreachable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// One exchange that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// `renewed`, `rejected` or `inconclusive`.
    pub verdict: &'static str,
    /// Why it came out so.
    pub cause: Cause,
    /// The HTTP status of the answer, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// What an inconclusive one did to the refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenFate>,
    /// The server gives this rejection by mistake, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ambiguous: bool,
    /// From sending to the verdict, in ms.
    pub ms: u64,
    /// The pause that the server asked for, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// Whether new credentials were stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Saved {
    /// `true`.
    Yes(bool),
    /// They were not, and this is why.
    No(Cause),
}

/// What came of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// New credentials, saved or in memory.
    Renewed,
    /// Another process had renewed.
    Adopted,
    /// The session is over.
    Ended,
    /// The person signed out meanwhile, or in anew.
    SignedOut,
    /// The keyring has lost the credentials that another process had stored.
    Locked,
    /// Given up for now: the waiters got an error, and attempts go on in the background.
    Unreachable,
}

/// Why it came to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Reason {
    /// Of `ended`.
    Ended(EndingReason),
    /// Of `unreachable`.
    Unreachable(Unreachable),
}

/// How the session stood around a decision; the decisions themselves note only what they decide.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NoteContext {
    /// The renewal that was wanted before it.
    pub(crate) why: Option<RenewalReason>,
    /// The generation held before it.
    pub(crate) from: Option<u64>,
    /// The generation held after it.
    pub(crate) to: Option<u64>,
    /// Calls that waited before it.
    pub(crate) waiters: usize,
    /// Who is out of reach after it.
    pub(crate) unreachable: Option<Unreachable>,
}

/// The round of renewal that is going on, if one is.
#[derive(Debug, Default)]
pub(super) struct RenewalRecorder {
    /// Trigger and generation of the first attempt.
    begun: Option<(RenewalReason, u64)>,
    attempts: VecDeque<Attempt>,
    attempt_count: u64,
    is_on_the_wire: bool,
    lock_wait: u64,
    saved: Option<Saved>,
    /// The session was over while an attempt was on the wire: the record waits for its verdict.
    over: Option<Renewal>,
}

impl RenewalRecorder {
    /// Takes one note; returns the record when the round is over.
    pub(super) fn take(&mut self, note: &Note, context: &NoteContext) -> Option<Renewal> {
        let is_going_on = self.begun.is_some() || context.why.is_some();
        match *note {
            Note::LockWaited { ms } => self.lock_wait += ms,
            Note::AttemptSent {
                reason, generation, ..
            } => {
                self.begun.get_or_insert((reason, generation));
                self.is_on_the_wire = true;
            }
            Note::Answered { exchange, took } => return self.answered(exchange, took),
            Note::Saved => self.saved = Some(Saved::Yes(true)),
            Note::SaveFailed(error) => self.saved = Some(Saved::No(Cause::Vault(error))),
            Note::Renewed {
                generation,
                waiters,
            } => {
                let saved = self.saved.take();
                let mut record = self.close(context, Outcome::Renewed);
                (record.to, record.waiters, record.saved) = (Some(generation), waiters, saved);
                return Some(record);
            }
            Note::Adopted if is_going_on => {
                let mut record = self.close(context, Outcome::Adopted);
                record.to = context.to;
                return Some(record);
            }
            Note::WaitersTold { waiters, cause } => {
                let mut record = self.close(context, Outcome::Unreachable);
                record.waiters = waiters;
                record.reason = context.unreachable.map(Reason::Unreachable);
                record.cause = cause;
                return Some(record);
            }
            Note::EntryLost => return Some(self.close(context, Outcome::Locked)),
            Note::Ended(reason, cause) if is_going_on => {
                let mut record = self.close(context, Outcome::Ended);
                record.reason = Some(Reason::Ended(reason));
                record.cause = Some(cause);
                return self.after_the_answer(record);
            }
            Note::SignedOut if is_going_on => {
                let record = self.close(context, Outcome::SignedOut);
                return self.after_the_answer(record);
            }
            // The lock was waited for on behalf of something else.
            Note::Opened
            | Note::SignedIn
            | Note::SignedOut
            | Note::Adopted
            | Note::Ended(..)
            | Note::Removed(_) => self.lock_wait = 0,
            Note::Revoked(_)
            | Note::LockNotTaken(_)
            | Note::FileNotWritten(_)
            | Note::ServerChecked { .. }
            | Note::SignInSent { .. }
            | Note::ServerRefused(_) => {}
        }
        None
    }

    fn answered(&mut self, exchange: Exchange, took: u64) -> Option<Renewal> {
        self.is_on_the_wire = false;
        // What was saved before is the mark of the attempt, not the new credentials.
        self.saved = None;
        let attempt = Attempt::new(exchange, took);
        if let Some(mut record) = self.over.take() {
            record.add(attempt);
            *self = Self::default();
            return Some(record);
        }
        self.attempt_count += 1;
        keep(&mut self.attempts, attempt);
        None
    }

    fn close(&mut self, context: &NoteContext, outcome: Outcome) -> Renewal {
        let record = Renewal {
            why: self.begun.map(|(why, _)| why).or(context.why),
            from: self.begun.map(|(_, from)| from).or(context.from),
            to: None,
            waiters: context.waiters,
            attempts: std::mem::take(&mut self.attempts),
            attempt_count: self.attempt_count,
            lock_wait_ms: self.lock_wait,
            saved: None,
            outcome,
            reason: None,
            cause: None,
        };
        // An attempt on the wire belongs to the next round.
        *self = Self {
            begun: self.begun.filter(|_| self.is_on_the_wire),
            is_on_the_wire: self.is_on_the_wire,
            ..Self::default()
        };
        record
    }

    /// The record at once, or with the verdict of the attempt that is on the wire.
    fn after_the_answer(&mut self, record: Renewal) -> Option<Renewal> {
        if !self.is_on_the_wire {
            return Some(record);
        }
        self.over = Some(record);
        None
    }
}

impl Renewal {
    fn add(&mut self, attempt: Attempt) {
        self.attempt_count += 1;
        keep(&mut self.attempts, attempt);
    }
}

impl Attempt {
    fn new(exchange: Exchange, ms: u64) -> Self {
        let cause = exchange.cause();
        let attempt = Self {
            verdict: "renewed",
            cause,
            http_status: cause.http_status(),
            token: None,
            ambiguous: false,
            ms,
            retry_after_ms: None,
        };
        match exchange {
            Exchange::Renewed(..) => attempt,
            Exchange::Rejected { ambiguous, .. } => Self {
                verdict: "rejected",
                ambiguous,
                ..attempt
            },
            Exchange::Inconclusive {
                token, retry_after, ..
            } => Self {
                verdict: "inconclusive",
                token: Some(token),
                retry_after_ms: retry_after,
                ..attempt
            },
        }
    }
}

fn keep(attempts: &mut VecDeque<Attempt>, attempt: Attempt) {
    if attempts.len() == ATTEMPTS_KEPT {
        attempts.pop_front();
    }
    attempts.push_back(attempt);
}
