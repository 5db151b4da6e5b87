//! Which switches there are, and what each of them does.

use serde::{Deserialize, Serialize};

/// How all switches stand. The default is a healthy server with Twenty's own lifetimes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SwitchState {
    /// Milliseconds that an access token is good for; whole seconds count, as at Twenty. Default: 30 minutes.
    pub access_lifetime_ms: u64,
    /// Milliseconds that a refresh token is good for; whole seconds count. Default: 60 days.
    pub refresh_lifetime_ms: u64,
    /// Milliseconds during which a used refresh token may be used again. Each use starts them again. Default: 60,000.
    pub grace_ms: u64,
    /// The schema knows the token pair's first field only as `accessToken`, as older servers do.
    pub old_token_field: bool,
    /// The server offers sign-in by browser (OAuth 2), as Twenty does since 2026. Without it, it knows passwords only. Default:
    /// on.
    pub offers_oauth: bool,
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
            offers_oauth: true,
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
