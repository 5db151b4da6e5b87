//! What Twenty is sent, and where the tokens stand in its answers.

use std::borrow::Cow;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::cleared::secret_of_json;
use crate::http::{Request, Target, values};
use crate::protocol::{Identity, Tokens};

/// All dialects of the renewal by a mutation: bit 0 is the endpoint, bit 1 the field name.
pub(super) const DIALECTS: [u8; 4] = [0, 1, 2, 3];

pub(super) fn is_unknown_field(message: &str) -> bool {
    message.starts_with("Cannot query field")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Operation<'a, V> {
    operation_name: &'a str,
    query: &'a str,
    variables: &'a V,
}

pub(super) fn request(
    dialect: u8,
    operation_name: &str,
    query: &str,
    variables: &impl Serialize,
) -> Request {
    let path = if dialect & 1 == 0 {
        "/graphql"
    } else {
        "/metadata"
    };
    let operation = Operation {
        operation_name,
        query,
        variables,
    };
    Request::json(Target::api(path), &operation)
}

pub(super) fn tokens_selection(dialect: u8) -> String {
    let access = if dialect & 2 == 0 {
        "accessOrWorkspaceAgnosticToken"
    } else {
        "accessToken"
    };
    format!("tokens {{ {access} {{ token expiresAt }} refreshToken {{ token expiresAt }} }}")
}

/// One token of an answer.
struct Token {
    text: SecretString,
    expires_at: Option<Timestamp>,
}

/// The tokens under `data`, `field`, `tokens`. They are taken from where they stand: a `serde_json::Value` would be one more
/// copy of them.
pub(super) fn tokens(body: &[u8], field: &str) -> Option<Tokens> {
    let body = text_of(body);
    let tokens = member(member(member(&body, "data")?, field)?, "tokens")?;
    let [old_access, access, refresh] = values(
        tokens,
        [
            "accessOrWorkspaceAgnosticToken",
            "accessToken",
            "refreshToken",
        ],
    )?;
    let access = token(old_access.or(access)?)?;
    let refresh = refresh.and_then(token);
    Some(Tokens {
        access: access.text,
        access_expires: access.expires_at.into(),
        refresh_expires: refresh.as_ref().and_then(|token| token.expires_at).into(),
        refresh: refresh.map(|token| token.text),
        identity: Identity::default(),
    })
}

/// A token that can be used. A time that cannot be read is unknown, and no reason to throw away what the server has just
/// issued.
fn token(json: &str) -> Option<Token> {
    let [text, expires_at] = values(json, ["token", "expiresAt"])?;
    let text = secret_of_json(text?)?;
    let expires_at = expires_at
        .and_then(secret_of_json)
        .and_then(|time| time.expose_secret().parse().ok());
    (!text.expose_secret().is_empty()).then_some(Token { text, expires_at })
}

pub(super) fn member<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    let [value] = values(json, [key])?;
    value
}

/// An answer as text, also where a part of it is in another encoding.
pub(super) fn text_of(body: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(body)
}
