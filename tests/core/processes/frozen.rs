//! The process that renews is frozen with SIGSTOP, for several times every limit (scenario 52).

use std::time::{Duration, Instant};

use graphql_session_testing::Fault;
use serde_json::{Value, json};

use crate::host::{Host, noted_by_all};
use crate::moments::{MOMENTS, Moment};
use crate::process::{Process, Told};

/// Short limits, so that a few seconds exceed each of them several times. In ms.
const ATTEMPT: u64 = 3_000;
const WAITING: u64 = 3_000;
const LOCK: u64 = 500;
const VAULT: u64 = 500;
const FILE: u64 = 500;
const CALL: u64 = LOCK + WAITING + 2 * VAULT + FILE;

/// Frozen for this long: three times the longest limit (a whole call), four attempts or waiters' budgets, and 27 waits
/// for the lock or limits of the vault.
const FROZEN: Duration = Duration::from_millis(3 * CALL);

/// Frozen for this long at each of many moments: once the longest limit, and nine waits for the lock.
const FROZEN_SHORTLY: Duration = Duration::from_millis(CALL);

/// Pause between two calls of the process beside a frozen one, so that the other tests get processor time.
const PACE: Duration = Duration::from_millis(20);

/// The moment at which the server does not answer.
const EXCHANGING: &str = "the exchange is sent";

fn short_limits() -> Value {
    json!({
        "attemptTimeoutMs": ATTEMPT, "renewalTimeoutMs": WAITING, "lockTimeoutMs": LOCK, "callTimeoutMs": CALL,
        "vaultReadMs": VAULT, "vaultWriteMs": VAULT, "fileTimeoutMs": FILE,
    })
}

#[tokio::test]
async fn while_the_renewing_process_is_frozen_the_others_use_a_token_that_still_works() {
    let (host, mut frozen, other) = host_with_two().await;
    host.server.on_call(Fault::access_refused());
    host.server.on_every_renewal(Fault::Stall);
    let call = frozen.tell("call");
    host.server.wait_for(|counts| counts.renewals == 1).await;

    let served = async |other: &mut Process| {
        let since = Instant::now();
        while since.elapsed() < FROZEN {
            assert_eq!(other.ask("call").await, "200");
            assert_eq!(other.ask("phase").await, "SignedIn");
            tokio::time::sleep(PACE).await;
        }
    };
    freeze_while(&host, (frozen, call), other, EXCHANGING, served).await;
}

#[tokio::test]
async fn while_the_renewing_process_is_frozen_the_others_fail_with_unreachable_in_time() {
    let (host, mut frozen, other) = host_with_two().await;
    host.server.expire_access_tokens();
    host.server.on_every_renewal(Fault::Stall);
    let call = frozen.tell("call");
    host.server.wait_for(|counts| counts.renewals == 1).await;

    let fails = async |other: &mut Process| fails_typed(other, FROZEN).await;
    freeze_while(&host, (frozen, call), other, EXCHANGING, fails).await;
}

#[tokio::test]
async fn a_process_frozen_at_any_moment_of_its_renewal_keeps_others_out_and_all_recover() {
    let moments = MOMENTS.iter().filter(|moment| moment.is_locked());
    let frozen = moments.map(|moment| tokio::spawn(frozen_at(moment)));
    for one in frozen.collect::<Vec<_>>() {
        one.await.expect("no moment fails");
    }
}

async fn frozen_at(moment: &'static Moment) {
    let (host, mut frozen, other) = host_with_two().await;
    host.server.expire_access_tokens();
    let call = moment.reach(&host, &mut frozen).await;

    let fails = async |other: &mut Process| fails_typed(other, FROZEN_SHORTLY).await;
    freeze_while(&host, (frozen, call), other, moment.name, fails).await;
}

/// One process to freeze, and one whose calls are checked.
async fn host_with_two() -> (Host, Process, Process) {
    let host = Host::with_limits(short_limits()).await;
    let mut processes = host.processes(2).await;
    let other = processes.pop().expect("two");
    let frozen = processes.pop().expect("two");
    (host, frozen, other)
}

/// Freezes a process that renews. Meanwhile the other one begins no renewal; afterwards both recover.
async fn freeze_while(
    host: &Host,
    (mut frozen, call): (Process, Told),
    mut other: Process,
    moment: &str,
    meanwhile: impl AsyncFnOnce(&mut Process),
) {
    frozen.freeze();
    assert!(host.is_locked());
    meanwhile(&mut other).await;
    let attempts = other.ask("noted attempt_sent").await;
    assert_eq!(attempts, "0", "without the lock: {moment}");

    host.server.behave();
    let _ = frozen.tell("vault works");
    let _ = frozen.tell("go_on");
    frozen.thaw();
    // The outcome of its own call does not matter here.
    let _ = frozen.answer(call).await;
    recover(host, frozen, other).await;
}

/// Calls again and again for this long. Each call fails with `Unreachable`, within its own limit.
async fn fails_typed(process: &mut Process, this_long: Duration) {
    let since = Instant::now();
    while since.elapsed() < this_long {
        // Not `TimedOut`: the session knows before the call's own limit.
        assert_eq!(process.ask("call").await, "Unreachable");
        assert_eq!(process.ask("phase").await, "Unreachable");
        tokio::time::sleep(PACE).await;
    }
    assert_eq!(process.ask("noted ended").await, "0");
}

/// Both are served again, nothing has ended, and what is stored is good for another start.
async fn recover(host: &Host, mut frozen: Process, mut other: Process) {
    assert_eq!(frozen.ask("served").await, "200");
    assert_eq!(other.ask("served").await, "200");
    let mut both = [frozen, other];
    assert_eq!(noted_by_all(&mut both, "ended").await, 0);
    assert_eq!(host.server.counts().renewals_refused, 0);
    drop(both);
    let exchanged = host.server.counts().exchanged;
    assert_eq!(host.process().ask("call").await, "200");
    assert_eq!(host.server.counts().exchanged, exchanged);
}
