//! One request at a time: pooled connections for calls, a fresh connection for every exchange of tokens, HTTP/2 where the
//! server has it.

use std::error::Error as StdError;
use std::iter::successors;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::Version;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION,
    RETRY_AFTER,
};
use rustls::pki_types::CertificateDer;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::envelope::without_byte_order_mark;
use super::one_handshake::OneHandshake;
use super::proxy::{self, SystemProxy};
use super::resolver::Resolver;
use super::{Answer, Body, Endpoint, Method, Origin, Request, Target, TransportError, tls};
use crate::cleared::{ClearedBuffer, clear_read};
use crate::clock::ServerClock;
use crate::error::{Code, Error};

/// Connecting takes a packet's round trip or two; ten seconds is a network that is not there.
const CONNECT: Duration = Duration::from_secs(10);

/// HTTP/2: how long a connection with open streams may be silent before it is asked whether it is still there.
const PING_AFTER: Duration = Duration::from_secs(15);

/// How long the answer may take. With the pause before it, a call on a dead connection fails after 25 s, which is as long as
/// calls wait for a renewal; without pings only its own limit of 75 s would end it.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// HTTP/2: how long a connection may be idle. Shorter than the shortest common time of servers and load balancers (60 s). One
/// that closes sooner says so first, and a request that crosses that word is known not to have run.
const HTTP2_IDLE: Duration = Duration::from_secs(50);

/// HTTP/1.1: how much earlier than the server says an idle connection is given up: a request takes its time to get there.
const IDLE_MARGIN: Duration = Duration::from_secs(1);

/// Longest time that a connection is kept idle, whatever its server says.
const LONGEST_IDLE: Duration = Duration::from_secs(120);

/// A header that RFC 9110 leaves out, and that Node.js and other servers send (RFC 2068, section 19.7.1.1).
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Longest answer to an exchange that is read. A real one is 1.2 kB.
const EXCHANGE_BYTES: usize = 1 << 20;

/// Longest pause that a server can ask for with Retry-After: a wrong header must not silence an application for hours.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(600);

/// The HTTP clients for one origin.
#[derive(Clone)]
pub(crate) struct Clients {
    /// Pooled connections; over HTTP/2 one for all calls.
    calls: reqwest::Client,
    /// A fresh connection for each stream of events where the server has TLS. Over HTTP/2 a reader that is slow would hold
    /// up all that shares its connection, and a server allows only so many streams on one.
    streams: reqwest::Client,
    /// A fresh connection for every exchange: a renewal must not be lost on one that the server has given up meanwhile.
    route: Route,
    /// The origin as text, to compare with at every call.
    origin_text: String,
    /// Where the protocol's calls go, in the order of its endpoints.
    addresses: Vec<Url>,
}

/// The way to one origin for what is no call: a fresh connection for each request.
#[derive(Clone)]
pub(crate) struct Route {
    client: reqwest::Client,
    origin: Origin,
    proxy: Option<SystemProxy>,
}

/// What a request is sent over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// A connection of the pool.
    Pool,
    /// A connection of its own: for a call that is sent again, because others in the pool may be as dead as the one that it
    /// was sent over.
    OwnConnection,
    /// What streams of events have.
    Stream,
}

/// How connections are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pool {
    /// Given up once they were idle for so long.
    Kept(Duration),
    Fresh,
}

impl Clients {
    /// Clients for `origin` that give up connections which were idle for `idle`, and trust `extra_roots` besides the
    /// system's.
    pub(crate) fn new(
        origin: Origin,
        endpoints: &[Endpoint],
        idle: Duration,
        extra_roots: &[CertificateDer<'static>],
    ) -> Result<Self, Error> {
        let tls = trusting(&origin, extra_roots)?;
        let calls = client(&origin, Pool::Kept(idle), &tls)?;
        let route = Route::with(origin, &tls)?;
        let streams = if route.origin.is_https() {
            &route.client
        } else {
            &calls
        };
        Ok(Self {
            streams: streams.clone(),
            calls,
            origin_text: route.origin.text(),
            addresses: endpoints
                .iter()
                .map(|endpoint| route.origin.join(&endpoint.path))
                .collect(),
            route,
        })
    }

    /// Whether these are for `origin`.
    pub(crate) fn are_for(&self, origin: &str) -> bool {
        self.origin_text == origin
    }

    /// The way for what is no call.
    pub(crate) fn route(&self) -> &Route {
        &self.route
    }

    /// The error that a sign-in form shows, or a caller gets, in words that name the server, or the proxy before it.
    pub(crate) fn sentence(&self, error: TransportError) -> String {
        self.route.sentence(error)
    }

    /// Sends one call, or subscribes. The reply's head is returned as soon as it is there.
    ///
    /// Not an `async fn`, which would keep its arguments as long as it lives: thousands of calls may wait at a time.
    pub(crate) fn send(
        &self,
        over: Over,
        endpoint: EndpointNumber,
        headers: HeaderMap,
        body: Bytes,
    ) -> impl Future<Output = Result<reqwest::Response, TransportError>> + use<> {
        let client = match over {
            Over::Pool => &self.calls,
            Over::OwnConnection => &self.route.client,
            Over::Stream => &self.streams,
        };
        let address = self.addresses[endpoint.0].clone();
        let mut request = reqwest::Request::new(reqwest::Method::POST, address);
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.into());
        let sending = client.execute(request);
        async move { sending.await.map_err(|error| transport_error(&error)) }
    }
}

