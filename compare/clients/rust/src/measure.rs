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
use crate::wire::{Answer, Wire, WireError, bearer, operation};

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
    for turn in 0..turns {
        let (bare, client) = if bare_goes_first(turn) {
            let bare = bare.block(callers, calls).await?;
            (bare, client.block(callers, calls).await?)
        } else {
            let client = client.block(callers, calls).await?;
            (bare.block(callers, calls).await?, client)
        };
        measured.bare.push(bare.wall);
        measured.bare_cpu.push(bare.cpu);
        measured.client.push(client.wall);
        measured.client_cpu.push(client.cpu);
    }
    Ok(measured)
}

/// Each side goes first in every second turn: what one leaves behind meets the other as often.
fn bare_goes_first(turn: usize) -> bool {
    turn.is_multiple_of(2)
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
    let ours = Side::client(&wire, client.clone());
    let mut waited = Waited::default();
    for turn in 0..turns {
        wire.expire_all().await.map_err(|error| error.to_string())?;
        // Only right before its own burst: google renews in the background as soon as its clock says so, and has done so
        // when the burst is over, for that waits for it.
        if !bare_goes_first(turn) {
            client.expire().await;
            waited.client(&ours, calls).await;
        }
        let began = Instant::now();
        refresh = renew_and_call(&wire, refresh, calls).await?;
        waited.bare.push(milliseconds(began.elapsed()));
        if bare_goes_first(turn) {
            client.expire().await;
            waited.client(&ours, calls).await;
        }
    }
    Ok(waited)
}

impl Waited {
    async fn client(&mut self, ours: &Side, calls: usize) {
        let began = Instant::now();
        let ended = ours.burst(calls).await;
        self.client.push(milliseconds(began.elapsed()));
        self.failed += ended.iter().filter(|call| call.is_err()).count();
    }
}

/// The bare side of a burst, of which a failure is nobody's but the measurement's. Returns the rotated refresh token.
async fn renew_and_call(wire: &Arc<Wire>, refresh: String, calls: usize) -> Result<String, String> {
    let renewed = wire.renew(&refresh).await;
    let issued = renewed.map_err(|error| error.to_string())?;
    let ready = bearer(&issued.access_token).map_err(|error| error.to_string())?;
    let ended = Side::bare(wire, ready).burst(calls).await;
    ended.into_iter().collect::<Result<(), _>>()?;
    Ok(issued.refresh_token.unwrap_or(refresh))
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
        if is_served(&call_by_hand(&wire, &access).await?) {
            return Err("a call by hand was not refused".to_owned());
        }
        let issued = wire.renew(&refresh).await.map_err(text)?;
        access = issued.access_token;
        refresh = issued.refresh_token.unwrap_or(refresh);
        served(call_by_hand(&wire, &access).await?)?;
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

async fn call_by_hand(wire: &Wire, access: &str) -> Result<Answer, String> {
    let authorization = bearer(access).map_err(|error| error.to_string())?;
    let called = wire.call(authorization, operation(QUERY)).await;
    called.map_err(|error| error.to_string())
}

/// A refusal may come with status 200, and then has no data. How the answers to [`QUERY`] begin is looked at, for reading
/// them whole would be most of what is measured.
fn is_served(answer: &Answer) -> bool {
    answer.status.is_success() && answer.body.starts_with(br#"{"data":{"#)
}

fn served(answer: Answer) -> Result<(), String> {
    match answer.status {
        _ if is_served(&answer) => Ok(()),
        status if status.is_success() => Err("a call was answered without data".to_owned()),
        status => Err(format!("a call was answered with status {status}")),
    }
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

    /// So many calls at once, and how each ended.
    async fn burst(&self, calls: usize) -> Vec<Result<(), String>> {
        let mut burst = JoinSet::new();
        for _ in 0..calls {
            let side = self.clone();
            burst.spawn(async move { side.call().await });
        }
        let mut ended = Vec::with_capacity(calls);
        while let Some(one) = burst.join_next().await {
            ended.push(one.unwrap_or_else(|_| Err("the client panicked".to_owned())));
        }
        ended
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
        served(answer?)
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
