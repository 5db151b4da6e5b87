//! What ends a session: the server's confirmed rejection, and nothing that merely looks like it (I6, I8).

use std::time::Duration;

use graphql_session::{Code, DEFAULT_ACCOUNT, EndingReason, Phase, Session};
use graphql_session_testing::{EMAIL, Fault, FaultServer, TestHost, query};
use jiff::SignedDuration;

use crate::fixture::{
    MINUTE, SECOND, assert_failed, call_fails, call_succeeds, calls_at_once, code, ending,
    join_all, journal_count, late_failure, removed, restarted, signed_in, signed_in_with,
    spawn_calls, wait_for_phase, with_expired_token,
};

/// Five calls wait for one renewal, which is rejected. Checks all that follows from it.
pub(crate) async fn assert_ends_once(host: &TestHost, session: &Session, case: &str) {
    for outcome in calls_at_once(host, session, 5).await {
        assert_eq!(code(outcome), Code::SignedOut, "{case}");
    }
    assert_eq!(ending(session), Some(EndingReason::Rejected), "{case}");
    assert_eq!(session.status().endings, 1, "{case}");
    assert_eq!(journal_count(session, "ended"), 1, "{case}");

    let counts = host.server.counts();
    assert_eq!(counts.renewals, 1, "{case}: asked more than once");
    assert_eq!(counts.served, 1, "{case}: a call was replayed");
    assert!(counts.calls <= 1 + 5, "{case}: a call was replayed");
    removed(host).await;
}

#[tokio::test]
async fn each_final_answer_ends_the_session_once_and_no_call_is_replayed() {
    let unauthenticated = ("UNAUTHENTICATED", "UNAUTHENTICATED");
    let forbidden = ("FORBIDDEN", "FORBIDDEN_EXCEPTION");
    let invalid = ("BAD_USER_INPUT", "INVALID_INPUT");
    let suspicious = "Suspicious activity detected, this refresh token has been revoked.";
    for ((code, sub_code), message) in [
        (unauthenticated, "No payload"),
        (unauthenticated, "Token invalid."),
        (unauthenticated, "Token has expired."),
        (forbidden, suspicious),
        (forbidden, "This refresh token has been revoked."),
        (invalid, "This refresh token doesn't exist"),
        (invalid, "User not found"),
        (("BAD_USER_INPUT", ""), "appToken should not be empty"),
    ] {
        let (host, session) = with_expired_token().await;
        let fault = Fault::refuse(code, sub_code, message);
        host.server.on_every_renewal(fault);
        assert_ends_once(&host, &session, message).await;
    }
}

#[tokio::test]
async fn a_revoked_an_expired_and_a_forgotten_refresh_token_each_end_the_session_once() {
    type Act = fn(&FaultServer);
    let cases: [(&str, Act); 3] = [
        ("revoked", FaultServer::revoke_sessions),
        ("expired", FaultServer::expire_refresh_tokens),
        ("forgotten", FaultServer::forget_refresh_tokens),
    ];
    for (case, act) in cases {
        let (host, session) = with_expired_token().await;
        act(&host.server);
        assert_ends_once(&host, &session, case).await;
    }
}

/// How Twenty 1.6 and 2.21 refuse the calls of a person who is no member any more.
const REFUSALS_OF_A_REMOVED_MEMBER: [(&str, &str); 2] = [
    ("USER_WORKSPACE_NOT_FOUND", "UserWorkspace not found"),
    ("USER_NOT_FOUND", "User or user workspace not found"),
];

/// A session whose access token is good, and whose person is removed. The server refuses every call with these words.
async fn of_a_removed_member(sub_code: &str, message: &str) -> (TestHost, Session) {
    let (host, session) = signed_in().await;
    call_succeeds(&session).await;
    host.server
        .on_every_call(Fault::refuse("UNAUTHENTICATED", sub_code, message));
    (host, session)
}

#[tokio::test]
async fn the_refusal_of_a_removed_member_is_renewed_and_the_renewals_answer_ends_it() {
    for (sub_code, refusal) in REFUSALS_OF_A_REMOVED_MEMBER {
        for (code, message) in [
            ("BAD_USER_INPUT", "User not found"),
            ("FORBIDDEN", "User is not a member of the workspace"),
        ] {
            let (host, session) = of_a_removed_member(sub_code, refusal).await;
            host.server
                .on_every_renewal(Fault::refuse(code, "", message));

            assert_eq!(call_fails(&session).await, Code::SignedOut, "{sub_code}");

            assert_eq!(ending(&session), Some(EndingReason::Rejected), "{code}");
            assert_eq!(host.server.counts().renewals, 1, "{sub_code}, {code}");
        }
    }
}

#[tokio::test]
async fn a_removed_member_whose_renewal_is_ambiguous_is_signed_out_after_thirty_seconds() {
    for (sub_code, refusal) in REFUSALS_OF_A_REMOVED_MEMBER {
        let (host, session) = of_a_removed_member(sub_code, refusal).await;
        host.server.remove_member(EMAIL);

        assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
        host.clock.pass(31 * SECOND).await;

        assert_eq!(ending(&session), Some(EndingReason::Rejected), "{sub_code}");
        assert_eq!(host.server.counts().renewals, 2, "{sub_code}");
    }
}

/// A session that the server has revoked, and whose calls have failed for it.
async fn ended() -> (TestHost, Session) {
    let (host, session) = with_expired_token().await;
    host.server.revoke_sessions();
    assert_ends_once(&host, &session, "revoked").await;
    (host, session)
}

#[tokio::test]
async fn after_an_ending_calls_fail_at_once_without_the_network() {
    let (host, session) = ended().await;
    let before = host.server.counts();

    let calls = spawn_calls(&session, 20, &query("people"));
    assert_failed(join_all(calls).await, Code::SignedOut);

    assert_eq!(host.server.counts(), before);
    assert_eq!(session.status().endings, 1);
}

