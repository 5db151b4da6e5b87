//! The pause that a server asks for: in seconds, or as a date by its own clock.

use graphql_session::{Clock as _, Code, Session};
use graphql_session_testing::{Fault, query};
use jiff::SignedDuration;
use serde_json::Value;

use crate::fixture::{
    MINUTE, SECOND, assert_served, call_succeeds, join_all, late_failure, patient_host,
    patient_with_expired_token, session_with_expired_token, spawn_calls, with_longest_pauses,
};

/// The pause that the answer to the first attempt asked for, in ms.
fn asked_for(session: &Session) -> Value {
    let journal = session.journal();
    let answered = journal.iter().find(|entry| entry.what == "answered");
    let facts = &answered.expect("an attempt").facts;
    facts.get("retryAfterMs").cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_retry_after_that_is_wrong_or_has_passed_asks_for_nothing() {
    let passed = "Mon, 05 Jan 2026 08:00:00 GMT";
    let no_date = "Mon, 45 Jan 2026 09:02:00 GMT";
    for value in ["soon", "-5", "1.5", "12 s", "", "0", passed, no_date] {
        let (host, session) = patient_with_expired_token().await;
        host.server.on_renewal(Fault::retry_after(503, value));
        let began = host.clock.awake();
        host.clock.run_until(call_succeeds(&session)).await;
        let took = host.clock.awake() - began;
        assert!(took <= SECOND, "{value:?}: {took:?}");
        assert_eq!(asked_for(&session), Value::Null, "{value:?}");
    }
}

/// The server is there: it has asked for two seconds.
#[tokio::test]
async fn a_call_in_a_short_pause_waits_for_the_next_attempt_with_the_others() {
    let (host, session) = patient_with_expired_token().await;
    with_longest_pauses(&host);
    host.server.on_renewal(Fault::retry_after(429, "2"));
    let first = spawn_calls(&session, 1, &query("people"));
    host.clock.pass(SECOND).await;

    host.clock.run_until(call_succeeds(&session)).await;

    assert_served(join_all(first).await);
    assert_eq!(host.server.counts().renewals, 2);
}

#[tokio::test]
async fn a_call_in_a_short_pause_is_served_after_others_have_failed() {
    let (host, session) = patient_with_expired_token().await;
    with_longest_pauses(&host);
    host.server.on_renewal(Fault::retry_after(429, "30"));
    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    host.server.on_renewal(Fault::retry_after(429, "3"));
    host.clock.pass(30 * SECOND + SECOND / 2).await;
    assert_eq!(host.server.counts().renewals, 2);

    host.clock.run_until(call_succeeds(&session)).await;

    assert_eq!(host.server.counts().renewals, 3);
}

/// It learns of that after one attempt: the others have failed before it.
#[tokio::test]
async fn a_call_in_a_short_pause_fails_with_the_next_attempt() {
    let (host, session) = patient_with_expired_token().await;
    with_longest_pauses(&host);
    host.server.on_renewal(Fault::retry_after(429, "30"));
    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    host.server.on_every_renewal(Fault::retry_after(429, "3"));
    host.clock.pass(30 * SECOND + SECOND / 2).await;

    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);

    assert_eq!(host.server.counts().renewals, 3);
}

#[tokio::test]
async fn a_retry_after_of_hours_is_capped_at_ten_minutes() {
    for value in ["86400", "Tue, 06 Jan 2026 09:00:00 GMT"] {
        let (host, session) = patient_with_expired_token().await;
        host.server.on_renewal(Fault::retry_after(429, value));
        let call = session.execute(query("people"));
        let error = host.clock.run_until(call).await.expect_err("told when");
        assert_eq!(error.retry_after_hint(), Some(10 * MINUTE), "{value}");
        assert_eq!(asked_for(&session), 600_000, "{value}");

        host.clock.pass(10 * MINUTE + SECOND).await;
        assert_eq!(host.server.counts().renewals, 2, "{value}");
    }
}

/// Either clock may be wrong; with a Date header or, on a proxy's own answer, without one.
#[tokio::test]
async fn a_retry_after_date_is_judged_by_the_servers_clock() {
    for hours in [-24, 1] {
        for has_date in [true, false] {
            let host = patient_host().await;
            let off_by = SignedDuration::from_hours(hours);
            host.server.clock_is_off_by(off_by);
            let session = session_with_expired_token(&host).await;
            host.server.sends_date(has_date);
            let two_minutes_later = match hours {
                -24 => "Sun, 04 Jan 2026 09:02:00 GMT",
                _ => "Mon, 05 Jan 2026 10:02:00 GMT",
            };
            let fault = Fault::retry_after(503, two_minutes_later);
            host.server.on_renewal(fault);
            assert_eq!(late_failure(&host, &session).await, Code::Unreachable);

            let asked = asked_for(&session).as_u64().expect("a pause");
            let case = format!("{asked} ms at {hours} h, Date header: {has_date}");
            assert!((118_000..=120_000).contains(&asked), "{case}");
        }
    }
}
