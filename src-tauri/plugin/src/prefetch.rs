//! One query that is sent as soon as the session is open, while the first window still loads its page. The first page
//! that makes the very same call gets its reply.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use graphql_session::{Call, Error, Phase, Reply, Session, Status};
use tokio::task::JoinHandle;

/// A page that has not asked by then asks anew, and the reply is dropped. Many times what a window takes to load its
/// page, and short enough that nothing old is shown.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// The place for the one call. Cheap to clone; managed state of the plugin.
#[derive(Clone, Default)]
pub(crate) struct Prefetch(Arc<Mutex<Option<Sent>>>);

struct Sent {
    account: String,
    call: Call,
    reply: JoinHandle<Result<Reply, Error>>,
}

impl Prefetch {
    /// Sends the call where a session was stored, and keeps what comes of it until somebody asks, the session is over, or
    /// it has become old. Needs a tokio runtime.
    pub(crate) fn send(&self, session: &Session, call: Call) {
        let mut changes = session.changes();
        if !has_session(&changes.borrow()) {
            return;
        }
        let (sender, sent) = (session.clone(), call.clone());
        *self.place() = Some(Sent {
            account: session.account().to_owned(),
            call,
            reply: tokio::spawn(async move { sender.execute(sent).await }),
        });
        let prefetch = self.clone();
        tokio::spawn(async move {
            // What was asked in one session is not shown in the next.
            let over = changes.wait_for(|status| !has_session(status));
            let _ = tokio::time::timeout(KEPT_FOR, over).await;
            if let Some(sent) = prefetch.place().take() {
                sent.reply.abort();
            }
        });
    }

    /// The reply to this call, if it was sent early: once, and only if there is one. A failure is not handed on, for the
    /// call itself may do better.
    pub(crate) async fn take(&self, account: &str, call: &Call) -> Option<Reply> {
        let sent = self.place().take_if(|sent| {
            sent.account == account
                && sent.call.endpoint == call.endpoint
                && sent.call.headers == call.headers
                && sent.call.body == call.body
        })?;
        sent.reply.await.ok()?.ok()
    }

    fn place(&self) -> MutexGuard<'_, Option<Sent>> {
        // Held for a move of its content and never across an await.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_session(status: &Status) -> bool {
    matches!(
        status.phase,
        Phase::SignedIn | Phase::Renewing | Phase::Unreachable
    )
}
