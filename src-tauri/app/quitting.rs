//! How the client ends. The person is warned first if that would sign them out or lose edits; whichever way it ends, the
//! session saves what it has received.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use tauri::{AppHandle, CloseRequestApi, Emitter, Manager, Runtime, State};
use tauri_plugin_graphql_session::GraphqlSessionExt;

use crate::unsent::Unsent;

/// Tells the last window to ask before the client quits, and what would be lost.
const QUITTING: &str = "holdfast://quitting";

/// What quitting would lose.
#[derive(Clone, Serialize)]
struct Lost {
    session: bool,
    edits: bool,
}

/// Whether the person was asked, and has not answered yet. A window that is closed a second time closes: a page that
/// hangs must not keep it open.
#[derive(Default)]
pub(crate) struct Asked(AtomicBool);

/// Stops the last window's closing once, if a session or edits would be lost by it.
pub(crate) fn ask_before_closing<R: Runtime>(
    app: &AppHandle<R>,
    label: &str,
    closing: &CloseRequestApi,
) {
    let is_last = app.webview_windows().len() == 1;
    let lost = Lost {
        session: app
            .graphql_session()
            .is_some_and(|session| session.status().is_lost_by_quitting()),
        edits: app.state::<Unsent>().is_lost_with(label),
    };
    let asked = app.state::<Asked>();
    if !is_last || !(lost.session || lost.edits) || asked.0.swap(true, Ordering::Relaxed) {
        return;
    }
    match app.emit_to(label, QUITTING, lost) {
        Ok(()) => closing.prevent_close(),
        Err(problem) => tracing::warn!(%problem, "the person could not be asked before quitting"),
    }
}

/// The person has decided to quit.
#[tauri::command]
pub(crate) async fn quit<R: Runtime>(app: AppHandle<R>) {
    app.exit(0);
}

/// The person has decided to stay: the next closing asks again.
#[tauri::command]
pub(crate) async fn stay(asked: State<'_, Asked>) -> Result<(), ()> {
    asked.0.store(false, Ordering::Relaxed);
    Ok(())
}

/// Quits on SIGINT and SIGTERM (elsewhere: on Ctrl+C). Without this, a terminal's or a desktop's request to end would
/// kill the client at any point. The person is not asked: the sender of a signal does not wait for an answer.
pub(crate) fn quit_on_signals<R: Runtime>(app: &AppHandle<R>) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        match wait_for_signal().await {
            Ok(()) => app.exit(0),
            Err(problem) => tracing::warn!(%problem, "signals will end the client abruptly"),
        }
    });
}

#[cfg(unix)]
async fn wait_for_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn wait_for_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
