//! What the session costs: CPU time per call, many waiters through one renewal, and reading the credentials. Each beside
//! bare reqwest in the same run, whose sides take turns. The server is a process of its own, this binary with a role.

mod calls;
mod cpu;
mod figures;
mod reads;
mod server;
mod sides;
mod waiters;

use criterion::Criterion;
use tokio::runtime::Runtime;

use crate::cpu::CpuTime;

/// Which side criterion is shown. Both take turns in every measurement, so that the machine's mood is the same for both.
const SIDES: [(&str, bool); 2] = [("bare reqwest", false), ("session", true)];

fn main() {
    if server::is_this_process() {
        return runtime().block_on(server::serve());
    }
    let mut figures = Vec::new();
    let mut of_cpu = Criterion::default()
        .with_measurement(CpuTime)
        .configure_from_args();
    figures.extend(calls::measure(&mut of_cpu));
    let mut of_time = Criterion::default().configure_from_args();
    figures.extend(waiters::measure(&mut of_time));
    figures.extend(reads::measure());
    figures::report(&figures);
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}
