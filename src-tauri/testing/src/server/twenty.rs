//! The server's side of the Twenty protocol: who may do what, in the words of a real server.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::authorization::{self, Authorization, Outcome, Step};
use super::bodies::{access_refusal, cannot_query, client_config, error, in_words, stamp};
use super::http::Outgoing;
use super::issued_pair::IssuedPair;
use super::ledger::{AttemptOutcome, Fact, Ledger, PairNumber, Rejection, Revocation, Spent};
use super::question::{Asked, Question};
use super::token_endpoint::{self, Face, text};
use crate::rotation::{Exchange, FamilyChange, Grace, OnReuse, Rotation, Standing, Token};
use graphql_session::OperationKind;

/// How long a used refresh token is taken again by default, in ms, as at Twenty.
const GRACE_MS: i64 = 60_000;

/// The one-time code that every account takes which asks for one.
pub const ONE_TIME_CODE: &str = "246810";

/// How long refresh tokens last: 60 days, as at Twenty.
const REFRESH_LIFETIME: Duration = Duration::from_secs(60 * 86_400);

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
    /// Done, or not; the whole answer.
    Answered(Outgoing),
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
    pub(super) rotation: Rotation,
    pub(super) authentication_on: AuthenticationOn,
    pub(super) access_field: AccessField,
    /// Whether it knows `signOut`.
    pub(super) knows_sign_out: bool,
    /// Whether a bearer that comes with a renewal has to be good.
    pub(super) checks_renewals_bearer: bool,
    /// Bodies to be given for a field, in place of the usual ones.
    pub(super) scripted: HashMap<String, String>,
    /// Names and origins of the workspaces that it offers at an address which is none of theirs.
    pub(super) workspaces: Vec<(String, String)>,
    people: HashMap<String, Account>,
    access: HashMap<String, AccessToken>,
    refresh: HashMap<String, RefreshToken>,
    login: HashMap<String, String>,
    /// What it is as an authorization server of OAuth 2, where it is one.
    pub(super) oauth: Option<Authorization>,
    pub(super) ledger: Ledger,
    /// Every token text ever issued.
    pub(super) issued: Vec<String>,
    /// Part of every signature; a new one makes new texts where the payload is the same.
    key: u64,
    /// Where people sign in.
    pub(super) origin: String,
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
}

struct RefreshToken {
    email: String,
    pair: PairNumber,
    until: i64,
    token: Token,
    revoked: Option<Revocation>,
}

