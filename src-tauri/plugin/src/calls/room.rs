//! How many calls of a window may run at a time, and how many bytes their requests may have. A call that waits for a renewal
//! keeps its request for as long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::CallLimits;

/// The room that is left. Cheap to clone.
#[derive(Clone)]
pub(super) struct Room(Arc<Mutex<Taken>>);

struct Taken {
    limits: CallLimits,
    windows: HashMap<Box<str>, OfWindow>,
    bytes: usize,
}

#[derive(Default)]
struct OfWindow {
    calls: usize,
    bytes: usize,
}

impl Room {
    pub(super) fn new(limits: CallLimits) -> Self {
        Self(Arc::new(Mutex::new(Taken {
            limits,
            windows: HashMap::new(),
            bytes: 0,
        })))
    }

    /// Room for one call with a request of that many bytes; `None` where there is too little.
    pub(super) fn take(&self, window: &str, bytes: usize) -> Option<Place> {
        let mut taken = self.taken();
        let limits = taken.limits;
        let (calls, of_window) = taken
            .windows
            .get(window)
            .map_or((0, 0), |window| (window.calls, window.bytes));
        if calls >= limits.calls_per_window
            || of_window + bytes > limits.request_bytes_per_window
            || taken.bytes + bytes > limits.request_bytes
        {
            return None;
        }
        taken.bytes += bytes;
        let of_window = taken.windows.entry(window.into()).or_default();
        of_window.calls += 1;
        of_window.bytes += bytes;
        Some(Place {
            room: self.clone(),
            window: window.into(),
            bytes,
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Held for a few sums and never across an await; nothing in it can panic half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for one call, until it is dropped.
pub(super) struct Place {
    room: Room,
    window: Box<str>,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.bytes -= self.bytes;
        if let Some(of_window) = taken.windows.get_mut(&self.window) {
            of_window.calls -= 1;
            of_window.bytes -= self.bytes;
            if of_window.calls == 0 {
                taken.windows.remove(&self.window);
            }
        }
    }
}
