//! Processes that see the same expiry, or the same outage (scenarios 50, 54, 56, 59).

use std::time::Duration;

use graphql_session_testing::{EMAIL, Fault, Gate};
use serde_json::{Value, json};

use crate::host::{Host, all_served, call_all, noted_by_all};
use crate::moments::halt_at;

#[tokio::test]
async fn two_processes_that_see_the_expiry_together_make_one_renewal_and_one_adoption() {
    let host = Host::start().await;
    let mut processes = host.processes(2).await;
    let gate = Gate::new();
    host.server.expire_access_tokens();
    host.server.on_renewal(Fault::hold(&gate));

    let calls = call_all(&mut processes);
    host.server
        .wait_for(|counts| counts.calls_refused == 2 && counts.renewals == 1)
        .await;
    gate.open();
    all_served(&mut processes, calls).await;

    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.exchanged), (1, 1));
    assert_eq!(noted_by_all(&mut processes, "adopted").await, 1);
    assert_eq!(noted_by_all(&mut processes, "ended").await, 0);
}

#[tokio::test]
async fn the_process_that_lost_the_race_neither_writes_nor_deletes_the_shared_entry() {
    let host = Host::start().await;
    let mut processes = host.processes(2).await;
    host.server.expire_access_tokens();
    let [winner, loser] = &mut processes[..] else {
        panic!("two")
    };
    let won = halt_at(winner, "SaveBegins").await;
    let lost = loser.tell("call");
    host.server
        .wait_for(|counts| counts.calls_refused == 2)
        .await;
    let _ = winner.tell("go_on");

    assert_eq!(winner.answer(won).await, "200");
    assert_eq!(loser.answer(lost).await, "200");
    assert_eq!(loser.ask("noted adopted").await, "1");
    let stored = host.stored().await.expect("saved");
    assert_eq!(stored["generation"], 2);

    assert_eq!(loser.ask("changed_vault").await, "0");
    assert_eq!(loser.ask("quit").await, "Kept");
    assert_eq!(winner.ask("quit").await, "Kept");
    assert_eq!(host.stored().await, Some(stored));
}

#[tokio::test]
async fn of_eight_processes_at_one_expiry_only_the_one_that_renews_changes_the_vault() {
    let host = Host::start().await;
    let mut processes = host.processes(8).await;
    host.server.expire_access_tokens();
    let calls = call_all(&mut processes);
    all_served(&mut processes, calls).await;

    let mut changes = 0;
    for process in &mut processes {
        let own = process.ask("changed_vault").await;
        changes += own.parse::<u64>().expect("a number");
    }
    assert_eq!(changes, 3, "one sign-in, one mark, one save");
    assert_eq!(noted_by_all(&mut processes, "adopted").await, 7);
}

/// 1. A renewal is on the wire.
/// 2. Newer credentials appear in the vault.
/// 3. The renewal is rejected: the writer of the newer credentials has spent the token.
#[tokio::test]
async fn a_rejection_with_newer_credentials_in_the_vault_adopts_them_unchanged() {
    let host = Host::start().await;
    let mut process = host.processes(1).await.remove(0);
    host.server.expire_access_tokens();
    let gate = Gate::new();
    let rejection = Fault::refuse(
        "FORBIDDEN",
        "FORBIDDEN_EXCEPTION",
        "Suspicious activity detected.",
    );
    let rejection = Fault::hold_then(&gate, rejection);
    host.server.on_renewal(rejection);
    let call = process.tell("call");
    host.server.wait_for(|counts| counts.renewals == 1).await;
    let mut newer = host.stored().await.expect("saved");
    let issued = host.server.issue(EMAIL);
    newer["generation"] = json!(2);
    newer["credentials"] = json!("000000000000000000000000000000ff");
    newer["access"] = json!(issued.access);
    newer["refresh"] = json!(issued.refresh);
    newer["renewing_at"] = Value::Null;
    host.store(Some(newer.clone())).await;

    gate.open();

    assert_eq!(process.answer(call).await, "200");
    assert_eq!(process.ask("noted adopted").await, "1");
    assert_eq!(process.ask("noted ended").await, "0");
    assert_eq!(process.ask("quit").await, "Kept");
    assert_eq!(host.stored().await, Some(newer));
}

#[tokio::test]
async fn eight_processes_with_many_calls_over_twenty_expiries_never_renew_at_once() {
    const PROCESSES: usize = 8;
    const CALLS: usize = 100;
    const EXPIRIES: u64 = 20;
    let host = Host::start().await;
    let mut processes = host.processes(PROCESSES).await;

    for expiry in 1..=EXPIRIES {
        // A process whose calls were all served before the last expiry does not know of it yet.
        for process in &mut processes {
            assert_eq!(process.ask("call").await, "200", "before expiry {expiry}");
        }
        let served = host.server.counts().served;
        let calls: Vec<_> = processes
            .iter_mut()
            .map(|process| process.tell(&format!("calls {CALLS}")))
            .collect();
        // Expire in the middle of the calls: some are served, some are on the wire, most are not sent yet.
        host.server
            .wait_for(|counts| counts.served >= served + CALLS as u64)
            .await;
        host.server.expire_access_tokens();
        for (process, calls) in processes.iter_mut().zip(calls) {
            assert_eq!(process.answer(calls).await, "200", "expiry {expiry}");
        }
        assert_eq!(host.server.counts().exchanged, expiry);
    }

    let counts = host.server.counts();
    assert_eq!(counts.renewals, EXPIRIES);
    assert_eq!(counts.renewals_at_once, 1);
    let calls = PROCESSES as u64 * (1 + (1 + CALLS as u64) * EXPIRIES);
    assert_eq!(counts.served, calls, "each exactly once");
    assert_eq!(noted_by_all(&mut processes, "ended").await, 0);
    let mut sent = host.refresh_tokens_sent();
    sent.dedup();
    assert_eq!(sent.len() as u64, EXPIRIES, "each token was sent once");
}

/// The shortest pause of the backoff. Eight series side by side would have shorter pauses between their attempts.
const SHORTEST_PAUSE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn one_outage_is_one_series_of_attempts_for_eight_processes() {
    /// This many attempts fit into the waiters' budget of 25 s with every jitter: pauses of up to 1 s, 2 s, 4 s and 8
    /// s.
    const ATTEMPTS: u64 = 4;
    let host = Host::start().await;
    let mut processes = host.processes(8).await;
    host.server.expire_access_tokens();
    host.server.on_every_renewal(Fault::status(503));

    let calls = call_all(&mut processes);
    host.server
        .wait_for(|counts| counts.renewals == ATTEMPTS)
        .await;
    host.server.behave();
    all_served(&mut processes, calls).await;

    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.exchanged), (ATTEMPTS + 1, 1));
    let attempts = host.server.seen_asking_for("renewToken");
    for pair in attempts.windows(2) {
        let pause = Duration::try_from(pair[1].at.duration_since(pair[0].at)).expect("in order");
        assert!(pause >= SHORTEST_PAUSE, "{pause:?} between two attempts");
    }
    assert_eq!(noted_by_all(&mut processes, "ended").await, 0);
}
