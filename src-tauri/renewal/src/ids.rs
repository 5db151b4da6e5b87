//! Which session, and which credentials: ids, and what the decisions know of credentials.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// 128 random bits. Kept as bytes: a number of that size is aligned to 16 bytes, and pads everything that it is part of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id([u8; 16]);

impl Id {
    /// The id with these bytes. They must be random.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
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
pub struct CredentialsInfo {
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

impl CredentialsInfo {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> CredentialsInfo {
        CredentialsInfo {
            session: Id::of(1),
            begun_at: 1_000,
            generation: 3,
            credentials: Id::of(2),
            access_until: Some(5_000),
            issued_at: 2_000,
        }
    }

    #[test]
    fn an_older_generation_and_an_earlier_session_never_supersede() {
        let now = info();
        let older = CredentialsInfo {
            generation: 2,
            ..now
        };
        let earlier = CredentialsInfo {
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
