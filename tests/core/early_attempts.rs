//! What ends a pause between two attempts before its time: a call, a refusal, the network's return. And what does not.

use std::time::Duration;

use graphql_session::{Clock as _, Code, DEFAULT_ACCOUNT, Phase, Session};
use graphql_session_testing::{Fault, TestHost, query};
use jiff::Timestamp;

use crate::fixture::{
    MINUTE, SECOND, assert_failed, assert_served, call_fails, call_succeeds, calls_at_once,
    join_all, journal_count, late_failure, signed_in, signed_in_session, spawn_calls,
    wait_for_phase, with_expired_token, with_longest_pauses,
};

/// The access token has expired, and every renewal meets an outage. A call has failed when its 25 s would have been over:
/// after attempts at 0, 1, 3, 7 and 15 s. The next one is due at 31 s.
async fn in_a_pause_of_sixteen_seconds() -> (TestHost, Session) {
    let (host, session) = signed_in().await;
    host.clock.advance(31 * MINUTE);
    host.server.on_every_renewal(Fault::status(503));
    with_longest_pauses(&host);
    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    assert_eq!(host.server.counts().renewals, 5);
    (host, session)
}

/// When each attempt was sent.
fn attempts(session: &Session) -> Vec<Timestamp> {
    let journal = session.journal().into_iter();
    let sent = journal.filter(|entry| entry.what == "attempt_sent");
    sent.map(|entry| entry.at).collect()
}

/// The times between one attempt and the next, in s.
fn apart(session: &Session) -> Vec<f32> {
    let attempts = attempts(session);
    let apart = attempts.windows(2);
    apart
        .map(|two| two[1].duration_since(two[0]).as_secs_f32())
        .collect()
}

async fn assert_served_without_waiting(host: &TestHost, session: &Session) {
    let before = host.clock.awake();
    host.clock.run_until(call_succeeds(session)).await;
    assert_eq!(host.clock.awake(), before, "the call waited");
}

#[tokio::test]
async fn a_call_five_seconds_after_the_last_failure_tries_at_once_and_is_served() {
    let (host, session) = in_a_pause_of_sixteen_seconds().await;
    host.clock.pass(5 * SECOND).await;
    host.server.behave();

    assert_served_without_waiting(&host, &session).await;

    assert_eq!(host.server.counts().renewals, 6);
    assert_eq!(session.status().phase, Phase::SignedIn);
}

/// The server was away for 16 s, is back, and a person clicks.
#[tokio::test]
async fn a_call_right_after_a_failure_fails_at_once_and_brings_the_next_attempt_forward() {
    let (host, session) = in_a_pause_of_sixteen_seconds().await;
    host.clock.pass(SECOND).await;
    host.server.behave();

    let error = session
        .execute(query("people"))
        .await
        .expect_err("too soon");

    assert_eq!(error.code(), Code::Unreachable);
    let told = error.retry_after_hint().expect("told when");
    assert!((3 * SECOND..=4 * SECOND).contains(&told), "{told:?}");
    host.clock.pass(told).await;
    assert_eq!(session.status().phase, Phase::SignedIn, "by itself");
    assert_eq!(apart(&session)[4..], [5.0]);
}

#[tokio::test]
async fn an_early_attempt_that_fails_tells_its_callers_and_leaves_the_pause_as_it_was() {
    let (host, session) = in_a_pause_of_sixteen_seconds().await;
    host.clock.pass(6 * SECOND).await;

    let began = host.clock.awake();
    assert_failed(calls_at_once(&host, &session, 10).await, Code::Unreachable);
    assert_eq!(host.clock.awake(), began, "they knew that it is away");
    host.clock.pass(10 * SECOND).await;

    // 15, 21, and the one that was due at 31 s.
    assert_eq!(apart(&session)[4..], [6.0, 10.0]);
    host.clock.pass(31 * SECOND).await;
    assert_eq!(apart(&session)[6..], [30.0], "the early one did not count");
}

/// Nobody was told yet that the server is away: the first call waits, and a second one comes 5 s after the last failure.
#[tokio::test]
async fn a_call_that_comes_while_another_waits_starts_an_attempt_for_both() {
    let (host, session) = signed_in().await;
    host.clock.advance(31 * MINUTE);
    host.server.on_every_renewal(Fault::status(503));
    with_longest_pauses(&host);
    let first = spawn_calls(&session, 1, &query("people"));
    // Attempts at 0, 1, 3 and 7 s; the next one is due at 15 s.
    host.clock.pass(12 * SECOND + SECOND / 2).await;
    host.server.behave();

    assert_served_without_waiting(&host, &session).await;

    assert_served(join_all(first).await);
    assert_eq!(host.server.counts().renewals, 5);
}

