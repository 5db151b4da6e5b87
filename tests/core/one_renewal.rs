//! At most one renewal at a time, shared by all callers (I1, I2, I4).

use graphql_session::{Code, Phase};
use graphql_session_testing::{EMAIL, Fault, Gate, TestHost, call, query};

use crate::fixture::{
    MINUTE, call_succeeds, code, join_all, journal_count, session_with_expired_token,
    signed_in_session, spawn_call, spawn_calls,
};

#[tokio::test]
async fn fifty_calls_refused_together_cause_one_renewal_and_fifty_replays() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    let gate = Gate::new();
    host.server.on_renewal(Fault::hold(&gate));

    let calls = spawn_calls(&session, 50, &query("people"));
    host.server
        .wait_for(|counts| counts.calls_refused == 50)
        .await;
    assert_eq!(session.status().phase, Phase::Renewing);
    gate.open();

    for outcome in join_all(calls).await {
        assert_eq!(outcome.expect("replayed").status, 200);
    }
    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.exchanged), (1, 1));
    assert_eq!(counts.calls, 1 + 50 + 50);
    assert_eq!(counts.served, 1 + 50);
    assert_eq!(session.status().phase, Phase::SignedIn);
}

#[tokio::test]
async fn eight_queries_over_both_endpoints_with_an_expired_token_cause_one_renewal() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;

    let calls = (0..8).map(|number| {
        let endpoint = if number % 2 == 0 {
            "graphql"
        } else {
            "metadata"
        };
        spawn_call(&session, call(endpoint, "query", "objects"))
    });
    for outcome in join_all(calls.collect()).await {
        assert_eq!(outcome.expect("replayed").status, 200);
    }

    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.exchanged), (1, 1));
    assert_eq!(counts.renewals_at_once, 1);
    assert!(counts.by_name["graphql objects"] >= 4);
    assert!(counts.by_name["metadata objects"] >= 4);
}

#[tokio::test]
async fn a_call_after_idling_past_the_expiry_renews_first_and_is_sent_once() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.clock.advance(45 * MINUTE);

    let reply = host.clock.run_until(session.execute(query("people"))).await;

    assert_eq!(reply.expect("renewed silently").status, 200);
    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.calls_refused), (1, 0));
    assert_eq!(session.status().phase, Phase::SignedIn);
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn fifty_calls_with_a_token_known_to_have_expired_share_one_renewal() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.clock.advance(45 * MINUTE);
    let gate = Gate::new();
    host.server.on_every_renewal(Fault::hold(&gate));

    let calls = spawn_calls(&session, 50, &query("people"));
    host.server.wait_for(|counts| counts.renewals >= 1).await;
    host.clock.quiet().await;
    gate.open();

    for outcome in join_all(calls).await {
        assert_eq!(outcome.expect("served").status, 200);
    }
    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.exchanged), (1, 1));
    assert_eq!((counts.calls, counts.served), (1 + 50, 1 + 50));
    assert_eq!(session.status().endings, 0);
}

/// The windows of an application share its session. This server revokes a session whose refresh token it sees twice.
#[tokio::test]
async fn two_windows_at_a_server_without_grace_present_the_refresh_token_once() {
    let host = TestHost::start().await;
    host.server.grace(None);
    let session = signed_in_session(&host).await;
    let other_window = session.clone();
    host.clock.advance(45 * MINUTE);
    let gate = Gate::new();
    host.server.on_every_renewal(Fault::hold(&gate));

    let mut calls = spawn_calls(&session, 10, &query("people"));
    calls.extend(spawn_calls(&other_window, 10, &query("people")));
    host.server.wait_for(|counts| counts.renewals >= 1).await;
    host.clock.quiet().await;
    gate.open();

    for outcome in join_all(calls).await {
        assert_eq!(outcome.expect("served").status, 200);
    }
    let ledger = host.server.ledger();
    assert_eq!(
        (ledger.attempts().count(), ledger.rejections().count()),
        (1, 0)
    );
    assert_eq!(session.status().endings, 0);
}

