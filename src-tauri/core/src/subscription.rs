//! [`Subscription`]: events of a server over graphql-sse, with a connection for each operation ("distinct connections").
//!
//! A connection is made with the credentials that are current then; a refusal joins the one renewal, as a call's does.
//! From then on it is left alone: the server has looked at the token once, and a renewal changes nothing about a stream
//! that is open. A connection that is lost is made again, with the then current credentials, after a pause that
//! [`Reconnecting`] draws. Nothing that happened meanwhile is sent again by the server.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use graphql_session_renewal::{Backoff, RenewalReason};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use sse_stream::SseByteStream;

use crate::call::{AllowedHeaders, Call};
use crate::clock::Clock;
use crate::credentials::{Credentials, Id};
use crate::driver::Message;
use crate::error::{Code, Error};
use crate::operation::OperationKind;
use crate::protocol::Endpoint;
use crate::session::Session;
use crate::shared::millis;
use crate::transport::{read_body, retry_after};
use crate::verdict::{self, CallVerdict, Envelope};

/// The content type of a stream.
const EVENT_STREAM: &str = "text/event-stream";

/// Longest event that is handed on, in bytes: ten times the largest reply that a Twenty server usually gives, and an
/// event is about one record. Shorter where [`Limits::reply_bytes`](crate::Limits::reply_bytes) is.
const EVENT_BYTES: usize = 4 << 20;

/// A stream that stood this long, in ms, was a good one, and its loss is the first of a new series. Shorter ones are
/// not: a server that accepts and drops would be asked without a pause otherwise.
const STOOD: u64 = 60_000;

/// What a subscription says, in this order: `Open`, then events; between a `Lost` and a `Reconnected` nothing is heard;
/// `Complete` or `Failed` is the last.
#[derive(Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// The server has accepted the subscription.
    Open,
    /// One result: the JSON text, as the server sent it.
    Next(Bytes),
    /// There is no connection, or no longer. The next [`Subscription::next`] waits out the pause and tries again.
    Lost {
        /// The pause, counted from now.
        retry_after: Duration,
    },
    /// Connected again, with the credentials that are current now. Events may be missing: what happened in between is
    /// not sent again, so whoever needs it asks for it anew.
    Reconnected,
    /// The server has ended the subscription, or answered without a stream.
    Complete,
    /// The subscription is over, and so may be the session: [`Code::SignedOut`], [`Code::Locked`],
    /// [`Code::AccessDenied`], [`Code::TooLarge`] (one event of more than 4 MiB).
    Failed(Error),
}

impl StreamEvent {
    /// Whether nothing follows.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Complete | Self::Failed(_))
    }
}

impl fmt::Debug for StreamEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("Open"),
            // A payload is a person's data, and no business of a log.
            Self::Next(payload) => write!(f, "Next({} bytes)", payload.len()),
            Self::Lost { retry_after } => write!(f, "Lost({retry_after:?})"),
            Self::Reconnected => f.write_str("Reconnected"),
            Self::Complete => f.write_str("Complete"),
            Self::Failed(error) => write!(f, "Failed({:?})", error.code()),
        }
    }
}

/// One subscription; made by [`Session::subscribe`]. Dropping it closes its connection.
///
/// It reads only when it is asked for the next event, so a slow reader holds the server back, and nothing piles up here.
/// It does not count among the calls that may be on the wire at a time, and [`Call::deadline`] does not apply to it.
pub struct Subscription {
    request: Request,
    has_opened: bool,
    reconnecting: Reconnecting,
    link: Link,
}

enum Link {
    /// To be made at this time, in awake ms.
    Down {
        due: u64,
    },
    Up(Connection),
    /// The server answered without a stream, and that was handed on.
    Answered,
    Over,
}

