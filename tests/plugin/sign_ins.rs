//! Sign-ins as a page goes through them: steps, answers, the browser, and everything that can happen in the middle.

use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use graphql_session_testing::{
    Browser, CLIENT_ID, EMAIL, FaultServer, ManualClock, OAuthRules, ONE_TIME_CODE, PASSWORD,
};
use serde_json::{Value, json};
use tauri_plugin_graphql_session::Builder;
use tauri_plugin_graphql_session::graphql_session::{Config, OAuth2, OAuth2Client, OAuth2Settings};

use crate::test_app::{
    Answer, EVERYTHING, PEOPLE, Page, TestApp, assert_fails, eventually, joined, new_id,
    scriptable_server, wait,
};

/// How long a person may take for one step.
const STEP_LIMIT: Duration = Duration::from_secs(300);

/// What the application gave to the system's opener.
#[derive(Clone, Default)]
struct Opener {
    opened: Arc<(Mutex<Vec<String>>, Condvar)>,
    fails: bool,
    /// Whether it returns only after the person is done in the browser.
    stays: bool,
}

impl Opener {
    /// An application that signs in by OAuth 2, as a client that the server knows: any free port does for its redirects.
    fn app(&self) -> TestApp {
        let opener = self.clone();
        TestApp::open_with(EVERYTHING, |_, configure| {
            let config = Config {
                protocol: oauth2(),
                ..configure("default")
            };
            Builder::new()
                .session(config)
                .open_browser(move |url| opener.open(url))
        })
    }

    fn open(&self, url: &str) -> io::Result<()> {
        let (opened, told) = &*self.opened;
        opened.lock().expect("no panic").push(url.to_owned());
        told.notify_all();
        if self.stays {
            visit(url);
        }
        match self.fails {
            true => Err(io::Error::other("exit status: 3")),
            false => Ok(()),
        }
    }

    fn opened(&self) -> Vec<String> {
        self.opened.0.lock().expect("no panic").clone()
    }

    fn wait_until_opened(&self) {
        let (opened, told) = &*self.opened;
        let opened = opened.lock().expect("no panic");
        drop(told.wait_while(opened, |opened| opened.is_empty()));
    }
}

/// The person signs in at this address.
pub(crate) fn visit(url: &str) -> Option<String> {
    let browser = Browser::default();
    let page = wait(async { browser.open(url).await });
    page.ok().map(|page| page.body)
}

/// The protocol of an application that the scriptable server knows as a client.
pub(crate) fn oauth2() -> Arc<OAuth2> {
    Arc::new(OAuth2::new(OAuth2Settings {
        client: OAuth2Client::Id(CLIENT_ID.into()),
        ..OAuth2Settings::default()
    }))
}

/// A server with both ways to sign in.
fn server() -> FaultServer {
    let server = scriptable_server();
    server.offer_oauth(OAuthRules::default());
    server
}

/// A sign-in of one page.
#[derive(Clone)]
struct SignIn {
    page: Page,
    id: String,
}

impl SignIn {
    /// Begins, and returns the first step with its number.
    fn begin(page: &Page, server: &FaultServer, method: &str) -> (Self, Value) {
        let sign_in = Self {
            page: page.clone(),
            id: new_id(),
        };
        let begun = sign_in.begin_again(server, method);
        (sign_in, begun.expect("a step"))
    }

    fn begin_again(&self, server: &FaultServer, method: &str) -> Answer {
        let address = server.address();
        let request = json!({ "signInId": self.id, "server": address, "method": method });
        self.page.invoke("sign_in", request)
    }

    fn answer(&self, number: u64, answer: Value) -> Answer {
        let answer = json!({ "signInId": self.id, "number": number, "answer": answer });
        self.page.invoke("answer_sign_in", answer)
    }

    /// Waits for what comes after a step.
    fn after(&self, number: u64) -> Answer {
        let waiting = json!({ "signInId": self.id, "number": number });
        self.page.invoke("answer_sign_in", waiting)
    }

    fn after_in_background(&self, number: u64) -> JoinHandle<Answer> {
        let sign_in = self.clone();
        std::thread::spawn(move || sign_in.after(number))
    }

    fn cancel(&self) {
        let cancelled = self
            .page
            .invoke("cancel_sign_in", json!({ "signInId": self.id }));
        cancelled.expect("cancelled");
    }
}

fn sign_in_by_browser(page: &Page, server: &FaultServer) {
    let (sign_in, begun) = SignIn::begin(page, server, "browser");
    let waiting = sign_in.after_in_background(1);
    visit(&url_of(&begun)).expect("a page");
    joined(waiting).expect("signed in");
}

