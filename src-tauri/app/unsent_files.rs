//! The files of unsent work: one folder for each person at a server, one file for each window.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stable_hash::stable_hash;

/// Whose work it is. The page names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) server: String,
    pub(crate) person: String,
}

/// What has not reached the server. Only the page knows what its entries mean.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) edits: Vec<Value>,
    pub(crate) drafts: Vec<Value>,
}

impl Work {
    fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.drafts.is_empty()
    }
}

/// One file: whose it is stands in it, because its folder's name is only a hash.
#[derive(Serialize, Deserialize)]
struct Stored {
    owner: Owner,
    #[serde(flatten)]
    work: Work,
}

/// Most bytes of one window's work: thousands of edits, or a novel in a form.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// End of the names of files that hold work, of those that are being written, and of those that could not be read.
const FILE: &str = "json";
const BEING_WRITTEN: &str = "new";
const DAMAGED: &str = "damaged";

/// Replaces what a window has kept. The old file stays whole until the new one is on the disk.
pub(crate) fn keep(root: &Path, owner: &Owner, window: &str, work: &Work) -> io::Result<()> {
    let folder = folder_of(root, owner);
    let file = folder.join(window).with_extension(FILE);
    if work.is_empty() {
        remove(&file)?;
        // It may hold the files of other windows.
        _ = fs::remove_dir(&folder);
        return Ok(());
    }
    let stored = Stored {
        owner: owner.clone(),
        work: work.clone(),
    };
    let bytes = serde_json::to_vec(&stored)?;
    if bytes.len() > MAX_BYTES {
        return Err(io::Error::new(
            ErrorKind::FileTooLarge,
            "too much unsent work",
        ));
    }
    let is_new = !folder.exists();
    make_private(root)?;
    make_private(&folder)?;
    if is_new {
        flush_folder(root)?;
    }
    let new = file.with_extension(BEING_WRITTEN);
    remove(&new)?;
    let mut writing = private_file(&new)?;
    writing.write_all(&bytes)?;
    writing.sync_all()?;
    fs::rename(&new, &file)?;
    flush_folder(&folder)
}

/// Takes over what this window has kept before, and what windows have kept that are no longer open. It rests in this
/// window's file before the others are removed.
pub(crate) fn take(
    root: &Path,
    owner: &Owner,
    window: &str,
    is_open: impl Fn(&str) -> bool,
) -> io::Result<Work> {
    let folder = folder_of(root, owner);
    let own = folder.join(window).with_extension(FILE);
    let mut work = read(&own, owner)?;
    let mut others = Vec::new();
    for file in files_in(&folder)? {
        let name = file.file_stem().and_then(|name| name.to_str());
        if file != own && !name.is_some_and(&is_open) {
            others.push(file);
        }
    }
    others.sort_by_key(|file| modified(file));
    for file in &others {
        let found = read(file, owner)?;
        work.edits.extend(found.edits);
        work.drafts.extend(found.drafts);
    }
    if !others.is_empty() {
        keep(root, owner, window, &work)?;
        for file in &others {
            remove(file)?;
        }
    }
    Ok(work)
}

/// Removes all that is kept for this owner, by whichever window.
pub(crate) fn forget(root: &Path, owner: &Owner) -> io::Result<()> {
    match fs::remove_dir_all(folder_of(root, owner)) {
        Err(problem) if problem.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn read(file: &Path, owner: &Owner) -> io::Result<Work> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(problem) if problem.kind() == ErrorKind::NotFound => return Ok(Work::default()),
        Err(problem) => return Err(problem),
    };
    match serde_json::from_slice::<Stored>(&bytes) {
        Ok(stored) if stored.owner == *owner => Ok(stored.work),
        // Kept aside: people may still read their texts in it.
        _ => {
            tracing::warn!(file = %file.display(), "unsent work can't be read, and is kept aside");
            fs::rename(file, file.with_extension(DAMAGED))?;
            Ok(Work::default())
        }
    }
}

/// The files that hold work.
fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(problem) if problem.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(problem) => return Err(problem),
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths?;
    paths.retain(|path| path.extension().is_some_and(|end| end == FILE));
    Ok(paths)
}

fn modified(file: &Path) -> SystemTime {
    fs::metadata(file)
        .and_then(|about| about.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The name of a folder shows neither a person nor a server.
fn folder_of(root: &Path, Owner { server, person }: &Owner) -> PathBuf {
    let text = format!("{server}\n{}", person.to_lowercase());
    root.join(stable_hash(text.as_bytes()))
}

/// A folder that nobody else can look into. A link in its place is refused: it could lead anywhere.
fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    let about = fs::symlink_metadata(folder)?;
    if !about.is_dir() {
        return Err(io::Error::new(
            ErrorKind::NotADirectory,
            "a link in place of a folder",
        ));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if about.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        }
    }
    Ok(())
}

/// A new file that nobody else can read.
fn private_file(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(problem) if problem.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// What was made or renamed in a folder outlasts a loss of power only then.
#[cfg(unix)]
fn flush_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn flush_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
