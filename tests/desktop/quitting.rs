//! Quitting: no received token is lost, and the client asks the person first if one would be.

use std::time::{Duration, Instant};

use demo_server::{Counter, DEMO_EMAIL, DEMO_PASSWORD, DemoServer, Options};

use crate::kit::application::Application;
use crate::kit::steps::{open_panels, sign_in, sign_in_at};
use crate::{home, start};

/// The longest time that quitting may take: 3 s for a sent exchange, and the rest for a busy machine.
const QUITS_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_last_window_asks_before_it_closes_on_a_session_that_is_not_saved() {
    let home = home("unsaved").await.without_keyring();
    let app = start(&home).await;
    let window = app.window().await;
    sign_in(&app, &window).await;
    window.has_storage("not_saved").await;

    app.press_close_button();
    window.shows("quit-dialog").await;
    let warning = "you sign in again next time";
    window.says("quit-dialog", warning).await;
    window.picture("asks").await;
    window.click("quit-stay").await;
    window.hides("quit-dialog").await;

    app.press_close_button();
    window.shows("quit-dialog").await;
    window.click_the_last_time("quit-anyway").await;
    app.has_quit().await;
}

#[tokio::test]
async fn a_window_that_is_closed_again_while_it_asks_closes() {
    let home = home("unsaved-twice").await.without_keyring();
    let app = start(&home).await;
    let window = app.window().await;
    sign_in(&app, &window).await;

    app.press_close_button();
    window.shows("quit-dialog").await;
    app.press_close_button();
    app.has_quit().await;
}

#[tokio::test]
async fn the_last_window_closes_at_once_on_a_session_that_is_saved() {
    let home = home("saved").await;
    let app = start(&home).await;
    let window = app.window().await;
    sign_in(&app, &window).await;
    window.has_storage("saved").await;

    app.press_close_button();
    app.has_quit().await;
}

#[tokio::test]
async fn quitting_during_a_renewal_stores_what_is_received_within_the_limit() {
    let home = home("quit-renewing").await;
    let server = own_server().await;
    let demo = server.switches();
    let app = start(&home).await;
    renew_at_a_gate(&app, &server).await;

    app.begin_to_quit();
    app.logs("closing the sessions").await;
    demo.hold_renewals(false);
    app.has_quit().await;

    let app = start(&home).await;
    let window = app.window().await;
    window.has_phase("signed_in").await;
    window.says("record-count", "1,000").await;
    let renewals = demo.counts().renewals_sent;
    assert_eq!(renewals, 1, "the new credentials were not stored");
}

#[tokio::test]
async fn quitting_during_a_renewal_that_hangs_takes_no_longer_than_its_limit() {
    let home = home("quit-hanging").await;
    let server = own_server().await;
    let app = start(&home).await;
    renew_at_a_gate(&app, &server).await;

    let begun = Instant::now();
    app.begin_to_quit();
    app.has_quit().await;
    assert!(begun.elapsed() < QUITS_WITHIN, "{:?}", begun.elapsed());

    // The server never acted on it, so the stored credentials are still good.
    server.switches().hold_renewals(false);
    let app = start(&home).await;
    let window = app.window().await;
    window.says("record-count", "1,000").await;
    window.has_phase("signed_in").await;
    window.shows_no_ending().await;
}

/// A server that outlives the application.
async fn own_server() -> DemoServer {
    let server = DemoServer::start(Options::default()).await;
    server.expect("a server of its own")
}

/// Signs in, and begins a renewal that the server does not answer yet.
async fn renew_at_a_gate(app: &Application<'_>, server: &DemoServer) {
    let demo = server.switches();
    let window = app.window().await;
    sign_in_at(&window, &server.origin(), DEMO_EMAIL, DEMO_PASSWORD).await;
    open_panels(&window).await;
    demo.expire_access_tokens().await.expect("expired");
    demo.reset_counts();
    demo.hold_renewals(true);
    window.click("panels-reload").await;
    demo.wait_for(Counter::RenewalsSent, 1).await;
}
