//! [`Connection`]: one open stream of server-sent events, read one event at a time.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use graphql_session_renewal::Awake;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use sse_stream::SseByteStream;

use crate::clock::Clock;
use crate::shared::Shared;

/// The content type of a stream.
pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// Longest event that is handed on, in bytes: an event is about one record, and a page of a hundred records takes some
/// 400 kB. Shorter where [`Limits::reply_bytes`](crate::Limits::reply_bytes) is.
const EVENT_BYTES: usize = 4 << 20;

/// The longest event that this session hands on, in bytes.
pub(super) fn event_bytes(shared: &Shared) -> usize {
    EVENT_BYTES.min(shared.config.limits.reply_bytes)
}

/// What an open connection says.
pub(super) enum Heard {
    Next(Bytes),
    Complete,
    TooLong,
    /// It broke, fell silent, or ended without `complete`.
    Disconnected,
}

pub(super) struct Connection {
    blocks: SseByteStream<Chunks>,
    /// Since when it is open.
    pub(super) since: Awake,
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Broken>> + Send>>;

impl Connection {
    pub(super) fn new(response: reqwest::Response, shared: &Shared) -> Self {
        let limits = &shared.config.limits;
        Self {
            blocks: SseByteStream::new(chunks(
                response,
                shared.config.clock.clone(),
                limits.stream_silence,
                event_bytes(shared),
            )),
            since: shared.awake(),
        }
    }

    /// Over a stream that arrives in these pieces.
    #[cfg(feature = "parsers")]
    pub(super) fn of_pieces(pieces: Vec<Bytes>, limit: usize) -> Self {
        let mut unfinished = Unfinished::default();
        let chunks = pieces
            .into_iter()
            .map(move |chunk| unfinished.checked(chunk, limit));
        Self {
            blocks: SseByteStream::new(Box::pin(stream::iter(chunks))),
            since: Awake::from_ms(0),
        }
    }

    pub(super) async fn next(&mut self) -> Heard {
        loop {
            let block = match self.blocks.next().await {
                Some(Ok(block)) => block,
                Some(Err(sse_stream::Error::Body(broken)))
                    if matches!(broken.downcast_ref(), Some(Broken::TooLong)) =>
                {
                    return Heard::TooLong;
                }
                Some(Err(_)) | None => return Heard::Disconnected,
            };
            match (block.event.as_deref(), block.data) {
                (Some("next"), Some(payload)) => return Heard::Next(payload.into()),
                (Some("complete"), _) => return Heard::Complete,
                // graphql-sse defines no other events, and a `next` has data.
                _ => {}
            }
        }
    }
}

/// Why nothing more can be read.
#[derive(Debug)]
enum Broken {
    Lost,
    Silent,
    TooLong,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "the connection broke",
            Self::Silent => "the connection fell silent",
            Self::TooLong => "an event is too long",
        })
    }
}

impl StdError for Broken {}

/// A body as it comes in, until it is silent for too long, or an event in it becomes longer than `limit` bytes.
fn chunks(
    response: reqwest::Response,
    clock: Arc<dyn Clock>,
    silence: Duration,
    limit: usize,
) -> Chunks {
    let start = (response, Unfinished::default());
    Box::pin(stream::try_unfold(
        start,
        move |(mut response, mut unfinished)| {
            let silent = clock.sleep(silence);
            async move {
                // Data first: a reader that comes back after the limit gets the chunk that is waiting, not the silence.
                let chunk = tokio::select! {
                    biased;
                    chunk = response.chunk() => chunk.map_err(|_| Broken::Lost)?,
                    () = silent => return Err(Broken::Silent),
                };
                let Some(chunk) = chunk else { return Ok(None) };
                let chunk = unfinished.checked(chunk, limit)?;
                Ok(Some((chunk, (response, unfinished))))
            }
        },
    ))
}

/// Counts the bytes of the event that is still incomplete, because the parser has to buffer them. An event ends with an
/// empty line. Comment lines are not counted: the parser drops them, and a server may send them for days as keep-alives.
#[derive(Default)]
struct Unfinished {
    bytes: usize,
    line_length: usize,
    is_comment: bool,
    previous_byte: u8,
}

impl Unfinished {
    /// The chunk, unless an event in it is longer than `limit` bytes.
    fn checked(&mut self, chunk: Bytes, limit: usize) -> Result<Bytes, Broken> {
        if self.add(&chunk) > limit {
            return Err(Broken::TooLong);
        }
        Ok(chunk)
    }

    /// Counts a chunk. Returns the largest size that a single event reached in it, finished or not.
    fn add(&mut self, chunk: &[u8]) -> usize {
        let mut most = self.bytes;
        for &byte in chunk {
            match byte {
                // The `\n` of a `\r\n`.
                b'\n' if self.previous_byte == b'\r' => {}
                b'\n' | b'\r' => {
                    if self.line_length == 0 {
                        self.bytes = 0;
                    }
                    self.line_length = 0;
                }
                _ => {
                    if self.line_length == 0 {
                        self.is_comment = byte == b':';
                    }
                    self.line_length += 1;
                    self.bytes += usize::from(!self.is_comment);
                    most = most.max(self.bytes);
                }
            }
            self.previous_byte = byte;
        }
        most
    }
}

pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE);
    content_type
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(EVENT_STREAM))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfinished(text: &str) -> usize {
        let mut whole = Unfinished::default();
        whole.add(text.as_bytes());
        let mut bytewise = Unfinished::default();
        for byte in text.as_bytes() {
            bytewise.add(&[*byte]);
        }
        assert_eq!(whole.bytes, bytewise.bytes, "however it is cut");
        whole.bytes
    }

    #[test]
    fn an_event_that_begins_and_ends_in_one_chunk_is_measured_too() {
        assert_eq!(Unfinished::default().add(b"data: abc\n\ndata: a\n\n:"), 9);
    }

    #[test]
    fn only_an_empty_line_ends_an_event_and_comments_are_no_part_of_one() {
        for end in ["\n", "\r\n", "\r"] {
            let event = format!("event: a{end}data: b{end}");
            assert_eq!(unfinished(&event), 15);
            assert_eq!(unfinished(&format!("{event}{end}")), 0);
            assert_eq!(unfinished(&format!("{event}{end}data: c")), 7);
            assert_eq!(unfinished(&format!(": padding{end}:{end}")), 0);
            assert_eq!(unfinished(&format!("data: a{end}: padding{end}")), 7);
        }
    }
}