/// 1. A is sent with the old credentials, and the server takes its time.
/// 2. B is refused, renews, and is replayed.
/// 3. A's refusal arrives. It concerns the old credentials, which no call uses any more.
#[tokio::test]
async fn a_late_refusal_of_the_old_generation_is_replayed_without_another_renewal() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    let gate = Gate::new();
    host.server.on_call(Fault::hold(&gate));
    let late = spawn_call(&session, query("companies"));
    host.server.wait_for(|counts| counts.calls == 2).await;
    host.server.expire_access_tokens();
    call_succeeds(&session).await;
    assert_eq!(host.server.counts().renewals, 1);

    gate.open();
    let outcome = join_all(vec![late]).await.remove(0);

    assert_eq!(outcome.expect("replayed").status, 200);
    let counts = host.server.counts();
    assert_eq!(counts.renewals, 1, "the late refusal renewed again");
    assert_eq!(counts.by_name["graphql companies"], 2);
    assert_eq!(counts.calls_refused, 2);
}

#[tokio::test]
async fn a_refusal_of_the_old_generation_during_the_renewal_joins_it() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    let (late_gate, renewal_gate) = (Gate::new(), Gate::new());
    host.server.on_call(Fault::hold(&late_gate));
    let late = spawn_call(&session, query("companies"));
    host.server.wait_for(|counts| counts.calls == 2).await;
    host.server.expire_access_tokens();
    host.server.on_renewal(Fault::hold(&renewal_gate));
    let first = spawn_call(&session, query("people"));
    host.server.wait_for(|counts| counts.renewals == 1).await;

    late_gate.open();
    host.server
        .wait_for(|counts| counts.calls_refused == 2)
        .await;
    renewal_gate.open();

    for outcome in join_all(vec![late, first]).await {
        assert_eq!(outcome.expect("replayed").status, 200);
    }
    assert_eq!(host.server.counts().renewals, 1);
}

/// A renewal ahead of expiry is due after three quarters of the lifetime at the latest, for every random number.
#[tokio::test]
async fn a_renewal_ahead_of_expiry_and_a_refusal_in_the_same_instant_are_one_renewal() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    let gate = Gate::new();
    host.server.on_renewal(Fault::hold(&gate));
    host.server.expire_access_tokens();
    host.clock.advance(30 * MINUTE * 3 / 4);

    let calls = spawn_calls(&session, 10, &query("people"));
    host.server
        .wait_for(|counts| counts.calls_refused == 10)
        .await;
    host.clock.quiet().await;
    gate.open();

    for outcome in join_all(calls).await {
        assert_eq!(outcome.expect("replayed").status, 200);
    }
    host.clock.quiet().await;
    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.exchanged), (1, 1));
}

#[tokio::test]
async fn ten_thousand_waiters_share_one_renewal_and_every_one_settles() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.clock.advance(45 * MINUTE);
    let gate = Gate::new();
    host.server.on_renewal(Fault::hold_then(
        &gate,
        Fault::refuse("UNAUTHENTICATED", "UNAUTHENTICATED", "Token has expired."),
    ));

    let calls = spawn_calls(&session, 10_000, &query("people"));
    host.server.wait_for(|counts| counts.renewals == 1).await;
    host.clock.quiet().await;
    gate.open();

    let outcomes = join_all(calls).await;
    assert_eq!(outcomes.len(), 10_000);
    for outcome in outcomes {
        assert_eq!(code(outcome), Code::SignedOut);
    }
    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.calls), (1, 1));
}

#[tokio::test]
async fn two_accounts_renew_apart_and_the_failure_of_one_leaves_the_other_alone() {
    let host = TestHost::start().await;
    host.server
        .add_person("grace@example.com", "another password");
    let ada = host.session("ada").await;
    host.sign_in(&ada).await;
    let grace = host.session("grace").await;
    let mut person = host.server.person();
    person.email = "grace@example.com".into();
    person.password = "another password".into();
    let address = host.server.address();
    grace.sign_in(&address, person).await.expect("known");
    host.server.remove_member(EMAIL);
    host.server.expire_access_tokens();

    let calls = [
        spawn_call(&ada, query("currentUser")),
        spawn_call(&grace, query("currentUser")),
    ];
    let outcomes = host.clock.run_until(join_all(calls.into())).await;

    assert_eq!(code(outcomes[0].clone()), Code::Unreachable);
    let reply = outcomes[1].as_ref().expect("the other account renews");
    assert!(String::from_utf8_lossy(&reply.body).contains("grace@example.com"));
    assert_eq!(grace.status().phase, Phase::SignedIn);
    host.clock.pass(MINUTE).await;
    assert_eq!(ada.status().phase, Phase::Ended);
    assert_eq!(grace.status().phase, Phase::SignedIn);
}

