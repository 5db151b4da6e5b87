//! The file that describes a protocol.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::pointer::Pointer;
use super::rules::{Condition, Rule};
use super::template::{NAMES, RequestTemplate, SETTING, places};
use crate::error::Error;
use crate::protocol::{Expiry, claims};

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Document {
    #[serde(rename = "$schema")]
    _schema: Option<String>,
    /// Stored with the credentials.
    pub(super) name: String,
    /// Names that calls use, and paths.
    pub(super) endpoints: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) token: TokenHeaderForm,
    /// Sent with every call.
    #[serde(default)]
    pub(super) call_headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) grace_seconds: u64,
    #[serde(default = "yes")]
    pub(super) reuse_ends_session: bool,
    #[serde(default = "yes")]
    pub(super) lives_below_paths: bool,
    #[serde(default = "one_second")]
    pub(super) expiry_margin_seconds: u64,
    #[serde(default = "four_seconds")]
    pub(super) idle_connection_seconds: u64,
    pub(super) check: Option<Check>,
    pub(super) sign_in: Exchange<SignInMeaning>,
    /// Sent instead of the sign-in's request, with the one-time code.
    pub(super) one_time_code: Option<RequestTemplate>,
    pub(super) renewal: Exchange<RenewalMeaning>,
    /// How a call's reply says that its access token is not accepted. Empty: as servers with Apollo's codes do.
    #[serde(default)]
    pub(super) refused: Vec<Condition>,
    pub(super) revocation: Option<Revocation>,
    /// The claim of the access token that names the account, where `tokens.subject` has no place for it.
    pub(super) subject_claim: Option<String>,
}

fn yes() -> bool {
    true
}

/// A token that expires on its way is refused, and renewed then.
fn one_second() -> u64 {
    1
}

/// Node's servers close idle connections after 5 s, and have the shortest default of the common ones.
fn four_seconds() -> u64 {
    4
}

/// How calls show the access token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct TokenHeaderForm {
    pub(super) header: String,
    /// What stands before the token. None: the token alone.
    pub(super) scheme: Option<String>,
}

impl Default for TokenHeaderForm {
    fn default() -> Self {
        Self {
            header: "authorization".into(),
            scheme: Some("Bearer".into()),
        }
    }
}

/// How to find out whether such a server is there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Check {
    pub(super) request: RequestTemplate,
    /// One of these has to hold.
    pub(super) is: Vec<Condition>,
}

/// A request whose answer brings tokens, and what its other answers mean.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Exchange<M> {
    pub(super) request: RequestTemplate,
    pub(super) tokens: TokenPlaces,
    /// The first one that matches counts. Answers that none matches are judged by their status.
    #[serde(default = "Vec::new")]
    pub(super) rules: Vec<Rule<M>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Revocation {
    pub(super) request: RequestTemplate,
    /// One of these has to hold. Empty: any HTTP 2xx.
    #[serde(default)]
    pub(super) done: Vec<Condition>,
}

/// What an answer to a renewal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum RenewalMeaning {
    /// The session is over.
    Rejected,
    /// The same, or the server is in trouble: it is asked once more.
    Ambiguous,
    /// The server asks for a pause.
    Throttled,
    /// Nothing is proven about the token.
    Inconclusive,
}

/// What an answer to a sign-in means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum SignInMeaning {
    WrongPassword,
    UnknownUser,
    /// The server asks for a one-time code, or does not take the one that was given.
    OneTimeCode,
    Throttled,
    InTrouble,
    Refused,
}

/// Where an answer's tokens lie.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct TokenPlaces {
    pub(super) access: Pointer,
    pub(super) access_expires: Option<ExpiryForm>,
    pub(super) refresh: Option<Pointer>,
    pub(super) refresh_expires: Option<ExpiryForm>,
    /// The account's id at the server.
    pub(super) subject: Option<Pointer>,
    /// An e-mail address or another name for people.
    pub(super) name: Option<Pointer>,
}

/// How an expiry is stated.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ExpiryForm {
    /// Lifetime in seconds.
    InSeconds(Pointer),
    /// Lifetime in milliseconds.
    InMilliseconds(Pointer),
    /// A time as ISO 8601 with a zone.
    AtTimestamp(Pointer),
    /// A time in seconds since 1970.
    AtSeconds(Pointer),
    /// A time in milliseconds since 1970.
    AtMilliseconds(Pointer),
    /// The claim `exp` of the token itself.
    Jwt,
}

