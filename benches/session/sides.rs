//! The two sides that every figure compares: calls through a session, and bare reqwest with everything ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use graphql_session::{
    Call, Clock, Config, Expiry, MemoryVault, Session, Sleep, SystemClock, Tokens,
};
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Request, Url};
use tokio::sync::Semaphore;

use bare_client::bare_client;

use crate::server::{self, JUMP, LIFETIME, REFUSE, RENEWALS, ServerProcess};

#[path = "../bare_client.rs"]
mod bare_client;

/// Both sides put this many requests on the wire at a time.
pub(crate) const CONNECTIONS: usize = 32;

/// What the clocks jump, in ms, so that a token has expired for sure.
const JUMP_MS: i64 = 3_600_000;

const QUERY: &str = r#"{"query":"query People { people { id } }"}"#;
const RENEWAL: &str = r#"{"query":"mutation RenewToken { renewToken }"}"#;

/// A session with its server.
pub(crate) struct Ours {
    pub(crate) session: Session,
    clock: Arc<BenchClock>,
    /// Its own way to the server.
    pub(crate) control: Bare,
    _folder: tempfile::TempDir,
}

impl Ours {
    /// Signed in, and one call served.
    pub(crate) async fn start() -> Self {
        Self::start_on(BenchClock::default()).await
    }

    /// The same on a clock by which nothing happens but what is called for.
    #[allow(dead_code)] // for the bench that counts instructions
    pub(crate) async fn start_undisturbed() -> Self {
        let clock = BenchClock {
            is_undisturbed: true,
            ..BenchClock::default()
        };
        Self::start_on(clock).await
    }

    async fn start_on(clock: BenchClock) -> Self {
        Self::with(Bare::start(), String::new(), clock).await
    }

    /// With the server of `control`, whose certificate is trusted by this root, as PEM.
    #[allow(dead_code)] // for the benches with TLS
    pub(crate) async fn at(control: Bare, root: String) -> Self {
        Self::with(control, root, BenchClock::default()).await
    }

    async fn with(control: Bare, root: String, clock: BenchClock) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(clock);
        let mut config = Config::new("bench", folder.path());
        config.vault = Arc::new(MemoryVault::new());
        config.extra_root_certificates = root;
        config.clock = clock.clone();
        config.limits.concurrent_calls = CONNECTIONS;
        let session = Session::open(config).await.expect("opens");
        let tokens = Tokens {
            refresh: Some("r1".into()),
            ..Tokens::of(server::token(1).into(), Expiry::At(clock.wall() + LIFETIME))
        };
        session
            .sign_in_with_tokens(&control.server.origin, None, tokens)
            .await
            .expect("signs in");
        let ours = Self {
            session,
            clock,
            control,
            _folder: folder,
        };
        ours.call().await;
        ours
    }

    /// One call, which is served.
    pub(crate) async fn call(&self) {
        let reply = self.session.execute(Call::new("graphql", QUERY)).await;
        assert_eq!(reply.expect("a reply").status, 200);
    }

    /// From now on the access token is known to have expired.
    pub(crate) async fn expire(&self) {
        self.control.control(&format!("{JUMP}{JUMP_MS}")).await;
        self.clock.jumped.fetch_add(JUMP_MS, Ordering::SeqCst);
    }

    /// Many calls at once; all of them are served in the end.
    pub(crate) async fn calls(self: &Arc<Self>, calls: usize) {
        let calls = (0..calls).map(|_| {
            let ours = self.clone();
            tokio::spawn(async move { ours.call().await })
        });
        finish(calls.collect()).await;
    }
}

/// Bare reqwest with its server. The address and the headers are ready, and the body is read to its end.
pub(crate) struct Bare {
    client: reqwest::Client,
    url: Url,
    headers: ArcSwap<HeaderMap>,
    places: Semaphore,
    server: ServerProcess,
}

impl Bare {
    /// With an access token that its server accepts.
    pub(crate) fn start() -> Self {
        Self::at(server::start(), bare_client())
    }

