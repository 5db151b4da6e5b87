//! Failures of the network and the server, none of which ends a session (I7).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use graphql_session::{Clock, Code, DEFAULT_ACCOUNT, Phase, Session, Sleep, Unreachable};
use graphql_session_testing::{
    AccessField, AuthenticationOn, Counts, Fault, Gate, ManualClock, TestHost, query,
};
use jiff::Timestamp;

use crate::fixture::{
    MINUTE, SECOND, assert_failed, assert_one_renewal, assert_served, call_fails, call_succeeds,
    calls_at_once, join_all, journal_count, late_failure, renew, signed_in, spawn_call,
    spawn_calls, wait_for_phase, with_expired_token,
};

/// The access token has expired, and every renewal meets an outage. A first call has failed.
async fn in_an_outage() -> (TestHost, Session) {
    let (host, session) = signed_in().await;
    host.clock.advance(31 * MINUTE);
    host.server.on_every_renewal(Fault::status(503));
    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    (host, session)
}

/// The server is away, although the access token still works. A first call has failed.
async fn without_a_server() -> (TestHost, Session) {
    let (host, session) = signed_in().await;
    host.server.stop().await;
    assert_eq!(call_fails(&session).await, Code::Unreachable);
    (host, session)
}

/// So many waiting calls fail, and each learns when the next attempt comes.
async fn assert_told_when(host: &TestHost, session: &Session, calls: usize) {
    for outcome in calls_at_once(host, session, calls).await {
        let error = outcome.expect_err("the server is away");
        assert_eq!(error.code(), Code::Unreachable);
        assert!(error.retry_after_hint().is_some());
    }
}

/// A call is served, and the manual clock does not move.
async fn assert_served_at_once(host: &TestHost, session: &Session) {
    let before = host.clock.awake();
    host.clock.run_until(call_succeeds(session)).await;
    assert_eq!(host.clock.awake(), before, "the call waited");
}

