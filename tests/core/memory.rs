//! What a waiter costs in memory. A test binary of its own, because it counts every byte that its process allocates.

#[allow(dead_code)] // each test binary uses its part
mod fixture;

use graphql_session::{Code, Envelope};
use graphql_session_testing::{Allocations, CountingAllocator, Counts, Fault, Gate, query};
use tokio::sync::Mutex;

use crate::fixture::{
    MINUTE, assert_failed, code, hold_and_reject_renewal, join_all, signed_in, signed_in_with,
    spawn_calls,
};

/// The calls that wait at once.
const WAITERS: usize = 10_000;

/// Most bytes that one of them may take while it waits. Measured: 1.0 kB, nearly all of it the suspended call itself in
/// its task (request, headers, deadline); the renewal keeps one number and one sender for it. A quarter more means that
/// each waiter holds something that it does not need: with room for the response it was 1.9 kB, and ten thousand
/// waiters took longer.
const BYTES_PER_WAITER: usize = 1_250;

/// The calls that wait at once after their refusal: fewer, because each is really sent.
const REFUSED: usize = 2_000;

/// The body of a refusal: longer than all that a waiter takes, with its share of the connections.
const REFUSAL_BYTES: usize = 2_000;

/// Most bytes per waiter that may be left when all have gone. Measured: 110, the capacity that empty tables keep for the
/// next ones.
const BYTES_LEFT_PER_WAITER: usize = 150;

/// Fewest waiters per allocation of the tables and queues: the queue of messages allocates once for 32 messages, and
/// the tables grow by doubling.
const WAITERS_PER_GROWTH: usize = 25;

/// Allocations that belong to no waiter: the renewal itself, the server, the test.
const BESIDE: usize = 600;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// The tests run one after the other, because each counts the allocations of the whole process.
static ALONE: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn ten_thousand_waiters_take_a_bounded_number_of_bytes_each_and_give_them_back() {
    let _alone = ALONE.lock().await;
    let (host, session) = signed_in().await;
    host.clock.advance(45 * MINUTE);
    let gate = hold_and_reject_renewal(&host);
    host.clock.quiet().await;
    let before = CountingAllocator::bytes_in_use();

    let calls = spawn_calls(&session, WAITERS, &query("people"));
    host.server.wait_for(|counts| counts.renewals == 1).await;
    host.clock.quiet().await;
    let taken = CountingAllocator::bytes_in_use() - before;
    gate.open();
    assert_failed(join_all(calls).await, Code::SignedOut);
    host.clock.quiet().await;
    let left = CountingAllocator::bytes_in_use().saturating_sub(before);

    let (each, each_left) = (taken / WAITERS, left / WAITERS);
    println!("{each} bytes per waiter, {each_left} left");
    assert!(taken <= WAITERS * BYTES_PER_WAITER, "{taken} bytes");
    assert!(left <= WAITERS * BYTES_LEFT_PER_WAITER, "{left} bytes left");
}

#[tokio::test]
async fn a_refused_call_keeps_nothing_of_its_reply_while_it_waits() {
    let _alone = ALONE.lock().await;
    let (host, session) = signed_in().await;
    host.server.keeps_requests(false);
    let long = "x".repeat(REFUSAL_BYTES);
    let refusal = Fault::refuse("UNAUTHENTICATED", "UNAUTHENTICATED", &long);
    host.server.on_every_call(refusal);
    let gate = hold_and_reject_renewal(&host);
    host.clock.quiet().await;
    let before = CountingAllocator::bytes_in_use();

    let calls_in_all = host.server.counts().calls + REFUSED as u64;
    let calls = spawn_calls(&session, REFUSED, &query("people"));
    let all_arrived = |counts: &Counts| counts.calls == calls_in_all;
    host.server.wait_for(all_arrived).await;
    host.clock.quiet().await;
    let taken = CountingAllocator::bytes_in_use() - before;
    gate.open();
    assert_failed(join_all(calls).await, Code::SignedOut);

    println!("{} bytes per refused waiter", taken / REFUSED);
    assert!(taken <= REFUSED * REFUSAL_BYTES, "{taken} bytes");
}

