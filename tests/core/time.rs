//! Wrong clocks, sleeping machines, and renewals ahead of expiry.

use std::time::Duration;

use graphql_session::testing::{Fault, Machine, query};
use graphql_session::{Clock as _, Code, EndingReason, Phase};
use jiff::SignedDuration;

use crate::fixture::{MINUTE, SECOND, code, expired, reach, serve, served, start_one};

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

#[tokio::test]
async fn an_idle_application_renews_nothing_until_it_is_used() {
    let machine = Machine::start().await;
    let session = served(&machine).await;

    machine.clock.pass_in_strides(120 * MINUTE, STRIDE).await;
    assert_eq!(machine.server.counts().renewals, 0);

    machine.clock.run_until(serve(&session)).await;
    assert_eq!(machine.server.counts().renewals, 1);
}
