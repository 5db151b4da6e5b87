//! The client's windows: all show the same page, and share one session.

use serde::Serialize;
use tauri::window::Color;
use tauri::{
    AppHandle, LogicalPosition, Manager, Runtime, Theme, WebviewUrl, WebviewWindow,
    WebviewWindowBuilder,
};
use tauri_plugin_graphql_session::confined;

use crate::process::has_room_for_a_window;

/// Label of the first window; further ones are `main-2`, `main-3`, ... The capability names the same pattern.
const FIRST: &str = "main";

/// Size of a window that was never sized by hand, in logical pixels.
const SIZE: (f64, f64) = (1280.0, 800.0);

/// Smallest size, in logical pixels: the page is laid out down to this without scrolling sideways.
const SMALLEST: (f64, f64) = (800.0, 600.0);

/// How far a new window stands below and right of the one it was opened from, in logical pixels: its title bar stays in
/// sight.
const CASCADE: f64 = 32.0;

/// Windows at a time. Each has a process of its own with some 100 MB.
const MOST_WINDOWS: usize = 32;

/// What shows before the page's first paint: the page's own background in either theme, so that nothing flashes.
const LIGHT: Color = Color(255, 255, 255, 255);
const DARK: Color = Color(36, 36, 36, 255);

/// Opens the first window.
pub(crate) fn open_first<R: Runtime>(app: &AppHandle<R>) -> tauri::Result<()> {
    open(app, FIRST, None)
}

/// Shows a window that is there, for a second launch of the client.
pub(crate) fn bring_forward<R: Runtime>(app: &AppHandle<R>) {
    let windows = app.webview_windows();
    let Some(window) = windows.get(FIRST).or_else(|| windows.values().next()) else {
        return;
    };
    let shown = window
        .unminimize()
        .and_then(|()| window.show())
        .and_then(|()| window.set_focus());
    if let Err(problem) = shown {
        tracing::warn!(%problem, "the window could not be brought forward");
    }
}

/// Opens one more window, a little below and right of the one that asked.
#[tauri::command]
pub(crate) async fn open_window<R: Runtime>(
    app: AppHandle<R>,
    window: WebviewWindow<R>,
) -> Result<(), OpenError> {
    if app.webview_windows().len() >= MOST_WINDOWS || !has_room_for_a_window() {
        tracing::warn!("no room for one more window");
        return Err(NO_ROOM);
    }
    let label = free_label(|label| app.get_webview_window(label).is_some());
    open(&app, &label, below_and_right_of(&window)).map_err(|problem| {
        tracing::warn!(%problem, "a window could not be opened");
        NO_ROOM
    })
}

/// The shape in which every command of the client rejects.
#[derive(Serialize)]
pub(crate) struct OpenError {
    code: &'static str,
    message: &'static str,
}

const NO_ROOM: OpenError = OpenError {
    code: "internal",
    message: "The window could not be opened. Close others and try again.",
};

fn open<R: Runtime>(
    app: &AppHandle<R>,
    label: &str,
    place: Option<LogicalPosition<f64>>,
) -> tauri::Result<()> {
    let mut builder = confined(WebviewWindowBuilder::new(app, label, WebviewUrl::default()))
        .title("Holdfast")
        .inner_size(SIZE.0, SIZE.1)
        .min_inner_size(SMALLEST.0, SMALLEST.1)
        // Only a window knows its theme, so it is shown once it has the right background.
        .visible(false);
    if let Some(LogicalPosition { x, y }) = place {
        builder = builder.position(x, y);
    }
    let window = builder.build()?;
    let background = match window.theme()? {
        Theme::Dark => DARK,
        _ => LIGHT,
    };
    window.set_background_color(Some(background))?;
    window.show()?;
    window.set_focus()
}

/// The lowest free number, so that remembered sizes and places are used again.
fn free_label(is_taken: impl Fn(&str) -> bool) -> String {
    (2_u32..)
        .map(|number| format!("{FIRST}-{number}"))
        .find(|label| !is_taken(label))
        .unwrap_or_else(|| FIRST.to_owned())
}

fn below_and_right_of<R: Runtime>(window: &WebviewWindow<R>) -> Option<LogicalPosition<f64>> {
    let scale = window.scale_factor().ok()?;
    let LogicalPosition { x, y } = window.outer_position().ok()?.to_logical::<f64>(scale);
    Some(LogicalPosition::new(x + CASCADE, y + CASCADE))
}
