//! Credentials, their ids, and the versioned form in which they rest in a vault.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use graphql_session_renewal::{CredentialsId, CredentialsInfo, ServerTime, SessionId, Wall};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use crate::cleared::ClearedBuffer;
use crate::clock::{CLOCK_NOISE, millis};
use crate::protocol::{Dialect, Expiry, Facts, Held, TokenHeader, Tokens};

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

/// An access token that arrives with less than this left, in ms, is said to have expired already: a Date header counts
/// whole seconds.
const SHORTEST_LIFETIME: u64 = CLOCK_NOISE;

/// When a server will refuse an access token that it has just issued. A pair that arrives expired was issued all the same:
/// a clock is wrong, and nobody knows when the server will refuse it. A lifetime needs no clock, however short it is.
pub(crate) fn expiry_of_new(
    stated: Expiry,
    asked_at: ServerTime,
    issued_at: ServerTime,
) -> Option<ServerTime> {
    let until = expiry(stated, asked_at);
    let is_lifetime = matches!(stated, Expiry::In(_));
    until.filter(|until| is_lifetime || *until > issued_at.plus(SHORTEST_LIFETIME))
}

/// When a server will refuse a token, as the decisions count it. `asked_at`: when it was asked for the token.
pub(crate) fn expiry(stated: Expiry, asked_at: ServerTime) -> Option<ServerTime> {
    match stated {
        Expiry::At(at) => Some(ServerTime::from_ms(at.as_millisecond())),
        Expiry::In(lifetime) => Some(asked_at.plus(millis(lifetime))),
        Expiry::Unknown => None,
    }
}

/// Everything that is known about one exchange's result. Debug shows no secret.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) info: CredentialsInfo,
    pub(crate) protocol: String,
    /// The origin that issued them; they are never sent elsewhere.
    pub(crate) origin: String,
    /// The origin that renews them, where it is another one. The refresh token goes nowhere else.
    pub(crate) issuer: Option<String>,
    pub(crate) person: Option<String>,
    /// Who they belong to, as the tokens say.
    pub(crate) subject: Option<String>,
    /// The state folder that they belong to. Another installation of the application may share the keyring, and not the
    /// folder with its lock.
    pub(crate) folder: Option<String>,
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
    /// As far as a protocol needs them.
    pub(crate) fn for_protocol(&self) -> Held<'_> {
        Held {
            access: self.access.expose_secret(),
            refresh: &self.refresh,
            dialect: &self.dialect,
        }
    }

    /// The next generation, from what the server issued. A server that returns no new refresh token keeps the old one
    /// valid.
    pub(crate) fn renewed(
        &self,
        tokens: Tokens,
        subject: Option<String>,
        dialect: Dialect,
        facts: &Facts,
        asked_at: ServerTime,
        issued_at: ServerTime,
    ) -> Self {
        let keeps_refresh = tokens.refresh.is_none();
        Self {
            info: CredentialsInfo {
                generation: self.info.generation + 1,
                credentials: new_credentials_id(),
                access_until: expiry_of_new(tokens.access_expires, asked_at, issued_at),
                issued_at,
                ..self.info
            },
            dialect,
            // A server that names nobody has not changed its mind.
            subject: subject.or_else(|| self.subject.clone()),
            access: AccessToken::new(tokens.access, facts),
            refresh_until: if keeps_refresh {
                self.refresh_until
            } else {
                expiry(tokens.refresh_expires, asked_at)
            },
            refresh: tokens.refresh.unwrap_or_else(|| self.refresh.clone()),
            protocol: self.protocol.clone(),
            origin: self.origin.clone(),
            issuer: self.issuer.clone(),
            person: self.person.clone(),
            folder: self.folder.clone(),
        }
    }

    /// The stored form: JSON text. `renewing_at` marks that an exchange is about to be sent, for the process that
    /// finds the record after a crash. A record of more than `longest` bytes goes without its access token: the next start
    /// renews it.
    pub(crate) fn to_text(
        &self,
        renewing_at: Option<Wall>,
        longest: Option<usize>,
    ) -> SecretString {
        let (access, refresh) = (self.access.expose_secret(), self.refresh.expose_secret());
        let encoded = [access, refresh].map(|token| Zeroizing::new(BASE64.encode(token)));
        let mut record = Record {
            version: VERSION,
            session: self.info.session,
            begun_at: self.info.begun_at,
            generation: self.info.generation,
            credentials: self.info.credentials,
            access_until: self.info.access_until,
            issued_at: self.info.issued_at,
            protocol: self.protocol.as_str().into(),
            origin: self.origin.as_str().into(),
            issuer: self.issuer.as_deref().map(Cow::from),
            person: self.person.as_deref().map(Cow::from),
            subject: self.subject.as_deref().map(Cow::from),
            folder: self.folder.as_deref().map(Cow::from),
            dialect: self.dialect.clone(),
            access: Some(StoredToken::of(access, &encoded[0])),
            refresh: StoredToken::of(refresh, &encoded[1]),
            refresh_until: self.refresh_until,
            renewing_at,
        };
        let text = record.to_text();
        if longest.is_none_or(|longest| text.expose_secret().len() <= longest) {
            return text;
        }
        record.access = None;
        record.to_text()
    }

    /// Reads the stored form; `None` where it is damaged, of another version, or bound to another protocol.
    pub(crate) fn from_text(text: &SecretString, facts: &Facts) -> Option<(Self, Option<Wall>)> {
        let record: Record<'_> = serde_json::from_str(text.expose_secret()).ok()?;
        let mut info = record.info();
        let is_sound = record.version == VERSION
            && record.protocol == facts.name
            && info.is_countable()
            && record.refresh_until.is_none_or(ServerTime::is_countable)
            && record.renewing_at.is_none_or(Wall::is_countable);
        if !is_sound {
            return None;
        }
        if record.access.is_none() {
            info.access_until = Some(info.issued_at);
        }
        let access = match record.access {
            Some(access) => access.decode()?,
            None => SecretString::default(),
        };
        let credentials = Self {
            info,
            protocol: record.protocol.into_owned(),
            origin: record.origin.into_owned(),
            issuer: record.issuer.map(Cow::into_owned),
            person: record.person.map(Cow::into_owned),
            subject: record.subject.map(Cow::into_owned),
            folder: record.folder.map(Cow::into_owned),
            dialect: record.dialect,
            access: AccessToken::new(access, facts),
            refresh: record.refresh.decode()?,
            refresh_until: record.refresh_until,
        };
        Some((credentials, record.renewing_at))
    }

    /// When the session of a stored form began, and its generation: of two stored forms, the newer one has the greater pair.
    /// `None` where it cannot be read.
    pub(crate) fn recency(text: &[u8]) -> Option<(Wall, u64)> {
        let record: Record<'_> = serde_json::from_slice(text).ok()?;
        let is_readable = record.version == VERSION && record.info().is_countable();
        is_readable.then_some((record.begun_at, record.generation))
    }

    /// The session of a stored form, also where the rest of it cannot be read.
    pub(crate) fn session_in(text: &SecretString) -> Option<SessionId> {
        #[derive(Deserialize)]
        struct Named {
            session: SessionId,
        }
        let named: Named = serde_json::from_str(text.expose_secret()).ok()?;
        Some(named.session)
    }
}

