//! What the session costs: CPU time per call, many waiters through one renewal, and reading the credentials. Each beside
//! bare reqwest in the same run, whose sides take turns. The server is a process of its own, this binary with a role.

mod calls;
mod cpu;
mod figures;
mod reads;
mod server;
mod sides;
mod tls;
mod waiters;

use criterion::Criterion;
use tokio::runtime::Runtime;

use crate::tls::Speaks;

fn main() {
    if let Some(speaks) = Speaks::of_this_process() {
        return runtime().block_on(tls::serve(speaks));
    }
    if server::is_this_process() {
        return runtime().block_on(server::serve());
    }
    let mut criterion = Criterion::default().configure_from_args();
    let mut figures = calls::measure(&mut criterion);
    figures.extend(waiters::measure(&mut criterion));
    for speaks in [Speaks::Http1, Speaks::Http2] {
        figures.extend(calls::measure_over_tls(&mut criterion, speaks));
        figures.extend(waiters::measure_over_tls(&mut criterion, speaks));
    }
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
