//! What a fleet of clients does to its server before, during and after an outage, on virtual time and without sockets.
//! `make fleet` runs it and writes `docs/fleet.md` with its plots. The numbers are the same in every run.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts and seconds of a simulation are small"
)]

mod counts;
mod plot;
mod random;
mod report;
mod simulation;

use std::path::Path;

use counts::{Counts, peak, quantile};
use simulation::{Outage, Plan, Policy, SECOND, Simulation};

/// The fleet. A fifth of it is in use.
const CLIENTS: u32 = 1_000_000;

/// A steady state before the outage, in s.
const BEFORE: u64 = 300;

/// The outage, in s.
const OUTAGE: u64 = 600;

/// Afterwards, in s: with the echo one token's life later.
const AFTER: u64 = 1_500;

/// Afterwards, in s, where only the recovery matters: longer than the longest pause of all.
const RECOVERY: u64 = 180;

/// The longest pauses that the curve compares with the default, in s.
const PAUSES: [u64; 4] = [10, 20, 60, 120];

/// The default of `limits.maxBackoffMs`, in s.
const DEFAULT_PAUSE: u64 = 30;

/// Runs at a time: each takes most of a gigabyte.
const AT_ONCE: usize = 2;

/// What must hold: the peak of clients whose token works, against the steady peak, and the 99th percentile of the wait
/// of people whose token has expired, in s.
const PEAK_AT_MOST: f64 = 2.0;
const WAIT_AT_MOST: f64 = 30.0;

/// And for a person who acts after the server's return, from that action: the median, and the 99th percentile, in s.
const ACTING_WAIT_AT_MOST: (f64, f64) = (2.0, 10.0);

/// And the 99th percentile of the wait after the network's return, in s.
const NETWORK_WAIT_AT_MOST: f64 = 1.0;

/// Everything that was run.
struct Runs {
    ours: Counts,
    no_jitter: Counts,
    log_out: Counts,
    answers_lost: Counts,
    renewals_only: Counts,
    offline: Counts,
    together: Counts,
    together_no_jitter: Counts,
    /// By longest pause, in s; without the default.
    pauses: Vec<(u64, Counts)>,
}

impl Runs {
    /// All longest pauses, in s, the default among them.
    fn curve(&self) -> Vec<(u64, &Counts)> {
        let others = self.pauses.iter().map(|(pause, counts)| (*pause, counts));
        let mut curve: Vec<_> = others.chain([(DEFAULT_PAUSE, &self.ours)]).collect();
        curve.sort_by_key(|(pause, _)| *pause);
        curve
    }
}

fn main() {
    // As other benches do: without `--bench`, as under `cargo test`, it only shows that it works.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let runs = run_all(if is_bench { CLIENTS } else { CLIENTS / 100 });
    let docs = if is_bench {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
    } else {
        std::env::temp_dir()
    };
    plot::draw(&docs, &runs).expect("plots can be drawn");
    let text = report::write(&runs);
    std::fs::write(docs.join("fleet.md"), &text).expect("the report can be written");
    println!("{text}");
    if !is_bench {
        return;
    }
    for (outage, counts) in [("refused", &runs.ours), ("offline", &runs.offline)] {
        let ratio = working_peak(counts) / steady_peak(counts);
        assert!(
            ratio <= PEAK_AT_MOST,
            "{outage}: {ratio:.2} times the steady peak"
        );
    }
    let wait = quantile(&runs.ours.waits, 0.99);
    assert!(wait <= WAIT_AT_MOST, "{wait:.1} s");
    let (median, p99) = ACTING_WAIT_AT_MOST;
    for counts in [&runs.ours, &runs.answers_lost, &runs.renewals_only] {
        let wait = |share| quantile(&counts.acting_waits, share);
        assert!(wait(0.5) <= median, "half of them: {:.1} s", wait(0.5));
        assert!(wait(0.99) <= p99, "99 of 100: {:.1} s", wait(0.99));
    }
    let wait = quantile(&runs.offline.waits, 0.99);
    assert!(
        wait <= NETWORK_WAIT_AT_MOST,
        "{wait:.1} s after the network"
    );
}

fn run_all(clients: u32) -> Runs {
    let ours = Plan {
        clients,
        active: clients / 5,
        returning: clients / 500,
        outage: Outage::Refused,
        away: (BEFORE * SECOND, (BEFORE + OUTAGE) * SECOND),
        until: (BEFORE + OUTAGE + AFTER) * SECOND,
        policy: Policy::Ours,
        max_backoff: DEFAULT_PAUSE * SECOND,
        signed_in_within: None,
    };
    let never_away = Plan {
        returning: 0,
        until: AFTER * SECOND,
        away: (AFTER * SECOND, AFTER * SECOND),
        signed_in_within: Some(10 * SECOND),
        ..ours
    };
    let policy = |policy| Plan { policy, ..ours };
    let outage = |outage| Plan { outage, ..ours };
    let together_no_jitter = Plan {
        policy: Policy::NoJitter,
        ..never_away
    };
    let mut plans = vec![
        ours,
        policy(Policy::NoJitter),
        policy(Policy::LogOut),
        outage(Outage::AnswersLost),
        outage(Outage::RenewalsOnly),
        outage(Outage::Offline),
        never_away,
        together_no_jitter,
    ];
    plans.extend(PAUSES.map(|pause| Plan {
        max_backoff: pause * SECOND,
        until: (BEFORE + OUTAGE + RECOVERY) * SECOND,
        ..ours
    }));
    let mut counted = run_side_by_side(&plans).into_iter();
    let mut next = || counted.next().expect("one for each plan");
    Runs {
        ours: next(),
        no_jitter: next(),
        log_out: next(),
        answers_lost: next(),
        renewals_only: next(),
        offline: next(),
        together: next(),
        together_no_jitter: next(),
        pauses: PAUSES.into_iter().zip(counted).collect(),
    }
}

/// What each plan counted, in their order.
fn run_side_by_side(plans: &[Plan]) -> Vec<Counts> {
    let mut counted = Vec::new();
    for plans in plans.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let plans = plans.iter().copied();
            let running: Vec<_> = plans
                .map(|plan| scope.spawn(move || Simulation::run(plan)))
                .collect();
            counted.extend(running.into_iter().map(|run| run.join().expect("no panic")));
        });
        eprintln!("{} runs are done", counted.len());
    }
    counted
}

/// The seconds of the steady state.
const STEADY: (u64, u64) = (0, BEFORE);

/// The seconds of the outage.
const AWAY: (u64, u64) = (BEFORE, BEFORE + OUTAGE);

/// The seconds after the outage, as far as a run goes.
fn after(counts: &Counts) -> (u64, u64) {
    (AWAY.1, counts.calls.len() as u64)
}

/// The seconds in which people whose token has expired are served.
const RECOVERED: (u64, u64) = (AWAY.1, AWAY.1 + RECOVERY);

fn steady_peak(counts: &Counts) -> f64 {
    f64::from(peak(&counts.renewals(), STEADY))
}

fn working_peak(counts: &Counts) -> f64 {
    f64::from(peak(&counts.working, after(counts)))
}
