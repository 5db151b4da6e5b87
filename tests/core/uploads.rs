//! Uploads: sent again with their whole body, or not at all.

use graphql_session::{Call, Code, DEFAULT_ACCOUNT, OperationKind, Session};
use graphql_session_testing::{Fault, Machine, Seen, upload};

use crate::fixture::{code, expired, served};

const FIELD: &str = "uploadFile";

/// Longer than what a socket takes at once, and with every byte in it.
fn file() -> Vec<u8> {
    (0..3_000_000_u32)
        .map(|place| (place % 251) as u8)
        .collect()
}

fn seen(machine: &Machine) -> Vec<Seen> {
    machine.server.seen_asking_for(FIELD)
}

#[tokio::test]
async fn an_upload_that_is_refused_is_replayed_with_its_whole_body() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    let call = upload("mutation", FIELD, &file());

    let reply = session.execute(call.clone()).await.expect("replayed");

    assert_eq!(reply.status, 200);
    let seen = seen(&machine);
    assert_eq!(seen.len(), 2);
    for request in seen {
        assert!(request.body == call.body, "{} bytes", request.body.len());
        let content_type = request.header("content-type").expect("sent");
        assert_eq!(content_type, call.headers[0].1);
    }
    let counts = machine.server.counts();
    assert_eq!((counts.renewals, counts.effects_of(FIELD)), (1, 1));
}

#[tokio::test]
async fn an_upload_whose_answer_was_lost_is_not_replayed_and_says_so() {
    for fault in [Fault::Reset, Fault::Close] {
        let machine = Machine::start().await;
        let session = served(&machine).await;
        machine.server.on_call(Fault::after_acting(fault));

        let outcome = session.execute(upload("mutation", FIELD, &file())).await;

        assert_eq!(code(outcome), Code::MaybeExecuted);
        assert_eq!(seen(&machine).len(), 1);
    }
}

#[tokio::test]
async fn an_upload_is_a_query_or_a_mutation_by_its_operations_and_not_by_its_files() {
    let query = upload("query", FIELD, b"mutation { a }");
    let mutation = upload("mutation", FIELD, b"query { a }");
    assert_eq!(query.operation(), OperationKind::Query);
    assert_eq!(mutation.operation(), OperationKind::Mutation);
    // The header that is sent counts, of several the last one.
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

    let machine = Machine::start().await;
    let session = served(&machine).await;
    machine.server.on_call(Fault::Close);
    let reply = session.execute(query).await.expect("sent once more");
    assert_eq!(reply.status, 200);
    assert_eq!(seen(&machine).len(), 2);
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused_and_nothing_is_sent() {
    let machine = Machine::start().await;
    let mut config = machine.config(DEFAULT_ACCOUNT);
    config.limits.request_bytes = 1_000;
    let session = Session::open(config).await.expect("opens");
    machine.sign_in(&session).await;
    let before = machine.server.counts();
    let of_length = |length: usize| Call::new("graphql", vec![b' '; length]);

    assert_eq!(
        code(session.execute(of_length(1_001)).await),
        Code::TooLarge
    );
    assert_eq!(machine.server.counts(), before);

    session.execute(of_length(1_000)).await.expect("sent");
    assert_eq!(machine.server.counts().requests, before.requests + 1);
}
