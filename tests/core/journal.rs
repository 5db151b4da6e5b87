//! One record per renewal, from its trigger to its outcome. That `tracing` says the same is in `events.rs`.

use graphql_session::{Cause, Code, DEFAULT_ACCOUNT, Phase, Session, VaultError};
use graphql_session_testing::{EMAIL, Fault, PASSWORD, TestHost, VaultCall, query};
use serde_json::{Value, json};

use crate::fixture::{
    MINUTE, SECOND, call_fails, call_succeeds, call_with_held_answer, code, hold_renewal, join_all,
    late_failure, renew, signed_in, spawn_call, spawn_calls, wait_for_phase, wait_for_refusals,
    with_expired_token,
};

/// Every `renewal` record.
pub(crate) fn facts_of_renewals(session: &Session) -> Vec<Value> {
    let journal = session.journal().into_iter();
    let renewals = journal.filter(|entry| entry.what == "renewal");
    renewals.map(|entry| Value::Object(entry.facts)).collect()
}

/// The same without the times, which differ from run to run.
fn records(session: &Session) -> Vec<Value> {
    let records = facts_of_renewals(session).into_iter();
    records.map(without_times).collect()
}

fn without_times(mut record: Value) -> Value {
    for attempt in record["attempts"].as_array_mut().expect("attempts") {
        let ms = attempt.as_object_mut().expect("an attempt").remove("ms");
        assert!(ms.is_some_and(|ms| ms.is_u64()), "an attempt says how long");
    }
    record
}

/// The one record that there is.
fn only(mut records: Vec<Value>) -> Value {
    assert_eq!(records.len(), 1, "{records:#?}");
    records.remove(0)
}

/// These facts stand in the record, beside others.
#[track_caller]
pub(crate) fn assert_says(record: &Value, facts: &Value) {
    for (fact, value) in facts.as_object().expect("facts") {
        assert_eq!(&record[fact], value, "{fact}");
    }
}

/// A session in an outage of its renewals, whose first call has failed.
async fn in_an_outage() -> (TestHost, Session) {
    let (host, session) = with_expired_token().await;
    host.server.on_every_renewal(Fault::status(503));
    assert_eq!(late_failure(&host, &session).await, Code::Unreachable);
    (host, session)
}

#[tokio::test]
async fn a_plain_renewal_is_one_record_from_its_trigger_to_its_save() {
    let (host, session) = with_expired_token().await;
    let gate = hold_renewal(&host);
    let calls = spawn_calls(&session, 3, &query("people"));
    wait_for_refusals(&host, 3).await;
    host.clock.quiet().await;
    gate.open();
    join_all(calls).await;

    let record = json!({
        "why": "refused", "from": 1, "to": 2, "waiters": 3,
        "attempts": [{ "verdict": "renewed", "cause": "new_tokens" }], "attemptCount": 1,
        "lockWaitMs": 0, "saved": true, "outcome": "renewed",
    });
    assert_eq!(records(&session), [record]);
}

#[tokio::test]
async fn a_renewal_ahead_of_expiry_is_a_record_without_waiters() {
    let (host, session) = signed_in().await;
    for _ in 0..24 {
        host.clock.pass_in_strides(MINUTE, 10 * SECOND).await;
        call_succeeds(&session).await;
    }

    let record = only(records(&session));
    assert_says(
        &record,
        &json!({ "why": "ahead", "waiters": 0, "outcome": "renewed" }),
    );
}

#[tokio::test]
async fn three_attempts_of_different_verdicts_are_one_record() {
    let (host, session) = with_expired_token().await;
    host.server.on_renewal(Fault::retry_after(503, "2"));
    host.server.on_renewal(Fault::rotate_then_drop());

    host.clock.run_until(call_succeeds(&session)).await;

    let record = json!({
        "why": "refused", "from": 1, "to": 2, "waiters": 1,
        "attempts": [
            {
                "verdict": "inconclusive", "cause": "http_503", "httpStatus": 503,
                "token": "not_used", "retryAfterMs": 2_000,
            },
            { "verdict": "inconclusive", "cause": "connection_lost", "token": "maybe_used" },
            { "verdict": "renewed", "cause": "new_tokens" },
        ],
        "attemptCount": 3, "lockWaitMs": 0, "saved": true, "outcome": "renewed",
    });
    assert_eq!(records(&session), [record]);
}

