//! Answers that HTTP and GraphQL themselves prescribe.

use std::time::Duration;

use demo_server::{Counter, Options};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Demo;

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
        let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
        stream.write_all(request).await.expect("written");
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
