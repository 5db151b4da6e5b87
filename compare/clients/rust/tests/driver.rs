//! Runs the binary as the orchestrator does, against a server in this process that can be told what to do.

#[path = "driver/process.rs"]
mod process;
#[path = "driver/server.rs"]
mod server;

use std::collections::BTreeMap;

use jiff::SignedDuration;
use process::Driver;
use serde_json::{Value, json};
use server::{Fault, Server};

const QUERY: &str = "query People { people { totalCount } }";

macro_rules! for_each_client {
    ($($test:ident),* $(,)?) => {
        mod smithy { $(#[tokio::test] async fn $test() { super::$test("smithy").await })* }
        mod google { $(#[tokio::test] async fn $test() { super::$test("google").await })* }
    };
}

for_each_client![
    a_call_with_a_valid_token_gets_its_data,
    what_is_wrong_with_an_answer_becomes_the_outcome,
    a_refused_call_is_an_error_and_not_sent_again,
    expired_calls_of_two_windows_wait_for_one_renewal,
    a_rejected_renewal_settles_its_call,
    an_aborted_call_settles_once,
    at_most_32_calls_are_on_the_wire,
    after_the_sign_out_nothing_is_held,
    a_second_process_reads_the_store,
    nothing_of_a_failed_start_stays,
    measure_runs_both_sides_in_turns,
    waiters_make_one_renewal_a_turn_on_both_sides,
    a_measurement_says_why_it_failed,
    a_call_without_data_is_not_measured,
    in_every_second_turn_the_client_goes_first,
    waiters_have_the_client_go_first_in_every_second_turn,
    waiters_count_the_calls_of_the_client_that_got_no_data,
    a_bare_request_that_fails_fails_the_waiters,
];

async fn a_call_with_a_valid_token_gets_its_data(client: &str) {
    let server = Server::start().await;
    let mut driver = Driver::open(client, &server).await;
    assert_eq!(
        driver.call(7, 1).await,
        json!({"settled": 7, "outcome": "data"})
    );
    let [call] = &server.calls()[..] else {
        panic!("one call");
    };
    assert_eq!(call.body, json!({"query": QUERY}));
    driver.end().await;
}

async fn what_is_wrong_with_an_answer_becomes_the_outcome(client: &str) {
    let server = Server::start().await;
    let mut driver = Driver::open(client, &server).await;
    for (status, answer, outcome) in [
        (
            200,
            r#"{"data":{"a":1},"errors":[{"message":"b"}]}"#,
            "partial",
        ),
        (200, r#"{"data":null,"errors":[{"message":"b"}]}"#, "error"),
        (200, r#"{"errors":[{"message":"b"}]}"#, "error"),
        (200, "<html>", "error"),
        (502, r#"{"data":{}}"#, "error"),
    ] {
        server.answer_with(status, answer);
        assert_eq!(driver.call(1, 0).await["outcome"], outcome, "{answer}");
    }
    driver.end().await;
}

async fn a_refused_call_is_an_error_and_not_sent_again(client: &str) {
    let server = Server::start().await;
    let mut driver = Driver::open(client, &server).await;
    driver.call(1, 0).await;
    let exchanges = server.exchanged().len();
    server.refuse_all_issued();
    assert_eq!(
        driver.call(2, 0).await,
        json!({"settled": 2, "outcome": "error", "error": "status 401"})
    );
    driver.say(json!({"do": "replays", "turns": 3})).await;
    assert_eq!(driver.hear().await, json!({"replayed": null}));
    assert_eq!(server.calls().len(), 2);
    assert_eq!(server.exchanged().len(), exchanges);
    driver.end().await;
}

async fn expired_calls_of_two_windows_wait_for_one_renewal(client: &str) {
    let server = Server::start().await;
    let mut driver = Driver::open(client, &server).await;
    driver.call(0, 0).await;
    let exchanges = server.exchanged().len();
    for round in 1..=3 {
        server.refuse_all_issued();
        driver.expire().await;
        let outcomes = driver.calls(1..=8).await;
        assert_eq!(outcomes, BTreeMap::from([("data".to_owned(), 8)]));
        assert_eq!(server.exchanged().len(), exchanges + round);
    }
    driver.end().await;
}

async fn a_rejected_renewal_settles_its_call(client: &str) {
    let server = Server::start().await;
    let mut driver = Driver::open(client, &server).await;
    driver.call(1, 0).await;
    server.reject_renewals();
    driver.expire().await;
    let exchanges = server.exchanged().len();
    driver.say_call(2, 1).await;
    if client == "google" {
        assert_eq!(driver.hear().await, json!({"logout": true, "window": 1}));
    }
    let settled = driver.hear().await;
    assert_eq!(
        (&settled["settled"], &settled["outcome"]),
        (&json!(2), &json!("error"))
    );
    assert_eq!(server.calls().len(), 1);
    if client == "smithy" {
        assert_eq!(
            server.exchanged().len(),
            exchanges + 1,
            "is not tried again"
        );
    }
    assert!(driver.signed_in().await, "the client keeps what it has");
    driver.end().await;
}

async fn an_aborted_call_settles_once(client: &str) {
    let server = Server::start().await;
    let mut driver = Driver::open(client, &server).await;
    server.hold_calls();
    driver.say_call(1, 0).await;
    server
        .until("the call", |server| server.calls().len() == 1)
        .await;
    driver.say(json!({"do": "abort", "id": 1})).await;
    assert_eq!(
        driver.hear().await,
        json!({"settled": 1, "outcome": "aborted"})
    );
    server.release_calls(1);
    driver.say(json!({"do": "abort", "id": 1})).await;
    assert!(driver.signed_in().await, "and nothing else was said");
    server.release_calls(1);
    assert_eq!(driver.call(2, 0).await["outcome"], "data");
    driver.end().await;
}

async fn at_most_32_calls_are_on_the_wire(client: &str) {
    let server = Server::start().await;
    let mut driver = Driver::open(client, &server).await;
    server.hold_calls();
    for id in 0..64 {
        driver.say_call(id, 0).await;
    }
    for released in 0..32 {
        server
            .until("the next call", |server| {
                server.calls().len() == 32 + released
            })
            .await;
        server.release_calls(1);
    }
    server.release_calls(32);
    for _ in 0..64 {
        assert_eq!(driver.hear().await["outcome"], "data");
    }
    assert_eq!(server.most_at_once(), 32);
    driver.end().await;
}

async fn after_the_sign_out_nothing_is_held(client: &str) {
    let server = Server::start().await;
    let mut driver = Driver::open(client, &server).await;
    assert!(driver.signed_in().await);
    driver.say(json!({"do": "signOut", "window": 0})).await;
    assert_eq!(driver.hear().await, json!({"signedOut": true}));
    assert!(!driver.signed_in().await);
    assert_eq!(
        driver.call(1, 1).await,
        json!({"settled": 1, "outcome": "error", "error": "signed out"})
    );
    assert_eq!(server.calls().len(), 0);
    driver.end().await;
}

async fn a_second_process_reads_the_store(client: &str) {
    let server = Server::start().await;
    let mut first = Driver::open(client, &server).await;
    first.call(1, 0).await;
    let mut second = first.beside(&server).await;
    assert!(second.signed_in().await);
    assert_eq!(second.call(1, 0).await["outcome"], "data");
    first.end().await;
    second.end().await;
}

async fn nothing_of_a_failed_start_stays(client: &str) {
    let mut driver = Driver::start(client);
    driver
        .say(json!({"do": "open", "origin": "not an address", "store": driver.store(), "windows": 1}))
        .await;
    assert_eq!(driver.hear().await["opened"], false);
    // A line that is no command is passed over.
    driver
        .say(json!({"do": "secret", "tokens": "secret"}))
        .await;
    let server = Server::start().await;
    driver
        .say(
            json!({"do": "open", "origin": server.origin(), "store": driver.store(), "windows": 1}),
        )
        .await;
    assert_eq!(driver.hear().await, json!({"opened": true}));
    assert!(!driver.signed_in().await, "the store is empty");
    driver.end().await;
}

async fn measure_runs_both_sides_in_turns(client: &str) {
    let server = Server::start().await;
    let mut driver = Driver::open(client, &server).await;
    driver
        .say(json!({"do": "measure", "callers": 4, "calls": 60, "turns": 3}))
        .await;
    let measured = driver.hear().await;
    for side in ["bare", "client", "bareCpu", "clientCpu"] {
        let turns = measured["measured"][side].as_array().expect("numbers");
        assert_eq!(turns.len(), 3);
        assert!(
            turns
                .iter()
                .all(|turn| turn.as_f64().expect("a number") > 0.0)
        );
    }
    // Three turns and one that does not count, of 20 calls on each side.
    assert_eq!(server.calls().len(), 2 * (3 + 1) * 20);
    driver.end().await;
}

async fn waiters_make_one_renewal_a_turn_on_both_sides(client: &str) {
    let server = Server::start().await;
    let mut driver = Driver::open(client, &server).await;
    driver.call(1, 0).await;
    let exchanges = server.exchanged().len();
    driver
        .say(json!({"do": "waiters", "calls": 100, "turns": 3}))
        .await;
    let waited = driver.hear().await;
    assert_eq!(waited["waited"]["failed"], 0);
    for side in ["bare", "client"] {
        assert_eq!(waited["waited"][side].as_array().expect("numbers").len(), 3);
    }
    assert_eq!(server.exchanged().len() - exchanges, 2 * 3);
    assert_eq!(server.calls().len() - 1, 2 * 3 * 100);
    assert_eq!(server.expired(), 3);
    driver.end().await;
}

async fn a_measurement_says_why_it_failed(client: &str) {
    let server = Server::start().await;
    let mut driver = Driver::open(client, &server).await;
    driver.call(1, 0).await;
    server.refuse_all_issued();
    driver
        .say(json!({"do": "measure", "callers": 2, "calls": 4, "turns": 1}))
        .await;
    let measured = driver.hear().await;
    assert_eq!(measured["measured"], Value::Null);
    assert!(
        measured["error"]
            .as_str()
            .expect("a reason")
            .contains("401")
    );
    driver.end().await;
}

async fn a_call_without_data_is_not_measured(client: &str) {
    let server = Server::start().await;
    let mut driver = Driver::open(client, &server).await;
    for answer in [r#"{"errors":[{"message":"b"}]}"#, r#"{"data":null}"#] {
        server.answer_with(200, answer);
        driver
            .say(json!({"do": "measure", "callers": 1, "calls": 1, "turns": 1}))
            .await;
        assert_eq!(
            driver.hear().await,
            json!({"measured": null, "error": "a call was answered without data"})
        );
    }
    driver.end().await;
}

async fn in_every_second_turn_the_client_goes_first(client: &str) {
    let server = Server::start().await;
    let mut driver = Driver::open(client, &server).await;
    driver.call(0, 0).await;
    server.hold_calls();
    driver
        .say(json!({"do": "measure", "callers": 1, "calls": 3, "turns": 3}))
        .await;
    server
        .until("a bare call", |server| server.calls().len() == 2)
        .await;
    // The bare side goes on with the token that it began with, so that they can be told apart.
    driver.expire().await;
    server.release_calls(100);
    assert_eq!(driver.hear().await["error"], Value::Null);
    let calls = server.calls();
    let bare = calls[1].token;
    let is_bare: Vec<_> = calls[1..].iter().map(|call| call.token == bare).collect();
    assert_eq!(
        is_bare,
        [true, false, true, false, false, true, true, false],
        "one of each that does not count, then the turns"
    );
    driver.end().await;
}

async fn waiters_have_the_client_go_first_in_every_second_turn(client: &str) {
    let server = Server::start().await;
    let mut driver = Driver::open(client, &server).await;
    driver.call(0, 0).await;
    let first = server.exchanged().len();
    let calls = 5;
    driver
        .say(json!({"do": "waiters", "calls": calls, "turns": 4}))
        .await;
    assert_eq!(driver.hear().await["waited"]["failed"], 0);
    // Whose an exchange is shows in its refresh token: the bare side rotates its own.
    let mut bare = "secret-refresh-0".to_owned();
    for (at, of_bare) in [true, false, false, true, true, false, false, true]
        .into_iter()
        .enumerate()
    {
        let issued = first + 1 + at;
        if of_bare {
            assert_eq!(server.exchanged()[first + at], bare, "exchange {at}");
            bare = format!("secret-refresh-{issued}");
        } else if at > 1 {
            assert_ne!(server.exchanged()[first + at], bare, "exchange {at}");
        }
        // No renewal of the client is between the bare side's and its calls, nor one beside.
        let burst = 1 + at * calls..1 + (at + 1) * calls;
        let of_the_burst = |call: &server::Call| call.token == issued;
        assert!(server.calls()[burst].iter().all(of_the_burst), "burst {at}");
    }
    assert_eq!(server.exchanged().len(), first + 8);
    driver.end().await;
}

async fn waiters_count_the_calls_of_the_client_that_got_no_data(client: &str) {
    let server = Server::start().await;
    let mut driver = Driver::open(client, &server).await;
    driver.call(0, 0).await;
    // The first renewal is the bare side's.
    server.give_no_data_to(server.exchanged().len() + 2);
    driver
        .say(json!({"do": "waiters", "calls": 5, "turns": 2}))
        .await;
    assert_eq!(driver.hear().await["waited"]["failed"], 5);
    driver.end().await;
}

async fn a_bare_request_that_fails_fails_the_waiters(client: &str) {
    let server = Server::start().await;
    let mut driver = Driver::open(client, &server).await;
    driver.call(0, 0).await;
    server.give_no_data_to(server.exchanged().len() + 1);
    driver
        .say(json!({"do": "waiters", "calls": 5, "turns": 2}))
        .await;
    assert_eq!(
        driver.hear().await,
        json!({"waited": null, "error": "a call was answered without data"})
    );
    driver.end().await;
}

#[tokio::test]
async fn smithy_tries_again_what_the_sdk_would() {
    let server = Server::start().await;
    let mut driver = Driver::open("smithy", &server).await;
    for fault in [
        Fault::Status(503),
        Fault::Status(429),
        Fault::Page,
        Fault::Reset,
        Fault::Cut,
    ] {
        let exchanges = server.exchanged().len();
        server.renewals_go_wrong(&[fault]);
        driver.expire().await;
        assert_eq!(driver.call(1, 0).await["outcome"], "data", "{fault:?}");
        assert_eq!(server.exchanged().len(), exchanges + 2, "{fault:?}");
    }
    driver.end().await;
}

#[tokio::test]
async fn smithy_makes_three_attempts() {
    let server = Server::start().await;
    let mut driver = Driver::open("smithy", &server).await;
    driver.expire().await;
    server.renewals_go_wrong(&[Fault::Status(503); 3]);
    assert_eq!(
        driver.call(1, 0).await["error"],
        "the renewal was answered with status 503 Service Unavailable"
    );
    assert_eq!(server.exchanged().len(), 3);
    driver.end().await;
}

/// Its exchange has arrived at the server, and is not answered yet.
async fn smithy_renewing_for_call_1(server: &Server) -> Driver {
    let mut driver = Driver::open("smithy", server).await;
    driver.expire().await;
    server.hold_renewals();
    driver.say_call(1, 0).await;
    server
        .until("an exchange", |server| server.exchanged().len() == 1)
        .await;
    driver
}

#[tokio::test]
async fn smithy_stores_nothing_after_the_sign_out() {
    let server = Server::start().await;
    let mut driver = smithy_renewing_for_call_1(&server).await;
    driver.say(json!({"do": "signOut", "window": 0})).await;
    assert_eq!(driver.hear().await, json!({"signedOut": true}));
    server.release_renewals(1);
    assert_eq!(
        driver.hear().await,
        json!({"settled": 1, "outcome": "error", "error": "signed out"})
    );
    assert!(!driver.store().exists());
    assert!(!driver.signed_in().await);
    driver.end().await;
}

#[tokio::test]
async fn smithy_takes_what_another_process_has_renewed() {
    let server = Server::start().await;
    // Good for one call each: the cache takes it for expired 5 s ahead.
    let lifetime = SignedDuration::from_secs(4);
    let mut first = Driver::open_for("smithy", &server, lifetime).await;
    let mut second = first.beside(&server).await;
    for id in 1..=2 {
        assert_eq!(first.call(id, 0).await["outcome"], "data");
        assert_eq!(second.call(id, 0).await["outcome"], "data");
    }
    assert_eq!(server.exchanged(), ["secret-refresh-0"]);
    assert_eq!(server.calls()[3].token, 1);
    first.end().await;
    second.end().await;
}

#[tokio::test]
async fn smithy_rotates_and_the_application_stores() {
    let server = Server::start().await;
    let mut driver = Driver::open("smithy", &server).await;
    assert_eq!(driver.call(1, 0).await["outcome"], "data");
    assert!(
        server.exchanged().is_empty(),
        "it goes on with what the sign-in yielded"
    );
    driver.expire().await;
    driver.call(2, 0).await;
    driver.expire().await;
    driver.call(3, 0).await;
    assert_eq!(server.exchanged(), ["secret-refresh-0", "secret-refresh-1"]);
    assert_eq!(driver.stored()["refresh"], "secret-refresh-2");
    driver.end().await;
}

#[tokio::test]
async fn smithy_of_a_second_process_exchanges_what_has_expired_in_the_store() {
    let server = Server::start().await;
    let mut first = Driver::open("smithy", &server).await;
    first.expire().await;
    let mut second = first.beside(&server).await;
    assert_eq!(second.call(1, 0).await["outcome"], "data");
    assert_eq!(server.exchanged(), ["secret-refresh-0"]);
    // By the first one's clock that has expired, too: it goes on from what the second one stored.
    assert_eq!(first.call(1, 0).await["outcome"], "data");
    assert_eq!(server.exchanged(), ["secret-refresh-0", "secret-refresh-1"]);
    assert_eq!(first.stored()["refresh"], "secret-refresh-2");
    first.end().await;
    second.end().await;
}

#[tokio::test]
async fn smithy_loses_the_exchange_of_a_caller_that_leaves() {
    let server = Server::start().await;
    let mut driver = smithy_renewing_for_call_1(&server).await;
    driver.say_call(2, 1).await;
    driver.say(json!({"do": "abort", "id": 1})).await;
    assert_eq!(driver.hear().await["outcome"], "aborted");
    server
        .until("another exchange", |server| server.exchanged().len() == 2)
        .await;
    server.release_renewals(2);
    assert_eq!(driver.hear().await["outcome"], "data");
    assert_eq!(server.exchanged(), ["secret-refresh-0", "secret-refresh-0"]);
    driver.end().await;
}

#[tokio::test]
async fn google_goes_on_with_the_refresh_token_that_it_was_given() {
    let server = Server::start().await;
    let mut driver = Driver::open("google", &server).await;
    driver.call(1, 0).await;
    driver.expire().await;
    driver.call(2, 0).await;
    assert_eq!(server.exchanged(), ["secret-refresh-0", "secret-refresh-0"]);
    assert_eq!(driver.stored()["refresh"], "secret-refresh-0");
    driver.end().await;
}

#[tokio::test]
async fn versions_are_those_of_the_lock_file_and_of_this_client_alone() {
    // Both are pinned in Cargo.toml.
    let manifest = include_str!("../Cargo.toml");
    for (client, package, of_another) in [
        ("smithy", "aws-smithy-runtime", "google-cloud-auth"),
        ("google", "google-cloud-auth", "aws-smithy-runtime"),
    ] {
        let mut driver = Driver::start(client);
        driver.say(json!({"do": "versions"})).await;
        let versions = driver.hear().await["versions"].take();
        let version = versions[package].as_str().expect("a version");
        assert!(manifest.contains(&format!("{package} = {{ version = \"={version}\"")));
        assert_eq!(versions[of_another], serde_json::Value::Null);
        driver.end().await;
    }
}

/// Ours needs a keyring, and gets one that is nobody's.
#[cfg(target_os = "linux")]
#[test]
fn holdfast_on_a_desktop_of_its_own() {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../scripts/private-desktop.sh"
    );
    let these_tests = std::env::current_exe().expect("this program");
    let ran = std::process::Command::new(script)
        .arg(these_tests)
        .args(["--ignored", "--test-threads=1", "with_a_keyring::"])
        .output()
        .expect("the script");
    let said = String::from_utf8_lossy(&ran.stdout);
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}{errors}");
    assert!(said.contains("2 passed"), "{said}");
}

#[cfg(target_os = "linux")]
mod with_a_keyring {
    use std::time::Instant;

    use graphql_session::Config;
    use serde_json::json;

    use super::process::{DEADLINE, Driver};
    use super::server::Server;

    #[tokio::test]
    #[ignore = "needs a keyring: cargo test --manifest-path compare/clients/rust/Cargo.toml --test driver holdfast_on_a_desktop_of_its_own"]
    async fn an_entry_that_is_left_counts_as_signed_in() {
        let server = Server::start().await;
        let mut driver = Driver::open("holdfast", &server).await;
        assert!(driver.signed_in().await);
        let vault = Config::new("holdfast-compare", "nowhere").vault;
        let account = driver.account();
        let entry = vault.read(&account).expect("a keyring").expect("an entry");
        driver.say(json!({"do": "signOut", "window": 0})).await;
        assert_eq!(driver.hear().await, json!({"signedOut": true}));
        // The session says so at once, and removes the entry right after.
        until_signed_out(&mut driver).await;

        // As a save would that comes too late.
        vault.write(&account, &entry).expect("a write");
        assert!(driver.signed_in().await);
        vault.remove(&account).expect("a removal");
        assert!(!driver.signed_in().await);
        driver.end().await;
    }

    async fn until_signed_out(driver: &mut Driver) {
        let began = Instant::now();
        while driver.signed_in().await {
            assert!(began.elapsed() < DEADLINE, "still signed in");
        }
    }

    #[tokio::test]
    #[ignore = "needs a keyring: cargo test --manifest-path compare/clients/rust/Cargo.toml --test driver holdfast_on_a_desktop_of_its_own"]
    async fn replays_are_measured_only_with_data() {
        let server = Server::start().await;
        let mut driver = Driver::open("holdfast", &server).await;
        driver.say(json!({"do": "replays", "turns": 2})).await;
        assert_eq!(
            driver.hear().await,
            json!({"replayed": {"bare": [1.0, 1.0], "client": [1.0, 1.0]}})
        );
        for (later, side) in [(1, "by hand"), (2, "the client's")] {
            server.give_no_data_to(server.newest() + later);
            driver.say(json!({"do": "replays", "turns": 2})).await;
            assert_eq!(
                driver.hear().await,
                json!({"replayed": null, "error": "a call was answered without data"}),
                "{side}"
            );
        }
        driver.say(json!({"do": "signOut", "window": 0})).await;
        assert_eq!(driver.hear().await, json!({"signedOut": true}));
        driver.end().await;
    }
}
