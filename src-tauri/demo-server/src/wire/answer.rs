//! Answers in Twenty's shapes. Errors come first; `data` is absent where nothing ran, and null where a resolver that
//! must answer did not.

use async_graphql::parser::Pos;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};

use crate::refusal::Refusal;

const JSON: &str = "application/json; charset=utf-8";
/// Refusals that come from the layer before GraphQL say it without a character set.
const BARE_JSON: &str = "application/json";
const GRAPHQL_JSON: &str = "application/graphql-response+json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain;charset=UTF-8";

/// Mark on a response that is not sent: its connection is closed without a byte.
#[derive(Debug, Clone)]
pub(crate) struct CloseConnection;

/// The first error's message, for the ledger.
#[derive(Debug, Clone)]
pub(super) struct FirstMessage(pub(super) String);

/// An error before execution: a message and where in the query.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locations: Vec<Pos>,
}

impl Problem {
    pub(super) fn plain(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            locations: Vec::new(),
        }
    }

    pub(super) fn at(message: impl Into<String>, at: Pos) -> Self {
        Self {
            message: message.into(),
            locations: vec![at],
        }
    }
}

/// The media type that the client prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    /// `application/graphql-response+json`: also a real status for queries that do not validate.
    GraphqlResponse,
}

impl Form {
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let accept = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if accept.contains("application/graphql-response+json") {
            Self::GraphqlResponse
        } else {
            Self::Json
        }
    }

    /// The query itself is wrong; nothing ran.
    pub(super) fn problems(self, problems: &[Problem]) -> Box<Response> {
        let status = if self == Self::GraphqlResponse {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::OK
        };
        let first = problems
            .first()
            .map(|problem| problem.message.clone())
            .unwrap_or_default();
        let body = Envelope {
            errors: Some(problems),
            data: None::<Value>,
        };
        Box::new(named(first, send(status, self.media_type(), &body)))
    }

    /// The outcome of an execution. `Ok` is one without errors.
    pub(super) fn executed(
        self,
        response: async_graphql::Response,
    ) -> Result<Response, Box<Response>> {
        match Executed::from(response) {
            Executed::Fine(data) => Ok(send(
                StatusCode::OK,
                self.media_type(),
                &Envelope::fine(data),
            )),
            Executed::Invalid(problems) => Err(self.problems(&problems)),
            Executed::Failed(errors, data) => {
                let first = errors[0]["message"].as_str().unwrap_or_default().to_owned();
                let body = Envelope {
                    errors: Some(errors),
                    data: Some(data),
                };
                let response = send(StatusCode::OK, self.media_type(), &body);
                Err(Box::new(named(first, response)))
            }
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::GraphqlResponse => GRAPHQL_JSON,
        }
    }
}

/// What an execution comes to, in Twenty's shapes.
enum Executed {
    Fine(async_graphql::Value),
    /// The query itself is wrong; nothing ran.
    Invalid(Vec<Problem>),
    /// Errors of resolvers, at least one, and the data beside them.
    Failed(Vec<Value>, async_graphql::Value),
}

impl From<async_graphql::Response> for Executed {
    fn from(response: async_graphql::Response) -> Self {
        if response.errors.is_empty() {
            return Self::Fine(response.data);
        }
        if response
            .errors
            .iter()
            .all(|error| error.path.is_empty() && error.extensions.is_none())
        {
            let mut problems: Vec<Problem> = response
                .errors
                .iter()
                .map(|error| Problem {
                    message: as_graphql_js(&error.message),
                    locations: error.locations.clone(),
                })
                .collect();
            problems.dedup();
            return Self::Invalid(problems);
        }
        // Fields that may be null note their own path; an error without one comes from a root that must answer.
        let data = if response.errors.iter().any(|error| error.path.is_empty()) {
            async_graphql::Value::Null
        } else {
            response.data
        };
        let errors = response
            .errors
            .into_iter()
            .map(|error| match error.extensions {
                Some(extensions) => json!({ "message": error.message, "extensions": extensions }),
                None => {
                    let refusal = Refusal::internal(error.message);
                    json!({ "message": refusal.message, "extensions": refusal.extensions })
                }
            })
            .collect();
        Self::Failed(errors, data)
    }
}

/// One result of a subscription, as text.
pub(super) fn result(response: async_graphql::Response) -> String {
    let text = match Executed::from(response) {
        Executed::Fine(data) => serde_json::to_string(&Envelope::fine(data)),
        Executed::Invalid(problems) => serde_json::to_string(&json!({ "errors": problems })),
        Executed::Failed(errors, data) => serde_json::to_string(&Envelope {
            errors: Some(errors),
            data: Some(data),
        }),
    };
    text.unwrap_or_default()
}

