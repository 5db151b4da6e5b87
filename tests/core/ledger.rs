//! The test server's ledger is right about what was exchanged, what was lost, and why a session was rejected.

use std::time::Duration;

use graphql_session::{Clock as _, DEFAULT_ACCOUNT, Phase, Session};
use graphql_session_testing::{
    AnswerFate, Attempt, AttemptOutcome, EMAIL, Explanation, Fact, Fault, Rejection, Revocation,
    TestHost, query,
};

use crate::fixture::{
    MINUTE, SECOND, call_succeeds, lose_an_answer, signed_in, wait_for_phase, with_expired_token,
};

/// Every attempt so far, in their order, without its time.
fn attempts(host: &TestHost) -> Vec<Attempt> {
    let ledger = host.server.ledger();
    let mut attempts: Vec<_> = ledger.attempts().map(|(_, attempt)| *attempt).collect();
    for attempt in &mut attempts {
        attempt.over_at = None;
    }
    attempts
}

/// One query; its outcome does not matter.
async fn call(host: &TestHost, session: &Session) {
    let calling = session.execute(query("people"));
    let _ = host.clock.run_until(calling).await;
}

/// An attempt with the fresh token of the sign-in, whose answer was written.
fn attempt(outcome: AttemptOutcome) -> Attempt {
    Attempt {
        pair: Some(1),
        spent: None,
        beside: 0,
        outcome,
        answer: AnswerFate::Written,
        over_at: None,
    }
}

#[tokio::test]
async fn the_ledger_numbers_exchanges_and_tells_lost_requests_from_lost_answers() {
    let (host, session) = with_expired_token().await;
    host.server.on_renewal(Fault::Reset);
    host.server.on_renewal(Fault::rotate_then_drop());
    call(&host, &session).await;

    let attempts = attempts(&host);
    let mut lost = [AttemptOutcome::Untouched, AttemptOutcome::Exchanged(2)].map(attempt);
    for attempt in &mut lost {
        attempt.answer = AnswerFate::Lost;
    }
    assert_eq!(attempts[..2], lost);
    let mut again = attempt(AttemptOutcome::Exchanged(3));
    again.spent = attempts[2].spent;
    assert_eq!(attempts[2..], [again]);
    assert!(again.spent.is_some_and(|spent| spent.inside_grace));

    let ledger = host.server.ledger();
    assert_eq!(ledger.exchanges().count(), 2);
    assert_eq!(ledger.spent_outside_grace().count(), 0);
    assert_eq!(ledger.attempts_at_once(), 1);
    host.clock.advance(SECOND);
    let now = host.clock.wall();
    assert_eq!(ledger.newer_shown(1, now), Some(3), "it served a call");
    assert_eq!(ledger.newer_shown(2, now), None, "its answer was lost");
    assert_eq!(ledger.sessions_of(EMAIL).len(), 1);
}

#[tokio::test]
async fn a_lost_answer_past_its_grace_time_explains_the_rejection_of_its_token() {
    let (host, session) = with_expired_token().await;
    lose_an_answer(&host, &session, Fault::Reset, 2 * MINUTE).await;
    host.server.behave();
    wait_for_phase(&host, &session, Phase::Ended).await;

    let ledger = host.server.ledger();
    let (rejection, attempt) = ledger.rejections().next().expect("rejected");
    assert_eq!(attempt.outcome, AttemptOutcome::Rejected(Rejection::Spent));
    assert_eq!(ledger.spent_outside_grace().count(), 1);
    assert_eq!(ledger.explain(rejection), Some(Explanation::LostAnswer));
    assert_eq!(ledger.explain_session(1), Some(Explanation::LostAnswer));
    assert!(ledger.has_lost_answer(1));
}

#[tokio::test]
async fn a_session_revoked_for_another_sessions_spent_token_has_lost_no_answer_itself() {
    let (host, session) = with_expired_token().await;
    let elsewhere = host.another();
    let other = elsewhere.session(DEFAULT_ACCOUNT).await;
    elsewhere.sign_in(&other).await;
    lose_an_answer(&host, &session, Fault::Reset, 2 * MINUTE).await;
    host.server.behave();
    wait_for_phase(&host, &session, Phase::Ended).await;
    host.server.expire_access_tokens();
    call(&elsewhere, &other).await;

    let ledger = host.server.ledger();
    assert_eq!(ledger.explain_session(2), Some(Explanation::LostAnswer));
    assert!(!ledger.has_lost_answer(2));
}

#[tokio::test]
async fn the_rejection_of_a_spent_token_whose_successor_was_used_has_no_explanation() {
    let (host, session) = with_expired_token().await;
    let backup = host.vault.stored(DEFAULT_ACCOUNT);
    call_succeeds(&session).await;
    session.close().await;
    // A person restored an old copy of the keyring and of the application's folder.
    let restored = host.another();
    let backup = backup.expect("stored");
    restored.vault.replace(DEFAULT_ACCOUNT, backup);
    let folder = restored.file(DEFAULT_ACCOUNT, "");
    std::fs::create_dir_all(&folder).expect("own folder");
    let id = host.file(DEFAULT_ACCOUNT, "id");
    std::fs::copy(id, folder.join("id")).expect("own folder");
    host.clock.advance(2 * MINUTE);
    let session = restored.session(DEFAULT_ACCOUNT).await;
    call(&host, &session).await;

    let ledger = host.server.ledger();
    let (rejection, attempt) = ledger.rejections().next().expect("rejected");
    assert_eq!(attempt.pair, Some(1));
    assert_eq!(ledger.newer_shown(1, rejection.at), Some(2));
    assert_eq!(ledger.explain(rejection), None);
}

#[tokio::test]
async fn an_injected_revocation_explains_only_its_session_and_a_sign_out_is_no_rejection() {
    let (host, session) = with_expired_token().await;
    host.server.revoke_sessions_of(EMAIL);
    call(&host, &session).await;

    let ledger = host.server.ledger();
    assert_eq!(ledger.explain_session(1), Some(Explanation::Injected));
    let revoked = Rejection::Revoked(Revocation::Injected);
    let rejected = attempt(AttemptOutcome::Rejected(revoked));
    assert_eq!(attempts(&host), [rejected]);

    host.sign_in(&session).await;
    session.sign_out().await;
    host.server.wait_for(|counts| counts.sign_outs == 1).await;
    let ledger = host.server.ledger();
    let last = ledger.entries().last().expect("facts");
    assert!(matches!(last.fact, Fact::SignedOut(_)));
    assert_eq!(last.session, Some(2));
    assert_eq!(ledger.explain_session(2), None, "it was never rejected");
}

#[tokio::test]
async fn the_ledger_shows_no_token_text() {
    let (host, session) = signed_in().await;
    host.clock.advance(Duration::from_secs(60 * 60));
    call(&host, &session).await;

    let ledger = host.server.ledger();
    let lines: Vec<_> = ledger.of_account(EMAIL).map(ToString::to_string).collect();
    let shown = format!("{ledger:?} {}", lines.join("\n"));
    assert!(ledger.exchanges().count() > 0);
    for secret in host.server.secrets() {
        assert!(!shown.contains(&secret));
    }
}
