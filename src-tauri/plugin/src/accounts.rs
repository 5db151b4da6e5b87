//! The sessions of this application, by account, and the account of each window.

use std::collections::HashMap;

use graphql_session::{Code, Error, Session};

/// All sessions, at least one, each of another account. Managed state of the plugin.
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
                    "The window `{window}` belongs to the account `{account}`, which is not configured."
                ),
            ));
        }
        Ok(accounts)
    }

    /// The session of an account, or of the window's own one.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] where there is no such account.
    pub(crate) fn session(&self, window: &str, account: Option<&str>) -> Result<&Session, Error> {
        let account = account.or_else(|| self.by_window.get(window).map(String::as_str));
        let found = match account {
            Some(account) => self.named(account),
            None => self.first(),
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

    /// The default session.
    pub(crate) fn first(&self) -> Option<&Session> {
        self.sessions.first()
    }

    pub(crate) fn named(&self, account: &str) -> Option<&Session> {
        self.sessions
            .iter()
            .find(|session| session.account() == account)
    }
}
