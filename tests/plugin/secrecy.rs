//! A full run that captures everything: logs of all crates at the finest level, replies, events, journal, Debug output.

use std::io;
use std::sync::{Arc, Mutex};

use graphql_session_testing::OAuthRules;
use serde_json::{Value, json};
use tauri_plugin_graphql_session::graphql_session::Config;
use tracing_subscriber::filter::LevelFilter;

use crate::sign_ins::{oauth2, visit};
use crate::test_app::{EVERYTHING, PEOPLE, Page, TestApp, joined, scriptable_server};

const NOTE: &str =
    r#"mutation Create { createCompany(data: { name: "Seen by the server" }) { id } }"#;

/// How every JSON Web Token begins: the encoding of `{"`.
const TOKEN_START: &str = "eyJ";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn add(&self, text: impl AsRef<str>) {
        let mut bytes = self.0.lock().expect("no panic");
        bytes.extend_from_slice(text.as_ref().as_bytes());
        bytes.push(b'\n');
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic")).into_owned()
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn record(captured: &Captured, answer: Result<Value, Value>) {
    match answer {
        Ok(answer) | Err(answer) => captured.add(answer.to_string()),
    }
}

/// The stored tokens, which must appear nowhere.
fn tokens(app: &TestApp) -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) if text.starts_with(TOKEN_START) => found.push(text.clone()),
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            Value::Object(values) => values.values().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let stored = app.stored().expect("signed in");
    let mut found = Vec::new();
    collect(&serde_json::from_str(&stored).expect("JSON"), &mut found);
    assert!(found.len() >= 2, "an access token and a refresh token");
    found
}

fn use_every_command(captured: &Captured, app: &TestApp, page: &Page) {
    for answer in [
        page.invoke("check_server", json!({ "address": page.origin() })),
        Ok(page.status()),
        page.execute("graphql", PEOPLE),
        page.execute("graphql", NOTE),
        page.execute("https://evil.example/", PEOPLE),
        page.invoke("cancel", json!({ "requestId": "none" })),
        page.invoke("retry_now", json!({})),
        page.invoke("journal", json!({})),
    ] {
        record(captured, answer);
    }
    captured.add(format!("{:?} {:?}", app.session(), app.session().journal()));
    captured.add(format!("{:?} {:?}", app.app.handle(), app.vault));
}

/// The server's codes and tokens are added to the secrets.
fn sign_in_by_browser(captured: &Captured, page: &Page, secrets: &mut Vec<String>) {
    let server = scriptable_server();
    server.offer_oauth(OAuthRules::default());
    let request = json!({
        "signInId": "by-browser", "server": server.address(), "method": "browser", "account": "by-browser",
    });
    let begun = page.invoke("sign_in", request).expect("a step");
    let url = begun["step"]["url"]
        .as_str()
        .expect("an address")
        .to_owned();
    record(captured, Ok(begun));
    let browser = std::thread::spawn(move || visit(&url));
    let done = page.invoke(
        "answer_sign_in",
        json!({ "signInId": "by-browser", "number": 1 }),
    );
    joined(browser).expect("a page");
    assert_eq!(
        done.as_ref().expect("signed in")["status"]["phase"],
        "signed_in"
    );
    record(captured, done);
    let issued = server.secrets();
    assert!(issued.len() >= 3, "a code and two tokens");
    secrets.extend(issued);
    record(
        captured,
        page.invoke("journal", json!({ "account": "by-browser" })),
    );
}

#[test]
fn no_token_or_password_is_in_any_log_reply_event_journal_or_debug_output() {
    let captured = Captured::default();
    let writer = captured.clone();
    // The other tests of this binary log here too, which only adds to what is searched.
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();

    let app = TestApp::open_with(EVERYTHING, |builder, configure| {
        let by_browser = Config {
            protocol: oauth2(),
            ..configure("by-browser")
        };
        builder.session(by_browser).open_browser(|_| Ok(()))
    });
    let page = app.window("main");
    let mut secrets = vec![
        demo_server::DEMO_PASSWORD.to_owned(),
        "wrong-pass-phrase".to_owned(),
    ];
    let wrong = json!("wrong-pass-phrase");
    record(&captured, page.sign_in_with(demo_server::DEMO_EMAIL, wrong));
    record(&captured, page.sign_in());
    secrets.extend(tokens(&app));
    use_every_command(&captured, &app, &page);

    app.expire_access_tokens();
    record(&captured, page.execute("graphql", PEOPLE));
    assert_eq!(app.switches.counts().renewals_accepted, 1);
    secrets.extend(tokens(&app));
    use_every_command(&captured, &app, &page);

    app.switches.lose_renewal_answers(1);
    app.expire_access_tokens();
    record(&captured, page.execute("graphql", PEOPLE));
    secrets.extend(tokens(&app));

    app.revoke_refresh_tokens();
    app.expire_access_tokens();
    record(&captured, page.execute("graphql", PEOPLE));
    assert_eq!(page.status()["phase"], "ended");
    use_every_command(&captured, &app, &page);
    record(&captured, page.sign_in());
    secrets.extend(tokens(&app));
    record(&captured, page.invoke("sign_out", json!({})));
    page.wait_for_event("changed", "signed_out", 0);
    sign_in_by_browser(&captured, &page, &mut secrets);
    captured.add(format!("{:?}", page.events()));

    let text = captured.text();
    for expected in ["renewed", "ended", "graphql_session", "hyper"] {
        assert!(text.contains(expected), "nothing of {expected}");
    }
    for secret in &secrets {
        // The secret is not part of the failure's text, because that would leak it again.
        assert!(!text.contains(secret.as_str()), "a secret was captured");
    }
    if let Some(line) = text.lines().find(|line| line.contains(TOKEN_START)) {
        panic!("a token was captured by {:?}", &line[..80.min(line.len())]);
    }
}
