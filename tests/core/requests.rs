//! What goes out and what comes back: named endpoints, allowed headers, untouched bytes (I11).

use graphql_session::{Call, Clock as _, Code, Error, Phase, Session};
use graphql_session_testing::{Counts, Fault, Gate, TestHost, call, mutation, query};

use crate::fixture::{
    MINUTE, SECOND, assert_served, call_fails, call_succeeds, code, hold_renewal, join_all,
    late_failure, renew, signed_in, signed_in_with, signed_out, spawn_calls, wait_for_refusals,
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
async fn forty_calls_that_hang_hold_five_quick_ones_up_for_two_seconds() {
    let (host, session) = signed_in_with(|_| {}).await;
    let gate = Gate::new();
    for _ in 0..40 {
        host.server.on_call(Fault::hold(&gate));
    }
    let hanging = spawn_calls(&session, 40, &query("companies"));
    host.server.wait_for(|counts| counts.calls == 32).await;
    let began = host.clock.awake();
    let quick = spawn_calls(&session, 5, &query("people"));

    assert_served(host.clock.run_until(join_all(quick)).await);

    let took = host.clock.awake() - began;
    assert!(took <= 4 * SECOND, "{took:?}");
    assert_eq!(host.server.counts().calls, 45, "all are on the wire");
    gate.open();
    assert_served(join_all(hanging).await);
    at_most_are_on_the_wire(&host, &session, 32).await;
}

#[tokio::test]
async fn slow_calls_keep_their_places_until_others_wait_and_are_bounded() {
    let (host, session) = signed_in_with(|config| {
        config.limits.concurrent_calls = 2;
        config.limits.slow_calls = 3;
    })
    .await;
    let gate = Gate::new();
    host.server.on_every_call(Fault::hold(&gate));
    let slow = spawn_calls(&session, 2, &query("people"));
    host.server.wait_for(|counts| counts.calls == 2).await;
    host.clock.pass(10 * SECOND).await;

    // They are slow, and nobody has waited for their places so far.
    let more = spawn_calls(&session, 8, &query("people"));
    host.clock.pass(10 * SECOND).await;
    assert_eq!(host.server.counts().calls, 5);

    gate.open();
    assert_served(host.clock.run_until(join_all(slow)).await);
    assert_served(host.clock.run_until(join_all(more)).await);
    host.server.behave();
    at_most_are_on_the_wire(&host, &session, 2).await;
}

/// However many calls are made, so many are sent while none of them is slow.
async fn at_most_are_on_the_wire(host: &TestHost, session: &Session, places: u64) {
    let gate = Gate::new();
    host.server.on_every_call(Fault::hold(&gate));
    let before = host.server.counts().calls;
    let calls = spawn_calls(session, 50, &query("people"));
    let all_are_there = |counts: &Counts| counts.calls == before + places;
    host.server.wait_for(all_are_there).await;
    host.clock.quiet().await;
    assert_eq!(host.server.counts().calls, before + places);
    gate.open();
    assert_served(join_all(calls).await);
    host.server.behave();
}

#[tokio::test]
async fn calls_that_leave_the_queue_or_their_places_free_them() {
    let (host, session) = signed_in_with(|config| {
        config.limits.concurrent_calls = 2;
        config.limits.slow_calls = 2;
    })
    .await;
    let gate = Gate::new();
    host.server.on_every_call(Fault::hold(&gate));
    let calls = spawn_calls(&session, 10, &query("people"));
    host.clock.pass(5 * SECOND).await;
    assert_eq!(host.server.counts().calls, 4, "two of them slow");
    for call in &calls {
        call.abort();
    }
    host.server.wait_for_calls_to_end().await;
    host.server.behave();

    at_most_are_on_the_wire(&host, &session, 2).await;
}

/// While a renewal hangs, pages may ask on and on.
#[tokio::test]
async fn calls_beyond_the_room_for_those_that_wait_are_refused_and_the_room_is_freed() {
    const BODY: usize = 1_000;
    for (calls_under_way, bytes_under_way, room) in
        [(3, 100 * BODY, 3), (100, 5 * BODY + BODY / 2, 5)]
    {
        let (host, session) = signed_in_with(|config| {
            config.limits.request_bytes = BODY;
            config.limits.calls_under_way = calls_under_way;
            config.limits.bytes_under_way = bytes_under_way;
        })
        .await;
        host.server.expire_access_tokens();
        let gate = hold_renewal(&host);
        let blanks = " ".repeat(BODY - query("people").body.len());
        let mut call = query("people");
        call.body = [&call.body, blanks.as_bytes()].concat().into();

        let calls = spawn_calls(&session, room + 4, &call);
        host.server.wait_for(|counts| counts.renewals == 1).await;
        host.clock.quiet().await;
        gate.open();

        let outcomes = join_all(calls).await;
        let refused = |outcome: &Result<_, Error>| {
            let error = outcome.as_ref().err();
            error.is_some_and(|error| error.code() == Code::TooManyCalls)
        };
        let (refused, served): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(refused);
        assert_eq!((refused.len(), served.len()), (4, room));
        assert_served(served);
        assert_served(join_all(spawn_calls(&session, room, &call)).await);
    }
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
