//! One window, and the session's plugin: what is to be seen lies in the page.

// No console window beside it on Windows.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

fn main() {
    tauri::Builder::default()
        .plugin(tauri_plugin_graphql_session::init())
        .run(tauri::generate_context!())
        .expect("the application runs");
}
