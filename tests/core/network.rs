//! Changes of the system's network: the session notices them by itself.

use std::process::{Command, Output};
use std::sync::mpsc;
use std::time::Duration;

use graphql_session::{DEFAULT_ACCOUNT, Network as _, SystemNetwork};
use graphql_session_testing::TestHost;

use crate::fixture::{call_succeeds, signed_in_session};

/// Within this a change of the network has to be noticed.
const NOTICED_WITHIN: Duration = Duration::from_secs(1);

/// So long nothing may be noticed where nothing has changed that counts.
const NOTHING_FOR: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_change_of_the_network_is_noticed_and_the_next_call_opens_a_connection() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    let other = host.session(DEFAULT_ACCOUNT).await;
    call_succeeds(&other).await;
    call_succeeds(&session).await;
    let before = host.server.counts().connections;

    host.network.change();
    call_succeeds(&session).await;
    call_succeeds(&other).await;
    assert_eq!(host.server.counts().connections, before + 2);

    call_succeeds(&session).await;
    assert_eq!(host.server.counts().connections, before + 2);
}

#[tokio::test]
async fn a_session_watches_the_network_for_as_long_as_it_lives() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    let clone = session.clone();
    assert_eq!(host.network.watching(), 1);
    drop(session);
    assert_eq!(host.network.watching(), 1);
    drop(clone);
    assert_eq!(host.network.watching(), 0);
    host.network.change();
}

/// In a network namespace of its own, in which it may change addresses.
#[cfg(target_os = "linux")]
#[test]
fn an_address_that_comes_or_goes_is_noticed_within_a_second() {
    let own = std::env::current_exe().expect("our own path");
    let child = "network::in_a_namespace_of_its_own";
    let run = Command::new("unshare")
        .args(["--net", "--map-root-user"])
        .arg(own)
        .args(["--exact", "--ignored", "--nocapture", child])
        .output()
        .expect("unshare (util-linux) is installed");
    assert!(run.status.success(), "{}", said(&run));
    assert!(said(&run).contains("1 passed"), "{}", said(&run));
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "the test above starts it in a network namespace of its own"]
fn in_a_namespace_of_its_own() {
    let (tell, told) = mpsc::channel();
    let on_change = move || tell.send(()).expect("the test listens");
    let watch = SystemNetwork
        .watch(Box::new(on_change))
        .expect("Linux tells");
    let is_noticed = |within| told.recv_timeout(within).is_ok();
    for changes in [
        ["link", "set", "lo", "up"].as_slice(),
        &["address", "add", "127.0.0.9/8", "dev", "lo"],
        &["address", "add", "fe80::9/64", "dev", "lo"],
    ] {
        ip(changes);
        assert!(!is_noticed(NOTHING_FOR), "{changes:?} counts");
    }
    for changes in [
        ["address", "add", "192.0.2.7/24", "dev", "lo"],
        ["address", "add", "2001:db8::7/64", "dev", "lo"],
        ["address", "del", "192.0.2.7/24", "dev", "lo"],
    ] {
        ip(&changes);
        assert!(is_noticed(NOTICED_WITHIN), "{changes:?}");
    }
    drop(watch);
    ip(&["address", "del", "2001:db8::7/64", "dev", "lo"]);
    assert!(!is_noticed(NOTHING_FOR), "the watch has ended");
}

#[cfg(target_os = "linux")]
fn ip(arguments: &[&str]) {
    let run = Command::new("ip").args(arguments).output();
    let run = run.expect("ip (iproute2) is installed");
    assert!(run.status.success(), "{arguments:?}: {}", said(&run));
}

#[cfg(target_os = "linux")]
fn said(run: &Output) -> String {
    let both = [&run.stdout[..], &run.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}
