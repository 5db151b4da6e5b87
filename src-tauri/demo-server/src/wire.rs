//! One request on `/graphql` or `/metadata`, from bytes to bytes, in the order in which Twenty looks at things: body,
//! bearer, query, variables, execution. The switches stand before and after.

mod answer;
mod document;
mod form;
mod stream;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_graphql::{Request, UploadValue};
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::accounts::DEMO;
use crate::auth::{Auth, Caller, Link};
use crate::counts::{Outcome, Renewal};
use crate::databases::Databases;
use crate::graphql::{Call, Endpoint, Schemas, View};
use crate::oauth::state::OAuthState;
use crate::refusal::Refusal;
use crate::stopping::true_in;
use crate::switch_state::{Calls, RenewalRefusal, SwitchState};
use crate::switches::Switches;

pub(crate) use answer::{CloseConnection, close_connection, json, named, page, plain_error};
use document::Document;

/// What every request needs.
pub(crate) struct Wire {
    pub(crate) auth: Arc<Auth>,
    pub(crate) databases: Databases,
    pub(crate) oauth: OAuthState,
    pub(crate) schemas: Schemas,
    pub(crate) switches: Switches,
    /// Turns true when the server stops: nothing may wait any longer.
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) port: u16,
    /// How long a body may take to arrive, and how long a POST without one waits.
    pub(crate) body_wait: Duration,
    /// How long a stream is silent before it says something.
    pub(crate) comment_after: Duration,
}

/// Answers in a task of its own: a client that hangs up does not stop what it began, as at a real server.
pub(crate) async fn detached(
    wire: Arc<Wire>,
    endpoint: Endpoint,
    method: Method,
    headers: HeaderMap,
    query: Option<String>,
    body: Bytes,
) -> Response {
    let task = tokio::spawn(async move {
        match received(&wire, &method, &headers, query.as_deref(), &body).await {
            Ok(sent) => wire.answer(endpoint, &headers, sent).await,
            Err(response) => *response,
        }
    });
    task.await.unwrap_or_else(|_| answer::close_connection())
}

/// A request's GraphQL body, whether it was posted, and the files that came with it.
struct Sent {
    body: Value,
    posted: bool,
    files: Vec<UploadValue>,
}

async fn received(
    wire: &Wire,
    method: &Method,
    headers: &HeaderMap,
    query: Option<&str>,
    body: &Bytes,
) -> Result<Sent, Box<Response>> {
    if *method == Method::GET {
        return Ok(Sent {
            body: document::from_query_string(query.unwrap_or_default()),
            posted: false,
            files: Vec::new(),
        });
    }
    if *method != Method::POST {
        let mut response = answer::empty(StatusCode::METHOD_NOT_ALLOWED);
        response
            .headers_mut()
            .insert(header::ALLOW, header::HeaderValue::from_static("GET, POST"));
        return Err(Box::new(response));
    }
    if body.is_empty() {
        // Twenty waits for a body that never comes, and so does its client. Here a descriptor of the desktop client would be
        // gone for as long.
        let mut stopping = wire.stopping.clone();
        _ = tokio::time::timeout(wire.body_wait, true_in(&mut stopping)).await;
        return Err(Box::new(answer::close_connection()));
    }
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type == form::MEDIA_TYPE {
        let (body, files) = form::read(content_type, body).await.map_err(|error| {
            answer::plain_error(StatusCode::BAD_REQUEST, &error.to_string(), "Bad Request")
        })?;
        return Ok(Sent {
            body,
            posted: true,
            files,
        });
    }
    if !["application/json", "application/graphql+json"].contains(&media_type) {
        return Err(Box::new(answer::empty(StatusCode::UNSUPPORTED_MEDIA_TYPE)));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Array(_)) => {
            let body = json!({ "errors": [{ "message": "Batching is not supported." }] });
            Err(Box::new(answer::json(StatusCode::BAD_REQUEST, &body)))
        }
        Ok(body) => Ok(Sent {
            body,
            posted: true,
            files: Vec::new(),
        }),
        Err(error) => {
            let message = if error.is_eof() {
                "Unexpected end of JSON input"
            } else {
                "Unexpected token in JSON"
            };
            Err(Box::new(answer::plain_error(
                StatusCode::BAD_REQUEST,
                message,
                "Bad Request",
            )))
        }
    }
}

