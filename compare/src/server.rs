//! The server of the speed figures: a process of its own that answers at once, so that neither side of a comparison
//! shares its cores' time. It knows a single person, whose n-th access token is signed with the number n.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graphql_session_testing::IssuedPair;
use jiff::{SignedDuration, Timestamp};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::http::{ServerProcess, find, header_of, read_request};

/// Lifetime of an access token, as it says.
const LIFETIME: SignedDuration = SignedDuration::from_mins(30);

/// Of a refresh token, which is never refused.
const REFRESH_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// The argument that makes this program that server; the next one is the HTTP status of its refusals.
pub(crate) const ROLE: &str = "speed-server";

/// Starts one whose refusals have this HTTP status.
pub(crate) fn start(refusal_status: u16) -> ServerProcess {
    ServerProcess::start(|command| {
        command.args([ROLE.to_owned(), refusal_status.to_string()]);
    })
}

/// What its person has signed in with.
pub(crate) fn tokens() -> IssuedPair {
    let until = Timestamp::now() + LIFETIME;
    IssuedPair {
        access: access_token(1, until),
        access_until: until,
        refresh: "r".to_owned(),
        refresh_until: until + REFRESH_LIFETIME,
    }
}

/// What it knows.
struct Records {
    refusal_status: u16,
    /// The newest access token.
    newest: AtomicU64,
    /// Access tokens below this are refused.
    good_from: AtomicU64,
    replays: Mutex<Replays>,
}

/// From a refusal to the next call that is not refused.
#[derive(Default)]
struct Replays {
    refused_at: Option<Instant>,
    took: Vec<Duration>,
}

/// Serves until the process is ended.
pub(crate) async fn serve(refusal_status: u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("http://{}", listener.local_addr().expect("an address"));
    let records = Arc::new(Records {
        refusal_status,
        newest: AtomicU64::new(1),
        good_from: AtomicU64::new(1),
        replays: Mutex::default(),
    });
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.set_nodelay(true);
        tokio::spawn(converse(stream, records.clone()));
    }
}

async fn converse(mut stream: TcpStream, records: Arc<Records>) {
    let mut request = Vec::new();
    loop {
        request.clear();
        if read_request(&mut stream, &mut request).await.is_none() {
            return;
        }
        let (status, body) = records.answer(&request);
        let date = httpdate::fmt_http_date(SystemTime::now());
        let head = format!(
            "HTTP/1.1 {status} Fine\r\ndate: {date}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let reply = [head.as_bytes(), body.as_bytes()].concat();
        if stream.write_all(&reply).await.is_err() {
            return;
        }
    }
}

impl Records {
    fn answer(&self, request: &[u8]) -> (u16, String) {
        let path = request.split(|byte| *byte == b' ').nth(1);
        match path.unwrap_or_default() {
            b"/control/expire" => {
                let newest = self.newest.load(Ordering::SeqCst);
                self.good_from.store(newest + 1, Ordering::SeqCst);
                (204, String::new())
            }
            b"/control/replays" => {
                let took = std::mem::take(&mut self.replays().took);
                let took: Vec<_> = took.iter().map(Duration::as_micros).collect();
                (200, format!(r#"{{"µs":{took:?}}}"#))
            }
            b"/oauth/token" => (200, self.granted("")),
            path if path.starts_with(b"/auth/v1/token") => {
                let until = (Timestamp::now() + LIFETIME).as_second();
                let user = r#"{"id":"1","aud":"authenticated","role":"authenticated","email":"ada@example.com"}"#;
                let more = format!(r#","expires_at":{until},"user":{user}"#);
                (200, self.granted(&more))
            }
            _ if find(request, b"renewToken").is_some() => (200, self.renewed()),
            _ => self.call(request),
        }
    }

    fn call(&self, request: &[u8]) -> (u16, String) {
        if bearer(request).is_some_and(|token| token >= self.good_from.load(Ordering::SeqCst)) {
            let mut replays = self.replays();
            if let Some(refused_at) = replays.refused_at.take() {
                replays.took.push(refused_at.elapsed());
            }
            return (200, r#"{"data":{"people":{"totalCount":1}}}"#.to_owned());
        }
        self.replays().refused_at = Some(Instant::now());
        let refusal = r#"{"errors":[{"message":"Token has expired.","extensions":{"subCode":"UNAUTHENTICATED","code":"UNAUTHENTICATED"}}]}"#;
        (self.refusal_status, refusal.to_owned())
    }

    /// In Twenty's words.
    fn renewed(&self) -> String {
        let until = Timestamp::now() + LIFETIME;
        let access = access_token(self.next(), until);
        format!(
            r#"{{"data":{{"renewToken":{{"tokens":{{"accessOrWorkspaceAgnosticToken":{{"token":"{access}","expiresAt":"{until:.3}"}},"refreshToken":{{"token":"r","expiresAt":"{:.3}"}}}}}}}}}}"#,
            until + REFRESH_LIFETIME
        )
    }

    /// In OAuth's words, and `more`.
    fn granted(&self, more: &str) -> String {
        let lasts = LIFETIME.as_secs();
        let access = access_token(self.next(), Timestamp::now() + LIFETIME);
        format!(
            r#"{{"access_token":"{access}","token_type":"Bearer","expires_in":{lasts},"refresh_token":"r"{more}}}"#
        )
    }

    fn next(&self) -> u64 {
        self.newest.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn replays(&self) -> std::sync::MutexGuard<'_, Replays> {
        self.replays.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A JWT to look at, for clients that read its expiry, whose signature is its number.
fn access_token(number: u64, until: Timestamp) -> String {
    let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let payload = format!(r#"{{"sub":"1","exp":{}}}"#, until.as_second());
    format!("{head}.{}.{number}", URL_SAFE_NO_PAD.encode(payload))
}

/// The number of the access token that a request brings.
fn bearer(request: &[u8]) -> Option<u64> {
    let token = header_of(request, "authorization")?;
    token.rsplit('.').next()?.parse().ok()
}
