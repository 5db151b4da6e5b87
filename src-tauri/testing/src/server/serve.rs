//! One request after another, each with its fault.

use std::sync::Arc;

use h2::{Reason, RecvStream};
use http::Request;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::authorization::Step;
use super::bodies;
use super::channel::Channel;
use super::coding::coded;
use super::counts::Seen;
use super::fault::{Fault, Gate};
use super::http::{BodyEnds, Connection, Incoming, Outgoing};
use super::http2::{self, Ends, Exchange};
use super::ledger::{AnswerFate, Words};
use super::question::{Asked, Question};
use super::shared::{Kind, Shared};
use super::stream;
use super::tls::{ConnectionFault, Stream, break_handshake};
use super::token_endpoint::{self, Face};
use super::twenty::{Peculiarity, Taken};
use crate::clock::InFlight;
use graphql_session::OperationKind;

/// Accepts connections until it is aborted.
pub(super) async fn accept(server: Arc<Shared>, listener: TcpListener) {
    // Dropped with this task, and with it every connection.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        server.count(|counts| counts.connections += 1);
        connections.spawn(open(server.clone(), stream));
        while connections.try_join_next().is_some() {}
    }
}

/// From the first byte of a connection to its first request: the handshake, and how it can break.
async fn open(server: Arc<Shared>, stream: TcpStream) {
    // Small answers in two writes would wait for an acknowledgement otherwise.
    let _ = stream.set_nodelay(true);
    let (fault, tls) = {
        let mut inside = server.inside();
        (inside.connections.draw(), inside.tls.clone())
    };
    if let Some(fault) = fault
        && fault != ConnectionFault::GoAway
    {
        return break_handshake(fault, stream).await;
    }
    let Some(tls) = tls else {
        return serve(server, Connection::new(Stream::Plain(stream))).await;
    };
    let handshake = server.activity.begin();
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    server.count(|counts| counts.handshakes += 1);
    drop(handshake);
    let stream = Stream::Tls(Box::new(stream));
    if fault.is_some() {
        // It ends with the client's side of the connection.
        let _ = http2::go_away(&server, stream).await;
    } else if stream.is_http2() {
        serve_http2(server, stream).await;
    } else {
        serve(server, Connection::new(stream)).await;
    }
}

async fn serve(server: Arc<Shared>, mut connection: Connection) {
    let mut farewell = server.inside().farewell.subscribe();
    loop {
        tokio::select! {
            has_next = connection.has_next() => if !has_next { return },
            _ = farewell.changed() => return,
        }
        server.activity.note();
        let Ok(request) = connection.read().await else {
            return;
        };
        let in_flight = server.activity.begin();
        match answer(&server, request, Channel::Http1(connection), in_flight).await {
            Some(Channel::Http1(kept)) => connection = kept,
            _ => return,
        }
    }
}

/// The requests of an HTTP/2 connection, side by side.
async fn serve_http2(server: Arc<Shared>, stream: Stream) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    let mut farewell = server.inside().farewell.subscribe();
    // Dropped with this task, and with it every exchange.
    let mut exchanges = JoinSet::new();
    let (end, mut ended) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            biased;
            arrived = connection.accept() => {
                let Some(Ok((request, respond))) = arrived else { return };
                server.activity.note();
                server.count(|counts| counts.http2_requests += 1);
                let exchange = Exchange::new(server.clone(), respond, end.clone());
                exchanges.spawn(serve_one(server.clone(), request, exchange));
            }
            Some(how) = ended.recv() => match how {
                Ends::Closed => return,
                Ends::Silent => return std::future::pending().await,
            },
            _ = farewell.changed() => connection.graceful_shutdown(),
        }
        while exchanges.try_join_next().is_some() {}
    }
}

async fn serve_one(server: Arc<Shared>, request: Request<RecvStream>, exchange: Exchange) {
    let Ok(request) = http2::read(request).await else {
        return;
    };
    let in_flight = server.activity.begin();
    answer(&server, request, Channel::Http2(exchange), in_flight).await;
}

/// A renewal that is under way; counted off, however it ends.
struct OneRenewal {
    server: Arc<Shared>,
    /// Where the ledger has it.
    attempt: usize,
}