#[tokio::test]
async fn a_redirected_renewal_is_not_followed() {
    let (host, session) = with_expired_token().await;
    let elsewhere = TestHost::start().await;
    let address = format!("{}/graphql", elsewhere.server.address());
    for status in [301, 302, 303, 307, 308] {
        host.server
            .on_renewal(Fault::answer_with(status, "location", address.clone(), ""));
    }

    host.clock.run_until(call_succeeds(&session)).await;

    assert_eq!(elsewhere.server.counts().connections, 0);
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn a_stopped_server_makes_the_session_unreachable_and_its_return_renews_it() {
    let (host, session) = signed_in().await;
    host.clock.advance(31 * MINUTE);
    host.server.stop().await;

    assert_told_when(&host, &session, 8).await;
    let status = session.status();
    assert_eq!(status.phase, Phase::Unreachable);
    assert_eq!(status.unreachable, Some(Unreachable::Server));
    assert!(status.next_attempt_at.is_some());

    host.clock.pass_in_strides(10 * MINUTE, 2 * SECOND).await;
    let attempts = journal_count(&session, "attempt_sent");
    assert!((20..=120).contains(&attempts), "{attempts} attempts");
    assert_eq!(session.status().phase, Phase::Unreachable);
    assert!(host.vault.stored(DEFAULT_ACCOUNT).is_some());

    host.server.start_again();
    host.clock.pass(31 * SECOND).await;
    let status = session.status();
    assert_eq!((status.phase, status.endings), (Phase::SignedIn, 0));
    assert_eq!(host.server.counts().renewals, 1);
    call_succeeds(&session).await;
}

#[tokio::test]
async fn while_the_server_is_away_new_calls_fail_at_once_and_start_no_attempt() {
    let (host, session) = in_an_outage().await;
    let before = host.server.counts();

    let calls = spawn_calls(&session, 100, &query("people"));
    assert_failed(join_all(calls).await, Code::Unreachable);

    assert_eq!(host.server.counts(), before);
}

#[tokio::test]
async fn try_now_skips_the_backoff() {
    let (host, session) = in_an_outage().await;
    host.server.behave();

    let before = host.server.counts().renewals;
    session.retry_now().await;
    let is_tried = |counts: &Counts| counts.renewals == before + 1;
    host.server.wait_for(is_tried).await;
    // The manual clock does not move.
    let mut changes = session.changes();
    let signed_in = changes.wait_for(|status| status.phase == Phase::SignedIn);
    signed_in.await.expect("the session lives");
}

#[tokio::test]
async fn a_retry_after_in_seconds_or_as_a_date_delays_the_attempt_and_callers_learn_it() {
    // The clock of a new host stands at 09:00:00, and a sign-in takes no time on it.
    for value in ["120", "Mon, 05 Jan 2026 09:02:00 GMT"] {
        let (host, session) = with_expired_token().await;
        host.server.on_renewal(Fault::retry_after(429, value));

        let outcome = host.clock.run_until(session.execute(query("people"))).await;
        let error = outcome.expect_err("told to wait");
        assert_eq!(error.code(), Code::Unreachable, "{value}");
        let hint = error.retry_after_hint().expect("told when").as_secs();
        assert!((118..=120).contains(&hint), "{value}: {hint} s");

        session.retry_now().await;
        host.clock.pass(100 * SECOND).await;
        assert_eq!(host.server.counts().renewals, 1, "{value}: too early");
        host.clock.pass(21 * SECOND).await;
        assert_eq!(host.server.counts().renewals, 2, "{value}");
        assert_eq!(session.status().phase, Phase::SignedIn, "{value}");
    }
}

#[tokio::test]
async fn five_calls_wait_out_a_retry_after_of_three_seconds_and_are_served() {
    let (host, session) = with_expired_token().await;
    host.server.on_renewal(Fault::retry_after(429, "3"));

    assert_served(calls_at_once(&host, &session, 5).await);

    let asked = host.server.seen_asking_for("renewToken");
    assert_eq!(asked.len(), 2);
    let apart = asked[1].at.duration_since(asked[0].at).unsigned_abs();
    assert!((3 * SECOND..=4 * SECOND).contains(&apart), "{apart:?}");
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn a_server_that_moved_its_authentication_is_found_within_one_attempt() {
    let (host, session) = with_expired_token().await;
    host.server
        .authentication_on(AuthenticationOn::MetadataOnly);
    host.server.access_field(AccessField::AccessToken);

    call_succeeds(&session).await;

    let asked = host.server.seen_asking_for("renewToken");
    assert!((2..=4).contains(&asked.len()), "{} requests", asked.len());
    assert_eq!(asked[asked.len() - 1].path, "/metadata");
    // The requests that found the dialect are one attempt.
    assert_eq!(journal_count(&session, "attempt_sent"), 1);
    assert_eq!(host.server.counts().exchanged, 1);

    renew(&host, &session).await;
    let further = host.server.seen_asking_for("renewToken").len() - asked.len();
    assert_eq!(further, 1, "the dialect was not remembered");
}

#[tokio::test]
async fn calls_keep_using_a_working_access_token_while_the_early_renewal_fails() {
    let (host, session) = signed_in().await;
    host.server.on_every_renewal(Fault::status(503));
    let mut phases = session.changes();
    phases.mark_unchanged();
    for _ in 0..28 {
        host.clock.pass_in_strides(MINUTE, 5 * SECOND).await;
        host.clock.run_until(call_succeeds(&session)).await;
    }

    let counts = host.server.counts();
    assert!(counts.renewals >= 1, "nothing was renewed ahead of expiry");
    assert_eq!(counts.calls_refused, 0);
    assert_eq!(session.status().phase, Phase::SignedIn);
    let is_disturbed = phases.has_changed().expect("the session lives");
    assert!(!is_disturbed);

    host.server.behave();
    host.clock.pass(2 * MINUTE).await;
    host.clock.run_until(call_succeeds(&session)).await;
    assert_eq!(host.server.counts().exchanged, 1);
}

/// Of 30 min, the first early renewal comes after 20 to 22.5 min, and leaves 7.5 to 10 min. The last quarter of those
/// begins after 27.5 min at the earliest.
#[tokio::test]
async fn after_a_failed_early_renewal_neither_calls_nor_try_now_hasten_the_next_one() {
    let (host, session) = signed_in().await;
    host.server.on_every_renewal(Fault::status(503));
    calls_every_20_s(&host, &session, 24 * MINUTE).await;
    assert_eq!(host.server.counts().renewals, 1);

    host.server.behave();
    session.retry_now().await;
    calls_every_20_s(&host, &session, 3 * MINUTE).await;
    assert_eq!(host.server.counts().renewals, 1, "brought forward");

    calls_every_20_s(&host, &session, 4 * MINUTE).await;
    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.exchanged), (2, 1));
    assert_eq!(counts.calls_refused, 0);
}

