//! What happens to a session: the events that [`step`](crate::step) takes.

use crate::cause::{Cause, IoFailure};
use crate::file_write::FileWrite;
use crate::ids::{CredentialsId, CredentialsInfo, SessionId};
use crate::reasons::{EndingReason, TokenFate, VaultError};
use crate::time::Wall;

/// Names one waiter; the driver counts them.
pub type WaiterId = u64;

/// Why a renewal is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RenewalReason {
    /// The access token is known to have expired.
    Expired,
    /// The server refused it.
    Refused,
    /// It will expire soon, and the application is in use.
    Ahead,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The stored session was read at the start, without the lock.
    Opened(View),
    /// A call cannot go on with the credentials that it used.
    Needed {
        /// The call.
        waiter: WaiterId,
        /// The credentials that it used.
        seen: CredentialsInfo,
        /// Why it cannot go on.
        reason: RenewalReason,
    },
    /// A waiter left; nothing else changes.
    WaiterLeft(WaiterId),
    /// A call was served with these credentials.
    Served(CredentialsId),
    /// A call that was refused was sent once more with these credentials after the renewal, and served.
    ReplayServed(CredentialsId),
    /// A call with these credentials got no answer from the server.
    Lost(CredentialsId, Cause),
    /// `Action::Probe` is done: whether the server answered.
    Probed(bool),
    /// The person asks to try now.
    RetryNow,
    /// The machine's network has changed: what failed before may work now.
    NetworkChanged,
    /// The person signed in.
    SignedIn(CredentialsInfo),
    /// The person signed out.
    SignedOut,
    /// Another process wrote the files.
    FilesChanged(FileView),
    /// This process holds the lock.
    LockTaken,
    /// This process could not take the lock in time.
    LockNotTaken(Cause),
    /// `Action::Reread` is done.
    Reread(View),
    /// `Action::Mark` is done.
    Marked(Result<(), VaultError>),
    /// `Action::Exchange` is done.
    Exchanged(Exchange),
    /// `Action::Save` is done.
    Saved(Result<(), SaveFailure>),
    /// `Action::Remove` is done, or failed: the ended list keeps the entry dead, and it is removed later.
    Removed(Result<(), VaultError>),
    /// A write to the state folder is done, or failed. Nothing waits for it.
    Written(FileWrite, Result<(), IoFailure>),
    /// Time passed; see [`State::next_wake`](crate::State::next_wake).
    Tick,
}

/// What one exchange proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exchange {
    /// New credentials of the same account.
    Renewed(CredentialsInfo, Cause),
    /// The server rejects the refresh token.
    Rejected {
        /// This server gives the same answer by mistake, too: it is asked once more before the rejection counts.
        ambiguous: bool,
        /// The words it used.
        cause: Cause,
    },
    /// It proved nothing about the session.
    Inconclusive {
        /// What is known about the refresh token.
        token: TokenFate,
        /// The pause that the server asks for, in ms.
        retry_after: Option<u64>,
        /// What went wrong.
        cause: Cause,
    },
}

impl Exchange {
    /// Why it came out so.
    pub fn cause(&self) -> Cause {
        match *self {
            Self::Renewed(_, cause)
            | Self::Rejected { cause, .. }
            | Self::Inconclusive { cause, .. } => cause,
        }
    }
}

/// Why new credentials were not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SaveFailure {
    /// Some process ended their session meanwhile. They are dropped.
    Ended(EndingReason),
    /// The vault did not do it.
    Vault(VaultError),
}

/// What files and vault say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The files.
    pub files: FileView,
    /// The vault.
    pub vault: VaultView,
}

/// What the files say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileView {
    /// Why the held session is over, if it is: from the ended list, or from the state file.
    pub ended: Option<EndingReason>,
    /// The state file, if there is one.
    pub state: Option<FileState>,
    /// Why the files could not be read, if that is so. Then they say nothing, and not that there is no session.
    pub unreadable: Option<IoFailure>,
}

/// What the state file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileState {
    /// The credentials that it is about.
    pub info: CredentialsInfo,
    /// Why and when their session ended, if it did: from the file or the ended list.
    pub ended: Option<(EndingReason, Wall)>,
    /// Whether they were put into the vault.
    pub saved: bool,
    /// No attempt before this time.
    pub not_before: Option<Wall>,
    /// The last attempt that proved nothing.
    pub last_failure: Option<FailureSeen>,
}

/// An attempt that proved nothing, by any process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FailureSeen {
    /// What it tried to exchange.
    pub credentials: CredentialsId,
    /// When it ended.
    pub at: Wall,
    /// What it did to the refresh token.
    pub token: TokenFate,
    /// When the next attempt is due.
    pub next_at: Wall,
}

/// What the vault says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VaultView {
    /// An entry of a session that is not on the ended list.
    Entry {
        /// Its credentials.
        info: CredentialsInfo,
        /// When an exchange of them was begun whose end nobody recorded.
        renewing_at: Option<Wall>,
    },
    /// An entry of a session on the ended list: to be removed, never used.
    DeadEntry(SessionId),
    /// No entry. From a keyring that was never unlocked, that proves nothing.
    Empty,
    /// It did not answer.
    Unavailable(VaultError),
    /// Not readable as credentials of this protocol.
    Damaged,
}

impl View {
    /// When an exchange of the stored credentials was begun whose end nobody recorded: its answer may be lost. Not the
    /// one that this process itself marked, and not one that is known to have left the token alone.
    pub(crate) fn unfinished_exchange(&self, own_mark: Option<Wall>) -> Option<Wall> {
        let VaultView::Entry { info, renewing_at } = self.vault else {
            return None;
        };
        let begun = renewing_at.filter(|at| Some(*at) != own_mark)?;
        let left_alone = self
            .files
            .state
            .and_then(|file| file.last_failure)
            .is_some_and(|failure| {
                failure.credentials == info.credentials
                    && failure.at >= begun
                    && failure.token != TokenFate::MaybeUsed
            });
        (!left_alone).then_some(begun)
    }
}

impl FileView {
    /// The state file of a session that has not ended.
    pub(crate) fn standing(&self) -> Option<FileState> {
        self.state.filter(|file| file.ended.is_none())
    }
}
