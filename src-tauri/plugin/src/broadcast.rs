//! Tells every window that a session's status changed. What is told is a hint; the command `status` is the truth.

use graphql_session::{Phase, Session, Status};
use serde::Serialize;
use tauri::{AppHandle, Emitter, Manager, Runtime};

/// To each window, on every change.
const CHANGED: &str = "graphql-session://changed";

/// To each window, once per ending other than by the person's sign-out.
const LOGOUT: &str = "graphql-session://logout";

/// Starts the task that watches one session. It ends with the session.
pub(crate) fn start<R: Runtime>(app: &AppHandle<R>, session: &Session) {
    let app = app.clone();
    let mut changes = session.changes();
    // Read here, not in the task: an ending between now and its first turn must not be taken for an old one.
    let mut endings = changes.borrow_and_update().endings;
    tauri::async_runtime::spawn(async move {
        while changes.changed().await.is_ok() {
            let status = changes.borrow_and_update().clone();
            let hint = Hint::from(&status);
            tell_each_window(&app, CHANGED, &hint);
            // A watch shows the newest status only, so one look may find that several sessions ended.
            for _ in endings..status.endings {
                tell_each_window(&app, LOGOUT, &hint);
            }
            endings = status.endings;
        }
    });
}

/// The payload of both events.
#[derive(Clone, Serialize)]
struct Hint {
    account: String,
    revision: u64,
    phase: Phase,
}

impl From<&Status> for Hint {
    fn from(status: &Status) -> Self {
        Self {
            account: status.account.clone(),
            revision: status.revision,
            phase: status.phase,
        }
    }
}

/// One by one: a failing window stops Tauri's own `emit` for the rest.
fn tell_each_window<R: Runtime>(app: &AppHandle<R>, event: &'static str, hint: &Hint) {
    let mut failures = 0_usize;
    for label in app.webview_windows().into_keys() {
        if let Err(problem) = app.emit_to(label.as_str(), event, hint) {
            failures += 1;
            tracing::debug!(event, window = label, %problem, "a window was not told");
        }
    }
    if failures > 0 {
        tracing::warn!(
            event,
            failures,
            "windows were not told; they learn it when they ask"
        );
    }
}
