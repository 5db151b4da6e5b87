//! What happens to a session: the events that [`step`](super::step) takes.

use super::{CredentialsInfo, EndingReason, Id, RenewalReason, TokenFate, VaultError, WaiterId};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The stored session was read at the start, without the lock.
    Opened(View),
    /// A call cannot go on with the credentials it has seen.
    Needed {
        /// The call.
        waiter: WaiterId,
        /// The credentials it used.
        seen: CredentialsInfo,
        /// RenewalReason it cannot go on.
        why: RenewalReason,
    },
    /// A waiter left; nothing else changes.
    WaiterLeft(WaiterId),
    /// A call was served with these credentials.
    Served(Id),
    /// A call with these credentials got no answer from the server.
    Lost(Id),
    /// `Action::Probe` is done: whether the server answered.
    Probed(bool),
    /// The person asks to try now.
    RetryNow,
    /// The person signed in.
    SignedIn(CredentialsInfo),
    /// The person signed out.
    SignedOut,
    /// The files were written by somebody else.
    FilesChanged(FileView),
    /// The lock is held.
    LockTaken,
    /// The lock was not to be had in time.
    LockNotTaken,
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
    /// Time passed; see [`State::next_wake`](super::State::next_wake).
    Tick,
}

/// What one exchange proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exchange {
    /// New credentials for the same account.
    Renewed(CredentialsInfo),
    /// The server rejects the refresh token.
    Rejected {
        /// It gives the same answer by mistake, too.
        ambiguous: bool,
    },
    /// Nothing is proven.
    Inconclusive {
        /// What is known about the refresh token.
        token: TokenFate,
        /// The server asks for this pause, in ms.
        retry_after: Option<u64>,
    },
}

/// RenewalReason new credentials were not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SaveFailure {
    /// Their session was ended meanwhile, by any process. They are dropped.
    Ended(EndingReason),
    /// The vault did not do it.
    Vault(VaultError),
}

/// What the files say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileView {
    /// RenewalReason the held session is on the ended list, if it is.
    pub ended: Option<EndingReason>,
    /// The state file, if there is one.
    pub state: Option<FileState>,
}

/// What the state file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileState {
    /// The credentials it speaks of.
    pub info: CredentialsInfo,
    /// Their session is over: why, and when in wall ms. From the file or the ended list.
    pub ended: Option<(EndingReason, i64)>,
    /// They were put into the vault.
    pub saved: bool,
    /// No attempt before, in wall ms.
    pub not_before: Option<i64>,
    /// The last attempt that proved nothing.
    pub last_failure: Option<FailureSeen>,
}

/// An attempt that proved nothing, by any process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FailureSeen {
    /// What was to be exchanged.
    pub credentials: Id,
    /// Wall ms.
    pub at: i64,
    /// What it did to the refresh token.
    pub token: TokenFate,
    /// When the next attempt is due, in wall ms.
    pub next_at: i64,
}

/// What files and vault say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The files.
    pub files: FileView,
    /// The vault.
    pub vault: VaultView,
}

/// What the vault says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VaultView {
    /// An entry of a session that is not on the ended list.
    Entry {
        /// Its credentials.
        info: CredentialsInfo,
        /// An exchange of them was begun then, in wall ms, and its end was not recorded.
        renewing_at: Option<i64>,
    },
    /// An entry of a session on the ended list: to be removed, never used.
    DeadEntry(Id),
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
    pub(super) fn unfinished_exchange(&self, own_mark: Option<i64>) -> Option<i64> {
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
