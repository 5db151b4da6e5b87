//! A page in a window without the client's guards: no content security policy, no plugin, new windows allowed.
//! `ways_out.rs` tries every way out of the page here, too: what it does not notice here proves nothing there.
//!
//! The page is its own and not the client's. Tauri compresses the files of a page once for each package; of two programs that
//! are compiled at the same time, the second one embedded what was there of a file by then, and had no script.

use std::sync::atomic::{AtomicU32, Ordering};

use tauri::webview::NewWindowResponse;
use tauri::{WebviewUrl, WebviewWindowBuilder};

fn main() {
    let context = tauri::generate_context!("tests/desktop/unguarded/tauri.conf.json");
    tauri::Builder::default()
        .setup(|app| {
            let (handle, opened) = (app.handle().clone(), AtomicU32::new(0));
            WebviewWindowBuilder::new(app, "main", WebviewUrl::default())
                .on_new_window(move |_, features| {
                    let label = format!("opened-{}", opened.fetch_add(1, Ordering::Relaxed));
                    let empty = "about:blank".parse().expect("an address");
                    let window =
                        WebviewWindowBuilder::new(&handle, label, WebviewUrl::External(empty))
                            .window_features(features)
                            .build()
                            .expect("a window opens");
                    NewWindowResponse::Create { window }
                })
                .build()?;
            Ok(())
        })
        .run(context)
        .expect("the window opens");
}
