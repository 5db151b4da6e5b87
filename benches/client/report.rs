//! The figures: a table for people, and JSON for the comparison.

use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use crate::memory::Memory;
use crate::starts::Start;

/// The most that the client's own process may take with two windows, in MB.
pub(crate) const PSS_TARGET: f64 = 90.0;

/// The most that the median may be, from the keyring's answer to the first reply to a call with credentials, in ms.
const REPLY_TARGET: f64 = 150.0;

/// All that a run found.
#[derive(Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
}

/// One figure over several runs.
#[derive(Serialize)]
struct Figure {
    name: String,
    unit: &'static str,
    min: f64,
    median: f64,
    p95: f64,
    max: f64,
    runs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<f64>,
}

impl Report {
    pub(crate) fn starts(&mut self, starts: &[Start]) {
        let mut add = |name: &str, of: fn(&Start) -> f64, target| {
            self.add(name.to_owned(), "ms", starts.iter().map(of), target);
        };
        let reply = "keyring's answer to first authenticated reply";
        add(reply, |start| start.served - start.read, Some(REPLY_TARGET));
        add(
            "process start to first authenticated reply",
            |start| start.served,
            None,
        );
        add("process start to keyring asked", |start| start.asked, None);
        add(
            "keyring asked to its answer",
            |start| start.read - start.asked,
            None,
        );
        add(
            "process start to first call at the server",
            |start| start.sent,
            None,
        );
        add(
            "process start to the page asking for records",
            |start| start.shown,
            None,
        );
    }

    pub(crate) fn memory(&mut self, what: &str, runs: &[Memory], target: Option<f64>) {
        let mut add = |name: &str, unit, of: fn(&Memory) -> f64, target| {
            self.add(format!("{what}: {name}"), unit, runs.iter().map(of), target);
        };
        add("main process, PSS", "MB", |run| run.pss, target);
        add("main process, private", "MB", |run| run.private, None);
        add(
            "main process, PSS that is no file",
            "MB",
            |run| run.anonymous,
            None,
        );
        add("main process, threads", "", |run| run.threads, None);
        add("network process, PSS", "MB", |run| run.network_pss, None);
        add("web processes, PSS", "MB", |run| run.web_pss, None);
    }

    fn add(
        &mut self,
        name: String,
        unit: &'static str,
        values: impl Iterator<Item = f64>,
        target: Option<f64>,
    ) {
        let mut sorted: Vec<_> = values.collect();
        sorted.sort_by(f64::total_cmp);
        // Rounded up where a rank lies between two, so that no figure looks better than it is; and as long as it means
        // something: a microsecond, a kilobyte.
        let at = |percent: usize| {
            let rank = ((sorted.len() - 1) * percent).div_ceil(100);
            (sorted[rank] * 1e3).round() / 1e3
        };
        self.figures.push(Figure {
            name,
            unit,
            min: at(0),
            median: at(50),
            p95: at(95),
            max: at(100),
            runs: sorted.len(),
            target,
        });
    }

    /// Prints the table, ready for a document. A target holds for the median.
    pub(crate) fn print(&self) {
        println!("| | unit | min | median | p95 | max | runs | target |");
        println!("|---|---|---|---|---|---|---|---|");
        for figure in &self.figures {
            let target = figure.target.map_or(String::new(), |target| {
                let is_met = if figure.median <= target {
                    "met"
                } else {
                    "not met"
                };
                format!("{target}: {is_met}")
            });
            println!(
                "| {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {target} |",
                figure.name,
                figure.unit,
                figure.min,
                figure.median,
                figure.p95,
                figure.max,
                figure.runs,
            );
        }
        println!("\nLoad of the machine over 1, 5 and 15 min: {}", load());
    }

    pub(crate) fn write(&self, file: &Path) {
        let webview = tauri::webview_version().unwrap_or_else(|_| "unknown".to_owned());
        let report = json!({
            "figures": self.figures,
            "versions": {
                "holdfast": env!("CARGO_PKG_VERSION"),
                "tauri": tauri::VERSION,
                "webview": webview,
                "build": "release",
            },
            "machine": {
                "cores": std::thread::available_parallelism().map_or(0, usize::from),
                "load": load(),
            },
        });
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).expect("the folder of the figures can be made");
        }
        fs::write(file, format!("{report:#}\n")).expect("the figures are kept");
        println!("Figures: {}", file.display());
    }
}

fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace()
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}
