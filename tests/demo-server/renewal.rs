//! Rotation, grace, reuse, revocation.

use std::collections::HashSet;
use std::time::Duration;

use demo_server::{Counter, Options, Outcome, SECOND_EMAIL, SECOND_PASSWORD};
use serde_json::{Value, json};

use crate::client::{Demo, RENEW};

const GRACE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_renewal_gives_new_tokens_and_leaves_the_previous_access_token_good() {
    let (demo, first) = Demo::signed_in().await;
    demo.pass(Duration::from_secs(5));
    let second = demo.renewed(&first.refresh).await;
    assert_ne!(second.access, first.access);
    assert_ne!(second.refresh, first.refresh);
    demo.accepts(&first.access).await;
    demo.accepts(&second.access).await;
    let at_metadata = demo.renewal_at("/metadata", json!(second.refresh));
    let third = at_metadata.send().await.renewed();
    let with_bearer = demo.renewal(&third.refresh).bearer(&third.access);
    with_bearer.gets("renewed").await;
}

#[tokio::test]
async fn an_invalid_refresh_token_is_rejected_as_by_twenty() {
    let (demo, pair) = Demo::signed_in().await;
    let foreign = Demo::start().await.sign_in().await;
    for path in ["/graphql", "/metadata"] {
        for (token, fixture) in [
            (json!("garbage"), "renewal with garbage"),
            (json!("aaa.bbb.ccc"), "renewal with garbage"),
            (json!(foreign.refresh), "renewal with a foreign token"),
            (json!(pair.access), "renewal with a foreign token"),
            (json!(""), "renewal with nothing"),
            (Value::Null, "renewal with a null variable"),
        ] {
            demo.renewal_at(path, token).gets(fixture).await;
        }
        let without = demo.ask(path, RENEW);
        for without in [without.clone(), without.variables(json!({}))] {
            without.gets("renewal without its variable").await;
        }
    }
    let counts = demo.switches.counts();
    let renewals = (counts.renewals_sent, counts.renewals_refused);
    assert_eq!((renewals, counts.renewals_accepted), ((16, 16), 0));
    // Sixty days later.
    demo.pass(Duration::from_secs(60 * 24 * 60 * 60));
    let reply = demo.renew(&pair.refresh).await;
    reply.is("renewal with an expired token");
}

#[tokio::test]
async fn renewals_at_once_with_one_token_all_succeed_each_with_another_refresh_token() {
    let (demo, pair) = Demo::signed_in().await;
    demo.switches.hold_renewals(true);
    let asks: Vec<_> = (0..10)
        .map(|_| tokio::spawn(demo.renewal(&pair.refresh).send()))
        .collect();
    demo.switches.wait_for(Counter::RenewalsHeld, 10).await;
    demo.switches.hold_renewals(false);
    let mut refresh = HashSet::new();
    let mut access = HashSet::new();
    for ask in asks {
        let pair = ask.await.expect("no panic").renewed();
        access.insert(pair.access);
        refresh.insert(pair.refresh);
    }
    assert_eq!((access.len(), refresh.len()), (1, 10));
    for token in &refresh {
        demo.renewed(token).await;
    }
}

#[tokio::test]
async fn each_use_inside_the_grace_time_starts_it_again() {
    let (demo, pair) = Demo::signed_in().await;
    for _ in 0..4 {
        demo.renewed(&pair.refresh).await;
        demo.pass(GRACE - Duration::from_millis(1));
    }
    demo.renewed(&pair.refresh).await;
    demo.pass(GRACE);
    demo.refuses_reuse(&pair.refresh).await;
}

