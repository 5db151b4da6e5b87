//! Streams of events: connected with the current credentials, never cut by a renewal, connected again after a loss.

use std::time::Duration;

use graphql_session::{
    Clock as _, Code, DEFAULT_ACCOUNT, Error, Phase, Session, StreamEvent, Subscription,
};
use graphql_session_testing::{
    Counts, Fault, Feed, Seen, TestHost, call, mutation, query, subscription,
};

use crate::fixture::{
    MINUTE, SECOND, assert_served, call_fails, call_succeeds, code, hold_renewal, join_all,
    patient_host, renew, signed_in, signed_in_session, signed_in_with, spawn_calls, wait_for_phase,
    with_expired_token,
};

const FIELD: &str = "onDbEvent";

fn subscribe(session: &Session) -> Subscription {
    let stream = session.subscribe(subscription(FIELD));
    stream.expect("it can be subscribed to")
}

/// An open stream, and the server's end of it.
async fn opened(host: &TestHost, session: &Session) -> (Subscription, Feed) {
    let so_far = host.server.counts().streams;
    let mut stream = subscribe(session);
    assert_eq!(heard(host, &mut stream).await, StreamEvent::Open);
    let number = usize::try_from(so_far).expect("few streams");
    (stream, host.server.feed(number).await)
}

/// A host with its session, an open stream, and the server's end of it.
async fn open_stream() -> (TestHost, Session, Subscription, Feed) {
    let (host, session) = signed_in().await;
    let (stream, feed) = opened(&host, &session).await;
    (host, session, stream, feed)
}

async fn wait_for_a_closed_stream(host: &TestHost) {
    let is_there = |counts: &Counts| counts.streams_over == 1;
    host.server.wait_for(is_there).await;
}

/// The next event; virtual time passes until it comes.
async fn heard(host: &TestHost, stream: &mut Subscription) -> StreamEvent {
    let heard = host.clock.run_until(stream.next()).await;
    heard.expect("the stream is not over")
}

/// How long the stream pauses before it connects again; anything but a loss is a failure.
async fn lost(host: &TestHost, stream: &mut Subscription) -> Duration {
    match heard(host, stream).await {
        StreamEvent::Lost { retry_after } => retry_after,
        other => panic!("a loss was due, not {other:?}"),
    }
}

async fn failed(host: &TestHost, stream: &mut Subscription) -> Error {
    match heard(host, stream).await {
        StreamEvent::Failed(error) => error,
        other => panic!("a failure was due, not {other:?}"),
    }
}

fn next(payload: &str) -> StreamEvent {
    StreamEvent::Next(payload.to_owned().into())
}

/// The Authorization of each subscription that the server got.
fn authorizations(host: &TestHost) -> Vec<String> {
    let asked = host.server.seen_asking_for(FIELD);
    let header = |seen: &Seen| seen.header("authorization").map(str::to_owned);
    asked.iter().filter_map(header).collect()
}

/// Every random number is the largest, so that all pauses are as long as possible.
fn draw_the_longest(host: &TestHost) {
    host.clock
        .script_random(std::iter::repeat_n(u64::MAX, 10_000));
}

// ── Credentials ─────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_stream_that_is_open_is_not_cut_by_a_renewal() {
    let (host, session, mut stream, feed) = open_stream().await;
    let reading = tokio::spawn(async move { (stream.next().await, stream) });
    tokio::task::yield_now().await;
    renew(&host, &session).await;
    assert_eq!(host.server.counts().renewals, 1);

    feed.next("{\"data\":1}");
    feed.next("{\"data\":2}");

    let (event, mut stream) = reading.await.expect("no panic");
    assert_eq!(event, Some(next("{\"data\":1}")));
    assert_eq!(heard(&host, &mut stream).await, next("{\"data\":2}"));
    let counts = host.server.counts();
    assert_eq!((counts.subscriptions, counts.streams_over), (1, 0));
}

