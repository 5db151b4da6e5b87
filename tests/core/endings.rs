//! What ends a session: the server's confirmed rejection, and nothing that merely looks like it (I6, I8).

use std::time::Duration;

use graphql_session::{Code, DEFAULT_ACCOUNT, EndingReason, Phase, Session};
use graphql_session_testing::{EMAIL, Fault, TestHost, query};

use crate::fixture::{
    MINUTE, SECOND, call_succeeds, code, join_all, journal_count, removed,
    session_with_expired_token, signed_in_session, spawn_calls, wait_for_phase,
};

/// Five calls wait for one renewal, which is rejected. Checks all that follows from it.
async fn assert_ends_once(host: &TestHost, session: &Session, case: &str) {
    let calls = spawn_calls(session, 5, &query("people"));
    for outcome in host.clock.run_until(join_all(calls)).await {
        assert_eq!(code(outcome), Code::SignedOut, "{case}");
    }
    let status = session.status();
    assert_eq!(status.phase, Phase::Ended, "{case}");
    assert_eq!(status.endings, 1, "{case}");
    let ending = status.ending.expect("an ending says why");
    assert_eq!(ending.reason, EndingReason::Rejected, "{case}");
    assert_eq!(journal_count(session, "ended"), 1, "{case}");

    let counts = host.server.counts();
    assert_eq!(counts.renewals, 1, "{case}: asked more than once");
    assert_eq!(counts.served, 1, "{case}: a call was replayed");
    assert!(counts.calls <= 1 + 5, "{case}: a call was replayed");
    removed(host).await;
}

#[tokio::test]
async fn each_final_answer_ends_the_session_once_and_no_call_is_replayed() {
    for (code, sub_code, message) in [
        ("UNAUTHENTICATED", "UNAUTHENTICATED", "No payload"),
        ("UNAUTHENTICATED", "UNAUTHENTICATED", "Token invalid."),
        ("UNAUTHENTICATED", "UNAUTHENTICATED", "Token has expired."),
        (
            "FORBIDDEN",
            "FORBIDDEN_EXCEPTION",
            "Suspicious activity detected, this refresh token has been revoked.",
        ),
        (
            "FORBIDDEN",
            "FORBIDDEN_EXCEPTION",
            "This refresh token has been revoked.",
        ),
        (
            "BAD_USER_INPUT",
            "INVALID_INPUT",
            "This refresh token doesn't exist",
        ),
        ("BAD_USER_INPUT", "INVALID_INPUT", "User not found"),
        ("BAD_USER_INPUT", "", "appToken should not be empty"),
    ] {
        let host = TestHost::start().await;
        let session = session_with_expired_token(&host).await;
        host.server
            .on_every_renewal(Fault::refuse(code, sub_code, message));
        assert_ends_once(&host, &session, message).await;
    }
}

#[tokio::test]
async fn a_final_answer_inside_http_400_401_or_403_ends_the_session_once() {
    for status in [400, 401, 403] {
        let host = TestHost::start().await;
        let session = session_with_expired_token(&host).await;
        let fault = Fault::refuse_with_status(status, "UNAUTHENTICATED", "", "Token invalid.");
        host.server.on_every_renewal(fault);
        assert_ends_once(&host, &session, &status.to_string()).await;
    }
}

#[tokio::test]
async fn a_revoked_an_expired_and_a_forgotten_refresh_token_each_end_the_session_once() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.revoke_sessions();
    assert_ends_once(&host, &session, "revoked").await;

    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.expire_refresh_tokens();
    assert_ends_once(&host, &session, "expired").await;

    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.forget_refresh_tokens();
    assert_ends_once(&host, &session, "forgotten").await;
}

#[tokio::test]
async fn after_an_ending_calls_fail_at_once_without_the_network() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.revoke_sessions();
    assert_ends_once(&host, &session, "revoked").await;
    let before = host.server.counts();

    for outcome in join_all(spawn_calls(&session, 20, &query("people"))).await {
        assert_eq!(code(outcome), Code::SignedOut);
    }

    assert_eq!(host.server.counts(), before);
    assert_eq!(session.status().endings, 1);
}

#[tokio::test]
async fn an_ending_survives_a_restart_and_a_new_sign_in_ends_it() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.revoke_sessions();
    assert_ends_once(&host, &session, "revoked").await;
    drop(session);

    let session = host.session(DEFAULT_ACCOUNT).await;
    let status = session.status();
    assert_eq!(status.phase, Phase::Ended);
    assert_eq!(
        status.ending.map(|ending| ending.reason),
        Some(EndingReason::Rejected)
    );
    assert_eq!(status.endings, 0, "it did not end in this process");

    host.sign_in(&session).await;
    assert_eq!(session.status().phase, Phase::SignedIn);
    assert_eq!(session.status().ending, None);
    call_succeeds(&session).await;
}

