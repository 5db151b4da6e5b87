//! The token endpoint: what is sent to it, and what its answers mean.

use std::borrow::Cow;
use std::time::Duration;

use graphql_session_renewal::{Cause, OAuthError};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::discovery::AuthorizationServer;
use crate::error::{Code, Error};
use crate::http::{Answer, Request, Target};
use crate::protocol::{Dialect, Expiry, Held, Identity, Issued, Reading, Tokens};

/// Longest lifetime that is believed, in seconds: a hundred years. A larger number is a mistake, and the expiry unknown.
const LONGEST_LIFETIME: u64 = 100 * 366 * 86_400;

/// What the renewals of a session need to know about its server; kept with the credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Binding {
    pub(crate) token: Url,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revocation: Option<Url>,
    pub(crate) client: String,
    /// The client id is one that other programs use, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_shared: bool,
}

impl Binding {
    /// As a session's dialect.
    pub(crate) fn to_dialect(&self) -> Dialect {
        Dialect::of(self)
    }

    /// From a session's dialect; `None` where that is another protocol's.
    pub(crate) fn of(dialect: &Dialect) -> Option<Self> {
        dialect.read()
    }

    /// RFC 6749, section 6. Without an Authorization header: some servers refuse a public client that sends one.
    pub(crate) fn renewal(&self, held: &Held<'_>, resource: Option<&str>) -> Request {
        let mut fields = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", held.refresh.expose_secret()),
            ("client_id", &*self.client),
        ];
        fields.extend(resource.map(|resource| ("resource", resource)));
        Request::form(Target::Address(self.token.clone()), &fields)
    }

    /// RFC 7009, section 2.1; `None` where the server has no such endpoint.
    pub(crate) fn revocation(&self, held: &Held<'_>) -> Option<Request> {
        let fields = [
            ("token", held.refresh.expose_secret()),
            ("token_type_hint", "refresh_token"),
            ("client_id", &*self.client),
        ];
        Some(Request::form(
            Target::Address(self.revocation.clone()?),
            &fields,
        ))
    }
}

/// Reads the token endpoint's answer to a renewal (RFC 6749, sections 5.1 and 5.2). Only `invalid_grant` speaks about the
/// token.
pub(crate) fn read_renewal(answer: &Answer, ambiguous: &[Cow<'static, str>]) -> Reading {
    if let Some(granted) = Granted::read(answer) {
        return Reading::Renewed(granted.into_tokens());
    }
    let Some(refused) = Refused::read(answer) else {
        return Reading::NotProtocol;
    };
    let cause = Cause::OAuth(OAuthError::of(&refused.error), answer.status);
    match OAuthError::of(&refused.error) {
        OAuthError::InvalidGrant => {
            let description = refused.error_description.as_deref().unwrap_or_default();
            let ambiguous = ambiguous.iter().any(|known| known == description);
            Reading::Rejected { ambiguous, cause }
        }
        _ if answer.status == 429 => Reading::Inconclusive {
            cause: Cause::Throttled(answer.status),
        },
        _ => Reading::Inconclusive { cause },
    }
}

/// The token endpoint's answer with tokens (RFC 6749, section 5.1).
#[derive(Deserialize)]
pub(crate) struct Granted {
    access_token: SecretString,
    token_type: Option<String>,
    #[serde(default)]
    expires_in: serde_json::Value,
    refresh_token: Option<SecretString>,
    id_token: Option<SecretString>,
}

impl Granted {
    /// `None` for an answer without a usable bearer token.
    pub(crate) fn read(answer: &Answer) -> Option<Self> {
        let granted: Self = serde_json::from_slice(&answer.body).ok()?;
        let has_token = !granted.access_token.expose_secret().is_empty();
        // A missing type is a server's carelessness. Another type could not be sent.
        let is_bearer = granted
            .token_type
            .as_deref()
            .is_none_or(|token_type| token_type.eq_ignore_ascii_case("bearer"));
        (has_token && is_bearer).then_some(granted)
    }

    pub(crate) fn into_tokens(self) -> Tokens {
        let is_there = |token: &SecretString| !token.expose_secret().is_empty();
        let identity = self.id_token.as_ref().and_then(Identity::in_jwt);
        Tokens {
            access_expires: lifetime(&self.expires_in),
            access: self.access_token,
            refresh: self.refresh_token.filter(is_there),
            refresh_expires: Expiry::Unknown,
            identity: identity.unwrap_or_default(),
        }
    }
}

/// A lifetime in seconds, as a number or as the text of one. Anything else is unknown, and no reason to throw the tokens
/// away.
fn lifetime(stated: &serde_json::Value) -> Expiry {
    let seconds = match stated {
        serde_json::Value::String(text) => text.trim().parse().ok(),
        // Some servers write 3600.0.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it saturates, and a lifetime of zero is unknown"
        )]
        other => other.as_f64().map(|seconds| seconds as u64),
    };
    match seconds {
        Some(seconds @ 1..=LONGEST_LIFETIME) => Expiry::In(Duration::from_secs(seconds)),
        _ => Expiry::Unknown,
    }
}

