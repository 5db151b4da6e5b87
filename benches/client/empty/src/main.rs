//! Two windows of the client's size with nothing in them, and no command, plugin or state of our own: what any Tauri
//! application takes. `tauri.conf.json` opens them.

fn main() {
    tauri::Builder::default()
        .run(tauri::generate_context!())
        .expect("the application starts");
}
