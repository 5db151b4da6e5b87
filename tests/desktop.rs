//! The real window: the built application, started by WebKitWebDriver, with its real keyring and its demo server. What a
//! person sees is read from the page, and what really happened from the server's counts.
//!
//! Needs a display, a session bus and an unlocked keyring: `scripts/private-desktop.sh cargo test --test desktop`.
//! Screenshots and logs stay in `target/desktop/`.

#[path = "desktop/another_server.rs"]
mod another_server;
#[path = "desktop/kit.rs"]
mod kit;
#[allow(dead_code, reason = "the client itself uses all of it")]
#[path = "../src-tauri/app/process.rs"]
mod process;
#[path = "desktop/process_limits.rs"]
mod process_limits;
#[path = "desktop/quitting.rs"]
mod quitting;
#[path = "desktop/signing_in.rs"]
mod signing_in;
#[path = "../src-tauri/app/stable_hash.rs"]
mod stable_hash;
#[path = "desktop/unsent.rs"]
mod unsent;
#[path = "../src-tauri/app/unsent_files.rs"]
mod unsent_files;
#[path = "desktop/ways_out.rs"]
mod ways_out;

use std::net::TcpStream;
use std::path::Path;

use demo_server::{Calls, Counter, DEMO_EMAIL, DEMO_PASSWORD, DemoServer, Options};
use kit::application::{Application, DemoSetting, Home};
use kit::demo_control::Counts;
use kit::steps::{all_panels_ready, open_panels, reload_all, second_window, sign_in, sign_in_at};
use kit::waiting;
use kit::window::Window;
use serde_json::json;

/// The application under test, in the build that people use.
const APPLICATION: &str = env!("CARGO_BIN_EXE_holdfast");

/// The folder of screenshots and logs.
const EVIDENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/desktop");

#[tokio::test]
async fn an_idle_window_past_expiry_renews_silently_when_it_is_used_again() {
    let home = home("idle").await;
    let app = start(&home).await;
    let window = app.window().await;
    let demo = sign_in(&app, &window).await;

    demo.expire_and_count().await;
    window.click("object-companies").await;
    window.says("record-count", "500").await;
    window.has_phase("signed_in").await;

    let counts = demo.counts().await;
    // The expired token was noticed by a refusal.
    assert!(counts.calls_refused >= 1, "{counts:?}");
    assert_eq!((counts.renewals_sent, counts.renewals_accepted), (1, 1));
    window.shows_no_ending().await;
    assert!(!window.is_shown("sign-in-submit").await);
}

#[tokio::test]
async fn eight_panels_with_an_expired_token_share_one_renewal_over_both_endpoints() {
    let home = home("panels").await;
    let app = start(&home).await;
    let window = app.window().await;
    let demo = sign_in(&app, &window).await;
    open_panels(&window).await;

    // Another query of the page, one that polls, would renew before the panels are loaded.
    demo.expire_and_hold_renewals().await;
    window.click("panels-reload").await;
    demo.until_refused(8).await;
    demo.release_renewals().await;
    all_panels_ready(&window).await;
    // When a second reload has ended, every request of the first one has reached the server.
    let counts = demo.counts().await;
    window.click("panels-reload").await;
    demo.until_counted("a second reload", |now| {
        now.operation("PanelObjects") > counts.operation("PanelObjects")
    })
    .await;
    all_panels_ready(&window).await;

    let counts = demo.counts().await;
    assert_eq!((counts.renewals_sent, counts.renewals_accepted), (1, 1));
    window.shows_no_ending().await;
    window.picture("eight-panels").await;
}