impl Subscription {
    pub(crate) fn new(session: Session, call: Call) -> Result<Self, Error> {
        let endpoint = session.endpoint(&call.endpoint)?;
        let mut headers = AllowedHeaders::of(&call.headers)?;
        headers.set(ACCEPT, HeaderValue::from_static(EVENT_STREAM));
        call.fits(session.shared().config.limits.request_bytes)?;
        if call.operation() != OperationKind::Subscription {
            return Err(Error::new(
                Code::InvalidRequest,
                "Only a subscription can be subscribed to. Run queries and mutations as calls.",
            ));
        }
        let bound = *session.shared().session.borrow();
        Ok(Self {
            request: Request {
                session,
                call,
                endpoint,
                headers,
                bound,
            },
            has_opened: false,
            reconnecting: Reconnecting::default(),
            link: Link::Down { due: 0 },
        })
    }

    /// The next event; `None` after the last one. Connects, and connects again, as far as that is needed.
    ///
    /// Dropping the future loses no event. A connection that was being made is made from the start by the next one.
    pub async fn next(&mut self) -> Option<StreamEvent> {
        if matches!(self.link, Link::Over) {
            return None;
        }
        let ended = self.ended();
        let event = tokio::select! {
            biased;
            error = ended => StreamEvent::Failed(error),
            event = self.advance() => event,
        };
        if event.is_last() {
            self.link = Link::Over;
        }
        Some(event)
    }

    /// Returns once the session that it belongs to is over, with the error that the next event will hold: for readers
    /// that do not ask for events for a while.
    pub fn ended(&self) -> impl Future<Output = Error> + Send + 'static {
        let session = self.request.session.clone();
        let bound = self.request.bound;
        async move {
            // Not the status: it may look the same when somebody has signed in anew meanwhile.
            let mut sessions = session.shared().session.subscribe();
            let is_over = |now: &Option<Id>| *now != bound || now.is_none();
            // The sender lives as long as the session that is held here.
            let _ = sessions.wait_for(is_over).await;
            let gone = session.held(bound).err();
            gone.unwrap_or_else(Error::signed_out)
        }
    }

    async fn advance(&mut self) -> StreamEvent {
        match &mut self.link {
            Link::Down { due } => {
                let shared = self.request.session.shared();
                let pause = due.saturating_sub(shared.awake_ms());
                if pause > 0 {
                    let pause = Duration::from_millis(pause);
                    shared.config.clock.sleep(pause).await;
                }
                self.connect().await
            }
            Link::Up(connection) => match connection.next().await {
                Heard::Next(payload) => StreamEvent::Next(payload),
                Heard::Complete => StreamEvent::Complete,
                Heard::TooLong => StreamEvent::Failed(Error::new(
                    Code::TooLarge,
                    "An event is larger than this application accepts. Subscribe to fewer fields.",
                )),
                Heard::Nothing => {
                    let now = self.request.session.shared().awake_ms();
                    let stood = now.saturating_sub(connection.since);
                    self.lose(stood, Duration::ZERO)
                }
            },
            Link::Answered | Link::Over => StreamEvent::Complete,
        }
    }

    async fn connect(&mut self) -> StreamEvent {
        match self.request.reach().await {
            Ok(Reached::Stream(connection)) => {
                self.link = Link::Up(connection);
                if std::mem::replace(&mut self.has_opened, true) {
                    StreamEvent::Reconnected
                } else {
                    StreamEvent::Open
                }
            }
            Ok(Reached::Answer(body)) => {
                self.link = Link::Answered;
                StreamEvent::Next(body)
            }
            Err(error) if error.code() == Code::Unreachable => {
                self.lose(0, error.retry_after_hint().unwrap_or_default())
            }
            Err(error) => StreamEvent::Failed(error),
        }
    }

    fn lose(&mut self, stood: u64, asked: Duration) -> StreamEvent {
        let shared = self.request.session.shared();
        let random = shared.config.clock.random();
        let longest = millis(shared.config.limits.max_backoff);
        let pause = self
            .reconnecting
            .pause(stood, random, longest, millis(asked));
        self.link = Link::Down {
            due: shared.awake_ms() + pause,
        };
        StreamEvent::Lost {
            retry_after: Duration::from_millis(pause),
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("call", &self.request.call)
            .field("is_open", &matches!(self.link, Link::Up(_)))
            .finish_non_exhaustive()
    }
}

