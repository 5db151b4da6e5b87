//! What each answer to a renewal proves: one test per row of the table in `verdict.rs`, through the whole core. A
//! test names its row by the first cell, and expects what the other cells say. Retry-After is in `retry_after.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use graphql_session::{
    Answer, AuthClient, BoxFuture, Code, DEFAULT_ACCOUNT, Dialect, EndingReason, Envelope, Error,
    Facts, Issued, PasswordLogin, Phase, Protocol, Reading, Request, Session, Tokens, Twenty,
};
use graphql_session_testing::{
    Alpn, Coding, ConnectionFault, EMAIL, Fault, ServerCertificate, TestHost, query,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::fixture::{
    call_succeeds, code, patient_host, session_with_expired_token, spawn_call, until_noted,
    wait_for_phase,
};

const VERDICT: &str = include_str!("../../src-tauri/core/src/verdict.rs");
const DOCUMENT: &str = include_str!("../../docs/faults.md");
const THESE_TESTS: &str = include_str!("verdicts.rs");

/// The first pause of the backoff, in ms.
const FIRST_BACKOFF: std::ops::RangeInclusive<i64> = 300..=1_000;

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
        assert!(
            [named, wrapped, alone]
                .iter()
                .any(|name| THESE_TESTS.contains(name.as_str())),
            "no test for {:?}",
            row.what
        );
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
            let host = patient_host().await;
            let session = session_with_expired_token(&host).await;
            host.server.on_renewal(fault);
            self.check(&host, &session, &case).await;
        }
    }

    async fn check(&self, host: &TestHost, session: &Session, case: &str) {
        let call = session.execute(query("people"));
        let outcome = host.clock.run_until(call).await;
        assert_eq!(outcome.map(|reply| reply.status), Ok(200), "{case}");
        let status = session.status();
        assert_eq!(
            (status.phase, status.endings),
            (Phase::SignedIn, 0),
            "{case}"
        );
        assert_eq!(host.server.counts().renewals_at_once, 1, "{case}");
        self.check_attempt(session, case);
        let attempts = answers(session).len();
        assert_eq!(attempts, if self.next == "none" { 1 } else { 2 }, "{case}");
    }

    /// The cause in the journal is one of the row's, and fits the HTTP status of the answer.
    fn check_cause(&self, answered: &Value, case: &str) {
        let cause = answered["cause"]
            .as_str()
            .expect("every attempt has a cause");
        let by_status = answered["httpStatus"]
            .as_u64()
            .map(|status| format!("http_{status}"));
        let is_status = by_status.as_deref() == Some(cause);
        let named = self.cause.split('`').any(|word| word == cause);
        let names_all_statuses = self.cause == "`http_` and the status";
        assert!(
            named || (names_all_statuses && is_status),
            "{case}: {cause} is not one of {}",
            self.cause
        );
        assert!(
            is_status || !cause.starts_with("http_"),
            "{case}: {answered}"
        );
    }

    /// What the journal says about the first attempt, and about the pause after it.
    fn check_attempt(&self, session: &Session, case: &str) {
        let (answered_at, first) = answers(session).remove(0);
        assert_eq!(first["verdict"], self.verdict, "{case}");
        self.check_cause(&first, case);
        if self.verdict == "inconclusive" {
            assert_eq!(first["token"], self.token.replace(' ', "_"), "{case}");
        }
        let sent: Vec<_> = noted_at(session, "attempt_sent");
        let pause = sent
            .get(1)
            .map(|next| next.duration_since(answered_at).as_millis());
        let pause = pause.map(|ms| i64::try_from(ms).expect("a short time"));
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

fn noted_at(session: &Session, what: &str) -> Vec<Timestamp> {
    let journal = session.journal();
    let entries = journal.iter().filter(|entry| entry.what == what);
    entries.map(|entry| entry.at).collect()
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
    Fault::Answer {
        status,
        headers: Vec::new(),
        body: body.to_string(),
    }
}

// ── In the protocol's words ─────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn new_tokens_replace_the_old_ones_whatever_the_http_status() {
    let row = row("new tokens, with any HTTP status");
    assert_eq!(row.token, "replaced");
    for status in [200, 201, 401, 500, 503] {
        let host = patient_host().await;
        let session = session_with_expired_token(&host).await;
        let fault = tokens_with_status(&host, status);
        host.server.on_renewal(fault);
        row.check(&host, &session, &status.to_string()).await;

        host.server.expire_access_tokens();
        call_succeeds(&session).await;
        let sent = sent_tokens(&host);
        assert_ne!(sent[0], sent[1], "the old refresh token was kept");
    }
    row.holds_for([Fault::Chunked]).await;
}

