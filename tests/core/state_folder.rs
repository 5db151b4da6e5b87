//! The state folder fails: it has no locks, is full, hangs, is removed, or holds what it should not. The session goes on, and
//! says so (I16, I17).

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use graphql_session::{
    Clock as _, Code, Config, DEFAULT_ACCOUNT, LockedReason, Phase, Session, Status, Unreachable,
    VaultError,
};
use graphql_session_testing::{FileCall, FileFailure, TestHost, query};
use serde_json::{Value, json};

use crate::fixture::{
    MINUTE, PATIENCE, SECOND, call_succeeds, code, journal_count, late_failure, leftovers,
    patient_host, renew, restarted, signed_in, signed_in_with, state_file, wait_for_phase,
    with_expired_token,
};

const FULL: FileFailure = FileFailure::Error(ErrorKind::StorageFull);

fn files(session: &Session) -> Option<String> {
    session.status().files.map(|cause| cause.to_string())
}

fn stored_generation(host: &TestHost) -> Value {
    let text = fs::read(state_file(host)).expect("a state file");
    let mut file: Value = serde_json::from_slice(&text).expect("JSON");
    file["stamp"]["generation"].take()
}

// ── No lock ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn without_a_lock_to_take_the_session_still_renews_and_names_the_cause() {
    let failures = [
        (
            FileFailure::Error(ErrorKind::Unsupported),
            "no_lock_unsupported",
        ),
        (
            FileFailure::Error(ErrorKind::PermissionDenied),
            "no_lock_permission_denied",
        ),
        (
            FileFailure::Error(ErrorKind::ReadOnlyFilesystem),
            "no_lock_read_only",
        ),
        (FULL, "no_lock_storage_full"),
        (FileFailure::System(37), "no_lock_unsupported"),
        (FileFailure::System(24), "no_lock_too_many_open"),
        (FileFailure::System(5), "no_lock_failed"),
    ];
    let (host, session) = signed_in().await;
    for (round, (failure, cause)) in failures.into_iter().enumerate() {
        host.files.fail(FileCall::Lock, failure);
        renew(&host, &session).await;
        assert_eq!(files(&session).as_deref(), Some(cause), "{failure:?}");
        assert_eq!(host.server.counts().renewals, round as u64 + 1);
    }
    assert_eq!(journal_count(&session, "lock_not_taken"), 7);

    host.files.work_again();
    renew(&host, &session).await;
    assert_eq!(files(&session), None);
}

#[tokio::test]
async fn where_a_lock_is_required_nothing_is_renewed_without_one() {
    let (host, session) = signed_in_with(|config| config.requires_lock = true).await;
    host.server.expire_access_tokens();
    host.files.fail(FileCall::Lock, FileFailure::System(37));

    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);

    let Status {
        unreachable, cause, ..
    } = session.status();
    assert_eq!(unreachable, Some(Unreachable::StateFolder));
    assert_eq!(
        cause.map(|cause| cause.to_string()).as_deref(),
        Some("no_lock_unsupported")
    );
    assert_eq!(host.server.counts().renewals, 0);
    host.files.work_again();
    wait_for_phase(&host, &session, Phase::SignedIn).await;
}

// ── The folder ──────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_state_folder_that_is_removed_while_running_is_made_again() {
    let (host, session) = signed_in().await;
    fs::remove_dir_all(host.folder()).expect("own folder");

    renew(&host, &session).await;
    host.clock.pass(SECOND).await;

    assert_eq!(stored_generation(&host), 2);
    assert_eq!(files(&session), None);
    let session = restarted(&host, session).await;
    assert_eq!(session.status().phase, Phase::SignedIn);
    call_succeeds(&session).await;
}

