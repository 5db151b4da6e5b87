//! Signing in by browser, and everything that a browser, a server and a person can do in the middle of it.

use graphql_session::{
    Clock as _, Code, DEFAULT_ACCOUNT, OAuth2Client, OAuth2Settings, Phase, REDIRECT_PORTS,
    SignInEvent, SignInMethod,
};
use graphql_session_testing::{Browser, Discovery, EMAIL, Iss, OAuthRules, Page, TestHost};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::fixture::oauth::{
    begin_in_browser, browser_step, finish, known_client, oauth_host, oauth_signed_in,
    oauth_signed_out, open_with, refusal, sign_in_by_browser,
};
use crate::fixture::{GRACE, MINUTE, PATIENCE, SECOND, call_succeeds, renew};

/// There are three registered ports on a computer: tests that use them run one after another.
static FIXED_PORTS: Mutex<()> = Mutex::const_new(());

/// A parameter in an address that is to be opened.
fn parameter(url: &str, name: &str) -> String {
    let url: url::Url = url.parse().expect("an address");
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(key, _)| key == name);
    found
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// The redirect that the server answers with, not followed.
async fn redirect_of(url: &str) -> String {
    let page = Browser::default().get(url).await.expect("an answer");
    page.header("location").expect("a redirect").to_owned()
}

#[tokio::test]
async fn a_person_signs_in_by_browser_and_the_session_renews_by_oauth() {
    let (host, session) = oauth_signed_out().await;
    let (mut sign_in, url) = begin_in_browser(&host, &session).await;
    assert_eq!(parameter(&url, "code_challenge_method"), "S256");
    assert_eq!(session.status().phase, Phase::SignedOut, "not done yet");

    let (status, page) = finish(&mut sign_in, &url).await;

    assert_eq!(status.expect("signed in").phase, Phase::SignedIn);
    assert!(page.body.contains("Go back to the application"), "{page:?}");
    call_succeeds(&session).await;
    renew(&host, &session).await;
    assert_eq!(session.generation(), Some(2));
    let renewals: Vec<_> = host
        .server
        .seen()
        .into_iter()
        .filter(|seen| seen.field == "renewToken")
        .collect();
    assert_eq!(renewals.len(), 1);
    assert_eq!(renewals[0].path, "/oauth/token");
    assert_eq!(renewals[0].header("authorization"), None);
}

#[tokio::test]
async fn another_process_renews_a_session_that_was_begun_by_browser() {
    let (host, session) = oauth_signed_in().await;
    drop(session);

    let session = open_with(&host, known_client()).await;

    assert_eq!(session.status().phase, Phase::SignedIn);
    renew(&host, &session).await;
    assert_eq!(session.generation(), Some(2));
}

#[tokio::test]
async fn what_else_a_browser_asks_for_changes_nothing() {
    let (host, session) = oauth_signed_out().await;
    let (mut sign_in, url) = begin_in_browser(&host, &session).await;
    let redirect = redirect_of(&url).await;
    let place: url::Url = redirect.parse().expect("an address");
    let host_name = format!("127.0.0.1:{}", place.port().expect("a port"));
    let at = |path: &str| format!("http://{host_name}{path}");
    let state = parameter(&redirect, "state");
    let browser = Browser::default();
    let prefetching = |name: &str, value: &str| Browser {
        headers: vec![(name.into(), value.into())],
    };

    for (what, answer, status) in [
        ("a favicon", browser.get(&at("/favicon.ico")).await, 404),
        (
            "another path",
            browser.get(&at("/callback/x?code=a&state=b")).await,
            404,
        ),
        ("no state", browser.get(&at("/callback?code=a")).await, 400),
        (
            "a wrong state",
            browser.get(&at("/callback?code=a&state=b")).await,
            400,
        ),
        (
            "the state alone",
            browser.get(&at(&format!("/callback?state={state}"))).await,
            400,
        ),
        (
            "a form",
            browser.send("POST", &redirect, &host_name).await,
            404,
        ),
        (
            "a head",
            browser.send("HEAD", &redirect, &host_name).await,
            404,
        ),
        (
            "another host",
            browser.send("GET", &redirect, "evil.example").await,
            421,
        ),
        (
            "a prefetch",
            prefetching("sec-purpose", "prefetch;prerender")
                .get(&redirect)
                .await,
            503,
        ),
        (
            "an old prefetch",
            prefetching("purpose", "prefetch").get(&redirect).await,
            503,
        ),
        (
            "a preview",
            prefetching("x-purpose", "preview").get(&redirect).await,
            503,
        ),
    ] {
        assert_eq!(answer.expect(what).status, status, "{what}");
    }
    assert_eq!(host.server.counts().sign_ins, 0);

    let (event, page) = tokio::join!(sign_in.next(), browser.get(&redirect));
    assert!(matches!(event, Ok(SignInEvent::Done(_))), "{event:?}");
    assert_eq!(page.expect("a page").status, 200);
}