    /// The same with this server and client.
    pub(crate) fn at(server: ServerProcess, client: reqwest::Client) -> Self {
        Self {
            client,
            url: format!("{}/graphql", server.origin).parse().expect("a URL"),
            headers: ArcSwap::from_pointee(headers(Some(&server::token(1)))),
            places: Semaphore::new(CONNECTIONS),
            server,
        }
    }

    /// One call.
    pub(crate) async fn call(&self) -> Bytes {
        let headers = HeaderMap::clone(&self.headers.load());
        self.post(self.url.clone(), headers, QUERY).await
    }

    /// One call of more than there are connections: as many are on the wire as those of a session.
    pub(crate) async fn call_in_its_turn(&self) {
        let _place = self.places.acquire().await;
        self.call().await;
    }

    /// Many calls at once.
    pub(crate) async fn calls(self: &Arc<Self>, calls: usize) {
        let calls = (0..calls).map(|_| {
            let bare = self.clone();
            tokio::spawn(async move { bare.call_in_its_turn().await })
        });
        finish(calls.collect()).await;
    }

    /// The calls after this one carry the new access token.
    pub(crate) async fn renew(&self) {
        let answer = self.post(self.url.clone(), headers(None), RENEWAL).await;
        let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
        let tokens = &answer["data"]["renewToken"]["tokens"];
        let access = tokens["accessOrWorkspaceAgnosticToken"]["token"].as_str();
        self.headers.store(Arc::new(headers(access)));
    }

    /// The access token is refused to this many calls, all of them before the renewal is answered.
    pub(crate) async fn refuse(&self, calls: usize) {
        self.control(&format!("{REFUSE}{calls}")).await;
    }

    /// What the server counted since its start.
    pub(crate) async fn renewals(&self) -> u64 {
        let counted = self.control(RENEWALS).await;
        let text = std::str::from_utf8(&counted).expect("text");
        text.parse().expect("a number")
    }

    async fn control(&self, path: &str) -> Bytes {
        let url = self.url.join(path).expect("a URL");
        self.post(url, HeaderMap::new(), "").await
    }

    async fn post(&self, url: Url, headers: HeaderMap, body: &'static str) -> Bytes {
        let mut request = Request::new(Method::POST, url);
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.into());
        let reply = self.client.execute(request).await.expect("a reply");
        reply.bytes().await.expect("a body")
    }
}

async fn finish(calls: Vec<tokio::task::JoinHandle<()>>) {
    for call in calls {
        call.await.expect("a finished call");
    }
}

fn headers(token: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(token) = token {
        let bearer = format!("Bearer {token}").parse();
        headers.insert(AUTHORIZATION, bearer.expect("a header's value"));
    }
    headers
}

/// Shorter sleeps are those of the session's own looks at its files; every deadline is longer.
const LOOKS: Duration = Duration::from_secs(1);

/// The machine's clock, whose wall time can be pushed ahead so that a token has expired.
#[derive(Default)]
struct BenchClock {
    machine: SystemClock,
    jumped: AtomicI64,
    /// Whether the session's own looks at its files are left out: they come with time and not with calls, so that a slow
    /// machine would count more of them per call.
    is_undisturbed: bool,
}

impl Clock for BenchClock {
    fn wall(&self) -> Timestamp {
        let ms = self.machine.wall().as_millisecond();
        // No checked sum of durations: a call asks several times, and is to pay what the machine's clock costs.
        Timestamp::from_millisecond(ms + self.jumped.load(Ordering::Relaxed)).expect("a time")
    }

    fn awake(&self) -> Duration {
        // Nothing sleeps: a session that has slept opens new connections.
        let jumped = self.jumped.load(Ordering::Relaxed);
        let awake = self.machine.awake() + Duration::from_millis(jumped.unsigned_abs());
        // Read all the same: a call reads it, too.
        if self.is_undisturbed {
            Duration::ZERO
        } else {
            awake
        }
    }

    fn sleep(&self, pause: Duration) -> Sleep {
        if self.is_undisturbed && pause < LOOKS {
            return Sleep::new(std::future::pending());
        }
        self.machine.sleep(pause)
    }

    fn random(&self) -> u64 {
        self.machine.random()
    }
}
