//! Gives every window of a Tauri application one GraphQL session.
//!
//! The session itself is the crate `graphql-session`; this plugin is the way to it from a page: [commands](#commands),
//! hints that the status changed, and permissions. No command and no event carries a token, and a page names an
//! endpoint, never a host.
//!
//! ```no_run
//! tauri::Builder::default()
//!     .plugin(tauri_plugin_graphql_session::init())
//! #   ;
//! ```
//!
//! Settings live in `tauri.conf.json`, all of them optional (an unknown key stops the application with its name):
//!
//! ```json
//! { "plugins": { "graphql-session": { "server": "https://crm.example.com" } } }
//! ```
//!
//! # Commands
//!
//! | command | permission | answer |
//! |---|---|---|
//! | `status` | default | the status, which is the truth; events are hints |
//! | `execute` | default | one GraphQL request; the server's reply as raw bytes |
//! | `upload` | default | one slice of a long body, for the `execute` that names it |
//! | `subscribe` | default | nothing; the events of a subscription follow as messages, in order |
//! | `ack_events` | default | says how many of those have arrived, without which they pause |
//! | `cancel` | default | takes a call back, or ends a subscription |
//! | `sign_out`, `retry_now` | default | the status afterwards |
//! | `check_server`, `sign_in` | `sign-in` | the only ones that take an address |
//! | `journal` | `allow-journal` | what happened, without secrets |
//!
//! Each names its account, or means its window's default one. They reject with `{ code, message, retryAfterMs? }`.
//!
//! # Events
//!
//! `graphql-session://changed` on every change and `graphql-session://logout` once per ending, to each window, with
//! `{ account, revision, phase }`. A window acts on neither: it asks `status` and keeps the highest revision. Grant
//! `core:event:allow-listen` and `core:event:allow-unlisten`, and never `core:event:allow-emit`: a page that may emit can
//! forge events for the others. The npm package does all of this.
//!
//! Signing in with tokens from elsewhere is a Rust function, not a command: see [`GraphqlSessionExt`].

#[macro_use]
mod command_list;

mod accounts;
mod broadcast;
mod builder;
mod calls;
mod commands;
mod error;
mod extension;
mod framing;
mod prefetch;
mod streams;
mod uploads;
#[cfg(test)]
mod wire_words;

pub use builder::{Builder, Settings};
pub use extension::GraphqlSessionExt;
pub use graphql_session;

use tauri::Runtime;
use tauri::plugin::TauriPlugin;

/// The plugin with its defaults: one account, configured by `tauri.conf.json`. For more, see [`Builder`].
pub fn init<R: Runtime>() -> TauriPlugin<R, Settings> {
    Builder::new().build()
}