impl Drop for OneRenewal {
    fn drop(&mut self) {
        let at = self.server.now();
        let mut inside = self.server.inside();
        inside.records.ledger.over(self.attempt, at);
        inside.renewals_now -= 1;
    }
}

/// A call that is under way; counted off, however it ends.
struct OneCall(Arc<Shared>);

impl Drop for OneCall {
    fn drop(&mut self) {
        self.0.inside().calls_now -= 1;
        // Nothing is counted, and who waits for this end looks again.
        self.0.count(|_| {});
    }
}

/// One request, from its fault to the last byte. Gives the connection back where it can be used again.
async fn answer(
    server: &Arc<Shared>,
    request: Incoming,
    connection: Channel,
    in_flight: InFlight,
) -> Option<Channel> {
    let question = Question::read(&request);
    let kind = match question.asked {
        Asked::Call {
            kind: OperationKind::Subscription,
            ..
        } if question.reads_streams => Kind::Stream,
        Asked::Renewal(_) => Kind::Renewal,
        Asked::LoginToken
        | Asked::TokenPair
        | Asked::OneTimeCode
        | Asked::SignIn
        | Asked::OAuth(Step::Code | Step::DeviceCode | Step::DevicePoll | Step::Registration) => {
            Kind::SignIn
        }
        Asked::Call { .. } => Kind::Call,
        Asked::ClientConfig => Kind::Check,
        Asked::OAuth(_) | Asked::SignOut | Asked::Unknown => Kind::Other,
    };
    let (fault, attempt) = arrive(server, &request, &question, kind);
    let _call = (kind == Kind::Call).then(|| OneCall(server.clone()));
    let asking = Asking {
        server,
        question,
        kind,
        one: attempt.map(|attempt| OneRenewal {
            server: server.clone(),
            attempt,
        }),
    };
    respond(&asking, fault, connection, in_flight).await
}

/// Counts the request, and draws its fault. With it, where the ledger has the renewal.
fn arrive(
    server: &Shared,
    request: &Incoming,
    question: &Question,
    kind: Kind,
) -> (Option<Fault>, Option<usize>) {
    let at = server.now();
    let field = question.asked.field();
    let mut inside = server.inside();
    if inside.keeps_requests {
        inside.seen.push(Seen {
            path: request.path.clone(),
            field: field.to_owned(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            at,
        });
    }
    let ledger = &mut inside.records.ledger;
    let refresh = question.refresh();
    let attempt = (kind == Kind::Renewal).then(|| ledger.attempt(refresh, at));
    ledger.shown(refresh, at);
    ledger.shown(question.bearer.as_deref().unwrap_or_default(), at);
    let fault = match kind {
        Kind::Renewal => {
            inside.renewals_now += 1;
            inside.renewals.draw()
        }
        Kind::Call => {
            inside.calls_now += 1;
            inside.calls.draw()
        }
        Kind::SignIn => inside.sign_ins.draw(),
        Kind::Stream => inside.subscriptions.draw(),
        Kind::Check => inside.checks.draw(),
        Kind::Other => None,
    };
    let at_once = inside.renewals_now;
    drop(inside);
    server.count(|counts| {
        counts.requests += 1;
        match kind {
            Kind::Renewal => {
                counts.renewals += 1;
                counts.renewals_at_once = counts.renewals_at_once.max(at_once);
            }
            Kind::Call => {
                counts.calls += 1;
                let name = format!("{} {field}", request.path.trim_start_matches('/'));
                *counts.by_name.entry(name).or_default() += 1;
            }
            Kind::Stream => counts.subscriptions += 1,
            Kind::SignIn | Kind::Check | Kind::Other => {}
        }
    });
    (fault, attempt)
}

struct Asking<'a> {
    server: &'a Arc<Shared>,
    question: Question,
    kind: Kind,
    /// For a renewal.
    one: Option<OneRenewal>,
}

