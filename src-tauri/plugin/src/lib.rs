//! Gives every window of a Tauri application one GraphQL session.
//!
//! The session is the crate `graphql-session`. This plugin connects pages to it: [commands](#commands), events when the
//! status changes, and permissions. No command and no event carries a token, and a page names an endpoint, never a host.
//!
//! ```no_run
//! tauri::Builder::default()
//!     .plugin(tauri_plugin_graphql_session::init())
//! #   ;
//! ```
//!
//! All settings in `tauri.conf.json` are optional. An unknown key stops the application with its name:
//!
//! ```json
//! { "plugins": { "graphql-session": { "server": "https://crm.example.com" } } }
//! ```
//!
//! # Commands
//!
//! | command | permission | what it does |
//! |---|---|---|
//! | `status` | default | returns the status, which is the truth; events are hints |
//! | `execute` | default | runs one GraphQL request; returns the server's reply as raw bytes |
//! | `upload` | default | takes one slice of a long body, for the `execute` that names it |
//! | `subscribe` | default | starts a subscription; its events follow as messages, in order |
//! | `ack_events` | default | acknowledges those messages; without that, they pause |
//! | `cancel` | default | cancels a call, or ends a subscription |
//! | `sign_out`, `retry_now` | default | return the status afterwards |
//! | `check_server`, `sign_in` | `sign-in` | the only commands that take an address |
//! | `answer_sign_in`, `cancel_sign_in` | `sign-in` | answer the steps of a sign-in, and cancel it |
//! | `journal` | `allow-journal` | returns what happened, without secrets |
//! | `diagnostics` | `allow-diagnostics` | returns one text for a bug report, without secrets |
//!
//! Each command uses the account that it names, or its window's own ([`Builder::confine_windows`]: only that). They reject with
//! `{ code, message, retryAfterMs? }`.
//!
//! # Events
//!
//! Each window gets `graphql-session://changed` on every change and `graphql-session://logout` once per ending, with
//! `{ account, revision, phase }`. Both are hints: a window asks `status` and keeps the highest revision. The npm package
//! does that. Grant `core:event:allow-listen` and `core:event:allow-unlisten`, and never `core:event:allow-emit`: a page
//! that may emit can forge events for the others.
//!
//! Signing in with tokens from elsewhere is a Rust function, not a command: see [`GraphqlSessionExt`].

#[macro_use]
mod command_list;

mod accounts;
mod broadcast;
mod builder;
mod calls;
mod commands;
mod dialog;
mod error;
mod extension;
mod framing;
mod navigation;
mod opener;
mod page_answer;
mod prefetch;
#[cfg(target_os = "linux")]
mod prefetching;
mod servers;
mod sign_ins;
mod streams;
mod uploads;
#[cfg(test)]
mod wire_words;

pub use builder::{Builder, Settings};
pub use extension::GraphqlSessionExt;
pub use graphql_session;
pub use navigation::confined;
pub use servers::ServerChange;

use tauri::Runtime;
use tauri::plugin::TauriPlugin;

/// The plugin with its defaults: one account, configured by `tauri.conf.json`. For more, see [`Builder`].
pub fn init<R: Runtime>() -> TauriPlugin<R, Settings> {
    Builder::new().build()
}
