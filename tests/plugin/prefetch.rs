//! The one query that is sent before a page asks for it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use graphql_session_testing::{EMAIL, Fault, FaultServer, Gate, ManualClock, NextSleep, PASSWORD};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tauri::test::mock_builder;
use tauri_plugin_graphql_session::Builder;
use tauri_plugin_graphql_session::graphql_session::{Call, Config, Session};

use crate::test_app::{
    Answer, EVERYTHING, PEOPLE, Page, TestApp, assert_fails, context, joined, new_id, wait,
};

/// How long the prefetch is kept.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// What one call may take in all.
const CALL_LIMIT: Duration = Duration::from_secs(75);

/// What a page gives its call, in ms.
const DEADLINE_MS: u64 = 4_321;
const DEADLINE: Duration = Duration::from_millis(DEADLINE_MS);

/// An application that prefetches, on a manual clock, with a second account in which nobody is signed in.
struct Start {
    app: TestApp,
    server: FaultServer,
    clock: ManualClock,
    /// Over once the prefetch is not kept any more.
    kept: NextSleep,
}

impl Start {
    /// An earlier run has left a session. The prefetch meets these faults, if any.
    fn with(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self::of(call(PEOPLE), |config, server| {
            store_session(config, server);
            faults.into_iter().for_each(|fault| server.on_call(fault));
        })
    }

    fn of(prefetched: Call, before: impl FnOnce(Config, &FaultServer)) -> Self {
        let clock = ManualClock::new();
        let server = wait(FaultServer::start_on(&clock));
        server.answer("people", reply(1));
        let kept = clock.next_sleep(KEPT_FOR);
        let app = TestApp::open_with(EVERYTHING, |_, configure| {
            let configure = |account: &str| Config {
                clock: Arc::new(clock.clone()),
                ..configure(account)
            };
            before(configure("default"), &server);
            Builder::new()
                .session(configure("default"))
                .session(configure("other"))
                .prefetch(prefetched)
        });
        Self {
            app,
            server,
            clock,
            kept,
        }
    }

    /// The prefetch has been answered with 1, and whatever is sent from now on is answered with 2.
    fn answered() -> Self {
        Self::with([]).once_answered()
    }

    fn once_answered(self) -> Self {
        wait(self.server.wait_for(|counts| counts.served == 1));
        self.server.answer("people", reply(2));
        self
    }

    /// The prefetch is at the server, and so far without an answer.
    fn held(gate: &Gate, then: Fault) -> Self {
        let start = Self::with([Fault::hold_then(gate, then)]);
        wait(start.server.wait_for(|counts| counts.calls == 1));
        start.server.answer("people", reply(2));
        start
    }

    /// A page asks for the prefetched query and waits for it; its answer.
    fn ask_and_wait(&self, page: &Page, id: &str) -> JoinHandle<Answer> {
        self.ask_and_wait_at_most(page, id, DEADLINE_MS, DEADLINE)
    }

    /// The same with a deadline of the page's, and what it waits for at most. By then it has found the prefetch without
    /// an outcome.
    fn ask_and_wait_at_most(
        &self,
        page: &Page,
        id: &str,
        deadline_ms: u64,
        longest: Duration,
    ) -> JoinHandle<Answer> {
        let waiting = self.clock.next_sleep(longest);
        let metadata = json!({ "requestId": id, "endpoint": "graphql", "deadlineMs": deadline_ms });
        let page = page.clone();
        let asked = std::thread::spawn(move || {
            let reply = page.execute_as(metadata, PEOPLE)?;
            Ok(reply.body)
        });
        wait(waiting.begun());
        asked
    }

    fn sign_in_to_other(&self, page: &Page) {
        let request = json!({ "account": "other", "server": self.server.address() });
        let login = json!({ "email": EMAIL, "password": PASSWORD });
        let signed_in = page.sign_in_by_password(request, login);
        signed_in.expect("signs in");
    }

