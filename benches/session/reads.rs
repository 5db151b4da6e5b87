//! Reading the current credentials as a call does, by one thread and by two at once.

use std::hint::black_box;
use std::sync::Barrier;

use arc_swap::ArcSwapOption;

use crate::cpu;
use crate::figures::Figure;
use crate::runtime;
use crate::sides::Ours;

/// Reads of one thread in one turn: some 20 ms.
const READS: usize = 1_000_000;

/// Turns of each figure.
const TURNS: usize = 40;

const THREADS: [usize; 2] = [1, 2];

/// CPU time per read, and beside it the same of a bare `Arc` that is loaded and dropped.
pub(crate) fn measure() -> Vec<Figure> {
    let runtime = runtime();
    let ours = runtime.block_on(Ours::start());
    let bare = ArcSwapOption::from_pointee(1_u64);
    let mut figures = Vec::new();
    for threads in THREADS {
        let name = |what: &str| format!("{what}, {threads} at a time");
        let of_bare = turns(threads, || {
            black_box(bare.load_full());
        });
        figures.push(Figure::of(name("reading an ArcSwap"), "ns", &of_bare));
        let of_session = turns(threads, || {
            black_box(ours.session.generation());
        });
        let reading = name("reading the credentials");
        figures.push(Figure::of(reading, "ns", &of_session));
    }
    figures
}

fn turns(threads: usize, read: impl Fn() + Sync) -> Vec<f64> {
    (0..TURNS).map(|_| cpu_per_read(threads, &read)).collect()
}

/// All threads start together, and each counts its own time: reading costs more while somebody else reads, too.
fn cpu_per_read(threads: usize, read: &(impl Fn() + Sync)) -> f64 {
    let start = Barrier::new(threads);
    let reader = || {
        start.wait();
        let began = cpu::of_this_thread();
        for _ in 0..READS {
            read();
        }
        (cpu::of_this_thread() - began).as_secs_f64()
    };
    let taken: f64 = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(reader)).collect();
        let taken = readers.into_iter().map(|reader| reader.join());
        taken.map(|taken| taken.expect("no panic")).sum()
    });
    taken * 1e9 / (threads * READS) as f64
}
