//! HTTP/2: one request with its answer, and the frames that break a connection.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::http::{BodyEnds, Incoming, Outgoing};
use super::shared::Shared;
use super::tls::Stream;

/// What a client says first (RFC 9113, section 3.4), in bytes.
const PREFACE: usize = 24;

/// The head of a frame (RFC 9113, section 4.1), in bytes: length, type, flags, stream.
const FRAME_HEAD: usize = 9;

/// The type of the frame that begins a request.
const HEADERS: u8 = 1;

/// An empty SETTINGS frame.
const SETTINGS: [u8; FRAME_HEAD] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

/// GOAWAY with NO_ERROR, and 0 as the last stream that was looked at.
const GO_AWAY: [u8; FRAME_HEAD + 8] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Reads a whole request.
pub(super) async fn read(request: Request<RecvStream>) -> Result<Incoming, h2::Error> {
    let (head, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        body.extend_from_slice(&data);
        stream.flow_control().release_capacity(data.len())?;
    }
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(Incoming {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body,
    })
}

/// How one exchange ends the whole connection.
pub(super) enum Ends {
    Closed,
    Silent,
}

/// The answer's way to the client: one stream of the connection. Dropped before its end, it closes the connection.
pub(super) struct Exchange {
    server: Arc<Shared>,
    respond: SendResponse<Bytes>,
    body: Option<SendStream<Bytes>>,
    connection: mpsc::UnboundedSender<Ends>,
    is_over: bool,
}

impl Exchange {
    pub(super) fn new(
        server: Arc<Shared>,
        respond: SendResponse<Bytes>,
        connection: mpsc::UnboundedSender<Ends>,
    ) -> Self {
        Self {
            server,
            respond,
            body: None,
            connection,
            is_over: false,
        }
    }

    pub(super) fn head(
        &mut self,
        answer: &Outgoing,
        ends: BodyEnds,
        date: Option<&str>,
    ) -> io::Result<()> {
        let mut response = Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            response = response.header(name, value);
        }
        if let Some(date) = date {
            response = response.header("date", date);
        }
        if matches!(ends, BodyEnds::AfterLength) {
            response = response.header("content-length", answer.body.len());
        }
        let response = response.body(()).map_err(io::Error::other)?;
        let body = self.respond.send_response(response, false);
        self.body = Some(body.map_err(io::Error::other)?);
        Ok(())
    }

    pub(super) async fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let body = self.body.as_mut().ok_or_else(gone)?;
        let mut rest = Bytes::copy_from_slice(bytes);
        while !rest.is_empty() {
            body.reserve_capacity(rest.len());
            if body.capacity() == 0 {
                let more = poll_fn(|context| body.poll_capacity(context)).await;
                more.ok_or_else(gone)?.map_err(io::Error::other)?;
            }
            let fits = body.capacity().min(rest.len());
            body.send_data(rest.split_to(fits), false)
                .map_err(io::Error::other)?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self) -> io::Result<()> {
        self.is_over = true;
        match &mut self.body {
            Some(body) => body.send_data(Bytes::new(), true).map_err(io::Error::other),
            None => Ok(()),
        }
    }

    /// Resets this stream; the connection stays.
    pub(super) fn reset_stream(&mut self, reason: Reason) {
        self.is_over = true;
        self.respond.send_reset(reason);
    }

    /// The whole connection says nothing more, and stays open.
    pub(super) fn fall_silent(&mut self) {
        self.is_over = true;
        let _ = self.connection.send(Ends::Silent);
    }

    /// Waits until the client takes its request back.
    pub(super) async fn until_closed(&mut self) {
        let reset = match &mut self.body {
            Some(body) => poll_fn(|context| body.poll_reset(context)).await,
            None => poll_fn(|context| self.respond.poll_reset(context)).await,
        };
        self.is_over = true;
        if reset.is_ok_and(|reason| reason == Reason::CANCEL) {
            self.server.count(|counts| counts.streams_cancelled += 1);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.connection.send(Ends::Closed);
        }
    }
}

/// Reads until the first request begins, and answers it with GOAWAY.
pub(super) async fn go_away(server: &Shared, mut stream: Stream) -> io::Result<()> {
    let mut preface = [0; PREFACE];
    stream.read_exact(&mut preface).await?;
    stream.write_all(&SETTINGS).await?;
    stream.flush().await?;
    loop {
        let mut head = [0; FRAME_HEAD];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await?;
        if head[3] == HEADERS {
            server.count(|counts| counts.requests_turned_away += 1);
            stream.write_all(&GO_AWAY).await?;
            stream.flush().await?;
            // What the client still sends is read: unread bytes would turn the close into a reset.
            stream.shutdown().await?;
            while stream.read(&mut preface).await? > 0 {}
            return Ok(());
        }
    }
}
