//! Signing in, and bearers.

use std::time::Duration;

use demo_server::{DEMO_EMAIL, DEMO_PASSWORD, SECOND_EMAIL, SECOND_PASSWORD};
use serde_json::json;

use crate::client::{Demo, RENEW, USER, tokens};

const CHECK: &str = "query CheckUserExists($email: String!, $captchaToken: String) { checkUserExists(email: $email, captchaToken: $captchaToken) { exists availableWorkspacesCount isEmailVerified } }";
const OBJECTS: &str =
    "query ObjectMetadataItems { objects(paging: { first: 1000 }) { edges { node { id } } } }";
const PEOPLE: &str = "{ people { totalCount } }";
const NOBODY: &str = "nobody@demo.holdfast.example";

#[tokio::test]
async fn a_known_person_signs_in_on_both_endpoints() {
    let demo = Demo::start().await;
    let origin = demo.server.origin();
    for path in ["/graphql", "/metadata"] {
        let check = demo.ask(path, CHECK);
        let check = check.variables(json!({ "email": DEMO_EMAIL }));
        check.gets("known user").await;
        let login = demo.login(path, DEMO_EMAIL, DEMO_PASSWORD, &origin).await;
        let exchange = demo.exchange(path, login.is("login token").login_token());
        // A login token may be used more than once.
        exchange.clone().gets("tokens for a login token").await;
        let reply = exchange.gets("tokens for a login token").await;
        let pair = tokens(&reply.body["data"]["getAuthTokensFromLoginToken"]);
        for path in ["/graphql", "/metadata"] {
            demo.user_at(path, &pair.access).gets("user").await;
        }
    }
}

#[tokio::test]
async fn a_failed_sign_in_is_answered_as_by_twenty() {
    let demo = Demo::start().await;
    let origin = demo.server.origin();
    for path in ["/graphql", "/metadata"] {
        for (email, password, origin, fixture) in [
            (DEMO_EMAIL, "wrong", origin.as_str(), "wrong password"),
            (NOBODY, "wrong", &origin, "unknown user"),
            (
                DEMO_EMAIL,
                DEMO_PASSWORD,
                "http://crm.example.com",
                "wrong origin",
            ),
        ] {
            demo.login(path, email, password, origin).await.is(fixture);
        }
        for (email, fixture) in [
            (NOBODY, "unknown user exists not"),
            ("not-an-email", "bad e-mail"),
        ] {
            let check = demo.ask(path, CHECK);
            let check = check.variables(json!({ "email": email }));
            check.gets(fixture).await;
        }
        let exchange = demo.exchange(path, &json!("garbage"));
        exchange.gets("garbage login token").await;
    }
    let login = demo
        .login("/graphql", DEMO_EMAIL, DEMO_PASSWORD, &origin)
        .await;
    demo.pass(Duration::from_secs(15 * 60));
    let exchange = demo.exchange("/graphql", login.login_token());
    exchange.gets("expired login token").await;
}

#[tokio::test]
async fn a_sign_in_without_a_workspace_sees_the_user_and_no_records() {
    let demo = Demo::start().await;
    let sign_in = "mutation SignIn($email: String!, $password: String!) { signIn(email: $email, password: $password) { availableWorkspaces { availableWorkspacesForSignIn { id displayName loginToken workspaceUrls { subdomainUrl customUrl } } } tokens { accessOrWorkspaceAgnosticToken { token expiresAt } refreshToken { token expiresAt } } } }";
    let variables = json!({ "email": SECOND_EMAIL, "password": SECOND_PASSWORD });
    let sign_in = demo.graphql(sign_in).variables(variables);
    let reply = sign_in.gets("sign-in without a workspace").await;
    let answer = &reply.body["data"]["signIn"];
    let pair = tokens(answer);
    let user = "query GetCurrentUser { currentUser { id firstName lastName email onboardingStatus workspaceMember { id } currentWorkspace { id } } }";
    let user = demo.graphql(user);
    let without = user.clone().bearer(&pair.access);
    without.gets("user without a workspace").await;
    let people = demo.graphql(PEOPLE).bearer(&pair.access);
    people.gets("no bearer for records").await;
    // Its renewal gives such tokens again.
    let renewed = demo.renewed(&pair.refresh).await;
    let without = user.bearer(&renewed.access);
    without.gets("user without a workspace").await;
    // The login token in it leads into the workspace.
    let login_token =
        &answer["availableWorkspaces"]["availableWorkspacesForSignIn"][0]["loginToken"];
    let reply = demo.exchange("/graphql", login_token).send().await;
    let pair = tokens(&reply.body["data"]["getAuthTokensFromLoginToken"]);
    demo.user(&pair.access).await.is("user");
}

