//! What is stored can be read again: any text of a server or a person, on any platform, in any installation (I16).

use graphql_session::{
    Config, DEFAULT_ACCOUNT, LockedReason, PasswordLogin, Phase, Session, Storage, VaultError,
};
use graphql_session_testing::{PASSWORD, TestHost};
use serde_json::{Value, json};

use crate::fixture::{
    call_succeeds, removed, renew, restarted, signed_in, signed_in_session, state_file,
    stored_record, wait_for_phase,
};

#[tokio::test]
async fn a_person_with_quotes_and_backslashes_is_still_signed_in_after_a_restart() {
    for email in [
        r#""ada lovelace"@example.com"#,
        r"CORP\ada",
        "ada\u{1f469}\t@example.com",
    ] {
        let host = TestHost::start().await;
        host.server.add_person(email, PASSWORD);
        let session = host.session(DEFAULT_ACCOUNT).await;
        let login = PasswordLogin {
            email: email.into(),
            password: PASSWORD.into(),
        };
        let address = host.server.address();
        let signing_in = session.sign_in(&address, login);
        signing_in.await.expect("signed in");

        let session = restarted(&host, session).await;

        assert_eq!(session.status().person.as_deref(), Some(email));
        assert_eq!(session.status().phase, Phase::SignedIn, "{email}");
        call_succeeds(&session).await;
        session.sign_out().await;
        removed(&host).await;
    }
}

#[tokio::test]
async fn a_sign_out_removes_the_entry_of_its_session_also_where_it_cannot_be_read() {
    let (host, session) = signed_in().await;
    let mut of_another_version = stored_record(&host);
    of_another_version["version"] = json!(99);
    for entry in [of_another_version.to_string(), "no JSON".into()] {
        let session = if session.status().phase == Phase::SignedIn {
            session.clone()
        } else {
            host.signed_in().await
        };
        host.vault.replace(DEFAULT_ACCOUNT, entry);

        session.sign_out().await;

        removed(&host).await;
    }
}

#[tokio::test]
async fn where_the_record_would_be_too_long_the_next_start_renews_its_access_token() {
    let (host, session) = signed_in().await;
    let whole = stored_record(&host).to_string().len();
    host.vault.limit_length(Some(whole - 1));
    renew(&host, &session).await;
    assert_eq!(session.status().storage, Storage::Saved);
    assert_eq!(stored_record(&host)["access"], Value::Null);

    let session = restarted(&host, session).await;

    assert_eq!(session.status().phase, Phase::SignedIn);
    call_succeeds(&session).await;
    assert_eq!(host.server.counts().renewals, 2);
}

/// A sandboxed and a native installation share the keyring, and not the folder with its lock.
#[tokio::test]
async fn another_installations_entry_is_neither_used_nor_written_over_without_a_sign_in() {
    let (host, native) = signed_in().await;
    let config = |folder: &str| -> Config {
        let mut config = host.config(DEFAULT_ACCOUNT);
        config.state_dir = host.folder().join(folder);
        config
    };
    let entry = host.vault.stored(DEFAULT_ACCOUNT);

    let sandboxed = Session::open(config("sandbox")).await.expect("opens");

    let other = Storage::NotSaved(VaultError::OtherFolder);
    assert_eq!(
        (sandboxed.status().phase, sandboxed.status().storage),
        (Phase::SignedOut, other)
    );
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), entry);

    host.sign_in(&sandboxed).await;
    assert_eq!(sandboxed.status().storage, Storage::Saved);
    let entry = host.vault.stored(DEFAULT_ACCOUNT);
    renew(&host, &native).await;
    assert_eq!(native.status().storage, other);
    assert_eq!(
        host.vault.stored(DEFAULT_ACCOUNT),
        entry,
        "its entry was written over"
    );

    let native = restarted(&host, native).await;
    assert_eq!(
        native.status().locked,
        Some(LockedReason::KeyringOtherFolder)
    );
    call_succeeds(&sandboxed).await;
}

#[tokio::test]
async fn an_entry_of_an_older_version_that_names_no_folder_is_taken_over() {
    let host = TestHost::start().await;
    drop(signed_in_session(&host).await);
    host.clock.quiet().await;
    let mut record = stored_record(&host);
    let named = record.as_object_mut().expect("an object").remove("folder");
    assert!(named.is_some(), "a record names its folder");
    host.vault.replace(DEFAULT_ACCOUNT, record.to_string());
    std::fs::remove_file(state_file(&host)).expect("there");

    let session = host.session(DEFAULT_ACCOUNT).await;
    wait_for_phase(&host, &session, Phase::SignedIn).await;
    renew(&host, &session).await;

    assert_eq!(stored_record(&host)["folder"], named.expect("checked"));
}