/// When a stream connects again whose connection was lost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reconnecting {
    backoff: Backoff,
}

impl Reconnecting {
    /// The pause before the next try, in ms, of at most `longest` but for what the server `asked` for. `stood`: how long
    /// the connection had lasted.
    pub(crate) fn pause(&mut self, stood: u64, random: u64, longest: u64, asked: u64) -> u64 {
        if stood >= STOOD {
            self.backoff = Backoff::default();
        }
        self.backoff.next(random, longest).max(asked)
    }
}

/// What is asked for, and for whom.
struct Request {
    session: Session,
    call: Call,
    endpoint: &'static Endpoint,
    headers: AllowedHeaders,
    /// The session that it belongs to, from its first moment on. It ends with that one.
    bound: Option<Id>,
}

impl Request {
    /// The way to a stream, as a call's to its reply: with credentials that are not known to have expired, and once more
    /// with newer ones after a refusal.
    async fn reach(&self) -> Result<Reached, Error> {
        let shared = self.session.shared();
        let began_at = shared.server_clock.now();
        let mut refused = false;
        let mut waited = false;
        loop {
            let held = self.session.held(self.bound)?;
            if self.session.has_expired(&held) && !waited {
                waited = true;
                self.session
                    .wait_for_renewal(held, RenewalReason::Expired)
                    .await?;
                continue;
            }
            let limit = shared
                .config
                .clock
                .sleep(shared.config.limits.stream_silence);
            let reached = tokio::select! {
                biased;
                reached = self.send(&held) => reached?,
                () = limit => return Err(self.away(&held, None)),
            };
            let Some(reached) = reached else {
                if refused {
                    return Err(self.session.refused_again(&held.info, began_at));
                }
                refused = true;
                waited = true;
                self.session
                    .wait_for_renewal(held, RenewalReason::Refused)
                    .await?;
                continue;
            };
            self.session.served(&held);
            return Ok(reached);
        }
    }

    /// Sends the request once; `None` where its access token was refused.
    async fn send(&self, held: &Credentials) -> Result<Option<Reached>, Error> {
        let shared = self.session.shared();
        let clients = shared.clients(&held.origin)?;
        let headers = self.headers.authorized(held)?;
        let mut response = clients
            .call(self.endpoint, headers, self.call.body.clone())
            .await
            .map_err(|_| self.away(held, None))?;
        let asked = retry_after(response.headers(), &shared.server_clock);
        if is_event_stream(response.headers()) {
            return Ok(Some(Reached::Stream(Connection::new(
                response,
                &self.session,
            ))));
        }
        let status = response.status().as_u16();
        let body = read_body(&mut response, self.event_bytes())
            .await
            .map_err(|_| self.away(held, None))?;
        match verdict::judge_call(&*shared.config.protocol, status, &body) {
            CallVerdict::Refused => return Ok(None),
            CallVerdict::GatewayError => return Err(self.away(held, asked)),
            CallVerdict::Served => {}
        }
        // A page of a portal or a proxy, a throttle, a server that starts: none of them has decided anything.
        let is_graphql = Envelope::read(&body).is_some_and(|envelope| envelope.is_graphql());
        if matches!(status, 429 | 503) || !is_graphql {
            return Err(self.away(held, asked));
        }
        Ok(Some(Reached::Answer(body)))
    }

    /// There is no stream for now; people are told that the server is away.
    fn away(&self, held: &Credentials, asked: Option<Duration>) -> Error {
        self.session.tell(Message::Lost(held.info.credentials));
        Error::new(Code::Unreachable, "The server cannot be reached.")
            .retry_after(asked.unwrap_or_default())
    }

