//! Directus on SQLite, with the declared preset `directus`. `make interop` installs it and runs these tests.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;

use crate::child::Kind;
use crate::expiries;
use crate::installed::{installed, until_listening};
use crate::process::signal;
use crate::provider::free_port;
use crate::scenario::{Counts, Host, LostAnswer, RealServer};

/// The script for what an administrator does.
const ADMIN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/real/directus/admin.mjs"
);

/// How long access tokens last, in seconds: with the margin of a second, one is left.
const ACCESS_SECONDS: u64 = 2;

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "a-password-of-a-test";

/// Where sign-ins and renewals go, and no call.
const SYSTEM: &str = "/graphql/system";

struct Directus {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
    /// Environment variables beside the usual ones.
    more: &'static [(&'static str, &'static str)],
}

impl Directus {
    async fn start(port: u16, more: &'static [(&'static str, &'static str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::copy(fresh_database(), folder.path().join("data.db")).expect("a copy");
        let child = run(folder.path(), port, &[]);
        let mut directus = Self {
            child,
            port,
            folder,
            more,
        };
        until_listening(port).await;
        directus.administer(&["prepare", &directus.own_address(), EMAIL, PASSWORD]);
        if !more.is_empty() {
            directus.stop();
            directus.start_again().await;
        }
        directus
    }

    fn own_address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn administer(&self, arguments: &[&str]) {
        let mut command = node();
        set_environment(&mut command, self.folder.path(), self.port);
        let done = command.arg(ADMIN).args(arguments).status();
        assert!(done.expect("node runs").success(), "{arguments:?}");
    }

    /// Its log, line by line.
    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(log_in(self.folder.path())).expect("it has a log");
        log.lines().map(str::to_owned).collect()
    }

    /// The statuses of its answers to sign-ins and renewals, as it has logged them.
    fn statuses(&self) -> Vec<u64> {
        let entries = self.log().into_iter();
        let entries = entries.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        entries
            .filter(|entry| entry["req"]["url"] == SYSTEM)
            .map(|entry| entry["res"]["statusCode"].as_u64().unwrap_or_default())
            .collect()
    }
}

impl RealServer for Directus {
    const RENEWAL: &'static str = "auth_refresh";

    fn kind(&self) -> Kind {
        Kind::Preset {
            name: "directus".into(),
            login: EMAIL.into(),
            password: PASSWORD.into(),
        }
    }

    fn query(&self) -> &'static str {
        r#"{"query":"{ notes { id } }"}"#
    }

    fn access_lifetime(&self) -> Duration {
        Duration::from_secs(ACCESS_SECONDS)
    }

    fn lost_answer(&self) -> LostAnswer {
        LostAnswer::EndsRejected
    }

    fn turns_away_with(&self) -> &'static [&'static str] {
        // Its own limiter of pressure, on a busy machine.
        &["503"]
    }

    fn stop(&mut self) {
        signal(self.child.id(), "-TERM");
        self.child.wait().expect("it ends");
    }

    async fn start_again(&mut self) {
        self.child = run(self.folder.path(), self.port, self.more);
        until_listening(self.port).await;
    }

    async fn counts(&self) -> Counts {
        let is_renewal = |line: &String| line == "issued for refresh";
        let renewed = self.log().into_iter().filter(is_renewal).count() as u64;
        // It refuses with 200, too. One of these requests is the sign-in.
        let answered = self.statuses().into_iter().filter(|status| *status == 200);
        let refused = (answered.count() as u64).saturating_sub(renewed + 1);
        Counts { renewed, refused }
    }

    async fn suspend(&mut self) {
        self.administer(&["suspend", &self.own_address(), EMAIL]);
    }
}

impl Drop for Directus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn node() -> Command {
    Command::new(installed("node22").join("bin/node"))
}

