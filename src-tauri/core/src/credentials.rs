//! Credentials, their ids, and the versioned form in which they rest in a vault.

use std::fmt;

use bytes::Bytes;
use graphql_session_renewal::{CredentialsId, CredentialsInfo, ServerTime, SessionId, Wall};
use jiff::Timestamp;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::protocol::{Dialect, Tokens};

/// Version of the stored form. Another version is not read: it is treated as a damaged entry, never as "no session".
const VERSION: u32 = 1;

/// The id of a new session.
pub(crate) fn new_session_id() -> SessionId {
    SessionId::from_bytes(rand::random())
}

/// The id of new credentials.
pub(crate) fn new_credentials_id() -> CredentialsId {
    CredentialsId::from_bytes(rand::random())
}

/// When a server will refuse a token, as the decisions count it.
pub(crate) fn expiry(at: Option<Timestamp>) -> Option<ServerTime> {
    at.map(|at| ServerTime::from_ms(at.as_millisecond()))
}

/// Everything that is known about one exchange's result. Debug shows no secret.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) info: CredentialsInfo,
    pub(crate) protocol: String,
    /// The origin that issued them; they are never sent elsewhere.
    pub(crate) origin: String,
    pub(crate) person: Option<String>,
    /// Who they belong to, as the tokens say.
    pub(crate) subject: Option<String>,
    pub(crate) dialect: Dialect,
    pub(crate) access: AccessToken,
    pub(crate) refresh: SecretString,
    pub(crate) refresh_until: Option<ServerTime>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("info", &self.info)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// The next generation, from what the server issued. A server that returns no new refresh token keeps the old one
    /// valid.
    pub(crate) fn renewed(
        &self,
        tokens: Tokens,
        dialect: Dialect,
        subject: Option<String>,
        issued_at: ServerTime,
    ) -> Self {
        let keeps_refresh = tokens.refresh.is_none();
        Self {
            info: CredentialsInfo {
                generation: self.info.generation + 1,
                credentials: new_credentials_id(),
                access_until: expiry(tokens.access_expires_at),
                issued_at,
                ..self.info
            },
            dialect,
            subject,
            access: tokens.access.into(),
            refresh_until: if keeps_refresh {
                self.refresh_until
            } else {
                expiry(tokens.refresh_expires_at)
            },
            refresh: tokens.refresh.unwrap_or_else(|| self.refresh.clone()),
            protocol: self.protocol.clone(),
            origin: self.origin.clone(),
            person: self.person.clone(),
        }
    }

    /// The stored form: JSON text. `renewing_at` marks that an exchange is about to be sent, for the process that
    /// finds the record after a crash.
    pub(crate) fn to_text(&self, renewing_at: Option<Wall>) -> SecretString {
        let record = Record {
            version: VERSION,
            info: self.info,
            protocol: &self.protocol,
            origin: &self.origin,
            person: self.person.as_deref(),
            subject: self.subject.as_deref(),
            dialect: self.dialect,
            access: self.access.expose_secret(),
            refresh: self.refresh.expose_secret(),
            refresh_until: self.refresh_until,
            renewing_at,
        };
        let text = Zeroizing::new(
            serde_json::to_string(&record).expect("a record of texts and numbers is JSON"),
        );
        SecretString::from(text.as_str())
    }

    /// Reads the stored form; `None` where it is damaged, of another version, or bound to another protocol.
    pub(crate) fn from_text(text: &SecretString, protocol: &str) -> Option<(Self, Option<Wall>)> {
        let record: Record<'_> = serde_json::from_str(text.expose_secret()).ok()?;
        if record.version != VERSION || record.protocol != protocol {
            return None;
        }
        let credentials = Self {
            info: record.info,
            protocol: record.protocol.to_owned(),
            origin: record.origin.to_owned(),
            person: record.person.map(str::to_owned),
            subject: record.subject.map(str::to_owned),
            dialect: record.dialect,
            access: SecretString::from(record.access).into(),
            refresh: record.refresh.into(),
            refresh_until: record.refresh_until,
        };
        Some((credentials, record.renewing_at))
    }
}

