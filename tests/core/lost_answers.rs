//! The server exchanged the refresh token, and its answer never arrived.

use graphql_session::{Code, DEFAULT_ACCOUNT, EndingReason, Phase, VaultError};
use graphql_session_testing::{Fault, TestHost, VaultCall, query};

use crate::fixture::{
    MINUTE, SECOND, call_succeeds, code, journal_count, removed, session_with_expired_token,
    spawn_call, wait_for_phase,
};

#[tokio::test]
async fn after_a_lost_answer_the_same_token_is_sent_at_once_again_and_renews_the_session() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.on_renewal(Fault::rotate_then_drop());

    let reply = host.clock.run_until(session.execute(query("people"))).await;

    assert_eq!(reply.expect("recovered").status, 200);
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
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.grace(None);
    host.server.on_renewal(Fault::rotate_then_drop());

    let outcome = host.clock.run_until(session.execute(query("people"))).await;

    assert_eq!(code(outcome), Code::SignedOut, "{:#?}", session.journal());
    let status = session.status();
    assert_eq!((status.phase, status.endings), (Phase::Ended, 1));
    let reason = status.ending.map(|ending| ending.reason);
    assert_eq!(reason, Some(EndingReason::LostAnswer));
    assert_eq!(journal_count(&session, "ended"), 1);
}

#[tokio::test]
async fn after_an_outage_of_forty_seconds_attempts_still_fall_inside_the_grace_time() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.on_renewal(Fault::rotate_then_drop());
    host.server.on_every_renewal(Fault::Reset);
    let call = spawn_call(&session, query("people"));
    host.clock.pass(40 * SECOND).await;
    host.server.behave();

    wait_for_phase(&host, &session, Phase::SignedIn).await;

    let outcome = call.await.expect("no panic");
    assert_eq!(code(outcome), Code::Unreachable, "its budget is 25 s");
    let asked = host.server.seen_asking_for("renewToken");
    let last = asked.last().expect("asked").at.duration_since(asked[0].at);
    assert!(
        (40..60).contains(&last.as_secs()),
        "{last:?} after the first"
    );
    assert_eq!(session.status().endings, 0);
    call_succeeds(&session).await;
}

#[tokio::test]
async fn after_the_grace_time_exactly_one_more_attempt_is_rejected_and_ends_the_session() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.on_renewal(Fault::rotate_then_drop());
    host.server.on_every_renewal(Fault::Reset);
    let call = spawn_call(&session, query("people"));
    host.clock.pass(2 * MINUTE).await;
    assert_eq!(code(call.await.expect("no panic")), Code::Unreachable);
    host.server.behave();

    let status = wait_for_phase(&host, &session, Phase::Ended).await;

    let reason = status.ending.map(|ending| ending.reason);
    assert_eq!(reason, Some(EndingReason::LostAnswer));
    assert_eq!(host.server.counts().renewals_refused, 1);
    removed(&host).await;
}

/// The causes of later attempts do not replace the lost answer.
#[tokio::test]
async fn a_lost_answer_is_remembered_across_later_failed_attempts_and_a_restart() {
    let host = TestHost::start().await;
    host.server.grace(None);
    let session = session_with_expired_token(&host).await;
    host.server.on_renewal(Fault::rotate_then_drop());
    host.server.on_every_renewal(Fault::status(503));
    let call = spawn_call(&session, query("people"));
    host.clock.pass(MINUTE).await;
    assert_eq!(code(call.await.expect("no panic")), Code::Unreachable);
    assert!(host.server.counts().renewals > 2);
    drop(session);
    host.clock.quiet().await;
    host.server.behave();

    let session = host.session(DEFAULT_ACCOUNT).await;
    let outcome = host.clock.run_until(session.execute(query("people"))).await;

    assert_eq!(code(outcome), Code::SignedOut);
    let reason = session.status().ending.map(|ending| ending.reason);
    assert_eq!(reason, Some(EndingReason::LostAnswer));
}

