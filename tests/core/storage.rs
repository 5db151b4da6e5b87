//! What a keyring can do to a session, and what it cannot: end it (I3, I5, I7).

use graphql_session::{
    Clock as _, Closed, Code, DEFAULT_ACCOUNT, LockedReason, NotSaved, Phase, Storage, VaultError,
};
use graphql_session_testing::{Fault, Gate, Machine, VaultCall, query};
use serde_json::Value;

use crate::fixture::{
    MINUTE, SECOND, code, expired, finish, noted, reach, serve, served, start, start_one,
};

#[tokio::test]
async fn new_credentials_are_in_the_vault_before_any_call_uses_them() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    let gate = Gate::new();
    machine.server.on_renewal(Fault::hold(&gate));
    let old = machine.vault.stored(DEFAULT_ACCOUNT);
    let calls = start(&session, 5, &query("people"));
    machine
        .server
        .wait_for(|counts| counts.calls_refused == 5 && counts.renewals == 1)
        .await;
    machine.vault.hold(VaultCall::Write);
    gate.open();
    machine.vault.wait_until_held(1).await;
    machine.clock.quiet().await;

    let counts = machine.server.counts();
    assert_eq!(
        (counts.exchanged, counts.calls),
        (1, 1 + 5),
        "used before they were saved"
    );
    assert_eq!(session.status().phase, Phase::Renewing);
    assert_eq!(noted(&session, "renewed"), 0);

    machine.vault.release(VaultCall::Write);
    for outcome in finish(calls).await {
        assert_eq!(outcome.expect("replayed").status, 200);
    }
    assert!(machine.vault.stored(DEFAULT_ACCOUNT) != old);
}

#[tokio::test]
async fn without_a_keyring_service_the_session_lives_in_memory_and_says_so() {
    let machine = Machine::start().await;
    machine.vault.fail_all(VaultError::Missing);
    let missing = Storage::NotSaved(NotSaved::KeyringMissing);
    let session = machine.session(DEFAULT_ACCOUNT).await;
    let status = session.status();
    assert_eq!((status.phase, status.storage), (Phase::SignedOut, missing));

    machine.sign_in(&session).await;
    serve(&session).await;
    machine.server.expire_access_tokens();
    serve(&session).await;

    let status = session.status();
    assert_eq!((status.phase, status.storage), (Phase::SignedIn, missing));
    assert_eq!(machine.server.counts().renewals, 1);
    assert_eq!(machine.vault.stored(DEFAULT_ACCOUNT), None);
}

