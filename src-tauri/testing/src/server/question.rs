//! What a request asks for, read just well enough for a server with ten fields.

use serde_json::Value;

use super::authorization::Step;
use super::http::{Incoming, find};
use super::token_endpoint::{self, Face, text};
use graphql_session::OperationKind;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    ClientConfig,
    LoginToken,
    TokenPair,
    OneTimeCode,
    SignIn,
    Renewal(Face),
    /// A step of an OAuth 2 sign-in or sign-out.
    OAuth(Step),
    SignOut,
    /// Anything else: its first field, and what it does.
    Call {
        field: String,
        kind: OperationKind,
    },
    /// Not GraphQL.
    Unknown,
}

/// One request, taken apart.
pub(super) struct Question {
    pub(super) asked: Asked,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) variables: Value,
    pub(super) bearer: Option<String>,
    /// Asks for a stream: it would read one.
    pub(super) reads_streams: bool,
}

impl Question {
    pub(super) fn read(request: &Incoming) -> Self {
        let is_form = request
            .header("content-type")
            .is_some_and(|content_type| content_type.starts_with("multipart/form-data"));
        let body = if is_form {
            first_part(&request.body)
        } else {
            &request.body
        };
        let (asked, query, variables) = Asked::read(&request.method, &request.path, body);
        let bearer = request.header("authorization");
        let accept = request.header("accept").unwrap_or_default();
        Self {
            reads_streams: accept.contains("text/event-stream"),
            asked,
            path: request.path.clone(),
            query,
            variables,
            bearer: bearer
                .and_then(|value| value.strip_prefix("Bearer "))
                .map(str::to_owned),
        }
    }

    /// The refresh token of a renewal or of a sign-out; empty where there is none.
    pub(super) fn refresh(&self) -> &str {
        let key = match self.asked {
            Asked::OAuth(Step::Revocation) => "token",
            Asked::Renewal(Face::OAuth2 | Face::Supabase) => token_endpoint::REFRESH_TOKEN,
            Asked::SignOut => "refreshToken",
            _ => "appToken",
        };
        text(&self.variables, key)
    }
}

impl Asked {
    /// The first field asked for; empty outside GraphQL.
    pub(super) fn field(&self) -> &str {
        match self {
            Self::LoginToken => "getLoginTokenFromCredentials",
            Self::TokenPair => "getAuthTokensFromLoginToken",
            Self::OneTimeCode => "getAuthTokensFromOTP",
            Self::SignIn => "signIn",
            Self::Renewal(_) => "renewToken",
            Self::SignOut => "signOut",
            Self::Call { field, .. } => field,
            Self::ClientConfig | Self::OAuth(_) | Self::Unknown => "",
        }
    }

    /// Whether it is the last request of a sign-in.
    pub(super) fn is_sign_in(&self) -> bool {
        matches!(
            self,
            Self::TokenPair | Self::OneTimeCode | Self::OAuth(Step::Code | Step::DevicePoll)
        )
    }

    /// What a request asks for, with the query and its variables.
    fn read(method: &str, path: &str, body: &[u8]) -> (Self, String, Value) {
        if method == "GET" && path == "/client-config" {
            return (Self::ClientConfig, String::new(), Value::Null);
        }
        if let Some(step) = Step::at(method, path) {
            let fields = token_endpoint::fields(body);
            return (Self::OAuth(step), String::new(), fields);
        }
        if method == "POST" && path.starts_with(token_endpoint::SUPABASE_SIGN_OUT) {
            return (Self::SignOut, String::new(), Value::Null);
        }
        if let Some(face) = Face::at(path).filter(|_| method == "POST") {
            let fields = token_endpoint::fields(body);
            let step = Step::of_grant(text(&fields, "grant_type"));
            let asked = step.map_or(Self::Renewal(face), Self::OAuth);
            return (asked, String::new(), fields);
        }
        let unknown = (Self::Unknown, String::new(), Value::Null);
        if method != "POST" || !matches!(path, "/graphql" | "/metadata") {
            return unknown;
        }
        let kind = OperationKind::of(body);
        let Ok(mut body) = serde_json::from_slice::<Value>(body) else {
            return unknown;
        };
        let variables = body.get_mut("variables").map(Value::take);
        let variables = variables.unwrap_or_default();
        let Some(query) = body.get("query").and_then(Value::as_str) else {
            return unknown;
        };
        let field = first_field(query);
        let asked = match field.as_str() {
            "getLoginTokenFromCredentials" => Self::LoginToken,
            "getAuthTokensFromLoginToken" => Self::TokenPair,
            "getAuthTokensFromOTP" => Self::OneTimeCode,
            "signIn" => Self::SignIn,
            "renewToken" => Self::Renewal(Face::Twenty),
            "signOut" => Self::SignOut,
            _ => Self::Call { field, kind },
        };
        (asked, query.to_owned(), variables)
    }
}

/// The first part of a form: an upload's operations.
fn first_part(form: &[u8]) -> &[u8] {
    let content = find(form, b"\r\n\r\n").map_or(form, |head_end| &form[head_end + 4..]);
    find(content, b"\r\n--").map_or(content, |end| &content[..end])
}

/// The name of the first field in the outermost selection; an alias counts as the name.
fn first_field(query: &str) -> String {
    let inside = query.split_once('{').map_or("", |(_, inside)| inside);
    inside
        .trim_start()
        .chars()
        .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
        .collect()
}
