//! The server's side of the Twenty protocol: who may do what, in the words of a real server.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::question::{Asked, Question};

/// Where the authentication operations are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthenticationOn {
    /// On both endpoints, as release 1.6 does.
    #[default]
    BothEndpoints,
    /// On `/metadata` only, as newer releases do.
    MetadataOnly,
}

/// What the access token's field is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessField {
    /// `accessOrWorkspaceAgnosticToken`.
    #[default]
    AccessOrWorkspaceAgnosticToken,
    /// `accessToken`, as older releases do.
    AccessToken,
}

impl AccessField {
    fn name(self) -> &'static str {
        match self {
            Self::AccessOrWorkspaceAgnosticToken => "accessOrWorkspaceAgnosticToken",
            Self::AccessToken => "accessToken",
        }
    }
}

/// How the server took it.
pub(super) enum Taken {
    /// Done; the answer's body.
    Done(String),
    /// Refused because of the token.
    Refused(String),
    /// Not done for another reason.
    NotDone(String),
}

/// How an issued renewal differs from the usual one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Peculiarity {
    #[default]
    None,
    WithoutRefreshToken,
    OtherPersonsTokens,
}

/// Everything that the server knows.
pub(super) struct Records {
    pub(super) access_lifetime: Duration,
    pub(super) refresh_lifetime: Duration,
    /// How long a used refresh token is taken again; `None`: not at all.
    pub(super) grace: Option<Duration>,
    pub(super) authentication_on: AuthenticationOn,
    pub(super) access_field: AccessField,
    /// Whether it knows `signOut`.
    pub(super) knows_sign_out: bool,
    /// Bodies to be given for a field, in place of the usual ones.
    pub(super) scripted: HashMap<String, String>,
    people: HashMap<String, Account>,
    access: HashMap<String, AccessToken>,
    refresh: HashMap<String, RefreshToken>,
    login: HashMap<String, String>,
    /// Every token text ever issued.
    pub(super) issued: Vec<String>,
    /// Part of every signature; a new one makes new texts where the payload is the same.
    key: u64,
    origin: String,
}

struct Account {
    password: String,
    id: String,
    needs_second_factor: bool,
    is_member: bool,
}

struct AccessToken {
    email: String,
    /// Whole seconds since 1970.
    until: i64,
    is_revoked: bool,
}

struct RefreshToken {
    email: String,
    until: i64,
    used_at: Option<i64>,
    is_revoked: bool,
}

impl Records {
    pub(super) fn new(origin: String) -> Self {
        Self {
            access_lifetime: Duration::from_secs(1_800),
            refresh_lifetime: Duration::from_secs(60 * 86_400),
            grace: Some(Duration::from_secs(60)),
            authentication_on: AuthenticationOn::default(),
            access_field: AccessField::default(),
            knows_sign_out: true,
            scripted: HashMap::new(),
            people: HashMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            login: HashMap::new(),
            issued: Vec::new(),
            key: 1,
            origin,
        }
    }

    pub(super) fn add_person(&mut self, email: &str, password: &str) {
        let id = format!("00000000-0000-4000-8000-{:012x}", self.people.len() + 1);
        let account = Account {
            password: password.to_owned(),
            id,
            needs_second_factor: false,
            is_member: true,
        };
        self.people.insert(email.to_owned(), account);
    }

    pub(super) fn ask_second_factor(&mut self, email: &str) {
        if let Some(account) = self.people.get_mut(email) {
            account.needs_second_factor = true;
        }
    }

    pub(super) fn remove_member(&mut self, email: &str) {
        if let Some(account) = self.people.get_mut(email) {
            account.is_member = false;
        }
    }

    pub(super) fn expire_access(&mut self) {
        for token in self.access.values_mut() {
            token.until = 0;
        }
        self.key += 1;
    }

    pub(super) fn expire_refresh(&mut self) {
        for token in self.refresh.values_mut() {
            token.until = 0;
        }
    }

    pub(super) fn revoke(&mut self) {
        for token in self.refresh.values_mut() {
            token.is_revoked = true;
        }
    }

    pub(super) fn forget_refresh(&mut self) {
        self.refresh.clear();
    }

