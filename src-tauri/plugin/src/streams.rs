//! The subscriptions of the windows. Each stream has a task that sends its events to its page, in order.
//!
//! A Tauri channel has no back-pressure: messages pile up where the page is slow. So a page acknowledges the messages
//! that it received, and the task stops reading from the server while too many are on their way.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graphql_session::Subscription;
use tauri::ipc::Channel;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::error::{CommandError, PluginCode};
use crate::framing::Message;

/// Streams that one window may have at a time. Several times what a busy screen needs; each costs the server a
/// connection.
const STREAMS_PER_WINDOW: usize = 100;

/// Ids of ended streams that are remembered per window, so that a repeated invoke starts nothing. Each takes some 100
/// bytes, and a page that reloads repeats its newest ones within seconds.
const ENDED_PER_WINDOW: usize = 1_000;

/// Messages that may be on their way to a page. A page that is awake takes that many in some 10 ms.
const MESSAGES_IN_FLIGHT: usize = 64;

/// The same in bytes of payload: 64 events of 16 kB. The event that reaches the limit is still sent.
const BYTES_IN_FLIGHT: usize = 1 << 20;

/// The table of streams. Cheap to clone; managed state of the plugin.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<Mutex<HashMap<String, WindowStreams>>>);

impl Streams {
    /// Starts to send the events of `stream` to the channel. Once per id, because Tauri may repeat the invoke.
    ///
    /// # Errors
    /// [`PluginCode::AlreadyRan`] where the id is known, [`PluginCode::TooManyCalls`] where the window has too many
    /// streams.
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
        let (acknowledged, acks) = watch::channel(0);
        let guard = StreamGuard {
            streams: self.clone(),
            window: window.to_owned(),
            id: id.to_owned(),
        };
        // It cannot end before it is in the table, because its guard needs the lock that is held here.
        let task = tokio::spawn(async move {
            let _guard = guard;
            send_events(stream, channel, acks).await;
        });
        let running = Running {
            task: task.abort_handle(),
            acknowledged,
        };
        streams.running.insert(id.to_owned(), running);
        Ok(())
    }

    /// The page has received `count` messages of a stream in all. Invokes may overtake each other, so a smaller number
    /// than before is ignored.
    pub(crate) fn acknowledge(&self, window: &str, id: &str, count: u64) {
        let table = self.table();
        let running = table.get(window).and_then(|window| window.running.get(id));
        if let Some(running) = running {
            running.acknowledged.send_if_modified(|known| {
                let is_newer = count > *known;
                *known = count.max(*known);
                is_newer
            });
        }
    }

    /// Closes one stream. Returns whether the id is or was that of a stream.
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

    /// Closes all streams of a window whose page is gone. Remembers their ids, because Tauri may repeat their invokes.
    pub(crate) fn close_page(&self, window: &str) {
        let table = self.table();
        if let Some(streams) = table.get(window) {
            streams.close();
        }
    }

    /// The window is gone: closes its streams and forgets their ids.
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
    /// How many messages the page has received in all.
    acknowledged: watch::Sender<u64>,
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
        // A window that is gone has no streams.
        if let Some(streams) = table.get_mut(&self.window) {
            streams.end(std::mem::take(&mut self.id));
        }
    }
}

async fn send_events(
    mut stream: Subscription,
    channel: Channel<Message>,
    mut acks: watch::Receiver<u64>,
) {
    let mut in_flight = InFlight::default();
    while let Some(event) = stream.next().await {
        let message = Message::from(event);
        in_flight.sent(message.bytes());
        if channel.send(message).is_err() {
            return;
        }
        in_flight.acknowledged(*acks.borrow_and_update());
        while in_flight.is_full() {
            tokio::select! {
                changed = acks.changed() => if changed.is_err() { return },
                // The page may never acknowledge; the connection need not wait for that.
                _ = stream.ended() => break,
            }
            in_flight.acknowledged(*acks.borrow_and_update());
        }
    }
}

/// The messages that were sent and not yet acknowledged.
#[derive(Default)]
struct InFlight {
    /// The bytes of each message, oldest first.
    messages: VecDeque<usize>,
    bytes: usize,
    acknowledged: u64,
}

impl InFlight {
    fn sent(&mut self, bytes: usize) {
        self.messages.push_back(bytes);
        self.bytes += bytes;
    }

    /// The page has received that many in all.
    fn acknowledged(&mut self, count: u64) {
        while self.acknowledged < count
            && let Some(bytes) = self.messages.pop_front()
        {
            self.acknowledged += 1;
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
        "This subscription was started before. Start another one, with its own id.",
    )
}

fn too_many_streams() -> CommandError {
    CommandError::new(
        PluginCode::TooManyCalls,
        "This window has too many subscriptions. End some of them first.",
    )
}

#[cfg(test)]
mod tests {
    use super::{BYTES_IN_FLIGHT, InFlight, MESSAGES_IN_FLIGHT};

    #[test]
    fn too_many_messages_or_bytes_are_full_until_enough_are_acknowledged() {
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
