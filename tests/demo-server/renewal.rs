//! Rotation, grace, reuse, revocation.

use std::collections::HashSet;
use std::time::Duration;

use demo_server::{Options, Outcome, SECOND_EMAIL, SECOND_PASSWORD};
use serde_json::json;

use crate::client::{Demo, EXCHANGE, RENEW, Reply, Tokens, tokens};

const GRACE: Duration = Duration::from_secs(60);
const USER: &str = "{ currentUser { id email } }";

fn renewed(reply: &Reply) -> Tokens {
    tokens(&reply.is("renewed").body["data"]["renewToken"])
}

#[tokio::test]
async fn a_renewal_gives_new_tokens_and_leaves_the_previous_access_token_good() {
    let demo = Demo::start().await;
    let first = demo.sign_in().await;
    demo.pass(Duration::from_secs(5));
    let second = renewed(&demo.renew(&first.refresh).await);
    assert_ne!(second.access, first.access);
    assert_ne!(second.refresh, first.refresh);
    for access in [&first.access, &second.access] {
        demo.graphql(USER).bearer(access).send().await;
        assert_eq!(demo.graphql(USER).bearer(access).send().await.status, 200);
    }
    let reply = demo
        .metadata(RENEW)
        .variables(json!({ "appToken": second.refresh }))
        .send()
        .await;
    let third = renewed(&reply);
    renewed(
        &demo
            .renewal(&third.refresh)
            .bearer(&third.access)
            .send()
            .await,
    );
}

#[tokio::test]
async fn an_invalid_refresh_token_is_rejected_as_by_twenty() {
    let demo = Demo::start().await;
    let foreign = Demo::start().await.sign_in().await;
    let pair = demo.sign_in().await;
    for path in ["/graphql", "/metadata"] {
        let renew = |token: &str| {
            demo.ask(path, RENEW)
                .variables(json!({ "appToken": token }))
                .send()
        };
        renew("garbage").await.is("renewal with garbage");
        renew("aaa.bbb.ccc").await.is("renewal with garbage");
        renew(&foreign.refresh)
            .await
            .is("renewal with a foreign token");
        renew(&pair.access).await.is("renewal with a foreign token");
        renew("").await.is("renewal with nothing");
        demo.ask(path, RENEW)
            .variables(json!({}))
            .send()
            .await
            .is("renewal without its variable");
        demo.ask(path, RENEW)
            .send()
            .await
            .is("renewal without its variable");
        demo.ask(path, RENEW)
            .variables(json!({ "appToken": null }))
            .send()
            .await
            .is("renewal with a null variable");
    }
    let counts = demo.switches.counts();
    assert_eq!(
        (
            counts.renewals_sent,
            counts.renewals_refused,
            counts.renewals_accepted
        ),
        (16, 16, 0)
    );
    // Sixty days later.
    demo.pass(Duration::from_secs(60 * 24 * 60 * 60));
    demo.renew(&pair.refresh)
        .await
        .is("renewal with an expired token");
}

#[tokio::test]
async fn renewals_at_once_with_one_token_all_succeed_each_with_another_refresh_token() {
    let demo = Demo::start().await;
    let pair = demo.sign_in().await;
    demo.switches.hold_renewals(true);
    let asks: Vec<_> = (0..10)
        .map(|_| tokio::spawn(demo.renewal(&pair.refresh).send()))
        .collect();
    demo.switches
        .wait_for(demo_server::Counter::RenewalsHeld, 10)
        .await;
    demo.switches.hold_renewals(false);
    let mut refresh = HashSet::new();
    let mut access = HashSet::new();
    for ask in asks {
        let pair = renewed(&ask.await.expect("no panic"));
        access.insert(pair.access);
        refresh.insert(pair.refresh);
    }
    assert_eq!((access.len(), refresh.len()), (1, 10));
    for token in &refresh {
        renewed(&demo.renew(token).await);
    }
}

#[tokio::test]
async fn each_use_inside_the_grace_time_starts_it_again() {
    let demo = Demo::start().await;
    let pair = demo.sign_in().await;
    for _ in 0..4 {
        renewed(&demo.renew(&pair.refresh).await);
        demo.pass(GRACE - Duration::from_millis(1));
    }
    renewed(&demo.renew(&pair.refresh).await);
    demo.pass(GRACE);
    demo.renew(&pair.refresh)
        .await
        .is("renewal after the grace time");
}

