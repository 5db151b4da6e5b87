//! Time and randomness come in through one small trait, so that tests own both.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use graphql_session_renewal::{ServerTime, Wall};
use jiff::Timestamp;
use pin_project_lite::pin_project;

/// A boxed future, as a trait's method returns it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Wall time for expiry, awake time for limits and pauses, and randomness for jitter.
pub trait Clock: Send + Sync + 'static {
    /// The local wall clock. It may be wrong, and it jumps over a sleep of the machine.
    fn wall(&self) -> Timestamp;

    /// Time since some fixed start, not counting sleep of the machine.
    fn awake(&self) -> Duration;

    /// Returns once `awake` has grown by `pause`.
    fn sleep(&self, pause: Duration) -> Sleep;

    /// 64 random bits: for jitter and for ids of requests, never for secrets.
    fn random(&self) -> u64;
}

pin_project! {
    /// What [`Clock::sleep`] returns. Each call has one for its deadline, and thousands may wait at a time: that of the
    /// machine's clock lies within the call, and not on the heap beside it.
    #[must_use = "nothing waits for a sleep that is not awaited"]
    pub struct Sleep {
        #[pin]
        kind: SleepKind,
    }
}

pin_project! {
    #[project = PinnedKind]
    enum SleepKind {
        Machine { #[pin] timer: tokio::time::Sleep },
        Other { future: BoxFuture<'static, ()> },
    }
}

impl Sleep {
    /// A sleep of a clock that is not the machine's.
    pub fn new(future: impl Future<Output = ()> + Send + 'static) -> Self {
        let future = Box::pin(future);
        Self {
            kind: SleepKind::Other { future },
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.project().kind.project() {
            PinnedKind::Machine { timer } => timer.poll(context),
            PinnedKind::Other { future } => future.as_mut().poll(context),
        }
    }
}

/// The machine's clock: the wall clock, `CLOCK_MONOTONIC` (which stands still during sleep), tokio's timers.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose awake time starts now.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn awake(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, pause: Duration) -> Sleep {
        let timer = tokio::time::sleep(pause);
        Sleep {
            kind: SleepKind::Machine { timer },
        }
    }

    fn random(&self) -> u64 {
        rand::random()
    }
}

/// A length of time in whole milliseconds, as the decisions count.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Smaller differences between the server's clock and ours are noise, in ms: a Date header counts whole seconds, and
/// an answer travels.
pub(crate) const CLOCK_NOISE: u64 = 2_000;

/// The wall clock, as the decisions count it.
pub(crate) fn wall_of(clock: &dyn Clock) -> Wall {
    Wall::from_ms(clock.wall().as_millisecond())
}

/// The server's clock, as far as its Date headers tell. Expiry is judged by it: the local clock may be wrong by hours.
#[derive(Clone)]
pub(crate) struct ServerClock {
    local: Arc<dyn Clock>,
    offset: Arc<AtomicI64>,
}

impl ServerClock {
    pub(crate) fn new(local: Arc<dyn Clock>) -> Self {
        Self {
            local,
            offset: Arc::new(AtomicI64::new(0)),
        }
    }

    /// What the server's clock shows now.
    pub(crate) fn now(&self) -> ServerTime {
        self.at(wall_of(&*self.local))
    }

    /// The same when the local wall clock shows `wall`.
    pub(crate) fn at(&self, wall: Wall) -> ServerTime {
        let offset = self.offset.load(Ordering::Relaxed);
        ServerTime::from_ms(wall.ms().saturating_add(offset))
    }

    /// Takes note of a Date header that has just arrived.
    pub(crate) fn learn(&self, date: Timestamp) {
        // The header was cut to whole seconds: half of one is the best guess for the rest.
        let offset = date.as_millisecond() + 500 - self.local.wall().as_millisecond();
        let offset = if offset.unsigned_abs() < CLOCK_NOISE {
            0
        } else {
            offset
        };
        self.offset.store(offset, Ordering::Relaxed);
    }

    pub(crate) fn local(&self) -> &Arc<dyn Clock> {
        &self.local
    }
}