    /// Tokens as `getAuthTokensFromLoginToken` would issue them.
    pub(super) fn issue(&mut self, email: &str, now: Timestamp) -> IssuedPair {
        self.pair(email, now)
    }

    /// Does what was asked, as far as the token allows.
    pub(super) fn act(
        &mut self,
        question: &Question,
        now: Timestamp,
        peculiarity: Peculiarity,
    ) -> Taken {
        let Question {
            asked,
            path,
            query,
            variables,
            bearer,
        } = question;
        if *asked == Asked::ClientConfig {
            return Taken::Done(client_config());
        }
        // A real server looks at any bearer before every operation, public ones too.
        let caller = match bearer {
            None => None,
            Some(token) => match self.caller(token, now) {
                Ok(email) => Some(email),
                Err(refusal) => return Taken::Refused(refusal),
            },
        };
        match asked {
            Asked::Call { field, is_mutation } => match caller {
                Some(email) => Taken::Done(self.data(field, *is_mutation, &email)),
                None => Taken::NotDone(error("INTERNAL_SERVER_ERROR", "", "Forbidden resource")),
            },
            Asked::LoginToken | Asked::TokenPair | Asked::Renewal | Asked::SignOut => {
                if let Some(problem) = self.unknown_field(asked, path, query) {
                    return Taken::NotDone(problem);
                }
                match asked {
                    Asked::LoginToken => self.log_in(variables, now),
                    Asked::TokenPair => self.exchange_login(variables, now),
                    Asked::SignOut => self.sign_out(variables),
                    _ => self.renew(variables, now, peculiarity),
                }
            }
            Asked::ClientConfig | Asked::Unknown => {
                Taken::NotDone(error("BAD_REQUEST", "", "Must provide query string."))
            }
        }
    }

    fn caller(&self, token: &str, now: Timestamp) -> Result<String, String> {
        let Some(known) = self.access.get(token) else {
            return Err(access_refusal("Token invalid."));
        };
        if known.is_revoked || known.until <= now.as_second() {
            return Err(access_refusal("Token has expired."));
        }
        Ok(known.email.clone())
    }

    fn unknown_field(&self, asked: &Asked, path: &str, query: &str) -> Option<String> {
        let field = asked.field();
        let is_elsewhere =
            self.authentication_on == AuthenticationOn::MetadataOnly && path != "/metadata";
        if is_elsewhere || *asked == Asked::SignOut && !self.knows_sign_out {
            return Some(cannot_query(field, "Mutation"));
        }
        let other = match self.access_field {
            AccessField::AccessOrWorkspaceAgnosticToken => AccessField::AccessToken,
            AccessField::AccessToken => AccessField::AccessOrWorkspaceAgnosticToken,
        };
        let asks_for_other = query
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .any(|word| word == other.name());
        asks_for_other.then(|| cannot_query(other.name(), "AuthTokenPair"))
    }

    fn log_in(&mut self, variables: &Value, now: Timestamp) -> Taken {
        let email = text(variables, "email");
        let Some(account) = self.people.get(email) else {
            return Taken::NotDone(error("UNAUTHENTICATED", "USER_NOT_FOUND", "User not found"));
        };
        if text(variables, "origin") != self.origin {
            let message = "Workspace not found";
            return Taken::NotDone(error("UNAUTHENTICATED", "WORKSPACE_NOT_FOUND", message));
        }
        if account.password != text(variables, "password") {
            return Taken::NotDone(error("FORBIDDEN", "FORBIDDEN_EXCEPTION", "Wrong password"));
        }
        if account.needs_second_factor {
            let sub_code = "TWO_FACTOR_AUTHENTICATION_VERIFICATION_REQUIRED";
            return Taken::NotDone(error(
                "FORBIDDEN",
                sub_code,
                "Two factor authentication required",
            ));
        }
        let until = now + Duration::from_secs(900);
        let email = email.to_owned();
        let token = self.token("LOGIN", &email, now, until, true);
        self.login.insert(token.clone(), email);
        Taken::Done(
            json!({ "data": { "getLoginTokenFromCredentials": {
                "loginToken": { "token": token, "expiresAt": stamp(until) }
            } } })
            .to_string(),
        )
    }

