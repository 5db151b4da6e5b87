//! How everything that waits learns that the server stops.

use tokio::sync::watch;

/// Waits until the flag is true, or nobody can turn it any more.
pub(crate) async fn true_in(flag: &mut watch::Receiver<bool>) {
    _ = flag.wait_for(|flag| *flag).await;
}
