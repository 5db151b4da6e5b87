//! The slow actions of a process, each cut into parts between which another process or a caller can act.

use super::*;
use crate::server::Answer;

/// The keyring's failure. The decisions treat all its errors alike, and only name them differently.
const FAILURE: VaultError = VaultError::Locked;

/// A slow action, and its progress.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    Lock {
        patient: bool,
    },
    /// Also at the start, then without a lock.
    Look {
        held: Option<CredentialsInfo>,
        reading: Reading,
    },
    Mark {
        /// With what calls used when it began.
        record: Option<Record>,
    },
    Exchange {
        from: Option<CredentialsInfo>,
        answer: Option<Answer>,
    },
    Save {
        info: CredentialsInfo,
        saving: Saving,
    },
    /// Reads, compares and removes, under the lock: one part.
    Remove(SessionId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reading {
    Vault,
    Files(Result<Option<Record>, VaultError>),
    Done(View),
}

/// How the next part of a slow action goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Fine,
    /// The keyring fails.
    Fails,
    /// The write outlives its limit.
    Late,
    /// Its limit passes while a late write is still under way.
    GivenUp,
    /// The lock is not released in time.
    NotTaken,
    /// The answer is lost.
    Lost,
    /// A revocation that was on its way arrives first.
    Revoked,
}
impl World {
    /// How what is under way in the process may go on.
    pub(crate) fn advances(&self, process: usize, moves: &mut Vec<crate::world::Move>) {
        let own = &self.processes[process];
        let Some(work) = &own.work else {
            return;
        };
        // The last part reports to the process's task, which must be there to take it.
        let is_ready = own.life == Life::Opening || self.is_ready(process);
        let mut may = |how| moves.push(crate::world::Move::Advance(process, how));
        let mut uses_vault = |is_write: bool| {
            if own.outstanding.is_some() {
                if self.left.given_up > 0 {
                    may(How::GivenUp);
                }
                return;
            }
            may(How::Fine);
            if self.left.failure {
                may(How::Fails);
            }
            if is_write && self.left.late_write {
                may(How::Late);
            }
        };
        match work {
            Work::Look { reading, .. } => match reading {
                Reading::Vault => uses_vault(false),
                Reading::Files(_) => may(How::Fine),
                Reading::Done(_) if is_ready => may(How::Fine),
                Reading::Done(_) => {}
            },
            Work::Save { saving, .. } => match saving {
                Saving::LookAgain(_) => may(How::Fine),
                Saving::Write if self.ended().is_some() => may(How::Fine),
                Saving::Write | Saving::Undo(_) => uses_vault(true),
                Saving::Done(_) if is_ready => may(How::Fine),
                Saving::Done(_) => {}
            },
            Work::Exchange { answer: None, from } => {
                if from.is_some() || is_ready {
                    may(How::Fine);
                }
                if from.is_some() && self.server.is_being_revoked && !self.server.is_revoked {
                    may(How::Revoked);
                }
                if is_ready && self.left.lost_answer && from.is_some() {
                    may(How::Lost);
                }
            }
            _ if !is_ready => {}
            Work::Lock { patient } => {
                if self.host.lock.is_none() {
                    may(How::Fine);
                } else if !patient || self.left.delay {
                    may(How::NotTaken);
                }
            }
            Work::Mark { record: None } => may(How::Fine),
            Work::Mark { .. } => uses_vault(true),
            Work::Remove(session) => {
                let stored = self.host.vault.map(|stored| stored.info.session);
                uses_vault(stored == Some(*session));
            }
            Work::Exchange { .. } => {
                may(How::Fine);
                if self.left.lost_answer {
                    may(How::Lost);
                }
            }
        }
    }

    /// Performs the next part of the slow action.
    pub(crate) fn advance(&mut self, process: usize, how: How) {
        let Some(work) = self.processes[process].work.take() else {
            return;
        };
        let (next, event) = match work {
            Work::Lock { patient } => (None, Some(self.take_lock(process, patient, how))),
            Work::Look { held, reading } => self.look(process, held, reading, how),
            Work::Mark { record: None } => (None, Some(Event::Marked(Err(VaultError::Failed)))),
            Work::Mark { record } => {
                let written = self.write_with(process, record, how);
                (None, Some(Event::Marked(written)))
            }
            Work::Exchange { from, answer } => self.exchange(from, answer, how),
            Work::Save { info, saving } => self.save(process, info, saving, how),
            Work::Remove(session) => {
                let read = self.read_with(how);
                let write = |record| self.write_with(process, record, how);
                let removed = remove_entry(session, read, write);
                (None, Some(Event::Removed(removed)))
            }
        };
        self.processes[process].work = next;
        if let Some(event) = event {
            self.processes[process].life = Life::Running;
            self.decide(process, event);
        }
    }

