//! What each answer to a renewal proves: one test per row of the table in `verdict.rs`, through the whole core. A
//! test names its row by the first cell, and expects what the other cells say. Retry-After is in `retry_after.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use graphql_session::{Code, DEFAULT_ACCOUNT, Expiry, Phase, Protocol as _, Session, Twenty};
use graphql_session_testing::{
    Alpn, Coding, ConnectionFault, EMAIL, Fault, ServerCertificate, TestHost, query,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::endings::assert_ends_once;
use crate::fixture::watched_twenty::WatchedTwenty;
use crate::fixture::{
    call_succeeds, code, join_all, patient_host, patient_with_expired_token, renew,
    session_with_expired_token, signed_in_with, spawn_call, spawn_calls, until_noted,
    wait_for_phase,
};

const VERDICT: &str = include_str!("../../src-tauri/core/src/verdict.rs");
const DOCUMENT: &str = include_str!("../../docs/faults.md");
const THESE_TESTS: &str = include_str!("verdicts.rs");

/// The first pause of the backoff, in ms.
const FIRST_BACKOFF: std::ops::RangeInclusive<i128> = 300..=1_000;

/// The lines of the table, as in the manual.
fn table() -> Vec<&'static str> {
    let lines = VERDICT.lines().map(|line| line.trim_start_matches("//! "));
    let from_head = lines.skip_while(|line| !line.starts_with("| what came back"));
    from_head.take_while(|line| line.starts_with('|')).collect()
}

/// One row of the table.
struct Row {
    what: &'static str,
    cause: &'static str,
    verdict: &'static str,
    token: &'static str,
    next: &'static str,
}

fn rows() -> Vec<Row> {
    let rows = table().into_iter().skip(2);
    rows.map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [what, cause, verdict, token, next] = cells[..] else {
            panic!("not a row of five cells: {line}");
        };
        Row {
            what,
            cause,
            verdict,
            token,
            next,
        }
    })
    .collect()
}

/// The row that begins with this cell.
fn row(what: &str) -> Row {
    let row = rows().into_iter().find(|row| row.what == what);
    row.unwrap_or_else(|| panic!("verdict.rs has no row for {what:?}"))
}

#[test]
fn every_row_of_the_table_has_its_test_here() {
    let rows = rows();
    assert!(rows.len() >= 20, "only {} rows were found", rows.len());
    for row in rows {
        let named = format!("row({:?})", row.what);
        // A long first cell is on a line of its own.
        let wrapped = format!("{:?},\n", row.what);
        let alone = format!("        {:?}\n", row.what);
        let mut forms = [named, wrapped, alone].into_iter();
        let is_named = forms.any(|form| THESE_TESTS.contains(&form));
        assert!(is_named, "no test for {:?}", row.what);
    }
}

#[test]
fn the_document_has_the_same_table() {
    for line in table() {
        assert!(
            DOCUMENT.lines().any(|known| known == line),
            "docs/faults.md lacks this line:\n{line}"
        );
    }
}

impl Row {
    /// Each of these makes the first attempt prove what the row says; then the server behaves.
    async fn holds_for(&self, faults: impl IntoIterator<Item = Fault>) {
        for fault in faults {
            let case = format!("{}: {fault:?}", self.what);
            let (host, session) = patient_with_expired_token().await;
            host.server.on_renewal(fault);
            self.check(&host, &session, &case).await;
        }
    }

    /// Five calls wait for the first attempt, and are served after it or the next one. Five later calls need no attempt.
    async fn check(&self, host: &TestHost, session: &Session, case: &str) {
        for _ in 0..2 {
            let calls = join_all(spawn_calls(session, 5, &query("people")));
            for outcome in host.clock.run_until(calls).await {
                assert_eq!(outcome.map(|reply| reply.status), Ok(200), "{case}");
            }
        }
        assert_eq!(session.status().phase, Phase::SignedIn, "{case}");
        assert_eq!(session.status().endings, 0, "{case}");
        assert_eq!(host.server.counts().renewals_at_once, 1, "{case}");
        self.check_attempt(session, case);
        let attempts = answers(session).len();
        assert_eq!(attempts, if self.next == "none" { 1 } else { 2 }, "{case}");
    }

