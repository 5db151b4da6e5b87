//! The pages that a person sees in the browser: forms without a script, and nothing from elsewhere.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use url::Url;

use super::state::{Authorization, Stage};
use crate::accounts::{ACCOUNTS, Account, Membership};
use crate::wire;

/// Where the forms go.
pub(crate) const ACTION: &str = "/authorize";

/// The name of the field that says which sign-in a form belongs to.
pub(crate) const VISIT: &str = "visit";
/// The fields in which a person answers.
pub(crate) const EMAIL: &str = "email";
pub(crate) const PASSWORD: &str = "password";
pub(crate) const CODE: &str = "code";
pub(crate) const WORKSPACE: &str = "workspace";
pub(crate) const ANSWER: &str = "answer";
/// The answer that lets the application in.
pub(crate) const ALLOW: &str = "allow";
const REFUSE: &str = "refuse";

const STYLE: &str = ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
body{max-width:32rem;margin:0 auto;padding:2rem 1rem}\
form{display:grid;gap:1rem}\
label,fieldset{display:grid;gap:.25rem}\
fieldset{border:1px solid GrayText;border-radius:.25rem;padding:.75rem}\
fieldset label{display:flex;gap:.5rem}\
input,button{font:inherit;padding:.5rem .75rem}\
.buttons{display:flex;gap:.5rem}\
.buttons button{flex:1}\
[role=alert]{border-left:.25rem solid #c0392b;padding-left:.75rem}\
table{width:100%;border-collapse:collapse;font-size:.875rem;margin-top:2rem}\
caption{text-align:left;font-weight:600}\
th,td{text-align:left;padding:.25rem .5rem .25rem 0;vertical-align:top}";

/// The page of this stage. `alert` says what was wrong with the answer before.
pub(crate) fn of_stage(
    visit: &str,
    authorization: &Authorization,
    stage: Stage,
    alert: Option<&str>,
) -> Response {
    let form = match stage {
        Stage::Password => password_form(&authorization.client.name),
        Stage::OneTimeCode(account) => code_form(account),
        Stage::Workspace(account) => workspace_form(account),
        Stage::Consent(account, membership) => consent_form(authorization, account, membership),
    };
    let Form {
        title,
        fields,
        after,
    } = form;
    let alert = alert.map_or_else(String::new, |alert| {
        format!("<p role=\"alert\">{}</p>", escaped(alert))
    });
    let body = format!(
        "<h1>{title}</h1>{alert}<form method=\"post\" action=\"{ACTION}\" autocomplete=\"on\">\
         <input type=\"hidden\" name=\"{VISIT}\" value=\"{visit}\">{fields}</form>{after}"
    );
    // The browser follows the form's answer there, and takes that for a part of the form.
    let target = origin(&authorization.redirect_uri);
    page(StatusCode::OK, &title, &body, &target)
}

/// A page that leads nowhere.
pub(crate) fn refusal(status: StatusCode, sentence: &str, next: &str) -> Response {
    let title = "Sign-in";
    let (sentence, next) = (escaped(sentence), escaped(next));
    let body = format!("<h1>{title}</h1><p role=\"alert\">{sentence}</p><p>{next}</p>");
    page(status, title, &body, "")
}

/// Sends the browser on.
pub(crate) fn redirect(address: &Url) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    if let Ok(address) = HeaderValue::from_str(address.as_str()) {
        headers.insert(header::LOCATION, address);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What stands on a page.
struct Form {
    title: String,
    fields: String,
    /// Below the form.
    after: String,
}

fn password_form(application: &str) -> Form {
    Form {
        title: "Sign in to the demo".to_owned(),
        fields: format!(
            "<p>{} asks for your account.</p>\
             <label>E-mail <input type=\"email\" name=\"{EMAIL}\" autocomplete=\"username\" required autofocus></label>\
             <label>Password <input type=\"password\" name=\"{PASSWORD}\" autocomplete=\"current-password\" required></label>\
             <button>Sign in</button>",
            escaped(application)
        ),
        after: accounts_table(),
    }
}

fn code_form(account: &Account) -> Form {
    Form {
        title: "One-time code".to_owned(),
        fields: format!(
            "<p>{} has a second factor. Its code is in the table below.</p>\
             <label>Code <input name=\"{CODE}\" inputmode=\"numeric\" autocomplete=\"one-time-code\" required autofocus></label>\
             <button>Go on</button>",
            escaped(account.email)
        ),
        after: accounts_table(),
    }
}

fn workspace_form(account: &Account) -> Form {
    let mut choices = String::new();
    for (index, membership) in account.memberships.iter().enumerate() {
        let checked = if index == 0 { " checked" } else { "" };
        choices += &format!(
            "<label><input type=\"radio\" name=\"{WORKSPACE}\" value=\"{}\"{checked}> {}</label>",
            membership.workspace.id,
            escaped(membership.workspace.name)
        );
    }
    Form {
        title: "Choose a workspace".to_owned(),
        fields: format!(
            "<fieldset><legend>Workspaces of {}</legend>{choices}</fieldset><button>Go on</button>",
            escaped(account.email)
        ),
        after: String::new(),
    }
}

fn consent_form(authorization: &Authorization, account: &Account, membership: &Membership) -> Form {
    let application = escaped(&authorization.client.name);
    Form {
        title: format!("Allow {application}?"),
        fields: format!(
            "<p>{application} wants to act as {} in the workspace {}:</p>\
             <ul><li>read and change its records</li><li>see your name and e-mail address</li></ul>\
             <p>The answer goes to {}.</p>\
             <p class=\"buttons\"><button name=\"{ANSWER}\" value=\"{ALLOW}\">Allow</button>\
             <button name=\"{ANSWER}\" value=\"{REFUSE}\">Refuse</button></p>",
            escaped(account.email),
            escaped(membership.workspace.name),
            escaped(&origin(&authorization.redirect_uri))
        ),
        after: String::new(),
    }
}

/// Who can sign in. No secret: everyone's demo has the same people.
fn accounts_table() -> String {
    let mut rows = String::new();
    for account in &ACCOUNTS {
        let code = account.one_time_code.unwrap_or("none");
        rows += &format!(
            "<tr><td>{}</td><td>{}</td><td>{code}</td><td>{}</td></tr>",
            account.email,
            account.password,
            account.memberships.len()
        );
    }
    format!(
        "<table><caption>People of the demo</caption><thead><tr><th scope=\"col\">E-mail</th><th scope=\"col\">Password</th>\
         <th scope=\"col\">One-time code</th><th scope=\"col\">Workspaces</th></tr></thead><tbody>{rows}</tbody></table>"
    )
}

fn page(status: StatusCode, title: &str, body: &str, form_target: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    );
    let mut response = wire::page(status, html, None);
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self' {form_target}; base-uri 'none'; frame-ancestors 'none'"
    );
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // With `no-referrer` the form would come with the origin `null`, like that of a foreign page.
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("same-origin"),
    );
    response
}

/// Where an address leads, without its path.
fn origin(address: &str) -> String {
    let url: Option<Url> = address.parse().ok();
    url.map(|url| url.origin().ascii_serialization())
        .unwrap_or_default()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