/// An access token, ready to be sent.
#[derive(Clone)]
pub(crate) struct AccessToken {
    text: SecretString,
    /// The header with the token, and those that the protocol wants beside it.
    headers: Option<Vec<(HeaderName, HeaderValue)>>,
}

impl AccessToken {
    /// A token that calls show as the protocol says.
    pub(crate) fn new(text: SecretString, facts: &Facts) -> Self {
        let others = facts.call_headers.iter();
        let mut headers: Vec<_> = others
            .filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)))
            .collect();
        let token = token_header(text.expose_secret(), &facts.token_header);
        Self {
            headers: token.map(|token| {
                headers.push(token);
                headers
            }),
            text,
        }
    }

    /// The headers that calls share; `None` where HTTP cannot carry the token.
    pub(crate) fn headers(&self) -> Option<&[(HeaderName, HeaderValue)]> {
        self.headers.as_deref()
    }
}

fn token_header(token: &str, header: &TokenHeader) -> Option<(HeaderName, HeaderValue)> {
    let (name, parts) = match header {
        TokenHeader::Bearer => (AUTHORIZATION, ["Bearer ", "", token]),
        TokenHeader::Scheme(scheme) => (AUTHORIZATION, [&**scheme, " ", token]),
        TokenHeader::Named(name) => (name.parse().ok()?, ["", "", token]),
    };
    // Zeroed when the last call that shares it is done.
    let value = Bytes::from_owner(Zeroizing::new(parts.concat().into_bytes()));
    if !value.is_ascii() {
        return None;
    }
    let mut value = HeaderValue::from_maybe_shared(value).ok()?;
    // Keeps it out of Debug and of HTTP/2's header table.
    value.set_sensitive(true);
    Some((name, value))
}

impl ExposeSecret<str> for AccessToken {
    fn expose_secret(&self) -> &str {
        self.text.expose_secret()
    }
}

