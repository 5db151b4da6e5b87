//! Subscriptions: which events a stream sends, to whom, and when it ends.

use std::time::Duration;

use demo_server::{Counter, Options};
use serde_json::{Value, json};

use crate::client::{Ask, Demo, Reply, Streamed, Tokens, in_time};

const SUBSCRIBE: &str = "subscription OnDbEvent($input: OnDbEventInput!) { onDbEvent(input: $input) { action objectNameSingular eventDate updatedFields record } }";
const CREATE: &str = "mutation($data: PersonCreateInput!) { createPerson(data: $data) { id } }";

fn subscription(demo: &Demo, access: &str, input: Value) -> Ask {
    demo.graphql(SUBSCRIBE)
        .variables(json!({ "input": input }))
        .header("accept", "text/event-stream")
        .bearer(access)
}

/// Makes a person, and answers the id.
async fn create(demo: &Demo, access: &str, first_name: &str) -> String {
    let data = json!({ "name": { "firstName": first_name } });
    let ask = demo.graphql(CREATE).variables(json!({ "data": data }));
    let reply = ask.bearer(access).send().await;
    let id = reply.body["data"]["createPerson"]["id"].as_str();
    id.unwrap_or_else(|| panic!("{}", reply.text)).to_owned()
}

/// The next event's `onDbEvent`.
async fn event(stream: &mut Streamed) -> Value {
    result(stream).await["data"]["onDbEvent"].clone()
}

/// The next event, which is a result.
async fn result(stream: &mut Streamed) -> Value {
    let frame = stream.next().await.expect("the stream is open");
    let data = frame.strip_prefix("event: next\ndata: ").expect("a result");
    serde_json::from_str(data.trim_end()).expect("JSON")
}

#[tokio::test]
async fn a_stream_sends_the_changes_of_records_in_their_order() {
    let (demo, Tokens { access, .. }) = Demo::signed_in().await;
    let people = json!({ "objectNameSingular": "person" });
    let mut stream = subscription(&demo, &access, people).open().await;
    let head = (stream.status, stream.content_type.as_str());
    assert_eq!(head, (200, "text/event-stream"));

    let id = create(&demo, &access, "Grace").await;
    let created = event(&mut stream).await;
    assert_eq!(created["action"], "CREATED");
    assert_eq!(created["eventDate"], "2027-01-15T08:00:00.500Z");
    assert_eq!(created["record"]["name"]["firstName"], "Grace");
    for (action, mutation, updated) in [
        (
            "UPDATED",
            "updatePerson(id: $id, data: { jobTitle: \"x\" })",
            json!(["jobTitle"]),
        ),
        ("DELETED", "deletePerson(id: $id)", Value::Null),
        ("RESTORED", "restorePerson(id: $id)", Value::Null),
        ("DESTROYED", "destroyPerson(id: $id)", Value::Null),
    ] {
        let mutation = format!("mutation($id: UUID!) {{ {mutation} {{ id }} }}");
        let ask = demo.graphql(&mutation).variables(json!({ "id": id }));
        ask.bearer(&access).send().await;
        let event = event(&mut stream).await;
        assert_eq!(event["action"], action);
        assert_eq!(event["objectNameSingular"], "person", "{action}");
        assert_eq!(event["updatedFields"], updated, "{action}");
        assert_eq!(event["record"]["id"], id, "{action}");
        let is_deleted = !event["record"]["deletedAt"].is_null();
        assert_eq!(is_deleted, action == "DELETED", "{action}");
    }
}

#[tokio::test]
async fn a_stream_sends_only_what_was_subscribed_to() {
    let (demo, Tokens { access, .. }) = Demo::signed_in().await;
    let id = create(&demo, &access, "One").await;
    let deleted = json!({ "action": "DELETED", "recordId": id });
    let mut stream = subscription(&demo, &access, deleted).open().await;

    let other = create(&demo, &access, "Other").await;
    let company = "mutation { createCompany(data: { name: \"A company\" }) { id } }";
    demo.graphql(company).bearer(&access).send().await;
    for one in [&other, &id] {
        let delete = format!("mutation {{ deletePerson(id: \"{one}\") {{ id }} }}");
        demo.graphql(&delete).bearer(&access).send().await;
    }
    let event = event(&mut stream).await;
    assert_eq!(event["record"]["id"], id, "the first that it hears of");
}