#[tokio::test]
async fn a_locked_keyring_at_the_start_is_locked_and_not_signed_out_and_unlocking_brings_it_back() {
    let machine = Machine::start().await;
    drop(served(&machine).await);
    machine.vault.fail_all(VaultError::Locked);
    let before = machine.server.counts();

    let session = machine.session(DEFAULT_ACCOUNT).await;
    let status = session.status();
    assert_eq!(status.phase, Phase::Locked);
    assert_eq!(status.locked, Some(LockedReason::KeyringLocked));
    assert_eq!(status.server, Some(machine.server.address()));
    assert_eq!(code(session.execute(query("people")).await), Code::Locked);
    assert_eq!(machine.server.counts(), before);

    machine.vault.work_again();
    session.retry_now().await;
    reach(&machine, &session, Phase::SignedIn).await;
    serve(&session).await;
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn a_keyring_that_says_no_entry_although_one_was_saved_is_locked_or_cleared() {
    let machine = Machine::start().await;
    drop(served(&machine).await);
    let stored = machine.vault.stored(DEFAULT_ACCOUNT).expect("saved");
    machine.vault.clear(DEFAULT_ACCOUNT);

    let session = machine.session(DEFAULT_ACCOUNT).await;
    let status = session.status();
    assert_eq!(status.phase, Phase::Locked);
    assert_eq!(status.locked, Some(LockedReason::KeyringLockedOrCleared));

    machine.vault.replace(DEFAULT_ACCOUNT, stored);
    session.retry_now().await;
    reach(&machine, &session, Phase::SignedIn).await;
    serve(&session).await;
}

#[tokio::test]
async fn a_sign_in_anew_gives_the_hidden_session_up_and_it_does_not_come_back() {
    let machine = Machine::start().await;
    drop(served(&machine).await);
    let hidden = machine.vault.stored(DEFAULT_ACCOUNT).expect("saved");
    machine.vault.clear(DEFAULT_ACCOUNT);
    let session = machine.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.status().phase, Phase::Locked);

    machine.sign_in(&session).await;
    serve(&session).await;
    session.sign_out().await;
    machine.clock.quiet().await;
    drop(session);
    machine.vault.replace(DEFAULT_ACCOUNT, hidden);

    let session = machine.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn an_entry_damaged_by_hand_is_a_clear_state_and_a_new_sign_in_mends_it() {
    for damage in [
        "",
        "no json",
        "{}",
        "{\"version\":1}",
        "{\"version\":99}",
        "\u{0}",
    ] {
        let machine = Machine::start().await;
        drop(served(&machine).await);
        machine.vault.replace(DEFAULT_ACCOUNT, damage);

        let session = machine.session(DEFAULT_ACCOUNT).await;
        let status = session.status();
        assert_eq!(status.phase, Phase::Locked, "{damage:?}");
        assert_eq!(
            status.locked,
            Some(LockedReason::KeyringFailed),
            "{damage:?}"
        );

        machine.sign_in(&session).await;
        serve(&session).await;
        assert_eq!(session.status().storage, Storage::Saved, "{damage:?}");
    }
}

#[tokio::test]
async fn a_keyring_read_that_fails_after_a_good_renewal_leaves_the_session_in_memory() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    serve(&session).await;
    machine.vault.fail(VaultCall::Read, VaultError::Failed);

    machine.server.expire_access_tokens();
    serve(&session).await;

    assert_eq!(session.status().phase, Phase::SignedIn);
    assert_eq!(machine.server.counts().renewals, 2);
}

#[tokio::test]
async fn a_keyring_write_that_fails_after_the_rotation_is_said_and_made_up_for_later() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    let gate = Gate::new();
    machine.server.on_renewal(Fault::hold(&gate));
    let call = start_one(&session, query("people"));
    machine.server.wait_for(|counts| counts.renewals == 1).await;
    machine.vault.fail(VaultCall::Write, VaultError::Failed);
    gate.open();

    assert!(
        finish(vec![call]).await.remove(0).is_ok(),
        "the session goes on"
    );
    let status = session.status();
    assert_eq!(status.phase, Phase::SignedIn);
    assert_eq!(status.storage, Storage::NotSaved(NotSaved::KeyringFailed));
    machine.clock.pass(10 * SECOND).await;
    assert_eq!(session.status().storage, status.storage);

    machine.vault.work_again();
    machine.clock.pass(31 * SECOND).await;
    assert_eq!(session.status().storage, Storage::Saved);
    drop(session);
    let session = machine.session(DEFAULT_ACCOUNT).await;
    serve(&session).await;
    assert_eq!(
        machine.server.counts().renewals,
        1,
        "the old credentials were stored"
    );
}

#[tokio::test]
async fn quitting_before_the_credentials_are_saved_tries_once_more_and_says_what_would_be_lost() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    machine.vault.fail_all(VaultError::Locked);
    serve(&session).await;
    machine.clock.pass(10 * SECOND).await;

    let unsaved = Closed::NotSaved(NotSaved::KeyringLocked);
    let tries = machine.vault.count(VaultCall::Write);
    assert_eq!(session.close().await, unsaved);
    assert_eq!(
        machine.vault.count(VaultCall::Write),
        tries + 1,
        "the last chance was not used"
    );

    // Warned, the person unlocks the keyring and quits again.
    machine.vault.work_again();
    assert_eq!(session.close().await, Closed::Kept);
    drop(session);
    let session = machine.session(DEFAULT_ACCOUNT).await;
    serve(&session).await;
    assert_eq!(machine.server.counts().renewals, 1, "lost by quitting");
}

#[tokio::test]
async fn quitting_with_nobody_signed_in_loses_nothing_whatever_the_keyring_says() {
    let machine = Machine::start().await;
    machine.vault.fail_all(VaultError::Missing);
    let session = machine.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.close().await, Closed::Kept);

    machine.sign_in(&session).await;
    let unsaved = Closed::NotSaved(NotSaved::KeyringMissing);
    assert_eq!(session.close().await, unsaved);
    session.sign_out().await;
    assert_eq!(session.close().await, Closed::Kept);
}

