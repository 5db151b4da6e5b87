//! Several sessions on one host, as several processes are: one folder, one keyring, one lock (I1, I5, I6).

use std::time::Duration;

use graphql_session::{
    Code, DEFAULT_ACCOUNT, EndingReason, Phase, Session, Unreachable, VaultError,
};
use graphql_session_testing::{Counts, EMAIL, Fault, TestHost, VaultCall, query};
use serde_json::{Value, json};

use crate::fixture::{
    GRACE, MINUTE, SECOND, assert_failed, assert_is_about_grace, assert_one_renewal,
    assert_present_the_token_once, assert_served, call_at_server, call_fails, call_in_renewal,
    call_in_renewal_that_meets, call_in_save, call_succeeds, call_with_held_answer, code, ending,
    hold_renewal, join_all, journal_count, late_failure, renew, sign_in_as_grace, signed_in,
    signed_out, spawn_call, state_file, stored_record, wait_for_phase, with_expired_token,
};

/// A host with two processes and one session, each of which has served a call.
async fn two() -> (TestHost, Session, Session) {
    let (host, first) = signed_in().await;
    let second = host.session(DEFAULT_ACCOUNT).await;
    call_succeeds(&second).await;
    (host, first, second)
}

#[tokio::test]
async fn two_processes_that_see_the_expiry_together_make_one_renewal_and_one_adoption() {
    let (host, first, second) = two().await;
    host.server.expire_access_tokens();
    let gate = hold_renewal(&host);

    let calls = [&first, &second].map(|session| spawn_call(session, query("people")));
    let both_refused = |counts: &Counts| counts.calls_refused == 2 && counts.renewals == 1;
    host.server.wait_for(both_refused).await;
    gate.open();

    assert_served(join_all(calls.into()).await);
    assert_one_renewal(&host);
    for what in ["adopted", "renewed"] {
        let times = journal_count(&first, what) + journal_count(&second, what);
        assert_eq!(times, 1, "{what}");
    }
}

#[tokio::test]
async fn two_processes_at_a_server_without_grace_present_the_refresh_token_once() {
    let (host, first, second) = two().await;
    assert_present_the_token_once(&host, [&first, &second]).await;
}

#[tokio::test]
async fn a_process_that_comes_later_adopts_without_a_renewal() {
    let (host, first, second) = two().await;
    renew(&host, &first).await;

    call_succeeds(&second).await;

    assert_eq!(host.server.counts().renewals, 1);
    assert_eq!(journal_count(&second, "adopted"), 1);
}

/// 1. A renewal is on the wire.
/// 2. Newer credentials appear in the vault, as if another process had lost its lock and saved them.
/// 3. The renewal is rejected: the writer of the newer credentials has spent the token.
#[tokio::test]
async fn a_rejection_with_newer_credentials_in_the_vault_is_an_adoption_and_no_logout() {
    let (host, session) = with_expired_token().await;
    let fault = Fault::refuse("FORBIDDEN", "FORBIDDEN_EXCEPTION", "Suspicious activity.");
    let (call, gate) = call_in_renewal_that_meets(&host, &session, fault).await;
    let mut newer = stored_record(&host);
    let issued = host.server.issue(EMAIL);
    newer["generation"] = json!(2);
    newer["credentials"] = json!("000000000000000000000000000000ff");
    newer["access"] = json!(issued.access);
    newer["refresh"] = json!(issued.refresh);
    newer["renewing_at"] = Value::Null;
    host.vault.replace(DEFAULT_ACCOUNT, newer.to_string());

    gate.open();

    assert_served(join_all(vec![call]).await);
    assert_eq!(session.status().endings, 0);
    assert_eq!(journal_count(&session, "adopted"), 1);
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), Some(newer.to_string()));
}

/// The state file names newer credentials, and the keyring does not show them. The ones that the process holds are
/// spent, and saving them would destroy the newer ones.
#[tokio::test]
async fn a_process_that_cannot_read_newer_credentials_neither_sends_nor_saves_spent_ones() {
    let (host, first, second) = two().await;
    renew(&host, &first).await;
    let stored = host.vault.stored(DEFAULT_ACCOUNT);
    host.vault.fail(VaultCall::Read, VaultError::Slow);

    let code = late_failure(&host, &second).await;

    assert_eq!(code, Code::Unreachable);
    let ledger = host.server.ledger();
    assert_eq!(ledger.attempts().count(), 1, "the first process's own");
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), stored);

    host.vault.work_again();
    wait_for_phase(&host, &second, Phase::SignedIn).await;
    call_succeeds(&second).await;
    assert_eq!(journal_count(&second, "adopted"), 1);
    assert_eq!(host.server.counts().renewals, 1);
}

