//! [`FileWrite`]: what is written to the state folder.

use crate::ids::{CredentialsId, SessionId};
use crate::reasons::{EndingReason, TokenFate};
use crate::time::Wall;

/// What the state file is to say of a session that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateWrite {
    /// Its credentials.
    pub of: CredentialsId,
    /// Whether they rest in the vault.
    pub saved: bool,
    /// When the pause ends that the server asked for.
    pub not_before: Option<Wall>,
    /// If the last attempt failed: what it did to the token, and when the next one is due.
    pub failure: Option<(TokenFate, Wall)>,
}

/// One write to the state folder, whose result [`Event::Written`](crate::Event::Written) reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileWrite {
    /// [`Action::AppendEnded`](crate::Action::AppendEnded).
    Ended(SessionId, EndingReason),
    /// [`Action::WriteState`](crate::Action::WriteState).
    State(StateWrite),
}