impl ExpiryForm {
    /// One that cannot be read is unknown, and no reason to throw the tokens away.
    pub(super) fn read(&self, body: &str, token: Option<&SecretString>) -> Expiry {
        let number = |place: &Pointer| {
            let raw = place.raw(body)?.trim_matches('"').trim();
            raw.parse::<i64>().ok().filter(|number| *number > 0)
        };
        let read = match self {
            Self::InSeconds(place) => number(place)
                .and_then(|seconds| u64::try_from(seconds).ok())
                .map(|seconds| Expiry::In(Duration::from_secs(seconds))),
            Self::InMilliseconds(place) => number(place)
                .and_then(|ms| u64::try_from(ms).ok())
                .map(|ms| Expiry::In(Duration::from_millis(ms))),
            Self::AtTimestamp(place) => place
                .raw(body)
                .and_then(|text| text.trim_matches('"').parse().ok())
                .map(Expiry::At),
            Self::AtSeconds(place) => number(place)
                .and_then(|seconds| Timestamp::from_second(seconds).ok())
                .map(Expiry::At),
            Self::AtMilliseconds(place) => number(place)
                .and_then(|ms| Timestamp::from_millisecond(ms).ok())
                .map(Expiry::At),
            Self::Jwt => token.and_then(|token| {
                let claims: Value = claims(token.expose_secret())?;
                let seconds = claims.get("exp")?.as_i64()?;
                Timestamp::from_second(seconds).ok().map(Expiry::At)
            }),
        };
        read.unwrap_or(Expiry::Unknown)
    }
}

impl Document {
    /// Reads and checks it.
    ///
    /// # Errors
    /// With the key that is wrong.
    pub(super) fn read(json: &str, settings: &BTreeMap<String, String>) -> Result<Self, Error> {
        let mut reading = serde_json::Deserializer::from_str(json);
        let document: Self = serde_path_to_error::deserialize(&mut reading).map_err(|problem| {
            let key = match problem.path().to_string().as_str() {
                "." => "protocol".to_owned(),
                path => format!("protocol.{path}"),
            };
            Error::config(&key, &problem.inner().to_string())
        })?;
        document.check(settings)?;
        Ok(document)
    }

    fn check(&self, settings: &BTreeMap<String, String>) -> Result<(), Error> {
        if self.name.is_empty() {
            return Err(wrong("name", "use a short name, such as the server's"));
        }
        if self.endpoints.is_empty() {
            return Err(wrong("endpoints", "name at least one"));
        }
        for (name, path) in &self.endpoints {
            if !path.starts_with('/') {
                let key = format!("endpoints.{name}");
                return Err(wrong(&key, "a path begins with a slash"));
            }
        }
        if self.token.scheme.is_some() && !self.token.header.eq_ignore_ascii_case("authorization") {
            return Err(wrong(
                "token.scheme",
                "only the header `authorization` has a scheme; use null for another header",
            ));
        }
        for (name, value) in &self.call_headers {
            let key = format!("callHeaders.{name}");
            check_places(&key, value, settings)?;
            if let Some((place, _)) = places(value).find(|(_, name)| !name.starts_with(SETTING)) {
                let problem = format!("{place} is not known here; only settings are");
                return Err(wrong(&key, &problem));
            }
        }
        for (key, request) in self.requests() {
            request.check(&key, settings)?;
        }
        for (key, condition) in self.conditions() {
            if condition.is_empty() {
                return Err(wrong(
                    &key,
                    "state a status, a pointer or a header, or it matches every answer",
                ));
            }
            let has_text = condition.equals.is_some() || condition.starts_with.is_some();
            if has_text && condition.pointer.is_none() && condition.header.is_none() {
                return Err(wrong(
                    &key,
                    "`equals` and `startsWith` need a pointer or a header",
                ));
            }
        }
        if self.sign_in.tokens.refresh.is_none() {
            return Err(wrong(
                "signIn.tokens.refresh",
                "a session needs a refresh token",
            ));
        }
        Ok(())
    }

