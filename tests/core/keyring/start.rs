//! The keyring as the application finds it when it starts (scenarios 42, 46).

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use graphql_session::{Code, DEFAULT_ACCOUNT, LockedReason, Phase, Storage, VaultError};
use graphql_session_testing::query;
use secret_service::EncryptionType;
use secret_service::blocking::{Item, SecretService};
use serde_json::json;

use crate::desktop::{KeyringDaemon, on_a_bus, on_a_bus_with_services};
use crate::fixture::{call_succeeds, code};
use crate::host::Host;
use crate::{open, reopen, server, sign_in};

#[test]
fn after_a_restart_the_session_is_still_signed_in_from_the_real_keyring() {
    on_a_bus_with_services(async |home| {
        let _service = KeyringDaemon::start();
        let server = server().await;
        let session = open(&home).await;
        assert_eq!(session.status().phase, Phase::SignedOut);
        sign_in(&session, &server).await;
        assert_eq!(session.status().storage, Storage::Saved);
        call_succeeds(&session).await;
        let session = reopen(session, &home).await;
        assert_eq!(session.status().phase, Phase::SignedIn);
        call_succeeds(&session).await;
        server.expire_access_tokens();
        call_succeeds(&session).await;
        assert_eq!(session.status().storage, Storage::Saved);
        let session = reopen(session, &home).await;
        call_succeeds(&session).await;
        let counts = server.counts();
        assert_eq!(
            (counts.sign_ins, counts.renewals),
            (1, 1),
            "the renewed tokens were not stored"
        );

        session.sign_out().await;
        // The vault's thread removes the entry under the lock. The next start finds no session.
        let session = open(&home).await;
        assert_eq!(session.status().phase, Phase::SignedOut);
        assert_eq!(
            code(session.execute(query("people")).await),
            Code::SignedOut
        );
    });
}

#[test]
fn a_keyring_locked_at_the_start_is_not_taken_for_signed_out_and_unlocking_recovers() {
    on_a_bus(async |home| {
        let service = KeyringDaemon::start();
        let server = server().await;
        let session = open(&home).await;
        sign_in(&session, &server).await;
        session.close().await;
        drop(session);
        service.lock();

        let session = open(&home).await;
        let status = session.status();
        assert_eq!(status.phase, Phase::Locked);
        assert_eq!(status.locked, Some(LockedReason::KeyringLocked));
        assert_eq!(status.server, Some(server.address()), "whose session waits");
        assert_eq!(code(session.execute(query("people")).await), Code::Locked);
        assert_eq!(
            session.retry_now().await.phase,
            Phase::Locked,
            "still locked"
        );

        // Unlocked by the next log-in to the desktop, while the application runs. This bus starts no service on demand:
        // the application's own attempt would bring up a locked one in between.
        drop(service);
        let _service = KeyringDaemon::start();
        // One retry is enough, even while an earlier read of the keyring runs.
        let mut changes = session.changes();
        session.retry_now().await;
        let unlocked = changes.wait_for(|status| status.phase == Phase::SignedIn);
        let unlocked = tokio::time::timeout(Duration::from_secs(60), unlocked).await;
        unlocked.expect("in time").expect("signed in again");
        call_succeeds(&session).await;
        assert_eq!(server.counts().sign_ins, 1);
    });
}

#[test]
fn a_keyring_service_that_was_never_unlocked_is_not_taken_for_signed_out() {
    on_a_bus_with_services(async |home| {
        let service = KeyringDaemon::start();
        let server = server().await;
        let session = open(&home).await;
        sign_in(&session, &server).await;
        session.close().await;
        drop(session);
        drop(service);

        // The bus starts the service by itself now, and it answers "no entry".
        let session = open(&home).await;
        assert_eq!(session.status().phase, Phase::Locked);
        assert!(session.status().locked.is_some());
        assert_eq!(code(session.execute(query("people")).await), Code::Locked);
    });
}

#[test]
fn an_entry_deleted_or_damaged_by_hand_shows_as_locked_and_a_new_sign_in_repairs_it() {
    on_a_bus(async |_| {
        let _service = KeyringDaemon::start();
        let host = Host::with_keyring(json!({})).await;
        let signing_in = format!("sign_in {}", host.server.address());
        drop(host.processes(1).await);
        for damage in [
            None,
            Some(json!("no record")),
            Some(json!({ "version": 99 })),
        ] {
            host.store(damage).await;

            let mut process = host.process();
            assert_eq!(process.ask("phase").await, "Locked");
            assert_eq!(process.ask("call").await, "Locked");
            assert_eq!(process.ask("noted ended").await, "0");
            assert_eq!(process.ask(&signing_in).await, "ok");
            assert_eq!(process.ask("quit").await, "Kept");
            let mut restarted = host.process();
            assert_eq!(restarted.ask("call").await, "200");
        }
    });
}

