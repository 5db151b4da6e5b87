//! The fault switches, from Rust and over HTTP; servers that stop and start again.

use std::time::Duration;

use demo_server::{Calls, Counter, DemoServer, Options, Outcome, RenewalRefusal};
use serde_json::{Value, json};

use crate::client::{Ask, Demo};

/// With the switches over HTTP.
async fn start_with_control() -> Demo {
    Demo::start_with(Options {
        control: true,
        ..Options::default()
    })
    .await
}

#[tokio::test]
async fn dropped_connections_get_no_byte_and_change_nothing() {
    let (demo, pair) = Demo::signed_in().await;
    demo.switches.drop_connections(Some(Calls::Renewals));
    assert!(demo.renewal(&pair.refresh).try_send().await.is_none());
    demo.accepts(&pair.access).await;
    demo.switches.drop_connections(Some(Calls::All));
    let call = demo.user_at("/graphql", &pair.access);
    assert!(call.try_send().await.is_none());
    demo.switches.drop_connections(None);
    let counts = demo.switches.counts();
    let renewals = (counts.renewals_sent, counts.renewals_accepted);
    assert_eq!((counts.connections_dropped, renewals), (2, (1, 0)));
    assert_eq!(counts.renewals[0].outcome, Outcome::Dropped);
    // The token was never used: long after the grace time it is still good.
    demo.pass(Duration::from_secs(600));
    demo.renew(&pair.refresh).await.is("renewed");
}

#[tokio::test]
async fn a_lost_answer_has_rotated_the_token() {
    let (demo, pair) = Demo::signed_in().await;
    demo.switches.lose_renewal_answers(1);
    assert!(demo.renewal(&pair.refresh).try_send().await.is_none());
    let counts = demo.switches.wait_for(Counter::RenewalsLost, 1).await;
    let (accepted, dropped) = (counts.renewals_accepted, counts.connections_dropped);
    assert_eq!((accepted, dropped), (0, 1));
    assert_eq!(counts.renewals[0].outcome, Outcome::Lost);
    // Inside the grace time the same token works again, after it no more.
    demo.renew(&pair.refresh).await.is("renewed");
    demo.pass(Duration::from_secs(60));
    demo.refuses_reuse(&pair.refresh).await;
}

#[tokio::test]
async fn a_failed_renewal_does_not_use_up_the_answer_to_be_lost() {
    let (demo, pair) = Demo::signed_in().await;
    demo.switches.lose_renewal_answers(1);
    demo.renew("garbage").await.is("renewal with garbage");
    assert!(demo.renewal(&pair.refresh).try_send().await.is_none());
}

#[tokio::test]
async fn a_held_renewal_waits_for_the_gate_and_finishes_even_when_its_client_has_gone() {
    let (demo, pair) = Demo::signed_in().await;
    demo.switches.hold_renewals(true);
    let client = tokio::spawn(demo.renewal(&pair.refresh).try_send());
    demo.switches.wait_for(Counter::RenewalsHeld, 1).await;
    client.abort();
    assert!(client.await.is_err());
    assert_eq!(demo.switches.counts().renewals_accepted, 0);
    demo.switches.hold_renewals(false);
    let counts = demo.switches.wait_for(Counter::RenewalsAccepted, 1).await;
    assert_eq!(counts.renewals_held, 0);
    demo.pass(Duration::from_secs(60));
    demo.refuses_reuse(&pair.refresh).await;
}