impl Wire {
    async fn answer(&self, endpoint: Endpoint, headers: &HeaderMap, sent: Sent) -> Response {
        let text = sent.body["query"].as_str().unwrap_or_default();
        let document = Document::read(text, sent.body["operationName"].as_str());
        let renewal = document.as_ref().is_ok_and(Document::renews);
        if let Ok(document) = &document {
            self.switches
                .counting
                .call(endpoint.name(), document.kind, &document.name);
        }
        if !renewal {
            let response = self
                .looked_at(endpoint, headers, sent, document, &mut None)
                .await;
            self.delay(Calls::All).await;
            return response.unwrap_or_else(|response| *response);
        }

        let seen = Mutex::new(None);
        let work = async {
            let mut link = None;
            let response = self
                .looked_at(endpoint, headers, sent, document, &mut link)
                .await;
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = link;
            response
        };
        let link = || *seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.renewal(answer::refused, work, link).await
    }

    /// A renewal between the switches before and after it. `chosen` words the answer that a switch gives in its place;
    /// `link` says afterwards which token it was.
    pub(crate) async fn renewal<W>(
        &self,
        chosen: fn(&Refusal) -> Response,
        work: W,
        link: impl Fn() -> Option<Link>,
    ) -> Response
    where
        W: Future<Output = Result<Response, Box<Response>>>,
    {
        self.switches.counting.renewal_sent();
        if let Err(response) = self.before_renewal(chosen).await {
            return response;
        }
        let response = work.await;
        self.delay(Calls::Renewals).await;
        match response {
            Ok(response) if self.take_lost_answer() => {
                self.enter(link(), Outcome::Lost, None);
                self.switches.counting.dropped();
                drop(response);
                answer::close_connection()
            }
            Ok(response) => {
                self.enter(link(), Outcome::Accepted, None);
                response
            }
            Err(response) => {
                let message = response
                    .extensions()
                    .get::<answer::FirstMessage>()
                    .map(|first| first.0.clone());
                self.enter(link(), Outcome::Refused, message);
                *response
            }
        }
    }

    /// Bearer, query, variables, execution. `Ok` is an answer without errors.
    async fn looked_at(
        &self,
        endpoint: Endpoint,
        headers: &HeaderMap,
        sent: Sent,
        document: Result<Document, answer::Problem>,
        link: &mut Option<Link>,
    ) -> Result<Response, Box<Response>> {
        let Sent {
            body,
            posted,
            files,
        } = sent;
        let form = answer::Form::accepted(headers);
        let caller = self.caller(headers).map_err(|refusal| {
            self.switches.counting.call_refused();
            answer::before_execution(&refusal)
        })?;
        if body["query"].as_str().unwrap_or_default().is_empty() {
            return Err(form.problems(&[answer::Problem::plain("Must provide query string.")]));
        }
        let document = document.map_err(|problem| form.problems(&[problem]))?;
        if document.is_too_costly(&body["variables"]) {
            return Err(form.problems(&[answer::Problem::plain(
                "Query too complex: it asks for too many records at once.",
            )]));
        }
        if !posted && document.kind == "mutation" {
            return Err(answer::post_needed());
        }
        let subscribes = document.kind == "subscription";
        if subscribes && !stream::is_accepted(headers) {
            return Err(answer::stream_needed());
        }
        let membership = caller.and_then(|caller| caller.membership);
        let in_workspace = membership.is_some();
        if endpoint == Endpoint::Metadata && !in_workspace && document.asks("objects") {
            return Err(answer::crashed());
        }

        let SwitchState {
            old_token_field,
            auth_on_metadata_only,
            ..
        } = self.switches.state();
        let view = View {
            endpoint,
            in_workspace,
            old_token_field,
            auth_on_metadata_only,
        };
        let call = Call::new(caller);
        let seen = Arc::clone(&call.link_seen);
        let workspace = membership.map_or(&DEMO, |membership| membership.workspace);
        let database = self.databases.of(workspace);
        let mut request = Request::new(body["query"].as_str().unwrap_or_default())
            .data(call)
            .data(Arc::clone(&database.store))
            .data(database.events.clone());
        if let Some(name) = body["operationName"].as_str() {
            request = request.operation_name(name);
        }
        request = request.variables(async_graphql::Variables::from_json(
            body["variables"].clone(),
        ));
        request.uploads = files;
        document
            .check_variables(&body["variables"])
            .map_err(|refusal| answer::bad_variables(&refusal))?;

        let schema = self.schemas.of(view);
        if subscribes {
            let results = schema.execute_stream(request);
            return Ok(stream::response(
                results,
                &self.switches.counting,
                self.stopping.clone(),
                self.comment_after,
            ));
        }
        let response = schema.execute(request).await;
        *link = *seen.lock().unwrap_or_else(PoisonError::into_inner);
        form.executed(response)
    }

