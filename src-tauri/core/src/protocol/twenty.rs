//! The Twenty protocol, as measured against a real server of release 1.6 and read from the public sources of newer ones.
//!
//! Two things differ between releases, and a [`Dialect`] numbers their combinations: the endpoint that knows the
//! authentication operations (1.6: both; newer: `/metadata` only), and the name of the access token's field.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graphql_session_renewal::{Cause, GraphqlCode};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Dialect, Facts, Issued, PasswordLogin, Protocol, Reading, Tokens};
use crate::cleared::secret_of_json;
use crate::clock::BoxFuture;
use crate::error::{Code, Error};
use crate::http::{Answer, AuthClient, Data, Endpoint, Envelope, Request, values};

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
    // Its pages name everything from the host's root on.
    lives_below_paths: false,
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
            &RenewalVariables {
                app_token: refresh.expose_secret(),
            },
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

    fn subject(&self, tokens: &Tokens) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Claims {
            sub: String,
            workspace_id: Option<String>,
        }
        let payload = tokens.access.expose_secret().split('.').nth(1)?;
        let claims = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload).ok()?);
        let claims: Claims = serde_json::from_slice(&claims).ok()?;
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
            &SignOutVariables {
                refresh_token: refresh.expose_secret(),
            },
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
        _ => Err(client
            .leads_elsewhere(&answer)
            .unwrap_or_else(|| not_twenty(client))),
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
            &PasswordVariables {
                email: &login.email,
                password: login.password.expose_secret(),
                origin: &origin,
            },
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
            &LoginTokenVariables {
                login_token: login_token.expose_secret(),
                origin: &origin,
            },
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
    variables: &impl Serialize,
) -> Result<Answer, Refusal> {
    let host = client.origin().host();
    let answer = client
        .post(&request(dialect, operation, query, variables))
        .await
        .map_err(|error| Refusal::Final(client.sign_in_error(error)))?;
    if let Some(error) = client.leads_elsewhere(&answer) {
        return Err(Refusal::Final(error));
    }
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Operation<'a, V> {
    operation_name: &'a str,
    query: &'a str,
    variables: &'a V,
}

#[derive(Serialize)]
struct PasswordVariables<'a> {
    email: &'a str,
    password: &'a str,
    origin: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoginTokenVariables<'a> {
    login_token: &'a str,
    origin: &'a str,
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

fn request(
    dialect: Dialect,
    operation_name: &str,
    query: &str,
    variables: &impl Serialize,
) -> Request {
    let path = if dialect.0 & 1 == 0 {
        "/graphql"
    } else {
        "/metadata"
    };
    let operation = Operation {
        operation_name,
        query,
        variables,
    };
    Request::json(path, &operation)
}

fn tokens_selection(dialect: Dialect) -> String {
    let access = if dialect.0 & 2 == 0 {
        "accessOrWorkspaceAgnosticToken"
    } else {
        "accessToken"
    };
    format!("tokens {{ {access} {{ token expiresAt }} refreshToken {{ token expiresAt }} }}")
}

/// One token of an answer.
struct Token {
    text: SecretString,
    expires_at: Option<Timestamp>,
}

/// The tokens under `data`, `field`, `tokens`. They are taken from where they stand: a `serde_json::Value` would be one more
/// copy of them.
fn tokens(body: &[u8], field: &str) -> Option<Tokens> {
    let body = text_of(body);
    let tokens = member(member(member(&body, "data")?, field)?, "tokens")?;
    let [old_access, access, refresh] = values(
        tokens,
        [
            "accessOrWorkspaceAgnosticToken",
            "accessToken",
            "refreshToken",
        ],
    )?;
    let access = token(old_access.or(access)?)?;
    let refresh = refresh.and_then(token);
    Some(Tokens {
        access: access.text,
        access_expires_at: access.expires_at,
        refresh_expires_at: refresh.as_ref().and_then(|token| token.expires_at),
        refresh: refresh.map(|token| token.text),
    })
}

/// A token that can be used. A time that cannot be read is unknown, and no reason to throw away what the server has just
/// issued.
fn token(json: &str) -> Option<Token> {
    let [text, expires_at] = values(json, ["token", "expiresAt"])?;
    let text = secret_of_json(text?)?;
    let expires_at = expires_at
        .and_then(secret_of_json)
        .and_then(|time| time.expose_secret().parse().ok());
    (!text.expose_secret().is_empty()).then_some(Token { text, expires_at })
}

fn login_token(answer: &Answer) -> Option<SecretString> {
    let body = text_of(&answer.body);
    let data = member(&body, "data")?;
    let token = member(member(data, "getLoginTokenFromCredentials")?, "loginToken")?;
    secret_of_json(member(token, "token")?)
}

fn member<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    let [value] = values(json, [key])?;
    value
}

/// An answer as text, also where a part of it is in another encoding.
fn text_of(body: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
