//! The applications in `examples/`, in the real window: the one that the guide builds, and the one with the GraphQL
//! clients that people use. Their server runs here, so its switches and counts are at hand.
//!
//! `scripts/test.sh examples` builds both and gives them a desktop of their own. Screenshots and logs stay in
//! `target/examples/`.

#[allow(
    dead_code,
    reason = "shared with the desktop client's tests, which use all of it"
)]
#[path = "desktop/application.rs"]
mod application;
#[allow(
    dead_code,
    reason = "shared with the desktop client's tests, which use all of it"
)]
#[path = "desktop/close_button.rs"]
mod close_button;
#[allow(
    dead_code,
    reason = "shared with the desktop client's tests, which use all of it"
)]
#[path = "desktop/switchboard.rs"]
mod switchboard;
#[path = "desktop/waiting.rs"]
mod waiting;
#[allow(
    dead_code,
    reason = "shared with the desktop client's tests, which use all of it"
)]
#[path = "desktop/window.rs"]
mod window;

use std::path::{Path, PathBuf};

use application::{Application, Home};
use demo_server::{DEMO_EMAIL, DEMO_PASSWORD, DemoServer, Options};
use serde_json::json;
use window::Window;

/// Where the evidence stays.
const EVIDENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/examples");

/// The clients of `examples/clients`, by the ids of their results.
const CLIENTS: [&str; 4] = ["apollo", "urql", "graphql-request", "tanstack"];

#[tokio::test]
async fn the_guides_application_signs_in_shows_its_list_renews_once_and_signs_out() {
    let server = server().await;
    let switches = server.switches();
    let home = Home::new(Path::new(EVIDENCE), "minimal-").await;
    let app = Application::start(&home, &built("example-minimal")).await;
    let window = app.window().await;

    sign_in(&window, &server, "not the password").await;
    window.has("problem", "data-code", "wrong_password").await;
    sign_in(&window, &server, DEMO_PASSWORD).await;
    window.has("status", "data-phase", "signed_in").await;
    window.says("status", DEMO_EMAIL).await;
    shows_people(&window, 20).await;
    window.picture("list").await;

    switches.expire_access_tokens().await.expect("expired");
    switches.reset_counts();
    let empty = "document.querySelector('#list').replaceChildren()";
    window.ask(empty, vec![]).await;
    window.click("reload").await;
    shows_people(&window, 20).await;
    let counts = switches.counts();
    let renewals = (counts.renewals_sent, counts.renewals_accepted);
    assert_eq!(renewals, (1, 1), "{counts:?}");
    assert_eq!(
        (counts.calls_refused, counts.operation("People")),
        (1, 2),
        "refused once, and replayed: {counts:?}"
    );
    window.has("status", "data-phase", "signed_in").await;

    window.click("sign-out").await;
    window.shows("sign-in").await;
    window.has("status", "data-phase", "signed_out").await;
    shows_people(&window, 0).await;
    app.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn apollo_urql_graphql_request_and_tanstack_query_and_mutate_over_one_renewal_each() {
    let server = server().await;
    let switches = server.switches();
    let home = Home::new(Path::new(EVIDENCE), "clients-").await;
    let app = Application::start(&home, &built("example-clients")).await;
    let window = app.window().await;
    sign_in(&window, &server, DEMO_PASSWORD).await;
    window.has("status", "data-phase", "signed_in").await;

    for client in CLIENTS {
        switches.expire_access_tokens().await.expect("expired");
        switches.reset_counts();
        window.click(&format!("run-{client}")).await;
        window
            .says(client, &format!("{DEMO_EMAIL} made {client}"))
            .await;
        let counts = switches.counts();
        assert_eq!(
            (counts.renewals_sent, counts.renewals_accepted),
            (1, 1),
            "{client}: {counts:?}"
        );
        let sent = counts.operation("Me") + counts.operation("Create");
        assert_eq!(
            sent - counts.calls_refused,
            2,
            "{client}: the query and the mutation ran once each: {counts:?}"
        );
        assert!(counts.calls_refused >= 1, "{client}: {counts:?}");
    }
    window.picture("results").await;

    window.click("sign-out").await;
    window.shows("sign-in").await;
    app.quit().await;
    server.stop().await;
}

async fn server() -> DemoServer {
    DemoServer::start(Options::default())
        .await
        .expect("a server of its own")
}

async fn sign_in(window: &Window<'_>, server: &DemoServer, password: &str) {
    window.fill("server", &server.origin()).await;
    window.fill("email", DEMO_EMAIL).await;
    window.fill("password", password).await;
    window.click("submit").await;
}

/// Waits until the list has so many people.
async fn shows_people(window: &Window<'_>, count: u64) {
    let people = "return document.querySelectorAll('#list > li').length";
    waiting::until(&format!("{count} people in the list"), async || {
        (window.ask(people, vec![]).await == json!(count)).then_some(())
    })
    .await;
}

/// An example's program. It is a package of its own, so cargo does not build it for this test.
fn built(example: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_holdfast")).with_file_name(example);
    assert!(
        program.exists(),
        "{} is not built: scripts/test.sh examples builds it",
        program.display()
    );
    program
}
