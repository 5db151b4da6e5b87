//! The server as an authorization server of OAuth 2: discovery, registration, the browser's page, codes, device codes,
//! revocation. Renewals are in `token_endpoint.rs`, by the same records and the same rules of rotation.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::http::Outgoing;
use super::person::EMAIL;
use super::token_endpoint::text;

/// How long a code works, in seconds: a minute at most servers, and 5 min at Twenty.
const CODE_LIFETIME: i64 = 60;

/// How long a device code works, in seconds.
const DEVICE_LIFETIME: i64 = 600;

/// The client that is registered from the start.
pub const CLIENT_ID: &str = "desktop";

/// How the server behaves as an authorization server. Each field is a switch of its own.
#[derive(Clone, Debug)]
pub struct OAuthRules {
    /// Where its discovery document lies.
    pub discovery: Discovery,
    /// The issuer that the document names. Default: the server's own origin.
    pub issuer: Option<String>,
    /// Whether the document says that redirects bring `iss`.
    pub states_iss: bool,
    /// What redirects bring as `iss`.
    pub iss: Iss,
    /// Whether applications may register themselves.
    pub registers: bool,
    /// Whether it compares the port of a loopback redirect, too. RFC 8252 has servers ignore it.
    pub compares_ports: bool,
    /// Whether it offers device codes.
    pub device: bool,
    /// Whether it revokes tokens.
    pub revokes: bool,
    /// A client that every server of its kind knows, which the document names.
    pub shared_client: Option<String>,
    /// Who signs in on its page.
    pub person: String,
    /// Whether that person declines.
    pub declines: bool,
    /// Whether a sign-in issues a refresh token.
    pub issues_refresh_tokens: bool,
}

impl Default for OAuthRules {
    fn default() -> Self {
        Self {
            discovery: Discovery::OAuth,
            issuer: None,
            states_iss: true,
            iss: Iss::Own,
            registers: true,
            compares_ports: false,
            device: true,
            revokes: true,
            shared_client: None,
            person: EMAIL.to_owned(),
            declines: false,
            issues_refresh_tokens: true,
        }
    }
}

/// Where a discovery document lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// `/.well-known/oauth-authorization-server` (RFC 8414).
    OAuth,
    /// `/.well-known/openid-configuration`.
    OpenId,
}

/// What a redirect brings as `iss` (RFC 9207).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Iss {
    /// The server's issuer.
    Own,
    /// Nothing.
    Missing,
    /// Another one.
    Other(String),
}

/// What a request asks the authorization server for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Discovery(Discovery),
    Registration,
    Page,
    Code,
    DeviceCode,
    DevicePoll,
    Revocation,
}

impl Step {
    /// What a request that is no exchange at the token endpoint asks for.
    pub(super) fn at(method: &str, path: &str) -> Option<Self> {
        match (method, path.split('?').next()?) {
            ("GET", "/.well-known/oauth-authorization-server") => {
                Some(Self::Discovery(Discovery::OAuth))
            }
            ("GET", "/.well-known/openid-configuration") => {
                Some(Self::Discovery(Discovery::OpenId))
            }
            ("POST", "/oauth/register") => Some(Self::Registration),
            ("GET", "/authorize") => Some(Self::Page),
            ("POST", "/oauth/device") => Some(Self::DeviceCode),
            ("POST", "/oauth/revoke") => Some(Self::Revocation),
            _ => None,
        }
    }

    /// What an exchange at the token endpoint asks for; `None` for a renewal.
    pub(super) fn of_grant(grant_type: &str) -> Option<Self> {
        match grant_type {
            "authorization_code" => Some(Self::Code),
            "urn:ietf:params:oauth:grant-type:device_code" => Some(Self::DevicePoll),
            _ => None,
        }
    }
}

/// Everything that the authorization server knows.
pub(super) struct Authorization {
    pub(super) rules: OAuthRules,
    /// The redirect addresses of each client.
    clients: HashMap<String, Vec<String>>,
    codes: HashMap<String, Code>,
    devices: HashMap<String, Device>,
    /// How many times it has said `slow_down`.
    pub(super) slow_downs: u32,
    made: u64,
}

struct Code {
    client: String,
    redirect_uri: String,
    challenge: String,
    email: String,
    until: i64,
    used: bool,
}

struct Device {
    user_code: String,
    until: i64,
    /// Who has typed the code; `Some(None)` where they declined.
    answer: Option<Option<String>>,
}

/// What came of a step.
pub(super) enum Outcome {
    Answer(Outgoing),
    /// Tokens for this account are to be issued.
    Grant(String),
    /// This refresh token is to be revoked.
    Revoke(String),
}

