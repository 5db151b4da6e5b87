//! OAuth 2 on the wire: what the server says about itself, registration, the browser's pages, codes, tokens, revocation.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use demo_server::{Counter, DEMO_EMAIL, DEMO_PASSWORD, Outcome, RenewalRefusal, WORKSPACE_NAME};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::{Ask, Demo, Reply, in_time};
use crate::person::{Person, parameter};

const REDIRECT: &str = "http://127.0.0.1:27311/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const DISCOVERY: &str = "/.well-known/oauth-authorization-server";

/// An application, as a server knows it.
struct Application<'a> {
    demo: &'a Demo,
    client_id: String,
}

impl<'a> Application<'a> {
    async fn register(demo: &'a Demo, name: &str) -> Self {
        let reply = registration(demo, name, &[REDIRECT]).send().await;
        reply.is("registration");
        let client_id = text(&reply.body["client_id"]);
        Self { demo, client_id }
    }

    /// The address for the browser, with these parameters in place of its own.
    fn address(&self, other: &[(&str, &str)]) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let usual = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", REDIRECT),
            ("scope", "api profile"),
            ("state", "State-1"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in usual {
            let other = other.iter().find(|(own, _)| *own == name);
            query.append_pair(name, other.map_or(value, |(_, value)| *value));
        }
        let origin = self.demo.server.origin();
        format!("{origin}/authorize?{}", query.finish())
    }

    /// A code for the demo's person.
    async fn code(&self) -> String {
        let mut person = Person::open(&self.address(&[])).await;
        person.sign_in(DEMO_EMAIL, DEMO_PASSWORD).await;
        let location = person.allow().await;
        parameter(&location, "code").expect("a code")
    }

    /// Asks for the tokens of a code, with these fields in place of the usual ones.
    fn exchange(&self, code: &str, other: &[(&str, &str)]) -> Ask {
        let usual = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("client_id", &self.client_id),
            ("code_verifier", VERIFIER),
        ];
        let replaced = |(name, value)| {
            let other = other.iter().find(|(own, _)| *own == name);
            (name, other.map_or(value, |(_, value)| *value))
        };
        self.demo.ask("/oauth/token", "").form(&usual.map(replaced))
    }

    async fn tokens(&self) -> Tokens {
        let code = self.code().await;
        Tokens::of(&self.exchange(&code, &[]).send().await)
    }

    fn renewal(&self, refresh: &str) -> Ask {
        self.demo.ask("/oauth/token", "").form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh),
            ("client_id", &self.client_id),
        ])
    }

    async fn revoke(&self, token: &str) {
        let fields = [("token", token), ("client_id", &*self.client_id)];
        let revocation = self.demo.ask("/oauth/revoke", "").form(&fields);
        revocation.gets("revocation").await;
    }
}

struct Tokens {
    access: String,
    refresh: String,
}

impl Tokens {
    fn of(reply: &Reply) -> Self {
        reply.is("application tokens");
        Self {
            access: text(&reply.body["access_token"]),
            refresh: text(&reply.body["refresh_token"]),
        }
    }
}