#[tokio::test]
async fn a_keyring_that_is_locked_before_the_exchange_does_not_keep_an_expired_session_from_renewing()
 {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    machine.vault.fail_all(VaultError::Locked);

    serve(&session).await;

    let status = session.status();
    assert_eq!(status.phase, Phase::SignedIn);
    assert_eq!(status.storage, Storage::NotSaved(NotSaved::KeyringLocked));
    machine.vault.work_again();
    machine.clock.pass(31 * SECOND).await;
    assert_eq!(session.status().storage, Storage::Saved);
}

#[tokio::test]
async fn credentials_that_are_too_long_for_the_platform_are_not_saved_and_say_so() {
    let machine = Machine::start().await;
    machine.vault.limit_length(Some(500));
    let session = served(&machine).await;
    let too_long = Storage::NotSaved(NotSaved::TooLong);
    assert_eq!(session.status().storage, too_long);

    machine.server.expire_access_tokens();
    serve(&session).await;

    let status = session.status();
    assert_eq!((status.phase, status.storage), (Phase::SignedIn, too_long));
}

/// 1. A write is held by the keyring until long after its limit.
/// 2. The person signs out.
/// 3. The write returns: nothing that it wrote may stay.
#[tokio::test]
async fn a_write_that_returns_long_after_its_limit_resurrects_nothing_that_was_signed_out() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    let gate = Gate::new();
    machine.server.on_renewal(Fault::hold(&gate));
    let call = start_one(&session, query("people"));
    machine.server.wait_for(|counts| counts.renewals == 1).await;
    machine.vault.hold(VaultCall::Write);
    gate.open();
    machine.vault.wait_until_held(1).await;
    machine.clock.pass(9 * SECOND).await;
    assert!(
        finish(vec![call]).await.remove(0).is_ok(),
        "the session goes on"
    );
    assert_eq!(
        session.status().storage,
        Storage::NotSaved(NotSaved::KeyringSlow)
    );

    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    machine.clock.pass(30 * SECOND).await;
    machine.vault.release(VaultCall::Write);
    machine.clock.pass(30 * SECOND).await;

    assert_eq!(machine.vault.stored(DEFAULT_ACCOUNT), None);
    drop(session);
    let session = machine.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
}

/// The sign-out has given its own removal up by the time the late write lands.
#[tokio::test]
async fn a_write_that_returns_after_the_sign_outs_own_limit_leaves_no_entry_behind() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    let gate = Gate::new();
    machine.server.on_renewal(Fault::hold(&gate));
    let call = start_one(&session, query("people"));
    machine.server.wait_for(|counts| counts.renewals == 1).await;
    machine.vault.hold(VaultCall::Write);
    gate.open();
    machine.vault.wait_until_held(1).await;
    let mut changes = session.changes();
    let slow = Storage::NotSaved(NotSaved::KeyringSlow);
    let given_up = changes.wait_for(|status| status.storage == slow);
    let status = machine.clock.run_until(given_up).await;
    drop(status.expect("the session lives"));
    assert!(finish(vec![call]).await.remove(0).is_ok());

    session.sign_out().await;
    machine.clock.pass(MINUTE).await;
    assert_eq!(noted(&session, "removed"), 1, "given up");
    machine.vault.release(VaultCall::Write);
    machine.clock.quiet().await;

    assert_eq!(machine.vault.stored(DEFAULT_ACCOUNT), None);
}

#[tokio::test]
async fn a_write_that_returns_long_after_its_limit_overwrites_nothing_newer() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    machine.vault.hold(VaultCall::Write);
    // The mark of this renewal is held; after its limit the renewal goes on without it.
    let call = start_one(&session, query("people"));
    machine.vault.wait_until_held(1).await;
    machine
        .clock
        .run_until(finish(vec![call]))
        .await
        .remove(0)
        .expect("renewed");
    machine.server.expire_access_tokens();
    machine.clock.run_until(serve(&session)).await;
    assert_eq!(machine.server.counts().exchanged, 2);

    machine.vault.release(VaultCall::Write);
    machine.clock.pass(MINUTE).await;

    let stored = machine.vault.stored(DEFAULT_ACCOUNT).expect("saved");
    let stored: Value = serde_json::from_str(&stored).expect("a record");
    assert_eq!(stored["generation"], 3);
    assert_eq!(session.status().storage, Storage::Saved);
}

