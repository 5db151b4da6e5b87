//! Random numbers that are the same in every run.

/// splitmix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From 0 to below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> u64::BITS) as u64
    }

    /// The time to the next of events that are independent of each other.
    pub(crate) fn exponential(&mut self, mean: u64) -> u64 {
        // 53 bits, so that every share is exact; never 0, whose logarithm has no end.
        let share = ((self.bits() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        (-share.ln() * mean as f64) as u64
    }
}