impl Asking<'_> {
    /// For the ledger: what became of the server's own answer.
    fn answered(&self, fate: AnswerFate) {
        if let Some(one) = &self.one {
            let at = self.server.now();
            let ledger = &mut self.server.inside().records.ledger;
            ledger.answered(one.attempt, at, fate);
        }
    }

    /// Does what was asked, counts it, and words the answer.
    fn act(&self, peculiarity: Peculiarity) -> Outgoing {
        let now = self.server.now();
        let attempt = self.one.as_ref().map(|one| one.attempt);
        let mut inside = self.server.inside();
        let taken = inside
            .records
            .act(&self.question, now, peculiarity, attempt);
        let refused_with = match self.question.asked {
            Asked::Renewal(face) => face.rejection_status(),
            _ => inside.refuses_calls_with,
        };
        drop(inside);
        let asked = &self.question.asked;
        self.server.count(|counts| match (&taken, self.kind) {
            (Taken::Done(_), Kind::Renewal) => counts.exchanged += 1,
            (Taken::Refused(_), Kind::Renewal) => counts.renewals_refused += 1,
            (Taken::Refused(_), Kind::Call) => counts.calls_refused += 1,
            (Taken::Refused(_), Kind::Stream) => counts.subscriptions_refused += 1,
            (Taken::Done(_), Kind::Call) => {
                counts.served += 1;
                if let Asked::Call {
                    field,
                    kind: OperationKind::Mutation,
                } = asked
                {
                    *counts.effects.entry(field.clone()).or_default() += 1;
                }
            }
            (Taken::Done(_), _) if asked.is_sign_in() => counts.sign_ins += 1,
            (Taken::Done(_), _) if *asked == Asked::SignOut => counts.sign_outs += 1,
            (Taken::Answered(_), _) if *asked == Asked::OAuth(Step::Revocation) => {
                counts.sign_outs += 1;
            }
            _ => {}
        });
        match taken {
            Taken::Answered(answer) => answer,
            Taken::Done(_) if self.kind == Kind::Stream => Outgoing::event_stream(),
            Taken::Refused(body) => Outgoing {
                status: refused_with,
                ..Outgoing::json(body)
            },
            Taken::Done(body) | Taken::NotDone(body) => Outgoing::json(body),
        }
    }
}

async fn respond(
    asking: &Asking<'_>,
    fault: Option<Fault>,
    mut connection: Channel,
    mut in_flight: InFlight,
) -> Option<Channel> {
    let server = asking.server;
    let answer = match fault {
        None => asking.act(Peculiarity::None),
        Some(Fault::WithoutRefreshToken) => asking.act(Peculiarity::WithoutRefreshToken),
        Some(Fault::OtherPersonsTokens) => asking.act(Peculiarity::OtherPersonsTokens),
        Some(Fault::HoldAnswer(gate)) => {
            let answer = asking.act(Peculiarity::None);
            in_flight = until_open(server, &gate, &mut connection, in_flight).await?;
            answer
        }
        Some(Fault::Hold(gate, then)) => {
            let in_flight = until_open(server, &gate, &mut connection, in_flight).await?;
            let then = then.map(|fault| *fault);
            return Box::pin(respond(asking, then, connection, in_flight)).await;
        }
        Some(Fault::AfterActing(then)) => {
            asking.act(Peculiarity::None);
            return respond_in_place(asking, *then, connection, in_flight).await;
        }
        Some(fault) => return respond_in_place(asking, fault, connection, in_flight).await,
    };
    if answer.is_event_stream() {
        return stream::feed(server, &answer, connection, in_flight).await;
    }
    // Noted before it is written: a test that has read the answer may look at the ledger next.
    asking.answered(AnswerFate::Written);
    if send(server, &mut connection, &answer).await.is_none() {
        asking.answered(AnswerFate::Lost);
        return None;
    }
    Some(connection)
}

/// Waits for the test to open the gate; `None` where the client goes away first. That is no activity: the clock may move
/// meanwhile.
async fn until_open(
    server: &Shared,
    gate: &Gate,
    connection: &mut Channel,
    in_flight: InFlight,
) -> Option<InFlight> {
    drop(in_flight);
    tokio::select! {
        () = gate.passed() => Some(server.activity.begin()),
        () = connection.until_closed() => None,
    }
}