/// Attempts of a process that meets an outage for the first time, before its calls fail: at 0, 3, 7 and 15 s with the longest
/// pauses.
const FIRST_ATTEMPTS: u64 = 4;

/// Two processes of one machine, each with a program that asks twice a second.
#[tokio::test]
async fn calls_without_end_start_an_attempt_every_five_seconds_per_machine() {
    let (host, session) = in_a_pause_of_sixteen_seconds().await;
    let other = host.session(DEFAULT_ACCOUNT).await;
    let before = host.server.counts().renewals;
    let began = host.clock.awake();
    for _ in 0..120 {
        for session in [&session, &other] {
            assert_failed(calls_at_once(&host, session, 2).await, Code::Unreachable);
            host.clock.pass(Duration::from_millis(250)).await;
        }
    }

    let seconds = (host.clock.awake() - began).as_secs();
    let attempts = host.server.counts().renewals - before;
    // And those that would have been made without the calls: one in 30 s, and those of the other process while its first
    // calls wait. It has not seen the outage yet.
    let allowed = seconds / 5 + seconds / 30 + 1 + FIRST_ATTEMPTS;
    // A taken lock is asked for again in real time. Up to a second of virtual time goes by meanwhile.
    let needed = seconds / 6;
    assert!(
        (needed..=allowed).contains(&attempts),
        "{attempts} in {seconds} s"
    );
}

#[tokio::test]
async fn no_call_and_no_network_change_starts_an_attempt_against_retry_after() {
    let (host, session) = with_expired_token().await;
    host.server.on_renewal(Fault::retry_after(429, "120"));
    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);

    for _ in 0..11 {
        host.clock.pass(10 * SECOND).await;
        assert_eq!(call_fails(&session).await, Code::Unreachable);
        session.network_changed();
    }
    assert_eq!(host.server.counts().renewals, 1);

    host.clock.pass(11 * SECOND).await;
    assert_eq!(host.server.counts().renewals, 2);
}

#[tokio::test]
async fn no_call_and_no_network_change_hastens_the_question_after_an_ambiguous_rejection() {
    let (host, session) = with_expired_token().await;
    let ambiguous = Fault::refuse("INTERNAL_SERVER_ERROR", "", "User Workspace not found");
    host.server.on_every_renewal(ambiguous);
    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    for _ in 0..2 {
        host.clock.pass(10 * SECOND).await;
        assert_eq!(call_fails(&session).await, Code::Unreachable);
        session.network_changed();
    }

    wait_for_phase(&host, &session, Phase::Ended).await;

    assert_eq!(apart(&session), [30.0]);
}

// ── The server refuses a call ───────────────────────────────────────────────────────────────────────────────────────

/// The server refuses calls, and every renewal fails. The token is not known to have expired, so calls are sent.
async fn refused_in_a_pause_of_sixteen_seconds() -> (TestHost, Session) {
    let (host, session) = with_expired_token().await;
    host.server.on_every_renewal(Fault::status(503));
    with_longest_pauses(&host);
    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    assert_eq!(host.server.counts().renewals, 5);
    (host, session)
}

#[tokio::test]
async fn a_refusal_proves_that_the_server_is_back_and_the_attempt_follows_at_once() {
    let (host, session) = refused_in_a_pause_of_sixteen_seconds().await;
    host.clock.pass(SECOND).await;
    host.server.behave();

    assert_served_without_waiting(&host, &session).await;

    assert_eq!(host.server.counts().renewals, 6);
}

#[tokio::test]
async fn a_second_refusal_in_the_same_outage_proves_nothing_new() {
    let (host, session) = refused_in_a_pause_of_sixteen_seconds().await;
    for _ in 0..3 {
        host.clock.pass(SECOND).await;
        assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    }

    let early: Vec<_> = apart(&session).split_off(4);
    assert_eq!(early, [1.0], "{early:?}");
}

/// 1. The answer to a renewal is lost, and the server is away for most of its grace time.
/// 2. It is back, and refuses a call before the next attempt is due, which would come too late.
#[tokio::test]
async fn a_refusal_inside_the_grace_time_saves_a_session_whose_answer_was_lost() {
    let (host, session) = with_expired_token().await;
    host.server.grace(Some(25 * SECOND));
    host.server.on_renewal(Fault::rotate_then_drop());
    host.server.on_every_renewal(Fault::Reset);
    with_longest_pauses(&host);
    let call = spawn_calls(&session, 1, &query("people"));
    host.clock.pass(18 * SECOND).await;
    host.server.behave();
    // The schedule's next attempts come 30 and 50 s after the lost answer.
    assert_eq!(journal_count(&session, "attempt_sent"), 6);

    let refused = host
        .clock
        .run_until(join_all(spawn_calls(&session, 1, &query("people"))));
    refused.await.remove(0).expect("served");

    // The next attempt would have come after its 25 s.
    assert_failed(join_all(call).await, Code::Unreachable);
    assert_eq!(session.status().endings, 0);
}

