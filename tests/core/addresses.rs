//! Which server an address means, and what may go there unencrypted.

use std::sync::Arc;
use std::time::Duration;

use graphql_session::{Code, Config, DEFAULT_ACCOUNT, LockedReason, Phase, Session, Storage};
use graphql_session_testing::{EMAIL, Fault, TestHost, mutation, query};
use jiff::SignedDuration;

use crate::fixture::watched_twenty::WatchedTwenty;
use crate::fixture::{call_succeeds, code, signed_in_session};

#[tokio::test]
async fn an_address_on_this_computer_without_a_scheme_is_tried_as_plain_http() {
    let host = TestHost::start().await;
    let session = host.session(DEFAULT_ACCOUNT).await;
    for name in ["127.0.0.1", "localhost", "crm.localhost"] {
        let address = host.server.address_as(name);
        let typed = address.strip_prefix("http://").expect("plain HTTP");
        let checked = session.check_server(typed).await;
        assert_eq!(checked.map(|check| check.origin), Ok(address));
    }
}

#[tokio::test]
async fn a_loopback_name_leads_to_this_computer_whatever_its_resolver_says() {
    let host = TestHost::start().await;
    let session = host.session(DEFAULT_ACCOUNT).await;
    // No resolver knows this one, so that only our own answer can lead anywhere.
    for name in ["a.b.c.localhost", "a.b.c.LOCALHOST."] {
        let address = host.server.address_as(name);
        let checked = session.check_server(&address).await;
        assert!(checked.is_ok(), "{checked:?}");
    }
}

#[tokio::test]
async fn plain_http_elsewhere_is_refused_with_a_sentence_that_names_the_setting() {
    let host = TestHost::start().await;
    let session = host.session(DEFAULT_ACCOUNT).await;
    let outcome = session.check_server("http://192.168.8.8:3000").await;
    let error = outcome.expect_err("refused");
    assert_eq!(error.code(), Code::InvalidAddress);
    assert!(error.message().contains("`allowInsecure`"), "{error}");
}

#[tokio::test]
async fn a_named_host_may_be_reached_over_plain_http_and_the_status_says_so() {
    let host = TestHost::start().await;
    let mut config = host.config(DEFAULT_ACCOUNT);
    config.allow_insecure = vec!["192.168.8.8".into(), "fd00::8".into(), "nas.home".into()];
    let session = Session::open(config).await.expect("opens");
    for address in [
        "http://192.168.8.8:3000",
        "http://[fd00::8]",
        "http://NAS.home",
    ] {
        let tokens = host.server.issue("ada@example.com").to_tokens();
        let signing_in = session.sign_in_with_tokens(address, None, tokens);
        let status = signing_in.await.expect("allowed");
        assert!(status.insecure, "{address}");
    }
    for address in [
        "http://192.168.8.9",
        "http://a.nas.home",
        "http://192.168.8.8.example",
    ] {
        let outcome = session.check_server(address).await;
        assert_eq!(code(outcome), Code::InvalidAddress, "{address}");
    }
    host.sign_in(&session).await;
    assert!(!session.status().insecure);
}

#[tokio::test]
async fn after_a_sleep_or_a_change_of_the_network_calls_use_new_connections() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    let before = host.server.counts().connections;
    call_succeeds(&session).await;
    assert_eq!(host.server.counts().connections, before);

    host.clock.jump_wall(SignedDuration::from_mins(8));
    host.clock.run_until(call_succeeds(&session)).await;
    assert_eq!(host.server.counts().connections, before + 1);
    host.clock.advance(Duration::from_secs(1));
    call_succeeds(&session).await;
    assert_eq!(host.server.counts().connections, before + 1);

    session.network_changed();
    call_succeeds(&session).await;
    assert_eq!(host.server.counts().connections, before + 2);
}

/// Connections for each of three calls, the first of whose replies says how long the server keeps idle ones.
async fn connections_of_calls(idle_by_protocol: Duration, keep_alive: &str) -> [u64; 3] {
    let host = TestHost::start().await;
    let mut protocol = WatchedTwenty::default();
    protocol.facts.idle_connection = idle_by_protocol;
    let mut config = host.config(DEFAULT_ACCOUNT);
    config.protocol = Arc::new(protocol);
    let session = Session::open(config).await.expect("opens");
    host.sign_in(&session).await;
    host.server
        .on_every_call(Fault::with_header("keep-alive", keep_alive));
    let mut connections = [0; 3];
    for count in &mut connections {
        let before = host.server.counts().connections;
        call_succeeds(&session).await;
        *count = host.server.counts().connections - before;
    }
    connections
}

