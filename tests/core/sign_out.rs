//! A person's sign-out wins over every renewal and save that runs (I5).

use graphql_session::{Closed, Code, DEFAULT_ACCOUNT, Phase, VaultError};
use graphql_session_testing::{VaultCall, query};

use crate::fixture::{
    MINUTE, assert_failed, call_fails, call_in_save, call_succeeds, hold_answer, join_all,
    journal_count, removed, restarted, signed_in, signed_out, spawn_calls, spawn_close,
    wait_for_refusals, with_expired_token,
};

#[tokio::test]
async fn a_sign_out_is_immediate_here_then_reaches_the_server_and_survives_a_restart() {
    let (host, session) = signed_in().await;

    let status = session.sign_out().await;

    assert_eq!((status.phase, status.endings), (Phase::SignedOut, 0));
    assert_eq!(call_fails(&session).await, Code::SignedOut);
    host.server.wait_for(|counts| counts.sign_outs == 1).await;
    let seen = host.server.seen_asking_for("signOut").remove(0);
    assert_eq!(seen.header("authorization"), None);
    removed(&host).await;
    let session = restarted(&host, session).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
}

#[tokio::test]
async fn a_sign_out_during_a_renewal_drops_and_revokes_the_late_credentials() {
    let (host, session) = with_expired_token().await;
    let gate = hold_answer(&host);
    let calls = spawn_calls(&session, 5, &query("people"));
    wait_for_refusals(&host, 5).await;
    host.server.wait_for(|counts| counts.exchanged == 1).await;

    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    // The sign-out does not wait for the renewal, which is still on the wire.
    assert_failed(join_all(calls).await, Code::SignedOut);
    gate.open();
    host.server.wait_for(|counts| counts.sign_outs == 2).await;
    host.clock.quiet().await;

    assert_eq!(session.status().phase, Phase::SignedOut);
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
    assert_eq!(call_fails(&session).await, Code::SignedOut);
    let calls = host.server.counts().calls;
    assert_eq!(calls, 1 + 5, "a call was sent after the sign-out");
    let session = restarted(&host, session).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
}

#[tokio::test]
async fn a_sign_out_during_the_save_of_a_renewal_leaves_nothing_behind() {
    let (host, session) = with_expired_token().await;
    let call = call_in_save(&host, &session).await;

    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    host.vault.release(VaultCall::Write);
    assert_failed(join_all(vec![call]).await, Code::SignedOut);
    host.clock.quiet().await;

    assert_eq!(session.status().phase, Phase::SignedOut);
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
}

#[tokio::test]
async fn with_the_server_away_a_sign_out_is_immediate_and_the_failed_revocation_is_noted() {
    let (host, session) = signed_in().await;
    host.server.stop().await;

    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    host.clock.pass(MINUTE).await;

    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
    let mut journal = session.journal().into_iter();
    let revoked = journal.find(|entry| entry.what == "revoked");
    assert_eq!(revoked.expect("noted").facts["done"], false);
}

#[tokio::test]
async fn at_a_server_without_a_sign_out_the_credentials_are_removed_all_the_same() {
    let (host, session) = signed_in().await;
    host.server.knows_sign_out(false);

    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    host.clock.pass(MINUTE).await;

    assert_eq!(host.server.counts().sign_outs, 0);
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
}

#[tokio::test]
async fn a_sign_out_with_a_locked_keyring_stays_signed_out_when_it_is_unlocked() {
    let (host, session) = signed_in().await;
    host.vault.fail_all(VaultError::Locked);

    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    host.clock.quiet().await;
    drop(session);
    // The locked keyring could not remove it.
    assert!(host.vault.stored(DEFAULT_ACCOUNT).is_some());
    host.vault.work_again();

    let session = host.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
    removed(&host).await;
}

#[tokio::test]
async fn signing_out_twice_and_without_a_session_is_harmless() {
    let (host, session) = signed_out().await;
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
    let (host, session) = signed_in().await;
    host.vault.hold(VaultCall::Read);
    session.sign_out().await;
    host.vault.wait_until_held(1).await;

    let closing = spawn_close(&session);
    host.clock.quiet().await;
    assert!(!closing.is_finished(), "quitting left the entry behind");
    host.vault.release(VaultCall::Read);

    assert_eq!(closing.await.expect("no panic"), Closed::Kept);
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
}
