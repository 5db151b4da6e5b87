//! Answers that HTTP and GraphQL themselves prescribe.

use std::time::Duration;

use demo_server::{Counter, Options};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Demo, USER};

/// How long anything may take before a test fails. A test that passes never waits this long.
const PATIENCE: Duration = Duration::from_secs(20);

const UNKNOWN_FIELD: &str = "query { currentUser { id noSuchField } }";

#[tokio::test]
async fn bodies_that_are_no_graphql_are_answered_as_by_twenty() {
    let (demo, pair) = Demo::signed_in().await;
    let batch = "[{\"query\":\"{__typename}\"},{\"query\":\"{__typename}\"}]";
    let mutation = "mutation%7BrenewToken(appToken%3A%22x%22)%7B__typename%7D%7D";
    for path in ["/graphql", "/metadata"] {
        let ask = |query: &str| demo.ask(path, query).bearer(&pair.access);
        let text = ask("{ __typename }").header("content-type", "text/plain");
        for (ask, fixture) in [
            (ask(UNKNOWN_FIELD), "unknown field"),
            (ask("query { currentUser { id "), "syntax error"),
            (ask("").raw("{\"query\": "), "malformed JSON"),
            (ask("").raw("{}"), "no query"),
            (ask("").raw(batch), "batch"),
            (text, "wrong content type"),
        ] {
            ask.gets(fixture).await;
        }
        let mutation = demo.get(&format!("{path}?query={mutation}"));
        let reply = mutation.gets("mutation by GET").await;
        assert!(reply.head.contains("allow: post"));
        let query = demo.get(&format!("{path}?query=%7B__typename%7D"));
        query.gets("query by GET").await;
    }
    demo.ask("/nope", "").gets("no such path").await;
    demo.get("/healthz").gets("health").await;
}

#[tokio::test]
async fn the_graphql_media_type_gives_a_query_that_does_not_validate_a_status_of_its_own() {
    let (demo, pair) = Demo::signed_in().await;
    let user = "{ currentUser { id email } }";
    for (query, bearer, fixture) in [
        (
            UNKNOWN_FIELD,
            pair.access.as_str(),
            "unknown field, GraphQL media type",
        ),
        (user, &pair.access, "user, GraphQL media type"),
        (user, "garbage", "garbage bearer"),
    ] {
        let ask = demo.graphql(query).bearer(bearer);
        let ask = ask.header("accept", "application/graphql-response+json");
        ask.gets(fixture).await;
    }
}

#[tokio::test]
async fn errors_come_before_data_in_the_text_and_every_answer_has_a_date() {
    let demo = Demo::start().await;
    let reply = demo.renew("garbage").await;
    assert!(
        reply.text.starts_with("{\"errors\":[") && reply.text.ends_with(",\"data\":null}"),
        "{}",
        reply.text
    );
    assert!(reply.head.contains("\r\ndate: "), "{}", reply.head);
    assert!(!reply.head.contains("access-control-"), "{}", reply.head);
}

