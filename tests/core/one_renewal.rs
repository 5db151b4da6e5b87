//! At most one renewal at a time, shared by all callers (I1, I2, I4).

use graphql_session::{Code, Phase};
use graphql_session_testing::{EMAIL, Fault, Gate, TestHost, call, query};

use crate::fixture::{
    MINUTE, assert_failed, assert_is_about_grace, assert_one_renewal,
    assert_present_the_token_once, assert_served, call_at_server, call_fails, call_in_renewal,
    call_in_renewal_that_meets, call_succeeds, hold_and_reject_renewal, hold_renewal, join_all,
    journal_count, renew, sign_in_as_grace, signed_in, spawn_call, spawn_calls, spawn_sign_in,
    wait_for_refusals, with_expired_token,
};

#[tokio::test]
async fn fifty_calls_refused_together_cause_one_renewal_and_fifty_replays() {
    let (host, session) = with_expired_token().await;
    let gate = hold_renewal(&host);

    let calls = spawn_calls(&session, 50, &query("people"));
    wait_for_refusals(&host, 50).await;
    assert_eq!(session.status().phase, Phase::Renewing);
    gate.open();

    assert_served(join_all(calls).await);
    assert_one_renewal(&host);
    let counts = host.server.counts();
    assert_eq!((counts.calls, counts.served), (1 + 50 + 50, 1 + 50));
    assert_eq!(session.status().phase, Phase::SignedIn);
}

#[tokio::test]
async fn eight_queries_over_both_endpoints_with_an_expired_token_cause_one_renewal() {
    let (host, session) = with_expired_token().await;

    let endpoints = ["graphql", "metadata"].into_iter().cycle();
    let calls = endpoints.map(|name| spawn_call(&session, call(name, "query", "objects")));
    assert_served(join_all(calls.take(8).collect()).await);

    assert_one_renewal(&host);
    let counts = host.server.counts();
    assert!(counts.by_name["graphql objects"] >= 4);
    assert!(counts.by_name["metadata objects"] >= 4);
}

#[tokio::test]
async fn a_call_after_idling_past_the_expiry_renews_first_and_is_sent_once() {
    let (host, session) = signed_in().await;
    host.clock.advance(45 * MINUTE);

    let reply = host.clock.run_until(session.execute(query("people"))).await;

    assert_eq!(reply.expect("renewed silently").status, 200);
    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.calls_refused), (1, 0));
    let status = session.status();
    assert_eq!((status.phase, status.endings), (Phase::SignedIn, 0));
}

#[tokio::test]
async fn fifty_calls_with_a_token_known_to_have_expired_share_one_renewal() {
    let (host, session) = signed_in().await;
    host.clock.advance(45 * MINUTE);
    let gate = Gate::new();
    host.server.on_every_renewal(Fault::hold(&gate));

    let calls = spawn_calls(&session, 50, &query("people"));
    host.server.wait_for(|counts| counts.renewals >= 1).await;
    host.clock.quiet().await;
    gate.open();

    assert_served(join_all(calls).await);
    assert_one_renewal(&host);
    let counts = host.server.counts();
    assert_eq!((counts.calls, counts.served), (1 + 50, 1 + 50));
    assert_eq!(session.status().endings, 0);
}

/// The windows of an application share its session.
#[tokio::test]
async fn two_windows_at_a_server_without_grace_present_the_refresh_token_once() {
    let (host, session) = signed_in().await;
    let other_window = session.clone();
    assert_present_the_token_once(&host, [&session, &other_window]).await;
}

/// 1. A is sent with the old credentials, and the server takes its time.
/// 2. B is refused, renews, and is replayed.
/// 3. A's refusal arrives. It concerns the old credentials, which no call uses any more.
#[tokio::test]
async fn a_late_refusal_of_the_old_generation_is_replayed_without_another_renewal() {
    let (host, session) = signed_in().await;
    let (late, gate) = call_at_server(&host, &session, "companies", None).await;
    renew(&host, &session).await;
    assert_eq!(host.server.counts().renewals, 1);

    gate.open();

    assert_served(join_all(vec![late]).await);
    let counts = host.server.counts();
    assert_eq!(counts.renewals, 1, "the late refusal renewed again");
    assert_eq!(counts.by_name["graphql companies"], 2);
    assert_eq!(counts.calls_refused, 2);
}

#[tokio::test]
async fn a_refusal_of_the_old_generation_during_the_renewal_joins_it() {
    let (host, session) = signed_in().await;
    let (late, late_gate) = call_at_server(&host, &session, "companies", None).await;
    host.server.expire_access_tokens();
    let (first, renewal_gate) = call_in_renewal(&host, &session).await;

    late_gate.open();
    wait_for_refusals(&host, 2).await;
    renewal_gate.open();

    assert_served(join_all(vec![late, first]).await);
    assert_eq!(host.server.counts().renewals, 1);
}

