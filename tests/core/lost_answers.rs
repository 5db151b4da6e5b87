//! The server exchanged the refresh token, and its answer never arrived.

use graphql_session::{Code, DEFAULT_ACCOUNT, EndingReason, Phase, VaultError};
use graphql_session_testing::{Fault, Gate, TestHost, VaultCall, query};

use crate::fixture::{
    MINUTE, SECOND, assert_failed, call_succeeds, code, ending, join_all, journal_count,
    late_failure, lose_an_answer, removed, restarted, session_with_expired_token, signed_in_with,
    spawn_call, stored_record, wait_for_phase, with_expired_token,
};

#[tokio::test]
async fn after_a_lost_answer_the_same_token_is_sent_at_once_again_and_renews_the_session() {
    let (host, session) = with_expired_token().await;
    host.server.on_renewal(Fault::rotate_then_drop());

    host.clock.run_until(call_succeeds(&session)).await;

    let asked = host.server.seen_asking_for("renewToken");
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].body, asked[1].body, "the same refresh token");
    let apart = asked[1].at.duration_since(asked[0].at);
    assert!(apart.as_secs() < 1, "{apart:?} apart");
    assert_eq!(host.server.counts().exchanged, 2);
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn a_lost_answer_at_a_server_without_grace_ends_the_session_once_with_that_reason() {
    let (host, session) = with_expired_token().await;
    host.server.grace(None);
    host.server.on_renewal(Fault::rotate_then_drop());

    let outcome = host.clock.run_until(session.execute(query("people"))).await;

    assert_eq!(code(outcome), Code::SignedOut, "{:#?}", session.journal());
    assert_eq!(ending(&session), Some(EndingReason::LostAnswer));
    assert_eq!(session.status().endings, 1);
    assert_eq!(journal_count(&session, "ended"), 1);
}

#[tokio::test]
async fn after_an_outage_of_forty_seconds_attempts_still_fall_inside_the_grace_time() {
    let (host, session) = with_expired_token().await;
    host.server.on_renewal(Fault::rotate_then_drop());
    host.server.on_every_renewal(Fault::Reset);
    let call = spawn_call(&session, query("people"));
    host.clock.pass(40 * SECOND).await;
    host.server.behave();

    wait_for_phase(&host, &session, Phase::SignedIn).await;

    // Its budget is 25 s.
    assert_failed(join_all(vec![call]).await, Code::Unreachable);
    let asked = host.server.seen_asking_for("renewToken");
    let last = asked.last().expect("asked").at.duration_since(asked[0].at);
    assert!((40..60).contains(&last.as_secs()), "{last:?}");
    assert_eq!(session.status().endings, 0);
    call_succeeds(&session).await;
}

#[tokio::test]
async fn after_the_grace_time_exactly_one_more_attempt_is_rejected_and_ends_the_session() {
    let (host, session) = with_expired_token().await;
    lose_an_answer(&host, &session, Fault::Reset, 2 * MINUTE).await;
    host.server.behave();

    wait_for_phase(&host, &session, Phase::Ended).await;

    assert_eq!(ending(&session), Some(EndingReason::LostAnswer));
    assert_eq!(host.server.counts().renewals_refused, 1);
    removed(&host).await;
}

/// The causes of later attempts do not replace the lost answer.
#[tokio::test]
async fn a_lost_answer_is_remembered_across_later_failed_attempts_and_a_restart() {
    let host = TestHost::start().await;
    host.server.grace(None);
    let session = session_with_expired_token(&host).await;
    lose_an_answer(&host, &session, Fault::status(503), MINUTE).await;
    assert!(host.server.counts().renewals > 2);
    drop(session);
    host.clock.quiet().await;
    host.server.behave();

    let session = host.session(DEFAULT_ACCOUNT).await;
    let code = late_failure(&host, &session).await;

    assert_eq!(code, Code::SignedOut);
    assert_eq!(ending(&session), Some(EndingReason::LostAnswer));
}

/// A later attempt keeps the time of the first one in the mark.
#[tokio::test]
async fn the_grace_time_counts_from_the_first_lost_answer_also_after_restarts() {
    let (host, session) = with_expired_token().await;
    lose_an_answer(&host, &session, Fault::status(503), 50 * SECOND).await;
    let marked = || stored_record(&host)["renewing_at"].as_i64();
    let first = marked();
    let session = restarted(&host, session).await;
    let before = host.server.counts().renewals;
    let call = spawn_call(&session, query("people"));
    host.clock.pass(50 * SECOND).await;

    assert_eq!(code(call.await.expect("no panic")), Code::Unreachable);
    assert!(host.server.counts().renewals > before, "tried again");
    assert!(first.is_some());
    assert_eq!(marked(), first);
}

#[tokio::test]
async fn a_lost_answer_that_the_keyring_could_not_save_is_known_from_the_state_file() {
    let (host, session) = with_expired_token().await;
    host.server.grace(None);
    host.vault.fail(VaultCall::Write, VaultError::Locked);
    lose_an_answer(&host, &session, Fault::Reset, 50 * SECOND).await;
    drop(session);
    host.clock.quiet().await;
    host.vault.work_again();
    host.server.behave();
    // So no pause in the files delays the next attempt.
    host.clock.advance(5 * MINUTE);

    let session = host.session(DEFAULT_ACCOUNT).await;
    let code = late_failure(&host, &session).await;

    assert_eq!(code, Code::SignedOut);
    assert_eq!(ending(&session), Some(EndingReason::LostAnswer));
}

#[tokio::test]
async fn a_late_answer_is_used_although_every_waiter_has_failed_and_no_other_attempt_runs() {
    let (host, session) = signed_in_with(|config| {
        config.limits.attempt_timeout = 20 * SECOND;
        config.limits.renewal_timeout = 20 * SECOND;
    })
    .await;
    call_succeeds(&session).await;
    host.server.expire_access_tokens();
    // Two attempts of up to 20 s do not fit into a budget of 20 s: the second attempt runs when the budget ends.
    let gate = Gate::new();
    host.server.on_renewal(Fault::status(503));
    host.server.on_renewal(Fault::hold(&gate));

    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    assert_eq!(host.server.counts().renewals, 2);
    // A call during an attempt settles or waits: it starts no attempt.
    let another = spawn_call(&session, query("people"));
    host.clock.quiet().await;
    gate.open();
    wait_for_phase(&host, &session, Phase::SignedIn).await;

    let _ = another.await.expect("no panic");
    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.renewals_at_once), (2, 1));
    assert_eq!(counts.exchanged, 1);
    call_succeeds(&session).await;
}

#[tokio::test]
async fn no_layer_below_repeats_a_renewal_by_itself() {
    let (host, session) = with_expired_token().await;
    host.server.on_every_renewal(Fault::Close);

    let code = late_failure(&host, &session).await;

    assert_eq!(code, Code::Unreachable);
    let renewals = host.server.counts().renewals;
    assert_eq!(journal_count(&session, "attempt_sent") as u64, renewals);
}
