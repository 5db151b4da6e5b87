//! What is sent again, and what never is (I9).

use graphql_session::{Code, DEFAULT_ACCOUNT, Error, Phase, Reply, Session};
use graphql_session_testing::{Counts, Fault, Gate, TestHost, mutation, query};

use crate::fixture::{
    assert_failed, assert_served, call_at_server, call_succeeds, code, hold_renewal, join_all,
    sign_in_as_grace, signed_in, signed_in_session, spawn_calls, wait_for_refusals,
    with_expired_token,
};

async fn create_person(session: &Session) -> Result<Reply, Error> {
    session.execute(mutation("createPerson")).await
}

#[tokio::test]
async fn a_refused_query_is_replayed_once() {
    let (host, session) = with_expired_token().await;

    assert_served(vec![session.execute(query("people")).await]);

    assert_eq!(host.server.counts().by_name["graphql people"], 2);
}

#[tokio::test]
async fn a_mutation_refused_as_a_whole_is_replayed_once_and_runs_once() {
    let (host, session) = with_expired_token().await;

    assert_served(vec![create_person(&session).await]);

    let counts = host.server.counts();
    assert_eq!(counts.by_name["graphql createPerson"], 2);
    assert_eq!(counts.effects_of("createPerson"), 1);
}

#[tokio::test]
async fn a_mutation_refused_with_data_null_or_plain_401_is_replayed_once() {
    let with_null = r#"{"errors":[{"message":"Token has expired.","extensions":{"code":"UNAUTHENTICATED"}}],"data":null}"#;
    for refusal in [Fault::json(with_null), Fault::status(401)] {
        let (host, session) = signed_in().await;
        host.server.on_call(refusal);

        assert_served(vec![create_person(&session).await]);

        let counts = host.server.counts();
        assert_eq!((counts.renewals, counts.effects_of("createPerson")), (1, 1));
    }
}

#[tokio::test]
async fn a_mutation_with_partial_data_and_a_refusal_is_handed_over_and_not_replayed() {
    let (host, session) = signed_in().await;
    let partial = r#"{"data":{"a":{"id":"1"},"b":null},"errors":[{"message":"Token has expired.","path":["b"],"extensions":{"code":"UNAUTHENTICATED"}}]}"#;
    let answer = Fault::json(partial);
    host.server.on_call(Fault::after_acting(answer));

    let reply = create_person(&session).await;

    assert_eq!(reply.expect("handed over").body, partial);
    let counts = host.server.counts();
    assert_eq!(counts.effects_of("createPerson"), 1);
    assert_eq!((counts.calls, counts.renewals), (2, 0));
}

#[tokio::test]
async fn a_mutation_whose_answer_was_lost_is_not_replayed_and_says_so() {
    for fault in [
        Fault::after_acting(Fault::Reset),
        Fault::after_acting(Fault::Close),
        Fault::Truncate(5),
    ] {
        let (host, session) = signed_in().await;
        host.server.on_call(fault);

        let outcome = create_person(&session).await;

        assert_eq!(code(outcome), Code::MaybeExecuted);
        let counts = host.server.counts();
        assert_eq!(counts.by_name["graphql createPerson"], 1);
        assert_eq!(counts.effects_of("createPerson"), 1);
        assert_eq!(session.status().phase, Phase::SignedIn);
    }
}

#[tokio::test]
async fn a_query_is_sent_again_if_its_connection_broke_before_the_first_byte_of_a_reply() {
    let (host, session) = signed_in().await;
    host.server.on_call(Fault::Close);
    assert_served(vec![session.execute(query("people")).await]);
    assert_eq!(host.server.counts().by_name["graphql people"], 2);

    host.server.on_call(Fault::Truncate(5));
    let outcome = session.execute(query("companies")).await;
    assert_eq!(code(outcome), Code::Unreachable);
    assert_eq!(host.server.counts().by_name["graphql companies"], 1);
}

#[tokio::test]
async fn a_query_that_is_sent_again_has_a_connection_of_its_own() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    let gate = Gate::new();
    host.server.on_every_call(Fault::hold(&gate));
    let calls = spawn_calls(&session, 2, &query("people"));
    let both = |counts: &Counts| counts.by_name.get("graphql people") == Some(&2);
    host.server.wait_for(both).await;
    gate.open();
    join_all(calls).await;
    host.server.behave();
    let before = host.server.counts().connections;
    host.server.on_call(Fault::Close);

    call_succeeds(&session).await;

    // Not over the other idle one, which may be as dead as the first.
    assert_eq!(host.server.counts().connections, before + 1);
}

/// With and without a written ended list, which is not the only difference between the two sessions.
#[tokio::test]
async fn a_query_that_was_lost_while_another_person_signed_in_is_not_sent_again() {
    for is_listed in [true, false] {
        let (host, session) = signed_in().await;
        if !is_listed {
            let list = host.file(DEFAULT_ACCOUNT, "ended");
            std::fs::create_dir(list).expect("own folder");
        }
        let (lost, gate) = call_at_server(&host, &session, "people", Some(Fault::Close)).await;
        session.sign_out().await;
        sign_in_as_grace(&host, &session).await;
        call_succeeds(&session).await;

        gate.open();

        assert_failed(join_all(vec![lost]).await, Code::SignedOut);
        let sent = host.server.seen_asking_for("people");
        assert_eq!(sent.len(), 1, "sent with her token, listed: {is_listed}");
    }
}

#[tokio::test]
async fn a_query_over_an_idle_connection_that_the_server_closed_is_served() {
    let (host, session) = signed_in().await;

    for _ in 0..20 {
        host.server.close_idle_connections();
        call_succeeds(&session).await;
    }
}

#[tokio::test]
async fn a_mutation_over_an_idle_connection_that_the_server_closed_runs_at_most_once() {
    let (host, session) = signed_in().await;
    host.server.close_idle_connections();

    let outcome = create_person(&session).await;

    let effects = host.server.counts().effects_of("createPerson");
    match outcome {
        Ok(_) => assert_eq!(effects, 1),
        Err(error) => {
            assert_eq!(error.code(), Code::MaybeExecuted);
            assert!(effects <= 1);
        }
    }
    host.server.close_idle_connections();
    call_succeeds(&session).await;
}

#[tokio::test]
async fn two_identical_mutations_wait_on_one_renewal_and_both_run_and_settle() {
    let (host, session) = with_expired_token().await;
    let gate = hold_renewal(&host);
    let twins = spawn_calls(&session, 2, &mutation("createPerson"));
    wait_for_refusals(&host, 2).await;
    gate.open();

    assert_served(join_all(twins).await);
    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.effects_of("createPerson")), (1, 2));
}

/// The server turns a query down with these codes. The caller gets its answer, and nothing is renewed.
async fn assert_handed_over(code: &str, sub_code: &str) {
    let (host, session) = signed_in().await;
    let fault = Fault::refuse(code, sub_code, "Not this one");
    host.server.on_call(fault);

    let reply = session.execute(query("people")).await.expect("handed over");

    assert_eq!(reply.status, 200, "{sub_code}");
    let body = String::from_utf8_lossy(&reply.body);
    assert!(body.contains(sub_code), "{sub_code}: {body}");
    assert_eq!(host.server.counts().renewals, 0, "{sub_code}");
}

#[tokio::test]
async fn a_missing_permission_is_handed_over_and_causes_no_renewal() {
    assert_handed_over("FORBIDDEN", "PERMISSION_DENIED").await;
}
