//! The desktop client's memory with two windows, and its start with a stored session: the release build, as people get
//! it, on a real keyring, against the demo server in another process. Beside it an empty Tauri application in the same
//! run, which is the floor.
//!
//! `scripts/bench-client.sh` builds all and gives it a desktop of its own. It prints a table, and writes the figures to
//! `target/compare/client.json`; logs stay in `target/compare/client/`.

#[allow(
    dead_code,
    reason = "shared with the window's tests, which use all of it"
)]
#[path = "../../tests/desktop/kit.rs"]
mod kit;
mod memory;
mod report;
mod starts;

use std::path::{Path, PathBuf};

use demo_server::{DEMO_EMAIL, DEMO_PASSWORD, DemoServer, Options};
use kit::application::{Application, DemoSetting, Home};
use kit::steps::{second_window, sign_in, sign_in_at};
use kit::waiting;
use memory::Memory;
use report::Report;
use starts::Start;

/// The client, as it is built for people.
const CLIENT: &str = env!("CARGO_BIN_EXE_holdfast");

/// Lies beside the client.
const EMPTY: &str = "empty-window";

/// Where the logs stay.
const EVIDENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/compare/client");

/// Where the figures go.
const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/compare/client.json");

/// Starts that are measured.
const STARTS: usize = 30;

/// Starts before those, in which the system gets to know the files.
const WARM_UP: usize = 3;

/// Runs of each application whose memory is looked at.
const MEMORY_RUNS: usize = 5;

#[tokio::main]
async fn main() {
    if cfg!(debug_assertions) {
        eprintln!("A debug build's figures would say nothing. Run: scripts/bench-client.sh");
        std::process::exit(2);
    }
    let server = DemoServer::start(Options::default())
        .await
        .expect("a server");
    let mut home = home("client-").await;
    home.set_demo(DemoSetting::WhereUsed);
    sign_in_and_quit(&home, &server).await;
    let starts = starts_of(&home, &server).await;
    let client = memory_of_client(&home).await;
    drop(home);
    let home = home_with_demo_session().await;
    let with_demo_server = memory_of_client(&home).await;
    drop(home);
    let empty = memory_of_empty().await;
    server.stop().await;

    let mut report = Report::default();
    report.starts(&starts);
    report.memory("client", &client, Some(report::PSS_TARGET));
    report.memory(
        "client with the demo server inside",
        &with_demo_server,
        None,
    );
    report.memory("empty application", &empty, None);
    report.print();
    report.write(Path::new(FIGURES));
}

async fn home(prefix: &str) -> Home {
    Home::new(Path::new(EVIDENCE), prefix).await
}

/// A person signs in, and the session rests in the keyring from now on.
async fn sign_in_and_quit(home: &Home, server: &DemoServer) {
    let app = Application::start(home, Path::new(CLIENT)).await;
    let window = app.window().await;
    sign_in_at(&window, &server.origin(), DEMO_EMAIL, DEMO_PASSWORD).await;
    window
        .has("session-indicator", "data-storage", "saved")
        .await;
    app.quit().await;
}

/// Somebody has signed in to the demo server, which runs in the same process then.
async fn home_with_demo_session() -> Home {
    let home = home("demo-").await;
    let app = Application::start(&home, Path::new(CLIENT)).await;
    let window = app.window().await;
    sign_in(&app, &window).await;
    window
        .has("session-indicator", "data-storage", "saved")
        .await;
    app.quit().await;
    home
}

async fn starts_of(home: &Home, server: &DemoServer) -> Vec<Start> {
    for _ in 0..WARM_UP {
        Start::of(Path::new(CLIENT), home, server).await;
    }
    let mut starts = Vec::with_capacity(STARTS);
    for number in 1..=STARTS {
        starts.push(Start::of(Path::new(CLIENT), home, server).await);
        eprint!("\rstart {number} of {STARTS}");
    }
    eprintln!();
    starts
}

/// A start with the stored session, a second window from the menu, and records in both.
async fn memory_of_client(home: &Home) -> Vec<Memory> {
    let mut runs = Vec::with_capacity(MEMORY_RUNS);
    for _ in 0..MEMORY_RUNS {
        let app = Application::start(home, Path::new(CLIENT)).await;
        let first = app.window().await;
        first.says("record-count", "1,000").await;
        second_window(&app, &first).await;
        runs.push(Memory::at_rest(the_only(&app.processes())).await);
        app.quit().await;
    }
    runs
}

async fn memory_of_empty() -> Vec<Memory> {
    let home = home("empty-").await;
    let mut runs = Vec::with_capacity(MEMORY_RUNS);
    for _ in 0..MEMORY_RUNS {
        let app = Application::start(&home, &empty_application()).await;
        waiting::until("both windows", async || {
            (app.windows().await.len() == 2).then_some(())
        })
        .await;
        runs.push(Memory::at_rest(the_only(&app.processes())).await);
        app.quit().await;
    }
    runs
}

fn the_only(processes: &[u32]) -> u32 {
    assert_eq!(processes.len(), 1, "the application is one process");
    processes[0]
}

fn empty_application() -> PathBuf {
    Path::new(CLIENT).with_file_name(EMPTY)
}
