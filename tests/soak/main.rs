//! An hour of random faults over real processes, TLS connections, files and a real keyring; every ending is checked against the
//! server's ledger, account by account. `make soak`, or `MINUTES=2 SEED=7 make soak`.
//!
//! One program in three roles: it starts itself on a session bus of its own; there the runner has the server, the
//! keyring service, the plan and the checks; and each process of the application is this program once more.
//!
//! Sleep and jumps of the clock are not here, because one machine cannot do them to itself. `tests/core/random` has
//! them.

#[cfg(target_os = "linux")]
mod bus;
#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod endings;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod runner;
#[cfg(target_os = "linux")]
#[path = "../core/fixture/watched_twenty.rs"]
mod watched_twenty;

/// Which role this process has; absent where a person starts the program.
#[cfg(target_os = "linux")]
const ROLE: &str = "SESSION_SOAK_ROLE";

/// The folder of the run.
#[cfg(target_os = "linux")]
const FOLDER: &str = "SESSION_SOAK_FOLDER";

/// The root certificate that a process trusts, as PEM.
#[cfg(target_os = "linux")]
const ROOT: &str = "SESSION_SOAK_ROOT";

/// The account of a process.
#[cfg(target_os = "linux")]
const ACCOUNT: &str = "SESSION_SOAK_ACCOUNT";

/// How long the server accepts a used refresh token again; the processes know it. Twenty has 60 s. Here it is shorter,
/// so that the soak often meets tokens whose grace time is over.
#[cfg(target_os = "linux")]
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// A fifth of the defaults, so that an hour holds thousands of renewals and every limit is met.
#[cfg(target_os = "linux")]
fn limits() -> graphql_session::Limits {
    use std::time::Duration;
    graphql_session::Limits {
        attempt_timeout: Duration::from_secs(2),
        renewal_timeout: Duration::from_secs(5),
        lock_timeout: Duration::from_secs(6),
        vault_read: Duration::from_secs(1),
        vault_write: Duration::from_millis(1_500),
        file_timeout: Duration::from_secs(1),
        call_timeout: Duration::from_secs(15),
        ..graphql_session::Limits::default()
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let role = std::env::var(ROLE).unwrap_or_default();
    let folder = std::env::var_os(FOLDER).map(std::path::PathBuf::from);
    match (role.as_str(), folder) {
        ("process", Some(folder)) => {
            let account = std::env::var(ACCOUNT).expect("the runner names it");
            let runtime = tokio::runtime::Builder::new_current_thread();
            running(runtime).block_on(process::run(&folder, &account));
            std::process::ExitCode::SUCCESS
        }
        ("conductor", Some(folder)) => {
            let runtime = tokio::runtime::Builder::new_multi_thread();
            running(runtime).block_on(runner::run(&folder))
        }
        _ => bus::conduct(),
    }
}

#[cfg(target_os = "linux")]
fn running(mut builder: tokio::runtime::Builder) -> tokio::runtime::Runtime {
    builder.enable_all().build().expect("a runtime")
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("The soak needs Linux: it starts a session bus and a keyring service of its own.");
}
