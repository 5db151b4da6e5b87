//! How many renewals a session makes at most: where a server refuses what it has just issued, and where clocks are wrong.

use std::time::Duration;

use graphql_session::{Code, DEFAULT_ACCOUNT, Phase, Session};
use graphql_session_testing::{Fault, TestHost, query};
use jiff::SignedDuration;

use crate::fixture::{
    MINUTE, SECOND, call_in_renewal, call_succeeds, code, join_all, late_failure, signed_in,
    signed_in_session, spawn_call, wait_for_refusals,
};

/// The renewals of credentials that were just issued: three, then one a minute.
fn budget(time: Duration) -> u64 {
    3 + time.as_secs() / 60
}

/// A call every second, each served while the clock stands still.
async fn calls_every_second(host: &TestHost, session: &Session, seconds: u64) {
    for _ in 0..seconds {
        host.clock.pass_in_strides(SECOND, SECOND).await;
        host.clock.run_until(call_succeeds(session)).await;
    }
}

/// The server refuses everything that asks for companies.
fn refuse_companies(host: &TestHost) {
    let refusal = r#"{"errors":[{"message":"No","extensions":{"code":"UNAUTHENTICATED"}}]}"#;
    host.server.answer("companies", refusal);
}

#[tokio::test]
async fn one_operation_that_is_always_refused_costs_the_budget_and_the_others_work() {
    let (host, session) = signed_in().await;
    refuse_companies(&host);
    for _ in 0..20 {
        let refused = session.execute(query("companies")).await;
        assert_eq!(code(refused), Code::AccessDenied);
        call_succeeds(&session).await;
    }
    assert_eq!(host.server.counts().renewals, 3);

    // The same every ten seconds for ten minutes.
    for _ in 0..60 {
        host.clock.pass_in_strides(10 * SECOND, SECOND).await;
        let refused = session.execute(query("companies")).await;
        assert_eq!(code(refused), Code::AccessDenied);
        call_succeeds(&session).await;
    }
    let renewals = host.server.counts().renewals;
    assert!(renewals <= budget(10 * MINUTE), "{renewals} renewals");
    assert_eq!(session.status().phase, Phase::SignedIn);
}

/// Each renewal helps the call that asked for it, so none counts.
#[tokio::test]
async fn a_server_that_revokes_access_tokens_time_and_again_is_renewed_each_time() {
    let (host, session) = signed_in().await;
    for _ in 0..20 {
        host.server.expire_access_tokens();
        call_succeeds(&session).await;
    }
    assert_eq!(host.server.counts().renewals, 20);
}

/// 1. Six calls are sent with the old token.
/// 2. The first is refused, and its renewal fails.
/// 3. The others are refused while the next attempt is waited for. Nothing fresh was refused.
#[tokio::test]
async fn calls_that_are_refused_in_the_pause_after_a_failure_are_never_denied() {
    let host = TestHost::start().await;
    let session = host.signed_in().await;
    host.server.expire_access_tokens();
    host.server.on_every_renewal(Fault::status(503));
    let mut calls = Vec::new();
    for sent in 1..=6 {
        calls.push(spawn_call(&session, query("people")));
        wait_for_refusals(&host, sent).await;
        host.clock.pass(Duration::from_millis(100)).await;
    }
    let waiting = host.clock.run_until(join_all(calls)).await;
    for outcome in waiting {
        assert_eq!(code(outcome), Code::Unreachable);
    }
    for _ in 0..5 {
        assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    }

    host.server.behave();
    host.clock.pass(31 * SECOND).await;
    call_succeeds(&session).await;
}

#[tokio::test]
async fn refusals_in_a_pause_leave_the_budget_to_what_comes_after_it() {
    let host = TestHost::start().await;
    let session = host.signed_in().await;
    host.server.expire_access_tokens();
    host.server.on_every_renewal(Fault::status(503));
    for _ in 0..5 {
        assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    }
    host.server.behave();
    host.clock.pass(31 * SECOND).await;
    let before = host.server.counts().renewals;
    refuse_companies(&host);

    let refused = host.clock.run_until(session.execute(query("companies")));

    assert_eq!(code(refused.await), Code::AccessDenied);
    assert_eq!(host.server.counts().renewals, before + 1, "none was left");
}

