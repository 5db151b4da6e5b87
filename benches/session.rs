//! What the session costs: added time per call, and many waiters through one renewal, each beside bare reqwest in the
//! same run. The server is a process of its own, this binary with a role, so that neither side shares its cores' time.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group};
use graphql_session::{BoxFuture, Call, Clock, Config, MemoryVault, Session, SystemClock, Tokens};
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// Both sides put this many requests on the wire at a time.
const CONNECTIONS: usize = 32;

/// Lifetime of an access token, and what the clock jumps so that it has expired for sure.
const LIFETIME: SignedDuration = SignedDuration::from_mins(30);
const JUMP_MS: i64 = 3_600_000;

const QUERY: &str = r#"{"query":"query People { people { id } }"}"#;
const ROLE: &str = "HOLDFAST_BENCH_ROLE";

criterion_group!(session, one_call, waiters);

fn main() {
    if std::env::var_os(ROLE).is_some() {
        return runtime().block_on(serve());
    }
    session();
    Criterion::default().configure_from_args().final_summary();
}

/// Which side a figure counts. Both take turns in every measurement, so that the machine's mood is the same for both.
const SIDES: [(&str, bool); 2] = [("bare reqwest", false), ("execute", true)];

/// One call with a valid token.
fn one_call(criterion: &mut Criterion) {
    let runtime = runtime();
    let bench = runtime.block_on(Bench::start());
    let mut group = criterion.benchmark_group("one call");
    group
        .sample_size(50)
        .measurement_time(Duration::from_secs(8));
    for (name, counts_session) in SIDES {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                runtime.block_on(async {
                    let mut counted = Duration::ZERO;
                    for _ in 0..rounds {
                        let began = Instant::now();
                        bench.bare_call().await;
                        let between = Instant::now();
                        bench.session_call().await;
                        counted += share(counts_session, began, between);
                    }
                    counted
                })
            });
        });
    }
    group.finish();
}

/// Many calls with an expired token: all wait for the one renewal, and then go out. Beside the same renewal and as many
/// requests without a session.
fn waiters(criterion: &mut Criterion) {
    let runtime = runtime();
    let ours = Arc::new(runtime.block_on(Bench::start()));
    let bare = Arc::new(runtime.block_on(Bench::start()));
    let mut group = criterion.benchmark_group("waiters through one renewal");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(20));
    for calls in [1_000, 10_000] {
        for (name, counts_session) in SIDES {
            group.bench_function(BenchmarkId::new(name, calls), |bencher| {
                bencher.iter_custom(|rounds| {
                    runtime.block_on(async {
                        let mut counted = Duration::ZERO;
                        for _ in 0..rounds {
                            let began = Instant::now();
                            bare.bare_round(calls).await;
                            let between = Instant::now();
                            ours.session_round(calls).await;
                            counted += share(counts_session, began, between);
                        }
                        counted
                    })
                });
            });
        }
    }
    group.finish();
    let jumps = ours.clock.jumped.load(Ordering::SeqCst) / JUMP_MS;
    let renewals = runtime.block_on(ours.renewals());
    assert_eq!(renewals, jumps, "each round takes exactly one renewal");
}

fn share(counts_session: bool, began: Instant, between: Instant) -> Duration {
    if counts_session {
        between.elapsed()
    } else {
        between - began
    }
}