#[tokio::test]
async fn a_bad_bearer_is_refused_before_every_operation_even_a_public_one() {
    let (demo, pair) = Demo::signed_in().await;
    let foreign = Demo::start().await.sign_in().await;
    let operations = [
        (USER, json!({})),
        (OBJECTS, json!({})),
        (PEOPLE, json!({})),
        ("mutation { createPerson(data: {}) { id } }", json!({})),
        (CHECK, json!({ "email": DEMO_EMAIL })),
        (RENEW, json!({ "appToken": pair.refresh })),
        ("not even a query", json!({})),
    ];
    demo.pass(Duration::from_secs(30 * 60));
    for path in ["/graphql", "/metadata"] {
        for (query, variables) in &operations {
            let ask = demo.ask(path, query).variables(variables.clone());
            for (bearer, fixture) in [
                (pair.access.as_str(), "expired bearer"),
                ("garbage", "garbage bearer"),
                ("aaa.bbb.ccc", "garbage bearer"),
                (&foreign.access, "bearer of another server"),
                (&pair.refresh, "bearer of another server"),
            ] {
                ask.clone().bearer(bearer).gets(fixture).await;
            }
        }
    }
    assert_eq!(demo.switches.counts().calls_refused, 2 * 7 * 5);
    // The bearer is refused first. So the refresh token was not used, and works long after the grace time.
    demo.pass(Duration::from_secs(600));
    demo.renew(&pair.refresh).await.is("renewed");
}

#[tokio::test]
async fn an_access_token_expires_up_to_a_second_before_its_stated_time() {
    let demo = Demo::start().await;
    demo.switches.access_lifetime(Duration::from_secs(30));
    let pair = demo.sign_in().await;
    // The clock stands at half past a second; the token's own expiry is in whole seconds.
    assert_eq!(pair.access_expires_at, "2027-01-15T08:00:30.500Z");
    demo.pass(Duration::from_millis(29_499));
    demo.accepts(&pair.access).await;
    demo.pass(Duration::from_millis(1));
    demo.user(&pair.access).await.is("expired bearer");
}

#[tokio::test]
async fn without_a_bearer_the_workspace_does_not_exist() {
    let demo = Demo::start().await;
    for path in ["/graphql", "/metadata"] {
        let objects = match path {
            "/graphql" => "objects at the wrong endpoint",
            _ => "no bearer for objects",
        };
        for (query, fixture) in [
            (USER, "no bearer for the user"),
            (PEOPLE, "no bearer for records"),
            (OBJECTS, objects),
        ] {
            let ask = demo.ask(path, query);
            ask.clone().gets(fixture).await;
            ask.bearer("").gets(fixture).await;
        }
    }
    let refused = demo.switches.counts().calls_refused;
    assert_eq!(refused, 0, "none of these counts as a refused bearer");
}

#[tokio::test]
async fn access_tokens_issued_in_one_second_are_equal_and_refresh_tokens_never_are() {
    let (demo, first) = Demo::signed_in().await;
    let second = demo.sign_in().await;
    assert_eq!(first.access, second.access);
    assert_ne!(first.refresh, second.refresh);
    demo.pass(Duration::from_secs(1));
    assert_ne!(demo.sign_in().await.access, first.access);
}