    /// How often `people` was asked for so far.
    fn asked(&self) -> u64 {
        self.asked_at("graphql")
    }

    fn asked_at(&self, endpoint: &str) -> u64 {
        let by_name = self.server.counts().by_name;
        let name = format!("{endpoint} people");
        by_name.get(&name).copied().unwrap_or(0)
    }

    fn wait_for_calls_to_end(&self) {
        wait(self.server.wait_for_calls_to_end());
    }
}

#[test]
fn the_first_page_gets_the_prefetched_reply_and_the_next_page_makes_its_own_call() {
    let start = Start::answered();
    let pages = [start.app.window("main"), start.app.window("main-2")];

    assert_eq!((people(&pages[0]), start.asked()), (1, 1));
    assert_eq!((people(&pages[1]), start.asked()), (2, 2));
}

#[test]
fn a_page_that_asks_during_the_prefetch_waits_for_its_reply() {
    let gate = Gate::new();
    let start = Start::of(call(PEOPLE), |config, server| {
        store_session(config, server);
        server.expire_access_tokens();
        server.on_renewal(Fault::hold(&gate));
    });
    wait(start.server.wait_for(|counts| counts.renewals == 1));
    let page = start.app.window("main");
    let asked = start.ask_and_wait(&page, &new_id());
    gate.open();

    assert_eq!(count_in(&joined(asked).expect("a reply")), 1);
    // Refused, and replayed after the one renewal: the page sent nothing of its own.
    assert_eq!((start.asked(), start.server.counts().renewals), (2, 1));
}

#[test]
fn a_call_that_differs_is_made_as_ever_and_leaves_the_prefetch() {
    let start = Start::answered();
    let page = start.app.window("main");

    let other = "query People { people(first: 2) { totalCount } }";
    let reply = page.execute("graphql", other).expect("a reply");
    assert_eq!((count_in(&reply), start.asked()), (2, 2));
    let reply = execute(&page, json!({ "headers": { "x-request-id": "1" } }));
    assert_eq!((count_in(&reply), start.asked()), (2, 3));

    assert_eq!((people(&page), start.asked()), (1, 3));
}

#[test]
fn another_endpoint_or_account_is_not_served_by_the_prefetch_and_leaves_it() {
    for (other, endpoint, calls, calls_of_graphql) in [
        (json!({ "endpoint": "metadata" }), "metadata", 1, 1),
        (json!({ "account": "other" }), "graphql", 2, 2),
    ] {
        let start = Start::answered();
        let page = start.app.window("main");
        start.sign_in_to_other(&page);

        let reply = execute(&page, other.clone());
        let asked = start.asked_at(endpoint);
        assert_eq!((count_in(&reply), asked), (2, calls), "{other}");

        let (shown, asked) = (people(&page), start.asked());
        assert_eq!((shown, asked), (1, calls_of_graphql), "{other}");
    }
}

