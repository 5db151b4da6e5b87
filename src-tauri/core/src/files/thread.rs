//! The one thread that works on an account's files, so that a file system that hangs holds up nothing else (I10). It does
//! its work in the order in which it came.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use graphql_session_renewal::{EndingReason, IoFailure, SessionId};
use tokio::sync::oneshot;

use super::ended::Endings;
use super::system::{FileSystem, Guard};
use super::{AccountFiles, account_folder};
use crate::clock::Clock;

/// How often a taken lock is tried again. A holder that dies is followed within this time; real time, because it
/// paces the machine and not the session.
const LOCK_POLL: Duration = Duration::from_millis(20);

type Work = Box<dyn FnOnce(&mut AccountFiles) + Send>;

/// Callers that wait for the next look at the ended list.
type Lookers = Arc<Mutex<Vec<oneshot::Sender<()>>>>;

/// The handle on the thread. Dropping it lets the thread finish its work and end.
pub(crate) struct FilesThread {
    queue: mpsc::Sender<Work>,
    endings: Arc<Endings>,
    lookers: Lookers,
    is_watched: Arc<AtomicBool>,
    folder_id: Arc<OnceLock<String>>,
    clock: Arc<dyn Clock>,
    limit: Duration,
}

impl FilesThread {
    /// Starts it for `account`, whose files lie below `state_dir`. Each wait for it takes at most `limit`. `on_change` is
    /// called when a file may have changed, where the file system can tell.
    pub(crate) fn start(
        system: Arc<dyn FileSystem>,
        state_dir: &std::path::Path,
        account: &str,
        clock: Arc<dyn Clock>,
        limit: Duration,
        on_change: impl Fn() + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let endings = Arc::new(Endings::default());
        let is_watched = Arc::new(AtomicBool::new(false));
        let mut files = AccountFiles {
            system,
            state_dir: state_dir.to_owned(),
            account: account.to_owned(),
            folder: account_folder(state_dir, account),
            endings: endings.clone(),
            on_change: Arc::new(on_change),
            watch: None,
            is_watched: is_watched.clone(),
            folder_id: Arc::default(),
            is_damaged: false,
            has_tidied: false,
            seen: None,
        };
        let folder_id = files.folder_id.clone();
        let (queue, work) = mpsc::channel::<Work>();
        std::thread::Builder::new()
            .name("session-files".into())
            .spawn(move || {
                for work in work {
                    // A file system that an adopter brought may panic. The session outlives that.
                    let _ = catch_unwind(AssertUnwindSafe(|| work(&mut files)));
                }
            })?;
        Ok(Self {
            queue,
            endings,
            lookers: Lookers::default(),
            is_watched,
            folder_id,
            clock,
            limit,
        })
    }

    /// Makes the account's folder.
    ///
    /// # Errors
    /// Where there is none, and none can be made.
    pub(crate) async fn make_folder(&self) -> Result<(), IoFailure> {
        let made = self.run(|files| files.make_folder()).await?;
        made.map_err(|error| IoFailure::from(&error))
    }

    /// Whether the file system tells of changes. Where it does not, the session looks for them.
    pub(crate) fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed)
    }

    /// What tells this folder from that of another installation; none where it cannot be read or made. `named` is the folder
    /// that the keyring's entry names.
    pub(crate) async fn folder_id(&self, named: Option<&str>) -> Option<&str> {
        if self.folder_id.get().is_none() {
            let named = named.map(str::to_owned);
            let _ = self
                .run(move |files| files.identify(named.as_deref()))
                .await;
        }
        self.folder_id.get().map(String::as_str)
    }

    /// Does `work` after all that was asked for before, and waits for it for at most the limit. After
    /// [`IoFailure::Slow`] it may still be done.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut AccountFiles) -> T + Send + 'static,
    ) -> Result<T, IoFailure> {
        let answer = self.ask(work);
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| IoFailure::Other),
            () = self.clock.sleep(self.limit) => Err(IoFailure::Slow),
        }
    }

    /// Does `work` after all that was asked for before. Closed without an answer where the work panicked.
    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut AccountFiles) -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(move |files| {
            let _ = reply.send(work(files));
        });
        answer
    }

    /// Does `work` after all that was asked for before. Nobody waits for it.
    pub(crate) fn enqueue(&self, work: impl FnOnce(&mut AccountFiles) + Send + 'static) {
        // The thread ends only after the last handle.
        let _ = self.queue.send(Box::new(work));
    }

    /// Waits until all that was asked for before is done, for at most the limit.
    pub(crate) async fn settle(&self) {
        let _ = self.run(|_| ()).await;
    }

    /// Takes the account's lock; with `patient`, waits for the process that holds it. Bounding that wait is the caller's
    /// business: dropping the future is safe. `None` where another process holds it.
    pub(crate) async fn lock(&self, patient: bool) -> Result<Option<Guard>, IoFailure> {
        let mut tried = self.run(AccountFiles::try_lock).await?;
        loop {
            let taken = tried.map_err(|error| IoFailure::from(&error))?;
            if taken.is_some() || !patient {
                return Ok(taken);
            }
            tokio::time::sleep(LOCK_POLL).await;
            let answer = self.ask(AccountFiles::try_lock).await;
            tried = answer.map_err(|_| IoFailure::Other)?;
        }
    }

    /// This process ends `session`: that counts at once, whatever becomes of the ended list.
    pub(crate) fn note_ending(&self, session: SessionId, reason: EndingReason) {
        self.endings.add(session, reason);
    }

    /// Why `session` ended, if it did, as far as this process knows.
    pub(crate) fn known_ending(&self, session: SessionId) -> Option<EndingReason> {
        self.endings.of(session)
    }

    /// Why `session` ended, if it did, after a look at the ended list. All who ask before that look share it: after a
    /// renewal ten thousand calls may ask at once.
    pub(crate) async fn ending_of(&self, session: SessionId) -> Option<EndingReason> {
        let (reply, looked) = oneshot::channel();
        let is_first = {
            let mut lookers = self.lookers.lock().unwrap_or_else(PoisonError::into_inner);
            lookers.push(reply);
            lookers.len() == 1
        };
        if is_first {
            self.look_for_all();
        }
        // Without an answer in time, what is known decides.
        let _ = looked.await;
        self.endings.of(session)
    }

    /// The same for a thread that may block.
    pub(crate) fn ending_of_blocking(&self, session: SessionId) -> Option<EndingReason> {
        let (reply, looked) = mpsc::channel();
        self.enqueue(move |files| {
            let _ = reply.send(files.read_endings());
        });
        let _ = looked.recv_timeout(self.limit);
        self.endings.of(session)
    }

    /// Looks at the ended list for all who wait for that. After the limit they go on with what is known.
    fn look_for_all(&self) {
        let lookers = self.lookers.clone();
        let (done, looked) = oneshot::channel::<()>();
        self.enqueue(move |files| {
            let waiting = take(&lookers);
            let _ = files.read_endings();
            drop((waiting, done));
        });
        let lookers = self.lookers.clone();
        let sleep = self.clock.sleep(self.limit);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = looked => {}
                () = sleep => drop(take(&lookers)),
            }
        });
    }
}

/// Those who wait; dropping them wakes them.
fn take(lookers: &Lookers) -> Vec<oneshot::Sender<()>> {
    std::mem::take(&mut *lookers.lock().unwrap_or_else(PoisonError::into_inner))
}
