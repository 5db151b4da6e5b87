//! The table of request ids, by window, with its bounds. It has no clock, no lock and no task.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use graphql_session::Reply;
use tokio::sync::{Notify, watch};

use crate::error::CommandError;

/// The result of a call, shared by all invokes with its id.
pub(crate) type Outcome = Result<Arc<Reply>, CommandError>;

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallLimits {
    /// How long an id is remembered after its call has settled. Default 10 min: a page that reloads repeats its invokes
    /// within seconds; the rest is for machines that slow down.
    pub(crate) remembered: Duration,
    /// Ids per window. Default 100,000, about 20 MB: 166 calls a second for all of those 10 min.
    pub(crate) ids_per_window: usize,
    /// Bodies of the replies that are kept for a repetition, in bytes, of all windows together. Default 8 MiB: twenty of
    /// the largest replies that a Twenty server usually gives (416 kB).
    pub(crate) body_bytes: usize,
    /// Calls of one window that run or wait at a time. Default 1,000: a page that shows all it has after a renewal makes some
    /// dozens.
    pub(crate) calls_per_window: usize,
    /// Bytes of their requests. Default 128 MiB: four of the longest uploads.
    pub(crate) request_bytes_per_window: usize,
    /// The same for all windows together. Default 256 MiB.
    pub(crate) request_bytes: usize,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            remembered: Duration::from_secs(10 * 60),
            ids_per_window: 100_000,
            body_bytes: 8 << 20,
            calls_per_window: 1_000,
            request_bytes_per_window: 128 << 20,
            request_bytes: 256 << 20,
        }
    }
}

pub(super) struct Table {
    limits: CallLimits,
    pub(super) windows: HashMap<Arc<str>, HashMap<Arc<str>, Entry>>,
    /// Settled ids in the order in which they are forgotten.
    by_age: VecDeque<Aged>,
    /// The ids whose outcomes still hold a body, oldest first.
    with_body: BTreeMap<u64, (Arc<str>, Arc<str>)>,
    pub(super) body_bytes: usize,
    next_order: u64,
}

/// What is known of one id.
pub(super) enum Entry {
    Running(RunningEntry),
    /// `order` is its key in `with_body`.
    Settled {
        outcome: Outcome,
        order: u64,
    },
    /// The page has the reply, or it took too much room.
    Delivered,
}

pub(super) struct RunningEntry {
    pub(super) outcome: watch::Receiver<Option<Outcome>>,
    pub(super) cancelled: Arc<Notify>,
    pub(super) is_query: bool,
}

struct Aged {
    settled_at: Duration,
    window: Arc<str>,
    id: Arc<str>,
}

impl Table {
    pub(super) fn new(limits: CallLimits) -> Self {
        Self {
            limits,
            windows: HashMap::new(),
            by_age: VecDeque::new(),
            with_body: BTreeMap::new(),
            body_bytes: 0,
            next_order: 0,
        }
    }

    pub(super) fn entry(&self, window: &str, id: &str) -> Option<&Entry> {
        self.windows.get(window)?.get(id)
    }

    pub(super) fn has_room(&self, window: &str) -> bool {
        self.windows
            .get(window)
            .is_none_or(|entries| entries.len() < self.limits.ids_per_window)
    }

    pub(super) fn start(&mut self, window: &str, id: &str, call: RunningEntry) {
        self.insert(window, id, Entry::Running(call));
    }

    /// Keeps the outcome for a repetition. The oldest bodies make room for a new one.
    pub(super) fn settle(&mut self, window: &str, id: &str, outcome: Outcome, now: Duration) {
        let order = self.next_order;
        self.next_order += 1;
        let bytes = body_bytes(&outcome);
        let (window, id) = self.insert(window, id, Entry::Settled { outcome, order });
        self.by_age.push_back(Aged {
            settled_at: now,
            window: window.clone(),
            id: id.clone(),
        });
        if bytes > 0 {
            self.body_bytes += bytes;
            self.with_body.insert(order, (window, id));
            while self.body_bytes > self.limits.body_bytes {
                let Some((window, id)) = self.with_body.values().next().cloned() else {
                    break;
                };
                self.drop_outcome(&window, &id);
            }
        }
    }

    /// Keeps the id and drops its outcome.
    pub(super) fn drop_outcome(&mut self, window: &str, id: &str) {
        let Some(entry) = self
            .windows
            .get_mut(window)
            .and_then(|entries| entries.get_mut(id))
        else {
            return;
        };
        if !matches!(entry, Entry::Settled { .. }) {
            return;
        }
        if let Entry::Settled { outcome, order } = std::mem::replace(entry, Entry::Delivered) {
            self.release(order, &outcome);
        }
    }

    /// Forgets the ids whose calls settled long ago.
    pub(super) fn forget_old(&mut self, now: Duration) {
        while let Some(oldest) = self.by_age.front() {
            if now.saturating_sub(oldest.settled_at) < self.limits.remembered {
                break;
            }
            let Some(Aged { window, id, .. }) = self.by_age.pop_front() else {
                break;
            };
            let Some(entries) = self.windows.get_mut(&window) else {
                continue;
            };
            // An id that runs again belongs to a younger window of the same label.
            if matches!(entries.get(&id), Some(Entry::Running(_))) {
                continue;
            }
            let removed = entries.remove(&id);
            if entries.is_empty() {
                self.windows.remove(&window);
            }
            if let Some(Entry::Settled { outcome, order }) = removed {
                self.release(order, &outcome);
            }
        }
    }

    /// Forgets all ids of a window. Returns what cancels its running queries.
    pub(super) fn remove_window(&mut self, window: &str) -> Vec<Arc<Notify>> {
        let mut queries = Vec::new();
        for entry in self
            .windows
            .remove(window)
            .unwrap_or_default()
            .into_values()
        {
            match entry {
                Entry::Running(running) if running.is_query => queries.push(running.cancelled),
                Entry::Settled { outcome, order } => self.release(order, &outcome),
                Entry::Running(_) | Entry::Delivered => {}
            }
        }
        queries
    }

    fn insert(&mut self, window: &str, id: &str, entry: Entry) -> (Arc<str>, Arc<str>) {
        let window = match self.windows.get_key_value(window) {
            Some((known, _)) => known.clone(),
            None => Arc::from(window),
        };
        let id: Arc<str> = Arc::from(id);
        self.windows
            .entry(window.clone())
            .or_default()
            .insert(id.clone(), entry);
        (window, id)
    }

    fn release(&mut self, order: u64, outcome: &Outcome) {
        if self.with_body.remove(&order).is_some() {
            self.body_bytes -= body_bytes(outcome);
        }
    }
}

fn body_bytes(outcome: &Outcome) -> usize {
    outcome.as_ref().map_or(0, |reply| reply.body.len())
}
