//! Which session, which credentials: the ids, and what the decisions know of credentials.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::{ServerTime, Wall};

/// 128 random bits with a meaning of their own. Kept as bytes: a number of that size is aligned to 16 bytes, and pads
/// everything that it is part of. Shown, stored and read as 32 hexadecimal digits.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id with these bytes, which must be random.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The id that is this number: for simulations and tests, where ids are counted instead of drawn.
            pub const fn of(number: u128) -> Self {
                Self(number.to_be_bytes())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", u128::from_be_bytes(self.0))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                u128::from_str_radix(text, 16).map(Self::of)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// One session: made at sign-in, the same through all its renewals, restarts and processes. No secret.
    SessionId
}

id! {
    /// One pair of tokens: made at each exchange. No secret.
    CredentialsId
}

/// Which credentials are meant, and how long they last: everything that the decisions need, and no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CredentialsInfo {
    /// The session they belong to.
    pub session: SessionId,
    /// When that session began. Of two sessions of one account the later one counts.
    pub begun_at: Wall,
    /// 1 at sign-in, +1 per renewal, the same in every process.
    pub generation: u64,
    /// These credentials, and no others.
    pub credentials: CredentialsId,
    /// When the server will refuse the access token; `None` where that is not known.
    pub access_until: Option<ServerTime>,
    /// When the server issued them.
    pub issued_at: ServerTime,
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

    /// Whether a calendar has all of its times, and its generation can still grow. Stored ones of which that is not true are
    /// damaged.
    pub fn is_countable(&self) -> bool {
        self.begun_at.is_countable()
            && self.issued_at.is_countable()
            && self.access_until.is_none_or(ServerTime::is_countable)
            && self.generation < u64::from(u32::MAX)
    }

    /// How long the access token lives, in ms, as far as that is known.
    pub fn lifetime(&self) -> Option<u64> {
        self.access_until?.since(self.issued_at)
    }

    /// Whether the access token is known to be refused at `now`.
    pub fn has_expired(&self, now: ServerTime) -> bool {
        self.access_until.is_some_and(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_generation_and_an_earlier_session_never_supersede() {
        let now = CredentialsInfo {
            session: SessionId::of(1),
            begun_at: Wall::from_ms(1_000),
            generation: 3,
            credentials: CredentialsId::of(2),
            access_until: Some(ServerTime::from_ms(5_000)),
            issued_at: ServerTime::from_ms(2_000),
        };
        let older = CredentialsInfo {
            generation: 2,
            ..now
        };
        let earlier = CredentialsInfo {
            session: SessionId::of(9),
            begun_at: Wall::from_ms(999),
            generation: 50,
            ..now
        };
        assert!(now.supersedes(&older) && !older.supersedes(&now));
        assert!(now.supersedes(&earlier) && !earlier.supersedes(&now));
        assert!(!now.supersedes(&now));
    }

    /// Of two sessions that began in the same millisecond the greater id counts, in every process and release.
    #[test]
    fn ids_are_ordered_like_the_numbers_that_they_are_written_as() {
        assert!(SessionId::of(1) < SessionId::of(256));
        assert!(SessionId::of(u128::MAX) > SessionId::of(u128::MAX >> 8));
        assert_eq!(SessionId::of(256).to_string(), format!("{:032x}", 256));
        assert_eq!(
            SessionId::of(256).to_string().parse(),
            Ok(SessionId::of(256))
        );
    }
}
