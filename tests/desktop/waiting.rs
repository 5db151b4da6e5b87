//! Polling until something holds. The window and the server are other processes, so a test can only ask them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long to look before a test fails: longer than the 25 s for which calls wait for a renewal.
const PATIENCE: Duration = Duration::from_secs(45);

/// Pause between two looks: a look costs the window a few milliseconds.
const PAUSE: Duration = Duration::from_millis(30);

/// The first thing that `look` finds. Panics with `what` when there is none within [`PATIENCE`].
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain for {what}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// Takes a picture of the whole display. Its own failure is ignored, because it runs after a test has failed.
pub(crate) fn picture_of_the_screen(file: &Path) {
    let _ = Command::new("import")
        .args(["-window", "root"])
        .arg(file)
        .stderr(Stdio::null())
        .status();
}
