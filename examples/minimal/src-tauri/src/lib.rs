//! The smallest application: one window, and the session's plugin.

/// Opens the window, and returns when it has been closed.
pub fn run() {
    tauri::Builder::default()
        .plugin(tauri_plugin_graphql_session::init())
        .run(tauri::generate_context!())
        .expect("the application runs");
}