/// 1. R0 is renewed to R1; there is another session of the same person, and one of another person.
/// 2. R0 comes back after the grace time: refused, and every token of that person is marked used.
/// 3. Those are good for one more grace time, then refused too; access tokens and a new sign-in stay good.
#[tokio::test]
async fn a_reuse_after_the_grace_time_signs_out_all_sessions_of_that_person_and_no_other() {
    let demo = Demo::start().await;
    let (first, other) = (demo.sign_in().await, demo.sign_in().await);
    let origin = demo.server.origin();
    let reply = demo
        .login("/graphql", SECOND_EMAIL, SECOND_PASSWORD, &origin)
        .await;
    let login = &reply.body["data"]["getLoginTokenFromCredentials"]["loginToken"]["token"];
    let reply = demo
        .graphql(EXCHANGE)
        .variables(json!({ "loginToken": login, "origin": origin }))
        .send()
        .await;
    let somebody = tokens(&reply.body["data"]["getAuthTokensFromLoginToken"]);

    let newest = renewed(&demo.renew(&first.refresh).await);
    demo.pass(GRACE);
    demo.renew(&first.refresh)
        .await
        .is("renewal after the grace time");
    assert!(
        demo.graphql(USER)
            .bearer(&newest.access)
            .send()
            .await
            .text
            .contains("ada@")
    );
    renewed(&demo.renew(&newest.refresh).await);
    demo.pass(GRACE);
    demo.renew(&other.refresh)
        .await
        .is("renewal after the grace time");
    demo.pass(GRACE);
    demo.renew(&newest.refresh)
        .await
        .is("renewal after the grace time");

    renewed(&demo.renew(&somebody.refresh).await);
    renewed(&demo.renew(&demo.sign_in().await.refresh).await);

    let ledger = demo.switches.counts().renewals;
    let lines: Vec<_> = ledger
        .iter()
        .map(|line| (line.chain, line.generation, line.outcome))
        .collect();
    assert_eq!(
        lines,
        [
            (Some(1), Some(0), Outcome::Accepted),
            (Some(1), Some(0), Outcome::Refused),
            (Some(1), Some(1), Outcome::Accepted),
            (Some(2), Some(0), Outcome::Refused),
            (Some(1), Some(1), Outcome::Refused),
            (Some(3), Some(0), Outcome::Accepted),
            (Some(4), Some(0), Outcome::Accepted),
        ]
    );
    assert!(
        ledger[1]
            .message
            .as_deref()
            .is_some_and(|message| message.starts_with("Suspicious activity"))
    );
}

#[tokio::test]
async fn the_switch_revoke_refuses_every_refresh_token_at_once_and_for_ever() {
    let demo = Demo::start().await;
    let pair = demo.sign_in().await;
    demo.switches
        .revoke_refresh_tokens()
        .await
        .expect("revoked");
    for _ in 0..2 {
        demo.renew(&pair.refresh)
            .await
            .is("renewal after the grace time");
    }
    assert!(
        demo.graphql(USER)
            .bearer(&pair.access)
            .send()
            .await
            .text
            .contains("ada@"),
        "access stays good"
    );
    renewed(&demo.renew(&demo.sign_in().await.refresh).await);
}

#[tokio::test]
async fn the_switch_expire_refuses_old_access_tokens_but_not_one_renewed_at_once() {
    let demo = Demo::start().await;
    let mut pair = demo.sign_in().await;
    for _ in 0..3 {
        demo.switches.expire_access_tokens().await.expect("expired");
        demo.graphql(USER)
            .bearer(&pair.access)
            .send()
            .await
            .is("expired bearer");
        demo.metadata(USER)
            .bearer(&pair.access)
            .send()
            .await
            .is("expired bearer");
        pair = renewed(&demo.renew(&pair.refresh).await);
        assert!(
            demo.graphql(USER)
                .bearer(&pair.access)
                .send()
                .await
                .text
                .contains("ada@")
        );
    }
}

#[tokio::test]
async fn signing_out_revokes_this_session_only() {
    let demo = Demo::start().await;
    let (pair, other) = (demo.sign_in().await, demo.sign_in().await);
    let child = renewed(&demo.renew(&pair.refresh).await);
    let sign_out = "mutation($token: String!) { signOut(refreshToken: $token) }";
    let reply = demo
        .graphql(sign_out)
        .variables(json!({ "token": child.refresh }))
        .send()
        .await;
    assert_eq!(reply.body, json!({ "data": { "signOut": true } }));
    demo.renew(&child.refresh)
        .await
        .is("renewal after the grace time");
    demo.renew(&pair.refresh)
        .await
        .is("renewal after the grace time");
    renewed(&demo.renew(&other.refresh).await);
}

#[tokio::test]
async fn a_token_without_its_database_row_is_rejected_as_unknown() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        data: Some(folder.path().to_owned()),
        ..Options::default()
    };
    let demo = Demo::start_with(options).await;
    let pair = demo.sign_in().await;
    let database = rusqlite::Connection::open(folder.path().join("demo.sqlite")).expect("opened");
    assert_eq!(database.execute("DELETE FROM refresh_token", []), Ok(1));
    demo.renew(&pair.refresh)
        .await
        .is("renewal with a token that has no row");
}

#[tokio::test]
async fn switches_make_it_an_older_or_a_newer_server() {
    let demo = Demo::start().await;
    let pair = demo.sign_in().await;
    demo.switches.change(|state| state.old_token_field = true);
    demo.renew(&pair.refresh).await.is("old server");
    let old = "mutation($appToken: String!) { renewToken(appToken: $appToken) { tokens { accessToken { token expiresAt } refreshToken { token } } } }";
    let reply = demo
        .graphql(old)
        .variables(json!({ "appToken": pair.refresh }))
        .send()
        .await;
    assert!(
        reply.body["data"]["renewToken"]["tokens"]["accessToken"]["token"].is_string(),
        "{}",
        reply.text
    );

    demo.switches.change(|state| {
        state.old_token_field = false;
        state.auth_on_metadata_only = true;
    });
    demo.renew(&pair.refresh)
        .await
        .is("authentication elsewhere");
    demo.metadata(RENEW)
        .variables(json!({ "appToken": pair.refresh }))
        .send()
        .await
        .is("renewed");
    assert!(
        demo.graphql(USER)
            .bearer(&pair.access)
            .send()
            .await
            .text
            .contains("ada@")
    );
}