/// Keys in the order in which Twenty writes them.
#[derive(Serialize)]
struct Envelope<E, D> {
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<E>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<D>,
}

impl<D> Envelope<Value, D> {
    fn fine(data: D) -> Self {
        Self {
            errors: None,
            data: Some(data),
        }
    }
}

/// The bearer was refused before anything ran: no `data`.
pub(super) fn before_execution(refusal: &Refusal) -> Box<Response> {
    let body =
        json!({ "errors": [{ "message": refusal.message, "extensions": refusal.extensions }] });
    Box::new(named(
        refusal.message.clone(),
        send(StatusCode::OK, BARE_JSON, &body),
    ))
}

/// A resolver that must answer refused: `data` is null.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let errors = json!([{ "message": refusal.message, "extensions": refusal.extensions }]);
    send(
        StatusCode::OK,
        JSON,
        &Envelope {
            errors: Some(errors),
            data: Some(Value::Null),
        },
    )
}

pub(super) fn bad_variables(refusal: &Refusal) -> Box<Response> {
    let body =
        json!({ "errors": [{ "message": refusal.message, "extensions": refusal.extensions }] });
    Box::new(named(
        refusal.message.clone(),
        send(StatusCode::BAD_REQUEST, JSON, &body),
    ))
}

pub(super) fn post_needed() -> Box<Response> {
    let message = "Can only perform a mutation operation from a POST request.";
    let body = json!({ "errors": [{ "message": message }] });
    let mut response = send(StatusCode::METHOD_NOT_ALLOWED, JSON, &body);
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("POST"));
    Box::new(response)
}

/// Subscriptions are answered as a stream of events, or not at all.
pub(super) fn stream_needed() -> Box<Response> {
    let mut response = empty(StatusCode::NOT_ACCEPTABLE);
    response.headers_mut().insert(
        header::ACCEPT,
        HeaderValue::from_static("text/event-stream"),
    );
    Box::new(response)
}

/// The crash that Twenty has for metadata without a workspace.
pub(super) fn crashed() -> Box<Response> {
    let text = "InternalServerError: Workspace is not defined\n    at computeCacheKey (server)";
    Box::new(response(
        StatusCode::INTERNAL_SERVER_ERROR,
        TEXT,
        text.to_owned(),
    ))
}

/// An error of the web framework below GraphQL.
pub(crate) fn plain_error(status: StatusCode, message: &str, name: &str) -> Response {
    json(
        status,
        &json!({ "statusCode": status.as_u16(), "message": message, "error": name }),
    )
}

pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    send(status, JSON, body)
}

pub(crate) fn page(status: StatusCode, html: String, retry_after: Option<&str>) -> Response {
    let mut page = response(status, HTML, html);
    if let Some(value) = retry_after.and_then(|value| HeaderValue::from_str(value).ok()) {
        page.headers_mut().insert(header::RETRY_AFTER, value);
    }
    page
}

pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

pub(crate) fn close_connection() -> Response {
    let mut response = empty(StatusCode::INTERNAL_SERVER_ERROR);
    response.extensions_mut().insert(CloseConnection);
    response
}

fn send(status: StatusCode, media_type: &'static str, body: &impl Serialize) -> Response {
    response(
        status,
        media_type,
        serde_json::to_string(body).unwrap_or_default(),
    )
}

fn response(status: StatusCode, media_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Notes the first error's message, for the ledger.
pub(crate) fn named(message: String, mut response: Response) -> Response {
    response.extensions_mut().insert(FirstMessage(message));
    response
}

/// Clients recognise some validation errors by their text, which is that of the reference implementation.
fn as_graphql_js(message: &str) -> String {
    let quoted: Vec<&str> = message.split('"').collect();
    match quoted.as_slice() {
        ["Unknown field ", field, " on type ", ty, ..] => {
            format!("Cannot query field \"{field}\" on type \"{ty}\".")
        }
        [
            "Unknown argument ",
            argument,
            " on field ",
            field,
            " of type ",
            ty,
            ..,
        ] => {
            format!("Unknown argument \"{argument}\" on field \"{ty}.{field}\".")
        }
        [
            "Field ",
            field,
            " argument ",
            argument,
            " of type ",
            ty,
            " is required but not provided",
        ] => {
            let field = field.rsplit('.').next().unwrap_or(field);
            format!(
                "Field \"{field}\" argument \"{argument}\" of type \"{ty}\" is required, but it was not provided."
            )
        }
        _ if message.ends_with('.') => message.to_owned(),
        _ => format!("{message}."),
    }
}
