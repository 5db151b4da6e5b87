//! [`Standing`]: whether there is a session, and which credentials calls use.

use crate::budget::Refusal;
use crate::cause::Cause;
use crate::ids::{CredentialsInfo, SessionId};
use crate::reasons::{EndingReason, LockedReason};
use crate::time::{Awake, Now, ServerTime, Wall};

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
    /// When this process began to hold them.
    pub(crate) since: Since,
    /// Whether the clocks are believed when they call the access token expired.
    pub(crate) expiry: Expiry,
    /// The refusal that they were renewed for, until a call that was refused is served with them.
    pub(crate) renewed_for: Option<Refusal>,
    /// When to renew them ahead of their expiry.
    pub(crate) renew_ahead_at: Option<Awake>,
    /// When this process last wrote its mark into the stored credentials. Its own mark is no sign of a crash.
    pub(crate) marked_at: Option<Wall>,
}

/// A refused token that expires within this time, in ms, has expired by the clocks: servers state an expiry up to a second
/// too late, and a Date header counts whole seconds.
const EXPIRY_TOLERANCE: u64 = 2_000;

/// When a process began to hold credentials, by each clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Since {
    awake: Awake,
    wall: Wall,
    server: ServerTime,
    /// How old they were then, in ms.
    age: u64,
}

impl Since {
    /// Begins now, with credentials of this age, in ms.
    pub(crate) fn now(now: Now, age: u64) -> Self {
        Self {
            awake: now.awake,
            wall: now.wall,
            server: now.server,
            age,
        }
    }
}

/// Whether the clocks are believed when they call an access token expired. For one generation: the next one begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Expiry {
    /// They are.
    Believed,
    /// It was called expired too often of late. A refusal by the server would confirm it.
    Doubted,
    /// They say nothing: they disagree by more than a token's lifetime.
    Unknown,
}

impl Held {
    /// How long ago the server issued them, in ms. A sleep of the machine counts.
    pub(crate) fn age(&self, now: Now) -> u64 {
        let awake = now.awake.since(self.since.awake);
        let wall = now.wall.since(self.since.wall).unwrap_or(0);
        self.since.age.saturating_add(awake.max(wall))
    }

    /// The server refuses their access token now.
    pub(crate) fn refused(&self, now: Now) -> Refusal {
        let has_expired = self.info.has_expired(now.server.plus(EXPIRY_TOLERANCE));
        Refusal {
            age: self.age(now),
            had_expired: has_expired && self.expiry != Expiry::Unknown,
        }
    }

    /// Whether the server's clock has moved against this machine's by more than the access token lives, since this process
    /// holds it. Some answers come with the wrong Date then: a proxy writes it.
    pub(crate) fn clocks_disagree(&self, now: Now) -> bool {
        let Some(lifetime) = self.info.lifetime() else {
            return false;
        };
        let ahead = |wall: Wall, server: ServerTime| server.ms().saturating_sub(wall.ms());
        let before = ahead(self.since.wall, self.since.server);
        ahead(now.wall, now.server).abs_diff(before) > lifetime
    }
}
