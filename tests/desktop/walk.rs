//! The walk through the demo, for a machine without a display: the steps of a person, with the server's counts after
//! each. `make run` starts it; the first argument names the folder of the screenshots.

#[allow(dead_code, reason = "the window's tests use all of it")]
#[path = "kit.rs"]
mod kit;

use std::path::{Path, PathBuf};

use demo_server::{DEMO_EMAIL, DEMO_PASSWORD};
use kit::application::{Application, Home};
use kit::demo_control::{Counts, DemoControl};
use kit::steps::{all_panels_ready, open_panels, reload_all, second_window, sign_in};
use kit::waiting;
use kit::window::Window;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let pictures = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("target/demo"), PathBuf::from);
    let home = Home::new(&pictures, "").await;
    let app = Application::start(&home, &client()).await;
    let first = app.window().await;
    let mut teller = Teller { steps: 0 };

    let demo = sign_in(&app, &first).await;
    first.count_logout_events().await;
    let what = format!("{DEMO_EMAIL} signs in at the demo server");
    teller.step(&what, &demo, &[&first], "signed-in").await;

    open_panels(&first).await;
    let what = "Eight panels: eight queries at once, over both endpoints";
    teller.step(what, &demo, &[&first], "eight-panels").await;

    demo.expire_and_hold_renewals().await;
    reload_all(&first).await;
    demo.until_refused(PANELS).await;
    demo.release_renewals().await;
    all_panels_ready(&first).await;
    let what = "The access token expires, and everything is loaded again: one renewal";
    let counts = teller.step(what, &demo, &[&first], "renewed").await;
    assert_eq!((counts.renewals_sent, counts.renewals_accepted), (1, 1));
    first.shows_no_ending().await;

    let second = second_window(&app, &first).await;
    second.count_logout_events().await;
    demo.expire_and_count().await;
    for window in [&second, &first] {
        reload_all(window).await;
    }
    demo.until_counted("the panels", |counts| counts.operation("PanelObjects") > 0)
        .await;
    all_panels_ready(&first).await;
    second.says("record-count", "1,000").await;
    let what = "A second window shares the session: expired again, one renewal for both";
    let counts = teller
        .step(what, &demo, &[&second, &first], "second-window")
        .await;
    assert_eq!((counts.renewals_sent, counts.renewals_accepted), (1, 1));

    demo.turn(json!({
        "revokeRefreshTokens": true, "expireAccessTokens": true, "resetCounts": true
    }))
    .await;
    reload_all(&first).await;
    for window in [&first, &second] {
        window.shows("ended-dialog").await;
    }
    let what = "The server revokes the session: one ending, one logout for each window";
    let counts = teller.step(what, &demo, &[&first, &second], "ended").await;
    assert_eq!((counts.renewals_sent, counts.renewals_refused), (1, 1));
    for window in [&first, &second] {
        assert_eq!(window.logout_events().await, 1);
    }

    demo.turn(json!({ "resetCounts": true })).await;
    first.fill("sign-in-password", DEMO_PASSWORD).await;
    first.click("sign-in-again").await;
    for window in [&first, &second] {
        window.hides("ended-dialog").await;
        window.has_phase("signed_in").await;
    }
    all_panels_ready(&first).await;
    let what = "Signed in again in place: both windows go on where they were";
    let counts = teller
        .step(what, &demo, &[&first, &second], "in-place")
        .await;
    assert_eq!(counts.renewals_sent, 0);

    waiting::picture_of_the_screen(&home.file("both-windows.png"));
    app.quit().await;
    println!(
        "The walk went as it should. Pictures are in {}",
        pictures.display()
    );
}

/// How many queries the page with the panels sends at once.
const PANELS: u64 = 8;

/// Prints each step with what the server counted since its counts were last reset.
struct Teller {
    steps: u32,
}

impl Teller {
    async fn step(
        &mut self,
        what: &str,
        demo: &DemoControl,
        windows: &[&Window<'_>],
        picture: &str,
    ) -> Counts {
        self.steps += 1;
        let counts = demo.counts().await;
        let file = windows[0]
            .picture(&format!("{}-{picture}", self.steps))
            .await;
        let mut logouts = Vec::new();
        for window in windows {
            logouts.push(window.logout_events().await.to_string());
        }
        println!("{}. {what}", self.steps);
        println!(
            "   calls at the server       {} ({} refused)",
            counts.calls, counts.calls_refused
        );
        println!(
            "   renewals at the server    {} ({} accepted, {} refused)",
            counts.renewals_sent, counts.renewals_accepted, counts.renewals_refused
        );
        println!("   logout events of windows  {}", logouts.join(" and "));
        println!("   {}", file.display());
        counts
    }
}

/// The application lies beside the folder of the examples.
fn client() -> PathBuf {
    let walk = std::env::current_exe().expect("the walk knows its own place");
    let programs = walk.parent().and_then(Path::parent);
    programs
        .expect("examples have a folder below the programs")
        .join("holdfast")
}