    fn event_bytes(&self) -> usize {
        EVENT_BYTES.min(self.session.shared().config.limits.reply_bytes)
    }
}

/// What came of a request.
enum Reached {
    Stream(Connection),
    Answer(Bytes),
}

/// What an open connection says.
enum Heard {
    Next(Bytes),
    Complete,
    TooLong,
    /// It broke, fell silent, or ended without a word.
    Nothing,
}

struct Connection {
    blocks: SseByteStream<Chunks>,
    /// Since when it is open, in awake ms.
    since: u64,
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Broken>> + Send>>;

impl Connection {
    fn new(response: reqwest::Response, session: &Session) -> Self {
        let shared = session.shared();
        let limits = &shared.config.limits;
        Self {
            blocks: SseByteStream::new(chunks(
                response,
                shared.config.clock.clone(),
                limits.stream_silence,
                EVENT_BYTES.min(limits.reply_bytes),
            )),
            since: shared.awake_ms(),
        }
    }

    async fn next(&mut self) -> Heard {
        loop {
            let block = match self.blocks.next().await {
                Some(Ok(block)) => block,
                Some(Err(sse_stream::Error::Body(broken)))
                    if matches!(broken.downcast_ref(), Some(Broken::TooLong)) =>
                {
                    return Heard::TooLong;
                }
                Some(Err(_)) | None => return Heard::Nothing,
            };
            match (block.event.as_deref(), block.data) {
                (Some("next"), Some(payload)) => return Heard::Next(payload.into()),
                (Some("complete"), _) => return Heard::Complete,
                // Of no meaning in graphql-sse.
                _ => {}
            }
        }
    }
}

/// RenewalReason nothing more can be read.
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
                // What has arrived is used, however long nobody asked for it.
                let chunk = tokio::select! {
                    biased;
                    chunk = response.chunk() => chunk.map_err(|_| Broken::Lost)?,
                    () = silent => return Err(Broken::Silent),
                };
                let Some(chunk) = chunk else { return Ok(None) };
                if unfinished.add(&chunk) > limit {
                    return Err(Broken::TooLong);
                }
                Ok(Some((chunk, (response, unfinished))))
            }
        },
    ))
}

/// How much of an event has come in whose end has not: the parser has to keep that. An event ends with an empty line;
/// comments, which keep a stream alive for days without an event, are not kept.
#[derive(Default)]
struct Unfinished {
    bytes: usize,
    line: usize,
    is_comment: bool,
    previous: u8,
}

impl Unfinished {
    /// Takes note of what has come in; gives the most that there was of one event.
    fn add(&mut self, chunk: &[u8]) -> usize {
        let mut most = self.bytes;
        for &byte in chunk {
            match byte {
                // The second half of one line's end.
                b'\n' if self.previous == b'\r' => {}
                b'\n' | b'\r' => {
                    if self.line == 0 {
                        self.bytes = 0;
                    }
                    self.line = 0;
                }
                _ => {
                    if self.line == 0 {
                        self.is_comment = byte == b':';
                    }
                    self.line += 1;
                    self.bytes += usize::from(!self.is_comment);
                    most = most.max(self.bytes);
                }
            }
            self.previous = byte;
        }
        most
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
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

    #[test]
    fn a_stream_that_stood_a_while_starts_the_backoff_anew_and_the_servers_pause_is_a_floor() {
        let mut reconnecting = Reconnecting::default();
        let mut pause = |stood, asked| reconnecting.pause(stood, u64::MAX, 30_000, asked);
        assert_eq!(pause(0, 0), 1_000);
        assert_eq!(pause(STOOD - 1, 0), 2_000);
        assert_eq!(pause(0, 90_000), 90_000);
        assert_eq!(pause(0, 5_000), 8_000);
        assert_eq!(pause(STOOD, 0), 1_000);
    }
}