#[tokio::test]
async fn after_a_loss_a_stream_uses_the_newer_token_and_says_that_events_may_be_missing() {
    let (host, session, mut stream, feed) = open_stream().await;
    host.server.expire_access_tokens();
    host.clock.pass(2 * SECOND).await;
    call_succeeds(&session).await;

    feed.cut();

    lost(&host, &mut stream).await;
    assert_eq!(heard(&host, &mut stream).await, StreamEvent::Reconnected);
    host.server.feed(1).await.next("{\"data\":2}");
    assert_eq!(heard(&host, &mut stream).await, next("{\"data\":2}"));
    let used = authorizations(&host);
    let calls = host.server.seen_asking_for("currentUser");
    let newest = calls.last().and_then(|seen| seen.header("authorization"));
    assert_eq!(Some(used[1].as_str()), newest);
    assert_ne!(used[0], used[1]);
    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.subscriptions_refused), (1, 0));
}

#[tokio::test]
async fn refusals_at_connect_join_the_one_renewal_of_refused_calls() {
    let (host, session) = with_expired_token().await;
    let gate = hold_renewal(&host);
    let calls = spawn_calls(&session, 10, &query("people"));
    let streams = [(); 10].map(|()| {
        let mut stream = subscribe(&session);
        tokio::spawn(async move { (stream.next().await, stream) })
    });
    let all_refused =
        |counts: &Counts| (counts.calls_refused, counts.subscriptions_refused) == (10, 10);
    host.server.wait_for(all_refused).await;
    gate.open();

    assert_served(join_all(calls).await);
    for stream in streams {
        let (event, _) = stream.await.expect("no panic");
        assert_eq!(event, Some(StreamEvent::Open));
    }
    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.streams), (1, 10));
}

#[tokio::test]
async fn a_plain_401_at_connect_is_a_refusal_too() {
    let (host, session) = signed_in().await;
    host.server.on_subscription(Fault::status(401));

    opened(&host, &session).await;

    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.subscriptions), (1, 2));
}

#[tokio::test]
async fn a_token_that_is_known_to_have_expired_is_renewed_before_a_stream_connects() {
    let host = TestHost::start().await;
    host.server.access_tokens_last(MINUTE);
    let session = signed_in_session(&host).await;
    host.clock.advance(2 * MINUTE);

    opened(&host, &session).await;

    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.subscriptions_refused), (1, 0));
}

#[tokio::test]
async fn a_stream_that_is_refused_with_fresh_credentials_fails_and_signs_nobody_out() {
    let (host, session) = signed_in().await;
    host.server.on_every_subscription(Fault::access_refused());
    let mut stream = subscribe(&session);

    assert_eq!(failed(&host, &mut stream).await.code(), Code::AccessDenied);

    let counts = host.server.counts();
    assert_eq!((counts.renewals, counts.subscriptions), (1, 2));
    assert_eq!(session.status().phase, Phase::SignedIn);
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_stream_waits_out_an_outage_of_the_renewal() {
    let (host, session) = with_expired_token().await;
    host.server.on_every_renewal(Fault::status(503));
    let mut stream = subscribe(&session);
    lost(&host, &mut stream).await;
    host.server.behave();

    loop {
        match heard(&host, &mut stream).await {
            StreamEvent::Lost { .. } => {}
            event => break assert_eq!(event, StreamEvent::Open),
        }
    }
}

// ── Losses ──────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_minute_of_silence_is_a_loss_and_comments_count_as_life() {
    let (host, _session, mut stream, feed) = open_stream().await;
    host.clock.wait_for_calm_rounds(40);
    let five_minutes = async {
        tokio::select! {
            event = stream.next() => panic!("comments were sent all the time: {event:?}"),
            () = host.clock.sleep(5 * MINUTE) => {}
        }
    };
    host.clock.run_until(five_minutes).await;

    feed.fall_silent();
    let since = host.clock.awake();
    lost(&host, &mut stream).await;

    let silence = host.clock.awake() - since;
    assert!(silence <= MINUTE && silence > 45 * SECOND, "{silence:?}");
    assert_eq!(heard(&host, &mut stream).await, StreamEvent::Reconnected);
    wait_for_a_closed_stream(&host).await;
}