/// What happens in place of the server's own answer.
async fn respond_in_place(
    asking: &Asking<'_>,
    fault: Fault,
    mut connection: Channel,
    in_flight: InFlight,
) -> Option<Channel> {
    let server = asking.server;
    match fault {
        Fault::Answer {
            status,
            headers,
            body,
        } => {
            let answer = Outgoing {
                status,
                headers,
                body: body.into(),
            };
            send(server, &mut connection, &answer).await?;
            return Some(connection);
        }
        Fault::Refuse {
            status,
            code,
            sub_code,
            message,
        } => {
            if let Some(one) = &asking.one {
                server.count(|counts| counts.renewals_refused += 1);
                let words = Words {
                    code: code.clone(),
                    message: message.clone(),
                };
                let ledger = &mut server.inside().records.ledger;
                ledger.scripted(one.attempt, words);
            }
            let is_oauth = asking.question.asked == Asked::Renewal(Face::OAuth2);
            let mut answer = Outgoing::json(if is_oauth {
                token_endpoint::in_its_words(&code, &message)
            } else {
                bodies::error(&code, &sub_code, &message)
            });
            answer.status = if is_oauth && status == 200 {
                400
            } else {
                status
            };
            send(server, &mut connection, &answer).await?;
            return Some(connection);
        }
        Fault::Truncate(bytes) => {
            let answer = asking.act(Peculiarity::None);
            let kept = bytes.min(answer.body.len());
            connection
                .head(server, &answer, BodyEnds::AfterLength)
                .await
                .ok()?;
            connection.part(&answer.body[..kept]).await.ok()?;
        }
        Fault::ResetInBody => {
            let answer = asking.act(Peculiarity::None);
            connection
                .head(server, &answer, BodyEnds::AfterLength)
                .await
                .ok()?;
            let half = answer.body.len() / 2;
            connection.part(&answer.body[..half]).await.ok()?;
            connection.reset();
        }
        Fault::StallInBody => {
            let answer = asking.act(Peculiarity::None);
            connection
                .head(server, &answer, BodyEnds::AfterLength)
                .await
                .ok()?;
            drop(in_flight);
            connection.until_closed().await;
        }
        Fault::Chunked => {
            send_chunks(asking, usize::MAX, &mut connection).await?;
            connection.end().await.ok()?;
            return Some(connection);
        }
        Fault::Coded {
            coding,
            announced,
            padding,
        } => {
            let answer = asking.act(Peculiarity::None);
            let answer = coded(answer, coding, announced, padding).ok()?;
            send(server, &mut connection, &answer).await?;
            return Some(connection);
        }
        Fault::Decorated { headers, prefix } => {
            let mut answer = asking.act(Peculiarity::None);
            answer.headers.extend(headers);
            answer.body.splice(..0, prefix.bytes());
            send(server, &mut connection, &answer).await?;
            return Some(connection);
        }
        Fault::TruncateChunks(bytes) => send_chunks(asking, bytes, &mut connection).await?,
        Fault::EndlessChunks => {
            send_chunks(asking, usize::MAX, &mut connection).await?;
            // A client that reads on for ever is to be stopped by its own limits, for which time has to pass.
            drop(in_flight);
            while connection.chunks(&[b' '; 16 * 1024]).await.is_ok() {}
        }
        Fault::Stall => {
            drop(in_flight);
            connection.until_closed().await;
        }
        Fault::Reset => connection.reset(),
        Fault::FallSilent => {
            drop(in_flight);
            connection.fall_silent().await;
        }
        Fault::RefuseStream => return connection.reset_stream(Reason::REFUSED_STREAM),
        Fault::ResetStream => return connection.reset_stream(Reason::INTERNAL_ERROR),
        // Nothing in place of the answer: the connection is closed with the server's task.
        Fault::Close
        | Fault::Hold(..)
        | Fault::HoldAnswer(_)
        | Fault::WithoutRefreshToken
        | Fault::OtherPersonsTokens
        | Fault::AfterActing(_) => {}
    }
    None
}

async fn send(server: &Shared, connection: &mut Channel, answer: &Outgoing) -> Option<()> {
    connection.send(server, answer).await.ok()
}

/// Acts, and sends the answer's head and its first `bytes` in chunks.
async fn send_chunks(asking: &Asking<'_>, bytes: usize, connection: &mut Channel) -> Option<()> {
    let answer = asking.act(Peculiarity::None);
    connection
        .head(asking.server, &answer, BodyEnds::WithLastChunk)
        .await
        .ok()?;
    let kept = bytes.min(answer.body.len());
    connection.chunks(&answer.body[..kept]).await.ok()
}
