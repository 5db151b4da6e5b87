//! Sessions at servers that other people wrote, in real time, in real processes and over real sockets.
//!
//! `scripts/prepare.sh test` installs oidc-provider. The other servers take minutes to install and are ignored here; `make interop`
//! runs them. REAL_EXPIRIES says how many expiries each run sees; default 20. With fewer
//! than 12, the restart in the middle comes before a session knows how long access tokens live here.

#![cfg(unix)]

mod child;
mod cutting_proxy;
mod directus;
mod django;
#[path = "../core/processes/file_vault.rs"]
mod file_vault;
mod installed;
#[allow(dead_code)] // each test binary uses its part
#[path = "../core/processes/process.rs"]
mod process;
mod provider;
mod scenario;

use std::collections::BTreeSet;

use provider::{Provider, Rotation, free_port};
use scenario::Host;

fn expiries() -> u64 {
    let asked = std::env::var("REAL_EXPIRIES").ok();
    asked.and_then(|count| count.parse().ok()).unwrap_or(20)
}

async fn signed_in(rotation: Rotation) -> Host<Provider> {
    let port = free_port();
    Host::signed_in(port, async |issuer| Provider::start(port, issuer, rotation)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_stay_signed_in_where_refresh_tokens_rotate_with_a_grace_time() {
    let mut host = signed_in(Rotation::WithGrace).await;
    host.stays_signed_in(expiries()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_stay_signed_in_where_refresh_tokens_stay() {
    let mut host = signed_in(Rotation::Never).await;
    host.stays_signed_in(expiries()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_reused_token_ends_the_session_none_is_sent_twice() {
    let mut host = signed_in(Rotation::RevokesReused).await;
    host.stays_signed_in(expiries()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_person_is_signed_out_once_and_told_why() {
    let mut host = signed_in(Rotation::RevokesReused).await;
    let person = host.reports().await[0].person.clone();
    assert_eq!(person.as_deref(), Some("ada@example.com"));

    let reports = host.ends_once_for_a_suspended_person().await;

    // The process that heard it from the server knows its word.
    let causes = reports.iter().filter_map(|report| report.cause.as_deref());
    let causes: BTreeSet<_> = causes.collect();
    assert_eq!(causes, BTreeSet::from(["invalid_grant", "other_process"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_renewal_is_sent_again_after_the_pause_and_nobody_is_signed_out() {
    let mut host = signed_in(Rotation::RevokesReused).await;
    let before = host.server.requests_for_tokens().await;
    host.server.throttle(2).await;

    host.begin_calls().await;
    host.until_renewed(1).await;
    let tallies = host.stop_calls().await;

    for tally in &tallies {
        assert_eq!(tally.unsettled, 0, "{tally:?}");
        // Nobody waits longer than for the pause that the server asks for.
        assert!(
            tally.failed.keys().all(|code| code == "Unreachable"),
            "{tally:?}"
        );
    }
    let (counts, _) = host.at_rest().await;
    assert_eq!(counts.refused, 0, "{counts:?}");
    let asked = host.server.requests_for_tokens().await;
    assert_eq!(asked.requests - before.requests, 2 + asked.renewed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_revokes_the_refresh_token_at_the_server() {
    let mut host = signed_in(Rotation::RevokesReused).await;
    assert_eq!(host.processes[0].ask("sign_out").await, "SignedOut");
    assert_eq!(host.processes[0].ask("until_noted revoked").await, "done");
}
