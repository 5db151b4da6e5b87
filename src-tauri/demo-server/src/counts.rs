//! What reached the server. The tests' truth: a client may believe anything, these numbers are from the other side.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::sync::watch;

/// A number that [`crate::Switches::wait_for`] can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Requests with a readable GraphQL body, on both endpoints.
    Calls,
    /// Calls refused because of their bearer, before anything ran.
    CallsRefused,
    /// Requests that contained `renewToken`, whatever became of them.
    RenewalsSent,
    /// Renewals whose new tokens were sent off.
    RenewalsAccepted,
    /// Renewals answered with an error.
    RenewalsRefused,
    /// Renewals that rotated the token and whose answer was then dropped.
    RenewalsLost,
    /// Renewals that wait at the closed gate, now.
    RenewalsHeld,
    /// Sign-ins by browser that an application has revoked.
    ApplicationsRevoked,
    /// Connections closed by a switch without a byte of answer.
    ConnectionsDropped,
    /// Subscriptions that were accepted.
    StreamsOpened,
    /// Subscriptions whose connection is open, now.
    StreamsOpen,
}

/// All numbers since the start or the last reset, as one consistent snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Requests with a readable GraphQL body, on both endpoints.
    pub calls: u64,
    /// Calls refused because of their bearer, before anything ran.
    pub calls_refused: u64,
    /// Requests that contained `renewToken`, whatever became of them.
    pub renewals_sent: u64,
    /// Renewals whose new tokens were sent off.
    pub renewals_accepted: u64,
    /// Renewals answered with an error.
    pub renewals_refused: u64,
    /// Renewals that rotated the token and whose answer was then dropped.
    pub renewals_lost: u64,
    /// Renewals that wait at the closed gate, now. A reset leaves this number alone.
    pub renewals_held: u64,
    /// Sign-ins by browser that an application has revoked.
    pub applications_revoked: u64,
    /// Connections closed by a switch without a byte of answer.
    pub connections_dropped: u64,
    /// Subscriptions that were accepted.
    pub streams_opened: u64,
    /// Subscriptions whose connection is open, now. A reset leaves this number alone.
    pub streams_open: u64,
    /// Calls by endpoint, kind and name, in this order.
    pub operations: Vec<OperationCount>,
    /// Every renewal in order of its outcome. The newest 1,000 are kept.
    pub renewals: Vec<Renewal>,
}

impl Counts {
    /// The value of one counter.
    pub fn of(&self, counter: Counter) -> u64 {
        match counter {
            Counter::Calls => self.calls,
            Counter::CallsRefused => self.calls_refused,
            Counter::RenewalsSent => self.renewals_sent,
            Counter::RenewalsAccepted => self.renewals_accepted,
            Counter::RenewalsRefused => self.renewals_refused,
            Counter::RenewalsLost => self.renewals_lost,
            Counter::RenewalsHeld => self.renewals_held,
            Counter::ApplicationsRevoked => self.applications_revoked,
            Counter::ConnectionsDropped => self.connections_dropped,
            Counter::StreamsOpened => self.streams_opened,
            Counter::StreamsOpen => self.streams_open,
        }
    }

    /// How often an operation of this name was sent, over both endpoints and all kinds.
    pub fn operation(&self, name: &str) -> u64 {
        self.operations
            .iter()
            .filter(|operation| operation.name == name)
            .map(|operation| operation.count)
            .sum()
    }
}

/// How often one operation was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OperationCount {
    /// `graphql` or `metadata`.
    pub endpoint: String,
    /// `query`, `mutation` or `subscription`.
    pub kind: String,
    /// The operation's name; where it has none, its first root field.
    pub name: String,
    /// Times sent.
    pub count: u64,
}

/// One line of the ledger of renewals. It names no token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Renewal {
    /// Milliseconds since 1970-01-01 UTC, by the server's clock.
    pub at: i64,
    /// Which sign-in the token descends from, counted from 1. None where the token was not recognised.
    pub chain: Option<i64>,
    /// How many renewals lie between the sign-in and the token that was presented.
    pub generation: Option<i64>,
    /// What became of it.
    pub outcome: Outcome,
    /// The message of a refusal.
    pub message: Option<String>,
}

