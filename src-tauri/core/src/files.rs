//! The files of one account: an OS file lock for one renewal per machine, and beside it the state file and the list of ended
//! sessions. They hold no secret.
//!
//! The system releases the lock when its holder dies, however it dies. A file system can hang as a keyring can, so one
//! thread per session does all work on them ([`FilesThread`]), and everything else waits for it with a limit.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use graphql_session_renewal::{
    CredentialsInfo, EndingReason, FileState, FileView, IoFailure, SessionId, Wall,
};
use ring::digest::{SHA256, digest};

mod ended;
mod state;
mod system;
mod thread;

use ended::Endings;
pub(crate) use state::{About, StateFile};
pub use system::{FileSystem, Guard, OnChange, SystemFiles};
pub(crate) use thread::FilesThread;

/// Whether a list of ended sessions names this one.
#[cfg(feature = "parsers")]
pub(crate) fn ended_in_list(text: &[u8], session: SessionId) -> bool {
    let endings = Endings::default();
    endings.replace(text);
    endings.of(session).is_some()
}

const LOCK: &str = "lock";
const STATE: &str = "state.json";
const ENDED: &str = "ended";

/// What tells this folder from the one of another installation that shares the keyring: a hash of its path, and 128 random
/// bits, both in hexadecimal. Older versions wrote the random bits alone.
const FOLDER_ID: &str = "id";

/// Whether two folders of one path are one folder. A packaged application on Windows sees a folder of its own under the path
/// that another application has.
const PATH_TELLS_FOLDER: bool = !cfg!(windows);

/// What sign-ins keep for later ones: client ids that servers gave this application.
const SIGN_IN: &str = "sign-in.json";

/// Where a state file goes that could not be read, before another one takes its place.
const DAMAGED: &str = "state.damaged.json";

/// The files of one account, on the thread that works on them.
pub(crate) struct AccountFiles {
    system: Arc<dyn FileSystem>,
    state_dir: PathBuf,
    account: String,
    folder: PathBuf,
    endings: Arc<Endings>,
    on_change: Arc<dyn Fn() + Send + Sync>,
    watch: Option<Guard>,
    /// Whether the file system tells of changes. Where it does not, the session looks for them.
    is_watched: Arc<AtomicBool>,
    folder_id: Arc<OnceLock<String>>,
    /// The state file was unreadable when it was last read.
    is_damaged: bool,
    has_tidied: bool,
    seen: Option<Fingerprint>,
}

/// What the files held at one look.
#[derive(Debug, PartialEq, Eq)]
struct Fingerprint {
    /// The state file's text and not its time: two writes within one tick of the file system's clock have the same.
    state: Result<Option<Vec<u8>>, ErrorKind>,
    /// The ended list's length, in bytes: it only grows.
    ended: Result<Option<u64>, ErrorKind>,
}

impl AccountFiles {
    /// Makes the folder for them, where there is none, and moves files there that lie where an older version put them.
    fn make_folder(&mut self) -> io::Result<()> {
        self.system.make_private_folder(&self.folder)?;
        for name in [STATE, ENDED] {
            let old = self.state_dir.join(format!("{}.{name}", self.account));
            let new = self.folder.join(name);
            if matches!(self.system.length(&new), Ok(None)) {
                let _ = self.system.rename(&old, &new);
            }
        }
        if let Some(id) = self.folder_id.get() {
            // Somebody removed the folder while the application ran. The next start has to know it again.
            let _ = self.read_or_write_id(id);
        }
        self.watch = None;
        let on_change = self.on_change.clone();
        self.watch = self
            .system
            .watch(&self.folder, Box::new(move || on_change()));
        self.is_watched
            .store(self.watch.is_some(), Ordering::Relaxed);
        Ok(())
    }

