//! The keyring service on a private bus, and that bus. Shared with `tests/soak`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The keyring's own password.
pub(crate) const KEYRING_PASSWORD: &str = "keyring password";

/// A bus that starts nothing on demand: only a test starts a keyring service on it.
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

/// This program, to be started on a private bus with this home. The bus starts services on demand, or none.
pub(crate) fn this_program_on_a_private_bus(home: &Path, services_on_demand: bool) -> Command {
    let runtime = home.join("run");
    fs::create_dir(&runtime).expect("own folder");
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).expect("own folder");
    let mut command = Command::new("dbus-run-session");
    if !services_on_demand {
        let file = home.join("bus.conf");
        fs::write(&file, BUS_WITHOUT_SERVICES).expect("own folder");
        command.arg("--config-file").arg(file);
    }
    command
        .arg("--")
        .arg(std::env::current_exe().expect("this program has a file"))
        .env("HOME", home)
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_RUNTIME_DIR", &runtime)
        // Without a display a locked keyring fails at once instead of asking a person who is not there.
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("DBUS_SESSION_BUS_ADDRESS");
    command
}

/// The keyring service; ended when dropped.
pub(crate) struct KeyringDaemon(pub(crate) Child);

impl KeyringDaemon {
    /// Starts it unlocked, as a log-in to the desktop does.
    pub(crate) fn start() -> Self {
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
        let daemon = Self(child);
        ask("wait --session --timeout 30 org.freedesktop.secrets");
        daemon
    }

    /// Locks the login keyring.
    pub(crate) fn lock(&self) {
        ask(
            "call --session --timeout 30 --dest org.freedesktop.secrets --object-path /org/freedesktop/secrets \
             --method org.freedesktop.Secret.Service.Lock ['/org/freedesktop/secrets/collection/login']",
        );
    }
}

impl Drop for KeyringDaemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `gdbus`, which calls the service over the bus or waits for it: for 30 s, because a busy machine may take longer
/// than the usual 0.1 s.
fn ask(arguments: &str) {
    let asked = Command::new("gdbus")
        .args(arguments.split(' '))
        .stdout(Stdio::null())
        .status();
    let asked = asked.expect("gdbus is installed");
    assert!(
        asked.success(),
        "the keyring service did not answer: {arguments}"
    );
}