    /// Nobody, or who the bearer says; an empty bearer is none.
    fn caller(&self, headers: &HeaderMap) -> Result<Option<Caller>, Refusal> {
        let authorization = headers
            .get(header::AUTHORIZATION)
            .map(|value| value.to_str().unwrap_or("?"));
        let bearer =
            authorization.map(|value| value.strip_prefix("Bearer").unwrap_or(value).trim());
        match bearer {
            None | Some("") => Ok(None),
            Some(bearer) => self.auth.caller(bearer).map(Some),
        }
    }

    /// The switches that keep a renewal from being looked at.
    async fn before_renewal(&self, chosen: fn(&Refusal) -> Response) -> Result<(), Response> {
        let mut state = self.switches.state.subscribe();
        let mut stopping = self.stopping.clone();
        if state.borrow().hold_renewals {
            self.switches.counting.held(true);
            let stopped = tokio::select! {
                _ = state.wait_for(|state| !state.hold_renewals) => false,
                () = true_in(&mut stopping) => true,
            };
            self.switches.counting.held(false);
            if stopped {
                self.enter(None, Outcome::Dropped, None);
                return Err(answer::close_connection());
            }
        }
        let SwitchState {
            drop,
            refuse_renewals,
            ..
        } = self.switches.state();
        if drop == Some(Calls::Renewals) {
            self.switches.counting.dropped();
            self.enter(None, Outcome::Dropped, None);
            return Err(answer::close_connection());
        }
        let Some(refusal) = refuse_renewals else {
            return Ok(());
        };
        self.delay(Calls::Renewals).await;
        let (message, response) = match refusal {
            RenewalRefusal::Error {
                code,
                sub_code,
                message,
            } => {
                let refusal = Refusal::chosen(&message, &code, sub_code.as_deref());
                (message, chosen(&refusal))
            }
            RenewalRefusal::Page {
                status,
                html,
                retry_after,
            } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                (
                    status.to_string(),
                    answer::page(status, html, retry_after.as_deref()),
                )
            }
        };
        self.enter(None, Outcome::Refused, Some(message));
        Err(response)
    }

    /// The delay of the switch `slow`, unless the server stops first.
    async fn delay(&self, calls: Calls) {
        let Some(slow) = self.switches.state().slow else {
            return;
        };
        if slow.calls == Calls::Renewals && calls != Calls::Renewals {
            return;
        }
        let mut stopping = self.stopping.clone();
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(slow.ms)) => {}
            () = true_in(&mut stopping) => {}
        }
    }

    /// Whether this renewal's answer is to be lost; counts down.
    fn take_lost_answer(&self) -> bool {
        self.switches.state.send_if_modified(|state| {
            let lost = state.lose_renewal_answers > 0;
            state.lose_renewal_answers = state.lose_renewal_answers.saturating_sub(1);
            lost
        })
    }

    fn enter(&self, link: Option<Link>, outcome: Outcome, message: Option<String>) {
        let (chain, generation) = (
            link.map(|link| link.chain),
            link.map(|link| link.generation),
        );
        tracing::debug!(?chain, ?generation, ?outcome, "renewal");
        self.switches.counting.renewal(Renewal {
            at: self.auth.now(),
            chain,
            generation,
            outcome,
            message,
        });
    }
}
