//! The fault switches, from Rust and over HTTP; servers that stop and start again.

use std::time::Duration;

use demo_server::{Calls, Counter, DemoServer, Options, Outcome, RenewalRefusal};
use serde_json::{Value, json};

use crate::client::{Demo, Reply, tokens};

const USER: &str = "{ currentUser { email } }";

#[tokio::test]
async fn dropped_connections_get_no_byte_and_change_nothing() {
    let demo = Demo::start().await;
    let pair = demo.sign_in().await;
    demo.switches.drop_connections(Some(Calls::Renewals));
    assert!(demo.renewal(&pair.refresh).try_send().await.is_none());
    assert_eq!(
        demo.graphql(USER).bearer(&pair.access).send().await.status,
        200
    );
    demo.switches.drop_connections(Some(Calls::All));
    assert!(
        demo.graphql(USER)
            .bearer(&pair.access)
            .try_send()
            .await
            .is_none()
    );
    demo.switches.drop_connections(None);
    let counts = demo.switches.counts();
    assert_eq!(
        (
            counts.connections_dropped,
            counts.renewals_sent,
            counts.renewals_accepted
        ),
        (2, 1, 0)
    );
    assert_eq!(counts.renewals[0].outcome, Outcome::Dropped);
    // The token was never used: long after the grace time it is still good.
    demo.pass(Duration::from_secs(600));
    demo.renew(&pair.refresh).await.is("renewed");
}

#[tokio::test]
async fn a_lost_answer_has_rotated_the_token() {
    let demo = Demo::start().await;
    let pair = demo.sign_in().await;
    demo.switches.lose_renewal_answers(1);
    assert!(demo.renewal(&pair.refresh).try_send().await.is_none());
    let counts = demo.switches.wait_for(Counter::RenewalsLost, 1).await;
    assert_eq!(
        (counts.renewals_accepted, counts.connections_dropped),
        (0, 1)
    );
    assert_eq!(counts.renewals[0].outcome, Outcome::Lost);
    // Inside the grace time the same token works again, after it no more.
    demo.renew(&pair.refresh).await.is("renewed");
    demo.pass(Duration::from_secs(60));
    demo.renew(&pair.refresh)
        .await
        .is("renewal after the grace time");
}

#[tokio::test]
async fn a_failed_renewal_does_not_use_up_the_answer_to_be_lost() {
    let demo = Demo::start().await;
    let pair = demo.sign_in().await;
    demo.switches.lose_renewal_answers(1);
    demo.renew("garbage").await.is("renewal with garbage");
    assert!(demo.renewal(&pair.refresh).try_send().await.is_none());
}

#[tokio::test]
async fn a_held_renewal_waits_for_the_gate_and_finishes_even_when_its_client_has_gone() {
    let demo = Demo::start().await;
    let pair = demo.sign_in().await;
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
    demo.renew(&pair.refresh)
        .await
        .is("renewal after the grace time");
}

#[tokio::test]
async fn renewals_are_refused_with_the_chosen_error_or_page() {
    let demo = Demo::start().await;
    let pair = demo.sign_in().await;
    let error = |sub_code: Option<&str>| RenewalRefusal::Error {
        code: "BAD_USER_INPUT".into(),
        sub_code: sub_code.map(str::to_owned),
        message: "Limit reached. Please try again later.".into(),
    };
    demo.switches
        .refuse_renewals(Some(error(Some("LIMIT_REACHED"))));
    let reply = demo.renew(&pair.refresh).await;
    assert_eq!(
        (reply.status, reply.message()),
        (200, "Limit reached. Please try again later.")
    );
    assert_eq!(
        reply.body["errors"][0]["extensions"]["subCode"],
        "LIMIT_REACHED"
    );
    assert_eq!(reply.body["data"], Value::Null);
    demo.switches.refuse_renewals(Some(error(None)));
    assert!(
        demo.renew(&pair.refresh).await.body["errors"][0]["extensions"]
            .get("subCode")
            .is_none()
    );
    demo.switches.refuse_renewals(Some(RenewalRefusal::Page {
        status: 429,
        html: "<h1>Slow down</h1>".into(),
        retry_after: Some("30".into()),
    }));
    let reply = demo.renew(&pair.refresh).await;
    assert_eq!(
        (reply.status, reply.text.as_str()),
        (429, "<h1>Slow down</h1>")
    );
    assert!(reply.head.contains("retry-after: 30"), "{}", reply.head);
    assert_eq!(
        demo.graphql(USER).bearer(&pair.access).send().await.status,
        200,
        "only renewals"
    );
    demo.switches.refuse_renewals(None);
    demo.renew(&pair.refresh).await.is("renewed");
    assert_eq!(demo.switches.counts().renewals_refused, 3);
}

#[tokio::test]
async fn slow_answers_are_late_and_slow_renewals_leave_other_calls_alone() {
    let demo = Demo::start().await;
    let pair = demo.sign_in().await;
    let late = Duration::from_millis(150);
    demo.switches.slow(Calls::Renewals, late);
    let begun = std::time::Instant::now();
    demo.renew(&pair.refresh).await.is("renewed");
    assert!(begun.elapsed() >= late);
    demo.switches
        .slow(Calls::Renewals, Duration::from_secs(3_600));
    assert_eq!(
        demo.graphql(USER).bearer(&pair.access).send().await.status,
        200
    );
    // Stopping the server does not wait for the delayed answer.
    let asked = tokio::spawn(demo.renewal(&pair.refresh).try_send());
    demo.switches.wait_for(Counter::RenewalsSent, 2).await;
    demo.server.stop().await;
    asked.await.expect("no panic");
}

