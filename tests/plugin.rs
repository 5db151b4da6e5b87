//! The plugin as an application's pages use it: real invokes on Tauri's mock runtime, real permissions, real connections
//! to the demo server. No display, no keyring.

#[path = "plugin/calls.rs"]
mod calls;
#[path = "plugin/endings.rs"]
mod endings;
#[path = "plugin/permissions.rs"]
mod permissions;
#[path = "plugin/policies.rs"]
mod policies;
#[path = "plugin/prefetch.rs"]
mod prefetch;
#[path = "plugin/renewals.rs"]
mod renewals;
#[path = "plugin/secrecy.rs"]
mod secrecy;
#[path = "plugin/servers.rs"]
mod servers;
#[path = "plugin/setup.rs"]
mod setup;
#[path = "plugin/sign_ins.rs"]
mod sign_ins;
#[path = "plugin/subscriptions.rs"]
mod subscriptions;
#[path = "plugin/test_app.rs"]
mod test_app;
#[path = "plugin/uploads.rs"]
mod uploads;
