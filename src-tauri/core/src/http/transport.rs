//! One request at a time: pooled connections for calls, a fresh connection for every exchange of tokens.

use std::error::Error as StdError;
use std::iter::successors;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use url::Url;

use super::{Answer, Endpoint, Origin, Request, TransportError};
use crate::clock::ServerClock;
use crate::error::{Code, Error};

/// Connecting takes a packet's round trip or two; ten seconds is a network that is not there.
const CONNECT: Duration = Duration::from_secs(10);

/// Longest answer to an exchange that is read. A real one is 1.2 kB.
const EXCHANGE_BYTES: usize = 1 << 20;

/// Longest pause that a server can ask for with Retry-After: a wrong header must not silence an application for hours.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(600);

/// The HTTP clients for one origin: pooled connections for calls, and a fresh connection for every exchange.
#[derive(Clone)]
pub(crate) struct Clients {
    calls: reqwest::Client,
    exchanges: reqwest::Client,
    origin: Origin,
    /// The origin as text, to compare with at every call.
    origin_text: String,
    /// Where the protocol's calls go.
    addresses: Vec<(Endpoint, Url)>,
}

impl Clients {
    /// Clients for `origin` that give up connections which were idle for `idle`.
    pub(crate) fn new(
        origin: Origin,
        endpoints: &[Endpoint],
        idle: Duration,
    ) -> Result<Self, Error> {
        let tls = tls(&origin).map_err(|_| {
            Error::new(
                Code::Certificate,
                "This computer's certificate store cannot be read. Install its root certificates (ca-certificates).",
            )
        })?;
        let client = |kept: usize| {
            let mut builder = reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                // A redirect would carry a token to a place that nobody named.
                .redirect(reqwest::redirect::Policy::none())
                // The only repetition is the one that is decided in the renewal or in sending.rs.
                .retry(reqwest::retry::never())
                .connect_timeout(CONNECT)
                .pool_idle_timeout(idle)
                .pool_max_idle_per_host(kept);
            if !origin.is_https() {
                // Loopback: a proxy would see the tokens in the clear.
                builder = builder.no_proxy();
            }
            builder
                .build()
                .map_err(|_| Error::new(Code::Internal, "The HTTP client could not be built."))
        };
        Ok(Self {
            calls: client(usize::MAX)?,
            exchanges: client(0)?,
            origin_text: origin.text(),
            addresses: endpoints
                .iter()
                .map(|endpoint| (*endpoint, origin.join(endpoint.path)))
                .collect(),
            origin,
        })
    }

    /// Whether these are for `origin`.
    pub(crate) fn are_for(&self, origin: &str) -> bool {
        self.origin_text == origin
    }

    /// The exchange side, with the limit of one attempt.
    pub(crate) fn auth_client(&self, clock: ServerClock, limit: Duration) -> AuthClient {
        AuthClient {
            client: self.exchanges.clone(),
            origin: self.origin.clone(),
            clock,
            limit,
        }
    }

    /// Sends one call. The reply's head is returned as soon as it is there.
    ///
    /// Not an `async fn`, which would keep its arguments as long as it lives: thousands of calls may wait at a time.
    pub(crate) fn call(
        &self,
        endpoint: &Endpoint,
        headers: HeaderMap,
        body: Bytes,
    ) -> impl Future<Output = Result<reqwest::Response, TransportError>> + use<> {
        let known = self.addresses.iter().find(|(known, _)| known == endpoint);
        let address = known.map_or_else(
            || self.origin.join(endpoint.path),
            |(_, address)| address.clone(),
        );
        let mut request = reqwest::Request::new(Method::POST, address);
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.into());
        let sending = self.calls.execute(request);
        async move { sending.await.map_err(|error| transport_error(&error)) }
    }
}

fn tls(origin: &Origin) -> Result<rustls::ClientConfig, rustls::Error> {
    use rustls_platform_verifier::BuilderVerifierExt;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?;
    // A loopback server without TLS needs no root certificates, and reading them takes longer than a call.
    let builder = if origin.is_https() {
        builder.with_platform_verifier()?
    } else {
        builder.with_root_certificates(rustls::RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

/// What a protocol exchanges tokens over: no Authorization, no cookies, no redirects, no reused connections, no hidden
/// repetition, and a hard limit that closes the connection.
pub struct AuthClient {
    client: reqwest::Client,
    origin: Origin,
    clock: ServerClock,
    limit: Duration,
}

impl AuthClient {
    /// The origin it talks to.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Posts and reads the whole answer.
    ///
    /// # Errors
    /// A [`TransportError`] that says what is proven.
    pub async fn post(&self, request: &Request) -> Result<Answer, TransportError> {
        let sending = self
            .client
            .post(self.origin.join(request.path))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("accept", "application/json")
            .body(request.body.clone());
        self.answer(sending).await
    }

    /// Gets and reads the whole answer; for discovery only.
    ///
    /// # Errors
    /// A [`TransportError`] that says what is proven.
    pub async fn get(&self, path: &str) -> Result<Answer, TransportError> {
        self.answer(self.client.get(self.origin.join(path))).await
    }

    async fn answer(&self, sending: reqwest::RequestBuilder) -> Result<Answer, TransportError> {
        let limit = self.clock.local().sleep(self.limit);
        tokio::pin!(limit);
        // What has arrived is used, even if its time is up by the time we look: a frozen process finds both.
        let mut response = tokio::select! {
            biased;
            response = sending.send() => response.map_err(|error| transport_error(&error))?,
            () = &mut limit => return Err(TransportError::Timeout),
        };
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), &self.clock);
        let body = tokio::select! {
            biased;
            body = read_body(&mut response, EXCHANGE_BYTES) => body?,
            () = &mut limit => return Err(TransportError::Truncated),
        };
        Ok(Answer {
            status,
            retry_after,
            body,
        })
    }
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
    if !error.is_connect() {
        return TransportError::ConnectionLost;
    }
    let causes = || successors(error.source(), |error| next_cause(*error));
    if causes().any(|cause| cause.is::<rustls::Error>()) {
        TransportError::Tls
    } else if causes().any(|cause| cause.to_string().starts_with("dns error")) {
        // hyper-util's resolver error is a private type; its text is all there is.
        TransportError::Dns
    } else {
        TransportError::Connect
    }
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