#[tokio::test]
async fn a_body_that_ends_without_complete_is_a_loss_and_complete_is_the_end() {
    let (host, _session, mut stream, feed) = open_stream().await;
    feed.next("{\"data\":1}");
    feed.end();
    assert_eq!(heard(&host, &mut stream).await, next("{\"data\":1}"));
    lost(&host, &mut stream).await;
    assert_eq!(heard(&host, &mut stream).await, StreamEvent::Reconnected);

    let feed = host.server.feed(1).await;
    feed.next("{\"data\":2}");
    feed.complete();

    assert_eq!(heard(&host, &mut stream).await, next("{\"data\":2}"));
    assert_eq!(heard(&host, &mut stream).await, StreamEvent::Complete);
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn pauses_between_reconnects_grow_to_their_limit_and_are_kept() {
    let (host, _session, mut stream, feed) = open_stream().await;
    host.clock.wait_for_calm_rounds(40);
    draw_the_longest(&host);
    host.server.on_every_subscription(Fault::Close);
    feed.cut();

    assert_eq!(lost(&host, &mut stream).await, SECOND);
    for seconds in [1, 2, 4, 8, 16, 30] {
        let since = host.clock.awake();
        let next_pause = lost(&host, &mut stream).await;
        assert_eq!(host.clock.awake() - since, seconds * SECOND);
        assert_eq!(next_pause, SECOND * u32::min(2 * seconds, 30));
    }
}

#[tokio::test]
async fn a_stream_that_lasted_a_minute_reconnects_as_after_a_first_loss() {
    let host = patient_host().await;
    let session = signed_in_session(&host).await;
    draw_the_longest(&host);
    host.server.on_subscription(Fault::Close);
    host.server.on_subscription(Fault::Close);
    let mut stream = subscribe(&session);
    assert_eq!(lost(&host, &mut stream).await, SECOND);
    assert_eq!(lost(&host, &mut stream).await, 2 * SECOND);
    assert_eq!(heard(&host, &mut stream).await, StreamEvent::Open);
    host.server.feed(0).await.cut();
    // A short connection does not end the backoff.
    assert_eq!(lost(&host, &mut stream).await, 4 * SECOND);
    assert_eq!(heard(&host, &mut stream).await, StreamEvent::Reconnected);

    host.clock.pass(MINUTE).await;
    host.server.feed(1).await.cut();

    assert_eq!(lost(&host, &mut stream).await, SECOND);
}

#[tokio::test]
async fn a_throttle_at_connect_is_waited_out_for_as_long_as_the_server_asks() {
    for status in [429, 503] {
        let (host, session) = signed_in().await;
        let fault = Fault::retry_after(status, "90");
        host.server.on_subscription(fault);
        let mut stream = subscribe(&session);
        let since = host.clock.awake();

        assert_eq!(lost(&host, &mut stream).await, 90 * SECOND);
        assert_eq!(heard(&host, &mut stream).await, StreamEvent::Open);

        assert!(host.clock.awake() - since >= 90 * SECOND);
    }
}

#[tokio::test]
async fn the_answer_of_a_portal_or_proxy_at_connect_is_a_loss() {
    for fault in [
        Fault::html(200),
        Fault::status(502),
        Fault::redirect("http://portal.example"),
        Fault::json("{\"message\":\"no healthy upstream\"}"),
        Fault::empty(),
        Fault::Reset,
        Fault::Stall,
    ] {
        let (host, session) = signed_in().await;
        host.server.on_subscription(fault);
        let mut stream = subscribe(&session);

        lost(&host, &mut stream).await;

        assert_eq!(heard(&host, &mut stream).await, StreamEvent::Open);
        assert_eq!(host.server.counts().renewals, 0);
    }
}

// ── Ends ────────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_sign_out_closes_every_stream_whether_it_is_open_pauses_or_connects() {
    let (host, session) = signed_in().await;
    let (mut open, _feed) = opened(&host, &session).await;
    host.server.on_subscription(Fault::Close);
    let mut pausing = subscribe(&session);
    lost(&host, &mut pausing).await;
    host.server.on_subscription(Fault::Stall);
    let mut connecting = subscribe(&session);
    let ends = tokio::spawn(async move {
        let ends = tokio::join!(open.next(), pausing.next(), connecting.next());
        (ends, open)
    });
    let all_arrived = |counts: &Counts| counts.subscriptions == 3;
    host.server.wait_for(all_arrived).await;
    let since = host.clock.awake();

    session.sign_out().await;

    let ((first, second, third), open) = ends.await.expect("no panic");
    for event in [first, second, third] {
        assert_eq!(event, Some(StreamEvent::Failed(signed_out())));
    }
    wait_for_a_closed_stream(&host).await;
    assert_eq!(host.clock.awake(), since, "at once");
    drop(open);
}