/// The place of an endpoint in its protocol's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndpointNumber(pub(crate) usize);

impl Route {
    /// The way to `origin`, trusting `extra_roots` besides the system's.
    pub(crate) fn new(
        origin: Origin,
        extra_roots: &[CertificateDer<'static>],
    ) -> Result<Self, Error> {
        let tls = trusting(&origin, extra_roots)?;
        Self::with(origin, &tls)
    }

    fn with(origin: Origin, tls: &rustls::ClientConfig) -> Result<Self, Error> {
        let proxy = origin
            .may_use_proxy()
            .then(|| SystemProxy::of(&origin.join("/")));
        Ok(Self {
            client: client(&origin, Pool::Fresh, tls)?,
            origin,
            proxy: proxy.flatten(),
        })
    }

    fn sentence(&self, error: TransportError) -> String {
        let proxy = self.proxy.as_ref().map(SystemProxy::name);
        error.sentence(self.origin.host(), proxy)
    }

    /// The error that a sign-in form shows for a request without an answer. Its sentence names the server, or the proxy
    /// before it, and says what to do.
    fn sign_in_error(&self, error: TransportError) -> Error {
        Error::new(sign_in_code(error), self.sentence(error)).caused_by(error.cause())
    }
}

fn trusting(
    origin: &Origin,
    extra_roots: &[CertificateDer<'static>],
) -> Result<rustls::ClientConfig, Error> {
    let tls = if origin.is_https() {
        tls::trusting(extra_roots)
    } else {
        tls::unused()
    };
    tls.map_err(|_| {
        Error::new(
            Code::Certificate,
            "This computer's certificate store cannot be read. Install its root certificates (ca-certificates).",
        )
    })
}

fn client(
    origin: &Origin,
    pool: Pool,
    tls: &rustls::ClientConfig,
) -> Result<reqwest::Client, Error> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .dns_resolver(Resolver)
        // A redirect would carry a token to a place that nobody named.
        .redirect(reqwest::redirect::Policy::none())
        // The only repetition is the one that is decided in the renewal or in sending.rs. reqwest would repeat what the
        // server answers with REFUSED_STREAM or GOAWAY. hyper still repeats a request of which it has written no byte when
        // its connection closed.
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(PING_AFTER)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        // A wake and a change of the network drop idle connections. To ask them every few seconds would keep a laptop awake.
        .http2_keep_alive_while_idle(false);
    builder = match pool {
        Pool::Kept(idle) => builder.pool_idle_timeout(idle),
        Pool::Fresh => builder.pool_max_idle_per_host(0),
    };
    if pool != Pool::Fresh && origin.is_https() {
        builder = builder.connector_layer(OneHandshake::default());
    }
    if !origin.may_use_proxy() {
        builder = builder.no_proxy();
    }
    builder
        .build()
        .map_err(|_| Error::new(Code::Internal, "The HTTP client could not be built."))
}

/// What tokens are exchanged over: no cookies, no redirects, no reused connections, no hidden repetition, a hard limit that
/// closes the connection, and no origin but those that it was made for.
pub(crate) struct AuthClient {
    /// The API's first.
    routes: Vec<Route>,
    clock: ServerClock,
    limit: Duration,
}

impl AuthClient {
    /// For the API's origin. `limit`: that of one attempt.
    pub(crate) fn new(api: Route, clock: ServerClock, limit: Duration) -> Self {
        Self {
            routes: vec![api],
            clock,
            limit,
        }
    }

    /// Allows the issuer's origin, too.
    pub(crate) fn allow(&mut self, route: Route) {
        self.routes.push(route);
    }