fn log_in(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

fn run(folder: &Path, port: u16, more: &[(&str, &str)]) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log_in(folder));
    let mut command = node();
    set_environment(&mut command, folder, port);
    command
        .args(["node_modules/directus/cli.js", "start"])
        .current_dir(installed("directus"))
        .envs(more.iter().copied())
        .stdin(Stdio::null())
        .stdout(log.expect("a log"))
        .stderr(Stdio::null());
    command.spawn().expect("node runs")
}

/// A database with an administrator and nothing else. Directus takes seconds to make one; all tests of a run copy this one.
fn fresh_database() -> &'static Path {
    static FRESH: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = installed("directus").join("fresh");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("a folder");
        let mut command = node();
        // No server runs, so the port means nothing.
        set_environment(&mut command, &folder, 0);
        let made = command
            .args(["node_modules/directus/cli.js", "bootstrap"])
            .current_dir(installed("directus"))
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("node runs").success(), "no database");
        folder.join("data.db")
    });
    &FRESH
}

fn set_environment(command: &mut Command, folder: &Path, port: u16) {
    command
        .env("DB_CLIENT", "sqlite3")
        .env("DB_FILENAME", folder.join("data.db"))
        .env("HOST", "127.0.0.1")
        .env("PORT", port.to_string())
        .env("PUBLIC_URL", format!("http://127.0.0.1:{port}"))
        .env("KEY", "11111111-1111-4111-8111-111111111111")
        .env("SECRET", "a-secret-of-a-test-and-of-nothing-else")
        .env("ADMIN_EMAIL", "admin@example.com")
        .env("ADMIN_PASSWORD", "a-password-of-an-administrator")
        .env("ACCESS_TOKEN_TTL", format!("{ACCESS_SECONDS}s"))
        .env("REFRESH_TOKEN_TTL", "1h")
        .env("EXTENSIONS_PATH", installed("directus").join("extensions"))
        .env("STORAGE_LOCAL_ROOT", folder.join("uploads"))
        .env("SERVE_APP", "false")
        .env("TELEMETRY", "false")
        .env("LOG_STYLE", "raw");
}

async fn signed_in(more: &'static [(&'static str, &'static str)]) -> Host<Directus> {
    let port = free_port();
    Host::signed_in(port, async |_| Directus::start(port, more).await).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make interop installs the server and runs it"]
async fn two_processes_stay_signed_in_and_a_lost_answer_ends_the_session_once() {
    let mut host = signed_in(&[]).await;
    host.stays_signed_in(expiries()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make interop installs the server and runs it"]
async fn a_suspended_person_is_signed_out_once_and_told_why() {
    let mut host = signed_in(&[]).await;
    let reports = host.ends_once_for_a_suspended_person().await;

    let causes = reports.iter().filter_map(|report| report.cause.as_deref());
    let causes: BTreeSet<_> = causes.collect();
    // The preset's second rule: INVALID_CREDENTIALS or USER_SUSPENDED.
    assert_eq!(causes, BTreeSet::from(["other_process", "rule_2"]));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make interop installs the server and runs it"]
async fn a_rate_limit_over_calls_and_renewals_signs_nobody_out() {
    let mut host = signed_in(&[
        ("RATE_LIMITER_ENABLED", "true"),
        ("RATE_LIMITER_STORE", "memory"),
        ("RATE_LIMITER_POINTS", "20"),
        ("RATE_LIMITER_DURATION", "2"),
    ])
    .await;
    host.begin_calls().await;
    host.until_renewed(4).await;
    while !host.server.statuses().contains(&429) {
        let renewed = host.server.counts().await.renewed;
        host.until_renewed(renewed + 1).await;
    }
    let tallies = host.stop_calls().await;
    println!("{tallies:?}, {:?}", host.server.statuses());

    let (counts, _) = host.at_rest().await;
    assert_eq!(counts.refused, 0, "{counts:?}");
    for tally in tallies {
        assert_eq!(tally.unsettled, 0, "{tally:?}");
        assert!(tally.served > 0, "{tally:?}");
    }
}
