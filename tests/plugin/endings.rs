//! A session that ends: every window receives that once, and a window that opens later learns it by asking.

use demo_server::Counter;
use serde_json::json;

use crate::test_app::{PEOPLE, Page, TestApp, assert_fails, eventually, joined};

/// Lets the server end the session while all pages call. Waits until each page has the event, because a call may fail
/// before the event arrives.
fn end_session(app: &TestApp, pages: &[Page]) {
    app.switches.hold_renewals(true);
    app.revoke_refresh_tokens();
    app.expire_access_tokens();
    let calls: Vec<_> = pages
        .iter()
        .map(|page| page.execute_in_background("graphql", PEOPLE))
        .collect();
    app.wait_for(Counter::CallsRefused, pages.len() as u64);
    app.switches.hold_renewals(false);
    for call in calls {
        assert_fails(joined(call), "signed_out");
    }
    let ended = app.session().status();
    for page in pages {
        page.wait_for_event("logout", "ended", ended.revision);
    }
}

#[test]
fn a_confirmed_ending_tells_each_of_3_windows_once_and_replays_nothing() {
    let app = TestApp::open();
    let pages = app.signed_in_windows::<3>();
    end_session(&app, &pages);

    let ended = pages[0].status();
    assert_eq!(ended["phase"], "ended");
    assert_eq!(ended["ending"]["reason"], "rejected");
    let counts = app.switches.counts();
    assert_eq!(counts.renewals_sent, 1);
    assert_eq!(counts.operation("People"), 3, "no call is replayed");

    // The events of a new sign-in come after all events of the ending, so nothing more can follow.
    let status = pages[0].sign_in().expect("signs in in place");
    let logout = json!({ "account": "default", "revision": ended["revision"], "phase": "ended" });
    for page in &pages {
        page.wait_for_change(&status);
        let (logouts, changes): (Vec<_>, Vec<_>) = page
            .events()
            .into_iter()
            .partition(|(event, _)| *event == "logout");
        assert_eq!(logouts, [("logout", logout.clone())]);
        let revisions: Vec<_> = changes
            .iter()
            .map(|(_, hint)| hint["revision"].as_u64().expect("a number"))
            .collect();
        assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");
    }
}

#[test]
fn a_second_session_that_ends_tells_each_window_a_second_time() {
    let app = TestApp::open();
    let pages = app.signed_in_windows::<2>();
    end_session(&app, &pages);
    pages[1].sign_in().expect("signs in in place");
    app.switches.reset_counts();
    end_session(&app, &pages);
    let status = pages[0].sign_in().expect("signs in again");
    for page in &pages {
        page.wait_for_change(&status);
        assert_eq!(page.logouts(), 2);
    }
}

#[test]
fn a_window_that_opens_after_the_ending_learns_it_by_asking() {
    let (app, first) = TestApp::signed_in();
    end_session(&app, std::slice::from_ref(&first));
    let late = app.window("main-2");
    let status = late.status();
    assert_eq!(status["phase"], "ended");
    assert_eq!(status["ending"]["reason"], "rejected");
    assert_eq!(status, first.status(), "all windows have the same status");
    assert!(late.events().is_empty(), "events are not repeated");
    let before = app.switches.counts();
    assert_fails(late.execute("graphql", PEOPLE), "signed_out");
    assert_eq!(app.switches.counts(), before, "nothing is sent");
}

#[test]
fn signing_out_in_one_window_is_a_change_in_all_windows_and_no_logout() {
    let app = TestApp::open();
    let pages = app.signed_in_windows::<2>();
    let status = pages[1].invoke("sign_out", json!({})).expect("signs out");
    assert_eq!(status["phase"], "signed_out");
    for page in &pages {
        page.wait_for_change(&status);
        assert_eq!(page.logouts(), 0);
    }
    eventually("nothing is stored", || app.stored().is_none());
}

#[test]
fn a_server_that_stops_ends_no_session() {
    let (mut app, page) = TestApp::signed_in();
    app.stop_server();
    assert_fails(page.execute("graphql", PEOPLE), "unreachable");
    assert_ne!(page.status()["phase"], "ended");
    assert_eq!(page.logouts(), 0);
    assert!(app.stored().is_some());
}
