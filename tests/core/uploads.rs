//! Uploads: sent again with their whole body, or not at all.

use graphql_session::{Call, Code, DEFAULT_ACCOUNT, OperationKind, Session};
use graphql_session_testing::{Fault, Seen, TestHost, upload};

use crate::fixture::{code, session_with_expired_token, signed_in_session};

const FIELD: &str = "uploadFile";

/// Longer than a socket's buffer, with every byte value in it.
fn file() -> Vec<u8> {
    (0..3_000_000_u32)
        .map(|place| (place % 251) as u8)
        .collect()
}

fn seen(host: &TestHost) -> Vec<Seen> {
    host.server.seen_asking_for(FIELD)
}

#[tokio::test]
async fn an_upload_that_is_refused_is_replayed_with_its_whole_body() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
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
        let host = TestHost::start().await;
        let session = signed_in_session(&host).await;
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
    let with = |headers: &[(&str, &str)]| {
        let mut call = query.clone();
        let further = headers
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        call.headers.extend(further);
        call.operation()
    };
    assert_eq!(with(&[("accept", "*/*")]), OperationKind::Query);
    let json = ("Content-Type", "application/json");
    assert_eq!(with(&[json]), OperationKind::Mutation);

    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.server.on_call(Fault::Close);
    let reply = session.execute(query).await.expect("sent once more");
    assert_eq!(reply.status, 200);
    assert_eq!(seen(&host).len(), 2);
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused_and_nothing_is_sent() {
    let host = TestHost::start().await;
    let mut config = host.config(DEFAULT_ACCOUNT);
    config.limits.request_bytes = 1_000;
    let session = Session::open(config).await.expect("opens");
    host.sign_in(&session).await;
    let before = host.server.counts();
    let of_length = |length: usize| Call::new("graphql", vec![b' '; length]);

    assert_eq!(
        code(session.execute(of_length(1_001)).await),
        Code::TooLarge
    );
    assert_eq!(host.server.counts(), before);

    session.execute(of_length(1_000)).await.expect("sent");
    assert_eq!(host.server.counts().requests, before.requests + 1);
}
