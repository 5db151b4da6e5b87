//! The table of request ids: each call of a page runs once.
//!
//! Tauri sends an invoke again when its answer gets lost on the way to the page, as in a reload. A mutation must not run
//! twice because of that, so every call carries an id that its page made up: an id that is known joins the running call
//! or gets the result that it left.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use graphql_session::{Clock, Code, OperationKind, Reply};
use tokio::sync::{Notify, watch};

use crate::error::{CommandError, PluginCode};

/// What a call came to, shared by everyone who asked with its id.
pub(crate) type Outcome = Result<Arc<Reply>, CommandError>;

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallLimits {
    /// How long an id is remembered after its call has settled. Default 10 min: a page that reloads repeats its invokes
    /// within seconds; the rest is for machines that slow down.
    pub(crate) remembered: Duration,
    /// Ids per window. Default 100,000, about 20 MB: 166 calls a second for all of those 10 min.
    pub(crate) ids_per_window: usize,
    /// Bodies of replies that wait for a repetition, in bytes, of all windows together. Default 8 MiB: twenty of the
    /// largest replies that a Twenty server usually gives (416 kB).
    pub(crate) body_bytes: usize,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            remembered: Duration::from_secs(10 * 60),
            ids_per_window: 100_000,
            body_bytes: 8 << 20,
        }
    }
}

/// The table. Cheap to clone; managed state of the plugin.
#[derive(Clone)]
pub(crate) struct Calls(Arc<Shared>);

impl Calls {
    pub(crate) fn new(clock: Arc<dyn Clock>, limits: CallLimits) -> Self {
        Self(Arc::new(Shared {
            clock,
            limits,
            table: Mutex::default(),
        }))
    }

    /// Runs `call` under its id, or what ran under that id before. The call has its own task: the caller going away does
    /// not end it, [`cancel`](Self::cancel) does.
    pub(crate) async fn run<F>(
        &self,
        window: &str,
        id: &str,
        operation: OperationKind,
        call: F,
    ) -> Outcome
    where
        F: Future<Output = Result<Reply, CommandError>> + Send + 'static,
    {
        match self.admit(window, id, operation) {
            Admission::Start(running) => {
                let outcome = running.outcome.subscribe();
                tokio::spawn(running.perform(call));
                settled(outcome).await
            }
            Admission::Join(outcome) => settled(outcome).await,
            Admission::Known(outcome) => outcome,
            Admission::Untracked => call.await.map(Arc::new),
        }
    }

    /// Takes a call back, query or mutation. Where the cancelling overtakes its call, the call does not start.
    pub(crate) fn cancel(&self, window: &str, id: &str) {
        let mut table = self.table();
        match table.entry(window, id) {
            Some(Entry::Running(running)) => running.cancelled.notify_one(),
            Some(Entry::Settled { .. } | Entry::Delivered) => {}
            None if table.has_room(window, &self.0.limits) => {
                let now = self.0.clock.awake();
                table.settle(window, id, Err(cancelled()), now, &self.0.limits);
            }
            None => {}
        }
    }

    /// The page has these replies: nothing is kept of them but the ids.
    pub(crate) fn received(&self, window: &str, ids: &[String]) {
        let mut table = self.table();
        for id in ids {
            table.drop_outcome(window, id);
        }
    }

    /// The window is gone: its queries are cancelled, its mutations finish, nothing is remembered.
    pub(crate) fn forget_window(&self, window: &str) {
        let mut table = self.table();
        let Some(entries) = table.windows.remove(window) else {
            return;
        };
        for entry in entries.into_values() {
            match entry {
                Entry::Running(running) => {
                    if running.is_query {
                        running.cancelled.notify_one();
                    }
                }
                Entry::Settled { outcome, order } => table.release(order, &outcome),
                Entry::Delivered => {}
            }
        }
    }