#[tokio::test]
async fn the_time_of_an_attempt_and_the_wait_for_the_lock_are_noted_in_milliseconds() {
    let (host, session) = with_expired_token().await;
    let other = host.session(DEFAULT_ACCOUNT).await;
    host.server.on_renewal(Fault::Stall);
    let first = spawn_call(&other, query("people"));
    host.server.wait_for(|counts| counts.renewals == 1).await;
    // The other process holds the lock, and its attempt stalls for its whole limit of 10 s. A process
    // takes a lock up to 20 ms of real time after its release.
    host.clock.wait_for_calm_rounds(100);
    let second = spawn_call(&session, query("companies"));
    host.clock.run_until(join_all(vec![first, second])).await;

    let stalled = &facts_of_renewals(&other)[0];
    assert_eq!(stalled["attempts"][0]["ms"], 10_000);
    let waited = &facts_of_renewals(&session)[0];
    let waited_ms = waited["lockWaitMs"].as_u64();
    assert!(waited_ms.is_some_and(|ms| ms >= 10_000), "{waited:?}");
}

#[tokio::test]
async fn a_renewal_whose_save_failed_says_why_and_that_it_renewed() {
    let (host, session) = with_expired_token().await;
    host.vault.fail(VaultCall::Write, VaultError::Locked);

    call_succeeds(&session).await;

    let record = only(records(&session));
    assert_says(
        &record,
        &json!({ "outcome": "renewed", "saved": "keyring_locked" }),
    );

    // A later save is no renewal.
    host.vault.work_again();
    host.clock.pass(MINUTE).await;
    assert_eq!(records(&session), [record]);
}

#[tokio::test]
async fn an_adoption_is_a_record_with_the_generation_that_was_found_and_no_attempt() {
    let (host, renewing) = signed_in().await;
    let adopting = host.session(DEFAULT_ACCOUNT).await;
    call_succeeds(&adopting).await;
    renew(&host, &renewing).await;

    call_succeeds(&adopting).await;

    let record = json!({
        "why": "refused", "from": 1, "to": 2, "waiters": 1,
        "attempts": [], "attemptCount": 0, "lockWaitMs": 0, "outcome": "adopted",
    });
    assert_eq!(records(&adopting), [record]);
}

#[tokio::test]
async fn a_rejected_renewal_is_a_record_and_an_ending_with_its_reason_and_cause() {
    let (host, session) = with_expired_token().await;
    host.server.revoke_sessions();

    assert_eq!(call_fails(&session).await, Code::SignedOut);

    let record = json!({
        "why": "refused", "from": 1, "waiters": 1,
        "attempts": [{
            "verdict": "rejected", "cause": "graphql_FORBIDDEN", "httpStatus": 200,
        }],
        "attemptCount": 1, "lockWaitMs": 0, "outcome": "ended", "reason": "rejected",
        "cause": "graphql_FORBIDDEN",
    });
    assert_eq!(records(&session), [record]);
    let ending = session.status().ending.expect("an ending");
    let cause = ending.cause.expect("this process heard it");
    assert_eq!(cause.to_string(), "graphql_FORBIDDEN");
    assert_eq!(cause.http_status(), Some(200));
}

#[tokio::test]
async fn an_ambiguous_rejection_that_is_confirmed_shows_both_answers() {
    let (host, session) = with_expired_token().await;
    host.server.remove_member(EMAIL);

    let call = spawn_call(&session, query("people"));
    wait_for_phase(&host, &session, Phase::Ended).await;

    assert_eq!(code(call.await.expect("no panic")), Code::Unreachable);
    let records = records(&session);
    assert_eq!(records[0]["outcome"], "unreachable");
    let ended = records.last().expect("a record");
    let answer = json!({
        "verdict": "rejected", "cause": "graphql_INTERNAL_SERVER_ERROR", "httpStatus": 200,
        "ambiguous": true,
    });
    assert_eq!(records[0]["attempts"], json!([answer]));
    assert_eq!(ended["attempts"], json!([answer]));
    assert_eq!(ended["outcome"], "ended");
}

