//! Which server an address means, and what may go there unencrypted.

use std::time::Duration;

use graphql_session::{Code, DEFAULT_ACCOUNT, Session};
use graphql_session_testing::{Fault, TestHost, mutation, query};
use jiff::SignedDuration;

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
    assert_eq!(error.code(), Code::NotThisServer);
    let sentence = error.message();
    assert!(
        sentence.contains("leads to https://crm.example.com."),
        "{sentence}"
    );
    assert!(!sentence.contains("secret"), "{sentence}");
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