#[tokio::test]
async fn a_server_that_refuses_fresh_credentials_causes_few_renewals_and_no_logout() {
    let host = TestHost::start().await;
    let session = host.signed_in().await;
    host.server.on_every_call(Fault::access_refused());

    let outcome = session.execute(query("people")).await;
    assert_eq!(code(outcome), Code::AccessDenied);
    assert_eq!(host.server.counts().calls, 2, "replayed more than once");
    for _ in 1..20 {
        assert_eq!(
            code(session.execute(query("people")).await),
            Code::AccessDenied
        );
    }

    let counts = host.server.counts();
    assert!(counts.renewals <= 3, "{} renewals", counts.renewals);
    assert!(counts.calls <= 40, "a call was replayed twice");
    assert_eq!(session.status().phase, Phase::SignedIn);

    host.clock.advance(MINUTE);
    for _ in 0..20 {
        assert_eq!(
            code(session.execute(query("people")).await),
            Code::AccessDenied
        );
    }
    let renewals = host.server.counts().renewals;
    assert!(
        renewals <= counts.renewals + 1,
        "{renewals} renewals after a minute"
    );

    host.server.behave();
    call_succeeds(&session).await;
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn a_late_failure_of_an_old_renewal_leaves_the_new_session_alone() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    let gate = Gate::new();
    let fault = Fault::refuse("UNAUTHENTICATED", "UNAUTHENTICATED", "Token has expired.");
    host.server.on_renewal(Fault::hold_then(&gate, fault));
    let old = spawn_call(&session, query("people"));
    host.server.wait_for(|counts| counts.renewals == 1).await;

    let address = host.server.address();
    let signing_in = session.sign_in(&address, host.server.person());
    let signing_in = tokio::spawn({
        let signed_in = session.clone();
        let (address, person) = (address.clone(), host.server.person());
        drop(signing_in);
        async move { signed_in.sign_in(&address, person).await }
    });
    host.server.wait_for(|counts| counts.sign_ins == 2).await;
    host.clock.quiet().await;
    gate.open();

    signing_in.await.expect("no panic").expect("signed in anew");
    assert_eq!(code(join_all(vec![old]).await.remove(0)), Code::SignedOut);
    host.clock.quiet().await;
    assert_eq!(session.status().phase, Phase::SignedIn);
    assert_eq!(session.status().endings, 0);
    call_succeeds(&session).await;
}

#[tokio::test]
async fn a_call_in_flight_that_succeeds_with_the_old_token_is_not_replayed() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    let gate = Gate::new();
    let success = Fault::json(r#"{"data":{"companies":"from the old token"}}"#);
    host.server.on_call(Fault::hold_then(&gate, success));
    let early = spawn_call(&session, query("companies"));
    host.server.wait_for(|counts| counts.calls == 2).await;
    host.server.expire_access_tokens();
    call_succeeds(&session).await;

    gate.open();
    let reply = join_all(vec![early]).await.remove(0).expect("served");

    assert!(String::from_utf8_lossy(&reply.body).contains("from the old token"));
    let counts = host.server.counts();
    assert_eq!(counts.by_name["graphql companies"], 1);
    assert_eq!(counts.renewals, 1);
    assert_eq!(journal_count(&session, "renewed"), 1);
}

#[tokio::test]
async fn a_renewal_carries_no_authorization_no_cookie_and_an_unused_connection() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    let cookie = vec![("set-cookie".to_owned(), "portal=1".to_owned())];
    host.server.on_renewal(Fault::Answer {
        status: 503,
        headers: cookie,
        body: String::new(),
    });

    host.clock.run_until(call_succeeds(&session)).await;

    let renewals = host.server.seen_asking_for("renewToken");
    assert_eq!(renewals.len(), 2);
    for renewal in renewals {
        assert_eq!(renewal.header("authorization"), None);
        assert_eq!(renewal.header("cookie"), None);
        assert_eq!(renewal.header("content-type"), Some("application/json"));
    }
}
