//! Signing in, and every refusal of a sign-in.

use graphql_session::{
    Clock as _, Code, DEFAULT_ACCOUNT, Origin, PasswordLogin, Phase, Session, Storage,
};
use graphql_session_testing::{
    AccessField, AuthenticationOn, EMAIL, Fault, TestHost, VaultCall, query,
};

use crate::fixture::{
    GRACE, SECOND, assert_failed, assert_is_about_grace, assert_one_renewal,
    call_in_renewal_that_meets, call_succeeds, code, join_all, renew, restarted, sign_in_as_grace,
    signed_in, signed_in_session, signed_out, spawn_sign_in, with_expired_token,
};

fn person(email: &str, password: &str) -> PasswordLogin {
    PasswordLogin {
        email: email.into(),
        password: password.into(),
    }
}

#[tokio::test]
async fn a_person_signs_in_and_the_status_says_who_and_where() {
    let (host, session) = signed_out().await;
    assert_eq!(session.status().phase, Phase::SignedOut);
    let address = host.server.address();

    // As people paste it: with the path of a page.
    let pasted = format!("{address}/objects/people");
    let signing_in = session.sign_in(&pasted, host.server.person());
    let status = signing_in.await.expect("signed in");

    assert_eq!(status.phase, Phase::SignedIn);
    assert_eq!(status.server, Some(address));
    assert_eq!(status.person.as_deref(), Some(EMAIL));
    assert_eq!(status.storage, Storage::Saved);
    assert_eq!(status, session.status());
    call_succeeds(&session).await;
}

#[tokio::test]
async fn each_refusal_has_its_code_and_leaves_nobody_signed_in() {
    let (host, session) = signed_out().await;
    host.server.ask_second_factor(EMAIL);
    let grace = host.server.add_person(GRACE, "another password");
    let here = host.server.address();
    let elsewhere = here.replace("127.0.0.1", "localhost");
    let nobody = person("nobody@example.com", "any");

    for (server, person, expected) in [
        (&here, person(GRACE, "wrong"), Code::WrongPassword),
        (&here, nobody, Code::UnknownUser),
        (&here, host.server.person(), Code::SecondFactorRequired),
        (&elsewhere, grace, Code::NotThisServer),
    ] {
        assert_eq!(code(session.sign_in(server, person).await), expected);
    }
    assert_eq!(session.status().phase, Phase::SignedOut);
    assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None);
    assert_eq!(host.server.counts().sign_ins, 0);
}

