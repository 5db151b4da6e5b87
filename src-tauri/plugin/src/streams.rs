//! The subscriptions of the windows: each stream has a task that passes its events on to its page, in order, and no
//! faster than the page takes them.
//!
//! A Tauri channel has no back-pressure: what is sent piles up wherever the page is slow. So a page says how many
//! messages it has received, and nothing more is read while too much is on its way. The server feels that.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graphql_session::{StreamEvent, Subscription};
use serde::Serialize;
use tauri::ipc::Channel;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::error::{CommandError, PluginCode, milliseconds};

/// Streams of one window at a time: several times what a busy screen needs, and each costs the server a connection.
const STREAMS_PER_WINDOW: usize = 100;

/// Ids of streams that are over, per window, of which a repetition is still known. They take some 100 bytes each, and a
/// page that reloads repeats its newest ones within seconds.
const ENDED_PER_WINDOW: usize = 1_000;

/// Messages on their way to a page that it has not yet received: a page that is awake takes that many in some 10 ms.
const MESSAGES_IN_FLIGHT: usize = 64;

/// The same in bytes of payload: 64 events of 16 kB. The event that reaches it is still sent.
const BYTES_IN_FLIGHT: usize = 1 << 20;

/// What a page is told through its channel.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Message {
    /// The server has accepted the subscription.
    Open,
    /// One result, as the server's JSON text.
    Next { payload: String },
    /// There is no connection; the next try follows after the pause.
    #[serde(rename_all = "camelCase")]
    Lost { retry_after_ms: u64 },
    /// Connected again: events may be missing.
    Reconnected,
    /// The end, by the server.
    Complete,
    /// The end, by an error.
    Failed { error: CommandError },
}

impl Message {
    fn bytes(&self) -> usize {
        match self {
            Self::Next { payload } => payload.len(),
            _ => 0,
        }
    }
}

impl From<StreamEvent> for Message {
    fn from(event: StreamEvent) -> Self {
        match event {
            StreamEvent::Open => Self::Open,
            StreamEvent::Next(payload) => Self::Next {
                payload: String::from_utf8_lossy(&payload).into_owned(),
            },
            StreamEvent::Lost { retry_after } => Self::Lost {
                retry_after_ms: milliseconds(retry_after),
            },
            StreamEvent::Reconnected => Self::Reconnected,
            StreamEvent::Complete => Self::Complete,
            StreamEvent::Failed(error) => Self::Failed {
                error: error.into(),
            },
        }
    }
}

/// The table of streams. Cheap to clone; managed state of the plugin.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<Mutex<HashMap<String, WindowStreams>>>);

impl Streams {
    /// Starts to pass on the events of `stream`. Once per id, however often Tauri repeats the invoke.
    pub(crate) fn start(
        &self,
        window: &str,
        id: &str,
        stream: Subscription,
        channel: Channel<Message>,
    ) -> Result<(), CommandError> {
        let mut table = self.table();
        let streams = table.entry(window.to_owned()).or_default();
        if streams.knows(id) {
            return Err(already_ran());
        }
        if streams.running.len() >= STREAMS_PER_WINDOW {
            return Err(too_many_streams());
        }
        let (received, receiving) = watch::channel(0);
        let guard = StreamGuard {
            streams: self.clone(),
            window: window.to_owned(),
            id: id.to_owned(),
        };
        // It cannot end before it is in the table: for that its guard needs the lock that is held here.
        let task = tokio::spawn(async move {
            let _guard = guard;
            pass_on(stream, channel, receiving).await;
        });
        let running = Running {
            task: task.abort_handle(),
            received,
        };
        streams.running.insert(id.to_owned(), running);
        Ok(())
    }

    /// The page has received `count` messages of a stream so far. A smaller number than before is an older one.
    pub(crate) fn acknowledge(&self, window: &str, id: &str, count: u64) {
        let table = self.table();
        let running = table.get(window).and_then(|window| window.running.get(id));
        if let Some(running) = running {
            running.received.send_if_modified(|known| {
                let is_newer = count > *known;
                *known = count.max(*known);
                is_newer
            });
        }
    }

    /// Closes one stream; whether there is or was one by this id.
    pub(crate) fn cancel(&self, window: &str, id: &str) -> bool {
        let table = self.table();
        let Some(streams) = table.get(window) else {
            return false;
        };
        if let Some(running) = streams.running.get(id) {
            running.task.abort();
        }
        streams.knows(id)
    }

