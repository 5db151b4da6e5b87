//! Errors as Twenty words them: a message, and extensions with code, sub code and a sentence for the screen.

use serde_json::{Value, json};

/// The sentence that Twenty shows where it has nothing better to say.
const PLAIN: &str = "An error occurred.";
/// The sentence beside every refused token.
const SIGN_IN_NEEDED: &str = "You must be authenticated to perform this action.";

/// One refused operation. Deliberately without `Display`: it becomes a GraphQL error only with its extensions.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) extensions: Value,
}

impl Refusal {
    fn new(message: impl Into<String>, code: &str, sub_code: &str, friendly: &str) -> Self {
        Self {
            message: message.into(),
            extensions: json!({ "subCode": sub_code, "userFriendlyMessage": friendly, "code": code }),
        }
    }

    /// An error that Twenty did not foresee; it has no sub code.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            extensions: json!({ "code": "INTERNAL_SERVER_ERROR", "userFriendlyMessage": PLAIN }),
        }
    }

    /// A token that does not authenticate: "No payload", "Token invalid." or "Token has expired.".
    pub(crate) fn token(message: &str) -> Self {
        Self::new(
            message,
            "UNAUTHENTICATED",
            "UNAUTHENTICATED",
            SIGN_IN_NEEDED,
        )
    }

    pub(crate) fn user_not_found() -> Self {
        Self::new("User not found", "UNAUTHENTICATED", "USER_NOT_FOUND", PLAIN)
    }

    pub(crate) fn workspace_not_found() -> Self {
        Self::new(
            "Workspace not found",
            "UNAUTHENTICATED",
            "WORKSPACE_NOT_FOUND",
            PLAIN,
        )
    }

    pub(crate) fn wrong_password() -> Self {
        Self::new(
            "Wrong password",
            "FORBIDDEN",
            "FORBIDDEN_EXCEPTION",
            "Wrong password",
        )
    }

    /// The right password, and a second factor besides.
    pub(crate) fn second_factor_required() -> Self {
        Self::new(
            "Two factor authentication verification required",
            "FORBIDDEN",
            "TWO_FACTOR_AUTHENTICATION_VERIFICATION_REQUIRED",
            PLAIN,
        )
    }

    /// A one-time code that is not the person's.
    pub(crate) fn wrong_code() -> Self {
        Self::new(
            "Invalid OTP",
            "BAD_USER_INPUT",
            "INVALID_OTP",
            "Invalid verification code. Please try again.",
        )
    }

    /// The right password, at the address of a workspace that the person is no member of.
    pub(crate) fn not_a_member() -> Self {
        Self::new(
            "User is not a member of the workspace",
            "FORBIDDEN",
            "FORBIDDEN_EXCEPTION",
            PLAIN,
        )
    }

    /// The refresh token of an application, where that of a sign-in with a password is expected.
    pub(crate) fn wrong_token_type() -> Self {
        Self::new(
            "Expected a refresh token",
            "FORBIDDEN",
            "INVALID_JWT_TOKEN_TYPE",
            PLAIN,
        )
    }

    /// A refresh token that was used up or revoked.
    pub(crate) fn suspicious() -> Self {
        let message = "Suspicious activity detected, this refresh token has been revoked. All tokens have been revoked.";
        Self::new(message, "FORBIDDEN", "FORBIDDEN_EXCEPTION", PLAIN)
    }

    /// A well-signed refresh token with which nothing can be done.
    pub(crate) fn unusable(message: &str) -> Self {
        Self::bad_input(message, "INVALID_INPUT")
    }

    pub(crate) fn bad_input(message: impl Into<String>, sub_code: &str) -> Self {
        Self::new(message, "BAD_USER_INPUT", sub_code, PLAIN)
    }

    /// An argument that is empty although it must not be; Twenty checks these before anything else.
    pub(crate) fn empty_argument(name: &str) -> Self {
        Self {
            message: format!("{name} should not be empty"),
            extensions: json!({ "code": "BAD_USER_INPUT", "userFriendlyMessage": PLAIN }),
        }
    }

    pub(crate) fn record_not_found() -> Self {
        Self::new("Record not found", "NOT_FOUND", "RECORD_NOT_FOUND", PLAIN)
    }

    pub(crate) fn duplicate(label: &str, value: &str) -> Self {
        let lower = label.to_lowercase();
        Self {
            message: format!("Duplicate {label} with value {value}. Please set a unique one."),
            extensions: json!({
                "userFriendlyMessage":
                    format!("This {lower} with value {value} is already taken. Please choose a different value."),
                "isExpected": true,
                "code": "BAD_USER_INPUT",
            }),
        }
    }

    /// No bearer where one is needed. Twenty 1.6 calls this an internal error, not an authentication error.
    pub(crate) fn forbidden_resource() -> Self {
        Self::internal("Forbidden resource")
    }

    /// A code chosen by a switch.
    pub(crate) fn chosen(message: &str, code: &str, sub_code: Option<&str>) -> Self {
        let mut extensions = json!({ "userFriendlyMessage": PLAIN, "code": code });
        if let Some(sub_code) = sub_code {
            extensions["subCode"] = sub_code.into();
        }
        Self {
            message: message.to_owned(),
            extensions,
        }
    }

    /// A variable that does not fit its type; Twenty answers these with HTTP 400.
    pub(crate) fn variable(message: impl Into<String>, code: &str) -> Self {
        Self {
            message: message.into(),
            extensions: json!({ "http": { "status": 400 }, "code": code, "userFriendlyMessage": PLAIN }),
        }
    }
}

impl From<rusqlite::Error> for Refusal {
    /// The cause goes to the log: it may quote the statement, which is nobody's business.
    fn from(error: rusqlite::Error) -> Self {
        tracing::warn!(%error, "the database refused a statement");
        Self::internal("Internal server error")
    }
}

impl From<Refusal> for async_graphql::Error {
    fn from(refusal: Refusal) -> Self {
        let mut error = async_graphql::Error::new(refusal.message);
        let mut extensions = async_graphql::ErrorExtensionValues::default();
        if let Value::Object(entries) = refusal.extensions {
            for (name, value) in entries {
                if let Ok(value) = async_graphql::Value::from_json(value) {
                    extensions.set(name, value);
                }
            }
        }
        error.extensions = Some(extensions);
        error
    }
}
