//! When to renew ahead of expiry, and how pauses are drawn. `docs/fleet.md` shows what these numbers do to a server with a
//! million clients.

use crate::ids::CredentialsInfo;
use crate::time::{Awake, Now};

/// First step of the backoff, in ms.
const BACKOFF_BASE: u64 = 1_000;

/// Shortest pause of the backoff, in ms: full jitter may draw zero, and that would be a storm of one.
pub(crate) const BACKOFF_FLOOR: u64 = 300;

/// Doublings after which the backoff has reached any limit that can be set.
const BACKOFF_DOUBLINGS: u32 = 16;

/// After an outage, early renewals come in the last quarter of what is left of each token's life. As a share, and not
/// as a span, it keeps a fleet as spread as its tokens' ends are, whenever the server comes back: 1.15 times as dense.
/// Half of what is left would be 1.4 times.
const AHEAD_AGAIN_SHARE: u64 = 4;

/// With less than this left, in ms, the next try is at the end of the token's life: one more before it gains nothing.
const AHEAD_AGAIN_UNTIL: u64 = 10_000;

/// After the network has changed, an attempt starts this much later at the earliest, and at the latest, in ms: the system
/// reports a change before its addresses and routes are ready, and several processes learn of it at once, of which the
/// first one's attempt is that of all.
const NETWORK_SETTLES: u64 = 200;
const NETWORK_WAITED_FOR: u64 = 800;

/// An attempt may take this long, in ms, after others have ended at their time limit. A server that starts cold, or has too
/// much to do, was seen to take 12 s; proxies give up after 60 s by default.
const LONGEST_ATTEMPT: u64 = 60_000;

/// The settings that decisions depend on, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// How long the first attempt may take.
    pub attempt_timeout: u64,
    /// How long waiters wait for a renewal, from holding the lock.
    pub renewal_timeout: u64,
    /// How long the server takes a used refresh token again; 0 where it does not.
    pub grace: u64,
    /// Whether a used refresh token that comes in after that ends the session at the server. One that may have been used is
    /// not sent again then.
    pub reuse_ends_session: bool,
    /// Longest pause between attempts while somebody needs a renewal.
    pub max_backoff: u64,
    /// Ends the session after this much awake time of failed attempts.
    pub end_after: Option<u64>,
    /// Whether nothing is renewed where the state folder has no lock to take.
    pub requires_lock: bool,
}

/// A number from 0 to `most`: the random bits as a share of it.
fn draw(random: u64, most: u64) -> u64 {
    let share = u128::from(random) * (u128::from(most) + 1);
    (share >> u64::BITS) as u64
}

/// How long an attempt may take, in ms, after so many in a row that ended at their limit: twice as long after each.
pub(crate) fn attempt_limit(rules: &Rules, timeouts: u32) -> u64 {
    let doubled = 1_u64.checked_shl(timeouts).unwrap_or(u64::MAX);
    let limit = rules.attempt_timeout.saturating_mul(doubled);
    limit.min(LONGEST_ATTEMPT.max(rules.attempt_timeout))
}

/// The pause before the attempt that follows a change of the network, in ms.
pub(crate) fn after_network_change(random: u64) -> u64 {
    NETWORK_SETTLES + draw(random, NETWORK_WAITED_FOR - NETWORK_SETTLES)
}

/// When to renew ahead of expiry: at a random point in the last third to quarter of the lifetime. Calls then do not wait,
/// and a fleet that started together does not march in step.
pub(crate) fn ahead(info: &CredentialsInfo, now: Now) -> Option<Awake> {
    let lifetime = info.lifetime()?;
    let (third, quarter) = (lifetime / 3, lifetime / 4);
    let before_expiry = quarter + draw(now.random, third - quarter);
    let pause = left(info, now)?.saturating_sub(before_expiry);
    Some(now.awake.plus(pause))
}

/// When to try the early renewal after it failed, or after an outage. Nothing needs it while the token works: it waits
/// for most of that time, and no client makes more than a few tries in it.
pub(crate) fn ahead_again(info: &CredentialsInfo, now: Now) -> Option<Awake> {
    let left = left(info, now)?;
    let before_expiry = if left < AHEAD_AGAIN_UNTIL {
        0
    } else {
        draw(now.random, left / AHEAD_AGAIN_SHARE)
    };
    Some(now.awake.plus(left - before_expiry))
}

/// What is left of the access token's life, in ms, while it works.
fn left(info: &CredentialsInfo, now: Now) -> Option<u64> {
    info.access_until?.since(now.server)
}

