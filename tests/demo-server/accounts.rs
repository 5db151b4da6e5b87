//! Signing in with a password as people of whom a server wants to know more than that.

use demo_server::{
    DEMO_EMAIL, DEMO_PASSWORD, ONE_TIME_CODE, ONE_TIME_CODE_EMAIL, ONE_TIME_CODE_PASSWORD,
    SECOND_WORKSPACE_NAME, TWO_WORKSPACES_EMAIL, TWO_WORKSPACES_PASSWORD, WORKSPACE_NAME,
};
use graphql_session::{SignInEvent, SignInStep, StepAnswer};
use serde_json::json;

use crate::client::{Demo, in_time, tokens};
use crate::session::{Client, done};

const WITH_CODE: &str = "mutation GetAuthTokensFromOTP($otp: String!, $loginToken: String!, $origin: String!) { getAuthTokensFromOTP(otp: $otp, loginToken: $loginToken, origin: $origin) { tokens { accessOrWorkspaceAgnosticToken { token expiresAt } refreshToken { token expiresAt } } } }";

/// People in the workspace of all accounts, and in the one of Cleo alone.
const PEOPLE: [u32; 2] = [1_000, 60];

#[tokio::test]
async fn a_one_time_code_is_asked_for_after_the_password() {
    let client = Client::start().await;

    let (mut sign_in, step) = client
        .with_password(ONE_TIME_CODE_EMAIL, ONE_TIME_CODE_PASSWORD)
        .await;
    let step = format!("{step:?}");
    assert!(step.starts_with("Ok(Step(OneTimeCode"), "{step}");
    sign_in.answer(StepAnswer::OneTimeCode(ONE_TIME_CODE.into()));
    let status = done(in_time(sign_in.next()).await);

    assert_eq!(status.person.as_deref(), Some(ONE_TIME_CODE_EMAIL));
    assert_eq!(client.workspace().await.0, WORKSPACE_NAME);
}

#[tokio::test]
async fn without_the_right_code_there_are_no_tokens() {
    let demo = Demo::start().await;
    let origin = demo.server.origin();
    let login = demo
        .login(
            "/metadata",
            ONE_TIME_CODE_EMAIL,
            ONE_TIME_CODE_PASSWORD,
            &origin,
        )
        .await;
    let with_code = |code: &str| {
        let login_token = login.is("login token").login_token();
        let variables = json!({ "otp": code, "loginToken": login_token, "origin": origin });
        demo.metadata(WITH_CODE).variables(variables)
    };

    let exchange = demo.exchange("/metadata", login.login_token());
    exchange.gets("second factor required").await;
    for wrong in ["", "000000", "24681"] {
        with_code(wrong).gets("wrong one-time code").await;
    }

    let reply = with_code(ONE_TIME_CODE).send().await;
    let pair = tokens(&reply.body["data"]["getAuthTokensFromOTP"]);
    demo.user(&pair.access).await.is("user");
}

#[tokio::test]
async fn both_workspaces_of_a_person_work_and_have_records_of_their_own() {
    let client = Client::start().await;
    for (chosen, name) in [WORKSPACE_NAME, SECOND_WORKSPACE_NAME]
        .into_iter()
        .enumerate()
    {
        let (mut sign_in, step) = client
            .with_password(TWO_WORKSPACES_EMAIL, TWO_WORKSPACES_PASSWORD)
            .await;
        let workspaces = match step {
            Ok(SignInEvent::Step(SignInStep::Choose { workspaces })) => workspaces,
            other => panic!("no choice: {other:?}"),
        };
        assert_eq!(workspaces.len(), 2);
        assert_eq!(workspaces[chosen].name, name);
        sign_in.answer(StepAnswer::Workspace(chosen));
        let status = done(in_time(sign_in.next()).await);

        let origin = workspaces[chosen].origin.as_str();
        assert_eq!(status.server.as_deref(), Some(origin));
        assert_eq!(
            client.workspace().await,
            (json!(name), json!(PEOPLE[chosen]))
        );
    }
    // A record that is made in one of them is in that one only.
    client
        .data("mutation { createPerson(data: { city: \"Harwich\" }) { id } }")
        .await;
    assert_eq!(client.workspace().await.1, json!(PEOPLE[1] + 1));
    let demo = client.server.origin();
    assert_ne!(client.session.status().server.as_deref(), Some(&*demo));
}

#[tokio::test]
async fn at_the_address_of_a_workspace_only_its_members_sign_in() {
    let demo = Demo::start().await;
    let port = demo.server.address().port();
    let harbor = format!("http://harbor.localhost:{port}");

    let login = |email, password| demo.login("/metadata", email, password, &harbor);
    let reply = login(DEMO_EMAIL, DEMO_PASSWORD).await;
    reply.is("not a member");
    let reply = login(TWO_WORKSPACES_EMAIL, TWO_WORKSPACES_PASSWORD).await;
    let login_token = reply.is("login token").login_token();

    // The login token of one workspace is none of another.
    let exchange = demo.exchange("/metadata", login_token);
    exchange.gets("wrong origin").await;
}

#[test]
fn the_people_for_a_terminal_are_those_who_can_sign_in() {
    let people = demo_server::people();
    let lines: Vec<_> = people.lines().collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0], format!("  {DEMO_EMAIL}  {DEMO_PASSWORD}"));
    let code = format!("{ONE_TIME_CODE_PASSWORD}  one-time code {ONE_TIME_CODE}");
    assert!(lines[2].ends_with(&code), "{people}");
    let workspaces = format!("workspaces {WORKSPACE_NAME}, {SECOND_WORKSPACE_NAME}");
    assert!(lines[3].ends_with(&workspaces), "{people}");
}
