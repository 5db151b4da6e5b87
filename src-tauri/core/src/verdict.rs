//! What an answer proves: about a renewal attempt (renewed, rejected, inconclusive), and about a call (served, refused).
//!
//! The protocol reads an answer first ([`Protocol::read_renewal`]), whatever its HTTP
//! status. Where it is not in the protocol's words, its status and the kind of its body decide; without an answer, what
//! broke. The cause is the word in journal, status, errors and logs.
//!
//! | what came back on a renewal | cause | verdict | the token | the next attempt |
//! |---|---|---|---|---|
//! | new tokens, with any HTTP status | `new_tokens` | renewed | replaced | none |
//! | new tokens without a refresh token | `new_access_token` | renewed | kept | none |
//! | a final error: at Twenty `UNAUTHENTICATED`, `FORBIDDEN`, `BAD_USER_INPUT` | `graphql_UNAUTHENTICATED`, `graphql_FORBIDDEN`, `graphql_BAD_USER_INPUT` | rejected | dead, once confirmed | none |
//! | a final error inside HTTP 5xx: the server is in trouble, and may not have looked at the token | `graphql_UNAUTHENTICATED`, `graphql_FORBIDDEN`, `graphql_BAD_USER_INPUT` | rejected | in doubt | 30 s later, once |
//! | a final error that this server also gives by mistake: at Twenty "User Workspace not found" | `graphql_INTERNAL_SERVER_ERROR` | rejected | in doubt | 30 s later, once |
//! | a throttle: at Twenty `BAD_USER_INPUT` with "Limit reached" | `throttled` | inconclusive | not used | with backoff |
//! | a complaint about the request: at Twenty `BAD_USER_INPUT` with "Variable" | `bad_request` | inconclusive | not used | with backoff |
//! | a schema error in every dialect; the next dialect is asked at once, within the attempt | `other_dialect` | inconclusive | not used | with backoff |
//! | any other GraphQL error: an internal error, an unknown code, none | `graphql_INTERNAL_SERVER_ERROR`, `graphql_other_code`, `graphql_no_code` | inconclusive | not used | with backoff |
//! | tokens of another account, which are dropped | `other_account` | inconclusive | maybe used | at once |
//! | HTTP 408, 425, 429, 503 in other words | `http_408`, `http_425`, `http_429`, `http_503` | inconclusive | not used | with backoff |
//! | HTTP 500, 502, 504 and other 5xx in other words | `http_` and the status | inconclusive | maybe used | at once |
//! | a redirect, which is not followed | `http_` and the status | inconclusive | not used | with backoff |
//! | HTTP 400, 401, 403, 404 and other 4xx in other words | `http_` and the status | inconclusive | not used | with backoff |
//! | HTTP 511, and an HTML page with HTTP 2xx: a captive portal, a login proxy | `http_511`, `html_page` | inconclusive | not used | with backoff |
//! | HTTP 2xx with an empty body | `empty_answer` | inconclusive | maybe used | at once |
//! | HTTP 2xx with a body that is not JSON, or not an object | `not_json` | inconclusive | maybe used | at once |
//! | HTTP 2xx with a compressed body that no header announces | `not_decoded` | inconclusive | maybe used | at once |
//! | HTTP 2xx with JSON that has neither tokens nor errors | `no_tokens` | inconclusive | maybe used | at once |
//! | no such name | `dns` | inconclusive | not sent | with backoff |
//! | no connection | `connect` | inconclusive | not sent | with backoff |
//! | what answers does not speak TLS | `not_tls` | inconclusive | not sent | with backoff |
//! | a certificate by nobody whom this machine trusts | `certificate_untrusted` | inconclusive | not sent | with backoff |
//! | a certificate that has expired | `certificate_expired` | inconclusive | not sent | with backoff |
//! | a certificate that is not valid yet | `certificate_not_yet_valid` | inconclusive | not sent | with backoff |
//! | a certificate for other names | `certificate_other_name` | inconclusive | not sent | with backoff |
//! | no TLS that this client accepts | `tls` | inconclusive | not sent | with backoff |
//! | HTTP/2: the server says that it did not look at the request | `stream_refused` | inconclusive | not sent | with backoff |
//! | the connection reset or closed before the first byte of an answer | `connection_lost` | inconclusive | maybe used | at once |
//! | no answer within the limit of an attempt | `timeout` | inconclusive | maybe used | at once |
//! | an answer that breaks off: its length not reached, its last chunk missing, a reset | `truncated` | inconclusive | maybe used | at once |
//! | an answer that stalls | `truncated` | inconclusive | maybe used | at once |
//! | an answer of more than 1 MiB, announced or not | `too_long` | inconclusive | maybe used | at once |
//! | anything at all, where the protocol's own code panics over it | `protocol_panicked` | inconclusive | maybe used | at once |
//!
//! *Maybe used*: the attempts that follow fall inside the protocol's grace time, the first one at once. *With backoff*:
//! after 0.3 to 1 s at first, then in growing pauses. Retry-After, in seconds or as a date by the server's clock, is a
//! floor for either: nothing but time ends that pause, and it is capped at 10 min.

