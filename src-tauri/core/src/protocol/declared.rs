//! [`DeclaredProtocol`]: a kind of server that is described by a JSON file, so that an adopter whose server we do not know
//! writes no Rust.
//!
//! The file says which requests sign in, renew and revoke, where the tokens lie in the answers, and what the server's errors
//! mean. Its JSON Schema is `docs/declared-protocol.schema.json`, and [`PRESETS`] are such files.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use graphql_session_renewal::Cause;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use self::document::{Document, ExpiryForm, RenewalMeaning, SignInMeaning, TokenPlaces};
use self::pointer::Pointer;
use self::rules::{Rule, Seen, first_match};
use self::template::{Values, fill, filled};
use super::{
    Conversation, Dialect, Expiry, Facts, Flow, Held, Identity, Issued, Protocol, Reading,
    SignInMethod, TokenHeader, Tokens, claims, refuses_by_default,
};
use crate::cleared::secret_of_json;
use crate::error::{Code, Error};
use crate::http::{Answer, Endpoint, Envelope, Origin, RawReply, Request, Target};

mod document;
mod pointer;
mod rules;
mod template;

/// The presets: a name, and its file.
pub const PRESETS: [(&str, &str); 7] = [
    ("directus", include_str!("../../protocols/directus.json")),
    (
        "django-graphql-jwt",
        include_str!("../../protocols/django-graphql-jwt.json"),
    ),
    (
        "hasura-auth",
        include_str!("../../protocols/hasura-auth.json"),
    ),
    ("nhost", include_str!("../../protocols/nhost.json")),
    ("saleor", include_str!("../../protocols/saleor.json")),
    ("strapi", include_str!("../../protocols/strapi.json")),
    ("supabase", include_str!("../../protocols/supabase.json")),
];

/// The name under which the device's id is kept.
const DEVICE_ID: &str = "device id";

/// A kind of server that a JSON file describes.
///
/// ```
/// use graphql_session::{Config, DeclaredProtocol, MemoryVault};
///
/// let protocol = DeclaredProtocol::preset("directus", [])?;
/// let mut config = Config::with_vault(std::env::temp_dir(), MemoryVault::default());
/// config.protocol = std::sync::Arc::new(protocol);
/// # Ok::<(), graphql_session::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DeclaredProtocol {
    facts: Facts,
    document: Document,
    settings: BTreeMap<String, String>,
}

impl DeclaredProtocol {
    /// Reads a file. `settings`: what stands for `{setting.name}` in it, such as an API key that every page of the vendor has
    /// in it, too. Not for secrets.
    ///
    /// # Errors
    /// [`Code::Config`] with the key that is wrong, or the setting that is missing.
    pub fn from_json<'a>(
        json: &str,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Error> {
        let settings: BTreeMap<_, _> = settings
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let document = Document::read(json, &settings)?;
        Ok(Self {
            facts: facts(&document, &settings),
            document,
            settings,
        })
    }

    /// A preset by its name; see [`PRESETS`].
    ///
    /// # Errors
    /// [`Code::Config`] where there is none of this name, or a setting is missing.
    pub fn preset<'a>(
        name: &str,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Error> {
        let preset = PRESETS.iter().find(|(known, _)| *known == name);
        let (_, json) = preset.ok_or_else(|| {
            let names: Vec<_> = PRESETS.iter().map(|(name, _)| *name).collect();
            Error::config("protocol", &format!("use one of {}", names.join(", ")))
        })?;
        Self::from_json(json, settings)
    }

    fn values<'a>(&'a self, held: Option<&Held<'a>>) -> Values<'a> {
        Values {
            settings: Some(&self.settings),
            access: held.map(|held| held.access),
            refresh: held.map(|held| held.refresh.expose_secret()),
            device_id: held.and_then(|held| held.dialect.text()),
            ..Values::default()
        }
    }