/// The token endpoint's answer without tokens (RFC 6749, section 5.2; RFC 8628, section 3.5).
#[derive(Deserialize)]
pub(crate) struct Refused {
    pub(crate) error: String,
    pub(crate) error_description: Option<String>,
}

impl Refused {
    /// `None` for an answer in other words.
    pub(crate) fn read(answer: &Answer) -> Option<Self> {
        serde_json::from_slice(&answer.body).ok()
    }

    /// What a sign-in form shows.
    pub(crate) fn to_error(&self, host: &str, status: u16) -> Error {
        let error = OAuthError::of(&self.error);
        let sentence = match error {
            OAuthError::AccessDenied => {
                "The sign-in was declined. Start again, and allow the application to use your account.".to_owned()
            }
            OAuthError::InvalidClient | OAuthError::UnauthorizedClient => format!(
                "{host} does not know this application, or does not allow it this way of signing in. Ask the person who runs the server."
            ),
            OAuthError::InvalidScope | OAuthError::InvalidTarget => format!(
                "{host} does not allow what this application asks for. Ask the application's developers."
            ),
            OAuthError::InvalidGrant => {
                "The sign-in took too long, or was used twice. Start again.".to_owned()
            }
            OAuthError::TemporarilyUnavailable | OAuthError::ServerError => {
                format!("{host} is in trouble just now. Try again in a moment.")
            }
            _ if status == 429 => format!("{host} asks for a pause. Try again in a minute."),
            _ => format!("{host} refused the sign-in. Ask the person who runs the server."),
        };
        Error::new(Code::SignInRefused, sentence).caused_by(Cause::OAuth(error, status))
    }
}

/// Exchanges a code, or polls once: what the token endpoint said.
pub(crate) enum TokenAnswer {
    Granted(Granted),
    Refused(Refused, u16),
}

/// Reads the answer to a sign-in's request for tokens.
///
/// # Errors
/// An answer in other words.
pub(crate) fn read_token_answer(answer: &Answer, host: &str) -> Result<TokenAnswer, Error> {
    if let Some(granted) = Granted::read(answer).filter(|_| answer.status == 200) {
        return Ok(TokenAnswer::Granted(granted));
    }
    if let Some(refused) = Refused::read(answer) {
        return Ok(TokenAnswer::Refused(refused, answer.status));
    }
    Err(match answer.status {
        408 | 425 | 429 | 500.. => Error::new(
            Code::NoAnswer,
            format!("{host} is in trouble just now. Try again in a moment."),
        )
        .caused_by(Cause::Http(answer.status)),
        _ => Error::new(
            Code::NotThisServer,
            format!("{host} answers, but not as an OAuth 2 server. Ask the person who runs it."),
        )
        .caused_by(Cause::Http(answer.status)),
    })
}

