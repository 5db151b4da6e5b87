//! Replies: handed over byte for byte, and judged only by their status, `data` and `errors`.

use graphql_session_testing::{Fault, TestHost, mutation, query};

use crate::fixture::signed_in_session;

const REFUSAL: &str = r#"{"message":"Token has expired.","extensions":{"code":"UNAUTHENTICATED"}}"#;

#[tokio::test]
async fn every_reply_is_handed_over_byte_for_byte() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    for body in [
        // Numbers that a double cannot hold, and spellings that a parser would change.
        r#"{"data":{"big":123456789012345678901234567890,"small":1e-400,"zero":-0,"one":1.0,"ten":1E1}}"#,
        r#"{ "extensions" : {"cost":1}, "errors":[{"message":"no","path":["b",0]}],"data" : {"z":1,"a":2,"z":3} }"#,
        r#"{"data":{"a":1},"data":{"b":2},"errors":null}"#,
        "{\"data\":{\"text\":\"\\u00e9 é \\ud83d\\ude00 \\/ \\ud800\"}}\r\n\n ",
        "\u{feff}{\"data\":{}}",
        r#"{"data":{"cut":["#,
        "[1,2,3]",
        "null",
        "<!doctype html><p>Welcome",
        "",
    ] {
        host.server.on_call(Fault::json(body));
        let reply = session.execute(query("people")).await.expect("handed on");
        assert_eq!(reply.body, body);
        assert_eq!(reply.status, 200);
        assert_eq!(reply.content_type.as_deref(), Some("application/json"));
    }
    assert_eq!(host.server.counts().renewals, 0);
}

/// A reply with data means that something ran, so nothing is replayed, wherever `data` is in the reply, and with any
/// error beside it.
#[tokio::test]
async fn a_reply_with_a_data_object_is_handed_over_also_with_a_refusal_in_it() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    let replies = [
        (200, format!(r#"{{"data":{{}},"errors":[{REFUSAL}]}}"#)),
        (400, format!(r#"{{"data":{{}},"errors":[{REFUSAL}]}}"#)),
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
        host.server.on_call(Fault::Answer {
            status,
            headers: Vec::new(),
            body: body.clone(),
        });
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
        let host = TestHost::start().await;
        let session = signed_in_session(&host).await;
        host.server.on_call(Fault::json(body.clone()));
        let reply = session.execute(query("people")).await.expect("replayed");
        assert_ne!(reply.body, body);
        assert_eq!(host.server.counts().renewals, 1, "{body}");
    }
}

/// A plain HTTP 401 is a refusal, unless it brings data: then something ran.
#[tokio::test]
async fn a_401_is_a_refusal_unless_its_body_has_data() {
    for (body, renewals) in [
        ("", 1),
        ("Unauthorized", 1),
        ("{}", 1),
        (r#"{"errors":["Unauthorized"]}"#, 1),
        (r#"{"data":{"cut":["#, 0),
        (r#"{"data":{"a":1}}"#, 0),
        (r#"{"errors":["Unauthorized"],"data":{"a":1}}"#, 0),
    ] {
        let host = TestHost::start().await;
        let session = signed_in_session(&host).await;
        host.server.on_call(Fault::Answer {
            status: 401,
            headers: Vec::new(),
            body: body.into(),
        });
        let reply = session.execute(query("people")).await.expect("a reply");
        assert_eq!(
            reply.status,
            if renewals == 1 { 200 } else { 401 },
            "{body}"
        );
        assert_eq!(host.server.counts().renewals, renewals, "{body}");
    }
}

#[tokio::test]
async fn a_reply_names_its_session_and_has_the_servers_retry_after() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.server.on_call(Fault::retry_after(429, "7"));

    let reply = session.execute(query("people")).await.expect("a reply");

    assert_eq!(Some(reply.session), session.id());
    let headers: Vec<_> = reply.headers().collect();
    assert_eq!(headers, [("retry-after", "7")]);
}
