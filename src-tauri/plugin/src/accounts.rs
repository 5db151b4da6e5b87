//! The sessions of this application, by account, and which window means which.

use std::collections::HashMap;

use graphql_session::{Code, Error, Session};
use tauri::{Manager, Runtime};

use crate::calls::Calls;
use crate::streams::Streams;
use crate::uploads::Uploads;

/// The Rust side's way to the sessions: for menus, trays, and functions that are no commands, such as signing in with
/// tokens that were obtained elsewhere.
pub trait GraphqlSessionExt<R: Runtime> {
    /// The session of the default account; `None` before the plugin's setup.
    fn graphql_session(&self) -> Option<Session>;

    /// The session of one account; `None` where there is no such account.
    fn graphql_session_of(&self, account: &str) -> Option<Session>;

    /// Cancels a window's queries and subscriptions, and forgets its finished calls and its unfinished uploads; its
    /// mutations finish. The plugin does this itself for every window that Tauri reports as destroyed; tests on the mock
    /// runtime, which reports none, call it.
    fn forget_window_calls(&self, label: &str);

    /// Closes the subscriptions and forgets the unfinished uploads of a window whose page is gone. The plugin does this
    /// itself for every page that begins to load; tests on the mock runtime, which loads none, call it.
    fn forget_page(&self, label: &str);
}

impl<R: Runtime, M: Manager<R>> GraphqlSessionExt<R> for M {
    fn graphql_session(&self) -> Option<Session> {
        let accounts = self.try_state::<Accounts>()?;
        accounts.sessions.first().cloned()
    }

    fn graphql_session_of(&self, account: &str) -> Option<Session> {
        let accounts = self.try_state::<Accounts>()?;
        accounts.named(account).cloned()
    }

    fn forget_window_calls(&self, label: &str) {
        if let Some(calls) = self.try_state::<Calls>() {
            calls.forget_window(label);
        }
        if let Some(streams) = self.try_state::<Streams>() {
            streams.forget_window(label);
        }
        if let Some(uploads) = self.try_state::<Uploads>() {
            uploads.forget_window(label);
        }
    }

    fn forget_page(&self, label: &str) {
        if let Some(streams) = self.try_state::<Streams>() {
            streams.close_page(label);
        }
        if let Some(uploads) = self.try_state::<Uploads>() {
            uploads.forget_window(label);
        }
    }
}

/// Managed state: never empty, and without two sessions of one account.
pub(crate) struct Accounts {
    sessions: Vec<Session>,
    by_window: HashMap<String, String>,
}

impl Accounts {
    /// The first session is the default one.
    pub(crate) fn new(
        sessions: Vec<Session>,
        by_window: HashMap<String, String>,
    ) -> Result<Self, Error> {
        let accounts = Self {
            sessions,
            by_window,
        };
        let unknown = accounts
            .by_window
            .iter()
            .find(|(_, account)| accounts.named(account).is_none());
        if let Some((window, account)) = unknown {
            return Err(Error::new(
                Code::Config,
                format!(
                    "The window `{window}` is to use the account `{account}`, which is not configured."
                ),
            ));
        }
        Ok(accounts)
    }

    /// The session that a command of `window` means.
    pub(crate) fn session(&self, window: &str, account: Option<&str>) -> Result<&Session, Error> {
        let account = account.or_else(|| self.by_window.get(window).map(String::as_str));
        let found = match account {
            Some(account) => self.named(account),
            None => self.sessions.first(),
        };
        found.ok_or_else(|| {
            Error::new(
                Code::InvalidRequest,
                "This application has no account by that name.",
            )
        })
    }

    pub(crate) fn all(&self) -> &[Session] {
        &self.sessions
    }

    fn named(&self, account: &str) -> Option<&Session> {
        self.sessions
            .iter()
            .find(|session| session.account() == account)
    }
}
