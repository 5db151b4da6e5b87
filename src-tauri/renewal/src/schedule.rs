//! When the next attempt may be made: ahead of expiry, by backoff, after a lost answer, and from the bucket for refused
//! fresh credentials. `docs/fleet.md` shows what these numbers do to a server with a million clients.

use super::{CredentialsInfo, Now};

/// First step of the backoff, in ms.
const BACKOFF_BASE: u64 = 1_000;

/// After an outage, early renewals come in the last quarter of what is left of each token's life. As a share, and not
/// as a span, it keeps a fleet as spread as its tokens' ends are, whenever the server comes back: 1.15 times as dense.
/// Half of what is left would be 1.4 times.
const AHEAD_AGAIN_SHARE: u64 = 4;

/// With less than this left, in ms, the next try is at the end of the token's life: one more before it gains nothing.
const AHEAD_AGAIN_UNTIL: u64 = 10_000;

/// Shortest pause of the backoff, in ms: full jitter may draw zero, and that would be a storm of one.
const BACKOFF_FLOOR: u64 = 300;

/// When attempts follow a lost answer, in ms after it: they fall inside a grace time of 60 s even if the outage lasts
/// most of it, and get rarer as a restart gets less likely to be the reason.
const AFTER_LOST_ANSWER: [u64; 7] = [0, 1_000, 3_000, 7_000, 15_000, 30_000, 50_000];

/// Renewals that refused, never served credentials may start: a few at once, then one per refill.
const RENEWAL_BUDGET: u8 = 3;

/// One more such renewal is allowed after this long, in ms.
const BUDGET_REFILL: u64 = 60_000;

/// A number from 0 to `most`: the random bits as a share of it.
fn draw(random: u64, most: u64) -> u64 {
    let share = u128::from(random) * (u128::from(most) + 1);
    (share >> u64::BITS) as u64
}

/// When to renew ahead of expiry, in awake ms: at a random point in the last third to quarter of the lifetime. Calls
/// then do not wait, and a fleet that started together does not march in step.
pub(super) fn ahead(info: &CredentialsInfo, now: Now) -> Option<u64> {
    let lifetime = u64::try_from(info.access_until? - info.issued_at).ok()?;
    let (third, quarter) = (lifetime / 3, lifetime / 4);
    let before_expiry = quarter + draw(now.random, third - quarter);
    Some(now.awake + left(info, now)?.saturating_sub(before_expiry))
}

/// When to try the early renewal after it failed, or after an outage, in awake ms. Nothing needs it while the token
/// works: it waits for most of that time, and no client makes more than a few tries in it.
pub(super) fn ahead_again(info: &CredentialsInfo, now: Now) -> Option<u64> {
    let left = left(info, now)?;
    let before_expiry = if left < AHEAD_AGAIN_UNTIL {
        0
    } else {
        draw(now.random, left / AHEAD_AGAIN_SHARE)
    };
    Some(now.awake + left - before_expiry)
}

/// What is left of the access token's life, in ms, while it works.
fn left(info: &CredentialsInfo, now: Now) -> Option<u64> {
    u64::try_from(info.access_until? - now.server).ok()
}

/// Longest pause between two probes of a server that is away, in ms, by the longest pause of those who need a renewal:
/// half as long again. With 45 s, the probes of a fleet stay below the calls of the same people, one in 20 s. With 60 s,
/// one in a hundred of those whose token expired meanwhile would wait longer than 30 s.
pub(super) fn longest_probe_pause(longest: u64) -> u64 {
    longest + longest / 2
}

/// Exponential backoff with full jitter: after an outage, clients come back spread out and not in step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How many failures were counted.
    pub fn failures(self) -> u32 {
        self.failures
    }

    /// Counts a failure, and draws the pause before the next attempt, of at most `longest` ms.
    pub fn next(&mut self, random: u64, longest: u64) -> u64 {
        let ceiling = longest.min(BACKOFF_BASE << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        BACKOFF_FLOOR.max(draw(random, ceiling))
    }
}

/// An answer to an exchange was lost: the server may have replaced the refresh token, and takes the old one only
/// within its grace time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LostAnswer {
    /// When the attempt was sent, in wall ms: it may have been before a restart.
    since: i64,
    followed: bool,
    slept: bool,
}

