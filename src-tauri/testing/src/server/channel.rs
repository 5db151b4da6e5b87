//! [`Channel`]: where an answer goes.

use std::io;

use h2::Reason;

use super::http::{BodyEnds, Connection, LAST_CHUNK, Outgoing, chunks, one_chunk};
use super::http2::Exchange;
use super::shared::Shared;

/// Where an answer goes: a connection of HTTP/1.1, or one stream of an HTTP/2 connection.
pub(super) enum Channel {
    Http1(Connection),
    Http2(Exchange),
}

impl Channel {
    /// The whole answer.
    pub(super) async fn send(&mut self, server: &Shared, answer: &Outgoing) -> io::Result<()> {
        if let Self::Http1(connection) = self {
            let date = server.date();
            let mut bytes = answer.head(BodyEnds::AfterLength, date.as_deref());
            bytes.extend_from_slice(&answer.body);
            return connection.write(&bytes).await;
        }
        self.head(server, answer, BodyEnds::AfterLength).await?;
        self.part(&answer.body).await?;
        self.end().await
    }

    /// Its head; the body's end is announced like this, whether or not it will follow.
    pub(super) async fn head(
        &mut self,
        server: &Shared,
        answer: &Outgoing,
        ends: BodyEnds,
    ) -> io::Result<()> {
        let date = server.date();
        match self {
            Self::Http1(connection) => connection.write(&answer.head(ends, date.as_deref())).await,
            Self::Http2(exchange) => exchange.head(answer, ends, date.as_deref()),
        }
    }

    /// A part of a body whose length was announced.
    pub(super) async fn part(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Http1(connection) => connection.write(bytes).await,
            Self::Http2(exchange) => exchange.data(bytes).await,
        }
    }

    /// A part of a body without an announced length, in one chunk.
    pub(super) async fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Http1(connection) => connection.write(&one_chunk(bytes)).await,
            Self::Http2(exchange) => exchange.data(bytes).await,
        }
    }

    /// The same in many small chunks.
    pub(super) async fn chunks(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Http1(connection) => connection.write(&chunks(bytes)).await,
            Self::Http2(exchange) => exchange.data(bytes).await,
        }
    }

    /// The end of a body without an announced length.
    pub(super) async fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Http1(connection) => connection.write(LAST_CHUNK).await,
            Self::Http2(exchange) => exchange.end(),
        }
    }

    /// Waits until the client has closed its side, or takes its request back.
    pub(super) async fn until_closed(&mut self) {
        match self {
            Self::Http1(connection) => connection.until_closed().await,
            Self::Http2(exchange) => exchange.until_closed().await,
        }
    }

    /// Closes the connection, where that can be done with a reset.
    pub(super) fn reset(self) {
        match self {
            Self::Http1(connection) => connection.reset(),
            Self::Http2(exchange) => drop(exchange),
        }
    }

    /// Says nothing more on the whole connection, until the client or the server is gone.
    pub(super) async fn fall_silent(&mut self) {
        match self {
            Self::Http1(connection) => connection.until_closed().await,
            Self::Http2(exchange) => {
                exchange.fall_silent();
                // Dropped now, it would still reset its stream.
                std::future::pending().await
            }
        }
    }

    /// Resets the stream; `None` where there are no streams.
    pub(super) fn reset_stream(mut self, reason: Reason) -> Option<Self> {
        match &mut self {
            Self::Http1(_) => None,
            Self::Http2(exchange) => {
                exchange.reset_stream(reason);
                Some(self)
            }
        }
    }
}
