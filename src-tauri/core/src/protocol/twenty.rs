//! The Twenty protocol, as measured against a real server of release 1.6 and read from the public sources of newer ones.
//!
//! Two things differ between releases, and a [`Dialect`] numbers their combinations: the endpoint that knows the
//! authentication operations (1.6: both; newer: `/metadata` only), and the name of the access token's field.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graphql_session_renewal::{Cause, GraphqlCode};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::{Dialect, Facts, Issued, PasswordLogin, Protocol, Reading, Tokens};
use crate::clock::BoxFuture;
use crate::error::{Code, Error};
use crate::http::{Answer, AuthClient, Data, Endpoint, Envelope, Request};

static FACTS: Facts = Facts {
    name: "twenty",
    endpoints: &[
        Endpoint {
            name: "graphql",
            path: "/graphql",
        },
        Endpoint {
            name: "metadata",
            path: "/metadata",
        },
    ],
    // Twenty's default for the reuse of a refresh token that was just exchanged.
    grace: Some(Duration::from_secs(60)),
    // Twenty states an expiry up to 1 s later than the one it applies.
    expiry_margin: Duration::from_secs(1),
    // Twenty closes idle connections after 5 s, and a call that meets the closing would be lost.
    idle_connection: Duration::from_secs(4),
};

/// All dialects: bit 0 is the endpoint, bit 1 the field name.
const DIALECTS: [Dialect; 4] = [Dialect(0), Dialect(1), Dialect(2), Dialect(3)];

/// A Twenty server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Twenty;

impl Twenty {
    /// The protocol.
    pub fn new() -> Self {
        Self
    }
}

impl Protocol for Twenty {
    fn facts(&self) -> &Facts {
        &FACTS
    }

    fn check<'a>(&'a self, client: &'a AuthClient) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(check(client))
    }

    fn sign_in<'a>(
        &'a self,
        client: &'a AuthClient,
        login: &'a PasswordLogin,
    ) -> BoxFuture<'a, Result<Issued, Error>> {
        Box::pin(sign_in(client, login))
    }

    fn dialects(&self, last: Option<Dialect>) -> Vec<Dialect> {
        let last = last.filter(|dialect| DIALECTS.contains(dialect));
        let mut dialects: Vec<_> = last.into_iter().collect();
        dialects.extend(DIALECTS.iter().filter(|dialect| Some(**dialect) != last));
        dialects
    }

    fn renewal(&self, refresh: &SecretString, dialect: Dialect) -> Request {
        request(
            dialect,
            "RenewToken",
            &format!(
                "mutation RenewToken($appToken: String!) {{ renewToken(appToken: $appToken) {{ {} }} }}",
                tokens_selection(dialect)
            ),
            json!({ "appToken": refresh.expose_secret() }),
        )
    }

    fn read_renewal(&self, answer: &Answer, _dialect: Dialect) -> Reading {
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

    fn refuses(&self, status: u16, envelope: &Envelope) -> bool {
        match envelope.code() {
            // Also USER_NOT_FOUND, which 2.21 says to a member who was removed: the renewal's answer decides.
            Some("UNAUTHENTICATED") => true,
            // Not this server's words; something in front of it says it by the status.
            None => status == 401,
            Some(_) => false,
        }
    }

    fn subject(&self, tokens: &Tokens) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Claims {
            sub: String,
            workspace_id: Option<String>,
        }
        let payload = tokens.access.expose_secret().split('.').nth(1)?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        Some(format!(
            "{}@{}",
            claims.sub,
            claims.workspace_id.unwrap_or_default()
        ))
    }

    fn revocation(&self, refresh: &SecretString, dialect: Dialect) -> Option<Request> {
        Some(request(
            dialect,
            "SignOut",
            "mutation SignOut($refreshToken: String!) { signOut(refreshToken: $refreshToken) }",
            json!({ "refreshToken": refresh.expose_secret() }),
        ))
    }
}

fn throttled(status: u16) -> Reading {
    Reading::Inconclusive {
        cause: Cause::Throttled(status),
    }
}

