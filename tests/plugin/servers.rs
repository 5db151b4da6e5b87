//! What a page may do with addresses: sign in where the account was signed in, and elsewhere only after the person has
//! confirmed it outside of the page.

use std::sync::{Arc, Mutex};

use graphql_session_testing::FaultServer;
use serde_json::{Value, json};
use tauri_plugin_graphql_session::ServerChange;

use crate::test_app::{Answer, EVERYTHING, Page, TestApp, assert_fails, code, scriptable_server};

/// The questions that a person was asked, and the answer to all of them.
#[derive(Clone, Default)]
struct Person {
    asked: Arc<Mutex<Vec<ServerChange>>>,
    agrees: bool,
}

impl Person {
    fn who_agrees() -> Self {
        Self {
            agrees: true,
            ..Self::default()
        }
    }

    fn app(&self) -> TestApp {
        let person = self.clone();
        TestApp::open_with(EVERYTHING, |builder, _| {
            builder.confirm_server(move |change| {
                person.asked.lock().expect("no panic").push(change);
                std::future::ready(person.agrees)
            })
        })
    }

    fn asked(&self) -> Vec<ServerChange> {
        self.asked.lock().expect("no panic").clone()
    }
}

fn sign_in_at(page: &Page, server: &str) -> Answer {
    let login = json!({ "email": "eve@example.com", "password": "a secret" });
    page.sign_in_by_password(json!({ "server": server }), login)
}

fn check(page: &Page, address: &str, may_ask: bool) -> Answer {
    page.invoke(
        "check_server",
        json!({ "address": address, "mayAsk": may_ask }),
    )
}

/// The reasons in the journal's entries about refused servers.
fn refusals(page: &Page) -> Vec<Value> {
    let journal = page.invoke("journal", json!({})).expect("a journal");
    let entries = journal.as_array().expect("a list").iter();
    let refused = entries.filter(|entry| entry["what"] == "server_refused");
    refused
        .map(|entry| entry["facts"]["reason"].clone())
        .collect()
}

fn connections(server: &FaultServer) -> u64 {
    server.counts().connections
}

#[test]
fn another_server_than_so_far_gets_nothing_before_the_person_agrees() {
    let person = Person::default();
    let app = person.app();
    let page = app.signed_in_window("main");
    let (before, other) = (page.status(), scriptable_server());
    let elsewhere = other.address();

    assert_fails(sign_in_at(&page, &elsewhere), "not_confirmed");
    assert_fails(check(&page, &elsewhere, true), "not_confirmed");
    let asked = person.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(
        (&asked[0].known[..], &asked[0].asked),
        (page.origin(), &elsewhere)
    );
    assert_eq!(
        (&asked[0].account[..], &asked[0].window[..]),
        ("default", "main")
    );

    // A form checks while people type, and nobody is asked for that.
    assert_fails(check(&page, &elsewhere, false), "not_confirmed");
    assert_fails(
        check(&page, "https://data.evil.example", false),
        "not_confirmed",
    );
    assert_eq!(person.asked().len(), 2);

    assert_eq!(connections(&other), 0);
    assert_eq!(page.status(), before, "nothing has changed");
    assert_eq!(refusals(&page), ["not_confirmed"; 4]);
}

#[test]
fn the_server_is_remembered_after_a_sign_out_and_known_ones_need_no_question() {
    let person = Person::who_agrees();
    let app = person.app();
    let page = app.signed_in_window("main");
    page.invoke("sign_out", json!({})).expect("signed out");
    let (other, known) = (scriptable_server(), page.origin().to_owned());

    check(&page, &other.address(), true).expect("confirmed");
    check(&page, &other.address(), false).expect("confirmed before");
    page.sign_in_at(&other);
    assert_eq!(person.asked().len(), 1);
    // Both are known now.
    for server in [&known, &other.address()] {
        check(&page, server, false).expect("no question is needed");
    }
    page.sign_in().expect("no question is needed");
    assert_eq!(person.asked().len(), 1);
}

