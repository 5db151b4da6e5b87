//! What people, calls and other processes ask for.

use crate::action::{Action, Outcome};
use crate::cause::Cause;
use crate::event::{FileView, RenewalReason, VaultView, View, WaiterId};
use crate::ids::{CredentialsId, CredentialsInfo, SessionId};
use crate::note::Note;
use crate::reasons::{EndingReason, LockedReason, Storage, Unreachable};
use crate::standing::{Expiry, Held, Standing};
use crate::state::Agenda;
use crate::step::Step;
use crate::transition::Transition;

impl Transition<'_> {
    /// The start: takes the stored session over, or says why there is none to use.
    pub(crate) fn open(&mut self, view: View) {
        let standing = view.files.standing();
        let ended = view.files.state.and_then(|file| file.ended);
        let is_unreadable = view.files.unreadable.is_some();
        let locked = |reason| Standing::Locked {
            reason,
            hidden: standing.map(|file| file.info.session),
        };
        self.state.session = match view.vault {
            VaultView::Entry { info, .. } => {
                return self.adopt(info, view.unfinished_exchange(None));
            }
            VaultView::Empty if standing.is_some_and(|file| file.saved) => {
                locked(LockedReason::KeyringLockedOrCleared)
            }
            VaultView::Empty if is_unreadable => locked(LockedReason::FilesUnreadable),
            VaultView::Unavailable(error) if standing.is_some() || is_unreadable => {
                locked(error.into())
            }
            VaultView::Damaged if standing.is_some() || is_unreadable => {
                locked(LockedReason::KeyringFailed)
            }
            _ => ended.map_or(Standing::SignedOut, |(reason, at)| {
                Standing::after(reason, at, None)
            }),
        };
        if let VaultView::Unavailable(error) = view.vault {
            self.state.storage = Storage::NotSaved(error);
        }
        if let VaultView::DeadEntry(session) = view.vault {
            self.state.agenda.remove = Some(session);
            self.proceed();
        }
    }

    /// A call cannot go on: it joins the renewal, starts one, or learns at once that there is nothing to wait for.
    pub(crate) fn need(&mut self, waiter: WaiterId, seen: CredentialsInfo, reason: RenewalReason) {
        let Standing::Active(held) = self.state.session else {
            return self.settle_one(waiter, Outcome::SignedOut);
        };
        if held.info.session != seen.session {
            return self.settle_one(waiter, Outcome::SignedOut);
        }
        // A refusal of older credentials says nothing about these (I4).
        if held.info.generation > seen.generation {
            return self.settle_one(waiter, Outcome::Renewed);
        }
        if self.state.is_attempting() {
            return self.wait(waiter);
        }
        // One that is wanted already is in the budget.
        if self.state.agenda.renew.is_none()
            && let Err(outcome) = self.begin_renewal(held, reason)
        {
            return self.settle_one(waiter, outcome);
        }
        self.state.agenda.renew = Some(reason);
        match self.state.step {
            Step::Pausing { due, fixed } => self.need_in_pause(waiter, reason, due, fixed),
            Step::Idle | Step::KeepingLock { .. } => {
                self.state.step = Step::Idle;
                self.wait(waiter);
                self.proceed();
            }
            // Another step is under way for a moment; the agenda has the renewal.
            _ => self.wait(waiter),
        }
    }

    /// Whether the call's reason is good enough for a renewal.
    ///
    /// # Errors
    /// What the call gets in its place.
    fn begin_renewal(&mut self, mut held: Held, reason: RenewalReason) -> Result<(), Outcome> {
        let now = self.now;
        if held.clocks_disagree(now) {
            held.expiry = Expiry::Unknown;
        }
        let budget = &mut self.state.budget;
        let result = match reason {
            RenewalReason::Refused => {
                let is_granted = budget.take_for(now.awake, held.refused(now));
                is_granted.then_some(()).ok_or(Outcome::Denied)
            }
            RenewalReason::Expired | RenewalReason::Ahead => {
                if held.expiry == Expiry::Believed && !budget.take(now.awake, held.age(now)) {
                    held.expiry = Expiry::Doubted;
                }
                let is_granted = held.expiry == Expiry::Believed;
                is_granted.then_some(()).ok_or(Outcome::SendAnyway)
            }
        };
        self.state.session = Standing::Active(held);
        result
    }

    /// A call that was refused is served after the renewal: it was needed.
    pub(crate) fn replay_served(&mut self, credentials: CredentialsId) {
        let Some(held) = self.state.held_mut() else {
            return;
        };
        if held.info.credentials == credentials
            && let Some(refusal) = held.renewed_for.take()
        {
            self.state.budget.give_back(refusal);
        }
    }

    /// The server accepts the held credentials.
    pub(crate) fn served(&mut self, credentials: CredentialsId) {
        let is_early = self.is_early();
        let held = self.state.held();
        if held.is_none_or(|held| held.credentials != credentials) {
            return;
        }
        self.state.outage.failing_since = None;
        self.server_answered();
        // The server is back, so the rest of the backoff is skipped. Only once: a server that serves calls but renews
        // nothing would otherwise get an attempt per call.
        if let Step::Pausing { fixed: false, .. } = self.state.step
            && !is_early
            && !std::mem::replace(&mut self.state.outage.cut_short, true)
        {
            self.attempt_now();
        }
    }

    /// A call got no answer: the status says so, and the server is probed until it is back.
    pub(crate) fn lost(&mut self, credentials: CredentialsId, cause: Cause) {
        let held = self.state.held();
        let is_held = held.is_some_and(|held| held.credentials == credentials);
        // A renewal that is under way finds out by itself.
        let is_known = self.state.outage.unreachable.is_some() || self.state.agenda.renew.is_some();
        if is_held && !is_known {
            self.state.outage.unreachable = Some(Unreachable::Server);
            self.state.outage.cause = Some(cause);
            self.probe_first();
        }
    }

    /// The person asks to try now.
    pub(crate) fn retry_now(&mut self) {
        self.hasten_probe();
        self.hasten_writes();
        let is_locked = matches!(self.state.session, Standing::Locked { .. });
        match self.state.step {
            Step::Pausing { fixed: false, .. } => self.attempt_now(),
            Step::KeepingLock { tries, .. } => {
                let due = self.now.awake;
                self.state.step = Step::KeepingLock { due, tries };
                self.tick();
            }
            Step::Idle if is_locked => {
                self.state.agenda.look = true;
                self.proceed();
            }
            Step::Locking | Step::Rereading if is_locked => self.state.agenda.look_again = true,
            _ => {}
        }
    }

    /// The person signed in. A session that is still there ends now; the new credentials count once they are stored.
    pub(crate) fn sign_in(&mut self, info: CredentialsInfo) {
        if let Some(old) = self.state.held() {
            self.note(Note::SignedOut);
            self.append_ended(old.session);
            self.act(Action::RevokeHeld);
            self.act(Action::Forget);
            self.state.session = Standing::SignedOut;
        }
        self.settle(Outcome::SignedOut);
        if let Some(hidden) = self.take_hidden() {
            // A new sign-in replaces it: it must not come back when the keyring is unlocked.
            self.append_ended(hidden);
        }
        if let Some(overtaken) = self.state.agenda.sign_in {
            // Its save may be under way: what is written of it is dead.
            self.append_ended(overtaken.session);
            self.act(Action::Drop(overtaken.credentials));
        }
        self.forget_session();
        // The entry is overwritten, not removed.
        self.state.cleanup = None;
        self.state.agenda = Agenda {
            sign_in: Some(info),
            ..Agenda::default()
        };
        self.leave_pause();
        self.proceed();
    }

    /// The person signed out: here at once, in the vault as soon as this process has the lock.
    pub(crate) fn sign_out(&mut self) {
        let newcomer = self.state.agenda.sign_in.take();
        if newcomer.is_some() {
            self.act(Action::SignInDone);
        }
        let held = self.state.held().map(|held| held.session);
        let newcomer = newcomer.map(|newcomer| newcomer.session);
        let hidden = self.take_hidden();
        for session in [held, hidden, newcomer].into_iter().flatten() {
            self.append_ended(session);
            self.state.agenda.remove = Some(session);
        }
        if held.is_some() {
            self.note(Note::SignedOut);
            self.act(Action::RevokeHeld);
            self.act(Action::WriteEnded(EndingReason::SignedOut));
        }
        self.act(Action::Forget);
        self.settle(Outcome::SignedOut);
        self.forget_session();
        self.state.agenda.renew = None;
        self.state.agenda.look = false;
        self.state.session = Standing::SignedOut;
        self.leave_pause();
        self.proceed();
    }

    /// Another process wrote the files: it may have ended the session, renewed it, or begun one.
    pub(crate) fn files_changed(&mut self, files: FileView) {
        if let Some(reason) = files.ended {
            return self.follow_ending(reason);
        }
        if self.hidden_is_over(files) {
            return;
        }
        let is_unreadable = matches!(
            self.state.session,
            Standing::Locked {
                reason: LockedReason::FilesUnreadable,
                ..
            }
        );
        if is_unreadable && files.unreadable.is_none() {
            self.state.agenda.look = true;
            return self.proceed();
        }
        let held = self.state.held();
        let is_newer = files
            .standing()
            .is_some_and(|file| file.saved && held.is_none_or(|held| file.info.supersedes(&held)));
        if is_newer && self.state.agenda.sign_in.is_none() {
            self.state.agenda.look = true;
            self.leave_pause();
            self.proceed();
        }
    }

    /// Puts a session on the ended list that ends with a sign-out or a sign-in.
    pub(crate) fn append_ended(&mut self, session: SessionId) {
        self.act(Action::AppendEnded(session, EndingReason::SignedOut));
    }

    /// The session that is stored and not shown, which nobody may bring back from now on.
    fn take_hidden(&mut self) -> Option<SessionId> {
        match &mut self.state.session {
            Standing::Locked { hidden, .. } => hidden.take(),
            _ => None,
        }
    }
}