#[test]
fn headers_are_the_same_in_any_order_and_case() {
    let mut prefetched = call(PEOPLE);
    prefetched.headers = [
        ("X-Request-Id", "replaced below"),
        ("X-REQUEST-ID", "app"),
        ("Accept", "application/json"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let start = Start::of(prefetched, store_session).once_answered();
    let page = start.app.window("main");

    let headers = json!({ "accept": "application/json", "x-request-id": "app" });
    let reply = execute(&page, json!({ "headers": headers }));
    assert_eq!((count_in(&reply), start.asked()), (1, 1));
}

#[test]
fn a_mutation_drops_the_prefetch_of_its_account_and_of_no_other() {
    for (account, shown) in [("default", 2), ("other", 1)] {
        let start = Start::answered();
        let page = start.app.window("main");
        start.sign_in_to_other(&page);
        let mutation = json!({ "requestId": new_id(), "endpoint": "graphql", "account": account });
        page.execute_as(mutation, "mutation { createPerson { id } }")
            .expect("runs");

        assert_eq!(people(&page), shown, "after a mutation of {account}");
    }
}

#[test]
fn what_was_asked_in_one_session_is_not_shown_in_the_next_even_without_a_sign_out() {
    for signs_out in [true, false] {
        let start = Start::answered();
        let page = start.app.window("main");
        if signs_out {
            page.invoke("sign_out", json!({})).expect("signed out");
        }
        page.sign_in_at(&start.server);

        let (shown, asked) = (people(&page), start.asked());
        assert_eq!((shown, asked), (2, 2), "signs out first: {signs_out}");
    }
}

#[test]
fn a_reply_that_comes_after_a_sign_in_is_not_shown_to_the_page_that_waits_for_it() {
    let gate = Gate::new();
    let start = Start::held(&gate, Fault::json(reply(1)));
    let page = start.app.window("main");
    let asked = start.ask_and_wait(&page, &new_id());
    page.sign_in_at(&start.server);
    gate.open();

    assert_eq!(count_in(&joined(asked).expect("a reply")), 2);
    assert_eq!(start.asked(), 2);
}

#[test]
fn a_sign_out_takes_the_prefetch_back() {
    let start = Start::held(&Gate::new(), Fault::Stall);
    let page = start.app.window("main");
    page.invoke("sign_out", json!({})).expect("signed out");

    start.wait_for_calls_to_end();
}

#[test]
fn a_page_waits_for_the_prefetch_no_longer_than_its_own_deadline() {
    let start = Start::held(&Gate::new(), Fault::Stall);
    let page = start.app.window("main");
    let asked = start.ask_and_wait(&page, &new_id());
    start.clock.advance(DEADLINE);

    assert_fails(joined(asked), "timed_out");
    start.wait_for_calls_to_end();
    assert_eq!(start.asked(), 1);
}

#[test]
fn a_page_waits_for_the_prefetch_until_the_limit_of_a_call_and_shares_its_timeout() {
    let start = Start::held(&Gate::new(), Fault::Stall);
    let page = start.app.window("main");
    let sent_before = Duration::from_secs(1);
    start.clock.advance(sent_before);
    let asked = start.ask_and_wait_at_most(&page, &new_id(), 100_000, CALL_LIMIT);
    start.clock.advance(CALL_LIMIT - sent_before);

    assert_fails(joined(asked), "timed_out");
    assert_eq!(start.asked(), 1);
}

#[test]
fn a_page_that_makes_its_own_call_after_the_prefetch_has_the_rest_of_its_time() {
    let gate = Gate::new();
    let start = Start::held(&gate, Fault::html(200));
    start.server.on_call(Fault::Stall);
    let page = start.app.window("main");
    let asked = start.ask_and_wait(&page, &new_id());
    let waited = Duration::from_secs(3);
    start.clock.advance(waited);
    let rest = DEADLINE - waited;
    let own_call = start.clock.next_sleep(rest);
    gate.open();
    wait(start.server.wait_for(|counts| counts.calls == 2));
    wait(own_call.begun());
    start.clock.advance(rest);

    assert_fails(joined(asked), "timed_out");
    assert_eq!(start.asked(), 2);
}

#[test]
fn a_page_that_takes_its_call_back_or_goes_away_takes_the_prefetch_back() {
    let cancel = |_: &TestApp, page: Page| {
        let id = json!({ "requestId": "asked" });
        page.invoke("cancel", id).expect("taken back");
    };
    for leave in [cancel as fn(&TestApp, Page), TestApp::close] {
        let start = Start::held(&Gate::new(), Fault::Stall);
        let page = start.app.window("main");
        let asked = start.ask_and_wait(&page, "asked");
        leave(&start.app, page);

        assert_fails(joined(asked), "cancelled");
        start.wait_for_calls_to_end();
        assert_eq!(start.asked(), 1);
    }
}

#[test]
fn a_prefetch_that_fails_while_a_page_waits_is_one_failure_for_both() {
    let gate = Gate::new();
    let start = Start::held(&gate, Fault::Reset);
    // A query whose connection was lost is sent once more.
    start.server.on_call(Fault::Reset);
    let page = start.app.window("main");
    let asked = start.ask_and_wait(&page, &new_id());
    gate.open();

    assert_fails(joined(asked), "unreachable");
    assert_eq!(start.asked(), 2);
}

#[test]
fn a_prefetch_that_failed_before_a_page_asks_is_made_again() {
    let start = Start::with([Fault::Reset, Fault::Reset]);
    let page = start.app.window("main");
    wait(start.kept.over());

    assert_eq!((people(&page), start.asked()), (1, 3));
}

#[test]
fn a_reply_without_data_or_with_errors_is_asked_for_again() {
    let failed =
        r#"[{"message":"Something failed","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]"#;
    for fault in [
        Fault::html(200),
        Fault::status(429),
        Fault::status(502),
        Fault::not_json(),
        Fault::json(format!(r#"{{"errors":{failed}}}"#)),
        Fault::json(format!(r#"{{"data":{{"people":null}},"errors":{failed}}}"#)),
        Fault::Answer {
            status: 500,
            headers: Vec::new(),
            body: reply(3),
        },
    ] {
        let start = Start::with([fault.clone()]);
        wait(start.server.wait_for(|counts| counts.calls == 1));
        let page = start.app.window("main");

        assert_eq!((people(&page), start.asked()), (1, 2), "after {fault:?}");
    }
}

#[test]
fn a_reply_is_kept_for_ten_seconds_and_no_longer() {
    for (after, shown) in [(KEPT_FOR - Duration::from_millis(1), 1), (KEPT_FOR, 2)] {
        let start = Start::answered();
        wait(start.kept.begun());
        start.clock.advance(after);

        assert_eq!(people(&start.app.window("main")), shown, "{after:?}");
    }
}

#[test]
fn a_prefetch_that_no_page_asks_for_is_taken_back_after_ten_seconds() {
    let start = Start::held(&Gate::new(), Fault::Stall);
    wait(start.kept.begun());
    start.clock.advance(KEPT_FOR);

    start.wait_for_calls_to_end();
}

#[test]
fn a_reply_from_before_a_sleep_of_the_machine_is_not_shown() {
    let start = Start::answered();
    start.clock.jump_wall(SignedDuration::from_mins(1));

    assert_eq!(people(&start.app.window("main")), 2);
    assert_eq!(start.asked(), 2);
}

#[test]
fn nothing_is_sent_where_nobody_is_signed_in_nor_for_a_page_that_signs_in() {
    let start = Start::of(call(PEOPLE), |_, _| {});
    let page = start.app.window("main");
    page.sign_in_at(&start.server);
    wait(start.clock.quiet());

    assert_eq!(start.asked(), 0);
    assert_eq!((people(&page), start.asked()), (1, 1));
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

fn store_session(config: Config, server: &FaultServer) {
    wait(async {
        let session = Session::open(config).await.expect("a session");
        session
            .sign_in(&server.address(), server.person())
            .await
            .expect("signed in");
        session.close().await;
    });
}

fn call(query: &str) -> Call {
    Call::new("graphql", json!({ "query": query }).to_string())
}

/// The server's reply with this count.
fn reply(count: u64) -> String {
    json!({ "data": { "people": { "totalCount": count } } }).to_string()
}

/// What a page sees when it makes the prefetched call.
fn people(page: &Page) -> u64 {
    count_in(&execute(page, json!({})))
}

/// The prefetched query, with this beside it.
fn execute(page: &Page, further: Value) -> Value {
    let mut metadata = json!({ "requestId": new_id(), "endpoint": "graphql" });
    for (key, value) in further.as_object().expect("an object") {
        metadata[key] = value.clone();
    }
    page.execute_as(metadata, PEOPLE).expect("a reply").body
}

fn count_in(reply: &Value) -> u64 {
    reply["data"]["people"]["totalCount"]
        .as_u64()
        .expect("a count")
}
