//! Subscriptions of a page: messages in order through a channel, no more than the page acknowledges.

use graphql_session_testing::{Counts, Fault, FaultServer, Feed};
use serde_json::{Value, json};

use crate::test_app::{
    Answer, Page, TestApp, assert_fails, code, eventually, new_id, scriptable_server, wait,
};

const SUBSCRIPTION: &str = r#"{"query":"subscription { onDbEvent { record } }"}"#;

/// Messages that are sent before the page acknowledges any.
const MESSAGES_IN_FLIGHT: usize = 64;

/// An application with a page that is signed in, and a server with streams.
struct Streaming {
    app: TestApp,
    server: FaultServer,
    page: Page,
}

impl Streaming {
    fn open() -> Self {
        let app = TestApp::open();
        let server = scriptable_server();
        let page = app.window("main");
        page.sign_in_at(&server);
        Self { app, server, page }
    }

    /// The first `count` messages of a channel.
    fn received(&self, channel: u32, count: usize) -> Vec<Value> {
        self.app.messages(channel, count)
    }

    /// Opens a stream; returns the server's end of it.
    fn opened(&self, id: &str, channel: u32) -> Feed {
        let so_far = usize::try_from(self.server.counts().streams).expect("few");
        subscribe(&self.page, id, channel).expect("answers at once");
        assert_eq!(self.received(channel, 1), [json!({ "kind": "open" })]);
        wait(self.server.feed(so_far))
    }

    fn wait_until_over(&self, streams: u64) {
        let over = |counts: &Counts| counts.streams_over == streams;
        wait(self.server.wait_for(over));
    }
}

fn subscribe(page: &Page, id: &str, channel: u32) -> Answer {
    subscribe_with(page, json!({ "subscriptionId": id }), channel)
}

/// Subscribes with the given arguments, and ordinary ones for the rest.
fn subscribe_with(page: &Page, given: Value, channel: u32) -> Answer {
    let mut args = json!({
        "subscriptionId": new_id(),
        "endpoint": "graphql",
        "headers": {},
        "body": SUBSCRIPTION,
        "messages": format!("__CHANNEL__:{channel}"),
    });
    for (key, value) in given.as_object().expect("an object") {
        args[key] = value.clone();
    }
    page.invoke("subscribe", args)
}

#[test]
fn a_subscriptions_messages_come_in_order_and_its_payloads_untouched() {
    let here = Streaming::open();
    let feed = here.opened("one", 7);
    let payload = r#"{ "z":12345678901234567890123, "a":1.50 }"#;
    feed.next(payload);
    feed.cut();
    let messages = here.received(7, 4);
    assert_eq!(messages[1], json!({ "kind": "next", "payload": payload }));
    assert_eq!(messages[2]["kind"], "lost");
    let pause = messages[2]["retryAfterMs"].as_u64();
    assert!(pause.is_some_and(|pause| pause <= 1_000), "{pause:?}");
    assert_eq!(messages[3], json!({ "kind": "reconnected" }));

    wait(here.server.feed(1)).complete();

    assert_eq!(here.received(7, 5)[4], json!({ "kind": "complete" }));
}

#[test]
fn a_subscription_that_fails_says_so_as_its_last_message() {
    let here = Streaming::open();
    here.opened("one", 7);

    here.page.invoke("sign_out", json!({})).expect("signs out");

    let failed = &here.received(7, 2)[1];
    assert_eq!(failed["kind"], "failed");
    assert_eq!(failed["error"]["code"], "signed_out");
    assert!(failed["error"]["message"].is_string());
}

