//! Three clocks that must not be mixed, as three types. Lengths of time are `u64` milliseconds everywhere.

use serde::{Deserialize, Serialize};

/// Time during which this machine was awake, in milliseconds since a start that belongs to one process. It never jumps.
/// Deadlines and pauses count in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Awake(u64);

impl Awake {
    /// This many milliseconds after the start.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the start.
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// `ms` later. A time that cannot be counted any more is the last one.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`; 0 where that lies ahead.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The years -9998 and 9998, in ms since 1970: what the calendars of this project and of JavaScript both have.
const LONG_AGO: i64 = -377_673_580_800_000;
const FAR_AHEAD: i64 = 253_339_142_400_000;

/// The two clocks that count from 1970 differ only in whose they are.
macro_rules! clock {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// This many milliseconds since 1970.
            pub const fn from_ms(ms: i64) -> Self {
                Self(ms)
            }

            /// Milliseconds since 1970.
            pub const fn ms(self) -> i64 {
                self.0
            }

            /// Whether a calendar has this time. One that was read from a file may be any number.
            pub const fn is_countable(self) -> bool {
                LONG_AGO <= self.0 && self.0 <= FAR_AHEAD
            }

            /// `ms` later. A time that cannot be counted any more is the last one.
            #[must_use]
            pub const fn plus(self, ms: u64) -> Self {
                Self(self.0.saturating_add_unsigned(ms))
            }

            /// `ms` earlier.
            #[must_use]
            pub const fn minus(self, ms: u64) -> Self {
                Self(self.0.saturating_sub_unsigned(ms))
            }

            /// Milliseconds since `earlier`; `None` where that lies ahead: somebody has set the clock.
            pub fn since(self, earlier: Self) -> Option<u64> {
                u64::try_from(self.0.saturating_sub(earlier.0)).ok()
            }
        }
    };
}

clock! {
    /// The clock of this machine. It may be wrong, and it jumps: over a sleep, and when somebody sets it. What the
    /// processes of one machine tell each other counts in it.
    Wall
}

clock! {
    /// The clock of the server, as its `Date` headers tell it. Expiry counts in it.
    ServerTime
}

/// When an event happens, by each clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Now {
    /// By this process.
    pub awake: Awake,
    /// By this machine.
    pub wall: Wall,
    /// By the server, as far as that is known.
    pub server: ServerTime,
    /// Random bits, for jitter.
    pub random: u64,
    /// Whether the application made a call lately.
    pub in_use: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_arithmetic_on_any_clock_overflows() {
        assert_eq!(Awake::from_ms(u64::MAX).plus(1), Awake::from_ms(u64::MAX));
        assert_eq!(Awake::from_ms(1).since(Awake::from_ms(2)), 0);
        assert_eq!(
            Wall::from_ms(i64::MAX).plus(u64::MAX),
            Wall::from_ms(i64::MAX)
        );
        assert_eq!(Wall::from_ms(i64::MIN).minus(1), Wall::from_ms(i64::MIN));
        let (first, last) = (Wall::from_ms(i64::MIN), Wall::from_ms(i64::MAX));
        assert_eq!(last.since(first), Some(i64::MAX.unsigned_abs()));
        assert_eq!(first.since(last), None);
    }
}
