//! What people have typed and the server does not have yet. Each page hands it over at every change, and takes it over
//! again at its start: so it survives the window, the application and a crash. It never holds a token: no page has one.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tauri::{AppHandle, Emitter, Manager, Runtime, State, WebviewWindow};

use crate::unsent_files::{self as files, Owner, Work};

/// Tells every page that a window was closed, whose work another one can take over.
const UNSENT: &str = "holdfast://unsent";

/// The folder in the data folder.
const FOLDER: &str = "unsent";

/// Where unsent work is kept, and which windows' work could not be kept.
pub(crate) struct Unsent {
    folder: PathBuf,
    /// Held while files are read or written: two windows may take over the same file.
    not_kept: Mutex<BTreeSet<String>>,
}

impl Unsent {
    pub(crate) fn new<R: Runtime>(app: &AppHandle<R>) -> tauri::Result<Self> {
        Ok(Self {
            folder: app.path().app_local_data_dir()?.join(FOLDER),
            not_kept: Mutex::default(),
        })
    }

    /// Whether the end of this window would lose work, because the disk did not take it.
    pub(crate) fn is_lost_with(&self, window: &str) -> bool {
        let not_kept = self.not_kept.lock();
        let not_kept = not_kept.unwrap_or_else(PoisonError::into_inner);
        not_kept.contains(window)
    }

    fn run<T>(
        &self,
        window: &str,
        what: impl FnOnce() -> std::io::Result<T>,
    ) -> Result<T, NotKept> {
        let not_kept = self.not_kept.lock();
        let mut not_kept = not_kept.unwrap_or_else(PoisonError::into_inner);
        match what() {
            Ok(value) => {
                not_kept.remove(window);
                Ok(value)
            }
            Err(problem) => {
                tracing::warn!(%problem, window, "unsent work could not be read or written");
                not_kept.insert(window.to_owned());
                Err(NOT_KEPT)
            }
        }
    }
}

/// The shape in which every command of the client rejects.
#[derive(Serialize)]
pub(crate) struct NotKept {
    code: &'static str,
    message: &'static str,
}

const NOT_KEPT: NotKept = NotKept {
    code: "internal",
    message: "This computer could not store the edits. Make room on its disk.",
};

/// Keeps a window's work, in place of what it kept before.
#[tauri::command]
pub(crate) async fn keep_unsent<R: Runtime>(
    window: WebviewWindow<R>,
    unsent: State<'_, Unsent>,
    owner: Owner,
    work: Work,
) -> Result<(), NotKept> {
    let label = window.label();
    unsent.run(label, || files::keep(&unsent.folder, &owner, label, &work))
}

/// Takes over what this window, and all windows that are gone, have kept.
#[tauri::command]
pub(crate) async fn take_unsent<R: Runtime>(
    window: WebviewWindow<R>,
    unsent: State<'_, Unsent>,
    owner: Owner,
) -> Result<Work, NotKept> {
    let (app, label) = (window.app_handle(), window.label());
    let is_open = |other: &str| app.get_webview_window(other).is_some();
    unsent.run(label, || {
        files::take(&unsent.folder, &owner, label, is_open)
    })
}

/// Removes all that is kept for a person at a server.
#[tauri::command]
pub(crate) async fn forget_unsent<R: Runtime>(
    window: WebviewWindow<R>,
    unsent: State<'_, Unsent>,
    owner: Owner,
) -> Result<(), NotKept> {
    unsent.run(window.label(), || files::forget(&unsent.folder, &owner))
}

/// Lets the other windows take over the work of one that was closed.
pub(crate) fn offer_after_closing<R: Runtime>(app: &AppHandle<R>) {
    if let Err(problem) = app.emit(UNSENT, ()) {
        tracing::warn!(%problem, "the other windows do not learn of unsent work until they start again");
    }
}
