//! Wrong clocks, sleeping machines, and renewals ahead of expiry.

use std::time::Duration;

use graphql_session::renewal::{Event, FileView, Now, Rules, State, VaultView, View, step};
use graphql_session::{Clock as _, Code, DEFAULT_ACCOUNT, EndingReason, Id, Phase, Session, Stamp};
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

#[test]
fn ten_thousand_clients_started_together_renew_at_spread_times() {
    const CLIENTS: u64 = 10_000;
    let mut per_second = [0_u32; 1_800];
    for client in 0..CLIENTS {
        let due = first_early_renewal(mixed(client));
        per_second[usize::try_from(due / 1_000).expect("within the token's life")] += 1;
    }

    let busy: Vec<_> = (0..)
        .zip(per_second)
        .filter(|(_, count)| *count > 0)
        .collect();
    let (first, last) = (busy[0].0, busy[busy.len() - 1].0);
    assert!(
        first >= 1_200 && last <= 1_350,
        "from {first} s to {last} s"
    );
    let mean = u32::try_from(CLIENTS).expect("few") / 150;
    let peak = busy.iter().map(|(_, count)| *count).max().expect("some");
    assert!(
        peak < 2 * mean,
        "{peak} in one second, of {mean} on average"
    );
}

/// When a client that signs in at 0 with a token of 30 min wakes to renew it, in awake ms.
fn first_early_renewal(random: u64) -> u64 {
    let rules = Rules {
        waiting: 25_000,
        grace: 60_000,
        longest_pause: 30_000,
        end_after: None,
    };
    let now = Now {
        awake: 0,
        wall: 0,
        server: 0,
        random,
        in_use: true,
    };
    let stamp = Stamp {
        session: Id::of(1),
        begun_at: 0,
        generation: 1,
        credentials: Id::of(2),
        access_until: Some(1_800_000),
        issued_at: 0,
    };
    let nothing = View {
        files: FileView::default(),
        vault: VaultView::Empty,
    };
    let signing_in = [
        Event::Opened(nothing),
        Event::SignedIn(stamp),
        Event::LockTaken,
        Event::Reread(nothing),
        Event::Saved(Ok(())),
    ];
    let signed_in = signing_in
        .into_iter()
        .fold(State::default(), |state, event| {
            step(state, event, now, &rules).0
        });
    signed_in.next_wake(&rules).expect("renews ahead of expiry")
}

/// Random bits that differ for each number: the finaliser of splitmix64.
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
