//! One renewal, whatever the windows do.

use demo_server::Counter;
use graphql_session_testing::{Fault, Gate};
use serde_json::json;

use crate::test_app::{PEOPLE, TestApp, assert_fails, eventually, joined, scriptable_server, wait};

const OBJECTS: &str = "query Objects { objects(paging: { first: 1 }) { edges { node { id } } } }";

#[test]
fn calls_of_8_windows_on_2_endpoints_with_expired_credentials_share_one_renewal() {
    let app = TestApp::open();
    let pages = app.signed_in_windows::<8>();
    app.switches.hold_renewals(true);
    app.expire_access_tokens();

    let calls: Vec<_> = pages
        .iter()
        .enumerate()
        .map(|(index, page)| match index % 2 {
            0 => page.execute_in_background("graphql", PEOPLE),
            _ => page.execute_in_background("metadata", OBJECTS),
        })
        .collect();
    app.wait_for(Counter::CallsRefused, 8);
    app.wait_for(Counter::RenewalsHeld, 1);
    app.switches.hold_renewals(false);

    for call in calls {
        let body = joined(call).expect("every call settles well");
        assert!(body["data"].is_object(), "{body}");
    }
    let counts = app.switches.counts();
    assert_eq!(counts.renewals_sent, 1);
    assert_eq!(counts.calls_refused, 8);
    assert_eq!(counts.operation("People"), 8, "4 refused, 4 replayed");
    assert_eq!(counts.operation("Objects"), 8, "4 refused, 4 replayed");
    assert!(pages.iter().all(|page| page.logouts() == 0));
}

#[test]
fn windows_that_were_idle_during_a_renewal_go_on_with_its_credentials() {
    let app = TestApp::open();
    let [active, idle @ ..] = app.signed_in_windows::<3>();
    app.expire_access_tokens();
    active.execute("graphql", PEOPLE).expect("renews silently");
    for page in &idle {
        page.execute("graphql", PEOPLE).expect("needs no renewal");
        assert_eq!(page.status()["phase"], "signed_in");
    }
    let counts = app.switches.counts();
    assert_eq!(counts.renewals_sent, 1);
    assert_eq!(counts.calls_refused, 1);
}

// 1. The call of `main` is refused and starts the renewal, which waits at the server's gate.
// 2. The calls of two other windows are refused and wait for it.
// 3. `main` closes.
// 4. The gate opens.
#[test]
fn the_first_waiters_window_closes_during_the_renewal_and_the_others_succeed() {
    let app = TestApp::open();
    let [first, others @ ..] = app.signed_in_windows::<3>();
    app.switches.hold_renewals(true);
    app.expire_access_tokens();
    let firsts_call = first.execute_in_background("graphql", PEOPLE);
    app.wait_for(Counter::RenewalsHeld, 1);
    let calls: Vec<_> = others
        .iter()
        .map(|page| page.execute_in_background("graphql", PEOPLE))
        .collect();
    app.wait_for(Counter::CallsRefused, 3);
    let before = app.stored();

    app.close(first);
    assert_fails(joined(firsts_call), "cancelled");
    app.switches.hold_renewals(false);

    for call in calls {
        joined(call).expect("the renewal served it");
    }
    let counts = app.switches.counts();
    assert_eq!(counts.renewals_sent, 1);
    // The closed window's call is not replayed.
    assert_eq!(counts.operation("People"), 5);
    assert_ne!(app.stored(), before, "the new credentials are stored");
    assert_eq!(others[0].status()["storage"]["state"], "saved");
}

// 1. The renewal reaches the server, which rotates the token at once and answers late.
// 2. The person signs out in another window.
// 3. The answer arrives with good credentials, which nobody may use any more.
#[test]
fn signing_out_during_a_renewal_wins_and_the_late_credentials_are_dropped() {
    let app = TestApp::open();
    let server = scriptable_server();
    let page = app.window("main");
    let other = app.window("main-2");
    page.sign_in_at(&server);
    let gate = Gate::new();
    server.on_renewal(Fault::hold_answer(&gate));
    server.expire_access_tokens();
    let call = page.execute_in_background("graphql", PEOPLE);
    wait(server.wait_for(|counts| counts.exchanged == 1));

    let status = other.invoke("sign_out", json!({}));
    assert_eq!(status.expect("at once")["phase"], "signed_out");
    assert_fails(joined(call), "signed_out");

    gate.open();
    // The session's own credentials are revoked at the server, and then those that came late.
    wait(server.wait_for(|counts| counts.sign_outs == 2));
    eventually("nothing is stored", || app.stored().is_none());
    assert_eq!(page.status()["phase"], "signed_out");
    assert_fails(page.execute("graphql", PEOPLE), "signed_out");
    // The person's own sign-out is no logout.
    assert_eq!((page.logouts(), other.logouts()), (0, 0));
    assert_eq!(server.counts().calls, 1, "nothing is replayed");
}

#[test]
fn a_cancelled_call_ends_at_once_and_the_renewal_it_started_goes_on() {
    let (app, page) = TestApp::signed_in();
    app.switches.hold_renewals(true);
    app.expire_access_tokens();
    let caller = page.clone();
    let metadata = json!({ "requestId": "one", "endpoint": "graphql" });
    let call = std::thread::spawn(move || caller.execute_as(metadata, PEOPLE));
    app.wait_for(Counter::RenewalsHeld, 1);
    let cancel = page.invoke("cancel", json!({ "requestId": "one" }));
    cancel.expect("cancelled");
    assert_fails(joined(call), "cancelled");

    let before = app.stored();
    app.switches.hold_renewals(false);
    eventually("the new credentials are stored", || app.stored() != before);
    let reply = page.execute("graphql", PEOPLE);
    reply.expect("the renewal was kept");
    let counts = app.switches.counts();
    assert_eq!(counts.renewals_sent, 1);
    let served = counts.operation("People") - counts.calls_refused;
    assert_eq!(served, 1, "the cancelled call is not replayed");
}
