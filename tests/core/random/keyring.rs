//! The machine's keyring as each process reaches it, with a record of every write.
//!
//! The [`ScriptedVault`] behind it fails on demand. Added here: calls that hang, and whether they take effect when
//! their process dies.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use graphql_session::{Clock, Vault, VaultError};
use graphql_session_testing::{FaultServer, ManualClock, ScriptedVault, VaultCall};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::disk::RecordingDisk;

/// The parts of a stored record that the checks use.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) session: String,
    pub(crate) begun_at: i64,
    pub(crate) generation: u64,
    pub(crate) credentials: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Record {
    pub(crate) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether this is the newer of the two. Of two sessions that began in one millisecond neither is.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        if self.session == other.session {
            self.generation > other.generation
        } else {
            self.begun_at > other.begun_at
        }
    }
}

/// One write or removal, from the moment when it reached the keyring.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) account: String,
    /// Which process, counted over the whole case.
    pub(crate) process: usize,
    /// What was written; `None` for a removal.
    pub(crate) record: Option<Record>,
    /// The record that it replaced.
    pub(crate) replaced: Option<Record>,
    /// How many requests the account's server had seen when it began.
    pub(crate) began_after: usize,
    /// The process's awake time when it began.
    pub(crate) began_at: Duration,
    /// How it ended, and how many requests the server had seen by then.
    pub(crate) ended: Option<(Result<(), VaultError>, usize)>,
}

/// One read, from the moment when it reached the keyring.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) account: String,
    /// How many renewals the account's server had rejected by then.
    pub(crate) rejections: u64,
    /// How many endings of the account had been decided.
    pub(crate) endings: usize,
}

#[derive(Default)]
struct Inside {
    slow: HashSet<VaultCall>,
    writes: Vec<Write>,
    looks: Vec<Look>,
    servers: HashMap<String, FaultServer>,
}

/// The keyring. Clones are handles on the same one.
#[derive(Clone)]
pub(crate) struct RecordingKeyring {
    pub(crate) scripted: ScriptedVault,
    disk: RecordingDisk,
    inside: Arc<Mutex<Inside>>,
    changed: Arc<Condvar>,
}

/// What the keyring knows of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Alive,
    /// Killed: a call that hangs takes effect, or does not.
    Dead {
        lands: bool,
    },
}

/// One process's access to the keyring.
#[derive(Clone)]
pub(crate) struct Way {
    keyring: RecordingKeyring,
    process: usize,
    clock: ManualClock,
    life: Arc<Mutex<Life>>,
}

impl RecordingKeyring {
    pub(crate) fn new(servers: HashMap<String, FaultServer>, disk: RecordingDisk) -> Self {
        let inside = Inside {
            servers,
            ..Inside::default()
        };
        Self {
            scripted: ScriptedVault::new(),
            disk,
            inside: Arc::new(Mutex::new(inside)),
            changed: Arc::default(),
        }
    }

    pub(crate) fn way_of(&self, process: usize, clock: ManualClock) -> Way {
        Way {
            keyring: self.clone(),
            process,
            clock,
            life: Arc::new(Mutex::new(Life::Alive)),
        }
    }

    /// Calls of this kind hang from now on.
    pub(crate) fn hang(&self, call: VaultCall) {
        self.inside().slow.insert(call);
    }

    /// Nothing hangs or fails any more.
    pub(crate) fn heal(&self) {
        self.scripted.work_again();
        self.inside().slow.clear();
        self.changed.notify_all();
    }

    /// The writes from the one numbered `first`.
    pub(crate) fn writes_from(&self, first: usize) -> Vec<Write> {
        self.inside().writes[first..].to_vec()
    }

    /// Passes all writes to `ask`, without a copy.
    pub(crate) fn ask_writes<T>(&self, ask: impl FnOnce(&[Write]) -> T) -> T {
        ask(&self.inside().writes)
    }

