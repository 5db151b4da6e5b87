//! Defects: of an adopter's own protocol, file system or clock, and of ours. An action that dies reports itself, and a session
//! whose task is gone says so and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use graphql_session::{Clock, Closed, Code, DEFAULT_ACCOUNT, Phase, Session, Sleep, StreamEvent};
use graphql_session_testing::{FileCall, ManualClock, TestHost, mutation, query, subscription};
use jiff::Timestamp;

use crate::fixture::watched_twenty::WatchedTwenty;
use crate::fixture::{
    MINUTE, SECOND, assert_failed, code, hold_renewal, join_all, signed_in, signed_in_with,
    spawn_call, wait_for_phase, wait_for_refusals,
};

#[tokio::test]
async fn a_protocol_that_panics_in_its_check_is_asked_again_and_finds_the_server() {
    let has_panicked = Arc::new(AtomicBool::new(false));
    let panicked = has_panicked.clone();
    let (host, session) = signed_in_with(|config| {
        let panics_once = move || assert!(panicked.swap(true, Ordering::SeqCst), "it panics");
        config.protocol = Arc::new(WatchedTwenty {
            checks: Box::new(panics_once),
            ..WatchedTwenty::default()
        });
    })
    .await;
    host.server.stop().await;
    assert_eq!(
        code(session.execute(mutation("createPerson")).await),
        Code::Unreachable
    );
    wait_for_phase(&host, &session, Phase::Unreachable).await;
    host.clock.pass(10 * SECOND).await;
    assert!(has_panicked.load(Ordering::SeqCst));

    host.server.start_again();
    host.clock.pass(MINUTE).await;

    assert_eq!(session.status().phase, Phase::SignedIn, "by itself");
}

#[tokio::test]
async fn a_protocol_that_panics_in_its_revocation_has_revoked_nothing() {
    let (host, session) = signed_in_with(|config| {
        config.protocol = Arc::new(WatchedTwenty {
            revokes: Box::new(|| panic!("it panics")),
            ..WatchedTwenty::default()
        });
    })
    .await;

    assert_eq!(session.sign_out().await.phase, Phase::SignedOut);
    host.clock.quiet().await;

    let journal = session.journal();
    let revoked = journal.iter().find(|entry| entry.what == "revoked");
    assert_eq!(revoked.expect("noted").facts["done"], false);
}

#[tokio::test]
async fn a_write_whose_file_system_panics_is_made_again() {
    for call in [FileCall::Append, FileCall::Replace] {
        let (host, first) = signed_in().await;
        let second = host.session(DEFAULT_ACCOUNT).await;
        host.files.panic_next(call);

        first.sign_out().await;
        wait_for_phase(&host, &second, Phase::SignedOut).await;
        host.clock.pass(MINUTE).await;

        let listed = std::fs::read(host.file(DEFAULT_ACCOUNT, "ended")).expect("a list");
        assert!(!listed.is_empty(), "{call:?}");
    }
}

/// A clock that panics once when it is read.
struct FaultyClock {
    clock: ManualClock,
    panics: AtomicBool,
}

impl Clock for FaultyClock {
    fn wall(&self) -> Timestamp {
        assert!(!self.panics.swap(false, Ordering::SeqCst), "it panics");
        self.clock.wall()
    }

    fn awake(&self) -> Duration {
        self.clock.awake()
    }

    fn sleep(&self, pause: Duration) -> Sleep {
        self.clock.sleep(pause)
    }

    fn random(&self) -> u64 {
        self.clock.random()
    }
}

/// Every function of a session whose task is gone.
async fn assert_stopped(host: &TestHost, session: &Session) {
    let status = session.status();
    assert_eq!(status.phase, Phase::Stopped);
    assert!(!status.has_session() && status.ending.is_none());
    for call in [query("people"), mutation("createPerson")] {
        assert_eq!(code(session.execute(call).await), Code::Internal);
    }
    let address = host.server.address();
    let signing_in = session.sign_in(&address, host.server.person());
    assert_eq!(code(signing_in.await), Code::Internal);
    let tokens = host
        .server
        .issue(graphql_session_testing::EMAIL)
        .to_tokens();
    let signing_in = session.sign_in_with_tokens(&address, None, tokens);
    assert_eq!(code(signing_in.await), Code::Internal);
    let subscribed = session.subscribe(subscription("personChanged"));
    let mut events = subscribed.expect("a subscription");
    let event = events.next().await;
    let Some(StreamEvent::Failed(error)) = event else {
        panic!("{event:?}");
    };
    assert_eq!(error.code(), Code::Internal);
    assert_eq!(session.sign_out().await.phase, Phase::Stopped);
    assert_eq!(session.retry_now().await.phase, Phase::Stopped);
    assert_eq!(session.close().await, Closed::Unfinished);
    assert_eq!((session.id(), session.generation()), (None, None));
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn a_session_whose_task_has_panicked_says_internal_and_nobody_is_signed_out() {
    let host = TestHost::start().await;
    let clock = Arc::new(FaultyClock {
        clock: host.clock.clone(),
        panics: AtomicBool::new(false),
    });
    let mut config = host.config(DEFAULT_ACCOUNT);
    config.clock = clock.clone();
    let session = Session::open(config).await.expect("opens");
    host.sign_in(&session).await;
    host.server.expire_access_tokens();
    let gate = hold_renewal(&host);
    let waiter = spawn_call(&session, query("people"));
    wait_for_refusals(&host, 1).await;
    host.server.wait_for(|counts| counts.renewals == 1).await;
    let signed_in_before = host.server.counts().sign_ins;

    // Sent before the clock is read here: the task reads it first.
    clock.panics.store(true, Ordering::SeqCst);
    session.retry_now().await;

    assert_failed(join_all(vec![waiter]).await, Code::Internal);
    assert_stopped(&host, &session).await;
    assert_eq!(
        host.server.counts().sign_ins,
        signed_in_before,
        "no password was sent"
    );
    gate.open();

    // The application starts again.
    let session = host.session(DEFAULT_ACCOUNT).await;
    assert!(session.status().has_session());
}

#[test]
fn a_session_whose_runtime_has_ended_says_internal_and_nobody_is_signed_out() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime")
    };
    let first = runtime();
    let (host, session) = first.block_on(signed_in());
    drop(first);

    runtime().block_on(assert_stopped(&host, &session));
}
