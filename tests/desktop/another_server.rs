//! The question before another server, in a dialog of the system.

use demo_server::{DEMO_EMAIL, DEMO_PASSWORD, DemoServer, Options};

use crate::kit::steps::sign_in;
use crate::{home, start};

#[tokio::test]
async fn another_server_is_asked_about_in_a_dialog_and_closing_it_sends_nothing() {
    let elsewhere = DemoServer::start(Options::default()).await;
    let elsewhere = elsewhere.expect("a server");
    let home = home("another-server").await;
    let app = start(&home).await;
    let window = app.window().await;
    sign_in(&app, &window).await;
    window.click("account-menu").await;
    window.click("menu-sign-out").await;

    window.fill("sign-in-server", &elsewhere.origin()).await;
    window.has("server-check", "data-state", "other").await;
    window.says("sign-in-target", &elsewhere.origin()).await;
    window.fill("sign-in-email", DEMO_EMAIL).await;
    window.fill("sign-in-password", DEMO_PASSWORD).await;
    window.click("sign-in-submit").await;
    app.close_dialog("Holdfast: another server").await;
    window
        .has("sign-in-error", "data-code", "not_confirmed")
        .await;
    assert_eq!(
        elsewhere.switches().counts(),
        demo_server::Counts::default()
    );

    // Asked again, and confirmed.
    window.click("sign-in-submit").await;
    app.confirm_dialog("Holdfast: another server").await;
    window.has_phase("signed_in").await;
    elsewhere.stop().await;
}