#[tokio::test]
async fn renewals_are_refused_with_the_chosen_error_or_page() {
    let (demo, pair) = Demo::signed_in().await;
    let error = |sub_code: Option<&str>| RenewalRefusal::Error {
        code: "BAD_USER_INPUT".into(),
        sub_code: sub_code.map(str::to_owned),
        message: "Limit reached. Please try again later.".into(),
    };
    for sub_code in [Some("LIMIT_REACHED"), None] {
        demo.switches.refuse_renewals(Some(error(sub_code)));
        let reply = demo.renew(&pair.refresh).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.message(), "Limit reached. Please try again later.");
        let extensions = &reply.body["errors"][0]["extensions"];
        let shown = extensions.get("subCode").and_then(Value::as_str);
        assert_eq!(shown, sub_code);
        assert_eq!(reply.body["data"], Value::Null);
    }
    demo.switches.refuse_renewals(Some(RenewalRefusal::Page {
        status: 429,
        html: "<h1>Slow down</h1>".into(),
        retry_after: Some("30".into()),
    }));
    let reply = demo.renew(&pair.refresh).await;
    let shown = (reply.status, reply.text.as_str());
    assert_eq!(shown, (429, "<h1>Slow down</h1>"));
    assert!(reply.head.contains("retry-after: 30"), "{}", reply.head);
    // Only renewals are refused.
    demo.accepts(&pair.access).await;
    demo.switches.refuse_renewals(None);
    demo.renew(&pair.refresh).await.is("renewed");
    assert_eq!(demo.switches.counts().renewals_refused, 3);
}

#[tokio::test]
async fn slow_answers_are_late_and_slow_renewals_leave_other_calls_alone() {
    let (demo, pair) = Demo::signed_in().await;
    let late = Duration::from_millis(150);
    demo.switches.slow(Calls::Renewals, late);
    let begun = std::time::Instant::now();
    demo.renew(&pair.refresh).await.is("renewed");
    assert!(begun.elapsed() >= late);
    let hour = Duration::from_secs(3_600);
    demo.switches.slow(Calls::Renewals, hour);
    demo.accepts(&pair.access).await;
    // Stopping the server does not wait for the delayed answer.
    let asked = tokio::spawn(demo.renewal(&pair.refresh).try_send());
    demo.switches.wait_for(Counter::RenewalsSent, 2).await;
    demo.server.stop().await;
    asked.await.expect("no panic");
}

#[tokio::test]
async fn an_unavailable_server_shows_a_page() {
    let (demo, pair) = Demo::signed_in().await;
    demo.switches.unavailable(true);
    for ask in [
        demo.renewal(&pair.refresh),
        demo.metadata("{ currentUser { email } }"),
        demo.ask("", "").line("GET /healthz"),
    ] {
        let reply = ask.send().await;
        let shown = (reply.status, reply.content_type.as_str());
        assert_eq!(shown, (503, "text/html; charset=utf-8"));
    }
    demo.switches.reset();
    demo.renew(&pair.refresh).await.is("renewed");
}

/// 1. A server with a data folder is stopped: connections are refused.
/// 2. It starts again on the same port with the same folder: sign-ins, expiries and records are as they were.
#[tokio::test]
async fn a_server_that_comes_back_on_its_port_knows_its_sessions_and_records() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = |port| Options {
        port,
        data: Some(folder.path().join("data")),
        ..Options::default()
    };
    let demo = Demo::start_with(options(0)).await;
    let pair = demo.sign_in().await;
    let create = "mutation { createCompany(data: { name: \"Stays\" }) { id } }";
    demo.graphql(create).bearer(&pair.access).send().await;
    demo.switches.expire_access_tokens().await.expect("expired");
    let (port, ask) = (demo.server.address().port(), demo.renewal(&pair.refresh));
    demo.server.stop().await;
    assert!(ask.clone().try_send().await.is_none(), "nobody listens");

    let demo = Demo::start_with(options(port)).await;
    assert_eq!(demo.server.address().port(), port);
    demo.user(&pair.access).await.is("expired bearer");
    let pair = ask.send().await.renewed();
    let find = "{ companies(filter: { name: { eq: \"Stays\" } }) { totalCount } all: companies { totalCount } }";
    let reply = demo.graphql(find).bearer(&pair.access).send().await;
    assert_eq!(
        reply.body["data"],
        json!({ "companies": { "totalCount": 1 }, "all": { "totalCount": 501 } })
    );
}