#[tokio::test]
async fn the_page_has_no_script_stays_in_no_cache_and_tells_nobody_its_address() {
    let (host, session) = oauth_signed_out().await;
    let (mut sign_in, url) = begin_in_browser(&host, &session).await;

    let (_, page) = finish(&mut sign_in, &url).await;

    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let body = page.body.to_ascii_lowercase();
    for foreign in ["<script", "src=", "href=", "http://", "https://"] {
        assert!(!body.contains(foreign), "{foreign}: {body}");
    }
}

#[tokio::test]
async fn a_second_redirect_gets_a_page_and_no_session() {
    let (host, session) = oauth_signed_out().await;
    let (mut sign_in, url) = begin_in_browser(&host, &session).await;
    let redirect = redirect_of(&url).await;
    let browser = Browser::default();
    // Both arrive before the sign-in goes on.
    let first = browser.get(&redirect).await.expect("a page");
    let second = browser.get(&redirect).await.expect("a page");

    let event = sign_in.next().await;

    assert!(matches!(event, Ok(SignInEvent::Done(_))), "{event:?}");
    assert_eq!((first.status, second.status), (200, 400));
    assert_eq!(host.server.counts().sign_ins, 1);
}

#[tokio::test]
async fn a_redirect_counts_only_if_it_comes_from_the_issuer() {
    let other = || Iss::Other("https://evil.example".into());
    for (states_iss, iss, allows_missing_iss, is_taken) in [
        (true, Iss::Own, false, true),
        (false, Iss::Own, false, true),
        (false, Iss::Missing, false, true),
        (true, Iss::Missing, false, false),
        // Twenty 2.21 says that it sends one, and does not.
        (true, Iss::Missing, true, true),
        (true, other(), true, false),
        (false, other(), false, false),
    ] {
        let case = format!("stated {states_iss}, {iss:?}, allowed {allows_missing_iss}");
        let rules = OAuthRules {
            states_iss,
            iss,
            ..OAuthRules::default()
        };
        let host = oauth_host(rules).await;
        let settings = OAuth2Settings {
            allows_missing_iss,
            ..known_client()
        };
        let session = open_with(&host, settings).await;

        let outcome = sign_in_by_browser(&host, &session).await;

        assert_eq!(outcome.is_ok(), is_taken, "{case}");
        if !is_taken {
            let error = outcome.expect_err("refused");
            assert_eq!(error.code(), Code::SignInRefused, "{case}");
            assert_eq!(
                error.cause().map(|cause| cause.to_string()).as_deref(),
                Some("other_issuer")
            );
            assert_eq!(
                host.server.counts().sign_ins,
                0,
                "the code is not used: {case}"
            );
        }
    }
}

#[tokio::test]
async fn a_person_who_declines_stays_in_the_session_that_was_there() {
    let (host, session) = oauth_signed_in().await;
    let before = session.id();
    host.server.change_oauth(|rules| rules.declines = true);
    let (mut sign_in, url) = begin_in_browser(&host, &session).await;

    let (outcome, page) = finish(&mut sign_in, &url).await;

    assert_eq!(refusal(outcome), Code::SignInRefused);
    assert!(page.body.contains("did not sign you in"), "{page:?}");
    assert_eq!(session.id(), before);
    call_succeeds(&session).await;
}

