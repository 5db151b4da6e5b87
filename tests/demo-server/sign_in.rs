//! Signing in, and bearers.

use std::time::Duration;

use demo_server::{DEMO_EMAIL, DEMO_PASSWORD, SECOND_EMAIL, SECOND_PASSWORD};
use serde_json::json;

use crate::client::{Demo, EXCHANGE, RENEW, tokens};

const CHECK: &str = "query CheckUserExists($email: String!, $captchaToken: String) { checkUserExists(email: $email, captchaToken: $captchaToken) { exists availableWorkspacesCount isEmailVerified } }";
const USER: &str = "query GetCurrentUser { currentUser { id firstName lastName email workspaceMember { id name { firstName lastName } colorScheme locale } currentWorkspace { id displayName subdomain metadataVersion } } }";
const OBJECTS: &str =
    "query ObjectMetadataItems { objects(paging: { first: 1000 }) { edges { node { id } } } }";

#[tokio::test]
async fn a_known_person_signs_in_on_both_endpoints() {
    let demo = Demo::start().await;
    let origin = demo.server.origin();
    for path in ["/graphql", "/metadata"] {
        demo.ask(path, CHECK)
            .variables(json!({ "email": DEMO_EMAIL }))
            .send()
            .await
            .is("known user");
        let reply = demo.login(path, DEMO_EMAIL, DEMO_PASSWORD, &origin).await;
        let token = reply.is("login token").body["data"]["getLoginTokenFromCredentials"]["loginToken"]["token"].clone();
        let exchange = demo
            .ask(path, EXCHANGE)
            .variables(json!({ "loginToken": token, "origin": origin }));
        let reply = exchange.clone().send().await;
        let pair = tokens(
            &reply.is("tokens for a login token").body["data"]["getAuthTokensFromLoginToken"],
        );
        // A login token may be used more than once.
        exchange.send().await.is("tokens for a login token");
        for path in ["/graphql", "/metadata"] {
            demo.ask(path, USER)
                .bearer(&pair.access)
                .send()
                .await
                .is("user");
        }
    }
}

#[tokio::test]
async fn a_failed_sign_in_is_answered_as_by_twenty() {
    let demo = Demo::start().await;
    let origin = demo.server.origin();
    for path in ["/graphql", "/metadata"] {
        demo.login(path, DEMO_EMAIL, "wrong", &origin)
            .await
            .is("wrong password");
        demo.login(path, "nobody@demo.holdfast.example", "wrong", &origin)
            .await
            .is("unknown user");
        demo.login(path, DEMO_EMAIL, DEMO_PASSWORD, "http://crm.example.com")
            .await
            .is("wrong origin");
        let ask = |email: &str| demo.ask(path, CHECK).variables(json!({ "email": email }));
        ask("nobody@demo.holdfast.example")
            .send()
            .await
            .is("unknown user exists not");
        ask("not-an-email").send().await.is("bad e-mail");
        let exchange = |token: &str| {
            demo.ask(path, EXCHANGE)
                .variables(json!({ "loginToken": token, "origin": origin }))
        };
        exchange("garbage").send().await.is("garbage login token");
    }
    let reply = demo
        .login("/graphql", DEMO_EMAIL, DEMO_PASSWORD, &origin)
        .await;
    let token = &reply.body["data"]["getLoginTokenFromCredentials"]["loginToken"]["token"];
    demo.pass(Duration::from_secs(15 * 60));
    let exchange = demo
        .graphql(EXCHANGE)
        .variables(json!({ "loginToken": token, "origin": origin }));
    exchange.send().await.is("expired login token");
}

