//! [`RenewalBudget`]: how many renewals of credentials that were issued a moment ago a session may make.

use crate::time::Awake;

/// Renewals of young credentials that a session may make at once; then one per refill. A server that refuses what it has
/// just issued, and a clock that calls it expired, would otherwise cause a renewal per call.
const BURST: u8 = 3;

/// One more such renewal is allowed after this long, in ms.
const REFILL: u64 = 60_000;

/// Credentials are young for this long after they were issued, in ms: renewing older ones costs a server no more than the
/// budget does. Where access tokens are known to live shorter, half of that.
const YOUNG: u64 = REFILL;

/// Where the clocks agree with a refusal, it is granted beyond the budget once in this time, in ms. The lifetime of access
/// tokens is learned from such a renewal, and not learned if the call that asked for it has gone before it is done. No server
/// that we know issues tokens for less.
const BEYOND_APART: u64 = 10_000;

/// How many more renewals of young credentials a session may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RenewalBudget {
    left: u8,
    refilled_at: Awake,
    /// The server has refused an access token of this age, in ms, whose expiry had passed by the clocks, and the renewal
    /// helped: tokens live no longer here, and the clocks say so rightly.
    lifetime: Option<u64>,
    /// When a refusal was last granted beyond the budget, because the clocks agreed with it.
    went_beyond_at: Option<Awake>,
}

/// The server refused an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Refusal {
    /// How old it was, in ms.
    pub(crate) age: u64,
    /// Whether it had expired by the clocks.
    pub(crate) had_expired: bool,
}

impl Default for RenewalBudget {
    fn default() -> Self {
        Self {
            left: BURST,
            refilled_at: Awake::default(),
            lifetime: None,
            went_beyond_at: None,
        }
    }
}

impl RenewalBudget {
    /// Takes one renewal of credentials of this age, in ms, out of the budget. Whether it may be made. Older credentials
    /// may always be renewed, and count all the same.
    pub(crate) fn take(&mut self, now: Awake, age: u64) -> bool {
        let refills = now.since(self.refilled_at) / REFILL;
        if refills > 0 {
            let refills = u8::try_from(refills).unwrap_or(u8::MAX);
            self.left = self.left.saturating_add(refills).min(BURST);
            self.refilled_at = now;
        }
        let granted = self.left > 0 || age >= self.young_for();
        self.left = self.left.saturating_sub(1);
        granted
    }

    /// The same for a renewal that a refusal asks for. Where the clocks agree with the server, one more is allowed: it
    /// shows how long access tokens live here.
    pub(crate) fn take_for(&mut self, now: Awake, refusal: Refusal) -> bool {
        self.take(now, refusal.age) || refusal.had_expired && self.go_beyond(now)
    }

    fn go_beyond(&mut self, now: Awake) -> bool {
        let is_granted = self
            .went_beyond_at
            .is_none_or(|last| now.since(last) >= BEYOND_APART);
        if is_granted {
            self.went_beyond_at = Some(now);
        }
        is_granted
    }

    /// A call that was refused has been served after the renewal: that one was needed, and is given back.
    pub(crate) fn give_back(&mut self, refusal: Refusal) {
        self.left = self.left.saturating_add(1).min(BURST);
        if refusal.had_expired {
            self.went_beyond_at = None;
            let known = self.lifetime.unwrap_or(u64::MAX);
            self.lifetime = Some(known.min(refusal.age));
        }
    }

    fn young_for(&self) -> u64 {
        self.lifetime
            .map_or(YOUNG, |lifetime| YOUNG.min(lifetime / 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Refusal = Refusal {
        age: 0,
        had_expired: false,
    };

    #[test]
    fn the_budget_gives_three_renewals_and_then_one_a_minute() {
        let mut budget = RenewalBudget::default();
        let mut take = |ms| budget.take(Awake::from_ms(ms), 0);
        assert_eq!([0, 0, 0, 0].map(&mut take), [true, true, true, false]);
        assert_eq!(
            [59_999, 60_000, 60_000].map(&mut take),
            [false, true, false]
        );
    }

    #[test]
    fn credentials_of_a_minute_are_renewed_whatever_is_left_and_count() {
        let mut budget = RenewalBudget::default();
        let now = Awake::default();
        for _ in 0..BURST {
            assert!(budget.take(now, YOUNG));
        }
        assert!(!budget.take(now, YOUNG - 1));
        assert!(budget.take(now, YOUNG));
    }

    #[test]
    fn renewals_that_help_the_refused_calls_are_given_back() {
        let mut budget = RenewalBudget::default();
        for _ in 0..20 {
            assert!(budget.take_for(Awake::default(), FRESH));
            budget.give_back(FRESH);
        }
    }

    #[test]
    fn access_tokens_that_live_six_seconds_are_renewed_all_the_time() {
        let mut budget = RenewalBudget::default();
        let now = Awake::default();
        while budget.take(now, 4_000) {}
        let expired = Refusal {
            age: 6_000,
            had_expired: true,
        };
        assert!(budget.take_for(now, expired));
        budget.give_back(expired);
        for _ in 0..20 {
            assert!(budget.take(now, 4_000));
        }
    }

    /// The calls that asked for the renewals were cancelled, so nothing was given back and no lifetime learned.
    #[test]
    fn access_tokens_that_live_twelve_seconds_are_renewed_though_no_call_was_served() {
        let mut budget = RenewalBudget::default();
        while budget.take(Awake::default(), 4_000) {}
        let expired = Refusal {
            age: 12_000,
            had_expired: true,
        };
        let mut take = |ms| budget.take_for(Awake::from_ms(ms), expired);
        assert_eq!([12_000, 24_000, 36_000].map(&mut take), [true; 3]);
        assert!(!take(45_999), "not yet ten seconds later");
    }

    #[test]
    fn a_clock_that_calls_every_refused_token_expired_gets_one_renewal_more() {
        let mut budget = RenewalBudget::default();
        let expired = Refusal {
            age: 0,
            had_expired: true,
        };
        let granted = [(); 20].map(|()| budget.take_for(Awake::default(), expired));
        let granted = granted.into_iter().filter(|granted| *granted).count();
        assert_eq!(granted, usize::from(BURST) + 1);
    }
}
