//! What the answers of an OAuth 2 server prove about a session.

use graphql_session::{Code, DEFAULT_ACCOUNT, EndingReason, OAuth2Settings, Phase, Session};
use graphql_session_testing::rotation::{Grace, OnReuse, Rotation};
use graphql_session_testing::{Fault, Gate, OAuthRules, TestHost, query};

use crate::fixture::oauth::{
    known_client, oauth_host, oauth_signed_in, open_with, sign_in_by_browser,
};
use crate::fixture::{MINUTE, call_fails, call_succeeds, renew, spawn_call};

fn error(status: u16, error: &str) -> Fault {
    Fault::answer(status, format!(r#"{{"error":"{error}"}}"#))
}

#[tokio::test]
async fn only_invalid_grant_ends_a_session() {
    for (fault, cause) in [
        (error(401, "invalid_client"), "invalid_client"),
        (error(400, "unauthorized_client"), "unauthorized_client"),
        (error(400, "invalid_request"), "invalid_request"),
        (
            error(400, "unsupported_grant_type"),
            "unsupported_grant_type",
        ),
        (error(400, "invalid_scope"), "invalid_scope"),
        (error(400, "a word of the vendor"), "oauth_other_error"),
        (error(429, "rate_limit_exceeded"), "throttled"),
        (Fault::answer(400, "<html>Bad request</html>"), "http_400"),
        (Fault::answer(401, ""), "http_401"),
    ] {
        let (host, session) = oauth_signed_in().await;
        host.server.expire_access_tokens();
        host.server.on_every_renewal(fault);

        let code = host.clock.run_until(call_fails(&session)).await;

        assert_eq!(code, Code::Unreachable, "{cause}");
        let status = session.status();
        assert_eq!(status.phase, Phase::Unreachable, "{cause}");
        assert_eq!(
            status.cause.map(|cause| cause.to_string()).as_deref(),
            Some(cause)
        );
        host.server.behave();
        session.retry_now().await;
        host.clock.run_until(call_succeeds(&session)).await;
    }

    let (host, session) = oauth_signed_in().await;
    host.server.expire_access_tokens();
    host.server.on_renewal(error(400, "invalid_grant"));
    assert_eq!(call_fails(&session).await, Code::SignedOut);
    let ending = session.status().ending.expect("it has ended");
    assert_eq!(ending.reason, EndingReason::Rejected);
    assert_eq!(
        ending.cause.map(|cause| cause.to_string()).as_deref(),
        Some("invalid_grant")
    );
}

#[tokio::test]
async fn a_description_that_hides_outages_is_asked_about_once_more() {
    let host = oauth_host(OAuthRules::default()).await;
    let settings = OAuth2Settings {
        ambiguous_descriptions: vec!["Invalid or expired refresh token".into()],
        ..known_client()
    };
    let session = open_with(&host, settings).await;
    sign_in_by_browser(&host, &session)
        .await
        .expect("signed in");
    host.server.expire_access_tokens();
    let body =
        r#"{"error":"invalid_grant","error_description":"Invalid or expired refresh token"}"#;
    host.server.on_renewal(Fault::answer(400, body));

    host.clock.run_until(call_fails(&session)).await;
    assert!(session.status().has_session(), "asked once more first");
    host.clock.pass(std::time::Duration::from_secs(31)).await;

    host.clock.run_until(call_succeeds(&session)).await;
}

#[tokio::test]
async fn an_answer_without_a_refresh_token_keeps_the_old_one() {
    let (host, session) = oauth_signed_in().await;
    host.server.on_renewal(Fault::WithoutRefreshToken);
    renew(&host, &session).await;
    renew(&host, &session).await;
    assert_eq!(session.generation(), Some(3));
}

/// A server that ends a session whose refresh token comes a second time, as RFC 9700 recommends.
const STRICT: Rotation = Rotation {
    grace: Grace::None,
    on_reuse: OnReuse::RevokeFamily,
};

async fn at_a_strict_server(settings: OAuth2Settings) -> (TestHost, Session) {
    let host = oauth_host(OAuthRules::default()).await;
    host.server.rotates_as(STRICT);
    let session = open_with(&host, settings).await;
    sign_in_by_browser(&host, &session)
        .await
        .expect("signed in");
    (host, session)
}

#[tokio::test]
async fn a_refresh_token_that_may_have_been_used_is_never_sent_a_second_time() {
    let (host, session) = at_a_strict_server(known_client()).await;
    host.server.on_renewal(Fault::rotate_then_drop());
    host.server.expire_access_tokens();

    let code = host.clock.run_until(call_fails(&session)).await;

    assert!(
        matches!(code, Code::Unreachable | Code::SignedOut),
        "{code:?}"
    );
    host.clock.pass(5 * MINUTE).await;
    assert_eq!(call_fails(&session).await, Code::SignedOut);
    assert_eq!(host.server.counts().renewals, 1);
    let ending = session.status().ending.expect("it has ended");
    assert_eq!(ending.reason, EndingReason::LostAnswer);
    assert_eq!(
        ending.cause.map(|cause| cause.to_string()).as_deref(),
        Some("not_sent_again")
    );
}

#[tokio::test]
async fn what_was_issued_before_is_used_until_it_expires_when_an_early_answer_is_lost() {
    let (host, session) = at_a_strict_server(known_client()).await;
    call_succeeds(&session).await;
    host.server.on_renewal(Fault::rotate_then_drop());
    // Into the last third of 30 minutes, with calls, so that it renews ahead.
    for _ in 0..28 {
        host.clock.pass(MINUTE).await;
        call_succeeds(&session).await;
    }
    assert_eq!(
        host.server.counts().renewals,
        1,
        "one early renewal, whose answer was lost"
    );
    assert_eq!(session.status().phase, Phase::SignedIn);

    host.clock.pass(3 * MINUTE).await;

    assert_eq!(call_fails(&session).await, Code::SignedOut);
    assert_eq!(host.server.counts().renewals, 1);
}

#[tokio::test]
async fn a_process_that_finds_the_mark_of_one_that_died_sends_nothing() {
    let (host, session) = at_a_strict_server(known_client()).await;
    let gate = Gate::new();
    host.server.on_renewal(Fault::hold_answer(&gate));
    host.server.expire_access_tokens();
    let waiting = spawn_call(&session, query("people"));
    host.server.wait_for(|counts| counts.exchanged == 1).await;
    let stored = host.vault.stored(DEFAULT_ACCOUNT);
    waiting.abort();
    // Dies with the mark in the vault, and without the answer.
    let other = host.another();
    other
        .vault
        .replace(DEFAULT_ACCOUNT, stored.expect("it is stored"));

    let after = open_with(&other, known_client()).await;

    assert_eq!(
        other.clock.run_until(call_fails(&after)).await,
        Code::SignedOut
    );
    assert_eq!(host.server.counts().renewals, 1);
    drop((gate, session));
}

#[tokio::test]
async fn where_a_second_use_harms_nothing_the_token_is_sent_again() {
    let settings = OAuth2Settings {
        reuse_ends_session: false,
        ..known_client()
    };
    let (host, session) = at_a_strict_server(settings).await;
    host.server.rotates_as(Rotation {
        on_reuse: OnReuse::KeepFamily,
        ..STRICT
    });
    host.server.on_renewal(Fault::Close);
    host.server.expire_access_tokens();

    host.clock.run_until(call_succeeds(&session)).await;

    assert_eq!(host.server.counts().renewals, 2);
}