struct Bench {
    session: Session,
    clock: Arc<JumpingClock>,
    client: reqwest::Client,
    origin: String,
    _server: ServerProcess,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let server = ServerProcess::start();
        let origin = server.origin.clone();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(JumpingClock::default());
        let mut config = Config::new("bench", folder.path());
        config.vault = Arc::new(MemoryVault::new());
        config.clock = clock.clone();
        config.limits.concurrent_calls = CONNECTIONS;
        let session = Session::open(config).await.expect("opens");
        let tokens = Tokens {
            access: "t".into(),
            access_expires_at: Some(clock.wall() + LIFETIME),
            refresh: Some("r".into()),
            refresh_expires_at: None,
        };
        session
            .sign_in_with_tokens(&origin, None, tokens)
            .await
            .expect("signs in");
        Self {
            session,
            clock,
            client: bare_client(),
            origin,
            _server: server,
            _folder: folder,
        }
    }

    async fn session_call(&self) {
        let reply = self.session.execute(Call::new("graphql", QUERY)).await;
        assert_eq!(reply.expect("a reply").status, 200);
    }

    async fn bare_call(&self) {
        self.post(QUERY).await;
    }

    async fn post(&self, body: &'static str) -> bytes::Bytes {
        let reply = self
            .client
            .post(format!("{}/graphql", self.origin))
            .header("content-type", "application/json")
            .bearer_auth("t")
            .body(body)
            .send()
            .await
            .expect("a reply");
        reply.bytes().await.expect("a body")
    }

    async fn session_round(self: &Arc<Self>, calls: usize) {
        self.clock.jumped.fetch_add(JUMP_MS, Ordering::SeqCst);
        let burst: Vec<_> = (0..calls)
            .map(|_| {
                let bench = self.clone();
                tokio::spawn(async move { bench.session_call().await })
            })
            .collect();
        for call in burst {
            call.await.expect("a finished call");
        }
    }

    async fn bare_round(self: &Arc<Self>, calls: usize) {
        self.post(r#"{"query":"mutation RenewToken { renewToken }"}"#)
            .await;
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let burst: Vec<_> = (0..calls)
            .map(|_| {
                let (bench, places) = (self.clone(), places.clone());
                tokio::spawn(async move {
                    let _place = places.acquire().await;
                    bench.bare_call().await;
                })
            })
            .collect();
        for call in burst {
            call.await.expect("a finished call");
        }
    }

    /// What the server counted: renewals since its start.
    async fn renewals(&self) -> i64 {
        let counted = self.post(r#"{"query":"{ renewals }"}"#).await;
        let text = std::str::from_utf8(&counted).expect("text");
        text.trim().parse().expect("a number")
    }
}

/// The machine's clock, whose wall time can be pushed ahead so that a token has expired.
#[derive(Default)]
struct JumpingClock {
    machine: SystemClock,
    jumped: AtomicI64,
}

impl Clock for JumpingClock {
    fn wall(&self) -> Timestamp {
        self.machine.wall() + SignedDuration::from_millis(self.jumped.load(Ordering::SeqCst))
    }

    fn awake(&self) -> Duration {
        self.machine.awake()
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        self.machine.sleep(pause)
    }

    fn random(&self) -> u64 {
        self.machine.random()
    }
}

fn bare_client() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .build()
        .expect("a client")
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

struct ServerProcess {
    child: Child,
    origin: String,
}

impl ServerProcess {
    fn start() -> Self {
        let own = std::env::current_exe().expect("our own path");
        let mut child = Command::new(own)
            .env(ROLE, "server")
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server process");
        let mut origin = String::new();
        BufReader::new(child.stdout.take().expect("its output"))
            .read_line(&mut origin)
            .expect("its address");
        Self {
            child,
            origin: origin.trim().to_owned(),
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server: answers everything at once, and counts renewals. The tokens that it issues live for one jump of the clock.
async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("http://{}", listener.local_addr().expect("an address"));
    let renewals = Arc::new(AtomicI64::new(0));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.set_nodelay(true);
        tokio::spawn(converse(stream, renewals.clone()));
    }
}

async fn converse(mut stream: TcpStream, renewals: Arc<AtomicI64>) {
    let mut request = Vec::new();
    loop {
        request.clear();
        if read_request(&mut stream, &mut request).await.is_none() {
            return;
        }
        let body = answer(&request, &renewals);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let reply = [head.as_bytes(), body.as_bytes()].concat();
        if stream.write_all(&reply).await.is_err() {
            return;
        }
    }
}

async fn read_request(stream: &mut TcpStream, request: &mut Vec<u8>) -> Option<()> {
    loop {
        if stream.read_buf(request).await.ok()? == 0 {
            return None;
        }
        let Some(head) = find(request, b"\r\n\r\n") else {
            continue;
        };
        let length = header(&request[..head], "content-length")
            .map_or(0, |text| text.parse::<usize>().expect("a length"));
        if request.len() >= head + 4 + length {
            return Some(());
        }
    }
}

fn answer(request: &[u8], renewals: &AtomicI64) -> String {
    if find(request, b"renewToken").is_some() {
        // The n-th renewal comes after n jumps.
        let jumps = renewals.fetch_add(1, Ordering::SeqCst) + 1;
        let until = Timestamp::now() + SignedDuration::from_millis(jumps * JUMP_MS) + LIFETIME;
        return format!(
            r#"{{"data":{{"renewToken":{{"tokens":{{"accessOrWorkspaceAgnosticToken":{{"token":"t","expiresAt":"{until}"}},"refreshToken":{{"token":"r","expiresAt":null}}}}}}}}}}"#
        );
    }
    if find(request, b"{ renewals }").is_some() {
        return renewals.load(Ordering::SeqCst).to_string();
    }
    r#"{"data":{"people":[{"id":"1"}]}}"#.to_owned()
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}

fn header(head: &[u8], name: &str) -> Option<String> {
    std::str::from_utf8(head)
        .ok()?
        .lines()
        .skip(1)
        .find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
}
