//! [`Places`]: how many calls are on the wire at a time, and how much of them may wait.
//!
//! A call that the server is slow to answer keeps its place for [`Limits::slow_after`] only. Then it goes on in one of the
//! places for slow calls, and the next one is sent: forty calls that hang hold up five quick ones for two seconds, and not for
//! as long as a call may take.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use graphql_session_renewal::Awake;
use tokio::sync::Semaphore;

use crate::clock::{Clock, millis};
use crate::config::Limits;
use crate::error::{Code, Error};

/// The places on the wire, and the room for calls that wait for one, or for a renewal.
pub(crate) struct Places {
    quick: Semaphore,
    inside: Mutex<Inside>,
    calls: AtomicUsize,
    bytes: AtomicUsize,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Inside {
    /// The calls on the wire, by the number of their place.
    on_the_wire: Vec<Option<OnTheWire>>,
    free: Vec<usize>,
    /// How many of them have a place for slow ones.
    slow: usize,
    /// Calls that wait for a place.
    waiting: usize,
    /// Somebody looks for slow calls.
    is_watched: bool,
}

#[derive(Clone, Copy)]
struct OnTheWire {
    since: Awake,
    is_slow: bool,
}

impl Places {
    pub(crate) fn new(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self {
            quick: Semaphore::new(limits.concurrent_calls),
            inside: Mutex::default(),
            calls: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            limits,
            clock,
        }
    }

    /// Room for a call with a body of so many bytes, from its beginning to its end.
    ///
    /// # Errors
    /// [`Code::TooManyCalls`] where there is none.
    pub(crate) fn admit(&self, bytes: usize) -> Result<Room<'_>, Error> {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let room = Room {
            places: self,
            bytes,
        };
        if calls >= self.limits.calls_under_way || held + bytes > self.limits.bytes_under_way {
            return Err(Error::new(
                Code::TooManyCalls,
                "Too many requests are under way at once. Wait until some of them are done.",
            ));
        }
        Ok(room)
    }

    /// A place on the wire, in the order in which calls ask for one. `now` is the awake time of a moment ago.
    pub(crate) async fn take(self: &Arc<Self>, now: Awake) -> Place<'_> {
        match self.quick.try_acquire() {
            Ok(place) => {
                place.forget();
                self.enter(now)
            }
            // On the heap: most calls need no room for this.
            Err(_) => Box::pin(self.wait()).await,
        }
    }

    async fn wait(self: &Arc<Self>) -> Place<'_> {
        let waiting = Waiting::of(self);
        if let Ok(place) = self.quick.acquire().await {
            place.forget();
        }
        drop(waiting);
        self.enter(Awake::from_ms(millis(self.clock.awake())))
    }

    fn enter(&self, since: Awake) -> Place<'_> {
        let call = OnTheWire {
            since,
            is_slow: false,
        };
        let mut inside = self.inside();
        let number = if let Some(number) = inside.free.pop() {
            inside.on_the_wire[number] = Some(call);
            number
        } else {
            inside.on_the_wire.push(Some(call));
            inside.on_the_wire.len() - 1
        };
        drop(inside);
        Place {
            places: self,
            number,
        }
    }

    fn leave(&self, number: usize) {
        let mut inside = self.inside();
        let call = inside.on_the_wire[number].take();
        inside.free.push(number);
        if call.is_some_and(|call| call.is_slow) {
            inside.slow -= 1;
        } else {
            drop(inside);
            self.quick.add_permits(1);
        }
    }

    /// Gives the places of slow calls away, for as long as calls wait for one.
    async fn watch(self: Arc<Self>) {
        let watching = Watching(self);
        let Watching(places) = &watching;
        loop {
            let now = Awake::from_ms(millis(places.clock.awake()));
            let Some(pause) = places.free_slow(now) else {
                return;
            };
            places.clock.sleep(Duration::from_millis(pause)).await;
        }
    }

    /// When to look again, in ms; `None` where nobody waits any more.
    fn free_slow(&self, now: Awake) -> Option<u64> {
        let slow_after = millis(self.limits.slow_after);
        let mut guard = self.inside();
        let inside = &mut *guard;
        if inside.waiting == 0 {
            inside.is_watched = false;
            return None;
        }
        let mut freed = 0;
        let mut next = slow_after;
        for call in inside.on_the_wire.iter_mut().flatten() {
            if call.is_slow {
                continue;
            }
            let age = now.since(call.since);
            if age < slow_after {
                next = next.min(slow_after - age);
            } else if inside.slow < self.limits.slow_calls {
                inside.slow += 1;
                call.is_slow = true;
                freed += 1;
            }
        }
        drop(guard);
        self.quick.add_permits(freed);
        Some(next)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call's place on the wire.
pub(crate) struct Place<'a> {
    places: &'a Places,
    number: usize,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.places.leave(self.number);
    }
}

/// The room that a call takes while it is under way.
pub(crate) struct Room<'a> {
    places: &'a Places,
    bytes: usize,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.places.calls.fetch_sub(1, Ordering::Relaxed);
        self.places.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The look for slow calls. It ends with the runtime of the call that began it; the next call that waits begins another one.
struct Watching(Arc<Places>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.inside().is_watched = false;
    }
}

/// A call that waits for a place.
struct Waiting<'a>(&'a Places);

impl<'a> Waiting<'a> {
    fn of(places: &'a Arc<Places>) -> Self {
        let mut inside = places.inside();
        inside.waiting += 1;
        let is_watched = std::mem::replace(&mut inside.is_watched, true);
        drop(inside);
        if !is_watched {
            tokio::spawn(places.clone().watch());
        }
        Self(places)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.inside().waiting -= 1;
    }
}
