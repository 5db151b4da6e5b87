//! `kill -9` at every moment of a renewal (scenarios 40, 41, 51).

use crate::host::Host;
use crate::moments::MOMENTS;
use crate::survival::{Survivor, die, ends_once, recovers};

#[tokio::test]
async fn killed_at_every_moment_of_a_renewal_the_next_start_recovers_within_the_grace_time() {
    for moment in MOMENTS {
        let host = Host::start().await;
        let mut survivor = die(&host, moment, Survivor::Restarted).await;
        recovers(&host, moment, &mut survivor).await;
    }
}

#[tokio::test]
async fn killed_at_every_moment_of_a_renewal_at_a_server_without_grace_it_recovers_or_ends_once() {
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
async fn when_the_process_that_renews_is_killed_at_any_moment_the_one_that_waits_proceeds_at_once()
{
    for moment in MOMENTS {
        let host = Host::start().await;
        let mut survivor = die(&host, moment, Survivor::Waiting).await;
        recovers(&host, moment, &mut survivor).await;
    }
}

#[tokio::test]
async fn at_a_server_without_grace_the_one_that_waits_proceeds_or_ends_the_session_once() {
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
