//! What the processes of one machine share, as values: the account's lock, the state file, the ended list and the vault.
//!
//! Tests and simulations of the decisions perform their actions on a [`Host`]: the random stories, the search of every
//! order, and the fleet. Each of them decides what happens when, and what fails. What an action does to files and vault
//! stands here, once for all of them, and is what the crate `graphql-session` does to the real ones.
//!
//! [`Host::perform`] performs a whole action. Where something else may happen within an action, its user takes the parts
//! that `perform` is made of: [`Saving`], [`remove_entry`], [`Host::read`] and [`Host::vault_view`].

use crate::action::Action;
use crate::cause::Cause;
use crate::event::{Event, FailureSeen, FileState, FileView, SaveFailure, VaultView, View};
use crate::file_write::StateWrite;
use crate::forward::CALLS_WAIT_AFTER_FAILURE;
use crate::ids::{CredentialsInfo, SessionId};
use crate::reasons::{EndingReason, VaultError};
use crate::schedule::Rules;
use crate::state::State;
use crate::time::Wall;

/// How far apart a machine's attempts are that calls start early, in ms.
pub const EARLY_ATTEMPTS_APART: u64 = CALLS_WAIT_AFTER_FAILURE;

/// The default settings of a session, with a server that has Twenty's grace time.
pub const RULES: Rules = Rules {
    attempt_timeout: 10_000,
    renewal_timeout: 25_000,
    grace: 60_000,
    reuse_ends_session: false,
    max_backoff: 30_000,
    end_after: None,
    requires_lock: false,
};

/// What the vault stores: credentials, and the mark of an exchange that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Which credentials.
    pub info: CredentialsInfo,
    /// When an exchange of them was begun whose end nobody recorded.
    pub renewing_at: Option<Wall>,
}

/// What the processes of one machine share of one account. The ended list has room for `ENDED` sessions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host<const ENDED: usize> {
    /// The process that holds the account's lock.
    pub lock: Option<usize>,
    /// The vault's entry.
    pub vault: Option<Record>,
    /// Whether the vault answers. While it does not, it neither shows nor changes its entry.
    pub vault_answers: Result<(), VaultError>,
    /// The state file.
    pub file: Option<FileState>,
    ended: [Option<(SessionId, EndingReason)>; ENDED],
}

/// How far a save is. A sign-out needs no lock, so another process may end the session between any two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Saving {
    /// The ended list is read, and the credentials are written if it does not have their session. One part: an ending
    /// between the two is found by the second look, as if it had come after the write.
    Write,
    /// That write came to this; the ended list is read again.
    LookAgain(Result<(), VaultError>),
    /// The session has ended meanwhile: what was written is removed.
    Undo(EndingReason),
    /// What [`Event::Saved`] reports.
    Done(Result<(), SaveFailure>),
}

impl<const ENDED: usize> Default for Host<ENDED> {
    /// Nobody has signed in yet.
    fn default() -> Self {
        Self {
            lock: None,
            vault: None,
            vault_answers: Ok(()),
            file: None,
            ended: [None; ENDED],
        }
    }
}

impl<const ENDED: usize> Host<ENDED> {
    /// Performs an action that a process has decided on: with its state after the decision, what its calls used when the
    /// action began, and the host's clock. Gives the event that reports it; `None` for actions that nothing reports, and
    /// for those that concern neither lock, files nor vault.
    pub fn perform(
        &mut self,
        process: usize,
        state: &State,
        current: Option<CredentialsInfo>,
        at: Wall,
        action: &Action,
    ) -> Option<Event> {
        match action {
            Action::TakeLock { .. } => return Some(self.take_lock(process)),
            Action::ReleaseLock => self.release_lock(process),
            Action::Reread => return Some(Event::Reread(self.view(current, at))),
            Action::Mark { at: begun } => return Some(Event::Marked(self.mark(current, *begun))),
            Action::Save(info) => return Some(Event::Saved(self.save(*info))),
            Action::Remove(session) => {
                let removed = remove_entry(*session, self.read(), |entry| self.write(entry));
                return Some(Event::Removed(removed));
            }
            Action::AppendEnded(session, reason) => self.append_ended(*session, *reason),
            Action::WriteState(_) => {
                if let Some(file) = state_file(state, action) {
                    self.file = Some(file);
                }
            }
            Action::WriteEnded(reason) => self.write_ended(current, *reason, at),
            _ => {}
        }
        None
    }

    /// Takes the lock if nobody holds it.
    pub fn take_lock(&mut self, process: usize) -> Event {
        if self.lock.is_some() {
            return Event::LockNotTaken(Cause::LockHeld);
        }
        self.lock = Some(process);
        Event::LockTaken
    }

    /// Releases the lock if this process holds it.
    pub fn release_lock(&mut self, process: usize) {
        if self.lock == Some(process) {
            self.lock = None;
        }
    }

    /// What files and vault say to a process that holds `held`.
    pub fn view(&self, held: Option<CredentialsInfo>, at: Wall) -> View {
        View {
            files: self.files(held, at),
            vault: self.vault_view(self.read()),
        }
    }

    /// What the files say to a process that holds `held`.
    pub fn files(&self, held: Option<CredentialsInfo>, at: Wall) -> FileView {
        FileView {
            ended: held.and_then(|held| {
                let noted = self.file.filter(|file| file.info.session == held.session);
                let noted = noted.and_then(|file| file.ended);
                self.ending_of(held.session)
                    .or(noted.map(|(reason, _)| reason))
            }),
            unreadable: None,
            state: self.file.map(|file| {
                let listed = self.ending_of(file.info.session);
                FileState {
                    ended: file.ended.or(listed.map(|reason| (reason, at))),
                    ..file
                }
            }),
        }
    }