    /// The lock counts as held from the moment at which the process learns of it. If it counted a little earlier, it
    /// would only keep the other process from actions that it may also do later.
    fn take_lock(&mut self, process: usize, patient: bool, how: How) -> Event {
        if how == How::NotTaken {
            self.left.delay &= !patient;
        }
        self.host.take_lock(process)
    }

    fn look(
        &mut self,
        process: usize,
        held: Option<CredentialsInfo>,
        reading: Reading,
        how: How,
    ) -> (Option<Work>, Option<Event>) {
        let is_opening = self.processes[process].life == Life::Opening;
        let reading = match reading {
            Reading::Vault if is_opening => Reading::Files(self.read_with(how)),
            // Under the lock no other process writes the vault, so it may be read now.
            Reading::Vault | Reading::Files(_) => {
                let read = match reading {
                    Reading::Files(read) => read,
                    _ => self.read_with(how),
                };
                let view = View {
                    files: self.files(held),
                    vault: self.host.vault_view(read),
                };
                if is_opening {
                    // The task is not running yet: nothing can come in between.
                    return (None, Some(Event::Opened(view)));
                }
                Reading::Done(view)
            }
            Reading::Done(view) => return (None, Some(Event::Reread(view))),
        };
        (Some(Work::Look { held, reading }), None)
    }

    fn exchange(
        &mut self,
        from: Option<CredentialsInfo>,
        answer: Option<Answer>,
        how: How,
    ) -> (Option<Work>, Option<Event>) {
        let inconclusive = |token| Exchange::Inconclusive {
            token,
            retry_after: None,
            cause: Cause::Timeout,
        };
        let ends = |exchange| (None, Some(Event::Exchanged(exchange)));
        let Some(sent) = from else {
            return ends(inconclusive(TokenFate::NotSent));
        };
        if how == How::Lost {
            self.left.lost_answer = false;
            return ends(inconclusive(TokenFate::MaybeUsed));
        }
        ends(match answer {
            None => {
                self.server.is_revoked |= how == How::Revoked;
                let answer = Some(self.server.exchange(sent, self.now));
                return (Some(Work::Exchange { from, answer }), None);
            }
            Some(Answer::Renewed(received)) => Exchange::Renewed(received, Cause::NewTokens),
            Some(Answer::Rejected) => Exchange::Rejected {
                ambiguous: false,
                cause: Cause::Http(200),
            },
        })
    }

    fn save(
        &mut self,
        process: usize,
        info: CredentialsInfo,
        saving: Saving,
        how: How,
    ) -> (Option<Work>, Option<Event>) {
        if let Saving::Done(result) = saving {
            return (None, Some(Event::Saved(result)));
        }
        let ended = self.ended();
        let saving = saving.next(info, ended, |record| self.write_with(process, record, how));
        (Some(Work::Save { info, saving }), None)
    }

    fn read_with(&mut self, how: How) -> Result<Option<Record>, VaultError> {
        match how {
            How::Fails => {
                self.left.failure = false;
                Err(FAILURE)
            }
            How::GivenUp => {
                self.left.given_up -= 1;
                Err(VaultError::Slow)
            }
            _ => self.host.read(),
        }
    }

    /// A write by the process's one vault thread. One that waits behind a late write and is not given up happens once
    /// that has landed. (In `vault/thread.rs` it replaces a given-up one that still waits, at once; here that one may land
    /// first, which the newer one then overwrites: one state more, under the same lock.)
    fn write_with(
        &mut self,
        process: usize,
        record: Option<Record>,
        how: How,
    ) -> Result<(), VaultError> {
        let own = &mut self.processes[process];
        match how {
            How::Fails => {
                self.left.failure = false;
                Err(FAILURE)
            }
            How::Late => {
                self.left.late_write = false;
                own.outstanding = Some(record);
                Err(VaultError::Slow)
            }
            How::GivenUp => {
                self.left.given_up -= 1;
                own.slot = Some(record);
                Err(VaultError::Slow)
            }
            _ => {
                self.write(record);
                Ok(())
            }
        }
    }

    /// A late write takes effect. The write that waited behind it is next, and then the lock is released.
    pub(crate) fn land(&mut self, process: usize) {
        let own = &mut self.processes[process];
        let landed = own.outstanding.take();
        own.outstanding = own.slot.take();
        let releases = own.outstanding.is_none() && std::mem::take(&mut own.releases);
        if let Some(record) = landed {
            self.write(record);
        }
        if releases {
            self.host.release_lock(process);
        }
    }
}
