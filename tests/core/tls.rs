//! TLS: whose certificate is trusted, how connections break, and what HTTP/2 must not change about calls.

use std::time::Duration;

use graphql_session::{Code, DEFAULT_ACCOUNT, StreamEvent};
use graphql_session_testing::{
    Alpn, ConnectionFault, Fault, Gate, ServerCertificate, TestHost, mutation, query, subscription,
};

use crate::fixture::{call_succeeds, join_all, signed_in_session, spawn_call, spawn_calls};

/// As many as may be on the wire at a time.
const CALLS: usize = 32;

/// The pause before a ping and the time for its answer, 25 s, on a busy machine.
const NOTICED_WITHIN: Duration = Duration::from_secs(60);

/// What each reason to refuse a certificate is called.
const REFUSED: [(ServerCertificate, &str); 4] = [
    (ServerCertificate::Untrusted, "certificate_untrusted"),
    (ServerCertificate::Expired, "certificate_expired"),
    (ServerCertificate::NotYetValid, "certificate_not_yet_valid"),
    (ServerCertificate::OtherName, "certificate_other_name"),
];

fn cause<T: std::fmt::Debug>(outcome: Result<T, graphql_session::Error>) -> (Code, String) {
    let error = outcome.expect_err("an error was due");
    let cause = error.cause().expect("a cause is known");
    (error.code(), cause.to_string())
}

#[tokio::test]
async fn calls_that_start_at_once_share_one_handshake_over_http2() {
    let host = TestHost::start_with_tls().await;
    let session = host.signed_in().await;
    let before = host.server.counts();

    let calls = spawn_calls(&session, CALLS, &query("people"));
    for outcome in host.clock.run_until(join_all(calls)).await {
        assert_eq!(outcome.map(|reply| reply.status), Ok(200));
    }

    let counts = host.server.counts();
    assert_eq!(counts.handshakes - before.handshakes, 1);
    assert_eq!(counts.http2_requests - before.http2_requests, CALLS as u64);
}

#[tokio::test]
async fn a_server_without_http2_is_spoken_to_in_http1() {
    for alpn in [Alpn::Http1, Alpn::Unknown] {
        let host = TestHost::start().await;
        host.server.speak_tls(ServerCertificate::Good, alpn);
        let session = host.signed_in().await;

        let calls = spawn_calls(&session, CALLS, &query("people"));
        for outcome in host.clock.run_until(join_all(calls)).await {
            assert_eq!(outcome.map(|reply| reply.status), Ok(200), "{alpn:?}");
        }

        assert_eq!(host.server.counts().http2_requests, 0, "{alpn:?}");
    }
}

#[tokio::test]
async fn each_renewal_over_http2_has_a_connection_of_its_own() {
    let host = TestHost::start_with_tls().await;
    let session = signed_in_session(&host).await;
    host.clock.run_until(call_succeeds(&session)).await;
    for _ in 0..2 {
        host.server.expire_access_tokens();
        let before = host.server.counts();

        host.clock.run_until(call_succeeds(&session)).await;

        let counts = host.server.counts();
        assert_eq!(counts.renewals - before.renewals, 1);
        assert_eq!(counts.handshakes - before.handshakes, 1);
    }
}

