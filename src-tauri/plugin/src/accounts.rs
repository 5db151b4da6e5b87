//! The sessions of this application, by account, and the account of each window.

use std::collections::HashMap;

use graphql_session::{Code, Error, Session};

/// All sessions, at least one, each of another account. Managed state of the plugin.
pub(crate) struct Accounts {
    sessions: Vec<Session>,
    by_window: HashMap<String, String>,
    /// Whether a window may use and hear of its own account only.
    are_confined: bool,
}

impl Accounts {
    /// The first session is the default one.
    pub(crate) fn new(
        sessions: Vec<Session>,
        by_window: HashMap<String, String>,
        are_confined: bool,
    ) -> Result<Self, Error> {
        let accounts = Self {
            sessions,
            by_window,
            are_confined,
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
    /// [`Code::InvalidRequest`] where there is no such account, or the window may not use it.
    pub(crate) fn session(&self, window: &str, account: Option<&str>) -> Result<&Session, Error> {
        let own = self.of_window(window);
        let found = match account {
            Some(account) if self.are_confined => own.filter(|own| own.account() == account),
            Some(account) => self.named(account),
            None => own,
        };
        // The same words for both: a window does not learn which accounts there are.
        found.ok_or_else(|| {
            Error::new(
                Code::InvalidRequest,
                "This window has no account by that name.",
            )
        })
    }

    /// Whether a window gets the events of an account.
    pub(crate) fn hears_of(&self, window: &str, account: &str) -> bool {
        !self.are_confined
            || self
                .of_window(window)
                .is_some_and(|own| own.account() == account)
    }

    /// The window's own account.
    fn of_window(&self, window: &str) -> Option<&Session> {
        match self.by_window.get(window) {
            Some(account) => self.named(account),
            None => self.first(),
        }
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
