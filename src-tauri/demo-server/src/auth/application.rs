//! Tokens of applications (OAuth 2), as Twenty 2.21 has them: a renewal brings a new refresh token, and the old one goes on
//! working. A revocation ends all sign-ins of that person with that application, as in the releases after 2.21.

use std::sync::PoisonError;

use graphql_session_testing::rotation::{Grace, OnReuse, Rotation};
use rusqlite::params;
use uuid::Uuid;

use super::{Auth, Lifetimes, Link, LinkSeen, Subject, subject_of, use_refresh_token};
use crate::oauth::refusal::OAuthRefusal;
use crate::refusal::Refusal;
use crate::tokens::{Claims, Kind};

/// The same for a text that is no token, one of another kind, and one that has expired.
const INVALID: &str = "Invalid or expired refresh token";

/// What the token endpoint gives out.
pub(crate) struct ApplicationTokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    /// Seconds that the access token is good for.
    pub(crate) expires_in: i64,
}

impl Auth {
    /// The tokens with which the application of this client id acts for a person.
    pub(crate) async fn issue_to_application(
        &self,
        subject: Subject,
        client_id: &str,
        parent: Option<Link>,
    ) -> Result<ApplicationTokens, Refusal> {
        let Lifetimes {
            access_ms,
            refresh_ms,
        } = self.lifetimes();
        let seconds = self.now() / 1_000;
        let user_id = subject.account.user_id;
        let jti = Uuid::new_v4().to_string();
        let claims = |kind, iat, lifetime_ms: i64| {
            let mut claims = Claims::new(kind, client_id, iat, lifetime_ms / 1_000);
            claims.application_id = Some(client_id.to_owned());
            claims.user_id = Some(user_id.to_owned());
            if let Some(membership) = subject.membership {
                claims.workspace_id = Some(membership.workspace.id.to_owned());
                claims.user_workspace_id = Some(membership.user_workspace_id.to_owned());
            }
            claims
        };
        let access = claims(
            Kind::ApplicationAccess,
            self.access_issued_at(seconds),
            access_ms,
        );
        let mut refresh = claims(Kind::ApplicationRefresh, seconds, refresh_ms);
        refresh.jti = Some(jti.clone());
        let tokens = ApplicationTokens {
            access: self.signer.sign(&access)?,
            refresh: self.signer.sign(&refresh)?,
            expires_in: access_ms / 1_000,
        };
        let client_id = Some(client_id.to_owned());
        self.keep_refresh_token(jti, user_id, client_id, parent)
            .await?;
        Ok(tokens)
    }

    /// Exchanges a refresh token of this client.
    pub(crate) async fn renew_for_application(
        &self,
        refresh_token: &str,
        client_id: &str,
        seen: &LinkSeen,
    ) -> Result<ApplicationTokens, OAuthRefusal> {
        let claims = self
            .application_refresh(refresh_token)
            .ok_or_else(|| OAuthRefusal::invalid_grant(INVALID))?;
        if claims.application_id.as_deref() != Some(client_id) {
            return Err(OAuthRefusal::invalid_grant(
                "Refresh token was not issued to this client",
            ));
        }
        let rotation = Rotation {
            grace: Grace::Forever,
            on_reuse: OnReuse::KeepFamily,
        };
        let jti = claims.jti.clone().unwrap_or_default();
        let now = self.now();
        let used = self
            .store
            .run(move |connection| use_refresh_token(connection, &jti, now, rotation))
            .await
            .map_err(|_| OAuthRefusal::invalid_grant(INVALID))?;
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(used.link);
        if used.is_rejected {
            return Err(OAuthRefusal::invalid_grant(
                "The user revoked this application access",
            ));
        }
        let subject = subject_of(&claims).ok_or_else(|| {
            OAuthRefusal::invalid_grant("User no longer has access to this workspace")
        })?;
        let tokens = self.issue_to_application(subject, client_id, Some(used.link));
        Ok(tokens.await?)
    }

    /// Ends every sign-in of the person of this refresh token with this client, and says whether there was one. Another text
    /// changes nothing.
    pub(crate) async fn revoke_for_application(
        &self,
        refresh_token: &str,
        client_id: &str,
    ) -> Result<bool, Refusal> {
        let claims = self.application_refresh(refresh_token);
        let claims = claims.filter(|claims| claims.application_id.as_deref() == Some(client_id));
        let Some(user_id) = claims.and_then(|claims| claims.user_id) else {
            return Ok(false);
        };
        let (client_id, now) = (client_id.to_owned(), self.now());
        self.store
            .run(move |connection| {
                let revoked = connection.execute(
                    "UPDATE refresh_token SET revoked_at = ?3
                     WHERE revoked_at IS NULL AND user_id = ?1 AND client_id = ?2",
                    params![user_id, client_id, now],
                )?;
                Ok(revoked > 0)
            })
            .await
    }

    fn application_refresh(&self, token: &str) -> Option<Claims> {
        let kinds = [Kind::ApplicationRefresh];
        self.signer.verify(token, &kinds, self.now() / 1_000).ok()
    }
}
