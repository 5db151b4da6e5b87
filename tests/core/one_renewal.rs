//! At most one renewal, whoever asks (I1, I2, I4).

use graphql_session::{Code, Phase};
use graphql_session_testing::{EMAIL, Fault, Gate, Machine, call, query};

use crate::fixture::{MINUTE, code, expired, finish, noted, serve, served, start, start_one};

#[tokio::test]
async fn fifty_calls_refused_together_cause_one_renewal_and_fifty_replays() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    let gate = Gate::new();
    machine.server.on_renewal(Fault::hold(&gate));

    let calls = start(&session, 50, &query("people"));
    machine
        .server
        .wait_for(|counts| counts.calls_refused == 50)
        .await;
    assert_eq!(session.status().phase, Phase::Renewing);
    gate.open();

    for outcome in finish(calls).await {
        assert_eq!(outcome.expect("replayed").status, 200);
    }
    let counts = machine.server.counts();
    assert_eq!((counts.renewals, counts.exchanged), (1, 1));
    assert_eq!(counts.calls, 1 + 50 + 50);
    assert_eq!(counts.served, 1 + 50);
    assert_eq!(session.status().phase, Phase::SignedIn);
}

#[tokio::test]
async fn eight_queries_over_both_endpoints_with_an_expired_token_cause_one_renewal() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;

    let calls = (0..8).map(|number| {
        let endpoint = if number % 2 == 0 {
            "graphql"
        } else {
            "metadata"
        };
        start_one(&session, call(endpoint, "query", "objects"))
    });
    for outcome in finish(calls.collect()).await {
        assert_eq!(outcome.expect("replayed").status, 200);
    }

    let counts = machine.server.counts();
    assert_eq!((counts.renewals, counts.exchanged), (1, 1));
    assert_eq!(counts.renewals_at_once, 1);
    assert!(counts.by_name["graphql objects"] >= 4);
    assert!(counts.by_name["metadata objects"] >= 4);
}

#[tokio::test]
async fn a_call_after_idling_past_the_expiry_renews_first_and_is_sent_once() {
    let machine = Machine::start().await;
    let session = served(&machine).await;
    machine.clock.advance(45 * MINUTE);

    let reply = machine
        .clock
        .run_until(session.execute(query("people")))
        .await;

    assert_eq!(reply.expect("renewed silently").status, 200);
    let counts = machine.server.counts();
    assert_eq!((counts.renewals, counts.calls_refused), (1, 0));
    assert_eq!(session.status().phase, Phase::SignedIn);
    assert_eq!(session.status().endings, 0);
}

/// 1. A is sent with the old credentials, and the server takes its time.
/// 2. B is refused, renews, and is replayed.
/// 3. A's refusal arrives: it is about credentials that nobody uses any more.
#[tokio::test]
async fn a_refusal_of_the_old_generation_after_the_renewal_is_replayed_without_another_renewal() {
    let machine = Machine::start().await;
    let session = served(&machine).await;
    let gate = Gate::new();
    machine.server.on_call(Fault::hold(&gate));
    let late = start_one(&session, query("companies"));
    machine.server.wait_for(|counts| counts.calls == 2).await;
    machine.server.expire_access_tokens();
    serve(&session).await;
    assert_eq!(machine.server.counts().renewals, 1);

    gate.open();
    let outcome = finish(vec![late]).await.remove(0);

    assert_eq!(outcome.expect("replayed").status, 200);
    let counts = machine.server.counts();
    assert_eq!(counts.renewals, 1, "the late refusal renewed again");
    assert_eq!(counts.by_name["graphql companies"], 2);
    assert_eq!(counts.calls_refused, 2);
}

