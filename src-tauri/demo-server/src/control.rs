//! The switches over HTTP, for the tests of the real window and the walk through the demo; and the switches that stand
//! before every request.
//!
//! A web page must not turn switches. The doorway refuses those of other sites; requests here need a header besides, which
//! a page cannot send without asking first, and no answer allows that.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Map, Value, json};

use crate::switch_state::{Calls, SwitchState};
use crate::wire::{Wire, close_connection, json as json_answer, page, plain_error};

/// Header that every request here must carry, with the value `1`.
const CONTROL_HEADER: &str = "x-demo-control";

const UNAVAILABLE_PAGE: &str =
    "<!doctype html><title>503</title><h1>Service temporarily unavailable</h1>";

/// Routes under `/demo`.
pub(crate) fn router() -> Router<Arc<Wire>> {
    Router::new()
        .route("/demo/switches", post(change).get(state))
        .route("/demo/counts", get(counts))
        .layer(middleware::from_fn(guard))
}

/// `unavailable` and `drop: all`.
pub(crate) async fn faults(
    State(wire): State<Arc<Wire>>,
    request: Request,
    next: Next,
) -> Response {
    let SwitchState {
        unavailable, drop, ..
    } = wire.switches.state();
    if drop == Some(Calls::All) {
        wire.switches.counting.dropped();
        return close_connection();
    }
    if unavailable {
        return page(
            StatusCode::SERVICE_UNAVAILABLE,
            UNAVAILABLE_PAGE.to_owned(),
            None,
        );
    }
    next.run(request).await
}

async fn guard(request: Request, next: Next) -> Response {
    let named = request.headers().get(CONTROL_HEADER);
    if named.is_none_or(|value| value != "1") {
        return plain_error(
            StatusCode::FORBIDDEN,
            "The demo's switches are not for web pages",
            "Forbidden",
        );
    }
    next.run(request).await
}

async fn state(State(wire): State<Arc<Wire>>) -> Response {
    json_answer(StatusCode::OK, &json!(wire.switches.state()))
}

async fn counts(State(wire): State<Arc<Wire>>) -> Response {
    json_answer(StatusCode::OK, &json!(wire.switches.counts()))
}

/// Changes the switches that the body names, does what it asks to be done, and answers how all switches stand.
async fn change(State(wire): State<Arc<Wire>>, body: Bytes) -> Response {
    match changed(&wire, &body).await {
        Ok(()) => state(State(wire)).await,
        Err(message) => plain_error(StatusCode::BAD_REQUEST, &message, "Bad Request"),
    }
}

async fn changed(wire: &Wire, body: &[u8]) -> Result<(), String> {
    let mut asked: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let mut asks = |name: &str| {
        asked
            .remove(name)
            .is_some_and(|value| value == Value::Bool(true))
    };
    let [reset, expire, revoke, reset_counts] = [
        "reset",
        "expireAccessTokens",
        "revokeRefreshTokens",
        "resetCounts",
    ]
    .map(&mut asks);

    let base = if reset {
        SwitchState::default()
    } else {
        wire.switches.state()
    };
    let mut merged = json!(base);
    for (name, value) in asked {
        merged[name] = value;
    }
    let state: SwitchState = serde_json::from_value(merged).map_err(|error| error.to_string())?;
    wire.switches.change(|current| *current = state);
    if expire {
        wire.switches
            .expire_access_tokens()
            .await
            .map_err(|error| error.to_string())?;
    }
    if revoke {
        wire.switches
            .revoke_refresh_tokens()
            .await
            .map_err(|error| error.to_string())?;
    }
    if reset_counts {
        wire.switches.reset_counts();
    }
    Ok(())
}
