//! What the soak prints: a line per minute, a table at the end, and all facts about a violation.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use graphql_session_testing::Ledger;

use crate::calls::Calls;
use crate::endings::{Endings, Violation, email};
use crate::processes::Place;

/// Facts of the account's ledger that are shown with a violation; the rest is long before it.
const FACTS: usize = 120;

/// What is counted.
pub(crate) struct Tally {
    pub(crate) calls: Calls,
    pub(crate) endings: Endings,
    /// Words of the processes' journals.
    pub(crate) noted: BTreeMap<String, u64>,
    /// What was injected, by name.
    pub(crate) injected: BTreeMap<&'static str, u64>,
    pub(crate) calms: u64,
}

impl Tally {
    pub(crate) fn new(endings: Endings) -> Self {
        Self {
            calls: Calls::default(),
            endings,
            noted: BTreeMap::new(),
            injected: BTreeMap::new(),
            calms: 0,
        }
    }

    fn noted(&self, what: &str) -> u64 {
        self.noted.get(what).copied().unwrap_or(0)
    }
}

pub(crate) fn progress(since: Duration, tally: &Tally, ledger: &Ledger) {
    let settled: u64 = tally.calls.settled.values().sum();
    let ended: u64 = tally.endings.counted.values().sum();
    println!(
        "{:>3} min: {} renewals, {} adoptions, {ended} endings (all explained), {settled} calls settled, {} open, {} injections",
        since.as_secs() / 60,
        ledger.exchanges().count(),
        tally.noted("adopted"),
        tally.calls.open(),
        tally.injected.values().sum::<u64>(),
    );
}

pub(crate) fn table(seed: u64, since: Duration, tally: &Tally, ledger: &Ledger) {
    let (calls, endings) = (&tally.calls, &tally.endings);
    let mut text = format!("\nseed {seed}, {} s\n", since.as_secs());
    let mut row = |name: &str, count: &dyn std::fmt::Display| {
        let _ = writeln!(text, "  {name:<58} {count:>9}");
    };
    row(
        "tokens exchanged at the server",
        &ledger.exchanges().count(),
    );
    row("  attempts that arrived", &ledger.attempts().count());
    row(
        "  checked: alone, and the newest that this machine held",
        &endings.attempts_judged,
    );
    row(
        "  lost answers made up for inside the grace time",
        &endings.lost_answers_recovered,
    );
    row(
        "  spent tokens presented after it, nothing newer held",
        &endings.spent_outside_grace,
    );
    row("renewals that the processes noted", &tally.noted("renewed"));
    row("adoptions", &tally.noted("adopted"));
    row("saves that failed", &tally.noted("save_failed"));
    row(
        "endings, each explained by the ledger",
        &endings.counted.values().sum::<u64>(),
    );
    for (why, count) in &endings.counted {
        row(&format!("  {why}"), count);
    }
    row("calls made", &calls.made());
    for (outcome, count) in &calls.settled {
        row(&format!("  settled: {outcome}"), count);
    }
    row("  died with their process", &calls.died_with_process);
    row("  unsettled", &calls.open());
    row("  slowest, ms", &calls.slowest_ms);
    row("calms in which every process recovered", &tally.calms);
    for (what, count) in &tally.injected {
        row(&format!("injected: {what}"), count);
    }
    print!("{text}");
}

pub(crate) fn violation(seed: u64, violation: &Violation, places: &[Place], ledger: &Ledger) {
    println!("\nVIOLATION (seed {seed}): {}", violation.what);
    let Some(account) = violation.account else {
        return;
    };
    let email = email(account);
    println!("\nThe server's ledger of {email}:");
    let facts: Vec<_> = ledger.of_account(&email).collect();
    for fact in &facts[facts.len().saturating_sub(FACTS)..] {
        println!("  {fact}");
    }
    let is_its = |(_, place): &(usize, &Place)| place.account == account;
    for (at, place) in places.iter().enumerate().filter(is_its) {
        println!("\nProcess {at}, #{}:", place.incarnation);
        for line in &place.tail {
            println!("  {line}");
        }
    }
}
