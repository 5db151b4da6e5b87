//! Who waits for a renewal, for how long, and what becomes of it when they leave (I2, I8, I10).

use graphql_session::testing::{Fault, Gate, Machine, query};
use graphql_session::{Closed, Code, DEFAULT_ACCOUNT, Phase, Session};

use crate::fixture::{SECOND, code, expired, finish, noted, reach, serve, start, start_one};

#[tokio::test]
async fn a_renewal_that_hangs_gives_every_waiter_an_error_within_the_budget() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    machine.server.on_every_renewal(Fault::Stall);
    let before = graphql_session::Clock::awake(&machine.clock);

    let calls = start(&session, 20, &query("people"));
    for outcome in machine.clock.run_until(finish(calls)).await {
        assert_eq!(code(outcome), Code::Unreachable);
    }

    let took = graphql_session::Clock::awake(&machine.clock) - before;
    assert!(took <= 26 * SECOND, "{took:?}");
    assert_eq!(machine.server.counts().renewals_at_once, 1);
    assert_eq!(session.status().endings, 0);

    machine.server.behave();
    session.retry_now().await;
    reach(&machine, &session, Phase::SignedIn).await;
    machine.clock.run_until(serve(&session)).await;
}

#[tokio::test]
async fn when_every_waiter_has_gone_the_new_credentials_are_still_stored() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    let gate = Gate::new();
    machine.server.on_renewal(Fault::hold(&gate));
    let old = machine.vault.stored(DEFAULT_ACCOUNT);
    let calls = start(&session, 3, &query("people"));
    machine.server.wait_for(|counts| counts.renewals == 1).await;
    for call in calls {
        call.abort();
        let _ = call.await;
    }

    gate.open();
    reach(&machine, &session, Phase::SignedIn).await;
    machine.clock.quiet().await;

    assert_eq!(machine.server.counts().exchanged, 1);
    assert_eq!(noted(&session, "renewed"), 1);
    let new = machine.vault.stored(DEFAULT_ACCOUNT);
    assert!(
        new.is_some() && new != old,
        "the vault still holds the old credentials"
    );
    let before = machine.server.counts().calls;
    serve(&session).await;
    assert_eq!(
        machine.server.counts().calls,
        before + 1,
        "not the new credentials"
    );
}

#[tokio::test]
async fn the_first_caller_leaves_during_the_renewal_and_the_others_succeed() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    let gate = Gate::new();
    machine.server.on_renewal(Fault::hold(&gate));
    let first = start_one(&session, query("people"));
    machine.server.wait_for(|counts| counts.renewals == 1).await;
    let others = start(&session, 7, &query("companies"));
    machine
        .server
        .wait_for(|counts| counts.calls_refused == 8)
        .await;
    first.abort();
    let _ = first.await;

    gate.open();

    for outcome in finish(others).await {
        assert_eq!(outcome.expect("replayed").status, 200);
    }
    assert_eq!(machine.server.counts().renewals, 1);
}

#[tokio::test]
async fn a_failed_renewal_is_one_failure_for_a_hundred_waiters_at_once() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    machine
        .server
        .on_every_renewal(Fault::retry_after(503, "60"));

    let calls = start(&session, 100, &query("people"));
    let outcomes = machine.clock.run_until(finish(calls)).await;

    assert_eq!(outcomes.len(), 100);
    for outcome in outcomes {
        assert_eq!(code(outcome), Code::Unreachable);
    }
    assert_eq!(machine.server.counts().renewals, 1);
    assert_eq!(machine.server.counts().served, 1, "a call was replayed");
}

#[tokio::test]
async fn a_call_taken_back_on_the_wire_closes_its_connection_and_frees_its_place() {
    let machine = Machine::start().await;
    let mut config = machine.config(DEFAULT_ACCOUNT);
    config.limits.concurrent_calls = 1;
    let session = Session::open(config).await.expect("opens");
    machine.sign_in(&session).await;
    let gate = Gate::new();
    machine.server.on_call(Fault::hold(&gate));
    let call = start_one(&session, query("people"));
    machine.server.wait_for(|counts| counts.calls == 1).await;
    assert_eq!(machine.server.calls_under_way(), 1);

    call.abort();
    let _ = call.await;

    // The gate stays shut: only a closed connection lets the server's side of that call end.
    machine.server.wait_for_calls_to_end().await;
    serve(&session).await;
}

