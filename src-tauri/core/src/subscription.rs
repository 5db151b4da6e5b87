//! [`Subscription`]: events of a server over graphql-sse, with a connection for each operation ("distinct connections").
//!
//! A connection is made with the credentials that are current then; a refusal joins the one renewal, as a call's does.
//! From then on it is left alone: the server has looked at the token once, and a renewal changes nothing about a stream
//! that is open. A connection that is lost is made again, with the then current credentials, after a pause that
//! [`Reconnecting`] draws. Nothing that happened meanwhile is sent again by the server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use graphql_session_renewal::{Awake, Cause, SessionId};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderValue};

use crate::call::{AllowedHeaders, Call};
use crate::clock::millis;
use crate::credentials::Credentials;
use crate::error::{Code, Error};
use crate::http::{EndpointNumber, Envelope, Over, read_body, retry_after};
use crate::operation::OperationKind;
use crate::sending::{Outgoing, Sender, Sent};
use crate::verdict::{CallVerdict, judge_call};

mod connection;
mod reconnecting;

use connection::{Connection, EVENT_STREAM, Heard, event_bytes, is_event_stream};
use reconnecting::Reconnecting;

/// How many events a stream hands on that arrives in these pieces; `None` where one of them is longer than `limit` bytes.
#[cfg(feature = "parsers")]
pub(crate) async fn read_events(pieces: Vec<Bytes>, limit: usize) -> Option<usize> {
    let mut connection = Connection::of_pieces(pieces, limit);
    let mut events = 0;
    loop {
        match connection.next().await {
            Heard::Next(_) => events += 1,
            Heard::TooLong => return None,
            Heard::Complete | Heard::Disconnected => return Some(events),
        }
    }
}

/// The content coding of a stream: none.
const IDENTITY: &str = "identity";

/// What a subscription yields, in this order: `Open`, then events; after a `Lost` no event before `Reconnected`;
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
    /// not sent again, so a reader that needs it asks for it again.
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

/// One subscription; made by [`Session::subscribe`](crate::Session::subscribe). Dropping it closes its connection.
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
    /// To be made at this time.
    Down {
        due: Awake,
    },
    Up(Connection),
    /// The server answered without a stream, and that was handed on.
    Answered,
    Over,
}