    /// How many origins it sends to.
    pub(crate) fn origins(&self) -> usize {
        self.routes.len()
    }

    /// Whether it sends to this origin.
    pub(crate) fn allows(&self, origin: &Origin) -> bool {
        self.routes.iter().any(|route| route.origin == *origin)
    }

    /// Sends a request, and reads the whole answer.
    ///
    /// # Errors
    /// A [`TransportError`] that says what is proven.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answer, TransportError> {
        let (route, address) = self
            .route(&request.to)
            .ok_or(TransportError::ForeignOrigin)?;
        let mut sending = match request.method {
            Method::Get => route.client.get(address),
            Method::Post => route.client.post(address),
        };
        sending = sending
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            // A decoder keeps what it has decoded in buffers that nobody overwrites. Such an answer is a kilobyte.
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for (name, value) in &request.headers {
            let (name, value) = header(name, value).ok_or(TransportError::Connect)?;
            sending = sending.header(name, value);
        }
        let body = match &request.body {
            Body::Empty => None,
            Body::Json(text) => Some((text, "application/json")),
            Body::Form(text) => Some((text, "application/x-www-form-urlencoded")),
        };
        if let Some((text, content_type)) = body {
            sending = sending
                .header(CONTENT_TYPE, HeaderValue::from_static(content_type))
                .body(text.clone());
        }
        self.answer(sending, route).await
    }

    /// The error that a sign-in form shows for a request without an answer.
    pub(crate) fn sign_in_error(&self, to: &Target, error: TransportError) -> Error {
        match self.route(to) {
            Some((route, _)) => route.sign_in_error(error),
            None => Error::new(
                Code::NotThisServer,
                "The server names an address of another server for the sign-in. Ask the person who runs it.",
            )
            .caused_by(error.cause()),
        }
    }

    /// The way to a target, and its address there.
    fn route(&self, to: &Target) -> Option<(&Route, Url)> {
        match to {
            Target::Api(path) => {
                let api = self.routes.first()?;
                Some((api, api.origin.join(path)))
            }
            Target::Address(address) => {
                let mut routes = self.routes.iter();
                let route = routes.find(|route| route.origin.has(address))?;
                Some((route, address.clone()))
            }
        }
    }

    async fn answer(
        &self,
        sending: reqwest::RequestBuilder,
        route: &Route,
    ) -> Result<Answer, TransportError> {
        let limit = self.clock.local().sleep(self.limit);
        tokio::pin!(limit);
        // What has arrived is used, even if its time is up by the time we look: a frozen process finds both.
        let response = tokio::select! {
            biased;
            response = sending.send() => response.map_err(|error| transport_error(&error))?,
            () = &mut limit => return Err(TransportError::Timeout),
        };
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), &self.clock);
        let redirects_to = other_origin(&response, &route.origin);
        let headers = response.headers().clone();
        let (body, chunks) = tokio::select! {
            biased;
            read = read_secret_body(response) => read?,
            () = &mut limit => return Err(TransportError::Truncated),
        };
        clear_read(chunks).await;
        Ok(Answer {
            status,
            retry_after,
            redirects_to,
            headers,
            body: body.slice_ref(without_byte_order_mark(&body)),
        })
    }
}

fn header(name: &str, value: &SecretString) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let mut value = HeaderValue::from_str(value.expose_secret()).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

fn other_origin(response: &reqwest::Response, ours: &Origin) -> Option<String> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let there = response.url().join(location).ok()?;
    let is_other = matches!(there.scheme(), "http" | "https");
    let there = there.origin().ascii_serialization();
    (is_other && there != ours.without_path()).then_some(there)
}

/// Reads an answer that holds tokens, as a copy that is overwritten when it is dropped, and as the chunks in which it came.
async fn read_secret_body(
    mut response: reqwest::Response,
) -> Result<(Bytes, Vec<Bytes>), TransportError> {
    let mut body = ClearedBuffer::default();
    let mut chunks = Vec::new();
    while let Some(chunk) = next_chunk(&mut response).await? {
        if body.len() + chunk.len() > EXCHANGE_BYTES {
            return Err(TransportError::TooLong);
        }
        body.push(&chunk);
        chunks.push(chunk);
    }
    Ok((body.freeze(), chunks))
}

