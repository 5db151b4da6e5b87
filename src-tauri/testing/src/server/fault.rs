//! What can go wrong between a client and a server, by name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// One fault of an answer. Unless its description says otherwise, the server does not act on the request: it exchanges
/// no token, and runs no mutation. [`Fault::after_acting`] makes it act first.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Any HTTP answer.
    Answer {
        /// HTTP status.
        status: u16,
        /// Headers beside the server's own.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// The server acts, and the answer's body is replaced by the first so many bytes of it, with the whole length
    /// announced; then the connection is closed.
    Truncate(usize),
    /// The server acts, sends the head of the answer, and never its body.
    StallInBody,
    /// The server acts, sends the head and half of the body, and resets the connection.
    ResetInBody,
    /// The server acts, and its answer comes in chunks, without a length announced.
    Chunked,
    /// The server acts, sends the first so many bytes of its answer in chunks, and closes the connection without the
    /// last chunk.
    TruncateChunks(usize),
    /// The server acts, and sends chunk after chunk until the client closes the connection.
    EndlessChunks,
    /// Nothing is ever sent; the connection stays open until the client closes it.
    Stall,
    /// The connection is reset before a byte of an answer.
    Reset,
    /// The connection is closed before a byte of an answer, as a server does that restarts.
    Close,
    /// The server acts, and its answer comes in this coding.
    Coded {
        /// How the body is written.
        coding: Coding,
        /// Whether `content-encoding` says so.
        announced: bool,
        /// So many spaces follow the JSON text before it is coded, in bytes: they take hardly any room on the wire.
        padding: usize,
    },
    /// The server acts, and its answer has more to it.
    Decorated {
        /// Headers beside those that it has anyway.
        headers: Vec<(String, String)>,
        /// What stands before its body.
        prefix: &'static str,
    },
    /// From now on nothing is said on this connection, as if its other end had lost the network: no answer, and over HTTP/2
    /// no answer to a ping.
    FallSilent,
    /// HTTP/2: the stream is reset with REFUSED_STREAM, which says that the server did not look at the request. Over
    /// HTTP/1.1 the connection is closed.
    RefuseStream,
    /// HTTP/2: the stream is reset with INTERNAL_ERROR, which says nothing about the request. Over HTTP/1.1 the connection
    /// is closed.
    ResetStream,
    /// The server waits until the gate is opened, and only then looks at the request: it acts and answers as usual, or
    /// with the other fault.
    Hold(Gate, Option<Box<Fault>>),
    /// The server acts, and its answer waits until the gate is opened.
    HoldAnswer(Gate),
    /// A GraphQL error in the server's own words.
    Refuse {
        /// HTTP status; Twenty says 200.
        status: u16,
        /// `extensions.code`.
        code: String,
        /// `extensions.subCode`; left out if empty.
        sub_code: String,
        /// `message`.
        message: String,
    },
    /// The renewal's answer lacks the refresh token: the old one stays good.
    WithoutRefreshToken,
    /// The renewal's answer holds another person's tokens.
    OtherPersonsTokens,
    /// The server acts, then this happens in place of its answer.
    AfterActing(Box<Fault>),
}

/// A content coding (RFC 9110, section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`.
    Gzip,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
    /// `zstd`, with a frame that asks its reader for a window of 2 GiB.
    ZstdOfHugeWindow,
}

impl Fault {
    /// The server acts, and its answer comes in this coding, as a proxy sends it that compresses.
    pub fn coded(coding: Coding) -> Self {
        Self::Coded {
            coding,
            announced: true,
            padding: 0,
        }
    }

    /// The server acts, and its answer has this header, too.
    pub fn with_header(name: &str, value: &str) -> Self {
        Self::Decorated {
            headers: vec![(name.to_owned(), value.to_owned())],
            prefix: "",
        }
    }

    /// The server acts, and its answer begins with a byte order mark, as editors and some frameworks write it.
    pub fn behind_a_byte_order_mark() -> Self {
        Self::Decorated {
            headers: Vec::new(),
            prefix: "\u{feff}",
        }
    }

