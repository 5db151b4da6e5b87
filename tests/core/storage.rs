//! Failures of the keyring, none of which ends a session (I3, I5, I7).

use graphql_session::{
    Clock as _, Closed, Code, DEFAULT_ACCOUNT, LockedReason, Phase, Storage, VaultError,
};
use graphql_session_testing::{TestHost, VaultCall, query};

use crate::fixture::{
    MINUTE, SECOND, assert_served, call_fails, call_in_renewal, call_in_save, call_succeeds,
    hold_renewal, join_all, journal_count, renew, restarted, signed_in, signed_in_session,
    spawn_call, spawn_calls, stored_record, wait_for_phase, wait_for_refusals, with_expired_token,
};

#[tokio::test]
async fn new_credentials_are_in_the_vault_before_any_call_uses_them() {
    let (host, session) = with_expired_token().await;
    let gate = hold_renewal(&host);
    let old = host.vault.stored(DEFAULT_ACCOUNT);
    let calls = spawn_calls(&session, 5, &query("people"));
    wait_for_refusals(&host, 5).await;
    host.server.wait_for(|counts| counts.renewals == 1).await;
    host.vault.hold(VaultCall::Write);
    gate.open();
    host.vault.wait_until_held(1).await;
    host.clock.quiet().await;

    // None of them is used before they are saved.
    let counts = host.server.counts();
    assert_eq!((counts.exchanged, counts.calls), (1, 1 + 5));
    assert_eq!(session.status().phase, Phase::Renewing);
    assert_eq!(journal_count(&session, "renewed"), 0);

    host.vault.release(VaultCall::Write);
    assert_served(join_all(calls).await);
    assert!(host.vault.stored(DEFAULT_ACCOUNT) != old);
}

#[tokio::test]
async fn without_a_keyring_service_the_session_stays_in_memory_and_the_status_says_so() {
    let host = TestHost::start().await;
    host.vault.fail_all(VaultError::Missing);
    let missing = Storage::NotSaved(VaultError::Missing);
    let session = host.session(DEFAULT_ACCOUNT).await;
    let status = session.status();
    assert_eq!((status.phase, status.storage), (Phase::SignedOut, missing));

    host.sign_in(&session).await;
    call_succeeds(&session).await;
    renew(&host, &session).await;

    let status = session.status();
    assert_eq!((status.phase, status.storage), (Phase::SignedIn, missing));
    assert_eq!(host.server.counts().renewals, 1);
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
}

