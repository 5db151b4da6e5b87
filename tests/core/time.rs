//! Wrong clocks, sleeping machines, and renewals ahead of expiry.

use std::time::Duration;

use graphql_session::{Clock as _, Code, DEFAULT_ACCOUNT, EndingReason, Phase, Session};
use graphql_session_testing::{Fault, Gate, Machine, query};
use jiff::SignedDuration;
use serde_json::json;

use crate::fixture::{
    MINUTE, SECOND, code, expired, finish, reach, serve, served, start, start_one,
};

/// A session looks at its files twice a second; nothing in these tests needs that.
const STRIDE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_local_clock_that_is_wrong_by_hours_causes_no_renewal_loop_and_no_refusal() {
    for hours in [-24, -1, 1, 24] {
        let machine = Machine::start().await;
        machine
            .server
            .clock_is_off_by(SignedDuration::from_hours(hours));
        let session = served(&machine).await;
        let before = machine.server.counts().renewals;
        for _ in 0..60 {
            machine.clock.pass_in_strides(MINUTE, MINUTE).await;
            machine.clock.run_until(serve(&session)).await;
        }

        let counts = machine.server.counts();
        let renewals = counts.renewals - before;
        assert!(
            (2..=3).contains(&renewals),
            "{renewals} renewals in an hour at {hours} h"
        );
        assert!(
            before <= 1,
            "{before} renewals for the first call at {hours} h"
        );
        assert_eq!(counts.calls_refused, 0, "{hours} h");
        assert_eq!(session.status().endings, 0, "{hours} h");
    }
}

#[tokio::test]
async fn after_eight_hours_of_sleep_without_a_network_nothing_ends_and_its_return_is_one_renewal() {
    let machine = Machine::start().await;
    let session = served(&machine).await;
    machine.server.stop().await;
    machine.clock.jump_wall(SignedDuration::from_hours(8));

    let outcome = machine
        .clock
        .run_until(session.execute(query("people")))
        .await;
    assert_eq!(code(outcome), Code::Unreachable);
    machine.clock.pass(5 * MINUTE).await;
    assert_eq!(session.status().phase, Phase::Unreachable);

    machine.server.start_again();
    reach(&machine, &session, Phase::SignedIn).await;
    serve(&session).await;
    let counts = machine.server.counts();
    assert_eq!((counts.renewals, counts.exchanged), (1, 1));
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn a_lost_answer_counts_as_past_its_grace_after_a_sleep() {
    let machine = Machine::start().await;
    let session = expired(&machine).await;
    machine.server.on_renewal(Fault::rotate_then_drop());
    machine.server.on_every_renewal(Fault::Reset);
    let call = start_one(&session, query("people"));
    machine.clock.pass(2 * SECOND).await;
    let before = machine.server.counts().renewals;
    machine.clock.jump_wall(SignedDuration::from_hours(8));
    machine.server.behave();

    let status = reach(&machine, &session, Phase::Ended).await;

    assert_eq!(code(call.await.expect("no panic")), Code::SignedOut);
    let reason = status.ending.map(|ending| ending.reason);
    assert_eq!(reason, Some(EndingReason::LostAnswer));
    assert_eq!(
        machine.server.counts().renewals,
        before + 1,
        "exactly one more"
    );
}

#[tokio::test]
async fn an_application_in_use_renews_between_the_last_third_and_quarter_and_no_call_waits() {
    let mut renewed_at = Vec::new();
    for seed in 1..=8 {
        let machine = Machine::start().await;
        machine.clock.seed(seed);
        let session = served(&machine).await;
        let signed_in_at = machine.clock.wall();
        for _ in 0..24 {
            machine.clock.pass_in_strides(MINUTE, STRIDE).await;
            let before = machine.clock.awake();
            serve(&session).await;
            assert_eq!(machine.clock.awake(), before, "a call waited");
        }
        let renewals = machine.server.seen_asking_for("renewToken");
        assert_eq!(renewals.len(), 1);
        let at = renewals[0]
            .at
            .duration_since(signed_in_at)
            .as_secs()
            .cast_unsigned();
        let latest = 1_350 + STRIDE.as_secs() + 1;
        assert!(
            (1_200..=latest).contains(&at),
            "renewed after {at} s of 1800"
        );
        assert_eq!(machine.server.counts().calls_refused, 0);
        renewed_at.push(at);
    }
    renewed_at.sort_unstable();
    renewed_at.dedup();
    assert!(renewed_at.len() >= 4, "they march in step: {renewed_at:?}");
}

/// Each renewal is held at the server while more calls are made: none of them waits for it.
#[tokio::test]
async fn in_thirty_expiries_under_constant_load_no_call_waits_for_a_renewal_or_is_refused() {
    let machine = Machine::start().await;
    machine.clock.wait_for_calm_rounds(10);
    machine.server.access_tokens_last(5 * MINUTE);
    let mut config = machine.config(DEFAULT_ACCOUNT);
    // Longer than a stride: the renewals are held while calls are made.
    config.limits.attempt = 2 * STRIDE;
    let session = Session::open(config).await.expect("opens");
    machine.sign_in(&session).await;
    for renewal in 1..=30 {
        let gate = Gate::new();
        machine.server.on_renewal(Fault::hold(&gate));
        while machine.server.counts().renewals < renewal {
            machine.clock.pass_in_strides(STRIDE, STRIDE).await;
            load(&session).await;
        }
        load(&session).await;
        assert_eq!(machine.server.counts().exchanged, renewal - 1, "not held");
        gate.open();
        machine.clock.quiet().await;
    }

    let journal = session.journal();
    let renewals = journal.iter().filter(|entry| entry.what == "renewal");
    let renewals: Vec<_> = renewals.map(|entry| &entry.facts).collect();
    assert_eq!(renewals.len(), 30);
    for facts in renewals {
        assert_eq!(
            (&facts["why"], &facts["waiters"]),
            (&json!("ahead"), &json!(0))
        );
        assert_eq!(facts["outcome"], "renewed");
    }
    assert_eq!(machine.server.counts().calls_refused, 0);
}

/// Four calls at once, served without a step of the clock.
async fn load(session: &Session) {
    let calls = finish(start(session, 4, &query("people")));
    // In real time: the clock stands still.
    let outcomes = tokio::time::timeout(Duration::from_secs(20), calls).await;
    for outcome in outcomes.expect("a call waits for the renewal that is held") {
        assert_eq!(outcome.expect("served").status, 200);
    }
}

#[tokio::test]
async fn an_idle_application_renews_nothing_until_it_is_used() {
    let machine = Machine::start().await;
    let session = served(&machine).await;

    machine.clock.pass_in_strides(120 * MINUTE, STRIDE).await;
    assert_eq!(machine.server.counts().renewals, 0);

    machine.clock.run_until(serve(&session)).await;
    assert_eq!(machine.server.counts().renewals, 1);
}