/// Somebody tidied up the home folder. The keyring's entry is this installation's all the same.
#[tokio::test]
async fn a_state_folder_that_is_removed_while_the_application_is_closed_costs_no_session() {
    let (host, mut session) = signed_in().await;
    for _ in 0..2 {
        session.close().await;
        drop(session);
        host.clock.quiet().await;
        fs::remove_dir_all(host.folder()).expect("own folder");

        session = host.session(DEFAULT_ACCOUNT).await;

        wait_for_phase(&host, &session, Phase::SignedIn).await;
        session = restarted(&host, session).await;
        assert_eq!(session.status().phase, Phase::SignedIn);
        renew(&host, &session).await;
    }
    assert_eq!(host.server.counts().sign_ins, 1);
}

#[cfg(unix)]
#[tokio::test]
async fn files_and_their_folder_are_for_this_user_only_even_if_they_were_not_before() {
    use std::os::unix::fs::PermissionsExt;
    let host = TestHost::start().await;
    let folder = host.file(DEFAULT_ACCOUNT, "");
    fs::create_dir_all(&folder).expect("own folder");
    fs::write(host.file(DEFAULT_ACCOUNT, "lock"), "").expect("own folder");
    for (path, mode) in [
        (&folder, 0o755),
        (&host.file(DEFAULT_ACCOUNT, "lock"), 0o644),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("own file");
    }

    let session = host.signed_in().await;
    session.sign_out().await;

    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for name in ["lock", "state.json", "ended"] {
        assert_eq!(mode(&host.file(DEFAULT_ACCOUNT, name)), 0o600, "{name}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_symbolic_link_in_a_files_place_is_not_followed() {
    let host = TestHost::start().await;
    let session = host.session(DEFAULT_ACCOUNT).await;
    let target = host.folder().join("another-program");
    fs::write(&target, "untouched").expect("own folder");
    for name in ["lock", "state.json", "ended"] {
        let link = host.file(DEFAULT_ACCOUNT, name);
        std::os::unix::fs::symlink(&target, link).expect("own folder");
    }

    host.sign_in(&session).await;
    renew(&host, &session).await;
    session.sign_out().await;

    assert_eq!(fs::read_to_string(target).expect("there"), "untouched");
}

#[tokio::test]
async fn what_a_process_left_that_died_while_it_wrote_is_removed_under_the_lock() {
    let (host, session) = signed_in().await;
    drop(session);
    let left = host.file(DEFAULT_ACCOUNT, "state.json.0123456789abcdef.new");
    fs::write(left, "half a file").expect("own folder");

    let session = host.session(DEFAULT_ACCOUNT).await;
    assert_eq!(leftovers(&host.file(DEFAULT_ACCOUNT, "")).len(), 1);
    renew(&host, &session).await;

    assert_eq!(leftovers(&host.file(DEFAULT_ACCOUNT, "")), [""; 0]);
}

#[tokio::test]
async fn after_a_sign_out_no_file_names_the_person() {
    let (host, session) = signed_in().await;
    let named_in = || -> Vec<String> {
        let names = fs::read_dir(host.file(DEFAULT_ACCOUNT, "")).expect("own folder");
        let names = names.map(|entry| entry.expect("own folder").file_name());
        let mut names: Vec<_> = names
            .filter_map(|name| name.into_string().ok())
            .filter(|name| {
                let text = fs::read(host.file(DEFAULT_ACCOUNT, name)).expect("own file");
                text.contains(&b'@')
            })
            .collect();
        names.sort();
        names
    };
    let mut torn = fs::read(state_file(&host)).expect("there");
    torn.pop();
    fs::write(state_file(&host), torn).expect("own file");
    renew(&host, &session).await;
    assert_eq!(named_in(), ["state.damaged.json", "state.json"]);

    session.sign_out().await;

    assert_eq!(named_in(), [""; 0]);
}

/// Until now the files of all accounts lay side by side.
#[tokio::test]
async fn the_files_of_an_older_version_are_taken_over() {
    let (host, session) = signed_in().await;
    drop(session);
    host.clock.quiet().await;
    for name in ["state.json", "ended"] {
        let old = host.folder().join(format!("{DEFAULT_ACCOUNT}.{name}"));
        let _ = fs::rename(host.file(DEFAULT_ACCOUNT, name), old);
    }
    host.vault.fail_all(VaultError::Locked);

    let session = host.session(DEFAULT_ACCOUNT).await;

    // Without the state file, nobody would be signed in.
    assert_eq!(session.status().phase, Phase::Locked);
    assert!(session.status().person.is_some());
}

// ── Writes that fail ────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_state_file_that_could_not_be_written_is_written_once_the_disk_has_room() {
    let (host, session) = with_expired_token().await;
    host.files.fill();
    call_succeeds(&session).await;
    host.clock.pass(MINUTE).await;
    assert_eq!(stored_generation(&host), 1);
    assert_eq!(files(&session).as_deref(), Some("files_storage_full"));

    host.files.work_again();
    host.clock.pass(2 * MINUTE).await;

    assert_eq!(stored_generation(&host), 2);
    assert_eq!(files(&session), None);
    assert!(journal_count(&session, "file_not_written") > 1);
}

#[tokio::test]
async fn a_first_state_file_that_could_not_be_written_is_not_forgotten_at_the_next_start() {
    let (host, session) = {
        let host = TestHost::start().await;
        host.files.fill();
        let session = host.signed_in().await;
        (host, session)
    };
    host.files.work_again();
    host.clock.pass(2 * SECOND).await;
    drop(session);
    host.vault.fail_all(VaultError::Locked);

    let session = host.session(DEFAULT_ACCOUNT).await;

    assert_eq!(session.status().phase, Phase::Locked);
}

#[tokio::test]
async fn a_sign_out_on_a_full_disk_holds_here_and_at_the_next_start() {
    let (host, session) = signed_in().await;
    host.files.fill();

    session.sign_out().await;
    host.clock.pass(MINUTE).await;

    assert_eq!(session.status().phase, Phase::SignedOut);
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
    let session = restarted(&host, session).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
}

/// The keyring is locked as well, so the entry stays there.
#[tokio::test]
async fn an_entry_that_a_sign_out_could_not_remove_is_not_adopted_again() {
    let (host, session) = signed_in().await;
    host.files.fill();
    host.vault.fail_all(VaultError::Locked);
    session.sign_out().await;
    host.vault.work_again();

    session.retry_now().await;
    host.clock.pass(20 * MINUTE).await;

    assert_eq!(session.status().phase, Phase::SignedOut);
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
}

#[tokio::test]
async fn an_ending_that_could_not_be_listed_is_listed_later_and_reaches_the_other_process() {
    for (failure, what) in [(FULL, "nothing"), (FileFailure::Torn(20), "a part")] {
        let (host, first) = signed_in().await;
        let second = host.session(DEFAULT_ACCOUNT).await;
        host.files.fail(FileCall::Append, failure);
        host.files.fail(FileCall::Replace, failure);
        host.files.fail(FileCall::Remove, failure);
        first.sign_out().await;
        host.clock.pass(2 * SECOND).await;
        assert_eq!(second.status().phase, Phase::SignedIn, "{what} was written");

        host.files.work_again();
        wait_for_phase(&host, &second, Phase::SignedOut).await;
    }
}

#[tokio::test]
async fn a_state_file_that_says_ended_counts_where_the_list_cannot_be_written() {
    let (host, first) = signed_in().await;
    let second = host.session(DEFAULT_ACCOUNT).await;
    host.files.fail(FileCall::Append, FULL);

    first.sign_out().await;
    host.clock.pass(2 * SECOND).await;

    assert_eq!(second.status().phase, Phase::SignedOut);
}

#[tokio::test]
async fn quitting_waits_until_a_sign_out_is_listed() {
    let (host, session) = signed_in().await;
    host.files.fail_next(FileCall::Append, 1, FULL);
    session.sign_out().await;

    session.close().await;

    let listed = fs::read_to_string(host.file(DEFAULT_ACCOUNT, "ended")).expect("written");
    assert!(listed.contains("signed_out"));
}

// ── A file system that hangs or panics ──────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_file_system_that_hangs_delays_the_start_by_its_limit_and_no_call() {
    let host = patient_host().await;
    drop(host.signed_in().await);
    host.clock.quiet().await;
    for call in [FileCall::MakeFolder, FileCall::Read, FileCall::Lock] {
        host.files.hold(call);
    }

    let opening = Session::open(host.config(DEFAULT_ACCOUNT));
    let session = host.clock.run_until(opening).await.expect("opens");

    assert_eq!(session.status().phase, Phase::SignedIn);
    assert_eq!(files(&session).as_deref(), Some("files_slow"));
    call_succeeds(&session).await;
    host.server.expire_access_tokens();
    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    let status = session.status();
    assert_eq!(status.unreachable, Some(Unreachable::StateFolder));
    // Another process may hold the lock that this one cannot see.
    assert_eq!(host.server.counts().renewals, 0);

    host.files.work_again();
    wait_for_phase(&host, &session, Phase::SignedIn).await;
    call_succeeds(&session).await;
    assert_eq!(files(&session), None);
}

