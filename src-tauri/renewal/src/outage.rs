//! [`Outage`]: what is known of attempts that failed since the last success.

use crate::cause::Cause;
use crate::reasons::Unreachable;
use crate::schedule::Backoff;
use crate::time::{Awake, Wall};

/// When attempts follow a lost answer, in ms after it: they fall inside a grace time of 60 s even if the outage lasts
/// most of it, and get rarer as a restart gets less likely to be the reason.
const AFTER_LOST_ANSWER: [u64; 7] = [0, 1_000, 3_000, 7_000, 15_000, 30_000, 50_000];

/// What is known of attempts that failed since the last success. A success, an ending and a sign-in forget it as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Outage {
    /// Set once waiters were woken because nothing answers, or a call got no answer.
    pub(crate) unreachable: Option<Unreachable>,
    /// Why the last attempt failed, or the call that got no answer.
    pub(crate) cause: Option<Cause>,
    /// While the server is away and the access token works, nothing needs a renewal: the server is probed instead. A
    /// renewal by everybody after an outage would be the next one.
    pub(crate) probe: Option<Probe>,
    pub(crate) lost_answer: Option<LostAnswer>,
    /// Draws the pauses after failures of the server.
    pub(crate) backoff: Backoff,
    /// Draws those after failures before the server: they say nothing about it, and make its own pauses no longer.
    pub(crate) local_backoff: Backoff,
    /// Exchanges that were sent.
    pub(crate) attempts: u32,
    /// How many of the last ones ended at their time limit.
    pub(crate) timeouts: u32,
    /// The first failed attempt.
    pub(crate) failing_since: Option<Awake>,
    /// When the last attempt failed, by any process.
    pub(crate) failed_at: Option<Awake>,
    /// The machine slept, or this process stood still, since the last attempt.
    pub(crate) slept: bool,
    /// The server asked for silence until then.
    pub(crate) not_before: Option<Wall>,
    /// An ambiguous rejection is being asked for once more.
    pub(crate) asks_again: bool,
    /// The next attempt is made in spite of a pause that any process has drawn up to this moment: a person, a call or a
    /// change of the network asks for it.
    pub(crate) overrides: Option<Wall>,
    /// A call has started an attempt early. The pause that it interrupted goes on until then if it fails.
    pub(crate) resumes_at: Option<Awake>,
    /// For when a change of the network has set an attempt.
    pub(crate) hastened_at: Option<Awake>,
    /// The network has changed, or the machine slept, while an attempt was under way.
    pub(crate) network_changed: bool,
    /// A served or a refused call has cut a pause short already.
    pub(crate) cut_short: bool,
}

/// The probing of a server that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Probe {
    /// When the next probe is due; none while one is under way.
    pub(crate) due: Option<Awake>,
    pub(crate) backoff: Backoff,
}

/// An answer to an exchange was lost: the server may have replaced the refresh token, and takes the old one only
/// within its grace time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LostAnswer {
    /// When the attempt was sent: it may have been before a restart.
    since: Wall,
    followed: bool,
    slept: bool,
}

impl LostAnswer {
    pub(crate) fn at(since: Wall) -> Self {
        Self {
            since,
            followed: false,
            slept: false,
        }
    }

    pub(crate) fn since(&self) -> Wall {
        self.since
    }

    /// The machine slept: nobody knows for how long the server has waited.
    pub(crate) fn sleep(&mut self) {
        self.slept = true;
    }

    /// Whether the server still takes the refresh token that may have been used.
    pub(crate) fn is_in_grace(&self, wall: Wall, grace: u64) -> bool {
        !self.slept && wall.since(self.since).unwrap_or(0) < grace
    }

    /// The pause before the next attempt inside the grace time, in ms; `None` once that is over.
    pub(crate) fn next(&mut self, wall: Wall, grace: u64) -> Option<u64> {
        if !self.is_in_grace(wall, grace) {
            return None;
        }
        let elapsed = wall.since(self.since).unwrap_or(0);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_after_a_lost_answer_stay_inside_the_grace_time() {
        let mut lost = LostAnswer::at(Wall::default());
        let mut wall = Wall::default();
        let mut sent = Vec::new();
        while let Some(pause) = lost.next(wall, 60_000) {
            wall = wall.plus(pause);
            sent.push(wall.ms());
        }
        assert_eq!(sent, [0, 1_000, 3_000, 7_000, 15_000, 30_000, 50_000]);
    }

    #[test]
    fn a_sleep_ends_the_grace_time() {
        let mut lost = LostAnswer::at(Wall::default());
        lost.sleep();
        assert_eq!(lost.next(Wall::from_ms(5), 60_000), None);
    }
}
