//! The desktop client's shell: which plugins, in which order, which windows, and the demo server in the same process.
//! It decides nothing about the session; that is the core's.
//!
//! Environment, for tests and for running beside an installed client:
//! - `HOLDFAST_DATA_DIR`: folder for everything that the client stores. Clients with different folders run side by side.
//! - `HOLDFAST_DEMO`: `off` for no demo server, `control` for one that runs from the start and whose fault switches can be
//!   turned over HTTP.
//! - `RUST_LOG`: what is logged to standard error, as `tracing-subscriber` reads it.

#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod data_folder;
mod demo;
mod first_call;
mod memory;
mod process;
mod quitting;
mod stable_hash;
mod unsent;
mod unsent_files;
mod windows;

use tauri::{Manager, RunEvent, WindowEvent};
use tauri_plugin_window_state::StateFlags;
use tracing_subscriber::EnvFilter;

/// The log filter, unless `RUST_LOG` is set: our own crates' events, and the warnings of others.
const DEFAULT_LOG: &str =
    "warn,holdfast=info,graphql_session=info,tauri_plugin_graphql_session=info,demo_server=info";

/// Set to `json`, the log has one JSON object a line, for programs that read it.
const LOG_FORMAT: &str = "HOLDFAST_LOG_FORMAT";

fn main() {
    memory::share_one_arena();
    let log = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    let logger = tracing_subscriber::fmt()
        .with_env_filter(log)
        .with_writer(std::io::stderr);
    if std::env::var_os(LOG_FORMAT).is_some_and(|format| format == "json") {
        logger.json().init();
    } else {
        logger.init();
    }

    process::allow_more_descriptors();
    // A developer's debugger may look into a debug build; the benches measure memory in a build with that feature.
    if !cfg!(any(debug_assertions, feature = "measured")) {
        process::keep_memory_private();
    }

    let mut context = tauri::generate_context!();
    let instance = data_folder::choose(context.config_mut());
    let app = tauri::Builder::default()
        // First, so that a second launch ends before it opens anything.
        .plugin(
            tauri_plugin_single_instance::Builder::new()
                .dbus_id(instance)
                .callback(|app, _arguments, _folder| windows::bring_forward(app))
                .build(),
        )
        .plugin(
            tauri_plugin_window_state::Builder::new()
                .with_state_flags(
                    StateFlags::POSITION
                        | StateFlags::SIZE
                        | StateFlags::MAXIMIZED
                        | StateFlags::FULLSCREEN,
                )
                .build(),
        )
        // Before the session, which may want to renew at the demo server as soon as it opens.
        .plugin(demo::plugin())
        .plugin(
            tauri_plugin_graphql_session::Builder::new()
                .prefetch(first_call::first_call())
                .confine_windows()
                .trust_server(demo::is_own_server)
                .build(),
        )
        .invoke_handler(tauri::generate_handler![
            windows::open_window,
            demo::demo_account,
            quitting::quit,
            quitting::stay,
            unsent::keep_unsent,
            unsent::take_unsent,
            unsent::forget_unsent
        ])
        .setup(|app| {
            app.manage(quitting::Asked::default());
            app.manage(unsent::Unsent::new(app.handle())?);
            demo::follow_session(app.handle());
            windows::open_first(app.handle())?;
            quitting::quit_on_signals(app.handle());
            Ok(())
        })
        .build(context);
    let app = match app {
        Ok(app) => app,
        Err(problem) => {
            tracing::error!(%problem, "the client could not start");
            std::process::exit(1);
        }
    };
    app.run(|app, event| match event {
        RunEvent::WindowEvent {
            label,
            event: WindowEvent::CloseRequested { api, .. },
            ..
        } => quitting::ask_before_closing(app, &label, &api),
        RunEvent::WindowEvent {
            event: WindowEvent::Destroyed,
            ..
        } => unsent::offer_after_closing(app),
        // Plugins get this event first, so the session has closed by now.
        RunEvent::Exit => demo::stop(app),
        _ => {}
    });
}
