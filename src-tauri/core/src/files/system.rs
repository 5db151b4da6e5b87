//! [`FileSystem`]: what a session needs of the file system. Tests bring one that fails.

use std::any::Any;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecursiveMode, Watcher};

/// Longest file that is read, in bytes: some 20,000 endings, or the state file many times over.
const LONGEST: u64 = 1 << 20;

/// A lock that is held, or a watch that is kept, until this is dropped.
pub type Guard = Box<dyn Any + Send>;

/// What is called when a file in a watched folder has changed.
pub type OnChange = Box<dyn Fn() + Send + Sync>;

/// The file system, as a session uses it for the files of one account: a lock, the state file, the list of ended sessions.
///
/// Called from one dedicated thread per session; calls may block. [`SystemFiles`] is the machine's own. Another one is for
/// tests and for programs that keep these files elsewhere.
pub trait FileSystem: Send + Sync + 'static {
    /// Makes the folder, and those above it, for this user only. A folder that others can enter is closed to them.
    ///
    /// # Errors
    /// Where that is not possible, or the folder belongs to another user.
    fn make_private_folder(&self, folder: &Path) -> io::Result<()>;

    /// The whole file; `None` where there is none.
    ///
    /// # Errors
    /// Where it cannot be read, is longer than 1 MiB, or is no plain file.
    fn read(&self, file: &Path) -> io::Result<Option<Vec<u8>>>;

    /// The file's length in bytes; `None` where there is none.
    ///
    /// # Errors
    /// Where that cannot be found out.
    fn length(&self, file: &Path) -> io::Result<Option<u64>>;

    /// Replaces the file: at every moment, and after a crash, it has all of its old bytes or all of these.
    ///
    /// # Errors
    /// The file has its old bytes then.
    fn replace(&self, file: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Adds to the end of the file, which is made where there is none. After a crash, or an error, a part of it may be there.
    ///
    /// # Errors
    /// Where not all of it rests on the disk.
    fn append(&self, file: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Gives the file another name; no file is success.
    ///
    /// # Errors
    /// The file has its old name then.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes the file; no file is success.
    ///
    /// # Errors
    /// The file is still there then.
    fn remove(&self, file: &Path) -> io::Result<()>;

    /// The names in the folder.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// Takes the lock that this file stands for, unless another process has it: `None`. The system releases it when its
    /// process dies. The file is made where there is none, and never removed.
    ///
    /// # Errors
    /// Where the file system gives no locks, or not there.
    fn try_lock(&self, file: &Path) -> io::Result<Option<Guard>>;

    /// Calls `on_change` soon after any program has changed a file in the folder. `None` where the file system tells
    /// nothing: the session looks twice a second then.
    fn watch(&self, folder: &Path, on_change: OnChange) -> Option<Guard> {
        let _ = (folder, on_change);
        None
    }
}

/// The machine's file system.
///
/// Files are made for this user only, and symbolic links in their place are not followed.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemFiles;

impl FileSystem for SystemFiles {
    fn make_private_folder(&self, folder: &Path) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        let found = fs::symlink_metadata(folder)?;
        if !found.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            if found.permissions().mode() & 0o077 != 0 {
                fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
            }
        }
        Ok(())
    }

    fn read(&self, file: &Path) -> io::Result<Option<Vec<u8>>> {
        let opened = match open(OpenOptions::new().read(true), file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        opened.take(LONGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LONGEST {
            return Err(ErrorKind::FileTooLarge.into());
        }
        Ok(Some(bytes))
    }

    fn length(&self, file: &Path) -> io::Result<Option<u64>> {
        match fs::symlink_metadata(file) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            found => Ok(Some(found?.len())),
        }
    }

    fn replace(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut new = file.as_os_str().to_owned();
        new.push(format!(".{:016x}{NEW}", rand::random::<u64>()));
        let new = Path::new(&new);
        let written = write_new(new, bytes).and_then(|()| fs::rename(new, file));
        if written.is_err() {
            let _ = fs::remove_file(new);
        }
        written?;
        flush_folder_of(file);
        Ok(())
    }

    fn append(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        let is_new = self.length(file)?.is_none();
        let mut opened = open(OpenOptions::new().create(true).append(true), file)?;
        opened.write_all(bytes)?;
        opened.sync_data()?;
        if is_new {
            flush_folder_of(file);
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        absent_is_fine(fs::rename(from, to))
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        absent_is_fine(fs::remove_file(file))
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let entries = fs::read_dir(folder)?;
        entries
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect()
    }

    fn try_lock(&self, file: &Path) -> io::Result<Option<Guard>> {
        // Windows locks only what is opened for reading and writing.
        let mut options = OpenOptions::new();
        options.create(true).read(true).write(true).truncate(false);
        let file = open(&mut options, file)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn watch(&self, folder: &Path, on_change: OnChange) -> Option<Guard> {
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // What cannot be told is looked at.
                if event.map_or(true, |event| changes_files(event.kind)) {
                    on_change();
                }
            })
            .ok()?;
        watcher.watch(folder, RecursiveMode::NonRecursive).ok()?;
        Some(Box::new(watcher))
    }
}

/// How the names of files end that are being written, and not yet in their place.
pub(super) const NEW: &str = ".new";

/// Opens a plain file, and makes it for this user only where it is made. A pipe or a device in its place does not block.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    let file = options.open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if found.permissions().mode() & 0o077 != 0 {
            // One that another user owns stays as it is.
            let _ = file.set_permissions(fs::Permissions::from_mode(0o600));
        }
    }
    Ok(file)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = open(OpenOptions::new().create_new(true).write(true), path)?;
    file.write_all(bytes)?;
    file.sync_data()
}

/// Makes the names in the file's folder outlast a loss of power. Windows does that with the file. Some network file systems
/// refuse it; the file is in its place all the same.
fn flush_folder_of(file: &Path) {
    #[cfg(unix)]
    if let Some(folder) = file.parent() {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    #[cfg(not(unix))]
    let _ = file;
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Reading a file, and opening one for it, changes nothing: a look would otherwise cause the next one.
fn changes_files(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(mode)) => mode == AccessMode::Write,
        EventKind::Access(_) => false,
        _ => true,
    }
}