    fn admit(&self, window: &str, id: &str, operation: OperationKind) -> Admission {
        let mut table = self.table();
        table.forget_old(self.0.clock.awake(), self.0.limits.remembered);
        match table.entry(window, id) {
            Some(Entry::Running(running)) => return Admission::Join(running.outcome.clone()),
            Some(Entry::Settled { outcome, .. }) => return Admission::Known(outcome.clone()),
            Some(Entry::Delivered) => return Admission::Known(Err(already_ran())),
            None => {}
        }
        let is_query = operation == OperationKind::Query;
        if !table.has_room(window, &self.0.limits) {
            // Running a query twice does no harm, so it needs no place.
            return if is_query {
                Admission::Untracked
            } else {
                Admission::Known(Err(too_many_calls()))
            };
        }
        let (outcome, _) = watch::channel(None);
        let cancelled = Arc::new(Notify::new());
        table.insert(
            window,
            id,
            Entry::Running(RunningEntry {
                outcome: outcome.subscribe(),
                cancelled: cancelled.clone(),
                is_query,
            }),
        );
        Admission::Start(Running {
            calls: self.clone(),
            window: window.into(),
            id: id.into(),
            outcome,
            cancelled,
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Held for a few map operations and never across an await; nothing in it can panic half way.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Shared {
    clock: Arc<dyn Clock>,
    limits: CallLimits,
    table: Mutex<Table>,
}

/// What becomes of a call that asks to run.
enum Admission {
    Start(Running),
    Join(watch::Receiver<Option<Outcome>>),
    Known(Outcome),
    Untracked,
}

/// A started call. It settles exactly once: when performed, or as a defect when it is dropped before that.
struct Running {
    calls: Calls,
    window: Box<str>,
    id: Box<str>,
    outcome: watch::Sender<Option<Outcome>>,
    cancelled: Arc<Notify>,
}

impl Running {
    async fn perform(self, call: impl Future<Output = Result<Reply, CommandError>>) {
        let outcome = tokio::select! {
            biased;
            () = self.cancelled.notified() => Err(cancelled()),
            reply = call => reply.map(Arc::new),
        };
        self.settle(outcome);
    }

    fn settle(&self, outcome: Outcome) {
        let now = self.calls.0.clock.awake();
        let mut table = self.calls.table();
        // A window that is gone has no entry any more.
        if matches!(
            table.entry(&self.window, &self.id),
            Some(Entry::Running(running)) if Arc::ptr_eq(&running.cancelled, &self.cancelled)
        ) {
            table.settle(
                &self.window,
                &self.id,
                outcome.clone(),
                now,
                &self.calls.0.limits,
            );
        }
        drop(table);
        self.outcome.send_replace(Some(outcome));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.outcome.borrow().is_none() {
            self.settle(Err(defect()));
        }
    }
}

#[derive(Default)]
struct Table {
    windows: HashMap<Arc<str>, HashMap<Arc<str>, Entry>>,
    /// Settled ids in the order in which they are forgotten.
    by_age: VecDeque<Aged>,
    /// Outcomes that still hold a body, oldest first.
    with_body: BTreeMap<u64, (Arc<str>, Arc<str>)>,
    body_bytes: usize,
    next_order: u64,
}

struct Aged {
    settled_at: Duration,
    window: Arc<str>,
    id: Arc<str>,
}

enum Entry {
    Running(RunningEntry),
    /// `order` is its key in `with_body`.
    Settled {
        outcome: Outcome,
        order: u64,
    },
    Delivered,
}

struct RunningEntry {
    outcome: watch::Receiver<Option<Outcome>>,
    cancelled: Arc<Notify>,
    is_query: bool,
}

impl Table {
    fn entry(&self, window: &str, id: &str) -> Option<&Entry> {
        self.windows.get(window)?.get(id)
    }

    fn has_room(&self, window: &str, limits: &CallLimits) -> bool {
        self.windows
            .get(window)
            .is_none_or(|entries| entries.len() < limits.ids_per_window)
    }

    fn insert(&mut self, window: &str, id: &str, entry: Entry) -> (Arc<str>, Arc<str>) {
        let window = match self.windows.get_key_value(window) {
            Some((known, _)) => known.clone(),
            None => Arc::from(window),
        };
        let id: Arc<str> = Arc::from(id);
        self.windows
            .entry(window.clone())
            .or_default()
            .insert(id.clone(), entry);
        (window, id)
    }

    fn settle(
        &mut self,
        window: &str,
        id: &str,
        outcome: Outcome,
        now: Duration,
        limits: &CallLimits,
    ) {
        let order = self.next_order;
        self.next_order += 1;
        let bytes = body_bytes(&outcome);
        let (window, id) = self.insert(window, id, Entry::Settled { outcome, order });
        self.by_age.push_back(Aged {
            settled_at: now,
            window: window.clone(),
            id: id.clone(),
        });
        if bytes > 0 {
            self.body_bytes += bytes;
            self.with_body.insert(order, (window, id));
            while self.body_bytes > limits.body_bytes {
                let Some((window, id)) = self.with_body.values().next().cloned() else {
                    break;
                };
                self.drop_outcome(&window, &id);
            }
        }
    }

    /// Keeps the id and forgets what came of it.
    fn drop_outcome(&mut self, window: &str, id: &str) {
        let Some(entry) = self
            .windows
            .get_mut(window)
            .and_then(|entries| entries.get_mut(id))
        else {
            return;
        };
        if !matches!(entry, Entry::Settled { .. }) {
            return;
        }
        if let Entry::Settled { outcome, order } = std::mem::replace(entry, Entry::Delivered) {
            self.release(order, &outcome);
        }
    }

    fn forget_old(&mut self, now: Duration, remembered: Duration) {
        while let Some(oldest) = self.by_age.front() {
            if now.saturating_sub(oldest.settled_at) < remembered {
                break;
            }
            let Some(Aged { window, id, .. }) = self.by_age.pop_front() else {
                break;
            };
            let Some(entries) = self.windows.get_mut(&window) else {
                continue;
            };
            // An id that runs again belongs to a younger window of the same label.
            if matches!(entries.get(&id), Some(Entry::Running(_))) {
                continue;
            }
            let removed = entries.remove(&id);
            if entries.is_empty() {
                self.windows.remove(&window);
            }
            if let Some(Entry::Settled { outcome, order }) = removed {
                self.release(order, &outcome);
            }
        }
    }

    fn release(&mut self, order: u64, outcome: &Outcome) {
        if self.with_body.remove(&order).is_some() {
            self.body_bytes -= body_bytes(outcome);
        }
    }
}

fn body_bytes(outcome: &Outcome) -> usize {
    outcome.as_ref().map_or(0, |reply| reply.body.len())
}

async fn settled(mut outcome: watch::Receiver<Option<Outcome>>) -> Outcome {
    match outcome.wait_for(Option::is_some).await {
        Ok(settled) => settled.clone().unwrap_or_else(|| Err(defect())),
        Err(_) => Err(defect()),
    }
}

fn cancelled() -> CommandError {
    CommandError::new(PluginCode::Cancelled, "The call was taken back.")
}

fn already_ran() -> CommandError {
    CommandError::new(
        PluginCode::AlreadyRan,
        "This call ran before, and its result is no longer kept. Look at the data before repeating it.",
    )
}

fn too_many_calls() -> CommandError {
    CommandError::new(
        PluginCode::TooManyCalls,
        "This window made too many calls in a short time. Wait some minutes before changing more.",
    )
}

fn defect() -> CommandError {
    CommandError::new(
        Code::Internal,
        "The call was lost inside the application. Look at the data before repeating it.",
    )
}

#[cfg(test)]
mod tests;
