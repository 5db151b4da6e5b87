//! The keyring service goes away, freezes and comes back while the application runs (scenarios 40, 41, 44, 45, 47, 48).

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graphql_session::{Closed, Config, Keyring, Phase, Session, Storage, Vault, VaultError};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::desktop::{KeyringDaemon, UnansweredPrompt, on_a_bus};
use crate::fixture::call_succeeds;
use crate::host::{Host, noted_by_all};
use crate::moments::halt_at;
use crate::process::{ANSWER, Process};
use crate::survival::{Survivor, kill_at_every_moment};
use crate::{open, reopen, server, sign_in};

/// The limits of a keyring that may freeze, in ms. A frozen one exceeds them; a working one on a busy machine does not.
const VAULT: u64 = 2_000;

/// How long a repeated save may take: the pause between two attempts to save, and a busy machine.
const BY_ITSELF: Duration = Duration::from_secs(40);

/// A process ends within this time: quitting waits 3 s at most, and a busy machine may be slow.
const GONE_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn a_service_restarted_between_two_calls_is_reconnected_and_nothing_is_lost() {
    on_a_bus(async |home| {
        let service = KeyringDaemon::start();
        let server = server().await;
        let session = open(&home).await;
        sign_in(&session, &server).await;
        call_succeeds(&session).await;
        drop(service);
        let _service = KeyringDaemon::start();

        server.expire_access_tokens();
        call_succeeds(&session).await;

        assert_eq!(session.status().storage, Storage::Saved);
        let session = reopen(session, &home).await;
        call_succeeds(&session).await;
        assert_eq!(server.counts().renewals, 1);
    });
}

#[test]
fn after_a_killed_service_the_status_is_unsaved_until_it_is_back() {
    on_a_bus(async |home| {
        let service = KeyringDaemon::start();
        let server = server().await;
        server.grace(None);
        let session = open(&home).await;
        sign_in(&session, &server).await;
        assert_eq!(session.close().await, Closed::Kept);
        drop(service);

        server.expire_access_tokens();
        call_succeeds(&session).await;

        let status = session.status();
        let missing = VaultError::Missing;
        assert_eq!(status.phase, Phase::SignedIn);
        assert_eq!(status.storage, Storage::NotSaved(missing));
        call_succeeds(&session).await;
        // A person who quits now is warned.
        assert_eq!(session.close().await, Closed::NotSaved(missing));

        let _service = KeyringDaemon::start();
        saved_by_itself(&session).await;
        assert_eq!(session.close().await, Closed::Kept);
        let session = reopen(session, &home).await;
        server.expire_access_tokens();
        call_succeeds(&session).await;
        assert_eq!(server.counts().exchanged, 2, "the spent token was stored");
    });
}

#[test]
fn a_frozen_service_delays_no_call_and_its_late_writes_overwrite_nothing_newer() {
    on_a_bus(async |home| {
        let service = KeyringDaemon::start();
        let server = server().await;
        server.grace(None);
        let session = open_with_short_limits(&home).await;
        sign_in(&session, &server).await;
        service.freeze();

        // A call to the frozen service blocks. In each renewal three such calls exceed their limit.
        for _ in 0..2 {
            server.expire_access_tokens();
            call_succeeds(&session).await;
            let asked = Instant::now();
            assert_eq!(session.status().phase, Phase::SignedIn);
            assert!(asked.elapsed() < Duration::from_millis(VAULT), "waited");
        }
        let slow = VaultError::Slow;
        assert_eq!(session.status().storage, Storage::NotSaved(slow));
        assert_eq!(session.close().await, Closed::NotSaved(slow));

        service.thaw();
        saved_by_itself(&session).await;
        assert_eq!(session.close().await, Closed::Kept);
        let session = reopen(session, &home).await;
        server.expire_access_tokens();
        call_succeeds(&session).await;
        // The server has no grace time: if a late write had overwritten the newest token, the session would have ended.
        assert_eq!(server.counts().exchanged, 3);
        assert_eq!(session.status().storage, Storage::Saved);
    });
}

#[test]
fn a_sign_out_while_the_service_is_frozen_lasts_and_its_entry_is_removed_later() {
    on_a_bus(async |_| {
        let service = KeyringDaemon::start();
        let host = host_with_short_limits().await;
        let mut process = renewed_while_frozen(&service, &host).await;

        // Its save has been sent to the frozen service.
        assert_eq!(process.ask("sign_out").await, "SignedOut");
        service.thaw();

        assert_eq!(process.ask("quit").await, "Kept");
        assert_eq!(host.stored().await, None);
        let mut restarted = host.process();
        assert_eq!(restarted.ask("phase").await, "SignedOut");
    });
}