#[tokio::test]
async fn a_closed_tab_ends_the_sign_in_after_its_time_and_closes_the_port() {
    let (host, session) = oauth_signed_out().await;
    let (mut sign_in, url) = begin_in_browser(&host, &session).await;
    let redirect = redirect_of(&url).await;
    let began = host.clock.awake();

    let outcome = host.clock.run_until(sign_in.next()).await;

    assert_eq!(refusal(outcome), Code::SignInTimedOut);
    assert_eq!(host.clock.awake() - began, 5 * MINUTE);
    drop(sign_in);
    is_closed(&redirect).await;
}

#[tokio::test]
async fn cancelling_closes_the_port_and_a_late_redirect_changes_nothing() {
    let (host, session) = oauth_signed_in().await;
    let before = session.id();
    let (sign_in, url) = begin_in_browser(&host, &session).await;
    let redirect = redirect_of(&url).await;

    drop(sign_in);

    is_closed(&redirect).await;
    assert_eq!(host.server.counts().sign_ins, 1, "only the one before");
    assert_eq!(session.id(), before);
}

/// Returns once nobody listens at this address any more.
async fn is_closed(redirect: &str) {
    let closed = async { while Browser::default().get(redirect).await.is_ok() {} };
    let came = tokio::time::timeout(PATIENCE, closed).await;
    assert!(came.is_ok(), "the port stays open");
}

#[tokio::test]
async fn the_first_fixed_port_that_is_free_is_used_and_without_one_the_error_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port_of = |listener: &TcpListener| listener.local_addr().expect("bound").port();
    let ports = [port_of(&taken), port_of(&free)];
    let settings = |redirect_ports: &[u16]| OAuth2Settings {
        redirect_ports: redirect_ports.to_vec(),
        ..known_client()
    };
    let host = oauth_host(OAuthRules::default()).await;
    let session = open_with(&host, settings(&ports)).await;
    let server = host.server.address();
    let begin = || {
        let beginning = session.begin_sign_in(&server, Some(SignInMethod::Browser));
        beginning.expect("an address")
    };

    let error = browser_step(&mut begin())
        .await
        .expect_err("both are taken");
    assert_eq!(error.code(), Code::BrowserUnavailable);

    drop(free);
    let url = browser_step(&mut begin())
        .await
        .expect("the second is free");
    let expected = format!("http://127.0.0.1:{}/callback", ports[1]);
    assert_eq!(parameter(&url, "redirect_uri"), expected);
}

#[tokio::test]
async fn an_address_of_version_6_reaches_the_same_port_where_the_system_has_it() {
    if TcpListener::bind("[::1]:0").await.is_err() {
        return;
    }
    let (host, session) = oauth_signed_out().await;
    let (mut sign_in, url) = begin_in_browser(&host, &session).await;
    let redirect = redirect_of(&url).await;
    let redirect = redirect.replacen("127.0.0.1", "[::1]", 1);

    let (event, page) = tokio::join!(sign_in.next(), async {
        Browser::default().get(&redirect).await
    });

    assert!(matches!(event, Ok(SignInEvent::Done(_))), "{event:?}");
    assert_eq!(page.expect("a page").status, 200);
}

#[tokio::test]
async fn of_two_sign_ins_side_by_side_each_has_its_own_redirect() {
    let (host, session) = oauth_signed_out().await;
    let (mut first, first_url) = begin_in_browser(&host, &session).await;
    let (mut second, second_url) = begin_in_browser(&host, &session).await;
    // The code of one is no use in the other.
    let crossed = redirect_of(&second_url).await;
    let crossed = crossed.replace(
        &parameter(&second_url, "redirect_uri"),
        &parameter(&first_url, "redirect_uri"),
    );
    let page = Browser::default().get(&crossed).await.expect("a page");
    assert_eq!(page.status, 400);

    let (status, _) = finish(&mut second, &second_url).await;
    let id = session.id();
    assert!(status.is_ok() && id.is_some());
    let (status, _) = finish(&mut first, &first_url).await;

    assert!(status.is_ok());
    assert_ne!(session.id(), id, "the later one is the session");
}

