//! What brings the next attempt forward while a session waits between two: a call, a refusal, a change of the network.

use crate::action::Outcome;
use crate::event::{RenewalReason, WaiterId};
use crate::outage::Probe;
use crate::reasons::Unreachable;
use crate::schedule::{self, Backoff};
use crate::step::Step;
use crate::time::Awake;
use crate::transition::Transition;

/// A call starts an attempt if the last one of this machine failed at least this long ago, in ms; before, it brings the
/// next one forward to then. A person who clicks again does so after some seconds, and a program that asks without end
/// costs a server that is in trouble twelve attempts a minute. The state file tells every process of the last failure.
pub(crate) const CALLS_WAIT_AFTER_FAILURE: u64 = 5_000;

/// A refusal that arrives sooner than this after the failure, in ms, may have been on its way before it, and says nothing
/// about the server now.
const REFUSALS_COUNT_AFTER: u64 = 1_000;

/// While the server itself fails, changes of the network start no more than one attempt in this time, in ms: some networks
/// change without end.
const NETWORK_CHANGES_APART: u64 = 5_000;

impl Transition<'_> {
    /// A call needs the renewal, and the next attempt is not due before `due`.
    pub(crate) fn need_in_pause(
        &mut self,
        waiter: WaiterId,
        reason: RenewalReason,
        due: Awake,
        fixed: bool,
    ) {
        if fixed {
            return self.need_in_servers_pause(waiter, due);
        }
        let is_back = reason == RenewalReason::Refused && self.take_as_proof();
        let at = self.earliest_for_calls();
        if self.state.outage.unreachable.is_none() {
            let somebody_waits = !self.state.waiters.is_empty();
            self.wait(waiter);
            // Where nobody waited until now, only the early renewal failed.
            if is_back || !somebody_waits {
                self.attempt_now();
            } else {
                self.bring_forward(due, at);
            }
        } else if is_back || at <= self.now.awake {
            let apart = if is_back {
                REFUSALS_COUNT_AFTER
            } else {
                CALLS_WAIT_AFTER_FAILURE
            };
            self.wait(waiter);
            // If it fails, the pause goes on, and is no longer for it.
            self.state.outage.resumes_at.get_or_insert(due);
            self.attempt_in_spite_of_pauses_before(apart);
        } else {
            self.bring_forward(due, at);
            self.turn_away(waiter, due.min(at));
        }
    }

    /// The server has asked for this pause, and no call ends it. A short one is waited for: the server is there.
    fn need_in_servers_pause(&mut self, waiter: WaiterId, due: Awake) {
        let is_told = self.state.outage.unreachable.is_some();
        let others_wait = !self.state.waiters.is_empty();
        let is_short = due.since(self.now.awake) <= CALLS_WAIT_AFTER_FAILURE;
        if !is_short && (is_told || !others_wait) {
            return self.turn_away(waiter, due);
        }
        self.wait(waiter);
        if is_told {
            // If it fails, this call learns of it at once, as the others have.
            self.state.outage.resumes_at.get_or_insert(due);
        }
    }

    /// The next attempt after a failure is due then; a call waits for it, or has asked for it.
    pub(crate) fn bring_forward(&mut self, due: Awake, at: Awake) {
        if at < due {
            let since_failure = self
                .state
                .outage
                .failed_at
                .map(|failed| self.now.awake.since(failed));
            let failed = self.now.wall.minus(since_failure.unwrap_or(0));
            let outage = &mut self.state.outage;
            outage.resumes_at.get_or_insert(due);
            outage.overrides = Some(failed);
        }
        let due = due.min(at);
        self.state.step = Step::Pausing { due, fixed: false };
    }

    /// When a call may start the next attempt.
    pub(crate) fn earliest_for_calls(&self) -> Awake {
        let failed_at = self.state.outage.failed_at;
        failed_at.map_or(self.now.awake, |failed| {
            failed.plus(CALLS_WAIT_AFTER_FAILURE)
        })
    }

    /// The server has refused a call in its own words, so it is back. Once in an outage: a server that refuses calls and
    /// renews nothing would get an attempt per call otherwise.
    fn take_as_proof(&mut self) -> bool {
        let now = self.now.awake;
        let outage = &mut self.state.outage;
        let is_later = outage
            .failed_at
            .is_some_and(|failed| now.since(failed) >= REFUSALS_COUNT_AFTER);
        is_later && !std::mem::replace(&mut outage.cut_short, true)
    }

    /// The machine's network has changed: what failed before may work now.
    pub(crate) fn network_changed(&mut self) {
        let now = self.now;
        let soon = now.awake.plus(schedule::after_network_change(now.random));
        let outage = &mut self.state.outage;
        outage.local_backoff = Backoff::default();
        if let Some(Probe { due, backoff }) = &mut outage.probe {
            *backoff = Backoff::default();
            *due = due.map(|due| due.min(soon));
        }
        match self.state.step {
            Step::Pausing { due, fixed: false } => {
                let is_servers = outage
                    .cause
                    .is_some_and(|cause| !cause.is_before_the_server());
                let earliest = outage
                    .hastened_at
                    .filter(|_| is_servers)
                    .map_or(soon, |at| soon.max(at.plus(NETWORK_CHANGES_APART)));
                if earliest < due {
                    outage.hastened_at = Some(earliest);
                    outage.overrides = Some(now.wall);
                    let due = earliest;
                    self.state.step = Step::Pausing { due, fixed: false };
                }
            }
            Step::Locking
            | Step::Rereading
            | Step::Marking
            | Step::Exchanging { .. }
            | Step::Confirming { .. } => outage.network_changed = true,
            Step::Pausing { fixed: true, .. }
            | Step::Idle
            | Step::Saving { .. }
            | Step::KeepingLock { .. }
            | Step::Removing => {}
        }
    }

    /// One call learns that nothing answers, as those did that waited before it.
    fn turn_away(&mut self, waiter: WaiterId, due: Awake) {
        let outage = &mut self.state.outage;
        let who = *outage.unreachable.get_or_insert(Unreachable::Server);
        let cause = outage.cause;
        self.settle_one(waiter, Outcome::Unreachable { due, who, cause });
    }
}
