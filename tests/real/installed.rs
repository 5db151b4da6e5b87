//! What scripts/interop.sh has installed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

/// How long a server may take to start. Directus took 20 s on a busy machine.
const STARTS: Duration = Duration::from_secs(120);

/// A folder that scripts/interop.sh has filled.
pub(crate) fn installed(name: &str) -> PathBuf {
    let top = std::env::var_os("INTEROP_FOLDER").map(PathBuf::from);
    let top = top.expect("INTEROP_FOLDER is set by scripts/interop.sh; run `make interop`");
    let folder = top.join(name);
    assert!(
        folder.is_dir(),
        "{name} is not installed: run `make interop`"
    );
    folder
}

/// Waits until somebody listens on this port of 127.0.0.1.
pub(crate) async fn until_listening(port: u16) {
    let until = Instant::now() + STARTS;
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(Instant::now() < until, "the server does not start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