fn url_of(progress: &Value) -> String {
    assert_eq!(progress["step"]["kind"], "browser", "{progress}");
    progress["step"]["url"].as_str().expect("a text").to_owned()
}

fn login() -> Value {
    json!({ "email": EMAIL, "password": PASSWORD })
}

#[test]
fn a_person_signs_in_by_browser_which_the_application_opens_once() {
    let (opener, server) = (Opener::default(), server());
    let app = opener.app();
    let page = app.window("main");
    let (sign_in, begun) = SignIn::begin(&page, &server, "browser");
    assert_eq!(begun["number"], 1);
    assert_eq!(begun["step"]["expiresInSeconds"], STEP_LIMIT.as_secs());
    assert_eq!(begun["step"].get("notOpened"), None);
    let url = url_of(&begun);
    opener.wait_until_opened();
    assert_eq!(opener.opened(), std::slice::from_ref(&url));
    assert_eq!(page.status()["phase"], "signed_out", "not done yet");

    let waiting = sign_in.after_in_background(1);
    let shown = visit(&url).expect("a page");

    let done = joined(waiting).expect("signed in");
    assert_eq!(done["status"]["phase"], "signed_in");
    assert!(shown.contains("Go back to the application"), "{shown}");
    assert_eq!(page.status()["server"], json!(server.address()));
    page.execute("graphql", PEOPLE).expect("a reply");
    assert_eq!(opener.opened().len(), 1);
}

#[test]
fn without_a_method_the_best_one_is_taken() {
    let (opener, server) = (Opener::default(), server());
    let app = opener.app();
    let page = app.window("main");
    let request = json!({ "signInId": new_id(), "server": server.address() });
    url_of(&page.invoke("sign_in", request).expect("a step"));
}

#[test]
fn where_no_browser_opens_the_page_learns_it_and_the_copied_address_still_signs_in() {
    let server = server();
    let opener = Opener {
        fails: true,
        ..Opener::default()
    };
    let app = opener.app();
    let page = app.window("main");
    let (sign_in, begun) = SignIn::begin(&page, &server, "browser");

    let told = match begun["step"].get("notOpened") {
        // The opener can be faster than the page.
        Some(_) => begun.clone(),
        None => sign_in.after(1).expect("the step once more"),
    };

    assert_eq!(told["step"]["notOpened"], true);
    assert_eq!(url_of(&told), url_of(&begun));
    let waiting = sign_in.after_in_background(told["number"].as_u64().expect("a number"));
    visit(&url_of(&told)).expect("a page");
    let done = joined(waiting).expect("signed in");
    assert_eq!(done["status"]["phase"], "signed_in");
    assert_eq!(opener.opened().len(), 1);
}

#[test]
fn an_opener_that_stays_until_the_person_is_done_keeps_nobody_waiting() {
    let server = server();
    let opener = Opener {
        stays: true,
        ..Opener::default()
    };
    let app = opener.app();
    let page = app.window("main");
    let (sign_in, begun) = SignIn::begin(&page, &server, "browser");

    let done = sign_in.after(begun["number"].as_u64().expect("a number"));

    let done = done.expect("signed in");
    assert_eq!(done["status"]["phase"], "signed_in");
}

#[test]
fn a_cancelled_sign_in_leaves_the_session_and_a_late_redirect_changes_nothing() {
    let (opener, server) = (Opener::default(), server());
    let app = opener.app();
    let page = app.window("main");
    sign_in_by_browser(&page, &server);
    let before = page.status();
    let (sign_in, begun) = SignIn::begin(&page, &server, "browser");
    let waiting = sign_in.after_in_background(1);

    sign_in.cancel();

    assert_fails(joined(waiting), "sign_in_cancelled");
    assert_fails(sign_in.after(1), "sign_in_cancelled");
    // The port closes once the task is gone.
    eventually("nobody listens", || visit(&url_of(&begun)).is_none());
    assert_eq!(page.status(), before);
    assert_eq!(server.counts().sign_ins, 1, "only the one before");
    page.execute("graphql", PEOPLE).expect("a reply");
}

#[test]
fn a_cancellation_that_arrives_before_its_sign_in_keeps_it_from_starting() {
    let (opener, server) = (Opener::default(), server());
    let app = opener.app();
    let page = app.window("main");
    let sign_in = SignIn { page, id: new_id() };

    sign_in.cancel();

    assert_fails(sign_in.begin_again(&server, "browser"), "sign_in_cancelled");
    assert_eq!(server.counts().connections, 0);
    assert_eq!(opener.opened(), [""; 0]);
}

