//! The Twenty protocol, as measured against a real server of release 1.6 and read from the public sources of newer ones.
//!
//! Two things differ between releases, and a [`Dialect`] numbers their combinations: the endpoint that knows the
//! authentication operations (1.6: both; newer: `/metadata` only), and the name of the access token's field.

use std::borrow::Cow;
use std::time::Duration;

use graphql_session_renewal::{Cause, GraphqlCode};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::oauth2::{Binding, read_renewal};
use super::{
    Dialect, Facts, Flow, Held, OAuth2Client, OAuth2Settings, Protocol, REDIRECT_PORTS, Reading,
    TokenHeader, Tokens, claims,
};
use crate::http::{Answer, Endpoint, Envelope, Origin, Request, Target};

mod sign_in;
mod words;

use sign_in::{CLIENT_CONFIG, is_twenty, sign_in};
use words::{DIALECTS, is_unknown_field, request, tokens, tokens_selection};

/// What `invalid_grant` is described as when it may also mean that the server's database is away (measured: 2.21).
const AMBIGUOUS: [Cow<'static, str>; 1] = [Cow::Borrowed("Invalid or expired refresh token")];

/// What people read where the server asks whether the application may use their account.
const APPLICATION: &str = "Holdfast";

/// A Twenty server.
#[derive(Clone, Debug)]
pub struct Twenty {
    facts: Facts,
    oauth: OAuth2Settings,
}

impl Default for Twenty {
    fn default() -> Self {
        Self::new()
    }
}

impl Twenty {
    /// The protocol. People see `Holdfast` where the server asks whether the application may use their account;
    /// [`named`](Self::named) has another name.
    pub fn new() -> Self {
        Self::named(APPLICATION)
    }

    /// The protocol for an application of this name.
    pub fn named(application: &str) -> Self {
        let endpoints = vec![
            Endpoint::new("graphql", "/graphql"),
            Endpoint::new("metadata", "/metadata"),
        ];
        Self {
            oauth: OAuth2Settings {
                name: Cow::Borrowed("twenty"),
                client: OAuth2Client::Registers {
                    name: application.to_owned(),
                },
                scopes: vec!["api".into(), "profile".into()],
                // It compares the redirect to the letter, port included.
                redirect_ports: REDIRECT_PORTS.to_vec(),
                // Release 2.21 says that it sends `iss`, and does not.
                allows_missing_iss: true,
                ambiguous_descriptions: AMBIGUOUS.to_vec(),
                endpoints: endpoints.clone(),
                ..OAuth2Settings::default()
            },
            facts: Facts {
                name: Cow::Borrowed("twenty"),
                endpoints,
                token_header: TokenHeader::Bearer,
                call_headers: Vec::new(),
                // Twenty's default for the reuse of a refresh token that was just exchanged.
                grace: Some(Duration::from_secs(60)),
                // Releases before April 2026 revoke all of the person's tokens then; and a later one refuses the token, which
                // is how the session is known to be over.
                reuse_ends_session: false,
                // Its pages name everything from the host's root on.
                lives_below_paths: false,
                // Twenty states an expiry up to 1 s later than the one it applies.
                expiry_margin: Duration::from_secs(1),
                // Twenty closes idle connections after 5 s, and a call that meets the closing would be lost.
                idle_connection: Duration::from_secs(4),
            },
        }
    }
}

impl Protocol for Twenty {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn sign_in(&self, server: &Origin) -> Flow {
        let (server, oauth) = (server.clone(), self.oauth.clone());
        Flow::new(|conversation| async move { sign_in(&conversation, &server, &oauth).await })
    }

    fn dialects(&self, last: Option<&Dialect>) -> Vec<Dialect> {
        if let Some(oauth) = last.filter(|dialect| Binding::of(dialect).is_some()) {
            return vec![oauth.clone()];
        }
        let last = last.and_then(number);
        let mut numbers: Vec<u8> = last.into_iter().collect();
        numbers.extend(DIALECTS.iter().filter(|number| Some(**number) != last));
        numbers.iter().map(Dialect::of).collect()
    }

    fn renewal(&self, held: &Held<'_>, dialect: &Dialect) -> Option<Request> {
        if let Some(binding) = Binding::of(dialect) {
            return Some(binding.renewal(held, None));
        }
        let number = number(dialect).unwrap_or_default();
        Some(request(
            number,
            "RenewToken",
            &format!(
                "mutation RenewToken($appToken: String!) {{ renewToken(appToken: $appToken) {{ {} }} }}",
                tokens_selection(number)
            ),
            &RenewalVariables {
                app_token: held.refresh.expose_secret(),
            },
        ))
    }

    fn read_renewal(&self, answer: &Answer, dialect: &Dialect) -> Reading {
        if Binding::of(dialect).is_some() {
            return read_renewal(answer, &AMBIGUOUS);
        }
        let Some(envelope) = Envelope::read(&answer.body) else {
            return Reading::NotProtocol;
        };
        // Whatever stands beside them: the old ones are spent.
        if let Some(tokens) = tokens(&answer.body, "renewToken") {
            return Reading::Renewed(tokens);
        }
        if envelope.errors.is_empty() {
            return Reading::NotProtocol;
        }
        let message = envelope.message();
        if is_unknown_field(message) {
            return Reading::OtherDialect;
        }
        let status = answer.status;
        let cause = Cause::Graphql(GraphqlCode::of(envelope.code()), status);
        let rejected = |ambiguous| Reading::Rejected { ambiguous, cause };
        match (envelope.code(), envelope.sub_code()) {
            (Some("UNAUTHENTICATED" | "FORBIDDEN"), _) => rejected(false),
            (Some("BAD_USER_INPUT"), Some("LIMIT_REACHED")) => throttled(status),
            (Some("BAD_USER_INPUT"), _) if message.starts_with("Limit reached") => {
                throttled(status)
            }
            // A variable that was not coerced says nothing about the token: our request is wrong there.
            (Some("BAD_USER_INPUT"), _) if message.starts_with("Variable ") => {
                let cause = Cause::BadRequest(status);
                Reading::Inconclusive { cause }
            }
            (Some("BAD_USER_INPUT"), _) => rejected(false),
            // A removed member is final, but comes as an internal error; an outage of the server's database does, too.
            (Some("INTERNAL_SERVER_ERROR"), _) if message == "User Workspace not found" => {
                rejected(true)
            }
            _ => Reading::Inconclusive { cause },
        }
    }

    /// The person's id, in which workspace. The token of an application names the application as its `sub`, and the person
    /// beside it.
    fn subject(&self, tokens: &Tokens) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Claims {
            sub: String,
            user_id: Option<String>,
            application_id: Option<String>,
            workspace_id: Option<String>,
        }
        let claims: Claims = claims(tokens.access.expose_secret())?;
        let person = match claims.application_id {
            Some(_) => claims.user_id?,
            None => claims.sub,
        };
        Some(format!(
            "{person}@{}",
            claims.workspace_id.unwrap_or_default()
        ))
    }

    fn revocation(&self, held: &Held<'_>) -> Option<Request> {
        if let Some(binding) = Binding::of(held.dialect) {
            // With a client that other programs share, a sign-out would sign those out, too.
            return binding.revocation(held).filter(|_| !binding.is_shared);
        }
        Some(request(
            number(held.dialect).unwrap_or_default(),
            "SignOut",
            "mutation SignOut($refreshToken: String!) { signOut(refreshToken: $refreshToken) }",
            &SignOutVariables {
                refresh_token: held.refresh.expose_secret(),
            },
        ))
    }

    fn is_revoked(&self, answer: &Answer) -> bool {
        // The token endpoint's answer is an empty object.
        answer.status == 200
            && Envelope::read(&answer.body).is_some_and(|envelope| envelope.errors.is_empty())
    }

    fn probe(&self) -> Request {
        Request::get(Target::api(CLIENT_CONFIG))
    }

    fn is_back(&self, answer: &Answer) -> bool {
        is_twenty(answer)
    }
}

