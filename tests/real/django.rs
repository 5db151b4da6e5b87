//! Django with django-graphql-jwt on SQLite, refresh tokens for single use, with the declared preset `django-graphql-jwt`.
//! `make interop` installs it and runs these tests.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::child::Kind;
use crate::expiries;
use crate::installed::{installed, until_listening};
use crate::process::signal;
use crate::provider::free_port;
use crate::scenario::{Counts, Host, LostAnswer, RealServer};

const SERVER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/real/django/server.py"
);

/// How long access tokens last, in seconds. Their expiry has no fractions, so that one may last up to a second less.
const ACCESS_SECONDS: u64 = 3;

/// The person whom the server makes.
const NAME: &str = "ada";
const PASSWORD: &str = "a-password-of-a-test";

struct Django {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Django {
    async fn start(port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let child = run(folder.path(), port);
        until_listening(port).await;
        Self {
            child,
            port,
            folder,
        }
    }
}

impl RealServer for Django {
    const RENEWAL: &'static str = "refreshToken(refreshToken";

    fn kind(&self) -> Kind {
        Kind::Preset {
            name: "django-graphql-jwt".into(),
            login: NAME.into(),
            password: PASSWORD.into(),
        }
    }

    fn query(&self) -> &'static str {
        r#"{"query":"{ me { username } }"}"#
    }

    fn access_lifetime(&self) -> Duration {
        Duration::from_secs(ACCESS_SECONDS - 1)
    }

    fn lost_answer(&self) -> LostAnswer {
        LostAnswer::EndsRejected
    }

    fn stop(&mut self) {
        signal(self.child.id(), "-TERM");
        self.child.wait().expect("it ends");
    }

    async fn start_again(&mut self) {
        self.child = run(self.folder.path(), self.port);
        until_listening(self.port).await;
    }

    async fn counts(&self) -> Counts {
        // There is no file before the first renewal.
        let lines = fs::read_to_string(self.folder.path().join("counts")).unwrap_or_default();
        let count = |what| lines.lines().filter(|line| *line == what).count() as u64;
        let renewed = count("rotated");
        Counts {
            renewed,
            refused: count("asked") - renewed,
        }
    }

    /// A person who is only disabled gets new tokens all the same, so the account is deleted.
    async fn suspend(&mut self) {
        let deleted = python(self.folder.path(), self.port)
            .args(["delete", NAME])
            .status();
        assert!(deleted.expect("python runs").success());
    }
}

impl Drop for Django {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python(folder: &Path, port: u16) -> Command {
    let mut command = Command::new(installed("django").join("venv/bin/python"));
    command
        .arg(SERVER)
        .env("DATA", folder)
        .env("PORT", port.to_string())
        .env("PASSWORD", PASSWORD)
        .env("ACCESS_SECONDS", ACCESS_SECONDS.to_string())
        // Nothing is written beside the sources.
        .env("PYTHONDONTWRITEBYTECODE", "yes")
        .stdin(Stdio::null());
    command
}

fn run(folder: &Path, port: u16) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"));
    let log = log.expect("a log");
    let errors = log.try_clone().expect("a log");
    let mut command = python(folder, port);
    let started = command.arg("serve").stdout(log).stderr(errors).spawn();
    started.expect("python runs")
}

async fn signed_in() -> Host<Django> {
    let port = free_port();
    Host::signed_in(port, async |_| Django::start(port).await).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make interop installs the server and runs it"]
async fn two_processes_stay_signed_in_and_a_lost_answer_ends_the_session_once() {
    let mut host = signed_in().await;
    host.stays_signed_in(expiries()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make interop installs the server and runs it"]
async fn a_deleted_person_is_signed_out_once_and_told_why() {
    let mut host = signed_in().await;

    let reports = host.ends_once_for_a_suspended_person().await;

    let causes = reports.iter().filter_map(|report| report.cause.as_deref());
    let causes: BTreeSet<_> = causes.collect();
    // The preset's first rule: "Invalid refresh token" or "Refresh token is expired".
    assert_eq!(causes, BTreeSet::from(["other_process", "rule_1"]));
}
