//! The life of the listener: start, addresses, stop.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tower_service::Service;

use crate::auth::Auth;
use crate::clock::{Clock, system_clock};
use crate::counts::Counting;
use crate::databases::Databases;
use crate::error::Error;
use crate::graphql::Schemas;
use crate::oauth::clients::Clients;
use crate::oauth::state::OAuthState;
use crate::routes::router;
use crate::stopping::true_in;
use crate::switch_state::SwitchState;
use crate::switches::Switches;
use crate::wire::{CloseConnection, Wire};

/// Idle connections are closed after this, as at Twenty.
const IDLE_CLOSE: Duration = Duration::from_secs(5);
/// An open stream says something after this much silence, as at Twenty.
const COMMENT_AFTER: Duration = Duration::from_secs(12);
/// A request's body has to arrive within this, and a POST without one waits so long: longer than anything here waits for.
const BODY_WAIT: Duration = Duration::from_secs(30);
/// Connections at a time; more are closed at once. Each takes a descriptor of the process, which may be the desktop client. A
/// window has 100 subscriptions and 32 calls at most.
const CONNECTIONS: usize = 256;
/// [`DemoServer::stop`] lets calls in flight finish for this long.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// How a server starts. The default: any free port, data in memory, no switches over HTTP.
#[derive(Clone)]
pub struct Options {
    /// Port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// Folder of the database, made if needed; none keeps the data in memory, so each start begins with fresh data.
    pub data: Option<PathBuf>,
    /// Whether `/demo/switches` and `/demo/counts` exist. Only for tests and the demo's own walk.
    pub control: bool,
    /// The server's clock: it decides about expiry and grace, and stamps records.
    pub clock: Clock,
    /// Idle connections are closed after this. Default: 5 s, as at Twenty.
    pub idle_close: Duration,
    /// How long a request's body may take to arrive, and how long a POST without one waits. Default: 30 s.
    pub body_wait: Duration,
    /// Connections at a time; more are closed at once. Default: 256.
    pub connections: usize,
    /// A stream of events gets a comment after this much silence. Default: 12 s, as at Twenty.
    pub comment_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            data: None,
            control: false,
            clock: system_clock(),
            idle_close: IDLE_CLOSE,
            body_wait: BODY_WAIT,
            connections: CONNECTIONS,
            comment_after: COMMENT_AFTER,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Options")
            .field("port", &self.port)
            .field("data", &self.data)
            .field("control", &self.control)
            .field("idle_close", &self.idle_close)
            .field("body_wait", &self.body_wait)
            .field("connections", &self.connections)
            .field("comment_after", &self.comment_after)
            .finish_non_exhaustive()
    }
}

/// A running server. Dropping it closes every connection at once, as a crash would; [`stop`](Self::stop) is orderly.
#[derive(Debug)]
pub struct DemoServer {
    address: SocketAddr,
    switches: Switches,
    stopping: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl DemoServer {
    /// Opens the data, fills it if it is new, and listens on the loopback address.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let port = options.port;
        let listen = |source| Error::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        let state = Arc::new(watch::Sender::new(SwitchState::default()));
        let (clock, data, receiver) = (options.clock, options.data, state.subscribe());
        let opened = tokio::task::spawn_blocking(move || {
            let databases = Databases::open(data.as_deref())?;
            let auth = Arc::new(Auth::open(
                Arc::clone(databases.server()),
                clock,
                receiver,
                address.port(),
            )?);
            let clients = Clients::open(Arc::clone(databases.server()))?;
            let schemas =
                Schemas::build(&auth).map_err(|error| Error::Database(error.to_string()))?;
            Ok::<_, Error>((databases, auth, OAuthState::new(clients), schemas))
        });
        let (databases, auth, oauth, schemas) = opened
            .await
            .map_err(|error| Error::Database(error.to_string()))??;

        let switches = Switches {
            state,
            counting: Arc::new(Counting::new()),
            auth: Arc::clone(&auth),
        };
        let (stopping, stopped) = watch::channel(false);
        let wire = Wire {
            auth,
            databases,
            oauth,
            schemas,
            switches: switches.clone(),
            stopping: stopped.clone(),
            port: address.port(),
            body_wait: options.body_wait,
            comment_after: options.comment_after,
        };
        let router = router(Arc::new(wire), options.control);
        let connections = Connections {
            router,
            stopping: stopped,
            idle_close: options.idle_close,
            room: Arc::new(Semaphore::new(options.connections)),
        };
        let accepting = tokio::spawn(accept(listener, connections));
        tracing::info!(%address, "the demo server listens");
        Ok(Self {
            address,
            switches,
            stopping,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address for a client: `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Handle to the switches and counts; it may outlive the server.
    pub fn switches(&self) -> Switches {
        self.switches.clone()
    }

    /// Takes no more connections, lets calls in flight finish for up to two seconds, and frees the port.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        // The task cannot panic, and was not aborted yet.
        _ = (&mut self.accepting).await;
    }
}

impl Drop for DemoServer {
    fn drop(&mut self) {
        self.stopping.send_replace(true);
        self.accepting.abort();
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Connections {
    router: Router,
    stopping: watch::Receiver<bool>,
    idle_close: Duration,
    room: Arc<Semaphore>,
}

async fn accept(listener: TcpListener, needed: Connections) {
    let mut stopped = needed.stopping.clone();
    // Its drop aborts what is left in it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A failed accept concerns one client, or passes when files are closed again.
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                // Without room it is dropped, which closes it.
                if let Ok(place) = Arc::clone(&needed.room).try_acquire_owned() {
                    let needed = needed.clone();
                    connections.spawn(async move {
                        serve(stream, needed).await;
                        drop(place);
                    });
                }
            }
            Some(_) = connections.join_next() => {}
            () = true_in(&mut stopped) => break,
        }
    }
    drop(listener);
    _ = tokio::time::timeout(STOP_LIMIT, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

async fn serve(stream: TcpStream, needed: Connections) {
    let Connections {
        router,
        mut stopping,
        idle_close,
        ..
    } = needed;
    _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let answer = router.clone().call(request.map(Body::new));
        async move {
            let Ok(response) = answer.await;
            // An error here makes hyper close the connection without writing anything.
            if response.extensions().get::<CloseConnection>().is_some() {
                Err(Closed)
            } else {
                Ok(response)
            }
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    // The time until a request's headers are complete counts from the end of the previous answer: idle time too.
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(idle_close);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = true_in(&mut stopping) => connection.as_mut().graceful_shutdown(),
    }
    _ = connection.await;
}

/// A switch wants this connection closed.
#[derive(Debug, thiserror::Error)]
#[error("closed by a switch")]
struct Closed;