#[tokio::test]
async fn a_session_that_ends_meanwhile_does_not_disturb_the_sign_in() {
    let (host, session) = oauth_signed_in().await;
    let (mut sign_in, url) = begin_in_browser(&host, &session).await;
    session.sign_out().await;

    let (status, _) = finish(&mut sign_in, &url).await;

    assert_eq!(status.expect("signed in").phase, Phase::SignedIn);
    call_succeeds(&session).await;
}

#[tokio::test]
async fn an_application_registers_once_and_again_when_the_server_has_forgotten_it() {
    let _alone = FIXED_PORTS.lock().await;
    let rules = OAuthRules {
        compares_ports: true,
        ..OAuthRules::default()
    };
    let host = oauth_host(rules).await;
    let session = open_with(&host, OAuth2Settings::default()).await;
    let clients = async || {
        let (sign_in, url) = begin_in_browser(&host, &session).await;
        drop(sign_in);
        parameter(&url, "client_id")
    };

    let first = clients().await;
    assert_eq!(clients().await, first, "kept for the next sign-in");
    host.server.forget_clients();
    let second = clients().await;

    assert_ne!(second, first);
    assert_eq!(clients().await, second);
}

#[tokio::test]
async fn an_application_that_registered_itself_comes_back_to_a_registered_port() {
    let _alone = FIXED_PORTS.lock().await;
    let rules = OAuthRules {
        compares_ports: true,
        ..OAuthRules::default()
    };
    let host = oauth_host(rules).await;
    let session = open_with(&host, OAuth2Settings::default()).await;

    let (mut sign_in, url) = begin_in_browser(&host, &session).await;

    let redirect: url::Url = parameter(&url, "redirect_uri").parse().expect("an address");
    let port = redirect.port().expect("a port");
    assert!(REDIRECT_PORTS.contains(&port), "{redirect}");
    let (signed_in, _) = finish(&mut sign_in, &url).await;
    assert_eq!(signed_in.expect("signed in").phase, Phase::SignedIn);
}

#[tokio::test]
async fn without_a_registration_the_shared_client_is_used_and_never_revoked() {
    let _alone = FIXED_PORTS.lock().await;
    let rules = OAuthRules {
        registers: false,
        shared_client: Some("everybodys".into()),
        ..OAuthRules::default()
    };
    let host = oauth_host(rules).await;
    let session = host.session(DEFAULT_ACCOUNT).await;
    let (mut sign_in, url) = begin_in_browser(&host, &session).await;
    assert_eq!(parameter(&url, "client_id"), "everybodys");
    finish(&mut sign_in, &url).await.0.expect("signed in");

    session.sign_out().await;
    host.clock.run_until(session.close()).await;

    assert_eq!(host.server.counts().sign_outs, 0);
}

#[tokio::test]
async fn a_sign_out_revokes_with_the_applications_own_client() {
    let (host, session) = oauth_signed_in().await;

    session.sign_out().await;

    host.server.wait_for(|counts| counts.sign_outs == 1).await;
    assert_eq!(session.status().phase, Phase::SignedOut);
}

#[tokio::test]
async fn a_server_without_refresh_tokens_is_named_and_signs_nobody_in() {
    let (host, session) = oauth_signed_out().await;
    host.server
        .change_oauth(|rules| rules.issues_refresh_tokens = false);

    let error = sign_in_by_browser(&host, &session)
        .await
        .expect_err("refused");

    assert_eq!(error.code(), Code::SignInRefused);
    assert!(error.message().contains("offline_access"), "{error}");
    assert_eq!(session.status().phase, Phase::SignedOut);
}

#[tokio::test]
async fn a_document_of_another_issuer_is_refused_before_anything_is_opened() {
    let (host, session) = oauth_signed_out().await;
    host.server
        .change_oauth(|rules| rules.issuer = Some("https://evil.example".into()));
    let server = host.server.address();

    assert_eq!(
        refusal(session.check_server(&server).await),
        Code::NotThisServer
    );
}

