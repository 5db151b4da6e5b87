//! A wrong setting fails when the session is opened, with its key's name.

use std::time::Duration;

use graphql_session::{Code, Config, Limits, Session};
use graphql_session_testing::TestHost;
use serde_json::json;

use crate::fixture::SECOND;

const ZERO: Duration = Duration::ZERO;

type Spoil<T> = fn(&mut T);

/// One of the limits.
type DurationOf = fn(&mut Limits) -> &mut Duration;

#[tokio::test]
async fn a_wrong_value_fails_at_open_and_the_message_names_its_key() {
    let of_config: [(&str, Spoil<Config>); 13] = [
        ("account", |to| to.account = String::new()),
        ("account", |to| to.account = "a/b".into()),
        ("account", |to| to.account = "..".into()),
        ("account", |to| to.account = "x".repeat(65)),
        ("server", |to| {
            to.server = Some("ftp://crm.example.com".into())
        }),
        ("server", |to| {
            to.server = Some("http://crm.example.com".into())
        }),
        ("endAfterSeconds", |to| to.end_after = Some(ZERO)),
        ("endAfterSeconds", |to| to.end_after = Some(Duration::MAX)),
        ("extraRootCertificates", |to| {
            to.extra_root_certificates = "not PEM".into()
        }),
        ("allowedHeaders", |to| {
            to.allowed_headers = vec!["Authorization".into()]
        }),
        ("allowedHeaders", |to| {
            to.allowed_headers = vec!["no name".into()]
        }),
        ("allowInsecure", |to| {
            to.allow_insecure = vec!["*.home".into()]
        }),
        ("allowInsecure", |to| {
            to.allow_insecure = vec!["http://192.168.8.8".into()]
        }),
    ];
    for (key, spoil) in of_config {
        assert_names(key, spoil).await;
    }
    let durations: [(&str, DurationOf); 12] = [
        ("attemptTimeoutMs", |of| &mut of.attempt_timeout),
        ("renewalTimeoutMs", |of| &mut of.renewal_timeout),
        ("maxBackoffMs", |of| &mut of.max_backoff),
        ("lockTimeoutMs", |of| &mut of.lock_timeout),
        ("vaultReadMs", |of| &mut of.vault_read),
        ("vaultWriteMs", |of| &mut of.vault_write),
        ("fileTimeoutMs", |of| &mut of.file_timeout),
        ("callTimeoutMs", |of| &mut of.call_timeout),
        ("signInTimeoutMs", |of| &mut of.sign_in_timeout),
        ("quitTimeoutMs", |of| &mut of.quit_timeout),
        ("streamSilenceMs", |of| &mut of.stream_silence),
        ("slowAfterMs", |of| &mut of.slow_after),
    ];
    for (key, duration) in durations {
        let key = format!("limits.{key}");
        for value in [ZERO, Duration::MAX] {
            assert_names(&key, |config| *duration(&mut config.limits) = value).await;
        }
    }
    let of_limits: [(&str, Spoil<Limits>); 15] = [
        ("renewalTimeoutMs", |to| to.renewal_timeout = 9 * SECOND),
        ("maxBackoffMs", |to| to.max_backoff = 601 * SECOND),
        ("callTimeoutMs", |to| to.call_timeout = 20 * SECOND),
        ("concurrentCalls", |to| to.concurrent_calls = 0),
        ("concurrentCalls", |to| to.slow_calls = usize::MAX),
        ("concurrentCalls", |to| to.concurrent_calls = usize::MAX),
        ("callsUnderWay", |to| to.calls_under_way = 0),
        ("callsUnderWay", |to| to.calls_under_way = usize::MAX),
        ("bytesUnderWay", |to| {
            to.bytes_under_way = to.request_bytes - 1
        }),
        ("bytesUnderWay", |to| to.bytes_under_way = usize::MAX),
        ("bytesUnderWay", |to| to.bytes_under_way = 0),
        ("requestBytes", |to| to.request_bytes = 0),
        ("requestBytes", |to| to.request_bytes = usize::MAX),
        ("replyBytes", |to| to.reply_bytes = 0),
        ("replyBytes", |to| to.reply_bytes = usize::MAX),
    ];
    for (key, spoil) in of_limits {
        let key = format!("limits.{key}");
        assert_names(&key, |config| spoil(&mut config.limits)).await;
    }
}

/// Settings that were spoiled do not open a session, and the message names this key.
async fn assert_names(key: &str, spoil: impl FnOnce(&mut Config)) {
    let host = TestHost::start().await;
    let mut config = host.config("work");
    spoil(&mut config);
    let error = Session::open(config).await.expect_err(key);
    assert_eq!(error.code(), Code::Config, "{key}");
    let message = error.message();
    assert!(message.contains(&format!("`{key}`")), "{key}: {message}");
}

#[tokio::test]
async fn a_state_folder_that_cannot_be_made_fails_at_open() {
    let in_the_way = std::env::current_exe().expect("this test has a file");
    assert_names("stateDir", |config| {
        config.state_dir = in_the_way.join("state")
    })
    .await;
}

#[test]
fn an_unknown_key_and_a_wrong_type_are_named() {
    let of_text = json!({ "limits": { "attemptTimeoutMs": "10 s" } });
    for (settings, key) in [
        (json!({ "acount": "work" }), "acount"),
        (json!({ "limits": { "attemptMS": 1 } }), "attemptMS"),
        (of_text, "limits.attemptTimeoutMs"),
        (json!({ "endAfterSeconds": -1 }), "endAfterSeconds"),
        (json!({ "protocol": "smtp" }), "protocol"),
        (json!({ "server": 7 }), "server"),
    ] {
        let config = Config::from_json("testing", "unused", &settings);
        let error = config.err().expect(key);
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
            "callTimeoutMs": 6, "quitTimeoutMs": 7, "fileTimeoutMs": 13, "concurrentCalls": 8, "requestBytes": 11,
            "replyBytes": 9, "maxBackoffMs": 10, "streamSilenceMs": 12, "slowAfterMs": 14, "slowCalls": 15,
            "callsUnderWay": 16, "bytesUnderWay": 17, "signInTimeoutMs": 18
        }
    });
    let config = Config::from_json("testing", "unused", &settings).expect("right");
    assert_eq!(config.account, "work");
    assert_eq!(config.end_after, Some(Duration::from_secs(60)));
    let ms = Duration::from_millis;
    let limits = Limits {
        attempt_timeout: ms(1),
        renewal_timeout: ms(2),
        max_backoff: ms(10),
        lock_timeout: ms(3),
        vault_read: ms(4),
        vault_write: ms(5),
        file_timeout: ms(13),
        call_timeout: ms(6),
        sign_in_timeout: ms(18),
        quit_timeout: ms(7),
        concurrent_calls: 8,
        slow_after: ms(14),
        slow_calls: 15,
        calls_under_way: 16,
        bytes_under_way: 17,
        request_bytes: 11,
        reply_bytes: 9,
        stream_silence: ms(12),
    };
    assert_eq!(config.limits, limits);
}

#[test]
fn the_default_limits_compose_so_that_no_waiter_outlives_its_call() {
    let limits = Limits::default();
    let vault = limits.vault_read + limits.vault_write;
    let longest = limits.lock_timeout + limits.renewal_timeout + vault;
    assert!(longest <= limits.call_timeout);
    assert!(limits.attempt_timeout <= limits.renewal_timeout);
}

#[cfg(debug_assertions)]
#[test]
fn a_debug_build_keeps_its_files_apart_from_the_installed_application() {
    let config = Config::new("my-app", "data");
    assert_eq!(config.state_dir, std::path::Path::new("data/debug"));
}
