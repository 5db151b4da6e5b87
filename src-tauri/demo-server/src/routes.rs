//! Which path leads where. The switches that concern every request stand before all of them.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use axum::routing::{any, get};
use axum::{Router, middleware};
use serde_json::{Value, json};

use crate::control;
use crate::doorway;
use crate::graphql::Endpoint;
use crate::oauth;
use crate::wire::{Wire, detached, json as json_answer, plain_error};

/// All routes.
pub(crate) fn router(wire: Arc<Wire>, with_control: bool) -> Router {
    let mut router = Router::new()
        .route("/graphql", any(graphql))
        .route("/metadata", any(metadata))
        .route("/healthz", get(healthz))
        .route("/client-config", get(client_config))
        .merge(oauth::router(&wire))
        .fallback(not_found)
        // It is bounded where it is received.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(
            Arc::clone(&wire),
            control::faults,
        ));
    if with_control {
        // Outside the faults: the switches can always be turned back.
        router = router.merge(control::router());
    }
    router
        .layer(middleware::from_fn_with_state(
            Arc::clone(&wire),
            doorway::whole_body,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&wire),
            doorway::no_web_pages,
        ))
        .with_state(wire)
}

async fn graphql(
    wire: State<Arc<Wire>>,
    method: Method,
    headers: HeaderMap,
    query: RawQuery,
    body: Bytes,
) -> Response {
    detached(wire.0, Endpoint::Graphql, method, headers, query.0, body).await
}

async fn metadata(
    wire: State<Arc<Wire>>,
    method: Method,
    headers: HeaderMap,
    query: RawQuery,
    body: Bytes,
) -> Response {
    detached(wire.0, Endpoint::Metadata, method, headers, query.0, body).await
}

async fn healthz() -> Response {
    json_answer(
        StatusCode::OK,
        &json!({ "status": "ok", "info": {}, "error": {}, "details": {} }),
    )
}

/// What a client must know before anybody has signed in: in the words of 2.21 where it has OAuth 2, and of 1.6 before.
async fn client_config(State(wire): State<Arc<Wire>>) -> Response {
    let mut config = json!({
        "authProviders": { "google": false, "magicLink": false, "password": true, "microsoft": false, "sso": [] },
        "signInPrefilled": true,
        "isMultiWorkspaceEnabled": false,
        "isEmailVerificationRequired": false,
        "analyticsEnabled": false,
        "support": { "supportDriver": "NONE" },
        "api": { "mutationMaximumAffectedRecords": 100 },
    });
    let of_release = if wire.switches.state().offers_oauth {
        json!({
            "defaultSubdomain": "app",
            "frontDomain": "127.0.0.1",
            "publicFunctionDomain": null,
            "billing": { "isBillingEnabled": false, "trialPeriods": [] },
            "aiModels": [],
            "captcha": {},
            "sentry": {},
            "canManageFeatureFlags": false,
            "publicFeatureFlags": [],
            "isAttachmentPreviewEnabled": true,
            "isMicrosoftMessagingEnabled": false,
            "isMicrosoftCalendarEnabled": false,
            "isGoogleMessagingEnabled": false,
            "isGoogleCalendarEnabled": false,
            "isConfigVariablesInDbEnabled": false,
            "isImapSmtpCaldavEnabled": false,
            "isEmailingDomainInDemoMode": true,
            "allowRequestsToTwentyIcons": false,
            "isCloudflareIntegrationEnabled": false,
            "isClickHouseConfigured": false,
            "isWorkspaceSchemaDDLLocked": false,
            "enterpriseInstanceType": "production",
        })
    } else {
        json!({
            "appVersion": "1.6.0",
            "defaultSubdomain": null,
            "frontDomain": format!("127.0.0.1:{}", wire.port),
            "captcha": { "provider": null, "siteKey": null },
        })
    };
    if let (Some(config), Value::Object(of_release)) = (config.as_object_mut(), of_release) {
        config.extend(of_release);
    }
    json_answer(StatusCode::OK, &config)
}

async fn not_found(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    plain_error(
        StatusCode::NOT_FOUND,
        &format!("Cannot {method} {}", uri.path()),
        "Not Found",
    )
}