    /// The cause in the journal is one of the row's, and fits the HTTP status of the answer.
    fn check_cause(&self, answered: &Value, case: &str) {
        let cause = answered["cause"].as_str().expect("a cause");
        let is_status = cause == format!("http_{}", answered["httpStatus"]);
        let is_named = self.cause.split('`').any(|word| word == cause);
        let names_all_statuses = self.cause == "`http_` and the status";
        let is_one = is_named || (names_all_statuses && is_status);
        assert!(is_one, "{case}: {cause} is not one of {}", self.cause);
        let is_of_its_answer = is_status || !cause.starts_with("http_");
        assert!(is_of_its_answer, "{case}: {answered}");
    }

    /// What the journal says about the first attempt, and about the pause after it.
    fn check_attempt(&self, session: &Session, case: &str) {
        let (answered_at, first) = answers(session).remove(0);
        assert_eq!(first["verdict"], self.verdict, "{case}");
        self.check_cause(&first, case);
        if self.verdict == "inconclusive" {
            assert_eq!(first["token"], self.token.replace(' ', "_"), "{case}");
        }
        let journal = session.journal().into_iter();
        let second = journal.filter(|entry| entry.what == "attempt_sent").nth(1);
        let pause = second.map(|sent| sent.at.duration_since(answered_at).as_millis());
        match self.next {
            "none" => assert_eq!(pause, None, "{case}"),
            "at once" => assert_eq!(pause, Some(0), "{case}"),
            "with backoff" => assert!(
                pause.is_some_and(|ms| FIRST_BACKOFF.contains(&ms)),
                "{case}: {pause:?}"
            ),
            "30 s later, once" => assert_eq!(pause, Some(30_000), "{case}"),
            other => panic!("no test knows the next attempt {other:?}"),
        }
    }
}

/// When each attempt was answered, and how.
fn answers(session: &Session) -> Vec<(Timestamp, Value)> {
    let journal = session.journal();
    let answers = journal.into_iter().filter(|entry| entry.what == "answered");
    answers
        .map(|entry| (entry.at, Value::Object(entry.facts)))
        .collect()
}

/// The refresh tokens that were sent, one per renewal.
fn sent_tokens(host: &TestHost) -> Vec<String> {
    let seen = host.server.seen_asking_for("renewToken");
    let bodies = seen.iter().map(|seen| {
        let body: Value = serde_json::from_slice(&seen.body).expect("JSON");
        body["variables"]["appToken"].to_string()
    });
    bodies.collect()
}

/// Tokens in the server's words, inside any HTTP status.
fn tokens_with_status(host: &TestHost, status: u16) -> Fault {
    let pair = host.server.issue(EMAIL);
    let token = |text: &str, until: Timestamp| json!({ "token": text, "expiresAt": until });
    let body = json!({ "data": { "renewToken": { "tokens": {
        "accessOrWorkspaceAgnosticToken": token(&pair.access, pair.access_until),
        "refreshToken": token(&pair.refresh, pair.refresh_until),
    } } } });
    Fault::answer(status, body.to_string())
}

// ── In the protocol's words ─────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn new_tokens_replace_the_old_ones_whatever_the_http_status() {
    let row = row("new tokens, with any HTTP status");
    assert_eq!(row.token, "replaced");
    for status in [200, 201, 401, 500, 503] {
        let (host, session) = patient_with_expired_token().await;
        let fault = tokens_with_status(&host, status);
        host.server.on_renewal(fault);
        row.check(&host, &session, &status.to_string()).await;

        renew(&host, &session).await;
        let sent = sent_tokens(&host);
        assert_ne!(sent[0], sent[1], "the old refresh token was kept");
    }
    row.holds_for([Fault::Chunked]).await;
}