/// The stored form. The fields of its [`CredentialsInfo`] stand here one by one: serde's `flatten` would keep a copy of every
/// other field that a damaged record has.
#[derive(Serialize, Deserialize)]
struct Record<'a> {
    version: u32,
    session: SessionId,
    begun_at: Wall,
    generation: u64,
    credentials: CredentialsId,
    access_until: Option<ServerTime>,
    issued_at: ServerTime,
    #[serde(borrow)]
    protocol: Cow<'a, str>,
    #[serde(borrow)]
    origin: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    issuer: Option<Cow<'a, str>>,
    #[serde(borrow)]
    person: Option<Cow<'a, str>>,
    #[serde(borrow)]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    folder: Option<Cow<'a, str>>,
    dialect: Dialect,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    access: Option<StoredToken<'a>>,
    #[serde(borrow)]
    refresh: StoredToken<'a>,
    refresh_until: Option<ServerTime>,
    renewing_at: Option<Wall>,
}

impl Record<'_> {
    fn info(&self) -> CredentialsInfo {
        CredentialsInfo {
            session: self.session,
            begun_at: self.begun_at,
            generation: self.generation,
            credentials: self.credentials,
            access_until: self.access_until,
            issued_at: self.issued_at,
        }
    }

    fn to_text(&self) -> SecretString {
        let text = ClearedBuffer::json(self).text();
        text.expect("JSON is text")
    }
}

/// A token in the stored form: as it is, or in base64 where JSON would have to escape it. A parser that unescapes leaves a
/// copy in memory that nobody clears; so only what stands there unescaped is borrowed.
#[derive(Serialize)]
#[serde(untagged)]
enum StoredToken<'a> {
    Plain(&'a str),
    Encoded { base64: &'a str },
}

impl<'a> StoredToken<'a> {
    /// `encoded` is the token in base64.
    fn of(token: &'a str, encoded: &'a str) -> Self {
        let needs_escapes = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        if token.bytes().any(needs_escapes) {
            Self::Encoded { base64: encoded }
        } else {
            Self::Plain(token)
        }
    }

    fn decode(self) -> Option<SecretString> {
        match self {
            Self::Plain(token) => Some(token.into()),
            Self::Encoded { base64 } => {
                let bytes = Zeroizing::new(BASE64.decode(base64).ok()?);
                let token = std::str::from_utf8(&bytes).ok()?;
                Some(token.into())
            }
        }
    }
}

/// By hand: serde reads an untagged value into a copy first, whatever and however long it is.
impl<'de: 'a, 'a> Deserialize<'de> for StoredToken<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StoredTokenVisitor)
    }
}

struct StoredTokenVisitor;

