//! [`Standing`]: whether there is a session, and which credentials calls use.

use crate::cause::Cause;
use crate::ids::{CredentialsInfo, SessionId};
use crate::reasons::{EndingReason, LockedReason};
use crate::time::{Awake, Wall};

/// Whether there is a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Nothing was read yet.
    Opening,
    /// There is none.
    SignedOut,
    /// There is one, and these are its credentials.
    Active(Held),
    /// One is stored, and the vault does not show it.
    Locked {
        /// Why it does not.
        reason: LockedReason,
        /// The stored session, where the state file names it.
        hidden: Option<SessionId>,
    },
    /// It is over.
    Ended {
        /// Why.
        reason: EndingReason,
        /// When.
        at: Wall,
        /// The cause of the server's rejection, if this process received it.
        cause: Option<Cause>,
    },
}

impl Standing {
    /// The standing after an ending. The person's own sign-out leaves nothing to tell.
    pub(crate) fn after(reason: EndingReason, at: Wall, cause: Option<Cause>) -> Self {
        match reason {
            EndingReason::SignedOut => Self::SignedOut,
            reason => Self::Ended { reason, at, cause },
        }
    }
}

/// The credentials that calls use, and what this process has done with them. It lives as long as they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// Which they are.
    pub info: CredentialsInfo,
    /// Whether a call was served with them.
    pub(crate) served: bool,
    /// When to renew them ahead of their expiry.
    pub(crate) renew_ahead_at: Option<Awake>,
    /// When this process last marked their record: its own mark proves no crash.
    pub(crate) marked_at: Option<Wall>,
}
