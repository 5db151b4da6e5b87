//! No token and no password leaves a session (I11). A test binary of its own, because it installs the process's one
//! logger and records every event of every crate, at the finest level.

#[allow(dead_code)] // each test binary uses its part
mod fixture;

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use graphql_session::{DEFAULT_ACCOUNT, Error, Phase, Session, StreamEvent, VaultError};
use graphql_session_testing::{
    EMAIL, Fault, PASSWORD, TestHost, VaultCall, call, mutation, query, subscription, upload,
};

use crate::fixture::{
    MINUTE, call_succeeds, restarted, session_with_expired_token, wait_for_phase,
};

/// Everything that any crate of this process logs.
#[derive(Clone, Default)]
struct LogCapture {
    text: Arc<Mutex<Vec<u8>>>,
}

impl LogCapture {
    fn install() -> Self {
        let capture = Self::default();
        let writer = capture.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        capture
    }

    fn text(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl io::Write for LogCapture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All that a session shows: status, journal, Debug output, errors and files.
#[derive(Default)]
struct Shown(String);

impl Shown {
    fn session(&mut self, session: &Session) {
        let status = serde_json::to_string(&session.status()).expect("a status is JSON");
        let journal = serde_json::to_string(&session.journal()).expect("a journal is JSON");
        let _ = writeln!(
            self.0,
            "{session:?} {status} {journal} {:?} {}",
            session.journal(),
            session.diagnostics(),
        );
    }

    #[track_caller]
    fn error<T>(&mut self, outcome: Result<T, Error>) {
        let error = outcome.err().expect("an error was due");
        let _ = writeln!(self.0, "{error} {error:?} {:?}", error.code());
    }

    fn folder(&mut self, folder: &Path) {
        for file in std::fs::read_dir(folder).expect("the state folder is there") {
            let path = file.expect("an entry").path();
            let text = std::fs::read(&path).expect("a readable file");
            let _ = writeln!(self.0, "{path:?} {}", String::from_utf8_lossy(&text));
        }
    }
}

/// A full life: sign-in refused and done, calls, renewals of every outcome, a keyring in trouble, endings, sign-out.
async fn live(host: &TestHost, shown: &mut Shown) {
    let session = host.session(DEFAULT_ACCOUNT).await;
    let address = host.server.address();
    let mut wrong = host.server.person();
    wrong.password = "a wrong password".into();
    let _ = writeln!(shown.0, "{wrong:?} {:?}", host.server.person());
    shown.error(session.sign_in(&address, wrong).await);
    host.sign_in(&session).await;
    call_succeeds(&session).await;
    shown.session(&session);

    // A server that quotes the refused token in its error.
    host.server.expire_access_tokens();
    let token = host.server.secrets().pop().expect("issued");
    host.server
        .on_renewal(Fault::refuse("INTERNAL_SERVER_ERROR", &token, &token));
    host.server.on_renewal(Fault::rotate_then_drop());
    host.server.on_renewal(Fault::ResetInBody);
    host.server.on_renewal(Fault::Truncate(300));
    host.clock.run_until(call_succeeds(&session)).await;
    let change = mutation("createPerson");
    let _ = writeln!(shown.0, "{change:?}");
    let reply = session.execute(change).await;
    let _ = writeln!(shown.0, "{reply:?}");

    // A keyring that fails, panics, and comes back.
    host.server.expire_access_tokens();
    host.vault.panic_next(VaultCall::Write);
    host.vault
        .fail_next(VaultCall::Write, 1, VaultError::Failed);
    host.clock.run_until(call_succeeds(&session)).await;
    shown.session(&session);
    host.clock.pass(MINUTE).await;

    // An outage, and the errors of its callers.
    host.server.expire_access_tokens();
    host.server
        .on_every_renewal(Fault::redirect(format!("http://portal.example/?t={token}")));
    let outcome = host.clock.run_until(session.execute(query("people"))).await;
    shown.error(outcome);
    host.server.behave();
    wait_for_phase(host, &session, Phase::SignedIn).await;
    let elsewhere = call(token.clone(), "query", "people");
    shown.error(session.execute(elsewhere).await);
    shown.session(&session);

    // A stream that is refused, opens, breaks and then fails; and an upload.
    stream(host, &session, shown).await;
    let file = upload("mutation", "uploadFile", b"a scan");
    let _ = writeln!(shown.0, "{file:?}");
    host.server.expire_access_tokens();
    let reply = session.execute(file).await;
    let _ = writeln!(shown.0, "{reply:?}");

    // A restart; an entry that is damaged; an ending; tokens from elsewhere; a sign-out.
    let session = restarted(host, session).await;
    call_succeeds(&session).await;
    let stored = host.vault.stored(DEFAULT_ACCOUNT).expect("stored");
    host.vault
        .replace(DEFAULT_ACCOUNT, &stored[..stored.len() - 20]);
    let beside = host.session(DEFAULT_ACCOUNT).await;
    shown.session(&beside);
    drop(beside);
    host.vault.replace(DEFAULT_ACCOUNT, stored);
    host.server.expire_access_tokens();
    host.server.revoke_sessions();
    shown.error(session.execute(query("people")).await);
    shown.session(&session);
    let tokens = host.server.issue(EMAIL).to_tokens();
    let _ = writeln!(shown.0, "{tokens:?}");
    let signing_in = session.sign_in_with_tokens(&address, None, tokens);
    signing_in.await.expect("signed in");
    call_succeeds(&session).await;
    session.sign_out().await;
    host.clock.pass(MINUTE).await;
    shown.session(&session);
    shown.folder(&host.file(DEFAULT_ACCOUNT, ""));
}

async fn stream(host: &TestHost, session: &Session, shown: &mut Shown) {
    host.server.expire_access_tokens();
    let subscribed = session.subscribe(subscription("onDbEvent"));
    let mut stream = subscribed.expect("it can be subscribed to");
    let number = usize::try_from(host.server.counts().streams).expect("few streams");
    for step in 0..4 {
        let event = host.clock.run_until(stream.next()).await;
        let _ = writeln!(shown.0, "{stream:?} {event:?}");
        match (step, event) {
            (0, Some(StreamEvent::Open)) => host.server.feed(number).await.cut(),
            (1, Some(StreamEvent::Lost { .. })) => {}
            (2, Some(StreamEvent::Reconnected)) => {
                let quoted = host.server.secrets().pop().expect("issued");
                let payload = format!("{{\"data\":\"{quoted}\"}}");
                host.server.feed(number + 1).await.next(&payload);
            }
            (3, Some(StreamEvent::Next(_))) => {}
            (_, other) => panic!("{other:?} was not due"),
        }
    }
    let of_a_query = session.subscribe(query("people")).map(|_| ());
    shown.error(of_a_query);
}

#[tokio::test]
async fn a_full_run_shows_no_token_and_no_password_in_any_log_error_debug_text_or_file() {
    let capture = LogCapture::install();
    let host = TestHost::start().await;
    let mut shown = Shown::default();
    live(&host, &mut shown).await;
    // A panic's message goes to the application's log: it is tested with the rest.
    let ended = session_with_expired_token(&host.another()).await;
    shown.session(&ended);

    let log = capture.text();
    // The session's own events, those of other crates, and the finest level.
    for known in ["graphql_session", "hyper", "TRACE"] {
        assert!(log.contains(known), "{known} is missing");
    }
    let secrets = host.server.secrets();
    let issued = secrets.len();
    assert!(issued >= 12, "only {issued} tokens were issued");
    for secret in &secrets {
        // The head of a JWT is the same in all of them; what follows is secret, in parts, too.
        let parts: Vec<_> = secret.split('.').skip(1).collect();
        assert_eq!(parts.len(), 2, "no JWT: nothing would be looked for");
        for part in parts {
            assert!(!log.contains(part), "a token is in the log");
            assert!(!shown.0.contains(part), "a token is shown");
        }
    }
    for password in [PASSWORD, "a wrong password"] {
        assert!(!log.contains(password), "a password is in the log");
        assert!(!shown.0.contains(password), "a password is shown");
    }
}
