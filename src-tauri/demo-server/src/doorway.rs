//! What stands before every route: who may ask at all, and how long a request may take to arrive.
//!
//! A web page in any browser can send requests to the loopback address, and through a name server of its own it can even
//! read the answers (DNS rebinding). Such a request names another `Host`, or an `Origin`.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::oauth::pages::ACTION;
use crate::wire::{Wire, close_connection, plain_error};

/// Longest request that is read, in bytes: more than what a session sends at most by default.
const LONGEST_REQUEST: usize = 32 << 20;

/// Refuses web pages, but for the server's own page of the sign-in.
pub(crate) async fn no_web_pages(
    State(wire): State<Arc<Wire>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let is_own = is_own_host(headers, wire.port);
    if !is_own || !(has_no_origin(headers) || is_own_form(request.uri().path(), headers)) {
        return plain_error(
            StatusCode::FORBIDDEN,
            "The demo server is not for web pages",
            "Forbidden",
        );
    }
    next.run(request).await
}

/// Receives the whole body before anything looks at it, and closes the connection of one that does not arrive.
pub(crate) async fn whole_body(
    State(wire): State<Arc<Wire>>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LONGEST_REQUEST);
    match tokio::time::timeout(wire.body_wait, body).await {
        Ok(Ok(body)) => next.run(Request::from_parts(head, Body::from(body))).await,
        Ok(Err(_)) => plain_error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request entity too large",
            "Payload Too Large",
        ),
        Err(_) => close_connection(),
    }
}

fn has_no_origin(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::ORIGIN)
}

/// A form of the page of the sign-in, which the server itself has shown under this name.
fn is_own_form(path: &str, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (origin, host) = (text(header::ORIGIN), text(header::HOST));
    path == ACTION && host.is_some_and(|host| origin == Some(&*format!("http://{host}")))
}

/// This computer under a name that nobody else can have: browsers and resolvers take all of `localhost` for it.
fn is_own_host(headers: &HeaderMap, port: u16) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let name = host.strip_suffix(&format!(":{port}"));
    name.is_some_and(|name| {
        let name = name.to_ascii_lowercase();
        matches!(&*name, "127.0.0.1" | "localhost") || name.ends_with(".localhost")
    })
}
