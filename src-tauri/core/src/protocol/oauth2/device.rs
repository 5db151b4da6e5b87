//! The device grant (RFC 8628): the person types a short code into a browser on any device.

use std::time::Duration;

use graphql_session_renewal::OAuthError;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::discovery::AuthorizationServer;
use super::registration::client_id;
use super::settings::OAuth2Settings;
use super::token::{TokenAnswer, issued, read_token_answer};
use crate::error::{Code, Error};
use crate::http::{Request, Target};
use crate::protocol::{Conversation, Issued, SignInStep};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The pause between two polls where the server states none (RFC 8628, section 3.2).
const INTERVAL: Duration = Duration::from_secs(5);

/// By how much each `slow_down` lengthens this and all later pauses (RFC 8628, section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// Longest life of a code that is believed, and the shortest pause: a server's mistake must not poll for days, or without
/// a pause.
const LONGEST_LIFE: Duration = Duration::from_secs(3_600);
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// The server's answer to the first request.
#[derive(Deserialize)]
struct DeviceCode {
    device_code: SecretString,
    user_code: String,
    // Google's name for it came before the standard's.
    #[serde(alias = "verification_url")]
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

/// Signs in at `server` by a code that the person types elsewhere.
///
/// # Errors
/// A code that a sign-in form can show.
pub(crate) async fn sign_in_with_device(
    conversation: &Conversation,
    server: &AuthorizationServer,
    settings: &OAuth2Settings,
) -> Result<Issued, Error> {
    let host = server.host();
    let Some(endpoint) = server.device_authorization_endpoint.clone() else {
        return Err(Error::new(
            Code::SignInRefused,
            format!("{host} offers no sign-in by a device code. Sign in another way."),
        ));
    };
    let client = client_id(conversation, server, settings).await?;
    let scope = settings.scopes.join(" ");
    let mut fields = vec![("client_id", &*client)];
    fields.extend((!scope.is_empty()).then_some(("scope", &*scope)));
    fields.extend(settings.resource.as_deref().map(|to| ("resource", to)));
    fields.extend(settings.audience.as_deref().map(|to| ("audience", to)));
    let answer = conversation
        .send(Request::form(Target::Address(endpoint), &fields))
        .await?;
    let Ok(code) = serde_json::from_slice::<DeviceCode>(&answer.body) else {
        return Err(match read_token_answer(&answer, host)? {
            TokenAnswer::Refused(refused, status) => refused.to_error(host, status),
            TokenAnswer::Granted(_) => expired(),
        });
    };
    let life = Duration::from_secs(code.expires_in).min(LONGEST_LIFE);
    conversation
        .device(SignInStep::Device {
            user_code: code.user_code,
            verification_url: shown(code.verification_uri, host)?,
            complete_url: code
                .verification_uri_complete
                .map(|url| shown(url, host))
                .transpose()?,
            expires_in_seconds: life.as_secs(),
        })
        .await;
    let mut interval = code.interval.map_or(INTERVAL, Duration::from_secs);
    interval = interval.max(SHORTEST_INTERVAL);
    let mut waited = Duration::ZERO;
    while waited < life {
        conversation.pause(interval).await;
        waited += interval;
        let mut fields = vec![
            ("grant_type", GRANT),
            ("device_code", code.device_code.expose_secret()),
            ("client_id", &*client),
        ];
        fields.extend(settings.resource.as_deref().map(|to| ("resource", to)));
        let poll = Request::form(Target::Address(server.token_endpoint.clone()), &fields);
        let Ok(answer) = conversation.send(poll).await else {
            // RFC 8628, section 3.5: poll more seldom after a timeout.
            interval = interval.saturating_mul(2).min(life);
            continue;
        };
        match read_token_answer(&answer, host) {
            Ok(TokenAnswer::Granted(granted)) => return issued(granted, server, client),
            Ok(TokenAnswer::Refused(refused, status)) => match OAuthError::of(&refused.error) {
                OAuthError::AuthorizationPending => {}
                OAuthError::SlowDown => interval += SLOW_DOWN,
                OAuthError::ExpiredToken => return Err(expired()),
                _ if status == 429 => interval += SLOW_DOWN,
                _ => return Err(refused.to_error(host, status)),
            },
            // In trouble for a moment, as servers are after a deploy.
            Err(error) if error.code() == Code::NoAnswer => interval += SLOW_DOWN,
            Err(error) => return Err(error),
        }
    }
    Err(expired())
}

/// An address that a person may be sent to.
fn shown(address: String, host: &str) -> Result<String, Error> {
    let is_web = address
        .parse::<url::Url>()
        .is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
    if is_web {
        return Ok(address);
    }
    Err(Error::new(
        Code::NotThisServer,
        format!(
            "{host} names an address for its code that no browser opens. Ask the person who runs it."
        ),
    ))
}

fn expired() -> Error {
    Error::new(
        Code::SignInTimedOut,
        "The code has expired before it was used. Start again.",
    )
}
