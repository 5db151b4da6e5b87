//! The recorded counts, and the comparison with them.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How much more or fewer a call through the session may take, in percent.
const TOLERATED: f64 = 2.0;

/// How much more or fewer the session's own part of it may take, in percent: what it adds is a fraction of the whole call, and
/// would drown in 2 % of that. Counts of the same program lay between 4,095 and 4,604 around the recorded 4,271; why they differ
/// is not known yet.
const TOLERATED_OF_ADDED: f64 = 12.0;

/// Where `make compare` looks for the counts, beside those of the other benches.
const FIGURES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../target/compare/instructions.json"
);

/// Instructions per call.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) session: u64,
    pub(crate) bare: u64,
}

impl Counts {
    /// What the session takes on top of a bare call.
    pub(crate) fn added(self) -> u64 {
        self.session.saturating_sub(self.bare)
    }
}

/// Counts with what they depend on.
#[derive(Serialize, Deserialize)]
pub(crate) struct Baseline {
    recorded_on: String,
    rustc: String,
    machine: String,
    instructions_per_call: Counts,
    added: u64,
}

impl Baseline {
    /// As they are now.
    pub(crate) fn of(counts: Counts) -> Self {
        Self {
            recorded_on: Timestamp::now().strftime("%Y-%m-%d").to_string(),
            rustc: rustc(),
            machine: machine(),
            instructions_per_call: counts,
            added: counts.added(),
        }
    }

    /// The recorded one.
    pub(crate) fn read() -> Self {
        let text = std::fs::read(path()).expect("the baseline can be read");
        serde_json::from_slice(&text).expect("the baseline is JSON")
    }

    /// Records it.
    pub(crate) fn write(&self) {
        let text = serde_json::to_string_pretty(self).expect("names and numbers are JSON");
        std::fs::write(path(), text + "\n").expect("the baseline can be written");
        println!("recorded; say why in the commit's message");
    }

    /// Other compilers and processors take other instructions.
    fn is_of_this_machine(&self) -> bool {
        (&self.rustc, &self.machine) == (&rustc(), &machine())
    }

    /// Writes the counts for `make compare`, with the most that each may be.
    pub(crate) fn report(&self, now: Counts) {
        let before = self.instructions_per_call;
        let at_most = |recorded: u64, tolerated: f64| {
            let at_most = recorded as f64 * (1.0 + tolerated / 100.0);
            self.is_of_this_machine().then_some(at_most)
        };
        let figure = |name: &str, median: u64, target: Option<f64>| json!({ "name": name, "unit": "", "median": median, "target": target });
        let of_session = at_most(before.session, TOLERATED);
        let of_added = at_most(before.added(), TOLERATED_OF_ADDED);
        let figures = json!([
            figure("instructions per call, session", now.session, of_session),
            figure("instructions per call, added", now.added(), of_added),
            figure("instructions per call, bare", now.bare, None),
        ]);
        let folder = Path::new(FIGURES).parent().expect("a folder");
        std::fs::create_dir_all(folder).expect("the folder can be made");
        std::fs::write(FIGURES, format!("{figures:#}\n")).expect("the figures can be written");
    }

    /// Fails where a call takes more than it did, or fewer: then what is recorded is not what is true.
    pub(crate) fn compare(&self, now: Counts) -> ExitCode {
        if !self.is_of_this_machine() {
            println!(
                "NOTE: instructions were NOT compared: the baseline is of {} on {}, this is {} on {}. \
                 Record it anew with scripts/instructions.sh --record",
                self.rustc,
                self.machine,
                rustc(),
                machine()
            );
            return ExitCode::SUCCESS;
        }
        let before = self.instructions_per_call;
        let fits = |what: &str, of: fn(Counts) -> u64, tolerated: f64| {
            let (before, now) = (of(before), of(now));
            let percent = 100.0 * (now as f64 / before as f64 - 1.0);
            println!("{what}: {before} instructions recorded, {now} now, {percent:+.2} %");
            percent.abs() <= tolerated
        };
        // Both are said, also where the first one fails.
        let call = fits("a call through the session", |it| it.session, TOLERATED);
        let added = "what the session adds to a call";
        if fits(added, Counts::added, TOLERATED_OF_ADDED) && call {
            return ExitCode::SUCCESS;
        }
        println!(
            "FAILED: instructions changed by more than {TOLERATED} % of a call or {TOLERATED_OF_ADDED} % of what the \
             session adds to it. If more: find what costs them (callgrind_annotate compares two runs). If it is meant, or \
             fewer: scripts/instructions.sh --record, with the reason in the commit's message."
        );
        ExitCode::FAILURE
    }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("baseline.json")
}

fn rustc() -> String {
    let run = Command::new("rustc").arg("--version").output();
    let said = run.expect("rustc is installed").stdout;
    String::from_utf8_lossy(&said).trim().to_owned()
}

/// Copying and searching bytes take other instructions where the processor has wider registers.
fn machine() -> String {
    let mut machine = std::env::consts::ARCH.to_owned();
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        machine += " with AVX2";
    }
    machine
}
