//! The one query that is sent before a page asks for it.

use demo_server::{Calls, Counter, DEMO_EMAIL, DEMO_PASSWORD, DemoServer, Options};
use serde_json::json;
use tauri::test::mock_builder;
use tauri_plugin_graphql_session::Builder;
use tauri_plugin_graphql_session::graphql_session::{Call, Config, Person, Session};

use crate::desk::{Desk, EVERYTHING, Page, context, wait};

const PEOPLE: &str = "query People { people(first: 1) { totalCount } }";

/// Longer than a reply takes that comes at once, so that nothing comes that should not.
const A_WHILE: std::time::Duration = std::time::Duration::from_millis(300);

#[test]
fn the_first_page_with_the_same_call_gets_the_reply_and_the_next_one_asks_for_itself() {
    let server = server();
    let switches = server.switches();
    let desk = desk_with_stored_session(&server);
    wait(switches.wait_for(Counter::Calls, 1));
    let pages = [desk.window("main"), desk.window("main-2")];

    assert_eq!(people(&pages[0]), 1_000);
    assert_eq!(switches.counts().operation("People"), 1);
    assert_eq!(people(&pages[1]), 1_000);
    assert_eq!(switches.counts().operation("People"), 2);
}

#[test]
fn a_page_that_asks_during_the_early_call_waits_for_its_reply() {
    let server = server();
    let switches = server.switches();
    switches.hold_renewals(true);
    let desk = Desk::open_with(EVERYTHING, |builder, configure| {
        store_session(configure("default"), &server);
        wait(switches.expire_access_tokens()).expect("expired");
        switches.reset_counts();
        builder.prefetch(call(PEOPLE))
    });
    wait(switches.wait_for(Counter::RenewalsHeld, 1));
    let page = desk.window("main");
    let asked = std::thread::spawn(move || people(&page));
    std::thread::sleep(A_WHILE);
    switches.hold_renewals(false);

    assert_eq!(asked.join().expect("no panic"), 1_000);
    // Refused, and replayed after the one renewal: the page sent nothing of its own.
    let counts = switches.counts();
    assert_eq!((counts.operation("People"), counts.renewals_sent), (2, 1));
}

#[test]
fn a_call_that_differs_is_made_as_ever() {
    let server = server();
    let switches = server.switches();
    let desk = desk_with_stored_session(&server);
    wait(switches.wait_for(Counter::Calls, 1));
    let page = desk.window("main");

    let other = page.execute(
        "graphql",
        "query Others { people(first: 2) { totalCount } }",
    );
    other.expect("a reply");
    let headers = json!({ "x-other": "1" });
    let metadata = json!({ "requestId": "other", "endpoint": "graphql", "headers": headers });
    page.execute_as(metadata, PEOPLE).expect("a reply");
    let counts = switches.counts();
    assert_eq!(
        (counts.operation("Others"), counts.operation("People")),
        (1, 2)
    );
}

#[test]
fn what_was_asked_in_one_session_is_not_shown_in_the_next() {
    let server = server();
    let switches = server.switches();
    let desk = desk_with_stored_session(&server);
    wait(switches.wait_for(Counter::Calls, 1));
    let page = desk.window("main");
    page.invoke("sign_out", json!({})).expect("signed out");
    page.invoke(
        "sign_in",
        json!({ "server": server.origin(), "email": DEMO_EMAIL, "password": DEMO_PASSWORD }),
    )
    .expect("signed in");

    assert_eq!(people(&page), 1_000);
    assert_eq!(switches.counts().operation("People"), 2);
}

#[test]
fn an_early_call_that_failed_is_made_again_by_the_page() {
    let server = server();
    let switches = server.switches();
    let desk = Desk::open_with(EVERYTHING, |builder, configure| {
        store_session(configure("default"), &server);
        switches.drop_connections(Some(Calls::All));
        builder.prefetch(call(PEOPLE))
    });
    // A query whose connection was lost is sent once more.
    wait(switches.wait_for(Counter::ConnectionsDropped, 2));
    switches.drop_connections(None);

    assert_eq!(people(&desk.window("main")), 1_000);
}

#[test]
fn nothing_is_sent_where_nobody_is_signed_in() {
    let desk = Desk::open_with(EVERYTHING, |builder, _| builder.prefetch(call(PEOPLE)));
    let page = desk.signed_in_window("main");

    assert_eq!(people(&page), 1_000);
    let counts = desk.switches.counts();
    assert_eq!(counts.operation("People"), 1);
}

#[test]
fn only_a_query_can_be_prefetched() {
    let folder = tempfile::tempdir().expect("a folder");
    let plugin = Builder::new()
        .session(Config::new("plugin-test", folder.path()))
        .prefetch(call("mutation { createPerson(data: {}) { id } }"));
    let app = mock_builder()
        .plugin(plugin.build())
        .build(context(EVERYTHING));
    let refusal = app.expect_err("it was not to start").to_string();
    assert!(refusal.contains("Only a query"), "{refusal}");
}

fn server() -> DemoServer {
    wait(DemoServer::start(Options::default())).expect("a server")
}

/// An application that prefetches, where an earlier run has left a session.
fn desk_with_stored_session(server: &DemoServer) -> Desk {
    Desk::open_with(EVERYTHING, |builder, configure| {
        store_session(configure("default"), server);
        builder.prefetch(call(PEOPLE))
    })
}

fn store_session(config: Config, server: &DemoServer) {
    wait(async {
        let session = Session::open(config).await.expect("a session");
        let person = Person {
            email: DEMO_EMAIL.to_owned(),
            password: DEMO_PASSWORD.into(),
        };
        session
            .sign_in(&server.origin(), person)
            .await
            .expect("signed in");
        session.close().await;
    });
    server.switches().reset_counts();
}

fn call(query: &str) -> Call {
    Call::new("graphql", json!({ "query": query }).to_string())
}

fn people(page: &Page) -> u64 {
    let reply = page.execute("graphql", PEOPLE).expect("a reply");
    reply["data"]["people"]["totalCount"]
        .as_u64()
        .expect("a count")
}
