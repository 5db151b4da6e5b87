//! What the Rust side of an application can ask of the plugin.

use graphql_session::Session;
use tauri::{Manager, Runtime};

use crate::accounts::Accounts;
use crate::calls::Calls;
use crate::sign_ins::SignIns;
use crate::streams::Streams;
use crate::uploads::Uploads;

/// Gives Rust code the sessions: for menus, trays, and what is no command, such as signing in with tokens that were
/// obtained elsewhere.
pub trait GraphqlSessionExt<R: Runtime> {
    /// The session of the default account; `None` before the plugin's setup.
    fn graphql_session(&self) -> Option<Session>;

    /// The session of one account; `None` where there is no such account.
    fn graphql_session_of(&self, account: &str) -> Option<Session>;

    /// Cancels a window's sign-in, its queries and subscriptions, and forgets its finished calls and its unfinished uploads.
    /// Its mutations finish. The plugin does this for every window that Tauri reports as destroyed. Tests on the mock
    /// runtime call it, because that reports none.
    fn forget_window_calls(&self, label: &str);

    /// Cancels the sign-in, closes the subscriptions and forgets the unfinished uploads of a window whose page is gone. The plugin does this
    /// whenever a page begins to load. Tests on the mock runtime call it, because that loads none.
    fn forget_page(&self, label: &str);
}

impl<R: Runtime, M: Manager<R>> GraphqlSessionExt<R> for M {
    fn graphql_session(&self) -> Option<Session> {
        let accounts = self.try_state::<Accounts>()?;
        accounts.first().cloned()
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
        if let Some(sign_ins) = self.try_state::<SignIns>() {
            sign_ins.forget_window(label);
        }
    }

    fn forget_page(&self, label: &str) {
        if let Some(streams) = self.try_state::<Streams>() {
            streams.close_page(label);
        }
        if let Some(uploads) = self.try_state::<Uploads>() {
            uploads.forget_window(label);
        }
        if let Some(sign_ins) = self.try_state::<SignIns>() {
            sign_ins.forget_window(label);
        }
    }
}
