//! Replies: handed over byte for byte, and judged only by their status, `data` and `errors`.

use std::sync::Arc;

use graphql_session::{Call, Code, Envelope, Phase, Protocol as _, RawReply, Session, Twenty};
use graphql_session_testing::{Counts, Fault, Gate, TestHost, mutation, query};

use crate::fixture::watched_twenty::WatchedTwenty;
use crate::fixture::{
    assert_failed, call_at_server, call_fails, call_succeeds, join_all, renew, sign_in_as_grace,
    signed_in, signed_in_with, spawn_call,
};

const REFUSAL: &str = r#"{"message":"Token has expired.","extensions":{"code":"UNAUTHENTICATED"}}"#;

#[tokio::test]
async fn every_reply_is_handed_over_byte_for_byte() {
    let (host, session) = signed_in().await;
    for body in [
        // Numbers that a double cannot hold, and spellings that a parser would change.
        r#"{"data":{"big":123456789012345678901234567890,"small":1e-400,"zero":-0,"one":1.0,"ten":1E1}}"#,
        r#"{ "extensions" : {"cost":1}, "errors":[{"message":"no","path":["b",0]}],"data" : {"z":1,"a":2,"z":3} }"#,
        r#"{"data":{"a":1},"data":{"b":2},"errors":null}"#,
        "{\"data\":{\"text\":\"\\u00e9 é \\ud83d\\ude00 \\/ \\ud800\"}}\r\n\n ",
        "\u{feff}{\"data\":{}}",
        r#"{"data":{"cut":["#,
        "{\"data\":{\"beyond a double\":1e400}}",
        "{\"data\":{\"zebra\":12345678901234567890123,\"apple\":1.50}}",
        "{ \"data\" : {\"b\":[1.0, -0],\n\t\"a\":1,\"b\":null,\"text\":\"\\u00e9é\\/\"} }\r\n ",
        "[1,2,3]",
        "null",
        "<!doctype html><p>Welcome",
        "",
    ] {
        host.server.answer("people", body);
        for is_replayed in [false, true] {
            if is_replayed {
                host.server.expire_access_tokens();
            }
            let before = host.server.counts().renewals;
            let reply = session.execute(query("people")).await.expect("handed on");
            assert_eq!((reply.status, &reply.body[..]), (200, body.as_bytes()));
            let content_type = reply.content_type.as_deref();
            assert_eq!(content_type, Some("application/json; charset=utf-8"));
            let renewals = host.server.counts().renewals - before;
            assert_eq!(renewals, u64::from(is_replayed), "{body}");
        }
    }
}

