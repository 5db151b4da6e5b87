//! How a step goes on: lock, reread, mark, exchange, save.

use super::*;

impl Transition<'_> {
    /// Begins whatever the agenda asks for; with an empty one the lock is released.
    pub(super) fn proceed(&mut self) {
        if !matches!(self.state.step, Step::Idle) {
            return;
        }
        let Agenda {
            look,
            sign_in,
            remove,
            renew,
            ..
        } = self.state.agenda;
        if !look && sign_in.is_none() && remove.is_none() && renew.is_none() && !self.is_unsaved() {
            return self.release();
        }
        self.state.round_began = self.now.wall;
        if self.state.locked {
            return self.reread_now();
        }
        self.state.step = Step::Locking;
        // A lock that is taken is left to its holder, if nothing but the early renewal wants it.
        let only_ahead = renew == Some(RenewalReason::Ahead)
            && !look
            && sign_in.is_none()
            && remove.is_none()
            && !self.is_unsaved();
        self.actions.push(Action::TakeLock {
            patient: !only_ahead,
        });
    }

    pub(super) fn is_unsaved(&self) -> bool {
        self.state.held.is_some() && matches!(self.state.storage, Storage::NotSaved(_))
    }

    pub(super) fn reread_now(&mut self) {
        self.state.step = Step::Rereading;
        self.actions.push(Action::Reread);
    }

    pub(super) fn lock_taken(&mut self) {
        self.state.locked = true;
        if !self.state.waiters.is_empty() && self.state.budget_until.is_none() {
            self.state.budget_until = Some(self.now.awake + self.rules.renewal_timeout);
        }
        self.reread_now();
    }

    pub(super) fn lock_not_taken(&mut self) {
        self.state.step = Step::Idle;
        if let Some(info) = self.state.agenda.sign_in {
            // The person is signed in all the same; what cannot be saved now is saved later.
            self.hold_unsaved(info, NotSaved::KeyringSlow);
        }
        if self.state.agenda.renew == Some(RenewalReason::Ahead) {
            if self.state.waiters.is_empty() {
                // Whoever holds the lock renews; the state file will say so.
                self.state.agenda.renew = None;
                self.state.ahead_at = Some(self.now.awake + LOOK_AGAIN_WHEN_IDLE);
                return;
            }
            // A call joined meanwhile, and does not mind waiting for the lock.
            self.state.agenda.renew = Some(RenewalReason::Expired);
            return self.proceed();
        }
        let due = self.pause_for_vault_or_lock();
        self.tell_unreachable(due, Unreachable::HeldByOtherProcess);
        self.state.step = Step::Pausing { due, floor: false };
    }

    pub(super) fn reread(&mut self, view: View) {
        if let Some(reason) = view.files.ended
            && self.state.held.is_some()
        {
            self.state.step = Step::Idle;
            return self.follow_ending(reason);
        }
        let confirming = match self.state.step {
            Step::Confirming { ambiguous } => Some(ambiguous),
            _ => None,
        };
        self.state.step = Step::Idle;
        self.state.agenda.look = std::mem::take(&mut self.state.agenda.look_again);
        // Signed out while this was being read: the view is older than that (I5).
        let is_late = |info: CredentialsInfo| self.state.agenda.remove == Some(info.session);
        if let VaultView::Entry { info, .. } = view.vault
            && !is_late(info)
        {
            let unfinished = view.unfinished_exchange(self.state.marked_at);
            let newest = self.state.agenda.sign_in.or(self.state.held);
            match newest {
                Some(ours) if ours.credentials == info.credentials => {
                    // Whoever began that exchange held this lock, and is gone.
                    if self.state.lost_answer.is_none() {
                        self.state.lost_answer = unfinished.map(LostAnswer::at);
                    }
                }
                Some(ours) if !info.supersedes(&ours) => {}
                _ => {
                    if self.state.agenda.sign_in.take().is_some() {
                        self.actions.push(Action::SignInDone);
                    }
                    return self.adopt(info, unfinished);
                }
            }
        } else if self.is_hidden(&view) {
            self.still_locked(view);
        }
        if let VaultView::DeadEntry(session) = view.vault
            && !self.has_just_failed_to_remove(session)
        {
            self.state.agenda.remove = Some(session);
        }
        // Where somebody has signed out, or in anew, meanwhile, there is nothing left to confirm.
        if let Some(ambiguous) = confirming.filter(|_| self.state.held.is_some()) {
            if self.is_spent(&view) {
                return self.wait_for_newer(view);
            }
            return self.confirm(ambiguous);
        }
        self.work_off(view);
    }

    /// Tried again without a pause, it would keep everything else from its turn.
    fn has_just_failed_to_remove(&self, session: Id) -> bool {
        let left = self.state.leftover;
        left.is_some_and(|left| left.session == session && left.due > self.now.awake)
    }

    /// Whether a session is stored, here for nobody to see: the one that was hidden at the start, or one that another
    /// process has begun since.
    fn is_hidden(&self, view: &View) -> bool {
        let file = view.files.state;
        let is_stored = file.is_some_and(|file| file.saved && file.ended.is_none());
        let has_none = self.state.held.is_none() && self.state.agenda.sign_in.is_none();
        matches!(self.state.standing, Standing::Locked(_))
            || is_stored && has_none && !matches!(view.vault, VaultView::DeadEntry(_))
    }

    /// Nothing newer is stored: do what the agenda says.
    pub(super) fn work_off(&mut self, view: View) {
        if let Some(info) = self.state.agenda.sign_in {
            self.end_what_is_overwritten_by(info, view);
            self.save(info, 0);
        } else if let Some(session) = self.state.agenda.remove {
            self.state.step = Step::Removing;
            self.actions.push(Action::Remove(session));
        } else if self.wants_to_use_held() && self.is_spent(&view) {
            self.wait_for_newer(view);
        } else if let (Some(held), Some(_)) = (self.state.held, self.state.agenda.renew) {
            self.consider_renewing(held, view);
        } else if let Some(held) = self.state.held.filter(|_| self.is_unsaved()) {
            self.end_what_is_overwritten_by(held, view);
            self.save(held, 0);
        } else {
            self.state.agenda.renew = None;
            self.finish();
        }
    }

    /// A session that was begun before, by a process of which this one has not heard yet, or that could save when this
    /// one could not: its entry, or the state file where the entry cannot be read. Who holds it learns that it is over.
    fn end_what_is_overwritten_by(&mut self, ours: CredentialsInfo, view: View) {
        let stored = match view.vault {
            VaultView::Entry { info, .. } => Some(info.session),
            _ => None,
        };
        let standing = view.files.state.filter(|file| file.ended.is_none());
        let named = standing.map(|file| file.info.session);
        for session in [stored, named.filter(|_| named != stored)]
            .into_iter()
            .flatten()
        {
            if session != ours.session {
                let ended = Action::AppendEnded(session, EndingReason::SignedOut);
                self.actions.push(ended);
            }
        }
    }

    /// Whether what the agenda asks for would send the held refresh token, or store it.
    fn wants_to_use_held(&self) -> bool {
        self.state.agenda.renew.is_some() || self.is_unsaved()
    }

    /// Whether another process has renewed, and the vault does not show just now what it stored. The held refresh token
    /// is spent then: it is neither sent, nor written over the newer one, nor is its rejection believed.
    fn is_spent(&self, view: &View) -> bool {
        let standing = view.files.state.filter(|file| file.ended.is_none());
        let is_older = standing
            .zip(self.state.held)
            .is_some_and(|(file, held)| file.info.supersedes(&held));
        let may_hide = match view.vault {
            VaultView::Entry { .. } | VaultView::DeadEntry(_) => false,
            // Only what was stored before can come back from there.
            VaultView::Unavailable(VaultError::Missing) | VaultView::Empty | VaultView::Damaged => {
                standing.is_some_and(|file| file.saved)
            }
            VaultView::Unavailable(_) => true,
        };
        is_older && may_hide
    }

    /// The held refresh token is spent, and the newer one not to be seen. A vault that gave no answer is read again
    /// later. One that says that the entry is gone, or damaged, was cleared by somebody: that is for the person to
    /// know, as soon as the held access token is of no use, either.
    fn wait_for_newer(&mut self, view: View) {
        let is_gone = matches!(view.vault, VaultView::Empty | VaultView::Damaged);
        let is_needed = self.state.agenda.renew.is_some() && !self.is_early();
        if is_gone && is_needed {
            return self.lose(view);
        }
        let due = self.pause_for_vault_or_lock();
        self.tell_unreachable(due, Unreachable::HeldByOtherProcess);
        self.pause(due, false);
    }

    pub(super) fn save(&mut self, received: CredentialsInfo, tries: u32) {
        self.state.step = Step::Saving { received, tries };
        self.actions.push(Action::Save(received));
    }

    pub(super) fn consider_renewing(&mut self, held: CredentialsInfo, view: View) {
        if let Some(file) = view
            .files
            .state
            .filter(|file| file.info.credentials == held.credentials)
        {
            self.state.not_before = self.state.not_before.max(file.not_before);
            let failure = file
                .last_failure
                .filter(|failure| failure.credentials == held.credentials);
            if let Some(failure) = failure {
                // The mark in the vault says it, too, where it could be written.
                if failure.token == TokenFate::MaybeUsed && self.state.lost_answer.is_none() {
                    self.state.lost_answer = Some(LostAnswer::at(failure.at));
                }
                // One from the future was noted before the clock was set back, and says nothing about when.
                let since = self.state.round_began + 1;
                let just_tried = (since..=self.now.wall).contains(&failure.at);
                let is_pausing = self.shares_pause(held, failure.next_at) && !self.state.insists;
                if just_tried || is_pausing {
                    return self.share_failure(failure);
                }
            }
        }
        if let Some(until) = self
            .state
            .not_before
            .filter(|until| self.is_in_a_pause(*until))
        {
            let wait = until - self.now.wall;
            let due = self.now.awake + u64::try_from(wait).unwrap_or(0);
            self.tell_unreachable(due, Unreachable::Server);
            return self.pause(due, true);
        }
        self.state.insists = false;
        self.state.step = Step::Marking;
        if let VaultView::Unavailable(error) = view.vault {
            // What could not be read may be newer, and is not written over.
            return self.marked(Err(error));
        }
        // While an answer is lost, the mark keeps its time: whoever finds it counts the grace time from there.
        let lost = self.state.lost_answer.as_ref();
        let at = lost.map_or(self.now.wall, LostAnswer::since);
        self.state.marked_at = Some(at);
        self.end_what_is_overwritten_by(held, view);
        self.actions.push(Action::Mark { at });
    }

    /// Whether an attempt is to wait for a pause in the files. One that was drawn for an early renewal lasts up to the
    /// end of the token's life, and binds other early ones; somebody who needs a renewal does not sit it out.
    fn shares_pause(&self, held: CredentialsInfo, until: i64) -> bool {
        let token_until = held.access_until.unwrap_or(i64::MAX);
        let longest = if self.is_early() {
            token_until.saturating_sub(self.now.server)
        } else {
            i64::try_from(self.rules.max_backoff).unwrap_or(i64::MAX)
        };
        (1..=longest).contains(&(until - self.now.wall))
    }

    fn is_in_a_pause(&self, until: i64) -> bool {
        (1..=LONGEST_RETRY_AFTER).contains(&(until - self.now.wall))
    }

    pub(super) fn marked(&mut self, result: Result<(), VaultError>) {
        let Some(held) = self.current_of_step() else {
            return self.finish();
        };
        match result {
            Ok(()) => self.state.storage = Storage::Saved,
            Err(error) => {
                self.note(Note::SaveFailed(error));
                let works = self.state.agenda.renew == Some(RenewalReason::Ahead)
                    && !held.has_expired(self.now.server);
                if works && self.state.waiters.is_empty() {
                    let due = self.pause_for_vault_or_lock();
                    return self.pause(due, false);
                }
                self.state.storage = Storage::NotSaved(not_saved(error));
            }
        }
        let attempt = self.state.backoff.failures() + 1;
        self.note(Note::AttemptSent {
            why: self.state.agenda.renew.unwrap_or(RenewalReason::Expired),
            attempt,
            generation: held.generation,
            waiters: self.state.waiters.len(),
        });
        self.state.step = Step::Exchanging {
            from: held,
            sent_at: self.now.awake,
            attempt,
        };
        self.actions.push(Action::Exchange);
    }

    pub(super) fn exchanged(&mut self, exchange: Exchange) {
        let Step::Exchanging { sent_at, .. } = self.state.step else {
            return;
        };
        let took = self.now.awake.saturating_sub(sent_at);
        self.note(Note::Answered { exchange, took });
        let ours = self.current_of_step();
        if let Exchange::Renewed(received) = exchange {
            if ours.is_some_and(|held| held.session == received.session) {
                // Before the save: whoever cannot read the vault after a crash must know that the old ones are spent.
                self.write_state(received.credentials, false, None);
                self.save(received, 0);
            } else {
                // Signed out, or signed in anew, while it was on the wire (I5).
                self.actions.push(Action::Drop(received.credentials));
                self.finish();
            }
            return;
        }
        if ours.is_none() {
            return self.finish();
        }
        match exchange {
            Exchange::Renewed(_) => {}
            Exchange::Rejected { ambiguous } => {
                self.state.step = Step::Confirming { ambiguous };
                self.actions.push(Action::Reread);
            }
            Exchange::Inconclusive { token, retry_after } => {
                if token == TokenFate::MaybeUsed && self.state.lost_answer.is_none() {
                    let took = i64::try_from(took).unwrap_or(0);
                    self.state.lost_answer = Some(LostAnswer::at(self.now.wall - took));
                }
                self.fail(token, retry_after);
            }
        }
    }

    pub(super) fn saved(&mut self, result: Result<(), SaveFailure>) {
        let Step::Saving { received, tries } = self.state.step else {
            return;
        };
        let is_sign_in = self
            .state
            .agenda
            .sign_in
            .is_some_and(|info| info.credentials == received.credentials);
        let is_ours = is_sign_in
            || self
                .state
                .held
                .is_some_and(|held| held.session == received.session);
        let ended = match result {
            Err(SaveFailure::Ended(reason)) => Some(reason),
            Ok(()) | Err(SaveFailure::Vault(_)) => None,
        };
        if !is_ours || ended.is_some() {
            return self.drop_late(received, is_sign_in, ended);
        }
        let failure = match result {
            Err(SaveFailure::Vault(error)) => Some(error),
            Ok(()) | Err(SaveFailure::Ended(_)) => None,
        };
        self.note(failure.map_or(Note::Saved, Note::SaveFailed));
        if !is_sign_in && self.state.held != Some(received) {
            self.note(Note::Renewed {
                generation: received.generation,
                waiters: self.state.waiters.len(),
            });
        }
        self.write_state(received.credentials, failure.is_none(), None);
        self.hold(received);
        match failure {
            None => {
                self.state.storage = Storage::Saved;
                self.finish();
            }
            Some(error) => {
                self.state.storage = Storage::NotSaved(not_saved(error));
                self.keep(tries);
            }
        }
    }

    /// Signed out, or signed in anew, while they were being saved (I5): whatever was written is removed.
    pub(super) fn drop_late(
        &mut self,
        received: CredentialsInfo,
        is_sign_in: bool,
        ended: Option<EndingReason>,
    ) {
        self.actions.push(Action::Drop(received.credentials));
        self.state.step = Step::Idle;
        if is_sign_in {
            self.state.agenda.sign_in = None;
            self.actions.push(Action::SignInDone);
        } else if let Some(reason) = ended {
            self.follow_ending(reason);
        }
        self.state.agenda.remove = Some(received.session);
        self.proceed();
    }

    pub(super) fn removed(&mut self, result: Result<(), VaultError>) {
        self.note(Note::Removed(result.is_ok()));
        let session = self.state.agenda.remove.take();
        let before = self.state.leftover.take();
        self.state.leftover = session.filter(|_| result.is_err()).map(|session| {
            let same = before.filter(|before| before.session == session);
            let tries = same.map_or(0, |before| before.tries + 1);
            let pause = REMOVE_AGAIN_AT_MOST.min(REMOVE_AGAIN_AFTER << tries.min(10));
            Leftover {
                session,
                tries,
                due: self.now.awake + pause,
            }
        });
        self.finish();
    }

    pub(super) fn tick(&mut self) {
        let awake = self.now.awake;
        if let (Some(since), Some(after)) = (self.state.failing_since, self.rules.end_after)
            && awake >= since + after
            && self.state.held.is_some()
            && matches!(self.state.step, Step::Pausing { .. })
        {
            self.state.step = Step::Idle;
            return self.end(EndingReason::UnreachableTooLong);
        }
        if let Some(Probe { due, .. }) = &mut self.state.probe
            && due.is_some_and(|at| at <= awake)
        {
            *due = None;
            self.actions.push(Action::Probe);
        }
        if self.state.budget_until.is_some_and(|until| until <= awake) {
            let who = match self.state.step {
                Step::Locking => Unreachable::HeldByOtherProcess,
                _ => Unreachable::Server,
            };
            self.tell_unreachable(self.state.next_attempt().unwrap_or(awake), who);
        }
        match self.state.step {
            Step::Pausing { due, .. } if due <= awake => {
                self.state.step = Step::Idle;
                self.proceed();
            }
            Step::Keeping { due, tries } if due <= awake => match self.state.held {
                Some(held) => self.save(held, tries),
                None => self.finish(),
            },
            Step::Idle if self.state.leftover.is_some_and(|left| left.due <= awake) => {
                self.state.agenda.remove = self.state.leftover.map(|left| left.session);
                self.proceed();
            }
            // While the server is known to be away, an early renewal would only fail; see `reached`.
            Step::Idle
                if self.state.ahead_at.is_some_and(|at| at <= awake)
                    && self.state.unreachable.is_none() =>
            {
                self.state.ahead_at = None;
                if self.now.in_use {
                    self.state.agenda.renew.get_or_insert(RenewalReason::Ahead);
                    self.proceed();
                } else {
                    self.state.ahead_at = Some(awake + LOOK_AGAIN_WHEN_IDLE);
                }
            }
            _ => {}
        }
    }
}