impl<'de> Visitor<'de> for StoredTokenVisitor {
    type Value = StoredToken<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token, or one in base64")
    }

    fn visit_borrowed_str<E>(self, token: &'de str) -> Result<Self::Value, E> {
        Ok(StoredToken::Plain(token))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "lowercase")]
        enum Key {
            Base64,
            #[serde(other)]
            Other,
        }
        let mut token = None;
        while let Some(key) = map.next_key()? {
            match key {
                Key::Base64 => token = Some(map.next_value()?),
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let base64 = token.ok_or_else(|| A::Error::missing_field("base64"))?;
        Ok(StoredToken::Encoded { base64 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::{Protocol, Twenty};

    fn facts(name: &'static str) -> Facts {
        Facts {
            name: name.into(),
            ..Twenty::new().facts().clone()
        }
    }

    fn token(text: &str) -> AccessToken {
        AccessToken::new(text.into(), &facts("twenty"))
    }

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
            issuer: Some("https://id.example.com".into()),
            person: Some("ada@example.com".into()),
            subject: None,
            folder: None,
            dialect: Dialect::of(&1),
            access: token("the-access-token"),
            refresh: "the-refresh-token".into(),
            refresh_until: None,
        }
    }

    #[test]
    fn the_stored_form_is_read_back_whole() {
        let (read, renewing_at) = Credentials::from_text(
            &credentials().to_text(Some(Wall::from_ms(7)), None),
            &facts("twenty"),
        )
        .expect("readable");
        assert_eq!(read.info, credentials().info);
        assert_eq!(read.access.expose_secret(), "the-access-token");
        assert_eq!(read.refresh.expose_secret(), "the-refresh-token");
        assert_eq!(read.person.as_deref(), Some("ada@example.com"));
        assert_eq!(renewing_at, Some(Wall::from_ms(7)));
    }

    #[test]
    fn a_damaged_or_foreign_record_is_not_read() {
        let text = credentials().to_text(None, None);
        assert!(Credentials::from_text(&text, &facts("directus")).is_none());
        let half: String = text.expose_secret().chars().take(60).collect();
        assert!(Credentials::from_text(&half.into(), &facts("twenty")).is_none());
    }

    proptest! {
        /// Quotes, backslashes, line ends and emoji, as servers and people give them (I16).
        #[test]
        fn any_text_in_a_record_is_read_back(
            texts in proptest::collection::vec("(?s).{0,40}", 5),
            long in 0..3_usize,
        ) {
            let mut stored = credentials();
            let [access, refresh, person, subject, origin] = texts.try_into().expect("five");
            let access = access + &"\"x".repeat(long * 50_000);
            stored.access = token(&access);
            stored.refresh = refresh.as_str().into();
            stored.person = Some(person);
            stored.subject = Some(subject);
            stored.origin = origin;

            let (read, _) = Credentials::from_text(&stored.to_text(None, None), &facts("twenty"))
                .expect("readable");

            prop_assert_eq!(read.access.expose_secret(), access);
            prop_assert_eq!(read.refresh.expose_secret(), refresh);
            prop_assert_eq!((read.person, read.subject), (stored.person, stored.subject));
            prop_assert_eq!(read.origin, stored.origin);
        }
    }

    #[test]
    fn what_a_damaged_record_has_too_much_is_passed_over() {
        let text = credentials().to_text(None, None);
        let more = format!("{{{}", "\"x\":[1,2],".repeat(10_000));
        let padded = text.expose_secret().replacen('{', &more, 1);
        assert!(Credentials::from_text(&padded.into(), &facts("twenty")).is_some());
        let list = format!("[{}1]", "1,".repeat(10_000));
        let listed = text.expose_secret().replace("\"the-refresh-token\"", &list);
        assert!(Credentials::from_text(&listed.into(), &facts("twenty")).is_none());
    }

    #[test]
    fn a_record_without_room_for_its_access_token_counts_as_expired() {
        let mut stored = credentials();
        stored.access = token(&"x".repeat(2_000));
        let text = stored.to_text(None, Some(1_000));
        assert!(text.expose_secret().len() <= 1_000);

        let (read, _) = Credentials::from_text(&text, &facts("twenty")).expect("readable");

        assert!(read.info.has_expired(read.info.issued_at));
        assert_eq!(read.refresh.expose_secret(), "the-refresh-token");
    }

    #[test]
    fn numbers_that_no_calendar_has_make_a_record_damaged() {
        for (key, number) in [
            ("begun_at", i64::MAX),
            ("issued_at", i64::MIN),
            ("access_until", i64::MAX),
            ("generation", i64::MAX),
            ("renewing_at", i64::MIN),
            ("refresh_until", i64::MAX),
        ] {
            let text = credentials().to_text(None, None);
            let mut record: serde_json::Value =
                serde_json::from_str(text.expose_secret()).expect("JSON");
            record[key] = number.into();
            let read = Credentials::from_text(&record.to_string().into(), &facts("twenty"));
            assert!(read.is_none(), "{key}");
        }
    }

    #[test]
    fn debug_shows_no_token() {
        let shown = format!("{:?}", credentials());
        assert!(!shown.contains("token"), "{shown}");
    }

    #[test]
    fn a_token_becomes_a_sensitive_header_unchanged_or_none_if_http_cannot_carry_it() {
        let access = credentials().access;
        let headers = access.headers().expect("text that HTTP can carry");
        let [(name, value)] = headers else {
            panic!("{headers:?}");
        };
        assert_eq!(name, AUTHORIZATION);
        assert_eq!(value, "Bearer the-access-token");
        assert_eq!(format!("{value:?}"), "Sensitive");
        for broken in ["two\nlines", "naïve"] {
            assert!(token(broken).headers().is_none());
        }
    }

    #[test]
    fn a_token_is_shown_in_the_header_of_its_protocol() {
        for (token_header, name, value) in [
            (
                TokenHeader::Scheme("JWT".into()),
                "authorization",
                "JWT abc",
            ),
            (TokenHeader::Named("x-token".into()), "x-token", "abc"),
        ] {
            let facts = Facts {
                token_header,
                call_headers: vec![("apikey".into(), "public".into())],
                ..facts("other")
            };
            let access = AccessToken::new("abc".into(), &facts);
            let shown = access.headers().expect("text that HTTP can carry");
            let texts: Vec<_> = shown
                .iter()
                .map(|(name, value)| (name.as_str(), value.to_str().expect("text")))
                .collect();
            assert_eq!(texts, [("apikey", "public"), (name, value)]);
        }
    }
}