#[test]
fn with_a_frozen_service_a_process_starts_answers_warns_and_exits_in_time() {
    on_a_bus(async |_| {
        let service = KeyringDaemon::start();
        let host = host_with_short_limits().await;
        let mut process = host.processes(1).await.remove(0);
        service.freeze();
        host.server.expire_access_tokens();
        let call = process.tell("call");

        // The phase depends on the machine's speed. The answer must come all the same.
        let phase = process.ask("phase").await;
        assert!(["Renewing", "SignedIn"].contains(&&*phase), "{phase}");
        assert_eq!(process.answer(call).await, "200");
        let mut beside = host.process();
        assert_eq!(beside.ask("phase").await, "Locked", "not signed out");
        assert_eq!(beside.ask("call").await, "Locked");
        for (process, closed) in [(process, "NotSaved(Slow)"), (beside, "Kept")] {
            let mut process = process;
            let since = Instant::now();
            assert_eq!(process.ask("quit").await, closed);
            assert!(process.ends().await.success());
            let took = since.elapsed();
            assert!(took < GONE_WITHIN, "{took:?}");
        }

        // A save that was sent may take effect after its sender has ended, or never: the entry is old or new, and whole.
        service.thaw();
        let stored = host.stored().await.expect("an entry");
        assert!(matches!(stored["generation"].as_u64(), Some(1 | 2)));
        let mut restarted = host.process();
        assert_eq!(restarted.ask("call").await, "200");
        assert_eq!(restarted.ask("noted ended").await, "0");
    });
}

#[test]
fn with_a_frozen_service_a_process_that_missed_a_renewal_sends_no_spent_token() {
    on_a_bus(async |_| {
        let service = KeyringDaemon::start();
        let host = host_with_short_limits().await;
        host.server.grace(None);
        let mut processes = host.processes(2).await;
        processes[1].freeze();
        host.server.expire_access_tokens();
        assert_eq!(processes[0].ask("call").await, "200");
        assert_eq!(processes[0].ask("storage").await, "Saved");
        service.freeze();
        processes[1].thaw();

        assert_eq!(processes[1].ask("call").await, "Unreachable");
        assert_eq!(processes[0].ask("call").await, "200");

        service.thaw();
        assert_eq!(processes[1].ask("served").await, "200");
        assert_eq!(host.refresh_tokens_sent().len(), 1);
        assert_eq!(noted_by_all(&mut processes, "ended").await, 0);
    });
}

#[test]
fn a_locked_service_that_dies_during_a_save_frees_the_lock_and_the_save_is_retried() {
    on_a_bus(async |_| {
        let service = KeyringDaemon::start();
        let host = host_with_short_limits().await;
        let mut processes = host.processes(2).await;
        let mut prompt = UnansweredPrompt::expected().await;
        host.server.expire_access_tokens();
        let call = halt_at(&mut processes[0], "AnswerRead").await;
        service.lock();
        let _ = processes[0].tell("go_on");

        // The service dies while its prompt is open, so the prompt never completes.
        prompt.opened().await;
        drop(service);
        assert_eq!(processes[0].answer(call).await, "200");
        processes[0].ask("until Missing").await;

        let _service = KeyringDaemon::start();
        processes[0].ask("until Saved").await;
        host.until_unlocked().await;
        let stored = host.stored().await.expect("an entry");
        assert_eq!(stored["generation"], json!(2));
        assert_eq!(processes[1].ask("call").await, "200", "adopted");
        host.server.expire_access_tokens();
        assert_eq!(processes[1].ask("call").await, "200", "renewed");
        assert_eq!(processes[1].ask("storage").await, "Saved");
        assert_eq!(noted_by_all(&mut processes, "ended").await, 0);
    });
}