#[tokio::test]
async fn an_internal_error_and_the_throttle_leave_the_session_and_the_next_attempt_renews() {
    for (code, sub_code, message) in [
        (
            "INTERNAL_SERVER_ERROR",
            "",
            "connect ECONNREFUSED 127.0.0.1:5432",
        ),
        ("INTERNAL_SERVER_ERROR", "", "Too many requests."),
        (
            "BAD_USER_INPUT",
            "",
            "Limit reached. Please try again after 60000 ms.",
        ),
        ("BAD_USER_INPUT", "LIMIT_REACHED", "Too fast"),
        ("SOMETHING_NEW", "", "An error that nobody has seen before"),
    ] {
        let host = TestHost::start().await;
        let session = session_with_expired_token(&host).await;
        host.server
            .on_renewal(Fault::refuse(code, sub_code, message));

        host.clock.run_until(call_succeeds(&session)).await;

        assert_eq!(host.server.counts().renewals, 2, "{message}");
        assert_eq!(session.status().phase, Phase::SignedIn, "{message}");
        assert_eq!(session.status().endings, 0, "{message}");
    }
}

#[tokio::test]
async fn user_workspace_not_found_twice_thirty_seconds_apart_ends_the_session() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.remove_member(EMAIL);

    let outcome = host.clock.run_until(session.execute(query("people"))).await;
    assert_eq!(code(outcome), Code::Unreachable, "not confirmed yet");
    assert_eq!(session.status().phase, Phase::Unreachable);

    let status = wait_for_phase(&host, &session, Phase::Ended).await;
    assert_eq!(
        status.ending.map(|ending| ending.reason),
        Some(EndingReason::Rejected)
    );
    assert_eq!(status.endings, 1);
    let asked = host.server.seen_asking_for("renewToken");
    assert_eq!(asked.len(), 2);
    let apart = asked[1].at.duration_since(asked[0].at);
    assert!((30..=31).contains(&apart.as_secs()), "{apart:?} apart");
}

#[tokio::test]
async fn user_workspace_not_found_once_leaves_the_session() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    let fault = Fault::refuse("INTERNAL_SERVER_ERROR", "", "User Workspace not found");
    host.server.on_renewal(fault);

    let outcome = host.clock.run_until(session.execute(query("people"))).await;
    assert_eq!(code(outcome), Code::Unreachable);
    wait_for_phase(&host, &session, Phase::SignedIn).await;

    call_succeeds(&session).await;
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn the_known_expiry_of_the_refresh_token_ends_nothing_without_the_servers_word() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    // With a local clock in 2090 every token looks expired, and none is.
    host.server
        .clock_is_off_by(jiff::SignedDuration::from_hours(-64 * 365 * 24));
    host.clock
        .jump_wall(jiff::SignedDuration::from_hours(64 * 365 * 24));

    host.clock.run_until(call_succeeds(&session)).await;
    host.clock.pass(MINUTE).await;
    assert_eq!(session.status().phase, Phase::SignedIn);

    host.server.expire_access_tokens();
    host.server.expire_refresh_tokens();
    let before = host.server.counts().renewals;
    assert_eq!(
        code(session.execute(query("people")).await),
        Code::SignedOut
    );
    assert_eq!(host.server.counts().renewals, before + 1);
    assert_eq!(session.status().phase, Phase::Ended);
}

#[tokio::test]
async fn with_end_after_set_a_server_that_stays_away_ends_the_session_exactly_once() {
    let host = TestHost::start().await;
    let mut config = host.config(DEFAULT_ACCOUNT);
    config.end_after = Some(10 * MINUTE);
    let session = Session::open(config).await.expect("opens");
    host.sign_in(&session).await;
    call_succeeds(&session).await;
    host.clock.advance(31 * MINUTE);
    host.server.stop().await;

    let outcome = host.clock.run_until(session.execute(query("people"))).await;
    assert_eq!(code(outcome), Code::Unreachable);
    host.clock.pass_in_strides(9 * MINUTE, 2 * SECOND).await;
    assert_eq!(session.status().phase, Phase::Unreachable, "too early");

    let status = wait_for_phase(&host, &session, Phase::Ended).await;
    let reason = status.ending.map(|ending| ending.reason);
    assert_eq!(reason, Some(EndingReason::UnreachableTooLong));
    host.clock.pass(2 * MINUTE).await;
    assert_eq!(session.status().endings, 1);
    assert_eq!(journal_count(&session, "ended"), 1);
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
}

#[tokio::test]
async fn eight_hours_of_sleep_do_not_count_towards_end_after() {
    let host = TestHost::start().await;
    let mut config = host.config(DEFAULT_ACCOUNT);
    config.end_after = Some(Duration::from_secs(3_600));
    let session = Session::open(config).await.expect("opens");
    host.sign_in(&session).await;
    call_succeeds(&session).await;
    host.clock.advance(31 * MINUTE);
    host.server.stop().await;
    let outcome = host.clock.run_until(session.execute(query("people"))).await;
    assert_eq!(code(outcome), Code::Unreachable);

    host.clock.jump_wall(jiff::SignedDuration::from_hours(8));
    host.clock.pass(2 * MINUTE).await;
    assert_eq!(session.status().phase, Phase::Unreachable);

    host.server.start_again();
    host.clock.pass(31 * SECOND).await;
    assert_eq!(session.status().phase, Phase::SignedIn);
    assert_eq!(session.status().endings, 0);
}