#[tokio::test]
async fn new_tokens_without_a_refresh_token_keep_the_old_one() {
    let row = row("new tokens without a refresh token");
    assert_eq!(row.token, "kept");
    let host = patient_host().await;
    let session = session_with_expired_token(&host).await;
    host.server.on_renewal(Fault::WithoutRefreshToken);
    row.check(&host, &session, row.what).await;

    host.server.expire_access_tokens();
    call_succeeds(&session).await;
    let sent = sent_tokens(&host);
    assert_eq!(sent[0], sent[1]);
}

#[tokio::test]
async fn a_final_error_ends_the_session_once_it_is_confirmed() {
    let row = row("a final error: at Twenty `UNAUTHENTICATED`, `FORBIDDEN`, `BAD_USER_INPUT`");
    assert_eq!(row.token, "dead, once confirmed");
    for status in [200, 400, 401, 403, 500, 503] {
        for code in ["UNAUTHENTICATED", "FORBIDDEN", "BAD_USER_INPUT"] {
            let host = patient_host().await;
            let session = session_with_expired_token(&host).await;
            let fault = Fault::refuse_with_status(status, code, "", "Not this one");
            host.server.on_renewal(fault);
            let call = session.execute(query("people"));
            let outcome = host.clock.run_until(call).await;
            assert_eq!(self::code(outcome), Code::SignedOut, "{status} {code}");
            row.check_attempt(&session, code);
            let reason = session.status().ending.map(|ending| ending.reason);
            assert_eq!(reason, Some(EndingReason::Rejected), "{status} {code}");
            host.clock.quiet().await;
            assert_eq!(host.vault.stored(DEFAULT_ACCOUNT), None, "{status} {code}");
        }
    }
}

