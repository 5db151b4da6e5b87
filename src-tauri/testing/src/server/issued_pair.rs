//! A pair of tokens, as the server hands it out.

use jiff::Timestamp;

use graphql_session::{Expiry, Tokens};

/// Tokens as the server issued them. Clear text, for assertions and for signing in with tokens from elsewhere.
#[derive(Clone)]
pub struct IssuedPair {
    /// The access token.
    pub access: String,
    /// As stated in `expiresAt`.
    pub access_until: Timestamp,
    /// The refresh token.
    pub refresh: String,
    /// As stated in `expiresAt`.
    pub refresh_until: Timestamp,
}

impl IssuedPair {
    /// As [`Session::sign_in_with_tokens`](graphql_session::Session::sign_in_with_tokens) takes them.
    pub fn to_tokens(&self) -> Tokens {
        Tokens {
            refresh: Some(self.refresh.as_str().into()),
            refresh_expires: Expiry::At(self.refresh_until),
            ..Tokens::of(self.access.as_str().into(), Expiry::At(self.access_until))
        }
    }
}

impl std::fmt::Debug for IssuedPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedPair").finish_non_exhaustive()
    }
}
