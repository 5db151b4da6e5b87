//! The one thread that calls the vault.
//!
//! A keyring call can block for minutes: a locked keyring with its prompt open does. On a thread of the blocking pool
//! that would keep the process from exiting, so the thread is our own and detached. A time limit ends the waiting, not
//! the call: the caller gets [`VaultError::Slow`], and hands the account's lock to the thread, which releases it only
//! after every outstanding write has returned ([`VaultThread::release_after_writes`]).

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use graphql_session_renewal::VaultError;
use secrecy::SecretString;
use tokio::sync::oneshot;

use super::Vault;
use crate::clock::Clock;

type ReadReply = oneshot::Sender<Result<Option<SecretString>, VaultError>>;
type WriteReply = oneshot::Sender<Result<(), VaultError>>;

/// Whether a stored text belongs to a session that is over.
type IsDead = Box<dyn Fn(&SecretString) -> bool + Send>;

enum Job {
    Read(ReadReply),
    /// `None` removes the entry: a sign-out is a value like any other, so that it can overtake a waiting write.
    Write(Option<SecretString>, WriteReply),
    /// Dropping the lock releases it.
    ReleaseLock {
        lock: Box<dyn Send>,
        is_dead: IsDead,
    },
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// A call to the vault is under way.
    running: bool,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle on the thread. Dropping it lets the thread finish its queue and end.
pub(crate) struct VaultThread {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

impl VaultThread {
    pub(crate) fn start(
        vault: Arc<dyn Vault>,
        account: String,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let queue = shared.clone();
        std::thread::Builder::new()
            .name("session-vault".into())
            .spawn(move || work(&queue, &*vault, &account))?;
        Ok(Self { shared, clock })
    }

    /// Reads the entry, waiting at most `limit`.
    pub(crate) async fn read(&self, limit: Duration) -> Result<Option<SecretString>, VaultError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Job::Read(reply));
        self.within(limit, answer).await
    }

    /// Writes the entry, or removes it with `None`, waiting at most `limit`. After [`VaultError::Slow`] the write may
    /// still happen; a newer one that is asked for meanwhile takes its place.
    pub(crate) async fn write(
        &self,
        text: Option<SecretString>,
        limit: Duration,
    ) -> Result<(), VaultError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Job::Write(text, reply));
        self.within(limit, answer).await
    }

    /// Releases the lock by dropping it: at once where nothing is outstanding, else on the thread, after everything that
    /// is. The thread first reads what a late write left: nobody else removes the entry of a session that ended
    /// meanwhile.
    pub(crate) fn release_after_writes(
        &self,
        lock: impl Send + 'static,
        is_dead: impl Fn(&SecretString) -> bool + Send + 'static,
    ) {
        let queue = self.shared.queue();
        let idle = queue.jobs.is_empty() && !queue.running;
        drop(queue);
        if idle {
            drop(lock);
        } else {
            self.enqueue(Job::ReleaseLock {
                lock: Box::new(lock),
                is_dead: Box::new(is_dead),
            });
        }
    }

    fn enqueue(&self, job: Job) {
        let mut queue = self.shared.queue();
        // One slot for writing: a write that has not begun is overtaken by the newer one, in its own place, so that a
        // lock handed over in between still waits for it.
        if let Job::Write(text, reply) = job {
            let waiting = queue.jobs.iter_mut().find_map(|job| match job {
                Job::Write(text, reply) => Some((text, reply)),
                Job::Read(_) | Job::ReleaseLock { .. } => None,
            });
            match waiting {
                Some(slot) => {
                    *slot.0 = text;
                    let overtaken = std::mem::replace(slot.1, reply);
                    let _ = overtaken.send(Err(VaultError::Slow));
                }
                None => queue.jobs.push_back(Job::Write(text, reply)),
            }
        } else {
            queue.jobs.push_back(job);
        }
        drop(queue);
        self.shared.wake.notify_one();
    }

    async fn within<T>(
        &self,
        limit: Duration,
        answer: oneshot::Receiver<Result<T, VaultError>>,
    ) -> Result<T, VaultError> {
        tokio::select! {
            biased;
            answer = answer => answer.unwrap_or(Err(VaultError::Failed)),
            () = self.clock.sleep(limit) => Err(VaultError::Slow),
        }
    }
}

impl Drop for VaultThread {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.wake.notify_one();
    }
}

fn work(shared: &Shared, vault: &dyn Vault, account: &str) {
    // A vault brought by an adopter may panic; the session outlives that.
    fn guarded<T>(call: impl FnOnce() -> Result<T, VaultError>) -> Result<T, VaultError> {
        catch_unwind(AssertUnwindSafe(call)).unwrap_or(Err(VaultError::Failed))
    }
    // Something was written that nobody waited for any more.
    let mut wrote_late = false;
    loop {
        let mut queue = shared.queue();
        let job = loop {
            match queue.jobs.pop_front() {
                Some(job) => {
                    queue.running = true;
                    break job;
                }
                None if queue.closed => return,
                None => {
                    queue = shared
                        .wake
                        .wait(queue)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        drop(queue);
        match job {
            // Nobody waits any more: a read is not worth opening a prompt for.
            Job::Read(reply) if reply.is_closed() => {}
            Job::Read(reply) => {
                let read = guarded(|| vault.read(account));
                shared.queue().running = false;
                let _ = reply.send(read);
            }
            Job::Write(text, reply) => {
                let written = guarded(|| match &text {
                    Some(text) => vault.write(account, text),
                    None => vault.remove(account),
                });
                // Before the reply: the caller may release the lock as soon as it has it.
                shared.queue().running = false;
                let is_late = reply.send(written).is_err();
                wrote_late |= is_late && text.is_some() && written.is_ok();
            }
            Job::ReleaseLock { lock, is_dead } => {
                if std::mem::take(&mut wrote_late) {
                    let _ = guarded(|| match vault.read(account)? {
                        Some(text) if is_dead(&text) => vault.remove(account),
                        _ => Ok(()),
                    });
                }
                drop(lock);
            }
        }
        shared.queue().running = false;
    }
}
