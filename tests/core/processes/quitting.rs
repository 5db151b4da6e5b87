//! The application quits during a renewal (scenario 39).

use std::time::{Duration, Instant};

use graphql_session_testing::{Fault, Gate};
use serde_json::json;

use crate::host::Host;
use crate::moments::halt_at;

/// How long quitting waits, in ms.
const QUIT: u64 = 600;

/// [`QUIT`] and the rest of a process's end on a busy machine. Less than the 20 s of an attempt and of the vault.
const GONE_WITHIN: Duration = Duration::from_millis(QUIT + 12_000);

#[tokio::test]
async fn a_process_that_quits_during_a_renewal_stores_what_it_receives_and_ends() {
    let host = Host::start().await;
    host.server.grace(None);
    let mut process = host.processes(1).await.remove(0);
    host.server.expire_access_tokens();
    let gate = Gate::new();
    host.server.on_renewal(Fault::hold(&gate));
    let _ = process.tell("call");
    host.server.wait_for(|counts| counts.renewals == 1).await;

    let quitting = process.tell("quit");
    gate.open();

    assert_eq!(process.answer(quitting).await, "Kept");
    assert!(process.ends().await.success());
    let stored = host.stored().await.expect("saved");
    assert_eq!(stored["generation"], 2);
    let mut restarted = host.process();
    assert_eq!(restarted.ask("call").await, "200");
    assert_eq!(host.server.counts().renewals, 1);
}

#[tokio::test]
async fn a_process_that_quits_while_nothing_answers_says_so_and_ends_within_its_limit() {
    // The server does not answer; the vault halts in the mark; the vault halts in the save.
    for stop in [None, Some("MarkBegins"), Some("SaveBegins")] {
        let host = Host::with_limits(json!({ "quitTimeoutMs": QUIT })).await;
        let mut process = host.processes(1).await.remove(0);
        host.server.expire_access_tokens();
        match stop {
            Some(step) => {
                let _ = halt_at(&mut process, step).await;
            }
            None => {
                let lost = Fault::after_acting(Fault::Stall);
                host.server.on_renewal(lost);
                let _ = process.tell("call");
                host.server.wait_for(|counts| counts.renewals == 1).await;
            }
        }

        let since = Instant::now();
        assert_eq!(process.ask("quit").await, "Unfinished", "{stop:?}");
        assert!(process.ends().await.success(), "{stop:?}");
        let took = since.elapsed();
        assert!(took >= Duration::from_millis(QUIT), "{stop:?}: {took:?}");
        assert!(took < GONE_WITHIN, "{stop:?}: {took:?}");

        let mut restarted = host.process();
        assert_eq!(restarted.ask("call").await, "200", "{stop:?}");
        assert_eq!(restarted.ask("noted ended").await, "0", "{stop:?}");
    }
}