    async fn converse(self, conversation: Conversation, host: String) -> Result<Issued, Error> {
        if let Some(check) = &self.document.check {
            let request = fill(&check.request, &self.values(None));
            let answer = conversation.send(request).await?;
            if let Some(error) = answer.leads_elsewhere(&host) {
                return Err(error);
            }
            if !check.is.iter().any(|is| is.matches(&Seen::of(&answer))) {
                return Err(match answer.status {
                    408 | 425 | 429 | 500.. => in_trouble(&host),
                    _ => not_this_server(&host, &self.facts.name),
                });
            }
        }
        conversation.offer(vec![SignInMethod::Password]).await?;
        let login = conversation.password().await?;
        let device_id = self.device_id(&conversation).await;
        let mut values = Values {
            username: Some(&login.email),
            password: Some(login.password.expose_secret()),
            device_id: device_id.as_deref(),
            ..self.values(None)
        };
        let sign_in = &self.document.sign_in;
        let mut answer = conversation.send(fill(&sign_in.request, &values)).await?;
        let one_time_code;
        if let Some(again) = &self.document.one_time_code
            && meaning(&sign_in.rules, &answer) == Some(SignInMeaning::OneTimeCode)
        {
            one_time_code = conversation.one_time_code(false).await?;
            values.one_time_code = Some(one_time_code.expose_secret());
            answer = conversation.send(fill(again, &values)).await?;
        }
        if let Some(error) = answer.leads_elsewhere(&host) {
            return Err(error);
        }
        let tokens =
            read_tokens(&sign_in.tokens, &answer).filter(|tokens| tokens.refresh.is_some());
        let Some(mut tokens) = tokens else {
            let meaning = meaning(&sign_in.rules, &answer);
            return Err(refusal(meaning, &answer, &host, &self.facts.name));
        };
        tokens.identity.name = tokens.identity.name.or(Some(login.email.clone()));
        let renews_at = fill(&self.document.renewal.request, &self.values(None)).to;
        Ok(Issued {
            dialect: device_id.map_or_else(Dialect::default, |id| Dialect::of(&id)),
            issuer: match renews_at {
                Target::Address(address) => Some(address.origin().ascii_serialization()),
                Target::Api(_) => None,
            },
            ..Issued::new(tokens)
        })
    }

    /// The same at every sign-in of this account on this computer; made only where the file asks for it.
    async fn device_id(&self, conversation: &Conversation) -> Option<String> {
        if !self.document.uses_device_id() {
            return None;
        }
        if let Some(kept) = conversation.recall(DEVICE_ID.to_owned()).await {
            return Some(kept);
        }
        let id = format!("{:032x}", rand::random::<u128>());
        conversation
            .remember(DEVICE_ID.to_owned(), id.clone())
            .await;
        Some(id)
    }
}

impl Protocol for DeclaredProtocol {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn sign_in(&self, server: &Origin) -> Flow {
        let (protocol, host) = (self.clone(), server.host().to_owned());
        Flow::new(|conversation| protocol.converse(conversation, host))
    }

    fn dialects(&self, last: Option<&Dialect>) -> Vec<Dialect> {
        vec![last.cloned().unwrap_or_default()]
    }

    fn renewal(&self, held: &Held<'_>, _dialect: &Dialect) -> Option<Request> {
        let values = self.values(Some(held));
        Some(fill(&self.document.renewal.request, &values))
    }

    fn read_renewal(&self, answer: &Answer, _dialect: &Dialect) -> Reading {
        let renewal = &self.document.renewal;
        if let Some(tokens) = read_tokens(&renewal.tokens, answer) {
            return Reading::Renewed(tokens);
        }
        let Some((number, meaning)) = first_match(&renewal.rules, &Seen::of(answer)) else {
            return Reading::NotProtocol;
        };
        let cause = Cause::Rule(number, answer.status);
        match meaning {
            RenewalMeaning::Rejected => Reading::Rejected {
                ambiguous: false,
                cause,
            },
            RenewalMeaning::Ambiguous => Reading::Rejected {
                ambiguous: true,
                cause,
            },
            RenewalMeaning::Throttled => Reading::Inconclusive {
                cause: Cause::Throttled(answer.status),
            },
            RenewalMeaning::Inconclusive => Reading::Inconclusive { cause },
        }
    }

    fn refuses(&self, reply: &RawReply<'_>, envelope: Option<&Envelope>) -> bool {
        let rules = &self.document.refused;
        if rules.is_empty() {
            return refuses_by_default(reply, envelope);
        }
        let seen = Seen::of_reply(reply);
        rules.iter().any(|rule| rule.matches(&seen))
    }

