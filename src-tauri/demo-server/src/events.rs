//! Sends each change of a record to the streams that are open at that moment. Later streams do not get it.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::broadcast;

/// Events that may wait for a stream whose client reads slowly; one further behind misses the oldest. Far more than a
/// test or a demo makes at once.
const WAITING: usize = 1_024;

/// One change of one record.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) action: Action,
    /// The object's name in the singular.
    pub(crate) object: &'static str,
    /// Milliseconds since 1970-01-01 UTC, by the server's clock.
    pub(crate) at: i64,
    /// The fields that an update named.
    pub(crate) updated_fields: Option<Vec<String>>,
    /// The record as it is now, or as it was last.
    pub(crate) record: Value,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Created,
    Updated,
    Deleted,
    Destroyed,
    Restored,
}

impl Action {
    pub(crate) const ALL: [Self; 5] = [
        Self::Created,
        Self::Updated,
        Self::Deleted,
        Self::Destroyed,
        Self::Restored,
    ];

    /// As Twenty's schema names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Updated => "UPDATED",
            Self::Deleted => "DELETED",
            Self::Destroyed => "DESTROYED",
            Self::Restored => "RESTORED",
        }
    }
}

/// Sends each event to all subscribers; clones share one channel.
#[derive(Clone)]
pub(crate) struct Events(broadcast::Sender<Arc<Event>>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }

    pub(crate) fn tell(&self, event: Event) {
        // An error only says that nobody listens.
        _ = self.0.send(Arc::new(event));
    }

    pub(crate) fn hear(&self) -> Heard {
        Heard(self.0.subscribe())
    }
}

/// The events since it was made.
pub(crate) struct Heard(broadcast::Receiver<Arc<Event>>);

impl Heard {
    /// The next event, or none when the server is gone.
    pub(crate) async fn next(&mut self) -> Option<Arc<Event>> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