impl Authorization {
    pub(super) fn new(rules: OAuthRules) -> Self {
        Self {
            rules,
            clients: HashMap::from([(
                CLIENT_ID.to_owned(),
                vec!["http://127.0.0.1/callback".into()],
            )]),
            codes: HashMap::new(),
            devices: HashMap::new(),
            slow_downs: 0,
            made: 0,
        }
    }

    /// Forgets every client that has registered itself, as servers do with those that were not used for a while.
    pub(super) fn forget_clients(&mut self) {
        self.clients.retain(|id, _| id == CLIENT_ID);
    }

    pub(super) fn knows(&self, client: &str) -> bool {
        self.clients.contains_key(client) || self.rules.shared_client.as_deref() == Some(client)
    }

    /// The person types the code, and allows or declines. Returns whether there is such a code.
    pub(super) fn answer_device(&mut self, user_code: &str, email: Option<&str>) -> bool {
        let mut devices = self.devices.values_mut();
        let device = devices.find(|device| device.user_code == user_code);
        device.is_some_and(|device| {
            device.answer = Some(email.map(str::to_owned));
            true
        })
    }

    /// `secrets`: codes that it makes are added there.
    pub(super) fn act(
        &mut self,
        step: Step,
        path: &str,
        fields: &Value,
        origin: &str,
        now: Timestamp,
        secrets: &mut Vec<String>,
    ) -> Outcome {
        match step {
            Step::Discovery(place) if place == self.rules.discovery => {
                Outcome::Answer(Outgoing::json(self.document(origin).to_string()))
            }
            Step::Discovery(_) => not_found(),
            Step::Registration if self.rules.registers => self.register(fields),
            Step::Registration => not_found(),
            Step::Page => self.page(path, origin, now, secrets),
            Step::Code => self.exchange(fields, now),
            Step::DeviceCode if self.rules.device => self.device_code(fields, origin, now, secrets),
            Step::DeviceCode => not_found(),
            Step::DevicePoll => self.poll(fields, now),
            Step::Revocation => Outcome::Revoke(text(fields, "token").to_owned()),
        }
    }

    fn document(&self, origin: &str) -> Value {
        let at = |path: &str| Value::from(format!("{origin}{path}"));
        let mut document = json!({
            "issuer": self.rules.issuer.as_deref().unwrap_or(origin),
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/oauth/token"),
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": self.rules.states_iss,
        });
        for (has, key, path) in [
            (
                self.rules.registers,
                "registration_endpoint",
                "/oauth/register",
            ),
            (
                self.rules.device,
                "device_authorization_endpoint",
                "/oauth/device",
            ),
            (self.rules.revokes, "revocation_endpoint", "/oauth/revoke"),
        ] {
            if has {
                document[key] = at(path);
            }
        }
        if let Some(client) = &self.rules.shared_client {
            document["cli_client_id"] = client.as_str().into();
        }
        document
    }

    fn register(&mut self, fields: &Value) -> Outcome {
        let uris = fields["redirect_uris"].as_array().into_iter().flatten();
        let uris: Vec<_> = uris.filter_map(Value::as_str).map(str::to_owned).collect();
        if uris.is_empty() {
            return refused(400, "invalid_redirect_uri", "");
        }
        let id = format!("client-{}", self.number());
        self.clients.insert(id.clone(), uris);
        let mut answer = Outgoing::json(json!({ "client_id": id }).to_string());
        answer.status = 201;
        Outcome::Answer(answer)
    }

    /// The page, on which the person has already agreed: it sends the browser back at once.
    fn page(
        &mut self,
        path: &str,
        origin: &str,
        now: Timestamp,
        secrets: &mut Vec<String>,
    ) -> Outcome {
        let query = path.split_once('?').map_or("", |(_, query)| query);
        let query: Value = form_urlencoded::parse(query.as_bytes())
            .map(|(key, value)| (key.into_owned(), Value::from(value.into_owned())))
            .collect();
        let client = text(&query, "client_id");
        let redirect_uri = text(&query, "redirect_uri");
        // Without a client and a redirect of its own, the browser is not sent anywhere (RFC 6749, section 4.1.2.1).
        if !self.allows(client, redirect_uri) {
            return refused(400, "invalid_client", "");
        }
        let Ok(mut back) = redirect_uri.parse::<Url>() else {
            return refused(400, "invalid_request", "");
        };
        let is_sound = text(&query, "response_type") == "code"
            && text(&query, "code_challenge_method") == "S256"
            && !text(&query, "code_challenge").is_empty();
        let code = format!("code-{}-{:032x}", self.number(), rand::random::<u128>());
        let answer = if !is_sound {
            ("error", "invalid_request")
        } else if self.rules.declines {
            ("error", "access_denied")
        } else {
            ("code", &*code)
        };
        let issuer = self.rules.issuer.as_deref().unwrap_or(origin);
        let iss = match &self.rules.iss {
            Iss::Own => Some(issuer),
            Iss::Missing => None,
            Iss::Other(other) => Some(other.as_str()),
        };
        back.query_pairs_mut()
            .append_pair(answer.0, answer.1)
            .append_pair("state", text(&query, "state"))
            .extend_pairs(iss.map(|iss| ("iss", iss)));
        self.codes.insert(
            code.clone(),
            Code {
                client: client.to_owned(),
                redirect_uri: redirect_uri.to_owned(),
                challenge: text(&query, "code_challenge").to_owned(),
                email: self.rules.person.clone(),
                until: now.as_second() + CODE_LIFETIME,
                used: false,
            },
        );
        secrets.push(code);
        Outcome::Answer(Outgoing {
            status: 302,
            headers: vec![("location".into(), back.into())],
            body: Vec::new(),
        })
    }

