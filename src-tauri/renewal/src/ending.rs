//! How a session ends, and what is left of it: rejected and confirmed, ended elsewhere, lost by the keyring, removed.

use crate::action::{Action, Outcome};
use crate::cause::Cause;
use crate::event::{FileView, VaultView, View};
use crate::ids::SessionId;
use crate::note::Note;
use crate::reasons::{EndingReason, LockedReason, Storage, VaultError};
use crate::standing::Standing;
use crate::state::Cleanup;
use crate::transition::Transition;

/// How long to wait before an ambiguous rejection is asked for once more, in ms: an outage that hides behind one is
/// mostly shorter (a database's failover takes seconds).
const ASK_AGAIN_AFTER: u64 = 30_000;

/// How often the entry of a session that is over is removed again, in ms: like a save at first, and then rarely, because
/// nobody waits for it and each try may open a prompt.
const REMOVE_AGAIN_AFTER: u64 = 1_000;
const REMOVE_AGAIN_AT_MOST: u64 = 600_000;

/// Doublings of that pause until it has reached its limit.
const REMOVE_DOUBLINGS: u32 = 10;

impl Transition<'_> {
    /// Read again after the rejection, and still these: the session is over (I6).
    pub(crate) fn confirm(&mut self, ambiguous: bool, cause: Cause) {
        let outage = &mut self.state.outage;
        outage.cause = Some(cause);
        if ambiguous && !outage.asks_again {
            outage.asks_again = true;
            let due = self.now.awake.plus(ASK_AGAIN_AFTER);
            return self.pause(due, true);
        }
        let reason = match outage.lost_answer {
            Some(_) => EndingReason::LostAnswer,
            None => EndingReason::Rejected,
        };
        self.end(reason, cause);
    }

    pub(crate) fn end(&mut self, reason: EndingReason, cause: Cause) {
        let Some(held) = self.state.held() else {
            return self.finish();
        };
        self.note(Note::Ended(reason, cause));
        self.act(Action::AppendEnded(held.session, reason));
        self.act(Action::WriteEnded(reason));
        self.act(Action::Forget);
        self.over(held.session, reason, cause);
    }

    /// Another process ended the session (or this one, while something of it was under way).
    pub(crate) fn follow_ending(&mut self, reason: EndingReason) {
        let Some(held) = self.state.held() else {
            return self.finish();
        };
        let cause = match reason {
            EndingReason::SignedOut => Cause::SignOut,
            _ => Cause::OtherProcess,
        };
        self.note(Note::Ended(reason, cause));
        self.act(Action::Forget);
        self.over(held.session, reason, cause);
    }

    fn over(&mut self, session: SessionId, reason: EndingReason, cause: Cause) {
        self.state.session = Standing::after(reason, self.now.wall, Some(cause));
        self.state.storage = Storage::Saved;
        self.settle(Outcome::SignedOut);
        self.forget_session();
        self.state.agenda.renew = None;
        self.state.agenda.remove = Some(session);
        self.leave_pause();
        self.proceed();
    }

    /// The entry that was stored is gone, and with it the only credentials that still work. No ending: the server has
    /// said nothing, and a person who unlocks or restores the keyring has the session back.
    pub(crate) fn lose(&mut self, view: View) {
        self.note(Note::EntryLost);
        self.state.storage = Storage::Saved;
        self.act(Action::Forget);
        self.still_locked(view);
        self.settle(Outcome::Locked);
        self.forget_session();
        self.state.agenda.renew = None;
        self.finish();
    }

    /// Another process ended the stored session that the vault does not show. Whether it did.
    pub(crate) fn hidden_is_over(&mut self, files: FileView) -> bool {
        let ended = files.state.and_then(|file| file.ended);
        let (Standing::Locked { .. }, Some((reason, at))) = (self.state.session, ended) else {
            return false;
        };
        self.state.session = Standing::after(reason, at, None);
        true
    }

    /// The vault does not show the stored session.
    pub(crate) fn still_locked(&mut self, view: View) {
        if self.hidden_is_over(view.files) {
            return;
        }
        let (before, known) = match self.state.session {
            Standing::Locked { reason, hidden } => (Some(reason), hidden),
            _ => (None, None),
        };
        let is_readable = view.files.unreadable.is_none();
        let is_nowhere = view.vault == VaultView::Empty && view.files.state.is_none();
        if before == Some(LockedReason::FilesUnreadable) && is_readable && is_nowhere {
            self.state.session = Standing::SignedOut;
            return;
        }
        let reason = match view.vault {
            VaultView::Empty if !is_readable => LockedReason::FilesUnreadable,
            VaultView::Unavailable(error) => error.into(),
            VaultView::Damaged => LockedReason::KeyringFailed,
            _ => LockedReason::KeyringLockedOrCleared,
        };
        let named = view.files.standing().map(|file| file.info.session);
        self.state.session = Standing::Locked {
            reason,
            hidden: named.or(known),
        };
    }

    /// The entry of a session that is over was removed, or could not be.
    pub(crate) fn removed(&mut self, result: Result<(), VaultError>) {
        self.note(Note::Removed(result.is_ok()));
        let session = self.state.agenda.remove.take();
        let before = self.state.cleanup.take();
        self.state.cleanup = session.filter(|_| result.is_err()).map(|session| {
            let same = before.filter(|before| before.session == session);
            let tries = same.map_or(0, |before| before.tries + 1);
            let pause = REMOVE_AGAIN_AT_MOST.min(REMOVE_AGAIN_AFTER << tries.min(REMOVE_DOUBLINGS));
            Cleanup {
                session,
                tries,
                due: self.now.awake.plus(pause),
            }
        });
        self.finish();
    }
}
