//! What we demand of ourselves, beside what the other steps of the same run have found.

use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use crate::clients::root;
use crate::figures_at;

/// The most that a figure of `benches/session` may be, by how its name begins and ends.
const SESSION: [(&str, &str, f64); 3] = [
    ("CPU per call", "added", 5.0),
    ("10000 waiters, refused", "ratio", 1.10),
    ("reading the credentials", "", 50.0),
];

/// What `scripts/instructions.sh` compares with.
const INSTRUCTIONS: &str = "benches/instructions/baseline.json";

/// A figure as `benches/session` (with an interval) and `benches/client` (with extremes) write it.
#[derive(Clone, Debug, Deserialize)]
struct Figure {
    name: String,
    unit: String,
    median: f64,
    /// The 95 % interval of the median.
    low: Option<f64>,
    high: Option<f64>,
    /// The extremes of all runs.
    min: Option<f64>,
    max: Option<f64>,
    /// The most that the median may be.
    target: Option<f64>,
}

#[derive(Deserialize)]
struct OfClient {
    figures: Vec<Figure>,
}

/// The part of the document; without the steps that have not run.
pub(crate) fn section() -> String {
    let mut figures: Vec<Figure> = read(&figures_at("session")).unwrap_or_default();
    for figure in &mut figures {
        figure.target = SESSION
            .iter()
            .find(|(begins, ends, _)| {
                figure.name.starts_with(begins) && figure.name.ends_with(ends)
            })
            .map(|(.., at_most)| *at_most);
    }
    if let Some(client) = read::<OfClient>(&figures_at("client")) {
        figures.extend(client.figures);
    }
    if figures.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n## What we demand of ourselves\n\nOurs alone, from the same run: `benches/session` against a server in a process of its own, `benches/client` in the real window.\nIn parentheses the 95 % interval of the median, or the extremes of all runs.\n\n| | measured | target |\n|---|---|---|\n",
    );
    for figure in &figures {
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            figure.name,
            figure.measured(),
            figure.judged()
        );
    }
    text.push_str(&instructions());
    text
}

impl Figure {
    fn measured(&self) -> String {
        let unit = &self.unit;
        let (low, high) = (self.low.or(self.min), self.high.or(self.max));
        let median = rounded(self.median);
        match low.zip(high) {
            Some((low, high)) => format!("{median} {unit} ({} to {})", rounded(low), rounded(high)),
            None => format!("{median} {unit}"),
        }
    }

    fn judged(&self) -> String {
        match self.target {
            None => String::new(),
            Some(target) if self.median <= target => format!("{target}: met"),
            Some(target) => format!("{target}: **missed**"),
        }
    }
}

/// Instructions are counted by `scripts/instructions.sh`, and do not depend on the machine's mood.
fn instructions() -> String {
    let Some(baseline) = read::<serde_json::Value>(&root().join(INSTRUCTIONS)) else {
        return String::new();
    };
    let of = |key: &str| baseline[key].as_f64().map(rounded).unwrap_or_default();
    format!(
        "\nInstructions of a call with a valid token, counted by callgrind and compared in every test run: {} through the session, {} for\nthe bare request, {} added.\n",
        of("session"),
        of("bare"),
        of("added"),
    )
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    let text = std::fs::read_to_string(path).ok()?;
    let figures = serde_json::from_str(&text);
    Some(figures.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Three digits, or all before the point.
fn rounded(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
