//! JSON Web Tokens shaped as Twenty's: HS256, another key for each workspace and kind, expiry in whole seconds.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// What a token is good for. It decides the key, so that one kind never passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Kind {
    Access,
    WorkspaceAgnostic,
    Refresh,
    Login,
    ApplicationAccess,
    ApplicationRefresh,
}

/// The payload. Access tokens carry no `jti`: two issued in one second are the same text, as at Twenty.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Claims {
    pub(crate) sub: String,
    /// The client that the token was issued to; `sub` is the same then, and `user_id` the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) application_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) workspace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) workspace_member_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_workspace_id: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) auth_provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) targeted_token_type: Option<Kind>,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jti: Option<String>,
}

impl Claims {
    /// The part that all kinds share.
    pub(crate) fn new(kind: Kind, sub: &str, iat: i64, lifetime_seconds: i64) -> Self {
        Self {
            sub: sub.to_owned(),
            application_id: None,
            user_id: None,
            workspace_id: None,
            workspace_member_id: None,
            user_workspace_id: None,
            kind,
            auth_provider: "password".to_owned(),
            targeted_token_type: None,
            iat,
            exp: iat.saturating_add(lifetime_seconds),
            jti: None,
        }
    }
}

/// Signs and verifies with keys made from one secret of this data folder.
pub(crate) struct Signer {
    secret: String,
}

impl Signer {
    pub(crate) fn new(secret: String) -> Self {
        Self { secret }
    }

    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, Refusal> {
        let key = EncodingKey::from_secret(
            self.key(claims.kind, claims.workspace_id.as_deref())
                .as_bytes(),
        );
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key)
            .map_err(|_| Refusal::internal("The token could not be signed"))
    }

    /// Checks form, signature and expiry in this order; the messages are Twenty's. A token is refused from `exp` on,
    /// without leeway.
    pub(crate) fn verify(
        &self,
        token: &str,
        kinds: &[Kind],
        now_seconds: i64,
    ) -> Result<Claims, Refusal> {
        let claimed: Claimed = payload(token).ok_or_else(|| Refusal::token("No payload"))?;
        let kind = claimed
            .kind
            .filter(|kind| kinds.contains(kind))
            .unwrap_or(kinds[0]);
        let key =
            DecodingKey::from_secret(self.key(kind, claimed.workspace_id.as_deref()).as_bytes());
        let mut validation = Validation::new(Algorithm::HS256);
        // Expiry is judged by the injected clock below.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation)
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidToken => Refusal::token("No payload"),
                _ => Refusal::token("Token invalid."),
            })?
            .claims;
        if claims.kind != kind {
            return Err(Refusal::token("Token invalid."));
        }
        if now_seconds >= claims.exp {
            return Err(Refusal::token("Token has expired."));
        }
        Ok(claims)
    }

    fn key(&self, kind: Kind, workspace_id: Option<&str>) -> String {
        format!(
            "{}{}{kind:?}",
            self.secret,
            workspace_id.unwrap_or_default()
        )
    }
}

/// What an unverified payload says about itself: enough to choose the key.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claimed {
    #[serde(rename = "type", default)]
    kind: Option<Kind>,
    #[serde(default)]
    workspace_id: Option<String>,
}

fn payload(token: &str) -> Option<Claimed> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}
