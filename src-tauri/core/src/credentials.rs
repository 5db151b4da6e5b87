//! Credentials, their ids, and the versioned form in which they rest in a vault.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::protocol::{Dialect, Tokens};

/// Version of the stored form. Another version is not read: it is treated as a damaged entry, never as "no session".
const VERSION: u32 = 1;

/// 128 random bits. Kept as bytes: a number of that size is aligned to 16 bytes, and pads everything that it is part of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id([u8; 16]);

impl Id {
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    /// The id that is this number: for simulations and tests, where ids are counted instead of drawn.
    pub fn of(number: u128) -> Self {
        Self(number.to_be_bytes())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl FromStr for Id {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes()))
    }
}

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Which credentials are meant, and how long they last: everything the decisions need, and no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// The session they belong to, made at sign-in.
    pub session: Id,
    /// When that session began, in milliseconds since 1970 by the clock of the machine; the later of two sessions wins.
    pub begun_at: i64,
    /// +1 per renewal within the session.
    pub generation: u64,
    /// Random, one per exchange. Compares are made by it.
    pub credentials: Id,
    /// When the server will refuse the access token, in milliseconds since 1970 by the server's clock.
    pub access_until: Option<i64>,
    /// When they were issued, by the server's clock.
    pub issued_at: i64,
}

impl Stamp {
    /// Whether these are newer than `other`: a higher generation of the same session, or a session begun later. An
    /// older record is never taken over.
    pub fn supersedes(&self, other: &Self) -> bool {
        if self.session == other.session {
            self.generation > other.generation
        } else {
            (self.begun_at, self.session) > (other.begun_at, other.session)
        }
    }

    /// Whether the access token is known to be refused at `server_now`.
    pub fn has_expired(&self, server_now: i64) -> bool {
        self.access_until.is_some_and(|until| until <= server_now)
    }
}

/// Everything that is known about one exchange's result. Debug shows no secret.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) stamp: Stamp,
    pub(crate) protocol: String,
    /// The origin that issued them; they are never sent elsewhere.
    pub(crate) origin: String,
    pub(crate) person: Option<String>,
    /// Who they belong to, as the tokens say.
    pub(crate) subject: Option<String>,
    pub(crate) dialect: Dialect,
    pub(crate) access: AccessToken,
    pub(crate) refresh: SecretString,
    pub(crate) refresh_until: Option<i64>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("stamp", &self.stamp)
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
        issued_at: i64,
    ) -> Self {
        let keeps_refresh = tokens.refresh.is_none();
        Self {
            stamp: Stamp {
                generation: self.stamp.generation + 1,
                credentials: Id::random(),
                access_until: tokens.access_expires_at.map(Timestamp::as_millisecond),
                issued_at,
                ..self.stamp
            },
            dialect,
            subject,
            access: tokens.access.into(),
            refresh_until: if keeps_refresh {
                self.refresh_until
            } else {
                tokens.refresh_expires_at.map(Timestamp::as_millisecond)
            },
            refresh: tokens.refresh.unwrap_or_else(|| self.refresh.clone()),
            protocol: self.protocol.clone(),
            origin: self.origin.clone(),
            person: self.person.clone(),
        }
    }

    /// The stored form: JSON text. `renewing_at` marks that an exchange is about to be sent, for whoever finds the
    /// record after a crash.
    pub(crate) fn to_text(&self, renewing_at: Option<i64>) -> SecretString {
        let record = Record {
            version: VERSION,
            stamp: self.stamp,
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
    pub(crate) fn from_text(text: &SecretString, protocol: &str) -> Option<(Self, Option<i64>)> {
        let record: Record<'_> = serde_json::from_str(text.expose_secret()).ok()?;
        if record.version != VERSION || record.protocol != protocol {
            return None;
        }
        let credentials = Self {
            stamp: record.stamp,
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
    stamp: Stamp,
    protocol: &'a str,
    origin: &'a str,
    person: Option<&'a str>,
    subject: Option<&'a str>,
    dialect: Dialect,
    access: &'a str,
    refresh: &'a str,
    refresh_until: Option<i64>,
    renewing_at: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials {
            stamp: Stamp {
                session: Id::of(1),
                begun_at: 1_000,
                generation: 3,
                credentials: Id::of(2),
                access_until: Some(5_000),
                issued_at: 2_000,
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
            Credentials::from_text(&credentials().to_text(Some(7)), "twenty").expect("readable");
        assert_eq!(read.stamp, credentials().stamp);
        assert_eq!(read.access.expose_secret(), "the-access-token");
        assert_eq!(read.refresh.expose_secret(), "the-refresh-token");
        assert_eq!(read.person.as_deref(), Some("ada@example.com"));
        assert_eq!(renewing_at, Some(7));
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
    fn a_token_is_sent_as_it_is_unless_http_cannot_carry_it_and_its_header_shows_nothing() {
        let access = credentials().access;
        let value = access.authorization().expect("text that HTTP can carry");
        assert_eq!(value, "Bearer the-access-token");
        assert_eq!(format!("{value:?}"), "Sensitive");
        for broken in ["two\nlines", "naïve"] {
            let broken = AccessToken::from(SecretString::from(broken));
            assert!(broken.authorization().is_none());
        }
    }

    #[test]
    fn an_older_generation_and_an_earlier_session_never_supersede() {
        let now = credentials().stamp;
        let older = Stamp {
            generation: 2,
            ..now
        };
        let earlier = Stamp {
            session: Id::of(9),
            begun_at: 999,
            generation: 50,
            ..now
        };
        assert!(now.supersedes(&older) && !older.supersedes(&now));
        assert!(now.supersedes(&earlier) && !earlier.supersedes(&now));
        assert!(!now.supersedes(&now));
    }

    /// Of two sessions that began in the same millisecond the greater id wins, in every process and release.
    #[test]
    fn ids_are_ordered_like_the_numbers_that_they_are_written_as() {
        assert!(Id::of(1) < Id::of(256));
        assert!(Id::of(u128::MAX) > Id::of(u128::MAX >> 8));
        assert_eq!(Id::of(256).to_string(), format!("{:032x}", 256));
        assert_eq!(Id::of(256).to_string().parse(), Ok(Id::of(256)));
    }
}