#[tokio::test]
async fn a_certificate_is_refused_at_sign_in_by_the_name_of_its_fault() {
    for (certificate, word) in REFUSED {
        let host = TestHost::start_with_tls().await;
        let session = host.session(DEFAULT_ACCOUNT).await;
        host.server.speak_tls(certificate, Alpn::Http2);

        let outcome = session.check_server(&host.server.address()).await;

        assert_eq!(cause(outcome), (Code::Certificate, word.to_owned()));
        assert_eq!(host.server.counts().requests, 0, "{certificate:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_went_bad_is_named_by_calls_and_keeps_the_session() {
    for (certificate, word) in REFUSED {
        let host = TestHost::start_with_tls().await;
        let session = signed_in_session(&host).await;
        host.server.stop().await;
        host.server.speak_tls(certificate, Alpn::Http2);
        host.server.start_again();
        let before = host.server.counts();

        let outcome = session.execute(mutation("createPerson")).await;

        let sentence = outcome.as_ref().expect_err("refused").to_string();
        assert!(sentence.contains("certificate of 127.0.0.1"), "{sentence}");
        assert_eq!(cause(outcome), (Code::Unreachable, word.to_owned()));
        assert_eq!(host.server.counts().requests, before.requests);
        assert!(session.status().has_session());
    }
}

#[tokio::test]
async fn a_root_certificate_is_trusted_only_where_the_settings_name_it() {
    let host = TestHost::start_with_tls().await;
    let mut config = host.config(DEFAULT_ACCOUNT);
    config.extra_root_certificates = String::new();
    let stranger = graphql_session::Session::open(config).await.expect("opens");

    let outcome = stranger.check_server(&host.server.address()).await;

    let untrusted = (Code::Certificate, "certificate_untrusted".to_owned());
    assert_eq!(cause(outcome), untrusted);
    let session = host.session("work").await;
    let checked = session.check_server(&host.server.address()).await;
    assert_eq!(checked.map(|check| check.origin), Ok(host.server.address()));
}

#[tokio::test]
async fn plain_http_behind_https_is_said_to_be_no_tls() {
    let host = TestHost::start().await;
    let session = host.session(DEFAULT_ACCOUNT).await;
    let address = host.server.address().replace("http:", "https:");

    let outcome = session.check_server(&address).await;

    assert_eq!(cause(outcome), (Code::NoAnswer, "not_tls".to_owned()));
}

#[tokio::test]
async fn a_connection_that_breaks_in_its_handshake_was_not_used() {
    for fault in [ConnectionFault::HangUp, ConnectionFault::HangUpInHandshake] {
        let host = TestHost::start_with_tls().await;
        let session = host.signed_in().await;
        host.server.on_every_connection(fault);

        let outcome = session.execute(mutation("createPerson")).await;

        assert_eq!(cause(outcome), (Code::Unreachable, "connect".to_owned()));
        host.server.behave();
        host.clock.run_until(call_succeeds(&session)).await;
        assert_eq!(host.server.effects_of("createPerson"), 0);
    }
}

#[tokio::test]
async fn a_handshake_that_stalls_ends_with_the_attempt() {
    let host = TestHost::start_with_tls().await;
    let session = signed_in_session(&host).await;
    host.server.expire_access_tokens();
    host.server.on_connection(ConnectionFault::Stall);

    host.clock.run_until(call_succeeds(&session)).await;

    let journal = session.journal();
    let answered = journal.iter().find(|entry| entry.what == "answered");
    assert_eq!(answered.expect("noted").facts["cause"], "timeout");
}

#[tokio::test]
async fn over_tls_a_lost_answer_to_a_mutation_may_have_run_and_is_not_repeated() {
    for alpn in [Alpn::Http2, Alpn::Http1] {
        for fault in [
            Fault::after_acting(Fault::Close),
            Fault::after_acting(Fault::ResetStream),
            Fault::Truncate(5),
            Fault::ResetInBody,
        ] {
            let case = format!("{alpn:?} {fault:?}");
            let host = TestHost::start_with_tls().await;
            host.server.speak_tls(ServerCertificate::Good, alpn);
            let session = signed_in_session(&host).await;
            host.server.on_call(fault);

            let outcome = session.execute(mutation("createPerson")).await;

            assert_eq!(cause(outcome).0, Code::MaybeExecuted, "{case}");
            let counts = host.server.counts();
            assert_eq!(counts.by_name["graphql createPerson"], 1, "{case}");
            assert_eq!(counts.effects_of("createPerson"), 1, "{case}");
        }
    }
}

#[tokio::test]
async fn a_mutation_on_a_refused_stream_did_not_run_and_is_not_sent_again() {
    let host = TestHost::start_with_tls().await;
    let session = signed_in_session(&host).await;
    host.server.on_call(Fault::RefuseStream);

    let outcome = session.execute(mutation("createPerson")).await;

    let refused = (Code::Unreachable, "stream_refused".to_owned());
    assert_eq!(cause(outcome), refused);
    let counts = host.server.counts();
    assert_eq!(counts.by_name["graphql createPerson"], 1);
    assert_eq!(counts.effects_of("createPerson"), 0);
}

#[tokio::test]
async fn a_query_on_a_refused_stream_is_sent_once_more() {
    let host = TestHost::start_with_tls().await;
    let session = signed_in_session(&host).await;
    host.server.on_call(Fault::RefuseStream);
    let reply = session.execute(query("people")).await;
    assert_eq!(reply.map(|reply| reply.status), Ok(200));
    assert_eq!(host.server.counts().by_name["graphql people"], 2);

    host.server.on_every_call(Fault::RefuseStream);
    let outcome = session.execute(query("companies")).await;
    let refused = (Code::Unreachable, "stream_refused".to_owned());
    assert_eq!(cause(outcome), refused);
    assert_eq!(host.server.counts().by_name["graphql companies"], 2);
}

#[tokio::test]
async fn a_mutation_that_meets_goaway_did_not_run_and_is_not_sent_again() {
    let host = TestHost::start_with_tls().await;
    let session = signed_in_session(&host).await;
    host.server.stop().await;
    host.server.start_again();
    let before = host.server.counts();
    host.server.on_connection(ConnectionFault::GoAway);

    let outcome = session.execute(mutation("createPerson")).await;

    let refused = (Code::Unreachable, "stream_refused".to_owned());
    assert_eq!(cause(outcome), refused);
    let counts = host.server.counts();
    assert_eq!(counts.requests_turned_away, 1);
    assert_eq!(counts.calls, before.calls);
}

#[tokio::test]
async fn an_answer_under_way_survives_a_servers_farewell() {
    let host = TestHost::start_with_tls().await;
    let session = signed_in_session(&host).await;
    let gate = Gate::new();
    host.server.on_call(Fault::hold_answer(&gate));
    let call = spawn_call(&session, mutation("createPerson"));
    host.server
        .wait_for(|counts| counts.effects_of("createPerson") == 1)
        .await;

    host.server.close_idle_connections();
    gate.open();

    let reply = call.await.expect("no panic");
    assert_eq!(reply.map(|reply| reply.status), Ok(200));
    host.clock.run_until(call_succeeds(&session)).await;
}

#[tokio::test]
async fn a_renewal_on_a_refused_stream_left_its_token_unused() {
    let host = TestHost::start_with_tls().await;
    let session = signed_in_session(&host).await;
    host.server.expire_access_tokens();
    host.server.on_renewal(Fault::RefuseStream);

    host.clock.run_until(call_succeeds(&session)).await;

    assert_eq!(host.server.counts().renewals, 2);
    let answered = session
        .journal()
        .into_iter()
        .find(|entry| entry.what == "answered");
    let facts = answered.expect("noted").facts;
    assert_eq!(facts["cause"], "stream_refused");
    assert_eq!(facts["token"], "not_sent");
}

#[tokio::test]
async fn a_call_that_is_taken_back_cancels_its_stream_and_keeps_the_connection() {
    let host = TestHost::start_with_tls().await;
    let session = signed_in_session(&host).await;
    let before = host.server.counts();
    host.server.on_call(Fault::Stall);
    let call = spawn_call(&session, query("people"));
    let arrived = before.calls + 1;
    host.server.wait_for(|counts| counts.calls == arrived).await;

    call.abort();

    host.server
        .wait_for(|counts| counts.streams_cancelled == 1)
        .await;
    host.clock.run_until(call_succeeds(&session)).await;
    assert_eq!(host.server.counts().handshakes, before.handshakes);
}

#[tokio::test]
async fn over_http2_a_reply_that_is_too_long_is_refused_and_its_stream_cancelled() {
    let host = TestHost::start_with_tls().await;
    let mut config = host.config(DEFAULT_ACCOUNT);
    config.limits.reply_bytes = 1 << 20;
    let session = graphql_session::Session::open(config).await.expect("opens");
    host.sign_in(&session).await;
    host.server.on_call(Fault::EndlessChunks);

    let outcome = session.execute(query("people")).await;

    assert_eq!(outcome.expect_err("too long").code(), Code::TooLarge);
    host.server.wait_for_calls_to_end().await;
    host.clock.run_until(call_succeeds(&session)).await;
}

#[tokio::test]
async fn a_stream_over_http2_has_a_connection_of_its_own_and_holds_no_call_up() {
    let host = TestHost::start_with_tls().await;
    let session = signed_in_session(&host).await;
    let before = host.server.counts();
    let mut events = session
        .subscribe(subscription("personChanged"))
        .expect("a subscription");
    assert_eq!(
        host.clock.run_until(events.next()).await,
        Some(StreamEvent::Open)
    );
    let feed = host.server.feed(0).await;

    // More than one connection's window, and nobody reads it.
    let event = format!("event: next\ndata: {}\n\n", "x".repeat(1 << 20));
    (0..16).for_each(|_| feed.bytes(event.clone()));
    host.clock.run_until(call_succeeds(&session)).await;

    assert_eq!(host.server.counts().handshakes, before.handshakes + 1);
    let asked = host.server.seen_asking_for("personChanged");
    assert_eq!(asked[0].header("accept-encoding"), Some("identity"));
}

/// Takes 25 s: hyper's pings keep real time.
#[tokio::test]
async fn a_connection_that_died_without_a_word_is_noticed_by_its_pings() {
    let host = TestHost::start_with_tls().await;
    let session = signed_in_session(&host).await;
    let before = host.server.counts();
    host.server.on_call(Fault::FallSilent);

    let reply = tokio::time::timeout(NOTICED_WITHIN, session.execute(query("people"))).await;

    // Sent once more, on a new connection.
    let reply = reply.expect("the pings notice it");
    let counts = host.server.counts();
    assert_eq!(reply.map(|reply| reply.status), Ok(200), "{counts:#?}");
    assert_eq!(counts.handshakes, before.handshakes + 1);
    assert_eq!(counts.by_name["graphql people"], 2);
}