fn registration(demo: &Demo, name: &str, redirect_uris: &[&str]) -> Ask {
    let body = json!({
        "client_name": name,
        "redirect_uris": redirect_uris,
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    });
    demo.ask("/oauth/register", "").raw(&body.to_string())
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Compares an error of RFC 6749, section 5.2.
fn assert_refused(reply: &Reply, status: u16, error: &str, description: &str) {
    let body = json!({ "error": error, "error_description": description });
    assert_eq!((reply.status, &reply.body), (status, &body));
}

#[tokio::test]
async fn the_server_is_its_own_issuer_under_each_of_its_names() {
    let demo = Demo::start().await;
    let port = demo.server.address().port();
    for name in ["127.0.0.1", "localhost", "harbor.localhost"] {
        let issuer = format!("http://{name}:{port}");
        let ask = demo.get(DISCOVERY);
        let ask = ask.header("host", &format!("{name}:{port}"));
        let reply = ask.gets("oauth discovery").await;
        assert_eq!(reply.body["issuer"], json!(issuer));
        assert_eq!(
            reply.body["token_endpoint"],
            json!(format!("{issuer}/oauth/token"))
        );
    }
}

#[tokio::test]
async fn a_server_of_before_2026_has_none_of_it() {
    let demo = Demo::start().await;
    let new = demo.get("/client-config").send().await;
    assert_eq!(new.body.get("appVersion"), None);
    demo.switches.change(|state| state.offers_oauth = false);

    for ask in [
        demo.get(DISCOVERY),
        demo.get("/authorize"),
        demo.ask("/authorize", ""),
        demo.ask("/oauth/token", ""),
        demo.ask("/oauth/register", ""),
        demo.ask("/oauth/revoke", ""),
    ] {
        assert_eq!(ask.send().await.status, 404);
    }
    let old = demo.get("/client-config").send().await;
    assert_eq!(old.body["appVersion"], json!("1.6.0"));
}

#[tokio::test]
async fn an_application_registers_with_addresses_of_this_computer_or_https() {
    let demo = Demo::start().await;
    let ask = registration(&demo, "App", &[REDIRECT, "https://app.example/cb"]);
    let reply = ask.send().await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.body["client_name"], json!("App"));
    assert_eq!(reply.body["redirect_uris"][1], "https://app.example/cb");

    for refused in [
        "http://[::1]:27311/callback",
        "http://app.example/cb",
        "http://127.0.0.1.app.example/cb",
        "app://cb",
        "no address",
    ] {
        let ask = registration(&demo, "App", &[REDIRECT, refused]);
        let description = format!(
            "Redirect URIs must use HTTPS (except localhost) or an allowed custom scheme: {refused}"
        );
        let reply = ask.send().await;
        assert_refused(&reply, 400, "invalid_client_metadata", &description);
    }
    let without = registration(&demo, "App", &[]).send().await;
    assert_eq!(without.body["error"], "invalid_client_metadata");
}

#[tokio::test]
async fn what_cannot_be_trusted_leads_the_browser_nowhere() {
    let demo = Demo::start().await;
    let application = Application::register(&demo, "App").await;
    let mismatch = format!(
        "redirectUrl mismatch for &#39;{}&#39;",
        application.client_id
    );
    let challenge = "code_challenge is required for public clients (PKCE S256, per OAuth 2.1)";
    for (name, value, sentence) in [
        ("client_id", "nobody", "Client not found"),
        ("redirect_uri", "https://evil.example/cb", &*mismatch),
        ("redirect_uri", "http://127.0.0.1:5555/callback", &mismatch),
        ("redirect_uri", "http://localhost:27311/callback", &mismatch),
        (
            "redirect_uri",
            "http://127.0.0.1:27311/callback/x",
            &mismatch,
        ),
        ("redirect_uri", "", &mismatch),
        ("response_type", "token", "response_type must be code"),
        ("code_challenge", "", challenge),
        ("code_challenge_method", "plain", challenge),
    ] {
        let person = Person::open(&application.address(&[(name, value)])).await;
        let page = &person.page;
        assert_eq!((page.status, &*page.location), (400, ""), "{name}={value}");
        assert!(
            page.text.contains(sentence),
            "{name}={value}: {}",
            page.text
        );
        assert!(!page.text.contains("<form"), "{name}={value}");
    }
}

#[tokio::test]
async fn the_client_of_every_server_redirects_to_any_port_of_this_computer() {
    let demo = Demo::start().await;
    let discovery = demo.get(DISCOVERY).send().await;
    let shared = Application {
        demo: &demo,
        client_id: text(&discovery.body["cli_client_id"]),
    };
    for (redirect, status) in [
        ("http://127.0.0.1:43210/callback", 200),
        ("http://localhost:1/any/path", 200),
        ("https://localhost:1/callback", 400),
        ("http://127.0.0.2:43210/callback", 400),
        ("http://evil.example/callback", 400),
        ("http://localhost.evil.example/callback", 400),
        ("http://localhost@evil.example/callback", 400),
    ] {
        let address = shared.address(&[("redirect_uri", redirect)]);
        assert_eq!(
            Person::open(&address).await.page.status,
            status,
            "{redirect}"
        );
    }
}

