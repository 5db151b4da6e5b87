//! The person's own sign-out wins over everything that is under way (I5).

use graphql_session::{Closed, Code, DEFAULT_ACCOUNT, Phase, VaultError};
use graphql_session_testing::{Fault, Gate, Machine, VaultCall, query};
use serde_json::json;

use crate::fixture::{MINUTE, code, expired, finish, noted, removed, serve, served, start};

#[tokio::test]
async fn a_sign_out_is_at_once_here_and_soon_at_the_server_and_lasts_over_a_restart() {
    let machine = Machine::start().await;
    let session = served(&machine).await;

    let status = session.sign_out().await;

    assert_eq!((status.phase, status.endings), (Phase::SignedOut, 0));
    assert_eq!(
        code(session.execute(query("people")).await),
        Code::SignedOut
    );
    machine
        .server
        .wait_for(|counts| counts.sign_outs == 1)
        .await;
    let seen = machine.server.seen_asking_for("signOut").remove(0);
    assert_eq!(seen.header("authorization"), None);
    removed(&machine).await;
    drop(session);
    let session = machine.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
}

#[tokio::test]
async fn a_sign_out_during_a_renewal_drops_and_revokes_the_late_credentials() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    let gate = Gate::new();
    machine.server.on_renewal(Fault::hold(&gate));
    let calls = start(&session, 5, &query("people"));
    machine
        .server
        .wait_for(|counts| counts.calls_refused == 5 && counts.renewals == 1)
        .await;

    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    // At once: the renewal is still on the wire.
    for outcome in finish(calls).await {
        assert_eq!(code(outcome), Code::SignedOut);
    }
    gate.open();
    machine
        .server
        .wait_for(|counts| counts.sign_outs == 2)
        .await;
    machine.clock.quiet().await;

    assert_eq!(session.status().phase, Phase::SignedOut);
    assert_eq!(machine.vault.stored(DEFAULT_ACCOUNT), None);
    assert_eq!(machine.server.counts().calls, 1 + 5, "a call was replayed");
    drop(session);
    let session = machine.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
}

#[tokio::test]
async fn a_sign_out_during_the_save_of_a_renewal_leaves_nothing_behind() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    let gate = Gate::new();
    machine.server.on_renewal(Fault::hold(&gate));
    let calls = start(&session, 2, &query("people"));
    machine.server.wait_for(|counts| counts.renewals == 1).await;
    machine.vault.hold(VaultCall::Write);
    gate.open();
    machine.vault.wait_until_held(1).await;

    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    machine.vault.release(VaultCall::Write);
    for outcome in finish(calls).await {
        assert_eq!(code(outcome), Code::SignedOut);
    }
    machine.clock.quiet().await;

    assert_eq!(session.status().phase, Phase::SignedOut);
    assert_eq!(machine.vault.stored(DEFAULT_ACCOUNT), None);
}

#[tokio::test]
async fn a_sign_out_with_the_server_away_is_at_once_and_the_journal_says_that_it_was_not_told() {
    let machine = Machine::start().await;
    let session = served(&machine).await;
    machine.server.stop().await;

    let status = session.sign_out().await;
    assert_eq!(status.phase, Phase::SignedOut);
    machine.clock.pass(MINUTE).await;

    assert_eq!(machine.vault.stored(DEFAULT_ACCOUNT), None);
    let journal = session.journal();
    let revoked = journal
        .iter()
        .find(|entry| entry.what == "revoked")
        .expect("noted");
    assert_eq!(revoked.facts["done"], json!(false));
}

#[tokio::test]
async fn a_server_that_knows_no_sign_out_changes_nothing() {
    let machine = Machine::start().await;
    machine.server.knows_sign_out(false);
    let session = served(&machine).await;

    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    machine.clock.pass(MINUTE).await;

    assert_eq!(machine.server.counts().sign_outs, 0);
    assert_eq!(machine.vault.stored(DEFAULT_ACCOUNT), None);
}

#[tokio::test]
async fn a_sign_out_with_a_locked_keyring_stays_signed_out_when_it_is_unlocked() {
    let machine = Machine::start().await;
    let session = served(&machine).await;
    machine.vault.fail_all(VaultError::Locked);

    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    machine.clock.quiet().await;
    drop(session);
    assert!(
        machine.vault.stored(DEFAULT_ACCOUNT).is_some(),
        "it could not be removed"
    );
    machine.vault.work_again();

    let session = machine.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
    removed(&machine).await;
}

#[tokio::test]
async fn signing_out_twice_and_without_a_session_is_harmless() {
    let machine = Machine::start().await;
    let session = machine.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    machine.sign_in(&session).await;
    serve(&session).await;

    session.sign_out().await;
    session.sign_out().await;

    assert_eq!(noted(&session, "signed_out"), 1);
    machine.sign_in(&session).await;
    serve(&session).await;
}

#[tokio::test]
async fn quitting_right_after_a_sign_out_waits_until_the_entry_is_removed() {
    let machine = Machine::start().await;
    let session = served(&machine).await;
    machine.vault.hold(VaultCall::Read);
    session.sign_out().await;
    machine.vault.wait_until_held(1).await;

    let closing = tokio::spawn({
        let session = session.clone();
        async move { session.close().await }
    });
    machine.clock.quiet().await;
    assert!(!closing.is_finished(), "the entry would have stayed");
    machine.vault.release(VaultCall::Read);

    assert_eq!(closing.await.expect("no panic"), Closed::Kept);
    assert_eq!(machine.vault.stored(DEFAULT_ACCOUNT), None);
}
