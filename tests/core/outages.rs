//! Failures of the network and the server, none of which ends a session (I7).

use std::time::Duration;

use graphql_session::{Clock as _, Code, DEFAULT_ACCOUNT, Phase, Session, Unreachable};
use graphql_session_testing::{AccessField, AuthenticationOn, EMAIL, Fault, TestHost, query};

use crate::fixture::{
    MINUTE, SECOND, call_succeeds, code, join_all, journal_count, session_with_expired_token,
    signed_in_session, spawn_calls, wait_for_phase,
};

/// One attempt meets this fault. The session stays, and the five waiting calls are served after the next attempt. Five
/// later calls need no renewal.
async fn assert_survives(fault: Fault) {
    let case = format!("{fault:?}");
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.on_renewal(fault);

    for _ in 0..2 {
        let calls = spawn_calls(&session, 5, &query("people"));
        for outcome in host.clock.run_until(join_all(calls)).await {
            assert_eq!(outcome.map(|reply| reply.status), Ok(200), "{case}");
        }
    }

    let status = session.status();
    assert_eq!(
        (status.phase, status.endings),
        (Phase::SignedIn, 0),
        "{case}"
    );
    assert_eq!(host.server.counts().renewals, 2, "{case}");
    assert_eq!(host.server.counts().renewals_at_once, 1, "{case}");
}

#[tokio::test]
async fn http_errors_on_the_renewal_leave_the_session() {
    for status in [400, 401, 403, 404, 408, 425, 429, 500, 502, 503, 504] {
        assert_survives(Fault::status(status)).await;
    }
}

#[tokio::test]
async fn a_captive_portal_leaves_the_session() {
    for status in [200, 302, 403, 511] {
        assert_survives(Fault::html(status)).await;
    }
    assert_survives(Fault::redirect("http://portal.example/login")).await;
}

#[tokio::test]
async fn a_redirected_renewal_is_not_followed() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    let elsewhere = TestHost::start().await;
    let address = format!("{}/graphql", elsewhere.server.address());
    for status in [301, 302, 303, 307, 308] {
        host.server.on_renewal(Fault::Answer {
            status,
            headers: vec![("location".into(), address.clone())],
            body: String::new(),
        });
    }

    host.clock.run_until(call_succeeds(&session)).await;

    assert_eq!(elsewhere.server.counts().connections, 0);
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn empty_truncated_stalled_and_undecodable_answers_leave_the_session() {
    for fault in [
        Fault::empty(),
        Fault::Truncate(40),
        Fault::Truncate(0),
        Fault::StallInBody,
        Fault::Stall,
        Fault::not_json(),
        Fault::json("[]"),
        Fault::json("null"),
        Fault::json("{}"),
        Fault::json_without_tokens(),
        Fault::json(
            r#"{"data":{"renewToken":{"tokens":{"accessOrWorkspaceAgnosticToken":{"token":""}}}}}"#,
        ),
        Fault::OtherPersonsTokens,
    ] {
        assert_survives(fault).await;
    }
}

#[tokio::test]
async fn reset_and_closed_connections_leave_the_session() {
    for fault in [Fault::Reset, Fault::Close, Fault::ResetInBody] {
        assert_survives(fault).await;
    }
}

/// A session whose access token has a past expiry, so that its first request is a renewal. It gets no answer.
async fn unreachable_at(host: &TestHost, address: &str) -> Session {
    let session = host.session(DEFAULT_ACCOUNT).await;
    let mut tokens = host.server.issue(EMAIL).to_tokens();
    tokens.access_expires_at = Some("2026-01-05T08:00:00Z".parse().expect("a timestamp"));
    let signing_in = session.sign_in_with_tokens(address, None, tokens);
    signing_in
        .await
        .expect("a sign-in with tokens asks no server");
    // Other threads look up names and certificates, in real time.
    host.clock.wait_for_calm_rounds(100);
    let outcome = host.clock.run_until(session.execute(query("people"))).await;
    let error = outcome.expect_err("nobody is there");
    assert_eq!(error.code(), Code::Unreachable);
    assert!(error.retry_after_hint().is_some());
    session
}