// ── Clocks ──────────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_proxy_that_begins_to_write_wrong_dates_causes_no_renewal() {
    for hours in [-24, -2, 1, 2, 24] {
        let (host, session) = signed_in().await;
        host.server
            .dates_are_off_by(SignedDuration::from_hours(hours));

        calls_every_second(&host, &session, 60).await;

        let counts = host.server.counts();
        assert_eq!((counts.renewals, counts.calls_refused), (0, 0), "{hours} h");
    }
}

/// Some answers come through a proxy, and the others do not.
#[tokio::test]
async fn dates_that_are_wrong_now_and_then_cause_no_more_renewals_than_the_budget() {
    for minutes in [-25, 20, 25, 29, 30, 35, 120] {
        let (host, session) = signed_in().await;
        for second in 0..120 {
            let off_by = SignedDuration::from_mins(if second % 2 == 0 { minutes } else { 0 });
            host.server.dates_are_off_by(off_by);
            calls_every_second(&host, &session, 1).await;
        }

        let counts = host.server.counts();
        let allowed = budget(2 * MINUTE);
        let case = format!("{} renewals at {minutes} min", counts.renewals);
        assert!(counts.renewals <= allowed, "{case}");
        assert_eq!(counts.calls_refused, 0, "{case}");
    }
}

#[tokio::test]
async fn a_pair_that_arrives_expired_is_used_until_the_server_refuses_it() {
    for hours in [1, 2] {
        let host = TestHost::start().await;
        host.server
            .dates_are_off_by(SignedDuration::from_hours(hours));
        let session = signed_in_session(&host).await;
        calls_every_second(&host, &session, 60).await;
        assert_eq!(host.server.counts().renewals, 0, "{hours} h");

        host.server.expire_access_tokens();
        calls_every_second(&host, &session, 60).await;

        let counts = host.server.counts();
        assert_eq!((counts.renewals, counts.calls_refused), (1, 1), "{hours} h");
    }
}

/// By the Date headers each pair has one second left when it arrives.
#[tokio::test]
async fn dates_that_leave_each_pair_a_few_seconds_cause_no_more_renewals_than_the_budget() {
    for seconds in [1, 3, 10, 30] {
        let host = TestHost::start().await;
        host.server
            .dates_are_off_by(SignedDuration::from_secs(1_800 - seconds));
        let session = signed_in_session(&host).await;

        calls_every_second(&host, &session, 180).await;

        let counts = host.server.counts();
        let case = format!("{} renewals with {seconds} s left", counts.renewals);
        assert!(counts.renewals <= budget(3 * MINUTE), "{case}");
        assert_eq!(counts.calls_refused, 0, "{case}");
    }
}

#[tokio::test]
async fn tokens_that_live_six_seconds_are_renewed_all_the_time_and_calls_are_served() {
    let host = TestHost::start().await;
    host.server.access_tokens_last(6 * SECOND);
    let session = signed_in_session(&host).await;

    calls_every_second(&host, &session, 120).await;

    let counts = host.server.counts();
    // Once the server has refused a token that the clocks call expired, they are believed.
    assert!(counts.calls_refused <= 2, "{}", counts.calls_refused);
    assert!(counts.renewals >= 20, "{} renewals", counts.renewals);
}

/// The clocks agree with each refusal. Without the cancelled call's replay, nothing shows how long tokens live here.
#[tokio::test]
async fn short_lived_tokens_are_renewed_though_the_first_refused_call_was_cancelled() {
    let host = TestHost::start().await;
    host.server.access_tokens_last(12 * SECOND);
    let session = signed_in_session(&host).await;
    refuse_companies(&host);
    for _ in 0..3 {
        let refused = session.execute(query("companies")).await;
        assert_eq!(code(refused), Code::AccessDenied);
    }
    host.clock.pass(13 * SECOND).await;
    let (call, gate) = call_in_renewal(&host, &session).await;
    call.abort();
    gate.open();
    host.clock.quiet().await;

    host.clock.pass(13 * SECOND).await;
    call_succeeds(&session).await;

    assert_eq!(host.server.counts().renewals, 5);
}

/// The clocks that disagree are those of one process. Another one opens the same session.
#[tokio::test]
async fn another_process_believes_what_it_can_check_itself() {
    let (host, session) = signed_in().await;
    host.server.dates_are_off_by(SignedDuration::from_hours(2));
    calls_every_second(&host, &session, 10).await;
    let other = host.session(DEFAULT_ACCOUNT).await;
    calls_every_second(&host, &other, 10).await;
    let renewals = host.server.counts().renewals;
    assert!(renewals <= 1, "{renewals} renewals");
}
