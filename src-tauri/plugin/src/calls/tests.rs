//! The bounds of the table. What windows see of it is tested in `tests/plugin`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use graphql_session::{BoxFuture, SessionId};
use graphql_session_testing::ManualClock;

use super::*;
use crate::error;

const WINDOW: &str = "main";

/// How long anything may take before a test fails. A test that passes never waits this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// A table, its clock, and how often a call really ran.
struct Bench {
    calls: Calls,
    clock: ManualClock,
    ran: Arc<AtomicUsize>,
}

impl Bench {
    fn new(limits: CallLimits) -> Self {
        let clock = ManualClock::new();
        Self {
            calls: Calls::new(Arc::new(clock.clone()), limits),
            clock,
            ran: Arc::default(),
        }
    }

    async fn run(&self, id: &str, operation: OperationKind, bytes: usize) -> Outcome {
        let ran = self.ran.clone();
        let call = async move {
            ran.fetch_add(1, Ordering::SeqCst);
            Ok(reply(bytes))
        };
        self.calls.run(WINDOW, id, operation, 0, call).await
    }

    async fn mutation(&self, id: &str) -> Outcome {
        self.run(id, OperationKind::Mutation, 1).await
    }

    fn ran(&self) -> usize {
        self.ran.load(Ordering::SeqCst)
    }
}

fn reply(bytes: usize) -> Reply {
    Reply::new(200, vec![b'x'; bytes], SessionId::of(1))
}

/// The future's output, or a failure instead of a test that hangs.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("within the time limit")
}

/// The call failed with this code.
#[track_caller]
fn assert_fails(outcome: Outcome, with: impl Into<error::Code>) {
    let failure = outcome.expect_err("the call must fail");
    assert_eq!(failure.code(), with.into());
}

#[tokio::test]
async fn a_repeated_id_gets_the_first_result_and_runs_once() {
    let bench = Bench::new(CallLimits::default());
    let first = bench.mutation("a").await.expect("the first run");
    let second = bench.mutation("a").await.expect("the repetition");
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(bench.ran(), 1);
}

#[tokio::test]
async fn a_repeated_id_whose_reply_was_acknowledged_answers_already_ran() {
    let bench = Bench::new(CallLimits::default());
    bench.mutation("a").await.expect("the first run");
    bench.calls.acknowledge(WINDOW, &["a".to_owned()]);
    assert_fails(bench.mutation("a").await, PluginCode::AlreadyRan);
    assert_eq!(bench.ran(), 1);
    assert_eq!(bench.calls.table().body_bytes, 0);
}

#[tokio::test]
async fn ids_are_forgotten_ten_minutes_after_their_calls_settled() {
    let bench = Bench::new(CallLimits::default());
    bench.mutation("a").await.expect("the first run");
    bench.clock.advance(Duration::from_secs(10 * 60 - 1));
    bench.mutation("b").await.expect("another call");
    bench.mutation("a").await.expect("still known");
    assert_eq!(bench.ran(), 2);
    bench.clock.advance(Duration::from_secs(1));
    bench.mutation("a").await.expect("forgotten, so it runs");
    assert_eq!(bench.ran(), 3);
    let table = bench.calls.table();
    assert_eq!(table.windows[WINDOW].len(), 2);
    assert_eq!(table.body_bytes, 2);
}

#[tokio::test]
async fn a_full_table_refuses_mutations_and_runs_queries() {
    let bench = Bench::new(CallLimits {
        ids_per_window: 2,
        ..CallLimits::default()
    });
    bench.mutation("a").await.expect("the first place");
    bench.mutation("b").await.expect("the last place");
    assert_fails(bench.mutation("c").await, PluginCode::TooManyCalls);
    assert_eq!(bench.ran(), 2, "a refused mutation does not run");
    let query = bench.run("d", OperationKind::Query, 1).await;
    query.expect("a query needs no place");
    bench.mutation("a").await.expect("known ids still answer");
    assert_eq!(bench.ran(), 3);
    bench.clock.advance(Duration::from_secs(10 * 60));
    bench.mutation("c").await.expect("there is room again");
}

#[tokio::test]
async fn kept_bodies_are_bounded_and_the_oldest_go_first() {
    let bench = Bench::new(CallLimits {
        body_bytes: 10,
        ..CallLimits::default()
    });
    for id in ["a", "b", "c"] {
        let run = bench.run(id, OperationKind::Mutation, 4).await;
        run.expect("a run");
    }
    assert_eq!(bench.calls.table().body_bytes, 8);
    assert_fails(bench.mutation("a").await, PluginCode::AlreadyRan);
    bench.mutation("b").await.expect("still kept");
    let huge = bench.run("huge", OperationKind::Mutation, 11).await;
    huge.expect("too large to keep, but its caller gets it");
    assert_fails(bench.mutation("huge").await, PluginCode::AlreadyRan);
    assert_eq!(bench.calls.table().body_bytes, 0);
    assert_eq!(bench.ran(), 4);
}

#[tokio::test]
async fn a_repeated_id_joins_the_call_that_runs() {
    let bench = Bench::new(CallLimits::default());
    let (answer, answered) = tokio::sync::oneshot::channel::<()>();
    let call = async move {
        answered.await.expect("the test answers");
        Ok(reply(3))
    };
    let calls = bench.calls.clone();
    let first = tokio::spawn(async move {
        calls
            .run(WINDOW, "a", OperationKind::Mutation, 0, call)
            .await
    });
    while bench.calls.table().entry(WINDOW, "a").is_none() {
        tokio::task::yield_now().await;
    }
    let second = bench.mutation("a");
    answer.send(()).expect("the first call waits");
    let (first, second) = soon(async { tokio::join!(first, second) }).await;
    let first = first.expect("no panic").expect("the first run");
    assert!(Arc::ptr_eq(&first, &second.expect("the joined run")));
    assert_eq!(bench.ran(), 0, "the second call's future never ran");
}

