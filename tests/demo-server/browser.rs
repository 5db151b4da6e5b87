//! The core's sign-in by browser, walked through to its end.

use demo_server::{
    Counter, DEMO_EMAIL, DEMO_PASSWORD, ONE_TIME_CODE, ONE_TIME_CODE_EMAIL, ONE_TIME_CODE_PASSWORD,
    SECOND_WORKSPACE_NAME, TWO_WORKSPACES_EMAIL, TWO_WORKSPACES_PASSWORD, WORKSPACE_NAME,
};
use graphql_session::{Code, Error, Phase, SignIn, SignInEvent, SignInMethod, SignInStep};
use graphql_session_testing::Browser;
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};

use crate::client::in_time;
use crate::person::Person;
use crate::session::{Client, done};

/// Twenty compares the redirect's port, so the core has three of them; one sign-in at a time always finds one.
static REDIRECT: Mutex<()> = Mutex::const_new(());

/// A sign-in whose page a person has in front of them.
struct Visit {
    client: Client,
    sign_in: SignIn,
    person: Person,
    _alone: MutexGuard<'static, ()>,
}

impl Visit {
    async fn begin() -> Self {
        let alone = REDIRECT.lock().await;
        let client = Client::start().await;
        let mut sign_in = client.begin(SignInMethod::Browser);
        let url = match in_time(sign_in.next()).await {
            Ok(SignInEvent::Step(SignInStep::Browser { url, .. })) => url,
            other => panic!("no page to open: {other:?}"),
        };
        Self {
            person: Person::open(&url).await,
            client,
            sign_in,
            _alone: alone,
        }
    }

    /// The browser follows the redirect to the application, which goes on.
    async fn follow(&mut self) -> Result<SignInEvent, Error> {
        let redirect = self.person.page.location.clone();
        let browser = Browser::default();
        let (event, page) = tokio::join!(in_time(self.sign_in.next()), browser.open(&redirect));
        page.expect("the application's page");
        event
    }
}

#[tokio::test]
async fn a_person_signs_in_by_browser_stays_signed_in_and_signs_out() {
    let mut visit = Visit::begin().await;

    visit.person.sign_in(DEMO_EMAIL, DEMO_PASSWORD).await;
    visit.person.allow().await;
    let status = done(visit.follow().await);

    assert_eq!(status.person.as_deref(), Some(DEMO_EMAIL));
    let client = &visit.client;
    assert_eq!(client.workspace().await.0, WORKSPACE_NAME);
    let switches = client.server.switches();
    switches.expire_access_tokens().await.expect("expired");
    assert_eq!(client.workspace().await.0, WORKSPACE_NAME);
    let counts = switches.counts();
    assert_eq!((counts.renewals_sent, counts.renewals_accepted), (1, 1));
    assert_eq!(client.session.generation(), Some(2));

    let status = in_time(client.session.sign_out()).await;
    assert_eq!(status.phase, Phase::SignedOut);
}

#[tokio::test]
async fn a_one_time_code_and_a_choice_of_workspace_are_asked_for_in_the_browser() {
    let code: &[_] = &[("code", ONE_TIME_CODE)];
    // The second workspace's id is on the page only.
    let harbor = "5d1f6a44-1c3e-4b0b-9a55-6b2f0a7d9e20";
    let choice: &[_] = &[("workspace", harbor)];
    for (email, password, asks, answer, workspace, people) in [
        (
            ONE_TIME_CODE_EMAIL,
            ONE_TIME_CODE_PASSWORD,
            "autocomplete=\"one-time-code\"",
            code,
            WORKSPACE_NAME,
            1_000,
        ),
        (
            TWO_WORKSPACES_EMAIL,
            TWO_WORKSPACES_PASSWORD,
            harbor,
            choice,
            SECOND_WORKSPACE_NAME,
            60,
        ),
    ] {
        let mut visit = Visit::begin().await;
        let person = &mut visit.person;
        person.sign_in(email, password).await;
        let page = &person.page.text;
        assert!(page.contains(asks), "{page}");
        assert!(!page.contains("value=\"allow\""), "{page}");
        person.submit(&[]).await;
        let page = &person.page.text;
        assert!(
            page.contains("role=\"alert\"") && page.contains(asks),
            "{page}"
        );
        person.submit(answer).await;
        person.allow().await;
        let status = done(visit.follow().await);

        assert_eq!(status.person.as_deref(), Some(email));
        let origin = visit.client.server.origin();
        assert_eq!(status.server.as_deref(), Some(&*origin));
        assert_eq!(
            visit.client.workspace().await,
            (json!(workspace), json!(people))
        );
    }
}

#[tokio::test]
async fn a_person_who_refuses_is_not_signed_in() {
    let mut visit = Visit::begin().await;
    visit.person.sign_in(DEMO_EMAIL, DEMO_PASSWORD).await;

    visit.person.submit(&[("answer", "refuse")]).await;
    let refused = visit.follow().await;

    assert_eq!(refused.expect_err("refused").code(), Code::SignInRefused);
    assert_eq!(visit.client.session.status().phase, Phase::SignedOut);
}

#[tokio::test]
async fn the_browser_is_offered_first_and_not_at_all_by_an_older_server() {
    let client = Client::start().await;
    let origin = client.server.origin();
    let switches = client.server.switches();
    for (offers_oauth, expected) in [
        (true, &[SignInMethod::Browser, SignInMethod::Password][..]),
        (false, &[SignInMethod::Password]),
    ] {
        switches.change(|state| state.offers_oauth = offers_oauth);
        let check = in_time(client.session.check_server(&origin)).await;
        assert_eq!(check.expect("a server").methods, expected);
    }
}

#[tokio::test]
async fn a_sign_out_ends_the_sign_in_at_the_server() {
    let mut visit = Visit::begin().await;
    visit.person.sign_in(DEMO_EMAIL, DEMO_PASSWORD).await;
    visit.person.allow().await;
    done(visit.follow().await);
    let switches = visit.client.server.switches();
    let before = switches.counts();

    visit.client.session.sign_out().await;

    let counts = in_time(switches.wait_for(Counter::ApplicationsRevoked, 1)).await;
    assert_eq!(before.applications_revoked, 0);
    assert_eq!(counts.applications_revoked, 1);
}
