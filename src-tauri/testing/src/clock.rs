//! Time that moves only when a test moves it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use graphql_session::{Clock, Sleep};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

mod next_sleep;

pub use self::next_sleep::NextSleep;

/// Where the wall clock of a new [`ManualClock`] stands: an ordinary Monday morning, the same in every run.
const START: &str = "2026-01-05T09:00:00Z";

/// How much virtual time [`ManualClock::run_until`] lets pass before it gives up. Every limit of a session is shorter.
const LIMIT: Duration = Duration::from_secs(900);

/// How many calm rounds in a row count as quiet. One is a round trip through another thread of this process, so a
/// busy machine stretches the wait by itself.
const CALM_ROUNDS: u32 = 10;

/// The pause of one round, in real time: loopback sockets and the vault's thread answer within a fraction of it.
const ROUND: Duration = Duration::from_micros(250);

/// Real time after which a future that waits for no sleeper and causes no activity is taken for stuck.
const STUCK: Duration = Duration::from_secs(20);

/// A clock that a test moves by hand. Clones are handles on the same clock.
///
/// Awake and wall time move together by [`advance`](Self::advance); [`jump_wall`](Self::jump_wall) moves the wall
/// alone, as a sleep of the machine or a corrected clock does. Sleepers are woken in the order in which they are due.
/// Random numbers come from a fixed seed, or from a [script](Self::script_random).
///
/// # What is deterministic, and what is not
/// All times, random numbers and the order of wake-ups are. The order in which tasks run after a wake-up is the
/// runtime's. Sockets, files, threads and the poll of a taken file lock (every 20 ms) run in real time:
/// [`run_until`](Self::run_until) lets virtual time pass only while none of them does anything, as far as
/// [`Activity`] tells. Where a test waits for another session's lock, it can simply await: virtual time is not needed.
#[derive(Clone)]
pub struct ManualClock {
    shared: Arc<Shared>,
}

struct Shared {
    time: Mutex<Time>,
    /// Notified whenever a sleep begins or is over.
    slept: Notify,
    activity: Activity,
    rounds: std::sync::mpsc::Sender<tokio::sync::oneshot::Sender<()>>,
}

struct Time {
    awake: Duration,
    /// Wall time at awake zero; moved by jumps.
    wall_start: Timestamp,
    sleepers: Vec<Sleeper>,
    watches: Vec<Watch>,
    /// Of sleepers and watches alike, so that ids tell which of them came first.
    next_id: u64,
    scripted: VecDeque<u64>,
    seed: u64,
    calm_rounds: u32,
}

struct Sleeper {
    id: u64,
    /// How long it asked to sleep.
    pause: Duration,
    due: Duration,
    waker: Option<Waker>,
    /// Whether its owner has polled it and waits.
    has_begun: bool,
}

/// What a [`NextSleep`] has seen.
struct Watch {
    id: u64,
    pause: Duration,
    begun: usize,
    over: usize,
}

impl Watch {
    fn notice_begin(&mut self, sleeper: &Sleeper) {
        self.begun += usize::from(self.is_for(sleeper));
    }

    fn notice_end(&mut self, sleeper: &Sleeper) {
        self.over += usize::from(self.is_for(sleeper));
    }

    fn is_for(&self, sleeper: &Sleeper) -> bool {
        sleeper.pause == self.pause && sleeper.id > self.id
    }
}

impl ManualClock {
    /// A clock on a Monday morning of 2026, with random numbers from a fixed seed.
    pub fn new() -> Self {
        let start: Timestamp = START.parse().expect("a constant that is a timestamp");
        let (rounds, asked) = std::sync::mpsc::channel::<tokio::sync::oneshot::Sender<()>>();
        // Ends with the last handle, whose drop closes the channel.
        std::thread::Builder::new()
            .name("manual-clock".into())
            .spawn(move || {
                for answer in asked {
                    std::thread::sleep(ROUND);
                    let _ = answer.send(());
                }
            })
            .expect("a thread can be started");
        Self {
            shared: Arc::new(Shared {
                time: Mutex::new(Time {
                    awake: Duration::ZERO,
                    wall_start: start,
                    sleepers: Vec::new(),
                    watches: Vec::new(),
                    next_id: 0,
                    scripted: VecDeque::new(),
                    seed: 1,
                    calm_rounds: CALM_ROUNDS,
                }),
                slept: Notify::new(),
                activity: Activity::default(),
                rounds,
            }),
        }
    }

