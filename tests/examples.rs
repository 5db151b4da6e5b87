//! The applications in `examples/`, in the real window: the one that the guide builds, and the one with the GraphQL
//! clients that people use. Their server runs here, so its switches and counts are at hand.
//!
//! `scripts/test.sh examples` builds both and gives them a desktop of their own. Screenshots and logs stay in
//! `target/examples/`.

#[allow(dead_code, reason = "the desktop client's tests use all of it")]
#[path = "desktop/kit.rs"]
mod kit;
#[path = "examples/signing_in.rs"]
mod signing_in;

use std::path::{Path, PathBuf};

use demo_server::{Counts, DEMO_EMAIL, DEMO_PASSWORD, DemoServer, Options, Switches};
use kit::application::{Application, Home};
use kit::waiting;
use kit::window::Window;
use serde_json::json;

/// The folder of screenshots and logs.
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

    expire_and_count(&switches).await;
    let empty = "document.querySelector('#list').replaceChildren()";
    window.ask(empty, vec![]).await;
    window.click("reload").await;
    shows_people(&window, 20).await;
    let counts = counts_of_one_renewal(&switches, "the list");
    let people = (counts.calls_refused, counts.operation("People"));
    assert_eq!(people, (1, 2), "refused once, and replayed: {counts:?}");
    window.has("status", "data-phase", "signed_in").await;

    window.click("sign-out").await;
    window.shows("sign-in").await;
    window.has("status", "data-phase", "signed_out").await;
    shows_people(&window, 0).await;
    app.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn each_client_library_queries_and_mutates_over_one_renewal() {
    let server = server().await;
    let switches = server.switches();
    let home = Home::new(Path::new(EVIDENCE), "clients-").await;
    let app = Application::start(&home, &built("example-clients")).await;
    let window = app.window().await;
    sign_in_and_hear(&window, &server, &switches).await;

    for client in CLIENTS {
        expire_and_count(&switches).await;
        window.click(&format!("run-{client}")).await;
        let made = format!("{DEMO_EMAIL} made {client}");
        window.says(client, &made).await;
        let counts = counts_of_one_renewal(&switches, client);
        let sent = counts.operation("Me") + counts.operation("Create");
        // The query and the mutation ran once each.
        assert_eq!(sent - counts.calls_refused, 2, "{client}: {counts:?}");
        assert!(counts.calls_refused >= 1, "{client}: {counts:?}");
    }
    window.picture("results").await;

    window.click("sign-out").await;
    window.shows("sign-in").await;
    app.quit().await;
    server.stop().await;
}

