//! The steps of a renewal: lock, reread, mark, exchange, save.

use crate::action::{Action, Outcome};
use crate::cause::{Cause, IoFailure};
use crate::event::{Exchange, FailureSeen, RenewalReason, SaveFailure, VaultView, View};
use crate::forward::CALLS_WAIT_AFTER_FAILURE;
use crate::ids::{CredentialsInfo, SessionId};
use crate::note::Note;
use crate::outage::LostAnswer;
use crate::reasons::{EndingReason, Storage, TokenFate, Unreachable, VaultError};
use crate::schedule;
use crate::standing::{Expiry, Held, Since, Standing};
use crate::state::Agenda;
use crate::step::Step;
use crate::time::Wall;
use crate::transition::Transition;

/// An early renewal that left the lock to its holder looks again after this long, in ms.
const AHEAD_AGAIN_AFTER: u64 = 60_000;

/// A server's pause in the files that ends later than this, in ms, was written by a clock that has been set back since:
/// Retry-After is capped at 10 min.
const LONGEST_RETRY_AFTER: u64 = 600_000;

/// A pause that has this much left by the wall clock, in ms, is over: its end was counted from another reading of the two
/// clocks.
const READ_APART: u64 = 10;

impl Transition<'_> {
    /// Begins what the agenda asks for; with an empty one the lock is released.
    pub(crate) fn proceed(&mut self) {
        if self.state.step != Step::Idle {
            return;
        }
        let Agenda {
            look,
            sign_in,
            remove,
            renew,
            write_state,
            ..
        } = self.state.agenda;
        let wants_lock =
            look || sign_in.is_some() || remove.is_some() || write_state || self.state.is_unsaved();
        if !wants_lock && renew.is_none() {
            return self.release();
        }
        self.state.round_began = self.now.wall;
        if self.state.has_lock {
            return self.reread_now();
        }
        self.state.step = Step::Locking;
        // A lock that is taken is left to its holder, if nothing but the early renewal wants it.
        let patient = wants_lock || renew != Some(RenewalReason::Ahead);
        self.act(Action::TakeLock { patient });
    }

    /// This step is done; what else is on the agenda comes next, with the lock still held.
    pub(crate) fn finish(&mut self) {
        self.state.step = Step::Idle;
        self.proceed();
    }

    pub(crate) fn release(&mut self) {
        if std::mem::take(&mut self.state.has_lock) {
            self.act(Action::ReleaseLock);
        }
    }

    fn reread_now(&mut self) {
        self.state.step = Step::Rereading;
        self.act(Action::Reread);
    }

    pub(crate) fn lock_taken(&mut self) {
        self.state.has_lock = true;
        self.start_deadline();
        self.reread_now();
    }

    /// Another process holds the lock, or there is none to take. Where the file system gives no lock at all the renewal goes
    /// on: this process still renews once for all of its calls, and a session that never renews is of no use. One that only
    /// did not answer in time, as after a freeze of this process, may well keep a lock for somebody else.
    pub(crate) fn lock_not_taken(&mut self, cause: Cause) {
        self.state.step = Step::Idle;
        let is_held = cause == Cause::LockHeld;
        let is_slow = cause == Cause::NoLock(IoFailure::Slow);
        if !is_held && !is_slow && !self.rules.requires_lock {
            self.note(Note::LockNotTaken(cause));
            return self.lock_taken();
        }
        let who = if is_held {
            Unreachable::HeldByOtherProcess
        } else {
            Unreachable::StateFolder
        };
        if let Some(info) = self.state.agenda.sign_in {
            // The person is signed in all the same; what cannot be saved now is saved later.
            self.hold_unsaved(info, VaultError::Slow);
        }
        if self.state.agenda.renew == Some(RenewalReason::Ahead) {
            if self.state.waiters.is_empty() {
                // The holder of the lock renews; the state file will say so.
                self.state.agenda.renew = None;
                let again = self.now.awake.plus(AHEAD_AGAIN_AFTER);
                if let Some(held) = self.state.held_mut() {
                    held.renew_ahead_at = Some(again);
                }
                return;
            }
            // A call joined meanwhile, and does not mind waiting for the lock.
            self.state.agenda.renew = Some(RenewalReason::Expired);
            return self.proceed();
        }
        self.note(Note::LockNotTaken(cause));
        let due = self.pause_for_vault_or_lock(cause);
        self.tell_unreachable(due, who);
        self.state.step = Step::Pausing { due, fixed: false };
    }

    /// Files and vault were read under the lock: adopt what is newer, or go on with the agenda.
    pub(crate) fn reread(&mut self, view: View) {
        let held = self.state.held();
        if let Some(reason) = view.files.ended
            && held.is_some()
        {
            self.state.step = Step::Idle;
            return self.follow_ending(reason);
        }
        if view.files.unreadable == Some(IoFailure::Slow) && self.state.agenda.sign_in.is_none() {
            let confirms = matches!(self.state.step, Step::Confirming { .. });
            if confirms || self.state.agenda.renew.is_some() {
                return self.wait_for_files();
            }
        }
        let rejection = match self.state.step {
            Step::Confirming { ambiguous, cause } => Some((ambiguous, cause)),
            _ => None,
        };
        self.state.step = Step::Idle;
        self.state.agenda.look = std::mem::take(&mut self.state.agenda.look_again);
        // Signed out while this was being read: the view is older than that (I5).
        let is_late = |info: CredentialsInfo| self.state.agenda.remove == Some(info.session);
        if let VaultView::Entry { info, .. } = view.vault
            && !is_late(info)
        {
            let unfinished = view.unfinished_exchange(self.own_mark());
            match self.state.agenda.sign_in.or(held) {
                Some(ours) if ours.credentials == info.credentials => {
                    // The process that began that exchange held this lock, and is gone.
                    if self.state.outage.lost_answer.is_none() {
                        self.state.outage.lost_answer = unfinished.map(LostAnswer::at);
                    }
                }
                Some(ours) if !info.supersedes(&ours) => {}
                _ => {
                    if self.state.agenda.sign_in.take().is_some() {
                        self.act(Action::SignInDone);
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
        // After a sign-out or a new sign-in meanwhile, there is nothing left to confirm.
        if let Some((ambiguous, cause)) = rejection.filter(|_| self.state.held().is_some()) {
            if self.is_spent(&view) {
                return self.wait_for_newer(view);
            }
            return self.confirm(ambiguous, cause);
        }
        self.work_off(view);
    }

    /// When this process marked the held credentials itself.
    fn own_mark(&self) -> Option<Wall> {
        match self.state.session {
            Standing::Active(held) => held.marked_at,
            _ => None,
        }
    }

    /// Tried again without a pause, it would keep everything else from its turn.
    fn has_just_failed_to_remove(&self, session: SessionId) -> bool {
        let cleanup = self.state.cleanup;
        cleanup.is_some_and(|left| left.session == session && left.due > self.now.awake)
    }

    /// Whether a session is stored, and nobody can see it here: the one that was hidden at the start, or one that another
    /// process has begun since.
    fn is_hidden(&self, view: &View) -> bool {
        let is_stored = view.files.standing().is_some_and(|file| file.saved);
        let has_none = self.state.held().is_none() && self.state.agenda.sign_in.is_none();
        matches!(self.state.session, Standing::Locked { .. })
            || is_stored && has_none && !matches!(view.vault, VaultView::DeadEntry(_))
    }

    /// Nothing newer is stored: do what the agenda says.
    fn work_off(&mut self, view: View) {
        let held = self.state.held();
        if let Some(info) = self.state.agenda.sign_in {
            self.end_what_is_overwritten_by(info, view);
            self.save(info, 0);
        } else if let Some(session) = self.state.agenda.remove {
            self.state.step = Step::Removing;
            self.act(Action::Remove(session));
        } else if self.wants_to_use_held() && self.is_spent(&view) {
            self.wait_for_newer(view);
        } else if let (Some(held), Some(_)) = (held, self.state.agenda.renew) {
            self.consider_renewing(held, view);
        } else if let Some(held) = held.filter(|_| self.state.is_unsaved()) {
            self.end_what_is_overwritten_by(held, view);
            self.save(held, 0);
        } else if self.state.agenda.write_state {
            self.write_state_again();
            self.finish();
        } else {
            self.state.agenda.renew = None;
            self.finish();
        }
    }

    /// A session that was begun before, by a process of which this one has not heard yet, or that could save when this
    /// one could not: its entry, or the state file where the entry cannot be read. Its holder learns that it is over.
    fn end_what_is_overwritten_by(&mut self, ours: CredentialsInfo, view: View) {
        let stored = match view.vault {
            VaultView::Entry { info, .. } => Some(info.session),
            _ => None,
        };
        let named = view.files.standing().map(|file| file.info.session);
        for session in [stored, named.filter(|_| named != stored)]
            .into_iter()
            .flatten()
        {
            if session != ours.session {
                self.append_ended(session);
            }
        }
    }

    /// Whether what the agenda asks for would send the held refresh token, or store it.
    fn wants_to_use_held(&self) -> bool {
        self.state.agenda.renew.is_some() || self.state.is_unsaved()
    }

    /// Whether another process has renewed, and the vault does not show just now what it stored. The held refresh token
    /// is spent then: it is neither sent, nor written over the newer one, nor does its rejection count.
    fn is_spent(&self, view: &View) -> bool {
        let standing = view.files.standing();
        let is_older = standing
            .zip(self.state.held())
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

    /// The held refresh token is spent, and the vault does not show the newer one. A vault that gave no answer is read
    /// again later. Where it says that the entry is gone, or damaged, somebody cleared it: the person learns that as soon
    /// as the held access token is of no use, either.
    fn wait_for_newer(&mut self, view: View) {
        let is_gone = matches!(view.vault, VaultView::Empty | VaultView::Damaged);
        let is_needed = self.state.agenda.renew.is_some() && !self.is_early();
        if is_gone && is_needed {
            return self.lose(view);
        }
        let due = self.pause_for_vault_or_lock(Cause::NewerNotShown);
        self.tell_unreachable(due, Unreachable::HeldByOtherProcess);
        self.pause(due, false);
    }

    /// The files may say that the session is over, or that the held refresh token is spent.
    fn wait_for_files(&mut self) {
        let due = self.pause_for_vault_or_lock(Cause::Files(IoFailure::Slow));
        self.tell_unreachable(due, Unreachable::StateFolder);
        self.pause(due, false);
    }

    fn consider_renewing(&mut self, held: CredentialsInfo, view: View) {
        if let Some(file) = view
            .files
            .state
            .filter(|file| file.info.credentials == held.credentials)
        {
            let outage = &mut self.state.outage;
            outage.not_before = outage.not_before.max(file.not_before);
            let failure = file
                .last_failure
                .filter(|failure| failure.credentials == held.credentials);
            if let Some(failure) = failure {
                // The mark in the vault says it, too, where it could be written.
                if failure.token == TokenFate::MaybeUsed && outage.lost_answer.is_none() {
                    outage.lost_answer = Some(LostAnswer::at(failure.at));
                }
                if self.binds(held, failure) {
                    return self.share_failure(failure);
                }
            }
        }
        if let Some(wait) = self.server_pause() {
            let due = self.now.awake.plus(wait);
            self.tell_unreachable(due, Unreachable::Server);
            return self.pause(due, true);
        }
        if self.must_not_be_sent_again() {
            return self.give_up(held);
        }
        self.state.outage.overrides = None;
        self.state.step = Step::Marking;
        if let VaultView::Unavailable(error) = view.vault {
            // What could not be read may be newer, and is not written over.
            return self.marked(Err(error));
        }
        // While an answer is lost, the mark keeps its time: the process that finds it counts the grace time from there.
        let lost = self.state.outage.lost_answer.as_ref();
        let at = lost.map_or(self.now.wall, LostAnswer::since);
        if let Some(held) = self.state.held_mut() {
            held.marked_at = Some(at);
        }
        self.end_what_is_overwritten_by(held, view);
        self.act(Action::Mark { at });
    }

    /// Whether the held refresh token may have been used, and the server would end the session if it came a second time.
    fn must_not_be_sent_again(&self) -> bool {
        let lost = self.state.outage.lost_answer.as_ref();
        self.rules.reuse_ends_session
            && lost.is_some_and(|lost| !lost.is_in_grace(self.now.wall, self.rules.grace))
    }

    /// Nothing renews these credentials any more. They are used for as long as they work; then the session is over.
    fn give_up(&mut self, held: CredentialsInfo) {
        if self.state.waiters.is_empty()
            && let Some(left) = held
                .access_until
                .and_then(|until| until.since(self.now.server))
            && left > 0
        {
            self.state.agenda.renew = Some(RenewalReason::Ahead);
            return self.put_off(self.now.awake.plus(left));
        }
        self.end(EndingReason::LostAnswer, Cause::NotSentAgain);
    }

    /// Whether the failed attempt of another process, and the pause after it, stand for this one's.
    fn binds(&self, held: CredentialsInfo, failure: FailureSeen) -> bool {
        // One from the future was noted before the clock was set back, and says nothing about when.
        let just_tried = failure.at > self.state.round_began && failure.at <= self.now.wall;
        // A call does not sit out the pause of another process, as it does not sit out one of its own.
        let by_calls =
            (!self.state.waiters.is_empty()).then(|| self.now.wall.minus(CALLS_WAIT_AFTER_FAILURE));
        let overrides = self.state.outage.overrides.max(by_calls);
        let is_overridden = overrides.is_some_and(|until| failure.at <= until);
        just_tried || !is_overridden && self.shares_pause(held, failure.next_at)
    }

    /// Whether an attempt has to wait for a pause in the files. One that was drawn for an early renewal lasts up to the
    /// end of the token's life, and binds other early ones; a call that needs a renewal does not sit it out.
    fn shares_pause(&self, held: CredentialsInfo, until: Wall) -> bool {
        let longest = if !self.is_early() {
            Some(self.rules.max_backoff)
        } else if let Some(access_until) = held.access_until {
            access_until.since(self.now.server)
        } else {
            Some(u64::MAX)
        };
        let left = until.since(self.now.wall);
        let left = left.filter(|left| *left > READ_APART);
        left.zip(longest)
            .is_some_and(|(left, longest)| left <= longest)
    }

    /// What is left of the pause that the server asked for, in ms.
    fn server_pause(&self) -> Option<u64> {
        let left = self.state.outage.not_before?.since(self.now.wall)?;
        (1..=LONGEST_RETRY_AFTER).contains(&left).then_some(left)
    }

    /// The mark is written, or not: send the exchange.
    pub(crate) fn marked(&mut self, result: Result<(), VaultError>) {
        let Some(held) = self.state.held() else {
            return self.finish();
        };
        let reason = self.state.agenda.renew.unwrap_or(RenewalReason::Expired);
        match result {
            Ok(()) => self.state.storage = Storage::Saved,
            Err(error) => {
                self.note(Note::SaveFailed(error));
                let works = reason == RenewalReason::Ahead && !self.has_expired(&held);
                if works && self.state.waiters.is_empty() {
                    let due = self.pause_for_vault_or_lock(Cause::Vault(error));
                    return self.pause(due, false);
                }
                self.state.storage = Storage::NotSaved(error);
            }
        }
        let outage = &mut self.state.outage;
        outage.attempts = outage.attempts.saturating_add(1);
        let attempt = outage.attempts;
        let limit = schedule::attempt_limit(self.rules, outage.timeouts);
        self.note(Note::AttemptSent {
            reason,
            attempt,
            generation: held.generation,
            waiters: self.state.waiters.len(),
        });
        self.state.step = Step::Exchanging {
            from: held,
            sent_at: self.now.awake,
            attempt,
        };
        self.act(Action::Exchange { limit });
    }

    /// The exchange is over: save what it brought, confirm a rejection, or pause.
    pub(crate) fn exchanged(&mut self, exchange: Exchange) {
        let Step::Exchanging { sent_at, .. } = self.state.step else {
            return;
        };
        let took = self.now.awake.since(sent_at);
        self.note(Note::Answered { exchange, took });
        let outage = &mut self.state.outage;
        let had_its_time = took >= schedule::attempt_limit(self.rules, outage.timeouts);
        outage.timeouts = if had_its_time {
            outage.timeouts.saturating_add(1)
        } else {
            0
        };
        let ours = self.state.exchanged();
        if let Exchange::Renewed(received, _) = exchange {
            if ours.is_some_and(|held| held.session == received.session) {
                // Before the save: a process that cannot read the vault after a crash must know that the old ones are
                // spent.
                self.write_state(received.credentials, false, None);
                self.save(received, 0);
            } else {
                // Signed out, or signed in anew, while it was on the wire (I5).
                self.act(Action::Drop(received.credentials));
                self.finish();
            }
            return;
        }
        if ours.is_none() {
            return self.finish();
        }
        match exchange {
            Exchange::Renewed(..) => {}
            Exchange::Rejected { ambiguous, cause } => {
                self.state.step = Step::Confirming { ambiguous, cause };
                self.act(Action::Reread);
            }
            Exchange::Inconclusive {
                token,
                retry_after,
                cause,
            } => {
                if token == TokenFate::MaybeUsed && self.state.outage.lost_answer.is_none() {
                    let sent = self.now.wall.minus(took);
                    self.state.outage.lost_answer = Some(LostAnswer::at(sent));
                }
                self.fail(token, retry_after, cause);
            }
        }
    }

    pub(crate) fn save(&mut self, received: CredentialsInfo, tries: u32) {
        self.state.step = Step::Saving { received, tries };
        self.act(Action::Save(received));
    }

    /// The save is over: calls use the new credentials, stored or not (I3).
    pub(crate) fn saved(&mut self, result: Result<(), SaveFailure>) {
        let Step::Saving { received, tries } = self.state.step else {
            return;
        };
        let sign_in = self.state.agenda.sign_in;
        let held = self.state.held();
        let is_sign_in = sign_in.is_some_and(|info| info.credentials == received.credentials);
        let is_ours = is_sign_in || held.is_some_and(|held| held.session == received.session);
        let failure = match result {
            Ok(()) if is_ours => None,
            Err(SaveFailure::Vault(error)) if is_ours => Some(error),
            Err(SaveFailure::Ended(reason)) => {
                return self.drop_late(received, is_sign_in, Some(reason));
            }
            Ok(()) | Err(SaveFailure::Vault(_)) => {
                return self.drop_late(received, is_sign_in, None);
            }
        };
        self.note(failure.map_or(Note::Saved, Note::SaveFailed));
        if !is_sign_in && held != Some(received) {
            self.note(Note::Renewed {
                generation: received.generation,
                waiters: self.state.waiters.len(),
            });
        }
        self.write_state(received.credentials, failure.is_none(), None);
        // Issued a moment ago, and expired: the clocks are wrong.
        let expiry = if self.has_expired(&received) && !is_sign_in {
            Expiry::Unknown
        } else {
            Expiry::Believed
        };
        self.hold(received, 0, expiry);
        match failure {
            None => {
                self.state.storage = Storage::Saved;
                self.finish();
            }
            Some(error) => {
                self.state.storage = Storage::NotSaved(error);
                self.keep_lock(tries);
            }
        }
    }

    /// Signed out, or signed in anew, while they were being saved (I5): what was written of them is removed.
    fn drop_late(
        &mut self,
        received: CredentialsInfo,
        is_sign_in: bool,
        ended: Option<EndingReason>,
    ) {
        self.act(Action::Drop(received.credentials));
        self.state.step = Step::Idle;
        if is_sign_in {
            self.state.agenda.sign_in = None;
            self.act(Action::SignInDone);
        } else if let Some(reason) = ended {
            self.follow_ending(reason);
        }
        self.state.agenda.remove = Some(received.session);
        self.proceed();
    }

    /// Another process renewed first, or the stored session was read at the start: calls use it.
    pub(crate) fn adopt(&mut self, info: CredentialsInfo, renewing_at: Option<Wall>) {
        let at_start = self.state.session == Standing::Opening;
        self.note(if at_start {
            Note::Opened
        } else {
            Note::Adopted
        });
        let stored_for = self.now.server.since(info.issued_at).filter(|_| at_start);
        let age = stored_for.unwrap_or(0);
        self.hold(info, age, Expiry::Believed);
        self.state.storage = Storage::Saved;
        self.state.outage.lost_answer = renewing_at.map(LostAnswer::at);
        self.finish();
    }

    fn hold_unsaved(&mut self, info: CredentialsInfo, error: VaultError) {
        self.hold(info, 0, Expiry::Believed);
        self.state.storage = Storage::NotSaved(error);
    }

    /// Calls use these from now on, and all waiters go on. `age`: how long ago they were issued, in ms.
    fn hold(&mut self, info: CredentialsInfo, age: u64, expiry: Expiry) {
        let (replaced, refusal) = match self.state.session {
            Standing::Active(old) => (Some(old.info), Some(old.refused(self.now))),
            _ => (None, None),
        };
        let is_sign_in = self.state.agenda.sign_in.take().is_some();
        if replaced.is_some_and(|old| old.credentials == info.credentials) {
            return;
        }
        let was_refused = self.state.agenda.renew == Some(RenewalReason::Refused);
        self.state.session = Standing::Active(Held {
            info,
            since: Since::now(self.now, age),
            expiry,
            renewed_for: refusal.filter(|_| was_refused),
            renew_ahead_at: schedule::ahead(&info, self.now),
            marked_at: None,
        });
        self.act(Action::Use(info.credentials));
        self.forget_outage();
        self.state.agenda.renew = None;
        if is_sign_in {
            self.note(Note::SignedIn);
            self.act(Action::SignInDone);
        }
        let outcome = match replaced {
            Some(old) if old.session != info.session => Outcome::SignedOut,
            _ => Outcome::Renewed,
        };
        self.settle(outcome);
    }
}