    /// Moves awake and wall time at once, and wakes everybody who is due meanwhile, in order. A sleeper that sleeps
    /// again counts from the new time; [`pass`](Self::pass) goes from sleeper to sleeper instead.
    pub fn advance(&self, by: Duration) {
        let due = {
            let mut time = self.time();
            time.awake += by;
            let now = time.awake;
            let mut due: Vec<_> = time
                .sleepers
                .iter_mut()
                .filter(|sleeper| sleeper.due <= now)
                .filter_map(|sleeper| Some((sleeper.due, sleeper.id, sleeper.waker.take()?)))
                .collect();
            due.sort_by_key(|(due, id, _)| (*due, *id));
            due
        };
        self.shared.activity.note();
        for (_, _, waker) in due {
            waker.wake();
        }
    }

    /// Moves the wall clock alone: forward as a sleep of the machine does, either way as a person or NTP does.
    pub fn jump_wall(&self, by: SignedDuration) {
        self.time().wall_start += by;
    }

    /// The numbers that [`Clock::random`] returns next; after them the seed goes on.
    pub fn script_random(&self, numbers: impl IntoIterator<Item = u64>) {
        self.time().scripted.extend(numbers);
    }

    /// Restarts the sequence of random numbers from `seed`.
    pub fn seed(&self, seed: u64) {
        self.time().seed = seed;
    }

    /// Polls `future`, and whenever everything is quiet moves the clock to the next sleeper, until it completes.
    ///
    /// # Panics
    /// When 15 min of virtual time have passed, or nothing happens at all and nobody sleeps.
    pub async fn run_until<F: Future>(&self, future: F) -> F::Output {
        self.run_until_within(LIMIT, future).await
    }

    /// The same with another limit of virtual time.
    ///
    /// # Panics
    /// When the limit has passed, or nothing happens at all and nobody sleeps.
    pub async fn run_until_within<F: Future>(&self, limit: Duration, future: F) -> F::Output {
        let until = self.awake_now() + limit;
        tokio::pin!(future);
        let mut stuck_since = None;
        loop {
            tokio::select! {
                biased;
                output = &mut future => return output,
                () = self.quiet() => {}
            }
            let next = self.time().sleepers.iter().map(|sleeper| sleeper.due).min();
            match next {
                Some(due) if due > until => {
                    panic!(
                        "{limit:?} of virtual time passed without an end; next sleeper at {due:?}"
                    )
                }
                Some(due) => {
                    stuck_since = None;
                    self.advance(due.saturating_sub(self.awake_now()));
                }
                None => {
                    let since = stuck_since.get_or_insert_with(std::time::Instant::now);
                    assert!(
                        since.elapsed() < STUCK,
                        "nothing happens, and nobody sleeps: the future never completes"
                    );
                }
            }
        }
    }

    /// Lets `duration` pass, from sleeper to sleeper, each of which gets to run before time goes on. A session has one
    /// twice a second; a minute takes about a quarter of a second of real time.
    pub async fn pass(&self, duration: Duration) {
        let end = self.sleep(duration);
        self.run_until_within(duration, end).await;
        self.quiet().await;
    }

    /// Lets `duration` pass in steps of `stride`, also past sleepers that are due in between. Meant for hours: in each,
    /// a session looks at its files 7,200 times. A sleeper wakes up to one stride late.
    pub async fn pass_in_strides(&self, duration: Duration, stride: Duration) {
        let mut left = duration;
        while !left.is_zero() {
            self.quiet().await;
            let step = stride.min(left);
            self.advance(step);
            left -= step;
        }
        self.quiet().await;
    }