#[tokio::test]
async fn a_refused_connection_leaves_the_session() {
    let host = TestHost::start().await;
    host.server.stop().await;
    let session = unreachable_at(&host, &host.server.address()).await;
    assert_eq!(session.status().phase, Phase::Unreachable);
    assert!(host.vault.stored(DEFAULT_ACCOUNT).is_some());
}

#[tokio::test]
async fn a_name_that_does_not_resolve_leaves_the_session() {
    let host = TestHost::start().await;
    let session = unreachable_at(&host, "https://holdfast.invalid").await;
    assert_eq!(session.status().phase, Phase::Unreachable);
    assert!(host.vault.stored(DEFAULT_ACCOUNT).is_some());
}

#[tokio::test]
async fn a_server_without_tls_behind_https_leaves_the_session() {
    let host = TestHost::start().await;
    let address = host.server.address().replace("http:", "https:");
    let session = unreachable_at(&host, &address).await;
    assert_eq!(session.status().phase, Phase::Unreachable);
    assert!(host.vault.stored(DEFAULT_ACCOUNT).is_some());
    assert_eq!(host.server.counts().renewals, 0);
}

#[tokio::test]
async fn a_stopped_server_makes_the_session_unreachable_and_its_return_renews_it() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.clock.advance(31 * MINUTE);
    host.server.stop().await;

    let calls = spawn_calls(&session, 8, &query("people"));
    for outcome in host.clock.run_until(join_all(calls)).await {
        let error = outcome.expect_err("the server is away");
        assert_eq!(error.code(), Code::Unreachable);
        assert!(error.retry_after_hint().is_some());
    }
    let status = session.status();
    assert_eq!(status.phase, Phase::Unreachable);
    assert_eq!(status.unreachable, Some(Unreachable::Server));
    assert!(status.next_attempt_at.is_some());

    host.clock.pass_in_strides(10 * MINUTE, 2 * SECOND).await;
    let attempts = journal_count(&session, "attempt_sent");
    assert!(
        (20..=120).contains(&attempts),
        "{attempts} attempts in ten minutes"
    );
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
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.clock.advance(31 * MINUTE);
    host.server.on_every_renewal(Fault::status(503));
    let outcome = host.clock.run_until(session.execute(query("people"))).await;
    assert_eq!(code(outcome), Code::Unreachable);
    let before = host.server.counts();

    for outcome in join_all(spawn_calls(&session, 100, &query("people"))).await {
        assert_eq!(code(outcome), Code::Unreachable);
    }

    assert_eq!(host.server.counts(), before);
}

#[tokio::test]
async fn try_now_skips_the_backoff() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.clock.advance(31 * MINUTE);
    host.server.on_every_renewal(Fault::status(503));
    let outcome = host.clock.run_until(session.execute(query("people"))).await;
    assert_eq!(code(outcome), Code::Unreachable);
    host.server.behave();

    let before = host.server.counts().renewals;
    session.retry_now().await;
    host.server
        .wait_for(|counts| counts.renewals == before + 1)
        .await;
    // The manual clock does not move.
    let mut changes = session.changes();
    let signed_in = changes.wait_for(|status| status.phase == Phase::SignedIn);
    signed_in.await.expect("the session lives");
}

