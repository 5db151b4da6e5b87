//! Just enough of HTTP/1.1 for a server that has to be able to break it.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::tls::Stream;

/// What a plain server says to somebody who begins with a TLS handshake.
const NOT_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";

const EVENT_STREAM: &str = "text/event-stream";

/// Longest head that is read, in bytes: a client that sends more is broken.
const HEAD_MAX: usize = 64 * 1024;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Incoming {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// An answer to be written.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Outgoing {
    pub(super) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: vec![(
                "content-type".into(),
                "application/json; charset=utf-8".into(),
            )],
            body: body.into(),
        }
    }

    /// The head of a stream of events.
    pub(super) fn event_stream() -> Self {
        Self {
            status: 200,
            headers: vec![("content-type".into(), EVENT_STREAM.into())],
            body: Vec::new(),
        }
    }

    pub(super) fn is_event_stream(&self) -> bool {
        let mut headers = self.headers.iter();
        headers.any(|(name, value)| name == "content-type" && value == EVENT_STREAM)
    }

    /// Status line and headers; the body's end is announced like this, whether or not it will follow.
    pub(super) fn head(&self, ends: BodyEnds, date: Option<&str>) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Answer\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(date) = date {
            head.push_str(&format!("date: {date}\r\n"));
        }
        match ends {
            BodyEnds::AfterLength => {
                head.push_str(&format!("content-length: {}\r\n", self.body.len()));
            }
            BodyEnds::WithLastChunk => head.push_str("transfer-encoding: chunked\r\n"),
        }
        head.push_str("connection: keep-alive\r\n\r\n");
        head.into_bytes()
    }
}

/// How a client learns where a body ends.
#[derive(Clone, Copy)]
pub(super) enum BodyEnds {
    AfterLength,
    WithLastChunk,
}

/// The last chunk, without which a chunked body is incomplete.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Largest chunk that is written, in bytes: small enough that an ordinary answer takes several.
const CHUNK: usize = 64;

/// All of `body` as one chunk.
pub(super) fn one_chunk(body: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat()
}

/// `body` in chunks, without the last one.
pub(super) fn chunks(body: &[u8]) -> Vec<u8> {
    let mut written = Vec::with_capacity(body.len() * 2);
    for chunk in body.chunks(CHUNK) {
        written.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        written.extend_from_slice(chunk);
        written.extend_from_slice(b"\r\n");
    }
    written
}

/// One connection, with what was read beyond the last request.
pub(super) struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Returns when the first byte of the next request is there; `false` at the end of the connection.
    pub(super) async fn has_next(&mut self) -> bool {
        !self.buffer.is_empty() || self.fill().await.is_ok_and(|count| count > 0)
    }

    /// Reads one whole request.
    pub(super) async fn read(&mut self) -> io::Result<Incoming> {
        let broken = || io::Error::from(io::ErrorKind::InvalidData);
        let head_end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            if !self.buffer.first().is_none_or(u8::is_ascii_alphabetic) {
                self.write(NOT_HTTP).await?;
                return Err(broken());
            }
            if self.buffer.len() > HEAD_MAX || self.fill().await? == 0 {
                return Err(broken());
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_end]).into_owned();
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap_or_default().split(' ');
        let method = first.next().ok_or_else(broken)?.to_owned();
        let path = first.next().ok_or_else(broken)?.to_owned();
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut request = Incoming {
            method,
            path,
            headers,
            body: Vec::new(),
        };
        let length: usize = match request.header("content-length") {
            Some(length) => length.parse().map_err(|_| broken())?,
            None => 0,
        };
        let body_start = head_end + 4;
        while self.buffer.len() < body_start + length {
            if self.fill().await? == 0 {
                return Err(broken());
            }
        }
        let rest = self.buffer.split_off(body_start + length);
        request.body = self.buffer.split_off(body_start);
        self.buffer = rest;
        Ok(request)
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Waits until the client has closed its side, and drops what it still sends.
    pub(super) async fn until_closed(&mut self) {
        while self.fill().await.is_ok_and(|count| count > 0) {}
    }

    /// Closes with a reset instead of the usual farewell.
    pub(super) fn reset(self) {
        let _ = self.stream.set_zero_linger();
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.buffer).await
    }
}

pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