#[tokio::test]
async fn connections_are_kept_for_as_long_as_the_server_says_and_not_longer() {
    let (never, long) = (Duration::ZERO, Duration::from_secs(60));
    for (by_protocol, keep_alive, expected) in [
        // Each call a connection, as the protocol says; the second one's is kept.
        (never, "timeout=60", [1, 1, 0]),
        (never, "max=100, Timeout=60", [1, 1, 0]),
        (long, "timeout=900", [1, 0, 0]),
        // One that the server closes after a second may be closed already.
        (long, "timeout=1", [1, 1, 1]),
        (long, "timeout=soon", [1, 0, 0]),
        (never, "max=100", [1, 1, 1]),
        (never, "timeout=18446744073709551615", [1, 1, 0]),
        (long, "timeout=61", [1, 0, 0]),
    ] {
        let connections = connections_of_calls(by_protocol, keep_alive).await;
        assert_eq!(connections, expected, "{by_protocol:?}, {keep_alive}");
    }
}

#[tokio::test]
async fn a_408_that_crosses_a_mutation_may_have_run_and_a_query_is_sent_once_more() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.server.on_call(Fault::status(408));
    let outcome = session.execute(mutation("createPerson")).await;
    assert_eq!(code(outcome), Code::MaybeExecuted);
    assert_eq!(host.server.counts().by_name["graphql createPerson"], 1);

    host.server.on_call(Fault::status(408));
    let reply = session.execute(query("people")).await;
    assert_eq!(reply.map(|reply| reply.status), Ok(200));
    assert_eq!(host.server.counts().by_name["graphql people"], 2);
}

#[tokio::test]
async fn a_status_that_http_does_not_have_is_an_error_and_no_reply() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    for status in [101, 600, 999] {
        host.server.on_call(Fault::status(status));
        let error = session
            .execute(query("people"))
            .await
            .expect_err("no reply");
        assert_eq!(error.code(), Code::Unreachable);
        let word = format!("http_{status}");
        assert_eq!(error.cause().expect("known").to_string(), word);

        host.server.on_call(Fault::status(status));
        let outcome = session.execute(mutation("createPerson")).await;
        assert_eq!(code(outcome), Code::MaybeExecuted);
    }
}

#[tokio::test]
async fn an_address_that_redirects_names_where_it_leads() {
    let host = TestHost::start().await;
    let session = host.session(DEFAULT_ACCOUNT).await;
    let redirect = Fault::redirect("https://crm.example.com/welcome?token=secret");
    host.server.on_check(redirect);
    let outcome = session.check_server(&host.server.address()).await;
    let error = outcome.expect_err("elsewhere");
    assert_eq!(error.code(), Code::LeadsElsewhere);
    assert_eq!(error.leads_to(), Some("https://crm.example.com"));
    let sentence = error.message();
    assert!(
        sentence.contains("leads to https://crm.example.com."),
        "{sentence}"
    );
    assert!(!sentence.contains("secret"), "{sentence}");
}

#[tokio::test]
async fn a_sign_in_that_is_redirected_sends_no_password_there_and_says_where() {
    for status in [301, 302, 307, 308] {
        let host = TestHost::start().await;
        let elsewhere = TestHost::start().await;
        let session = host.session(DEFAULT_ACCOUNT).await;
        let there = elsewhere.server.address();
        let location = format!("{there}/graphql");
        let redirect = Fault::answer_with(status, "location", location, "");
        host.server.on_sign_in(redirect);

        let address = host.server.address();
        let outcome = session.sign_in(&address, host.server.person()).await;

        let error = outcome.expect_err("elsewhere");
        assert_eq!(error.code(), Code::LeadsElsewhere, "{status}");
        assert_eq!(error.leads_to(), Some(&*there), "{status}");
        assert_eq!(elsewhere.server.counts().connections, 0, "{status}");
    }
}