/// An access token, ready to be sent.
#[derive(Clone)]
pub(crate) struct AccessToken {
    text: SecretString,
    authorization: Option<HeaderValue>,
}

impl AccessToken {
    /// The header's value that calls share; `None` where HTTP cannot carry the token.
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }
}

impl From<SecretString> for AccessToken {
    fn from(text: SecretString) -> Self {
        // Zeroed when the last call that shares it is done.
        let bearer = Zeroizing::new(["Bearer ", text.expose_secret()].concat().into_bytes());
        let bearer = Some(Bytes::from_owner(bearer)).filter(|bearer| bearer.is_ascii());
        let mut authorization = bearer.and_then(|text| HeaderValue::from_maybe_shared(text).ok());
        if let Some(value) = &mut authorization {
            // Keeps it out of Debug and of HTTP/2's header table.
            value.set_sensitive(true);
        }
        Self {
            text,
            authorization,
        }
    }
}

impl ExposeSecret<str> for AccessToken {
    fn expose_secret(&self) -> &str {
        self.text.expose_secret()
    }
}

/// The stored form. Borrows, so that no copy of a token is left behind unzeroed; none of its texts needs escapes.
#[derive(Serialize, Deserialize)]
struct Record<'a> {
    version: u32,
    #[serde(flatten)]
    info: CredentialsInfo,
    protocol: &'a str,
    origin: &'a str,
    person: Option<&'a str>,
    subject: Option<&'a str>,
    dialect: Dialect,
    access: &'a str,
    refresh: &'a str,
    refresh_until: Option<ServerTime>,
    renewing_at: Option<Wall>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials {
            info: CredentialsInfo {
                session: SessionId::of(1),
                begun_at: Wall::from_ms(1_000),
                generation: 3,
                credentials: CredentialsId::of(2),
                access_until: Some(ServerTime::from_ms(5_000)),
                issued_at: ServerTime::from_ms(2_000),
            },
            protocol: "twenty".into(),
            origin: "https://crm.example.com".into(),
            person: Some("ada@example.com".into()),
            subject: None,
            dialect: Dialect(1),
            access: SecretString::from("the-access-token").into(),
            refresh: "the-refresh-token".into(),
            refresh_until: None,
        }
    }

    #[test]
    fn the_stored_form_is_read_back_whole() {
        let (read, renewing_at) =
            Credentials::from_text(&credentials().to_text(Some(Wall::from_ms(7))), "twenty")
                .expect("readable");
        assert_eq!(read.info, credentials().info);
        assert_eq!(read.access.expose_secret(), "the-access-token");
        assert_eq!(read.refresh.expose_secret(), "the-refresh-token");
        assert_eq!(read.person.as_deref(), Some("ada@example.com"));
        assert_eq!(renewing_at, Some(Wall::from_ms(7)));
    }

    #[test]
    fn a_damaged_or_foreign_record_is_not_read() {
        let text = credentials().to_text(None);
        assert!(Credentials::from_text(&text, "directus").is_none());
        let half: String = text.expose_secret().chars().take(60).collect();
        assert!(Credentials::from_text(&half.into(), "twenty").is_none());
    }

    #[test]
    fn debug_shows_no_token() {
        let shown = format!("{:?}", credentials());
        assert!(!shown.contains("token"), "{shown}");
    }

    #[test]
    fn a_token_becomes_a_sensitive_header_unchanged_or_none_if_http_cannot_carry_it() {
        let access = credentials().access;
        let value = access.authorization().expect("text that HTTP can carry");
        assert_eq!(value, "Bearer the-access-token");
        assert_eq!(format!("{value:?}"), "Sensitive");
        for broken in ["two\nlines", "naïve"] {
            let broken = AccessToken::from(SecretString::from(broken));
            assert!(broken.authorization().is_none());
        }
    }
}
