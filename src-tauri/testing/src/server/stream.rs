//! The connection of a stream of events that a test feeds.

use std::sync::Arc;
use std::time::Duration;

use super::channel::Channel;
use super::feed::{Fed, Feed};
use super::http::{BodyEnds, Outgoing};
use super::shared::Shared;
use crate::clock::InFlight;

/// How often a stream says that it is alive, as Twenty does.
const ALIVE_EVERY: Duration = Duration::from_secs(12);

/// What it says then: a comment.
const ALIVE: &[u8] = b":\n\n";

/// A stream that is open; counted off, however it ends.
struct OneStream(Arc<Shared>);

impl Drop for OneStream {
    fn drop(&mut self) {
        self.0.count(|counts| counts.streams_over += 1);
    }
}

/// Opens a stream, and passes on what it is fed until its end.
pub(super) async fn feed(
    server: &Arc<Shared>,
    head: &Outgoing,
    mut connection: Channel,
    in_flight: InFlight,
) -> Option<Channel> {
    connection
        .head(server, head, BodyEnds::WithLastChunk)
        .await
        .ok()?;
    connection.chunk(ALIVE).await.ok()?;
    let (feed, mut fed) = Feed::open();
    server.inside().feeds.push(feed);
    let _stream = OneStream(server.clone());
    server.count(|counts| counts.streams += 1);
    drop(in_flight);
    let mut is_silent = false;
    loop {
        let fed = tokio::select! {
            biased;
            () = connection.until_closed() => return None,
            Some(fed) = fed.recv() => fed,
            // Inside a block: a sleeper that nobody polls would hold a manual clock up.
            () = async { server.clock.sleep(ALIVE_EVERY).await }, if !is_silent => {
                Fed::Bytes(ALIVE.to_vec())
            }
        };
        server.activity.note();
        match fed {
            Fed::Bytes(_) if is_silent => {}
            Fed::Bytes(bytes) => {
                connection.chunk(&bytes).await.ok()?;
                server.count(|counts| counts.streamed_bytes += bytes.len() as u64);
                server.activity.note();
            }
            Fed::Silence => is_silent = true,
            Fed::End => {
                connection.end().await.ok()?;
                return Some(connection);
            }
            Fed::Cut => {
                connection.reset();
                return None;
            }
        }
    }
}
