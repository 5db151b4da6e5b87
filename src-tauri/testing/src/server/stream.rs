//! Streams of events that a test feeds.

use std::time::Duration;

use tokio::sync::mpsc;

use super::FaultServer;
use super::http::{BodyEnds, Connection, LAST_CHUNK, Outgoing, one_chunk};
use crate::clock::InFlight;

/// How often a stream says that it is alive, as Twenty does.
const ALIVE_EVERY: Duration = Duration::from_secs(12);

/// What it says then: a comment.
const ALIVE: &[u8] = b":\n\n";

/// A test's end of one stream. Clones are handles on the same stream; what is fed to one that is over is dropped.
#[derive(Clone, Debug)]
pub struct Feed {
    to_stream: mpsc::UnboundedSender<Fed>,
}

#[derive(Debug)]
enum Fed {
    Bytes(Vec<u8>),
    End,
    Cut,
    Silence,
}

impl Feed {
    /// One event with this JSON text.
    pub fn next(&self, payload: &str) {
        self.bytes(format!("event: next\ndata: {payload}\n\n"));
    }

    /// The subscription's end in the protocol's words, without a data line, as Twenty sends it.
    pub fn complete(&self) {
        self.bytes("event: complete\n\n");
        self.end();
    }

    /// Anything at all.
    pub fn bytes(&self, bytes: impl Into<Vec<u8>>) {
        self.feed(Fed::Bytes(bytes.into()));
    }

    /// Ends the body.
    pub fn end(&self) {
        self.feed(Fed::End);
    }

    /// Resets the connection.
    pub fn cut(&self) {
        self.feed(Fed::Cut);
    }

    /// Falls silent: nothing more is said, and the connection stays.
    pub fn fall_silent(&self) {
        self.feed(Fed::Silence);
    }

    fn feed(&self, fed: Fed) {
        let _ = self.to_stream.send(fed);
    }
}

/// A stream that is open; counted off, however it ends.
struct OneStream(FaultServer);

impl Drop for OneStream {
    fn drop(&mut self) {
        self.0.count(|counts| counts.streams_over += 1);
    }
}

/// Opens a stream, and passes on what it is fed until its end.
pub(super) async fn feed(
    server: &FaultServer,
    head: &Outgoing,
    mut connection: Connection,
    in_flight: InFlight,
) -> Option<Connection> {
    let head = server.head(head, BodyEnds::WithLastChunk);
    connection.write(&head).await.ok()?;
    connection.write(&one_chunk(ALIVE)).await.ok()?;
    let (to_stream, mut fed) = mpsc::unbounded_channel();
    server.inside().feeds.push(Feed { to_stream });
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
            () = async { server.shared.clock.sleep(ALIVE_EVERY).await }, if !is_silent => {
                Fed::Bytes(ALIVE.to_vec())
            }
        };
        server.shared.activity.note();
        match fed {
            Fed::Bytes(_) if is_silent => {}
            Fed::Bytes(bytes) => {
                connection.write(&one_chunk(&bytes)).await.ok()?;
                server.count(|counts| counts.streamed_bytes += bytes.len() as u64);
                server.shared.activity.note();
            }
            Fed::Silence => is_silent = true,
            Fed::End => {
                connection.write(LAST_CHUNK).await.ok()?;
                return Some(connection);
            }
            Fed::Cut => {
                connection.reset();
                return None;
            }
        }
    }
}
