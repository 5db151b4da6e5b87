//! When clients that start together renew ahead of expiry.

use graphql_session_renewal::sim::RULES;
use graphql_session_renewal::{
    Awake, CredentialsId, CredentialsInfo, Event, FileView, Now, ServerTime, SessionId, State,
    VaultView, View, Wall, step,
};

#[test]
fn ten_thousand_clients_started_together_renew_at_spread_times() {
    const CLIENTS: u64 = 10_000;
    let mut per_second = [0_u32; 1_800];
    for client in 0..CLIENTS {
        let due = first_early_renewal(mixed(client));
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

/// When a client that signs in at 0 with a token of 30 min wakes to renew it.
fn first_early_renewal(random: u64) -> u64 {
    let now = Now {
        awake: Awake::default(),
        wall: Wall::default(),
        server: ServerTime::default(),
        random,
        in_use: true,
    };
    let info = CredentialsInfo {
        session: SessionId::of(1),
        begun_at: Wall::default(),
        generation: 1,
        credentials: CredentialsId::of(2),
        access_until: Some(ServerTime::from_ms(1_800_000)),
        issued_at: ServerTime::default(),
    };
    let nothing = View {
        files: FileView::default(),
        vault: VaultView::Empty,
    };
    let signing_in = [
        Event::Opened(nothing),
        Event::SignedIn(info),
        Event::LockTaken,
        Event::Reread(nothing),
        Event::Saved(Ok(())),
    ];
    let signed_in = signing_in
        .into_iter()
        .fold(State::default(), |state, event| {
            step(state, event, now, &RULES).0
        });
    let wake = signed_in.next_wake(&RULES);
    wake.expect("renews ahead of expiry").ms()
}

/// Random bits that differ for each number: the finaliser of splitmix64.
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