#[tokio::test]
async fn no_early_renewal_is_tried_while_the_server_is_away_or_hastened_by_its_return() {
    let (host, session) = signed_in().await;
    host.clock.pass_in_strides(19 * MINUTE, 20 * SECOND).await;
    host.server.stop().await;
    assert_eq!(call_fails(&session).await, Code::Unreachable);
    host.clock.pass_in_strides(4 * MINUTE, 5 * SECOND).await;
    let attempts = journal_count(&session, "attempt_sent");
    assert_eq!(attempts, 0, "the server is away");

    host.server.start_again();
    wait_for_phase(&host, &session, Phase::SignedIn).await;
    calls_every_20_s(&host, &session, 3 * MINUTE).await;
    assert_eq!(host.server.counts().renewals, 0, "hastened");

    calls_every_20_s(&host, &session, 4 * MINUTE).await;
    assert_one_renewal(&host);
    assert_eq!(host.server.counts().calls_refused, 0);
}

#[tokio::test]
async fn a_token_that_expired_during_an_outage_is_renewed_by_the_first_call_after_it() {
    let (host, session) = without_a_server().await;
    host.clock.pass_in_strides(40 * MINUTE, 5 * SECOND).await;
    host.server.start_again();

    assert_served_at_once(&host, &session).await;

    assert_eq!(host.server.counts().renewals, 1);
}

#[tokio::test]
async fn a_refused_call_does_not_wait_for_the_pause_of_any_processs_early_renewal() {
    let (host, session) = signed_in().await;
    let other = host.session(DEFAULT_ACCOUNT).await;
    host.server.on_every_renewal(Fault::status(503));
    calls_every_20_s(&host, &session, 24 * MINUTE).await;
    assert_eq!(host.server.counts().renewals, 1);
    host.server.behave();
    host.server.expire_access_tokens();

    assert_served_at_once(&host, &other).await;

    assert_eq!(host.server.counts().renewals, 2);
}

#[tokio::test]
async fn early_renewals_of_several_processes_are_one_series_of_attempts() {
    let (host, first) = signed_in().await;
    let second = host.session(DEFAULT_ACCOUNT).await;
    host.server.on_every_renewal(Fault::status(503));
    for _ in 0..72 {
        host.clock.pass_in_strides(20 * SECOND, 5 * SECOND).await;
        call_succeeds(&first).await;
        call_succeeds(&second).await;
    }

    assert_eq!(host.server.counts().renewals, 1);
}

/// A person works: a call every 20 s, and none waits.
async fn calls_every_20_s(host: &TestHost, session: &Session, time: Duration) {
    for _ in 0..time.as_secs() / 20 {
        host.clock.pass_in_strides(20 * SECOND, 5 * SECOND).await;
        assert_served_at_once(host, session).await;
    }
}

