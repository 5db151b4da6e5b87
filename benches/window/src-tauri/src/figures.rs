//! What the page measured, and what it means.

use std::fs;

use rand::Rng;
use serde::Deserialize;

/// How often the rounds are drawn again for an interval.
const DRAWS: usize = 2_000;

/// How many times the page's own `fetch` an `execute` may take, by the length of its reply in bytes.
const TARGETS: [(usize, f64); 2] = [(1_000, 1.3), (1_000_000, 1.1)];

/// How many times the floor and the request an `execute` may take, where WebKit's IPC makes the other impossible.
const FLOOR_TARGET: f64 = 1.1;

/// How many times its length an upload may take in the application's memory.
const UPLOAD_TARGET: f64 = 2.2;

/// All that a run found.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    /// The page's clock moves by so much, in milliseconds.
    step_ms: f64,
    /// How often the page's browser asked the server for permission.
    permissions: u32,
    upload: Upload,
    lengths: Vec<Length>,
}

/// The figures of one length of reply.
#[derive(Deserialize)]
struct Length {
    bytes: usize,
    /// Calls in a row that make one figure.
    calls: usize,
    rounds: Vec<Round>,
}

/// Milliseconds for one call, each the mean of some in a row.
#[derive(Clone, Copy, Deserialize)]
struct Round {
    page: f64,
    execute: f64,
    empty: f64,
    request: f64,
}

impl Round {
    fn floor_and_request(self) -> f64 {
        self.empty + self.request
    }
}

/// One upload, and the application's memory, in bytes.
#[derive(Deserialize)]
struct Upload {
    bytes: usize,
    before: Option<u64>,
    peak: Option<u64>,
}

impl Figures {
    /// Prints the tables, ready for a README, and whether the targets are met.
    pub(crate) fn print(&self) {
        println!("Milliseconds for one call: median of the rounds (95 % are below)\n");
        println!(
            "| reply | rounds x calls | page's own `fetch` | `execute` | floor: an empty command | the request alone |"
        );
        println!("|---|---|---|---|---|---|");
        for length in &self.lengths {
            println!("{}", length.times());
        }
        println!("\n`execute`, how many times as long (95 % interval)\n");
        println!("| reply | as the page's own `fetch` | as floor + request | target |");
        println!("|---|---|---|---|");
        for length in &self.lengths {
            println!("{}", length.ratios());
        }
        println!("\n{}", self.upload.line());
        println!(
            "The page's clock moves by {:.2} ms: one figure of a round is the mean of its calls in a row.",
            self.step_ms
        );
        println!(
            "Preflights of the page's own `fetch` in the whole run: {}.",
            self.permissions
        );
        if let Ok(load) = fs::read_to_string("/proc/loadavg") {
            println!("Load of the machine over 1, 5 and 15 min: {load}");
        }
    }
}

impl Length {
    fn times(&self) -> String {
        let cell = |of: fn(&Round) -> f64| {
            let sorted = sorted(self.rounds.iter().map(of));
            format!("{:.2} ({:.2})", at(&sorted, 50), at(&sorted, 95))
        };
        let (rounds, calls) = (self.rounds.len(), self.calls);
        format!(
            "| {} | {rounds} x {calls} | {} | {} | {} | {} |",
            self.name(),
            cell(|round| round.page),
            cell(|round| round.execute),
            cell(|round| round.empty),
            cell(|round| round.request),
        )
    }

    fn ratios(&self) -> String {
        let beside_page = self.ratio(|round| round.page);
        let beside_floor = self.ratio(|round| round.floor_and_request());
        let target = TARGETS.iter().find(|(bytes, _)| *bytes == self.bytes);
        let verdict = match target {
            None => "none".to_owned(),
            Some((_, most)) if beside_page.value <= *most => verdict(beside_page.value, *most),
            // The floor counts only where the page's own fetch is out of reach.
            Some((_, most)) => format!(
                "{}; floor + request {}",
                verdict(beside_page.value, *most),
                verdict(beside_floor.value, FLOOR_TARGET)
            ),
        };
        format!(
            "| {} | {beside_page} | {beside_floor} | {verdict} |",
            self.name()
        )
    }

    fn name(&self) -> String {
        match self.bytes {
            bytes @ 1_000_000.. => format!("{} MB", bytes / 1_000_000),
            bytes => format!("{} kB", bytes / 1_000),
        }
    }

    /// How the medians stand. Whole rounds are drawn again, because what disturbs one side of a round disturbs the other.
    fn ratio(&self, other: fn(&Round) -> f64) -> Ratio {
        let of = |rounds: &[Round]| {
            let ours = sorted(rounds.iter().map(|round| round.execute));
            let theirs = sorted(rounds.iter().map(other));
            at(&ours, 50) / at(&theirs, 50)
        };
        let mut random = rand::rng();
        let drawn = sorted((0..DRAWS).map(|_| {
            let again: Vec<_> = (0..self.rounds.len())
                .map(|_| self.rounds[random.random_range(0..self.rounds.len())])
                .collect();
            of(&again)
        }));
        Ratio {
            value: of(&self.rounds),
            low: drawn[DRAWS / 40],
            high: drawn[DRAWS - 1 - DRAWS / 40],
        }
    }
}

/// A ratio and its 95 % interval.
struct Ratio {
    value: f64,
    low: f64,
    high: f64,
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.value, self.low, self.high)
    }
}

impl Upload {
    fn line(&self) -> String {
        let (Some(before), Some(peak)) = (self.before, self.peak) else {
            return "An upload's memory is counted on Linux only.".to_owned();
        };
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let taken = peak.saturating_sub(before);
        let times = taken as f64 / self.bytes as f64;
        format!(
            "An upload of {:.0} MiB took {:.1} MiB of the application's memory at its peak, {times:.2} times as much ({:.1} \
             MiB were taken before); target {}.",
            mebibytes(self.bytes as u64),
            mebibytes(taken),
            mebibytes(before),
            verdict(times, UPLOAD_TARGET),
        )
    }
}

fn verdict(times: f64, most: f64) -> String {
    let verdict = if times <= most { "met" } else { "not met" };
    format!("{most:.1}: {verdict}")
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn at(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100]
}
