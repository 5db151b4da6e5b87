//! The machine's disk as each process reaches it, with a record of every ending that a process tried to list.
//!
//! The [`ScriptedFiles`] behind it fail on demand. Added here: appends that hang, and what became of each ending. The list
//! alone would not do: a process decides by its memory, also where it cannot write (I17).

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use graphql_session::{EndingReason, FileSystem, Guard, OnChange};
use graphql_session_testing::{FileCall, FileFailure, ManualClock, ScriptedFiles};

use super::model::DiskTrouble;

/// An ending that a process has decided.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    account: String,
    /// Which process, counted over the whole case.
    pub(crate) process: usize,
    pub(crate) session: String,
    pub(crate) reason: EndingReason,
    /// Whether it stands in the list.
    pub(crate) is_listed: bool,
}

#[derive(Default)]
struct Inside {
    decisions: Vec<Decision>,
    /// Appends hang.
    is_slow: bool,
    /// The processes of the appends that hang.
    hanging: Vec<usize>,
}

/// The disk. Clones are handles on the same one.
#[derive(Clone)]
pub(crate) struct RecordingDisk {
    scripted: ScriptedFiles,
    inside: Arc<Mutex<Inside>>,
    changed: Arc<Condvar>,
}

/// One process's access to the disk.
#[derive(Clone)]
pub(crate) struct Mount {
    disk: RecordingDisk,
    process: usize,
    lives: Arc<AtomicBool>,
}

impl RecordingDisk {
    pub(crate) fn watched_by(clock: &ManualClock) -> Self {
        Self {
            scripted: ScriptedFiles::watched_by(clock),
            inside: Arc::default(),
            changed: Arc::default(),
        }
    }

    pub(crate) fn mount(&self, process: usize) -> Mount {
        Mount {
            disk: self.clone(),
            process,
            lives: Arc::new(AtomicBool::new(true)),
        }
    }

    pub(crate) fn suffer(&self, trouble: DiskTrouble) {
        let no_space = FileFailure::Error(ErrorKind::StorageFull);
        match trouble {
            DiskTrouble::Full => self.scripted.fill(),
            DiskTrouble::Fails(call) => {
                let refused = FileFailure::Error(ErrorKind::PermissionDenied);
                self.scripted.fail(call, refused);
            }
            DiskTrouble::Once(call) => self.scripted.fail_next(call, 1, no_space),
            DiskTrouble::Tears(bytes) => {
                self.scripted
                    .fail(FileCall::Append, FileFailure::Torn(bytes));
            }
            DiskTrouble::TearsOnce(bytes) => {
                self.scripted
                    .fail_next(FileCall::Append, 1, FileFailure::Torn(bytes));
            }
            DiskTrouble::Slow => self.inside().is_slow = true,
        }
    }

    /// Nothing hangs or fails any more.
    pub(crate) fn heal(&self) {
        self.scripted.work_again();
        self.inside().is_slow = false;
        self.changed.notify_all();
    }

    /// Whether an append hangs, behind which others may wait that have not begun.
    pub(crate) fn is_hanging(&self) -> bool {
        !self.inside().hanging.is_empty()
    }

    /// The same in this process, whose other work on files waits as well.
    pub(crate) fn is_hanging_in(&self, process: usize) -> bool {
        self.inside().hanging.contains(&process)
    }

    /// What processes have decided about an account, in their order.
    pub(crate) fn decisions(&self, account: &str) -> Vec<Decision> {
        let inside = self.inside();
        let decisions = inside.decisions.iter();
        let of_account = decisions.filter(|decision| decision.account == account);
        of_account.cloned().collect()
    }

    /// Whether a process has decided an ending that is not listed yet.
    pub(crate) fn has_unlisted(&self, process: usize) -> bool {
        let inside = self.inside();
        let mut decisions = inside.decisions.iter();
        decisions.any(|decision| decision.process == process && !decision.is_listed)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mount {
    /// The process dies, and its hanging appends end without effect.
    pub(crate) fn die(&self) {
        // Under the disk's lock, or an append that is about to wait would miss it.
        let _inside = self.disk.inside();
        self.lives.store(false, Ordering::SeqCst);
        self.disk.changed.notify_all();
    }

    fn lives(&self) -> bool {
        self.lives.load(Ordering::SeqCst)
    }

    fn decide(&self, file: &Path, record: &[u8]) -> Option<(String, String)> {
        let folder = file.parent()?.file_name()?.to_str()?;
        let account = folder.strip_prefix("account-")?.to_owned();
        let (session, reason) = std::str::from_utf8(record).ok()?.trim().split_once(' ')?;
        let mut inside = self.disk.inside();
        let is_known = inside.decisions.iter().any(|decision| {
            decision.process == self.process
                && decision.account == account
                && decision.session == session
        });
        if !is_known {
            inside.decisions.push(Decision {
                account: account.clone(),
                process: self.process,
                session: session.to_owned(),
                reason: serde_json::from_value(reason.into()).expect("a reason"),
                is_listed: false,
            });
        }
        Some((account, session.to_owned()))
    }

    fn wait_while_slow(&self) -> io::Result<()> {
        let mut inside = self.disk.inside();
        inside.hanging.push(self.process);
        let hangs = |inside: &mut Inside| inside.is_slow && self.lives();
        let mut inside = self
            .disk
            .changed
            .wait_while(inside, hangs)
            .unwrap_or_else(PoisonError::into_inner);
        let own = inside
            .hanging
            .iter()
            .position(|other| *other == self.process);
        inside.hanging.swap_remove(own.expect("pushed above"));
        self.must_live()
    }

    /// A process that has died writes nothing any more.
    fn must_live(&self) -> io::Result<()> {
        if self.lives() {
            Ok(())
        } else {
            Err(ErrorKind::Interrupted.into())
        }
    }
}

impl FileSystem for Mount {
    fn make_private_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.scripted.make_private_folder(folder)
    }

    fn read(&self, file: &Path) -> io::Result<Option<Vec<u8>>> {
        self.disk.scripted.read(file)
    }

    fn length(&self, file: &Path) -> io::Result<Option<u64>> {
        self.disk.scripted.length(file)
    }

    fn replace(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        self.must_live()?;
        self.disk.scripted.replace(file, bytes)
    }

    fn append(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        self.must_live()?;
        let decided = self.decide(file, bytes);
        self.wait_while_slow()?;
        self.disk.scripted.append(file, bytes)?;
        let mut inside = self.disk.inside();
        for decision in &mut inside.decisions {
            let is_it = decided.as_ref().is_some_and(|(account, session)| {
                decision.account == *account && decision.session == *session
            });
            decision.is_listed |= is_it;
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.must_live()?;
        self.disk.scripted.rename(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.must_live()?;
        self.disk.scripted.remove(file)
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.disk.scripted.names(folder)
    }

    fn try_lock(&self, file: &Path) -> io::Result<Option<Guard>> {
        self.disk.scripted.try_lock(file)
    }

    fn watch(&self, folder: &Path, on_change: OnChange) -> Option<Guard> {
        self.disk.scripted.watch(folder, on_change)
    }
}
