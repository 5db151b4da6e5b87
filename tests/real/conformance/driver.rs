//! Signs in at the server of a conformance scenario, as an application with [`OAuth2`] does. scripts/interop.sh runs it.
//!
//!     conformance-driver http://localhost:40000/mcp
//!
//! Where the API is protected and by whom is in its metadata (RFC 9728), and the core does not read that: an application knows
//! its issuer. So the driver reads it, and hands it over as settings. The browser is an HTTP client that follows redirects.
//!
//! Ends with 0 where the person is signed in and the call was answered, and also where the server issued an access token and
//! no refresh token: there is no session then, and the sign-in says so.

use std::process::ExitCode;
use std::sync::Arc;

use graphql_session::{
    Call, Code, Config, Endpoint, Error, MemoryVault, OAuth2, OAuth2Client, OAuth2Settings,
    Session, SignInEvent, SignInMethod, SignInStep,
};
use graphql_session_testing::{Browser, Page};
use serde_json::Value;
use url::Url;

/// What a scenario gives beside the address, as JSON: a client id that the server knows.
const CONTEXT: &str = "MCP_CONFORMANCE_CONTEXT";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let address = std::env::args().next_back().unwrap_or_default();
    let Ok(api) = address.parse::<Url>() else {
        eprintln!("usage: conformance-driver ADDRESS");
        return ExitCode::from(2);
    };
    match sign_in_and_call(&api).await {
        Ok(outcome) => {
            println!("{outcome}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{:?}: {error}", error.code());
            ExitCode::FAILURE
        }
    }
}

async fn sign_in_and_call(api: &Url) -> Result<String, Error> {
    let protection = Protection::of(api).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = Config::with_vault(folder.path(), MemoryVault::default());
    config.protocol = Arc::new(OAuth2::new(OAuth2Settings {
        issuer: protection.issuer,
        client: client(),
        scopes: protection.scopes,
        resource: protection.resource,
        endpoints: vec![Endpoint {
            name: "api".into(),
            path: api.path().to_owned().into(),
        }],
        ..OAuth2Settings::default()
    }));
    let session = Session::open(config).await?;
    match sign_in(&session, &api.origin().ascii_serialization()).await {
        Ok(()) => {}
        Err(error) if is_without_refresh_token(&error) => {
            return Ok(format!("not signed in: {error}"));
        }
        Err(error) => return Err(error),
    }
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","query":"{ __typename }"}"#;
    let reply = session.execute(Call::new("api", call)).await?;
    Ok(format!(
        "signed in, and a call was answered with {}",
        reply.status
    ))
}

/// The server's doing, and not a failure of the sign-in: everything up to the token request went well.
fn is_without_refresh_token(error: &Error) -> bool {
    error.code() == Code::SignInRefused
        && error.cause().is_none()
        && error.message().contains("offline_access")
}

async fn sign_in(session: &Session, server: &str) -> Result<(), Error> {
    let mut sign_in = session.begin_sign_in(server, Some(SignInMethod::Browser))?;
    let url = match sign_in.next().await? {
        SignInEvent::Step(SignInStep::Browser { url, .. }) => url,
        other => panic!("no page to open: {other:?}"),
    };
    let browser = Browser::default();
    let (event, page) = tokio::join!(sign_in.next(), browser.open(&url));
    page.expect("a page");
    event.map(drop)
}

fn client() -> OAuth2Client {
    let context = std::env::var(CONTEXT).unwrap_or_default();
    let context: Value = serde_json::from_str(&context).unwrap_or_default();
    match context["client_id"].as_str() {
        Some(id) => OAuth2Client::Id(id.to_owned()),
        None => OAuth2Client::Registers {
            name: "conformance driver".into(),
        },
    }
}

/// Who protects an API, and what it asks for.
#[derive(Default)]
struct Protection {
    issuer: Option<String>,
    resource: Option<String>,
    scopes: Vec<String>,
}

impl Protection {
    /// From the API's refusal, and the metadata that it names; else from the metadata at its well-known places (RFC 9728,
    /// sections 5.1 and 3.1). An API without metadata is its own issuer.
    async fn of(api: &Url) -> Self {
        let host = api[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let refusal = Browser::default().send("POST", api.as_str(), &host).await;
        let challenge = refusal.ok().and_then(|page| challenge(&page));
        let challenge = challenge.unwrap_or_default();
        let named = parameter(&challenge, "resource_metadata");
        let places = named.into_iter().chain(well_known(api));
        let asked = parameter(&challenge, "scope");
        for place in places {
            if let Some(metadata) = read(&place).await {
                return Self::new(&metadata, asked);
            }
        }
        Self::default()
    }

    fn new(metadata: &Value, asked: Option<String>) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let supported = metadata["scopes_supported"].as_array();
        let supported = || supported.into_iter().flatten().filter_map(text).collect();
        Self {
            issuer: text(&metadata["authorization_servers"][0]),
            resource: text(&metadata["resource"]),
            scopes: asked.map_or_else(supported, |asked| {
                asked.split(' ').map(str::to_owned).collect()
            }),
        }
    }
}

fn challenge(page: &Page) -> Option<String> {
    page.header("www-authenticate").map(str::to_owned)
}

/// A parameter of a challenge: `name="value"`.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
    Some(rest.split_once('"')?.0.to_owned())
}

fn well_known(api: &Url) -> [String; 2] {
    let at = |path: &str| {
        let mut place = api.clone();
        place.set_path(&format!("/.well-known/oauth-protected-resource{path}"));
        place.into()
    };
    [at(api.path()), at("")]
}

async fn read(place: &str) -> Option<Value> {
    let page = Browser::default().get(place).await.ok()?;
    let body = (page.status == 200).then_some(page.body)?;
    serde_json::from_str(&body).ok()
}
