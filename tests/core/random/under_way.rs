//! A description of what still runs, for the message about a world that never comes to rest.

use std::fmt::Write;

use graphql_session::Session;

use super::world::World;

/// The newest entries of a journal that are shown: of a session that spins, they are all the same.
const ENTRIES: usize = 6;

impl World {
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
