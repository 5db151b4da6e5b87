//! What one client made of one case, as the server and the driver counted it; and which of the counts are a problem for
//! a person.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cases::{Case, End, RETRY_AFTER};

/// The counts of one client in one case.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Renewals that arrived at the server.
    pub(crate) renewals: u64,
    /// Calls that arrived at the server, replays among them.
    pub(crate) calls: u64,
    /// Mutations that ran.
    pub(crate) effects: u64,
    /// Calls that ended with data.
    pub(crate) succeeded: u64,
    /// Calls that ended with data beside errors.
    pub(crate) partial: u64,
    /// Calls that ended with an error.
    pub(crate) failed: u64,
    /// Calls that their callers took back.
    pub(crate) aborted: u64,
    /// Calls that had not settled after [`HUNG`](crate::cases::HUNG), whatever became of them later.
    pub(crate) hung: u64,
    /// What the client said where calls failed.
    pub(crate) errors: BTreeSet<String>,
    /// Windows that were told that the person is signed out.
    pub(crate) logouts: u64,
    /// Processes that held no session any more at the end.
    pub(crate) left_without_session: u64,
    /// Whether the server has revoked the session, because a used refresh token came again.
    pub(crate) is_revoked: bool,
    /// From the server's return to the first call that was served.
    pub(crate) recovery: Option<Duration>,
    /// Whether the server carried out a call after the person had signed out.
    pub(crate) served_after_sign_out: bool,
    /// From the answer that put a renewal off to the arrival of the next one.
    pub(crate) asked_again_after: Option<Duration>,
}

/// Something to complain about.
pub(crate) struct Problem {
    /// Whether people lose their session, their work, or their patience for good; else a call or two, or the server's time.
    pub(crate) is_grave: bool,
    pub(crate) text: String,
}

impl Tally {
    /// Calls that were made.
    pub(crate) fn made(&self) -> u64 {
        self.succeeded + self.partial + self.failed + self.aborted + self.hung
    }

    /// Windows and processes that were signed out although the session was good: told so, left without credentials, or
    /// with such as the server has revoked.
    pub(crate) fn wrong_logouts(&self, case: &Case) -> u64 {
        match case.end {
            End::SignedIn | End::Recovered => self
                .logouts
                .max(self.left_without_session)
                .max(u64::from(self.is_revoked)),
            End::Ended | End::SignedOut => 0,
        }
    }

    /// Mutations that ran more often than they were meant to.
    pub(crate) fn run_twice(&self, case: &Case) -> u64 {
        self.effects.saturating_sub(case.effects_meant)
    }

    /// Renewals beyond those that were needed. Where attempts may fail, more of them are not worse.
    pub(crate) fn renewals_too_many(&self, case: &Case) -> u64 {
        if case.calls_may_fail && case.end != End::Ended {
            0
        } else {
            self.renewals.saturating_sub(case.renewals_needed)
        }
    }

    /// What is said where nobody complains.
    pub(crate) fn praise(&self) -> String {
        match self.recovery {
            Some(recovery) => format!("ok, after {:.1} s", recovery.as_secs_f64()),
            None => "ok".into(),
        }
    }

    /// What a person or a server would complain about, the worst first; empty where all is well.
    pub(crate) fn problems(&self, case: &Case) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut complain = |is_so: bool, is_grave: bool, text: String| {
            if is_so {
                problems.push(Problem { is_grave, text });
            }
        };
        let (grave, slight) = (true, false);
        let is_told = self.logouts > 0 || self.left_without_session > 0;
        let how = if is_told {
            "signed out"
        } else {
            "session revoked"
        };
        complain(self.wrong_logouts(case) > 0, grave, how.into());
        let twice = self.run_twice(case) > 0;
        complain(twice, grave, format!("ran {} times", self.effects));
        complain(self.hung > 0, grave, format!("{} hung", self.hung));
        let is_still_in = self.left_without_session == 0;
        match case.end {
            End::SignedIn => {}
            End::Recovered => {
                complain(self.recovery.is_none(), grave, "never recovered".into());
            }
            End::SignedOut => {
                complain(is_still_in, grave, "still signed in".into());
                complain(self.served_after_sign_out, grave, "served after it".into());
            }
            End::Ended => {
                let replays = self.calls.saturating_sub(self.made());
                complain(self.logouts == 0, slight, "nobody is told".into());
                complain(replays > 0, slight, format!("{replays} replayed in vain"));
            }
        }
        let fails = self.failed > 0 && !case.calls_may_fail;
        complain(
            fails,
            slight,
            format!("{} of {} failed", self.failed, self.made()),
        );
        let too_many = self.renewals_too_many(case) > 0;
        complain(too_many, slight, format!("{} renewals", self.renewals));
        if let Some(pause) = self.asked_again_after {
            let early = format!("asked again after {:.1} s", pause.as_secs_f64());
            complain(pause < RETRY_AFTER, slight, early);
        }
        problems
    }
}