    fn exchange_login(&mut self, variables: &Value, now: Timestamp) -> Taken {
        let Some(email) = self.login.get(text(variables, "loginToken")).cloned() else {
            return Taken::NotDone(error("UNAUTHENTICATED", "UNAUTHENTICATED", "No payload"));
        };
        let pair = self.pair(&email, now);
        Taken::Done(self.pair_body("getAuthTokensFromLoginToken", &pair, true))
    }

    fn renew(&mut self, variables: &Value, now: Timestamp, peculiarity: Peculiarity) -> Taken {
        let refused = |code, sub_code, message| Taken::Refused(error(code, sub_code, message));
        let token = text(variables, "appToken").to_owned();
        if self.access.contains_key(&token) {
            return refused("UNAUTHENTICATED", "UNAUTHENTICATED", "Token invalid.");
        }
        let now_ms = now.as_millisecond();
        let grace = self
            .grace
            .map(|grace| i64::try_from(grace.as_millis()).unwrap_or(i64::MAX));
        let Some(known) = self.refresh.get_mut(&token) else {
            return refused("UNAUTHENTICATED", "UNAUTHENTICATED", "No payload");
        };
        if known.until <= now.as_second() {
            return refused("UNAUTHENTICATED", "UNAUTHENTICATED", "Token has expired.");
        }
        let is_spent = known
            .used_at
            .is_some_and(|at| grace.is_none_or(|grace| now_ms > at + grace));
        if known.is_revoked || is_spent {
            let email = known.email.clone();
            for token in self
                .refresh
                .values_mut()
                .filter(|token| token.email == email)
            {
                token.is_revoked = true;
            }
            return refused(
                "FORBIDDEN",
                "FORBIDDEN_EXCEPTION",
                "Suspicious activity detected, this refresh token has been revoked. All tokens have been revoked.",
            );
        }
        let mut email = known.email.clone();
        if !self
            .people
            .get(&email)
            .is_some_and(|account| account.is_member)
        {
            return refused("INTERNAL_SERVER_ERROR", "", "User Workspace not found");
        }
        if peculiarity != Peculiarity::WithoutRefreshToken {
            known.used_at.get_or_insert(now_ms);
        }
        if peculiarity == Peculiarity::OtherPersonsTokens {
            "somebody.else@example.com".clone_into(&mut email);
            self.add_person(&email, "another password");
        }
        let pair = self.pair(&email, now);
        let with_refresh = peculiarity != Peculiarity::WithoutRefreshToken;
        Taken::Done(self.pair_body("renewToken", &pair, with_refresh))
    }

    fn sign_out(&mut self, variables: &Value) -> Taken {
        if let Some(known) = self.refresh.get_mut(text(variables, "refreshToken")) {
            known.is_revoked = true;
        }
        Taken::Done(json!({ "data": { "signOut": true } }).to_string())
    }

    fn data(&self, field: &str, is_mutation: bool, email: &str) -> String {
        if let Some(body) = self.scripted.get(field) {
            return body.clone();
        }
        let person = json!({ "id": "20000000-0000-4000-8000-000000000001",
            "name": { "firstName": "Ada", "lastName": "Lovelace" } });
        let page = |node: Value| {
            json!({
                "edges": [{ "node": node, "cursor": "first" }],
                "pageInfo": { "hasNextPage": false, "endCursor": "first" },
                "totalCount": 1,
            })
        };
        let value = match field {
            "currentUser" => {
                json!({ "id": self.people.get(email).map(|account| account.id.as_str()), "email": email })
            }
            "people" | "companies" => page(person),
            "objects" => page(
                json!({ "id": "30000000-0000-4000-8000-000000000001", "nameSingular": "person" }),
            ),
            _ if is_mutation => person,
            _ => Value::Null,
        };
        json!({ "data": { field: value } }).to_string()
    }

