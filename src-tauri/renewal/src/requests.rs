//! What people, calls and other processes ask for.

use super::*;

impl Transition<'_> {
    pub(super) fn open(&mut self, view: View) {
        let file = view.files.state;
        let ended = file.and_then(|file| file.ended);
        let stored = file.is_some_and(|file| file.ended.is_none());
        self.state.standing = match view.vault {
            VaultView::Entry { info, .. } => {
                return self.adopt(info, view.unfinished_exchange(None));
            }
            VaultView::Empty if stored && file.is_some_and(|file| file.saved) => {
                Standing::Locked(LockedReason::KeyringLockedOrCleared)
            }
            VaultView::Unavailable(error) if stored => Standing::Locked(locked_reason(error)),
            VaultView::Damaged if stored => Standing::Locked(LockedReason::KeyringFailed),
            _ => match ended {
                Some((EndingReason::SignedOut, _)) | None => Standing::SignedOut,
                Some((reason, at)) => Standing::Ended { reason, at },
            },
        };
        if let Standing::Locked(_) = self.state.standing {
            self.state.hidden = file.map(|file| file.info.session);
        }
        if let VaultView::Unavailable(error) = view.vault {
            self.state.storage = Storage::NotSaved(not_saved(error));
        }
        if let VaultView::DeadEntry(session) = view.vault {
            self.state.agenda.remove = Some(session);
            self.proceed();
        }
    }

    pub(super) fn need(&mut self, waiter: WaiterId, seen: CredentialsInfo, why: RenewalReason) {
        let Some(held) = self.state.held.filter(|held| held.session == seen.session) else {
            return self.settle_one(waiter, Outcome::SignedOut);
        };
        // A refusal of older credentials says nothing about these (I4).
        if held.generation > seen.generation {
            return self.settle_one(waiter, Outcome::Renewed);
        }
        if self.state.is_under_way() {
            return self.wait(waiter);
        }
        if why == RenewalReason::Refused
            && !self.state.served
            && !self.state.budget.take(self.now.awake)
        {
            return self.settle_one(waiter, Outcome::Denied);
        }
        self.state.agenda.renew = Some(why);
        match self.state.step {
            Step::Pausing { due, floor } => {
                let told = self.state.unreachable.is_some();
                if floor || told {
                    let who = self.state.unreachable.unwrap_or(Unreachable::Server);
                    self.state.unreachable = Some(who);
                    return self.settle_one(waiter, Outcome::Unreachable { due, who });
                }
                let round_is_on = !self.state.waiters.is_empty();
                self.wait(waiter);
                if !round_is_on {
                    // Until now only the early renewal failed, and nobody was waiting for it.
                    self.try_at(self.now.awake);
                }
            }
            Step::Idle | Step::Keeping { .. } => {
                self.state.step = Step::Idle;
                self.wait(waiter);
                self.proceed();
            }
            // Something else holds the step for a moment; the agenda has the renewal.
            _ => self.wait(waiter),
        }
    }

    pub(super) fn served(&mut self, credentials: Id) {
        if self
            .state
            .held
            .is_none_or(|held| held.credentials != credentials)
        {
            return;
        }
        let is_early = self.is_early();
        self.state.served = true;
        self.state.failing_since = None;
        self.reached();
        // The server is back: no need to sit out the backoff. Once, or a server that serves calls but renews nothing
        // would get an attempt per call.
        if let Step::Pausing { floor: false, .. } = self.state.step
            && !is_early
            && !std::mem::replace(&mut self.state.skipped, true)
        {
            self.try_at(self.now.awake);
        }
    }

    /// A call got no answer: people are told, and the server is probed until it is back.
    pub(super) fn lost(&mut self, credentials: Id) {
        let is_held = self
            .state
            .held
            .is_some_and(|held| held.credentials == credentials);
        // A renewal that is under way finds out by itself.
        let is_known = self.state.unreachable.is_some() || self.state.agenda.renew.is_some();
        if !is_held || is_known {
            return;
        }
        self.state.unreachable = Some(Unreachable::Server);
        self.probe_later(Backoff::default());
    }

    pub(super) fn probed(&mut self, answered: bool) {
        let Some(Probe { backoff, .. }) = self.state.probe else {
            return;
        };
        if answered {
            self.reached();
        } else {
            self.probe_later(backoff);
        }
    }

    fn probe_later(&mut self, mut backoff: Backoff) {
        let longest = schedule::longest_probe_pause(self.rules.max_backoff);
        let pause = backoff.next(self.now.random, longest);
        let due = Some(self.now.awake + pause);
        self.state.probe = Some(Probe { due, backoff });
    }

    fn reached(&mut self) {
        let was_away = self.state.unreachable.take().is_some();
        self.state.probe = None;
        if was_away {
            // The outage held up the early renewals of a whole fleet. Those that were not due yet make room for them.
            let held = self.state.held;
            self.state.ahead_at = held.and_then(|held| schedule::ahead_again(&held, self.now));
        }
    }

    pub(super) fn retry_now(&mut self) {
        if let Some(Probe { due: Some(due), .. }) = &mut self.state.probe {
            *due = self.now.awake;
            self.tick();
        }
        match self.state.step {
            Step::Pausing { floor: false, .. } => self.try_at(self.now.awake),
            Step::Keeping { tries, .. } => {
                self.state.step = Step::Keeping {
                    due: self.now.awake,
                    tries,
                };
                self.tick();
            }
            Step::Idle if matches!(self.state.standing, Standing::Locked(_)) => {
                self.state.agenda.look = true;
                self.proceed();
            }
            Step::Locking | Step::Rereading
                if matches!(self.state.standing, Standing::Locked(_)) =>
            {
                self.state.agenda.look_again = true;
            }
            _ => {}
        }
    }

    pub(super) fn sign_in(&mut self, info: CredentialsInfo) {
        if let Some(old) = self.state.held.take() {
            self.note(Note::SignedOut);
            self.actions
                .push(Action::AppendEnded(old.session, EndingReason::SignedOut));
            self.actions.push(Action::RevokeHeld);
            self.actions.push(Action::Forget);
            self.settle(Outcome::SignedOut);
            self.state.standing = Standing::SignedOut;
        }
        if let Some(hidden) = self.state.hidden.take() {
            // "Sign in anew" gives it up: it must not come back with the unlocked keyring.
            let ended = Action::AppendEnded(hidden, EndingReason::SignedOut);
            self.actions.push(ended);
        }
        if let Some(overtaken) = self.state.agenda.sign_in {
            // Its save may be under way: what lands of it is dead.
            let ended = Action::AppendEnded(overtaken.session, EndingReason::SignedOut);
            self.actions.push(ended);
            self.actions.push(Action::Drop(overtaken.credentials));
        }
        self.forget_renewal();
        // The entry is overwritten, not removed.
        self.state.leftover = None;
        self.state.agenda = Agenda {
            sign_in: Some(info),
            ..Agenda::default()
        };
        self.leave_pause();
        self.proceed();
    }

    pub(super) fn sign_out(&mut self) {
        let newcomer = self.state.agenda.sign_in.take();
        if newcomer.is_some() {
            self.actions.push(Action::SignInDone);
        }
        let held = self.state.held.map(|held| held.session);
        let newcomer = newcomer.map(|newcomer| newcomer.session);
        let hidden = self.state.hidden.take();
        for session in [held, hidden, newcomer].into_iter().flatten() {
            let ended = Action::AppendEnded(session, EndingReason::SignedOut);
            self.actions.push(ended);
            self.state.agenda.remove = Some(session);
        }
        if self.state.held.take().is_some() {
            self.note(Note::SignedOut);
            self.actions.push(Action::RevokeHeld);
            self.actions
                .push(Action::WriteEnded(EndingReason::SignedOut));
        }
        self.actions.push(Action::Forget);
        self.settle(Outcome::SignedOut);
        self.forget_renewal();
        self.state.agenda.renew = None;
        self.state.agenda.look = false;
        self.state.standing = Standing::SignedOut;
        self.leave_pause();
        self.proceed();
    }

    pub(super) fn files_changed(&mut self, files: FileView) {
        if let Some(reason) = files.ended {
            return self.follow_ending(reason);
        }
        if self.hidden_is_over(files) {
            return;
        }
        let is_newer = files.state.is_some_and(|file| {
            file.ended.is_none()
                && file.saved
                && self
                    .state
                    .held
                    .is_none_or(|held| file.info.supersedes(&held))
        });
        if is_newer && self.state.agenda.sign_in.is_none() {
            self.state.agenda.look = true;
            self.leave_pause();
            self.proceed();
        }
    }
}