#[tokio::test]
async fn an_outage_after_expiry_is_one_failure_with_a_time_and_deletes_nothing() {
    let (host, session) = with_expired_token().await;
    host.server.on_every_renewal(Fault::status(502));

    assert_told_when(&host, &session, 30).await;

    assert_eq!(journal_count(&session, "waiters_told"), 1);
    assert_eq!(session.status().endings, 0);
    assert!(host.vault.stored(DEFAULT_ACCOUNT).is_some());
}

#[tokio::test]
async fn an_outage_while_the_token_works_is_shown_and_probed_and_ends_without_a_renewal() {
    let (host, session) = without_a_server().await;

    let status = wait_for_phase(&host, &session, Phase::Unreachable).await;
    assert_eq!(status.unreachable, Some(Unreachable::Server));
    assert!(status.next_attempt_at.is_some());
    host.clock.pass(2 * MINUTE).await;
    assert_eq!(session.status().phase, Phase::Unreachable);

    host.server.start_again();
    host.clock.pass(46 * SECOND).await;
    assert_eq!(session.status().phase, Phase::SignedIn, "by itself");
    call_succeeds(&session).await;
    assert_eq!(host.server.counts().renewals, 0);
}

#[tokio::test]
async fn a_gateway_that_answers_calls_in_the_servers_place_means_that_the_server_is_away() {
    let json = r#"{"message":"Service Unavailable"}"#;
    let page = "<html>";
    for (status, body) in [(502, page), (503, page), (504, page), (503, json)] {
        let (host, session) = signed_in().await;
        host.server.on_call(Fault::answer(status, body));

        let reply = session.execute(query("people")).await.expect("handed on");

        assert_eq!(reply.status, status);
        let told = wait_for_phase(&host, &session, Phase::Unreachable).await;
        assert_eq!(told.unreachable, Some(Unreachable::Server));
        assert_eq!(host.server.counts().renewals, 0);
    }
}

#[tokio::test]
async fn a_call_that_is_served_ends_the_probing_at_once() {
    let (host, session) = without_a_server().await;
    wait_for_phase(&host, &session, Phase::Unreachable).await;

    host.server.start_again();
    let mut changes = session.changes();
    call_succeeds(&session).await;
    // No virtual time passes, so no probe can have found the server.
    let back = changes.wait_for(|status| status.phase == Phase::SignedIn);
    let back = tokio::time::timeout(Duration::from_secs(10), back).await;
    let back = back.expect("at once").expect("a status").clone();
    assert_eq!(back.next_attempt_at, None);
}

/// Every answer to a renewal takes 12 s: a server that starts cold, or has too much to do.
#[tokio::test]
async fn renewals_that_take_longer_than_an_attempt_may_are_given_twice_the_time() {
    let (host, session) = with_expired_token().await;
    let gates = [Gate::new(), Gate::new()];
    for gate in &gates {
        host.server.on_renewal(Fault::hold_answer(gate));
    }
    let call = spawn_call(&session, query("people"));
    host.server.wait_for(|counts| counts.renewals == 1).await;
    host.clock.pass(10 * SECOND).await;
    host.server.wait_for(|counts| counts.renewals == 2).await;
    gates[0].open();
    host.clock.pass(12 * SECOND).await;
    gates[1].open();

    assert_served(join_all(vec![call]).await);
    assert_eq!(host.server.counts().renewals, 2);
}

/// Nothing answers: attempts take 10, 20, 40, 60 and 60 s. The first call has 25 s.
#[tokio::test]
async fn the_time_of_an_attempt_doubles_to_a_minute_and_its_callers_keep_their_own() {
    let (host, session) = with_expired_token().await;
    host.server.on_every_renewal(Fault::Stall);
    let began = host.clock.awake();
    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    assert_eq!(host.clock.awake() - began, 25 * SECOND);

    host.clock.pass_in_strides(6 * MINUTE, SECOND / 2).await;
    let journal = session.journal().into_iter();
    let answered = journal.filter(|entry| entry.what == "answered");
    let took: Vec<_> = answered
        .map(|entry| entry.facts["ms"].as_u64().expect("a number"))
        .map(|ms| (ms + 500) / 1_000)
        .take(5)
        .collect();
    assert_eq!(took, [10, 20, 40, 60, 60]);
}

