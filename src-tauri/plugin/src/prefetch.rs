//! Sends one query as soon as the session is open, while the first window still loads its page. The first page that
//! makes the same call gets the reply, if its own call would have had the same outcome.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use graphql_session::{Call, Clock, Code, Error, OperationKind, Reply, Session, SessionId};
use graphql_session::{Data, Envelope};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// How long the reply is kept. Many times what a window takes to load its page, and short enough that nothing old is
/// shown. A page that asks later makes its own call.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// The one prefetched call. Cheap to clone; managed state of the plugin.
#[derive(Clone)]
pub(crate) struct Prefetch(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    /// What a call may take in all (`limits.callTimeoutMs`).
    call_timeout: Duration,
    place: Place,
}

impl Prefetch {
    /// Clock and timeout are those of the account that prefetches.
    pub(crate) fn new(clock: Arc<dyn Clock>, call_timeout: Duration) -> Self {
        Self(Arc::new(Shared {
            clock,
            call_timeout,
            place: Place::default(),
        }))
    }

    /// Sends the call where a session is stored. Keeps the reply until a page asks for it, the session is over, or the
    /// reply is too old. A failure is not kept: its cause may be over when a page asks. Needs a tokio runtime.
    pub(crate) fn send(&self, session: &Session, mut call: Call) {
        let mut changes = session.changes();
        let Some(id) = session.id() else {
            return;
        };
        // The page's call has the deadline that counts.
        call.deadline = None;
        let (kept, no_longer_kept) = oneshot::channel();
        let mut sent = Sent {
            session: id,
            at: self.now(),
            endpoint: call.endpoint.clone(),
            headers: normalised(&call.headers),
            body: call.body.clone(),
            outcome: JoinSet::new(),
            _kept: kept,
        };
        let (session, prefetch) = (session.clone(), self.clone());
        let sending = async move {
            let outcome = session.execute(call).await;
            if outcome.is_err() {
                prefetch.0.place.clear();
            }
            outcome
        };
        self.0.place.put(|| {
            sent.outcome.spawn(sending);
            sent
        });
        let prefetch = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = changes.wait_for(|status| !status.has_session()) => {}
                () = prefetch.0.clock.sleep(KEPT_FOR) => {}
                _ = no_longer_kept => {}
            }
            prefetch.0.place.clear();
        });
    }

    /// Runs a page's call: with the prefetched reply if it is the same call, and by sending it otherwise.
    pub(crate) async fn execute(
        &self,
        session: &Session,
        operation: OperationKind,
        mut call: Call,
    ) -> Result<Reply, Error> {
        if let Some(sent) = self.take_for(session, operation, &call) {
            let asked_at = self.0.clock.awake();
            let limit = self.0.call_timeout;
            let limit = call.deadline.map_or(limit, |own| own.min(limit));
            tokio::select! {
                biased;
                outcome = sent.outcome_for_page(session) => if let Some(outcome) = outcome {
                    return outcome;
                },
                () = self.0.clock.sleep(limit) => return Err(timed_out()),
            }
            let waited = self.0.clock.awake().saturating_sub(asked_at);
            call.deadline = Some(limit.saturating_sub(waited));
        }
        session.execute(call).await
    }

    /// Takes the prefetch out of its place for a call of the same session. Returns it where the call is the same query
    /// and the prefetch is not too old.
    fn take_for(&self, session: &Session, operation: OperationKind, call: &Call) -> Option<Sent> {
        let is_query = operation == OperationKind::Query;
        let sent = self.0.place.take_if(|sent| {
            // After a mutation the page must see what it wrote, and the reply is from before it.
            session.id() == Some(sent.session) && (!is_query || sent.is_same(call))
        })?;
        let age = self.now().apart_from(&sent.at);
        (is_query && age < KEPT_FOR).then_some(sent)
    }

    fn now(&self) -> Moment {
        Moment {
            awake: self.0.clock.awake(),
            wall_ms: self.0.clock.wall().as_millisecond(),
        }
    }
}

/// Where the prefetched call is kept. It is empty from soon after the start until the process ends, and every call
/// looks: so an empty place costs one atomic load, no lock and no comparison.
#[derive(Default)]
struct Place {
    /// Written under the lock.
    is_full: AtomicBool,
    sent: Mutex<Option<Sent>>,
}

impl Place {
    /// Makes the call under the lock, with the place already marked as full: a call that fails at once clears the place
    /// after this, and not before it.
    fn put(&self, make: impl FnOnce() -> Sent) {
        let mut place = self.lock();
        self.is_full.store(true, Ordering::Release);
        *place = Some(make());
    }