#[tokio::test]
async fn a_waiter_with_a_shorter_deadline_times_out_alone() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    let gate = Gate::new();
    machine.server.on_renewal(Fault::hold(&gate));
    let mut hasty = query("people");
    hasty.deadline = Some(2 * SECOND);
    let patient = start(&session, 5, &query("people"));
    machine.server.wait_for(|counts| counts.renewals == 1).await;

    let outcome = machine.clock.run_until(session.execute(hasty)).await;
    assert_eq!(code(outcome), Code::TimedOut);
    gate.open();

    for outcome in finish(patient).await {
        assert_eq!(outcome.expect("replayed").status, 200);
    }
    assert_eq!(machine.server.counts().renewals, 1);
}

#[tokio::test]
async fn a_call_taken_back_while_it_waits_is_never_sent() {
    let machine = Machine::start().await;
    let session = crate::fixture::served(&machine).await;
    machine.clock.advance(45 * crate::fixture::MINUTE);
    let gate = Gate::new();
    machine.server.on_renewal(Fault::hold(&gate));
    let kept = start_one(&session, query("people"));
    let taken_back = start_one(&session, query("companies"));
    machine.server.wait_for(|counts| counts.renewals == 1).await;
    machine.clock.quiet().await;
    taken_back.abort();
    let _ = taken_back.await;

    gate.open();
    assert!(finish(vec![kept]).await.remove(0).is_ok());
    machine.clock.quiet().await;

    let counts = machine.server.counts();
    assert_eq!(counts.by_name.get("graphql companies"), None);
    assert_eq!(counts.by_name["graphql people"], 1);
}

#[tokio::test]
async fn a_call_that_hangs_times_out_by_its_own_limit() {
    let machine = Machine::start().await;
    let session = crate::fixture::served(&machine).await;
    machine.server.on_every_call(Fault::Stall);
    let before = graphql_session::Clock::awake(&machine.clock);

    let outcome = machine
        .clock
        .run_until(session.execute(query("people")))
        .await;
    assert_eq!(code(outcome), Code::TimedOut);
    let took = graphql_session::Clock::awake(&machine.clock) - before;
    assert_eq!(took, 75 * SECOND);

    let change = graphql_session::testing::mutation("createPerson");
    let outcome = machine.clock.run_until(session.execute(change)).await;
    assert_eq!(code(outcome), Code::MaybeExecuted);
    assert_eq!(session.status().phase, Phase::SignedIn);
}

#[tokio::test]
async fn closing_waits_for_a_sent_exchange_and_its_save() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    let gate = Gate::new();
    machine.server.on_renewal(Fault::hold(&gate));
    let old = machine.vault.stored(DEFAULT_ACCOUNT);
    let call = start_one(&session, query("people"));
    machine.server.wait_for(|counts| counts.renewals == 1).await;
    call.abort();

    let closing = tokio::spawn({
        let session = session.clone();
        async move { session.close().await }
    });
    machine.clock.quiet().await;
    assert!(!closing.is_finished(), "did not wait for the exchange");
    gate.open();
    assert_eq!(closing.await.expect("no panic"), Closed::Kept);

    let new = machine.vault.stored(DEFAULT_ACCOUNT).expect("stored");
    assert!(Some(&new) != old.as_ref());
    drop(session);
    let session = machine.session(DEFAULT_ACCOUNT).await;
    let before = machine.server.counts().renewals;
    serve(&session).await;
    assert_eq!(machine.server.counts().renewals, before);
}

#[tokio::test]
async fn closing_gives_up_at_its_limit() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    machine.server.on_every_renewal(Fault::Stall);
    let call = start_one(&session, query("people"));
    machine.server.wait_for(|counts| counts.renewals == 1).await;
    call.abort();
    let before = graphql_session::Clock::awake(&machine.clock);

    let closed = machine.clock.run_until(session.close()).await;

    assert_eq!(closed, Closed::Unfinished);
    assert_eq!(
        graphql_session::Clock::awake(&machine.clock) - before,
        3 * SECOND
    );
}
