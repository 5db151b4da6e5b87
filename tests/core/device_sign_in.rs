//! Signing in by a code that the person types on another device (RFC 8628).

use std::time::Duration;

use graphql_session::{
    Clock as _, Code, Phase, Session, SignIn, SignInEvent, SignInMethod, SignInStep,
};
use graphql_session_testing::{EMAIL, Fault, OAuthRules, TestHost};

use crate::fixture::oauth::{known_client, oauth_host, oauth_signed_out, open_with, refusal};
use crate::fixture::{SECOND, call_succeeds};

/// Begins a sign-in; returns it with the code to type.
async fn begin(host: &TestHost, session: &Session) -> (SignIn, String) {
    let server = host.server.address();
    let beginning = session.begin_sign_in(&server, Some(SignInMethod::Device));
    let mut sign_in = beginning.expect("an address");
    match sign_in.next().await.expect("a step") {
        SignInEvent::Step(SignInStep::Device {
            user_code,
            verification_url,
            complete_url,
            expires_in_seconds,
        }) => {
            assert_eq!(verification_url, format!("{server}/device"));
            assert!(complete_url.is_some_and(|url| url.ends_with(&user_code)));
            assert_eq!(expires_in_seconds, 600);
            (sign_in, user_code)
        }
        other => panic!("no device code: {other:?}"),
    }
}

/// How long after each other the polls came, in seconds.
fn pauses(host: &TestHost) -> Vec<i64> {
    let polls: Vec<_> = host
        .server
        .seen()
        .into_iter()
        .filter(|seen| seen.path == "/oauth/token")
        .map(|seen| seen.at.as_second())
        .collect();
    polls.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test]
async fn a_code_typed_elsewhere_signs_in_at_the_next_poll() {
    let (host, session) = oauth_signed_out().await;
    let (mut sign_in, user_code) = begin(&host, &session).await;
    host.server.answer_device(&user_code, Some(EMAIL));

    let event = host.clock.run_until(sign_in.next()).await;

    assert!(matches!(event, Ok(SignInEvent::Done(_))), "{event:?}");
    assert_eq!(session.status().phase, Phase::SignedIn);
    call_succeeds(&session).await;
}

#[tokio::test]
async fn each_slow_down_lengthens_this_and_all_later_pauses_by_five_seconds() {
    let (host, session) = oauth_signed_out().await;
    let (mut sign_in, user_code) = begin(&host, &session).await;
    host.server.slow_down(2);

    let server = host.server.clone();
    let typed = async {
        server.wait_for(|counts| counts.requests >= 7).await;
        server.answer_device(&user_code, Some(EMAIL));
        std::future::pending::<()>().await
    };
    let event = tokio::select! {
        event = host.clock.run_until(sign_in.next()) => event,
        () = typed => unreachable!("it waits for ever"),
    };

    assert!(matches!(event, Ok(SignInEvent::Done(_))), "{event:?}");
    let pauses = pauses(&host);
    assert_eq!(pauses[..2], [10, 15], "{pauses:?}");
    assert!(pauses[2..].iter().all(|pause| *pause == 15), "{pauses:?}");
}

#[tokio::test]
async fn a_poll_without_an_answer_doubles_the_pause_and_goes_on() {
    let (host, session) = oauth_signed_out().await;
    let (mut sign_in, user_code) = begin(&host, &session).await;
    host.server.answer_device(&user_code, Some(EMAIL));
    host.server.on_sign_in(Fault::Close);
    host.server.on_sign_in(Fault::status(503));

    let event = host.clock.run_until(sign_in.next()).await;

    assert!(matches!(event, Ok(SignInEvent::Done(_))), "{event:?}");
    assert_eq!(pauses(&host), [10, 15]);
}

#[tokio::test]
async fn a_code_that_nobody_types_expires_and_is_not_polled_for_ever() {
    let (host, session) = oauth_signed_out().await;
    let (mut sign_in, _) = begin(&host, &session).await;
    let began = host.clock.awake();

    let outcome = host.clock.run_until(sign_in.next()).await;

    assert_eq!(refusal(outcome), Code::SignInTimedOut);
    assert!(host.clock.awake() - began <= Duration::from_secs(600) + 5 * SECOND);
}

#[tokio::test]
async fn a_person_who_declines_and_an_unknown_client_are_named() {
    let (host, session) = oauth_signed_out().await;
    let (mut sign_in, user_code) = begin(&host, &session).await;
    host.server.answer_device(&user_code, None);
    let error = host
        .clock
        .run_until(sign_in.next())
        .await
        .expect_err("declined");
    assert_eq!(error.code(), Code::SignInRefused);
    assert_eq!(
        error.cause().map(|cause| cause.to_string()).as_deref(),
        Some("access_denied")
    );

    let host = oauth_host(OAuthRules::default()).await;
    let mut settings = known_client();
    settings.client = graphql_session::OAuth2Client::Id("nobodys".into());
    let session = open_with(&host, settings).await;
    let server = host.server.address();
    let beginning = session.begin_sign_in(&server, Some(SignInMethod::Device));
    let outcome = beginning.expect("an address").next().await;
    let error = outcome.expect_err("unknown");
    assert_eq!(
        error.cause().map(|cause| cause.to_string()).as_deref(),
        Some("invalid_client")
    );
}
