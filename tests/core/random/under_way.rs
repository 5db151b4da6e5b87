//! A description of what still runs, for the message about a world that never comes to rest.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use graphql_session::Session;

use super::process::Process;
use super::world::World;

/// How long the world is watched, in real time.
const WATCHED: Duration = Duration::from_secs(1);

/// The newest entries of a journal that are shown.
const ENTRIES: usize = 6;

/// Counts of what has happened, by name.
type Counts = BTreeMap<String, u64>;

impl World {
    /// The state of each process, and how often anything happens within a second at the keyring, at the servers and in
    /// the journals. A count of thousands shows what spins.
    pub(crate) fn under_way(&self) -> String {
        let before = self.happened();
        std::thread::sleep(WATCHED);
        let mut text = String::from("within a second of real time, while no time passes:\n");
        for (what, times) in self.happened() {
            let more = times - before.get(&what).copied().unwrap_or(0);
            if more > 0 {
                let _ = writeln!(text, "    {more} x {what}");
            }
        }
        text + &self.described()
    }

    /// The state of each process.
    pub(crate) fn described(&self) -> String {
        let mut text = String::new();
        for process in self.processes.iter().flatten() {
            for (account, seat) in process.seats.iter().enumerate() {
                let at = self.lock_is_free(account);
                let lock = if at { "free" } else { "held" };
                let waits = seat.waits_for_lock();
                let state = seat.session().map_or("opens".to_owned(), describe);
                let number = process.number;
                let _ = writeln!(
                    text,
                    "process {number}, account {account}: lock {lock}, waits for it: {waits}; {state}"
                );
            }
        }
        text
    }

    fn happened(&self) -> Counts {
        let mut counts = Counts::new();
        for ((process, call), times) in self.keyring.calls() {
            let what = format!("{call:?} at the keyring, by process {process}");
            counts.insert(what, times);
        }
        for (number, account) in self.accounts.iter().enumerate() {
            for seen in account.server.seen_from(0) {
                let what = format!("{} at the server of account {number}", seen.field);
                *counts.entry(what).or_default() += 1;
            }
        }
        for process in self.processes.iter().flatten() {
            count_notes(process, &mut counts);
        }
        counts
    }
}

fn count_notes(process: &Process, counts: &mut Counts) {
    for (account, seat) in process.seats.iter().enumerate() {
        for entry in seat.session().map(Session::journal).unwrap_or_default() {
            let number = process.number;
            let what = entry.what;
            let what = format!("{what:?} in the journal of process {number}, account {account}");
            *counts.entry(what).or_default() += 1;
        }
    }
}

/// Phase, storage, next attempt, and the newest entries of the journal.
fn describe(session: &Session) -> String {
    let status = session.status();
    let mut text = format!(
        "{:?}, {:?}, next attempt {:?}, revision {}\n",
        status.phase, status.storage, status.next_attempt_at, status.revision
    );
    let journal = session.journal();
    for entry in journal.iter().rev().take(ENTRIES).rev() {
        let _ = writeln!(text, "    {entry:?}");
    }
    text
}
