//! When the next attempt may be made: backoff, the schedule after a lost answer, the bucket for refused fresh
//! credentials.

/// First step of the backoff, in ms.
const BACKOFF_BASE: u64 = 1_000;

/// Longest pause of the backoff, in ms: a person whose token has expired waits at most this long after the server is
/// back.
const BACKOFF_CAP: u64 = 30_000;

/// Shortest pause of the backoff, in ms: full jitter may draw zero, and that would be a storm of one.
const BACKOFF_FLOOR: u64 = 300;

/// When attempts follow a lost answer, in ms after it: they fall inside a grace time of 60 s even if the outage lasts
/// most of it, and get rarer as a restart gets less likely to be the reason.
const AFTER_LOST_ANSWER: [u64; 7] = [0, 1_000, 3_000, 7_000, 15_000, 30_000, 50_000];

/// Renewals that refused, never served credentials may start: a few at once, then one per refill.
const REFUSAL_BUCKET: u8 = 3;

/// One more such renewal is allowed after this long, in ms.
const REFUSAL_REFILL: u64 = 60_000;

/// Exponential backoff with full jitter: after an outage, clients come back spread out and not in step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(super) fn failures(self) -> u32 {
        self.failures
    }

    /// Counts a failure, and draws the pause before the next attempt.
    pub(super) fn next(&mut self, random: u64) -> u64 {
        let ceiling = BACKOFF_CAP.min(BACKOFF_BASE << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        BACKOFF_FLOOR.max(random % (ceiling + 1))
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
pub(super) struct RefusalBucket {
    left: u8,
    refilled_at: u64,
}

impl Default for RefusalBucket {
    fn default() -> Self {
        Self {
            left: REFUSAL_BUCKET,
            refilled_at: 0,
        }
    }
}

impl RefusalBucket {
    pub(super) fn take(&mut self, awake: u64) -> bool {
        let refills = awake.saturating_sub(self.refilled_at) / REFUSAL_REFILL;
        if refills > 0 {
            let refills = u8::try_from(refills).unwrap_or(u8::MAX);
            self.left = self.left.saturating_add(refills).min(REFUSAL_BUCKET);
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
        for _ in 0..40 {
            assert!((BACKOFF_FLOOR..=BACKOFF_CAP).contains(&backoff.next(u64::MAX)));
        }
        assert_eq!(backoff.next(0), BACKOFF_FLOOR);
    }

    #[test]
    fn the_bucket_gives_three_and_then_one_a_minute() {
        let mut bucket = RefusalBucket::default();
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
