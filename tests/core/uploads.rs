//! Uploads: sent again with their whole body, or not at all.

use graphql_session::{Call, Code, OperationKind};
use graphql_session_testing::{Fault, Seen, TestHost, upload};

use crate::fixture::{code, signed_in, signed_in_with, with_expired_token};

const FIELD: &str = "uploadFile";

/// Longer than a socket's buffer, with every byte value in it.
fn file() -> Vec<u8> {
    (0..=250).cycle().take(3_000_000).collect()
}

fn seen(host: &TestHost) -> Vec<Seen> {
    host.server.seen_asking_for(FIELD)
}

#[tokio::test]
async fn an_upload_that_is_refused_is_replayed_with_its_whole_body() {
    let (host, session) = with_expired_token().await;
    let call = upload("mutation", FIELD, &file());

    let reply = session.execute(call.clone()).await.expect("replayed");

    assert_eq!(reply.status, 200);
    let seen = seen(&host);
    assert_eq!(seen.len(), 2);
    for request in seen {
        assert!(request.body == call.body, "{} bytes", request.body.len());
        let content_type = request.header("content-type").expect("sent");
        assert_eq!(content_type, call.headers[0].1);
    }
    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.effects_of(FIELD)), (1, 1));
}

#[tokio::test]
async fn an_upload_whose_answer_was_lost_is_not_replayed_and_says_so() {
    for fault in [Fault::Reset, Fault::Close] {
        let (host, session) = signed_in().await;
        host.server.on_call(Fault::after_acting(fault));

        let outcome = session.execute(upload("mutation", FIELD, &file())).await;

        assert_eq!(code(outcome), Code::MaybeExecuted);
        assert_eq!(seen(&host).len(), 1);
    }
}

#[tokio::test]
async fn an_upload_is_a_query_or_a_mutation_by_its_operations_and_not_by_its_files() {
    let query = upload("query", FIELD, b"mutation { a }");
    let mutation = upload("mutation", FIELD, b"query { a }");
    assert_eq!(query.operation(), OperationKind::Query);
    assert_eq!(mutation.operation(), OperationKind::Mutation);
    // Of several `content-type` headers the last one is sent, so that one counts.
    let with = |name: &str, value: &str| {
        let mut call = query.clone();
        call.headers.push((name.into(), value.into()));
        call.operation()
    };
    assert_eq!(with("accept", "*/*"), OperationKind::Query);
    let as_json = with("Content-Type", "application/json");
    assert_eq!(as_json, OperationKind::Mutation);

    let (host, session) = signed_in().await;
    host.server.on_call(Fault::Close);
    let reply = session.execute(query).await.expect("sent once more");
    assert_eq!(reply.status, 200);
    assert_eq!(seen(&host).len(), 2);
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused_and_nothing_is_sent() {
    let (host, session) = signed_in_with(|config| config.limits.request_bytes = 1_000).await;
    let before = host.server.counts();
    let of_length = |length: usize| Call::new("graphql", vec![b' '; length]);

    let outcome = session.execute(of_length(1_001)).await;
    assert_eq!(code(outcome), Code::TooLarge);
    assert_eq!(host.server.counts(), before);

    session.execute(of_length(1_000)).await.expect("sent");
    assert_eq!(host.server.counts().requests, before.requests + 1);
}