#[tokio::test]
async fn the_redirect_brings_code_and_state_and_no_iss_as_in_2_21() {
    let demo = Demo::start().await;
    let application = Application::register(&demo, "App").await;
    let mut person = Person::open(&application.address(&[])).await;
    person.sign_in(DEMO_EMAIL, DEMO_PASSWORD).await;
    assert!(person.page.text.contains(WORKSPACE_NAME));

    let location = person.allow().await;

    assert!(location.starts_with(REDIRECT), "{location}");
    assert_eq!(parameter(&location, "state").as_deref(), Some("State-1"));
    assert_eq!(parameter(&location, "iss"), None);
    assert!(parameter(&location, "code").is_some());
}

#[tokio::test]
async fn who_refuses_sends_an_error_and_no_code() {
    let demo = Demo::start().await;
    let application = Application::register(&demo, "App").await;
    let mut person = Person::open(&application.address(&[])).await;
    person.sign_in(DEMO_EMAIL, DEMO_PASSWORD).await;

    person.submit(&[("answer", "refuse")]).await;

    let location = &person.page.location;
    assert_eq!(
        parameter(location, "error").as_deref(),
        Some("access_denied")
    );
    assert_eq!(parameter(location, "state").as_deref(), Some("State-1"));
    assert_eq!(parameter(location, "code"), None);
}

#[tokio::test]
async fn no_page_is_skipped_answered_twice_or_answered_by_a_foreign_page() {
    let demo = Demo::start().await;
    let application = Application::register(&demo, "App").await;
    let mut person = Person::open(&application.address(&[])).await;
    let port = demo.server.address().port();

    // A browser that skips the password gets the form for it again.
    person.submit(&[("answer", "allow")]).await;
    assert!(person.page.text.contains("name=\"password\""));
    person.sign_in(DEMO_EMAIL, "wrong").await;
    assert!(person.page.text.contains("Wrong password. Try again."));
    assert!(person.page.text.contains("name=\"password\""));
    person.sign_in(DEMO_EMAIL, DEMO_PASSWORD).await;

    let allow = person.filled_in(&[("answer", "allow")]);
    for origin in [
        "null".to_owned(),
        "http://evil.example".to_owned(),
        // Another server of this computer, and another name of this one.
        "http://127.0.0.1:1".to_owned(),
        format!("http://localhost:{port}"),
    ] {
        let foreign = allow.clone().header("origin", &origin);
        assert_eq!(foreign.send().await.status, 403, "{origin}");
    }
    assert_eq!(allow.clone().send().await.status, 303);
    assert_eq!(allow.send().await.status, 410, "it is over");
}

#[tokio::test]
async fn a_page_that_lies_open_for_too_long_is_over() {
    let demo = Demo::start().await;
    let application = Application::register(&demo, "App").await;
    let mut person = Person::open(&application.address(&[])).await;
    demo.pass(Duration::from_secs(10 * 60));

    person.sign_in(DEMO_EMAIL, DEMO_PASSWORD).await;

    assert_eq!(person.page.status, 410);
    assert!(person.page.text.contains("start the sign-in again"));
}

#[tokio::test]
async fn the_pages_have_no_script_and_show_a_name_as_text() {
    let demo = Demo::start().await;
    let name = "<script>alert(1)</script>&\"'";
    let application = Application::register(&demo, name).await;
    let mut person = Person::open(&application.address(&[])).await;
    for _ in 0..2 {
        let page = &person.page;
        let html = page.text.to_lowercase();
        for foreign in ["<script", "src=", "href=", "http-equiv", "<img", "<link"] {
            assert!(!html.contains(foreign), "{foreign}: {html}");
        }
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39;"));
        for header in [
            "cache-control: no-store",
            "referrer-policy: same-origin",
            "content-security-policy: default-src 'none'; style-src 'sha256-",
            "form-action 'self' http://127.0.0.1:27311; base-uri 'none'; frame-ancestors 'none'",
        ] {
            assert!(page.head.contains(header), "{header}: {}", page.head);
        }
        person.sign_in(DEMO_EMAIL, DEMO_PASSWORD).await;
    }
}

