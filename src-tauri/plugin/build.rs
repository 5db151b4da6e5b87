//! Writes the permissions of each command, and the reference of all permissions.

// The commands a window may be granted; `permissions/default.toml` says which it gets by default.
const COMMANDS: &[&str] = &[
    "status",
    "check_server",
    "sign_in",
    "execute",
    "upload",
    "subscribe",
    "ack_events",
    "cancel",
    "sign_out",
    "retry_now",
    "journal",
];

fn main() {
    tauri_plugin::Builder::new(COMMANDS).build();
}