#[tokio::test]
async fn a_sign_in_without_a_workspace_sees_the_user_and_no_records() {
    let demo = Demo::start().await;
    let sign_in = "mutation SignIn($email: String!, $password: String!) { signIn(email: $email, password: $password) { availableWorkspaces { availableWorkspacesForSignIn { id displayName loginToken workspaceUrls { subdomainUrl customUrl } } } tokens { accessOrWorkspaceAgnosticToken { token expiresAt } refreshToken { token expiresAt } } } }";
    let variables = json!({ "email": SECOND_EMAIL, "password": SECOND_PASSWORD });
    let reply = demo.graphql(sign_in).variables(variables).send().await;
    let answer = &reply.is("sign-in without a workspace").body["data"]["signIn"];
    let pair = tokens(answer);
    let user = "query GetCurrentUser { currentUser { id firstName lastName email onboardingStatus workspaceMember { id } currentWorkspace { id } } }";
    demo.graphql(user)
        .bearer(&pair.access)
        .send()
        .await
        .is("user without a workspace");
    demo.graphql("{ people { totalCount } }")
        .bearer(&pair.access)
        .send()
        .await
        .is("no bearer for records");
    // Its renewal gives such tokens again.
    let renewed = tokens(&demo.renew(&pair.refresh).await.is("renewed").body["data"]["renewToken"]);
    demo.graphql(user)
        .bearer(&renewed.access)
        .send()
        .await
        .is("user without a workspace");
    // The login token in it leads into the workspace.
    let login_token =
        &answer["availableWorkspaces"]["availableWorkspacesForSignIn"][0]["loginToken"];
    let variables = json!({ "loginToken": login_token, "origin": demo.server.origin() });
    let reply = demo.graphql(EXCHANGE).variables(variables).send().await;
    let pair = tokens(&reply.body["data"]["getAuthTokensFromLoginToken"]);
    demo.graphql(USER)
        .bearer(&pair.access)
        .send()
        .await
        .is("user");
}

#[tokio::test]
async fn a_bad_bearer_is_refused_before_every_operation_even_a_public_one() {
    let demo = Demo::start().await;
    let foreign = Demo::start().await.sign_in().await;
    let pair = demo.sign_in().await;
    let operations = [
        (USER, json!({})),
        (OBJECTS, json!({})),
        ("{ people { totalCount } }", json!({})),
        ("mutation { createPerson(data: {}) { id } }", json!({})),
        (CHECK, json!({ "email": DEMO_EMAIL })),
        (RENEW, json!({ "appToken": pair.refresh })),
        ("not even a query", json!({})),
    ];
    demo.pass(Duration::from_secs(30 * 60));
    for path in ["/graphql", "/metadata"] {
        for (query, variables) in &operations {
            let ask = |bearer: &str| {
                demo.ask(path, query)
                    .variables(variables.clone())
                    .bearer(bearer)
                    .send()
            };
            ask(&pair.access).await.is("expired bearer");
            ask("garbage").await.is("garbage bearer");
            ask("aaa.bbb.ccc").await.is("garbage bearer");
            ask(&foreign.access).await.is("bearer of another server");
            ask(&pair.refresh).await.is("bearer of another server");
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
    demo.graphql(USER)
        .bearer(&pair.access)
        .send()
        .await
        .is("user");
    demo.pass(Duration::from_millis(1));
    demo.graphql(USER)
        .bearer(&pair.access)
        .send()
        .await
        .is("expired bearer");
}

#[tokio::test]
async fn without_a_bearer_the_workspace_does_not_exist() {
    let demo = Demo::start().await;
    for path in ["/graphql", "/metadata"] {
        for empty in [false, true] {
            let ask = |query: &str| {
                let ask = demo.ask(path, query);
                if empty { ask.bearer("") } else { ask }
            };
            ask(USER).send().await.is("no bearer for the user");
            ask("{ people { totalCount } }")
                .send()
                .await
                .is("no bearer for records");
            let reply = ask(OBJECTS).send().await;
            reply.is(if path == "/graphql" {
                "objects at the wrong endpoint"
            } else {
                "no bearer for objects"
            });
        }
    }
    assert_eq!(
        demo.switches.counts().calls_refused,
        0,
        "none of these counts as a refused bearer"
    );
}

#[tokio::test]
async fn access_tokens_issued_in_one_second_are_equal_and_refresh_tokens_never_are() {
    let demo = Demo::start().await;
    let (first, second) = (demo.sign_in().await, demo.sign_in().await);
    assert_eq!(first.access, second.access);
    assert_ne!(first.refresh, second.refresh);
    demo.pass(Duration::from_secs(1));
    assert_ne!(demo.sign_in().await.access, first.access);
}