#[tokio::test]
async fn a_refusal_of_the_old_generation_during_the_renewal_joins_it() {
    let machine = Machine::start().await;
    let session = served(&machine).await;
    let (late_gate, renewal_gate) = (Gate::new(), Gate::new());
    machine.server.on_call(Fault::hold(&late_gate));
    let late = start_one(&session, query("companies"));
    machine.server.wait_for(|counts| counts.calls == 2).await;
    machine.server.expire_access_tokens();
    machine.server.on_renewal(Fault::hold(&renewal_gate));
    let first = start_one(&session, query("people"));
    machine.server.wait_for(|counts| counts.renewals == 1).await;

    late_gate.open();
    machine
        .server
        .wait_for(|counts| counts.calls_refused == 2)
        .await;
    renewal_gate.open();

    for outcome in finish(vec![late, first]).await {
        assert_eq!(outcome.expect("replayed").status, 200);
    }
    assert_eq!(machine.server.counts().renewals, 1);
}

/// The longest that a renewal ahead of expiry waits is three quarters of the lifetime: then it is due, whatever was drawn.
#[tokio::test]
async fn a_renewal_ahead_of_expiry_and_a_refusal_in_the_same_instant_are_one_renewal() {
    let machine = Machine::start().await;
    let session = served(&machine).await;
    let gate = Gate::new();
    machine.server.on_renewal(Fault::hold(&gate));
    machine.server.expire_access_tokens();
    machine.clock.advance(30 * MINUTE * 3 / 4);

    let calls = start(&session, 10, &query("people"));
    machine
        .server
        .wait_for(|counts| counts.calls_refused == 10)
        .await;
    machine.clock.quiet().await;
    gate.open();

    for outcome in finish(calls).await {
        assert_eq!(outcome.expect("replayed").status, 200);
    }
    machine.clock.quiet().await;
    let counts = machine.server.counts();
    assert_eq!((counts.renewals, counts.exchanged), (1, 1));
}

#[tokio::test]
async fn ten_thousand_waiters_share_one_renewal_and_every_one_settles() {
    let machine = Machine::start().await;
    let session = served(&machine).await;
    machine.clock.advance(45 * MINUTE);
    let gate = Gate::new();
    machine.server.on_renewal(Fault::hold_then(
        &gate,
        Fault::refuse("UNAUTHENTICATED", "UNAUTHENTICATED", "Token has expired."),
    ));

    let calls = start(&session, 10_000, &query("people"));
    machine.server.wait_for(|counts| counts.renewals == 1).await;
    machine.clock.quiet().await;
    gate.open();

    let outcomes = finish(calls).await;
    assert_eq!(outcomes.len(), 10_000);
    for outcome in outcomes {
        assert_eq!(code(outcome), Code::SignedOut);
    }
    let counts = machine.server.counts();
    assert_eq!((counts.renewals, counts.calls), (1, 1));
}

#[tokio::test]
async fn two_accounts_renew_apart_and_the_failure_of_one_leaves_the_other_alone() {
    let machine = Machine::start().await;
    machine
        .server
        .add_person("grace@example.com", "another password");
    let ada = machine.session("ada").await;
    machine.sign_in(&ada).await;
    let grace = machine.session("grace").await;
    let mut person = machine.server.person();
    person.email = "grace@example.com".into();
    person.password = "another password".into();
    let address = machine.server.address();
    grace.sign_in(&address, person).await.expect("known");
    machine.server.remove_member(EMAIL);
    machine.server.expire_access_tokens();

    let calls = [
        start_one(&ada, query("currentUser")),
        start_one(&grace, query("currentUser")),
    ];
    let outcomes = machine.clock.run_until(finish(calls.into())).await;

    assert_eq!(code(outcomes[0].clone()), Code::Unreachable);
    let reply = outcomes[1].as_ref().expect("the other account renews");
    assert!(String::from_utf8_lossy(&reply.body).contains("grace@example.com"));
    assert_eq!(grace.status().phase, Phase::SignedIn);
    machine.clock.pass(MINUTE).await;
    assert_eq!(ada.status().phase, Phase::Ended);
    assert_eq!(grace.status().phase, Phase::SignedIn);
}

