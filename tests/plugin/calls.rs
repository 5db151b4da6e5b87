//! Calls of a page: each runs once; errors; what a page may not send.

use demo_server::{Calls, RenewalRefusal};
use serde_json::{Value, json};
use std::time::Duration;
use tauri::http::HeaderMap;
use tauri::ipc::InvokeBody;

use graphql_session_testing::Fault;

use crate::test_app::{
    PEOPLE, TestApp, assert_fails, code, joined, new_id, scriptable_server, unframe,
};

const CREATE: &str = r#"mutation Create { createCompany(data: { name: "Holdfast test" }) { id } }"#;

fn metadata(id: &str) -> Value {
    json!({ "requestId": id, "endpoint": "graphql" })
}

#[test]
fn an_invoke_that_is_repeated_while_its_mutation_runs_joins_it() {
    let (app, page) = TestApp::signed_in();
    // The server works first and then delays its answer, so the repeated invoke comes while the first one waits.
    app.switches.slow(Calls::All, Duration::from_millis(300));
    let caller = page.clone();
    let first = std::thread::spawn(move || caller.execute_as(metadata("one"), CREATE));
    let second = page.execute_as(metadata("one"), CREATE);
    let first = joined(first).expect("the same result");
    assert_eq!(first, second.expect("one result"));
    let id = &first.body["data"]["createCompany"]["id"];
    assert!(id.is_string(), "{first:?}");
    assert_eq!(app.switches.counts().operation("Create"), 1);
}

#[test]
fn a_mutation_repeated_after_a_reload_runs_once_also_when_its_result_was_dropped() {
    let (app, page) = TestApp::signed_in();
    let first = page.execute_as(metadata("one"), CREATE).expect("runs");
    let repeated = page.execute_as(metadata("one"), CREATE);
    assert_eq!(first, repeated.expect("its result"));

    let mut next = metadata("two");
    next["received"] = json!(["one"]);
    let acknowledging = page.execute_as(next, PEOPLE);
    acknowledging.expect("acknowledges the reply");
    assert_fails(page.execute_as(metadata("one"), CREATE), "already_ran");
    assert_eq!(app.switches.counts().operation("Create"), 1);
}

#[test]
fn the_same_id_in_another_window_is_another_call() {
    let app = TestApp::open();
    for page in app.signed_in_windows::<2>() {
        page.execute_as(metadata("one"), CREATE).expect("runs");
    }
    assert_eq!(app.switches.counts().operation("Create"), 2);
}

#[test]
fn a_reply_comes_with_its_status_and_content_type_and_untouched() {
    let (_app, page) = TestApp::signed_in();
    let reply = page.execute_as(metadata(&new_id()), "{ thereIsNoSuchField }");
    let reply = reply.expect("a GraphQL error is a reply");
    assert!(reply.head["status"].is_u64());
    let content_type = reply.head["contentType"].as_str();
    let is_json = content_type.is_some_and(|name| name.starts_with("application/json"));
    assert!(is_json, "{content_type:?}");
    assert!(reply.body["errors"].is_array());
}

#[test]
fn a_replys_bytes_reach_the_page_whatever_they_are() {
    let app = TestApp::open();
    let server = scriptable_server();
    let page = app.window("main");
    page.sign_in_at(&server);
    for body in [
        r#"{"data":{"big":123456789012345678901234567890,"z":1.0,"a":1E1,"z":-0},"extensions":{"b":1,"a":2}}"#,
        r#"{ "errors":[{"message":"no"}], "data" : {"z":1} , "data":null}"#,
        "{\"data\":{\"text\":\"\\u00e9 é \\ud800\"}}\r\n ",
        r#"{"data":{"cut":["#,
        "<p>not JSON",
        "",
    ] {
        server.on_call(Fault::json(body));
        let query = br#"{"query":"{ a }"}"#.to_vec();
        let raw = page.invoke_bytes("execute", &metadata(&new_id()), query);
        let (head, bytes) = unframe(raw.expect("a reply"));
        assert_eq!(String::from_utf8_lossy(&bytes), body);
        let expected = json!({ "status": 200, "contentType": "application/json" });
        assert_eq!(head, expected, "{body}");
    }
}

#[test]
fn unknown_endpoints_and_absolute_addresses_are_refused_and_nothing_is_sent() {
    let (app, page) = TestApp::signed_in();
    let before = app.switches.counts();
    let elsewhere = [
        "https://evil.example/graphql",
        "//evil.example/graphql",
        "/graphql",
        "../graphql",
        "graphql?x=1",
        "rest",
        "",
    ];
    for endpoint in elsewhere {
        let refusal = page.execute(endpoint, PEOPLE);
        assert_eq!(code(refusal), "invalid_request", "{endpoint}");
    }
    assert_eq!(app.switches.counts(), before);
}