#[tokio::test]
async fn an_ending_closes_a_stream() {
    let (host, session, mut stream, _feed) = open_stream().await;
    host.server.revoke_sessions();
    host.server.expire_access_tokens();
    assert_eq!(call_fails(&session).await, Code::SignedOut);

    assert_eq!(failed(&host, &mut stream).await, signed_out());

    wait_for_a_closed_stream(&host).await;
    let mut late = subscribe(&session);
    assert_eq!(failed(&host, &mut late).await, signed_out());
    assert_eq!(host.server.counts().subscriptions, 1);
}

#[tokio::test]
async fn a_new_sign_in_of_the_same_person_closes_the_streams_of_the_session_before() {
    let (host, session, mut stream, _feed) = open_stream().await;

    host.sign_in(&session).await;

    assert_eq!(session.status().phase, Phase::SignedIn);
    assert_eq!(failed(&host, &mut stream).await, signed_out());
    opened(&host, &session).await;
}

#[tokio::test]
async fn a_sign_out_in_another_process_closes_a_stream() {
    let (host, _session, mut stream, _feed) = open_stream().await;
    let other = host.session(DEFAULT_ACCOUNT).await;
    wait_for_phase(&host, &other, Phase::SignedIn).await;

    other.sign_out().await;

    assert_eq!(failed(&host, &mut stream).await, signed_out());
}

#[tokio::test]
async fn a_dropped_stream_closes_its_connection() {
    let (host, _session, stream, _feed) = open_stream().await;

    drop(stream);

    wait_for_a_closed_stream(&host).await;
}

// ── Events ──────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_graphql_error_instead_of_a_stream_is_handed_on_and_is_the_end() {
    let (host, session) = signed_in().await;
    let error = "{\"errors\":[{\"message\":\"Cannot query field \\\"nope\\\"\"}]}";
    for status in [200, 400, 500] {
        host.server.on_subscription(Fault::answer_with(
            status,
            "content-type",
            "application/json",
            error,
        ));
        let mut stream = subscribe(&session);

        assert_eq!(heard(&host, &mut stream).await, next(error));
        assert_eq!(heard(&host, &mut stream).await, StreamEvent::Complete);
        assert_eq!(stream.next().await, None);
    }
    assert_eq!(host.server.counts().renewals, 0);
}

#[tokio::test]
async fn payloads_are_untouched_however_the_bytes_come() {
    let (host, _session, mut stream, feed) = open_stream().await;
    let payload = "{ \"z\":12345678901234567890123, \"a\":1.50,\"é\":\"\\u00e9 – \\/\"}";
    for byte in format!(":\r\n\r\nid: 7\r\nevent: next\r\ndata: {payload}\r\n\r\n").bytes() {
        feed.bytes([byte]);
    }
    feed.bytes("event: ping\ndata: {}\n\ndata: nameless\n\nevent: next\n\n");
    feed.bytes("event: next\ndata: {\ndata: }\n\n");

    assert_eq!(heard(&host, &mut stream).await, next(payload));
    assert_eq!(heard(&host, &mut stream).await, next("{\n}"));
}