    /// Finds out which folder this is, and gives it an id where it has none. `named` is the folder that the keyring's entry
    /// names: where that had this path, somebody has removed it, and this one takes its place.
    pub(crate) fn identify(&mut self, named: Option<&str>) {
        if self.folder_id.get().is_some() {
            return;
        }
        let path = path_hash(&self.folder);
        let predecessor = named.filter(|id| {
            let named_path = id.split_once('-').map(|(path, _)| path);
            PATH_TELLS_FOLDER && named_path == Some(&path)
        });
        let id = match predecessor {
            Some(id) => id.to_owned(),
            None => format!("{path}-{:032x}", rand::random::<u128>()),
        };
        if let Ok(id) = self.with_folder(|files| files.read_or_write_id(&id)) {
            let _ = self.folder_id.set(id);
        }
    }

    /// The folder's id; `id` becomes it where there is none. Of two processes that write one at once both append, and the
    /// first one counts.
    fn read_or_write_id(&self, id: &str) -> io::Result<String> {
        let path = self.folder.join(FOLDER_ID);
        if self.system.length(&path)?.is_none_or(|length| length == 0) {
            self.system.append(&path, format!("{id}\n").as_bytes())?;
        }
        let text = self.system.read(&path)?.unwrap_or_default();
        let first = text.split(|byte| *byte == b'\n').next();
        let id = first.and_then(|id| std::str::from_utf8(id).ok());
        id.filter(|id| !id.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| ErrorKind::InvalidData.into())
    }

    /// Takes the account's lock if nobody holds it. With it, removes what a process left that died while it wrote.
    fn try_lock(&mut self) -> io::Result<Option<Guard>> {
        let lock = self.with_folder(|files| files.system.try_lock(&files.folder.join(LOCK)))?;
        if lock.is_some() && !std::mem::replace(&mut self.has_tidied, true) {
            for name in self.system.names(&self.folder).unwrap_or_default() {
                if name.to_string_lossy().ends_with(system::NEW) {
                    let _ = self.system.remove(&self.folder.join(name));
                }
            }
        }
        Ok(lock)
    }

    /// The state file, or `None` where there is none.
    ///
    /// # Errors
    /// Where it cannot be read, or is damaged: it says nothing then.
    pub(crate) fn state(&mut self) -> Result<Option<StateFile>, IoFailure> {
        let read = self.system.read(&self.folder.join(STATE));
        let Some(text) = read.map_err(|error| IoFailure::from(&error))? else {
            return Ok(None);
        };
        let state = StateFile::parse(&text);
        self.is_damaged = state.is_none();
        state.map(Some).ok_or(IoFailure::Damaged)
    }

    /// Replaces the state file. One that could not be read is kept aside.
    pub(crate) fn write_state(&mut self, state: &StateFile) -> io::Result<()> {
        let text = serde_json::to_vec(state)?;
        self.with_folder(|files| {
            let path = files.folder.join(STATE);
            if std::mem::take(&mut files.is_damaged) {
                let _ = files.system.rename(&path, &files.folder.join(DAMAGED));
            }
            files.system.replace(&path, &text)
        })
    }

    /// Replaces the state file by one that says that its session is over. Where that fails, removes it, which needs no space:
    /// a file that says "signed in" would be taken for a session behind a locked keyring.
    pub(crate) fn write_ended(&mut self, ended: &StateFile) -> io::Result<()> {
        if let Ok(Some(file)) = self.state()
            && file.info.supersedes(&ended.info)
        {
            // Another process has signed in since; the ended list says the rest.
            return Ok(());
        }
        let written = self
            .write_state(ended)
            .or_else(|_| self.system.remove(&self.folder.join(STATE)));
        // It may name the person.
        let _ = self.system.remove(&self.folder.join(DAMAGED));
        written
    }

    /// What an earlier sign-in kept under this name. A file that cannot be read holds nothing: the server is asked again.
    pub(crate) fn recall(&self, name: &str) -> Option<String> {
        self.kept()?.remove(name)
    }

    /// Keeps a text for later sign-ins.
    pub(crate) fn remember(&mut self, name: String, text: String) -> io::Result<()> {
        let mut kept = self.kept().unwrap_or_default();
        kept.insert(name, text);
        let text = serde_json::to_vec(&kept)?;
        self.with_folder(|files| files.system.replace(&files.folder.join(SIGN_IN), &text))
    }