    /// What was read from the vault, in the light of the ended list.
    pub fn vault_view(&self, read: Result<Option<Record>, VaultError>) -> VaultView {
        match read {
            Err(error) => VaultView::Unavailable(error),
            Ok(None) => VaultView::Empty,
            Ok(Some(Record { info, .. })) if self.ending_of(info.session).is_some() => {
                VaultView::DeadEntry(info.session)
            }
            Ok(Some(Record { info, renewing_at })) => VaultView::Entry { info, renewing_at },
        }
    }

    /// Reads the vault's entry.
    pub fn read(&self) -> Result<Option<Record>, VaultError> {
        self.vault_answers.map(|()| self.vault)
    }

    /// Writes the vault's entry; `None` removes it.
    fn write(&mut self, entry: Option<Record>) -> Result<(), VaultError> {
        self.vault_answers?;
        self.vault = entry;
        Ok(())
    }

    fn mark(&mut self, current: Option<CredentialsInfo>, at: Wall) -> Result<(), VaultError> {
        let info = current.ok_or(VaultError::Failed)?;
        let renewing_at = Some(at);
        self.write(Some(Record { info, renewing_at }))
    }

    fn save(&mut self, info: CredentialsInfo) -> Result<(), SaveFailure> {
        let mut saving = Saving::Write;
        loop {
            if let Saving::Done(result) = saving {
                return result;
            }
            let ended = self.ending_of(info.session);
            saving = saving.next(info, ended, |entry| self.write(entry));
        }
    }

    /// Why `session` ended, if it is on the ended list.
    pub fn ending_of(&self, session: SessionId) -> Option<EndingReason> {
        let mut listed = self.ended.iter().flatten();
        listed
            .find(|(ended, _)| *ended == session)
            .map(|(_, reason)| *reason)
    }

    /// Puts a session on the ended list. The first reason stays. Panics if the list is full.
    pub fn append_ended(&mut self, session: SessionId, reason: EndingReason) {
        if self.ending_of(session).is_none() {
            let free = self.ended.iter_mut().find(|place| place.is_none());
            *free.expect("room on the ended list") = Some((session, reason));
        }
    }

    /// Writes into the state file that the session of `current` is over, unless it is about newer
    /// credentials.
    fn write_ended(&mut self, current: Option<CredentialsInfo>, reason: EndingReason, at: Wall) {
        let Some(info) = current else {
            return;
        };
        // Who has renewed or signed in since is not overwritten; the ended list says the rest.
        if self.file.is_none_or(|file| !file.info.supersedes(&info)) {
            self.file = Some(FileState {
                ended: Some((reason, at)),
                ..unsaved(info)
            });
        }
    }

    /// Stores credentials as a process does that has signed in or renewed.
    pub fn store(&mut self, info: CredentialsInfo) {
        self.vault = Some(Record {
            info,
            renewing_at: None,
        });
        self.file = Some(FileState {
            saved: true,
            ..unsaved(info)
        });
    }
}

impl Saving {
    /// The next part. `ended` is what the ended list says of the session now, and `write` writes the vault's entry, or
    /// removes it.
    #[must_use]
    pub fn next(
        self,
        info: CredentialsInfo,
        ended: Option<EndingReason>,
        write: impl FnOnce(Option<Record>) -> Result<(), VaultError>,
    ) -> Self {
        match (self, ended) {
            (Self::Write, Some(reason)) => Self::Done(Err(SaveFailure::Ended(reason))),
            (Self::Write, None) => Self::LookAgain(write(Some(Record {
                info,
                renewing_at: None,
            }))),
            (Self::LookAgain(_), Some(reason)) => Self::Undo(reason),
            (Self::LookAgain(written), None) => Self::Done(written.map_err(SaveFailure::Vault)),
            (Self::Undo(reason), _) => {
                let _ = write(None);
                Self::Done(Err(SaveFailure::Ended(reason)))
            }
            (Self::Done(result), _) => Self::Done(result),
        }
    }
}

/// Removes the entry that was read if it belongs to `session`; `write` writes the vault's entry.
pub fn remove_entry(
    session: SessionId,
    read: Result<Option<Record>, VaultError>,
    write: impl FnOnce(Option<Record>) -> Result<(), VaultError>,
) -> Result<(), VaultError> {
    match read? {
        Some(entry) if entry.info.session == session => write(None),
        _ => Ok(()),
    }
}

/// The state file that [`Action::WriteState`] asks for, as of the decision that led to `state`. `None` where the state
/// does not know such credentials.
fn state_file(state: &State, action: &Action) -> Option<FileState> {
    let Action::WriteState(StateWrite {
        of,
        saved,
        not_before,
        failure,
    }) = *action
    else {
        return None;
    };
    let (_, at) = state.last_event?;
    Some(FileState {
        saved,
        not_before,
        last_failure: failure.map(|(token, next_at)| FailureSeen {
            credentials: of,
            at,
            token,
            next_at,
        }),
        ..unsaved(state.named(of)?)
    })
}

/// A state file that says of these credentials only that they are there.
fn unsaved(info: CredentialsInfo) -> FileState {
    FileState {
        info,
        ended: None,
        saved: false,
        not_before: None,
        last_failure: None,
    }
}