    fn clear(&self) {
        drop(self.take_if(|_| true));
    }

    fn take_if(&self, is_wanted: impl FnOnce(&Sent) -> bool) -> Option<Sent> {
        if !self.is_full.load(Ordering::Acquire) {
            return None;
        }
        let mut place = self.lock();
        let sent = place.take_if(|sent| is_wanted(sent))?;
        self.is_full.store(false, Ordering::Release);
        Some(sent)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Sent>> {
        // Held for a comparison and a move of its content, and never across an await.
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The prefetched call. Dropping it cancels the call, wherever it is.
struct Sent {
    /// Whose data the reply holds. No other session gets it, not even the next one of the same person.
    session: SessionId,
    at: Moment,
    endpoint: Cow<'static, str>,
    headers: BTreeMap<String, String>,
    body: Bytes,
    /// One task, which ends with its set.
    outcome: JoinSet<Result<Reply, Error>>,
    /// Closes when this value is dropped, and ends the task that would clear the place later.
    _kept: oneshot::Sender<()>,
}

impl Sent {
    /// Whether a page's call is the same. Its deadline may differ.
    fn is_same(&self, call: &Call) -> bool {
        self.endpoint == call.endpoint
            && self.body == call.body
            && self.headers == normalised(&call.headers)
    }

    /// The result that the page's call gets. `None` where the page's call must be sent itself, because it may do better.
    async fn outcome_for_page(mut self, session: &Session) -> Option<Result<Reply, Error>> {
        let outcome = self.outcome.join_next().await?;
        if session.id() != Some(self.session) {
            return None;
        }
        match outcome.ok()? {
            Ok(reply) => has_only_data(&reply).then_some(Ok(reply)),
            // It failed while the page waited, and the page's own call would have met the same failure.
            Err(error) if matches!(error.code(), Code::Unreachable | Code::TimedOut) => {
                Some(Err(error))
            }
            Err(_) => None,
        }
    }
}

/// A moment by two clocks: one stands still while the machine sleeps, and the other one may be set.
struct Moment {
    awake: Duration,
    wall_ms: i64,
}

impl Moment {
    /// By the clock that shows more.
    fn apart_from(&self, earlier: &Self) -> Duration {
        let by_wall = Duration::from_millis(self.wall_ms.abs_diff(earlier.wall_ms));
        by_wall.max(self.awake.saturating_sub(earlier.awake))
    }
}

/// As they are sent: the case and order of names do not matter, and the last value of a name counts.
fn normalised(headers: &[(String, String)]) -> BTreeMap<String, String> {
    headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect()
}

/// A gateway's page, a throttle or an error may be over when the page asks, so only data is handed on.
fn has_only_data(reply: &Reply) -> bool {
    let has_only_data =
        |envelope: Envelope| envelope.data == Data::Present && envelope.errors.is_empty();
    (200..300).contains(&reply.status) && Envelope::read(&reply.body).is_some_and(has_only_data)
}

fn timed_out() -> Error {
    Error::new(Code::TimedOut, "The server took too long. Try again.")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// How long the look may take before the test fails. A test that passes never waits this long.
    const PATIENCE: Duration = Duration::from_secs(10);

    fn sent() -> Sent {
        Sent {
            session: SessionId::of(1),
            at: Moment {
                awake: Duration::ZERO,
                wall_ms: 0,
            },
            endpoint: "graphql".into(),
            headers: BTreeMap::new(),
            body: Bytes::new(),
            outcome: JoinSet::new(),
            _kept: oneshot::channel().0,
        }
    }

    #[test]
    fn without_a_prefetch_a_call_neither_locks_nor_compares() {
        let place = Arc::new(Place::default());
        place.put(sent);
        assert!(place.take_if(|_| false).is_none(), "another call");
        assert!(place.take_if(|_| true).is_some(), "handed over");

        // As long as the guard is held, `lock` blocks.
        let guard = place.lock();
        let (done, looked) = mpsc::channel();
        let of_call = place.clone();
        let call = std::thread::spawn(move || {
            let taken = of_call.take_if(|_| panic!("a call was compared"));
            done.send(taken.is_none()).expect("the test waits");
        });
        assert_eq!(
            looked.recv_timeout(PATIENCE),
            Ok(true),
            "it waits for the lock"
        );
        drop(guard);
        call.join().expect("no panic");
    }
}