#[tokio::test]
async fn a_token_that_expires_during_a_stream_changes_nothing_and_is_refused_at_the_start() {
    let demo = Demo::start().await;
    let old = demo.sign_in().await.access;
    let mut stream = subscription(&demo, &old, json!({})).open().await;
    demo.pass(Duration::from_secs(31 * 60));
    demo.switches.expire_access_tokens().await.expect("expired");
    let refused = subscription(&demo, &old, json!({}));
    refused.gets("expired bearer").await;
    let new = demo.sign_in().await.access;
    create(&demo, &new, "Late").await;
    let event = event(&mut stream).await;
    assert_eq!(event["record"]["name"]["firstName"], "Late");
    let counts = demo.switches.counts();
    assert_eq!((counts.streams_opened, counts.streams_open), (1, 1));
}

#[tokio::test]
async fn a_stream_without_a_bearer_or_with_an_unknown_field_is_one_error_then_complete() {
    let (demo, Tokens { access, .. }) = Demo::signed_in().await;
    let wrong = demo.graphql("subscription { onDbEvent(input: {}) { nope } }");
    let wrong = wrong.header("accept", "text/event-stream").bearer(&access);
    let unknown = "Cannot query field \"nope\" on type \"OnDbEventDTO\".";
    let anonymous = subscription(&demo, "", json!({}));
    for (ask, message) in [(wrong, unknown), (anonymous, "Forbidden resource")] {
        let mut stream = ask.open().await;
        let result = result(&mut stream).await;
        assert_eq!(result["errors"][0]["message"], message);
        assert_eq!(stream.next().await.as_deref(), Some("event: complete\n\n"));
        assert_eq!(stream.next().await, None);
    }
    assert_eq!(demo.switches.counts().streams_opened, 0);
}

#[tokio::test]
async fn a_client_that_does_not_accept_event_streams_gets_a_406_with_their_media_type() {
    let (demo, Tokens { access, .. }) = Demo::signed_in().await;
    let ask = subscription(&demo, &access, json!({}));
    let ask = ask.header("accept", "application/json");
    let Reply { status, head, .. } = ask.send().await;
    assert_eq!(status, 406);
    assert!(head.contains("\r\naccept: text/event-stream"), "{head}");
}

#[tokio::test]
async fn a_stream_that_its_client_leaves_is_closed() {
    let (demo, Tokens { access, .. }) = Demo::signed_in().await;
    let stream = subscription(&demo, &access, json!({})).open().await;
    let other = subscription(&demo, &access, json!({})).open().await;
    assert_eq!(demo.switches.counts().of(Counter::StreamsOpen), 2);
    drop(stream);
    let open = |open| {
        demo.switches
            .wait_until(move |counts| counts.streams_open == open)
    };
    assert_eq!(in_time(open(1)).await.streams_opened, 2);
    drop(other);
    in_time(open(0)).await;
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams_without_complete() {
    let (demo, Tokens { access, .. }) = Demo::signed_in().await;
    let mut stream = subscription(&demo, &access, json!({})).open().await;
    demo.server.stop().await;
    assert_eq!(stream.next().await, None);
    assert_eq!(demo.switches.counts().streams_open, 0);
}

#[tokio::test]
async fn an_idle_stream_sends_a_comment_now_and_then() {
    let options = Options {
        comment_after: Duration::from_millis(50),
        ..Options::default()
    };
    let demo = Demo::start_with(options).await;
    let access = demo.sign_in().await.access;
    let mut stream = subscription(&demo, &access, json!({})).open().await;
    for _ in 0..3 {
        assert_eq!(stream.chunk().await.as_deref(), Some(":\n\n"));
    }
}
