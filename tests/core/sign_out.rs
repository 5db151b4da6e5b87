//! A person's sign-out wins over every renewal and save that runs (I5).

use graphql_session::{Closed, Code, DEFAULT_ACCOUNT, Phase, VaultError};
use graphql_session_testing::{Fault, Gate, TestHost, VaultCall, query};
use serde_json::json;

use crate::fixture::{
    MINUTE, call_succeeds, code, join_all, journal_count, removed, session_with_expired_token,
    signed_in_session, spawn_calls,
};

#[tokio::test]
async fn a_sign_out_is_immediate_here_then_reaches_the_server_and_survives_a_restart() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;

    let status = session.sign_out().await;

    assert_eq!((status.phase, status.endings), (Phase::SignedOut, 0));
    assert_eq!(
        code(session.execute(query("people")).await),
        Code::SignedOut
    );
    host.server.wait_for(|counts| counts.sign_outs == 1).await;
    let seen = host.server.seen_asking_for("signOut").remove(0);
    assert_eq!(seen.header("authorization"), None);
    removed(&host).await;
    drop(session);
    let session = host.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
}

#[tokio::test]
async fn a_sign_out_during_a_renewal_drops_and_revokes_the_late_credentials() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    let gate = Gate::new();
    host.server.on_renewal(Fault::hold(&gate));
    let calls = spawn_calls(&session, 5, &query("people"));
    host.server
        .wait_for(|counts| counts.calls_refused == 5 && counts.renewals == 1)
        .await;

    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    // The sign-out does not wait for the renewal, which is still on the wire.
    for outcome in join_all(calls).await {
        assert_eq!(code(outcome), Code::SignedOut);
    }
    gate.open();
    host.server.wait_for(|counts| counts.sign_outs == 2).await;
    host.clock.quiet().await;

    assert_eq!(session.status().phase, Phase::SignedOut);
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
    assert_eq!(
        code(session.execute(query("people")).await),
        Code::SignedOut
    );
    let calls = host.server.counts().calls;
    assert_eq!(calls, 1 + 5, "a call was sent after the sign-out");
    drop(session);
    let session = host.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
}

#[tokio::test]
async fn a_sign_out_during_the_save_of_a_renewal_leaves_nothing_behind() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    let gate = Gate::new();
    host.server.on_renewal(Fault::hold(&gate));
    let calls = spawn_calls(&session, 2, &query("people"));
    host.server.wait_for(|counts| counts.renewals == 1).await;
    host.vault.hold(VaultCall::Write);
    gate.open();
    host.vault.wait_until_held(1).await;

    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    host.vault.release(VaultCall::Write);
    for outcome in join_all(calls).await {
        assert_eq!(code(outcome), Code::SignedOut);
    }
    host.clock.quiet().await;

    assert_eq!(session.status().phase, Phase::SignedOut);
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
}

#[tokio::test]
async fn with_the_server_away_a_sign_out_is_immediate_and_the_failed_revocation_is_noted() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.server.stop().await;

    let status = session.sign_out().await;
    assert_eq!(status.phase, Phase::SignedOut);
    host.clock.pass(MINUTE).await;

    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
    let journal = session.journal();
    let revoked = journal
        .iter()
        .find(|entry| entry.what == "revoked")
        .expect("noted");
    assert_eq!(revoked.facts["done"], json!(false));
}

#[tokio::test]
async fn at_a_server_without_a_sign_out_the_credentials_are_removed_all_the_same() {
    let host = TestHost::start().await;
    host.server.knows_sign_out(false);
    let session = signed_in_session(&host).await;

    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    host.clock.pass(MINUTE).await;

    assert_eq!(host.server.counts().sign_outs, 0);
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
}

#[tokio::test]
async fn a_sign_out_with_a_locked_keyring_stays_signed_out_when_it_is_unlocked() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.vault.fail_all(VaultError::Locked);

    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    host.clock.quiet().await;
    drop(session);
    assert!(
        host.vault.stored(DEFAULT_ACCOUNT).is_some(),
        "the locked keyring removed the entry"
    );
    host.vault.work_again();

    let session = host.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
    removed(&host).await;
}

#[tokio::test]
async fn signing_out_twice_and_without_a_session_is_harmless() {
    let host = TestHost::start().await;
    let session = host.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    host.sign_in(&session).await;
    call_succeeds(&session).await;

    session.sign_out().await;
    session.sign_out().await;

    assert_eq!(journal_count(&session, "signed_out"), 1);
    host.sign_in(&session).await;
    call_succeeds(&session).await;
}

#[tokio::test]
async fn quitting_right_after_a_sign_out_waits_until_the_entry_is_removed() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.vault.hold(VaultCall::Read);
    session.sign_out().await;
    host.vault.wait_until_held(1).await;

    let closing = tokio::spawn({
        let session = session.clone();
        async move { session.close().await }
    });
    host.clock.quiet().await;
    assert!(!closing.is_finished(), "quitting left the entry behind");
    host.vault.release(VaultCall::Read);

    assert_eq!(closing.await.expect("no panic"), Closed::Kept);
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
}