/// What a sign-in at `server` as `client` produced.
///
/// # Errors
/// [`Code::SignInRefused`], where there is no refresh token: the session would end with its access token.
pub(crate) fn issued(
    granted: Granted,
    server: &AuthorizationServer,
    client: String,
) -> Result<Issued, Error> {
    let tokens = granted.into_tokens();
    if tokens.refresh.is_none() {
        return Err(Error::new(
            Code::SignInRefused,
            format!(
                "{} issues no refresh token to this application, so nobody would stay signed in. Its developers may have to ask for the scope offline_access.",
                server.host()
            ),
        ));
    }
    let binding = Binding {
        token: server.token_endpoint.clone(),
        revocation: server.revocation(),
        is_shared: server.cli_client_id.as_ref() == Some(&client),
        client,
    };
    Ok(Issued {
        dialect: binding.to_dialect(),
        issuer: Some(server.token_endpoint.origin().ascii_serialization()),
        tokens,
        server: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Reading {
        let ambiguous = [Cow::Borrowed("Invalid or expired refresh token")];
        read_renewal(&Answer::new(status, body.to_owned()), &ambiguous)
    }

    fn cause(reading: &Reading) -> String {
        match reading {
            Reading::Rejected { cause, .. } | Reading::Inconclusive { cause } => cause.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn only_invalid_grant_speaks_about_the_token() {
        for (status, error, is_rejected) in [
            (400, "invalid_grant", true),
            (401, "invalid_client", false),
            (400, "invalid_request", false),
            (400, "unauthorized_client", false),
            (400, "unsupported_grant_type", false),
            (400, "invalid_scope", false),
            (400, "invalid_target", false),
            (503, "temporarily_unavailable", false),
            (400, "a word of a vendor", false),
        ] {
            let reading = read(status, &format!(r#"{{"error":"{error}"}}"#));
            let rejects = matches!(
                reading,
                Reading::Rejected {
                    ambiguous: false,
                    ..
                }
            );
            assert_eq!(rejects, is_rejected, "{error}: {reading:?}");
            let known = if error.contains(' ') {
                "oauth_other_error"
            } else {
                error
            };
            assert_eq!(cause(&reading), known);
        }
    }

    #[test]
    fn a_description_that_hides_outages_makes_invalid_grant_ambiguous() {
        let body =
            r#"{"error":"invalid_grant","error_description":"Invalid or expired refresh token"}"#;
        let reading = read(400, body);
        assert!(
            matches!(
                reading,
                Reading::Rejected {
                    ambiguous: true,
                    ..
                }
            ),
            "{reading:?}"
        );
    }

    #[test]
    fn a_throttle_without_retry_after_is_a_throttle() {
        let reading = read(429, r#"{"error":"rate_limit_exceeded"}"#);
        assert_eq!(cause(&reading), "throttled");
    }

    #[test]
    fn answers_in_other_words_say_nothing() {
        for (status, body) in [
            (400, "<html>Bad Request</html>"),
            (401, ""),
            (400, r#"{"message":"invalid_grant"}"#),
            (400, r#"{"error":{"code":"invalid_grant"}}"#),
            (200, r#"{"access_token":""}"#),
            (200, r#"{"access_token":"a","token_type":"DPoP"}"#),
            (429, "Too many requests, please try again later."),
        ] {
            let reading = read(status, body);
            assert!(
                matches!(reading, Reading::NotProtocol),
                "{body}: {reading:?}"
            );
        }
    }

    #[test]
    fn a_lifetime_is_read_in_every_form_and_is_unknown_otherwise() {
        for (stated, expected) in [
            ("1800", Expiry::In(Duration::from_secs(1_800))),
            (r#""1800""#, Expiry::In(Duration::from_secs(1_800))),
            ("1800.0", Expiry::In(Duration::from_secs(1_800))),
            ("0", Expiry::Unknown),
            ("-5", Expiry::Unknown),
            ("1e300", Expiry::Unknown),
            (r#""soon""#, Expiry::Unknown),
            ("null", Expiry::Unknown),
            ("{}", Expiry::Unknown),
        ] {
            let body =
                format!(r#"{{"access_token":"a","token_type":"bearer","expires_in":{stated}}}"#);
            let Reading::Renewed(tokens) = read(200, &body) else {
                panic!("{stated} lost the tokens");
            };
            assert_eq!(tokens.access_expires, expected, "{stated}");
            assert!(tokens.refresh.is_none(), "the old one is kept");
        }
    }

    #[test]
    fn a_renewal_sends_the_refresh_token_and_the_client_and_no_authorization() {
        let binding = Binding {
            token: "https://id.example.com/token".parse().expect("an address"),
            revocation: None,
            client: "desktop".into(),
            is_shared: false,
        };
        let dialect = binding.to_dialect();
        assert_eq!(Binding::of(&dialect), Some(binding.clone()));
        assert_eq!(Binding::of(&Dialect::default()), None);
        let refresh = SecretString::from("r+1");
        let held = Held {
            access: "a",
            refresh: &refresh,
            dialect: &dialect,
        };

        let request = binding.renewal(&held, Some("https://api.example.com"));

        let crate::http::Body::Form(form) = &request.body else {
            panic!("no form");
        };
        assert_eq!(
            std::str::from_utf8(form),
            Ok(
                "grant_type=refresh_token&refresh_token=r%2B1&client_id=desktop&resource=https%3A%2F%2Fapi.example.com"
            )
        );
        assert!(request.headers.is_empty());
        assert!(binding.revocation(&held).is_none());
    }
}
