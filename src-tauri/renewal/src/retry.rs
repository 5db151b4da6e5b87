//! After a failure: who learns of it, and when the next attempt, probe or save is made.

use crate::action::{Action, Outcome};
use crate::cause::Cause;
use crate::event::{FailureSeen, RenewalReason};
use crate::note::Note;
use crate::outage::Probe;
use crate::reasons::{EndingReason, Storage, TokenFate, Unreachable};
use crate::schedule::{self, Backoff};
use crate::standing::Standing;
use crate::step::Step;
use crate::time::Awake;
use crate::transition::Transition;

/// A pause up to this long keeps the lock, in ms: releasing it and taking it again costs more.
const KEEP_LOCK_UP_TO: u64 = 250;

/// How often an unsaved session is saved again, in ms: soon at first, for a keyring that was just restarted.
const SAVE_AGAIN_AFTER: u64 = 1_000;
const SAVE_AGAIN_AT_MOST: u64 = 30_000;

/// Doublings of that pause until it has reached its limit.
const SAVE_DOUBLINGS: u32 = 5;

/// An early renewal that an idle application does not need, or that the budget does not allow, is looked at again after
/// this long, in ms.
const LOOK_AGAIN: u64 = 60_000;

impl Transition<'_> {
    /// Time passed: do what is due.
    pub(crate) fn tick(&mut self) {
        let awake = self.now.awake;
        let is_due = |due: Option<Awake>| due.is_some_and(|due| due <= awake);
        // After a sleep an attempt comes first: the server may have been there all the time.
        if is_due(self.state.end_due(self.rules))
            && !self.state.outage.slept
            && self.state.held().is_some()
            && matches!(self.state.step, Step::Pausing { .. })
        {
            self.state.step = Step::Idle;
            return self.end(EndingReason::UnreachableTooLong, Cause::EndAfter);
        }
        self.probe_if_due();
        self.write_again_if_due();
        if is_due(self.state.waiters.deadline) {
            let who = match self.state.step {
                Step::Locking => Unreachable::HeldByOtherProcess,
                _ => Unreachable::Server,
            };
            self.tell_unreachable(self.state.next_attempt().unwrap_or(awake), who);
        }
        match self.state.step {
            Step::Pausing { due, .. } if due <= awake => {
                self.state.outage.failed_at = None;
                self.finish();
            }
            Step::KeepingLock { due, tries } if due <= awake => match self.state.held() {
                Some(held) => self.save(held, tries),
                None => self.finish(),
            },
            Step::Idle if is_due(self.state.cleanup.map(|left| left.due)) => {
                self.state.agenda.remove = self.state.cleanup.map(|left| left.session);
                self.proceed();
            }
            // While the server is known to be away, an early renewal would only fail; see `server_answered`.
            Step::Idle
                if is_due(self.state.renew_ahead_at())
                    && self.state.outage.unreachable.is_none() =>
            {
                self.renew_ahead();
            }
            _ => {}
        }
    }

    fn renew_ahead(&mut self) {
        let is_in_use = self.now.in_use;
        let Standing::Active(held) = self.state.session else {
            return;
        };
        let now = self.now;
        let is_wanted = is_in_use && self.state.budget.take(now.awake, held.age(now));
        let again = now.awake.plus(LOOK_AGAIN);
        if let Some(held) = self.state.held_mut() {
            held.renew_ahead_at = (!is_wanted).then_some(again);
        }
        if is_wanted {
            let renew = &mut self.state.agenda.renew;
            renew.get_or_insert(RenewalReason::Ahead);
            self.proceed();
        }
    }

    /// An attempt proved nothing: wake who cannot be served in time, and try again later.
    pub(crate) fn fail(&mut self, token: TokenFate, retry_after: Option<u64>, cause: Cause) {
        let now = self.now;
        let is_early = self.is_early();
        let outage = &mut self.state.outage;
        outage.cause = Some(cause);
        if !is_early {
            outage.failing_since.get_or_insert(now.awake);
        }
        outage.asks_again = false;
        outage.failed_at = Some(now.awake);
        let network_changed = std::mem::take(&mut outage.network_changed);
        outage.slept &= network_changed;
        let resumes_at = outage.resumes_at.take();
        if let Some(pause) = retry_after {
            outage.not_before = Some(now.wall.plus(pause));
        }
        // The pause that a call interrupted was drawn for an earlier failure, and stays as long as it was.
        let backed_off = match resumes_at.filter(|due| *due > now.awake) {
            Some(due) => due.max(now.awake.plus(schedule::BACKOFF_FLOOR)),
            None => now.awake.plus(self.draw_pause(cause)),
        };
        let in_grace = self.pause_in_grace();
        let ahead = self
            .state
            .held()
            .filter(|_| is_early && in_grace.is_none())
            .and_then(|held| schedule::ahead_again(&held, now));
        let due = match in_grace {
            Some(pause) => now.awake.plus(pause),
            None if network_changed => {
                backed_off.min(now.awake.plus(schedule::after_network_change(now.random)))
            }
            None => backed_off,
        };
        let due = ahead.unwrap_or(due);
        let due = due.max(now.awake.plus(retry_after.unwrap_or(0)));
        // What a later attempt says of itself does not bring a lost answer back.
        let token = match self.state.outage.lost_answer {
            Some(_) => TokenFate::MaybeUsed,
            None => token,
        };
        if let Some(held) = self.state.held() {
            let saved = self.state.storage == Storage::Saved;
            let next_at = now.wall.plus(due.since(now.awake));
            self.write_state(held.credentials, saved, Some((token, next_at)));
        }
        if ahead.is_some() {
            self.put_off(due);
        } else {
            if resumes_at.is_some() && self.state.outage.unreachable.is_some() {
                // They knew that the server is away, and tried all the same.
                self.tell_unreachable(due, Unreachable::Server);
            }
            self.pause(due, retry_after.is_some());
        }
    }

    /// Another process tried with the same credentials: its outcome and its pause are ours, too.
    pub(crate) fn share_failure(&mut self, failure: FailureSeen) {
        let now = self.now;
        let ago = now.wall.since(failure.at).unwrap_or(0);
        let outage = &mut self.state.outage;
        outage.cause = Some(Cause::OtherProcess);
        outage.failed_at = Some(Awake::from_ms(now.awake.ms().saturating_sub(ago)));
        outage.slept &= failure.at <= self.state.round_began;
        let was_told = outage.resumes_at.take().is_some() && outage.unreachable.is_some();
        let drawn = self.draw_pause(Cause::OtherProcess);
        let pause = failure.next_at.since(now.wall).unwrap_or(0);
        let was_put_off = pause > self.rules.max_backoff;
        if was_put_off && self.is_early() {
            return self.put_off(now.awake.plus(pause));
        }
        let outage = &mut self.state.outage;
        outage.failing_since.get_or_insert(now.awake);
        // The other process renewed early. Here a call needs the renewal, so only the server's own pause counts.
        let server_pause = outage
            .not_before
            .and_then(|until| until.since(now.wall))
            .unwrap_or(0);
        let pause = if was_put_off {
            drawn.max(server_pause)
        } else {
            pause
        };
        let due = now.awake.plus(pause);
        let somebody_waits = !self.state.waiters.is_empty();
        if was_told {
            self.tell_unreachable(due.min(self.earliest_for_calls()), Unreachable::Server);
        }
        self.pause(due, false);
        if somebody_waits {
            self.bring_forward(due, self.earliest_for_calls());
        }
    }

    /// Whether only the early renewal wants an attempt: the token works, nobody waits, and the server is not known to be
    /// away.
    pub(crate) fn is_early(&self) -> bool {
        self.state.agenda.renew == Some(RenewalReason::Ahead)
            && self.state.waiters.is_empty()
            && self.state.outage.unreachable.is_none()
            && self
                .state
                .held()
                .is_some_and(|held| !self.has_expired(&held))
    }

    /// Nothing needs the early renewal yet. It waits for its own time, and neither a served call nor a probe hastens
    /// it: after an outage they come to a whole fleet at once.
    pub(crate) fn put_off(&mut self, due: Awake) {
        self.state.agenda.renew = None;
        self.state.outage.overrides = None;
        if let Some(held) = self.state.held_mut() {
            held.renew_ahead_at = Some(due);
        }
        self.finish();
    }

    /// Draws from the backoff. Counts a failure: of the server, or of what lies before it.
    fn draw_pause(&mut self, cause: Cause) -> u64 {
        let longest = self.rules.max_backoff;
        let outage = &mut self.state.outage;
        let backoff = if cause.is_before_the_server() {
            &mut outage.local_backoff
        } else {
            &mut outage.backoff
        };
        backoff.next(self.now.random, longest)
    }

    /// The pause before the next attempt, while the server may still take the token whose answer was lost.
    fn pause_in_grace(&mut self) -> Option<u64> {
        let lost = self.state.outage.lost_answer.as_mut()?;
        lost.next(self.now.wall, self.rules.grace)
    }

    /// When the next attempt is due after a failure on this machine, which `outage.cause` names. Counts a failure.
    pub(crate) fn pause_for_vault_or_lock(&mut self, cause: Cause) -> Awake {
        let outage = &mut self.state.outage;
        outage.cause = Some(cause);
        outage.failed_at = Some(self.now.awake);
        outage.resumes_at = None;
        outage.network_changed = false;
        let drawn = self.draw_pause(cause);
        let pause = self.pause_in_grace().unwrap_or(drawn);
        self.now.awake.plus(pause)
    }

    pub(crate) fn pause(&mut self, due: Awake, fixed: bool) {
        let deadline = self.state.waiters.deadline;
        if deadline.is_none_or(|deadline| due > deadline) {
            self.tell_unreachable(due, Unreachable::Server);
        }
        // The stored refresh token may be a spent one: nobody else may exchange it.
        if due > self.now.awake.plus(KEEP_LOCK_UP_TO) && !self.state.is_unsaved() {
            self.release();
        }
        self.state.step = Step::Pausing { due, fixed };
    }

    /// The pause belonged to a session that is over.
    pub(crate) fn leave_pause(&mut self) {
        if matches!(
            self.state.step,
            Step::Pausing { .. } | Step::KeepingLock { .. }
        ) {
            self.state.step = Step::Idle;
        }
    }

    /// Ends the pause, whatever pause another process has drawn.
    pub(crate) fn attempt_now(&mut self) {
        self.attempt_in_spite_of_pauses_before(0);
    }

    /// The same, in spite of the pauses that were drawn at least so long ago, in ms.
    pub(crate) fn attempt_in_spite_of_pauses_before(&mut self, ago: u64) {
        self.state.outage.overrides = Some(self.now.wall.minus(ago));
        self.state.step = Step::Pausing {
            due: self.now.awake,
            fixed: false,
        };
        self.tick();
    }

    /// Keeps the lock until the held credentials are saved; a renewal that is wanted meanwhile does not wait for that.
    pub(crate) fn keep_lock(&mut self, tries: u32) {
        if self.state.agenda.renew.is_some() {
            return self.finish();
        }
        let pause = SAVE_AGAIN_AT_MOST.min(SAVE_AGAIN_AFTER << tries.min(SAVE_DOUBLINGS));
        self.state.step = Step::KeepingLock {
            due: self.now.awake.plus(pause),
            tries: tries + 1,
        };
    }

    /// One failure for all who wait (I8). A failed early renewal, for which nobody waits, disturbs nobody.
    pub(crate) fn tell_unreachable(&mut self, due: Awake, who: Unreachable) {
        if self.state.waiters.is_empty() {
            return;
        }
        self.state.outage.unreachable = Some(who);
        let cause = self.state.outage.cause;
        self.note(Note::WaitersTold {
            waiters: self.state.waiters.len(),
            cause,
        });
        self.settle(Outcome::Unreachable { due, who, cause });
    }

    /// `Action::Probe` is done.
    pub(crate) fn probed(&mut self, answered: bool) {
        let Some(Probe { backoff, .. }) = self.state.outage.probe else {
            return;
        };
        if answered {
            self.server_answered();
        } else {
            self.probe_after(backoff);
        }
    }

    /// Begins to probe a server that gave no answer.
    pub(crate) fn probe_first(&mut self) {
        self.probe_after(Backoff::default());
    }

    /// The next probe is made now.
    pub(crate) fn hasten_probe(&mut self) {
        if let Some(Probe { due: Some(due), .. }) = &mut self.state.outage.probe {
            *due = self.now.awake;
            self.tick();
        }
    }

    fn probe_if_due(&mut self) {
        if let Some(Probe { due, .. }) = &mut self.state.outage.probe
            && due.is_some_and(|due| due <= self.now.awake)
        {
            *due = None;
            self.act(Action::Probe);
        }
    }

    fn probe_after(&mut self, mut backoff: Backoff) {
        let longest = schedule::longest_probe_pause(self.rules.max_backoff);
        let pause = backoff.next(self.now.random, longest);
        let due = Some(self.now.awake.plus(pause));
        self.state.outage.probe = Some(Probe { due, backoff });
    }

    /// The server served a call, or answered a probe.
    pub(crate) fn server_answered(&mut self) {
        let was_away = self.state.outage.unreachable.take().is_some();
        self.state.outage.probe = None;
        self.state.outage.cause = None;
        if was_away {
            // The outage held up the early renewals of a whole fleet. Those that were not due yet make room for them.
            let now = self.now;
            if let Some(held) = self.state.held_mut() {
                held.renew_ahead_at = schedule::ahead_again(&held.info, now);
            }
        }
    }
}
