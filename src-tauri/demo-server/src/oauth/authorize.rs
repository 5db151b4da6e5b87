//! The sign-in in the browser, page by page: e-mail address and password, a one-time code and a workspace where the person
//! has those, and whether the application may use the account.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use url::{Url, form_urlencoded};

use super::pages::{self, ALLOW, ANSWER, CODE, EMAIL, PASSWORD, VISIT, WORKSPACE};
use super::state::{Authorization, Stage, Visit};
use crate::accounts::{Account, Membership};
use crate::auth::{Subject, authenticate};
use crate::wire::Wire;

/// What to do when a page leads nowhere.
const START_AGAIN: &str =
    "Close this page, go back to the application and start the sign-in again.";

/// The first page.
pub(crate) async fn begin(State(wire): State<Arc<Wire>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    match authorization(&wire, &fields(query.as_bytes())).await {
        Ok(authorization) => ask(&wire, authorization, Stage::Password, None),
        // Nothing of a request that cannot be trusted leads the browser anywhere (RFC 6749, section 4.1.2.1).
        Err(sentence) => pages::refusal(StatusCode::BAD_REQUEST, &sentence, START_AGAIN),
    }
}

/// The answer to a page, and the next one.
pub(crate) async fn go_on(State(wire): State<Arc<Wire>>, body: Bytes) -> Response {
    let fields = fields(&body);
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let now = wire.auth.now();
    let Some(visit) = wire.oauth.take_visit(field(VISIT), now) else {
        return pages::refusal(StatusCode::GONE, "This sign-in is over.", START_AGAIN);
    };
    let Visit {
        authorization,
        stage,
    } = visit;
    match stage {
        Stage::Password => match authenticate(field(EMAIL).trim(), field(PASSWORD)) {
            Ok(account) => ask(&wire, authorization, after_password(account), None),
            Err(refusal) => ask(
                &wire,
                authorization,
                stage,
                Some(&format!("{}. Try again.", refusal.message)),
            ),
        },
        Stage::OneTimeCode(account) => {
            if account.one_time_code == Some(field(CODE).trim()) {
                ask(&wire, authorization, after_code(account), None)
            } else {
                let alert = Some("The code is wrong. Try again.");
                ask(&wire, authorization, stage, alert)
            }
        }
        Stage::Workspace(account) => {
            let mut memberships = account.memberships.iter();
            match memberships.find(|membership| membership.workspace.id == field(WORKSPACE)) {
                Some(membership) => {
                    let consent = Stage::Consent(account, membership);
                    ask(&wire, authorization, consent, None)
                }
                None => ask(&wire, authorization, stage, Some("Choose a workspace.")),
            }
        }
        Stage::Consent(account, membership) if field(ANSWER) == ALLOW => {
            allowed(&wire, authorization, account, membership)
        }
        Stage::Consent(..) => refused(&authorization),
    }
}

fn ask(wire: &Wire, authorization: Authorization, stage: Stage, alert: Option<&str>) -> Response {
    let visit = Visit {
        authorization: authorization.clone(),
        stage,
    };
    let name = wire.oauth.keep_visit(visit, wire.auth.now());
    pages::of_stage(&name, &authorization, stage, alert)
}

fn after_password(account: &'static Account) -> Stage {
    if account.one_time_code.is_some() {
        Stage::OneTimeCode(account)
    } else {
        after_code(account)
    }
}

fn after_code(account: &'static Account) -> Stage {
    match account.memberships {
        [only] => Stage::Consent(account, only),
        _ => Stage::Workspace(account),
    }
}

/// As 2.21: `code` and `state`, and no `iss`, although the discovery document says that there is one.
fn allowed(
    wire: &Wire,
    authorization: Authorization,
    account: &'static Account,
    membership: &'static Membership,
) -> Response {
    let subject = Subject {
        account,
        membership: Some(membership),
    };
    let back = authorization.clone();
    let code = wire
        .oauth
        .issue_code(authorization, subject, wire.auth.now());
    back_to(&back, &[("code", &code)])
}

fn refused(authorization: &Authorization) -> Response {
    back_to(
        authorization,
        &[
            ("error", "access_denied"),
            ("error_description", "The user refused the application"),
        ],
    )
}

fn back_to(authorization: &Authorization, parameters: &[(&str, &str)]) -> Response {
    let Ok(mut address) = authorization.redirect_uri.parse::<Url>() else {
        let sentence = "The application's address cannot be read.";
        return pages::refusal(StatusCode::BAD_REQUEST, sentence, START_AGAIN);
    };
    let state = authorization.state.as_deref().map(|state| ("state", state));
    address
        .query_pairs_mut()
        .extend_pairs(parameters)
        .extend_pairs(state);
    pages::redirect(&address)
}

/// What an application asks for, in Twenty's words where it cannot be.
async fn authorization(
    wire: &Wire,
    query: &HashMap<String, String>,
) -> Result<Authorization, String> {
    let field = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let client = wire.oauth.clients.find(field("client_id")).await;
    let client = client
        .map_err(|refusal| refusal.message)?
        .ok_or("Client not found")?;
    let redirect_uri = field("redirect_uri");
    if !client.may_redirect_to(redirect_uri) {
        return Err(format!("redirectUrl mismatch for '{}'", client.id));
    }
    if field("response_type") != "code" {
        return Err("response_type must be code".to_owned());
    }
    let challenge = field("code_challenge");
    if challenge.is_empty() || field("code_challenge_method") != "S256" {
        return Err(
            "code_challenge is required for public clients (PKCE S256, per OAuth 2.1)".to_owned(),
        );
    }
    Ok(Authorization {
        redirect_uri: redirect_uri.to_owned(),
        state: query.get("state").cloned(),
        challenge: challenge.to_owned(),
        client,
    })
}

fn fields(form: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(form).into_owned().collect()
}
