//! Calls of a page: each runs once; errors; what a page may not send.

use demo_server::{Calls, RenewalRefusal};
use serde_json::{Value, json};
use std::time::Duration;
use tauri::http::HeaderMap;
use tauri::ipc::InvokeBody;

use graphql_session_testing::Fault;

use crate::test_app::{TestApp, new_id, scriptable_server, unframe};

const CREATE: &str = r#"mutation Create { createCompany(data: { name: "Holdfast test" }) { id } }"#;
const PEOPLE: &str = "query People { people(first: 1) { totalCount } }";

fn metadata(id: &str) -> Value {
    json!({ "requestId": id, "endpoint": "graphql" })
}

fn code(answer: Result<impl std::fmt::Debug, Value>) -> Value {
    answer.expect_err("it must fail")["code"].clone()
}

#[test]
fn an_invoke_that_is_repeated_while_its_mutation_runs_joins_it() {
    let app = TestApp::open();
    let page = app.signed_in_window("main");
    // The server works first and then delays its answer, so the repeated invoke comes while the first one waits.
    app.switches.slow(Calls::All, Duration::from_millis(300));
    let caller = page.clone();
    let first = std::thread::spawn(move || caller.execute_as(metadata("one"), CREATE));
    let second = page
        .execute_as(metadata("one"), CREATE)
        .expect("one result");
    let first = first.join().expect("no panic").expect("the same result");
    assert_eq!(first, second);
    assert!(
        first.body["data"]["createCompany"]["id"].is_string(),
        "{first:?}"
    );
    assert_eq!(app.switches.counts().operation("Create"), 1);
}

#[test]
fn a_mutation_repeated_after_a_reload_runs_once_also_when_its_result_was_dropped() {
    let app = TestApp::open();
    let page = app.signed_in_window("main");
    let first = page.execute_as(metadata("one"), CREATE).expect("runs");
    let repeated = page
        .execute_as(metadata("one"), CREATE)
        .expect("its result");
    assert_eq!(first, repeated);

    let mut next = metadata("two");
    next["received"] = json!(["one"]);
    page.execute_as(next, PEOPLE)
        .expect("acknowledges the reply");
    assert_eq!(
        code(page.execute_as(metadata("one"), CREATE)),
        "already_ran"
    );
    assert_eq!(app.switches.counts().operation("Create"), 1);
}

#[test]
fn the_same_id_in_another_window_is_another_call() {
    let app = TestApp::open();
    let pages = [app.signed_in_window("main"), app.window("main-2")];
    for page in &pages {
        page.execute_as(metadata("one"), CREATE).expect("runs");
    }
    assert_eq!(app.switches.counts().operation("Create"), 2);
}

#[test]
fn a_reply_comes_with_its_status_and_content_type_and_untouched() {
    let app = TestApp::open();
    let page = app.signed_in_window("main");
    let reply = page
        .execute_as(metadata(&new_id()), "{ thereIsNoSuchField }")
        .expect("a GraphQL error is a reply");
    assert!(reply.head["status"].is_u64());
    let content_type = reply.head["contentType"].as_str().expect("a type");
    assert!(
        content_type.starts_with("application/json"),
        "{content_type}"
    );
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
        let raw = page.invoke_bytes(
            "execute",
            &metadata(&new_id()),
            br#"{"query":"{ a }"}"#.to_vec(),
        );
        let (head, bytes) = unframe(raw.expect("a reply"));
        assert_eq!(String::from_utf8_lossy(&bytes), body);
        assert_eq!(
            head,
            json!({ "status": 200, "contentType": "application/json" })
        );
    }
}

#[test]
fn unknown_endpoints_and_absolute_addresses_are_refused_and_nothing_is_sent() {
    let app = TestApp::open();
    let page = app.signed_in_window("main");
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
        assert_eq!(
            code(page.execute(endpoint, PEOPLE)),
            "invalid_request",
            "{endpoint}"
        );
    }
    assert_eq!(app.switches.counts(), before);
}

