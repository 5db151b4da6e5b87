//! Signing in at Twenty: in the browser where the server has OAuth 2, with a password and what follows it elsewhere.

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use super::words::{
    DIALECTS, is_unknown_field, member, request, text_of, tokens, tokens_selection,
};
use crate::cleared::secret_of_json;
use crate::error::{Code, Error};
use crate::http::{Answer, Data, Envelope, Origin, Request, Target, values};
use crate::protocol::oauth2::{discover, sign_in_with_browser};
use crate::protocol::{
    Conversation, Dialect, Identity, Issued, OAuth2Settings, PasswordLogin, SignInMethod, Tokens,
    Workspace,
};

/// Public, and asked for by Twenty's own page before anything else.
pub(super) const CLIENT_CONFIG: &str = "/client-config";

/// One-time codes that one sign-in asks for: a person mistypes one, or it runs out while they type.
const ONE_TIME_CODES: u32 = 5;

pub(super) fn is_twenty(answer: &Answer) -> bool {
    (200..300).contains(&answer.status)
        && serde_json::from_slice::<Value>(&answer.body)
            .is_ok_and(|config| config.get("authProviders").is_some())
}

pub(super) async fn sign_in(
    conversation: &Conversation,
    server: &Origin,
    oauth: &OAuth2Settings,
) -> Result<Issued, Error> {
    let host = server.host();
    let answer = conversation
        .send(Request::get(Target::api(CLIENT_CONFIG)))
        .await?;
    if !is_twenty(&answer) {
        let leads_elsewhere = answer.leads_elsewhere(host);
        return Err(match answer.status {
            429 | 500.. => server_in_trouble(host),
            _ => leads_elsewhere.unwrap_or_else(|| not_twenty(host)),
        });
    }
    // Servers before 2026 have no such document: a password is the only way there.
    let authorization_server = discover(conversation, &server.text()).await?;
    let browser = authorization_server
        .as_ref()
        .is_some_and(|server| !server.methods().is_empty());
    let mut methods = vec![SignInMethod::Password];
    if browser {
        methods.insert(0, SignInMethod::Browser);
    }
    match (conversation.offer(methods).await?, authorization_server) {
        (SignInMethod::Browser, Some(authorization_server)) => {
            let issued = sign_in_with_browser(conversation, &authorization_server, oauth).await?;
            let tokens = with_name(conversation, issued.tokens).await;
            Ok(Issued { tokens, ..issued })
        }
        (SignInMethod::Browser, None) => Err(Error::new(
            Code::BrowserUnavailable,
            format!(
                "{host} is an older Twenty server, which has no sign-in by browser. Use your password."
            ),
        )),
        _ => sign_in_with_password(conversation, server).await,
    }
}

/// Asks who signed in: the browser knows, and the token does not tell. Without an answer the session has no name.
async fn with_name(conversation: &Conversation, mut tokens: Tokens) -> Tokens {
    #[derive(Serialize)]
    struct Query {
        query: &'static str,
    }
    let query = "{ currentUser { email } }";
    let mut request = Request::json(Target::api("/metadata"), &Query { query });
    let bearer = ["Bearer ", tokens.access.expose_secret()].concat();
    request
        .headers
        .push(("authorization".into(), bearer.into()));
    if let Ok(answer) = conversation.send(request).await {
        let reply: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let email = reply
            .as_ref()
            .and_then(|reply| reply.pointer("/data/currentUser/email"));
        tokens.identity.name = email.and_then(Value::as_str).map(str::to_owned);
    }
    tokens
}

async fn sign_in_with_password(
    conversation: &Conversation,
    server: &Origin,
) -> Result<Issued, Error> {
    let login = conversation.password().await?;
    let (host, origin) = (server.host(), server.text());
    let mut refusal = None;
    for dialect in DIALECTS {
        let answered = ask(
            conversation,
            host,
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
            Err(Refusal::WorkspaceNotFound(error)) => {
                return choose_workspace(conversation, host, dialect, &login, error).await;
            }
            Err(refusal) => return Err(refusal.into_error()),
        };
        let login_token = login_token(&answered).ok_or_else(|| not_twenty(host))?;
        match exchange_login_token(conversation, host, dialect, &login_token, &origin).await {
            Ok(tokens) => return Ok(begun(tokens, dialect, &login, None)),
            Err(Refusal::OtherDialect(error)) => refusal = Some(error),
            Err(refusal) => return Err(refusal.into_error()),
        }
    }
    Err(refusal.unwrap_or_else(|| not_twenty(host)))
}

/// Why an operation of the sign-in was not done.
enum Refusal {
    OtherDialect(Error),
    WorkspaceNotFound(Error),
    SecondFactor(Error),
    WrongOneTimeCode(Error),
    Final(Error),
}

