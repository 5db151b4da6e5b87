//! The server: answers every request at once with as many bytes as its header asks for, and lets a page of another origin
//! ask. It looks at no token.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

/// Asks for a reply of this length, in bytes. The session lets headers of this kind through.
pub(crate) const LENGTH_HEADER: &str = "x-bytes";

/// The shortest reply: the envelope of a JSON string.
const ENVELOPE: [&str; 2] = [r#"{"data":{"text":""#, r#""}}"#];

/// A browser asks once for permission, and remembers the answer for this many seconds: the most that WebKit believes.
const PERMISSION_SECONDS: &str = "600";

/// What the server does until its standard input ends, as it does with the process that started it.
pub(crate) async fn serve() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("http://{}", listener.local_addr().expect("an address"));
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    let router = Router::new()
        .route("/graphql", post(answer).options(permit))
        .route("/permissions", get(permissions))
        .layer(DefaultBodyLimit::disable())
        .with_state(Asked::default());
    axum::serve(listener, router).await.expect("serves");
}

/// How often a page's browser asked for permission (a preflight).
type Asked = Arc<AtomicU32>;

async fn answer(headers: HeaderMap, _request: Bytes) -> impl IntoResponse {
    let asked = headers
        .get(LENGTH_HEADER)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let [begin, end] = ENVELOPE;
    let Some(filling) = asked.and_then(|length| length.checked_sub(begin.len() + end.len())) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let head = [
        (header::CONTENT_TYPE, "application/json"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (head, [begin, &"x".repeat(filling), end].concat()).into_response()
}

async fn permit(State(asked): State<Asked>) -> impl IntoResponse {
    asked.fetch_add(1, Ordering::Relaxed);
    [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, x-bytes",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, PERMISSION_SECONDS),
    ]
}

async fn permissions(State(asked): State<Asked>) -> impl IntoResponse {
    let head = [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (head, asked.load(Ordering::Relaxed).to_string())
}
