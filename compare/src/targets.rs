//! What we demand of ourselves, beside what the other steps of the same run have found.

use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use crate::figures_at;

/// The most that a figure of `benches/session` may be, by how its name begins and ends. Of many waiters people feel the
/// time; the CPU's ratio stands beside it.
const SESSION: [(&str, &str, f64); 3] = [
    ("CPU per call", "added", 5.0),
    ("10000 waiters, refused, ratio", "", 1.10),
    ("reading the credentials", "", 50.0),
];

/// A figure as `benches/session` (with an interval), `benches/client` (with extremes) and `benches/instructions` write it.
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
    figures.extend(read::<Vec<Figure>>(&figures_at("instructions")).unwrap_or_default());
    let (demanded, others): (Vec<_>, Vec<_>) =
        figures.iter().partition(|figure| figure.target.is_some());
    if figures.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "
## What we demand of ourselves

Ours alone, from the same run: `benches/session` against a server in a process of its own, `benches/client` in the real
window, `benches/instructions` under callgrind, where `make test` compares with the recorded counts. In parentheses the 95 %
interval of the median, or the extremes of all runs.

| | measured | at most |
|---|---|---|
",
    );
    for figure in demanded {
        let (measured, judged) = (figure.measured(), figure.judged());
        let _ = writeln!(text, "| {} | {measured} | {judged} |", figure.name);
    }
    text.push_str(
        "\nWhat they are made of, and what is beside them:\n\n| | measured |\n|---|---|\n",
    );
    for figure in others {
        let _ = writeln!(text, "| {} | {} |", figure.name, figure.measured());
    }
    text
}

impl Figure {
    fn measured(&self) -> String {
        let mut measured = rounded(self.median);
        if !self.unit.is_empty() {
            let _ = write!(measured, " {}", self.unit);
        }
        let low = self.low.or(self.min);
        if let Some((low, high)) = low.zip(self.high()) {
            let _ = write!(measured, " ({} to {})", rounded(low), rounded(high));
        }
        measured
    }

    fn judged(&self) -> String {
        let Some(target) = self.target else {
            return String::new();
        };
        let judged = match self.high() {
            _ if self.median > target => "**missed**",
            Some(high) if high > target => "met by the median",
            _ => "met",
        };
        format!("{}: {judged}", rounded(target))
    }

    fn high(&self) -> Option<f64> {
        self.high.or(self.max)
    }
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