impl Refusal {
    fn into_error(self) -> Error {
        match self {
            Self::OtherDialect(error)
            | Self::WorkspaceNotFound(error)
            | Self::SecondFactor(error)
            | Self::WrongOneTimeCode(error)
            | Self::Final(error) => error,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// The person's address is that of a server with several workspaces: one of theirs is to be chosen.
async fn choose_workspace(
    conversation: &Conversation,
    host: &str,
    dialect: u8,
    login: &PasswordLogin,
    not_found: Error,
) -> Result<Issued, Error> {
    let answered = ask(
        conversation,
        host,
        dialect,
        "SignIn",
        "mutation SignIn($email: String!, $password: String!) { signIn(email: $email, password: $password) { \
         availableWorkspaces { availableWorkspacesForSignIn { displayName loginToken \
         workspaceUrls { subdomainUrl customUrl } } } } }",
        &LoginVariables {
            email: &login.email,
            password: login.password.expose_secret(),
        },
    )
    .await;
    let answered = match answered {
        Ok(answer) => answer,
        // An older server knows one workspace only.
        Err(Refusal::OtherDialect(_)) => return Err(not_found),
        Err(refusal) => return Err(refusal.into_error()),
    };
    let mut available = available_workspaces(&answered).unwrap_or_default();
    let chosen = match available.len() {
        0 => return Err(not_found),
        1 => 0,
        _ => {
            let workspaces = available.iter().map(|(workspace, _)| workspace.clone());
            conversation.choose(workspaces.collect()).await?
        }
    };
    let (workspace, login_token) = available.swap_remove(chosen);
    let exchanged =
        exchange_login_token(conversation, host, dialect, &login_token, &workspace.origin).await;
    let tokens = exchanged.map_err(Refusal::into_error)?;
    Ok(begun(tokens, dialect, login, Some(workspace.origin)))
}

/// The workspaces that the person may sign in to by a password, each with its login token.
fn available_workspaces(answer: &Answer) -> Option<Vec<(Workspace, SecretString)>> {
    let body = text_of(&answer.body);
    let available = member(member(&body, "data")?, "signIn")?;
    let list = member(
        member(available, "availableWorkspaces")?,
        "availableWorkspacesForSignIn",
    )?;
    let list: Vec<&RawValue> = serde_json::from_str(list).ok()?;
    Some(list.into_iter().filter_map(workspace).collect())
}

fn workspace(json: &RawValue) -> Option<(Workspace, SecretString)> {
    let [name, login_token, urls] =
        values(json.get(), ["displayName", "loginToken", "workspaceUrls"])?;
    let [custom, subdomain] = values(urls?, ["customUrl", "subdomainUrl"])?;
    let text = |json: &str| serde_json::from_str::<String>(json).ok();
    let url = custom.and_then(text).or_else(|| subdomain.and_then(text))?;
    let origin = url.parse::<Url>().ok()?.origin().ascii_serialization();
    let name = name.and_then(text).unwrap_or_else(|| origin.clone());
    Some((Workspace { name, origin }, secret_of_json(login_token?)?))
}

/// Exchanges a login token for a pair; with a one-time code, where the account has a second factor.
async fn exchange_login_token(
    conversation: &Conversation,
    host: &str,
    dialect: u8,
    login_token: &SecretString,
    origin: &str,
) -> Result<Tokens, Refusal> {
    let selection = tokens_selection(dialect);
    let variables = LoginTokenVariables {
        login_token: login_token.expose_secret(),
        origin,
    };
    let field = "getAuthTokensFromLoginToken";
    let answered = ask(
        conversation,
        host,
        dialect,
        "GetAuthTokensFromLoginToken",
        &format!(
            "mutation GetAuthTokensFromLoginToken($loginToken: String!, $origin: String!) {{ \
             {field}(loginToken: $loginToken, origin: $origin) {{ {selection} }} }}"
        ),
        &variables,
    )
    .await;
    let (answered, field) = match answered {
        Ok(answered) => (answered, field),
        Err(Refusal::SecondFactor(_)) => {
            let answered =
                with_one_time_code(conversation, host, dialect, login_token, origin).await?;
            (answered, "getAuthTokensFromOTP")
        }
        Err(refusal) => return Err(refusal),
    };
    tokens(&answered.body, field)
        .filter(|tokens| tokens.refresh.is_some())
        .ok_or_else(|| Refusal::Final(not_twenty(host)))
}

/// Asks for a one-time code until one is right. The login token outlives some of them.
async fn with_one_time_code(
    conversation: &Conversation,
    host: &str,
    dialect: u8,
    login_token: &SecretString,
    origin: &str,
) -> Result<Answer, Refusal> {
    let selection = tokens_selection(dialect);
    let mutation = format!(
        "mutation GetAuthTokensFromOTP($otp: String!, $loginToken: String!, $origin: String!) {{ \
         getAuthTokensFromOTP(otp: $otp, loginToken: $loginToken, origin: $origin) {{ {selection} }} }}"
    );
    let mut tries = 0;
    loop {
        let code = conversation.one_time_code(tries > 0).await?;
        let variables = OneTimeCodeVariables {
            otp: code.expose_secret(),
            login_token: login_token.expose_secret(),
            origin,
        };
        let operation = "GetAuthTokensFromOTP";
        let answered = ask(
            conversation,
            host,
            dialect,
            operation,
            &mutation,
            &variables,
        );
        tries += 1;
        match answered.await {
            Err(Refusal::WrongOneTimeCode(_)) if tries < ONE_TIME_CODES => {}
            answered => return answered,
        }
    }
}

fn begun(tokens: Tokens, dialect: u8, login: &PasswordLogin, server: Option<String>) -> Issued {
    let identity = Identity {
        name: Some(login.email.clone()),
        ..tokens.identity
    };
    Issued {
        tokens: Tokens { identity, ..tokens },
        dialect: Dialect::of(&dialect),
        issuer: None,
        server,
    }
}

async fn ask(
    conversation: &Conversation,
    host: &str,
    dialect: u8,
    operation: &str,
    query: &str,
    variables: &impl Serialize,
) -> Result<Answer, Refusal> {
    let answer = conversation
        .send(request(dialect, operation, query, variables))
        .await
        .map_err(|unanswered| Refusal::Final(unanswered.error))?;
    if let Some(error) = answer.leads_elsewhere(host) {
        return Err(Refusal::Final(error));
    }
    let Some(envelope) = Envelope::read(&answer.body) else {
        return Err(Refusal::Final(match answer.status {
            408 | 425 | 429 | 500.. => server_in_trouble(host),
            _ => not_twenty(host),
        }));
    };
    if envelope.errors.is_empty() && envelope.data == Data::Present {
        return Ok(answer);
    }
    if is_unknown_field(envelope.message()) {
        return Err(Refusal::OtherDialect(not_twenty(host)));
    }
    Err(sign_in_refusal(&envelope, host))
}

fn sign_in_refusal(envelope: &Envelope, host: &str) -> Refusal {
    let refused = |code, sentence: String| Refusal::Final(Error::new(code, sentence));
    match (envelope.code(), envelope.sub_code()) {
        (_, Some("TWO_FACTOR_AUTHENTICATION_VERIFICATION_REQUIRED")) => {
            Refusal::SecondFactor(Error::new(
                Code::SecondFactorRequired,
                "This account asks for a one-time code. Sign in once more, and give the code when it is asked for.",
            ))
        }
        (_, Some("INVALID_OTP")) => Refusal::WrongOneTimeCode(Error::new(
            Code::WrongPassword,
            "The one-time code is wrong or was used before. Sign in again with the next one.",
        )),
        (_, Some("USER_NOT_FOUND")) => refused(
            Code::UnknownUser,
            "The server knows nobody by this e-mail address. Check it.".into(),
        ),
        (_, Some("WORKSPACE_NOT_FOUND")) => Refusal::WorkspaceNotFound(Error::new(
            Code::NotThisServer,
            format!("{host} has no workspace at this address. Use your workspace's own address."),
        )),
        (Some("FORBIDDEN"), _) if envelope.message() == "Wrong password" => refused(
            Code::WrongPassword,
            "The password is wrong. Check it and try again.".into(),
        ),
        (Some("INTERNAL_SERVER_ERROR"), _) => Refusal::Final(server_in_trouble(host)),
        (Some("BAD_USER_INPUT"), _) if envelope.message().starts_with("Limit reached") => {
            Refusal::Final(server_in_trouble(host))
        }
        _ => refused(
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

fn not_twenty(host: &str) -> Error {
    Error::new(
        Code::NotThisServer,
        format!("{host} answers, but not as a Twenty server. Check the address."),
    )
}

#[derive(Serialize)]
struct PasswordVariables<'a> {
    email: &'a str,
    password: &'a str,
    origin: &'a str,
}

#[derive(Serialize)]
struct LoginVariables<'a> {
    email: &'a str,
    password: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneTimeCodeVariables<'a> {
    otp: &'a str,
    login_token: &'a str,
    origin: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoginTokenVariables<'a> {
    login_token: &'a str,
    origin: &'a str,
}

fn login_token(answer: &Answer) -> Option<SecretString> {
    let body = text_of(&answer.body);
    let data = member(&body, "data")?;
    let token = member(member(data, "getLoginTokenFromCredentials")?, "loginToken")?;
    secret_of_json(member(token, "token")?)
}