/// 1. R0 is renewed to R1; there is another session of the same person, and one of another person.
/// 2. R0 comes back after the grace time: refused, and every token of that person is marked used.
/// 3. Those are good for one more grace time, then refused too; access tokens and a new sign-in stay good.
#[tokio::test]
async fn a_reuse_after_the_grace_time_signs_out_all_sessions_of_that_person_and_no_other() {
    let (demo, first) = Demo::signed_in().await;
    let other = demo.sign_in().await;
    let somebody = demo.sign_in_as(SECOND_EMAIL, SECOND_PASSWORD).await;

    let newest = demo.renewed(&first.refresh).await;
    demo.pass(GRACE);
    demo.refuses_reuse(&first.refresh).await;
    demo.accepts(&newest.access).await;
    demo.renewed(&newest.refresh).await;
    demo.pass(GRACE);
    demo.refuses_reuse(&other.refresh).await;
    demo.pass(GRACE);
    demo.refuses_reuse(&newest.refresh).await;

    demo.renewed(&somebody.refresh).await;
    demo.renewed(&demo.sign_in().await.refresh).await;

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
    let message = ledger[1].message.as_deref().expect("a reason");
    assert!(message.starts_with("Suspicious activity"), "{message}");
}

#[tokio::test]
async fn the_switch_revoke_refuses_every_refresh_token_at_once_and_for_ever() {
    let (demo, pair) = Demo::signed_in().await;
    let revoked = demo.switches.revoke_refresh_tokens().await;
    revoked.expect("revoked");
    for _ in 0..2 {
        demo.refuses_reuse(&pair.refresh).await;
    }
    demo.accepts(&pair.access).await;
    demo.renewed(&demo.sign_in().await.refresh).await;
}

#[tokio::test]
async fn the_switch_expire_refuses_old_access_tokens_but_not_one_renewed_at_once() {
    let (demo, mut pair) = Demo::signed_in().await;
    for _ in 0..3 {
        demo.switches.expire_access_tokens().await.expect("expired");
        for path in ["/graphql", "/metadata"] {
            let ask = demo.user_at(path, &pair.access);
            ask.gets("expired bearer").await;
        }
        pair = demo.renewed(&pair.refresh).await;
        demo.accepts(&pair.access).await;
    }
}

#[tokio::test]
async fn signing_out_revokes_this_session_only() {
    let (demo, pair) = Demo::signed_in().await;
    let other = demo.sign_in().await;
    let child = demo.renewed(&pair.refresh).await;
    let sign_out = "mutation($token: String!) { signOut(refreshToken: $token) }";
    let sign_out = demo.graphql(sign_out);
    let sign_out = sign_out.variables(json!({ "token": child.refresh }));
    let reply = sign_out.send().await;
    assert_eq!(reply.body, json!({ "data": { "signOut": true } }));
    demo.refuses_reuse(&child.refresh).await;
    demo.refuses_reuse(&pair.refresh).await;
    demo.renewed(&other.refresh).await;
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
    let reply = demo.renew(&pair.refresh).await;
    reply.is("renewal with a token that has no row");
}

#[tokio::test]
async fn switches_make_it_an_older_or_a_newer_server() {
    let (demo, pair) = Demo::signed_in().await;
    demo.switches.change(|state| state.old_token_field = true);
    demo.renew(&pair.refresh).await.is("old server");
    let old = "mutation($appToken: String!) { renewToken(appToken: $appToken) { tokens { accessToken { token expiresAt } refreshToken { token } } } }";
    let old = demo.graphql(old);
    let old = old.variables(json!({ "appToken": pair.refresh }));
    let reply = old.send().await;
    let token = &reply.body["data"]["renewToken"]["tokens"]["accessToken"]["token"];
    assert!(token.is_string(), "{}", reply.text);

    demo.switches.change(|state| {
        state.old_token_field = false;
        state.auth_on_metadata_only = true;
    });
    let reply = demo.renew(&pair.refresh).await;
    reply.is("authentication elsewhere");
    let at_metadata = demo.renewal_at("/metadata", json!(pair.refresh));
    at_metadata.gets("renewed").await;
    demo.accepts(&pair.access).await;
}
