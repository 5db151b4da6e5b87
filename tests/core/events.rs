//! `tracing` events say what the journal says. A test binary of its own, because it owns the process's one logger.

#[allow(dead_code)] // each test binary uses its part
mod fixture;

use std::sync::{Arc, Mutex};

use graphql_session::{Code, DEFAULT_ACCOUNT};
use graphql_session_testing::Fault;
use serde_json::Value;
use tracing::Level;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::fixture::{call_fails, call_succeeds, with_expired_token};

/// What one `tracing` event of the session said.
#[derive(Default)]
struct Said {
    message: String,
    account: String,
    generation: Option<u64>,
    cause: Option<String>,
    facts: String,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "account" => value.clone_into(&mut self.account),
            "cause" => self.cause = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "generation" {
            self.generation = Some(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "facts" => self.facts = format!("{value:?}"),
            _ => {}
        }
    }
}

/// Everything that the sessions of this process say.
#[derive(Clone, Default)]
struct Listener {
    heard: Arc<Mutex<Vec<(String, Value)>>>,
}

impl<S: tracing::Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let about = event.metadata();
        if about.target() != "graphql_session" || *about.level() != Level::INFO {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        assert_eq!(said.account, DEFAULT_ACCOUNT);
        let facts: Value = serde_json::from_str(&said.facts).expect("facts are JSON");
        assert_eq!(said.cause.as_deref(), facts["cause"].as_str());
        // Before a sign-in and after an ending nothing is held that could have one.
        let may_lack_one = matches!(
            &*said.message,
            "server_checked" | "sign_in_sent" | "removed"
        );
        assert!(
            said.generation.is_some() || may_lack_one,
            "{}",
            said.message
        );
        let mut heard = self.heard.lock().expect("no panic");
        heard.push((said.message, facts));
    }
}

#[tokio::test]
async fn tracing_says_the_same_as_the_journal_entry_by_entry() {
    let listener = Listener::default();
    tracing_subscriber::registry().with(listener.clone()).init();
    let (host, session) = with_expired_token().await;
    host.server.on_renewal(Fault::retry_after(429, "1"));
    host.clock.run_until(call_succeeds(&session)).await;
    host.server.expire_access_tokens();
    host.server.revoke_sessions();
    assert_eq!(call_fails(&session).await, Code::SignedOut);
    host.clock.quiet().await;

    let heard = listener.heard.lock().expect("no panic").clone();
    let noted: Vec<_> = session
        .journal()
        .into_iter()
        .map(|entry| (entry.what.to_owned(), Value::Object(entry.facts)))
        .collect();
    assert_eq!(heard, noted);
    let renewals = heard.iter().filter(|(what, _)| what == "renewal");
    assert_eq!(renewals.count(), 2);
}