#[tokio::test]
async fn a_code_works_once_and_only_with_what_it_was_asked_for() {
    let demo = Demo::start().await;
    let application = Application::register(&demo, "App").await;
    let other = Application::register(&demo, "Another").await;
    let code = application.code().await;
    let wrong_verifier = "Code verifier does not match the code challenge";
    for (name, value, description) in [
        ("code", "nonsense", "Authorization code not found"),
        (
            "client_id",
            &*other.client_id,
            "Authorization code not found",
        ),
        (
            "redirect_uri",
            "http://127.0.0.1:27312/callback",
            "Redirect URI does not match the authorization request",
        ),
        ("code_verifier", "x", wrong_verifier),
        ("code_verifier", "", wrong_verifier),
    ] {
        let reply = application.exchange(&code, &[(name, value)]).send().await;
        assert_refused(&reply, 400, "invalid_grant", description);
    }

    let tokens = Tokens::of(&application.exchange(&code, &[]).send().await);
    demo.accepts(&tokens.access).await;
    let again = application.exchange(&code, &[]).send().await;

    let used = "Authorization code has already been used";
    assert_refused(&again, 400, "invalid_grant", used);
}

#[tokio::test]
async fn a_code_works_for_five_minutes() {
    let demo = Demo::start().await;
    let application = Application::register(&demo, "App").await;
    let (early, late) = (application.code().await, application.code().await);
    demo.pass(Duration::from_millis(5 * 60 * 1_000 - 1));
    Tokens::of(&application.exchange(&early, &[]).send().await);
    demo.pass(Duration::from_millis(1));

    let reply = application.exchange(&late, &[]).send().await;

    let description = "Authorization code not found";
    assert_refused(&reply, 400, "invalid_grant", description);
}

#[tokio::test]
async fn a_renewal_brings_a_new_refresh_token_and_the_old_one_goes_on_working() {
    let demo = Demo::start().await;
    let application = Application::register(&demo, "App").await;
    let first = application.tokens().await;
    demo.pass(Duration::from_secs(30 * 60));
    demo.user(&first.access).await.is("expired bearer");

    let second = Tokens::of(&application.renewal(&first.refresh).send().await);
    demo.accepts(&second.access).await;
    assert_ne!(second.refresh, first.refresh);
    // Far past the grace time of a sign-in with a password, as JSON, and whatever stands in Authorization.
    demo.pass(Duration::from_secs(3_600));
    let body = json!({
        "grant_type": "refresh_token", "refresh_token": first.refresh, "client_id": application.client_id,
    });
    let again = demo.ask("/oauth/token", "").raw(&body.to_string());
    let again = again.bearer("nonsense").send().await;
    demo.accepts(&Tokens::of(&again).access).await;
    let third = Tokens::of(&application.renewal(&second.refresh).send().await);
    demo.accepts(&third.access).await;

    let links: Vec<_> = demo.switches.counts().renewals;
    let links: Vec<_> = links
        .iter()
        .map(|one| (one.chain, one.generation))
        .collect();
    assert_eq!(
        links,
        [(Some(1), Some(0)), (Some(1), Some(0)), (Some(1), Some(1))]
    );
}

