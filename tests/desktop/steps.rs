//! What a person does in several steps.

use super::application::Application;
use super::demo_control::DemoControl;
use super::window::Window;

/// Signs in to the embedded demo server and gives that server's switches.
pub(crate) async fn sign_in(app: &Application<'_>, window: &Window<'_>) -> DemoControl {
    let demo = app.choose_demo(window).await;
    window.click("sign-in-submit").await;
    arrive(window).await;
    demo
}

/// Signs in to any server.
pub(crate) async fn sign_in_at(window: &Window<'_>, server: &str, email: &str, password: &str) {
    window.fill("sign-in-server", server).await;
    window.fill("sign-in-email", email).await;
    window.fill("sign-in-password", password).await;
    window.click("sign-in-submit").await;
    arrive(window).await;
}

/// Opens the page with the eight panels and waits for all of them.
pub(crate) async fn open_panels(window: &Window<'_>) {
    window.click("open-panels").await;
    all_panels_ready(window).await;
}

/// Waits until all of the eight panels have loaded.
pub(crate) async fn all_panels_ready(window: &Window<'_>) {
    for panel in 1..=8 {
        let panel = format!("panel-{panel}");
        window.has(&panel, "data-state", "ready").await;
    }
}

/// Opens one more window from this one's menu.
pub(crate) async fn second_window<'app>(
    app: &'app Application<'_>,
    first: &Window<'_>,
) -> Window<'app> {
    let opening = async {
        first.click("account-menu").await;
        first.click("menu-new-window").await;
    };
    let second = app.new_window(opening).await;
    arrive(&second).await;
    second
}

/// Loads everything on the screen again.
pub(crate) async fn reload_all(window: &Window<'_>) {
    window.click("account-menu").await;
    window.click("menu-reload-all").await;
}

async fn arrive(window: &Window<'_>) {
    window.has_phase("signed_in").await;
    window.says("record-count", "1,000").await;
}