#[tokio::test]
async fn an_ending_survives_a_restart_and_a_new_sign_in_ends_it() {
    let (host, session) = ended().await;
    let session = restarted(&host, session).await;
    assert_eq!(ending(&session), Some(EndingReason::Rejected));
    let in_this_process = session.status().endings;
    assert_eq!(in_this_process, 0);

    host.sign_in(&session).await;
    assert_eq!(session.status().phase, Phase::SignedIn);
    assert_eq!(session.status().ending, None);
    call_succeeds(&session).await;
}

#[tokio::test]
async fn user_workspace_not_found_twice_thirty_seconds_apart_ends_the_session() {
    let (host, session) = with_expired_token().await;
    host.server.remove_member(EMAIL);

    // Not confirmed yet.
    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    assert_eq!(session.status().phase, Phase::Unreachable);

    let status = wait_for_phase(&host, &session, Phase::Ended).await;
    assert_eq!(ending(&session), Some(EndingReason::Rejected));
    assert_eq!(status.endings, 1);
    let asked = host.server.seen_asking_for("renewToken");
    assert_eq!(asked.len(), 2);
    let apart = asked[1].at.duration_since(asked[0].at);
    assert!((30..=31).contains(&apart.as_secs()), "{apart:?} apart");
}

#[tokio::test]
async fn user_workspace_not_found_once_leaves_the_session() {
    let (host, session) = with_expired_token().await;
    let fault = Fault::refuse("INTERNAL_SERVER_ERROR", "", "User Workspace not found");
    host.server.on_renewal(fault);

    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    wait_for_phase(&host, &session, Phase::SignedIn).await;

    call_succeeds(&session).await;
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn the_known_expiry_of_the_refresh_token_ends_nothing_without_the_servers_word() {
    let (host, session) = signed_in().await;
    // With a local clock in 2090 every token looks expired, and none is.
    let sixty_four_years = SignedDuration::from_hours(64 * 365 * 24);
    host.server.clock_is_off_by(-sixty_four_years);
    host.clock.jump_wall(sixty_four_years);

    host.clock.run_until(call_succeeds(&session)).await;
    host.clock.pass(MINUTE).await;
    assert_eq!(session.status().phase, Phase::SignedIn);

    host.server.expire_access_tokens();
    host.server.expire_refresh_tokens();
    let before = host.server.counts().renewals;
    assert_eq!(call_fails(&session).await, Code::SignedOut);
    assert_eq!(host.server.counts().renewals, before + 1);
    assert_eq!(session.status().phase, Phase::Ended);
}

/// A session that ends after so long an outage, at the beginning of one.
async fn away_with_end_after(time: Duration) -> (TestHost, Session) {
    let (host, session) = signed_in_with(|config| config.end_after = Some(time)).await;
    call_succeeds(&session).await;
    host.clock.advance(31 * MINUTE);
    host.server.stop().await;
    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    (host, session)
}

#[tokio::test]
async fn with_end_after_set_a_server_that_stays_away_ends_the_session_exactly_once() {
    let (host, session) = away_with_end_after(10 * MINUTE).await;
    host.clock.pass_in_strides(9 * MINUTE, 2 * SECOND).await;
    assert_eq!(session.status().phase, Phase::Unreachable, "too early");

    wait_for_phase(&host, &session, Phase::Ended).await;
    assert_eq!(ending(&session), Some(EndingReason::UnreachableTooLong));
    host.clock.pass(2 * MINUTE).await;
    assert_eq!(session.status().endings, 1);
    assert_eq!(journal_count(&session, "ended"), 1);
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
}

#[tokio::test]
async fn eight_hours_of_sleep_do_not_count_towards_end_after() {
    let (host, session) = away_with_end_after(60 * MINUTE).await;

    host.clock.jump_wall(SignedDuration::from_hours(8));
    host.clock.pass(2 * MINUTE).await;
    assert_eq!(session.status().phase, Phase::Unreachable);

    host.server.start_again();
    host.clock.pass(31 * SECOND).await;
    let status = session.status();
    assert_eq!((status.phase, status.endings), (Phase::SignedIn, 0));
}

/// On Windows the time that should count while the machine is awake counts its sleep, too.
#[tokio::test]
async fn after_a_night_that_counted_as_awake_an_attempt_comes_before_the_ending() {
    let (host, session) = away_with_end_after(10 * MINUTE).await;
    host.server.start_again();

    host.clock.advance(8 * 60 * MINUTE);
    host.clock.pass(2 * SECOND).await;

    let status = session.status();
    assert_eq!((status.phase, status.endings), (Phase::SignedIn, 0));
    call_succeeds(&session).await;
}

/// The same, and the server is still away. A sleep that the clocks tell from awake time is no different.
#[tokio::test]
async fn each_wake_from_sleep_is_followed_by_one_attempt_and_then_the_ending() {
    for is_awake_time in [true, false] {
        let (host, session) = away_with_end_after(10 * MINUTE).await;
        host.clock.pass_in_strides(9 * MINUTE, 2 * SECOND).await;
        let before = journal_count(&session, "attempt_sent");
        let night = SignedDuration::from_hours(8);
        if is_awake_time {
            host.clock.advance(night.unsigned_abs());
        } else {
            host.clock.jump_wall(night);
            host.clock.advance(MINUTE);
        }

        wait_for_phase(&host, &session, Phase::Ended).await;

        assert_eq!(ending(&session), Some(EndingReason::UnreachableTooLong));
        let attempts = journal_count(&session, "attempt_sent") - before;
        assert_eq!(attempts, 1, "{is_awake_time}");
        assert_eq!(session.status().endings, 1);
    }
}
