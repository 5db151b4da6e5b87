//! Ours beside the clients that people use: the same cases and the same requests, against one server, on one machine.
//! `make compare` runs all of it and writes `docs/comparison.md`.
//!
//! ```text
//! compare cases [CLIENT...]    plays every case to every client; writes target/compare/cases.json, and fails where
//!                              our own client has a problem
//! compare speed [CLIENT...]    measures every client; writes target/compare/speed.json
//! compare report               writes docs/comparison.md and its plots from those
//! ```
//!
//! `clients.rs` says who, `cases.rs` what happens, `tally.rs` what counts as a problem, `speed.rs` what is measured.
//! `driver.rs` speaks to the processes in which the clients live: `clients/js` and `clients/rust`.

mod cases;
mod clients;
mod driver;
#[path = "../../benches/http.rs"]
mod http;
mod machine;
mod plot;
mod report;
mod server;
mod speed;
mod tally;
mod targets;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cases::{CASES, Case};
use crate::clients::{CLIENTS, Client, root};
use crate::driver::Driver;
use crate::speed::Speed;
use crate::tally::Tally;

/// Every client's counts, by its name and the case's title.
pub(crate) type Tallies = BTreeMap<String, BTreeMap<String, Tally>>;

/// Every client's figures, by its name.
pub(crate) type Speeds = BTreeMap<String, Speed>;

/// The versions of what was run, by client and package.
pub(crate) type Versions = BTreeMap<String, BTreeMap<String, String>>;

/// How long a driver may take to say its versions.
const PROMPT: Duration = Duration::from_secs(60);

/// Cases that are played at once. Most of their time they wait.
const AT_ONCE: usize = 10;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    match &arguments[..] {
        [server::ROLE, status] => {
            let status = status.parse().expect("an HTTP status");
            runtime.block_on(server::serve(status));
        }
        ["cases", only @ ..] => {
            let tallies = runtime.block_on(play(&chosen(only)));
            write("cases", &tallies);
            report::print_cases(&tallies);
            demand_of_ours(&tallies);
        }
        ["speed", only @ ..] => {
            let clients = chosen(only);
            write("versions", &runtime.block_on(versions(&clients)));
            let speeds = runtime.block_on(measure(&clients));
            report::print_speeds(&speeds);
        }
        ["report"] => report::write(&read("cases"), &read("speed"), &read("versions")),
        _ => {
            eprintln!("usage: compare cases [CLIENT...] | speed [CLIENT...] | report");
            std::process::exit(2);
        }
    }
}

/// The clients named; all of them where none is.
fn chosen(names: &[&str]) -> Vec<&'static Client> {
    for name in names {
        let known: Vec<_> = CLIENTS.iter().map(|client| client.name).collect();
        assert!(
            known.contains(name),
            "no client {name}; there are {known:?}"
        );
    }
    let wanted = |client: &&Client| names.is_empty() || names.contains(&client.name);
    CLIENTS.iter().filter(wanted).collect()
}

/// Several at once, because most of their time they wait. What takes time in them, pauses and limits, is seconds; but
/// which of two answers comes first is decided anew in each play.
async fn play(clients: &[&'static Client]) -> Tallies {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut playing = JoinSet::new();
    for case in &CASES {
        for client in clients.iter().copied() {
            let places = places.clone();
            playing.spawn(async move {
                let _place = places.acquire_owned().await.expect("never closed");
                let tally = case.play(client).await;
                eprintln!("played: {}, {}", case.title, client.title);
                (case, client, tally)
            });
        }
    }
    let mut tallies = Tallies::new();
    while let Some(played) = playing.join_next().await {
        let (case, client, tally) = played.expect("a case that plays to its end");
        let of_client = tallies.entry(client.name.to_owned()).or_default();
        of_client.insert(case.title.to_owned(), tally);
    }
    tallies
}

/// Ends the program where our own client is not as it should be.
fn demand_of_ours(tallies: &Tallies) {
    let mut is_fine = true;
    for client in CLIENTS.iter().filter(|client| client.is_ours()) {
        for (case, tally) in tallies_of(client, tallies) {
            for problem in tally.problems(case) {
                eprintln!(
                    "{}, {}: {}. {tally:?}",
                    client.title, case.title, problem.text
                );
                is_fine = false;
            }
        }
    }
    if !is_fine {
        std::process::exit(1);
    }
}

/// What a client made of the cases, in their order.
pub(crate) fn tallies_of<'a>(
    client: &Client,
    tallies: &'a Tallies,
) -> impl Iterator<Item = (&'static Case, &'a Tally)> {
    let of_client = tallies.get(client.name);
    CASES
        .iter()
        .filter_map(move |case| Some((case, of_client?.get(case.title)?)))
}

/// One client after the other.
async fn measure(clients: &[&'static Client]) -> Speeds {
    let mut speeds = Speeds::new();
    for client in clients {
        eprintln!("speed: {}", client.title);
        speeds.insert(client.name.to_owned(), speed::measure(client).await);
        // After each, so that a run that is cut short leaves something.
        write("speed", &speeds);
    }
    speeds
}

async fn versions(clients: &[&'static Client]) -> Versions {
    let mut versions = Versions::new();
    for client in clients {
        let driver = Driver::start(client);
        let command = json!({ "do": "versions" });
        let answer = driver.ask(&command, "versions", PROMPT).await;
        let of_client = serde_json::from_value(answer).expect("names and versions");
        versions.insert(client.name.to_owned(), of_client);
    }
    versions
}

fn write(name: &str, figures: &impl Serialize) {
    let path = figures_at(name);
    let text = serde_json::to_string_pretty(figures).expect("figures are JSON");
    std::fs::create_dir_all(path.parent().expect("a folder"))
        .and_then(|()| std::fs::write(&path, text))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = figures_at(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}. Run `make compare`, which measures first",
            path.display()
        )
    });
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Where the figures of one step are kept. What a debug build finds never gets into the document.
pub(crate) fn figures_at(name: &str) -> PathBuf {
    let folder = if cfg!(debug_assertions) {
        "target/compare/debug"
    } else {
        "target/compare"
    };
    root().join(folder).join(format!("{name}.json"))
}