/// The same after a rejection: the vault does not answer, and the state file names other credentials than the rejected
/// ones.
#[tokio::test]
async fn a_rejection_is_not_believed_while_the_state_file_names_unreadable_newer_ones() {
    let (host, first, second) = two().await;
    host.server.expire_access_tokens();
    let fault = Fault::refuse("FORBIDDEN", "FORBIDDEN_EXCEPTION", "Suspicious activity.");
    let (call, gate) = call_in_renewal_that_meets(&host, &second, fault).await;
    // As if another process had renewed without the lock, on a file system without locks.
    let text = std::fs::read_to_string(state_file(&host)).expect("a state file");
    let mut newer: Value = serde_json::from_str(&text).expect("JSON");
    newer["stamp"]["generation"] = json!(2);
    newer["stamp"]["credentials"] = json!("000000000000000000000000000000ff");
    std::fs::write(state_file(&host), newer.to_string()).expect("own folder");
    host.vault.fail(VaultCall::Read, VaultError::Slow);
    gate.open();

    let outcome = host.clock.run_until(call).await.expect("no panic");

    assert_eq!(code(outcome), Code::Unreachable);
    assert_eq!(second.status().endings, 0);
    drop(first);
}

#[tokio::test]
async fn a_process_with_a_locked_keyring_learns_that_another_process_ended_its_session() {
    let (host, first) = signed_in().await;
    host.vault.fail(VaultCall::Read, VaultError::Locked);
    let second = host.session(DEFAULT_ACCOUNT).await;
    assert_eq!(second.status().phase, Phase::Locked);
    host.vault.work_again();
    host.server.revoke_sessions();
    host.server.expire_access_tokens();

    assert_eq!(call_fails(&first).await, Code::SignedOut);
    host.clock.pass(2 * SECOND).await;

    assert_eq!(ending(&second), Some(EndingReason::Rejected));
    assert_eq!(second.retry_now().await.phase, Phase::Ended);
    assert_eq!(call_fails(&second).await, Code::SignedOut);
}

#[tokio::test]
async fn another_processs_sign_in_that_the_keyring_hides_shows_as_locked_not_signed_out() {
    let (host, first) = signed_out().await;
    let second = host.session(DEFAULT_ACCOUNT).await;
    assert_eq!(second.status().phase, Phase::SignedOut);
    host.sign_in(&first).await;
    host.vault.fail(VaultCall::Read, VaultError::Slow);
    host.clock.pass(2 * SECOND).await;
    assert_eq!(second.status().phase, Phase::Locked);

    host.vault.work_again();
    second.retry_now().await;
    wait_for_phase(&host, &second, Phase::SignedIn).await;
    call_succeeds(&second).await;
}

#[tokio::test]
async fn a_sign_out_reaches_the_other_process_within_two_seconds_and_stops_its_calls() {
    let (host, first, second) = two().await;
    let before = host.server.counts().calls;

    first.sign_out().await;
    host.clock.pass(2 * SECOND).await;

    let status = second.status();
    assert_eq!((status.phase, status.endings), (Phase::SignedOut, 0));
    assert_eq!(call_fails(&second).await, Code::SignedOut);
    assert_eq!(host.server.counts().calls, before);
}

#[tokio::test]
async fn an_ending_in_one_process_is_one_ending_in_the_other() {
    let (host, first, second) = two().await;
    host.server.expire_access_tokens();
    host.server.revoke_sessions();

    assert_eq!(call_fails(&first).await, Code::SignedOut);
    host.clock.pass(2 * SECOND).await;

    for session in [&first, &second] {
        let status = session.status();
        assert_eq!((status.phase, status.endings), (Phase::Ended, 1));
        assert_eq!(ending(session), Some(EndingReason::Rejected));
    }
    assert_eq!(host.server.counts().renewals, 1);
}

/// The other process signs out while a call is at the server, which then meets this fault. The call is sent once.
async fn assert_sent_once_across_a_sign_out(fault: Fault) {
    let (host, first, second) = two().await;
    let (late, gate) = call_at_server(&host, &second, "companies", Some(fault)).await;
    first.sign_out().await;

    gate.open();

    assert_failed(join_all(vec![late]).await, Code::SignedOut);
    let counts = host.server.counts();
    assert_eq!((counts.calls, counts.renewals), (3, 0));
}

#[tokio::test]
async fn a_refused_call_of_the_other_process_after_a_sign_out_is_not_replayed() {
    assert_sent_once_across_a_sign_out(Fault::access_refused()).await;
}