#[test]
fn repeated_invokes_begin_and_answer_once() {
    let (app, server) = (TestApp::open(), scriptable_server());
    let page = app.window("main");
    server.ask_second_factor(EMAIL);
    let (sign_in, begun) = SignIn::begin(&page, &server, "password");
    assert_eq!(sign_in.begin_again(&server, "password"), Ok(begun));
    let asked = sign_in.answer(1, login()).expect("the next step");
    assert_eq!(asked["number"], 2);
    assert_eq!(asked["step"]["kind"], "one_time_code");

    // The answer to the first step came twice: it is not taken for an answer to the second.
    assert_eq!(sign_in.answer(1, login()), Ok(asked.clone()));
    assert_eq!(sign_in.begin_again(&server, "password"), Ok(asked));
    let code = json!({ "code": ONE_TIME_CODE });
    let done = sign_in.answer(2, code.clone()).expect("signed in");
    assert_eq!(done["status"]["phase"], "signed_in");

    assert_eq!(sign_in.answer(2, code), Ok(done.clone()));
    assert_eq!(sign_in.begin_again(&server, "password"), Ok(done));
    assert_eq!(server.counts().sign_ins, 1);
}

#[test]
fn a_wrong_one_time_code_is_asked_for_again() {
    let (app, server) = (TestApp::open(), scriptable_server());
    let page = app.window("main");
    server.ask_second_factor(EMAIL);
    let (sign_in, _) = SignIn::begin(&page, &server, "password");
    let asked = sign_in.answer(1, login()).expect("the next step");
    assert_eq!(asked["step"]["wasWrong"], false);

    let again = sign_in.answer(2, json!({ "code": "000000" }));
    let again = again.expect("the step again");

    assert_eq!(again["number"], 3);
    assert_eq!(
        again["step"],
        json!({ "kind": "one_time_code", "wasWrong": true })
    );
    let done = sign_in.answer(3, json!({ "code": ONE_TIME_CODE }));
    assert_eq!(done.expect("signed in")["status"]["phase"], "signed_in");
}

#[test]
fn a_person_with_two_workspaces_chooses_one() {
    let (app, server) = (TestApp::open(), scriptable_server());
    let page = app.window("main");
    let there = server.address_as("localhost");
    server.has_workspaces(&[("Apple", server.address()), ("Pear", there.clone())]);
    let (sign_in, _) = SignIn::begin(&page, &server, "password");
    let asked = sign_in.answer(1, login()).expect("the next step");
    assert_eq!(
        asked["step"],
        json!({ "kind": "choose", "workspaces": [
            { "name": "Apple", "origin": server.address() },
            { "name": "Pear", "origin": there },
        ] })
    );

    let done = sign_in.answer(2, json!({ "workspace": 1 }));

    assert_eq!(done.expect("signed in")["status"]["server"], json!(there));
}

#[test]
fn what_is_no_answer_is_refused_and_the_sign_in_goes_on() {
    let (app, server) = (TestApp::open(), server());
    let page = app.window("main");
    let (sign_in, _) = SignIn::begin(&page, &server, "password");
    let long = "1".repeat(129);
    for answer in [
        json!({}),
        json!({ "email": EMAIL }),
        json!({ "email": EMAIL, "password": PASSWORD, "code": "1" }),
        json!({ "code": long }),
    ] {
        assert_fails(sign_in.answer(1, answer), "invalid_request");
    }
    // These are not even read. What was sent is not quoted.
    for answer in [
        json!({ "email": EMAIL, "password": 4711 }),
        json!({ "code": 4711 }),
        json!({ "workspace": -1 }),
        json!({ "code": "1", "more": 4711 }),
    ] {
        let refused = sign_in.answer(1, answer).expect_err("no answer");
        assert!(!refused.to_string().contains("4711"), "{refused}");
    }

    let done = sign_in.answer(1, login()).expect("signed in");
    assert_eq!(done["status"]["phase"], "signed_in");

    let app = Opener::default().app();
    let page = app.window("main");
    let (sign_in, begun) = SignIn::begin(&page, &server, "browser");
    assert_fails(sign_in.answer(1, login()), "invalid_request");
    let waiting = sign_in.after_in_background(1);
    visit(&url_of(&begun)).expect("a page");
    joined(waiting).expect("the sign-in went on");
}

