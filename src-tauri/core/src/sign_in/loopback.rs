//! [`Loopback`]: a port of this computer that catches a browser's redirect (RFC 8252, section 7.3).
//!
//! It is open for one sign-in only and answers one path, for its own host name only. The first request that brings the
//! right `state` is the redirect; all others get a page that says so, and change nothing: a favicon, a prefetch, another
//! page of the browser that tries the port.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use url::form_urlencoded;

use crate::error::{Code, Error};
use crate::protocol::{Listening, Redirected};

/// How long a browser may take to send one request's head. A page that opens the port and says nothing holds a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections at a time. A browser opens two or three; a page that opens hundreds must not take all descriptors.
const CONNECTIONS: usize = 16;

/// How long the last page may take to reach the browser after the sign-in is over.
const FAREWELL: Duration = Duration::from_secs(2);

/// Longest query that is read, in bytes. A real one is below 2 kB.
const QUERY_BYTES: usize = 16 << 10;

/// An open port. It closes when this is dropped.
pub(crate) struct Loopback {
    listening: Listening,
    redirected: oneshot::Receiver<Redirected>,
    accepting: Vec<AbortHandle>,
}

impl Loopback {
    /// Opens one of `ports`, in this order, or any free one where there are none; on 127.0.0.1 and ::1, as far as the system
    /// has both.
    ///
    /// # Errors
    /// [`Code::BrowserUnavailable`], where no port is free.
    pub(crate) async fn open(
        ports: &[u16],
        path: &'static str,
        state: SecretString,
    ) -> Result<Self, Error> {
        let any = [0];
        let ports = if ports.is_empty() { &any[..] } else { ports };
        let mut opened = None;
        for port in ports {
            opened = bind(*port).await;
            if opened.is_some() {
                break;
            }
        }
        let (address, listeners) = opened.ok_or_else(no_port)?;
        let listening = Listening {
            redirect_uri: format!("http://{address}{path}"),
        };
        let (found, redirected) = oneshot::channel();
        let expected = Arc::new(Expected {
            path,
            hosts: hosts(address.port()),
            state,
            found: Mutex::new(Some(found)),
        });
        let accepting = listeners
            .into_iter()
            .map(|listener| tokio::spawn(accept(listener, expected.clone())).abort_handle())
            .collect();
        Ok(Self {
            listening,
            redirected,
            accepting,
        })
    }

    /// Where it listens.
    pub(crate) fn listening(&self) -> &Listening {
        &self.listening
    }

    /// The redirect, once it has come. Cancel safe.
    pub(crate) async fn redirected(&mut self) -> Redirected {
        match (&mut self.redirected).await {
            Ok(redirected) => redirected,
            // Nothing accepts any more, so nothing will come.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        // The page that is under way still reaches the browser; see `accept`.
        for accepting in &self.accepting {
            accepting.abort();
        }
    }
}

/// What the redirect has to look like, and who waits for it.
struct Expected {
    path: &'static str,
    hosts: [String; 3],
    state: SecretString,
    /// Taken by the first request that is the redirect.
    found: Mutex<Option<oneshot::Sender<Redirected>>>,
}

/// The host names under which a browser may come. Any other one belongs to a page of the network whose name was made to
/// resolve to this computer.
fn hosts(port: u16) -> [String; 3] {
    ["127.0.0.1", "[::1]", "localhost"].map(|host| format!("{host}:{port}"))
}

async fn bind(port: u16) -> Option<(SocketAddr, Vec<TcpListener>)> {
    let v4 = TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), port)).await;
    let Ok(v4) = v4 else {
        let only_v6 = TcpListener::bind((IpAddr::V6(Ipv6Addr::LOCALHOST), port)).await;
        // A port that somebody else has on 127.0.0.1 is not ours, although ::1 is free: the browser would go there.
        let has_v4 = TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0))
            .await
            .is_ok();
        let v6 = only_v6.ok().filter(|_| !has_v4)?;
        return Some((v6.local_addr().ok()?, vec![v6]));
    };
    let address = v4.local_addr().ok()?;
    let v6 = TcpListener::bind((IpAddr::V6(Ipv6Addr::LOCALHOST), address.port())).await;
    Some((address, [Some(v4), v6.ok()].into_iter().flatten().collect()))
}