#[tokio::test]
async fn a_document_at_openids_place_is_found() {
    let (host, session) = oauth_signed_out().await;
    host.server
        .change_oauth(|rules| rules.discovery = Discovery::OpenId);
    let server = host.server.address();

    let check = session.check_server(&server).await.expect("a server");

    assert_eq!(check.methods, [SignInMethod::Browser, SignInMethod::Device]);
    assert_eq!(check.protocol, "oauth2");
}

#[tokio::test]
async fn a_refresh_token_goes_where_it_came_from_whatever_the_document_says_later() {
    let (host, session) = oauth_signed_in().await;
    host.server
        .change_oauth(|rules| rules.issuer = Some("https://evil.example".into()));

    renew(&host, &session).await;

    assert_eq!(session.generation(), Some(2));
}

#[tokio::test]
async fn twenty_offers_the_browser_first_where_it_has_oauth_and_only_the_password_before() {
    let _alone = FIXED_PORTS.lock().await;
    let host = oauth_host(OAuthRules {
        states_iss: true,
        iss: Iss::Missing,
        compares_ports: true,
        device: false,
        ..OAuthRules::default()
    })
    .await;
    let session = host.session(DEFAULT_ACCOUNT).await;
    let server = host.server.address();
    let check = session.check_server(&server).await.expect("a server");
    assert_eq!(
        check.methods,
        [SignInMethod::Browser, SignInMethod::Password]
    );

    let status = sign_in_by_browser(&host, &session)
        .await
        .expect("signed in");
    assert_eq!(
        status.person.as_deref(),
        Some(EMAIL),
        "asked for with the token"
    );
    renew(&host, &session).await;

    let old = TestHost::start().await;
    let session = old.session(DEFAULT_ACCOUNT).await;
    let server = old.server.address();
    let check = session.check_server(&server).await.expect("a server");
    assert_eq!(check.methods, [SignInMethod::Password]);
    let beginning = session.begin_sign_in(&server, Some(SignInMethod::Browser));
    let outcome = beginning.expect("an address").next().await;
    assert_eq!(refusal(outcome), Code::BrowserUnavailable);
}

#[tokio::test]
async fn no_verifier_state_or_code_is_in_any_text_of_the_session() {
    let (host, session) = oauth_signed_out().await;
    let (mut sign_in, url) = begin_in_browser(&host, &session).await;
    let state = parameter(&url, "state");
    let shown = format!("{sign_in:?}");
    let (status, page): (_, Page) = finish(&mut sign_in, &url).await;
    let code = parameter(&page.url, "code");
    assert!(!state.is_empty() && !code.is_empty());

    let texts = format!(
        "{shown}{status:?}{:?}{}",
        session.journal(),
        session.diagnostics()
    );

    for secret in [&state, &code] {
        assert!(!texts.contains(secret.as_str()), "{texts}");
    }
}

#[tokio::test]
async fn another_persons_sign_in_replaces_the_session_only_when_it_is_done() {
    let (host, session) = oauth_signed_in().await;
    let ada = session.id();
    host.server.add_person(GRACE, "another password");
    host.server
        .change_oauth(|rules| rules.person = GRACE.into());
    let (mut sign_in, url) = begin_in_browser(&host, &session).await;
    host.clock.advance(30 * SECOND);
    assert_eq!(session.id(), ada);

    finish(&mut sign_in, &url).await.0.expect("signed in");

    assert_ne!(session.id(), ada);
    call_succeeds(&session).await;
}

#[tokio::test]
async fn without_a_known_client_the_server_shows_its_error_and_the_sign_in_waits() {
    let host = oauth_host(OAuthRules::default()).await;
    let settings = OAuth2Settings {
        client: OAuth2Client::Id("nobodys".into()),
        ..OAuth2Settings::default()
    };
    let session = open_with(&host, settings).await;
    let (mut sign_in, url) = begin_in_browser(&host, &session).await;

    let page = Browser::default().open(&url).await.expect("a page");
    assert_eq!(page.status, 400);

    let outcome = host.clock.run_until(sign_in.next()).await;
    assert_eq!(refusal(outcome), Code::SignInTimedOut);
    assert!(matches!(
        sign_in.next().await.map_err(|error| error.code()),
        Err(Code::SignInCancelled)
    ));
}