#[test]
fn headers_that_identify_the_person_or_the_host_are_refused() {
    let app = TestApp::open();
    let page = app.signed_in_window("main");
    let with = |name: &str, value: &str| {
        let mut metadata = metadata(&new_id());
        metadata["headers"] = json!({ name: value });
        page.execute_as(metadata, PEOPLE)
    };
    let before = app.switches.counts();
    for name in [
        "authorization",
        "Authorization",
        "cookie",
        "host",
        "X-Forwarded-Host",
        "origin",
    ] {
        assert_eq!(code(with(name, "x")), "invalid_request", "{name}");
    }
    assert_eq!(
        code(with("x-line", "a\r\nauthorization: b")),
        "invalid_request"
    );
    assert_eq!(app.switches.counts(), before);
    with("accept", "application/graphql-response+json").expect("a page may ask for a format");
    with("x-client", "test").expect("a page may name itself");
}

#[test]
fn an_execute_that_cannot_be_read_is_refused() {
    let app = TestApp::open();
    let page = app.signed_in_window("main");
    let execute = |metadata: Option<&str>, body: InvokeBody| {
        let mut headers = HeaderMap::new();
        if let Some(metadata) = metadata {
            let metadata = metadata.parse().expect("a header's value");
            headers.insert("x-graphql-session", metadata);
        }
        page.invoke_raw("plugin:graphql-session|execute", body, headers)
    };
    let body = || InvokeBody::Raw(br#"{"query":"{ me }"}"#.to_vec());
    let good = r#"{"requestId":"a","endpoint":"graphql"}"#;
    assert_eq!(code(execute(None, body())), "invalid_request");
    assert_eq!(code(execute(Some("no JSON"), body())), "invalid_request");
    let empty_id = r#"{"requestId":"","endpoint":"graphql"}"#;
    assert_eq!(code(execute(Some(empty_id), body())), "invalid_request");
    let unknown_key = r#"{"requestId":"a","endpoint":"graphql","host":"evil.example"}"#;
    assert_eq!(code(execute(Some(unknown_key), body())), "invalid_request");
    let object = InvokeBody::Json(json!({ "query": "{ me }" }));
    assert_eq!(code(execute(Some(good), object)), "invalid_request");
    // Tauri's message channel turns bytes into an array of numbers.
    let numbers =
        json!(br#"{"query":"query People { people(first: 1) { totalCount } }"}"#.as_slice());
    execute(Some(good), InvokeBody::Json(numbers)).expect("numbers are bytes too");
}

#[test]
fn errors_have_a_code_a_sentence_and_where_known_a_time() {
    let app = TestApp::open();
    let page = app.window("main");
    let error = page
        .execute("graphql", PEOPLE)
        .expect_err("nobody is signed in");
    assert_eq!(keys(&error), ["code", "message"]);
    assert_eq!(error["code"], "signed_out");

    let wrong = page.invoke(
        "sign_in",
        json!({ "server": page.origin(), "email": demo_server::DEMO_EMAIL, "password": "wrong" }),
    );
    assert_eq!(code(wrong), "wrong_password");

    page.sign_in().expect("signs in");
    app.switches.refuse_renewals(Some(RenewalRefusal::Page {
        status: 429,
        html: "<p>Slow down.</p>".to_owned(),
        retry_after: Some("30".to_owned()),
    }));
    app.expire_access_tokens();
    let error = page
        .execute("graphql", PEOPLE)
        .expect_err("no renewal for now");
    assert_eq!(keys(&error), ["code", "message", "retryAfterMs"]);
    assert_eq!(error["code"], "unreachable");
    let retry_after = error["retryAfterMs"].as_u64().expect("a number");
    assert!((20_000..=30_000).contains(&retry_after), "{retry_after}");
}

#[test]
fn a_password_that_is_no_text_is_not_quoted_back() {
    let app = TestApp::open();
    let page = app.window("main");
    let refusal = page.invoke(
        "sign_in",
        json!({ "server": page.origin(), "email": "a@b.example", "password": 271_828_182 }),
    );
    let refusal = refusal.expect_err("a number is no password").to_string();
    assert!(!refusal.contains("271828182"), "{refusal}");
}

fn keys(error: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = error
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}
