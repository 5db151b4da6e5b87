//! A file system that fails on demand.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::clock::ManualClock;
use super::script::Script;
use graphql_session::{FileSystem, Guard, OnChange, SystemFiles};

/// The machine's file system with scripted failures. Clones are handles on the same script. It tells of no changes unless
/// asked to, so that a session looks at its files when the manual clock says so.
#[derive(Clone)]
pub struct ScriptedFiles {
    script: Script<FileCall, FileFailure>,
    tells_of_changes: bool,
}

/// One kind of call to a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileCall {
    /// [`FileSystem::make_private_folder`].
    MakeFolder,
    /// [`FileSystem::read`] and [`FileSystem::length`].
    Read,
    /// [`FileSystem::replace`].
    Replace,
    /// [`FileSystem::append`].
    Append,
    /// [`FileSystem::remove`] and [`FileSystem::rename`].
    Remove,
    /// [`FileSystem::try_lock`].
    Lock,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileFailure {
    /// Nothing is done, with an error of this kind.
    Error(ErrorKind),
    /// Nothing is done, with this error of the system, such as `ENOLCK`.
    System(i32),
    /// A write ends after this many bytes, as on a disk that is full. Other calls are not torn.
    Torn(usize),
}

/// The kinds of calls that write.
const WRITES: [FileCall; 2] = [FileCall::Replace, FileCall::Append];

impl ScriptedFiles {
    /// A file system that works, with `clock` standing still while a call is under way (not while one is
    /// [held](Self::hold)).
    pub fn watched_by(clock: &ManualClock) -> Self {
        Self {
            script: Script::new(clock.activity()),
            tells_of_changes: false,
        }
    }

    /// The same file system, which tells the session of changes as the real one does.
    pub fn telling_of_changes(&self) -> Self {
        Self {
            tells_of_changes: true,
            ..self.clone()
        }
    }

    /// The next `times` calls of this kind fail.
    pub fn fail_next(&self, call: FileCall, times: usize, failure: FileFailure) {
        self.script.fail_next(call, times, failure);
    }

    /// The next call of this kind panics, as an adopter's file system may.
    pub fn panic_next(&self, call: FileCall) {
        self.script.panic_next(call);
    }

    /// Every call of this kind fails, until [`work_again`](Self::work_again).
    pub fn fail(&self, call: FileCall, failure: FileFailure) {
        self.script.fail(call, failure);
    }

    /// Every write fails for want of space, until [`work_again`](Self::work_again).
    pub fn fill(&self) {
        for call in WRITES {
            self.fail(call, FileFailure::Error(ErrorKind::StorageFull));
        }
    }

    /// Ends all scripted failures, and releases all held calls.
    pub fn work_again(&self) {
        self.script.clear();
    }

    /// Calls of this kind block from now on, before they do anything, until [`release`](Self::release): a network folder
    /// whose server is gone.
    pub fn hold(&self, call: FileCall) {
        self.script.hold(call);
    }

    /// Held calls of this kind go on, and later ones are not held.
    pub fn release(&self, call: FileCall) {
        self.script.release(call);
    }

    /// How many calls of this kind have begun.
    pub fn count(&self, call: FileCall) -> u64 {
        self.script.count(call)
    }

    /// Returns once `count` calls are held, blocking a thread for at most 20 s.
    ///
    /// # Panics
    /// When that does not happen.
    pub async fn wait_until_held(&self, count: usize) {
        self.script.wait_until_held(count).await;
    }

    fn play<T>(&self, call: FileCall, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.script
            .play(call, work)
            .unwrap_or_else(|failure| Err(failure.into()))
    }
}

impl From<FileFailure> for io::Error {
    fn from(failure: FileFailure) -> Self {
        match failure {
            FileFailure::Error(kind) => kind.into(),
            FileFailure::System(number) => Self::from_raw_os_error(number),
            FileFailure::Torn(_) => ErrorKind::StorageFull.into(),
        }
    }
}

impl FileSystem for ScriptedFiles {
    fn make_private_folder(&self, folder: &Path) -> io::Result<()> {
        self.play(FileCall::MakeFolder, || {
            SystemFiles.make_private_folder(folder)
        })
    }

    fn read(&self, file: &Path) -> io::Result<Option<Vec<u8>>> {
        self.play(FileCall::Read, || SystemFiles.read(file))
    }

    fn length(&self, file: &Path) -> io::Result<Option<u64>> {
        self.play(FileCall::Read, || SystemFiles.length(file))
    }

    fn replace(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        self.play(FileCall::Replace, || SystemFiles.replace(file, bytes))
    }

    fn append(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        let appended = self
            .script
            .play(FileCall::Append, || SystemFiles.append(file, bytes));
        appended.unwrap_or_else(|failure| {
            if let FileFailure::Torn(length) = failure {
                let _ = SystemFiles.append(file, &bytes[..length.min(bytes.len())]);
            }
            Err(failure.into())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.play(FileCall::Remove, || SystemFiles.rename(from, to))
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.play(FileCall::Remove, || SystemFiles.remove(file))
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        SystemFiles.names(folder)
    }

    fn try_lock(&self, file: &Path) -> io::Result<Option<Guard>> {
        let taken = self
            .script
            .play_poll(FileCall::Lock, || SystemFiles.try_lock(file).transpose());
        taken
            .unwrap_or_else(|failure| Some(Err(failure.into())))
            .transpose()
    }

    fn watch(&self, folder: &Path, on_change: OnChange) -> Option<Guard> {
        if self.tells_of_changes {
            SystemFiles.watch(folder, on_change)
        } else {
            None
        }
    }
}

impl std::fmt::Debug for ScriptedFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedFiles").finish_non_exhaustive()
    }
}
