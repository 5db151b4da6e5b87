//! CPU time per call with a valid token.

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use tokio::runtime::Runtime;

use crate::cpu;
use crate::figures::{self, Figure, Turns};
use crate::runtime;
use crate::sides::{Bare, CONNECTIONS, Ours};
use crate::tls::{self, Speaks};

/// Calls of one side in one turn: some 20 ms.
const BLOCK: usize = 256;

/// So many call at a time.
const CALLERS: [usize; 3] = [1, 8, 64];

/// Of both sides, and what a session adds.
pub(crate) fn measure(criterion: &mut Criterion) -> Vec<Figure> {
    let runtime = runtime();
    let bare = runtime.block_on(async { Arc::new(Bare::start()) });
    let ours = Arc::new(runtime.block_on(Ours::start()));
    compare(criterion, "CPU per call", &runtime, (bare, ours))
}

/// The same over TLS.
pub(crate) fn measure_over_tls(criterion: &mut Criterion, speaks: Speaks) -> Vec<Figure> {
    let runtime = runtime();
    let sides = runtime.block_on(tls::sides(speaks));
    let name = format!("CPU per call ({})", speaks.word());
    compare(criterion, &name, &runtime, sides)
}

fn compare(
    criterion: &mut Criterion,
    name: &str,
    runtime: &Runtime,
    (bare, ours): (Arc<Bare>, Arc<Ours>),
) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut group = criterion.benchmark_group(name);
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(50)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5));
    for callers in CALLERS {
        let mut turns = Turns::default();
        let (one, another) = (bare.clone(), ours.clone());
        let bare_call = move || {
            let bare = one.clone();
            async move {
                if callers > CONNECTIONS {
                    bare.call_in_its_turn().await;
                } else {
                    bare.call().await;
                }
            }
        };
        let our_call = move || {
            let ours = another.clone();
            async move { ours.call().await }
        };
        figures::show(&mut group, callers, || {
            let (bare, ours) = turns.run(
                || cpu_per_call(runtime, callers, bare_call.clone()),
                || cpu_per_call(runtime, callers, our_call.clone()),
            );
            turns.push(bare.as_secs_f64() * 1e6, ours.as_secs_f64() * 1e6);
            (bare, ours)
        });
        figures.extend(turns.difference(&format!("{name}, {callers} at a time"), "µs"));
    }
    group.finish();
    figures
}

/// One block of calls by so many callers.
fn cpu_per_call<C, F>(runtime: &Runtime, callers: usize, call: C) -> Duration
where
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let began = cpu::now();
    runtime.block_on(async {
        let callers = (0..callers).map(|_| {
            let call = call.clone();
            tokio::spawn(async move {
                for _ in 0..BLOCK / callers {
                    call().await;
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.expect("finished calls");
        }
    });
    (cpu::now() - began) / u32::try_from(BLOCK).expect("few")
}