#[test]
fn a_stream_pauses_until_its_page_acknowledges_what_it_received() {
    let here = Streaming::open();
    let feed = here.opened("one", 7);
    let large = format!("\"{}\"", "x".repeat(1 << 16));
    for _ in 0..3 * MESSAGES_IN_FLIGHT {
        feed.next("1");
    }
    for _ in 0..32 {
        feed.next(&large);
    }
    let arrive = |count: usize| assert_eq!(here.received(7, count).len(), count);
    let acknowledge = |count: usize| {
        let args = json!({ "subscriptionId": "one", "count": count });
        let answer = here.page.invoke("ack_events", args);
        answer.expect("is acknowledged");
    };

    arrive(MESSAGES_IN_FLIGHT);
    acknowledge(40);
    arrive(MESSAGES_IN_FLIGHT + 40);
    // An older number changes nothing.
    acknowledge(10);
    let small = 1 + 3 * MESSAGES_IN_FLIGHT;
    acknowledge(MESSAGES_IN_FLIGHT + 40);
    here.received(7, 2 * MESSAGES_IN_FLIGHT + 40);
    acknowledge(2 * MESSAGES_IN_FLIGHT + 40);
    here.received(7, small);
    acknowledge(small);
    // Sixteen of 64 kB are 1 MiB.
    arrive(small + 16);
    acknowledge(small + 16);
    arrive(small + 32);
}

#[test]
fn a_cancelled_subscription_closes_its_connection() {
    let here = Streaming::open();
    here.opened("one", 7);
    here.opened("two", 8);

    let args = json!({ "requestId": "one" });
    here.page.invoke("cancel", args).expect("is cancelled");

    here.wait_until_over(1);
    wait(here.server.feed(1)).next("1");
    assert_eq!(here.received(8, 2).len(), 2, "the other one goes on");
    assert_eq!(here.received(7, 1).len(), 1);
}

#[test]
fn an_id_that_comes_again_starts_no_second_stream() {
    let here = Streaming::open();
    let feed = here.opened("one", 7);
    assert_fails(subscribe(&here.page, "one", 8), "already_ran");

    feed.complete();
    here.received(7, 2);
    here.wait_until_over(1);

    assert_fails(subscribe(&here.page, "one", 8), "already_ran");
    assert_eq!(here.server.counts().subscriptions, 1);
}

#[test]
fn a_window_that_closes_closes_its_streams_and_no_others() {
    let here = Streaming::open();
    here.opened("one", 7);
    let other = here.app.window("main-2");
    subscribe(&other, "one", 8).expect("another window's id is another one");
    here.received(8, 1);

    here.app.close(here.page.clone());

    here.wait_until_over(1);
    wait(here.server.feed(1)).next("1");
    assert_eq!(here.received(8, 2).len(), 2);
}

#[test]
fn a_page_that_loads_closes_the_old_pages_streams_and_old_ids_start_nothing() {
    let here = Streaming::open();
    here.opened("one", 7);

    here.app.load_page(&here.page);

    here.wait_until_over(1);
    assert_fails(subscribe(&here.page, "one", 7), "already_ran");
    here.opened("two", 9);
}

#[test]
fn a_window_has_a_bounded_number_of_streams() {
    let here = Streaming::open();
    here.server.on_every_subscription(Fault::Stall);
    for _ in 0..100 {
        subscribe(&here.page, &new_id(), 7).expect("there is room");
    }
    assert_fails(subscribe(&here.page, "one", 7), "too_many_calls");
    let other = here.app.window("main-2");
    subscribe(&other, "one", 8).expect("another window has its own room");
}

#[test]
fn a_subscribe_without_a_subscription_or_to_elsewhere_is_refused_unsent() {
    let here = Streaming::open();
    let before = here.server.counts();
    for given in [
        json!({ "body": r#"{"query":"mutation { a }"}"# }),
        json!({ "body": r#"{"query":"{ a }"}"# }),
        json!({ "body": "no JSON" }),
        json!({ "endpoint": "https://evil.example/graphql" }),
        json!({ "endpoint": "rest" }),
        json!({ "headers": { "Authorization": "Bearer mine" } }),
        json!({ "account": "nobody" }),
        json!({ "subscriptionId": "" }),
    ] {
        let answer = subscribe_with(&here.page, given.clone(), 7);
        assert_eq!(code(answer), "invalid_request", "{given}");
    }
    assert_eq!(here.server.counts(), before);
    eventually("no stream is left", || here.server.counts().streams == 0);
}