/// A later attempt keeps the time of the first one in the mark.
#[tokio::test]
async fn the_grace_time_counts_from_the_first_lost_answer_also_after_restarts() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.on_renewal(Fault::rotate_then_drop());
    host.server.on_every_renewal(Fault::status(503));
    let call = spawn_call(&session, query("people"));
    host.clock.pass(50 * SECOND).await;
    assert_eq!(code(call.await.expect("no panic")), Code::Unreachable);
    let marked = || {
        let stored = host.vault.stored(DEFAULT_ACCOUNT).expect("saved");
        let stored: serde_json::Value = serde_json::from_str(&stored).expect("a record");
        stored["renewing_at"].as_i64().expect("marked")
    };
    let first = marked();
    drop(session);
    host.clock.quiet().await;

    let session = host.session(DEFAULT_ACCOUNT).await;
    let before = host.server.counts().renewals;
    let call = spawn_call(&session, query("people"));
    host.clock.pass(50 * SECOND).await;

    assert_eq!(code(call.await.expect("no panic")), Code::Unreachable);
    assert!(host.server.counts().renewals > before, "tried again");
    assert_eq!(marked(), first);
}

#[tokio::test]
async fn a_lost_answer_that_the_keyring_could_not_save_is_known_from_the_state_file() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.grace(None);
    host.vault.fail(VaultCall::Write, VaultError::Locked);
    host.server.on_renewal(Fault::rotate_then_drop());
    host.server.on_every_renewal(Fault::Reset);
    let call = spawn_call(&session, query("people"));
    host.clock.pass(50 * SECOND).await;
    assert_eq!(code(call.await.expect("no panic")), Code::Unreachable);
    drop(session);
    host.clock.quiet().await;
    host.vault.work_again();
    host.server.behave();
    // So no pause in the files delays the next attempt.
    host.clock.advance(5 * MINUTE);

    let session = host.session(DEFAULT_ACCOUNT).await;
    let outcome = host.clock.run_until(session.execute(query("people"))).await;

    assert_eq!(code(outcome), Code::SignedOut);
    let reason = session.status().ending.map(|ending| ending.reason);
    assert_eq!(reason, Some(EndingReason::LostAnswer));
}

#[tokio::test]
async fn a_late_answer_is_used_although_every_waiter_has_failed_and_no_other_attempt_runs() {
    let host = TestHost::start().await;
    let mut config = host.config(DEFAULT_ACCOUNT);
    config.limits.attempt_timeout = 20 * SECOND;
    config.limits.renewal_timeout = 20 * SECOND;
    let session = graphql_session::Session::open(config).await.expect("opens");
    host.sign_in(&session).await;
    call_succeeds(&session).await;
    host.server.expire_access_tokens();
    // Two attempts of up to 20 s do not fit into a budget of 20 s: the second attempt runs when the budget ends.
    let gate = graphql_session_testing::Gate::new();
    host.server.on_renewal(Fault::status(503));
    host.server.on_renewal(Fault::hold(&gate));

    let outcome = host.clock.run_until(session.execute(query("people"))).await;
    assert_eq!(code(outcome), Code::Unreachable);
    assert_eq!(host.server.counts().renewals, 2);
    let another = session.execute(query("people"));
    let another = settled_or_waiting(&host, another).await;
    gate.open();
    wait_for_phase(&host, &session, Phase::SignedIn).await;

    drop(another);
    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.renewals_at_once), (2, 1));
    assert_eq!(counts.exchanged, 1);
    call_succeeds(&session).await;
}

/// Runs a call until it settles or the host is quiet. A call during an attempt may do either: it starts no attempt.
async fn settled_or_waiting(
    host: &TestHost,
    call: impl Future<Output = Result<graphql_session::Reply, graphql_session::Error>>,
) -> Option<Result<graphql_session::Reply, graphql_session::Error>> {
    tokio::select! {
        outcome = call => Some(outcome),
        () = host.clock.quiet() => None,
    }
}

#[tokio::test]
async fn a_server_that_returns_no_new_refresh_token_keeps_the_old_one_good() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.on_every_renewal(Fault::WithoutRefreshToken);

    for _ in 0..3 {
        call_succeeds(&session).await;
        host.server.expire_access_tokens();
    }

    let asked = host.server.seen_asking_for("renewToken");
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|seen| seen.body == asked[0].body));
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn no_layer_below_repeats_a_renewal_by_itself() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.on_every_renewal(Fault::Close);

    let outcome = host.clock.run_until(session.execute(query("people"))).await;

    assert_eq!(code(outcome), Code::Unreachable);
    let renewals = host.server.counts().renewals;
    assert_eq!(
        usize::try_from(renewals),
        Ok(journal_count(&session, "attempt_sent"))
    );
}
