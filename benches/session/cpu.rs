//! CPU time: what a call costs, however busy the machine is.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// User and system time of all threads of this process, since its start. The server is another process.
pub(crate) fn now() -> Duration {
    of(ClockId::ProcessCPUTime)
}

/// Since the start of this thread.
pub(crate) fn of_this_thread() -> Duration {
    of(ClockId::ThreadCPUTime)
}

fn of(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).expect("not negative")
}

/// What something takes: time as it passes, and CPU time.
pub(crate) struct Taken {
    pub(crate) time: Duration,
    pub(crate) cpu: Duration,
}

impl Taken {
    /// By `work`.
    pub(crate) async fn by(work: impl Future<Output = ()>) -> Self {
        let (began, cpu) = (Instant::now(), now());
        work.await;
        Self {
            time: began.elapsed(),
            cpu: now() - cpu,
        }
    }
}
