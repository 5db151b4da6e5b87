//! Answers that HTTP and GraphQL themselves prescribe.

use std::time::Duration;

use demo_server::{Counter, Options};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Demo;

#[tokio::test]
async fn bodies_that_are_no_graphql_are_answered_as_by_twenty() {
    let demo = Demo::start().await;
    let pair = demo.sign_in().await;
    for path in ["/graphql", "/metadata"] {
        let ask = |query: &str| demo.ask(path, query).bearer(&pair.access);
        ask("query { currentUser { id noSuchField } }")
            .send()
            .await
            .is("unknown field");
        ask("query { currentUser { id ")
            .send()
            .await
            .is("syntax error");
        ask("")
            .raw("{\"query\": ")
            .send()
            .await
            .is("malformed JSON");
        ask("").raw("{}").send().await.is("no query");
        ask("")
            .raw("[{\"query\":\"{__typename}\"},{\"query\":\"{__typename}\"}]")
            .send()
            .await
            .is("batch");
        ask("{ __typename }")
            .header("content-type", "text/plain")
            .send()
            .await
            .is("wrong content type");
        let get = format!(
            "GET {path}?query=mutation%7BrenewToken(appToken%3A%22x%22)%7B__typename%7D%7D"
        );
        let reply = demo.ask(path, "").line(&get).raw("").send().await;
        assert!(reply.is("mutation by GET").head.contains("allow: post"));
        demo.ask(path, "")
            .line(&format!("GET {path}?query=%7B__typename%7D"))
            .raw("")
            .send()
            .await
            .is("query by GET");
    }
    demo.ask("/nope", "").send().await.is("no such path");
    demo.ask("", "")
        .line("GET /healthz")
        .raw("")
        .send()
        .await
        .is("health");
}

#[tokio::test]
async fn the_graphql_media_type_gives_a_query_that_does_not_validate_a_status_of_its_own() {
    let demo = Demo::start().await;
    let pair = demo.sign_in().await;
    let ask = |query: &str| {
        demo.graphql(query)
            .header("accept", "application/graphql-response+json")
    };
    ask("query { currentUser { id noSuchField } }")
        .bearer(&pair.access)
        .send()
        .await
        .is("unknown field, GraphQL media type");
    ask("{ currentUser { id email } }")
        .bearer(&pair.access)
        .send()
        .await
        .is("user, GraphQL media type");
    ask("{ currentUser { id email } }")
        .bearer("garbage")
        .send()
        .await
        .is("garbage bearer");
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
    let reply = demo
        .ask("", "")
        .line("GET /client-config")
        .raw("")
        .send()
        .await;
    assert_eq!(reply.body["authProviders"]["password"], json!(true));
    assert_eq!(reply.body["isMultiWorkspaceEnabled"], json!(false));
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_byte() {
    let demo = Demo::start_with(Options {
        idle_close: Duration::from_millis(500),
        ..Options::default()
    })
    .await;
    let mut stream = TcpStream::connect(demo.server.address())
        .await
        .expect("connected");
    for _ in 0..2 {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .expect("written");
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
    demo.graphql("query Named { __typename }").send().await;
    demo.graphql("{ currentUser { id } }").send().await;
    demo.metadata("{ currentUser { id } }").send().await;
    demo.graphql(
        "mutation { ...F } fragment F on Mutation { renewToken(appToken: \"x\") { __typename } }",
    )
    .send()
    .await;
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
    assert_eq!(
        (
            counts.calls,
            counts.renewals_sent,
            counts.operation("currentUser")
        ),
        (4, 1, 2)
    );
    demo.switches.reset_counts();
    assert_eq!(demo.switches.counts(), demo_server::Counts::default());
}