#[tokio::test]
async fn a_client_learns_before_the_sign_in_what_the_server_offers() {
    let demo = Demo::start().await;
    let reply = demo.get("/client-config").send().await;
    assert_eq!(reply.body["authProviders"]["password"], json!(true));
    assert_eq!(reply.body["isMultiWorkspaceEnabled"], json!(false));
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_byte() {
    let options = Options {
        idle_close: Duration::from_millis(500),
        ..Options::default()
    };
    let demo = Demo::start_with(options).await;
    let stream = TcpStream::connect(demo.server.address()).await;
    let mut stream = stream.expect("connected");
    for _ in 0..2 {
        let host = demo.server.address();
        let request = format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            stream.read_buf(&mut answer).await.expect("an answer");
        }
    }
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("closed");
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn a_post_with_an_empty_body_gets_no_answer_until_the_server_stops() {
    let demo = Demo::start().await;
    let ask = demo.graphql("").raw("");
    let asked = tokio::spawn(ask.try_send());
    // Another call gets its answer while that one still waits.
    demo.renew("garbage").await;
    assert!(!asked.is_finished());
    demo.server.stop().await;
    assert!(asked.await.expect("no panic").is_none());
}

#[tokio::test]
async fn a_body_that_does_not_arrive_and_an_empty_post_are_waited_for_with_a_limit() {
    let options = Options {
        body_wait: Duration::from_millis(100),
        ..Options::default()
    };
    let demo = Demo::start_with(options).await;
    assert!(demo.graphql("").raw("").try_send().await.is_none());

    let stream = TcpStream::connect(demo.server.address()).await;
    let mut stream = stream.expect("connected");
    let host = demo.server.address();
    let begun = format!("POST /graphql HTTP/1.1\r\nhost: {host}\r\ncontent-length: 9\r\n\r\n{{");
    stream.write_all(begun.as_bytes()).await.expect("written");
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    closed.expect("within the limit").expect("closed");
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_until_others_have_ended() {
    let options = Options {
        connections: 2,
        ..Options::default()
    };
    let demo = Demo::start_with(options).await;
    let connect = || TcpStream::connect(demo.server.address());
    let host = demo.server.address();
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = connect().await.expect("connected");
        // It has its place once it answers.
        stream.write_all(request.as_bytes()).await.expect("written");
        stream.read_u8().await.expect("an answer");
        held.push(stream);
    }
    let mut one_more = connect().await.expect("accepted by the system");
    // It may be closed before this is written.
    _ = one_more.write_all(request.as_bytes()).await;
    let answer = one_more.read_to_end(&mut Vec::new()).await;
    assert!(matches!(answer, Ok(0) | Err(_)), "{answer:?}");
    drop(held);
    while demo.get("/healthz").try_send().await.is_none() {}
}

#[tokio::test]
async fn no_route_answers_a_web_page_of_any_name() {
    let (demo, tokens) = Demo::signed_in().await;
    let port = demo.server.address().port();
    let asks = [
        demo.graphql(USER).bearer(&tokens.access),
        demo.metadata(USER).bearer(&tokens.access),
        demo.renewal(&tokens.refresh),
        demo.get("/healthz"),
        demo.get("/client-config"),
        demo.get("/nowhere"),
    ];
    let before = demo.switches.counts();
    for ask in &asks {
        for (name, value) in [
            ("origin", "http://evil.example".to_owned()),
            ("origin", "null".to_owned()),
            ("origin", format!("http://127.0.0.1:{port}")),
            ("host", "evil.example".to_owned()),
            ("host", format!("evil.example:{port}")),
            ("host", format!("127.0.0.1.evil.example:{port}")),
            ("host", "127.0.0.1:1".to_owned()),
            ("host", String::new()),
        ] {
            let reply = ask.clone().header(name, &value).send().await;
            assert_eq!(reply.status, 403, "{name}: {value}");
            assert!(!reply.head.contains("access-control-"), "{}", reply.head);
        }
    }
    assert_eq!(demo.switches.counts(), before);
    for host in ["localhost", "LOCALHOST", "crm.localhost", "127.0.0.1"] {
        let own = demo
            .get("/healthz")
            .header("host", &format!("{host}:{port}"));
        assert_eq!(own.send().await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn calls_are_counted_by_endpoint_kind_and_name() {
    let demo = Demo::start().await;
    let mutation =
        "mutation { ...F } fragment F on Mutation { renewToken(appToken: \"x\") { __typename } }";
    for (path, query) in [
        ("/graphql", "query Named { __typename }"),
        ("/graphql", "{ currentUser { id } }"),
        ("/metadata", "{ currentUser { id } }"),
        ("/graphql", mutation),
    ] {
        demo.ask(path, query).send().await;
    }
    let counts = demo.switches.wait_for(Counter::RenewalsRefused, 1).await;
    let operations = serde_json::to_value(&counts.operations).expect("JSON");
    let line = |endpoint: &str, kind: &str, name: &str| -> Value {
        json!({ "endpoint": endpoint, "kind": kind, "name": name, "count": 1 })
    };
    assert_eq!(
        operations,
        json!([
            line("graphql", "mutation", "renewToken"),
            line("graphql", "query", "Named"),
            line("graphql", "query", "currentUser"),
            line("metadata", "query", "currentUser"),
        ])
    );
    assert_eq!((counts.calls, counts.renewals_sent), (4, 1));
    assert_eq!(counts.operation("currentUser"), 2);
    demo.switches.reset_counts();
    assert_eq!(demo.switches.counts(), demo_server::Counts::default());
}