#[tokio::test]
async fn a_server_that_refuses_fresh_credentials_causes_few_renewals_and_no_logout() {
    let machine = Machine::start().await;
    let session = machine.signed_in().await;
    machine.server.on_every_call(Fault::access_refused());

    let outcome = session.execute(query("people")).await;
    assert_eq!(code(outcome), Code::AccessDenied);
    assert_eq!(machine.server.counts().calls, 2, "replayed more than once");
    for _ in 1..20 {
        assert_eq!(
            code(session.execute(query("people")).await),
            Code::AccessDenied
        );
    }

    let counts = machine.server.counts();
    assert!(counts.renewals <= 3, "{} renewals", counts.renewals);
    assert!(counts.calls <= 40, "a call was replayed twice");
    assert_eq!(session.status().phase, Phase::SignedIn);

    machine.clock.advance(MINUTE);
    for _ in 0..20 {
        assert_eq!(
            code(session.execute(query("people")).await),
            Code::AccessDenied
        );
    }
    let renewals = machine.server.counts().renewals;
    assert!(
        renewals <= counts.renewals + 1,
        "{renewals} renewals after a minute"
    );

    machine.server.behave();
    serve(&session).await;
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn a_late_failure_of_an_old_renewal_leaves_the_new_session_alone() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    let gate = Gate::new();
    let fault = Fault::refuse("UNAUTHENTICATED", "UNAUTHENTICATED", "Token has expired.");
    machine.server.on_renewal(Fault::hold_then(&gate, fault));
    let old = start_one(&session, query("people"));
    machine.server.wait_for(|counts| counts.renewals == 1).await;

    let address = machine.server.address();
    let signing_in = session.sign_in(&address, machine.server.person());
    let signing_in = tokio::spawn({
        let signed_in = session.clone();
        let (address, person) = (address.clone(), machine.server.person());
        drop(signing_in);
        async move { signed_in.sign_in(&address, person).await }
    });
    machine.server.wait_for(|counts| counts.sign_ins == 2).await;
    machine.clock.quiet().await;
    gate.open();

    signing_in.await.expect("no panic").expect("signed in anew");
    assert_eq!(code(finish(vec![old]).await.remove(0)), Code::SignedOut);
    machine.clock.quiet().await;
    assert_eq!(session.status().phase, Phase::SignedIn);
    assert_eq!(session.status().endings, 0);
    serve(&session).await;
}

#[tokio::test]
async fn a_call_in_flight_that_succeeds_with_the_old_token_is_not_replayed() {
    let machine = Machine::start().await;
    let session = served(&machine).await;
    let gate = Gate::new();
    let success = Fault::json(r#"{"data":{"companies":"from the old token"}}"#);
    machine.server.on_call(Fault::hold_then(&gate, success));
    let early = start_one(&session, query("companies"));
    machine.server.wait_for(|counts| counts.calls == 2).await;
    machine.server.expire_access_tokens();
    serve(&session).await;

    gate.open();
    let reply = finish(vec![early]).await.remove(0).expect("served");

    assert!(String::from_utf8_lossy(&reply.body).contains("from the old token"));
    let counts = machine.server.counts();
    assert_eq!(counts.by_name["graphql companies"], 1);
    assert_eq!(counts.renewals, 1);
    assert_eq!(noted(&session, "renewed"), 1);
}

#[tokio::test]
async fn a_renewal_carries_no_authorization_no_cookie_and_an_unused_connection() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    let cookie = vec![("set-cookie".to_owned(), "portal=1".to_owned())];
    machine.server.on_renewal(Fault::Answer {
        status: 503,
        headers: cookie,
        body: String::new(),
    });

    machine.clock.run_until(serve(&session)).await;

    let renewals = machine.server.seen_asking_for("renewToken");
    assert_eq!(renewals.len(), 2);
    for renewal in renewals {
        assert_eq!(renewal.header("authorization"), None);
        assert_eq!(renewal.header("cookie"), None);
        assert_eq!(renewal.header("content-type"), Some("application/json"));
    }
}
