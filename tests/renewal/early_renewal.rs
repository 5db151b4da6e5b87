//! When clients that start together renew ahead of expiry.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use graphql_session_renewal::{CredentialsInfo, Event, FileView, VaultView, View};

use crate::process::{Process, RULES, info};

#[test]
fn ten_thousand_clients_started_together_renew_at_spread_times() {
    const CLIENTS: u64 = 10_000;
    // The same bits in every run, and others for each client.
    let random = BuildHasherDefault::<DefaultHasher>::default();
    let mut per_second = [0_u32; 1_800];
    for client in 0..CLIENTS {
        let due = first_early_renewal(random.hash_one(client));
        per_second[usize::try_from(due / 1_000).expect("within the token's life")] += 1;
    }

    let busy: Vec<_> = (0..)
        .zip(per_second)
        .filter(|(_, count)| *count > 0)
        .collect();
    let (first, last) = (busy[0].0, busy[busy.len() - 1].0);
    assert!(
        first >= 1_200 && last <= 1_350,
        "from {first} s to {last} s"
    );
    let mean = u32::try_from(CLIENTS).expect("few") / 150;
    let peak = busy.iter().map(|(_, count)| *count).max().expect("some");
    assert!(
        peak < 2 * mean,
        "{peak} in one second, of {mean} on average"
    );
}

/// When a client that signs in at 0 with a token of 30 min wakes to renew it, in ms.
fn first_early_renewal(random: u64) -> u64 {
    let mut client = Process::unopened();
    client.now.random = random;
    let server = client.now.server;
    let signed_in = CredentialsInfo {
        access_until: Some(server.plus(1_800_000)),
        issued_at: server,
        ..info(1)
    };
    let nothing = View {
        files: FileView::default(),
        vault: VaultView::Empty,
    };
    client.hears(Event::Opened(nothing));
    client.hears(Event::SignedIn(signed_in));
    client.hears(Event::LockTaken);
    client.hears(Event::Reread(nothing));
    client.hears(Event::Saved(Ok(())));
    let wake = client.state.next_wake(&RULES);
    wake.expect("renews ahead of expiry").ms()
}
