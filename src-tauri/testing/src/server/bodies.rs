//! What the server says, to the letter of a real Twenty; its other faces are in `token_endpoint.rs`.

use jiff::Timestamp;
use serde_json::json;

use super::ledger::Rejection;

/// How a real server says why it does not renew.
pub(super) fn in_words(rejection: Rejection, is_access_token: bool) -> String {
    match rejection {
        Rejection::Spent | Rejection::Revoked(_) => error(
            "FORBIDDEN",
            "FORBIDDEN_EXCEPTION",
            "Suspicious activity detected, this refresh token has been revoked. All tokens have been revoked.",
        ),
        Rejection::Expired => error("UNAUTHENTICATED", "UNAUTHENTICATED", "Token has expired."),
        Rejection::NotMember => error("INTERNAL_SERVER_ERROR", "", "User Workspace not found"),
        Rejection::Unknown | Rejection::Scripted => {
            let message = if is_access_token {
                "Token invalid."
            } else {
                "No payload"
            };
            error("UNAUTHENTICATED", "UNAUTHENTICATED", message)
        }
    }
}

/// ISO 8601 with three decimals, as the server writes it.
pub(super) fn stamp(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// A GraphQL error beside `data: null`.
pub(super) fn error(code: &str, sub_code: &str, message: &str) -> String {
    let mut extensions = json!({ "code": code, "userFriendlyMessage": "An error occurred." });
    if !sub_code.is_empty() {
        extensions["subCode"] = sub_code.into();
    }
    json!({ "errors": [{ "message": message, "extensions": extensions }], "data": null })
        .to_string()
}

/// The refusal of an access token: no `data` key, for nothing ran.
pub(super) fn access_refusal(message: &str) -> String {
    json!({ "errors": [{ "message": message, "extensions": {
        "userFriendlyMessage": "You must be authenticated to perform this action.",
        "subCode": "UNAUTHENTICATED",
        "code": "UNAUTHENTICATED",
    } }] })
    .to_string()
}

pub(super) fn cannot_query(field: &str, on: &str) -> String {
    let message = format!("Cannot query field \"{field}\" on type \"{on}\".");
    json!({ "errors": [{ "message": message, "locations": [{ "line": 1, "column": 1 }] }] })
        .to_string()
}

pub(super) fn client_config() -> String {
    json!({
        "authProviders": { "google": false, "password": true, "microsoft": false, "sso": [] },
        "isMultiWorkspaceEnabled": false,
        "signInPrefilled": false,
    })
    .to_string()
}