impl LostAnswer {
    pub(super) fn at(since: i64) -> Self {
        Self {
            since,
            followed: false,
            slept: false,
        }
    }

    pub(super) fn since(&self) -> i64 {
        self.since
    }

    pub(super) fn sleep(&mut self) {
        self.slept = true;
    }

    /// The pause before the next attempt inside the grace time; `None` once that is over.
    pub(super) fn next(&mut self, wall: i64, grace: u64) -> Option<u64> {
        let elapsed = u64::try_from(wall - self.since).unwrap_or(0);
        if self.slept || elapsed >= grace {
            return None;
        }
        if !self.followed {
            // The first one follows at once, however long the lost one took to be given up.
            self.followed = true;
            return Some(0);
        }
        AFTER_LOST_ANSWER
            .into_iter()
            .find(|due| *due > elapsed && *due < grace)
            .map(|due| due - elapsed)
    }
}

/// Keeps a server that renews and refuses for ever from causing a storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RenewalBudget {
    left: u8,
    refilled_at: u64,
}

impl Default for RenewalBudget {
    fn default() -> Self {
        Self {
            left: RENEWAL_BUDGET,
            refilled_at: 0,
        }
    }
}

impl RenewalBudget {
    pub(super) fn take(&mut self, awake: u64) -> bool {
        let refills = awake.saturating_sub(self.refilled_at) / BUDGET_REFILL;
        if refills > 0 {
            let refills = u8::try_from(refills).unwrap_or(u8::MAX);
            self.left = self.left.saturating_add(refills).min(RENEWAL_BUDGET);
            self.refilled_at = awake;
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_after_a_lost_answer_stay_inside_the_grace_time() {
        let mut lost = LostAnswer::at(0);
        let mut wall = 0;
        let mut sent = Vec::new();
        while let Some(pause) = lost.next(wall, 60_000) {
            wall += i64::try_from(pause).expect("small");
            sent.push(wall);
        }
        assert_eq!(sent, [0, 1_000, 3_000, 7_000, 15_000, 30_000, 50_000]);
    }

    #[test]
    fn a_sleep_ends_the_grace_time() {
        let mut lost = LostAnswer::at(0);
        lost.sleep();
        assert_eq!(lost.next(5, 60_000), None);
    }

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
            session: crate::Id::of(1),
            begun_at: 0,
            generation: 1,
            credentials: crate::Id::of(1),
            access_until: Some(1_800_000),
            issued_at: 0,
        };
        let now = Now {
            awake: 7,
            wall: 0,
            server: 1_800_000 - left,
            random,
            in_use: true,
        };
        (info, now)
    }

    #[test]
    fn the_first_early_renewal_comes_between_the_last_third_and_quarter_of_the_lifetime() {
        for (random, at) in [(0, 1_350_007), (u64::MAX, 1_200_007)] {
            let (info, now) = token(1_800_000, random);
            assert_eq!(ahead(&info, now), Some(at));
        }
        let (info, now) = token(60_000, 0);
        assert_eq!(ahead(&info, now), Some(7), "overdue: at once");
    }

    #[test]
    fn the_next_early_renewal_comes_in_the_last_quarter_of_what_is_left_and_never_after_expiry() {
        for (left, random, pause) in [
            (500_000, 0, 500_000),
            (500_000, u64::MAX, 375_000),
            (AHEAD_AGAIN_UNTIL - 1, u64::MAX, 9_999),
            (0, u64::MAX, 0),
        ] {
            let (info, now) = token(i64::try_from(left).expect("small"), random);
            assert_eq!(ahead_again(&info, now), Some(7 + pause), "{left} ms left");
        }
        let (info, now) = token(-1, 0);
        assert_eq!(ahead_again(&info, now), None, "it has expired");
    }

    #[test]
    fn the_bucket_gives_three_and_then_one_a_minute() {
        let mut bucket = RenewalBudget::default();
        assert_eq!(
            [0, 0, 0, 0].map(|at| bucket.take(at)),
            [true, true, true, false]
        );
        assert_eq!(
            [59_999, 60_000, 60_000].map(|at| bucket.take(at)),
            [false, true, false]
        );
    }
}