    fn allows(&self, client: &str, redirect_uri: &str) -> bool {
        let Ok(asked) = redirect_uri.parse::<Url>() else {
            return false;
        };
        if self.rules.shared_client.as_deref() == Some(client) {
            return true;
        }
        let registered = self.clients.get(client).into_iter().flatten();
        registered
            .filter_map(|uri| uri.parse::<Url>().ok())
            .any(|uri| {
                let same_place = uri.host() == asked.host() && uri.path() == asked.path();
                same_place && (!self.rules.compares_ports || uri.port() == asked.port())
            })
    }

    fn exchange(&mut self, fields: &Value, now: Timestamp) -> Outcome {
        if !self.knows(text(fields, "client_id")) {
            return refused(401, "invalid_client", "Client not found");
        }
        let Some(code) = self.codes.get_mut(text(fields, "code")) else {
            return refused(400, "invalid_grant", "Authorization code not found");
        };
        if std::mem::replace(&mut code.used, true) {
            let description = "Authorization code has already been used";
            return refused(400, "invalid_grant", description);
        }
        let hash = digest(&SHA256, text(fields, "code_verifier").as_bytes());
        let is_sound = code.client == text(fields, "client_id")
            && code.redirect_uri == text(fields, "redirect_uri")
            && code.challenge == URL_SAFE_NO_PAD.encode(hash)
            && now.as_second() < code.until;
        if !is_sound {
            let description = "Code verifier does not match the code challenge";
            return refused(400, "invalid_grant", description);
        }
        Outcome::Grant(code.email.clone())
    }

    fn device_code(
        &mut self,
        fields: &Value,
        origin: &str,
        now: Timestamp,
        secrets: &mut Vec<String>,
    ) -> Outcome {
        if !self.knows(text(fields, "client_id")) {
            return refused(401, "invalid_client", "");
        }
        let device_code = format!("device-{:032x}", rand::random::<u128>());
        let user_code = format!("WDJB-{:04}", self.number());
        let answer = json!({
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": format!("{origin}/device"),
            "verification_uri_complete": format!("{origin}/device?user_code={user_code}"),
            "expires_in": DEVICE_LIFETIME,
        });
        let device = Device {
            user_code,
            until: now.as_second() + DEVICE_LIFETIME,
            answer: None,
        };
        self.devices.insert(device_code.clone(), device);
        secrets.push(device_code);
        Outcome::Answer(Outgoing::json(answer.to_string()))
    }

    fn poll(&mut self, fields: &Value, now: Timestamp) -> Outcome {
        let Some(device) = self.devices.get(text(fields, "device_code")) else {
            return refused(400, "invalid_grant", "");
        };
        if now.as_second() >= device.until {
            return refused(400, "expired_token", "");
        }
        if self.slow_downs > 0 {
            self.slow_downs -= 1;
            return refused(400, "slow_down", "");
        }
        match &device.answer {
            None => refused(400, "authorization_pending", ""),
            Some(None) => refused(400, "access_denied", ""),
            Some(Some(email)) => Outcome::Grant(email.clone()),
        }
    }

    fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }
}

fn not_found() -> Outcome {
    Outcome::Answer(Outgoing {
        status: 404,
        headers: vec![("content-type".into(), "text/html".into())],
        body: b"<html><body>Not found</body></html>".to_vec(),
    })
}

pub(super) fn refused(status: u16, error: &str, description: &str) -> Outcome {
    let mut body = json!({ "error": error });
    if !description.is_empty() {
        body["error_description"] = description.into();
    }
    Outcome::Answer(Outgoing {
        status,
        ..Outgoing::json(body.to_string())
    })
}