    /// The writes of which this holds.
    pub(crate) fn writes_that(&self, hold: impl Fn(&Write) -> bool) -> Vec<Write> {
        let inside = self.inside();
        let writes = inside.writes.iter().filter(|write| hold(write));
        writes.cloned().collect()
    }

    /// Whether a process tried to read the keyring after this many `rejections`, and while no more than this many
    /// sessions had ended.
    pub(crate) fn was_read(&self, account: &str, rejections: u64, endings: usize) -> bool {
        self.inside().looks.iter().any(|look| {
            look.account == account && look.rejections >= rejections && look.endings <= endings
        })
    }

    pub(crate) fn stored(&self, account: &str) -> Option<Record> {
        Record::read(&self.scripted.stored(account)?)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Way {
    /// The process dies, and its hanging calls end.
    pub(crate) fn die(&self, lands: bool) {
        // Under the keyring's lock, or a call that is about to wait would miss it.
        let _inside = self.keyring.inside();
        *self.life.lock().unwrap_or_else(PoisonError::into_inner) = Life::Dead { lands };
        self.keyring.changed.notify_all();
    }

    fn life(&self) -> Life {
        *self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while calls of this kind hang.
    fn arrive(&self, call: VaultCall) -> Result<(), VaultError> {
        if self.life() != Life::Alive {
            return Err(VaultError::Failed);
        }
        let inside = self.keyring.inside();
        let changed = &self.keyring.changed;
        let hangs = |inside: &mut Inside| inside.slow.contains(&call) && self.life() == Life::Alive;
        drop(
            changed
                .wait_while(inside, hangs)
                .unwrap_or_else(PoisonError::into_inner),
        );
        match self.life() {
            Life::Dead { lands: false } => Err(VaultError::Failed),
            Life::Alive | Life::Dead { lands: true } => Ok(()),
        }
    }

    fn note_look(&self, account: &str) {
        let endings = self.keyring.disk.decisions(account).len();
        let mut inside = self.keyring.inside();
        let rejections = inside.servers[account].counts().renewals_refused;
        inside.looks.push(Look {
            account: account.to_owned(),
            rejections,
            endings,
        });
    }

    fn change(
        &self,
        account: &str,
        call: VaultCall,
        record: Option<Record>,
        make: impl FnOnce(&ScriptedVault) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let number = self.begin(account, record);
        let arrived = self.arrive(call);
        let replaced = self.keyring.stored(account);
        // Noted before it is done: a scripted panic leaves it as failed.
        self.end(account, number, None, Err(VaultError::Failed));
        let result = arrived.and_then(|()| make(&self.keyring.scripted));
        self.end(account, number, replaced, result);
        result
    }

    fn begin(&self, account: &str, record: Option<Record>) -> usize {
        let mut inside = self.keyring.inside();
        let began_after = inside.servers[account].seen_so_far();
        inside.writes.push(Write {
            account: account.to_owned(),
            process: self.process,
            record,
            replaced: None,
            began_after,
            began_at: self.clock.awake(),
            ended: None,
        });
        inside.writes.len() - 1
    }

    fn end(
        &self,
        account: &str,
        number: usize,
        replaced: Option<Record>,
        result: Result<(), VaultError>,
    ) {
        let mut inside = self.keyring.inside();
        let seen = inside.servers[account].seen_so_far();
        inside.writes[number].replaced = replaced;
        inside.writes[number].ended = Some((result, seen));
    }
}

impl Vault for Way {
    fn read(&self, account: &str) -> Result<Option<SecretString>, VaultError> {
        self.note_look(account);
        self.arrive(VaultCall::Read)?;
        self.keyring.scripted.read(account)
    }

    fn write(&self, account: &str, text: &SecretString) -> Result<(), VaultError> {
        let record = Record::read(text.expose_secret());
        self.change(account, VaultCall::Write, record, |vault| {
            vault.write(account, text)
        })
    }

    fn remove(&self, account: &str) -> Result<(), VaultError> {
        self.change(account, VaultCall::Remove, None, |vault| {
            vault.remove(account)
        })
    }
}
