//! Time comes in through one closure, so that tests pass an expiry or a grace time without waiting for it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 UTC, read again at every use.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The machine's own clock.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| {
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            })
    })
}

/// ISO 8601 in UTC with exactly three decimals and Z, as Twenty writes every time. Stored as text, it sorts by time.
pub(crate) fn iso(milliseconds: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(milliseconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

/// Any ISO 8601 time with an offset, or a plain date, in the form of [`iso`].
pub(crate) fn normalised(text: &str) -> Option<String> {
    let midnight = || format!("{text}T00:00:00Z").parse::<jiff::Timestamp>();
    let at = text
        .parse::<jiff::Timestamp>()
        .or_else(|_| midnight())
        .ok()?;
    Some(iso(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_three_decimals_and_a_z() {
        assert_eq!(iso(1_700_000_000_000), "2023-11-14T22:13:20.000Z");
        assert_eq!(
            normalised("2026-01-02T03:04:05+01:00").as_deref(),
            Some("2026-01-02T02:04:05.000Z")
        );
        assert_eq!(
            normalised("2026-01-02").as_deref(),
            Some("2026-01-02T00:00:00.000Z")
        );
        assert_eq!(normalised("tomorrow"), None);
    }
}