#[tokio::test]
async fn a_keyring_that_does_not_answer_delays_neither_status_nor_calls_nor_the_exit() {
    let machine = Machine::start().await;
    let session = served(&machine).await;
    machine.vault.hold(VaultCall::Read);
    machine.vault.hold(VaultCall::Write);
    machine.server.expire_access_tokens();
    let waiting = start_one(&session, query("people"));
    machine.vault.wait_until_held(1).await;

    let before = machine.clock.awake();
    assert_eq!(session.status().phase, Phase::Renewing);
    assert_eq!(machine.clock.awake(), before);
    machine
        .clock
        .run_until(waiting)
        .await
        .expect("no panic")
        .expect("renewed without it");
    machine.clock.run_until(session.close()).await;

    let beside = machine
        .clock
        .run_until(machine.session(DEFAULT_ACCOUNT))
        .await;
    assert_eq!(beside.status().phase, Phase::Locked);
    assert_eq!(beside.status().locked, Some(LockedReason::KeyringLocked));
    machine.vault.work_again();
}

/// Another process had renewed and is gone: what is held here is spent, and nobody has the newer credentials any more.
#[tokio::test]
async fn an_entry_deleted_by_hand_behind_the_back_of_a_process_is_locked_and_comes_back_with_it() {
    for damage in [None, Some("{\"version\":1")] {
        let machine = Machine::start().await;
        let session = served(&machine).await;
        let other = machine.session(DEFAULT_ACCOUNT).await;
        machine.server.expire_access_tokens();
        serve(&other).await;
        drop(other);
        let newest = machine.vault.stored(DEFAULT_ACCOUNT).expect("saved");
        match damage {
            None => machine.vault.clear(DEFAULT_ACCOUNT),
            Some(text) => machine.vault.replace(DEFAULT_ACCOUNT, text),
        }

        let outcome = session.execute(query("people")).await;

        assert_eq!(code(outcome), Code::Locked);
        assert_eq!(session.status().phase, Phase::Locked);
        assert_eq!(noted(&session, "entry_lost"), 1);
        assert_eq!(machine.server.counts().renewals, 1, "a spent token is sent");
        machine.vault.replace(DEFAULT_ACCOUNT, newest);
        machine.clock.run_until(session.retry_now()).await;
        reach(&machine, &session, Phase::SignedIn).await;
        serve(&session).await;
        assert_eq!(session.status().endings, 0);
    }
}

#[tokio::test]
async fn a_vault_that_panics_is_a_vault_that_failed() {
    let machine = Machine::start().await;
    let session = served(&machine).await;
    machine.vault.panic_next(VaultCall::Read);
    machine.vault.panic_next(VaultCall::Write);
    machine.server.expire_access_tokens();

    serve(&session).await;

    assert_eq!(session.status().phase, Phase::SignedIn);
    machine.clock.pass(2 * SECOND).await;
    assert_eq!(session.status().storage, Storage::Saved);
}

#[tokio::test]
async fn credentials_of_an_ended_session_that_come_back_from_a_backup_stay_dead() {
    let machine = Machine::start().await;
    let session = served(&machine).await;
    let backup = machine.vault.stored(DEFAULT_ACCOUNT).expect("saved");
    session.sign_out().await;
    machine.clock.quiet().await;
    drop(session);
    machine.vault.replace(DEFAULT_ACCOUNT, backup);
    let before = machine.server.counts().calls;

    let session = machine.session(DEFAULT_ACCOUNT).await;

    assert_eq!(session.status().phase, Phase::SignedOut);
    assert_eq!(
        code(session.execute(query("people")).await),
        Code::SignedOut
    );
    assert_eq!(machine.server.counts().calls, before);
    machine.clock.quiet().await;
    assert_eq!(
        machine.vault.stored(DEFAULT_ACCOUNT),
        None,
        "the dead entry is removed"
    );
}