#[tokio::test]
async fn a_server_that_stops_signs_nobody_out_and_is_used_again_when_it_returns() {
    let home = home("away").await;
    let data = tempfile::tempdir().expect("a temporary folder");
    let options = |port| Options {
        port,
        data: Some(data.path().into()),
        ..Options::default()
    };
    let server = DemoServer::start(options(0)).await.expect("a server");
    let port = server.address().port();
    let app = start(&home).await;
    let window = app.window().await;
    sign_in_at(&window, &server.origin(), DEMO_EMAIL, DEMO_PASSWORD).await;
    open_panels(&window).await;

    let switches = server.switches();
    switches.expire_access_tokens().await.expect("expired");
    switches.drop_connections(Some(Calls::Renewals));
    window.click("panels-reload").await;
    switches.wait_for(Counter::RenewalsSent, 1).await;
    server.stop().await;
    window.has_phase("unreachable").await;
    window
        .says("session-banner", "You are still signed in")
        .await;
    window.picture("unreachable").await;
    assert!(!window.is_shown("sign-in-submit").await && !window.is_shown("ended-dialog").await);
    window.shows_no_ending().await;

    let again = DemoServer::start(options(port)).await;
    let server = again.expect("the same server again");
    // Not where the client has found the server by itself.
    window.click_if_shown("try-now").await;
    window.has_phase("signed_in").await;
    window.hides("session-banner").await;
    reload_all(&window).await;
    all_panels_ready(&window).await;
    window.shows_no_ending().await;
    let counts = server.switches().counts();
    let renewals = (counts.renewals_accepted, counts.renewals_refused);
    assert_eq!(renewals, (1, 0), "{counts:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_revoked_session_ends_once_per_window_and_a_sign_in_keeps_what_was_typed() {
    let home = home("ended").await;
    let app = start(&home).await;
    let first = app.window().await;
    let demo = sign_in(&app, &first).await;
    let second = second_window(&app, &first).await;
    for window in [&first, &second] {
        window.count_logout_events().await;
    }
    first.click("new-record").await;
    first.fill("field-jobTitle", "Half a title").await;

    demo.turn(
        json!({ "revokeRefreshTokens": true, "expireAccessTokens": true, "resetCounts": true }),
    )
    .await;
    reload_all(&second).await;
    for window in [&first, &second] {
        window.shows("ended-dialog").await;
        window.says("ended-reason", "the server revoked it").await;
        assert_eq!(window.logout_events().await, 1);
    }
    let counts = demo.counts().await;
    // One ending, after one renewal.
    assert_eq!((counts.renewals_sent, counts.renewals_refused), (1, 1));

    first.holds("sign-in-email", DEMO_EMAIL).await;
    first.fill("sign-in-password", DEMO_PASSWORD).await;
    first.picture("dialog").await;
    first.click("sign-in-again").await;
    for window in [&first, &second] {
        window.hides("ended-dialog").await;
        window.has_phase("signed_in").await;
        assert_eq!(window.logout_events().await, 1);
    }
    first.holds("field-jobTitle", "Half a title").await;
    reload_all(&second).await;
    second.says("record-count", "1,000").await;
    // Nothing of the ended session is tried again.
    assert_eq!(demo.counts().await.renewals_sent, 1);
}

#[tokio::test]
async fn two_windows_with_an_expired_token_share_one_renewal() {
    let home = home("two-windows").await;
    let app = start(&home).await;
    let first = app.window().await;
    let demo = sign_in(&app, &first).await;
    let second = second_window(&app, &first).await;

    demo.expire_and_count().await;
    second.click("object-companies").await;
    second.says("record-count", "500").await;
    first.click("object-companies").await;
    first.says("record-count", "500").await;

    let counts = demo.counts().await;
    assert_eq!((counts.renewals_sent, counts.renewals_accepted), (1, 1));
    for window in [&first, &second] {
        window.has_phase("signed_in").await;
        window.shows_no_ending().await;
    }
}

#[tokio::test]
async fn a_restarted_application_is_still_signed_in_from_the_keyring() {
    let home = home("restart").await;
    let app = start(&home).await;
    let window = app.window().await;
    let demo = sign_in(&app, &window).await;
    window.has_storage("saved").await;
    app.quit().await;

    let app = start(&home).await;
    let window = app.window().await;
    window.has_phase("signed_in").await;
    window.says("record-count", "1,000").await;
    let counts = demo.counts().await;
    let sign_ins = counts.operation("GetLoginTokenFromCredentials");
    assert_eq!(sign_ins, 0, "nobody signed in again: {counts:?}");
    // Sent once, whether by the start or by the page.
    assert_eq!(counts.operation("ObjectMetadataItems"), 1, "{counts:?}");
    // The stored session is intact: it can be renewed.
    demo.expire_and_count().await;
    window.click("object-companies").await;
    window.says("record-count", "500").await;
    assert_eq!(demo.counts().await.renewals_accepted, 1);
}

#[tokio::test]
async fn at_its_start_the_client_runs_the_demo_server_only_for_a_session_with_it() {
    let elsewhere = DemoServer::start(Options::default()).await;
    let elsewhere = elsewhere.expect("a server");
    let mut home = home("lazy").await;
    home.set_demo(DemoSetting::WhereUsed);
    let app = start(&home).await;
    let window = app.window().await;
    sign_in_at(&window, &elsewhere.origin(), DEMO_EMAIL, DEMO_PASSWORD).await;
    window.has_storage("saved").await;
    // The sign-in form was filled in with it.
    let port = home.demo_port().expect("the demo server has run");
    let own_demo = format!("127.0.0.1:{port}");
    assert!(TcpStream::connect(&own_demo).is_ok());
    app.quit().await;

    let app = start(&home).await;
    let window = app.window().await;
    window.says("record-count", "1,000").await;
    assert!(TcpStream::connect(&own_demo).is_err(), "nobody uses it");
    window.click("account-menu").await;
    window.click("menu-sign-out").await;
    let demo = format!("http://{own_demo}");
    sign_in_at(&window, &demo, DEMO_EMAIL, DEMO_PASSWORD).await;
    window.has_storage("saved").await;
    app.quit().await;

    let app = start(&home).await;
    let window = app.window().await;
    window.says("record-count", "1,000").await;
    let runs = TcpStream::connect(&own_demo).is_ok();
    assert!(runs, "the session needs it");
    app.quit().await;

    // A start without it changes nothing.
    home.set_demo(DemoSetting::Off);
    let app = start(&home).await;
    let window = app.window().await;
    window.has_phase("unreachable").await;
    app.quit().await;
    home.set_demo(DemoSetting::WhereUsed);
    let app = start(&home).await;
    let window = app.window().await;
    window.says("record-count", "1,000").await;
    elsewhere.stop().await;
}

#[tokio::test]
async fn a_window_closed_during_its_renewal_does_not_disturb_the_others() {
    let home = home("closed").await;
    let app = start(&home).await;
    let first = app.window().await;
    let demo = sign_in(&app, &first).await;
    let second = second_window(&app, &first).await;

    demo.turn(json!({ "holdRenewals": true, "expireAccessTokens": true, "resetCounts": true }))
        .await;
    second.click("object-companies").await;
    let held = |counts: &Counts| counts.renewals_held == 1;
    demo.until_counted("the renewal at the gate", held).await;
    second.close().await;
    waiting::until("one window to be left", async || {
        (app.windows().await.len() == 1).then_some(())
    })
    .await;
    first.click("object-companies").await;
    demo.turn(json!({ "holdRenewals": false })).await;
    first.says("record-count", "500").await;
    first.has_phase("signed_in").await;

    let counts = demo.counts().await;
    assert_eq!((counts.renewals_sent, counts.renewals_accepted), (1, 1));
    first.shows_no_ending().await;
}

#[tokio::test]
async fn a_wrong_password_is_shown_next_to_its_field_and_can_be_corrected() {
    let home = home("sign-in").await;
    let app = start(&home).await;
    let window = app.window().await;
    let demo = app.choose_demo(&window).await;

    window.fill("sign-in-email", DEMO_EMAIL).await;
    window.fill("sign-in-password", "not the password").await;
    window.click("sign-in-submit").await;
    window
        .has("sign-in-error", "data-code", "wrong_password")
        .await;
    window.says("sign-in-error", "password").await;
    window.picture("wrong-password").await;
    window.holds("sign-in-email", DEMO_EMAIL).await;

    window.fill("sign-in-password", DEMO_PASSWORD).await;
    window.click("sign-in-submit").await;
    window.has_phase("signed_in").await;
    // A wrong password is no reason to renew.
    assert_eq!(demo.counts().await.renewals_sent, 0);

    window.count_logout_events().await;
    window.click("account-menu").await;
    window.click("menu-sign-out").await;
    window.shows("sign-in-submit").await;
    window.shows_no_ending().await;
    // The person's own sign-out is no logout.
    assert_eq!(window.logout_events().await, 0);
}

#[tokio::test]
async fn every_screen_fits_both_sizes_in_both_themes() {
    let home = home("look").await;
    let app = start(&home).await;
    let window = app.window().await;
    app.choose_demo(&window).await;
    for (width, height) in SIZES {
        window.resize(width, height).await;
        fits(&window).await;
        window.picture(&format!("sign-in-{width}x{height}")).await;
    }
    sign_in(&app, &window).await;
    for theme in ["light", "dark"] {
        window.click("account-menu").await;
        window.click(&format!("menu-theme-{theme}")).await;
        window.click("account-menu").await;
        window.hides("menu-sign-out").await;
        for (width, height) in SIZES {
            window.resize(width, height).await;
            window.click("object-people").await;
            window.says("record-count", "1,000").await;
            waiting::until("rows in the table", async || {
                window.text("grid").await?.contains('@').then_some(())
            })
            .await;
            fits(&window).await;
            let size = format!("{theme}-{width}x{height}");
            window.picture(&format!("people-{size}")).await;
            open_panels(&window).await;
            fits(&window).await;
            window.picture(&format!("panels-{size}")).await;
        }
    }
}

/// A usual window and the smallest one.
const SIZES: [(u32, u32); 2] = [(1280, 800), (800, 600)];

/// No element makes the page scroll sideways.
async fn fits(window: &Window<'_>) {
    let over = "return document.documentElement.scrollWidth - innerWidth";
    let over = window.ask(over, vec![]).await;
    let fits = over.as_i64().is_some_and(|over| over <= 0);
    assert!(fits, "the page is {over} pixels too wide");
}

async fn home(scenario: &str) -> Home {
    Home::new(Path::new(EVIDENCE), &format!("{scenario}-")).await
}

async fn start(home: &Home) -> Application<'_> {
    Application::start(home, Path::new(APPLICATION)).await
}