use std::ops::ControlFlow;

use graphql_session_renewal::{Cause, Exchange, TokenFate};
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

use crate::clock::millis;
use crate::http::{Answer, Data, Envelope, RawReply, TransportError};
use crate::operation::OperationKind;
use crate::protocol::{Protocol, Reading, Tokens};

/// New tokens, or what the attempt proved instead.
pub(crate) fn judge(
    outcome: Result<(&Answer, Reading), TransportError>,
) -> Result<Tokens, Exchange> {
    let (token, cause, answer) = match outcome {
        Ok((_, Reading::Renewed(tokens))) => return Ok(tokens),
        Ok((answer, Reading::Rejected { ambiguous, cause })) => {
            // A server in trouble may say anything about a token that it could not look at.
            let ambiguous = ambiguous || answer.status >= 500;
            return Err(Exchange::Rejected { ambiguous, cause });
        }
        Ok((answer, Reading::Inconclusive { cause })) => (TokenFate::NotUsed, cause, Some(answer)),
        Ok((answer, Reading::OtherDialect)) => {
            let cause = Cause::OtherDialect(answer.status);
            (TokenFate::NotUsed, cause, Some(answer))
        }
        Ok((answer, Reading::NotProtocol)) => {
            let (token, cause) = in_other_words(answer);
            (token, cause, Some(answer))
        }
        Err(error) if error.not_sent() => (TokenFate::NotSent, error.cause(), None),
        Err(error) => (TokenFate::MaybeUsed, error.cause(), None),
    };
    Err(Exchange::Inconclusive {
        token,
        retry_after: answer.and_then(|answer| answer.retry_after).map(millis),
        cause,
    })
}

/// An answer that is not in the protocol's words.
fn in_other_words(answer: &Answer) -> (TokenFate, Cause) {
    let status = answer.status;
    let is_page = answer.body.trim_ascii_start().first() == Some(&b'<');
    match status {
        // Before the application, or by it while it starts or throttles: nobody looked at the token.
        408 | 425 | 429 | 503 | 511 => (TokenFate::NotUsed, Cause::Http(status)),
        500.. => (TokenFate::MaybeUsed, Cause::Http(status)),
        300..500 => (TokenFate::NotUsed, Cause::Http(status)),
        // A page in place of the protocol's JSON comes from something in the way, which does not know the token.
        _ if is_page => (TokenFate::NotUsed, Cause::HtmlPage(status)),
        // An empty or broken body comes from the server.
        _ if answer.body.is_empty() => (TokenFate::MaybeUsed, Cause::EmptyAnswer(status)),
        _ if is_compressed(&answer.body) => (TokenFate::MaybeUsed, Cause::NotDecoded(status)),
        _ if Envelope::read(&answer.body).is_none() => {
            (TokenFate::MaybeUsed, Cause::NotJson(status))
        }
        _ => (TokenFate::MaybeUsed, Cause::NoTokens(status)),
    }
}

/// What the reply to a call says about the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallVerdict {
    /// The server served the call, or refused it for a reason that no renewal mends.
    Served,
    /// Refused as a whole because the access token was not accepted, in the protocol's words.
    Refused,
    /// A query of which some roots were refused in these words, and others answered.
    RefusedInPart,
    /// Something in front of the server answered, because the server is away.
    GatewayError(Cause),
    /// HTTP 408 in other words than the server's. A proxy says so when it closes an idle connection, which the call may have
    /// crossed, and also when the server took too long: nobody knows whether the call ran.
    RequestTimeout(Cause),
    /// What the server said cannot be read.
    Unreadable(Cause),
}

