//! What is sent again, and what never is (I9).

use graphql_session::{Code, DEFAULT_ACCOUNT, PasswordLogin, Phase};
use graphql_session_testing::{Counts, Fault, Gate, TestHost, mutation, query};

use crate::fixture::{
    call_succeeds, code, join_all, session_with_expired_token, signed_in_session, spawn_call,
    spawn_calls,
};

#[tokio::test]
async fn a_refused_query_is_replayed_once() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;

    let reply = session.execute(query("people")).await.expect("replayed");

    assert_eq!(reply.status, 200);
    assert_eq!(host.server.counts().by_name["graphql people"], 2);
}

#[tokio::test]
async fn a_mutation_refused_as_a_whole_is_replayed_once_and_runs_once() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;

    let reply = session
        .execute(mutation("createPerson"))
        .await
        .expect("replayed");

    assert_eq!(reply.status, 200);
    let counts = host.server.counts();
    assert_eq!(counts.by_name["graphql createPerson"], 2);
    assert_eq!(counts.effects_of("createPerson"), 1);
}

#[tokio::test]
async fn a_mutation_refused_with_data_null_or_plain_401_is_replayed_once() {
    let with_null = r#"{"errors":[{"message":"Token has expired.","extensions":{"code":"UNAUTHENTICATED"}}],"data":null}"#;
    for refusal in [Fault::json(with_null), Fault::status(401)] {
        let host = TestHost::start().await;
        let session = signed_in_session(&host).await;
        host.server.on_call(refusal);

        let reply = session
            .execute(mutation("createPerson"))
            .await
            .expect("replayed");

        assert_eq!(reply.status, 200);
        let counts = host.server.counts();
        assert_eq!((counts.renewals, counts.effects_of("createPerson")), (1, 1));
    }
}

#[tokio::test]
async fn a_mutation_with_partial_data_and_a_refusal_is_handed_over_and_not_replayed() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    let partial = r#"{"data":{"a":{"id":"1"},"b":null},"errors":[{"message":"Token has expired.","path":["b"],"extensions":{"code":"UNAUTHENTICATED"}}]}"#;
    host.server
        .on_call(Fault::after_acting(Fault::json(partial)));

    let reply = session
        .execute(mutation("createPerson"))
        .await
        .expect("handed over");

    assert_eq!(reply.body, partial);
    let counts = host.server.counts();
    assert_eq!(counts.effects_of("createPerson"), 1);
    assert_eq!((counts.calls, counts.renewals), (2, 0));
}

#[tokio::test]
async fn a_mutation_whose_answer_was_lost_is_not_replayed_and_says_so() {
    for fault in [Fault::Reset, Fault::Close, Fault::Truncate(5)] {
        let host = TestHost::start().await;
        let session = signed_in_session(&host).await;
        let acts_itself = matches!(fault, Fault::Truncate(_));
        host.server.on_call(if acts_itself {
            fault
        } else {
            Fault::after_acting(fault)
        });

        let outcome = session.execute(mutation("createPerson")).await;

        assert_eq!(code(outcome), Code::MaybeExecuted);
        let counts = host.server.counts();
        assert_eq!(counts.by_name["graphql createPerson"], 1);
        assert_eq!(counts.effects_of("createPerson"), 1);
        assert_eq!(session.status().phase, Phase::SignedIn);
    }
}

#[tokio::test]
async fn a_query_is_sent_again_if_its_connection_broke_before_the_first_byte_of_a_reply() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.server.on_call(Fault::Close);
    let reply = session.execute(query("people")).await;
    assert_eq!(reply.expect("sent once more").status, 200);
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
        let host = TestHost::start().await;
        let ada = signed_in_session(&host).await;
        if !is_listed {
            let list = host.folder().join(format!("{DEFAULT_ACCOUNT}.ended"));
            std::fs::create_dir(list).expect("own folder");
        }
        let gate = Gate::new();
        host.server.on_call(Fault::hold_then(&gate, Fault::Close));
        let lost = spawn_call(&ada, query("people"));
        host.server.wait_for(|counts| counts.calls == 2).await;
        ada.sign_out().await;
        let eve = ada;
        host.server
            .add_person("eve@example.com", "another password");
        let person = PasswordLogin {
            email: "eve@example.com".into(),
            password: "another password".into(),
        };
        let address = host.server.address();
        eve.sign_in(&address, person).await.expect("signed in");
        call_succeeds(&eve).await;

        gate.open();

        assert_eq!(code(join_all(vec![lost]).await.remove(0)), Code::SignedOut);
        let sent = host.server.seen_asking_for("people");
        assert_eq!(sent.len(), 1, "sent with eve's token, listed: {is_listed}");
    }
}

#[tokio::test]
async fn a_query_over_an_idle_connection_that_the_server_closed_is_served() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;

    for _ in 0..20 {
        host.server.close_idle_connections();
        call_succeeds(&session).await;
    }
}

#[tokio::test]
async fn a_mutation_over_an_idle_connection_that_the_server_closed_runs_at_most_once() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    host.server.close_idle_connections();

    let outcome = session.execute(mutation("createPerson")).await;

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
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    let gate = Gate::new();
    host.server.on_renewal(Fault::hold(&gate));
    let twins = vec![
        spawn_call(&session, mutation("createPerson")),
        spawn_call(&session, mutation("createPerson")),
    ];
    host.server
        .wait_for(|counts| counts.calls_refused == 2)
        .await;
    gate.open();

    for outcome in join_all(twins).await {
        assert_eq!(outcome.expect("replayed").status, 200);
    }
    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.effects_of("createPerson")), (1, 2));
}

#[tokio::test]
async fn an_unknown_user_and_an_unknown_workspace_cause_no_renewal() {
    for sub_code in ["USER_NOT_FOUND", "WORKSPACE_NOT_FOUND"] {
        let host = TestHost::start().await;
        let session = signed_in_session(&host).await;
        host.server
            .on_call(Fault::refuse("UNAUTHENTICATED", sub_code, "Not found"));

        let reply = session.execute(query("people")).await.expect("handed over");

        assert!(String::from_utf8_lossy(&reply.body).contains(sub_code));
        assert_eq!(host.server.counts().renewals, 0);
    }
}

#[tokio::test]
async fn a_missing_permission_is_handed_over_and_causes_no_renewal() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    let fault = Fault::refuse("FORBIDDEN", "PERMISSION_DENIED", "Permission denied");
    host.server.on_call(fault);

    let reply = session.execute(query("people")).await.expect("handed over");

    assert_eq!(reply.status, 200);
    assert_eq!(host.server.counts().renewals, 0);
}