impl Subscription {
    pub(crate) fn new(sender: Arc<Sender>, call: Call) -> Result<Self, Error> {
        let endpoint = sender.endpoint(&call.endpoint)?;
        let further = &sender.shared().config.allowed_headers;
        let mut headers = AllowedHeaders::of(&call.headers, further)?;
        headers.set(ACCEPT, HeaderValue::from_static(EVENT_STREAM));
        // A server that compresses events may hold each back until its block is full.
        headers.set(ACCEPT_ENCODING, HeaderValue::from_static(IDENTITY));
        call.fits(sender.shared().config.limits.request_bytes)?;
        if call.operation() != OperationKind::Subscription {
            return Err(Error::new(
                Code::InvalidRequest,
                "Only a subscription can be subscribed to. Run queries and mutations as calls.",
            ));
        }
        let session = *sender.shared().session.borrow();
        Ok(Self {
            request: Request {
                sender,
                call,
                endpoint,
                headers,
                session,
            },
            has_opened: false,
            reconnecting: Reconnecting::default(),
            link: Link::Down {
                due: Awake::default(),
            },
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
        let sender = self.request.sender.clone();
        let session = self.request.session;
        async move {
            // The session's id and not the status, which can look the same after a sign-out and a new sign-in.
            let mut sessions = sender.shared().session.subscribe();
            let is_over = |now: &Option<SessionId>| *now != session || now.is_none();
            // Cannot fail: `sender` keeps the watch alive.
            let _ = sessions.wait_for(is_over).await;
            let gone = sender.held().err();
            gone.unwrap_or_else(Error::signed_out)
        }
    }

    async fn advance(&mut self) -> StreamEvent {
        match &mut self.link {
            Link::Down { due } => {
                let shared = self.request.sender.shared();
                let pause = due.since(shared.awake());
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
                Heard::Disconnected => {
                    let now = self.request.sender.shared().awake();
                    let stood = now.since(connection.since);
                    self.lose(stood, Duration::ZERO)
                }
            },
            Link::Answered | Link::Over => StreamEvent::Complete,
        }
    }

    async fn connect(&mut self) -> StreamEvent {
        let sender = self.request.sender.clone();
        let session = self.request.session;
        match sender.send(&mut self.request, session).await {
            Ok(Accepted::Stream(connection)) => {
                self.link = Link::Up(connection);
                if std::mem::replace(&mut self.has_opened, true) {
                    StreamEvent::Reconnected
                } else {
                    StreamEvent::Open
                }
            }
            Ok(Accepted::Answer(body)) => {
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
        let shared = self.request.sender.shared();
        let random = shared.config.clock.random();
        let longest = millis(shared.config.limits.max_backoff);
        let pause = self
            .reconnecting
            .pause(stood, random, longest, millis(asked));
        self.link = Link::Down {
            due: shared.awake().plus(pause),
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

/// What is subscribed to.
struct Request {
    sender: Arc<Sender>,
    call: Call,
    endpoint: EndpointNumber,
    headers: AllowedHeaders,
    /// The session that it belongs to, from its first moment on. It ends with that one.
    session: Option<SessionId>,
}

/// What a server makes of a request that it accepts.
enum Accepted {
    Stream(Connection),
    /// An answer without a stream.
    Answer(Bytes),
}

impl Outgoing for Request {
    type Accepted = Accepted;

    fn counts_on_the_wire(&self) -> bool {
        false
    }

    async fn send(&mut self, held: Arc<Credentials>) -> Result<Sent<Accepted>, Error> {
        let shared = self.sender.shared();
        let limit = shared.config.limits.stream_silence;
        tokio::select! {
            biased;
            sent = self.connect(&held) => sent,
            () = shared.config.clock.sleep(limit) => Err(self.away(&held, Cause::Timeout, None)),
        }
    }
}

impl Request {
    async fn connect(&self, held: &Credentials) -> Result<Sent<Accepted>, Error> {
        let shared = self.sender.shared();
        let clients = shared.clients(&held.origin)?;
        let headers = self.headers.authorized(held)?;
        let mut response = clients
            .send(Over::Stream, self.endpoint, headers, self.call.body.clone())
            .await
            .map_err(|error| self.away(held, error.cause(), None))?;
        let asked = retry_after(response.headers(), &shared.server_clock);
        if is_event_stream(response.headers()) {
            self.sender.served(held);
            let connection = Connection::new(response, shared);
            return Ok(Sent::Accepted(Accepted::Stream(connection)));
        }
        let status = response.status().as_u16();
        let body = read_body(&mut response, event_bytes(shared))
            .await
            .map_err(|error| self.away(held, error.cause(), None))?;
        let reply = (status, response.headers(), &body[..]);
        let verdict = judge_call(&*shared.config.protocol, reply, || self.call.operation());
        match verdict {
            CallVerdict::Refused => return Ok(Sent::Refused(None)),
            CallVerdict::GatewayError(cause)
            | CallVerdict::RequestTimeout(cause)
            | CallVerdict::Unreadable(cause) => {
                return Err(self.away(held, cause, asked));
            }
            // A subscription is no query.
            CallVerdict::Served | CallVerdict::RefusedInPart => {}
        }
        // A call hands such an answer to its caller. A stream tries again: the HTML page of a portal, a throttle or a starting
        // server has neither accepted nor rejected the subscription.
        let is_graphql = Envelope::read(&body).is_some_and(|envelope| envelope.is_graphql());
        if matches!(status, 429 | 503) || !is_graphql {
            return Err(self.away(held, Cause::Http(status), asked));
        }
        self.sender.served(held);
        Ok(Sent::Accepted(Accepted::Answer(body)))
    }

    /// There is no stream for now; the status says that the server is away.
    fn away(&self, held: &Credentials, cause: Cause, asked: Option<Duration>) -> Error {
        self.sender.lost(held, cause);
        Error::new(Code::Unreachable, "The server cannot be reached.")
            .retry_after(asked.unwrap_or_default())
            .caused_by(cause)
    }
}
