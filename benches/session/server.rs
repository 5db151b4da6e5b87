//! The server of the benches: a process of its own, so that its work is never counted as a side's.
//!
//! It answers at once, with the same reply to every call, in the words of a Twenty server. It accepts the access token
//! that it issued last, until a request to [`REFUSE`] makes it refuse that one and all before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::http::{find, header_of, read_request};

#[path = "../http.rs"]
mod http;

pub(crate) use http::ServerProcess;

/// Lifetime of an access token.
pub(crate) const LIFETIME: SignedDuration = SignedDuration::from_mins(30);

/// Paths of the requests that control it.
pub(crate) const JUMP: &str = "/control/jump/";
pub(crate) const REFUSE: &str = "/control/refuse/";
pub(crate) const RENEWALS: &str = "/control/renewals";

/// Set in the process that is to be the server.
pub(crate) const ROLE: &str = "HOLDFAST_BENCH_ROLE";

/// As long as the access tokens of a real server, in bytes.
const TOKEN_BYTES: usize = 560;

const DATA: &str = r#"{"data":{"people":[{"id":"1"}]}}"#;
const REFUSAL: &str = r#"{"errors":[{"message":"Token has expired.","extensions":{"subCode":"UNAUTHENTICATED","code":"UNAUTHENTICATED"}}]}"#;

/// The `number`-th access token that the server issues. The first one belongs to the sign-in.
pub(crate) fn token(number: u64) -> String {
    format!("{number:0>TOKEN_BYTES$}")
}

/// Whether this process is to be the server.
pub(crate) fn is_this_process() -> bool {
    std::env::var_os(ROLE).is_some()
}

/// Starts one.
pub(crate) fn start() -> ServerProcess {
    ServerProcess::start(|command| {
        command.env(ROLE, "server");
    })
}

/// What the server does until it is killed.
pub(crate) async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("http://{}", listener.local_addr().expect("an address"));
    let server = Server::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.set_nodelay(true);
        tokio::spawn(converse(stream, server.clone()));
    }
}

pub(crate) struct Server {
    /// The number of the first access token that is accepted. All later ones are, too: an attempt that ended at its limit has
    /// left its question here, and two are answered in any order.
    accepted_from: AtomicU64,
    renewals: AtomicU64,
    /// How far its clock is ahead of the machine's.
    jumped_ms: AtomicI64,
    /// Calls still to be refused before a renewal is answered.
    refusals_due: watch::Sender<u64>,
}

impl Server {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            accepted_from: AtomicU64::new(1),
            renewals: AtomicU64::new(0),
            jumped_ms: AtomicI64::new(0),
            refusals_due: watch::Sender::new(0),
        })
    }

    /// The answer to a request of HTTP/1.1, or one that is written like it.
    pub(crate) async fn answer(&self, request: &[u8]) -> String {
        let path = request.split(|byte| *byte == b' ').nth(1);
        let path = std::str::from_utf8(path.unwrap_or_default()).unwrap_or_default();
        let number = |prefix| path.strip_prefix(prefix)?.parse::<u64>().ok();
        if let Some(ms) = number(JUMP) {
            let ms = i64::try_from(ms).expect("some hours");
            self.jumped_ms.fetch_add(ms, Ordering::SeqCst);
            String::new()
        } else if let Some(calls) = number(REFUSE) {
            self.accepted_from.store(self.next(), Ordering::SeqCst);
            self.refusals_due.send_replace(calls);
            String::new()
        } else if path == RENEWALS {
            self.renewals.load(Ordering::SeqCst).to_string()
        } else if find(request, b"renewToken").is_some() {
            self.renew().await
        } else if self.accepts(request) {
            DATA.to_owned()
        } else {
            self.refusals_due
                .send_modify(|due| *due = due.saturating_sub(1));
            REFUSAL.to_owned()
        }
    }

    /// Answers once every call that is to be refused has been.
    async fn renew(&self) -> String {
        let mut due = self.refusals_due.subscribe();
        let _ = due.wait_for(|due| *due == 0).await;
        let number = self.renewals.fetch_add(1, Ordering::SeqCst) + 2;
        let access = token(number);
        let jumped = SignedDuration::from_millis(self.jumped_ms.load(Ordering::SeqCst));
        let until = Timestamp::now() + jumped + LIFETIME;
        format!(
            r#"{{"data":{{"renewToken":{{"tokens":{{"accessOrWorkspaceAgnosticToken":{{"token":"{access}","expiresAt":"{until}"}},"refreshToken":{{"token":"r{number}","expiresAt":null}}}}}}}}}}"#
        )
    }

    /// The number of the token that the next renewal issues; the sign-in has had the first one.
    fn next(&self) -> u64 {
        self.renewals.load(Ordering::SeqCst) + 2
    }

    fn accepts(&self, request: &[u8]) -> bool {
        let authorization = header_of(request, "authorization");
        let bearer = authorization.and_then(|value| value.strip_prefix("Bearer "));
        let number: Option<u64> = bearer.and_then(|token| token.parse().ok());
        number >= Some(self.accepted_from.load(Ordering::SeqCst))
    }

    pub(crate) fn date(&self) -> String {
        let ms = self.jumped_ms.load(Ordering::SeqCst);
        let jumped = Duration::from_millis(ms.unsigned_abs());
        httpdate::fmt_http_date(SystemTime::now() + jumped)
    }
}

/// Answers the requests of one connection.
pub(crate) async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, server: Arc<Server>) {
    let mut request = Vec::new();
    loop {
        request.clear();
        if read_request(&mut stream, &mut request).await.is_none() {
            return;
        }
        let body = server.answer(&request).await;
        let reply = format!(
            "HTTP/1.1 200 OK\r\ndate: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            server.date(),
            body.len()
        );
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}