#[test]
fn without_a_keyring_service_the_session_stays_in_memory_and_the_status_says_so() {
    on_a_bus(async |home| works_in_memory(&home).await);
}

/// The environment of the process names a bus that does not exist.
#[test]
fn without_a_session_bus_the_session_stays_in_memory_and_the_status_says_so() {
    on_a_bus(async |home| {
        let no_bus = format!("unix:path={}/nothing", home.display());
        if std::env::var("DBUS_SESSION_BUS_ADDRESS").is_ok_and(|address| address == no_bus) {
            return works_in_memory(&home).await;
        }
        let again = Command::new(std::env::current_exe().expect("this test has a file"))
            .args(std::env::args_os().skip(1))
            .env("DBUS_SESSION_BUS_ADDRESS", no_bus)
            .status();
        assert!(again.expect("started").success());
    });
}

async fn works_in_memory(home: &Path) {
    let missing = Storage::NotSaved(VaultError::Missing);
    let server = server().await;
    let session = open(home).await;
    let status = session.status();
    assert_eq!((status.phase, status.storage), (Phase::SignedOut, missing));

    sign_in(&session, &server).await;
    let status = session.status();
    assert_eq!((status.phase, status.storage), (Phase::SignedIn, missing));
    call_succeeds(&session).await;
    server.expire_access_tokens();
    call_succeeds(&session).await;
    assert_eq!(server.counts().renewals, 1);
    assert_eq!(session.status().storage, missing);
    session.close().await;
}

/// An import, or an old copy in another collection, has the same attributes, and was changed later.
#[test]
fn of_several_entries_the_newest_credentials_count_and_a_sign_out_leaves_none() {
    on_a_bus_with_services(async |home| {
        let _service = KeyringDaemon::start();
        let server = server().await;
        let session = open(&home).await;
        sign_in(&session, &server).await;
        let old = secret().await;
        server.expire_access_tokens();
        call_succeeds(&session).await;
        for _ in 0..3 {
            add_entry(old.clone()).await;
            add_entry(b"{ no record".to_vec()).await;
        }
        assert_eq!(count_entries().await, 7);

        let session = reopen(session, &home).await;
        assert_eq!(session.status().phase, Phase::SignedIn);
        assert_eq!(session.generation(), Some(2), "an old copy was used");
        server.expire_access_tokens();
        call_succeeds(&session).await;
        assert_eq!(session.status().storage, Storage::Saved);
        assert_eq!(count_entries().await, 1, "an old one is left");

        add_entry(old).await;
        session.sign_out().await;
        let session = reopen(session, &home).await;
        assert_eq!(session.status().phase, Phase::SignedOut);
        assert_eq!(count_entries().await, 0);
    });
}

async fn count_entries() -> usize {
    in_keyring(|items, _| items.len()).await
}

async fn secret() -> Vec<u8> {
    in_keyring(|items, _| items[0].get_secret().expect("unlocked")).await
}

/// Puts another entry beside the first, with the same attributes.
async fn add_entry(secret: Vec<u8>) {
    in_keyring(move |items, service| {
        let attributes = items[0].get_attributes().expect("unlocked");
        let attributes = attributes.iter().map(|(key, value)| (&**key, &**value));
        let collection = service.get_default_collection().expect("a collection");
        let added =
            collection.create_item("a copy", attributes.collect(), &secret, false, "text/plain");
        added.expect("added");
    })
    .await;
}

async fn in_keyring<T: Send + 'static>(
    work: impl FnOnce(&[Item<'_>], &SecretService<'_>) -> T + Send + 'static,
) -> T {
    let worked = tokio::task::spawn_blocking(move || {
        let service = SecretService::connect(EncryptionType::Dh).expect("a service");
        let attributes = HashMap::from([("username", DEFAULT_ACCOUNT)]);
        let found = service.search_items(attributes).expect("searched");
        work(&found.unlocked, &service)
    });
    worked.await.expect("no panic")
}