/// The access token is still valid. Only the ended list shows that the session is over.
#[tokio::test]
async fn a_query_that_was_lost_while_another_process_signed_out_is_not_sent_again() {
    assert_sent_once_across_a_sign_out(Fault::Close).await;
}

/// The session reads the ended list a first time before the save.
#[tokio::test]
async fn a_renewal_that_is_answered_after_another_process_signed_out_is_not_written() {
    let (host, first, second) = two().await;
    host.server.expire_access_tokens();
    let (call, gate) = call_with_held_answer(&host, &first).await;
    let writes = host.vault.count(VaultCall::Write);
    second.sign_out().await;

    gate.open();

    assert_failed(join_all(vec![call]).await, Code::SignedOut);
    assert_eq!(
        host.vault.count(VaultCall::Write),
        writes,
        "credentials of a dead session were in the vault for a moment"
    );
    assert_eq!(journal_count(&first, "renewed"), 0);
    // One process revokes the held credentials, and the other one the late ones.
    host.server.wait_for(|counts| counts.sign_outs == 2).await;
}

/// The session reads the ended list a second time after the save. The other process dies right after its sign-out, and
/// removes nothing.
#[tokio::test]
async fn a_save_during_which_another_process_signed_out_is_undone_at_once() {
    let (host, session) = with_expired_token().await;
    let call = call_in_save(&host, &session).await;
    let id = session.id().expect("signed in");
    let list = host.file(DEFAULT_ACCOUNT, "ended");
    std::fs::write(list, format!("{id} signed_out\n")).expect("own folder");

    host.vault.release(VaultCall::Write);

    assert_failed(join_all(vec![call]).await, Code::SignedOut);
    assert_eq!(session.status().phase, Phase::SignedOut);
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
    assert_eq!(journal_count(&session, "renewed"), 0);
}

#[tokio::test]
async fn a_new_sign_in_in_one_process_is_taken_over_by_the_other() {
    let (host, first, second) = two().await;
    sign_in_as_grace(&host, &first).await;

    host.clock.pass(2 * SECOND).await;

    let status = second.status();
    assert_eq!(status.phase, Phase::SignedIn);
    assert_eq!(status.person.as_deref(), Some(GRACE));
    assert_is_about_grace(second.execute(query("currentUser")).await);
}

/// Two processes, after a sign-out that both know of.
async fn two_signed_out() -> (TestHost, Session, Session) {
    let (host, first, second) = two().await;
    first.sign_out().await;
    host.clock.pass(2 * SECOND).await;
    assert_eq!(second.status().phase, Phase::SignedOut);
    (host, first, second)
}

#[tokio::test]
async fn a_sign_in_after_a_sign_out_is_taken_over_by_a_process_that_was_signed_out() {
    let (host, first, second) = two_signed_out().await;

    host.sign_in(&first).await;
    wait_for_phase(&host, &second, Phase::SignedIn).await;

    call_succeeds(&second).await;
}

/// The second process does not know of the first one's sign-in yet, and cannot read its entry. The state file names it.
#[tokio::test]
async fn a_session_that_another_process_overwrote_unread_is_over_for_its_own_process() {
    let (host, first, second) = two().await;
    host.sign_in(&first).await;
    host.vault.fail(VaultCall::Read, VaultError::Locked);
    host.sign_in(&second).await;
    second.sign_out().await;

    wait_for_phase(&host, &first, Phase::SignedOut).await;
}

/// A file system's clock ticks every few milliseconds, so two writes can have the same time.
#[tokio::test]
async fn a_sign_in_within_the_same_tick_of_the_file_systems_clock_is_noticed() {
    let (host, first, second) = two_signed_out().await;
    let state = state_file(&host);
    let tick = std::fs::metadata(&state).and_then(|file| file.modified());

    host.sign_in(&first).await;
    let file = std::fs::File::options().append(true).open(&state);
    let file = file.expect("a state file");
    file.set_modified(tick.expect("a time"))
        .expect("a time can be set");

    wait_for_phase(&host, &second, Phase::SignedIn).await;
}

/// The first process rotates the token and cannot save the new one. The stored token is spent, so the other process
/// must not send it.
async fn two_with_an_unsaved_renewal() -> (TestHost, Session, Session) {
    let (host, first, second) = two().await;
    host.server.grace(None);
    host.server.expire_access_tokens();
    let (call, gate) = call_in_renewal(&host, &first).await;
    host.vault.fail(VaultCall::Write, VaultError::Failed);
    gate.open();
    assert_served(join_all(vec![call]).await);
    // A process takes a lock up to 20 ms of real time after its release.
    host.clock.wait_for_calm_rounds(100);
    (host, first, second)
}

