//! A vault that fails, or answers late, in real processes (scenarios 44, 45, 47, 54).

use serde_json::json;

use crate::host::{Host, noted_by_all};
use crate::moments::halt_at;

/// The limit of a read or write of the vault, in ms.
const VAULT: u64 = 1_000;

async fn host() -> Host {
    let limits = json!({ "vaultReadMs": VAULT, "vaultWriteMs": VAULT, "lockTimeoutMs": 500 });
    Host::with_limits(limits).await
}

/// One process rotates the token and cannot save the new one. The stored token is spent, so no other process may send
/// it.
#[tokio::test]
async fn a_process_that_cannot_save_keeps_the_lock_and_no_other_sends_the_spent_token() {
    let host = host().await;
    host.server.grace(None);
    let mut processes = host.processes(2).await;
    let spent = host.stored().await.expect("saved")["refresh"].clone();
    host.server.expire_access_tokens();
    let call = halt_at(&mut processes[0], "AnswerRead").await;
    let _ = processes[0].tell("vault fails");
    let _ = processes[0].tell("go_on");
    assert_eq!(
        processes[0].answer(call).await,
        "200",
        "the session goes on in memory"
    );
    assert_eq!(processes[0].ask("storage").await, "Failed");

    assert_eq!(processes[1].ask("call").await, "Unreachable");
    assert_eq!(processes[1].ask("call").await, "Unreachable");
    assert!(host.is_locked());
    assert_eq!(processes[0].ask("call").await, "200");

    let _ = processes[0].tell("vault works");
    // The process saves without a call, and the other one adopts.
    processes[0].ask("until Saved").await;
    assert_eq!(processes[1].ask("served").await, "200");
    assert_eq!(host.refresh_tokens_sent(), [spent.as_str().expect("text")]);
    assert_eq!(noted_by_all(&mut processes, "ended").await, 0);
    assert_eq!(processes[1].ask("changed_vault").await, "0");
}

#[tokio::test]
async fn a_vault_that_does_not_answer_delays_neither_status_nor_calls_nor_the_exit() {
    for step in ["ReadBegins", "MarkBegins", "SaveBegins"] {
        let host = host().await;
        let mut process = host.processes(1).await.remove(0);
        host.server.expire_access_tokens();
        let call = halt_at(&mut process, step).await;

        // The phase depends on the machine's speed. The answer must come all the same.
        let phase = process.ask("phase").await;
        assert!(["Renewing", "SignedIn"].contains(&&*phase), "{step}");
        assert_eq!(process.answer(call).await, "200", "{step}");
        assert_eq!(process.ask("call").await, "200", "{step}");
        assert_eq!(process.ask("phase").await, "SignedIn", "{step}");
        assert_eq!(process.ask("storage").await, "Slow", "{step}");

        assert_eq!(process.ask("quit").await, "NotSaved(Slow)", "{step}");
        assert!(process.ends().await.success(), "{step}");
        // The received tokens are lost with the process. The next start recovers within the grace time.
        let mut restarted = host.process();
        assert_eq!(restarted.ask("call").await, "200", "{step}");
        assert_eq!(restarted.ask("noted ended").await, "0", "{step}");
    }
}

/// 1. The save of the second generation halts, and its limit passes.
/// 2. A third generation arrives; its save waits behind the first save.
/// 3. The first save returns, and overwrites nothing newer.
#[tokio::test]
async fn a_save_that_returns_late_overwrites_nothing_newer() {
    let host = host().await;
    host.server.grace(None);
    let mut processes = host.processes(2).await;
    host.server.expire_access_tokens();
    let call = halt_at(&mut processes[0], "SaveBegins").await;
    assert_eq!(processes[0].answer(call).await, "200");
    host.server.expire_access_tokens();
    assert_eq!(processes[0].ask("call").await, "200");
    assert_eq!(host.server.counts().exchanged, 2);

    // The process keeps the lock past the write's limit, because the write still runs.
    assert!(host.is_locked());
    assert_eq!(processes[1].ask("call").await, "Unreachable");

    let _ = processes[0].tell("go_on");
    processes[0].ask("until Saved").await;
    assert_eq!(processes[1].ask("served").await, "200");
    let stored = host.stored().await.expect("saved");
    assert_eq!(stored["generation"], 3);
    let mut sent = host.refresh_tokens_sent();
    assert_eq!(sent.len(), 2);
    sent.dedup();
    assert_eq!(sent.len(), 2, "a spent token was sent");
    assert_eq!(noted_by_all(&mut processes, "ended").await, 0);
}

#[tokio::test]
async fn a_save_that_returns_after_the_sign_out_leaves_no_entry() {
    let host = host().await;
    let mut process = host.processes(1).await.remove(0);
    host.server.expire_access_tokens();
    let call = halt_at(&mut process, "SaveBegins").await;
    assert_eq!(process.answer(call).await, "200");
    assert_eq!(process.ask("sign_out").await, "SignedOut");

    // The removal exceeds its limit like the save, but the process keeps the lock.
    assert_eq!(process.ask("close").await, "Kept");
    assert!(host.is_locked(), "while a write is under way");

    let _ = process.tell("go_on");
    host.until_unlocked().await;
    assert_eq!(host.stored().await, None);
    let mut restarted = host.process();
    assert_eq!(restarted.ask("phase").await, "SignedOut");
}