#[tokio::test]
async fn a_call_that_arrives_after_its_cancellation_does_not_start() {
    let bench = Bench::new(CallLimits::default());
    bench.calls.cancel(WINDOW, "a");
    assert_fails(bench.mutation("a").await, PluginCode::Cancelled);
    assert_eq!(bench.ran(), 0);
}

#[tokio::test]
async fn a_window_that_closes_cancels_its_queries_and_finishes_its_mutations() {
    let bench = Bench::new(CallLimits::default());
    bench.mutation("settled").await.expect("a run");
    let (answer, answered) = tokio::sync::oneshot::channel::<()>();
    let mutation = async move {
        answered.await.expect("the test answers");
        Ok(reply(1))
    };
    let started = |id, operation, call: BoxFuture<'static, Result<Reply, CommandError>>| {
        let calls = bench.calls.clone();
        tokio::spawn(async move { calls.run(WINDOW, id, operation, 0, call).await })
    };
    let never = Box::pin(std::future::pending());
    let query = started("query", OperationKind::Query, never);
    let mutation = started("mutation", OperationKind::Mutation, Box::pin(mutation));
    while bench.calls.table().windows[WINDOW].len() < 3 {
        tokio::task::yield_now().await;
    }
    bench.calls.forget_window(WINDOW);
    assert_fails(soon(query).await.expect("no panic"), PluginCode::Cancelled);
    answer.send(()).expect("the mutation still runs");
    let finished = soon(mutation).await.expect("no panic");
    finished.expect("it finished");
    let table = bench.calls.table();
    assert!(table.windows.is_empty(), "nothing is remembered");
    assert_eq!(table.body_bytes, 0);
}

#[tokio::test]
async fn a_call_that_panics_leaves_an_error_and_no_waiter() {
    let bench = Bench::new(CallLimits::default());
    let call = async { panic!("a defect, on purpose") };
    let mutation = OperationKind::Mutation;
    let outcome = bench.calls.run(WINDOW, "a", mutation, 0, call).await;
    assert_fails(outcome, Code::Internal);
    assert_fails(bench.mutation("a").await, Code::Internal);
    assert_eq!(bench.ran(), 0);
}

/// A call that waits until it is cancelled, with a request of that many bytes. It has taken its place when this returns.
async fn waiting_call(
    bench: &Bench,
    window: &'static str,
    id: &str,
    bytes: usize,
) -> tokio::task::JoinHandle<Outcome> {
    let (calls, id) = (bench.calls.clone(), id.to_owned());
    let (started, has_started) = tokio::sync::oneshot::channel();
    let call = async move {
        // Nobody waits where the call was refused.
        let _ = started.send(());
        std::future::pending().await
    };
    let running = tokio::spawn(async move {
        calls
            .run(window, &id, OperationKind::Query, bytes, call)
            .await
    });
    // It fails where the call did not start.
    let _ = soon(has_started).await;
    running
}

#[tokio::test]
async fn a_window_has_a_bounded_number_of_calls_under_way_and_of_their_bytes() {
    let few = CallLimits {
        calls_per_window: 2,
        ..CallLimits::default()
    };
    let little = CallLimits {
        request_bytes_per_window: 10,
        ..CallLimits::default()
    };
    for (limits, bytes) in [(few, 1), (little, 5)] {
        let bench = Bench::new(limits);
        let first = waiting_call(&bench, WINDOW, "a", bytes).await;
        let _second = waiting_call(&bench, WINDOW, "b", bytes).await;
        let refused = waiting_call(&bench, WINDOW, "c", bytes).await;
        assert_fails(
            soon(refused).await.expect("no panic"),
            PluginCode::TooManyCalls,
        );
        let other = waiting_call(&bench, "other", "c", bytes).await;
        assert!(!other.is_finished(), "another window has room of its own");

        bench.calls.cancel(WINDOW, "a");
        assert_fails(soon(first).await.expect("no panic"), PluginCode::Cancelled);
        let third = waiting_call(&bench, WINDOW, "d", bytes).await;
        assert!(!third.is_finished(), "there is room again");
    }
}

#[tokio::test]
async fn all_windows_together_have_bounded_bytes_under_way_and_a_closed_one_none() {
    let bench = Bench::new(CallLimits {
        request_bytes: 10,
        ..CallLimits::default()
    });
    let first = waiting_call(&bench, WINDOW, "a", 10).await;
    let refused = waiting_call(&bench, "other", "a", 1).await;
    assert_fails(
        soon(refused).await.expect("no panic"),
        PluginCode::TooManyCalls,
    );
    bench.calls.forget_window(WINDOW);
    assert_fails(soon(first).await.expect("no panic"), PluginCode::Cancelled);
    let second = waiting_call(&bench, "other", "b", 10).await;
    assert!(!second.is_finished(), "there is room again");
}

#[tokio::test]
async fn a_repeated_invoke_takes_room_too_and_does_not_say_that_nothing_ran() {
    let bench = Bench::new(CallLimits {
        request_bytes_per_window: 10,
        ..CallLimits::default()
    });
    let _first = waiting_call(&bench, WINDOW, "a", 6).await;
    let calls = &bench.calls;
    let never = std::future::pending();
    let repeated = calls.run(WINDOW, "a", OperationKind::Query, 6, never);
    assert_fails(soon(repeated).await, PluginCode::AlreadyRan);
}