#[tokio::test]
async fn a_dropped_server_closes_connections_and_a_taken_port_is_named_in_the_error() {
    let (demo, pair) = Demo::signed_in().await;
    let port = demo.server.address().port();
    let options = Options {
        port,
        ..Options::default()
    };
    let taken = DemoServer::start(options).await.expect_err("taken");
    let taken = taken.to_string();
    assert!(taken.contains(&format!("127.0.0.1:{port}")), "{taken}");
    demo.switches.hold_renewals(true);
    let asked = tokio::spawn(demo.renewal(&pair.refresh).try_send());
    demo.switches.wait_for(Counter::RenewalsHeld, 1).await;
    drop(demo.server);
    assert!(asked.await.expect("no panic").is_none());
}

fn control(demo: &Demo, line: &str) -> Ask {
    demo.ask("", "").line(line).header("x-demo-control", "1")
}

/// Changes the switches over HTTP; answers the status and the switches.
async fn turn(demo: &Demo, change: Value) -> (u16, Value) {
    let ask = control(demo, "POST /demo/switches").raw(&change.to_string());
    let reply = ask.send().await;
    (reply.status, reply.body)
}

#[tokio::test]
async fn the_switches_are_set_and_the_counts_are_read_over_http() {
    let demo = start_with_control().await;
    let pair = demo.sign_in().await;
    let patch = json!({ "graceMs": 5, "slow": { "calls": "all", "ms": 1 }, "expireAccessTokens": true, "resetCounts": true });
    let (_, switches) = turn(&demo, patch).await;
    assert_eq!(
        (&switches["graceMs"], &switches["slow"]["ms"]),
        (&json!(5), &json!(1))
    );
    demo.user(&pair.access).await.is("expired bearer");
    let page = json!({ "refuseRenewals": { "status": 502, "html": "x" }, "unavailable": true });
    assert_eq!(turn(&demo, page).await.0, 200);
    assert_eq!(demo.renew(&pair.refresh).await.status, 503);
    let (_, switches) = turn(&demo, json!({ "unavailable": false })).await;
    assert_eq!(
        switches["refuseRenewals"]["status"], 502,
        "the other switches stay"
    );
    assert_eq!(demo.renew(&pair.refresh).await.status, 502);
    assert_eq!(turn(&demo, json!({ "noSuch": 1 })).await.0, 400);
    let revoke = json!({ "reset": true, "revokeRefreshTokens": true });
    turn(&demo, revoke).await;
    demo.refuses_reuse(&pair.refresh).await;
    let reply = control(&demo, "GET /demo/counts").raw("null").send().await;
    let counts = reply.body;
    assert_eq!(
        (&counts["callsRefused"], &counts["renewalsRefused"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(counts["renewals"][1]["outcome"], "refused");
    assert!(!reply.text.contains("eyJ"), "no token in the counts");
}

#[tokio::test]
async fn a_web_page_cannot_turn_the_switches() {
    let demo = start_with_control().await;
    let switches = |demo: &Demo| {
        let ask = demo.ask("", "").line("POST /demo/switches");
        ask.raw("{\"unavailable\":true}")
    };
    let ask = || switches(&demo);
    let control = || ask().header("x-demo-control", "1");
    for refused in [
        ask(),
        control().header("origin", "http://evil.example"),
        control().header("host", "evil.example"),
        demo.ask("", "").line("GET /demo/counts"),
        demo.ask("", "")
            .line("OPTIONS /demo/switches")
            .header("origin", "http://evil.example"),
    ] {
        let reply = refused.send().await;
        assert_eq!(reply.status, 403);
        assert!(!reply.head.contains("access-control-"), "{}", reply.head);
    }
    assert!(!demo.switches.state().unavailable);
    assert_eq!(control().send().await.status, 200);
    let demo = Demo::start().await;
    let without = switches(&demo).header("x-demo-control", "1");
    assert_eq!(without.send().await.status, 404, "there only by option");
}

#[tokio::test]
async fn no_debug_output_shows_a_token() {
    let (demo, pair) = Demo::signed_in().await;
    demo.renew(&pair.refresh).await;
    let (server, switches) = (&demo.server, &demo.switches);
    let printed = format!("{server:?} {switches:?} {:?}", switches.counts()).to_lowercase();
    for secret in ["eyj", "secret"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
