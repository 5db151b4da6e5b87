//! The real keyring service: gnome-keyring on a private D-Bus session bus with a home of its own. This test binary
//! starts itself again inside that bus, with a scenario as its role; what a scenario starts, it ends.
//!
//! Needs `dbus-run-session`, `gnome-keyring-daemon` and `gdbus` (packages dbus, gnome-keyring, libglib2.0-bin).

#![cfg(target_os = "linux")]

#[allow(dead_code)] // each test binary uses its part
mod fixture;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use graphql_session::testing::{FaultServer, query};
use graphql_session::{Code, Config, LockedReason, NotSaved, Phase, Session, Storage, SystemClock};

use crate::fixture::{code, serve};

/// Where a scenario finds its home; absent in an ordinary test run.
const HOME: &str = "SESSION_TEST_HOME";

/// How long one scenario may take, in real time.
const SCENARIO: Duration = Duration::from_secs(60);

/// The keyring's own password.
const KEYRING_PASSWORD: &str = "keyring password";

/// A private home and bus; everything in it is ended when dropped.
struct Bus {
    child: Child,
    home: tempfile::TempDir,
}

impl Bus {
    /// Starts `role` of this test binary on a private bus, on which services are started on demand or not at all.
    fn run(role: &str, services_on_demand: bool) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let runtime = home.path().join("run");
        fs::create_dir(&runtime).expect("a folder");
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).expect("own folder");
        let mut command = Command::new("dbus-run-session");
        if !services_on_demand {
            let file = home.path().join("bus.conf");
            fs::write(&file, BUS_WITHOUT_SERVICES).expect("own folder");
            command.arg("--config-file").arg(file);
        }
        let output = fs::File::create(home.path().join("output")).expect("own folder");
        let errors = output.try_clone().expect("an open file");
        let child = command
            .arg("--")
            .arg(std::env::current_exe().expect("this test has a file"))
            .args(["--exact", role, "--nocapture"])
            .env(HOME, home.path())
            .env("HOME", home.path())
            .env("XDG_DATA_HOME", home.path().join("data"))
            .env("XDG_RUNTIME_DIR", &runtime)
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            // A group of its own, to end whatever the bus has started on demand.
            .process_group(0)
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("dbus-run-session is installed");
        Self { child, home }
    }

    fn succeeds(mut self) {
        let until = Instant::now() + SCENARIO;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("own child") {
                break Some(status);
            }
            if Instant::now() > until {
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let output = fs::read(self.home.path().join("output")).unwrap_or_default();
        let output = String::from_utf8_lossy(&output);
        assert!(
            status.is_some_and(|status| status.success()),
            "the scenario failed ({status:?}):\n{output}"
        );
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill")
            .args(["-KILL", "--", &group])
            .stderr(Stdio::null())
            .status();
        let _ = self.child.wait();
    }
}

/// A bus that starts nothing on demand: a desktop without a keyring service.
const BUS_WITHOUT_SERVICES: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// The keyring service, unlocked; ended when dropped.
struct KeyringDaemon(Child);

