//! When attempts follow a lost answer.

use graphql_session_renewal::{Action, Cause, Event, Exchange, Step, TokenFate};

use crate::process::{Process, entry, files};

const LOST: Event = Event::Exchanged(Exchange::Inconclusive {
    token: TokenFate::MaybeUsed,
    retry_after: None,
    cause: Cause::Timeout,
});

/// The next attempt, up to its answer, which is lost as well.
fn loses_another_answer(process: &mut Process) {
    process.hears(Event::Tick);
    if process.does(|action| matches!(action, Action::TakeLock { .. })) {
        process.hears(Event::LockTaken);
    }
    assert!(process.does(|action| *action == Action::Reread));
    process.rereads(files(1, true), entry(1));
    process.hears(Event::Marked(Ok(())));
    process.hears(LOST);
}

/// The pause before the next attempt, in ms.
fn pause(process: &Process) -> u64 {
    assert!(matches!(process.state.step, Step::Pausing { .. }));
    let due = process.state.next_attempt().expect("an attempt is due");
    due.since(process.now.awake)
}

/// Far below the grace time by the clock, and still: nobody knows what a server has forgotten while this machine slept.
#[test]
fn a_sleep_ends_the_grace_time_of_a_lost_answer_even_if_it_is_shorter() {
    let lost_twice = || {
        let mut process = Process::exchanging();
        process.hears(LOST);
        assert_eq!(pause(&process), 0, "the first one follows at once");
        loses_another_answer(&mut process);
        assert_eq!(pause(&process), 1_000);
        process
    };

    let mut awake = lost_twice();
    awake.stays_awake(21_000);
    loses_another_answer(&mut awake);
    assert_eq!(pause(&awake), 9_000, "30 s after the lost answer");

    let mut asleep = lost_twice();
    asleep.stays_awake(1_000);
    asleep.sleeps(20_000);
    loses_another_answer(&mut asleep);
    assert_eq!(pause(&asleep), 300, "as after any failed attempt");
}
