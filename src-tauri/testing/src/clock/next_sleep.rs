//! Waiting until code under test sleeps, for tests that move the clock by hand.

use std::time::Duration;

use super::{ManualClock, STUCK, Watch};

impl ManualClock {
    /// Watches for the next sleep of exactly `pause`. Call this before the action that leads to the sleep, and wait for
    /// [`begun`](NextSleep::begun) or [`over`](NextSleep::over) after it. Sleeps that exist already do not count.
    pub fn next_sleep(&self, pause: Duration) -> NextSleep {
        let mut time = self.time();
        let watch = time.next_id;
        time.next_id += 1;
        time.watches.push(Watch {
            id: watch,
            pause,
            begun: 0,
            over: 0,
        });
        NextSleep {
            clock: self.clone(),
            watch,
            pause,
        }
    }
}

/// A sleep that a test waits for by its length; see [`ManualClock::next_sleep`].
#[derive(Debug)]
pub struct NextSleep {
    clock: ManualClock,
    watch: u64,
    pause: Duration,
}

impl NextSleep {
    /// Returns once that sleep has begun. A sleep that was created and not yet polled has not begun: its owner may
    /// still read something else first, which a test that goes on could change.
    ///
    /// # Panics
    /// When no such sleep begins within 20 s of real time, or when two have begun: a test must know which of them it
    /// waits for.
    pub async fn begun(&self) {
        self.wait_for("begins", |watch| watch.begun > 0).await;
    }

    /// Returns once that sleep is over: its owner has woken, or waits no longer.
    ///
    /// # Panics
    /// When that does not happen within 20 s of real time, or when two such sleeps have begun.
    pub async fn over(&self) {
        self.wait_for("is over", |watch| watch.over > 0).await;
    }

    async fn wait_for(&self, what: &str, has_come: fn(&Watch) -> bool) {
        let waiting = async {
            loop {
                let slept = self.clock.shared.slept.notified();
                if self.look(has_come) {
                    return;
                }
                slept.await;
            }
        };
        if tokio::time::timeout(STUCK, waiting).await.is_err() {
            panic!(
                "no sleep of {:?} {what}; left to sleep: {:?}",
                self.pause,
                self.clock.sleepers()
            );
        }
    }

    fn look(&self, has_come: fn(&Watch) -> bool) -> bool {
        let time = self.clock.time();
        let watch = time.watches.iter().find(|watch| watch.id == self.watch);
        let watch = watch.expect("a watch lives as long as its handle");
        assert!(
            watch.begun < 2,
            "{} sleeps of {:?} have begun: which one is meant?",
            watch.begun,
            self.pause
        );
        has_come(watch)
    }
}

impl Drop for NextSleep {
    fn drop(&mut self) {
        let mut time = self.clock.time();
        time.watches.retain(|watch| watch.id != self.watch);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::pin::Pin;
    use std::task::Poll;

    use super::*;
    use graphql_session::Clock;

    #[tokio::test]
    async fn next_sleep_ignores_earlier_and_other_sleeps_and_begins_when_it_is_polled() {
        let (clock, pause) = (ManualClock::new(), Duration::from_secs(5));
        let mut earlier = std::pin::pin!(clock.sleep(pause));
        let next = clock.next_sleep(pause);
        let mut begun = std::pin::pin!(next.begun());
        let mut other = std::pin::pin!(clock.sleep(2 * pause));
        let mut meant = std::pin::pin!(clock.sleep(pause));
        assert!(poll_once(&mut earlier).await.is_pending());
        assert!(poll_once(&mut other).await.is_pending());
        assert!(poll_once(&mut begun).await.is_pending());

        assert!(poll_once(&mut meant).await.is_pending());
        assert!(poll_once(&mut begun).await.is_ready());
    }

    #[tokio::test]
    async fn a_sleep_is_over_when_its_owner_wakes_or_waits_no_longer() {
        let (clock, pause) = (ManualClock::new(), Duration::from_secs(5));
        for wakes in [true, false] {
            let next = clock.next_sleep(pause);
            let mut over = std::pin::pin!(next.over());
            let mut sleep = Box::pin(clock.sleep(pause));
            assert!(poll_once(&mut sleep).await.is_pending());
            assert!(poll_once(&mut over).await.is_pending());
            if wakes {
                clock.advance(pause);
                sleep.await;
            } else {
                drop(sleep);
            }
            assert!(poll_once(&mut over).await.is_ready(), "{wakes}");
        }
    }

    #[tokio::test]
    #[should_panic(expected = "which one is meant?")]
    async fn two_sleeps_of_the_watched_length_fail_the_test() {
        let (clock, pause) = (ManualClock::new(), Duration::from_secs(5));
        let next = clock.next_sleep(pause);
        let mut sleeps = [(); 2].map(|()| Box::pin(clock.sleep(pause)));
        for sleep in &mut sleeps {
            assert!(poll_once(sleep).await.is_pending());
        }
        next.begun().await;
    }

    /// Polls once.
    async fn poll_once<F: Future + Unpin>(mut future: F) -> Poll<F::Output> {
        poll_fn(|context| Poll::Ready(Pin::new(&mut future).poll(context))).await
    }
}
