//! A password and what some servers ask for after it: a one-time code, and which workspace.

use graphql_session::{
    Code, Phase, Session, SignIn, SignInEvent, SignInMethod, SignInStep, StepAnswer,
};
use graphql_session_testing::{EMAIL, ONE_TIME_CODE, TestHost};

use crate::fixture::oauth::refusal;
use crate::fixture::{MINUTE, call_succeeds, signed_in, signed_out};

/// Begins a sign-in and gives the password.
async fn begin(host: &TestHost, session: &Session) -> SignIn {
    let server = host.server.address();
    let beginning = session.begin_sign_in(&server, Some(SignInMethod::Password));
    let mut sign_in = beginning.expect("an address");
    let event = sign_in.next().await;
    assert!(
        matches!(event, Ok(SignInEvent::Step(SignInStep::Password))),
        "{event:?}"
    );
    sign_in.answer(StepAnswer::Password(host.server.person()));
    sign_in
}

/// Answers the question for a one-time code, and says whether the one before was wrong.
async fn give_code(sign_in: &mut SignIn, code: &str) -> bool {
    let event = sign_in.next().await;
    let Ok(SignInEvent::Step(SignInStep::OneTimeCode { was_wrong })) = event else {
        panic!("no question for a code: {event:?}");
    };
    sign_in.answer(StepAnswer::OneTimeCode(code.into()));
    was_wrong
}

#[tokio::test]
async fn a_one_time_code_is_asked_for_again_after_a_wrong_one() {
    let (host, session) = signed_out().await;
    host.server.ask_second_factor(EMAIL);
    let mut sign_in = begin(&host, &session).await;

    assert!(!give_code(&mut sign_in, "000000").await);
    assert!(give_code(&mut sign_in, ONE_TIME_CODE).await);

    let event = sign_in.next().await;
    assert!(matches!(event, Ok(SignInEvent::Done(_))), "{event:?}");
    call_succeeds(&session).await;
}

#[tokio::test]
async fn five_wrong_one_time_codes_leave_nobody_signed_in() {
    let (host, session) = signed_out().await;
    host.server.ask_second_factor(EMAIL);
    let mut sign_in = begin(&host, &session).await;
    for wrong_before in 0..5 {
        assert_eq!(give_code(&mut sign_in, "000000").await, wrong_before > 0);
    }

    assert_eq!(refusal(sign_in.next().await), Code::WrongPassword);

    assert_eq!(session.status().phase, Phase::SignedOut);
    // A new sign-in begins where it can.
    let mut sign_in = begin(&host, &session).await;
    assert!(!give_code(&mut sign_in, ONE_TIME_CODE).await);
    assert!(sign_in.next().await.is_ok());
}

#[tokio::test]
async fn a_person_with_several_workspaces_chooses_one_and_is_signed_in_there() {
    let (host, session) = signed_out().await;
    let there = host.server.address_as("localhost");
    host.server
        .has_workspaces(&[("Apple", host.server.address()), ("Pear", there.clone())]);
    let mut sign_in = begin(&host, &session).await;
    let Ok(SignInEvent::Step(SignInStep::Choose { workspaces })) = sign_in.next().await else {
        panic!("nothing to choose");
    };
    let names: Vec<_> = workspaces
        .iter()
        .map(|workspace| &*workspace.name)
        .collect();
    assert_eq!(names, ["Apple", "Pear"]);

    sign_in.answer(StepAnswer::Workspace(1));
    let event = sign_in.next().await;

    assert!(matches!(event, Ok(SignInEvent::Done(_))), "{event:?}");
    assert_eq!(session.status().server, Some(there));
    call_succeeds(&session).await;
}

#[tokio::test]
async fn the_only_workspace_is_not_asked_for() {
    let (host, session) = signed_out().await;
    host.server
        .has_workspaces(&[("Apple", host.server.address())]);

    let server = host.server.address();
    let status = session.sign_in(&server, host.server.person()).await;

    assert_eq!(status.expect("signed in").phase, Phase::SignedIn);
}

#[tokio::test]
async fn a_place_that_is_not_in_the_list_and_an_answer_of_another_kind_end_the_sign_in() {
    let (host, session) = signed_out().await;
    let here = host.server.address();
    host.server
        .has_workspaces(&[("Apple", here.clone()), ("Pear", here)]);
    for answer in [
        StepAnswer::Workspace(2),
        StepAnswer::OneTimeCode("1".into()),
    ] {
        let mut sign_in = begin(&host, &session).await;
        assert!(sign_in.next().await.is_ok());
        sign_in.answer(answer);
        assert_eq!(refusal(sign_in.next().await), Code::InvalidRequest);
        assert_eq!(refusal(sign_in.next().await), Code::SignInCancelled);
    }
}

#[tokio::test]
async fn going_on_without_an_answer_is_an_error_and_ends_nothing() {
    let (host, session) = signed_out().await;
    let server = host.server.address();
    let beginning = session.begin_sign_in(&server, Some(SignInMethod::Password));
    let mut sign_in = beginning.expect("an address");
    assert!(sign_in.next().await.is_ok());

    assert_eq!(refusal(sign_in.next().await), Code::InvalidRequest);

    sign_in.answer(StepAnswer::Password(host.server.person()));
    let event = sign_in.next().await;
    assert!(matches!(event, Ok(SignInEvent::Done(_))), "{event:?}");
}

#[tokio::test]
async fn an_answer_that_comes_too_late_ends_the_sign_in_and_not_the_session() {
    let (host, session) = signed_in().await;
    let before = session.id();
    let server = host.server.address();
    let beginning = session.begin_sign_in(&server, Some(SignInMethod::Password));
    let mut sign_in = beginning.expect("an address");
    assert!(sign_in.next().await.is_ok());
    host.clock.advance(5 * MINUTE);

    sign_in.answer(StepAnswer::Password(host.server.person()));

    assert_eq!(refusal(sign_in.next().await), Code::SignInTimedOut);
    assert_eq!(session.id(), before);
}