/// A reply with data means that something ran, so no mutation is replayed, wherever `data` is in the reply, and with any error
/// beside it.
#[tokio::test]
async fn a_mutations_reply_with_a_data_object_is_handed_over_also_with_a_refusal_in_it() {
    let (host, session) = signed_in().await;
    let usual = format!(r#"{{"data":{{}},"errors":[{REFUSAL}]}}"#);
    let replies = [
        (400, usual.clone()),
        (200, usual),
        (
            200,
            format!(r#"{{"errors":[{REFUSAL}],"data":{{"a":null}}}}"#),
        ),
        (
            200,
            format!(" {{\n\t\"data\" : \r\n{{\"a\":1}},\"errors\":[{REFUSAL}]}}"),
        ),
        (
            200,
            format!(r#"{{"data":{{"a":1}},"data":null,"errors":[{REFUSAL}]}}"#),
        ),
        (200, format!(r#"{{"data":{{"a":[1,"errors":[{REFUSAL}]}}"#)),
    ];
    for (status, body) in replies {
        host.server.on_call(Fault::answer(status, body.clone()));
        let reply = session.execute(mutation("createPerson")).await;
        assert_eq!(reply.expect("handed over").body, body, "{status}");
    }
    assert_eq!(host.server.counts().renewals, 0);
}

#[tokio::test]
async fn a_refusal_without_a_data_object_is_replayed_wherever_it_stands_in_the_reply() {
    for body in [
        format!(r#"{{"errors":[{REFUSAL}]}}"#),
        format!(r#"{{"data":null,"errors":[{REFUSAL}]}}"#),
        format!(r#"{{"data":null,"extensions":{{"data":{{"a":1}}}},"errors":[{REFUSAL}]}}"#),
        format!(r#"{{"extensions":{{"data":{{}}}},"errors":[{REFUSAL}]}}"#),
    ] {
        let (host, session) = signed_in().await;
        host.server.on_call(Fault::json(body.clone()));
        let reply = session.execute(query("people")).await.expect("replayed");
        assert_ne!(reply.body, body);
        assert_eq!(host.server.counts().renewals, 1, "{body}");
    }
}

/// A plain HTTP 401 is a refusal, unless it brings data and names no error: then all of it ran.
#[tokio::test]
async fn a_401_is_a_refusal_unless_its_body_is_only_data() {
    for (body, renewals) in [
        ("", 1),
        ("Unauthorized", 1),
        ("{}", 1),
        (r#"{"errors":["Unauthorized"]}"#, 1),
        (r#"{"data":{"cut":["#, 0),
        (r#"{"data":{"a":1}}"#, 0),
        (r#"{"errors":["Unauthorized"],"data":{"a":1}}"#, 1),
    ] {
        let (host, session) = signed_in().await;
        host.server.on_call(Fault::answer(401, body));
        let reply = session.execute(query("people")).await.expect("a reply");
        let status = if renewals == 1 { 200 } else { 401 };
        assert_eq!(reply.status, status, "{body}");
        assert_eq!(host.server.counts().renewals, renewals, "{body}");
    }
}

#[tokio::test]
async fn a_reply_names_its_session_and_has_the_servers_retry_after() {
    let (host, session) = signed_in().await;
    host.server.on_call(Fault::retry_after(429, "7"));

    let reply = session.execute(query("people")).await.expect("a reply");

    assert_eq!(Some(reply.session), session.id());
    let headers: Vec<_> = reply.headers().collect();
    assert_eq!(headers, [("retry-after", "7")]);
}

#[tokio::test]
async fn a_byte_order_mark_hides_neither_a_refused_call_nor_a_rejected_renewal() {
    let (host, session) = signed_in().await;
    let refusal = format!("\u{feff}{{\"errors\":[{REFUSAL}]}}");
    host.server.on_call(Fault::json(refusal.as_str()));

    let reply = session.execute(query("people")).await.expect("served");

    assert_eq!((reply.status, host.server.counts().renewals), (200, 1));
    host.server.expire_access_tokens();
    host.server.on_every_renewal(Fault::json(refusal.as_str()));
    assert_eq!(call_fails(&session).await, Code::SignedOut);
    assert_eq!(session.status().phase, Phase::Ended);
}

#[tokio::test]
async fn new_tokens_behind_a_byte_order_mark_are_read() {
    let (host, session) = signed_in().await;
    host.server.on_renewal(Fault::behind_a_byte_order_mark());

    renew(&host, &session).await;

    assert_eq!(session.generation(), Some(2));
    assert_eq!(host.server.counts().renewals, 1);
}

#[tokio::test]
async fn any_error_of_a_reply_may_be_its_refusal() {
    let others = r#"{"message":"no","extensions":{"code":"INTERNAL_SERVER_ERROR"}},"x",null"#;
    for body in [
        format!(r#"{{"errors":[{others},{REFUSAL}]}}"#),
        format!(r#"{{"errors":[{REFUSAL},{others}],"data":null}}"#),
    ] {
        let (host, session) = signed_in().await;
        host.server.on_call(Fault::json(body.clone()));
        let reply = session.execute(mutation("createPerson")).await;
        assert_ne!(reply.expect("replayed").body, body);
        let counts = host.server.counts();
        assert_eq!((counts.renewals, counts.effects_of("createPerson")), (1, 1));
    }
}

#[tokio::test]
async fn a_batch_is_replayed_only_where_every_part_was_refused() {
    let refused = format!(r#"{{"errors":[{REFUSAL}]}}"#);
    let other = r#"{"errors":[{"message":"no"}]}"#;
    for (status, body, renewals) in [
        (200, format!("[{refused},{refused}]"), 1),
        (401, format!(" [{refused}]"), 1),
        (401, format!("[{refused},{other}]"), 1),
        (401, "[]".into(), 1),
        (200, format!("[{refused},{other}]"), 0),
        (401, format!(r#"[{{"data":{{"a":1}}}},{refused}]"#), 0),
        (401, format!(r#"[{refused},{{"data":{{"a":1}}}}]"#), 0),
        (
            200,
            format!(r#"[{{"data":{{"a":null}},"errors":[{REFUSAL}]}}]"#),
            0,
        ),
        (401, format!("[{refused},7]"), 0),
        (401, format!(r#"[{refused},{{"data":{{"cut":["#), 0),
        (200, "[]".into(), 0),
    ] {
        let (host, session) = signed_in().await;
        host.server.on_call(Fault::answer(status, body.clone()));
        // The server of the tests takes no batches; only the reply says that it was one.
        let batch = mutation("createPerson");
        let reply = session.execute(batch).await.expect("a reply");
        assert_eq!(host.server.counts().renewals, renewals, "{status} {body}");
        assert_eq!(reply.body == body, renewals == 0, "{status} {body}");
    }
}

#[tokio::test]
async fn a_query_that_is_refused_in_part_is_replayed_once_and_a_mutation_handed_over() {
    let partial = format!(r#"{{"data":{{"me":null,"open":1}},"errors":[{REFUSAL}]}}"#);
    let (host, session) = signed_in().await;
    for (call, renewals) in [
        (query("people"), 1),
        (mutation("createPerson"), 0),
        (Call::new("graphql", r#"{"query":"query {"}"#), 0),
    ] {
        let before = host.server.counts().renewals;
        host.server.on_call(Fault::json(partial.as_str()));
        let reply = session.execute(call).await.expect("a reply");
        assert_eq!(reply.body == partial, renewals == 0);
        assert_eq!(host.server.counts().renewals - before, renewals);
    }
}

/// A page that polls such a query goes on with the part, and the budget of renewals holds.
#[tokio::test]
async fn a_query_that_stays_refused_in_part_is_handed_over_with_few_renewals() {
    let partial = format!(r#"{{"data":{{"me":null,"open":1}},"errors":[{REFUSAL}]}}"#);
    let (host, session) = signed_in().await;
    host.server.on_every_call(Fault::json(partial.as_str()));
    for _ in 0..20 {
        let reply = session.execute(query("people")).await.expect("the part");
        assert_eq!(reply.body, partial);
    }
    let renewals = host.server.counts().renewals;
    assert!(renewals <= 4, "{renewals} renewals");
    assert_eq!(session.status().phase, Phase::SignedIn);
}

#[tokio::test]
async fn a_protocol_whose_refusals_are_no_graphql_is_asked_about_every_reply() {
    let protocol = WatchedTwenty {
        // As django-oauth-toolkit says it.
        refuses: |reply, envelope| reply.status == 403 && envelope.is_none(),
        ..WatchedTwenty::default()
    };
    let (host, session) = signed_in_with(|config| config.protocol = Arc::new(protocol)).await;
    for (fault, renewals) in [
        (Fault::answer(403, ""), 1),
        (Fault::html(403), 1),
        // Not this server's word for it.
        (Fault::answer(401, "Unauthorized"), 0),
        (Fault::json(format!(r#"{{"errors":[{REFUSAL}]}}"#)), 0),
    ] {
        let before = host.server.counts().renewals;
        host.server.on_call(fault.clone());
        let reply = session.execute(query("people")).await.expect("a reply");
        let renewed = host.server.counts().renewals - before;
        assert_eq!(renewed, renewals, "{fault:?}: {reply:?}");
    }
}

#[test]
fn a_protocol_without_words_of_its_own_reads_those_of_graphql_and_of_http() {
    let refuses = |status, www_authenticate, body: &'static str| {
        let reply = RawReply {
            status,
            www_authenticate,
            body: body.as_bytes(),
        };
        Twenty::new().refuses(&reply, Envelope::read(reply.body).as_ref())
    };
    let unauthenticated = r#"{"errors":[{},{"extensions":{"code":"UNAUTHENTICATED"}}]}"#;
    let forbidden = r#"{"errors":[{"extensions":{"code":"FORBIDDEN"}}]}"#;
    let challenge = Some(r#"Bearer realm="api", error="invalid_token""#);
    assert!(refuses(200, None, unauthenticated));
    assert!(refuses(401, None, r#"{"errors":["no"]}"#));
    assert!(refuses(401, None, ""));
    assert!(refuses(403, challenge, "<html>"));
    assert!(!refuses(401, challenge, forbidden));
    assert!(!refuses(403, Some("Bearer"), ""));
    assert!(!refuses(200, None, r#"{"errors":["no"]}"#));
}

#[tokio::test]
async fn a_reply_that_arrives_in_the_next_persons_session_is_signed_out() {
    for next in [false, true] {
        for fault in [None, Some(Fault::html(502))] {
            let (host, session) = signed_in().await;
            let (late, gate) = call_at_server(&host, &session, "people", fault).await;
            sign_out_and_in(&host, &session, next).await;

            gate.open();

            assert_failed(join_all(vec![late]).await, Code::SignedOut);
        }
    }
}

/// It has run: an application that sent it again after the next sign-in would run it twice.
#[tokio::test]
async fn a_mutation_whose_reply_arrives_in_the_next_persons_session_may_have_run() {
    for next in [false, true] {
        let (host, session) = signed_in().await;
        let gate = Gate::new();
        host.server.on_call(Fault::hold_answer(&gate));
        let late = spawn_call(&session, mutation("createPerson"));
        let has_run = |counts: &Counts| counts.effects_of("createPerson") == 1;
        host.server.wait_for(has_run).await;
        sign_out_and_in(&host, &session, next).await;

        gate.open();

        assert_failed(join_all(vec![late]).await, Code::MaybeExecuted);
    }
}

async fn sign_out_and_in(host: &TestHost, session: &Session, next: bool) {
    session.sign_out().await;
    if next {
        sign_in_as_grace(host, session).await;
        call_succeeds(session).await;
    }
}