#[test]
fn headers_that_identify_the_person_or_the_host_are_refused() {
    let (app, page) = TestApp::signed_in();
    let with = |name: &str, value: &str| {
        let mut metadata = metadata(&new_id());
        metadata["headers"] = json!({ name: value });
        page.execute_as(metadata, PEOPLE)
    };
    let before = app.switches.counts();
    for (name, value) in [
        ("authorization", "x"),
        ("Authorization", "x"),
        ("cookie", "x"),
        ("host", "x"),
        ("X-Forwarded-Host", "x"),
        ("origin", "x"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/admin"),
        ("x-real-ip", "127.0.0.1"),
        ("x-hasura-admin-secret", "x"),
        ("x-request-id", "a\r\nauthorization: b"),
    ] {
        assert_eq!(code(with(name, value)), "invalid_request", "{name}");
    }
    assert_eq!(app.switches.counts(), before);
    with("accept", "application/graphql-response+json").expect("a page may ask for a format");
    with("apollographql-client-name", "test").expect("a page may name itself");
}

#[test]
fn ids_headers_and_subscriptions_of_any_length_are_not_kept() {
    let (app, page) = TestApp::signed_in();
    let before = app.switches.counts();
    let long = "i".repeat(1 << 20);
    let subscribe = |id: &str, body: &str| {
        let subscription = json!({
            "subscriptionId": id, "endpoint": "graphql", "headers": {}, "body": body,
            "messages": "__CHANNEL__:7",
        });
        page.invoke("subscribe", subscription)
    };
    for id in ["", &long] {
        assert_fails(
            page.invoke("cancel", json!({ "requestId": id })),
            "invalid_request",
        );
        let ack = json!({ "subscriptionId": id, "count": 1 });
        assert_fails(page.invoke("ack_events", ack), "invalid_request");
        assert_fails(subscribe(id, "{}"), "invalid_request");
    }
    assert_fails(subscribe("a", &format!("{long}b")), "too_large");
    let mut metadata = metadata(&new_id());
    metadata["headers"] = (0..24_577)
        .map(|number| (format!("x-{number}"), json!("")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert_fails(page.execute_as(metadata, PEOPLE), "invalid_request");
    assert_eq!(app.switches.counts(), before);
    page.execute("graphql", PEOPLE).expect("still served");
}

#[test]
fn an_execute_that_cannot_be_read_is_refused() {
    let (_app, page) = TestApp::signed_in();
    let execute = |metadata: Option<&str>, body: InvokeBody| {
        let mut headers = HeaderMap::new();
        if let Some(metadata) = metadata {
            let metadata = metadata.parse().expect("a header's value");
            headers.insert("x-graphql-session", metadata);
        }
        page.invoke_raw("plugin:graphql-session|execute", body, headers)
    };
    let good = r#"{"requestId":"a","endpoint":"graphql"}"#;
    let empty_id = r#"{"requestId":"","endpoint":"graphql"}"#;
    let unknown_key = r#"{"requestId":"a","endpoint":"graphql","host":"evil.example"}"#;
    for metadata in [None, Some("no JSON"), Some(empty_id), Some(unknown_key)] {
        let body = InvokeBody::Raw(br#"{"query":"{ me }"}"#.to_vec());
        let refusal = execute(metadata, body);
        assert_eq!(code(refusal), "invalid_request", "{metadata:?}");
    }
    let object = InvokeBody::Json(json!({ "query": "{ me }" }));
    assert_fails(execute(Some(good), object), "invalid_request");
    // Tauri's message channel turns bytes into an array of numbers.
    let numbers =
        json!(br#"{"query":"query People { people(first: 1) { totalCount } }"}"#.as_slice());
    execute(Some(good), InvokeBody::Json(numbers)).expect("numbers are bytes too");
}

#[test]
fn errors_have_a_code_a_sentence_and_where_known_a_time() {
    let app = TestApp::open();
    let page = app.window("main");
    let error = page.execute("graphql", PEOPLE);
    let error = error.expect_err("nobody is signed in");
    assert_eq!(keys(&error), ["code", "message"]);
    assert_eq!(error["code"], "signed_out");

    let wrong = page.sign_in_with(demo_server::DEMO_EMAIL, json!("wrong"));
    assert_fails(wrong, "wrong_password");

    page.sign_in().expect("signs in");
    app.switches.refuse_renewals(Some(RenewalRefusal::Page {
        status: 429,
        html: "<p>Slow down.</p>".to_owned(),
        retry_after: Some("30".to_owned()),
    }));
    app.expire_access_tokens();
    let error = page.execute("graphql", PEOPLE);
    let error = error.expect_err("no renewal for now");
    assert_eq!(keys(&error), ["code", "message", "retryAfterMs"]);
    assert_eq!(error["code"], "unreachable");
    let retry_after = error["retryAfterMs"].as_u64().expect("a number");
    assert!((20_000..=30_000).contains(&retry_after), "{retry_after}");
}

#[test]
fn a_password_that_is_no_text_is_not_quoted_back() {
    let app = TestApp::open();
    let page = app.window("main");
    let refusal = page.sign_in_with("a@b.example", json!(271_828_182));
    let refusal = refusal.expect_err("a number is no password").to_string();
    assert!(!refusal.contains("271828182"), "{refusal}");
}

fn keys(error: &Value) -> Vec<&str> {
    let object = error.as_object().expect("an object");
    let mut keys: Vec<_> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}
