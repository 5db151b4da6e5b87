//! What a client costs, beside bare reqwest on the same connections: both sides take turns in one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::protocol::{Measured, Replayed, Waited};
use crate::store::{Store, Tokens};
use crate::wire::{Wire, WireError, bearer, operation};

const QUERY: &str = "query People { people { totalCount } }";

/// Calls with a valid token by so many callers at once: `turns` blocks of each side, after one of each that does not count.
pub(crate) async fn measure(
    client: Arc<Client>,
    wire: Arc<Wire>,
    store: Store,
    callers: usize,
    calls: usize,
    turns: usize,
) -> Result<Measured, String> {
    if callers == 0 || turns == 0 || calls < turns {
        return Err("needs a caller, a turn, and a call in each".to_owned());
    }
    let ready = client.ready_headers(&store).await?;
    let bare = Side::bare(&wire, ready);
    let client = Side::client(&wire, client);
    let calls = calls / turns;
    let mut measured = Measured::default();
    bare.block(callers, calls).await?;
    client.block(callers, calls).await?;
    for _ in 0..turns {
        let spent = bare.block(callers, calls).await?;
        measured.bare.push(spent.wall);
        measured.bare_cpu.push(spent.cpu);
        let spent = client.block(callers, calls).await?;
        measured.client.push(spent.wall);
        measured.client_cpu.push(spent.cpu);
    }
    Ok(measured)
}

/// Calls at once with an expired token, which wait for one renewal; beside one renewal by hand and as many bare calls.
pub(crate) async fn waiters(
    client: Arc<Client>,
    wire: Arc<Wire>,
    store: Store,
    calls: usize,
    turns: usize,
) -> Result<Waited, String> {
    let stored = store.read().map_err(|error| error.to_string())?;
    let mut refresh = stored.ok_or("the store has no tokens")?.refresh;
    let mut waited = Waited::default();
    for _ in 0..turns {
        wire.expire_all().await.map_err(|error| error.to_string())?;

        let began = Instant::now();
        let issued = wire
            .renew(&refresh)
            .await
            .map_err(|error| error.to_string())?;
        let ready = bearer(&issued.access_token).map_err(|error| error.to_string())?;
        waited.failed += Side::bare(&wire, ready).burst(calls).await;
        waited.bare.push(milliseconds(began.elapsed()));
        refresh = issued.refresh_token.unwrap_or(refresh);

        // Only now: google renews in the background as soon as its clock says so.
        client.expire().await;
        let began = Instant::now();
        waited.failed += Side::client(&wire, client.clone()).burst(calls).await;
        waited.client.push(milliseconds(began.elapsed()));
    }
    Ok(waited)
}

/// From the refusal of a call to its replay, as the server sees it, in µs; beside the three requests by hand. None for a
/// client that does not replay.
pub(crate) async fn replays(
    client: Arc<Client>,
    wire: Arc<Wire>,
    store: Store,
    turns: usize,
) -> Result<Option<Replayed>, String> {
    if !client.replays() {
        return Ok(None);
    }
    let stored = store.read().map_err(|error| error.to_string())?;
    let Tokens {
        mut access,
        mut refresh,
        ..
    } = stored.ok_or("the store has no tokens")?;
    let ours = Side::client(&wire, client);
    let mut replayed = Replayed::default();
    let text = |error: WireError| error.to_string();
    // One more than counts: the first one meets cold connections.
    for turn in 0..=turns {
        wire.expire_all().await.map_err(text)?;
        let authorization = bearer(&access).map_err(|error| error.to_string())?;
        wire.call(authorization, operation(QUERY))
            .await
            .map_err(text)?;
        let issued = wire.renew(&refresh).await.map_err(text)?;
        access = issued.access_token;
        refresh = issued.refresh_token.unwrap_or(refresh);
        let authorization = bearer(&access).map_err(|error| error.to_string())?;
        wire.call(authorization, operation(QUERY))
            .await
            .map_err(text)?;
        let by_hand = wire.replay_times().await.map_err(text)?;

        wire.expire_all().await.map_err(text)?;
        ours.call().await?;
        let by_client = wire.replay_times().await.map_err(text)?;
        if turn > 0 {
            replayed.bare.extend(by_hand);
            replayed.client.extend(by_client);
        }
    }
    Ok(Some(replayed))
}

/// One side of a comparison.
#[derive(Clone)]
struct Side {
    wire: Arc<Wire>,
    authorized_by: AuthorizedBy,
    body: Bytes,
}

#[derive(Clone)]
enum AuthorizedBy {
    ReadyHeaders(HeaderMap),
    Client(Arc<Client>),
}

/// Microseconds per call.
struct Spent {
    wall: f64,
    cpu: f64,
}

impl Side {
    fn bare(wire: &Arc<Wire>, ready: HeaderMap) -> Self {
        Self::new(wire, AuthorizedBy::ReadyHeaders(ready))
    }

    fn client(wire: &Arc<Wire>, client: Arc<Client>) -> Self {
        Self::new(wire, AuthorizedBy::Client(client))
    }

    fn new(wire: &Arc<Wire>, authorized_by: AuthorizedBy) -> Self {
        Self {
            wire: wire.clone(),
            authorized_by,
            body: operation(QUERY),
        }
    }

    /// So many calls by `callers` loops, each with one call at a time.
    async fn block(&self, callers: usize, calls: usize) -> Result<Spent, String> {
        let begun = Arc::new(AtomicUsize::new(0));
        let (wall, cpu) = (Instant::now(), cpu_time());
        let mut loops = JoinSet::new();
        for _ in 0..callers {
            let (side, begun) = (self.clone(), begun.clone());
            loops.spawn(async move {
                while begun.fetch_add(1, Ordering::Relaxed) < calls {
                    side.call().await?;
                }
                Ok(())
            });
        }
        let mut ended = Ok(());
        while let Some(one) = loops.join_next().await {
            ended = ended.and(one.unwrap_or_else(|_| Err("the client panicked".to_owned())));
        }
        let spent = Spent {
            wall: microseconds(wall.elapsed()) / calls as f64,
            cpu: microseconds(cpu_time().saturating_sub(cpu)) / calls as f64,
        };
        ended?;
        Ok(spent)
    }

    /// So many calls at once. Returns how many failed.
    async fn burst(&self, calls: usize) -> usize {
        let mut burst = JoinSet::new();
        for _ in 0..calls {
            let side = self.clone();
            burst.spawn(async move { side.call().await });
        }
        let mut failed = 0;
        while let Some(ended) = burst.join_next().await {
            failed += usize::from(!matches!(ended, Ok(Ok(()))));
        }
        failed
    }

    async fn call(&self) -> Result<(), String> {
        let body = self.body.clone();
        let answer = match &self.authorized_by {
            AuthorizedBy::ReadyHeaders(ready) => {
                let sent = self.wire.call(ready.clone(), body).await;
                sent.map_err(|error| error.to_string())
            }
            AuthorizedBy::Client(client) => {
                let called = client.call(&self.wire, body).await;
                called.map_err(|failure| failure.text)
            }
        };
        let status = answer?.status;
        if !status.is_success() {
            return Err(format!("a call was answered with status {status}"));
        }
        Ok(())
    }
}

/// The CPU time of this process so far, user and system.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
