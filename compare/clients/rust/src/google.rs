//! google-cloud-auth: credentials of a user account, made from a refresh token.
//!
//! The client renews in a task of its own, four minutes before an access token expires, and tries again every 10 s after
//! an error that it calls transient. One that it does not ends the task for good: that error is the logout here.
//!
//! It takes no access token, so that it exchanges the refresh token as soon as it is opened. It goes on exchanging that
//! very one: a rotated refresh token in the answer is dropped, and the application cannot have it either. Against a
//! server that rotates, the second renewal therefore lives from the server's grace time. The store keeps what the sign-in
//! wrote, and two processes exchange the same refresh token.

use google_cloud_auth::credentials::user_account::Builder;
use google_cloud_auth::credentials::{CacheableResource, Credentials};
use google_cloud_gax::exponential_backoff::ExponentialBackoff;
use google_cloud_gax::retry_policy::{AlwaysRetry, RetryPolicyExt};
use http::Extensions;
use reqwest::header::HeaderMap;
use serde_json::json;
use tokio::sync::Mutex;

use crate::client::{Failure, JUMP};

/// Attempts of one renewal, as the documentation has it.
const ATTEMPTS: u32 = 3;

/// The credentials, with their task.
pub(crate) struct Google {
    credentials: Credentials,
}

impl Google {
    /// Must run inside the runtime: the client starts its task here.
    pub(crate) fn open(origin: &str, refresh_token: &str) -> Result<Self, String> {
        let authorized_user = json!({
            "type": "authorized_user",
            "client_id": "compare",
            "client_secret": "none",
            "refresh_token": refresh_token,
            "token_uri": format!("{origin}/oauth/token"),
        });
        // The documentation's example of retries; the default makes one attempt.
        let credentials = Builder::new(authorized_user)
            .with_retry_policy(AlwaysRetry.with_attempt_limit(ATTEMPTS))
            .with_backoff_policy(ExponentialBackoff::default())
            .build()
            // Without its cause, which quotes what could not be parsed.
            .map_err(|_| "the credentials were not accepted".to_owned())?;
        Ok(Self { credentials })
    }

    /// The headers for one request. The cause of an error is left out: it quotes the server's answer.
    pub(crate) async fn authorization(&self) -> Result<HeaderMap, Failure> {
        match self.credentials.headers(Extensions::new()).await {
            Ok(CacheableResource::New { data, .. }) => Ok(data),
            Ok(CacheableResource::NotModified) => unreachable!("only with an entity tag"),
            Err(error) if error.is_transient() => Err(Failure {
                text: "the renewal failed for now".to_owned(),
                logout: false,
            }),
            Err(_) => Err(Failure {
                text: "the renewal failed for good".to_owned(),
                logout: true,
            }),
        }
    }

    /// The client looks at tokio's clock, which can be moved on a runtime of one thread only.
    pub(crate) async fn expire(&self) {
        // A clock that stands still already must not be stopped again.
        static STANDING: Mutex<()> = Mutex::const_new(());
        let _standing = STANDING.lock().await;
        tokio::time::pause();
        tokio::time::advance(JUMP).await;
        tokio::time::resume();
    }
}
