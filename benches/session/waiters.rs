//! Many calls at once whose token is not good any more: all wait for the one renewal, and go on. Beside the same renewal
//! and as many requests, in the same order, without a session.

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use tokio::runtime::Runtime;

use crate::cpu::Taken;
use crate::figures::{self, Figure, Turns};
use crate::runtime;
use crate::sides::{Bare, Ours};
use crate::tls::{self, Speaks};

/// So many wait for one renewal.
const WAITERS: [usize; 2] = [1_000, 10_000];

/// What makes the calls wait.
#[derive(Clone, Copy)]
enum Why {
    /// The token is known to have expired, so none of the calls is sent before the renewal.
    Expired,
    /// The server refuses all of them, and answers the renewal when it has.
    Refused,
}

/// Of both sides, and how many times of the bare one a session takes.
///
/// # Panics
/// When a round has taken more than one renewal.
pub(crate) fn measure(criterion: &mut Criterion) -> Vec<Figure> {
    let runtime = runtime();
    let bare = runtime.block_on(async { Arc::new(Bare::start()) });
    let ours = Arc::new(runtime.block_on(Ours::start()));
    compare(criterion, "waiters", &runtime, &(bare, ours))
}

/// The same over TLS.
///
/// # Panics
/// When a round has taken more than one renewal.
pub(crate) fn measure_over_tls(criterion: &mut Criterion, speaks: Speaks) -> Vec<Figure> {
    let runtime = runtime();
    let sides = runtime.block_on(tls::sides(speaks));
    let name = format!("waiters ({})", speaks.word());
    compare(criterion, &name, &runtime, &sides)
}

fn compare(
    criterion: &mut Criterion,
    name: &str,
    runtime: &Runtime,
    (bare, ours): &(Arc<Bare>, Arc<Ours>),
) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut rounds_done = 0;
    for (why, word) in [(Why::Expired, "expired"), (Why::Refused, "refused")] {
        let mut group = criterion.benchmark_group(format!("{name}, {word}"));
        group
            .sampling_mode(SamplingMode::Flat)
            .sample_size(15)
            .warm_up_time(Duration::from_secs(1))
            .measurement_time(Duration::from_secs(10));
        for calls in WAITERS {
            let (mut of_time, mut of_cpu) = (Turns::default(), Turns::default());
            figures::show(&mut group, calls, || {
                let (bare, ours) = of_time.run(
                    || runtime.block_on(bare_round(bare, why, calls)),
                    || runtime.block_on(our_round(ours, why, calls)),
                );
                of_time.push(millis(bare.time), millis(ours.time));
                of_cpu.push(millis(bare.cpu), millis(ours.cpu));
                rounds_done += 1;
                (bare.time, ours.time)
            });
            let row = format!("{calls} {name}, {word}");
            figures.extend(of_time.ratio(&row, "ms"));
            figures.extend(of_cpu.ratio(&format!("{row}, CPU"), "ms"));
        }
        group.finish();
    }
    let renewals = runtime.block_on(ours.control.renewals());
    assert_eq!(
        renewals, rounds_done,
        "renewals and rounds: each takes exactly one"
    );
    figures
}

async fn bare_round(bare: &Arc<Bare>, why: Why, calls: usize) -> Taken {
    if let Why::Refused = why {
        bare.refuse(calls).await;
    }
    Taken::by(async {
        if let Why::Refused = why {
            bare.calls(calls).await;
        }
        bare.renew().await;
        bare.calls(calls).await;
    })
    .await
}

async fn our_round(ours: &Arc<Ours>, why: Why, calls: usize) -> Taken {
    match why {
        Why::Expired => ours.expire().await,
        Why::Refused => ours.control.refuse(calls).await,
    }
    Taken::by(ours.calls(calls)).await
}

fn millis(taken: Duration) -> f64 {
    taken.as_secs_f64() * 1e3
}
