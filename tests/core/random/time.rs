//! How time passes: by steps, and with everything at rest before and after.

use std::fs::File;
use std::time::{Duration, Instant};

use graphql_session::Clock;

use super::model::{PROCESSES, Span, Step};
use super::rest::{Rest, STUCK};
use super::world::World;

const SECOND: Duration = Duration::from_secs(1);

/// Time passes in strides of this length, then in one for the rest. So processes with short timers act in between.
const STRIDES: [Duration; 5] = [
    Duration::from_millis(600),
    Duration::from_secs(5),
    Duration::from_secs(11),
    Duration::from_secs(31),
    Duration::from_secs(61),
];

impl World {
    pub(crate) fn length(&self, span: Span) -> Duration {
        match span {
            Span::Moment => Duration::from_millis(300),
            Span::Seconds => 4 * SECOND,
            Span::Attempt => 11 * SECOND,
            Span::LockWait => 31 * SECOND,
            Span::Grace => 61 * SECOND,
            Span::Call => 76 * SECOND,
            Span::Minutes => 301 * SECOND,
            Span::Lifetime => 1_801 * SECOND,
            Span::NextAttempt => self.until_next_attempt(),
        }
    }

    fn until_next_attempt(&self) -> Duration {
        let now = self.machine.wall();
        let due = self
            .processes
            .iter()
            .flatten()
            .flat_map(|process| &process.seats)
            .filter_map(|seat| seat.session()?.status().next_attempt_at)
            .filter_map(|at| Duration::try_from(at.duration_since(now)).ok())
            .min();
        due.unwrap_or_default().min(600 * SECOND) + Duration::from_millis(1)
    }

    /// Lets time pass. In each stride the processes wake one after the other, and each runs until it rests. So a case
    /// plays in the same order each time.
    pub(crate) fn pass(&mut self, length: Duration, step: &Step) {
        let mut left = length;
        let mut strides = STRIDES.into_iter();
        while !left.is_zero() {
            let stride = strides.next().unwrap_or(left).min(left);
            left -= stride;
            self.awake += stride;
            self.server_clock.advance(stride);
            self.machine.advance(stride);
            for turn in 0..PROCESSES {
                if let Some(process) = &self.processes[(self.steps + turn) % PROCESSES] {
                    process.clock.advance(stride);
                    self.rest();
                }
            }
            self.check(step);
        }
    }

    /// Returns when everything has come to rest, as long as virtual time stands still.
    pub(crate) fn rest(&self) {
        let began = Instant::now();
        loop {
            let rest = self.wait_for_rest();
            // The lock is looked at while no thread runs: a process that has just taken it is not at rest.
            if !self.a_lock_is_about_to_be_taken() && rest.lasts() {
                return;
            }
            assert!(
                began.elapsed() < STUCK,
                "no process takes the free lock\n{}",
                self.described()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn wait_for_rest(&self) -> Rest {
        Rest::wait_for()
            .unwrap_or_else(|| panic!("never comes to rest: something spins\n{}", self.described()))
    }

    /// A process tries a taken lock again every 20 ms of real time. While it waits for a free lock, it is not at rest.
    fn a_lock_is_about_to_be_taken(&self) -> bool {
        let waits = |at: usize| {
            let mut processes = self.processes.iter().flatten();
            processes.any(|process| {
                let is_stuck = self.disk.is_hanging_in(process.number);
                process.seats[at].waits_for_lock() && !is_stuck
            })
        };
        (0..self.accounts.len()).any(|at| waits(at) && self.lock_is_free(at))
    }

    pub(crate) fn lock_is_free(&self, account: usize) -> bool {
        let path = self.path(account, "lock");
        let file = File::options().create(true).append(true).open(path);
        file.is_ok_and(|file| file.try_lock().is_ok())
    }
}
