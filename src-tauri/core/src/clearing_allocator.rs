//! [`ClearingAllocator`]: memory is overwritten before it goes back to the system.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

/// The system's allocator, which overwrites every block with zeros before it frees the block.
///
/// A session overwrites its own copies of tokens and passwords itself. Other crates have copies, too, and free them as they
/// are: hyper the buffers of its connections, rustls what it has decrypted, zbus its messages, serde what it unescapes, Tauri
/// the bodies of commands. A library cannot change that; an application can, with these two lines:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: graphql_session::ClearingAllocator = graphql_session::ClearingAllocator;
/// ```
///
/// It costs the writing of zeros, and a block that grows is copied always, where the system may have room behind it. Memory
/// that other languages allocate, such as the engine of a web view, does not pass through it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClearingAllocator;

#[allow(
    unsafe_code,
    reason = "an allocator is an unsafe trait; each request goes on to the system's allocator unchanged"
)]
// SAFETY: all blocks are the system allocator's, with the layouts that the caller gives. `realloc` is the trait's own: it
// allocates, copies, and frees the old block with `dealloc`, which clears it.
unsafe impl GlobalAlloc for ClearingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the one that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block has this many bytes, and is the caller's until it is freed. The compiler would leave out writes
        // that nobody reads; so the block is shown to `black_box` before it is freed.
        unsafe {
            block.write_bytes(0, layout.size());
            System.dealloc(black_box(block), layout);
        }
    }
}