#[tokio::test]
async fn a_waiter_allocates_one_small_node_from_joining_the_renewal_to_its_outcome() {
    let _alone = ALONE.lock().await;
    let own = of_calls_that_queue().await;
    let all = of_calls_that_wait().await;
    let waiting = all.since(own);

    println!("{WAITERS} waiters: {waiting:?} beside the calls' own {own:?}");
    assert!(waiting.nodes <= WAITERS + BESIDE, "{waiting:?}");
    let growth = WAITERS / WAITERS_PER_GROWTH;
    assert!(waiting.larger <= growth + BESIDE, "{waiting:?}");
}

/// A reply of this length is large enough that nothing beside it counts.
const LONG_REPLY: usize = 4 << 20;

/// Most that judging a reply may take, in lengths of the reply, beside the reply itself: with it they are the three that a
/// caller has to reckon with.
const JUDGING: usize = 2;

#[tokio::test]
async fn judging_a_reply_of_any_content_takes_at_most_twice_its_length_beside_it() {
    let _alone = ALONE.lock().await;
    let filled = |begin: &str, piece: &str, end: &str| {
        let pieces = piece.repeat((LONG_REPLY - begin.len() - end.len()) / piece.len());
        let body = format!("{begin}{pieces}{end}");
        let blanks = " ".repeat(LONG_REPLY - body.len());
        body + &blanks
    };
    let plain = peak_of_a_call(filled(r#"{"data":{"a":""#, "x", r#""}}"#)).await;
    let with_code = r#"{"extensions":{"code":"A"}},"#;
    for (begin, piece, end) in [
        (r#"{"errors":["#, "0,", "0]}"),
        (r#"{"errors":["#, "{},", "0]}"),
        (r#"{"errors":["#, "[],", r#"0],"data":{}}"#),
        (r#"{"errors":["#, with_code, "0]}"),
        (r#"{"errors":[{"message":""#, "\\n", r#""}]}"#),
        (r#"{"errors":[{"message":""#, "\u{fffd}", r#""}]}"#),
        (r#"{"errors":"#, "[", ""),
        (r#"{"errors":[0],"extensions":"#, "{\"a\":", "0"),
        (r#"{"data":{"a":null},"errors":["#, "0,", "0]}"),
        ("[", r#"{"errors":[0]},"#, "0]"),
        ("[", "0,", "0]"),
    ] {
        let body = filled(begin, piece, end);
        let (_, reading) = CountingAllocator::peak_of(|| Envelope::read(body.as_bytes()));
        let more = peak_of_a_call(body).await.saturating_sub(plain);
        println!("{begin}{piece}: {reading} bytes to read it, {more} more than plain data");
        assert!(reading.max(more) <= JUDGING * LONG_REPLY, "{begin}{piece}");
    }
}

/// The most that this process takes while a call gets this reply, the server's part included.
async fn peak_of_a_call(body: String) -> usize {
    let (host, session) = signed_in().await;
    host.server.keeps_requests(false);
    host.server.on_call(Fault::answer(200, body));
    host.clock.quiet().await;
    let before = CountingAllocator::begin_peak();
    let reply = session.execute(query("people")).await;
    assert_eq!(reply.expect("handed over").body.len(), LONG_REPLY);
    CountingAllocator::peak() - before
}

/// What calls allocate before they are sent: they queue behind a call, and only one may be on the wire.
async fn of_calls_that_queue() -> Allocations {
    let (host, session) = signed_in_with(|config| config.limits.concurrent_calls = 1).await;
    let gate = Gate::new();
    host.server.on_call(Fault::hold(&gate));
    let first = spawn_calls(&session, 1, &query("people"));
    host.clock.quiet().await;

    let before = CountingAllocator::allocations();
    let calls = spawn_calls(&session, WAITERS, &query("people"));
    host.clock.quiet().await;
    let own = CountingAllocator::allocations().since(before);
    for call in calls.iter().chain(&first) {
        call.abort();
    }
    own
}

/// The same calls with an expired token, from their start until each has failed with `SignedOut`.
async fn of_calls_that_wait() -> Allocations {
    let (host, session) = signed_in().await;
    host.clock.advance(45 * MINUTE);
    let gate = hold_and_reject_renewal(&host);
    host.clock.quiet().await;

    let before = CountingAllocator::allocations();
    let calls = spawn_calls(&session, WAITERS, &query("people"));
    host.server.wait_for(|counts| counts.renewals == 1).await;
    host.clock.quiet().await;
    gate.open();
    for call in calls {
        let outcome = call.await.expect("a call does not panic");
        assert_eq!(code(outcome), Code::SignedOut);
    }
    CountingAllocator::allocations().since(before)
}
