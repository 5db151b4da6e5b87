//! Runs each call of a page once.
//!
//! Tauri repeats an invoke whose answer was lost on the way to the page, as in a reload. A mutation must not run twice
//! because of that. So every call carries an id that its page made: a known id joins the call that runs under it, or
//! gets the result of the call that ran.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graphql_session::{Clock, Code, OperationKind, Reply};
use tokio::sync::{Notify, watch};

use crate::error::{CommandError, PluginCode};

mod room;
mod table;

use room::Room;
pub(crate) use table::{CallLimits, Outcome};
use table::{Entry, RunningEntry, Table};

/// All calls of all windows. Cheap to clone; managed state of the plugin.
#[derive(Clone)]
pub(crate) struct Calls(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    table: Mutex<Table>,
    room: Room,
}

impl Calls {
    pub(crate) fn new(clock: Arc<dyn Clock>, limits: CallLimits) -> Self {
        Self(Arc::new(Shared {
            clock,
            table: Mutex::new(Table::new(limits)),
            room: Room::new(limits),
        }))
    }

    /// Runs `call`, whose request has that many bytes, under its id, or returns the result of the call that has this id
    /// already. The call has its own task: it goes on where the caller goes away, and ends early only by
    /// [`cancel`](Self::cancel).
    ///
    /// # Errors
    /// What the call fails with. [`PluginCode::AlreadyRan`] where its result is no longer kept,
    /// [`PluginCode::TooManyCalls`] where the window has too many ids or too much under way,
    /// [`PluginCode::Cancelled`].
    pub(crate) async fn run<F>(
        &self,
        window: &str,
        id: &str,
        operation: OperationKind,
        bytes: usize,
        call: F,
    ) -> Outcome
    where
        F: Future<Output = Result<Reply, CommandError>> + Send + 'static,
    {
        let Some(place) = self.0.room.take(window, bytes) else {
            return self.known(window, id).unwrap_or_else(|| Err(too_much()));
        };
        match self.admit(window, id, operation) {
            Admission::Start(running) => {
                let outcome = running.outcome.subscribe();
                tokio::spawn(async move {
                    let _place = place;
                    running.perform(call).await;
                });
                outcome_of(outcome).await
            }
            Admission::Join(outcome) => {
                drop(call);
                // The invoke keeps its request for as long as it waits.
                let _place = place;
                outcome_of(outcome).await
            }
            Admission::Known(outcome) => outcome,
            Admission::Untracked => {
                let _place = place;
                call.await.map(Arc::new)
            }
        }
    }

    /// Cancels a call, query or mutation. A call that arrives after its own cancellation does not start.
    pub(crate) fn cancel(&self, window: &str, id: &str) {
        let mut table = self.table();
        match table.entry(window, id) {
            Some(Entry::Running(running)) => running.cancelled.notify_one(),
            Some(Entry::Settled { .. } | Entry::Delivered) => {}
            None if table.has_room(window) => {
                let now = self.0.clock.awake();
                table.settle(window, id, Err(cancelled()), now);
            }
            None => {}
        }
    }

    /// The page has the replies of these calls. Their ids are still remembered, their results are not.
    pub(crate) fn acknowledge(&self, window: &str, ids: &[String]) {
        let mut table = self.table();
        for id in ids {
            table.drop_outcome(window, id);
        }
    }

    /// The window is gone: cancels its queries, lets its mutations finish, and forgets its ids.
    pub(crate) fn forget_window(&self, window: &str) {
        let queries = self.table().remove_window(window);
        for query in queries {
            query.notify_one();
        }
    }

    /// What is known of an id, for an invoke that may not wait.
    fn known(&self, window: &str, id: &str) -> Option<Outcome> {
        match self.table().entry(window, id)? {
            Entry::Settled { outcome, .. } => Some(outcome.clone()),
            Entry::Running(_) | Entry::Delivered => Some(Err(already_ran())),
        }
    }

    fn admit(&self, window: &str, id: &str, operation: OperationKind) -> Admission {
        let mut table = self.table();
        table.forget_old(self.0.clock.awake());
        match table.entry(window, id) {
            Some(Entry::Running(running)) => return Admission::Join(running.outcome.clone()),
            Some(Entry::Settled { outcome, .. }) => return Admission::Known(outcome.clone()),
            Some(Entry::Delivered) => return Admission::Known(Err(already_ran())),
            None => {}
        }
        let is_query = operation == OperationKind::Query;
        if !table.has_room(window) {
            // A query that runs twice does no harm, so its id need not be remembered.
            return if is_query {
                Admission::Untracked
            } else {
                Admission::Known(Err(too_many_calls()))
            };
        }
        let (outcome, _) = watch::channel(None);
        let cancelled = Arc::new(Notify::new());
        let entry = RunningEntry {
            outcome: outcome.subscribe(),
            cancelled: cancelled.clone(),
            is_query,
        };
        table.start(window, id, entry);
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

/// What happens to a call that asks to run.
enum Admission {
    Start(Running),
    Join(watch::Receiver<Option<Outcome>>),
    Known(Outcome),
    Untracked,
}

/// A started call. It settles exactly once: with its result, or with an error when it is dropped without one.
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
        // A window that is gone has no entry any more, or one of another call.
        if matches!(
            table.entry(&self.window, &self.id),
            Some(Entry::Running(running)) if Arc::ptr_eq(&running.cancelled, &self.cancelled)
        ) {
            table.settle(&self.window, &self.id, outcome.clone(), now);
        }
        drop(table);
        self.outcome.send_replace(Some(outcome));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.outcome.borrow().is_none() {
            self.settle(Err(lost()));
        }
    }
}

async fn outcome_of(mut call: watch::Receiver<Option<Outcome>>) -> Outcome {
    match call.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(lost())),
        Err(_) => Err(lost()),
    }
}

fn cancelled() -> CommandError {
    CommandError::new(PluginCode::Cancelled, "The call was cancelled.")
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

fn too_much() -> CommandError {
    CommandError::new(
        PluginCode::TooManyCalls,
        "This window has too much under way. Wait until some of it has finished.",
    )
}

fn lost() -> CommandError {
    CommandError::new(
        Code::Internal,
        "The call was lost inside the application. Look at the data before repeating it.",
    )
}

#[cfg(test)]
mod tests;
