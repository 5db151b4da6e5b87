//! What a waiter costs in memory. A test binary of its own, for it counts every byte that this process allocates.

#[allow(dead_code)] // each test binary uses its part
mod fixture;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use graphql_session::Code;
use graphql_session::testing::{Fault, Gate, Machine, query};

use crate::fixture::{MINUTE, code, finish, served, start};

/// The calls that wait at once.
const WAITERS: usize = 10_000;

/// Most bytes that one of them may take while it waits. Measured: 2.7 kB, nearly all of it the suspended call itself in
/// its task (request, headers, deadline); the renewal keeps one number and one sender of it. Half as much again means
/// that something grows with each waiter that need not.
const BYTES_PER_WAITER: usize = 4_000;

/// Most bytes per waiter that may be left when all have gone. Measured: 110, the capacity that empty tables keep for the
/// next ones.
const BYTES_LEFT_PER_WAITER: usize = 150;

/// The system's allocator, counting the bytes that are in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// There is no other way to count allocations; it hands everything on as it is.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[tokio::test]
async fn ten_thousand_waiters_take_a_bounded_number_of_bytes_each_and_give_them_back() {
    let machine = Machine::start().await;
    let session = served(&machine).await;
    machine.clock.advance(45 * MINUTE);
    let gate = Gate::new();
    let rejection = Fault::refuse("UNAUTHENTICATED", "UNAUTHENTICATED", "Token has expired.");
    machine
        .server
        .on_renewal(Fault::hold_then(&gate, rejection));
    machine.clock.quiet().await;
    let before = IN_USE.load(Ordering::Relaxed);

    let calls = start(&session, WAITERS, &query("people"));
    machine.server.wait_for(|counts| counts.renewals == 1).await;
    machine.clock.quiet().await;
    let taken = IN_USE.load(Ordering::Relaxed) - before;
    gate.open();
    for outcome in finish(calls).await {
        assert_eq!(code(outcome), Code::SignedOut);
    }
    machine.clock.quiet().await;
    let left = IN_USE.load(Ordering::Relaxed).saturating_sub(before);

    println!(
        "{} bytes per waiter, {} left",
        taken / WAITERS,
        left / WAITERS
    );
    assert!(taken <= WAITERS * BYTES_PER_WAITER, "{taken} bytes");
    assert!(left <= WAITERS * BYTES_LEFT_PER_WAITER, "{left} bytes left");
}
