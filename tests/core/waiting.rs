//! Calls that wait for a renewal: for how long, and what happens to the renewal when they leave (I2, I8, I10).

use graphql_session::{Clock as _, Closed, Code, DEFAULT_ACCOUNT, Phase};
use graphql_session_testing::{Fault, mutation, query};

use crate::fixture::{
    MINUTE, SECOND, assert_failed, assert_served, call_at_server, call_in_renewal, call_succeeds,
    calls_at_once, code, hold_renewal, join_all, journal_count, late_failure, restarted, signed_in,
    signed_in_with, spawn_call, spawn_calls, spawn_close, wait_for_phase, wait_for_refusals,
    with_expired_token,
};

#[tokio::test]
async fn a_renewal_that_hangs_gives_every_waiter_an_error_within_the_budget() {
    let (host, session) = with_expired_token().await;
    host.server.on_every_renewal(Fault::Stall);
    let before = host.clock.awake();

    let outcomes = calls_at_once(&host, &session, 20).await;
    assert_failed(outcomes, Code::Unreachable);

    let took = host.clock.awake() - before;
    assert!(took <= 26 * SECOND, "{took:?}");
    assert_eq!(host.server.counts().renewals_at_once, 1);
    assert_eq!(session.status().endings, 0);

    host.server.behave();
    session.retry_now().await;
    wait_for_phase(&host, &session, Phase::SignedIn).await;
    host.clock.run_until(call_succeeds(&session)).await;
}

#[tokio::test]
async fn when_every_waiter_has_gone_the_new_credentials_are_still_stored() {
    let (host, session) = with_expired_token().await;
    let gate = hold_renewal(&host);
    let old = host.vault.stored(DEFAULT_ACCOUNT);
    let calls = spawn_calls(&session, 3, &query("people"));
    host.server.wait_for(|counts| counts.renewals == 1).await;
    for call in calls {
        call.abort();
        let _ = call.await;
    }

    gate.open();
    wait_for_phase(&host, &session, Phase::SignedIn).await;
    host.clock.quiet().await;

    assert_eq!(host.server.counts().exchanged, 1);
    assert_eq!(journal_count(&session, "renewed"), 1);
    let new = host.vault.stored(DEFAULT_ACCOUNT);
    assert!(new.is_some() && new != old, "the old credentials");
    let before = host.server.counts().calls;
    call_succeeds(&session).await;
    let sent = host.server.counts().calls - before;
    assert_eq!(sent, 1, "not the new credentials");
}

#[tokio::test]
async fn the_first_caller_leaves_during_the_renewal_and_the_others_succeed() {
    let (host, session) = with_expired_token().await;
    let (first, gate) = call_in_renewal(&host, &session).await;
    let others = spawn_calls(&session, 7, &query("companies"));
    wait_for_refusals(&host, 8).await;
    first.abort();
    let _ = first.await;

    gate.open();

    assert_served(join_all(others).await);
    assert_eq!(host.server.counts().renewals, 1);
}

#[tokio::test]
async fn a_failed_renewal_is_one_failure_for_a_hundred_waiters_at_once() {
    let (host, session) = with_expired_token().await;
    host.server.on_every_renewal(Fault::retry_after(503, "60"));

    let outcomes = calls_at_once(&host, &session, 100).await;

    assert_eq!(outcomes.len(), 100);
    assert_failed(outcomes, Code::Unreachable);
    assert_eq!(host.server.counts().renewals, 1);
    assert_eq!(host.server.counts().served, 1, "a call was replayed");
}

#[tokio::test]
async fn a_call_cancelled_on_the_wire_closes_its_connection_and_frees_its_place() {
    let (host, session) = signed_in_with(|config| config.limits.concurrent_calls = 1).await;
    let (call, _gate) = call_at_server(&host, &session, "people", None).await;
    assert_eq!(host.server.calls_under_way(), 1);

    call.abort();
    let _ = call.await;

    // The gate stays shut, so the server's side of the call ends only if the connection closes.
    host.server.wait_for_calls_to_end().await;
    call_succeeds(&session).await;
}

#[tokio::test]
async fn a_waiter_with_a_shorter_deadline_times_out_alone() {
    let (host, session) = with_expired_token().await;
    let gate = hold_renewal(&host);
    let mut hasty = query("people");
    hasty.deadline = Some(2 * SECOND);
    let patient = spawn_calls(&session, 5, &query("people"));
    host.server.wait_for(|counts| counts.renewals == 1).await;

    let outcome = host.clock.run_until(session.execute(hasty)).await;
    assert_eq!(code(outcome), Code::TimedOut);
    gate.open();

    assert_served(join_all(patient).await);
    assert_eq!(host.server.counts().renewals, 1);
}

#[tokio::test]
async fn a_call_cancelled_while_it_waits_is_never_sent() {
    let (host, session) = signed_in().await;
    host.clock.advance(45 * MINUTE);
    let gate = hold_renewal(&host);
    let kept = spawn_call(&session, query("people"));
    let taken_back = spawn_call(&session, query("companies"));
    host.server.wait_for(|counts| counts.renewals == 1).await;
    host.clock.quiet().await;
    taken_back.abort();
    let _ = taken_back.await;

    gate.open();
    assert_served(join_all(vec![kept]).await);
    host.clock.quiet().await;

    let counts = host.server.counts();
    assert_eq!(counts.by_name.get("graphql companies"), None);
    assert_eq!(counts.by_name["graphql people"], 1);
}

#[tokio::test]
async fn a_call_that_hangs_times_out_by_its_own_limit() {
    let (host, session) = signed_in().await;
    host.server.on_every_call(Fault::Stall);
    let before = host.clock.awake();

    assert_eq!(late_failure(&host, &session).await, Code::TimedOut);
    let took = host.clock.awake() - before;
    assert_eq!(took, 75 * SECOND);

    let change = mutation("createPerson");
    let outcome = host.clock.run_until(session.execute(change)).await;
    assert_eq!(code(outcome), Code::MaybeExecuted);
    assert_eq!(session.status().phase, Phase::SignedIn);
}

#[tokio::test]
async fn closing_waits_for_a_sent_exchange_and_its_save() {
    let (host, session) = with_expired_token().await;
    let old = host.vault.stored(DEFAULT_ACCOUNT);
    let (call, gate) = call_in_renewal(&host, &session).await;
    call.abort();

    let closing = spawn_close(&session);
    host.clock.quiet().await;
    assert!(!closing.is_finished(), "did not wait for the exchange");
    gate.open();
    assert_eq!(closing.await.expect("no panic"), Closed::Kept);

    let new = host.vault.stored(DEFAULT_ACCOUNT);
    assert!(new.is_some() && new != old);
    let session = restarted(&host, session).await;
    let before = host.server.counts().renewals;
    call_succeeds(&session).await;
    assert_eq!(host.server.counts().renewals, before);
}

#[tokio::test]
async fn closing_gives_up_at_its_limit() {
    let (host, session) = with_expired_token().await;
    host.server.on_every_renewal(Fault::Stall);
    let call = spawn_call(&session, query("people"));
    host.server.wait_for(|counts| counts.renewals == 1).await;
    call.abort();
    let before = host.clock.awake();

    let closed = host.clock.run_until(session.close()).await;

    assert_eq!(closed, Closed::Unfinished);
    assert_eq!(host.clock.awake() - before, 3 * SECOND);
}