    /// Returns when nothing has happened for a few rounds: no clock was asked, no request and no vault call was
    /// under way.
    pub async fn quiet(&self) {
        let activity = &self.shared.activity;
        let calm_rounds = self.time().calm_rounds;
        let mut seen = activity.so_far();
        let mut calm = 0;
        while calm < calm_rounds {
            let (answer, answered) = tokio::sync::oneshot::channel();
            let _ = self.shared.rounds.send(answer);
            let _ = answered.await;
            tokio::task::yield_now().await;
            let now = activity.so_far();
            // The answer of a thread that has just gone to sleep arrives in the round after this look.
            let looks_at_threads = calm + 2 == calm_rounds;
            let is_calm = now == seen && !activity.is_under_way();
            if is_calm && !(looks_at_threads && a_thread_is_about_to_run()) {
                calm += 1;
            } else {
                calm = 0;
                seen = now;
            }
        }
    }

    /// Asks for this many calm rounds of about a third of a millisecond before time goes on. Default: 10. More where
    /// real processes or taken file locks are involved.
    pub fn wait_for_calm_rounds(&self, rounds: u32) {
        self.time().calm_rounds = rounds.max(2);
    }

    /// The record of what happens in real time; for test doubles that want [`run_until`](Self::run_until) to wait for
    /// them.
    pub fn activity(&self) -> Activity {
        self.shared.activity.clone()
    }

    /// How long each sleeper still has to sleep, soonest first.
    fn sleepers(&self) -> Vec<Duration> {
        let time = self.time();
        let mut left: Vec<_> = time
            .sleepers
            .iter()
            .map(|sleeper| sleeper.due.saturating_sub(time.awake))
            .collect();
        left.sort();
        left
    }

    fn awake_now(&self) -> Duration {
        self.time().awake
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.shared
            .time
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManualClock")
            .field("awake", &self.awake_now())
            .finish_non_exhaustive()
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        self.shared.activity.note();
        let time = self.time();
        time.wall_start + time.awake
    }

    fn awake(&self) -> Duration {
        self.shared.activity.note();
        self.awake_now()
    }

    fn sleep(&self, pause: Duration) -> Sleep {
        self.shared.activity.note();
        let id = {
            let mut time = self.time();
            let id = time.next_id;
            time.next_id += 1;
            let due = time.awake.saturating_add(pause);
            time.sleepers.push(Sleeper {
                id,
                pause,
                due,
                waker: None,
                has_begun: false,
            });
            id
        };
        Sleep::new(ManualSleep {
            clock: self.clone(),
            id,
        })
    }

    fn random(&self) -> u64 {
        let mut time = self.time();
        if let Some(number) = time.scripted.pop_front() {
            return number;
        }
        // splitmix64: short, and good enough for jitter.
        time.seed = time.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = time.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

struct ManualSleep {
    clock: ManualClock,
    id: u64,
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut time = self.clock.time();
        let time = &mut *time;
        let now = time.awake;
        let Some(sleeper) = time
            .sleepers
            .iter_mut()
            .find(|sleeper| sleeper.id == self.id)
        else {
            return Poll::Ready(());
        };
        if sleeper.due <= now {
            return Poll::Ready(());
        }
        sleeper.waker = Some(context.waker().clone());
        if !std::mem::replace(&mut sleeper.has_begun, true) {
            for watch in &mut time.watches {
                watch.notice_begin(sleeper);
            }
            self.clock.shared.slept.notify_waiters();
        }
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        let mut time = self.clock.time();
        let Some(at) = time
            .sleepers
            .iter()
            .position(|sleeper| sleeper.id == self.id)
        else {
            return;
        };
        let sleeper = time.sleepers.remove(at);
        if sleeper.has_begun {
            for watch in &mut time.watches {
                watch.notice_end(&sleeper);
            }
            self.clock.shared.slept.notify_waiters();
        }
    }
}

/// What happens in real time, as far as the test doubles know: [`ManualClock::run_until`] moves the clock only when
/// nothing does. Clones are handles on the same record.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    so_far: AtomicU64,
    in_flight: AtomicUsize,
}