#[test]
fn the_first_sign_in_and_a_server_of_the_applications_own_need_no_question() {
    let person = Person::default();
    let own = scriptable_server();
    let trusted = own.address();
    let asked = person.clone();
    let app = TestApp::open_with(EVERYTHING, |builder, _| {
        builder
            .trust_server(move |origin| origin == trusted)
            .confirm_server(move |change| {
                asked.asked.lock().expect("no panic").push(change);
                std::future::ready(false)
            })
    });
    let page = app.window("main");
    check(&page, page.origin(), false).expect("nobody is signed in yet");
    page.sign_in().expect("nobody was signed in yet");
    page.sign_in_at(&own);
    assert_eq!(person.asked(), []);
}

#[test]
fn what_is_longer_than_any_real_one_is_refused_before_anything_is_asked() {
    let person = Person::default();
    let app = person.app();
    let page = app.window("main");
    let sign_in = |server: &str, email: usize, password: usize| {
        let (email, password) = ("e".repeat(email), "p".repeat(password));
        let login = json!({ "email": email, "password": password });
        page.sign_in_by_password(json!({ "server": server }), login)
    };
    let long_address = format!("https://{}.example", "d".repeat(2_033));
    assert_eq!(long_address.len(), 2_049);

    assert_fails(check(&page, &long_address, true), "invalid_address");
    assert_fails(sign_in(&long_address, 9, 9), "invalid_address");
    assert_fails(sign_in(page.origin(), 255, 9), "invalid_request");
    assert_fails(sign_in(page.origin(), 9, 1_025), "invalid_request");
    assert_eq!(refusals(&page), ["too_long"; 4]);
    assert_fails(sign_in(page.origin(), 254, 1_024), "unknown_user");
}

#[test]
fn a_page_checks_and_signs_in_a_few_times_a_minute_and_asks_less_often() {
    let person = Person::default();
    let app = person.app();
    let page = app.signed_in_window("main");
    for _ in 0..10 {
        check(&page, page.origin(), false).expect("one of ten");
    }
    let refused = check(&page, page.origin(), false).expect_err("the eleventh");
    assert_eq!(refused["code"], "too_many_calls");
    let pause = refused["retryAfterMs"].as_u64().expect("a time");
    assert!((1..=60_000).contains(&pause), "{pause}");

    for _ in 0..3 {
        assert_fails(sign_in_at(&page, "https://evil.example"), "not_confirmed");
    }
    assert_fails(sign_in_at(&page, "https://evil.example"), "too_many_calls");
    assert_eq!(person.asked().len(), 3, "one more question is not asked");
    let codes: Vec<_> = (0..6).map(|_| code(page.sign_in())).collect();
    assert_eq!(codes[..5], [(); 5].map(|()| Value::Null));
    assert_eq!(codes[5], "too_many_calls", "the eleventh sign-in");
    let often = refusals(&page).into_iter().filter(|why| why == "too_often");
    assert_eq!(often.count(), 3);
}

#[test]
fn checks_and_sign_ins_stand_in_the_journal() {
    let person = Person::who_agrees();
    let app = person.app();
    let page = app.signed_in_window("main");
    let other = scriptable_server();
    check(&page, page.origin(), false).expect("reachable");
    page.sign_in_at(&other);

    let journal = page.invoke("journal", json!({})).expect("a journal");
    let entries = journal.as_array().expect("a list").iter();
    let of_servers: Vec<_> = entries
        .filter(|entry| {
            ["server_checked", "sign_in_sent"].contains(&entry["what"].as_str().expect("a word"))
        })
        .map(|entry| (entry["what"].clone(), entry["facts"].clone()))
        .collect();
    let expected = [
        ("sign_in_sent", json!({ "other": false })),
        ("server_checked", json!({ "other": false })),
        ("sign_in_sent", json!({ "other": true })),
    ];
    assert_eq!(
        of_servers,
        expected.map(|(what, facts)| (json!(what), facts))
    );
}
