//! [`Standing`]: whether there is a session, and which credentials calls use.

use crate::cause::Cause;
use crate::ids::{CredentialsInfo, SessionId};
use crate::reasons::{EndingReason, LockedReason};
use crate::time::{Awake, Wall};

/// Whether there is a session. Whether a renewal runs, or the server answers, stands beside it in
/// [`State`](crate::State).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Nothing was read yet.
    Opening,
    /// No session: nobody has signed in, or the person signed out.
    SignedOut,
    /// There is one, and these are its credentials.
    Active(Held),
    /// A session is stored, and the vault does not show it.
    Locked {
        /// Why it does not.
        reason: LockedReason,
        /// The stored session, if the state file names it.
        hidden: Option<SessionId>,
    },
    /// The session ended without the person signing out.
    Ended {
        /// Why.
        reason: EndingReason,
        /// When.
        at: Wall,
        /// Its cause; `None` where another process ended it before this one started.
        cause: Option<Cause>,
    },
}

impl Standing {
    /// The standing after an ending. A person's own sign-out needs no explanation, so it is `SignedOut`.
    pub(crate) fn after(reason: EndingReason, at: Wall, cause: Option<Cause>) -> Self {
        match reason {
            EndingReason::SignedOut => Self::SignedOut,
            reason => Self::Ended { reason, at, cause },
        }
    }
}

/// The credentials that calls use, and what this process has done with them. Replaced as a whole when newer ones come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// Their ids, generation and expiries.
    pub info: CredentialsInfo,
    /// Whether the server served a call with them. A refusal before that counts against the budget of renewals.
    pub(crate) served: bool,
    /// When to renew them ahead of their expiry.
    pub(crate) renew_ahead_at: Option<Awake>,
    /// When this process last wrote its mark into the stored credentials. Its own mark is no sign of a crash.
    pub(crate) marked_at: Option<Wall>,
}
