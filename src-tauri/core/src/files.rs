//! One renewal per machine: an OS file lock per account, and beside it the state file and the list of ended sessions.
//!
//! The lock is released by the system when its holder dies, however it dies. The files hold no secret. They are read
//! and written in place, not through the blocking pool: they are below a kilobyte and on a local disk, and a pool
//! thread that hangs would keep the process from exiting.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use graphql_session_renewal::{
    CredentialsId, CredentialsInfo, EndingReason, SessionId, TokenFate, Wall,
};
use serde::{Deserialize, Serialize};

use crate::credentials::{Credentials, new_credentials_id};

/// Version of the state file. A file of another version is ignored: the vault's record decides then.
const VERSION: u32 = 1;

/// How often a taken lock is tried again. A holder that dies is followed within this time; real time, because it
/// paces the machine and not the session.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// What the processes of one account tell each other. Replaced by rename, so that nobody reads half of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateFile {
    version: u32,
    pub(crate) account: String,
    pub(crate) server: String,
    pub(crate) person: Option<String>,
    pub(crate) protocol: String,
    /// The credentials that are current, whether or not they could be saved.
    #[serde(rename = "stamp")]
    pub(crate) info: CredentialsInfo,
    pub(crate) standing: FileStanding,
    /// No attempt before this time: the server's Retry-After.
    pub(crate) not_before: Option<Wall>,
    /// The last attempt that proved nothing, and with which credentials.
    pub(crate) last_failure: Option<Failure>,
    /// When these credentials were put into the vault.
    pub(crate) saved_at: Option<Wall>,
}

/// Where the session stands, as the state file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileStanding {
    SignedIn,
    Ended { reason: EndingReason, at: Wall },
}

/// One attempt that proved nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) credentials: CredentialsId,
    pub(crate) at: Wall,
    pub(crate) token: TokenFate,
    /// When the next attempt is due, for every process: one outage is one series of attempts.
    pub(crate) next_at: Wall,
}

impl StateFile {
    pub(crate) fn new(account: &str, credentials: &Credentials, standing: FileStanding) -> Self {
        Self {
            version: VERSION,
            account: account.to_owned(),
            server: credentials.origin.clone(),
            person: credentials.person.clone(),
            protocol: credentials.protocol.clone(),
            info: credentials.info,
            standing,
            not_before: None,
            last_failure: None,
            saved_at: None,
        }
    }
}

/// The files of one account.
#[derive(Debug)]
pub(crate) struct AccountFiles {
    lock: PathBuf,
    state: PathBuf,
    ended: PathBuf,
    ended_seen: Mutex<EndedList>,
}

/// The ended list as last read. It only grows, so its length says whether it changed.
#[derive(Debug, Default)]
struct EndedList {
    bytes: u64,
    sessions: Vec<(SessionId, EndingReason)>,
}

/// What the files held at one look.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    state: Option<Vec<u8>>,
    /// The list's length, in bytes: it only grows.
    ended: u64,
}

/// The account's lock; dropping it releases it.
#[derive(Debug)]
pub(crate) struct LockGuard {
    _file: File,
}

impl AccountFiles {
    /// The files of `account` below `folder`, which is made on demand, for this user only.
    pub(crate) fn open(folder: &Path, account: &str) -> io::Result<Self> {
        make_private_folder(folder)?;
        Ok(Self {
            lock: folder.join(format!("{account}.lock")),
            state: folder.join(format!("{account}.state.json")),
            ended: folder.join(format!("{account}.ended")),
            ended_seen: Mutex::default(),
        })
    }

    /// Takes the lock; returns once it is held. Bounding the wait is the caller's business: dropping the future is safe.
    pub(crate) async fn lock(&self) -> io::Result<LockGuard> {
        loop {
            if let Some(guard) = self.try_lock()? {
                return Ok(guard);
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
    }

    /// Takes the lock if nobody holds it.
    pub(crate) fn try_lock(&self) -> io::Result<Option<LockGuard>> {
        // The file is never removed: a process could then hold a lock on a file that nobody else finds.
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.lock)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(LockGuard { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The state file, or `None` where there is none that this version reads.
    pub(crate) fn state(&self) -> Option<StateFile> {
        let text = fs::read(&self.state).ok()?;
        let state: StateFile = serde_json::from_slice(&text).ok()?;
        (state.version == VERSION).then_some(state)
    }

    /// Replaces the state file.
    pub(crate) fn write_state(&self, state: &StateFile) -> io::Result<()> {
        let text = serde_json::to_vec(state)?;
        let unique = self
            .state
            .with_extension(format!("{}.new", new_credentials_id()));
        let written = write_durably(&unique, &text).and_then(|()| fs::rename(&unique, &self.state));
        if written.is_err() {
            let _ = fs::remove_file(&unique);
        }
        written
    }

    /// Adds a session to the ended list, for ever. Needs no lock: appending a line is atomic.
    pub(crate) fn append_ended(&self, session: SessionId, reason: EndingReason) -> io::Result<()> {
        let reason = serde_json::to_value(reason)?;
        let line = format!("{session} {}\n", reason.as_str().unwrap_or_default());
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.ended)?;
        file.write_all(line.as_bytes())?;
        file.sync_data()
    }

    /// Why `session` ended, if it is on the ended list.
    pub(crate) fn ending_of(&self, session: SessionId) -> Option<EndingReason> {
        // Before the lock, so that calls which are replayed together do not wait for each other's look.
        let bytes = fs::metadata(&self.ended).map_or(0, |metadata| metadata.len());
        let mut seen = self
            .ended_seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if bytes != seen.bytes {
            let mut text = String::new();
            if File::open(&self.ended)
                .and_then(|mut file| file.read_to_string(&mut text))
                .is_ok()
            {
                // A last line without its end is being written; its writer's own publication follows.
                let whole = text.rfind('\n').map_or(0, |end| end + 1);
                seen.sessions = text[..whole].lines().filter_map(parse_ended).collect();
                seen.bytes = whole as u64;
            }
        }
        seen.sessions
            .iter()
            .find(|(id, _)| *id == session)
            .map(|(_, reason)| *reason)
    }

    /// Changes whenever another process has written something new. The state file's text and not its time: two writes
    /// within one tick of the file system's clock have the same.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            state: fs::read(&self.state).ok(),
            ended: fs::metadata(&self.ended).map_or(0, |metadata| metadata.len()),
        }
    }
}

fn parse_ended(line: &str) -> Option<(SessionId, EndingReason)> {
    let (id, reason) = line.split_once(' ')?;
    let reason = serde_json::from_value(reason.into()).ok()?;
    Some((id.parse().ok()?, reason))
}

fn write_durably(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).open(path)?;
    file.write_all(text)?;
    file.sync_data()
}

fn make_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}