async fn check(client: &AuthClient) -> Result<(), Error> {
    let host = client.origin().host();
    let answer = client
        .get("/client-config")
        .await
        .map_err(|error| client.sign_in_error(error))?;
    let is_twenty = serde_json::from_slice::<Value>(&answer.body)
        .is_ok_and(|config| config.get("authProviders").is_some());
    match answer.status {
        200..300 if is_twenty => Ok(()),
        500.. | 429 => Err(server_in_trouble(host)),
        _ => Err(match answer.redirects_to {
            Some(there) => Error::new(
                Code::NotThisServer,
                format!("{host} leads to {there}. Use that address, if you know it."),
            ),
            None => not_twenty(client),
        }),
    }
}

async fn sign_in(client: &AuthClient, login: &PasswordLogin) -> Result<Issued, Error> {
    let origin = client.origin().text();
    let mut refusal = None;
    for dialect in DIALECTS {
        let answered = ask(
            client,
            dialect,
            "GetLoginTokenFromCredentials",
            "mutation GetLoginTokenFromCredentials($email: String!, $password: String!, $origin: String!) { \
             getLoginTokenFromCredentials(email: $email, password: $password, origin: $origin) { \
             loginToken { token expiresAt } } }",
            json!({
                "email": login.email,
                "password": login.password.expose_secret(),
                "origin": origin,
            }),
        )
        .await;
        let answered = match answered {
            Ok(answer) => answer,
            Err(Refusal::OtherDialect(error)) => {
                refusal = Some(error);
                continue;
            }
            Err(Refusal::Final(error)) => return Err(error),
        };
        let login_token = login_token(&answered).ok_or_else(|| not_twenty(client))?;
        let pair = ask(
            client,
            dialect,
            "GetAuthTokensFromLoginToken",
            &format!(
                "mutation GetAuthTokensFromLoginToken($loginToken: String!, $origin: String!) {{ \
                 getAuthTokensFromLoginToken(loginToken: $loginToken, origin: $origin) {{ {} }} }}",
                tokens_selection(dialect)
            ),
            json!({ "loginToken": login_token.expose_secret(), "origin": origin }),
        )
        .await;
        match pair {
            Ok(answer) => {
                let tokens = tokens(&answer.body, "getAuthTokensFromLoginToken")
                    .filter(|tokens| tokens.refresh.is_some())
                    .ok_or_else(|| not_twenty(client))?;
                return Ok(Issued { tokens, dialect });
            }
            Err(Refusal::OtherDialect(error)) => refusal = Some(error),
            Err(Refusal::Final(error)) => return Err(error),
        }
    }
    Err(refusal.unwrap_or_else(|| not_twenty(client)))
}

enum Refusal {
    OtherDialect(Error),
    Final(Error),
}

async fn ask(
    client: &AuthClient,
    dialect: Dialect,
    operation: &str,
    query: &str,
    variables: Value,
) -> Result<Answer, Refusal> {
    let host = client.origin().host();
    let answer = client
        .post(&request(dialect, operation, query, variables))
        .await
        .map_err(|error| Refusal::Final(client.sign_in_error(error)))?;
    let Some(envelope) = Envelope::read(&answer.body) else {
        return Err(Refusal::Final(match answer.status {
            408 | 425 | 429 | 500.. => server_in_trouble(host),
            _ => not_twenty(client),
        }));
    };
    if envelope.errors.is_empty() && envelope.data == Data::Present {
        return Ok(answer);
    }
    if is_unknown_field(envelope.message()) {
        return Err(Refusal::OtherDialect(not_twenty(client)));
    }
    Err(Refusal::Final(sign_in_refusal(&envelope, host)))
}