impl Records {
    pub(super) fn new(origin: String) -> Self {
        Self {
            access_lifetime: Duration::from_secs(1_800),
            rotation: Rotation {
                grace: Grace::FromFirstUse(GRACE_MS),
                on_reuse: OnReuse::RevokeFamily,
            },
            authentication_on: AuthenticationOn::default(),
            access_field: AccessField::default(),
            knows_sign_out: true,
            checks_renewals_bearer: true,
            scripted: HashMap::new(),
            workspaces: Vec::new(),
            people: HashMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            login: HashMap::new(),
            oauth: None,
            ledger: Ledger::default(),
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

    pub(super) fn remove_member(&mut self, email: &str, now: Timestamp) {
        if let Some(account) = self.people.get_mut(email) {
            account.is_member = false;
            self.ledger.note(email, now, Fact::MemberRemoved);
        }
    }

    /// `only`: the account meant; `None` means all.
    pub(super) fn expire_access(&mut self, only: Option<&str>, now: Timestamp) {
        for token in self.access.values_mut() {
            if only.is_none_or(|only| only == token.email) {
                token.until = 0;
            }
        }
        self.key += 1;
        self.inject(only, now, &Fact::AccessExpired);
    }

    pub(super) fn expire_refresh(&mut self, now: Timestamp) {
        for token in self.refresh.values_mut() {
            token.until = 0;
        }
        self.inject(None, now, &Fact::RefreshExpired);
    }

    /// `only`: the account meant; `None` means all.
    pub(super) fn revoke(&mut self, only: Option<&str>, now: Timestamp) {
        for token in self.refresh.values_mut() {
            if only.is_none_or(|only| only == token.email) {
                token.revoked.get_or_insert(Revocation::Injected);
            }
        }
        self.inject(only, now, &Fact::Revoked);
    }

    pub(super) fn forget_refresh(&mut self, now: Timestamp) {
        self.refresh.clear();
        self.inject(None, now, &Fact::Forgotten);
    }

    fn inject(&mut self, only: Option<&str>, now: Timestamp, fact: &Fact) {
        for email in self.people.keys() {
            if only.is_none_or(|only| only == email) {
                self.ledger.note(email, now, fact.clone());
            }
        }
    }

    /// Tokens as `getAuthTokensFromLoginToken` would issue them.
    pub(super) fn issue(&mut self, email: &str, now: Timestamp) -> IssuedPair {
        self.pair(email, now, None)
    }

    /// Does what was asked, as far as the token allows. `attempt`: where the ledger has it, for a renewal.
    pub(super) fn act(
        &mut self,
        question: &Question,
        now: Timestamp,
        peculiarity: Peculiarity,
        attempt: Option<usize>,
    ) -> Taken {
        let Question {
            asked,
            path,
            query,
            variables,
            bearer,
            ..
        } = question;
        if *asked == Asked::ClientConfig {
            return Taken::Done(client_config());
        }
        // A real server looks at any bearer before every operation, public ones too.
        let is_looked_at = self.checks_renewals_bearer || !matches!(asked, Asked::Renewal(_));
        let caller = match bearer.as_ref().filter(|_| is_looked_at) {
            None => None,
            Some(token) => match self.caller(token, now) {
                Ok(email) => Some(email),
                Err(refusal) => return Taken::Refused(refusal),
            },
        };
        match asked {
            Asked::Call { field, kind } => match caller {
                Some(email) => Taken::Done(self.data(field, *kind, &email)),
                None => Taken::NotDone(error("INTERNAL_SERVER_ERROR", "", "Forbidden resource")),
            },
            Asked::OAuth(step) => self.authorize(*step, path, variables, now),
            Asked::Renewal(Face::OAuth2) if !self.knows_client(variables) => {
                let refused = authorization::refused(401, "invalid_client", "Client not found");
                self.granted(refused, now)
            }
            Asked::Renewal(face @ (Face::OAuth2 | Face::Supabase)) => {
                self.renew(*face, question.refresh(), now, peculiarity, attempt)
            }
            Asked::LoginToken
            | Asked::TokenPair
            | Asked::OneTimeCode
            | Asked::SignIn
            | Asked::Renewal(_)
            | Asked::SignOut => {
                if let Some(problem) = self.unknown_field(asked, path, query) {
                    return Taken::NotDone(problem);
                }
                match asked {
                    Asked::LoginToken => self.log_in(variables, now),
                    Asked::TokenPair | Asked::OneTimeCode => {
                        self.exchange_login(asked, variables, now)
                    }
                    Asked::SignIn => self.sign_in(variables, now),
                    Asked::SignOut => self.sign_out(question.refresh(), caller.as_deref(), now),
                    _ => self.renew(Face::Twenty, question.refresh(), now, peculiarity, attempt),
                }
            }
            Asked::ClientConfig | Asked::Unknown => {
                Taken::NotDone(error("BAD_REQUEST", "", "Must provide query string."))
            }
        }
    }

    /// A client that says who it is, and is not known. One that says nothing is another test's.
    fn knows_client(&self, fields: &Value) -> bool {
        match (&self.oauth, text(fields, "client_id")) {
            (Some(oauth), client) if !client.is_empty() => oauth.knows(client),
            _ => true,
        }
    }

    fn authorize(&mut self, step: Step, path: &str, fields: &Value, now: Timestamp) -> Taken {
        let Some(oauth) = &mut self.oauth else {
            return Taken::Answered(Outgoing {
                status: 404,
                ..Outgoing::json("{}")
            });
        };
        let outcome = oauth.act(step, path, fields, &self.origin, now, &mut self.issued);
        self.granted(outcome, now)
    }

    fn granted(&mut self, outcome: Outcome, now: Timestamp) -> Taken {
        match outcome {
            Outcome::Answer(answer) => Taken::Answered(answer),
            Outcome::Grant(email) => {
                let pair = self.pair(&email, now, None);
                let rules = self.oauth.as_ref().map(|oauth| &oauth.rules);
                let with_refresh = rules.is_none_or(|rules| rules.issues_refresh_tokens);
                let granted =
                    token_endpoint::granted(Face::OAuth2, &pair, &email, with_refresh, now);
                Taken::Done(granted)
            }
            Outcome::Revoke(token) => {
                self.sign_out(&token, None, now);
                Taken::Answered(Outgoing::json("{}"))
            }
        }
    }

    fn caller(&self, token: &str, now: Timestamp) -> Result<String, String> {
        let Some(known) = self.access.get(token) else {
            return Err(access_refusal("Token invalid."));
        };
        if known.until <= now.as_second() {
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

    fn exchange_login(&mut self, asked: &Asked, variables: &Value, now: Timestamp) -> Taken {
        let Some(email) = self.login.get(text(variables, "loginToken")).cloned() else {
            return Taken::NotDone(error("UNAUTHENTICATED", "UNAUTHENTICATED", "No payload"));
        };
        let account = self.people.get(&email);
        let is_second = *asked == Asked::OneTimeCode;
        if is_second && text(variables, "otp") != ONE_TIME_CODE {
            return Taken::NotDone(error(
                "FORBIDDEN",
                "INVALID_OTP",
                "Invalid verification code",
            ));
        }
        if !is_second && account.is_some_and(|account| account.needs_second_factor) {
            return Taken::NotDone(error(
                "FORBIDDEN",
                "TWO_FACTOR_AUTHENTICATION_VERIFICATION_REQUIRED",
                "Two factor authentication required",
            ));
        }
        let pair = self.pair(&email, now, None);
        Taken::Done(self.pair_body(asked.field(), &pair, true))
    }

    /// The person's workspaces, where the server has several; each with a login token.
    fn sign_in(&mut self, variables: &Value, now: Timestamp) -> Taken {
        let email = text(variables, "email").to_owned();
        let is_right = self
            .people
            .get(&email)
            .is_some_and(|account| account.password == text(variables, "password"));
        if !is_right {
            return Taken::NotDone(error("FORBIDDEN", "FORBIDDEN_EXCEPTION", "Wrong password"));
        }
        let until = now + Duration::from_secs(900);
        let mut available = Vec::new();
        for (name, origin) in self.workspaces.clone() {
            let token = self.token("LOGIN", &email, now, until, true);
            self.login.insert(token.clone(), email.clone());
            available.push(json!({
                "displayName": name,
                "loginToken": token,
                "workspaceUrls": { "subdomainUrl": format!("{origin}/"), "customUrl": null },
            }));
        }
        Taken::Done(
            json!({ "data": { "signIn": { "availableWorkspaces": {
                "availableWorkspacesForSignIn": available,
            } } } })
            .to_string(),
        )
    }

    fn renew(
        &mut self,
        face: Face,
        refresh: &str,
        now: Timestamp,
        peculiarity: Peculiarity,
        attempt: Option<usize>,
    ) -> Taken {
        let exchanged = self.exchange(refresh, now, peculiarity, attempt);
        let outcome = match &exchanged {
            Ok((_, outcome)) => *outcome,
            Err(rejection) => AttemptOutcome::Rejected(*rejection),
        };
        if let Some(attempt) = attempt.and_then(|at| self.ledger.attempt_mut(at)) {
            attempt.outcome = outcome;
        }
        match exchanged {
            Ok((pair, outcome)) => {
                let with_refresh = matches!(outcome, AttemptOutcome::Exchanged(_));
                Taken::Done(match face {
                    Face::Twenty => self.pair_body("renewToken", &pair, with_refresh),
                    _ => {
                        let email = &self.access[&pair.access].email;
                        token_endpoint::granted(face, &pair, email, with_refresh, now)
                    }
                })
            }
            Err(rejection) => Taken::Refused(match face {
                Face::Twenty => in_words(rejection, self.access.contains_key(refresh)),
                _ => token_endpoint::rejected(face, rejection),
            }),
        }
    }

    fn exchange(
        &mut self,
        token: &str,
        now: Timestamp,
        peculiarity: Peculiarity,
        attempt: Option<usize>,
    ) -> Result<(IssuedPair, AttemptOutcome), Rejection> {
        let (rotation, now_ms) = (self.rotation, now.as_millisecond());
        let known = self.refresh.get_mut(token).ok_or(Rejection::Unknown)?;
        if let Some(attempt) = attempt.and_then(|at| self.ledger.attempt_mut(at)) {
            attempt.spent = spent(rotation, known.token, now_ms);
        }
        if known.until <= now.as_second() {
            return Err(Rejection::Expired);
        }
        let used = match rotation.exchange(known.token, known.revoked.is_some(), now_ms) {
            Exchange::Granted(used) => used,
            Exchange::Rejected { family, .. } => {
                let rejection = known.revoked.map_or(Rejection::Spent, Rejection::Revoked);
                let (email, pair) = (known.email.clone(), known.pair);
                self.change_family(&email, family, Revocation::Reused(pair));
                return Err(rejection);
            }
        };
        let mut email = known.email.clone();
        let account = self.people.get(&email);
        if !account.is_some_and(|account| account.is_member) {
            return Err(Rejection::NotMember);
        }
        let keeps = peculiarity == Peculiarity::WithoutRefreshToken;
        if !keeps {
            known.token = used;
        }
        let from = known.pair;
        if peculiarity == Peculiarity::OtherPersonsTokens {
            "somebody.else@example.com".clone_into(&mut email);
            self.add_person(&email, "another password");
        }
        let pair = self.pair(&email, now, Some(from));
        let number = self.ledger.number_of(&pair.refresh).unwrap_or_default();
        let outcome = if keeps {
            self.ledger.hands_out_access_only(number);
            AttemptOutcome::Kept(number)
        } else {
            AttemptOutcome::Exchanged(number)
        };
        Ok((pair, outcome))
    }

    /// A family is all that was issued to one account.
    fn change_family(&mut self, email: &str, change: FamilyChange, cause: Revocation) {
        let family = self.refresh.values_mut();
        for token in family.filter(|token| token.email == email) {
            match change {
                FamilyChange::Unchanged => {}
                FamilyChange::Revoked => {
                    token.revoked.get_or_insert(cause);
                }
                FamilyChange::Becomes(spent) => token.token = spent,
            }
        }
    }

    /// With the refresh token itself, or in Supabase's manner by the access token alone.
    fn sign_out(&mut self, token: &str, caller: Option<&str>, now: Timestamp) -> Taken {
        if let Some(known) = self.refresh.get_mut(token) {
            known.revoked.get_or_insert(Revocation::SignedOut);
            self.ledger.signed_out(token, now);
        } else if let Some(email) = caller.filter(|_| token.is_empty()) {
            // An access token does not tell which of the account's sessions it is of, so all of them end.
            for (token, known) in &mut self.refresh {
                if known.email == email {
                    known.revoked.get_or_insert(Revocation::SignedOut);
                    self.ledger.signed_out(token, now);
                }
            }
        }
        Taken::Done(json!({ "data": { "signOut": true } }).to_string())
    }

    fn data(&self, field: &str, kind: OperationKind, email: &str) -> String {
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
            _ if kind == OperationKind::Mutation => person,
            _ => Value::Null,
        };
        json!({ "data": { field: value } }).to_string()
    }

    /// `from`: the pair whose refresh token it is issued for; `None` at a sign-in.
    fn pair(&mut self, email: &str, now: Timestamp, from: Option<PairNumber>) -> IssuedPair {
        let access_until = now + self.access_lifetime;
        let refresh_until = now + REFRESH_LIFETIME;
        let access = self.token("ACCESS", email, now, access_until, false);
        let refresh = self.token("REFRESH", email, now, refresh_until, true);
        let number = self.ledger.issue(email, now, from, [&access, &refresh]);
        let email = email.to_owned();
        self.access.insert(
            access.clone(),
            AccessToken {
                email: email.clone(),
                until: access_until.as_second(),
            },
        );
        self.refresh.insert(
            refresh.clone(),
            RefreshToken {
                email,
                pair: number,
                until: refresh_until.as_second(),
                token: Token::Fresh,
                revoked: None,
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

/// What the ledger notes of a token that was exchanged before.
fn spent(rotation: Rotation, token: Token, now: i64) -> Option<Spent> {
    let Token::Used(since) = token else {
        return None;
    };
    Some(Spent {
        ago: SignedDuration::from_millis(now.saturating_sub(since)),
        inside_grace: rotation.standing(token, false, now) == Standing::InGrace,
    })
}