impl Activity {
    /// Notes that something happened.
    pub fn note(&self) {
        self.counters.so_far.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes that something is under way until the guard is dropped: time stands still meanwhile.
    pub fn begin(&self) -> InFlight {
        self.note();
        self.counters.in_flight.fetch_add(1, Ordering::SeqCst);
        InFlight(self.clone())
    }

    fn so_far(&self) -> u64 {
        self.counters.so_far.load(Ordering::SeqCst)
    }

    fn is_under_way(&self) -> bool {
        self.counters.in_flight.load(Ordering::SeqCst) > 0
    }
}

/// Something that is under way; see [`Activity::begin`].
#[derive(Debug)]
pub struct InFlight(Activity);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.counters.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.0.note();
    }
}

/// The threads of a session, as the system names them.
#[cfg(target_os = "linux")]
const SESSION_THREADS: [&str; 2] = ["(session-vault) ", "(session-files) "];

/// Whether the thread of a session's vault or files was woken and has not run yet, or waits for a disk (`D`): on a busy machine
/// that can take longer than any number of calm rounds. The threads of other tests in this process count, too, which only
/// delays.
#[cfg(target_os = "linux")]
fn a_thread_is_about_to_run() -> bool {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return false;
    };
    threads.flatten().any(|thread| {
        // "number (name) state ..."
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = SESSION_THREADS
            .iter()
            .find_map(|name| stat.split_once(name));
        state.is_some_and(|(_, state)| state.starts_with(['R', 'D']))
    })
}

#[cfg(not(target_os = "linux"))]
fn a_thread_is_about_to_run() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_in_the_order_in_which_they_are_due() {
        let clock = ManualClock::new();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for seconds in [3, 1, 2] {
            let sleep = clock.sleep(Duration::from_secs(seconds));
            let order = order.clone();
            tasks.push(tokio::spawn(async move {
                sleep.await;
                order.lock().expect("no panic").push(seconds);
            }));
        }
        let all = async {
            for task in tasks {
                task.await.expect("no panic");
            }
        };
        clock.run_until(all).await;
        assert_eq!(*order.lock().expect("no panic"), [1, 2, 3]);
        assert_eq!(clock.awake(), Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_dropped_sleep_is_no_sleeper_and_a_jump_wakes_nobody() {
        let clock = ManualClock::new();
        drop(clock.sleep(Duration::from_secs(1)));
        assert!(clock.sleepers().is_empty());
        let _sleep = clock.sleep(Duration::from_secs(5));
        let wall = clock.wall();
        clock.jump_wall(SignedDuration::from_hours(8));
        assert_eq!(clock.sleepers(), [Duration::from_secs(5)]);
        assert_eq!(
            clock.wall().duration_since(wall),
            SignedDuration::from_hours(8)
        );
    }

    #[tokio::test]
    #[should_panic(expected = "of virtual time passed")]
    async fn a_future_that_never_completes_ends_the_run() {
        let clock = ManualClock::new();
        let ticker = clock.clone();
        let for_ever = async {
            loop {
                ticker.sleep(Duration::from_secs(100)).await;
            }
        };
        clock.run_until(for_ever).await
    }

    #[test]
    fn scripted_random_numbers_come_first_and_the_seed_repeats() {
        let clock = ManualClock::new();
        clock.script_random([7, 8]);
        let numbers = [clock.random(), clock.random(), clock.random()];
        assert_eq!(numbers[..2], [7, 8]);
        clock.seed(1);
        assert_eq!(clock.random(), numbers[2]);
    }
}