fn sign_in_refusal(envelope: &Envelope, host: &str) -> Error {
    match (envelope.code(), envelope.sub_code()) {
        (_, Some("TWO_FACTOR_AUTHENTICATION_VERIFICATION_REQUIRED")) => Error::new(
            Code::SecondFactorRequired,
            "This account asks for a second factor, which this client cannot give yet. Use an account without one.",
        ),
        (_, Some("USER_NOT_FOUND")) => Error::new(
            Code::UnknownUser,
            "The server knows nobody by this e-mail address. Check it.",
        ),
        (_, Some("WORKSPACE_NOT_FOUND")) => Error::new(
            Code::NotThisServer,
            format!("{host} has no workspace at this address. Use your workspace's own address."),
        ),
        (Some("FORBIDDEN"), _) if envelope.message() == "Wrong password" => Error::new(
            Code::WrongPassword,
            "The password is wrong. Check it and try again.",
        ),
        (Some("INTERNAL_SERVER_ERROR"), _) => server_in_trouble(host),
        (Some("BAD_USER_INPUT"), _) if envelope.message().starts_with("Limit reached") => {
            server_in_trouble(host)
        }
        _ => Error::new(
            Code::SignInRefused,
            format!(
                "{host} refused the sign-in. Check e-mail address and password, or ask the person who runs the server."
            ),
        ),
    }
}

fn server_in_trouble(host: &str) -> Error {
    Error::new(
        Code::NoAnswer,
        format!("{host} is in trouble just now. Try again in a moment."),
    )
}

fn not_twenty(client: &AuthClient) -> Error {
    Error::new(
        Code::NotThisServer,
        format!(
            "{} answers, but not as a Twenty server. Check the address.",
            client.origin().host()
        ),
    )
}

fn is_unknown_field(message: &str) -> bool {
    message.starts_with("Cannot query field")
}

fn request(dialect: Dialect, operation: &str, query: &str, variables: Value) -> Request {
    let body = json!({ "operationName": operation, "query": query, "variables": variables });
    Request {
        path: if dialect.0 & 1 == 0 {
            "/graphql"
        } else {
            "/metadata"
        },
        body: body.to_string().into(),
    }
}

fn tokens_selection(dialect: Dialect) -> String {
    let access = if dialect.0 & 2 == 0 {
        "accessOrWorkspaceAgnosticToken"
    } else {
        "accessToken"
    };
    format!("tokens {{ {access} {{ token expiresAt }} refreshToken {{ token expiresAt }} }}")
}

#[derive(Deserialize)]
struct Token {
    token: String,
    #[serde(rename = "expiresAt", default, deserialize_with = "time_or_unknown")]
    expires_at: Option<Timestamp>,
}

/// A time that cannot be read is unknown, and no reason to throw away what the server has just issued.
fn time_or_unknown<'de, D: Deserializer<'de>>(reading: D) -> Result<Option<Timestamp>, D::Error> {
    let time = Option::<Value>::deserialize(reading)?;
    Ok(time.and_then(|time| time.as_str()?.parse().ok()))
}

fn tokens(body: &[u8], field: &str) -> Option<Tokens> {
    #[derive(Deserialize)]
    struct Pair {
        #[serde(rename = "accessOrWorkspaceAgnosticToken", alias = "accessToken")]
        access: Token,
        #[serde(rename = "refreshToken")]
        refresh: Option<Token>,
    }
    let mut reply: Value = serde_json::from_slice(body).ok()?;
    let pair = reply.pointer_mut(&format!("/data/{field}/tokens"))?.take();
    let pair: Pair = serde_json::from_value(pair).ok()?;
    let is_usable = |token: &Token| !token.token.is_empty();
    if !is_usable(&pair.access) {
        return None;
    }
    let refresh = pair.refresh.filter(is_usable);
    Some(Tokens {
        access: pair.access.token.into(),
        access_expires_at: pair.access.expires_at,
        refresh_expires_at: refresh.as_ref().and_then(|token| token.expires_at),
        refresh: refresh.map(|token| token.token.into()),
    })
}

fn login_token(answer: &Answer) -> Option<SecretString> {
    let reply: Value = serde_json::from_slice(&answer.body).ok()?;
    let token = reply.pointer("/data/getLoginTokenFromCredentials/loginToken/token")?;
    Some(token.as_str()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(body: &Value) -> Reading {
        let answer = Answer {
            status: 200,
            retry_after: None,
            redirects_to: None,
            body: body.to_string().into(),
        };
        Twenty::new().read_renewal(&answer, Dialect::default())
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
            assert_eq!(tokens.access_expires_at, None, "{unreadable}");
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
