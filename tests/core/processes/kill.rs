//! `kill -9` at every moment of a renewal (scenarios 40, 41, 51).

use crate::host::Host;
use crate::moments::MOMENTS;
use crate::survival::{Survivor, die, ends_once, recovers};

#[tokio::test]
async fn killed_at_any_moment_of_a_renewal_the_next_start_recovers_within_the_grace_time() {
    for moment in MOMENTS {
        let host = Host::start().await;
        let mut survivor = die(&host, moment, Survivor::Restarted).await;
        recovers(&host, moment, &mut survivor).await;
    }
}

#[tokio::test]
async fn killed_at_any_moment_without_grace_the_next_start_recovers_or_ends_once() {
    for moment in MOMENTS {
        let host = Host::start().await;
        host.server.grace(None);
        let mut survivor = die(&host, moment, Survivor::Restarted).await;
        if moment.is_at_stake() {
            ends_once(&host, moment, &mut survivor).await;
        } else {
            recovers(&host, moment, &mut survivor).await;
        }
    }
}

#[tokio::test]
async fn when_the_renewing_process_is_killed_at_any_moment_the_waiting_one_proceeds() {
    for moment in MOMENTS {
        let host = Host::start().await;
        let mut survivor = die(&host, moment, Survivor::Waiting).await;
        recovers(&host, moment, &mut survivor).await;
    }
}

#[tokio::test]
async fn without_grace_a_process_that_waits_for_a_killed_one_recovers_or_ends_once() {
    for moment in MOMENTS {
        let host = Host::start().await;
        host.server.grace(None);
        let mut survivor = die(&host, moment, Survivor::Waiting).await;
        if moment.is_at_stake() {
            ends_once(&host, moment, &mut survivor).await;
        } else {
            recovers(&host, moment, &mut survivor).await;
        }
    }
}
