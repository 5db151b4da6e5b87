//! What happens to a session whose process was killed at a [`Moment`].

use std::time::{Duration, Instant};

use graphql_session_testing::Counts;
use serde_json::Value;

use crate::host::Host;
use crate::moments::{MOMENTS, Moment};
use crate::process::Process;

/// Less than every limit that the waiting process might wait for (an attempt 20 s, the lock 30 s), and enough for a
/// busy machine: on a quiet one a renewal takes 0.1 s.
const AT_ONCE: Duration = Duration::from_secs(12);

/// The process that goes on after another one was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survivor {
    /// The application, started again.
    Restarted,
    /// Another process, which was waiting for the lock.
    Waiting,
}

/// Kills a process at every moment, each time on another `host`. The survivor recovers; or the session ends, once, where
/// only the dead process had a token that the server still accepts.
pub(crate) async fn kill_at_every_moment(host: impl AsyncFn() -> Host, survivor: Survivor) {
    for moment in MOMENTS {
        // A test that fails shows its output: the last line names the moment.
        println!("killed when {}", moment.name);
        let host = host().await;
        let mut process = die(&host, moment, survivor).await;
        if moment.is_at_stake() && !host.has_grace {
            ends_once(&host, moment, &mut process).await;
        } else {
            recovers(&host, moment, &mut process).await;
        }
    }
}

/// Kills a process at this moment. Returns the one that goes on.
async fn die(host: &Host, moment: &Moment, survivor: Survivor) -> Process {
    let mut processes = host.processes(2).await;
    let mut waiting = processes.pop().expect("two");
    let mut dying = processes.pop().expect("two");
    if survivor == Survivor::Restarted {
        waiting.kill();
    }
    let before = host.stored().await.expect("signed in");
    host.server.expire_access_tokens();
    let _ = moment.reach(host, &mut dying).await;
    if moment.is_locked() {
        assert!(host.is_locked(), "{}", moment.name);
    } else {
        // Calls go on before the lock is released.
        host.until_unlocked().await;
    }
    if survivor == Survivor::Restarted {
        dying.kill();
        moment.check_stored(host, &before).await;
        host.server.behave();
        return host.process();
    }
    let refused = host.server.counts().calls_refused;
    let call = waiting.tell("call");
    if moment.is_locked() {
        let waits = |counts: &Counts| counts.calls_refused > refused;
        host.server.wait_for(waits).await;
    }
    host.server.behave();
    dying.kill();
    let since = Instant::now();
    let answer = waiting.answer(call).await;
    let took = since.elapsed();
    assert!(took < AT_ONCE, "{}: after {took:?}", moment.name);
    assert!(["200", "SignedOut"].contains(&&*answer), "{answer}");
    waiting
}

async fn recovers(host: &Host, moment: &Moment, survivor: &mut Process) {
    let name = moment.name;
    assert_eq!(survivor.ask("call").await, "200", "{name}");
    assert_eq!(survivor.ask("storage").await, "Saved", "{name}");
    assert_eq!(survivor.ask("noted ended").await, "0", "{name}");
    let exchanged = 1 + u64::from(moment.is_at_stake());
    assert_eq!(host.server.counts().exchanged, exchanged, "{name}");
    assert_eq!(host.server.counts().renewals_refused, 0, "{name}");

    // Another start works with the record that was saved last.
    survivor.kill();
    let mut again = host.process();
    assert_eq!(again.ask("call").await, "200", "{name}");
    assert_eq!(host.server.counts().exchanged, exchanged, "{name}");
}

async fn ends_once(host: &Host, moment: &Moment, survivor: &mut Process) {
    let name = moment.name;
    assert_eq!(survivor.ask("call").await, "SignedOut", "{name}");
    assert_eq!(survivor.ask("ending").await, "LostAnswer", "{name}");
    assert_eq!(survivor.ask("noted ended").await, "1", "{name}");
    assert_eq!(survivor.ask("quit").await, "Kept", "{name}");
    assert_eq!(host.stored().await, None::<Value>, "{name}");
    let sent = host.server.counts();
    assert_eq!((sent.exchanged, sent.renewals_refused), (1, 1), "{name}");

    let mut again = host.process();
    assert_eq!(again.ask("phase").await, "Ended", "{name}");
    assert_eq!(again.ask("call").await, "SignedOut", "{name}");
    assert_eq!(again.ask("noted ended").await, "0", "{name}");
    assert_eq!(host.server.counts(), sent, "{name}");
}