#[tokio::test]
async fn a_call_settles_by_its_own_deadline_while_files_hang() {
    for held in [FileCall::Lock, FileCall::Read] {
        let (host, session) = with_expired_token().await;
        host.files.hold(held);
        let mut call = query("people");
        call.deadline = Some(SECOND);
        let began = host.clock.awake();

        let outcome = host.clock.run_until(session.execute(call)).await;

        assert_eq!(code(outcome), Code::TimedOut, "{held:?}");
        assert_eq!(host.clock.awake() - began, SECOND, "{held:?}");
    }
}

/// A thread that opened one would wait for its other end, and for ever.
#[cfg(unix)]
#[tokio::test]
async fn pipes_in_the_places_of_files_hang_nothing_and_are_named() {
    let host = TestHost::start().await;
    let names = ["lock", "state.json", "ended", "id", "sign-in.json"];
    fs::create_dir_all(host.file(DEFAULT_ACCOUNT, "")).expect("own folder");
    for name in names {
        let made = std::process::Command::new("mkfifo")
            .arg(host.file(DEFAULT_ACCOUNT, name))
            .status();
        assert!(made.expect("mkfifo is there").success());
    }
    let signing_in = tokio::time::timeout(PATIENCE, host.signed_in());
    let session = signing_in.await.expect("no pipe is waited for");
    renew(&host, &session).await;
    let cause = files(&session).expect("named");
    assert!(!cause.ends_with("slow"), "{cause}");

    for name in names {
        fs::remove_file(host.file(DEFAULT_ACCOUNT, name)).expect("a pipe");
    }
    renew(&host, &session).await;
    host.clock.pass(MINUTE).await;
    assert_eq!(files(&session), None);
    assert_eq!(stored_generation(&host), 3);
}

