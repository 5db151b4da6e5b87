//! The faults a session must survive, at the turn of a switch.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::auth::Auth;
use crate::counts::{Counter, Counting, Counts};
use crate::error::Error;

/// Handle to the switches and counts of one running server; clones share them.
#[derive(Clone)]
pub struct Switches {
    pub(crate) state: Arc<watch::Sender<SwitchState>>,
    pub(crate) counting: Arc<Counting>,
    pub(crate) auth: Arc<Auth>,
}

/// How all switches stand. The default is a healthy server with Twenty's own lifetimes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SwitchState {
    /// Milliseconds that an access token is good for; whole seconds count, as at Twenty. Default: 30 minutes.
    pub access_lifetime_ms: u64,
    /// Milliseconds that a refresh token is good for; whole seconds count. Default: 60 days.
    pub refresh_lifetime_ms: u64,
    /// Milliseconds during which a used refresh token may be used again. Each use begins them anew. Default: 60,000.
    pub grace_ms: u64,
    /// The schema knows the token pair's first field only as `accessToken`, as older servers do.
    pub old_token_field: bool,
    /// `/graphql` knows no authentication operations, as newer servers do; `/metadata` always does.
    pub auth_on_metadata_only: bool,
    /// Answers come this much later. The work is done before the delay.
    pub slow: Option<Slow>,
    /// Renewals are refused with this answer, and nothing is rotated.
    pub refuse_renewals: Option<RenewalRefusal>,
    /// These connections are closed without a byte, and nothing is done.
    pub drop: Option<Calls>,
    /// So many of the next renewals rotate the token and lose their answer.
    pub lose_renewal_answers: u32,
    /// Renewals wait at a gate, before anything is looked at, until it is opened.
    pub hold_renewals: bool,
    /// Everything answers 503 with a page in HTML, as a proxy does during a deploy.
    pub unavailable: bool,
}

impl Default for SwitchState {
    fn default() -> Self {
        Self {
            access_lifetime_ms: 30 * 60 * 1_000,
            refresh_lifetime_ms: 60 * 24 * 60 * 60 * 1_000,
            grace_ms: 60 * 1_000,
            old_token_field: false,
            auth_on_metadata_only: false,
            slow: None,
            refuse_renewals: None,
            drop: None,
            lose_renewal_answers: 0,
            hold_renewals: false,
            unavailable: false,
        }
    }
}

/// Which requests a switch means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calls {
    /// Every request but those that turn switches.
    All,
    /// Only requests with `renewToken`.
    Renewals,
}

/// A delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slow {
    /// Whose answers.
    pub calls: Calls,
    /// Milliseconds.
    pub ms: u64,
}

/// The answer to renewals that are refused by a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", untagged)]
pub enum RenewalRefusal {
    /// HTTP 200 with a GraphQL error.
    Error {
        /// `extensions.code`.
        code: String,
        /// `extensions.subCode`, absent if none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sub_code: Option<String>,
        /// The error's message.
        message: String,
    },
    /// An HTTP status with a page in HTML instead of JSON.
    Page {
        /// The status, 100 to 999.
        status: u16,
        /// The page.
        html: String,
        /// Value of a `Retry-After` header, absent if none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<String>,
    },
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

    /// Starts counting anew.
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