#[tokio::test]
async fn new_tokens_without_a_refresh_token_keep_the_old_one() {
    let row = row("new tokens without a refresh token");
    assert_eq!(row.token, "kept");
    let (host, session) = patient_with_expired_token().await;
    host.server.on_every_renewal(Fault::WithoutRefreshToken);
    row.check(&host, &session, row.what).await;

    for _ in 0..2 {
        renew(&host, &session).await;
    }
    let sent = sent_tokens(&host);
    assert_eq!(sent, [sent[0].as_str(); 3]);
    assert_eq!(session.status().endings, 0);
}

#[tokio::test]
async fn a_final_error_ends_the_session_once_it_is_confirmed() {
    let row = row("a final error: at Twenty `UNAUTHENTICATED`, `FORBIDDEN`, `BAD_USER_INPUT`");
    assert_eq!(row.token, "dead, once confirmed");
    for status in [200, 400, 401, 403] {
        for code in FINAL_CODES {
            let (host, session) = patient_with_expired_token().await;
            let fault = Fault::refuse_with_status(status, code, "", "Not this one");
            host.server.on_renewal(fault);
            let case = format!("{status} {code}");
            assert_ends_once(&host, &session, &case).await;
            row.check_attempt(&session, &case);
        }
    }
}

/// Twenty's final codes.
const FINAL_CODES: [&str; 3] = ["UNAUTHENTICATED", "FORBIDDEN", "BAD_USER_INPUT"];

/// A final code inside HTTP 5xx.
fn final_errors_in_5xx() -> impl Iterator<Item = (String, Fault)> {
    [500, 502, 503].into_iter().flat_map(|status| {
        FINAL_CODES.map(|code| {
            let fault = Fault::refuse_with_status(status, code, "", "Not this one");
            (format!("{status} {code}"), fault)
        })
    })
}

#[tokio::test]
async fn a_final_error_inside_http_5xx_is_asked_for_once_more() {
    let row = row(
        "a final error inside HTTP 5xx: the server is in trouble, and may not have looked at the token",
    );
    assert_eq!(row.token, "in doubt");
    for (case, fault) in final_errors_in_5xx() {
        let (host, session) = patient_with_expired_token().await;
        host.server.on_every_renewal(fault);
        let call = spawn_call(&session, query("people"));
        wait_for_phase(&host, &session, Phase::Ended).await;

        let outcome = call.await.expect("no panic");
        assert_eq!(code(outcome), Code::Unreachable, "{case}");
        row.check_attempt(&session, &case);
        assert_eq!(host.server.counts().renewals, 2, "{case}");
    }
}

#[tokio::test]
async fn a_final_error_inside_http_5xx_given_once_leaves_the_session() {
    for (case, fault) in final_errors_in_5xx() {
        let (host, session) = patient_with_expired_token().await;
        host.server.on_renewal(fault);
        let call = spawn_call(&session, query("people"));
        wait_for_phase(&host, &session, Phase::Unreachable).await;
        wait_for_phase(&host, &session, Phase::SignedIn).await;

        let outcome = call.await.expect("no panic");
        assert_eq!(code(outcome), Code::Unreachable, "{case}");
        assert_eq!(session.status().endings, 0, "{case}");
        call_succeeds(&session).await;
    }
}

#[tokio::test]
async fn a_final_error_that_is_also_given_by_mistake_is_asked_for_once_more() {
    let row = row(
        "a final error that this server also gives by mistake: at Twenty \"User Workspace not found\"",
    );
    assert_eq!(row.token, "in doubt");
    let (host, session) = patient_with_expired_token().await;
    host.server.remove_member(EMAIL);
    let call = spawn_call(&session, query("people"));
    wait_for_phase(&host, &session, Phase::Ended).await;

    assert_eq!(code(call.await.expect("no panic")), Code::Unreachable);
    row.check_attempt(&session, row.what);
    assert_eq!(answers(&session)[0].1["ambiguous"], true);
    assert_eq!(host.server.counts().renewals, 2);
}