#[test]
fn services_that_die_during_their_prompts_change_no_entry_and_leak_no_thread() {
    on_a_bus(async |_| {
        let mut service = KeyringDaemon::start();
        let mut prompt = UnansweredPrompt::expected().await;
        let keyring = Arc::new(Keyring::new("holdfast-test"));
        let ask = |asked: fn(&Keyring) -> Result<Option<SecretString>, VaultError>| {
            let keyring = keyring.clone();
            tokio::task::spawn_blocking(move || asked(&keyring))
        };
        let write = |keyring: &Keyring| keyring.write("me", &"kept".into()).map(|()| None);
        let overwrite = |keyring: &Keyring| keyring.write("me", &"lost".into()).map(|()| None);
        let remove = |keyring: &Keyring| keyring.remove("me").map(|()| None);
        let read = |keyring: &Keyring| keyring.read("me");
        ask(write).await.expect("no panic").expect("written");
        let open = threads_and_sockets();

        for change in [overwrite, remove, overwrite, remove] {
            service.lock();
            let changing = ask(change);
            prompt.opened().await;
            drop(service);
            let changed = tokio::time::timeout(ANSWER, changing).await;
            let changed = changed.expect("it returns").expect("no panic");
            assert_eq!(changed.err(), Some(VaultError::Missing));

            service = KeyringDaemon::start();
            let kept = ask(read).await.expect("no panic").expect("can be read");
            assert_eq!(kept.expect("an entry").expose_secret(), "kept");
        }
        let until = Instant::now() + ANSWER;
        while threads_and_sockets() != open {
            assert!(Instant::now() < until, "{:?}", threads_and_sockets());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
}

/// How many threads for the keyring this process has, and how many sockets.
fn threads_and_sockets() -> (usize, usize) {
    let listed = |folder| std::fs::read_dir(folder).expect("Linux").flatten();
    let threads = listed("/proc/self/task").filter(|thread| {
        let name = std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
        name.starts_with("zbus") || name.starts_with("keyring")
    });
    let sockets = listed("/proc/self/fd").filter(|file| {
        let target = std::fs::read_link(file.path()).unwrap_or_default();
        target.to_string_lossy().starts_with("socket:")
    });
    (threads.count(), sockets.count())
}

#[test]
fn killed_while_a_frozen_service_holds_its_save_the_next_start_recovers() {
    on_a_bus(async |_| {
        let service = KeyringDaemon::start();
        let host = host_with_short_limits().await;
        let mut process = renewed_while_frozen(&service, &host).await;
        assert_eq!(process.ask("storage").await, "Slow");
        process.kill();
        service.thaw();

        let stored = host.stored().await.expect("an entry");
        assert!(matches!(stored["generation"].as_u64(), Some(1 | 2)));
        let mut restarted = host.process();
        assert_eq!(restarted.ask("call").await, "200");
        assert_eq!(restarted.ask("noted ended").await, "0");
        assert_eq!(restarted.ask("storage").await, "Saved");
    });
}

#[test]
fn killed_at_any_moment_of_a_renewal_the_next_start_recovers_from_the_real_keyring() {
    on_a_bus(async |_| {
        let _service = KeyringDaemon::start();
        let host = async || Host::with_keyring(json!({})).await;
        kill_at_every_moment(host, Survivor::Restarted).await;
    });
}

#[test]
fn killed_at_any_moment_without_grace_the_next_start_recovers_or_ends_once() {
    on_a_bus(async |_| {
        let _service = KeyringDaemon::start();
        let host = async || Host::with_keyring(json!({})).await.without_grace();
        kill_at_every_moment(host, Survivor::Restarted).await;
    });
}

async fn saved_by_itself(session: &Session) {
    let mut changes = session.changes();
    let saved = changes.wait_for(|status| status.storage == Storage::Saved);
    let saved = tokio::time::timeout(BY_ITSELF, saved).await;
    saved.expect("in time").expect("the session lives");
}

async fn open_with_short_limits(home: &Path) -> Session {
    let mut config = Config::new("holdfast-test", home.join("state"));
    config.limits.vault_read = Duration::from_millis(VAULT);
    config.limits.vault_write = Duration::from_millis(VAULT);
    Session::open(config).await.expect("opens")
}

/// A process with new credentials, whose save waits in the frozen service.
async fn renewed_while_frozen(service: &KeyringDaemon, host: &Host) -> Process {
    let mut process = host.processes(1).await.remove(0);
    host.server.expire_access_tokens();
    let call = halt_at(&mut process, "AnswerRead").await;
    service.freeze();
    let _ = process.tell("go_on");
    assert_eq!(process.answer(call).await, "200");
    process
}

async fn host_with_short_limits() -> Host {
    let limits = json!({ "vaultReadMs": VAULT, "vaultWriteMs": VAULT, "quitTimeoutMs": 3_000 });
    Host::with_keyring(limits).await
}