#[tokio::test]
async fn a_retry_after_in_seconds_or_as_a_date_delays_the_attempt_and_callers_learn_it() {
    // The clock of a new host stands at 09:00:00, and a sign-in takes no time on it.
    for value in ["120", "Mon, 05 Jan 2026 09:02:00 GMT"] {
        let host = TestHost::start().await;
        let session = session_with_expired_token(&host).await;
        host.server.on_renewal(Fault::retry_after(429, value));

        let outcome = host.clock.run_until(session.execute(query("people"))).await;
        let error = outcome.expect_err("told to wait");
        assert_eq!(error.code(), Code::Unreachable, "{value}");
        let hint = error.retry_after_hint().expect("told when");
        assert!(
            (118 * SECOND..=120 * SECOND).contains(&hint),
            "{value}: {hint:?}"
        );

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
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.on_renewal(Fault::retry_after(429, "3"));

    let calls = spawn_calls(&session, 5, &query("people"));
    for outcome in host.clock.run_until(join_all(calls)).await {
        assert_eq!(outcome.expect("waited").status, 200);
    }

    let asked = host.server.seen_asking_for("renewToken");
    assert_eq!(asked.len(), 2);
    let apart = asked[1].at.duration_since(asked[0].at).unsigned_abs();
    assert!((3 * SECOND..=4 * SECOND).contains(&apart), "{apart:?}");
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn a_server_that_moved_its_authentication_is_found_within_one_attempt() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server
        .authentication_on(AuthenticationOn::MetadataOnly);
    host.server.access_field(AccessField::AccessToken);

    call_succeeds(&session).await;

    let asked = host.server.seen_asking_for("renewToken");
    assert!((2..=4).contains(&asked.len()), "{} requests", asked.len());
    assert_eq!(
        asked.last().map(|seen| seen.path.as_str()),
        Some("/metadata")
    );
    assert_eq!(
        journal_count(&session, "attempt_sent"),
        1,
        "the requests that found the dialect count as attempts"
    );
    assert_eq!(host.server.counts().exchanged, 1);

    host.server.expire_access_tokens();
    call_succeeds(&session).await;
    let again = host.server.seen_asking_for("renewToken");
    assert_eq!(
        again.len(),
        asked.len() + 1,
        "the dialect was not remembered"
    );
}

#[tokio::test]
async fn a_schema_error_in_every_dialect_leaves_the_session() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    let unknown =
        r#"{"errors":[{"message":"Cannot query field \"renewToken\" on type \"Mutation\"."}]}"#;
    for _ in 0..4 {
        host.server.on_renewal(Fault::json(unknown));
    }

    host.clock.run_until(call_succeeds(&session)).await;

    assert_eq!(journal_count(&session, "attempt_sent"), 2);
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn calls_keep_using_a_working_access_token_while_the_early_renewal_fails() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
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
    assert!(
        !phases.has_changed().expect("the session lives"),
        "somebody was disturbed"
    );

    host.server.behave();
    host.clock.pass(2 * MINUTE).await;
    host.clock.run_until(call_succeeds(&session)).await;
    assert_eq!(host.server.counts().exchanged, 1);
}

/// Of 30 min, the first early renewal comes after 20 to 22.5 min, and leaves 7.5 to 10 min. The last quarter of those
/// begins after 27.5 min at the earliest.
#[tokio::test]
async fn after_a_failed_early_renewal_neither_calls_nor_try_now_hasten_the_next_one() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
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
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.clock.pass_in_strides(19 * MINUTE, 20 * SECOND).await;
    host.server.stop().await;
    assert_eq!(
        code(session.execute(query("people")).await),
        Code::Unreachable
    );
    host.clock.pass_in_strides(4 * MINUTE, 5 * SECOND).await;
    assert_eq!(
        journal_count(&session, "attempt_sent"),
        0,
        "an attempt although the server is away"
    );

    host.server.start_again();
    wait_for_phase(&host, &session, Phase::SignedIn).await;
    calls_every_20_s(&host, &session, 3 * MINUTE).await;
    assert_eq!(host.server.counts().renewals, 0, "hastened");

    calls_every_20_s(&host, &session, 4 * MINUTE).await;
    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.exchanged), (1, 1));
    assert_eq!(counts.calls_refused, 0);
}