/// A renewal ahead of expiry is due after three quarters of the lifetime at the latest, for every random number.
#[tokio::test]
async fn a_renewal_ahead_of_expiry_and_a_refusal_in_the_same_instant_are_one_renewal() {
    let (host, session) = signed_in().await;
    let gate = hold_renewal(&host);
    host.server.expire_access_tokens();
    host.clock.advance(30 * MINUTE * 3 / 4);

    let calls = spawn_calls(&session, 10, &query("people"));
    wait_for_refusals(&host, 10).await;
    host.clock.quiet().await;
    gate.open();

    assert_served(join_all(calls).await);
    host.clock.quiet().await;
    assert_one_renewal(&host);
}

#[tokio::test]
async fn ten_thousand_waiters_share_one_renewal_and_every_one_settles() {
    let (host, session) = signed_in().await;
    host.clock.advance(45 * MINUTE);
    let gate = hold_and_reject_renewal(&host);

    let calls = spawn_calls(&session, 10_000, &query("people"));
    host.server.wait_for(|counts| counts.renewals == 1).await;
    host.clock.quiet().await;
    gate.open();

    let outcomes = join_all(calls).await;
    assert_eq!(outcomes.len(), 10_000);
    assert_failed(outcomes, Code::SignedOut);
    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.calls), (1, 1));
}

#[tokio::test]
async fn two_accounts_renew_apart_and_the_failure_of_one_leaves_the_other_alone() {
    let host = TestHost::start().await;
    let ada = host.session("ada").await;
    host.sign_in(&ada).await;
    let grace = host.session("grace").await;
    sign_in_as_grace(&host, &grace).await;
    host.server.remove_member(EMAIL);
    host.server.expire_access_tokens();

    let calls = [&ada, &grace].map(|session| spawn_call(session, query("currentUser")));
    let mut outcomes = host.clock.run_until(join_all(calls.into())).await;

    assert_is_about_grace(outcomes.remove(1));
    assert_failed(outcomes, Code::Unreachable);
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

    assert_eq!(call_fails(&session).await, Code::AccessDenied);
    assert_eq!(host.server.counts().calls, 2, "replayed more than once");
    for _ in 1..20 {
        assert_eq!(call_fails(&session).await, Code::AccessDenied);
    }

    let counts = host.server.counts();
    assert!(counts.renewals <= 3, "{} renewals", counts.renewals);
    assert!(counts.calls <= 40, "a call was replayed twice");
    assert_eq!(session.status().phase, Phase::SignedIn);

    host.clock.advance(MINUTE);
    for _ in 0..20 {
        assert_eq!(call_fails(&session).await, Code::AccessDenied);
    }
    let further = host.server.counts().renewals - counts.renewals;
    assert!(further <= 1, "{further} renewals after a minute");

    host.server.behave();
    call_succeeds(&session).await;
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn a_late_failure_of_an_old_renewal_leaves_the_new_session_alone() {
    let (host, session) = with_expired_token().await;
    let fault = Fault::refuse("UNAUTHENTICATED", "UNAUTHENTICATED", "Token has expired.");
    let (old, gate) = call_in_renewal_that_meets(&host, &session, fault).await;

    let signing_in = spawn_sign_in(&host, &session);
    host.server.wait_for(|counts| counts.sign_ins == 2).await;
    host.clock.quiet().await;
    gate.open();

    signing_in.await.expect("no panic").expect("signed in anew");
    assert_failed(join_all(vec![old]).await, Code::SignedOut);
    host.clock.quiet().await;
    assert_eq!(session.status().phase, Phase::SignedIn);
    assert_eq!(session.status().endings, 0);
    call_succeeds(&session).await;
}

#[tokio::test]
async fn a_call_in_flight_that_succeeds_with_the_old_token_is_not_replayed() {
    let (host, session) = signed_in().await;
    let success = Fault::json(r#"{"data":{"companies":"from the old token"}}"#);
    let (early, gate) = call_at_server(&host, &session, "companies", Some(success)).await;
    renew(&host, &session).await;

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
    let (host, session) = with_expired_token().await;
    host.server
        .on_renewal(Fault::answer_with(503, "set-cookie", "portal=1", ""));

    host.clock.run_until(call_succeeds(&session)).await;

    let renewals = host.server.seen_asking_for("renewToken");
    assert_eq!(renewals.len(), 2);
    for renewal in renewals {
        assert_eq!(renewal.header("authorization"), None);
        assert_eq!(renewal.header("cookie"), None);
        assert_eq!(renewal.header("content-type"), Some("application/json"));
    }
}