/// How long the connection of this response may be idle, as far as the server says: `Keep-Alive: timeout=5`, in seconds.
pub(crate) fn idle_time(response: &reqwest::Response) -> Option<Duration> {
    if response.version() == Version::HTTP_2 {
        return Some(HTTP2_IDLE);
    }
    let header = response.headers().get(KEEP_ALIVE)?.to_str().ok()?;
    let mut parameters = header.split(',').filter_map(|part| part.split_once('='));
    let (_, seconds) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))?;
    let kept = Duration::from_secs(seconds.trim().parse().ok()?);
    Some(kept.saturating_sub(IDLE_MARGIN).min(LONGEST_IDLE))
}

/// Reads a body to its end, or until it has become longer than `limit` bytes: a chunked one announces no length.
pub(crate) async fn read_body(
    response: &mut reqwest::Response,
    limit: usize,
) -> Result<Bytes, TransportError> {
    let announced = response.content_length().unwrap_or(0);
    if announced > limit as u64 {
        return Err(TransportError::TooLong);
    }
    let Some(first) = next_chunk(response).await? else {
        return Ok(Bytes::new());
    };
    if first.len() as u64 == announced {
        return Ok(first);
    }
    let mut body =
        BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0).max(first.len()));
    let mut next = Some(first);
    while let Some(chunk) = next {
        if body.len() + chunk.len() > limit {
            return Err(TransportError::TooLong);
        }
        body.extend_from_slice(&chunk);
        next = next_chunk(response).await?;
    }
    Ok(body.freeze())
}

async fn next_chunk(response: &mut reqwest::Response) -> Result<Option<Bytes>, TransportError> {
    response
        .chunk()
        .await
        .map_err(|_| TransportError::Truncated)
}

/// The server's clock in a Date header.
pub(crate) fn header_date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    Timestamp::try_from(date).ok()
}

/// Retry-After in both its forms (RFC 9110, section 10.2.3): seconds, or a date by the server's clock, of which the
/// Date header beside it is taken note. One that has passed, or that is neither, asks for nothing.
pub(crate) fn retry_after(headers: &HeaderMap, clock: &ServerClock) -> Option<Duration> {
    let date = header_date(headers);
    if let Some(date) = date {
        clock.learn(date);
    }
    // Without a Date header (a proxy's own answer), the clock that the server has shown before.
    let learned = || Timestamp::from_millisecond(clock.now().ms());
    let server_now = date.map_or_else(learned, Ok).unwrap_or(Timestamp::MAX);
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = if let Ok(seconds) = value.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let date = Timestamp::try_from(httpdate::parse_http_date(value).ok()?).ok()?;
        Duration::try_from(date.duration_since(server_now)).unwrap_or(Duration::ZERO)
    };
    (!pause.is_zero()).then(|| pause.min(RETRY_AFTER_CAP))
}

fn transport_error(error: &reqwest::Error) -> TransportError {
    let causes = || successors(error.source(), |error| next_cause(*error));
    if !error.is_connect() {
        return if causes().any(is_refused_stream) {
            TransportError::StreamRefused
        } else {
            TransportError::ConnectionLost
        };
    }
    // From outside in: what a tunnel through a proxy says about the proxy comes before what lies below.
    let known = causes().find_map(|cause| {
        let certificate = || cause.downcast_ref::<rustls::Error>().map(tls::failure);
        // hyper-util's resolver error is a private type; its text is all there is.
        let name = || (cause.to_string().starts_with("dns error")).then_some(TransportError::Dns);
        proxy::failure(cause).or_else(certificate).or_else(name)
    });
    known.unwrap_or(TransportError::Connect)
}

/// Whether the server says that it did not look at the request: it refuses the stream, or was shutting down when the
/// request arrived (RFC 9113, section 8.7). Only a GOAWAY without an error: h2 reports any other one also to streams that
/// the server has looked at.
fn is_refused_stream(cause: &(dyn StdError + 'static)) -> bool {
    cause.downcast_ref::<h2::Error>().is_some_and(|error| {
        let reason = error.reason();
        error.is_remote()
            && (error.is_reset() && reason == Some(h2::Reason::REFUSED_STREAM)
                || error.is_go_away() && reason == Some(h2::Reason::NO_ERROR))
    })
}

/// What an error was made of. An I/O error hides the error that it wraps: its `source` is already the one below that.
fn next_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let wrapped = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    match wrapped {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// The code with which a sign-in form shows it.
fn sign_in_code(error: TransportError) -> Code {
    match error {
        TransportError::Dns => Code::HostNotFound,
        TransportError::CertificateUntrusted
        | TransportError::CertificateExpired
        | TransportError::CertificateNotYetValid
        | TransportError::CertificateOtherName
        | TransportError::Tls => Code::Certificate,
        _ => Code::NoAnswer,
    }
}