/// Accepts connections until it is aborted. Those that are open then have a moment left.
async fn accept(listener: TcpListener, expected: Arc<Expected>) {
    let mut connections = Connections(JoinSet::new());
    while let Ok((stream, peer)) = listener.accept().await {
        while connections.0.try_join_next().is_some() {}
        if !peer.ip().is_loopback() || connections.0.len() >= CONNECTIONS {
            continue;
        }
        let expected = expected.clone();
        connections.0.spawn(async move {
            let answer = service_fn(move |request| {
                let answer = expected.answer(&request);
                async { Ok::<_, Infallible>(answer) }
            });
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), answer);
            let _ = serving.await;
        });
    }
}

/// The open connections. When nobody waits for the redirect any more, the page that is under way still goes out.
struct Connections(JoinSet<()>);

impl Drop for Connections {
    fn drop(&mut self) {
        let mut left = std::mem::take(&mut self.0);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let all = async { while left.join_next().await.is_some() {} };
                let _ = tokio::time::timeout(FAREWELL, all).await;
            });
        }
    }
}

impl Expected {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
        let is_for_us = host.is_some_and(|host| {
            let mut hosts = self.hosts.iter();
            hosts.any(|ours| ours.as_bytes() == host)
        });
        if !is_for_us {
            return page(StatusCode::MISDIRECTED_REQUEST, NOT_HERE);
        }
        if request.method() != Method::GET || request.uri().path() != self.path {
            return page(StatusCode::NOT_FOUND, NOT_HERE);
        }
        if is_speculative(request.headers()) {
            // The person has not gone there yet; the browser asks again when they do.
            return page(StatusCode::SERVICE_UNAVAILABLE, NOT_HERE);
        }
        let query = request.uri().query().unwrap_or_default();
        match self.take(query) {
            Some(true) => page(StatusCode::OK, GO_BACK),
            Some(false) => page(StatusCode::OK, NOT_SIGNED_IN),
            None => page(StatusCode::BAD_REQUEST, NOT_OURS),
        }
    }

    /// Hands the redirect on, where this is the one; says whether it brings a code.
    fn take(&self, query: &str) -> Option<bool> {
        if query.len() > QUERY_BYTES {
            return None;
        }
        let mut redirected = Redirected::default();
        let mut state = None;
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match &*key {
                "state" => state = Some(SecretString::from(value)),
                "code" => redirected.code = Some(value.into()),
                "iss" => redirected.issuer = Some(value),
                "error" => redirected.error = Some(value),
                _ => {}
            }
        }
        let state = state?;
        let (given, ours) = (state.expose_secret(), self.state.expose_secret());
        if !bool::from(given.as_bytes().ct_eq(ours.as_bytes())) {
            return None;
        }
        let has_code = redirected.code.is_some();
        if !has_code && redirected.error.is_none() {
            return None;
        }
        let found = self
            .found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        // Nobody waits any more where the sign-in was cancelled in this moment.
        found.send(redirected).ok()?;
        Some(has_code)
    }
}

/// Whether the browser only prepares for the person's next click.
fn is_speculative(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-purpose", "x-moz"]
        .iter()
        .filter_map(|name| headers.get(*name)?.to_str().ok())
        .any(|purpose| purpose.contains("prefetch") || purpose.contains("preview"))
}

const GO_BACK: &str = "<h1>Almost done</h1><p>Go back to the application: it finishes the sign-in. You can close this page.</p>";
const NOT_SIGNED_IN: &str = "<h1>Not signed in</h1><p>The server did not sign you in. Go back to the application: it says why, and what to do. You can close this page.</p>";
const NOT_OURS: &str = "<h1>Nothing to do here</h1><p>This page does not belong to the sign-in that is under way, or its answer has come already. Go back to the application. You can close this page.</p>";
const NOT_HERE: &str =
    "<h1>Nothing here</h1><p>Go back to the application. You can close this page.</p>";

/// A page without scripts and without anything from elsewhere.
fn page(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let body = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>Sign-in</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em}}\
         </style></head><body>{text}</body></html>"
    );
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        // The address of the page holds the code.
        (REFERRER_POLICY, "no-referrer"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONNECTION, "close"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn no_port() -> Error {
    Error::new(
        Code::BrowserUnavailable,
        "The browser's answer cannot be received: other programs use all ports of this computer that this application may use. Close them, or sign in another way.",
    )
}
