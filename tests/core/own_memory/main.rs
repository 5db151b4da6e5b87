//! What a process keeps of secrets in its memory (D15): after renewals and a sign-out, no password, and no token that is no
//! longer valid. The test reads the whole writable memory of a process of its own, from outside.
//!
//! Needs `dbus-run-session`, `gnome-keyring-daemon` and `gdbus` (packages dbus, gnome-keyring, libglib2.0-bin).

#![cfg(target_os = "linux")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

use graphql_session::ClearingAllocator;

#[allow(dead_code)] // shared with `tests/core/keyring`
#[path = "../keyring/daemon.rs"]
mod daemon;
mod life;
mod role;
mod scan;

/// Whether this process clears what it frees.
static CLEARS: AtomicBool = AtomicBool::new(false);

/// The system's allocator, or [`ClearingAllocator`] in a process that measures it.
struct Switched;

#[global_allocator]
static ALLOCATOR: Switched = Switched;

#[allow(unsafe_code)]
// SAFETY: both allocators take their blocks from the system's, and so can free each other's.
unsafe impl GlobalAlloc for Switched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if CLEARS.load(Ordering::Relaxed) {
            unsafe { ClearingAllocator.dealloc(block, layout) }
        } else {
            unsafe { System.dealloc(block, layout) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if CLEARS.load(Ordering::Relaxed) {
            unsafe { ClearingAllocator.realloc(block, layout, new_size) }
        } else {
            unsafe { System.realloc(block, layout, new_size) }
        }
    }
}