#[tokio::test]
async fn a_throttle_leaves_the_token_unused() {
    let later = "Limit reached. Please try again after 60000 ms.";
    row("a throttle: at Twenty `BAD_USER_INPUT` with \"Limit reached\"")
        .holds_for([
            Fault::refuse("BAD_USER_INPUT", "", later),
            Fault::refuse("BAD_USER_INPUT", "LIMIT_REACHED", "Too many requests"),
            Fault::refuse_with_status(429, "BAD_USER_INPUT", "LIMIT_REACHED", "Too many"),
        ])
        .await;
}

#[tokio::test]
async fn a_complaint_about_the_request_leaves_the_token_unused() {
    row("a complaint about the request: at Twenty `BAD_USER_INPUT` with \"Variable\"")
        .holds_for([200, 400].map(|status| {
            let message = "Variable \"$appToken\" got invalid value";
            Fault::refuse_with_status(status, "BAD_USER_INPUT", "", message)
        }))
        .await;
}

#[tokio::test]
async fn a_schema_error_in_every_dialect_is_one_attempt_that_leaves_the_token_unused() {
    let row = row(
        "a schema error in every dialect; the next dialect is asked at once, within the attempt",
    );
    let message = "Cannot query field \"renewToken\" on type \"Mutation\".";
    for unknown in [
        Fault::refuse("GRAPHQL_VALIDATION_FAILED", "", message),
        Fault::json(json!({ "errors": [{ "message": message }] }).to_string()),
    ] {
        let (host, session) = patient_with_expired_token().await;
        for _ in 0..Twenty::new().dialects(None).len() {
            host.server.on_renewal(unknown.clone());
        }
        row.check(&host, &session, &format!("{unknown:?}")).await;
    }
}

#[tokio::test]
async fn any_other_graphql_error_leaves_the_token_unused() {
    let without_a_code = Fault::json(r#"{"errors":[{"message":"Something"}],"data":null}"#);
    row("any other GraphQL error: an internal error, an unknown code, none")
        .holds_for([
            Fault::refuse(
                "INTERNAL_SERVER_ERROR",
                "",
                "connect ECONNREFUSED 127.0.0.1:5432",
            ),
            Fault::refuse("INTERNAL_SERVER_ERROR", "", "Too many requests."),
            Fault::refuse_with_status(500, "INTERNAL_SERVER_ERROR", "", "Internal"),
            Fault::refuse("SOMETHING_NEW", "", "Something"),
            without_a_code,
        ])
        .await;
}

#[tokio::test]
async fn tokens_of_another_account_are_dropped_and_never_used() {
    row("tokens of another account, which are dropped")
        .holds_for([Fault::OtherPersonsTokens])
        .await;
}

// ── In other words ──────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn http_408_425_429_and_503_leave_the_token_unused_whatever_their_body() {
    let faults = [408, 425, 429, 503].into_iter().flat_map(any_body);
    row("HTTP 408, 425, 429, 503 in other words")
        .holds_for(faults)
        .await;
}

#[tokio::test]
async fn any_other_5xx_may_have_used_the_token_whatever_its_body() {
    let faults = [500, 501, 502, 504, 520].into_iter().flat_map(any_body);
    row("HTTP 500, 502, 504 and other 5xx in other words")
        .holds_for(faults)
        .await;
}

#[tokio::test]
async fn a_redirect_leaves_the_token_unused() {
    let redirects = [301, 302, 303, 307, 308]
        .map(|status| Fault::answer_with(status, "location", "http://portal.example/login", ""));
    let without_location = Fault::html(302);
    row("a redirect, which is not followed")
        .holds_for(redirects.into_iter().chain([without_location]))
        .await;
}

#[tokio::test]
async fn a_4xx_in_other_words_leaves_the_token_unused_whatever_its_body() {
    let faults = [400, 401, 403, 404].into_iter().flat_map(any_body);
    row("HTTP 400, 401, 403, 404 and other 4xx in other words")
        .holds_for(faults)
        .await;
}

