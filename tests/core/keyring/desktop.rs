//! A desktop of its own: a private D-Bus session bus, a home, and a keyring service that can be locked, frozen, killed
//! and started again.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use zbus::{Message, MessageStream};

pub(crate) use crate::daemon::KeyringDaemon;
use crate::daemon::this_program_on_a_private_bus;
use crate::process;

/// Where a scenario finds its home; set by [`Bus::start`] alone.
const HOME: &str = "SESSION_TEST_HOME";

/// How long one scenario may take, in real time.
const SCENARIO: Duration = Duration::from_secs(240);

/// Plays a test's scenario on a private bus, with a home of its own. The bus starts no service on demand.
///
/// A scenario needs a process that knows only this bus, so the test starts this binary again, for itself alone. That
/// process finds the home in its environment, and plays the scenario.
pub(crate) fn on_a_bus<S: AsyncFnOnce(PathBuf)>(scenario: S) {
    play(scenario, false);
}

/// The same, and the bus starts services on demand.
pub(crate) fn on_a_bus_with_services<S: AsyncFnOnce(PathBuf)>(scenario: S) {
    play(scenario, true);
}

fn play<S: AsyncFnOnce(PathBuf)>(scenario: S, services_on_demand: bool) {
    let Some(home) = std::env::var_os(HOME) else {
        return Bus::start(test_of::<S>(), services_on_demand).succeeds();
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(scenario(home.into()));
}

/// The name of the test that has this scenario: "start::a_case" of "keyring::start::a_case::{{closure}}".
fn test_of<S>() -> &'static str {
    let name = std::any::type_name::<S>().trim_end_matches("::{{closure}}");
    name.split_once("::").expect("the path of a closure").1
}

/// A private home and bus. Dropping it ends all its processes.
struct Bus {
    child: Child,
    home: tempfile::TempDir,
}

impl Bus {
    /// Starts a test of this test binary on a private bus, which starts services on demand or not at all.
    fn start(test: &str, services_on_demand: bool) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let output = fs::File::create(home.path().join("output")).expect("own folder");
        let errors = output.try_clone().expect("an open file");
        let child = this_program_on_a_private_bus(home.path(), services_on_demand)
            .args(["--exact", test, "--nocapture"])
            .env(HOME, home.path())
            // A group of its own, to end all processes that the bus starts on demand.
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
        process::freeze(self.0.id());
    }

    pub(crate) fn thaw(&self) {
        process::signal(self.0.id(), "-CONT");
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
