//! The server's other protocols: the same tokens, requested and issued as other kinds of servers do it. So clients that
//! cannot speak Twenty are tested against the same server.

use jiff::Timestamp;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::issued_pair::IssuedPair;
use super::ledger::Rejection;

/// Where OAuth 2 clients renew.
const OAUTH2: &str = "/oauth/token";

/// Where Supabase's clients renew, and where they sign out.
const SUPABASE: &str = "/auth/v1/token";
pub(super) const SUPABASE_SIGN_OUT: &str = "/auth/v1/logout";

/// The key under which both take the refresh token.
pub(super) const REFRESH_TOKEN: &str = "refresh_token";

/// In whose manner a renewal is asked for and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    /// The mutation `renewToken`.
    Twenty,
    /// RFC 6749, section 6.
    OAuth2,
    /// Supabase Auth's token endpoint.
    Supabase,
}

impl Face {
    /// The face behind a path, other than Twenty's.
    pub(super) fn at(path: &str) -> Option<Self> {
        match path.split('?').next() {
            Some(OAUTH2) => Some(Self::OAuth2),
            Some(SUPABASE) => Some(Self::Supabase),
            _ => None,
        }
    }

    /// The HTTP status around a rejection.
    pub(super) fn rejection_status(self) -> u16 {
        match self {
            Self::Twenty => 200,
            Self::OAuth2 | Self::Supabase => 400,
        }
    }
}

/// The fields of a request, which comes as JSON or as a form.
pub(super) fn fields(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        form_urlencoded::parse(body)
            .map(|(key, value)| (key.into_owned(), Value::from(value.into_owned())))
            .collect()
    })
}

/// A variable that is a text; empty where there is none.
pub(super) fn text<'a>(variables: &'a Value, key: &str) -> &'a str {
    let value = variables.get(key).and_then(Value::as_str);
    value.unwrap_or_default()
}

/// New tokens for the account `email`.
pub(super) fn granted(
    face: Face,
    pair: &IssuedPair,
    email: &str,
    with_refresh: bool,
    now: Timestamp,
) -> String {
    let mut answer = json!({
        "access_token": pair.access,
        "token_type": "Bearer",
        "expires_in": pair.access_until.as_second() - now.as_second(),
    });
    if with_refresh {
        answer[REFRESH_TOKEN] = pair.refresh.as_str().into();
    }
    if face == Face::Supabase {
        answer["expires_at"] = pair.access_until.as_second().into();
        answer["user"] = json!({
            // No UUID as there, and as good: the same for one account, and another for another.
            "id": email,
            "aud": "authenticated",
            "role": "authenticated",
            "email": email,
        });
    }
    answer.to_string()
}

/// Why not, with the codes that each documents.
pub(super) fn rejected(face: Face, rejection: Rejection) -> String {
    if face == Face::Supabase {
        let (code, message) = match rejection {
            Rejection::Spent => ("refresh_token_already_used", "Already Used"),
            _ => ("refresh_token_not_found", "Refresh Token Not Found"),
        };
        let message = format!("Invalid Refresh Token: {message}");
        return json!({ "code": 400, "error_code": code, "msg": message }).to_string();
    }
    let description = match rejection {
        // Twenty's own words, which it says in trouble, too.
        Rejection::NotMember => "User Workspace not found",
        _ => "The refresh token is not valid.",
    };
    json!({ "error": "invalid_grant", "error_description": description }).to_string()
}

/// What an OAuth 2 server says where Twenty says `code`, with the same message.
pub(super) fn in_its_words(code: &str, message: &str) -> String {
    let error = match code {
        "UNAUTHENTICATED" | "FORBIDDEN" | "BAD_USER_INPUT" => "invalid_grant",
        _ if message == "User Workspace not found" => "invalid_grant",
        _ => "temporarily_unavailable",
    };
    json!({ "error": error, "error_description": message }).to_string()
}