#[tokio::test]
async fn a_sign_out_during_a_renewal_closes_its_record_with_the_late_verdict() {
    let (host, session) = with_expired_token().await;
    let (call, gate) = call_with_held_answer(&host, &session).await;

    session.sign_out().await;
    assert_eq!(code(call.await.expect("no panic")), Code::SignedOut);
    gate.open();
    host.clock.quiet().await;

    let record = json!({
        "why": "refused", "from": 1, "waiters": 1,
        "attempts": [{ "verdict": "renewed", "cause": "new_tokens" }], "attemptCount": 1,
        "lockWaitMs": 0, "outcome": "signed_out",
    });
    assert_eq!(records(&session), [record]);
}

#[tokio::test]
async fn a_renewal_that_gives_up_is_one_record_and_the_servers_return_is_another() {
    let (host, session) = in_an_outage().await;
    host.server.behave();
    wait_for_phase(&host, &session, Phase::SignedIn).await;

    let records = records(&session);
    assert_eq!(records.len(), 2);
    let gave_up = json!({ "outcome": "unreachable", "reason": "server", "waiters": 1 });
    assert_says(&records[0], &gave_up);
    assert_eq!(records[1]["outcome"], "renewed");
    let attempts = |record: &Value| record["attemptCount"].as_u64().expect("a number");
    let attempts: u64 = records.iter().map(attempts).sum();
    assert_eq!(attempts, host.server.counts().renewals);
}

#[tokio::test]
async fn the_cause_of_an_outage_stands_in_error_status_and_journal() {
    let (host, session) = with_expired_token().await;
    host.server.on_every_renewal(Fault::status(503));

    let call = session.execute(query("people"));
    let error = host.clock.run_until(call).await.expect_err("it is away");

    assert_eq!(error.cause(), Some(Cause::Http(503)));
    assert_eq!(session.status().cause, Some(Cause::Http(503)));
    assert_eq!(records(&session)[0]["cause"], "http_503");
    host.server.behave();
    wait_for_phase(&host, &session, Phase::SignedIn).await;
    assert_eq!(session.status().cause, None);
}

#[tokio::test]
async fn diagnostics_tell_what_happened_and_neither_who_nor_where_nor_a_token() {
    let (host, session) = in_an_outage().await;

    let text = session.diagnostics();

    let phase = "phase: \"unreachable\"";
    for line in [phase, "cause: http_503", "protocol: twenty"] {
        assert!(text.lines().any(|known| known == line), "{line}: {text}");
    }
    assert!(text.contains(" attempt_sent: {"), "the journal: {text}");
    let address = host.server.address();
    let port = address.rsplit(':').next().expect("a port");
    // A JSON Web Token begins like this; `secrecy.rs` looks for each token of a full run.
    for secret in [EMAIL, PASSWORD, "eyJ", &format!(":{port}")] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

#[tokio::test]
async fn an_outage_of_hours_keeps_the_last_twenty_attempts_of_a_renewal_and_counts_all() {
    let (host, session) = in_an_outage().await;
    let told = host.server.counts().renewals;
    host.clock.pass_in_strides(60 * MINUTE, 10 * SECOND).await;
    host.server.behave();
    wait_for_phase(&host, &session, Phase::SignedIn).await;

    let records = records(&session);
    let last = records.last().expect("a record");
    assert_eq!(last["attemptCount"], host.server.counts().renewals - told);
    let attempts = last["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 20);
    assert_eq!(attempts[19]["verdict"], "renewed");
}

/// A thousand entries are kept: after some 400 renewals the oldest are gone, and nothing grows any more.
#[tokio::test]
async fn thousands_of_renewals_keep_the_journal_at_its_bound() {
    let (host, session) = signed_in().await;
    for _ in 0..2_000 {
        renew(&host, &session).await;
    }

    assert_eq!(session.journal().len(), 1_000);
    let newest = records(&session).pop().expect("a record");
    assert_eq!(newest["to"], 2_001);
}
