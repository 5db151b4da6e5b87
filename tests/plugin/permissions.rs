//! What a window may do, by the permission files that the plugin and the client ship.

use std::path::Path;

use serde_json::{Value, json};
use tauri::http::HeaderMap;
use tauri::ipc::InvokeBody;

use crate::test_app::{Page, TestApp};

const COMMANDS: [&str; 11] = [
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

/// Whether Tauri lets a window run the command at all. Its own refusals are texts; a command's are objects.
fn is_allowed(page: &Page, command: &str) -> bool {
    let answer = page.invoke_raw(command, InvokeBody::Json(json!({})), HeaderMap::new());
    match answer {
        Ok(_) => true,
        Err(Value::String(text)) => !text.contains("not allowed") && !text.contains("not found"),
        Err(_) => true,
    }
}

fn allowed(permissions: &[&str]) -> Vec<&'static str> {
    let app = TestApp::open_with(permissions, |builder, _| builder);
    let page = app.window("main");
    COMMANDS
        .into_iter()
        .filter(|command| is_allowed(&page, &format!("plugin:graphql-session|{command}")))
        .collect()
}

#[test]
fn the_default_set_has_neither_sign_in_nor_journal() {
    assert_eq!(
        allowed(&["graphql-session:default"]),
        [
            "status",
            "execute",
            "upload",
            "subscribe",
            "ack_events",
            "cancel",
            "sign_out",
            "retry_now"
        ]
    );
}

#[test]
fn signing_in_and_the_journal_are_granted_apart() {
    assert_eq!(
        allowed(&["graphql-session:sign-in"]),
        ["check_server", "sign_in"]
    );
    assert_eq!(allowed(&["graphql-session:allow-journal"]), ["journal"]);
}

#[test]
fn no_permission_of_the_plugin_lets_a_window_emit() {
    let app = TestApp::open();
    let page = app.window("main");
    assert!(is_allowed(&page, "plugin:graphql-session|status"));
    for command in ["plugin:event|emit", "plugin:event|emit_to"] {
        assert!(!is_allowed(&page, command), "{command}");
    }
}

#[test]
fn the_clients_windows_may_listen_and_not_emit() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../capabilities/main.json");
    let text = std::fs::read_to_string(file).expect("the client's capability");
    let capability: Value = serde_json::from_str(&text).expect("JSON");
    let granted: Vec<_> = capability["permissions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|permission| permission.as_str().expect("a name"))
        .collect();
    assert!(granted.contains(&"core:event:allow-listen"));
    assert!(granted.contains(&"graphql-session:default"));
    for forbidden in [
        "core:default",
        "core:event:default",
        "core:event:allow-emit",
        "core:event:allow-emit-to",
    ] {
        assert!(!granted.contains(&forbidden), "{forbidden}");
    }
}
