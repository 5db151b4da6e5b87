//! What the OAuth endpoints answer when they do not do what they are asked (RFC 6749, section 5.2), in Twenty's words.

use axum::http::StatusCode;

use crate::refusal::Refusal;

/// One refused request.
#[derive(Debug)]
pub(crate) struct OAuthRefusal {
    pub(crate) status: StatusCode,
    pub(crate) error: &'static str,
    pub(crate) description: String,
}

impl OAuthRefusal {
    fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self {
            status,
            error,
            description: description.into(),
        }
    }

    /// A code or a refresh token with which nothing can be done.
    pub(crate) fn invalid_grant(description: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_grant", description)
    }

    /// A client id that nobody has.
    pub(crate) fn unknown_client() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "Client not found",
        )
    }

    /// A grant that only clients with a secret may use; here there are none.
    pub(crate) fn unauthorized_client(description: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unauthorized_client", description)
    }

    pub(crate) fn unsupported_grant() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "The provided grant_type is not supported. Supported values: authorization_code, client_credentials, refresh_token",
        )
    }

    /// A registration that cannot be taken.
    pub(crate) fn client_metadata(description: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_client_metadata",
            description,
        )
    }
}

impl From<Refusal> for OAuthRefusal {
    fn from(refusal: Refusal) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            refusal.message,
        )
    }
}
