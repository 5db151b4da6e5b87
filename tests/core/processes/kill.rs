//! `kill -9` at every moment of a renewal (scenarios 40, 41, 51).

use crate::host::Host;
use crate::survival::{Survivor, kill_at_every_moment};

#[tokio::test]
async fn killed_at_any_moment_of_a_renewal_the_next_start_recovers_within_the_grace_time() {
    kill_at_every_moment(Host::start, Survivor::Restarted).await;
}

#[tokio::test]
async fn killed_at_any_moment_without_grace_the_next_start_recovers_or_ends_once() {
    kill_at_every_moment(without_grace, Survivor::Restarted).await;
}

#[tokio::test]
async fn when_the_renewing_process_is_killed_at_any_moment_the_waiting_one_proceeds() {
    kill_at_every_moment(Host::start, Survivor::Waiting).await;
}

#[tokio::test]
async fn without_grace_a_process_that_waits_for_a_killed_one_recovers_or_ends_once() {
    kill_at_every_moment(without_grace, Survivor::Waiting).await;
}

async fn without_grace() -> Host {
    Host::start().await.without_grace()
}