// ── The network ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// The access token has expired, and nothing accepts a connection. A call has failed, and the next attempt is due in 16 s.
async fn without_a_network() -> (TestHost, Session) {
    let (host, session) = signed_in().await;
    host.clock.advance(31 * MINUTE);
    host.server.stop().await;
    with_longest_pauses(&host);
    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    (host, session)
}

#[tokio::test]
async fn the_networks_return_starts_an_attempt_within_a_second() {
    let (host, session) = without_a_network().await;
    host.clock.pass(SECOND).await;
    host.server.start_again();

    session.network_changed();
    host.clock.pass(SECOND).await;

    assert_eq!(session.status().phase, Phase::SignedIn);
    assert_eq!(host.server.counts().renewals, 1);
}

#[tokio::test]
async fn the_networks_return_ends_the_probing_within_a_second() {
    let (host, session) = signed_in().await;
    host.server.stop().await;
    with_longest_pauses(&host);
    assert_eq!(call_fails(&session).await, Code::Unreachable);
    host.clock.pass(5 * SECOND).await;
    host.server.start_again();
    assert_eq!(session.status().phase, Phase::Unreachable);

    session.network_changed();
    host.clock.pass(SECOND).await;

    assert_eq!(session.status().phase, Phase::SignedIn);
    assert_eq!(host.server.counts().renewals, 0);
}

#[tokio::test]
async fn two_processes_that_learn_of_the_network_make_one_attempt() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    let other = host.session(DEFAULT_ACCOUNT).await;
    host.clock.advance(31 * MINUTE);
    host.server.on_every_renewal(Fault::status(503));
    with_longest_pauses(&host);
    for session in [&session, &other] {
        assert_eq!(late_failure(&host, session).await, Code::Unreachable);
    }
    let before = host.server.counts().renewals;

    for session in [&session, &other] {
        session.network_changed();
    }
    host.clock.pass(2 * SECOND).await;

    assert_eq!(host.server.counts().renewals, before + 1);
}

#[tokio::test]
async fn a_network_that_changes_without_end_starts_an_attempt_every_five_seconds() {
    let (host, session) = in_a_pause_of_sixteen_seconds().await;
    let before = host.server.counts().renewals;
    for _ in 0..200 {
        session.network_changed();
        host.clock.pass(Duration::from_millis(100)).await;
    }

    let attempts = host.server.counts().renewals - before;
    assert!((4..=5).contains(&attempts), "{attempts} in 20 s");
}

/// An attempt on the old network is under way when the new one is there.
#[tokio::test]
async fn an_attempt_that_the_network_broke_is_followed_by_another_within_a_second() {
    let (host, session) = signed_in().await;
    host.clock.advance(31 * MINUTE);
    host.server.on_every_renewal(Fault::status(503));
    with_longest_pauses(&host);
    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    let gate = graphql_session_testing::Gate::new();
    host.server
        .on_renewal(Fault::hold_then(&gate, Fault::status(503)));
    host.clock.pass(16 * SECOND).await;
    assert_eq!(host.server.counts().renewals, 6);

    session.network_changed();
    host.clock.quiet().await;
    host.server.behave();
    gate.open();
    host.clock.quiet().await;
    host.clock.pass(SECOND).await;

    assert_eq!(session.status().phase, Phase::SignedIn);
}

/// Nine attempts met no network. Then there is one, and the server has a trouble of its own.
#[tokio::test]
async fn failures_before_the_server_do_not_lengthen_the_pauses_after_its_own() {
    let (host, session) = without_a_network().await;
    host.clock.pass_in_strides(3 * MINUTE, SECOND).await;
    let before = attempts(&session).len();
    assert!(before >= 9, "{before} attempts");
    host.server.on_every_renewal(Fault::status(503));
    host.server.start_again();
    session.network_changed();
    host.clock.pass(8 * SECOND).await;

    let pauses = apart(&session).split_off(before);
    assert_eq!(pauses, [1.0, 2.0, 4.0]);
}

/// The same order of events with the other kind of failure.
#[tokio::test]
async fn failures_of_the_server_do_lengthen_its_pauses() {
    let (host, session) = in_a_pause_of_sixteen_seconds().await;
    host.clock.pass_in_strides(3 * MINUTE, SECOND).await;
    let last = apart(&session).pop();
    assert_eq!(last, Some(30.0));
}