/// Longest pause between two probes of a server that is away, in ms, by the longest pause of those who need a renewal:
/// half as long again. With 45 s, the probes of a fleet stay below the calls of the same people, one in 20 s. With 60 s,
/// one in a hundred of those whose token expired meanwhile would wait longer than 30 s.
pub(crate) fn longest_probe_pause(max_backoff: u64) -> u64 {
    max_backoff.saturating_add(max_backoff / 2)
}

/// Exponential backoff with full jitter: after an outage, clients come back spread out and not in step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Counts a failure, and draws the pause before the next attempt, of at most `longest` ms.
    pub fn next(&mut self, random: u64, longest: u64) -> u64 {
        let ceiling = longest.min(BACKOFF_BASE << self.failures.min(BACKOFF_DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        BACKOFF_FLOOR.max(draw(random, ceiling))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{CredentialsId, SessionId};
    use crate::time::{ServerTime, Wall};

    #[test]
    fn the_backoff_grows_to_its_cap_and_never_draws_zero() {
        let mut backoff = Backoff::default();
        let longest = 30_000;
        let pauses: Vec<_> = (0..7).map(|_| backoff.next(u64::MAX, longest)).collect();
        assert_eq!(
            pauses,
            [1_000, 2_000, 4_000, 8_000, 16_000, longest, longest]
        );
        for _ in 0..40 {
            backoff.next(u64::MAX, longest);
        }
        assert_eq!(backoff.next(u64::MAX, longest), longest);
        assert_eq!(backoff.next(0, longest), BACKOFF_FLOOR);
    }

    #[test]
    fn an_attempts_limit_doubles_to_sixty_seconds_or_stays_what_it_was_set_to() {
        let limits = |attempt_timeout| {
            let rules = Rules {
                attempt_timeout,
                renewal_timeout: 25_000,
                grace: 0,
                reuse_ends_session: false,
                max_backoff: 30_000,
                end_after: None,
                requires_lock: false,
            };
            [0, 1, 2, 3, 64, u32::MAX].map(|timeouts| attempt_limit(&rules, timeouts))
        };
        assert_eq!(
            limits(10_000),
            [10_000, 20_000, 40_000, 60_000, 60_000, 60_000]
        );
        assert_eq!(limits(90_000), [90_000; 6]);
        assert_eq!(limits(u64::MAX), [u64::MAX; 6]);
    }

    #[test]
    fn a_draw_reaches_both_ends_of_its_range_and_nothing_beyond() {
        assert_eq!(draw(0, 9), 0);
        assert_eq!(draw(u64::MAX / 2, 9), 4);
        assert_eq!(draw(u64::MAX, 9), 9);
        assert_eq!(draw(u64::MAX, 0), 0);
        assert_eq!(draw(u64::MAX, u64::MAX), u64::MAX);
    }

    /// A token of 30 min, looked at when `left` ms of its life are left.
    fn token(left: i64, random: u64) -> (CredentialsInfo, Now) {
        let info = CredentialsInfo {
            session: SessionId::of(1),
            begun_at: Wall::default(),
            generation: 1,
            credentials: CredentialsId::of(1),
            access_until: Some(ServerTime::from_ms(1_800_000)),
            issued_at: ServerTime::default(),
        };
        let now = Now {
            awake: Awake::from_ms(7),
            wall: Wall::default(),
            server: ServerTime::from_ms(1_800_000 - left),
            random,
            in_use: true,
        };
        (info, now)
    }

    #[test]
    fn the_first_early_renewal_comes_in_the_last_third_to_quarter_of_the_lifetime() {
        for (random, at) in [(0, 1_350_007), (u64::MAX, 1_200_007)] {
            let (info, now) = token(1_800_000, random);
            assert_eq!(ahead(&info, now), Some(Awake::from_ms(at)));
        }
        let (info, now) = token(60_000, 0);
        assert_eq!(ahead(&info, now), Some(now.awake), "overdue: at once");
    }

    #[test]
    fn the_next_early_renewal_comes_in_the_last_quarter_and_never_after_expiry() {
        for (left, random, pause) in [
            (500_000, 0, 500_000),
            (500_000, u64::MAX, 375_000),
            (AHEAD_AGAIN_UNTIL - 1, u64::MAX, 9_999),
            (0, u64::MAX, 0),
        ] {
            let (info, now) = token(i64::try_from(left).expect("small"), random);
            let due = now.awake.plus(pause);
            assert_eq!(ahead_again(&info, now), Some(due), "{left} ms left");
        }
        let (info, now) = token(-1, 0);
        assert_eq!(ahead_again(&info, now), None, "it has expired");
    }
}