#[tokio::test]
async fn a_final_error_that_is_also_given_by_mistake_is_asked_for_once_more() {
    let row = row(
        "a final error that this server also gives by mistake: at Twenty \"User Workspace not found\"",
    );
    assert_eq!(row.token, "in doubt");
    let host = patient_host().await;
    let session = session_with_expired_token(&host).await;
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
    row("a throttle: at Twenty `BAD_USER_INPUT` with \"Limit reached\"")
        .holds_for([
            Fault::refuse("BAD_USER_INPUT", "", "Limit reached. Try again later."),
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
    let host = patient_host().await;
    let session = session_with_expired_token(&host).await;
    for _ in 0..Twenty::new().dialects(None).len() {
        let message = "Cannot query field \"renewToken\" on type \"Mutation\".";
        let fault = Fault::refuse("GRAPHQL_VALIDATION_FAILED", "", message);
        host.server.on_renewal(fault);
    }
    row.check(&host, &session, row.what).await;
}

#[tokio::test]
async fn any_other_graphql_error_leaves_the_token_unused() {
    let without_a_code = Fault::json(r#"{"errors":[{"message":"Something"}],"data":null}"#);
    row("any other GraphQL error: an internal error, an unknown code, none")
        .holds_for([
            Fault::refuse("INTERNAL_SERVER_ERROR", "", "Connection terminated"),
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
    let faults = [301, 302, 303, 307, 308].map(|status| Fault::Answer {
        status,
        headers: vec![("location".into(), "http://portal.example/login".into())],
        body: String::new(),
    });
    row("a redirect, which is not followed")
        .holds_for(faults)
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
    let no_content = Fault::Answer {
        status: 204,
        headers: Vec::new(),
        body: String::new(),
    };
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
    let plain = bodies.map(|body| Fault::Answer {
        status,
        headers: Vec::new(),
        body: body.into(),
    });
    plain.into_iter().chain([Fault::html(status)]).collect()
}

// ── Without an answer ───────────────────────────────────────────────────────────────────────────────────────────────

/// No server answers at `address`. The first attempt and the next one both prove what the row says.
async fn assert_not_sent(row: Row, host: &TestHost, address: &str) {
    let session = host.session(DEFAULT_ACCOUNT).await;
    let mut tokens = host.server.issue(EMAIL).to_tokens();
    tokens.access_expires_at = Some("2026-01-05T08:00:00Z".parse().expect("a timestamp"));
    let signing_in = session.sign_in_with_tokens(address, None, tokens);
    signing_in
        .await
        .expect("a sign-in with tokens asks no server");
    let call = spawn_call(&session, query("people"));
    until_noted(&session, "answered").await;
    let outcome = host.clock.run_until(call).await.expect("no panic");
    assert_eq!(code(outcome), Code::Unreachable);
    row.check_attempt(&session, row.what);
    assert_eq!(session.status().phase, Phase::Unreachable);
    assert_eq!(host.server.counts().renewals, 0);
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
    let host = patient_host().await;
    let session = session_with_expired_token(&host).await;
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
    let host = patient_host().await;
    let session = session_with_expired_token(&host).await;
    let mut fault = tokens_with_status(&host, 200);
    if let Fault::Answer { body, .. } = &mut fault {
        body.push_str(&" ".repeat(1 << 20));
    }
    host.server.on_renewal(fault);
    row.check(&host, &session, row.what).await;
}

/// Twenty, read by code that panics over the first answer.
struct Panicking {
    twenty: Twenty,
    has_panicked: AtomicBool,
}

impl Protocol for Panicking {
    fn facts(&self) -> &Facts {
        self.twenty.facts()
    }

    fn check<'a>(&'a self, client: &'a AuthClient) -> BoxFuture<'a, Result<(), Error>> {
        self.twenty.check(client)
    }

    fn sign_in<'a>(
        &'a self,
        client: &'a AuthClient,
        login: &'a PasswordLogin,
    ) -> BoxFuture<'a, Result<Issued, Error>> {
        self.twenty.sign_in(client, login)
    }

    fn dialects(&self, last: Option<Dialect>) -> Vec<Dialect> {
        self.twenty.dialects(last)
    }

    fn renewal(&self, refresh: &secrecy::SecretString, dialect: Dialect) -> Request {
        self.twenty.renewal(refresh, dialect)
    }

    fn read_renewal(&self, answer: &Answer, dialect: Dialect) -> Reading {
        let again = self.has_panicked.swap(true, Ordering::SeqCst);
        assert!(again, "the protocol panics");
        self.twenty.read_renewal(answer, dialect)
    }

    fn refuses(&self, status: u16, envelope: &Envelope) -> bool {
        self.twenty.refuses(status, envelope)
    }

    fn subject(&self, tokens: &Tokens) -> Option<String> {
        self.twenty.subject(tokens)
    }

    fn revocation(&self, refresh: &secrecy::SecretString, dialect: Dialect) -> Option<Request> {
        self.twenty.revocation(refresh, dialect)
    }
}

#[tokio::test]
async fn a_protocol_that_panics_over_an_answer_costs_one_attempt() {
    let row = row("anything at all, where the protocol's own code panics over it");
    let host = patient_host().await;
    let mut config = host.config(DEFAULT_ACCOUNT);
    config.protocol = Arc::new(Panicking {
        twenty: Twenty::new(),
        has_panicked: AtomicBool::new(false),
    });
    let session = Session::open(config).await.expect("opens");
    host.sign_in(&session).await;
    call_succeeds(&session).await;
    host.server.expire_access_tokens();
    row.check(&host, &session, row.what).await;
}
