//! A sign-out in one process (scenario 55).

use crate::host::{Host, noted_by_all};
use crate::moments::halt_at;

#[tokio::test]
async fn a_sign_out_reaches_the_other_processes_and_they_send_nothing_more() {
    let host = Host::start().await;
    let mut processes = host.processes(4).await;
    let told: Vec<_> = processes[1..]
        .iter_mut()
        .map(|other| other.tell("until SignedOut"))
        .collect();

    assert_eq!(processes[0].ask("sign_out").await, "SignedOut");
    for (other, told) in processes[1..].iter_mut().zip(told) {
        assert_eq!(other.answer(told).await, "SignedOut");
    }

    let before = host.server.counts();
    for process in &mut processes {
        assert_eq!(process.ask("call").await, "SignedOut");
    }
    let after = host.server.counts();
    assert_eq!((after.calls, after.renewals), (before.calls, 0));
    assert_eq!(noted_by_all(&mut processes, "ended").await, 3, "followed");
    assert_eq!(processes[0].ask("quit").await, "Kept");
    assert_eq!(host.stored().await, None, "the entry is still there");
    let mut restarted = host.process();
    assert_eq!(restarted.ask("phase").await, "SignedOut");
}

/// The other process is about to save new credentials when the person signs out. They are dropped, and stay dead.
#[tokio::test]
async fn a_sign_out_while_another_process_saves_a_renewal_leaves_nothing_behind() {
    let host = Host::start().await;
    let mut processes = host.processes(2).await;
    host.server.expire_access_tokens();
    let call = halt_at(&mut processes[1], "SaveBegins").await;

    assert_eq!(processes[0].ask("sign_out").await, "SignedOut");
    // The other process reads the files although its save is halted.
    assert_eq!(processes[1].answer(call).await, "SignedOut");
    let calls = host.server.counts().calls;
    let _ = processes[1].tell("go_on");

    for process in &mut processes {
        assert_eq!(process.ask("call").await, "SignedOut");
    }
    for process in processes.iter_mut().rev() {
        assert_eq!(process.ask("quit").await, "Kept");
    }
    assert_eq!(host.server.counts().calls, calls);
    assert_eq!(host.stored().await, None);
}

/// The other process is frozen during the sign-out and a new sign-in. Later it deletes nothing newer.
#[tokio::test]
async fn a_process_that_learns_late_of_a_sign_out_keeps_the_entry_of_the_new_session() {
    let host = Host::start().await;
    let mut processes = host.processes(2).await;
    processes[1].freeze();
    assert_eq!(processes[0].ask("sign_out").await, "SignedOut");
    let signing_in = format!("sign_in {}", host.server.address());
    assert_eq!(processes[0].ask(&signing_in).await, "ok");
    let stored = host.stored().await;
    assert!(stored.is_some());

    processes[1].thaw();
    assert_eq!(processes[1].ask("until_noted adopted").await, "noted");
    assert_eq!(processes[1].ask("call").await, "200");

    // By then it has checked whether there is an entry to remove.
    assert_eq!(processes[1].ask("close").await, "Kept");
    assert_eq!(processes[1].ask("noted removed").await, "1");

    assert_eq!(processes[1].ask("changed_vault").await, "0");
    assert_eq!(host.stored().await, stored);
    assert_eq!(host.server.counts().sign_ins, 2);
}

/// Its entry is still in the vault, but no start uses it.
#[tokio::test]
async fn a_process_killed_during_a_sign_out_leaves_a_session_that_stays_dead() {
    let host = Host::start().await;
    let mut process = host.processes(1).await.remove(0);
    let halted = process.tell("halt ReadBegins");
    assert_eq!(process.ask("sign_out").await, "SignedOut");
    assert_eq!(process.answer(halted).await, "halted");
    process.kill();
    assert!(host.stored().await.is_some());
    let sent = host.server.counts().calls;

    let mut restarted = host.process();

    assert_eq!(restarted.ask("phase").await, "SignedOut");
    assert_eq!(restarted.ask("call").await, "SignedOut");
    assert_eq!(restarted.ask("quit").await, "Kept");
    assert_eq!(host.stored().await, None, "removed at the next start");
    assert_eq!(host.server.counts().calls, sent);
}