    fn subject(&self, tokens: &Tokens) -> Option<String> {
        let Some(claim) = &self.document.subject_claim else {
            return tokens.identity.subject.clone();
        };
        let claims: Value = claims(tokens.access.expose_secret())?;
        match claims.get(claim)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn revocation(&self, held: &Held<'_>) -> Option<Request> {
        let revocation = self.document.revocation.as_ref()?;
        Some(fill(&revocation.request, &self.values(Some(held))))
    }

    fn is_revoked(&self, answer: &Answer) -> bool {
        let done = self
            .document
            .revocation
            .as_ref()
            .map(|revocation| &revocation.done);
        match done {
            Some(done) if !done.is_empty() => {
                let seen = Seen::of(answer);
                done.iter().any(|rule| rule.matches(&seen))
            }
            _ => (200..300).contains(&answer.status),
        }
    }
}

fn facts(document: &Document, settings: &BTreeMap<String, String>) -> Facts {
    let endpoints = document.endpoints.iter().map(|(name, path)| Endpoint {
        name: Cow::Owned(name.clone()),
        path: Cow::Owned(path.clone()),
    });
    let seconds = |seconds: u64| Duration::from_secs(seconds);
    let values = Values {
        settings: Some(settings),
        ..Values::default()
    };
    let call_headers = document.call_headers.iter().map(|(name, value)| {
        let value = filled(value, &values).to_string();
        (Cow::Owned(name.to_ascii_lowercase()), Cow::Owned(value))
    });
    let header = document.token.header.to_ascii_lowercase();
    Facts {
        name: Cow::Owned(document.name.clone()),
        endpoints: endpoints.collect(),
        token_header: match document.token.scheme.as_deref() {
            Some("Bearer") if header == "authorization" => TokenHeader::Bearer,
            Some(scheme) => TokenHeader::Scheme(Cow::Owned(scheme.to_owned())),
            None => TokenHeader::Named(Cow::Owned(header)),
        },
        call_headers: call_headers.collect(),
        grace: (document.grace_seconds > 0).then(|| seconds(document.grace_seconds)),
        reuse_ends_session: document.reuse_ends_session,
        expiry_margin: seconds(document.expiry_margin_seconds),
        lives_below_paths: document.lives_below_paths,
        idle_connection: seconds(document.idle_connection_seconds),
    }
}

/// The tokens in an answer, taken from where they stand; `None` without a usable access token.
fn read_tokens(places: &TokenPlaces, answer: &Answer) -> Option<Tokens> {
    let body = std::str::from_utf8(&answer.body).ok()?;
    let secret = |place: &Pointer| -> Option<SecretString> {
        let text = secret_of_json(place.raw(body)?)?;
        (!text.expose_secret().is_empty()).then_some(text)
    };
    let access = secret(&places.access)?;
    let expiry = |form: &Option<ExpiryForm>, token: Option<&SecretString>| match form {
        None => Expiry::Unknown,
        Some(form) => form.read(body, token),
    };
    let refresh = places.refresh.as_ref().and_then(secret);
    let text = |place: &Option<Pointer>| match serde_json::from_str(place.as_ref()?.raw(body)?) {
        Ok(Value::String(text)) => Some(text),
        Ok(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    Some(Tokens {
        access_expires: expiry(&places.access_expires, Some(&access)),
        refresh_expires: expiry(&places.refresh_expires, refresh.as_ref()),
        access,
        refresh,
        identity: Identity {
            subject: text(&places.subject),
            name: text(&places.name),
        },
    })
}

fn meaning(rules: &[Rule<SignInMeaning>], answer: &Answer) -> Option<SignInMeaning> {
    first_match(rules, &Seen::of(answer)).map(|(_, meaning)| meaning)
}

/// What a sign-in form shows for an answer without tokens.
fn refusal(meaning: Option<SignInMeaning>, answer: &Answer, host: &str, kind: &str) -> Error {
    match meaning {
        Some(SignInMeaning::WrongPassword) => Error::new(
            Code::WrongPassword,
            "The name or the password is wrong. Check them and try again.",
        ),
        Some(SignInMeaning::UnknownUser) => Error::new(
            Code::UnknownUser,
            "The server knows nobody by this name. Check it.",
        ),
        Some(SignInMeaning::OneTimeCode) => Error::new(
            Code::WrongPassword,
            "The one-time code is wrong or was used before. Sign in again with the next one.",
        ),
        Some(SignInMeaning::Throttled | SignInMeaning::InTrouble) => in_trouble(host),
        Some(SignInMeaning::Refused) => Error::new(
            Code::SignInRefused,
            format!("{host} refused the sign-in. Ask the person who runs the server."),
        ),
        None if matches!(answer.status, 408 | 425 | 429 | 500..) => in_trouble(host),
        None => not_this_server(host, kind),
    }
}

fn in_trouble(host: &str) -> Error {
    Error::new(
        Code::NoAnswer,
        format!("{host} is in trouble just now. Try again in a moment."),
    )
}

fn not_this_server(host: &str, kind: &str) -> Error {
    Error::new(
        Code::NotThisServer,
        format!("{host} answers, but not as a {kind} server. Check the address."),
    )
}

#[cfg(test)]
mod tests;