/// As after a freeze of the process: the ended list, or another process's renewal, may stand there unread.
#[tokio::test]
async fn files_that_do_not_answer_under_the_lock_hold_up_the_renewal() {
    let (host, session) = with_expired_token().await;
    host.files.hold(FileCall::Read);

    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);

    assert_eq!(host.server.counts().renewals, 0);
    host.files.work_again();
    wait_for_phase(&host, &session, Phase::SignedIn).await;
    call_succeeds(&session).await;
}

#[tokio::test]
async fn a_flush_that_hangs_delays_neither_a_renewal_nor_its_calls() {
    let (host, session) = with_expired_token().await;
    host.files.hold(FileCall::Replace);
    let mut call = query("people");
    call.deadline = Some(30 * SECOND);

    let reply = host.clock.run_until(session.execute(call)).await;

    assert_eq!(reply.map(|reply| reply.status), Ok(200));
    assert_eq!(host.server.counts().renewals, 1);
    host.files.release(FileCall::Replace);
}

#[tokio::test]
async fn a_file_system_that_panics_costs_one_piece_of_work() {
    let (host, session) = with_expired_token().await;
    host.files.panic_next(FileCall::Replace);

    call_succeeds(&session).await;

    assert_eq!(stored_generation(&host), 2);
}

// ── What is read ────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_damaged_state_file_is_kept_aside_and_is_no_sign_out() {
    let (host, session) = signed_in().await;
    drop(session);
    host.clock.quiet().await;
    let whole: Value =
        serde_json::from_slice(&fs::read(state_file(&host)).expect("there")).expect("JSON");
    let mut from_the_future = whole.clone();
    from_the_future["version"] = json!(99);
    let mut huge = whole.clone();
    huge["stamp"]["issued_at"] = json!(i64::MAX);
    let mut low = whole.clone();
    low["not_before"] = json!(i64::MIN);
    let mut last = whole;
    last["stamp"]["generation"] = json!(u64::MAX);
    let damaged = [String::new(), "{".into(), "\0".repeat(48)];
    let unsound = [from_the_future, huge, low, last].map(|file| file.to_string());
    for text in damaged.into_iter().chain(unsound) {
        fs::write(state_file(&host), &text).expect("own folder");
        host.vault.fail_all(VaultError::Locked);
        let session = host.session(DEFAULT_ACCOUNT).await;
        assert_eq!(session.status().phase, Phase::Locked, "{text}");
        assert_eq!(files(&session).as_deref(), Some("files_damaged"), "{text}");

        host.vault.work_again();
        session.retry_now().await;
        wait_for_phase(&host, &session, Phase::SignedIn).await;
        renew(&host, &session).await;
        session.close().await;
        let aside = fs::read_to_string(host.file(DEFAULT_ACCOUNT, "state.damaged.json"));
        assert_eq!(aside.expect("kept aside"), text);
        drop(session);
        host.clock.quiet().await;
    }
}