/// Settings with a protocol whose servers may live below a path.
fn below_paths(host: &TestHost) -> Config {
    let mut protocol = WatchedTwenty::default();
    protocol.facts.lives_below_paths = true;
    let mut config = host.config(DEFAULT_ACCOUNT);
    config.protocol = Arc::new(protocol);
    config
}

#[tokio::test]
async fn a_path_in_an_address_is_kept_where_the_protocols_servers_live_below_paths() {
    let host = TestHost::start().await;
    let address = host.server.address();
    let below = format!("{address}/crm/v2");
    for typed in [below.clone(), format!("{below}/"), format!("{below}?a#b")] {
        let session = Session::open(below_paths(&host)).await.expect("opens");
        let _ = session.check_server(&typed).await;
        let tokens = host.server.issue(EMAIL).to_tokens();
        let status = session.sign_in_with_tokens(&typed, None, tokens).await;
        assert_eq!(status.expect("signed in").server, Some(below.clone()));
        drop(session);
        host.clock.quiet().await;

        let session = Session::open(below_paths(&host)).await.expect("opens");
        session.execute(query("people")).await.expect("a reply");
        let seen = host.server.seen();
        let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
        assert!(paths.contains(&"/crm/v2/client-config"), "{paths:?}");
        assert!(paths.contains(&"/crm/v2/graphql"), "{paths:?}");
        assert!(!paths.contains(&"/graphql"), "{paths:?}");
    }

    let mut config = below_paths(&host);
    config.account = "pinned".into();
    config.server = Some(below);
    let session = Session::open(config).await.expect("opens");
    let outcome = session.check_server(&format!("{address}/other")).await;
    assert_eq!(code(outcome), Code::InvalidAddress);
}

#[tokio::test]
async fn a_session_at_another_server_than_the_configured_one_is_kept_and_not_used() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    session.close().await;
    drop(session);
    host.clock.quiet().await;
    let pinned = |server: String| {
        let mut config = host.config(DEFAULT_ACCOUNT);
        config.server = Some(server);
        Session::open(config)
    };
    let stored = host.vault.stored(DEFAULT_ACCOUNT);
    let before = host.server.counts();

    let session = pinned("https://crm.example.com".into()).await;
    let session = session.expect("opens");
    let status = session.status();
    assert_eq!(status.phase, Phase::Locked);
    assert_eq!(status.locked, Some(LockedReason::KeyringOtherServer));
    let error = session.execute(query("people")).await.expect_err("refused");
    assert_eq!(error.code(), Code::Locked);
    let cause = error.cause().expect("known").to_string();
    assert_eq!(cause, "keyring_other_server");
    session.retry_now().await;
    host.clock.pass(Duration::from_secs(120)).await;
    assert_eq!(session.status().phase, Phase::Locked);
    assert_eq!(host.server.counts(), before, "nothing was sent");
    drop(session);
    host.clock.quiet().await;
    assert_eq!(
        host.vault.stored(DEFAULT_ACCOUNT),
        stored,
        "nothing is lost"
    );

    // With the old setting it is back.
    let session = pinned(host.server.address()).await.expect("opens");
    call_succeeds(&session).await;
    drop(session);
    host.clock.quiet().await;

    // A sign-in at the new server replaces it.
    host.server.is_called("localhost");
    let there = host.server.address_as("localhost");
    let session = pinned(there.clone()).await.expect("opens");
    assert_eq!(session.status().phase, Phase::Locked);
    let signing_in = session.sign_in(&there, host.server.person());
    let status = signing_in.await.expect("signed in");
    assert_eq!(
        (status.phase, status.server),
        (Phase::SignedIn, Some(there))
    );
    assert_eq!(session.status().storage, Storage::Saved);
    call_succeeds(&session).await;
}

#[tokio::test]
async fn a_path_that_is_left_out_of_an_address_is_said_where_the_server_is_not_found() {
    let host = TestHost::start().await;
    let session = host.session(DEFAULT_ACCOUNT).await;
    for (path, is_said) in [("/crm", true), ("/", false), ("", false)] {
        host.server.on_check(Fault::html(200));
        let address = format!("{}{path}", host.server.address());
        let error = session.check_server(&address).await.expect_err("a page");
        assert_eq!(error.code(), Code::NotThisServer);
        let sentence = error.message();
        assert_eq!(sentence.contains("path"), is_said, "{path}: {sentence}");
    }
}
