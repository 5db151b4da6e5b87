//! Figures with their intervals: printed, and written to `target/compare/session.json` for `make compare`.

use std::path::Path;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

/// Resamples of an interval, and what makes them the same in every run.
const RESAMPLES: usize = 10_000;
const SEED: u64 = 1;

/// One figure: the median, and the interval in which it lies with 95 % confidence.
#[derive(Clone, Serialize)]
pub(crate) struct Figure {
    name: String,
    unit: &'static str,
    median: f64,
    low: f64,
    high: f64,
    turns: usize,
}

impl Figure {
    /// Of the figures of all turns, by the percentile bootstrap.
    pub(crate) fn of(name: impl Into<String>, unit: &'static str, turns: &[f64]) -> Self {
        let mut random = StdRng::seed_from_u64(SEED);
        let mut medians: Vec<_> = (0..RESAMPLES)
            .map(|_| {
                let drawn = turns
                    .iter()
                    .map(|_| turns[random.random_range(0..turns.len())]);
                median(drawn.collect())
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        let at = |share: f64| medians[(share * (RESAMPLES - 1) as f64) as usize];
        Self {
            name: name.into(),
            unit,
            median: median(turns.to_vec()),
            low: at(0.025),
            high: at(0.975),
            turns: turns.len(),
        }
    }
}

/// What both sides took in each turn. A machine that is slow for a while is so for both sides of a turn.
#[derive(Default)]
pub(crate) struct Turns {
    bare: Vec<f64>,
    ours: Vec<f64>,
}

impl Turns {
    /// Runs both sides, of which each goes first in every second turn: what one leaves behind meets the other as often.
    pub(crate) fn run<T>(&self, bare: impl FnOnce() -> T, ours: impl FnOnce() -> T) -> (T, T) {
        if self.bare.len().is_multiple_of(2) {
            let bare = bare();
            (bare, ours())
        } else {
            let ours = ours();
            (bare(), ours)
        }
    }

    /// One more turn.
    pub(crate) fn push(&mut self, bare: f64, ours: f64) {
        self.bare.push(bare);
        self.ours.push(ours);
    }

    /// Both sides, and what a session adds.
    pub(crate) fn difference(&self, name: &str, unit: &'static str) -> Vec<Figure> {
        self.compared(name, unit, ("added", unit), |bare, ours| ours - bare)
    }

    /// Both sides, and how many times of the bare one a session takes.
    pub(crate) fn ratio(&self, name: &str, unit: &'static str) -> Vec<Figure> {
        self.compared(name, unit, ("ratio", "times"), |bare, ours| ours / bare)
    }

    /// Nothing where criterion was asked for something else, and there was no turn.
    fn compared(
        &self,
        name: &str,
        unit: &'static str,
        (comparison, its_unit): (&str, &'static str),
        compare: impl Fn(f64, f64) -> f64,
    ) -> Vec<Figure> {
        if self.bare.is_empty() {
            return Vec::new();
        }
        let pairs = self.bare.iter().zip(&self.ours);
        let compared: Vec<_> = pairs.map(|(bare, ours)| compare(*bare, *ours)).collect();
        vec![
            Figure::of(format!("{name}, bare"), unit, &self.bare),
            Figure::of(format!("{name}, session"), unit, &self.ours),
            Figure::of(format!("{name}, {comparison}"), its_unit, &compared),
        ]
    }
}

/// Shows criterion what each side took, whichever time that is. Both take turns in every measurement, so that the machine's mood is the same for
/// both.
pub(crate) fn show(
    group: &mut BenchmarkGroup<'_, WallTime>,
    parameter: usize,
    mut turn: impl FnMut() -> (Duration, Duration),
) {
    for (name, is_session) in [("bare reqwest", false), ("session", true)] {
        group.bench_function(BenchmarkId::new(name, parameter), |bencher| {
            bencher.iter_custom(|rounds| {
                let turns = (0..rounds).map(|_| turn());
                turns
                    .map(|(bare, ours)| if is_session { ours } else { bare })
                    .sum()
            });
        });
    }
}

/// Prints the figures, and writes them for `make compare`.
pub(crate) fn report(figures: &[Figure]) {
    println!("\n{:<44} {:>9} {:>21}", "", "median", "95 % interval");
    for figure in figures {
        let Figure {
            name,
            unit,
            median,
            low,
            high,
            turns,
        } = figure;
        println!("{name:<44} {median:>9.3} {low:>9.3} to {high:>9.3} {unit}, {turns} turns");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/compare");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let text = serde_json::to_string_pretty(figures).expect("names and numbers are JSON");
    std::fs::write(folder.join("session.json"), text + "\n").expect("the figures can be written");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}
