//! Wrong clocks, sleeping machines, and renewals ahead of expiry.

use std::time::Duration;

use graphql_session::{Clock as _, Code, DEFAULT_ACCOUNT, EndingReason, Phase, Session};
use graphql_session_testing::{Fault, TestHost, query};
use jiff::SignedDuration;
use serde_json::json;

use crate::fixture::{
    MINUTE, SECOND, assert_failed, assert_one_renewal, assert_served, call_succeeds, ending,
    hold_renewal, join_all, late_failure, signed_in, signed_in_session, spawn_call, spawn_calls,
    wait_for_phase, with_expired_token,
};
use crate::journal::{assert_says, facts_of_renewals};

/// A session looks at its files twice a second; nothing in these tests needs that.
const STRIDE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_local_clock_that_is_wrong_by_hours_causes_no_renewal_loop_and_no_refusal() {
    for hours in [-24, -1, 1, 24] {
        let host = TestHost::start().await;
        host.server
            .clock_is_off_by(SignedDuration::from_hours(hours));
        let session = signed_in_session(&host).await;
        let before = host.server.counts().renewals;
        for _ in 0..60 {
            host.clock.pass_in_strides(MINUTE, MINUTE).await;
            host.clock.run_until(call_succeeds(&session)).await;
        }

        let counts = host.server.counts();
        let renewals = counts.renewals - before;
        assert!((2..=3).contains(&renewals), "{renewals} at {hours} h");
        assert!(before <= 1, "{before} for the first call at {hours} h");
        assert_eq!(counts.calls_refused, 0, "{hours} h");
        assert_eq!(session.status().endings, 0, "{hours} h");
    }
}

#[tokio::test]
async fn after_eight_hours_asleep_and_offline_nothing_ends_and_the_return_is_one_renewal() {
    let (host, session) = signed_in().await;
    host.server.stop().await;
    host.clock.jump_wall(SignedDuration::from_hours(8));

    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    host.clock.pass(5 * MINUTE).await;
    assert_eq!(session.status().phase, Phase::Unreachable);

    host.server.start_again();
    wait_for_phase(&host, &session, Phase::SignedIn).await;
    call_succeeds(&session).await;
    assert_one_renewal(&host);
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn a_lost_answer_counts_as_past_its_grace_after_a_sleep() {
    let (host, session) = with_expired_token().await;
    host.server.on_renewal(Fault::rotate_then_drop());
    host.server.on_every_renewal(Fault::Reset);
    let call = spawn_call(&session, query("people"));
    host.clock.pass(2 * SECOND).await;
    let before = host.server.counts().renewals;
    host.clock.jump_wall(SignedDuration::from_hours(8));
    host.server.behave();

    wait_for_phase(&host, &session, Phase::Ended).await;

    assert_failed(join_all(vec![call]).await, Code::SignedOut);
    assert_eq!(ending(&session), Some(EndingReason::LostAnswer));
    assert_eq!(host.server.counts().renewals, before + 1);
}

#[tokio::test]
async fn an_application_in_use_renews_in_the_last_third_to_quarter_and_no_call_waits() {
    let mut renewed_at = Vec::new();
    for seed in 1..=8 {
        let host = TestHost::start().await;
        host.clock.seed(seed);
        let session = signed_in_session(&host).await;
        let signed_in_at = host.clock.wall();
        for _ in 0..24 {
            host.clock.pass_in_strides(MINUTE, STRIDE).await;
            let before = host.clock.awake();
            call_succeeds(&session).await;
            assert_eq!(host.clock.awake(), before, "a call waited");
        }
        let renewals = host.server.seen_asking_for("renewToken");
        assert_eq!(renewals.len(), 1);
        let at = renewals[0].at.duration_since(signed_in_at).unsigned_abs();
        let latest = Duration::from_secs(1_351) + STRIDE;
        assert!((20 * MINUTE..=latest).contains(&at), "{at:?} of 30 min");
        assert_eq!(host.server.counts().calls_refused, 0);
        renewed_at.push(at);
    }
    renewed_at.sort_unstable();
    renewed_at.dedup();
    assert!(renewed_at.len() >= 4, "at the same time: {renewed_at:?}");
}

/// Each renewal is held at the server while more calls are made: none of them waits for it.
#[tokio::test]
async fn in_thirty_expiries_under_constant_load_no_call_waits_for_a_renewal_or_is_refused() {
    let host = TestHost::start().await;
    host.clock.wait_for_calm_rounds(10);
    host.server.access_tokens_last(5 * MINUTE);
    let mut config = host.config(DEFAULT_ACCOUNT);
    // Longer than a stride: the renewals are held while calls are made.
    config.limits.attempt_timeout = 2 * STRIDE;
    let session = Session::open(config).await.expect("opens");
    host.sign_in(&session).await;
    for renewal in 1..=30 {
        let gate = hold_renewal(&host);
        while host.server.counts().renewals < renewal {
            host.clock.pass_in_strides(STRIDE, STRIDE).await;
            load(&session).await;
        }
        load(&session).await;
        assert_eq!(host.server.counts().exchanged, renewal - 1, "not held");
        gate.open();
        host.clock.quiet().await;
    }

    let records = facts_of_renewals(&session);
    assert_eq!(records.len(), 30);
    let ahead = json!({ "why": "ahead", "waiters": 0, "outcome": "renewed" });
    for record in &records {
        assert_says(record, &ahead);
    }
    assert_eq!(host.server.counts().calls_refused, 0);
}

/// Four calls at once, served while the manual clock stands still.
async fn load(session: &Session) {
    let calls = join_all(spawn_calls(session, 4, &query("people")));
    // A limit in real time, because the manual clock stands still.
    let outcomes = tokio::time::timeout(Duration::from_secs(20), calls).await;
    assert_served(outcomes.expect("a call waits for the renewal that is held"));
}

#[tokio::test]
async fn an_idle_application_renews_nothing_until_it_is_used() {
    let (host, session) = signed_in().await;

    host.clock.pass_in_strides(120 * MINUTE, STRIDE).await;
    assert_eq!(host.server.counts().renewals, 0);

    host.clock.run_until(call_succeeds(&session)).await;
    assert_eq!(host.server.counts().renewals, 1);
}