#[tokio::test]
async fn a_keyring_locked_at_the_start_is_not_taken_for_signed_out_and_unlocking_recovers() {
    let host = TestHost::start().await;
    drop(signed_in_session(&host).await);
    host.vault.fail_all(VaultError::Locked);
    let before = host.server.counts();

    let session = host.session(DEFAULT_ACCOUNT).await;
    let status = session.status();
    assert_eq!(status.phase, Phase::Locked);
    assert_eq!(status.locked, Some(LockedReason::KeyringLocked));
    assert_eq!(status.server, Some(host.server.address()));
    assert_eq!(call_fails(&session).await, Code::Locked);
    assert_eq!(host.server.counts(), before);

    host.vault.work_again();
    session.retry_now().await;
    wait_for_phase(&host, &session, Phase::SignedIn).await;
    call_succeeds(&session).await;
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn a_missing_entry_that_was_saved_before_shows_as_locked_or_cleared() {
    let host = TestHost::start().await;
    drop(signed_in_session(&host).await);
    let stored = host.vault.stored(DEFAULT_ACCOUNT).expect("saved");
    host.vault.clear(DEFAULT_ACCOUNT);

    let session = host.session(DEFAULT_ACCOUNT).await;
    let status = session.status();
    assert_eq!(status.phase, Phase::Locked);
    assert_eq!(status.locked, Some(LockedReason::KeyringLockedOrCleared));

    host.vault.replace(DEFAULT_ACCOUNT, stored);
    session.retry_now().await;
    wait_for_phase(&host, &session, Phase::SignedIn).await;
    call_succeeds(&session).await;
}

#[tokio::test]
async fn a_new_sign_in_replaces_the_hidden_session_and_that_one_does_not_come_back() {
    let host = TestHost::start().await;
    drop(signed_in_session(&host).await);
    let hidden = host.vault.stored(DEFAULT_ACCOUNT).expect("saved");
    host.vault.clear(DEFAULT_ACCOUNT);
    let session = host.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.status().phase, Phase::Locked);

    host.sign_in(&session).await;
    call_succeeds(&session).await;
    session.sign_out().await;
    host.clock.quiet().await;
    drop(session);
    host.vault.replace(DEFAULT_ACCOUNT, hidden);

    let session = host.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn an_entry_damaged_by_hand_shows_as_locked_and_a_new_sign_in_repairs_it() {
    let (old, new) = ("{\"version\":1}", "{\"version\":99}");
    for damage in ["", "no json", "{}", old, new, "\u{0}"] {
        let host = TestHost::start().await;
        drop(signed_in_session(&host).await);
        host.vault.replace(DEFAULT_ACCOUNT, damage);

        let session = host.session(DEFAULT_ACCOUNT).await;
        let status = session.status();
        assert_eq!(status.phase, Phase::Locked, "{damage:?}");
        let reason = Some(LockedReason::KeyringFailed);
        assert_eq!(status.locked, reason, "{damage:?}");

        host.sign_in(&session).await;
        call_succeeds(&session).await;
        assert_eq!(session.status().storage, Storage::Saved, "{damage:?}");
    }
}

#[tokio::test]
async fn a_keyring_read_that_fails_after_a_good_renewal_leaves_the_session_in_memory() {
    let (host, session) = with_expired_token().await;
    call_succeeds(&session).await;
    host.vault.fail(VaultCall::Read, VaultError::Failed);

    renew(&host, &session).await;

    assert_eq!(session.status().phase, Phase::SignedIn);
    assert_eq!(host.server.counts().renewals, 2);
}

#[tokio::test]
async fn a_keyring_write_that_fails_after_the_rotation_is_reported_and_retried() {
    let (host, session) = with_expired_token().await;
    let (call, gate) = call_in_renewal(&host, &session).await;
    host.vault.fail(VaultCall::Write, VaultError::Failed);
    gate.open();

    assert_served(join_all(vec![call]).await);
    let status = session.status();
    assert_eq!(status.phase, Phase::SignedIn);
    assert_eq!(status.storage, Storage::NotSaved(VaultError::Failed));
    host.clock.pass(10 * SECOND).await;
    assert_eq!(session.status().storage, status.storage);

    host.vault.work_again();
    host.clock.pass(31 * SECOND).await;
    assert_eq!(session.status().storage, Storage::Saved);
    let session = restarted(&host, session).await;
    call_succeeds(&session).await;
    // The new credentials were stored.
    assert_eq!(host.server.counts().renewals, 1);
}

#[tokio::test]
async fn quitting_before_the_save_tries_once_more_and_reports_what_would_be_lost() {
    let (host, session) = with_expired_token().await;
    host.vault.fail_all(VaultError::Locked);
    call_succeeds(&session).await;
    host.clock.pass(10 * SECOND).await;

    let unsaved = Closed::NotSaved(VaultError::Locked);
    let tries = host.vault.count(VaultCall::Write);
    assert_eq!(session.close().await, unsaved);
    let last_tries = host.vault.count(VaultCall::Write) - tries;
    assert_eq!(last_tries, 1);

    // After the warning, the person unlocks the keyring and quits again.
    host.vault.work_again();
    assert_eq!(session.close().await, Closed::Kept);
    let session = restarted(&host, session).await;
    call_succeeds(&session).await;
    assert_eq!(host.server.counts().renewals, 1, "lost by quitting");
}

#[tokio::test]
async fn quitting_with_nobody_signed_in_loses_nothing_whatever_the_keyring_says() {
    let host = TestHost::start().await;
    host.vault.fail_all(VaultError::Missing);
    let session = host.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.close().await, Closed::Kept);

    host.sign_in(&session).await;
    let unsaved = Closed::NotSaved(VaultError::Missing);
    assert_eq!(session.close().await, unsaved);
    session.sign_out().await;
    assert_eq!(session.close().await, Closed::Kept);
}

#[tokio::test]
async fn a_keyring_locked_before_the_exchange_does_not_stop_an_expired_session_renewing() {
    let (host, session) = with_expired_token().await;
    host.vault.fail_all(VaultError::Locked);

    call_succeeds(&session).await;

    let status = session.status();
    assert_eq!(status.phase, Phase::SignedIn);
    assert_eq!(status.storage, Storage::NotSaved(VaultError::Locked));
    host.vault.work_again();
    host.clock.pass(31 * SECOND).await;
    assert_eq!(session.status().storage, Storage::Saved);
}

#[tokio::test]
async fn credentials_too_long_for_the_platform_stay_unsaved_and_the_status_says_so() {
    let host = TestHost::start().await;
    host.vault.limit_length(Some(500));
    let session = signed_in_session(&host).await;
    let too_long = Storage::NotSaved(VaultError::TooLong);
    assert_eq!(session.status().storage, too_long);

    renew(&host, &session).await;

    let status = session.status();
    assert_eq!((status.phase, status.storage), (Phase::SignedIn, too_long));
}

/// 1. The keyring holds a write until long after its limit.
/// 2. The person signs out.
/// 3. The write returns. What it wrote must not stay.
#[tokio::test]
async fn a_write_that_returns_long_after_its_limit_restores_no_signed_out_session() {
    let (host, session) = with_expired_token().await;
    let call = call_in_save(&host, &session).await;
    host.clock.pass(9 * SECOND).await;
    assert_served(join_all(vec![call]).await);
    let slow = Storage::NotSaved(VaultError::Slow);
    assert_eq!(session.status().storage, slow);

    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    host.clock.pass(30 * SECOND).await;
    host.vault.release(VaultCall::Write);
    host.clock.pass(30 * SECOND).await;

    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
    let session = restarted(&host, session).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
}