#[tokio::test]
async fn an_event_without_an_end_is_refused_while_it_is_read() {
    let (host, _session, mut stream, feed) = open_stream().await;
    feed.bytes("event: next\ndata: ");
    for _ in 0..5 {
        feed.bytes(vec![b'x'; 1 << 20]);
    }

    assert_eq!(failed(&host, &mut stream).await.code(), Code::TooLarge);
    assert_eq!(stream.next().await, None);
    wait_for_a_closed_stream(&host).await;
}

#[tokio::test]
async fn the_reply_limit_holds_for_events_and_for_answers_without_a_stream() {
    let (host, session) = signed_in_with(|config| config.limits.reply_bytes = 1_000).await;
    let (mut stream, feed) = opened(&host, &session).await;

    // Together they are longer than the limit, which is for each event.
    for _ in 0..3 {
        let payload = format!("\"{}\"", "x".repeat(900));
        feed.next(&payload);
        assert_eq!(heard(&host, &mut stream).await, next(&payload));
    }
    feed.next(&format!("\"{}\"", "x".repeat(1_000)));

    assert_eq!(failed(&host, &mut stream).await.code(), Code::TooLarge);
}

#[tokio::test]
async fn a_slow_reader_holds_the_server_back() {
    /// Far more than sockets and HTTP buffer for a reader that does not read: some 10 MiB on Linux.
    const EVENTS: usize = 64;
    let (host, _session, mut stream, feed) = open_stream().await;
    host.clock.wait_for_calm_rounds(40);
    let payload = format!("\"{}\"", "x".repeat(1 << 20));
    for _ in 0..EVENTS {
        feed.next(&payload);
    }
    assert_eq!(heard(&host, &mut stream).await, next(&payload));

    host.clock.quiet().await;

    let written = host.server.counts().streamed_bytes >> 20;
    assert!(written < 32, "{written} MiB were taken from the server");
    for _ in 1..EVENTS {
        assert_eq!(heard(&host, &mut stream).await, next(&payload));
    }
}

#[tokio::test]
async fn streams_do_not_count_as_calls_on_the_wire() {
    let (host, session) = signed_in_with(|config| config.limits.concurrent_calls = 1).await;

    let _streams = [opened(&host, &session).await, opened(&host, &session).await];

    call_succeeds(&session).await;
}

#[tokio::test]
async fn a_subscribe_without_a_subscription_or_to_elsewhere_is_refused_unsent() {
    let (host, session) = signed_in().await;
    let before = host.server.counts();
    let mut with_token = subscription(FIELD);
    with_token.headers = vec![("Authorization".into(), "Bearer mine".into())];
    for call in [
        query(FIELD),
        mutation(FIELD),
        call("https://evil.example/graphql", "subscription", FIELD),
        call("rest", "subscription", FIELD),
        with_token,
    ] {
        assert_eq!(code(session.subscribe(call)), Code::InvalidRequest);
    }
    host.clock.quiet().await;
    assert_eq!(host.server.counts(), before);
}

#[tokio::test]
async fn neither_a_stream_nor_its_events_show_a_token_or_a_payload() {
    let (host, session, mut stream, feed) = open_stream().await;
    let mut shown = format!("{stream:?}");
    feed.next("{\"data\":\"private\"}");
    feed.cut();
    for _ in 0..3 {
        let event = heard(&host, &mut stream).await;
        shown.push_str(&format!("{event:?} {stream:?}"));
    }
    host.server.on_every_subscription(Fault::access_refused());
    let mut denied = subscribe(&session);
    let error = failed(&host, &mut denied).await;
    shown.push_str(&format!("{error:?} {error} {denied:?}"));

    assert!(shown.contains("Next(18 bytes)"), "{shown}");
    for secret in host.server.secrets() {
        assert!(!shown.contains(&secret));
    }
    assert!(!shown.contains("private"));
}

fn signed_out() -> Error {
    Error::new(Code::SignedOut, "You are signed out. Sign in to go on.")
}
