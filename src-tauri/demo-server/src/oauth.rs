//! OAuth 2 as Twenty 2.21 has it: what the server says about itself, registration, the browser's pages, tokens and their
//! revocation. Without the switch `offersOauth` none of it is there, as at servers before 2026.

pub(crate) mod authorize;
pub(crate) mod clients;
pub(crate) mod pages;
pub(crate) mod refusal;
pub(crate) mod state;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::auth::LinkSeen;
use crate::auth::application::ApplicationTokens;
use crate::refusal::Refusal;
use crate::wire::{Wire, close_connection, json as json_answer, named, plain_error};
use clients::CLI_CLIENT_ID;
use refusal::OAuthRefusal;

/// Every application gets these scopes. The ones that it asks for are not read.
const SCOPE: &str = "api profile";

/// All routes.
pub(crate) fn router(wire: &Arc<Wire>) -> Router<Arc<Wire>> {
    Router::new()
        .route("/.well-known/oauth-authorization-server", get(discovery))
        .route("/oauth/register", post(register))
        .route(pages::ACTION, get(authorize::begin).post(authorize::go_on))
        .route("/oauth/token", post(token))
        .route("/oauth/revoke", post(revoke))
        .layer(middleware::from_fn_with_state(Arc::clone(wire), offered))
}

async fn offered(State(wire): State<Arc<Wire>>, request: Request, next: Next) -> Response {
    if wire.switches.state().offers_oauth {
        return next.run(request).await;
    }
    let message = format!("Cannot {} {}", request.method(), request.uri().path());
    plain_error(StatusCode::NOT_FOUND, &message, "Not Found")
}

/// The server is its own issuer, under the name by which it was asked.
async fn discovery(headers: HeaderMap) -> Response {
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let issuer = format!("http://{host}");
    let document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}{}", pages::ACTION),
        "token_endpoint": format!("{issuer}/oauth/token"),
        "registration_endpoint": format!("{issuer}/oauth/register"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "introspection_endpoint": format!("{issuer}/oauth/introspect"),
        "scopes_supported": ["api", "profile"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "none"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_post"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_post"],
        // 2.21 says so, and sends none.
        "authorization_response_iss_parameter_supported": true,
        "cli_client_id": CLI_CLIENT_ID,
    });
    json_answer(StatusCode::OK, &document)
}

/// What an application says about itself (RFC 7591, section 2).
#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    client_name: String,
    #[serde(default)]
    redirect_uris: Vec<String>,
}

async fn register(
    State(wire): State<Arc<Wire>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OAuthRefusal> {
    let metadata: Metadata = serde_json::from_slice(&body)
        .map_err(|error| OAuthRefusal::client_metadata(error.to_string()))?;
    let Metadata {
        client_name,
        redirect_uris,
    } = metadata;
    let now = wire.auth.now();
    let clients = &wire.oauth.clients;
    let id = clients.register(&client_name, &redirect_uris, now).await?;
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let registered = json!({
        "client_id": id,
        "client_name": client_name,
        "redirect_uris": redirect_uris,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "scope": SCOPE,
        "client_id_issued_at": now / 1_000,
        "registration_client_uri": format!("http://{host}/oauth/register/{id}"),
    });
    Ok(unstored(json_answer(StatusCode::CREATED, &registered)))
}

/// Answers in a task of its own: a client that hangs up does not stop what it began, as at a real server.
async fn token(State(wire): State<Arc<Wire>>, headers: HeaderMap, body: Bytes) -> Response {
    let fields = Fields::read(&headers, &body);
    let task = tokio::spawn(async move {
        match fields.of("grant_type") {
            "authorization_code" => match exchange_code(&wire, &fields).await {
                Ok(tokens) => issued(&tokens),
                Err(refusal) => refused(&refusal),
            },
            "refresh_token" => renew(&wire, &fields).await,
            "client_credentials" => refused(&OAuthRefusal::unauthorized_client(
                "This client has no secret",
            )),
            _ => refused(&OAuthRefusal::unsupported_grant()),
        }
    });
    task.await.unwrap_or_else(|_| close_connection())
}

async fn exchange_code(wire: &Wire, fields: &Fields) -> Result<ApplicationTokens, OAuthRefusal> {
    let client_id = known_client(wire, fields).await?;
    let subject = wire.oauth.redeem_code(
        fields.of("code"),
        &client_id,
        fields.of("redirect_uri"),
        fields.of("code_verifier"),
        wire.auth.now(),
    )?;
    let tokens = wire.auth.issue_to_application(subject, &client_id, None);
    Ok(tokens.await?)
}

/// Between the switches for renewals, like one over GraphQL.
async fn renew(wire: &Wire, fields: &Fields) -> Response {
    let seen: LinkSeen = Arc::new(Mutex::new(None));
    let work = async {
        let renewed = async {
            let client_id = known_client(wire, fields).await?;
            let refresh_token = fields.of("refresh_token");
            let renewal = wire
                .auth
                .renew_for_application(refresh_token, &client_id, &seen);
            renewal.await
        };
        match renewed.await {
            Ok(tokens) => Ok(issued(&tokens)),
            Err(refusal) => Err(Box::new(refused(&refusal))),
        }
    };
    let link = || *seen.lock().unwrap_or_else(PoisonError::into_inner);
    wire.renewal(chosen, work, link).await
}

async fn revoke(
    State(wire): State<Arc<Wire>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OAuthRefusal> {
    let fields = Fields::read(&headers, &body);
    let client_id = known_client(&wire, &fields).await?;
    let token = fields.of("token");
    if wire.auth.revoke_for_application(token, &client_id).await? {
        wire.switches.counting.application_revoked();
    }
    Ok(unstored(json_answer(StatusCode::OK, &json!({}))))
}

async fn known_client(wire: &Wire, fields: &Fields) -> Result<String, OAuthRefusal> {
    let client = wire.oauth.clients.find(fields.of("client_id")).await?;
    client
        .map(|client| client.id)
        .ok_or_else(OAuthRefusal::unknown_client)
}

/// The fields of a request, as a form or as JSON.
struct Fields(HashMap<String, String>);

impl Fields {
    fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if !content_type.starts_with("application/json") {
            return Self(form_urlencoded::parse(body).into_owned().collect());
        }
        let object: HashMap<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        let texts = object.into_iter().filter_map(|(name, value)| match value {
            Value::String(text) => Some((name, text)),
            _ => None,
        });
        Self(texts.collect())
    }

    fn of(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }
}

fn issued(tokens: &ApplicationTokens) -> Response {
    let body = json!({
        "access_token": tokens.access,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in,
        "refresh_token": tokens.refresh,
        "scope": SCOPE,
    });
    unstored(json_answer(StatusCode::OK, &body))
}

fn refused(refusal: &OAuthRefusal) -> Response {
    let OAuthRefusal {
        status,
        error,
        description,
    } = refusal;
    let body = json!({ "error": error, "error_description": description });
    named(description.clone(), unstored(json_answer(*status, &body)))
}

/// The answer that the switch `refuseRenewals` has chosen: its code is the error here.
fn chosen(refusal: &Refusal) -> Response {
    let body = json!({ "error": refusal.extensions["code"], "error_description": refusal.message });
    unstored(json_answer(StatusCode::BAD_REQUEST, &body))
}

fn unstored(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

impl axum::response::IntoResponse for OAuthRefusal {
    fn into_response(self) -> Response {
        refused(&self)
    }
}
