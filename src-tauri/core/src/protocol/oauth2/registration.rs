//! Who the application is at a server: a client id from the settings, or one that the server gave it (RFC 7591).

use graphql_session_renewal::OAuthError;
use serde::{Deserialize, Serialize};

use super::discovery::AuthorizationServer;
use super::settings::{OAuth2Client, OAuth2Settings, REDIRECT_PATH};
use super::token::Refused;
use crate::error::{Code, Error};
use crate::http::{Request, Target};
use crate::protocol::Conversation;

/// A registration, as it is kept with the account's files. A client id is no secret.
#[derive(Serialize, Deserialize)]
struct Registration {
    client_id: String,
    redirect_uris: Vec<String>,
}

#[derive(Serialize)]
struct Asked<'a> {
    client_name: &'a str,
    redirect_uris: &'a [String],
    grant_types: [&'static str; 2],
    response_types: [&'static str; 1],
    token_endpoint_auth_method: &'static str,
    application_type: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
}

/// The client id to use at `server`. Registers the application where it has none there, or where the server has forgotten
/// the one that it gave.
///
/// # Errors
/// A server that registers nobody, or cannot be reached.
pub(crate) async fn client_id(
    conversation: &Conversation,
    server: &AuthorizationServer,
    settings: &OAuth2Settings,
) -> Result<String, Error> {
    let name = match &settings.client {
        OAuth2Client::Id(id) => return Ok(id.clone()),
        OAuth2Client::Registers { name } => name,
    };
    let redirect_uris = redirect_uris(settings);
    let kept = conversation.recall(server.issuer.clone()).await;
    let kept: Option<Registration> = kept.and_then(|text| serde_json::from_str(&text).ok());
    if let Some(kept) = kept
        && kept.redirect_uris == redirect_uris
        && is_still_known(conversation, server, &kept.client_id).await?
    {
        return Ok(kept.client_id);
    }
    let Some(endpoint) = server.registration_endpoint.clone() else {
        return server.cli_client_id.clone().ok_or_else(|| {
            Error::new(
                Code::SignInRefused,
                format!(
                    "{} lets no application register itself. Its developers have to be given a client id.",
                    server.host()
                ),
            )
        });
    };
    let asked = Asked {
        client_name: name,
        redirect_uris: &redirect_uris,
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        token_endpoint_auth_method: "none",
        application_type: "native",
        scope: settings.scopes.join(" "),
    };
    let answer = conversation
        .send(Request::json(Target::Address(endpoint), &asked))
        .await?;
    #[derive(Deserialize)]
    struct Given {
        client_id: String,
    }
    let given: Option<Given> = serde_json::from_slice(&answer.body).ok();
    match given.filter(|given| matches!(answer.status, 200 | 201) && !given.client_id.is_empty()) {
        Some(Given { client_id }) => {
            let kept = Registration {
                client_id: client_id.clone(),
                redirect_uris,
            };
            let text = serde_json::to_string(&kept).expect("texts are JSON");
            conversation.remember(server.issuer.clone(), text).await;
            Ok(client_id)
        }
        // One that every server of this kind knows.
        None if server.cli_client_id.is_some() => {
            Ok(server.cli_client_id.clone().unwrap_or_default())
        }
        None => Err(Refused::read(&answer).map_or_else(
            || {
                Error::new(
                    Code::SignInRefused,
                    format!(
                        "{} did not register this application. Try again later.",
                        server.host()
                    ),
                )
            },
            |refused| refused.to_error(server.host(), answer.status),
        )),
    }
}

/// The redirect addresses to register: those of the ports to listen on, because many servers compare the port as well.
fn redirect_uris(settings: &OAuth2Settings) -> Vec<String> {
    let ports = settings.listening_ports().iter();
    ports
        .map(|port| format!("http://127.0.0.1:{port}{REDIRECT_PATH}"))
        .collect()
}

/// Servers remove registrations that were not used for a while, and the browser would then show an error and never come
/// back. A token that nobody issued tells: the server complains about the token, or about the client.
async fn is_still_known(
    conversation: &Conversation,
    server: &AuthorizationServer,
    client: &str,
) -> Result<bool, Error> {
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "none"),
        ("client_id", client),
    ];
    let question = Request::form(Target::Address(server.token_endpoint.clone()), &fields);
    let answer = conversation.send(question).await?;
    let refused = Refused::read(&answer);
    Ok(!refused.is_some_and(|refused| OAuthError::of(&refused.error) == OAuthError::InvalidClient))
}
