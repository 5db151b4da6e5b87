//! Signals end the client as its last window's closing does: the session saves what it has received, then the process
//! ends. Without this, a terminal's or a desktop's request to end would kill it at any point.

use tauri::{AppHandle, Runtime};

/// Quits on SIGINT and SIGTERM (elsewhere: on Ctrl+C).
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