    fn kept(&self) -> Option<BTreeMap<String, String>> {
        let text = self.system.read(&self.folder.join(SIGN_IN)).ok()??;
        serde_json::from_slice(&text).ok()
    }

    /// Adds a session to the ended list, for ever. Needs no lock.
    pub(crate) fn append_ended(
        &mut self,
        session: SessionId,
        reason: EndingReason,
    ) -> io::Result<()> {
        let record = ended::record(session, reason);
        self.with_folder(|files| files.system.append(&files.folder.join(ENDED), &record))
    }

    /// Reads the ended list, if it has changed.
    pub(crate) fn read_endings(&mut self) -> Result<(), IoFailure> {
        let path = self.folder.join(ENDED);
        let length = self.system.length(&path).map(|length| length.unwrap_or(0));
        let read = length.and_then(|length| {
            if length != self.endings.length() {
                let text = self.system.read(&path)?;
                self.endings.replace(&text.unwrap_or_default());
            }
            Ok(())
        });
        read.map_err(|error| IoFailure::from(&error))
    }

    /// What the files say to a process that holds `held`.
    pub(crate) fn view(&mut self, held: Option<CredentialsInfo>, wall: Wall) -> FileView {
        let listed = self.read_endings();
        let state = self.state();
        let unreadable = listed.err().or(state.as_ref().err().copied());
        let state = state.ok().flatten().map(|file| FileState {
            info: file.info,
            ended: match file.standing {
                state::FileStanding::Ended { reason, at } => Some((reason, at)),
                state::FileStanding::SignedIn => {
                    let listed = self.endings.of(file.info.session);
                    listed.map(|reason| (reason, wall))
                }
            },
            saved: file.saved_at.is_some(),
            not_before: file.not_before,
            last_failure: file.last_failure(),
        });
        FileView {
            ended: held.and_then(|held| {
                let noted = state.filter(|file| file.info.session == held.session);
                let noted = noted.and_then(|file| file.ended);
                let listed = self.endings.of(held.session);
                listed.or(noted.map(|(reason, _)| reason))
            }),
            state,
            unreadable,
        }
    }

    /// What the files say to a process that holds `held`, if they have changed since the last call.
    pub(crate) fn changed_view(
        &mut self,
        held: Option<CredentialsInfo>,
        wall: Wall,
    ) -> Option<FileView> {
        let read = |name| self.folder.join(name);
        let seen = Fingerprint {
            state: self.system.read(&read(STATE)).map_err(|error| error.kind()),
            ended: self
                .system
                .length(&read(ENDED))
                .map_err(|error| error.kind()),
        };
        let has_changed = self.seen.as_ref() != Some(&seen);
        self.seen = Some(seen);
        has_changed.then(|| self.view(held, wall))
    }

    /// Does it once more after making the folder, where that has gone.
    fn with_folder<T>(&mut self, work: impl Fn(&mut Self) -> io::Result<T>) -> io::Result<T> {
        match work(self) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.make_folder()?;
                work(self)
            }
            done => done,
        }
    }
}

/// The folder of an account's files. Its name is the same wherever capitals do not count, and none that a system reserves.
fn account_folder(state_dir: &Path, account: &str) -> PathBuf {
    let mut name = String::from("account-");
    for byte in account.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => name.push_str(&format!("={byte:02x}")),
        }
    }
    state_dir.join(name)
}

/// 64 bits of the path's SHA-256, in hexadecimal: the same in every version.
fn path_hash(folder: &Path) -> String {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let hash = digest(&SHA256, absolute.as_os_str().as_encoded_bytes());
    hash.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_that_differ_in_capitals_have_folders_that_differ_without_them() {
        let names = ["work", "Work", "WORK", "con", "a.b"].map(|account| {
            let folder = account_folder(Path::new(""), account);
            folder.to_string_lossy().into_owned()
        });
        assert_eq!(
            names,
            [
                "account-work",
                "account-=57ork",
                "account-=57=4f=52=4b",
                "account-con",
                "account-a=2eb"
            ]
        );
    }
}
