//! The prefetch: one query that is sent as soon as the session is open, while the first window still loads its page. The
//! first page that makes the very same call gets its reply, so far as its own call would have come to the same.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use graphql_session::verdict::{Data, Envelope};
use graphql_session::{Call, Clock, Code, Error, Id, OperationKind, Reply, Session};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// A page that has not asked by then asks anew, and the reply is dropped. Many times what a window takes to load its
/// page, and short enough that nothing old is shown.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// The place for the one prefetched call. Cheap to clone; managed state of the plugin.
#[derive(Clone)]
pub(crate) struct Prefetch(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    /// What a call may take in all (`limits.callMs`).
    call_limit: Duration,
    place: Mutex<Option<Sent>>,
}

impl Prefetch {
    /// Clock and limit are those of the account that prefetches.
    pub(crate) fn new(clock: Arc<dyn Clock>, call_limit: Duration) -> Self {
        Self(Arc::new(Shared {
            clock,
            call_limit,
            place: Mutex::default(),
        }))
    }

    /// Sends the call where a session was stored, and keeps its reply until a page asks, the session is over, or it has
    /// become old. A failure is not kept: what failed may be mended when a page asks. Needs a tokio runtime.
    pub(crate) fn send(&self, session: &Session, mut call: Call) {
        let mut changes = session.changes();
        let Some(id) = session.id() else {
            return;
        };
        // How long to wait for it is for the page's call to say.
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
        // The place is filled before the task can look into it.
        let mut place = self.place();
        sent.outcome.spawn(async move {
            let outcome = session.execute(call).await;
            if outcome.is_err() {
                prefetch.empty();
            }
            outcome
        });
        *place = Some(sent);
        drop(place);
        let prefetch = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = changes.wait_for(|status| !status.has_session()) => {}
                () = prefetch.0.clock.sleep(KEPT_FOR) => {}
                _ = no_longer_kept => {}
            }
            prefetch.empty();
        });
    }

    /// Runs a page's call: with what the prefetch came to, if it is the same call, and else as ever.
    pub(crate) async fn execute(
        &self,
        session: &Session,
        operation: OperationKind,
        mut call: Call,
    ) -> Result<Reply, Error> {
        let asked_at = self.0.clock.awake();
        if operation != OperationKind::Query {
            // The reply is from before, and a page reads what it has written.
            drop(self.take(session, |_| true));
        } else if let Some(sent) = self.take(session, |sent| sent.is_same(&call)) {
            let limit = self.0.call_limit;
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

    /// Takes the prefetch of this very session out of its place; `None` where it has become old meanwhile.
    fn take(&self, session: &Session, wanted: impl FnOnce(&Sent) -> bool) -> Option<Sent> {
        let id = session.id()?;
        let sent = self
            .place()
            .take_if(|sent| sent.session == id && wanted(sent))?;
        let age = self.now().apart_from(&sent.at);
        (age < KEPT_FOR).then_some(sent)
    }

    fn empty(&self) {
        let sent = self.place().take();
        drop(sent);
    }

    fn now(&self) -> Moment {
        Moment {
            awake: self.0.clock.awake(),
            wall_ms: self.0.clock.wall().as_millisecond(),
        }
    }

    fn place(&self) -> MutexGuard<'_, Option<Sent>> {
        // Held for a comparison and a move of its content, and never across an await.
        self.0.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The prefetched call. Dropping it takes the call back, wherever it is.
struct Sent {
    /// Whose data the reply holds: no other session gets it, not even the next one of the same person.
    session: Id,
    at: Moment,
    endpoint: Cow<'static, str>,
    headers: BTreeMap<String, String>,
    body: Bytes,
    /// One task, which ends with its set.
    outcome: JoinSet<Result<Reply, Error>>,
    /// Closes when this is dropped, and then nothing has to be taken out of the place later.
    _kept: oneshot::Sender<()>,
}

impl Sent {
    /// Whether a page's call is the same. Its deadline may be another one.
    fn is_same(&self, call: &Call) -> bool {
        self.endpoint == call.endpoint
            && self.body == call.body
            && self.headers == normalised(&call.headers)
    }

    /// What the page's call comes to by this one; `None` where it is to be made itself, for it may do better.
    async fn outcome_for_page(mut self, session: &Session) -> Option<Result<Reply, Error>> {
        let outcome = self.outcome.join_next().await?;
        if session.id() != Some(self.session) {
            return None;
        }
        match outcome.ok()? {
            Ok(reply) => is_served(&reply).then_some(Ok(reply)),
            // It failed while the page waited. The page's call, sent when it asked, would have met the same: one failure
            // for both.
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

/// As they are sent: names in any case and order, and of several of one name the last.
fn normalised(headers: &[(String, String)]) -> BTreeMap<String, String> {
    headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect()
}

/// Whether it is data and nothing else: a gateway's page, a throttle or an error may be gone when the page asks.
fn is_served(reply: &Reply) -> bool {
    let has_only_data =
        |envelope: Envelope| envelope.data == Data::Present && envelope.errors.is_empty();
    (200..300).contains(&reply.status) && Envelope::read(&reply.body).is_some_and(has_only_data)
}

fn timed_out() -> Error {
    Error::new(Code::TimedOut, "The server took too long. Try again.")
}
