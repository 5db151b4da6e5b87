//! What the session costs: added time per call, and many waiters through one renewal, each beside bare reqwest in the
//! same run. The server is a process of its own, this binary with a role, so that neither side shares its cores' time.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group};
use graphql_session::{Call, Config, MemoryVault, Session, Tokens};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// Both sides put this many requests on the wire at a time.
const CONNECTIONS: usize = 32;

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

/// One call with a valid token. Bare and through the session take turns, call by call; each figure counts its own.
fn one_call(criterion: &mut Criterion) {
    let runtime = runtime();
    let bench = runtime.block_on(Bench::start());
    let mut group = criterion.benchmark_group("one call");
    group
        .sample_size(50)
        .measurement_time(Duration::from_secs(8));
    for (name, counts_session) in [("bare reqwest", false), ("execute", true)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                runtime.block_on(async {
                    let mut counted = Duration::ZERO;
                    for _ in 0..rounds {
                        let began = Instant::now();
                        bench.bare_call("t0").await;
                        let between = Instant::now();
                        bench.session_call().await;
                        counted += if counts_session {
                            between.elapsed()
                        } else {
                            between - began
                        };
                    }
                    counted
                })
            });
        });
    }
    group.finish();
}

/// Many calls, all refused at once, one renewal, all replayed; beside as many bare requests plus one renewal.
fn waiters(criterion: &mut Criterion) {
    let runtime = runtime();
    let bench = Arc::new(runtime.block_on(Bench::start()));
    let mut group = criterion.benchmark_group("waiters through one renewal");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(20));
    for calls in [1_000, 10_000] {
        group.bench_with_input(
            BenchmarkId::new("bare reqwest", calls),
            &calls,
            |bencher, &calls| {
                bencher.iter(|| runtime.block_on(bench.bare_round(calls)));
            },
        );
        group.bench_with_input(
            BenchmarkId::new("execute", calls),
            &calls,
            |bencher, &calls| {
                bencher.iter(|| runtime.block_on(bench.session_round(calls)));
            },
        );
    }
    group.finish();
}

struct Bench {
    session: Session,
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
        let mut config = Config::new("bench", folder.path());
        config.vault = Arc::new(MemoryVault::new());
        config.limits.concurrent_calls = CONNECTIONS;
        let session = Session::open(config).await.expect("opens");
        let tokens = Tokens {
            access: "t0".into(),
            access_expires_at: None,
            refresh: Some("r".into()),
            refresh_expires_at: None,
        };
        session
            .sign_in_with_tokens(&origin, None, tokens)
            .await
            .expect("signs in");
        Self {
            session,
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

    async fn bare_call(&self, token: &str) -> bool {
        let reply = self
            .client
            .post(format!("{}/graphql", self.origin))
            .header("content-type", "application/json")
            .bearer_auth(token)
            .body(QUERY)
            .send()
            .await
            .expect("a reply");
        let body = reply.bytes().await.expect("a body");
        !body.starts_with(b"{\"errors\"")
    }

    /// What a client without a session does at best: every call refused, one renewal, every call again.
    async fn bare_round(self: &Arc<Self>, calls: usize) {
        self.expire().await;
        self.bare_burst(calls, "old", false).await;
        let renewal = r#"{"query":"mutation RenewToken { renewToken }"}"#;
        let renewed = self
            .client
            .post(format!("{}/graphql", self.origin))
            .body(renewal)
            .send()
            .await
            .expect("a reply")
            .text()
            .await
            .expect("a body");
        let reply: serde_json::Value = serde_json::from_str(&renewed).expect("JSON");
        let token =
            reply["data"]["renewToken"]["tokens"]["accessOrWorkspaceAgnosticToken"]["token"]
                .as_str()
                .expect("a token")
                .to_owned();
        self.bare_burst(calls, &token, true).await;
    }

    async fn bare_burst(self: &Arc<Self>, calls: usize, token: &str, served: bool) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let burst: Vec<_> = (0..calls)
            .map(|_| {
                let (bench, places, token) = (self.clone(), places.clone(), token.to_owned());
                tokio::spawn(async move {
                    let _place = places.acquire().await;
                    assert_eq!(bench.bare_call(&token).await, served);
                })
            })
            .collect();
        for call in burst {
            call.await.expect("a finished call");
        }
    }

    async fn session_round(self: &Arc<Self>, calls: usize) {
        self.expire().await;
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

    async fn expire(&self) {
        let reply = self
            .client
            .post(format!("{}/expire", self.origin))
            .send()
            .await;
        assert!(reply.expect("a reply").status().is_success());
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

/// The server: accepts the token `t<generation>`; `/expire` raises the generation that it wants, and a renewal tells it.
async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("http://{}", listener.local_addr().expect("an address"));
    let generation = Arc::new(AtomicU64::new(0));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.set_nodelay(true);
        tokio::spawn(converse(stream, generation.clone()));
    }
}

async fn converse(mut stream: TcpStream, generation: Arc<AtomicU64>) {
    let mut request = Vec::new();
    loop {
        request.clear();
        if read_request(&mut stream, &mut request).await.is_none() {
            return;
        }
        let body = answer(&request, &generation);
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

fn answer(request: &[u8], generation: &AtomicU64) -> String {
    if request.starts_with(b"POST /expire") {
        generation.fetch_add(1, Ordering::SeqCst);
        return "{}".to_owned();
    }
    let current = generation.load(Ordering::SeqCst);
    if find(request, b"renewToken").is_some() {
        return format!(
            r#"{{"data":{{"renewToken":{{"tokens":{{"accessOrWorkspaceAgnosticToken":{{"token":"t{current}","expiresAt":null}},"refreshToken":{{"token":"r","expiresAt":null}}}}}}}}}}"#
        );
    }
    let wanted = format!("Bearer t{current}");
    let head = find(request, b"\r\n\r\n").unwrap_or(request.len());
    if header(&request[..head], "authorization") == Some(wanted) {
        r#"{"data":{"people":[{"id":"1"}]}}"#.to_owned()
    } else {
        r#"{"errors":[{"message":"Token has expired.","extensions":{"code":"UNAUTHENTICATED"}}]}"#
            .to_owned()
    }
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
