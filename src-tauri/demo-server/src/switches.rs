//! The faults a session must survive, at the turn of a switch.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::auth::Auth;
use crate::counts::{Counter, Counting, Counts};
use crate::error::Error;
use crate::switch_state::{Calls, RenewalRefusal, Slow, SwitchState};

/// Handle to the switches and counts of one running server; clones share them.
#[derive(Clone)]
pub struct Switches {
    pub(crate) state: Arc<watch::Sender<SwitchState>>,
    pub(crate) counting: Arc<Counting>,
    pub(crate) auth: Arc<Auth>,
}

impl Switches {
    /// How the switches stand.
    pub fn state(&self) -> SwitchState {
        self.state.borrow().clone()
    }

    /// Changes several switches at once.
    pub fn change(&self, change: impl FnOnce(&mut SwitchState)) {
        self.state.send_modify(change);
    }

    /// Makes the server healthy again, with default lifetimes. Tokens already expired or revoked stay so.
    pub fn reset(&self) {
        self.change(|state| *state = SwitchState::default());
    }

    /// How long access tokens issued from now on are good for.
    pub fn access_lifetime(&self, lifetime: Duration) {
        self.change(|state| state.access_lifetime_ms = milliseconds(lifetime));
    }

    /// How long refresh tokens issued from now on are good for.
    pub fn refresh_lifetime(&self, lifetime: Duration) {
        self.change(|state| state.refresh_lifetime_ms = milliseconds(lifetime));
    }

    /// How long a used refresh token may be used again.
    pub fn grace(&self, grace: Duration) {
        self.change(|state| state.grace_ms = milliseconds(grace));
    }

    /// Delays answers; zero ends it.
    pub fn slow(&self, calls: Calls, by: Duration) {
        let ms = milliseconds(by);
        self.change(|state| state.slow = (ms > 0).then_some(Slow { calls, ms }));
    }

    /// Refuses renewals with this answer; `None` accepts them again.
    pub fn refuse_renewals(&self, refusal: Option<RenewalRefusal>) {
        self.change(|state| state.refuse_renewals = refusal);
    }

    /// Closes connections without a byte; `None` answers again.
    pub fn drop_connections(&self, calls: Option<Calls>) {
        self.change(|state| state.drop = calls);
    }

    /// The next `count` renewals rotate the token and lose their answer.
    pub fn lose_renewal_answers(&self, count: u32) {
        self.change(|state| state.lose_renewal_answers = count);
    }

    /// Closes or opens the gate at which renewals wait. [`Counter::RenewalsHeld`] says how many do.
    pub fn hold_renewals(&self, hold: bool) {
        self.change(|state| state.hold_renewals = hold);
    }

    /// Answers everything with 503, or ends that.
    pub fn unavailable(&self, unavailable: bool) {
        self.change(|state| state.unavailable = unavailable);
    }

    /// Every access token issued so far has expired from now on, whatever its `exp` says. Tokens issued after this
    /// call differ from them even within the same second.
    pub async fn expire_access_tokens(&self) -> Result<(), Error> {
        self.auth.expire_access_tokens().await
    }

    /// Every refresh token of every user is revoked from now on, without a grace time.
    pub async fn revoke_refresh_tokens(&self) -> Result<(), Error> {
        self.auth.revoke_refresh_tokens().await
    }

    /// What reached the server so far.
    pub fn counts(&self) -> Counts {
        self.counting.snapshot()
    }

    /// Resets the counts.
    pub fn reset_counts(&self) {
        self.counting.reset();
    }

    /// Waits until `counter` is `at_least` this much, and says how the counts stood then.
    pub async fn wait_for(&self, counter: Counter, at_least: u64) -> Counts {
        self.wait_until(|counts| counts.of(counter) >= at_least)
            .await
    }

    /// Waits until `reached` holds, and says how the counts stood then.
    pub async fn wait_until(&self, reached: impl FnMut(&Counts) -> bool) -> Counts {
        self.counting.wait_until(reached).await
    }
}

impl std::fmt::Debug for Switches {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Switches")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