#[tokio::test]
async fn a_captive_portal_leaves_the_token_unused() {
    let faults = [Fault::html(200), Fault::html(203), Fault::html(511)];
    row("HTTP 511, and an HTML page with HTTP 2xx: a captive portal, a login proxy")
        .holds_for(faults.into_iter().chain(any_body(511)))
        .await;
}

#[tokio::test]
async fn an_empty_answer_may_have_used_the_token() {
    let no_content = Fault::answer(204, String::new());
    row("HTTP 2xx with an empty body")
        .holds_for([Fault::empty(), no_content])
        .await;
}

#[tokio::test]
async fn an_answer_that_is_no_json_object_may_have_used_the_token() {
    let bodies = ["{\"data\": oops", "OK", "[]", "null", "42"];
    row("HTTP 2xx with a body that is not JSON, or not an object")
        .holds_for(bodies.map(Fault::json))
        .await;
}

#[tokio::test]
async fn json_without_tokens_and_errors_may_have_used_the_token() {
    let empty_token =
        r#"{"data":{"renewToken":{"tokens":{"accessOrWorkspaceAgnosticToken":{"token":""}}}}}"#;
    row("HTTP 2xx with JSON that has neither tokens nor errors")
        .holds_for([
            Fault::json_without_tokens(),
            Fault::json("{}"),
            Fault::json(r#"{"data":null,"errors":[]}"#),
            Fault::json(empty_token),
        ])
        .await;
}

/// This status with every kind of body that is not the protocol's.
fn any_body(status: u16) -> Vec<Fault> {
    let bodies = [
        "",
        "Bad luck",
        "{}",
        r#"{"statusCode":0,"message":"Bad luck"}"#,
    ];
    let plain = bodies.map(|body| Fault::answer(status, body));
    plain.into_iter().chain([Fault::html(status)]).collect()
}

// ── Without an answer ───────────────────────────────────────────────────────────────────────────────────────────────

/// No server answers at `address`. The first attempt and the next one both prove what the row says.
async fn assert_not_sent(row: Row, host: &TestHost, address: &str) {
    let session = host.session(DEFAULT_ACCOUNT).await;
    let mut tokens = host.server.issue(EMAIL).to_tokens();
    tokens.access_expires = Expiry::At("2026-01-05T08:00:00Z".parse().expect("a timestamp"));
    let signing_in = session.sign_in_with_tokens(address, None, tokens);
    signing_in
        .await
        .expect("a sign-in with tokens asks no server");
    let call = spawn_call(&session, query("people"));
    until_noted(&session, "answered").await;
    let outcome = host.clock.run_until(call).await.expect("no panic");
    let error = outcome.expect_err("nobody is there");
    assert_eq!(error.code(), Code::Unreachable);
    assert!(error.retry_after_hint().is_some());
    row.check_attempt(&session, row.what);
    assert_eq!(session.status().phase, Phase::Unreachable);
    assert_eq!(host.server.counts().renewals, 0);
    assert!(host.vault.stored(DEFAULT_ACCOUNT).is_some());
}

#[tokio::test]
async fn without_a_name_nothing_was_sent() {
    let host = patient_host().await;
    assert_not_sent(
        row("no such name"),
        &host,
        "https://nobody.holdfast.invalid",
    )
    .await;
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let host = patient_host().await;
    host.server.stop().await;
    let address = host.server.address();
    assert_not_sent(row("no connection"), &host, &address).await;
}

#[tokio::test]
async fn without_tls_nothing_was_sent() {
    let host = patient_host().await;
    let address = host.server.address().replace("http:", "https:");
    assert_not_sent(row("what answers does not speak TLS"), &host, &address).await;
}

#[tokio::test]
async fn without_a_certificate_that_is_trusted_nothing_was_sent() {
    for (certificate, row) in [
        (
            ServerCertificate::Untrusted,
            row("a certificate by nobody whom this machine trusts"),
        ),
        (
            ServerCertificate::Expired,
            row("a certificate that has expired"),
        ),
        (
            ServerCertificate::NotYetValid,
            row("a certificate that is not valid yet"),
        ),
        (
            ServerCertificate::OtherName,
            row("a certificate for other names"),
        ),
    ] {
        let host = patient_host().await;
        host.server.speak_tls(certificate, Alpn::Http2);
        assert_not_sent(row, &host, &host.server.address()).await;
    }
}

#[tokio::test]
async fn without_tls_that_both_accept_nothing_was_sent() {
    let host = patient_host().await;
    host.server.speak_tls(ServerCertificate::Good, Alpn::Http2);
    host.server
        .on_every_connection(ConnectionFault::RefuseHandshake);
    let address = host.server.address();
    assert_not_sent(row("no TLS that this client accepts"), &host, &address).await;
}

#[tokio::test]
async fn a_request_that_the_server_did_not_look_at_left_the_token_unused() {
    let row = row("HTTP/2: the server says that it did not look at the request");
    let host = patient_host().await;
    host.server.speak_tls(ServerCertificate::Good, Alpn::Http2);
    let session = session_with_expired_token(&host).await;
    host.server.on_renewal(Fault::RefuseStream);
    row.check(&host, &session, row.what).await;
}

#[tokio::test]
async fn a_compressed_answer_that_no_header_announces_may_have_used_the_token() {
    row("HTTP 2xx with a compressed body that no header announces")
        .holds_for([Coding::Gzip, Coding::Zstd].map(|coding| Fault::Coded {
            coding,
            announced: false,
            padding: 0,
        }))
        .await;
}

#[tokio::test]
async fn a_connection_that_breaks_before_an_answer_may_have_used_the_token() {
    row("the connection reset or closed before the first byte of an answer")
        .holds_for([Fault::Reset, Fault::Close, Fault::rotate_then_drop()])
        .await;
}

#[tokio::test]
async fn an_attempt_that_stalls_ends_at_its_limit_and_may_have_used_the_token() {
    let row = row("no answer within the limit of an attempt");
    let (host, session) = patient_with_expired_token().await;
    host.server.on_renewal(Fault::Stall);
    row.check(&host, &session, row.what).await;
    assert_eq!(answers(&session)[0].1["ms"], 10_000);
}

#[tokio::test]
async fn an_answer_that_breaks_off_may_have_used_the_token() {
    row("an answer that breaks off: its length not reached, its last chunk missing, a reset")
        .holds_for([
            Fault::Truncate(0),
            Fault::Truncate(40),
            Fault::TruncateChunks(0),
            Fault::TruncateChunks(40),
            Fault::TruncateChunks(usize::MAX),
            Fault::ResetInBody,
        ])
        .await;
}

#[tokio::test]
async fn an_answer_that_stalls_may_have_used_the_token() {
    row("an answer that stalls")
        .holds_for([Fault::StallInBody])
        .await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_may_have_used_the_token() {
    let row = row("an answer of more than 1 MiB, announced or not");
    row.holds_for([Fault::EndlessChunks]).await;

    // A body of valid tokens that is longer than the limit.
    let (host, session) = patient_with_expired_token().await;
    let mut fault = tokens_with_status(&host, 200);
    if let Fault::Answer { body, .. } = &mut fault {
        body.push_str(&" ".repeat(1 << 20));
    }
    host.server.on_renewal(fault);
    row.check(&host, &session, row.what).await;
}

#[tokio::test]
async fn a_protocol_that_panics_over_an_answer_costs_one_attempt() {
    let row = row("anything at all, where the protocol's own code panics over it");
    let (host, session) = signed_in_with(|config| {
        let has_panicked = AtomicBool::new(false);
        let panics_once = move || assert!(has_panicked.swap(true, Ordering::SeqCst), "it panics");
        config.protocol = Arc::new(WatchedTwenty {
            answered: Box::new(panics_once),
            ..WatchedTwenty::default()
        });
    })
    .await;
    host.clock.wait_for_calm_rounds(40);
    call_succeeds(&session).await;
    host.server.expire_access_tokens();
    row.check(&host, &session, row.what).await;
}