/// When the late write lands, the limit of the sign-out's own removal has passed.
#[tokio::test]
async fn a_write_that_returns_after_the_sign_outs_own_limit_leaves_no_entry_behind() {
    let (host, session) = with_expired_token().await;
    let call = call_in_save(&host, &session).await;
    let mut changes = session.changes();
    let slow = Storage::NotSaved(VaultError::Slow);
    let given_up = changes.wait_for(|status| status.storage == slow);
    let status = host.clock.run_until(given_up).await;
    drop(status.expect("the session lives"));
    assert_served(join_all(vec![call]).await);

    session.sign_out().await;
    host.clock.pass(MINUTE).await;
    assert_eq!(journal_count(&session, "removed"), 1, "given up");
    host.vault.release(VaultCall::Write);
    host.clock.quiet().await;

    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
}

#[tokio::test]
async fn a_write_that_returns_long_after_its_limit_overwrites_nothing_newer() {
    let (host, session) = with_expired_token().await;
    host.vault.hold(VaultCall::Write);
    // The keyring holds the mark of this renewal. After the write's limit the renewal goes on without the mark.
    let call = spawn_call(&session, query("people"));
    host.vault.wait_until_held(1).await;
    assert_served(host.clock.run_until(join_all(vec![call])).await);
    host.server.expire_access_tokens();
    host.clock.run_until(call_succeeds(&session)).await;
    assert_eq!(host.server.counts().exchanged, 2);

    host.vault.release(VaultCall::Write);
    host.clock.pass(MINUTE).await;

    assert_eq!(stored_record(&host)["generation"], 3);
    assert_eq!(session.status().storage, Storage::Saved);
}

#[tokio::test]
async fn a_keyring_that_does_not_answer_delays_neither_status_nor_calls_nor_the_exit() {
    let (host, session) = signed_in().await;
    host.vault.hold(VaultCall::Read);
    host.vault.hold(VaultCall::Write);
    host.server.expire_access_tokens();
    let waiting = spawn_call(&session, query("people"));
    host.vault.wait_until_held(1).await;

    let before = host.clock.awake();
    assert_eq!(session.status().phase, Phase::Renewing);
    assert_eq!(host.clock.awake(), before);
    assert_served(host.clock.run_until(join_all(vec![waiting])).await);
    host.clock.run_until(session.close()).await;

    let beside = host.clock.run_until(host.session(DEFAULT_ACCOUNT)).await;
    assert_eq!(beside.status().phase, Phase::Locked);
    assert_eq!(beside.status().locked, Some(LockedReason::KeyringLocked));
    host.vault.work_again();
}

/// Another process renewed and has quit. What this process holds is spent, and the newer credentials are lost.
#[tokio::test]
async fn an_entry_deleted_by_hand_locks_a_running_process_until_the_entry_is_back() {
    for damage in [None, Some("{\"version\":1")] {
        let (host, session) = signed_in().await;
        let other = host.session(DEFAULT_ACCOUNT).await;
        renew(&host, &other).await;
        drop(other);
        let newest = host.vault.stored(DEFAULT_ACCOUNT).expect("saved");
        match damage {
            None => host.vault.clear(DEFAULT_ACCOUNT),
            Some(text) => host.vault.replace(DEFAULT_ACCOUNT, text),
        }

        assert_eq!(call_fails(&session).await, Code::Locked);
        assert_eq!(session.status().phase, Phase::Locked);
        assert_eq!(journal_count(&session, "entry_lost"), 1);
        assert_eq!(host.server.counts().renewals, 1, "a spent token is sent");
        host.vault.replace(DEFAULT_ACCOUNT, newest);
        host.clock.run_until(session.retry_now()).await;
        wait_for_phase(&host, &session, Phase::SignedIn).await;
        call_succeeds(&session).await;
        assert_eq!(session.status().endings, 0);
    }
}

#[tokio::test]
async fn a_vault_that_panics_is_a_vault_that_failed() {
    let (host, session) = signed_in().await;
    host.vault.panic_next(VaultCall::Read);
    host.vault.panic_next(VaultCall::Write);
    renew(&host, &session).await;

    assert_eq!(session.status().phase, Phase::SignedIn);
    host.clock.pass(2 * SECOND).await;
    assert_eq!(session.status().storage, Storage::Saved);
}

#[tokio::test]
async fn credentials_of_an_ended_session_that_come_back_from_a_backup_stay_dead() {
    let (host, session) = signed_in().await;
    let backup = host.vault.stored(DEFAULT_ACCOUNT).expect("saved");
    session.sign_out().await;
    host.clock.quiet().await;
    drop(session);
    host.vault.replace(DEFAULT_ACCOUNT, backup);
    let before = host.server.counts().calls;

    let session = host.session(DEFAULT_ACCOUNT).await;

    assert_eq!(session.status().phase, Phase::SignedOut);
    assert_eq!(call_fails(&session).await, Code::SignedOut);
    assert_eq!(host.server.counts().calls, before);
    host.clock.quiet().await;
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
}
