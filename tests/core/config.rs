//! A wrong setting fails when the session is opened, with its key's name.

use std::time::Duration;

use graphql_session::{Code, Config, Limits, Session};
use graphql_session_testing::TestHost;
use serde_json::json;

#[tokio::test]
async fn a_wrong_value_fails_at_open_and_the_message_names_its_key() {
    type Spoil = fn(&mut Config);
    let cases: [(&str, Spoil); 24] = [
        ("account", |config| config.account = String::new()),
        ("account", |config| config.account = "a/b".into()),
        ("account", |config| config.account = "..".into()),
        ("account", |config| config.account = "x".repeat(65)),
        ("server", |config| {
            config.server = Some("ftp://crm.example.com".into())
        }),
        ("server", |config| {
            config.server = Some("http://crm.example.com".into())
        }),
        ("endAfterSeconds", |config| {
            config.end_after = Some(Duration::ZERO)
        }),
        ("extraRootCertificates", |config| {
            config.extra_root_certificates = "not PEM".into()
        }),
        ("allowInsecure", |config| {
            config.allow_insecure = vec!["*.home".into()]
        }),
        ("allowInsecure", |config| {
            config.allow_insecure = vec!["http://192.168.8.8".into()]
        }),
        ("limits.attemptTimeoutMs", |config| {
            config.limits.attempt_timeout = Duration::ZERO
        }),
        ("limits.renewalTimeoutMs", |config| {
            config.limits.renewal_timeout = Duration::ZERO
        }),
        ("limits.renewalTimeoutMs", |config| {
            config.limits.renewal_timeout = Duration::from_secs(9)
        }),
        ("limits.maxBackoffMs", |config| {
            config.limits.max_backoff = Duration::ZERO
        }),
        ("limits.maxBackoffMs", |config| {
            config.limits.max_backoff = Duration::from_secs(601)
        }),
        ("limits.lockTimeoutMs", |config| {
            config.limits.lock_timeout = Duration::ZERO
        }),
        ("limits.vaultReadMs", |config| {
            config.limits.vault_read = Duration::ZERO
        }),
        ("limits.vaultWriteMs", |config| {
            config.limits.vault_write = Duration::ZERO
        }),
        ("limits.callTimeoutMs", |config| {
            config.limits.call_timeout = Duration::from_secs(20)
        }),
        ("limits.quitTimeoutMs", |config| {
            config.limits.quit_timeout = Duration::ZERO
        }),
        ("limits.streamSilenceMs", |config| {
            config.limits.stream_silence = Duration::ZERO
        }),
        ("limits.concurrentCalls", |config| {
            config.limits.concurrent_calls = 0
        }),
        ("limits.requestBytes", |config| {
            config.limits.request_bytes = 0
        }),
        ("limits.replyBytes", |config| config.limits.reply_bytes = 0),
    ];
    let host = TestHost::start().await;
    for (key, spoil) in cases {
        let mut config = host.config("work");
        spoil(&mut config);
        let error = Session::open(config).await.expect_err(key);
        assert_eq!(error.code(), Code::Config, "{key}");
        let named = format!("`{key}`");
        assert!(
            error.message().contains(&named),
            "{key}: {}",
            error.message()
        );
    }
}

#[tokio::test]
async fn a_state_folder_that_cannot_be_made_fails_at_open() {
    let host = TestHost::start().await;
    let mut config = host.config("work");
    let in_the_way = std::env::current_exe().expect("this test has a file");
    config.state_dir = in_the_way.join("state");

    let error = Session::open(config)
        .await
        .expect_err("a file is in the way");

    assert_eq!(error.code(), Code::Config);
    assert!(
        error.message().contains("`stateDir`"),
        "{}",
        error.message()
    );
}

#[test]
fn an_unknown_key_and_a_wrong_type_are_named() {
    for (settings, key) in [
        (json!({ "acount": "work" }), "acount"),
        (json!({ "limits": { "attemptMS": 1 } }), "attemptMS"),
        (
            json!({ "limits": { "attemptTimeoutMs": "10 s" } }),
            "limits.attemptTimeoutMs",
        ),
        (json!({ "endAfterSeconds": -1 }), "endAfterSeconds"),
        (json!({ "protocol": "smtp" }), "protocol"),
        (json!({ "server": 7 }), "server"),
    ] {
        let error = Config::from_json("testing", "unused", &settings)
            .err()
            .expect(key);
        assert_eq!(error.code(), Code::Config, "{key}");
        assert!(error.message().contains(key), "{key}: {}", error.message());
    }
}

#[test]
fn settings_in_json_arrive_in_the_configuration() {
    let settings = json!({
        "account": "work",
        "server": "https://crm.example.com",
        "protocol": "twenty",
        "endAfterSeconds": 60,
        "limits": {
            "attemptTimeoutMs": 1, "renewalTimeoutMs": 2, "lockTimeoutMs": 3, "vaultReadMs": 4, "vaultWriteMs": 5,
            "callTimeoutMs": 6, "quitTimeoutMs": 7, "concurrentCalls": 8, "requestBytes": 11,
            "replyBytes": 9, "maxBackoffMs": 10, "streamSilenceMs": 12
        }
    });
    let config = Config::from_json("testing", "unused", &settings).expect("right");
    assert_eq!(config.account, "work");
    assert_eq!(config.end_after, Some(Duration::from_secs(60)));
    let ms = Duration::from_millis;
    assert_eq!(
        config.limits,
        Limits {
            attempt_timeout: ms(1),
            renewal_timeout: ms(2),
            max_backoff: ms(10),
            lock_timeout: ms(3),
            vault_read: ms(4),
            vault_write: ms(5),
            call_timeout: ms(6),
            quit_timeout: ms(7),
            concurrent_calls: 8,
            request_bytes: 11,
            reply_bytes: 9,
            stream_silence: Duration::from_millis(12),
        }
    );
}

#[test]
fn the_default_limits_compose_so_that_no_waiter_outlives_its_call() {
    let limits = Limits::default();
    let longest =
        limits.lock_timeout + limits.renewal_timeout + limits.vault_read + limits.vault_write;
    assert!(longest <= limits.call_timeout);
    assert!(limits.attempt_timeout <= limits.renewal_timeout);
}