#[tokio::test]
async fn files_that_cannot_be_read_and_an_empty_keyring_are_no_sign_out() {
    let (host, session) = signed_in().await;
    drop(session);
    host.clock.quiet().await;
    let entry = host.vault.stored(DEFAULT_ACCOUNT).expect("saved");
    host.vault.clear(DEFAULT_ACCOUNT);
    host.files.fail(
        FileCall::Read,
        FileFailure::Error(ErrorKind::PermissionDenied),
    );

    let session = host.session(DEFAULT_ACCOUNT).await;

    assert_eq!(session.status().locked, Some(LockedReason::FilesUnreadable));
    host.vault.replace(DEFAULT_ACCOUNT, entry);
    host.files.work_again();
    wait_for_phase(&host, &session, Phase::SignedIn).await;
}

#[tokio::test]
async fn files_that_can_be_read_again_and_know_of_no_session_say_signed_out() {
    let host = TestHost::start().await;
    host.files.fail(
        FileCall::Read,
        FileFailure::Error(ErrorKind::PermissionDenied),
    );
    let session = host.session(DEFAULT_ACCOUNT).await;
    assert_eq!(session.status().phase, Phase::Locked);

    host.files.work_again();

    wait_for_phase(&host, &session, Phase::SignedOut).await;
}

/// No time passes on the clock of the sessions.
#[tokio::test]
async fn a_sign_out_is_noticed_at_once_where_the_file_system_tells_of_changes() {
    let (host, first) = signed_in().await;
    let mut config: Config = host.config(DEFAULT_ACCOUNT);
    config.file_system = Arc::new(host.files.telling_of_changes());
    let second = Session::open(config).await.expect("opens");
    let mut changes = second.changes();

    first.sign_out().await;

    let noticed = changes.wait_for(|status| status.phase == Phase::SignedOut);
    tokio::time::timeout(10 * SECOND, noticed)
        .await
        .expect("noticed")
        .expect("the session lives");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_a_wrong_setting_with_its_cause() {
    let host = TestHost::start().await;
    host.files.fail(
        FileCall::MakeFolder,
        FileFailure::Error(ErrorKind::PermissionDenied),
    );

    let error = Session::open(host.config(DEFAULT_ACCOUNT))
        .await
        .expect_err("no folder");

    assert!(error.message().contains("stateDir"), "{error}");
    assert_eq!(
        error.cause().map(|cause| cause.to_string()).as_deref(),
        Some("files_permission_denied")
    );
    assert_eq!(code::<()>(Err(error)), Code::Config);
}
