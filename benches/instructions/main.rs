//! The instructions of one call through the session and of one by bare reqwest, counted by callgrind and compared with
//! the recorded ones in `baseline.json`. Unlike time, they are nearly the same in every run, however busy the machine is.
//!
//! `scripts/instructions.sh` builds and runs it. This program counts nothing itself: it starts itself under callgrind,
//! once with few calls and once with many, so that start and sign-in fall out of the difference.

#[path = "../session/server.rs"]
mod server;
#[path = "../session/sides.rs"]
#[allow(dead_code)] // the other bench uses the rest
mod sides;

mod baseline;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use crate::baseline::{Baseline, Counts};
use crate::sides::{Bare, Ours};

/// Calls of the two runs whose difference is taken. A thousand calls take callgrind some seconds.
const FEW: u64 = 200;
const MANY: u64 = 1_200;

/// Repetitions of each count. The least is taken: what comes with time, such as the pool's look at its idle connections,
/// only ever adds to one.
const REPETITIONS: usize = 3;

/// Set in a process that is to call: which side, and how often.
const ROLE: &str = "HOLDFAST_INSTRUCTIONS";

const SESSION: &str = "session";
const BARE: &str = "bare";

/// Where valgrind and what it needs are looked for.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

fn main() -> ExitCode {
    if server::is_this_process() {
        runtime().block_on(server::serve());
    }
    if let Ok(role) = std::env::var(ROLE) {
        runtime().block_on(call(&role));
        return ExitCode::SUCCESS;
    }
    let counts = Counts {
        session: instructions_per_call(SESSION),
        bare: instructions_per_call(BARE),
    };
    println!(
        "instructions per call: {} through the session, {} bare, {} added",
        counts.session,
        counts.bare,
        counts.added()
    );
    if std::env::args().any(|argument| argument == "--record") {
        Baseline::of(counts).write();
        return ExitCode::SUCCESS;
    }
    let recorded = Baseline::read();
    recorded.report(counts);
    recorded.compare(counts)
}

/// One thread: with more of them, who wakes whom is up to the system.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

async fn call(role: &str) {
    let (side, calls) = role.split_once(' ').expect("a side and a number");
    let calls: u64 = calls.parse().expect("a number");
    if side == SESSION {
        let ours = Ours::start_undisturbed().await;
        for _ in 0..calls {
            ours.call().await;
        }
    } else {
        let bare = Bare::start();
        for _ in 0..calls {
            bare.call().await;
        }
    }
}

fn instructions_per_call(side: &str) -> u64 {
    let least = |calls| {
        let counted = [(); REPETITIONS].map(|()| instructions(side, calls));
        println!("{side}, {calls} calls: {counted:?}");
        counted.into_iter().min().expect("some repetitions")
    };
    (least(MANY) - least(FEW)) / (MANY - FEW)
}

/// Of a whole process that makes so many calls. Its name, arguments and environment are the same everywhere: they lie on the
/// stack, and copying takes more or fewer instructions by where that begins.
fn instructions(side: &str, calls: u64) -> u64 {
    let own = std::env::current_exe().expect("our own path");
    let folder = own.parent().expect("a folder");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(Path::new(".").join(own.file_name().expect("a name")))
        .current_dir(folder)
        .env_clear()
        .env("PATH", PATH)
        .env(ROLE, format!("{side} {calls:0>4}"))
        .stdin(Stdio::null())
        .output()
        .expect("valgrind is installed: scripts/prepare.sh test");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "under callgrind: {said}");
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, number) = collected.expect("callgrind says what it collected");
    number.trim().parse().expect("a number")
}