/// In the order of the test:
/// 1. An event arrives.
/// 2. The token expires, and a call renews it: the stream stays, and the next event arrives.
/// 3. The server stops and returns: the page says that events may be missing, and goes on with the newer token.
/// 4. The page loads again: its stream is closed, and that of the new page is open.
/// 5. The window is closed, and the application with it: nothing is open.
/// 6. The application starts again and gets events; the person signs out: nothing is open.
#[tokio::test]
async fn a_page_gets_events_over_a_renewal_a_restart_and_a_reload_and_leaves_no_stream() {
    let data = tempfile::tempdir().expect("a folder");
    let options = Options {
        data: Some(data.path().to_path_buf()),
        ..Options::default()
    };
    let server = DemoServer::start(options.clone()).await.expect("a server");
    let port = server.address().port();
    let switches = server.switches();
    let home = Home::new(Path::new(EVIDENCE), "streams-").await;
    let app = Application::start(&home, &built("example-clients")).await;
    let window = app.window().await;
    sign_in_and_hear(&window, &server, &switches).await;
    creates_and_hears(&window, "apollo").await;

    expire_and_count(&switches).await;
    creates_and_hears(&window, "urql").await;
    let counts = counts_of_one_renewal(&switches, "beside a stream");
    let streams = (counts.streams_opened, counts.streams_open);
    assert_eq!(streams, (0, 1), "the first one is still open: {counts:?}");

    server.stop().await;
    let returned = DemoServer::start(Options { port, ..options }).await;
    let server = returned.expect("the server returns");
    let switches = server.switches();
    window.says("events", "Events may be missing").await;
    has_streams(&switches, 1, 1).await;
    creates_and_hears(&window, "graphql-request").await;
    let counts = switches.counts();
    let refused = (counts.calls_refused, counts.renewals_sent);
    assert_eq!(refused, (0, 0), "with the newer token: {counts:?}");
    window.picture("gap").await;

    window.ask("location.reload()", vec![]).await;
    has_streams(&switches, 2, 1).await;
    creates_and_hears(&window, "tanstack").await;
    let heard = window.text("events").await.expect("a list");
    assert!(!heard.contains("urql"), "a new page's list: {heard}");

    app.press_close_button();
    app.has_quit().await;
    has_streams(&switches, 2, 0).await;

    // Signs out, because the tests that follow use the same keyring.
    let app = Application::start(&home, &built("example-clients")).await;
    let window = app.window().await;
    has_streams(&switches, 3, 1).await;
    window.click("sign-out").await;
    window.shows("sign-in").await;
    has_streams(&switches, 3, 0).await;
    app.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn a_file_of_3_mib_arrives_unchanged_after_one_renewal() {
    let server = server().await;
    let switches = server.switches();
    let home = Home::new(Path::new(EVIDENCE), "upload-").await;
    let app = Application::start(&home, &built("example-clients")).await;
    let window = app.window().await;
    sign_in_and_hear(&window, &server, &switches).await;

    expire_and_count(&switches).await;
    window.click("send").await;
    window.says("sent", "3145728 bytes arrived unchanged").await;
    let counts = counts_of_one_renewal(&switches, "the upload");
    let uploads = (counts.calls_refused, counts.operation("Upload"));
    assert_eq!(uploads, (1, 2), "replayed whole: {counts:?}");
    window.click("sign-out").await;
    window.shows("sign-in").await;
    app.quit().await;
    server.stop().await;
}

async fn server() -> DemoServer {
    let server = DemoServer::start(Options::default()).await;
    server.expect("a server of its own")
}

/// Expires every access token and resets the counts.
async fn expire_and_count(switches: &Switches) {
    switches.expire_access_tokens().await.expect("expired");
    switches.reset_counts();
}

/// The server's counts. There was one renewal since their reset, and it succeeded.
fn counts_of_one_renewal(switches: &Switches, what: &str) -> Counts {
    let counts = switches.counts();
    let renewals = (counts.renewals_sent, counts.renewals_accepted);
    assert_eq!(renewals, (1, 1), "{what}: {counts:?}");
    counts
}

/// Signs in. All tests have the same keyring, and one whose application was ended right after its sign-out may have left its
/// session there: the list of ended sessions is in that test's own folder.
async fn sign_in(window: &Window<'_>, server: &DemoServer, password: &str) {
    let is_left_over = waiting::until("a form or a session", async || {
        let form = window.is_shown("submit").await;
        match (form, window.is_shown("sign-out").await) {
            (true, false) => Some(false),
            (false, true) => Some(true),
            _ => None,
        }
    });
    if is_left_over.await {
        window.click("sign-out").await;
        window.shows("sign-in").await;
    }
    window.fill("server", &server.origin()).await;
    window.fill("email", DEMO_EMAIL).await;
    window.fill("password", password).await;
    window.click("submit").await;
}

/// Signs in where the page subscribes, and waits for its stream: one that opens after the token has expired is refused as
/// well, and would be counted among the refusals.
async fn sign_in_and_hear(window: &Window<'_>, server: &DemoServer, switches: &Switches) {
    sign_in(window, server, DEMO_PASSWORD).await;
    window.has("status", "data-phase", "signed_in").await;
    has_streams(switches, 1, 1).await;
}

/// Waits until the server has opened this many streams since the reset of its counts, and has this many open.
async fn has_streams(switches: &Switches, opened: u64, open: u64) {
    let what = format!("{opened} streams, {open} of them open");
    waiting::until(&what, async || {
        let counts = switches.counts();
        ((counts.streams_opened, counts.streams_open) == (opened, open)).then_some(())
    })
    .await;
}

/// Lets a client create a person with the client's name, and waits for the event in the page.
async fn creates_and_hears(window: &Window<'_>, client: &str) {
    window.click(&format!("run-{client}")).await;
    let made = format!("{DEMO_EMAIL} made {client}");
    window.says(client, &made).await;
    window.says("events", &format!("CREATED {client}")).await;
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
    let is_built = program.exists();
    assert!(is_built, "scripts/test.sh examples builds {program:?}");
    program
}
