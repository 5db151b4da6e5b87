//! What comes of a step: adopted, renewed, failed, ended; and who is told.

use super::*;

impl Transition<'_> {
    pub(super) fn adopt(&mut self, info: CredentialsInfo, renewing_at: Option<i64>) {
        let at_start = self.state.standing == Standing::Opening;
        self.note(if at_start {
            Note::Opened
        } else {
            Note::Adopted
        });
        self.hold(info);
        self.state.storage = Storage::Saved;
        self.state.lost_answer = renewing_at.map(LostAnswer::at);
        self.state.step = Step::Idle;
        self.finish();
    }

    /// Calls use `info` from now on; everybody who waited can go on.
    pub(super) fn hold(&mut self, info: CredentialsInfo) {
        let replaced = self.state.held.replace(info);
        self.state.standing = Standing::Active;
        self.state.hidden = None;
        let is_sign_in = self.state.agenda.sign_in.take().is_some();
        if replaced.is_some_and(|old| old.credentials == info.credentials) {
            return;
        }
        self.actions.push(Action::Use(info.credentials));
        self.forget_renewal();
        self.state.agenda.renew = None;
        self.state.ahead_at = schedule::ahead(&info, self.now);
        if is_sign_in {
            self.note(Note::SignedIn);
            self.actions.push(Action::SignInDone);
        }
        let outcome = match replaced {
            Some(old) if old.session != info.session => Outcome::SignedOut,
            _ => Outcome::Renewed,
        };
        self.settle(outcome);
    }

    pub(super) fn hold_unsaved(&mut self, info: CredentialsInfo, why: NotSaved) {
        self.hold(info);
        self.state.storage = Storage::NotSaved(why);
    }

    /// An attempt proved nothing: tell who cannot be served in time, and try again later.
    pub(super) fn fail(&mut self, token: TokenFate, retry_after: Option<u64>) {
        let is_early = self.is_early();
        if !is_early {
            self.state.failing_since.get_or_insert(self.now.awake);
        }
        self.state.asked_twice = false;
        let wall = self.now.wall;
        if let Some(pause) = retry_after {
            self.state.not_before = Some(wall + i64::try_from(pause).unwrap_or(0));
        }
        let drawn = self.draw_pause();
        let in_grace = self.pause_in_grace();
        let ahead = self
            .state
            .held
            .filter(|_| is_early && in_grace.is_none())
            .and_then(|held| schedule::ahead_again(&held, self.now));
        let due = ahead.unwrap_or(self.now.awake + in_grace.unwrap_or(drawn));
        let due = due.max(self.now.awake + retry_after.unwrap_or(0));
        // What a later attempt says of itself does not bring a lost answer back.
        let token = match self.state.lost_answer {
            Some(_) => TokenFate::MaybeUsed,
            None => token,
        };
        if let Some(held) = self.state.held {
            let saved = self.state.storage == Storage::Saved;
            let pause = i64::try_from(due - self.now.awake).unwrap_or(0);
            self.write_state(held.credentials, saved, Some((token, wall + pause)));
        }
        if ahead.is_some() {
            self.put_off(due);
        } else {
            self.pause(due, retry_after.is_some());
        }
    }

    /// Another process tried with the same credentials: its outcome and its pause are ours, too.
    pub(super) fn share_failure(&mut self, failure: FailureSeen) {
        let drawn = self.draw_pause();
        let pause = u64::try_from(failure.next_at - self.now.wall).unwrap_or(0);
        let was_put_off = pause > self.rules.max_backoff;
        if was_put_off && self.is_early() {
            return self.put_off(self.now.awake + pause);
        }
        self.state.failing_since.get_or_insert(self.now.awake);
        // Theirs was an early renewal. Here somebody needs one: only the server's own pause binds.
        let floor = self
            .state
            .not_before
            .map_or(0, |until| until - self.now.wall);
        let pause = if was_put_off {
            drawn.max(u64::try_from(floor).unwrap_or(0))
        } else {
            pause
        };
        self.pause(self.now.awake + pause, false);
    }

    /// Whether only the early renewal wants an attempt: the token works, nobody waits, and nobody was told to wait.
    pub(super) fn is_early(&self) -> bool {
        self.state.agenda.renew == Some(RenewalReason::Ahead)
            && self.state.waiters.is_empty()
            && self.state.unreachable.is_none()
            && self
                .state
                .held
                .is_some_and(|held| !held.has_expired(self.now.server))
    }

    /// Nothing needs the early renewal yet. It waits for its own time, and neither a served call nor a probe hastens
    /// it: after an outage they come to a whole fleet at once.
    fn put_off(&mut self, due: u64) {
        self.state.agenda.renew = None;
        self.state.insists = false;
        self.state.ahead_at = Some(due);
        self.finish();
    }

    /// Draws from the backoff. Counts a failure.
    fn draw_pause(&mut self) -> u64 {
        let longest = self.rules.max_backoff;
        self.state.backoff.next(self.now.random, longest)
    }

    /// The pause before the next attempt, while the server may still take the token whose answer was lost.
    fn pause_in_grace(&mut self) -> Option<u64> {
        let lost = self.state.lost_answer.as_mut()?;
        lost.next(self.now.wall, self.rules.grace)
    }

    /// When the next attempt is due after trouble on this machine, in awake ms. Counts a failure.
    pub(super) fn pause_for_vault_or_lock(&mut self) -> u64 {
        let drawn = self.draw_pause();
        self.now.awake + self.pause_in_grace().unwrap_or(drawn)
    }

    pub(super) fn pause(&mut self, due: u64, floor: bool) {
        let is_beyond_budget = self.state.budget_until.is_none_or(|until| due > until);
        if is_beyond_budget {
            self.tell_unreachable(due, Unreachable::Server);
        }
        // The stored refresh token may be a spent one: nobody else may exchange it.
        if due > self.now.awake + KEEP_LOCK_UP_TO && !self.is_unsaved() {
            self.release();
        }
        self.state.step = Step::Pausing { due, floor };
    }

    /// Read again after the rejection, and still these: the session is over (I6).
    pub(super) fn confirm(&mut self, ambiguous: bool) {
        if ambiguous && !self.state.asked_twice {
            self.state.asked_twice = true;
            let due = self.now.awake + ASK_AGAIN_AFTER;
            return self.pause(due, true);
        }
        self.end(if self.state.lost_answer.is_some() {
            EndingReason::LostAnswer
        } else {
            EndingReason::Rejected
        });
    }

    pub(super) fn end(&mut self, reason: EndingReason) {
        let Some(held) = self.state.held.take() else {
            return self.finish();
        };
        self.note(Note::Ended(reason));
        self.actions.push(Action::AppendEnded(held.session, reason));
        self.actions.push(Action::WriteEnded(reason));
        self.actions.push(Action::Forget);
        self.over(held.session, reason);
    }

    /// Another process ended the session (or this one, while something of it was under way).
    pub(super) fn follow_ending(&mut self, reason: EndingReason) {
        let Some(held) = self.state.held.take() else {
            return self.finish();
        };
        self.note(Note::Ended(reason));
        self.actions.push(Action::Forget);
        self.over(held.session, reason);
    }

    pub(super) fn over(&mut self, session: Id, reason: EndingReason) {
        self.state.standing = match reason {
            EndingReason::SignedOut => Standing::SignedOut,
            _ => Standing::Ended {
                reason,
                at: self.now.wall,
            },
        };
        self.state.storage = Storage::Saved;
        self.settle(Outcome::SignedOut);
        self.forget_renewal();
        self.state.agenda.renew = None;
        self.state.agenda.remove = Some(session);
        self.leave_pause();
        self.proceed();
    }

    /// The entry that was stored is gone, and with it the only credentials that still work. No ending: the server has
    /// said nothing, and who unlocks or restores the keyring has the session back.
    pub(super) fn lose(&mut self, view: View) {
        self.note(Note::EntryLost);
        self.state.held = None;
        self.state.storage = Storage::Saved;
        self.actions.push(Action::Forget);
        self.still_locked(view);
        self.settle(Outcome::Locked);
        self.forget_renewal();
        self.state.agenda.renew = None;
        self.finish();
    }

    /// The stored session that the vault does not show is over: another process ended it. Whether it did.
    pub(super) fn hidden_is_over(&mut self, files: FileView) -> bool {
        let ended = files.state.and_then(|file| file.ended);
        let (Standing::Locked(_), Some((reason, at))) = (self.state.standing, ended) else {
            return false;
        };
        self.state.hidden = None;
        self.state.standing = match reason {
            EndingReason::SignedOut => Standing::SignedOut,
            _ => Standing::Ended { reason, at },
        };
        true
    }

    pub(super) fn still_locked(&mut self, view: View) {
        if self.hidden_is_over(view.files) {
            return;
        }
        let reason = match view.vault {
            VaultView::Unavailable(error) => locked_reason(error),
            VaultView::Damaged => LockedReason::KeyringFailed,
            _ => LockedReason::KeyringLockedOrCleared,
        };
        self.state.standing = Standing::Locked(reason);
        if let Some(file) = view.files.state.filter(|file| file.ended.is_none()) {
            self.state.hidden = Some(file.info.session);
        }
    }

    /// This step is done; what else is on the agenda comes next, with the lock still held.
    pub(super) fn finish(&mut self) {
        self.state.step = Step::Idle;
        self.proceed();
    }

    /// Keeps the lock until the held credentials are saved; a renewal that is wanted meanwhile does not wait for that.
    pub(super) fn keep(&mut self, tries: u32) {
        if self.state.agenda.renew.is_some() {
            return self.finish();
        }
        let pause = SAVE_AGAIN_AT_MOST.min(SAVE_AGAIN_AFTER << tries.min(5));
        self.state.step = Step::Keeping {
            due: self.now.awake + pause,
            tries: tries + 1,
        };
    }

    pub(super) fn release(&mut self) {
        if self.state.locked {
            self.state.locked = false;
            self.actions.push(Action::ReleaseLock);
        }
    }

    /// The pause or the keeping belonged to a session that is over.
    pub(super) fn leave_pause(&mut self) {
        if matches!(self.state.step, Step::Pausing { .. } | Step::Keeping { .. }) {
            self.state.step = Step::Idle;
        }
    }

    pub(super) fn try_at(&mut self, due: u64) {
        self.state.insists = true;
        self.state.step = Step::Pausing { due, floor: false };
        self.tick();
    }

    pub(super) fn forget_renewal(&mut self) {
        self.state.unreachable = None;
        self.state.probe = None;
        self.state.budget_until = None;
        self.state.lost_answer = None;
        self.state.backoff = Backoff::default();
        self.state.failing_since = None;
        self.state.not_before = None;
        self.state.asked_twice = false;
        self.state.insists = false;
        self.state.skipped = false;
        self.state.served = false;
        self.state.ahead_at = None;
    }

    /// The credentials whose exchange is under way, if they are still the held ones.
    pub(super) fn current_of_step(&self) -> Option<CredentialsInfo> {
        match self.state.step {
            Step::Exchanging { from, .. } => self
                .state
                .held
                .filter(|held| held.credentials == from.credentials),
            _ => self.state.held,
        }
    }

    pub(super) fn wait(&mut self, waiter: WaiterId) {
        self.state.waiters.push(waiter);
        if self.state.locked && self.state.budget_until.is_none() {
            self.state.budget_until = Some(self.now.awake + self.rules.renewal_timeout);
        }
    }

    pub(super) fn settle(&mut self, outcome: Outcome) {
        self.state.budget_until = None;
        if !self.state.waiters.is_empty() {
            let waiters = std::mem::take(&mut self.state.waiters);
            self.actions.push(Action::Settle(waiters, outcome));
        }
    }

    pub(super) fn settle_one(&mut self, waiter: WaiterId, outcome: Outcome) {
        self.actions.push(Action::Settle(vec![waiter], outcome));
    }

    /// One failure for all who wait (I8). Nobody is told where nobody waits: a failed early renewal disturbs no one.
    pub(super) fn tell_unreachable(&mut self, due: u64, who: Unreachable) {
        if !self.state.waiters.is_empty() {
            self.state.unreachable = Some(who);
            self.note(Note::WaitersTold {
                waiters: self.state.waiters.len(),
            });
            self.settle(Outcome::Unreachable { due, who });
        }
    }

    pub(super) fn write_state(&mut self, of: Id, saved: bool, failure: Option<(TokenFate, i64)>) {
        self.actions.push(Action::WriteState {
            of,
            saved,
            not_before: self.state.not_before,
            failure,
        });
    }

    pub(super) fn note(&mut self, note: Note) {
        self.actions.push(Action::Note(note));
    }
}

pub(super) fn not_saved(error: VaultError) -> NotSaved {
    match error {
        VaultError::Locked => NotSaved::KeyringLocked,
        VaultError::Missing => NotSaved::KeyringMissing,
        VaultError::TooLong => NotSaved::TooLong,
        VaultError::Slow => NotSaved::KeyringSlow,
        VaultError::Failed => NotSaved::KeyringFailed,
    }
}

pub(super) fn locked_reason(error: VaultError) -> LockedReason {
    match error {
        // A locked keyring with its prompt open does not answer in time, either.
        VaultError::Locked | VaultError::Slow => LockedReason::KeyringLocked,
        VaultError::Missing => LockedReason::KeyringMissing,
        VaultError::TooLong | VaultError::Failed => LockedReason::KeyringFailed,
    }
}
