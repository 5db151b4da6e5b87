//! Writes to the state folder that failed. Each is made again until it succeeds (I17); until then the
//! memory of this process decides.

use crate::action::Action;
use crate::cause::{Cause, IoFailure};
use crate::file_write::FileWrite;
use crate::note::Note;
use crate::state::Unwritten;
use crate::transition::Transition;

/// How often a failed write is made again, in ms: soon at first, because most disks are full for a moment only, and then
/// rarely. The state file is read and written under the lock, and reading the keyring with it may open a prompt.
const WRITE_AGAIN_AFTER: u64 = 1_000;
const WRITE_AGAIN_AT_MOST: u64 = 600_000;

/// Doublings of that pause until it has reached its limit.
const WRITE_DOUBLINGS: u32 = 10;

impl Transition<'_> {
    /// A write to the state folder succeeded or failed.
    pub(crate) fn written(&mut self, write: FileWrite, result: Result<(), IoFailure>) {
        let unwritten = &mut self.state.unwritten;
        match write {
            FileWrite::Ended(session, reason) => {
                unwritten.ended.retain(|(known, _)| *known != session);
                if result.is_err() {
                    unwritten.ended.push((session, reason));
                }
            }
            FileWrite::State(state) => {
                let is_known = unwritten.state == Some(state);
                if result.is_err() {
                    unwritten.state = Some(state);
                } else if is_known {
                    unwritten.state = None;
                }
            }
        }
        let Err(failure) = result else {
            if self.state.unwritten.is_empty() {
                self.state.unwritten = Unwritten::default();
            }
            return;
        };
        let pause =
            WRITE_AGAIN_AT_MOST.min(WRITE_AGAIN_AFTER << unwritten.tries.min(WRITE_DOUBLINGS));
        let due = self.now.awake.plus(pause);
        if unwritten.due.is_none() {
            unwritten.tries = unwritten.tries.saturating_add(1);
            unwritten.due = Some(due);
        }
        self.note(Note::FileNotWritten(Cause::Files(failure)));
    }

    /// Makes the writes again whose time has come. An ending needs no lock; the state file is replaced under it.
    pub(crate) fn write_again_if_due(&mut self) {
        let unwritten = &mut self.state.unwritten;
        if unwritten.due.is_none_or(|due| due > self.now.awake) {
            return;
        }
        unwritten.due = None;
        for (session, reason) in unwritten.ended.clone() {
            self.act(Action::AppendEnded(session, reason));
        }
        if self.state.unwritten.state.is_none() {
            return;
        }
        if self.state.has_lock {
            self.write_state_again();
        } else {
            self.state.agenda.write_state = true;
            self.proceed();
        }
    }

    /// Replaces the state file by what could not be written, if that is still so.
    pub(crate) fn write_state_again(&mut self) {
        self.state.agenda.write_state = false;
        let Some(state) = self.state.unwritten.state else {
            return;
        };
        if self.state.names(state.of) {
            self.act(Action::WriteState(state));
        } else {
            self.state.unwritten.state = None;
        }
    }

    /// Makes failed writes again now.
    pub(crate) fn hasten_writes(&mut self) {
        if let Some(due) = &mut self.state.unwritten.due {
            *due = self.now.awake;
            self.write_again_if_due();
        }
    }
}