#[tokio::test]
async fn the_token_endpoint_says_what_is_wrong_in_twentys_words() {
    let demo = Demo::start().await;
    let application = Application::register(&demo, "App").await;
    let other = Application::register(&demo, "Another").await;
    let tokens = application.tokens().await;
    let pair = demo.sign_in().await;

    for no_refresh_token in ["", "garbage", &tokens.access, &pair.refresh] {
        let reply = application.renewal(no_refresh_token).send().await;
        let description = "Invalid or expired refresh token";
        assert_refused(&reply, 400, "invalid_grant", description);
    }
    let foreign = other.renewal(&tokens.refresh).send().await;
    let description = "Refresh token was not issued to this client";
    assert_refused(&foreign, 400, "invalid_grant", description);

    let nobody = Application {
        demo: &demo,
        client_id: "00000000-0000-4000-8000-000000000000".to_owned(),
    };
    for unknown in [
        nobody.renewal(&tokens.refresh),
        nobody.exchange("code", &[]),
    ] {
        let reply = unknown.send().await;
        assert_refused(&reply, 401, "invalid_client", "Client not found");
    }
    let grant = [("grant_type", "urn:ietf:params:oauth:grant-type:device_code")];
    let reply = demo.ask("/oauth/token", "").form(&grant).send().await;
    let description = "The provided grant_type is not supported. Supported values: authorization_code, client_credentials, refresh_token";
    assert_refused(&reply, 400, "unsupported_grant_type", description);

    // The other way round, over GraphQL.
    let reply = demo.renew(&tokens.refresh).await;
    reply.is("application's refresh token over GraphQL");
}

#[tokio::test]
async fn a_revocation_ends_all_sign_ins_of_the_person_with_that_application_only() {
    let demo = Demo::start().await;
    let application = Application::register(&demo, "App").await;
    let other = Application::register(&demo, "Another").await;
    let (one, two) = (application.tokens().await, application.tokens().await);
    let (elsewhere, pair) = (other.tokens().await, demo.sign_in().await);

    for nothing in ["garbage", &elsewhere.refresh, &one.access, &pair.refresh] {
        application.revoke(nothing).await;
    }
    let one = Tokens::of(&application.renewal(&one.refresh).send().await);
    assert_eq!(demo.switches.counts().applications_revoked, 0);

    application.revoke(&one.refresh).await;

    assert_eq!(demo.switches.counts().applications_revoked, 1);
    for revoked in [&one, &two] {
        let reply = application.renewal(&revoked.refresh).send().await;
        let description = "The user revoked this application access";
        assert_refused(&reply, 400, "invalid_grant", description);
        // Until it expires.
        demo.accepts(&revoked.access).await;
    }
    Tokens::of(&other.renewal(&elsewhere.refresh).send().await);
    demo.renewed(&pair.refresh).await;
    // The person can sign in again.
    let anew = application.tokens().await;
    Tokens::of(&application.renewal(&anew.refresh).send().await);
}

#[tokio::test]
async fn the_switches_for_renewals_hold_lose_and_refuse_those_of_applications() {
    let demo = Demo::start().await;
    let application = Application::register(&demo, "App").await;
    let tokens = application.tokens().await;
    let renewal = || application.renewal(&tokens.refresh);

    demo.switches.hold_renewals(true);
    let held = tokio::spawn(renewal().send());
    in_time(demo.switches.wait_for(Counter::RenewalsHeld, 1)).await;
    demo.switches.hold_renewals(false);
    Tokens::of(&held.await.expect("answered"));

    demo.switches.lose_renewal_answers(1);
    assert!(renewal().try_send().await.is_none(), "without a byte");

    demo.switches.refuse_renewals(Some(RenewalRefusal::Error {
        code: "temporarily_unavailable".to_owned(),
        sub_code: None,
        message: "Later".to_owned(),
    }));
    let refused = renewal().send().await;
    assert_refused(&refused, 400, "temporarily_unavailable", "Later");
    demo.switches.refuse_renewals(None);

    demo.switches.expire_access_tokens().await.expect("expired");
    demo.user(&tokens.access).await.is("expired bearer");
    Tokens::of(&renewal().send().await);
    demo.switches
        .revoke_refresh_tokens()
        .await
        .expect("revoked");
    assert_eq!(renewal().send().await.status, 400);

    let counts = demo.switches.counts();
    let outcomes: Vec<_> = counts.renewals.iter().map(|one| one.outcome).collect();
    let expected = [
        Outcome::Accepted,
        Outcome::Lost,
        Outcome::Refused,
        Outcome::Accepted,
        Outcome::Refused,
    ];
    assert_eq!(outcomes, expected);
    let message = counts.renewals[4].message.as_deref();
    assert_eq!(message, Some("The user revoked this application access"));
}
