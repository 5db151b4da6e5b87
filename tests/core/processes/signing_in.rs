//! A process that dies in the middle of a sign-in.

use graphql_session_testing::{Browser, OAuthRules};

use crate::host::Host;

#[tokio::test]
async fn killed_during_a_sign_in_the_old_session_stays_and_a_new_one_can_begin() {
    let host = Host::start().await;
    host.server.offer_oauth(OAuthRules::default());
    let mut process = host.processes(1).await.remove(0);
    let before = host.stored().await;
    let begin = format!("begin_sign_in {}", host.server.address());
    let url = process.ask(&begin).await;
    let page = Browser::default().get(&url).await.expect("the server");
    let redirect = page.header("location").expect("a redirect").to_owned();

    process.kill();

    let late = Browser::default().get(&redirect).await;
    assert!(late.is_err(), "nobody listens: {late:?}");
    assert_eq!(host.stored().await, before);
    let mut again = host.process();
    assert_eq!(again.ask("call").await, "200");
    assert_eq!(host.server.counts().sign_ins, 1, "only the one before");

    let url = again.ask(&begin).await;
    let page = Browser::default().open(&url).await.expect("a page");
    assert!(page.body.contains("Go back to the application"), "{page:?}");
    assert_eq!(again.ask("until_noted signed_in").await, "noted");
    assert_eq!(again.ask("call").await, "200");
}