    /// Closes all streams of a window whose page is gone. Their ids are still known: Tauri may repeat their invokes.
    pub(crate) fn close_page(&self, window: &str) {
        let table = self.table();
        if let Some(streams) = table.get(window) {
            streams.close();
        }
    }

    /// The window is gone: its streams are closed, and nothing is remembered.
    pub(crate) fn forget_window(&self, window: &str) {
        if let Some(streams) = self.table().remove(window) {
            streams.close();
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, WindowStreams>> {
        // Held for a few map operations and never across an await; nothing in it can panic half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct WindowStreams {
    running: HashMap<String, Running>,
    ended: HashSet<String>,
    /// The same, oldest first.
    ended_by_age: VecDeque<String>,
}

struct Running {
    task: AbortHandle,
    received: watch::Sender<u64>,
}

impl WindowStreams {
    fn knows(&self, id: &str) -> bool {
        self.running.contains_key(id) || self.ended.contains(id)
    }

    fn close(&self) {
        for running in self.running.values() {
            running.task.abort();
        }
    }

    fn end(&mut self, id: String) {
        if self.running.remove(&id).is_none() {
            return;
        }
        self.ended.insert(id.clone());
        self.ended_by_age.push_back(id);
        if self.ended_by_age.len() > ENDED_PER_WINDOW
            && let Some(oldest) = self.ended_by_age.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }
}

/// Removes a stream from the table, however its task ends.
struct StreamGuard {
    streams: Streams,
    window: String,
    id: String,
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        let mut table = self.streams.table();
        // A window that is gone has none.
        if let Some(streams) = table.get_mut(&self.window) {
            streams.end(std::mem::take(&mut self.id));
        }
    }
}

async fn pass_on(
    mut stream: Subscription,
    channel: Channel<Message>,
    mut received: watch::Receiver<u64>,
) {
    let mut in_flight = InFlight::default();
    while let Some(event) = stream.next().await {
        let message = Message::from(event);
        in_flight.sent(message.bytes());
        if channel.send(message).is_err() {
            return;
        }
        in_flight.acknowledged(*received.borrow_and_update());
        while in_flight.is_full() {
            tokio::select! {
                changed = received.changed() => if changed.is_err() { return },
                // The page may never take what is on its way; the connection is not kept for that.
                _ = stream.ended() => break,
            }
            in_flight.acknowledged(*received.borrow_and_update());
        }
    }
}

/// What was sent and not yet received.
#[derive(Default)]
struct InFlight {
    /// The bytes of each message, oldest first.
    messages: VecDeque<usize>,
    bytes: usize,
    received: u64,
}

impl InFlight {
    fn sent(&mut self, bytes: usize) {
        self.messages.push_back(bytes);
        self.bytes += bytes;
    }

    /// The page has received that many in all.
    fn acknowledged(&mut self, received: u64) {
        while self.received < received
            && let Some(bytes) = self.messages.pop_front()
        {
            self.received += 1;
            self.bytes -= bytes;
        }
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= MESSAGES_IN_FLIGHT || self.bytes >= BYTES_IN_FLIGHT
    }
}

fn already_ran() -> CommandError {
    CommandError::new(
        PluginCode::AlreadyRan,
        "This subscription was started before. Start another one, with an id of its own.",
    )
}

fn too_many_streams() -> CommandError {
    CommandError::new(
        PluginCode::TooManyCalls,
        "This window has too many subscriptions at a time. End some of them first.",
    )
}

#[cfg(test)]
mod tests {
    use super::{BYTES_IN_FLIGHT, InFlight, MESSAGES_IN_FLIGHT};

    #[test]
    fn too_many_messages_or_too_many_bytes_are_full_until_enough_was_received() {
        let mut in_flight = InFlight::default();
        for _ in 1..MESSAGES_IN_FLIGHT {
            in_flight.sent(0);
            assert!(!in_flight.is_full());
        }
        in_flight.sent(0);
        assert!(in_flight.is_full());
        in_flight.acknowledged(1);
        assert!(!in_flight.is_full());

        let mut in_flight = InFlight::default();
        in_flight.sent(BYTES_IN_FLIGHT - 1);
        assert!(!in_flight.is_full());
        in_flight.sent(1);
        assert!(in_flight.is_full());
        in_flight.acknowledged(0);
        assert!(in_flight.is_full(), "an older number says nothing new");
        in_flight.acknowledged(1);
        assert!(!in_flight.is_full());
    }
}