#[tokio::test]
async fn an_unavailable_server_shows_a_page() {
    let demo = Demo::start().await;
    let pair = demo.sign_in().await;
    demo.switches.unavailable(true);
    for ask in [
        demo.renewal(&pair.refresh),
        demo.metadata(USER),
        demo.ask("", "").line("GET /healthz"),
    ] {
        let reply = ask.send().await;
        assert_eq!(
            (reply.status, reply.content_type.as_str()),
            (503, "text/html; charset=utf-8")
        );
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
    demo.graphql(USER)
        .bearer(&pair.access)
        .send()
        .await
        .is("expired bearer");
    let pair = tokens(&ask.send().await.is("renewed").body["data"]["renewToken"]);
    let find = "{ companies(filter: { name: { eq: \"Stays\" } }) { totalCount } all: companies { totalCount } }";
    let reply = demo.graphql(find).bearer(&pair.access).send().await;
    assert_eq!(
        reply.body["data"],
        json!({ "companies": { "totalCount": 1 }, "all": { "totalCount": 501 } })
    );
}

#[tokio::test]
async fn a_dropped_server_closes_connections_and_a_taken_port_is_named_in_the_error() {
    let demo = Demo::start().await;
    let pair = demo.sign_in().await;
    let port = demo.server.address().port();
    let taken = DemoServer::start(Options {
        port,
        ..Options::default()
    })
    .await
    .expect_err("taken");
    assert!(
        taken.to_string().contains(&format!("127.0.0.1:{port}")),
        "{taken}"
    );
    demo.switches.hold_renewals(true);
    let asked = tokio::spawn(demo.renewal(&pair.refresh).try_send());
    demo.switches.wait_for(Counter::RenewalsHeld, 1).await;
    drop(demo.server);
    assert!(asked.await.expect("no panic").is_none());
}

async fn control(demo: &Demo, line: &str, body: &Value) -> Reply {
    demo.ask("", "")
        .line(line)
        .header("x-demo-control", "1")
        .raw(&body.to_string())
        .send()
        .await
}

#[tokio::test]
async fn the_switches_are_set_and_the_counts_are_read_over_http() {
    let demo = Demo::start_with(Options {
        control: true,
        ..Options::default()
    })
    .await;
    let pair = demo.sign_in().await;
    let patch = json!({ "graceMs": 5, "slow": { "calls": "all", "ms": 1 }, "expireAccessTokens": true, "resetCounts": true });
    let reply = control(&demo, "POST /demo/switches", &patch).await;
    assert_eq!(
        (&reply.body["graceMs"], &reply.body["slow"]["ms"]),
        (&json!(5), &json!(1))
    );
    demo.graphql(USER)
        .bearer(&pair.access)
        .send()
        .await
        .is("expired bearer");
    let page = json!({ "refuseRenewals": { "status": 502, "html": "x" }, "unavailable": true });
    assert_eq!(
        control(&demo, "POST /demo/switches", &page).await.status,
        200
    );
    assert_eq!(demo.renew(&pair.refresh).await.status, 503);
    let back = control(
        &demo,
        "POST /demo/switches",
        &json!({ "unavailable": false }),
    )
    .await;
    assert_eq!(
        back.body["refuseRenewals"]["status"], 502,
        "the other switches stay"
    );
    assert_eq!(demo.renew(&pair.refresh).await.status, 502);
    assert_eq!(
        control(&demo, "POST /demo/switches", &json!({ "noSuch": 1 }))
            .await
            .status,
        400
    );
    control(
        &demo,
        "POST /demo/switches",
        &json!({ "reset": true, "revokeRefreshTokens": true }),
    )
    .await;
    demo.renew(&pair.refresh)
        .await
        .is("renewal after the grace time");
    let counts = control(&demo, "GET /demo/counts", &Value::Null).await.body;
    assert_eq!(
        (&counts["callsRefused"], &counts["renewalsRefused"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(counts["renewals"][1]["outcome"], "refused");
    assert!(
        !counts.to_string().contains("eyJ"),
        "no token in the counts"
    );
}

#[tokio::test]
async fn a_web_page_cannot_turn_the_switches() {
    let demo = Demo::start_with(Options {
        control: true,
        ..Options::default()
    })
    .await;
    let ask = || {
        demo.ask("", "")
            .line("POST /demo/switches")
            .raw("{\"unavailable\":true}")
    };
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
    let without = Demo::start().await;
    let reply = without
        .ask("", "")
        .line("POST /demo/switches")
        .header("x-demo-control", "1")
        .send()
        .await;
    assert_eq!(reply.status, 404, "there only by option");
}

#[tokio::test]
async fn no_debug_output_shows_a_token() {
    let demo = Demo::start().await;
    let pair = demo.sign_in().await;
    demo.renew(&pair.refresh).await;
    let printed = format!(
        "{:?} {:?} {:?}",
        demo.server,
        demo.switches,
        demo.switches.counts()
    );
    assert!(
        !printed.contains("eyJ") && !printed.to_lowercase().contains("secret"),
        "{printed}"
    );
}
