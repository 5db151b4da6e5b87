//! What each client costs beside the same requests without it: taken in turns in one process, against a server in
//! another one, so that the machine's mood is the same for both sides.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clients::{Client, Language};
use crate::driver::{Driver, Silence};
use crate::server;

/// How long a measurement may take. Most take seconds, the calls of a slow client a minute.
const LIMIT: Duration = Duration::from_secs(600);

/// How long one turn of waiters may take, both sides together. Most take a second or three, and nobody would wait for
/// more than this.
pub(crate) const TURN_LIMIT: Duration = Duration::from_secs(20);

/// Callers at once, each with one call after the other.
pub(crate) const CALLERS: [u64; 3] = [1, 8, 64];

/// Calls per side, in so many turns: each takes a fiftieth of a second or more, long enough for the process's CPU clock.
const CALLS: u64 = 18_000;
const TURNS: u64 = 30;

/// Calls at once with an expired token.
pub(crate) const WAITERS: [u64; 2] = [1_000, 10_000];
const WAITER_TURNS: [u64; 2] = [8, 6];

/// Refused calls, one after the other.
const REPLAYS: u64 = 60;

/// The middle of several turns, and the 95 % interval of that middle.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Middle {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Both sides of one figure, and what the client makes of the bare one, turn by turn.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Compared {
    pub(crate) bare: Middle,
    pub(crate) client: Middle,
    /// Client by bare.
    pub(crate) ratio: Middle,
    /// Client less bare.
    pub(crate) added: Middle,
}

/// The figures of one client.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Speed {
    /// µs per call, at each of [`CALLERS`].
    pub(crate) calls: Vec<Compared>,
    /// µs of CPU time per call, at each of [`CALLERS`].
    pub(crate) cpu: Vec<Compared>,
    /// Until all are through, at each of [`WAITERS`].
    pub(crate) waiters: Vec<Waiters>,
    /// µs from the refusal to the replay; none for a client that does not replay.
    pub(crate) replay: Option<Compared>,
}

/// What became of many calls that waited for one renewal.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Waiters {
    /// ms until all were through.
    Through(Compared),
    /// How many of how many calls failed.
    Failed { failed: u64, calls: u64 },
    /// A turn took more than [`TURN_LIMIT`] on average.
    TooSlow,
}

impl Waiters {
    /// Where all were through.
    pub(crate) fn through(self) -> Option<Compared> {
        match self {
            Self::Through(compared) => Some(compared),
            Self::Failed { .. } | Self::TooSlow => None,
        }
    }
}

/// Measures one client.
pub(crate) async fn measure(client: &Client) -> Speed {
    let mut speed = Speed::default();
    for callers in CALLERS {
        let command = json!({
            "do": "measure", "callers": callers, "calls": CALLS, "turns": TURNS,
        });
        let answer = asked(client, &command, "measured").await;
        speed.calls.push(compared(&answer, "bare", "client"));
        speed.cpu.push(compared(&answer, "bareCpu", "clientCpu"));
    }
    for (calls, turns) in WAITERS.into_iter().zip(WAITER_TURNS) {
        let command = json!({ "do": "waiters", "calls": calls, "turns": turns });
        let limit = TURN_LIMIT * u32::try_from(turns).expect("few turns");
        let answer = answer(client, &command, "waited", limit).await;
        speed.waiters.push(match answer {
            Err(Silence::Late) => Waiters::TooSlow,
            Err(other) => panic!("{}, {command}: {other}", client.title),
            Ok(answer) => match answer["failed"].as_u64().expect("a number of calls") {
                0 => Waiters::Through(compared(&answer, "bare", "client")),
                failed => Waiters::Failed {
                    failed,
                    calls: calls * turns,
                },
            },
        });
    }
    let answer = asked(
        client,
        &json!({ "do": "replays", "turns": REPLAYS }),
        "replayed",
    )
    .await;
    speed.replay = (!answer.is_null()).then(|| compared(&answer, "bare", "client"));
    speed
}

async fn asked(client: &Client, command: &Value, key: &str) -> Value {
    let answer = answer(client, command, key, LIMIT).await;
    answer.unwrap_or_else(|why| panic!("{}, {command}: {why}", client.title))
}

/// Each with a server and a process of its own.
async fn answer(
    client: &Client,
    command: &Value,
    key: &str,
    limit: Duration,
) -> Result<Value, Silence> {
    let server = server::start(if client.needs_401 { 401 } else { 200 });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let driver = Driver::start(client);
    let store = folder.path().join("store.json");
    let tokens = server::tokens();
    driver.open(&server.origin, &store, 1, Some(&tokens)).await;
    driver.answer(command, key, limit).await
}

/// What the client's bare side is.
pub(crate) fn bare_name(client: &Client) -> &'static str {
    match client.language {
        Language::Ours | Language::Rust => "reqwest",
        Language::JavaScript => "fetch",
    }
}

fn compared(answer: &Value, bare: &str, client: &str) -> Compared {
    let turns = |key: &str| -> Vec<f64> {
        let turns = answer[key].as_array().into_iter().flatten();
        turns.filter_map(Value::as_f64).collect()
    };
    let (bare, client) = (turns(bare), turns(client));
    assert!(!bare.is_empty() && bare.len() == client.len(), "{answer}");
    let pairs = || bare.iter().zip(&client);
    Compared {
        ratio: middle(pairs().map(|(bare, client)| client / bare).collect()),
        added: middle(pairs().map(|(bare, client)| client - bare).collect()),
        bare: middle(bare.clone()),
        client: middle(client.clone()),
    }
}

/// The median, and between which turns it lies with 95 % certainty whatever their distribution: the ranks of the
/// binomial sign test.
fn middle(mut turns: Vec<f64>) -> Middle {
    turns.sort_by(f64::total_cmp);
    let count = turns.len();
    let median = (turns[(count - 1) / 2] + turns[count / 2]) / 2.0;
    let below = rank_below(count);
    Middle {
        median,
        low: turns[below],
        high: turns[count - 1 - below],
    }
}

/// How many turns can be left out at each end: the largest rank whose tail of the binomial (n, 1/2) is at most 2.5 %.
fn rank_below(count: usize) -> usize {
    let mut probability = 0.5_f64.powi(i32::try_from(count).expect("a few dozen turns"));
    let mut tail = probability;
    let mut rank = 0;
    while tail <= 0.025 {
        probability *= (count - rank) as f64 / (rank + 1) as f64;
        rank += 1;
        tail += probability;
    }
    rank.saturating_sub(1)
}
