//! A desktop of its own: a private D-Bus session bus, a home, and a keyring service that can be locked, frozen, killed
//! and started again.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use zbus::{Message, MessageStream};

use crate::daemon::BUS_WITHOUT_SERVICES;
pub(crate) use crate::daemon::KeyringDaemon;
use crate::host;

/// Where a role finds its home; set by [`Bus::run`] alone.
pub(crate) const HOME: &str = "SESSION_TEST_HOME";

/// How long one scenario may take, in real time.
const SCENARIO: Duration = Duration::from_secs(240);

/// A private home and bus. Dropping it ends all its processes.
pub(crate) struct Bus {
    child: Child,
    home: tempfile::TempDir,
}

impl Bus {
    /// Starts the test `role` of this test binary on a private bus, which starts services on demand or not at all.
    pub(crate) fn run(role: &str, services_on_demand: bool) -> Self {
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
            .args(["--ignored", "--exact", role, "--nocapture"])
            .env(HOME, home.path())
            .env("HOME", home.path())
            .env("XDG_DATA_HOME", home.path().join("data"))
            .env("XDG_RUNTIME_DIR", &runtime)
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            // A group of its own, to end all processes that the bus starts on demand.
            .process_group(0)
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("dbus-run-session is installed");
        Self { child, home }
    }

    pub(crate) fn succeeds(mut self) {
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
        assert!(
            output.contains("test result: ok. 1 passed"),
            "there is no scenario of this name:\n{output}"
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

impl KeyringDaemon {
    /// Every call to it blocks from now on, until it is [thawed](Self::thaw).
    pub(crate) fn freeze(&self) {
        host::freeze(self.0.id());
    }

    pub(crate) fn thaw(&self) {
        host::signal(self.0.id(), "-CONT");
    }
}

/// The dialog that asks for the keyring's password. Nobody answers it.
pub(crate) struct UnansweredPrompt(MessageStream);

impl UnansweredPrompt {
    /// Stands in for the desktop's own dialog from now on.
    pub(crate) async fn expected() -> Self {
        let bus = zbus::Connection::session().await.expect("a bus");
        let calls = MessageStream::from(&bus);
        let named = bus.request_name("org.gnome.keyring.SystemPrompter").await;
        named.expect("no other program shows the dialog");
        Self(calls)
    }

    /// Waits until the service has opened it.
    pub(crate) async fn opened(&mut self) {
        let is_opening = |message: &Message| {
            let member = message.header().member().map(ToString::to_string);
            member.as_deref() == Some("BeginPrompting")
        };
        while let Some(message) = self.0.next().await {
            if message.is_ok_and(|message| is_opening(&message)) {
                return;
            }
        }
        panic!("the bus is gone");
    }
}

/// The role's folder.
///
/// # Panics
/// Outside of a private bus, where a role would use the person's own keyring.
pub(crate) fn home() -> PathBuf {
    let home = std::env::var_os(HOME).expect("a role is played by the test beside it, not by hand");
    home.into()
}

/// Checks that this process is on a private bus, for a role that needs no folder.
///
/// # Panics
/// As [`home`] does.
pub(crate) fn assert_is_private() {
    home();
}
