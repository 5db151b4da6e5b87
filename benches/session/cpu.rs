//! The CPU time of this process as a measurement for criterion: what a call costs, however busy the machine is.

use std::time::{Duration, Instant};

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use rustix::time::{ClockId, clock_gettime};

/// User and system time of all threads of this process. The server is another process.
pub(crate) struct CpuTime;

/// Since the start of this process.
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

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        now()
    }

    fn end(&self, began: Duration) -> Duration {
        now() - began
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}
