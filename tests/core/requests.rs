//! What goes out and what comes back: named endpoints, allowed headers, untouched bytes (I11).

use graphql_session::{Call, Code, Phase};
use graphql_session_testing::{Fault, Gate, TestHost, call, mutation, query};

use crate::fixture::{
    MINUTE, assert_served, call_fails, call_succeeds, code, hold_renewal, join_all, late_failure,
    renew, signed_in, signed_in_with, signed_out, spawn_calls, wait_for_refusals,
    with_expired_token,
};

#[tokio::test]
async fn a_reply_that_is_no_json_is_handed_on_with_its_status() {
    let (host, session) = signed_in().await;
    host.server.on_call(Fault::html(500));

    let reply = session.execute(query("people")).await.expect("handed on");

    assert_eq!(reply.status, 500);
    assert_eq!(reply.content_type.as_deref(), Some("text/html"));
    assert!(reply.body.starts_with(b"<!doctype html>"));
}

#[tokio::test]
async fn unknown_endpoints_and_addresses_are_refused_without_a_request() {
    let (host, session) = signed_in().await;
    let before = host.server.counts();
    let elsewhere = TestHost::start().await;

    for endpoint in [
        "",
        "admin",
        "GraphQL",
        "/graphql",
        "/rest/people",
        "graphql/../rest/people",
        "//evil.example/graphql",
        "https://evil.example/graphql",
        &format!("{}/graphql", elsewhere.server.address()),
    ] {
        let call = call(endpoint.to_owned(), "query", "people");
        let outcome = session.execute(call).await;
        assert_eq!(code(outcome), Code::InvalidRequest, "{endpoint}");
    }

    assert_eq!(host.server.counts(), before);
    assert_eq!(elsewhere.server.counts().connections, 0);
}

fn with_header(name: &str, value: &str) -> Call {
    let mut call = query("people");
    call.headers = vec![(name.into(), value.into())];
    call
}

#[tokio::test]
async fn headers_that_could_carry_credentials_or_forge_the_route_are_refused() {
    let (host, session) = signed_in().await;
    let before = host.server.counts();

    for name in [
        "Authorization",
        "authorization",
        "Cookie",
        "Host",
        "Proxy-Authorization",
        "X-Forwarded-For",
        "X-HTTP-Method-Override",
        "X-Original-URL",
        "X-Real-IP",
        "x-hasura-admin-secret",
        "x-anything",
        "graphql-anything",
        "Origin",
        "Sec-Fetch-Site",
        "Connection",
        "Content-Length",
        "Transfer-Encoding",
        "bad name",
        "",
    ] {
        let outcome = session.execute(with_header(name, "value")).await;
        assert_eq!(code(outcome), Code::InvalidRequest, "{name}");
    }
    let forged = with_header("x-request-id", "one\r\nauthorization: two");
    assert_eq!(code(session.execute(forged).await), Code::InvalidRequest);

    assert_eq!(host.server.counts(), before);
}