/// How gzip and zstd begin. No text in UTF-8 begins like this. A body that is announced as one of these arrives decoded.
const COMPRESSED: [&[u8]; 2] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];

/// Whether something on the way has compressed the body without a word about it, or has removed the word.
fn is_compressed(body: &[u8]) -> bool {
    COMPRESSED.iter().any(|begin| body.starts_with(begin))
}

/// The verdict on a call's reply.
///
/// Most replies are data and nothing else, which their bytes show without a parser: 10 MB of it would take 6 ms. Any other one
/// is read to its end, and one that is not whole counts as no GraphQL at all. `operation` is asked for only where a part of
/// the call ran and another one was refused: it has to parse the call's document.
pub(crate) fn judge_call(
    protocol: &dyn Protocol,
    (status, headers, body): (u16, &HeaderMap, &[u8]),
    operation: impl FnOnce() -> OperationKind,
) -> CallVerdict {
    if Envelope::is_only_data(body) {
        return CallVerdict::Served;
    }
    let challenge = headers.get(WWW_AUTHENTICATE);
    let reply = RawReply {
        status,
        www_authenticate: challenge.and_then(|value| value.to_str().ok()),
        body,
    };
    match read_parts(protocol, &reply) {
        Parts::Ran => CallVerdict::Served,
        Parts::Refused => CallVerdict::Refused,
        // Only a query may be sent again where part of it ran. Of a batch nobody knows what it does.
        Parts::RefusedBesideData if operation() == OperationKind::Query => {
            CallVerdict::RefusedInPart
        }
        Parts::RefusedBesideData => CallVerdict::Served,
        Parts::None if is_compressed(body) => CallVerdict::Unreadable(Cause::NotDecoded(status)),
        Parts::None if protocol.refuses(&reply, None) => CallVerdict::Refused,
        Parts::None if matches!(status, 502..=504) => {
            CallVerdict::GatewayError(Cause::Http(status))
        }
        Parts::None if status == 408 => CallVerdict::RequestTimeout(Cause::Http(status)),
        Parts::None => CallVerdict::Served,
    }
}

/// Most parts of a batch that are looked at. The reply to a longer one is the caller's, as if a part had run: servers allow
/// ten or a hundred.
const BATCH_MAX: usize = 1_000;

/// What became of the parts of a call: of the one that most have, or of each in a batch.
enum Parts {
    /// No GraphQL.
    None,
    /// None was refused for its token, or one of a batch ran.
    Ran,
    /// All were refused, and nothing ran.
    Refused,
    /// Refused, with data beside it.
    RefusedBesideData,
}

fn read_parts(protocol: &dyn Protocol, reply: &RawReply<'_>) -> Parts {
    let refuses = |envelope: &Envelope| protocol.refuses(reply, Some(envelope));
    match Envelope::read(reply.body) {
        Some(envelope) => {
            // Also where the same key stands once more behind it.
            let has_data = envelope.data == Data::Present || Envelope::opens_with_data(reply.body);
            if !envelope.is_graphql() {
                Parts::None
            } else if has_data && envelope.errors.is_empty() || !refuses(&envelope) {
                Parts::Ran
            } else if has_data {
                Parts::RefusedBesideData
            } else {
                Parts::Refused
            }
        }
        // Not whole, but it begins with what ran.
        None if Envelope::opens_with_data(reply.body) => Parts::Ran,
        None => read_batch(reply, refuses),
    }
}

fn read_batch(reply: &RawReply<'_>, refuses: impl Fn(&Envelope) -> bool) -> Parts {
    let (mut refused, mut others) = (0, 0);
    let read = Envelope::each_of_batch(reply.body, |part| {
        match part.filter(Envelope::is_graphql) {
            Some(part) if part.data != Data::Present && refuses(&part) => refused += 1,
            Some(_) => return ControlFlow::Break(()),
            None => others += 1,
        }
        if refused + others > BATCH_MAX {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    match read {
        Some(ControlFlow::Break(())) => Parts::Ran,
        Some(ControlFlow::Continue(())) if refused == 0 => Parts::None,
        Some(ControlFlow::Continue(())) if others == 0 => Parts::Refused,
        Some(ControlFlow::Continue(())) => Parts::Ran,
        // Not whole: a part that cannot be read may have run.
        None if reply.body.trim_ascii_start().starts_with(b"[") => Parts::Ran,
        None => Parts::None,
    }
}