    /// An HTTP answer without headers of its own.
    pub fn answer(status: u16, body: impl Into<String>) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// An HTTP answer with one header of its own.
    pub fn answer_with(
        status: u16,
        header: &str,
        value: impl Into<String>,
        body: impl Into<String>,
    ) -> Self {
        Self::Answer {
            status,
            headers: vec![(header.to_owned(), value.into())],
            body: body.into(),
        }
    }

    /// An HTTP status with a plain text body, as a proxy sends it.
    pub fn status(status: u16) -> Self {
        let body = format!("status {status}");
        Self::answer_with(status, "content-type", "text/plain", body)
    }

    /// The same with a Retry-After header: seconds, or an HTTP date.
    pub fn retry_after(status: u16, value: impl Into<String>) -> Self {
        Self::answer_with(status, "retry-after", value, "")
    }

    /// A page for people, as a captive portal or a login proxy sends it.
    pub fn html(status: u16) -> Self {
        let body = "<!doctype html><title>Welcome</title><p>Please accept our terms.";
        Self::answer_with(status, "content-type", "text/html", body)
    }

    /// A redirect to `address`.
    pub fn redirect(address: impl Into<String>) -> Self {
        Self::answer_with(302, "location", address, "")
    }

    /// Status 200 and no body.
    pub fn empty() -> Self {
        Self::json("")
    }

    /// Status 200, announced as JSON, which it is not.
    pub fn not_json() -> Self {
        Self::json("{\"data\": oops")
    }

    /// JSON without tokens and without errors.
    pub fn json_without_tokens() -> Self {
        Self::json("{\"data\":{\"renewToken\":null}}")
    }

    /// Status 200 with this JSON text.
    pub fn json(body: impl Into<String>) -> Self {
        Self::answer_with(200, "content-type", "application/json", body)
    }

    /// A GraphQL error with HTTP status 200.
    pub fn refuse(code: &str, sub_code: &str, message: &str) -> Self {
        Self::refuse_with_status(200, code, sub_code, message)
    }

    /// A GraphQL error with another HTTP status around it.
    pub fn refuse_with_status(status: u16, code: &str, sub_code: &str, message: &str) -> Self {
        Self::Refuse {
            status,
            code: code.into(),
            sub_code: sub_code.into(),
            message: message.into(),
        }
    }

    /// The refusal of an access token: "Token has expired.", without a `data` key.
    pub fn access_refused() -> Self {
        Self::json(super::bodies::access_refusal("Token has expired."))
    }

    /// Waits until `gate` is opened, then acts and answers as usual.
    pub fn hold(gate: &Gate) -> Self {
        Self::Hold(gate.clone(), None)
    }

    /// Waits until `gate` is opened, then answers with this fault.
    pub fn hold_then(gate: &Gate, fault: Fault) -> Self {
        Self::Hold(gate.clone(), Some(Box::new(fault)))
    }

    /// Acts, and answers as usual once `gate` is opened.
    pub fn hold_answer(gate: &Gate) -> Self {
        Self::HoldAnswer(gate.clone())
    }

    /// The server acts first, then answers with this fault.
    pub fn after_acting(fault: Fault) -> Self {
        Self::AfterActing(Box::new(fault))
    }

    /// The exchange is made, and its answer is lost with the connection.
    pub fn rotate_then_drop() -> Self {
        Self::after_acting(Self::Reset)
    }
}

/// A door that a test opens. Clones are handles on the same door.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    inside: Arc<Door>,
}

#[derive(Debug, Default)]
struct Door {
    is_open: AtomicBool,
    opened: Notify,
}

impl Gate {
    /// A closed door.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens it for everybody, for good.
    pub fn open(&self) {
        self.inside.is_open.store(true, Ordering::SeqCst);
        self.inside.opened.notify_waiters();
    }

    /// Returns once it is open.
    pub async fn passed(&self) {
        loop {
            let opened = self.inside.opened.notified();
            if self.inside.is_open.load(Ordering::SeqCst) {
                return;
            }
            opened.await;
        }
    }
}