#[tokio::test]
async fn a_token_that_expired_during_an_outage_is_renewed_by_the_first_call_after_it() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.server.stop().await;
    assert_eq!(
        code(session.execute(query("people")).await),
        Code::Unreachable
    );
    host.clock.pass_in_strides(40 * MINUTE, 5 * SECOND).await;
    host.server.start_again();

    let before = host.clock.awake();
    host.clock.run_until(call_succeeds(&session)).await;

    assert_eq!(host.clock.awake(), before, "the call waited");
    assert_eq!(host.server.counts().renewals, 1);
}

#[tokio::test]
async fn a_refused_call_does_not_wait_for_the_pause_of_any_processs_early_renewal() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    let other = host.session(DEFAULT_ACCOUNT).await;
    host.server.on_every_renewal(Fault::status(503));
    calls_every_20_s(&host, &session, 24 * MINUTE).await;
    assert_eq!(host.server.counts().renewals, 1);
    host.server.behave();
    host.server.expire_access_tokens();

    let before = host.clock.awake();
    host.clock.run_until(call_succeeds(&other)).await;

    assert_eq!(host.clock.awake(), before, "the call waited");
    assert_eq!(host.server.counts().renewals, 2);
}

#[tokio::test]
async fn early_renewals_of_several_processes_are_one_series_of_attempts() {
    let host = TestHost::start().await;
    let first = signed_in_session(&host).await;
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
        let before = host.clock.awake();
        host.clock.run_until(call_succeeds(session)).await;
        assert_eq!(host.clock.awake(), before, "a call waited");
    }
}

#[tokio::test]
async fn an_outage_after_expiry_is_one_failure_with_a_time_and_deletes_nothing() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.on_every_renewal(Fault::status(502));
    let stored = host.vault.stored(DEFAULT_ACCOUNT);

    let calls = spawn_calls(&session, 30, &query("people"));
    for outcome in host.clock.run_until(join_all(calls)).await {
        let error = outcome.expect_err("an outage");
        assert_eq!(error.code(), Code::Unreachable);
        assert!(error.retry_after_hint().is_some());
    }

    assert_eq!(journal_count(&session, "waiters_told"), 1);
    assert_eq!(session.status().endings, 0);
    let still = host.vault.stored(DEFAULT_ACCOUNT);
    assert_eq!(still.is_some(), stored.is_some());
}

#[tokio::test]
async fn an_outage_while_the_token_works_is_shown_and_probed_and_ends_without_a_renewal() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.server.stop().await;

    assert_eq!(
        code(session.execute(query("people")).await),
        Code::Unreachable
    );
    wait_for_phase(&host, &session, Phase::Unreachable).await;
    let status = session.status();
    assert_eq!(status.unreachable, Some(Unreachable::Server));
    assert!(
        status.next_attempt_at.is_some(),
        "the status names no next attempt"
    );
    host.clock.pass(2 * MINUTE).await;
    assert_eq!(session.status().phase, Phase::Unreachable);

    host.server.start_again();
    host.clock.pass(46 * SECOND).await;
    assert_eq!(
        session.status().phase,
        Phase::SignedIn,
        "found again by itself"
    );
    call_succeeds(&session).await;
    assert_eq!(host.server.counts().renewals, 0);
}

#[tokio::test]
async fn a_gateway_that_answers_calls_in_the_servers_place_means_that_the_server_is_away() {
    let json = r#"{"message":"Service Unavailable"}"#;
    for (status, body) in [
        (502, "<html>"),
        (503, "<html>"),
        (504, "<html>"),
        (503, json),
    ] {
        let host = TestHost::start().await;
        let session = signed_in_session(&host).await;
        host.server.on_call(Fault::Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        });

        let reply = session.execute(query("people")).await.expect("handed on");

        assert_eq!(reply.status, status);
        let told = wait_for_phase(&host, &session, Phase::Unreachable).await;
        assert_eq!(told.unreachable, Some(Unreachable::Server));
        assert_eq!(host.server.counts().renewals, 0);
    }
}

#[tokio::test]
async fn a_call_that_is_served_ends_the_probing_at_once() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.server.stop().await;
    assert_eq!(
        code(session.execute(query("people")).await),
        Code::Unreachable
    );
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
