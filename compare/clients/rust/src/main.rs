//! Drives the session, or one of the Rust clients that `make compare` sets beside it: `compare-rust-clients <client>`.
//!
//! Speaks the driver protocol in JSON lines (`protocol.rs`). Commands run beside each other; whatever a client does to a
//! call, its panics included, becomes that call's outcome.

mod application;
mod client;
mod exchange;
mod google;
mod holdfast;
mod measure;
mod protocol;
mod smithy;
mod store;
mod wire;

use std::collections::BTreeMap;
use std::process::ExitCode;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::runtime::{Builder, Runtime};

use crate::application::Application;
use crate::client::Kind;
use crate::protocol::{Command, Reply, tell};
use crate::store::Store;

fn main() -> ExitCode {
    let Some(kind) = std::env::args().nth(1).and_then(|name| Kind::named(&name)) else {
        eprintln!("usage: compare-rust-clients holdfast|smithy|google");
        return ExitCode::FAILURE;
    };
    // reqwest and google-cloud-auth take the process's provider; this is the only one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(drive(kind));
    // What is still on the wire is not waited for: the orchestrator has gone.
    runtime.shutdown_background();
    ExitCode::SUCCESS
}

/// One thread, as the clients in JavaScript have. With two it is chance whether a call's task and its socket share one,
/// and one caller's time is 30 or 70 µs for a whole turn. google's clock can only be moved on one, besides.
fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Obeys until standard input closes.
async fn drive(kind: Kind) {
    let mut application = None;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match protocol::read(&line) {
            Ok(command) => obey(kind, &mut application, command).await,
            Err(error) => eprintln!("{error}"),
        }
    }
}

async fn obey(kind: Kind, application: &mut Option<Application>, command: Command) {
    match (command, application) {
        (
            Command::Open {
                origin,
                store,
                windows,
                tokens,
            },
            application,
        ) => {
            let store = Store::new(store);
            let opened = Application::open(kind, origin, store, windows, tokens).await;
            let error = opened.as_ref().err().cloned();
            *application = opened.ok();
            tell(&Reply::Opened {
                opened: application.is_some(),
                error,
            });
        }
        (Command::Versions, _) => tell(&Reply::Versions {
            versions: versions(kind),
        }),
        (_, None) => eprintln!("nothing is open"),
        (Command::Call { id, window, query }, Some(application)) => {
            application.call(id, window, &query)
        }
        (Command::Abort { id }, Some(application)) => application.abort(id),
        (Command::SignOut, Some(application)) => application.sign_out().await,
        (Command::Status, Some(application)) => application.status().await,
        (Command::Expire, Some(application)) => application.expire().await,
        (
            Command::Measure {
                callers,
                calls,
                turns,
            },
            Some(application),
        ) => {
            application.measure(callers, calls, turns);
        }
        (Command::Waiters { calls, turns }, Some(application)) => application.waiters(calls, turns),
        (Command::Replays { turns }, Some(application)) => application.replays(turns),
    }
}

/// The versions that were compiled in, from the lock file: of the client, and of what sends its requests.
fn versions(kind: Kind) -> BTreeMap<&'static str, &'static str> {
    let packages = kind.packages();
    let quoted = |line: &'static str, key: &str| {
        line.strip_prefix(key)?
            .strip_prefix(" = \"")?
            .strip_suffix('"')
    };
    let lines: Vec<_> = include_str!("../Cargo.lock").lines().collect();
    lines
        .windows(2)
        .filter_map(|pair| Some((quoted(pair[0], "name")?, quoted(pair[1], "version")?)))
        .filter(|(name, _)| packages.contains(name) || *name == "reqwest")
        .collect()
}