#[test]
fn an_answer_of_another_kind_ends_the_sign_in() {
    let (app, server) = (TestApp::open(), scriptable_server());
    let page = app.window("main");
    let (sign_in, _) = SignIn::begin(&page, &server, "password");
    let refused = sign_in.answer(1, json!({ "workspace": 0 }));
    assert_fails(refused, "invalid_request");
    assert_fails(sign_in.answer(1, login()), "invalid_request");
    assert_eq!(page.status()["phase"], "signed_out");
}

#[test]
fn a_second_sign_in_cancels_the_first_of_the_same_window_only() {
    let (opener, server) = (Opener::default(), server());
    let app = opener.app();
    let (page, other) = (app.window("main"), app.window("other"));
    let (first, first_begun) = SignIn::begin(&page, &server, "browser");
    let (elsewhere, elsewhere_begun) = SignIn::begin(&other, &server, "browser");
    let waiting = first.after_in_background(1);

    let (second, begun) = SignIn::begin(&page, &server, "browser");

    assert_fails(joined(waiting), "sign_in_cancelled");
    let first_url = url_of(&first_begun);
    eventually("nobody listens", || visit(&first_url).is_none());
    for (sign_in, begun) in [(second, begun), (elsewhere, elsewhere_begun)] {
        let waiting = sign_in.after_in_background(1);
        visit(&url_of(&begun)).expect("a page");
        joined(waiting).expect("signed in");
    }
    assert_eq!(server.counts().sign_ins, 2);
}

#[test]
fn a_page_that_is_loaded_anew_and_a_window_that_closes_cancel_their_sign_in() {
    let (opener, server) = (Opener::default(), server());
    let app = opener.app();
    let (page, closing) = (app.window("main"), app.window("closing"));
    for (page, leave) in [(&page, true), (&closing, false)] {
        let (sign_in, begun) = SignIn::begin(page, &server, "browser");
        let waiting = sign_in.after_in_background(1);

        match leave {
            true => app.load_page(page),
            false => app.close(page.clone()),
        }

        assert_fails(joined(waiting), "sign_in_cancelled");
        eventually("nobody listens", || visit(&url_of(&begun)).is_none());
    }
    assert_eq!(page.status()["phase"], "signed_out");
}

#[test]
fn a_window_knows_nothing_of_a_sign_in_of_another_one() {
    let (app, server) = (TestApp::open(), scriptable_server());
    let (page, other) = (app.window("main"), app.window("other"));
    let (sign_in, _) = SignIn::begin(&page, &server, "password");
    let stolen = SignIn {
        page: other,
        id: sign_in.id.clone(),
    };

    assert_fails(stolen.answer(1, login()), "sign_in_cancelled");
    stolen.cancel();

    let done = sign_in.answer(1, login()).expect("signed in");
    assert_eq!(done["status"]["phase"], "signed_in");
}

#[test]
fn a_step_that_nobody_answers_ends_after_its_time() {
    let clock = ManualClock::new();
    let server = wait(FaultServer::start_on(&clock));
    let app = TestApp::open_with(EVERYTHING, |_, configure| {
        Builder::new().session(Config {
            clock: Arc::new(clock.clone()),
            ..configure("default")
        })
    });
    let page = app.window("main");
    let sleeping = clock.next_sleep(STEP_LIMIT);
    let (sign_in, _) = SignIn::begin(&page, &server, "password");
    wait(sleeping.begun());

    clock.advance(STEP_LIMIT);

    assert_fails(sign_in.after(1), "sign_in_timed_out");
    assert_eq!(page.status()["phase"], "signed_out");
}

#[test]
fn a_code_typed_on_another_device_signs_in() {
    let clock = ManualClock::new();
    let server = wait(FaultServer::start_on(&clock));
    server.offer_oauth(OAuthRules::default());
    let app = TestApp::open_with(EVERYTHING, |_, configure| {
        Builder::new().session(Config {
            clock: Arc::new(clock.clone()),
            protocol: oauth2(),
            ..configure("default")
        })
    });
    let page = app.window("main");
    let (sign_in, begun) = SignIn::begin(&page, &server, "device");
    assert_eq!(begun["step"]["kind"], "device");
    let user_code = begun["step"]["userCode"].as_str().expect("a code");
    server.answer_device(user_code, Some(EMAIL));

    // The next poll is seconds away.
    let done = wait(async {
        let polled = tokio::task::spawn_blocking(move || sign_in.after(1));
        clock.run_until(polled).await
    });

    let done = done.expect("no panic").expect("signed in");
    assert_eq!(done["status"]["phase"], "signed_in");
}
