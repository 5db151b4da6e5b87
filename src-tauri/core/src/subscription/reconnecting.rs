//! [`Reconnecting`]: when a stream connects again whose connection was lost.

use graphql_session_renewal::Backoff;

/// A stream that stood this long, in ms, was a good one, and its loss is the first of a new series. Shorter ones are
/// not: a server that accepts and drops would be asked without a pause otherwise.
const STOOD: u64 = 60_000;

/// When a stream connects again whose connection was lost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reconnecting {
    backoff: Backoff,
}

impl Reconnecting {
    /// The pause before the next try, in ms, of at most `longest` but for what the server `asked` for. `stood`: how long
    /// the connection had lasted.
    pub(super) fn pause(&mut self, stood: u64, random: u64, longest: u64, asked: u64) -> u64 {
        if stood >= STOOD {
            self.backoff = Backoff::default();
        }
        self.backoff.next(random, longest).max(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_lived_stream_restarts_the_backoff_and_the_servers_pause_is_a_minimum() {
        let mut reconnecting = Reconnecting::default();
        let mut pause = |stood, asked| reconnecting.pause(stood, u64::MAX, 30_000, asked);
        assert_eq!(pause(0, 0), 1_000);
        assert_eq!(pause(STOOD - 1, 0), 2_000);
        assert_eq!(pause(0, 90_000), 90_000);
        assert_eq!(pause(0, 5_000), 8_000);
        assert_eq!(pause(STOOD, 0), 1_000);
    }
}
