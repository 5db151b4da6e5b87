//! Answers that come compressed: asked for, decoded, and measured after that.

use graphql_session::{Code, DEFAULT_ACCOUNT, Session};
use graphql_session_testing::{Coding, Fault, TestHost, mutation, query};

use crate::fixture::{call_succeeds, session_with_expired_token, signed_in_session};

const CODINGS: [Coding; 3] = [Coding::Gzip, Coding::Brotli, Coding::Zstd];

/// Longest reply in these tests, in bytes.
const REPLY_BYTES: usize = 1 << 20;

fn raw(coding: Coding) -> Fault {
    Fault::Coded {
        coding,
        announced: false,
        padding: 0,
    }
}

#[tokio::test]
async fn calls_ask_for_the_codings_that_can_be_read_and_exchanges_of_tokens_for_none() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.clock.run_until(call_succeeds(&session)).await;
    for seen in host.server.seen_asking_for("currentUser") {
        let asked = seen.header("accept-encoding").unwrap_or_default();
        for coding in ["gzip", "br", "zstd"] {
            assert!(asked.contains(coding), "{seen:?} asks for {asked:?}");
        }
    }
    // A decoder would keep tokens in buffers that nobody overwrites.
    for exchange in ["getAuthTokensFromLoginToken", "renewToken"] {
        let seen = host.server.seen_asking_for(exchange);
        assert_eq!(seen.len(), 1, "{exchange}");
        assert_eq!(seen[0].header("accept-encoding"), Some("identity"));
    }
}

#[tokio::test]
async fn a_compressed_reply_reaches_the_caller_as_its_text() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    let plain = session.execute(query("people")).await.expect("served").body;
    for coding in CODINGS {
        host.server.on_call(Fault::coded(coding));
        let reply = session.execute(query("people")).await.expect("served");
        assert_eq!(reply.body, plain, "{coding:?}");
    }
}

#[tokio::test]
async fn a_compressed_renewal_is_read() {
    for coding in CODINGS {
        let host = TestHost::start().await;
        let session = session_with_expired_token(&host).await;
        host.server.on_renewal(Fault::coded(coding));
        host.clock.run_until(call_succeeds(&session)).await;
        assert_eq!(host.server.counts().renewals, 1, "{coding:?}");
    }
}

#[tokio::test]
async fn a_reply_is_measured_after_decoding() {
    let host = TestHost::start().await;
    let mut config = host.config(DEFAULT_ACCOUNT);
    config.limits.reply_bytes = REPLY_BYTES;
    let session = Session::open(config).await.expect("opens");
    host.sign_in(&session).await;
    for coding in CODINGS {
        host.server.on_call(Fault::Coded {
            coding,
            announced: true,
            padding: 64 * REPLY_BYTES,
        });
        let outcome = session.execute(query("people")).await;
        assert_eq!(
            outcome.expect_err("too long").code(),
            Code::TooLarge,
            "{coding:?}"
        );
    }
}

#[tokio::test]
async fn a_compressed_reply_that_nobody_announced_is_unreadable_and_not_served() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let host = TestHost::start().await;
        let session = signed_in_session(&host).await;
        host.server.on_call(raw(coding));
        let error = session
            .execute(query("people"))
            .await
            .expect_err("unreadable");
        assert_eq!(error.code(), Code::Unreachable, "{coding:?}");
        assert_eq!(error.cause().expect("known").to_string(), "not_decoded");

        host.server.on_call(raw(coding));
        let error = session
            .execute(mutation("createPerson"))
            .await
            .expect_err("unreadable");
        assert_eq!(error.code(), Code::MaybeExecuted, "{coding:?}");
        assert_eq!(host.server.effects_of("createPerson"), 1);
    }
}

#[tokio::test]
async fn a_compressed_renewal_that_nobody_announced_leaves_the_session() {
    let host = TestHost::start().await;
    let session = session_with_expired_token(&host).await;
    host.server.on_renewal(raw(Coding::Gzip));
    host.clock.run_until(call_succeeds(&session)).await;
    assert_eq!(host.server.counts().renewals, 2);
    let entries = session.journal();
    let answered = entries.iter().find(|entry| entry.what == "answered");
    let facts = &answered.expect("noted").facts;
    assert_eq!(
        (&facts["cause"], &facts["token"]),
        (&"not_decoded".into(), &"maybe_used".into())
    );
}

/// zstd's own limit, 128 MiB, holds. Taking the frame's word for it would take 2 GiB at its first byte.
#[tokio::test]
async fn a_zstd_frame_that_asks_for_a_window_of_2_gib_is_refused_and_takes_no_memory() {
    let host = TestHost::start().await;
    let session = signed_in_session(&host).await;
    let before = peak_of_memory();
    for (call, expected) in [
        (query("people"), Code::Unreachable),
        (mutation("createPerson"), Code::MaybeExecuted),
    ] {
        host.server.on_call(Fault::coded(Coding::ZstdOfHugeWindow));
        let error = session.execute(call).await.expect_err("refused");
        assert_eq!(error.code(), expected);
    }
    let taken = peak_of_memory() - before;
    assert!(taken < HUGE_WINDOW / 2, "{taken} bytes");
}

const HUGE_WINDOW: u64 = 2 << 30;

/// The most address space that this process has had, in bytes; 0 where the system does not tell.
fn peak_of_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let kilobytes = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
