//! [`CountingAllocator`]: how much memory a test takes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, counting. A test binary installs it:
///
/// ```
/// use graphql_session_testing::CountingAllocator;
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator;
///
/// let (text, bytes) = CountingAllocator::peak_of(|| "a".repeat(1_000));
/// assert!(text.len() <= bytes && bytes < 2_000);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingAllocator;

/// Most bytes of a small allocation: a node of a channel, and no table or queue.
const NODE_BYTES: usize = 96;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
/// The most that was in use at a time since [`CountingAllocator::begin_peak`].
static PEAK: AtomicUsize = AtomicUsize::new(0);
static NODES: AtomicUsize = AtomicUsize::new(0);
static LARGER: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Bytes that this thread has allocated, less those that it has freed: of its own blocks or of another thread's.
    static OF_THREAD: Cell<isize> = const { Cell::new(0) };
    static PEAK_OF_THREAD: Cell<isize> = const { Cell::new(0) };
}

/// Allocations since the start of the process, by size.
#[derive(Clone, Copy, Debug)]
pub struct Allocations {
    /// Of at most 96 bytes.
    pub nodes: usize,
    /// Of more.
    pub larger: usize,
}

impl Allocations {
    /// Those since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            nodes: self.nodes.saturating_sub(before.nodes),
            larger: self.larger.saturating_sub(before.larger),
        }
    }
}

impl CountingAllocator {
    /// Bytes that the process has in use.
    pub fn bytes_in_use() -> usize {
        IN_USE.load(Ordering::Relaxed)
    }

    /// From now on, [`peak`](Self::peak) tells about the whole process.
    pub fn begin_peak() -> usize {
        let now = Self::bytes_in_use();
        PEAK.store(now, Ordering::Relaxed);
        now
    }

    /// The most bytes that the process had in use at a time since [`begin_peak`](Self::begin_peak).
    pub fn peak() -> usize {
        PEAK.load(Ordering::Relaxed)
    }

    /// Allocations of the process so far.
    pub fn allocations() -> Allocations {
        Allocations {
            nodes: NODES.load(Ordering::Relaxed),
            larger: LARGER.load(Ordering::Relaxed),
        }
    }

    /// Runs `work`, and tells how many bytes this thread had in use at most at one time, beyond those at the start.
    pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
        let before = OF_THREAD.get();
        PEAK_OF_THREAD.set(before);
        let outcome = work();
        let peak = PEAK_OF_THREAD.get() - before;
        (outcome, usize::try_from(peak).unwrap_or(0))
    }
}

fn count(size: usize) {
    let before = IN_USE.fetch_add(size, Ordering::Relaxed);
    PEAK.fetch_max(before + size, Ordering::Relaxed);
    let kind = if size <= NODE_BYTES { &NODES } else { &LARGER };
    kind.fetch_add(1, Ordering::Relaxed);
    let now = OF_THREAD.get().saturating_add_unsigned(size);
    OF_THREAD.set(now);
    PEAK_OF_THREAD.set(PEAK_OF_THREAD.get().max(now));
}

#[allow(
    unsafe_code,
    reason = "there is no other way to count allocations; each request goes on to the system's allocator unchanged"
)]
// SAFETY: every block is the system allocator's, with the caller's layout. The counters need no memory of their own.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise is the one that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        OF_THREAD.set(OF_THREAD.get().saturating_sub_unsigned(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
