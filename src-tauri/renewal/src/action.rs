//! What the shell has to do: the actions that [`step`](super::step) returns.

use super::{CredentialsInfo, EndingReason, Id, Note, TokenFate, Unreachable, WaiterId};

/// What the shell has to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take the lock, waiting at most the limit; `patient: false` tries once.
    TakeLock {
        /// Whether to wait.
        patient: bool,
    },
    /// Let go of the lock, after every outstanding vault write has returned.
    ReleaseLock,
    /// Read the state file, the ended list, and the vault.
    Reread,
    /// Write `renewing` into the record of the held credentials.
    Mark {
        /// Wall ms, to be stored with it.
        at: i64,
    },
    /// Send one exchange of the held refresh token.
    Exchange,
    /// Ask the server for something that needs no credentials, beside whatever else goes on.
    Probe,
    /// Write these credentials, looking at the ended list before and after.
    Save(CredentialsInfo),
    /// Remove the entry if it belongs to this session.
    Remove(Id),
    /// Calls use these from now on.
    Use(Id),
    /// Calls have nothing to use from now on.
    Forget,
    /// Drop these new credentials of a dead session, and revoke them at the server.
    Drop(Id),
    /// Revoke the held credentials at the server; nobody waits for it.
    RevokeHeld,
    /// Put a session on the ended list.
    AppendEnded(Id, EndingReason),
    /// Replace the state file: the session of these credentials stands.
    WriteState {
        /// The credentials.
        of: Id,
        /// Whether they rest in the vault.
        saved: bool,
        /// The pause that the server asked for ends then, in wall ms.
        not_before: Option<i64>,
        /// If the last attempt failed: what it did to the token, and when the next is due in wall ms.
        failure: Option<(TokenFate, i64)>,
    },
    /// Replace the state file: this session is over.
    WriteEnded(EndingReason),
    /// Tell these waiters.
    Settle(Vec<WaiterId>, Outcome),
    /// Tell the sign-in that it is done.
    SignInDone,
    /// Put it into the journal.
    Note(Note),
}

/// What a waiter is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// There are newer credentials.
    Renewed,
    /// The session is over.
    SignedOut,
    /// The keyring has lost the credentials.
    Locked,
    /// Nothing answers; the next attempt is due then, in awake ms.
    Unreachable {
        /// Awake ms.
        due: u64,
        /// Who does not answer.
        who: Unreachable,
    },
    /// Fresh credentials are refused again and again: no further renewal for this.
    Denied,
}
