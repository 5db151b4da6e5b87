//! What the driver has to do: the actions that [`step`](crate::step) returns.

use crate::cause::Cause;
use crate::event::WaiterId;
use crate::file_write::StateWrite;
use crate::ids::{CredentialsId, CredentialsInfo, SessionId};
use crate::note::Note;
use crate::reasons::{EndingReason, Unreachable};
use crate::time::{Awake, Wall};

/// What the driver has to do, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Take the lock, waiting at most the limit; `patient: false` tries once.
    TakeLock {
        /// Whether to wait.
        patient: bool,
    },
    /// Release the lock, after every outstanding vault write has returned.
    ReleaseLock,
    /// Read the state file, the ended list, and the vault.
    Reread,
    /// Write `renewing` into the record of the held credentials.
    Mark {
        /// The time to store with it.
        at: Wall,
    },
    /// Send one exchange of the held refresh token.
    Exchange {
        /// How long it may take, in ms.
        limit: u64,
    },
    /// Ask the server for something that needs no credentials, beside everything else that goes on.
    Probe,
    /// Write these credentials, and look at the ended list before and after.
    Save(CredentialsInfo),
    /// Remove the entry if it belongs to this session.
    Remove(SessionId),
    /// Calls use these from now on.
    Use(CredentialsId),
    /// Calls have nothing to use from now on.
    Forget,
    /// Drop these new credentials of a dead session, and revoke them at the server.
    Drop(CredentialsId),
    /// Revoke the held credentials at the server. Nothing waits for it.
    RevokeHeld,
    /// Put a session on the ended list.
    AppendEnded(SessionId, EndingReason),
    /// Replace the state file: the session of these credentials stands.
    WriteState(StateWrite),
    /// Replace the state file: this session is over. Where that fails the file is removed, which needs no space; the ended
    /// list says the rest.
    WriteEnded(EndingReason),
    /// Wake these waiters with the outcome.
    Settle(Vec<WaiterId>, Outcome),
    /// Wake the sign-in.
    SignInDone,
    /// Put it into the journal.
    Note(Note),
}

/// What a waiter gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// There are newer credentials.
    Renewed,
    /// No renewal: the clocks call the access token expired, and are not believed. The call is sent with it, and the server
    /// decides.
    SendAnyway,
    /// The session is over.
    SignedOut,
    /// The keyring has lost the credentials.
    Locked,
    /// Nothing answers.
    Unreachable {
        /// When the next attempt is due.
        due: Awake,
        /// What does not answer.
        who: Unreachable,
        /// Why the last attempt failed, where there was one.
        cause: Option<Cause>,
    },
    /// The server refuses fresh credentials again and again: no further renewal for this call.
    Denied,
}
