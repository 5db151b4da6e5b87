//! One process of the machine: a runtime of its own on a thread of its own, so that everything of it can stop at once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use graphql_session::{Clock, Config, Error, Reply, Session, Sleep, Storage};
use graphql_session_testing::ManualClock;
use jiff::Timestamp;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::disk::Mount;
use super::keyring::Way;

/// The result of a process's task, once it has one.
pub(crate) type Outcome<T> = Arc<OnceLock<T>>;

/// A runtime on a thread of its own, which ends with everything in it when this is dropped.
pub(crate) struct Own {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Own {
    pub(crate) fn start(name: &str) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let _ = runtime.block_on(stopped);
                // Drops every task at its current `await`.
                drop(runtime);
            })
            .expect("a thread starts");
        Self {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Starts a task; its result can be looked at.
    pub(crate) fn run<T: Send + Sync + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> (JoinHandle<()>, Outcome<T>) {
        let outcome = Outcome::default();
        let place = outcome.clone();
        let task = self.handle.spawn(async move {
            let _ = place.set(work.await);
        });
        (task, outcome)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A process's view of time: the machine's wall clock, and awake time of its own, so that processes wake one after
/// the other and a case runs the same each time.
pub(crate) struct ProcessClock {
    pub(crate) own: ManualClock,
    machine: ManualClock,
    lock_limit: Duration,
    /// Each wait for the lock has a clone of it.
    waits_for_lock: Arc<()>,
}

impl Clock for ProcessClock {
    fn wall(&self) -> Timestamp {
        self.machine.wall()
    }

    fn awake(&self) -> Duration {
        self.own.awake()
    }

    fn sleep(&self, pause: Duration) -> Sleep {
        let sleep = self.own.sleep(pause);
        if pause != self.lock_limit {
            return sleep;
        }
        // No other sleep has exactly this length.
        let waiting = self.waits_for_lock.clone();
        Sleep::new(async move {
            let _waiting = waiting;
            sleep.await;
        })
    }

    fn random(&self) -> u64 {
        self.own.random()
    }
}

/// A process with a session for each account.
pub(crate) struct Process {
    /// Counted over the whole case.
    pub(crate) number: usize,
    pub(crate) clock: ManualClock,
    pub(crate) way: Way,
    pub(crate) mount: Mount,
    pub(crate) seats: Vec<Seat>,
    // The last field, because dropping it drops the sessions.
    pub(crate) own: Own,
}

/// A session in its process, and what the checks remember of it.
pub(crate) struct Seat {
    session: Outcome<Session>,
    waits_for_lock: Arc<()>,
    pub(crate) memory: Memory,
}

/// What was seen of a session at the last look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) revision: u64,
    pub(crate) said_unsaved: bool,
    /// Awake time of the case at the last look, if it was signed in then.
    pub(crate) signed_in_at: Option<Duration>,
    /// Awake time of the last success: a call served, a renewal, an adoption, or the start.
    pub(crate) last_success: Duration,
    /// Journal entries read.
    pub(crate) journal_read: usize,
}

impl Process {
    /// Starts a process whose sessions have these settings, apart from the clock and the file system.
    pub(crate) fn start(
        number: usize,
        machine: &ManualClock,
        (way, mount): (Way, Mount),
        clock: ManualClock,
        configs: Vec<Config>,
    ) -> Self {
        let own = Own::start("process");
        let seats = configs
            .into_iter()
            .map(|mut config| {
                let waits_for_lock = Arc::default();
                config.file_system = Arc::new(mount.clone());
                config.clock = Arc::new(ProcessClock {
                    own: clock.clone(),
                    machine: machine.clone(),
                    lock_limit: config.limits.lock_timeout,
                    waits_for_lock: Arc::clone(&waits_for_lock),
                });
                let (_, session) = {
                    let opening = async move { Session::open(config).await.expect("opens") };
                    own.run(opening)
                };
                Seat {
                    session,
                    waits_for_lock,
                    memory: Memory::default(),
                }
            })
            .collect();
        Self {
            number,
            clock,
            way,
            mount,
            seats,
            own,
        }
    }

    /// Its session for this account, once it is open.
    pub(crate) fn session(&self, account: usize) -> Option<Session> {
        self.seats[account].session().cloned()
    }
}

impl Seat {
    /// The session, once it is open.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.session.get()
    }

    /// Whether the status says that the session is not saved, or said so at the check before: the session may have
    /// ended since.
    pub(crate) fn has_said_unsaved(&self) -> bool {
        let Some(session) = self.session() else {
            return self.memory.said_unsaved;
        };
        let was_noted = session
            .journal()
            .iter()
            .skip(self.memory.journal_read)
            .any(|entry| entry.what == "save_failed");
        was_noted
            || self.memory.said_unsaved
            || matches!(session.status().storage, Storage::NotSaved(_))
    }

    pub(crate) fn waits_for_lock(&self) -> bool {
        // One is this, and one is the clock's.
        Arc::strong_count(&self.waits_for_lock) > 2
    }
}

/// A call of a process.
pub(crate) struct Asked {
    pub(crate) number: usize,
    pub(crate) account: usize,
    /// The process, counted over the whole case.
    pub(crate) process: usize,
    pub(crate) field: String,
    pub(crate) is_mutation: bool,
    /// The process's awake time by which it must have settled.
    pub(crate) due: Duration,
    pub(crate) task: JoinHandle<()>,
    pub(crate) outcome: Outcome<Result<Reply, Error>>,
    /// Access tokens that it was sent with, in their order.
    pub(crate) sent_with: Vec<String>,
}

/// A sign-in under way.
pub(crate) struct Entering {
    pub(crate) account: usize,
    pub(crate) process: usize,
    pub(crate) due: Duration,
    pub(crate) outcome: Outcome<Result<graphql_session::Status, Error>>,
}
