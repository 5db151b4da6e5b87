//! What a client costs, beside bare reqwest on the same connections: both sides take turns in one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::protocol::{Measured, Waited};
use crate::store::Store;
use crate::wire::{Wire, bearer, operation};

const QUERY: &str = "query People { people { totalCount } }";

/// Calls with a valid token by so many callers at once: `turns` blocks of each side, after one of each that does not count.
pub(crate) async fn measure(
    client: Arc<Client>,
    wire: Arc<Wire>,
    callers: usize,
    calls: usize,
    turns: usize,
) -> Result<Measured, String> {
    if callers == 0 || turns == 0 || calls < turns {
        return Err("needs a caller, a turn, and a call in each".to_owned());
    }
    let ready = client.authorization().await.map_err(|error| error.text)?;
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
        let authorization = match &self.authorized_by {
            AuthorizedBy::ReadyHeaders(ready) => ready.clone(),
            AuthorizedBy::Client(client) => {
                client.authorization().await.map_err(|error| error.text)?
            }
        };
        let answer = self.wire.call(authorization, self.body.clone()).await;
        let status = answer.map_err(|error| error.to_string())?.status;
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
