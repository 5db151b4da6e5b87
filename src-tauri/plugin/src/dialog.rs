//! The question before another server, in a dialog of the system: no page can answer it.

use rfd::{AsyncMessageDialog, MessageButtons, MessageDialogResult, MessageLevel};
use tauri::{AppHandle, Manager, Runtime};
use tokio::sync::oneshot;

use crate::servers::ServerChange;

/// The button that says yes. The other one is chosen by Escape and by closing the dialog.
const GO_ON: &str = "Sign in there";

/// Asks, and returns whether the person agrees. Without a screen nobody can agree.
pub(crate) async fn confirm<R: Runtime>(app: AppHandle<R>, change: ServerChange) -> bool {
    let (agree, agreed) = oneshot::channel();
    let shown = app.clone().run_on_main_thread(move || {
        let buttons = MessageButtons::OkCancelCustom(GO_ON.to_owned(), "Cancel".to_owned());
        let mut dialog = AsyncMessageDialog::new()
            .set_level(MessageLevel::Warning)
            .set_title(title(&app))
            .set_description(question(&change))
            .set_buttons(buttons);
        if let Some(window) = app.get_webview_window(&change.window) {
            dialog = dialog.set_parent(&window);
        }
        let choice = dialog.show();
        tauri::async_runtime::spawn(async move {
            let is_yes = match choice.await {
                MessageDialogResult::Ok => true,
                MessageDialogResult::Custom(button) => button == GO_ON,
                _ => false,
            };
            // The command may have been given up.
            let _ = agree.send(is_yes);
        });
    });
    if let Err(problem) = shown {
        tracing::warn!(%problem, "nobody could be asked about another server");
        return false;
    }
    agreed.await.unwrap_or(false)
}

fn title<R: Runtime>(app: &AppHandle<R>) -> String {
    let config = app.config();
    let name = config.product_name.as_deref();
    format!("{}: another server", name.unwrap_or(&config.identifier))
}

fn question(change: &ServerChange) -> String {
    format!(
        "So far you have used {}. If you go on, your e-mail address and your password go to another server:\n\n{}\n\n\
        Go on only if you want to sign in at this very address.",
        change.known, change.asked
    )
}
