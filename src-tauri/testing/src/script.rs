//! [`Script`]: what a double does when it is called. It fails, panics or waits as a test says, and counts.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock::Activity;

/// How long a test waits for a call before it takes it for missing.
const MISSING: Duration = Duration::from_secs(20);

/// A script by kinds of calls. Clones are handles on the same script.
pub(crate) struct Script<Call, Failure> {
    shared: Arc<Shared<Call, Failure>>,
}

struct Shared<Call, Failure> {
    inside: Mutex<Inside<Call, Failure>>,
    changed: Condvar,
    activity: Activity,
}

struct Inside<Call, Failure> {
    parts: HashMap<Call, Part<Failure>>,
    counts: HashMap<Call, u64>,
    held_now: usize,
}

struct Part<Failure> {
    next: VecDeque<Mishap<Failure>>,
    always: Option<Failure>,
    closed: bool,
}

enum Mishap<Failure> {
    Fail(Failure),
    Panic,
}

impl<Call: Copy + Eq + Hash, Failure: Copy> Script<Call, Failure> {
    /// Nothing happens; time stands still on the clock of `activity` while a call is under way.
    pub(crate) fn new(activity: Activity) -> Self {
        Self {
            shared: Arc::new(Shared {
                inside: Mutex::new(Inside {
                    parts: HashMap::new(),
                    counts: HashMap::new(),
                    held_now: 0,
                }),
                changed: Condvar::new(),
                activity,
            }),
        }
    }

    pub(crate) fn fail_next(&self, call: Call, times: usize, failure: Failure) {
        let mishaps = std::iter::repeat_n(failure, times).map(Mishap::Fail);
        self.part(call, |part| part.next.extend(mishaps));
    }

    pub(crate) fn panic_next(&self, call: Call) {
        self.part(call, |part| part.next.push_back(Mishap::Panic));
    }

    pub(crate) fn fail(&self, call: Call, failure: Failure) {
        self.part(call, |part| part.always = Some(failure));
    }

    /// Ends all scripted failures, and releases all held calls.
    pub(crate) fn clear(&self) {
        self.inside().parts.clear();
        self.shared.changed.notify_all();
    }

    pub(crate) fn hold(&self, call: Call) {
        self.part(call, |part| part.closed = true);
    }

    pub(crate) fn release(&self, call: Call) {
        self.part(call, |part| part.closed = false);
        self.shared.changed.notify_all();
    }

    pub(crate) fn count(&self, call: Call) -> u64 {
        self.inside().counts.get(&call).copied().unwrap_or(0)
    }

    pub(crate) fn held_now(&self) -> usize {
        self.inside().held_now
    }

    /// Returns once `count` calls are held, for at most 20 s.
    ///
    /// # Panics
    /// When that does not happen.
    pub(crate) async fn wait_until_held(&self, count: usize)
    where
        Call: Send + 'static,
        Failure: Send + 'static,
    {
        let script = self.clone();
        let arrived = tokio::task::spawn_blocking(move || {
            let inside = script.inside();
            let (_inside, waited) = script
                .shared
                .changed
                .wait_timeout_while(inside, MISSING, |inside| inside.held_now < count)
                .unwrap_or_else(PoisonError::into_inner);
            !waited.timed_out()
        });
        let arrived = arrived.await.unwrap_or(false);
        assert!(arrived, "no call came that could be held");
    }

    /// Counts the call, waits while it is held, and fails as scripted; else does `work`.
    ///
    /// # Panics
    /// As scripted.
    pub(crate) fn play<T>(&self, call: Call, work: impl FnOnce() -> T) -> Result<T, Failure> {
        self.shared.activity.note();
        self.arrive(call)?;
        let _under_way = self.shared.activity.begin();
        Ok(work())
    }

    /// The same for a call that is made again and again while something is waited for: time goes on meanwhile, until the
    /// call has brought something.
    pub(crate) fn play_poll<T>(
        &self,
        call: Call,
        work: impl FnOnce() -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        self.arrive(call)?;
        let found = work();
        if found.is_some() {
            self.shared.activity.note();
        }
        Ok(found)
    }

    fn arrive(&self, call: Call) -> Result<(), Failure> {
        let mut inside = self.inside();
        *inside.counts.entry(call).or_default() += 1;
        let is_held =
            |inside: &Inside<_, _>| inside.parts.get(&call).is_some_and(|part| part.closed);
        if is_held(&inside) {
            inside.held_now += 1;
            self.shared.activity.note();
            self.shared.changed.notify_all();
            inside = self
                .shared
                .changed
                .wait_while(inside, |inside| is_held(inside))
                .unwrap_or_else(PoisonError::into_inner);
            inside.held_now -= 1;
        }
        let mishap = inside.parts.get_mut(&call).and_then(|part| {
            let always = part.always.map(Mishap::Fail);
            part.next.pop_front().or(always)
        });
        drop(inside);
        match mishap {
            Some(Mishap::Fail(failure)) => Err(failure),
            Some(Mishap::Panic) => panic!("as scripted"),
            None => Ok(()),
        }
    }

    fn part(&self, call: Call, change: impl FnOnce(&mut Part<Failure>)) {
        let mut inside = self.inside();
        let part = inside.parts.entry(call).or_insert_with(|| Part {
            next: VecDeque::new(),
            always: None,
            closed: false,
        });
        change(part);
    }

    fn inside(&self) -> MutexGuard<'_, Inside<Call, Failure>> {
        // Scripted panics happen outside the lock, and every step inside is one call.
        self.shared
            .inside
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Call, Failure> Clone for Script<Call, Failure> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}