    fn pair(&mut self, email: &str, now: Timestamp) -> IssuedPair {
        let access_until = now + self.access_lifetime;
        let refresh_until = now + self.refresh_lifetime;
        let access = self.token("ACCESS", email, now, access_until, false);
        let refresh = self.token("REFRESH", email, now, refresh_until, true);
        let email = email.to_owned();
        self.access.insert(
            access.clone(),
            AccessToken {
                email: email.clone(),
                until: access_until.as_second(),
                is_revoked: false,
            },
        );
        self.refresh.insert(
            refresh.clone(),
            RefreshToken {
                email,
                until: refresh_until.as_second(),
                used_at: None,
                is_revoked: false,
            },
        );
        IssuedPair {
            access,
            access_until,
            refresh,
            refresh_until,
        }
    }

    fn pair_body(&self, field: &str, pair: &IssuedPair, with_refresh: bool) -> String {
        let mut tokens = json!({
            self.access_field.name(): { "token": pair.access, "expiresAt": stamp(pair.access_until) },
        });
        if with_refresh {
            tokens["refreshToken"] =
                json!({ "token": pair.refresh, "expiresAt": stamp(pair.refresh_until) });
        }
        json!({ "data": { field: { "tokens": tokens } } }).to_string()
    }

    /// A JWT to look at: real header and payload, and a signature that nobody can check but this server.
    fn token(
        &mut self,
        kind: &str,
        email: &str,
        now: Timestamp,
        until: Timestamp,
        is_unique: bool,
    ) -> String {
        let id = self
            .people
            .get(email)
            .map_or("", |account| account.id.as_str());
        let mut payload = json!({
            "sub": id,
            "userId": id,
            "workspaceId": "10000000-0000-4000-8000-000000000001",
            "type": kind,
            "authProvider": "password",
            "iat": now.as_second(),
            "exp": until.as_second(),
        });
        if is_unique {
            payload["jti"] = format!("40000000-0000-4000-8000-{:012x}", self.issued.len()).into();
        }
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
        let mut digest = self.key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut signature = Vec::with_capacity(32);
        for round in 0_u64..4 {
            for byte in payload.bytes() {
                digest = (digest ^ u64::from(byte) ^ round).wrapping_mul(0x0100_0000_01b3);
            }
            signature.extend(digest.to_be_bytes());
        }
        let token = format!("{head}.{payload}.{}", URL_SAFE_NO_PAD.encode(signature));
        self.issued.push(token.clone());
        token
    }
}

/// Tokens as the server issued them. Clear text, for assertions and for signing in with tokens from elsewhere.
#[derive(Clone)]
pub struct IssuedPair {
    /// The access token.
    pub access: String,
    /// As stated in `expiresAt`.
    pub access_until: Timestamp,
    /// The refresh token.
    pub refresh: String,
    /// As stated in `expiresAt`.
    pub refresh_until: Timestamp,
}

impl std::fmt::Debug for IssuedPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedPair").finish_non_exhaustive()
    }
}

fn text<'a>(variables: &'a Value, key: &str) -> &'a str {
    let value = variables.get(key).and_then(Value::as_str);
    value.unwrap_or_default()
}

/// ISO 8601 with three decimals, as the server writes it.
fn stamp(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// A GraphQL error beside `data: null`.
pub(super) fn error(code: &str, sub_code: &str, message: &str) -> String {
    let mut extensions = json!({ "code": code, "userFriendlyMessage": "An error occurred." });
    if !sub_code.is_empty() {
        extensions["subCode"] = sub_code.into();
    }
    json!({ "errors": [{ "message": message, "extensions": extensions }], "data": null })
        .to_string()
}

/// The refusal of an access token: no `data` key, for nothing ran.
pub(super) fn access_refusal(message: &str) -> String {
    json!({ "errors": [{ "message": message, "extensions": {
        "userFriendlyMessage": "You must be authenticated to perform this action.",
        "subCode": "UNAUTHENTICATED",
        "code": "UNAUTHENTICATED",
    } }] })
    .to_string()
}

fn cannot_query(field: &str, on: &str) -> String {
    let message = format!("Cannot query field \"{field}\" on type \"{on}\".");
    json!({ "errors": [{ "message": message, "locations": [{ "line": 1, "column": 1 }] }] })
        .to_string()
}

fn client_config() -> String {
    json!({
        "authProviders": { "google": false, "password": true, "microsoft": false, "sso": [] },
        "isMultiWorkspaceEnabled": false,
        "signInPrefilled": false,
    })
    .to_string()
}
