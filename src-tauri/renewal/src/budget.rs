//! [`RenewalBudget`]: how many renewals the refusals of one session may start.

use crate::time::Awake;

/// Renewals that refusals of fresh, never served credentials may start at once; then one per refill.
const BURST: u8 = 3;

/// One more such renewal is allowed after this long, in ms.
const REFILL: u64 = 60_000;

/// Keeps a server that renews and refuses for ever from causing a storm of renewals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RenewalBudget {
    left: u8,
    refilled_at: Awake,
}

impl Default for RenewalBudget {
    fn default() -> Self {
        Self {
            left: BURST,
            refilled_at: Awake::default(),
        }
    }
}

impl RenewalBudget {
    /// Takes one renewal out of the budget. Whether there was one.
    pub(crate) fn take(&mut self, now: Awake) -> bool {
        let refills = now.since(self.refilled_at) / REFILL;
        if refills > 0 {
            let refills = u8::try_from(refills).unwrap_or(u8::MAX);
            self.left = self.left.saturating_add(refills).min(BURST);
            self.refilled_at = now;
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
    fn the_budget_gives_three_renewals_and_then_one_a_minute() {
        let mut budget = RenewalBudget::default();
        let mut take = |ms| budget.take(Awake::from_ms(ms));
        assert_eq!([0, 0, 0, 0].map(&mut take), [true, true, true, false]);
        assert_eq!(
            [59_999, 60_000, 60_000].map(&mut take),
            [false, true, false]
        );
    }
}