#[tokio::test]
async fn each_failure_of_server_or_network_has_its_code() {
    let login_page = Fault::redirect("https://login.example");
    let internal = Fault::refuse("INTERNAL_SERVER_ERROR", "", "connect ECONNREFUSED");
    let throttled = Fault::refuse("BAD_USER_INPUT", "", "Limit reached.");
    let unverified = Fault::refuse("FORBIDDEN", "", "Email not verified");
    for (fault, expected) in [
        (Fault::status(503), Code::NoAnswer),
        (Fault::status(429), Code::NoAnswer),
        (Fault::html(200), Code::NotThisServer),
        (Fault::status(404), Code::NotThisServer),
        (login_page, Code::LeadsElsewhere),
        (Fault::Reset, Code::NoAnswer),
        (Fault::Stall, Code::NoAnswer),
        (Fault::Truncate(10), Code::NoAnswer),
        (internal, Code::NoAnswer),
        (throttled, Code::NoAnswer),
        (unverified, Code::SignInRefused),
    ] {
        let case = format!("{fault:?}");
        let (host, session) = signed_out().await;
        host.server.on_sign_in(fault);
        let address = host.server.address();
        let signing_in = session.sign_in(&address, host.server.person());
        let outcome = host.clock.run_until(signing_in).await;
        assert_eq!(code(outcome), expected, "{case}");
        assert_eq!(session.status().phase, Phase::SignedOut, "{case}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_reported_as_no_answer() {
    let (host, session) = signed_out().await;
    host.server.stop().await;
    let address = host.server.address();

    assert_eq!(code(session.check_server(&address).await), Code::NoAnswer);
    let outcome = session.sign_in(&address, host.server.person()).await;
    assert_eq!(code(outcome), Code::NoAnswer);
}

#[tokio::test]
async fn a_failed_sign_in_leaves_the_session_that_is_there() {
    let (host, session) = signed_in().await;
    let address = host.server.address();

    let outcome = session.sign_in(&address, person(EMAIL, "wrong")).await;

    assert_eq!(code(outcome), Code::WrongPassword);
    assert_eq!(session.status().phase, Phase::SignedIn);
    call_succeeds(&session).await;
}

#[tokio::test]
async fn a_person_signs_in_to_older_and_newer_servers() {
    let (old_field, new_field) = (AccessField::AccessToken, AccessField::default());
    for (on, field) in [
        (AuthenticationOn::BothEndpoints, old_field),
        (AuthenticationOn::MetadataOnly, new_field),
        (AuthenticationOn::MetadataOnly, old_field),
    ] {
        let host = TestHost::start().await;
        host.server.authentication_on(on);
        host.server.access_field(field);
        let session = signed_in_session(&host).await;

        renew(&host, &session).await;

        // The dialect is remembered.
        assert_one_renewal(&host);
    }
}

#[tokio::test]
async fn tokens_from_elsewhere_sign_in_and_renew() {
    let (host, session) = signed_out().await;
    let issued = host.server.issue(EMAIL);
    let address = host.server.address();

    let email = Some(EMAIL.to_owned());
    let signing_in = session.sign_in_with_tokens(&address, email, issued.to_tokens());
    assert_eq!(signing_in.await.expect("signed in").phase, Phase::SignedIn);
    call_succeeds(&session).await;
    renew(&host, &session).await;

    let counts = host.server.counts();
    assert_eq!((counts.sign_ins, counts.renewals), (0, 1));
}

#[tokio::test]
async fn tokens_without_a_refresh_token_are_no_session() {
    let (host, session) = signed_out().await;
    let mut tokens = host.server.issue(EMAIL).to_tokens();
    tokens.refresh = None;
    let address = host.server.address();

    let outcome = session.sign_in_with_tokens(&address, None, tokens).await;

    assert_eq!(code(outcome), Code::InvalidRequest);
    assert_eq!(session.status().phase, Phase::SignedOut);
}

#[tokio::test]
async fn with_a_configured_server_a_sign_in_to_another_one_is_refused() {
    let host = TestHost::start().await;
    let other = TestHost::start().await;
    let mut config = host.config(DEFAULT_ACCOUNT);
    config.server = Some(host.server.address());
    let session = Session::open(config).await.expect("opens");

    let address = other.server.address();
    let outcome = session.sign_in(&address, other.server.person()).await;
    assert_eq!(code(outcome), Code::InvalidAddress);
    let checked = session.check_server(&address).await;
    assert_eq!(code(checked), Code::InvalidAddress);
    assert_eq!(other.server.counts().connections, 0);

    host.sign_in(&session).await;
}

#[tokio::test]
async fn checking_a_server_tells_a_twenty_server_from_another() {
    let (host, session) = signed_out().await;

    let address = host.server.address();
    let check = session.check_server(&address).await.expect("answers");

    assert_eq!(check.origin, address);
    assert_eq!(check.protocol, "twenty");
    assert_eq!(session.status().phase, Phase::SignedOut);
}

#[test]
fn plain_http_is_for_loopback_addresses_only() {
    for address in [
        "http://127.0.0.1:3000",
        "http://127.8.8.8",
        "http://localhost:3000",
        "http://apple.localhost:3000",
        "http://[::1]:3000",
        "https://crm.example.com",
        "crm.example.com",
        "  https://crm.example.com/objects/people?view=1  ",
    ] {
        assert!(Origin::parse(address).is_ok(), "{address}");
    }
    for address in [
        "http://crm.example.com",
        "http://192.168.1.5:3000",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://0.0.0.0:3000",
        "ftp://crm.example.com",
        "javascript:alert(1)",
        "https://",
        "https://ada:secret@crm.example.com",
        "",
        "not an address",
    ] {
        let outcome = Origin::parse(address);
        assert_eq!(code(outcome), Code::InvalidAddress, "{address}");
    }
}

#[tokio::test]
async fn a_second_sign_in_replaces_the_first_session_and_revokes_it() {
    let (host, session) = signed_in().await;

    let status = sign_in_as_grace(&host, &session).await;

    assert_eq!(status.person.as_deref(), Some(GRACE));
    assert_eq!(status.endings, 0, "a sign-in is no ending");
    host.server.wait_for(|counts| counts.sign_outs == 1).await;
    assert_is_about_grace(session.execute(query("currentUser")).await);
}

#[tokio::test]
async fn the_session_id_survives_renewals_and_restarts_and_the_next_session_has_another() {
    let (host, session) = signed_out().await;
    assert_eq!(session.id(), None);
    host.sign_in(&session).await;
    let first = session.id();
    assert!(first.is_some());

    renew(&host, &session).await;
    assert_eq!(host.server.counts().exchanged, 1);
    assert_eq!(session.id(), first);
    session.close().await;
    let session = restarted(&host, session).await;
    assert_eq!(session.id(), first);

    // The same person at the same server.
    host.sign_in(&session).await;
    let second = session.id();
    assert!(second.is_some() && second != first);
    session.sign_out().await;
    assert_eq!(session.id(), None);
}

#[tokio::test]
async fn a_sign_in_during_the_confirmation_of_a_rejection_does_not_wait_for_it() {
    let (host, session) = with_expired_token().await;
    let refusal = Fault::refuse("INTERNAL_SERVER_ERROR", "", "User Workspace not found");
    let (call, gate) = call_in_renewal_that_meets(&host, &session, refusal).await;
    // The read that follows a rejection, before the session believes it.
    host.vault.hold(VaultCall::Read);
    gate.open();
    host.clock.quiet().await;
    assert_eq!(host.vault.held_now(), 1);

    let before = host.clock.awake();
    let signing_in = spawn_sign_in(&host, &session);
    host.server.wait_for(|counts| counts.sign_ins == 2).await;
    host.clock.quiet().await;
    host.vault.release(VaultCall::Read);
    let status = host.clock.run_until(signing_in).await;

    let status = status.expect("no panic").expect("signed in");
    assert_eq!(status.phase, Phase::SignedIn);
    let waited = host.clock.awake() - before;
    assert!(waited < SECOND, "{waited:?}");
    assert_failed(join_all(vec![call]).await, Code::SignedOut);
    call_succeeds(&session).await;
}
