//! The real keyring service: gnome-keyring on a private D-Bus session bus with a home of its own. Each test starts this
//! binary again on that bus, for itself alone, and plays its scenario there. A scenario ends what it starts.
//!
//! Needs `dbus-run-session`, `gnome-keyring-daemon` and `gdbus` (packages dbus, gnome-keyring, libglib2.0-bin).

#![cfg(target_os = "linux")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use graphql_session::{Config, Session, SystemClock};
use graphql_session_testing::FaultServer;

#[path = "../processes/child.rs"]
mod child;
mod daemon;
mod desktop;
#[path = "../processes/file_vault.rs"]
mod file_vault;
#[allow(dead_code)]
#[path = "../fixture/mod.rs"]
mod fixture;
#[allow(dead_code)] // each test binary uses its part
#[path = "../processes/host.rs"]
mod host;
#[path = "../processes/moments.rs"]
mod moments;
#[allow(dead_code)]
#[path = "../processes/process.rs"]
mod process;
mod start;
#[allow(dead_code)]
#[path = "../processes/survival.rs"]
mod survival;
mod trouble;

/// The application with the real keyring, as it starts.
async fn open(home: &Path) -> Session {
    let mut config = Config::new("holdfast-test", home.join("state"));
    // On a busy machine, too, a working keyring answers in this time.
    config.limits.vault_read = Duration::from_secs(20);
    config.limits.vault_write = Duration::from_secs(20);
    config.limits.call_timeout = Duration::from_secs(100);
    config.limits.quit_timeout = Duration::from_secs(20);
    Session::open(config).await.expect("opens")
}

/// The application quits, and is started again.
async fn reopen(session: Session, home: &Path) -> Session {
    session.close().await;
    drop(session);
    open(home).await
}

async fn server() -> FaultServer {
    FaultServer::start(Arc::new(SystemClock::new())).await
}

async fn sign_in(session: &Session, server: &FaultServer) {
    let address = server.address();
    let signing_in = session.sign_in(&address, server.person());
    signing_in.await.expect("signed in");
}