#[tokio::test]
async fn allowed_headers_arrive_and_the_session_sets_authorization_itself() {
    let (host, session) = signed_in().await;
    let mut call = with_header("Accept-Language", "de");
    call.headers.push(("X-Request-Id".into(), "7".into()));

    session.execute(call).await.expect("served");

    let seen = host.server.seen_asking_for("people").remove(0);
    assert_eq!(seen.header("accept-language"), Some("de"));
    assert_eq!(seen.header("x-request-id"), Some("7"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("cookie"), None);
    let bearer = seen.header("authorization").expect("set by the session");
    assert!(bearer.starts_with("Bearer ey"));
}

#[tokio::test]
async fn a_header_that_a_setting_adds_arrives_in_any_case() {
    let (host, session) = signed_in_with(|config| {
        config.allowed_headers = vec!["X-Tenant".into()];
    })
    .await;

    session
        .execute(with_header("x-TENANT", "north"))
        .await
        .expect("served");
    let seen = host.server.seen_asking_for("people").remove(0);
    assert_eq!(seen.header("x-tenant"), Some("north"));

    let other = session.execute(with_header("x-tenant-id", "north")).await;
    assert_eq!(code(other), Code::InvalidRequest);
}

#[tokio::test]
async fn too_many_headers_and_too_many_bytes_of_them_are_refused() {
    let (host, session) = signed_in().await;
    let before = host.server.counts();
    let with_headers = |kind: &str, count: usize, bytes: usize| {
        let mut call = call("graphql".to_owned(), kind, "people");
        call.headers = vec![("x-request-id".into(), "7".repeat(bytes)); count];
        call
    };

    // The largest table of headers has room for 24,576.
    for (count, bytes) in [(33, 1), (24_577, 1), (1, 4_085), (32, 200)] {
        let outcome = session.execute(with_headers("query", count, bytes)).await;
        assert_eq!(code(outcome), Code::InvalidRequest, "{count} of {bytes}");
        let refusal = session
            .subscribe(with_headers("subscription", count, bytes))
            .err();
        let refusal = refusal.expect("it is refused").code();
        assert_eq!(refusal, Code::InvalidRequest, "{count} of {bytes}");
    }
    assert_eq!(host.server.counts(), before);
    for (count, bytes) in [(32, 1), (1, 4_084)] {
        let call = with_headers("query", count, bytes);
        session.execute(call).await.expect("served");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_carries_no_authorization_elsewhere() {
    let (host, session) = signed_in().await;
    let elsewhere = TestHost::start().await;
    let address = format!("{}/graphql", elsewhere.server.address());
    host.server.on_call(Fault::redirect(address));

    let reply = session.execute(query("people")).await.expect("handed on");

    assert_eq!(reply.status, 302);
    assert_eq!(elsewhere.server.counts().connections, 0);
    let status = session.status();
    assert_eq!((status.phase, status.endings), (Phase::SignedIn, 0));
}

/// If a server closed an idle connection while a renewal was sent over it, the session would not know whether the
/// refresh token was used.
#[tokio::test]
async fn every_renewal_opens_a_connection_of_its_own() {
    let (host, session) = signed_in().await;
    renew(&host, &session).await;
    host.server.expire_access_tokens();
    let before = host.server.counts();

    call_succeeds(&session).await;

    let after = host.server.counts();
    assert_eq!((before.renewals, after.renewals), (1, 2));
    assert!(after.connections > before.connections);
}

#[tokio::test]
async fn a_reply_over_the_limit_is_refused_and_not_handed_on() {
    let (host, session) = signed_in_with(|config| config.limits.reply_bytes = 1_000).await;
    host.server.answer("people", "x".repeat(2_000));

    assert_eq!(call_fails(&session).await, Code::TooLarge);
}

#[tokio::test]
async fn a_chunked_reply_is_handed_on_untouched() {
    let (host, session) = signed_in().await;
    let body = format!("{{\"data\":\"{}\"}}", "x".repeat(1_000));
    host.server.answer("people", body.clone());
    host.server.on_call(Fault::Chunked);

    let reply = session.execute(query("people")).await.expect("served");

    assert_eq!(reply.body, body);
}

#[tokio::test]
async fn a_chunked_reply_that_breaks_off_is_no_reply() {
    let (host, session) = signed_in().await;
    for (call, expected) in [
        (query("people"), Code::Unreachable),
        (mutation("createPerson"), Code::MaybeExecuted),
    ] {
        host.server.on_call(Fault::TruncateChunks(30));
        assert_eq!(code(session.execute(call).await), expected);
    }
    assert_eq!(host.server.counts().effects_of("createPerson"), 1);
}

/// No header announces the length, so the limit can only be enforced while reading. The server counts as reachable.
#[tokio::test]
async fn the_reply_limit_of_a_chunked_answer_is_enforced_while_reading() {
    // Many chunks, and one that is too long by itself.
    for (limit, length) in [(1_000, 2_000), (50, 60)] {
        let (host, session) = signed_in_with(|config| config.limits.reply_bytes = limit).await;
        host.server.answer("people", "x".repeat(length));

        for fault in [Fault::Chunked, Fault::EndlessChunks] {
            host.server.on_call(fault);
            assert_eq!(late_failure(&host, &session).await, Code::TooLarge);
            host.clock.quiet().await;
            assert_eq!(session.status().phase, Phase::SignedIn);
        }
    }
}

#[tokio::test]
async fn at_most_the_configured_number_of_calls_is_on_the_wire_and_the_rest_queue() {
    let (host, session) = signed_in_with(|config| config.limits.concurrent_calls = 3).await;
    let gate = Gate::new();
    host.server.on_every_call(Fault::hold(&gate));

    let calls = spawn_calls(&session, 10, &query("people"));
    host.server.wait_for(|counts| counts.calls == 3).await;
    host.clock.quiet().await;
    assert_eq!(host.server.counts().calls, 3);
    gate.open();

    assert_served(join_all(calls).await);
}

#[tokio::test]
async fn waiters_do_not_count_as_calls_on_the_wire() {
    let (host, session) = signed_in_with(|config| config.limits.concurrent_calls = 1).await;
    host.server.expire_access_tokens();
    let gate = hold_renewal(&host);

    let calls = spawn_calls(&session, 5, &query("people"));
    wait_for_refusals(&host, 5).await;
    gate.open();

    assert_served(join_all(calls).await);
}

#[tokio::test]
async fn a_call_without_a_session_fails_without_a_request() {
    let (host, session) = signed_out().await;
    for call in [
        query("people"),
        mutation("createPerson"),
        Call::new("graphql", ""),
    ] {
        assert_eq!(code(session.execute(call).await), Code::SignedOut);
    }
    assert_eq!(host.server.counts().connections, 0);
}

#[tokio::test]
async fn a_body_that_is_not_graphql_is_sent_as_it_is_and_counts_as_a_mutation() {
    let (host, session) = with_expired_token().await;
    host.clock.advance(45 * MINUTE);
    let odd = Call::new("graphql", r#"[{"query":"{ people { id } }"}]"#);

    let reply = session.execute(odd).await;

    let seen = host.server.seen().pop().expect("arrived");
    assert_eq!(seen.body, br#"[{"query":"{ people { id } }"}]"#);
    assert_served(vec![reply]);
}