    /// Whether a request has a place for the device's id.
    pub(super) fn uses_device_id(&self) -> bool {
        self.requests().iter().any(|(_, request)| {
            let mut texts = request.texts().into_iter();
            texts.any(|(_, text)| places(&text).any(|(_, name)| name == "device_id"))
        })
    }

    fn requests(&self) -> Vec<(String, &RequestTemplate)> {
        let check = self.check.as_ref().map(|check| &check.request);
        let revocation = self
            .revocation
            .as_ref()
            .map(|revocation| &revocation.request);
        [
            ("check.request", check),
            ("signIn.request", Some(&self.sign_in.request)),
            ("oneTimeCode", self.one_time_code.as_ref()),
            ("renewal.request", Some(&self.renewal.request)),
            ("revocation.request", revocation),
        ]
        .into_iter()
        .filter_map(|(key, request)| Some((key.to_owned(), request?)))
        .collect()
    }

    fn conditions(&self) -> Vec<(String, &Condition)> {
        let check = self.check.iter().flat_map(|check| &check.is);
        let done = self
            .revocation
            .iter()
            .flat_map(|revocation| &revocation.done);
        let numbered =
            |key: &'static str| move |(at, condition)| (format!("{key}[{at}]"), condition);
        let mut all: Vec<_> = check.enumerate().map(numbered("check.is")).collect();
        all.extend(done.enumerate().map(numbered("revocation.done")));
        all.extend(self.refused.iter().enumerate().map(numbered("refused")));
        let sign_in = self.sign_in.rules.iter().map(|rule| &rule.when);
        all.extend(sign_in.enumerate().map(numbered("signIn.rules")));
        let renewal = self.renewal.rules.iter().map(|rule| &rule.when);
        all.extend(renewal.enumerate().map(numbered("renewal.rules")));
        all
    }
}

impl RequestTemplate {
    fn check(&self, key: &str, settings: &BTreeMap<String, String>) -> Result<(), Error> {
        let bodies = [
            self.json.is_some(),
            self.form.is_some(),
            self.graphql.is_some(),
        ];
        if bodies.into_iter().filter(|has| *has).count() > 1 {
            return Err(wrong(key, "use one of `json`, `form` and `graphql`"));
        }
        for (place, text) in self.texts() {
            check_places(&format!("{key}.{place}"), &text, settings)?;
        }
        let begins_with_setting = self.path.starts_with('{');
        if !self.path.starts_with('/') && !begins_with_setting && self.path.parse::<Url>().is_err()
        {
            let key = format!("{key}.path");
            return Err(wrong(
                &key,
                "use a path that begins with a slash, or a whole address",
            ));
        }
        Ok(())
    }

    /// Every text that may have places, with its key.
    fn texts(&self) -> Vec<(String, String)> {
        let mut texts = vec![("path".to_owned(), self.path.clone())];
        for (name, value) in &self.headers {
            texts.push((format!("headers.{name}"), value.clone()));
        }
        for (name, value) in self.form.iter().flatten() {
            texts.push((format!("form.{name}"), value.clone()));
        }
        if let Some(json) = &self.json {
            collect("json", json, &mut texts);
        }
        if let Some(graphql) = &self.graphql {
            collect("graphql.variables", &graphql.variables, &mut texts);
        }
        texts
    }
}

fn check_places(key: &str, text: &str, settings: &BTreeMap<String, String>) -> Result<(), Error> {
    for (place, name) in places(text) {
        match name.strip_prefix(SETTING) {
            Some(setting) if settings.contains_key(setting) => {}
            Some(setting) => return Err(wrong(key, &format!("give the setting `{setting}`"))),
            None if NAMES.contains(&name) => {}
            None => {
                let names = NAMES.join(", ");
                let problem = format!("`{place}` is no place; there are {names} and setting.NAME");
                return Err(wrong(key, &problem));
            }
        }
    }
    Ok(())
}

fn collect(key: &str, value: &Value, texts: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => texts.push((key.to_owned(), text.clone())),
        Value::Array(elements) => {
            for (at, element) in elements.iter().enumerate() {
                collect(&format!("{key}[{at}]"), element, texts);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                collect(&format!("{key}.{name}"), member, texts);
            }
        }
        _ => {}
    }
}

fn wrong(key: &str, problem: &str) -> Error {
    Error::config(&format!("protocol.{key}"), problem)
}