/// A call of this process fails, because the other one has the newer credentials.
async fn assert_waits_for_the_other(host: &TestHost, session: &Session) {
    assert_eq!(late_failure(host, session).await, Code::Unreachable);
    let unreachable = session.status().unreachable;
    assert_eq!(unreachable, Some(Unreachable::HeldByOtherProcess));
}

/// Both processes work again, and neither has seen an ending.
async fn assert_recovered(host: &TestHost, sessions: [&Session; 2]) {
    for session in sessions {
        wait_for_phase(host, session, Phase::SignedIn).await;
        host.clock.run_until(call_succeeds(session)).await;
        assert_eq!(session.status().endings, 0);
    }
}

#[tokio::test]
async fn a_process_that_cannot_save_keeps_the_lock_and_no_other_sends_the_spent_token() {
    let (host, first, second) = two_with_an_unsaved_renewal().await;

    assert_waits_for_the_other(&host, &second).await;
    assert_eq!(host.server.counts().renewals, 1, "the spent token was sent");
    call_succeeds(&first).await;

    host.vault.work_again();
    assert_recovered(&host, [&second, &first]).await;
    assert_eq!(host.server.counts().renewals, 1);
}

/// The lock is kept through the pause after a failed renewal as well, however long that is.
#[tokio::test]
async fn a_process_that_cannot_save_keeps_the_lock_while_its_next_renewal_fails() {
    let (host, first, second) = two_with_an_unsaved_renewal().await;
    let spent = stored_record(&host)["refresh"].clone();
    let spent = spent.as_str().expect("a token");
    host.server.expire_access_tokens();
    host.server.on_every_renewal(Fault::status(503));

    assert_eq!(late_failure(&host, &first).await, Code::Unreachable);
    assert_waits_for_the_other(&host, &second).await;

    let sent = host.server.seen_asking_for("renewToken");
    let with_spent = sent
        .iter()
        .filter(|seen| String::from_utf8_lossy(&seen.body).contains(spent));
    assert_eq!(with_spent.count(), 1, "the spent token was sent again");
    host.vault.work_again();
    host.server.behave();
    assert_recovered(&host, [&first, &second]).await;
}

/// The other process has renewed and saved. With the keyring locked, this one knows of it only from the state file.
#[tokio::test]
async fn while_the_keyring_hides_newer_credentials_the_spent_token_is_not_sent() {
    let (host, first, second) = two().await;
    host.server.grace(None);
    renew(&host, &first).await;
    host.vault.fail_all(VaultError::Locked);

    assert_waits_for_the_other(&host, &second).await;
    host.clock.pass(5 * MINUTE).await;
    assert_eq!(host.server.counts().renewals, 1, "the spent token was sent");

    host.vault.work_again();
    assert_recovered(&host, [&second, &first]).await;
    assert_eq!(host.server.counts().renewals, 1);
}

/// The keyring hides what the other process stored until those credentials have expired, too.
#[tokio::test]
async fn a_call_that_adopted_old_credentials_and_is_refused_again_may_be_tried_again() {
    let (host, first, second) = two().await;
    renew(&host, &first).await;
    host.vault.fail_all(VaultError::Locked);
    host.clock.pass(MINUTE).await;
    host.vault.work_again();
    host.server.expire_access_tokens();

    let outcome = second.execute(query("people")).await;
    let error = outcome.expect_err("refused twice");

    assert_eq!(journal_count(&second, "adopted"), 1);
    // Not `AccessDenied`: the person has the right.
    assert_eq!(error.code(), Code::Unreachable);
    assert_eq!(error.retry_after_hint(), Some(Duration::ZERO));
    call_succeeds(&second).await;
    assert_eq!(host.server.counts().renewals, 2);
}

#[tokio::test]
async fn one_outage_is_one_series_of_attempts_and_not_one_per_process() {
    async fn attempts(processes: usize) -> u64 {
        let (host, first) = signed_in().await;
        let mut sessions = vec![first];
        for _ in 1..processes {
            sessions.push(host.session(DEFAULT_ACCOUNT).await);
        }
        host.clock.advance(31 * MINUTE);
        host.server.on_every_renewal(Fault::status(503));
        for session in &sessions {
            assert_eq!(late_failure(&host, session).await, Code::Unreachable);
        }
        host.clock.pass(5 * MINUTE).await;
        assert_eq!(host.server.counts().renewals_at_once, 1);
        host.server.counts().renewals
    }
    let (alone, together) = (attempts(1).await, attempts(4).await);
    assert!(
        together <= 2 * alone,
        "{together} attempts of four against {alone} of one"
    );
}