/// A clock whose two times are read one after the other: the wall clock is up to six milliseconds further.
struct ReadApart {
    clock: ManualClock,
    readings: AtomicU64,
}

impl Clock for ReadApart {
    fn wall(&self) -> Timestamp {
        let reading = self.readings.fetch_add(1, Ordering::Relaxed);
        self.clock.wall() + Duration::from_millis(reading % 7)
    }

    fn awake(&self) -> Duration {
        self.clock.awake()
    }

    fn sleep(&self, pause: Duration) -> Sleep {
        self.clock.sleep(pause)
    }

    fn random(&self) -> u64 {
        self.clock.random()
    }
}

/// Signed in, by such a clock.
async fn signed_in_by_two_clocks() -> (TestHost, Session) {
    let host = TestHost::start().await;
    let mut config = host.config(DEFAULT_ACCOUNT);
    config.clock = Arc::new(ReadApart {
        clock: host.clock.clone(),
        readings: AtomicU64::new(0),
    });
    let session = Session::open(config).await.expect("the session opens");
    host.sign_in(&session).await;
    (host, session)
}

/// The same; the access token has expired, every renewal meets an outage, and a first call has failed.
async fn in_an_outage_by_two_clocks() -> (TestHost, Session) {
    let (host, session) = signed_in_by_two_clocks().await;
    host.clock.advance(31 * MINUTE);
    host.server.on_every_renewal(Fault::status(503));
    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    (host, session)
}

#[tokio::test]
async fn callers_of_a_server_that_is_away_publish_nothing_that_nobody_sees() {
    let (host, session) = in_an_outage_by_two_clocks().await;
    host.clock
        .script_random(std::iter::repeat_n(u64::MAX, 10_000));
    // The pauses are long from here on.
    host.clock.pass(5 * MINUTE).await;
    let before = (session.status(), journal_count(&session, "attempt_sent"));
    for _ in 0..4 {
        let calls = spawn_calls(&session, 8, &query("people"));
        host.clock.pass(SECOND / 4).await;
        assert_failed(join_all(calls).await, Code::Unreachable);
    }

    let attempts = journal_count(&session, "attempt_sent") - before.1;
    let published = session.status().revision - before.0.revision;
    assert!(
        published <= 2 * attempts as u64 + 1,
        "{published} times, {attempts} attempts"
    );
}

#[tokio::test]
async fn a_countdown_that_changes_all_the_time_is_published_once_a_second() {
    let (host, session) = in_an_outage_by_two_clocks().await;
    // Every pause is as short as it can be.
    host.clock.script_random(std::iter::repeat_n(0, 100_000));
    host.clock.pass(31 * SECOND).await;
    let before = (
        session.status().revision,
        journal_count(&session, "attempt_sent"),
    );
    host.clock.pass(30 * SECOND).await;

    let attempts = journal_count(&session, "attempt_sent") - before.1;
    assert!(attempts >= 90, "{attempts} attempts");
    let published = session.status().revision - before.0;
    assert!((15..=31).contains(&published), "{published} times in 30 s");
    // And the last one is not kept back for ever.
    host.server.behave();
    wait_for_phase(&host, &session, Phase::SignedIn).await;
}

/// Calls with a token that works, at a server that is away.
#[tokio::test]
async fn calls_that_get_no_answer_publish_the_outage_once_until_a_probe_is_made() {
    let (host, session) = signed_in_by_two_clocks().await;
    host.server.stop().await;
    assert_eq!(call_fails(&session).await, Code::Unreachable);
    let before = session.status().revision;
    for _ in 0..20 {
        let calls = spawn_calls(&session, 8, &query("people"));
        assert_failed(
            host.clock.run_until(join_all(calls)).await,
            Code::Unreachable,
        );
    }
    let published = session.status().revision - before;
    assert!(published <= 1, "{published} times");
}
