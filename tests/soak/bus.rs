//! A private session bus, and on it a keyring service that can be killed, frozen and locked.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode};

#[path = "../core/keyring/daemon.rs"]
mod daemon;

use crate::plan::KeyringTrouble;
use crate::{FOLDER, ROLE};
pub(crate) use daemon::KeyringDaemon;
use daemon::{KEYRING_PASSWORD, this_program_on_a_private_bus};

/// Starts this program again as the runner, with a bus and a home of its own.
pub(crate) fn conduct() -> ExitCode {
    let home = tempfile::tempdir().expect("a temporary folder");
    let status = this_program_on_a_private_bus(home.path(), false)
        .env(ROLE, "conductor")
        .env(FOLDER, home.path())
        .status();
    match status.expect("dbus-run-session is installed").code() {
        Some(0) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

impl KeyringDaemon {
    pub(crate) fn suffer(&mut self, trouble: KeyringTrouble) {
        match trouble {
            KeyringTrouble::Killed => {
                let _ = self.0.kill();
                let _ = self.0.wait();
            }
            KeyringTrouble::Frozen => signal(&self.0, "-STOP"),
            KeyringTrouble::Locked => self.lock(),
        }
    }

    /// A frozen service goes on, a locked one is unlocked, and a killed one is started again.
    pub(crate) fn recover(&mut self, trouble: KeyringTrouble) {
        match trouble {
            KeyringTrouble::Frozen => signal(&self.0, "-CONT"),
            KeyringTrouble::Locked => unlock().expect("the service takes its password"),
            KeyringTrouble::Killed => *self = Self::start(),
        }
    }
}

/// Unlocks the running service as a log-in does, over its control socket: a byte for the credentials, then the length of
/// the packet, the operation, and the password with its length. No program does this.
fn unlock() -> std::io::Result<()> {
    const UNLOCK: u32 = 1;
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").unwrap_or_default();
    let mut socket = UnixStream::connect(PathBuf::from(runtime).join("keyring/control"))?;
    let password = KEYRING_PASSWORD.as_bytes();
    let length = |bytes: usize| u32::try_from(bytes).expect("short").to_be_bytes();
    socket.write_all(&[0])?;
    socket.write_all(&length(12 + password.len()))?;
    socket.write_all(&UNLOCK.to_be_bytes())?;
    socket.write_all(&length(password.len()))?;
    socket.write_all(password)?;
    let mut answer = [0; 8];
    socket.read_exact(&mut answer)?;
    match answer[4..] {
        [0, 0, 0, 0] => Ok(()),
        _ => Err(std::io::Error::other("not unlocked")),
    }
}

/// Sends a signal, by name, to a process of our own.
pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([name, &pid]).status();
    assert!(sent.expect("kill is there").success(), "{name} to {pid}");
}
