//! What the server sees, second by second, and how long people wait.

use crate::simulation::SECOND;

/// One number per second.
pub(crate) type PerSecond = Vec<u32>;

/// What one run counted.
pub(crate) struct Counts {
    /// Attempts of clients whose token works, or worked when the server came back.
    pub(crate) working: PerSecond,
    /// Attempts of clients whose token has expired while the server is away, or had when it came back.
    pub(crate) expired: PerSecond,
    pub(crate) sign_ins: PerSecond,
    pub(crate) probes: PerSecond,
    pub(crate) calls: PerSecond,
    /// From the server's return, or from the first action after it, to the served call of each person whose token had
    /// expired, in ms.
    pub(crate) waits: Vec<u64>,
    /// From their first action after the server's return, to the served call of those people whose token had still expired
    /// then, in ms.
    pub(crate) acting_waits: Vec<u64>,
    /// The same for people who had left the client idle and come back after the outage.
    pub(crate) returned_waits: Vec<u64>,
}

impl Counts {
    pub(crate) fn new(seconds: u64) -> Self {
        let empty = || vec![0; seconds as usize];
        Self {
            working: empty(),
            expired: empty(),
            sign_ins: empty(),
            probes: empty(),
            calls: empty(),
            waits: Vec::new(),
            acting_waits: Vec::new(),
            returned_waits: Vec::new(),
        }
    }

    /// Renewals of both kinds of clients: those with a working access token, and those with an expired one.
    pub(crate) fn renewals(&self) -> PerSecond {
        let both = self.working.iter().zip(&self.expired);
        both.map(|(working, expired)| working + expired).collect()
    }
}

/// One more at this time, in ms.
pub(crate) fn count(counted: &mut PerSecond, at: u64) {
    counted[(at / SECOND) as usize] += 1;
}

/// The busiest second of a span of seconds.
pub(crate) fn peak(counted: &[u32], (from, to): (u64, u64)) -> u32 {
    let span = &counted[from as usize..to as usize];
    span.iter().copied().max().unwrap_or(0)
}

/// The average second of a span of seconds.
pub(crate) fn mean(counted: &[u32], (from, to): (u64, u64)) -> f64 {
    let span = &counted[from as usize..to as usize];
    span.iter().map(|count| f64::from(*count)).sum::<f64>() / span.len() as f64
}

/// The wait that a share of people do not exceed, in s.
pub(crate) fn quantile(waits: &[u64], share: f64) -> f64 {
    let mut sorted = waits.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    let wait = sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0);
    wait as f64 / SECOND as f64
}
