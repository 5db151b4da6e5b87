//! Sends every window an event when a session's status changes. The event is a hint; the command `status` is the truth.

use graphql_session::{Phase, Session, Status};
use serde::Serialize;
use tauri::{AppHandle, Emitter, Manager, Runtime};

use crate::accounts::Accounts;

/// To each window, on every change.
const CHANGED: &str = "graphql-session://changed";

/// To each window, once per ending other than by the person's sign-out.
const LOGOUT: &str = "graphql-session://logout";

/// Starts the task that watches one session. It ends with the session.
pub(crate) fn start<R: Runtime>(app: &AppHandle<R>, session: &Session) {
    let app = app.clone();
    let mut changes = session.changes();
    // Read before the task starts, so that an ending in between counts as new.
    let mut endings = changes.borrow_and_update().endings;
    tauri::async_runtime::spawn(async move {
        while changes.changed().await.is_ok() {
            let status = changes.borrow_and_update().clone();
            let hint = Hint::from(&status);
            emit_to_each_window(&app, CHANGED, &hint);
            // A watch shows only the newest status, so several sessions may have ended since the last one.
            for _ in endings..status.endings {
                emit_to_each_window(&app, LOGOUT, &hint);
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

/// One by one, because Tauri's own `emit` stops at the first window that fails.
fn emit_to_each_window<R: Runtime>(app: &AppHandle<R>, event: &'static str, hint: &Hint) {
    let mut failures = 0_usize;
    let accounts = app.state::<Accounts>();
    for label in app.webview_windows().into_keys() {
        if !accounts.hears_of(&label, &hint.account) {
            continue;
        }
        if let Err(problem) = app.emit_to(label.as_str(), event, hint) {
            failures += 1;
            tracing::debug!(event, window = label, %problem, "an event did not reach a window");
        }
    }
    if failures > 0 {
        tracing::warn!(
            event,
            failures,
            "an event did not reach some windows; they see the change when they ask for the status"
        );
    }
}