/// The dialect of a session that was begun with a password.
fn number(dialect: &Dialect) -> Option<u8> {
    dialect.read().filter(|number| DIALECTS.contains(number))
}

fn throttled(status: u16) -> Reading {
    Reading::Inconclusive {
        cause: Cause::Throttled(status),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RenewalVariables<'a> {
    app_token: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignOutVariables<'a> {
    refresh_token: &'a str,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::protocol::Expiry;

    fn reading(body: &Value) -> Reading {
        let answer = Answer::new(200, body.to_string());
        Twenty::new().read_renewal(&answer, &Dialect::of(&0))
    }

    fn issued(expires_at: &Value) -> Value {
        let token = |token| json!({ "token": token, "expiresAt": expires_at });
        let pair = json!({ "accessToken": token("access"), "refreshToken": token("refresh") });
        json!({ "data": { "renewToken": { "tokens": pair } } })
    }

    #[test]
    fn a_renewal_with_an_expiry_that_cannot_be_read_is_a_renewal_all_the_same() {
        for unreadable in [
            json!(1_767_603_600),
            json!(1_767_603_600_000_i64),
            json!("2026-01-05T09:00:00"),
            json!("soon"),
            json!(""),
            json!({}),
            Value::Null,
        ] {
            let Reading::Renewed(tokens) = reading(&issued(&unreadable)) else {
                panic!("{unreadable} lost the tokens");
            };
            assert_eq!(tokens.access_expires, Expiry::Unknown, "{unreadable}");
            assert!(tokens.refresh.is_some(), "{unreadable}");
        }
    }

    #[test]
    fn tokens_beside_an_error_are_a_renewal() {
        let mut body = issued(&json!("2026-01-05T09:00:00Z"));
        body["errors"] = json!([{ "message": "a warning", "extensions": { "code": "FORBIDDEN" } }]);
        assert!(matches!(reading(&body), Reading::Renewed(_)));
    }
}