impl KeyringDaemon {
    fn start() -> Self {
        let mut child = Command::new("gnome-keyring-daemon")
            .args(["--foreground", "--unlock", "--components=secrets"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("gnome-keyring-daemon is installed");
        let mut input = child.stdin.take().expect("piped");
        input
            .write_all(KEYRING_PASSWORD.as_bytes())
            .expect("it reads its password");
        drop(input);
        let waiting = [
            "wait",
            "--session",
            "--timeout",
            "10",
            "org.freedesktop.secrets",
        ];
        assert!(
            run("gdbus", &waiting).success(),
            "the keyring service did not start"
        );
        Self(child)
    }

    fn lock(&self) {
        let call = [
            "call",
            "--session",
            "--dest",
            "org.freedesktop.secrets",
            "--object-path",
            "/org/freedesktop/secrets",
            "--method",
            "org.freedesktop.Secret.Service.Lock",
            "['/org/freedesktop/secrets/collection/login']",
        ];
        assert!(
            run("gdbus", &call).success(),
            "the keyring could not be locked"
        );
    }
}

impl Drop for KeyringDaemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(program: &str, arguments: &[&str]) -> ExitStatus {
    Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .status()
        .expect("the program is installed")
}

/// The scenario's folder, if this process was started for one.
fn home() -> Option<PathBuf> {
    std::env::var_os(HOME).map(PathBuf::from)
}

/// The application with the real keyring, as it starts.
async fn open(home: &Path) -> Session {
    let config = Config::new("holdfast-test", home.join("state"));
    Session::open(config).await.expect("opens")
}

async fn server() -> FaultServer {
    FaultServer::start(Arc::new(SystemClock::new())).await
}

async fn sign_in(session: &Session, server: &FaultServer) {
    let address = server.address();
    let signing_in = session.sign_in(&address, server.person());
    signing_in.await.expect("signed in");
}

#[test]
fn after_a_restart_the_session_is_still_signed_in_from_the_real_keyring() {
    Bus::run("role_restart", true).succeeds();
}

#[tokio::test]
async fn role_restart() {
    let Some(home) = home() else { return };
    let _service = KeyringDaemon::start();
    let server = server().await;
    let session = open(&home).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
    sign_in(&session, &server).await;
    assert_eq!(session.status().storage, Storage::Saved);
    serve(&session).await;
    session.close().await;
    drop(session);

    let session = open(&home).await;
    assert_eq!(session.status().phase, Phase::SignedIn);
    serve(&session).await;
    server.expire_access_tokens();
    serve(&session).await;
    assert_eq!(session.status().storage, Storage::Saved);
    session.close().await;
    drop(session);

    let session = open(&home).await;
    serve(&session).await;
    let counts = server.counts();
    assert_eq!(
        (counts.sign_ins, counts.renewals),
        (1, 1),
        "the renewed tokens were not stored"
    );

    session.sign_out().await;
    // Removed under the lock, by the vault's thread: another start finds nothing.
    let session = open(&home).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
    assert_eq!(
        code(session.execute(query("people")).await),
        Code::SignedOut
    );
}

#[test]
fn a_locked_keyring_at_the_start_is_locked_and_not_signed_out_and_unlocking_brings_the_session_back()
 {
    Bus::run("role_locked", false).succeeds();
}

#[tokio::test]
async fn role_locked() {
    let Some(home) = home() else { return };
    let service = KeyringDaemon::start();
    let server = server().await;
    let session = open(&home).await;
    sign_in(&session, &server).await;
    session.close().await;
    drop(session);
    service.lock();

    let session = open(&home).await;
    let status = session.status();
    assert_eq!(status.phase, Phase::Locked);
    assert_eq!(status.locked, Some(LockedReason::KeyringLocked));
    assert_eq!(status.server, Some(server.address()), "whose session waits");
    assert_eq!(code(session.execute(query("people")).await), Code::Locked);
    assert_eq!(
        session.retry_now().await.phase,
        Phase::Locked,
        "still locked"
    );

    // Unlocked by the next log-in to the desktop, while the application runs. This bus starts no service on demand:
    // the application's own attempt would bring up a locked one in between.
    drop(service);
    let _service = KeyringDaemon::start();
    // Pressed once, while the earlier look may still be under way.
    let mut changes = session.changes();
    session.retry_now().await;
    let unlocked = changes.wait_for(|status| status.phase == Phase::SignedIn);
    let unlocked = tokio::time::timeout(Duration::from_secs(20), unlocked).await;
    unlocked.expect("in time").expect("signed in again");
    serve(&session).await;
    assert_eq!(server.counts().sign_ins, 1);
}

#[test]
fn a_keyring_service_that_was_never_unlocked_is_not_taken_for_signed_out() {
    Bus::run("role_never_unlocked", true).succeeds();
}

#[tokio::test]
async fn role_never_unlocked() {
    let Some(home) = home() else { return };
    let service = KeyringDaemon::start();
    let server = server().await;
    let session = open(&home).await;
    sign_in(&session, &server).await;
    session.close().await;
    drop(session);
    drop(service);

    // The bus starts the service by itself now, and it answers "no entry".
    let session = open(&home).await;
    assert_eq!(session.status().phase, Phase::Locked);
    assert!(session.status().locked.is_some());
    assert_eq!(code(session.execute(query("people")).await), Code::Locked);
}

#[test]
fn a_service_that_is_restarted_between_two_calls_is_reconnected_and_nothing_is_lost() {
    Bus::run("role_restarted_service", false).succeeds();
}

#[tokio::test]
async fn role_restarted_service() {
    let Some(home) = home() else { return };
    let service = KeyringDaemon::start();
    let server = server().await;
    let session = open(&home).await;
    sign_in(&session, &server).await;
    serve(&session).await;
    drop(service);
    let _service = KeyringDaemon::start();

    server.expire_access_tokens();
    serve(&session).await;

    assert_eq!(session.status().storage, Storage::Saved);
    session.close().await;
    drop(session);
    let session = open(&home).await;
    serve(&session).await;
    assert_eq!(server.counts().renewals, 1);
}

#[test]
fn a_desktop_without_a_keyring_service_keeps_the_session_in_memory_and_says_so() {
    Bus::run("role_without_service", false).succeeds();
}

#[test]
fn a_machine_without_a_session_bus_keeps_the_session_in_memory_and_says_so() {
    Bus::run("role_without_bus", false).succeeds();
}

#[tokio::test]
async fn role_without_service() {
    let Some(home) = home() else { return };
    assert_works_in_memory(&home).await;
}

/// Started on a bus, and looked for on another one, which is not there.
#[test]
fn role_without_bus() {
    let Some(home) = home() else { return };
    let again = Command::new(std::env::current_exe().expect("this test has a file"))
        .args(["--exact", "role_without_service", "--nocapture"])
        .env(HOME, &home)
        .env(
            "DBUS_SESSION_BUS_ADDRESS",
            format!("unix:path={}/nothing", home.display()),
        )
        .status();
    assert!(again.expect("started").success());
}

async fn assert_works_in_memory(home: &Path) {
    let missing = Storage::NotSaved(NotSaved::KeyringMissing);
    let server = server().await;
    let session = open(home).await;
    let status = session.status();
    assert_eq!((status.phase, status.storage), (Phase::SignedOut, missing));

    sign_in(&session, &server).await;
    let status = session.status();
    assert_eq!((status.phase, status.storage), (Phase::SignedIn, missing));
    serve(&session).await;
    server.expire_access_tokens();
    serve(&session).await;
    assert_eq!(server.counts().renewals, 1);
    assert_eq!(session.status().storage, missing);
    session.close().await;
}