/// What became of one renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// New tokens were sent off.
    Accepted,
    /// An error was sent off.
    Refused,
    /// The token was rotated, the answer dropped.
    Lost,
    /// Nothing was looked at: the connection was closed, or the server stopped.
    Dropped,
}

/// Lines of the ledger that are kept: many more than any test makes, and bounded for a demo left open.
const LEDGER_LENGTH: usize = 1_000;

/// The live counts behind the snapshots.
#[derive(Debug)]
pub(crate) struct Counting {
    counts: watch::Sender<Counts>,
}

impl Counting {
    pub(crate) fn new() -> Self {
        Self {
            counts: watch::Sender::new(Counts::default()),
        }
    }

    pub(crate) fn snapshot(&self) -> Counts {
        self.counts.borrow().clone()
    }

    pub(crate) fn reset(&self) {
        self.counts.send_modify(|counts| {
            *counts = Counts {
                renewals_held: counts.renewals_held,
                streams_open: counts.streams_open,
                ..Counts::default()
            };
        });
    }

    /// Returns as soon as `reached` holds, at once if it does already.
    pub(crate) async fn wait_until(&self, reached: impl FnMut(&Counts) -> bool) -> Counts {
        let mut changes = self.counts.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        changes
            .wait_for(reached)
            .await
            .map(|counts| counts.clone())
            .unwrap_or_default()
    }

    pub(crate) fn call(&self, endpoint: &str, kind: &str, name: &str) {
        self.counts.send_modify(|counts| {
            counts.calls += 1;
            let key = |operation: &OperationCount| {
                (
                    operation.endpoint.clone(),
                    operation.kind.clone(),
                    operation.name.clone(),
                )
            };
            let mut operations: BTreeMap<_, _> = counts
                .operations
                .drain(..)
                .map(|operation| (key(&operation), operation.count))
                .collect();
            *operations
                .entry((endpoint.to_owned(), kind.to_owned(), name.to_owned()))
                .or_insert(0) += 1;
            counts.operations = operations
                .into_iter()
                .map(|((endpoint, kind, name), count)| OperationCount {
                    endpoint,
                    kind,
                    name,
                    count,
                })
                .collect();
        });
    }

    pub(crate) fn call_refused(&self) {
        self.counts.send_modify(|counts| counts.calls_refused += 1);
    }

    pub(crate) fn renewal_sent(&self) {
        self.counts.send_modify(|counts| counts.renewals_sent += 1);
    }

    pub(crate) fn held(&self, waits: bool) {
        self.counts.send_modify(|counts| {
            counts.renewals_held = if waits {
                counts.renewals_held + 1
            } else {
                counts.renewals_held.saturating_sub(1)
            };
        });
    }

    pub(crate) fn application_revoked(&self) {
        self.counts
            .send_modify(|counts| counts.applications_revoked += 1);
    }

    pub(crate) fn dropped(&self) {
        self.counts
            .send_modify(|counts| counts.connections_dropped += 1);
    }

    pub(crate) fn stream_opened(&self) {
        self.counts.send_modify(|counts| {
            counts.streams_opened += 1;
            counts.streams_open += 1;
        });
    }

    pub(crate) fn stream_closed(&self) {
        self.counts.send_modify(|counts| counts.streams_open -= 1);
    }

    /// Enters the end of a renewal.
    pub(crate) fn renewal(&self, renewal: Renewal) {
        self.counts.send_modify(|counts| {
            match renewal.outcome {
                Outcome::Accepted => counts.renewals_accepted += 1,
                Outcome::Refused => counts.renewals_refused += 1,
                Outcome::Lost => counts.renewals_lost += 1,
                Outcome::Dropped => {}
            }
            if counts.renewals.len() == LEDGER_LENGTH {
                counts.renewals.remove(0);
            }
            counts.renewals.push(renewal);
        });
    }
}
