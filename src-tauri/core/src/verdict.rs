//! What an answer proves: about a renewal attempt (renewed, rejected, inconclusive), and about a call (fine, or not
//! authenticated).
//!
//! An answer is read by the protocol first ([`Protocol::read_renewal`]), whatever its HTTP status; where it is not in the
//! protocol's words, by its status and the kind of its body; without an answer, by what broke.
//!
//! | what came back on a renewal | verdict | the token | the next attempt |
//! |---|---|---|---|
//! | new tokens, with any HTTP status | renewed | replaced | none |
//! | new tokens without a refresh token | renewed | kept | none |
//! | a final error: at Twenty `UNAUTHENTICATED`, `FORBIDDEN`, `BAD_USER_INPUT` | rejected | dead, once confirmed | none |
//! | a final error that this server also gives by mistake: at Twenty "User Workspace not found" | rejected | in doubt | 30 s later, once |
//! | a throttle: at Twenty `BAD_USER_INPUT` with "Limit reached" | inconclusive | not used | with backoff |
//! | a complaint about the request: at Twenty `BAD_USER_INPUT` with "Variable" | inconclusive | not used | with backoff |
//! | a schema error in every dialect; the next dialect is asked at once, within the attempt | inconclusive | not used | with backoff |
//! | any other GraphQL error: an internal error, an unknown code, none | inconclusive | not used | with backoff |
//! | tokens of another account, which are dropped | inconclusive | maybe used | at once |
//! | HTTP 408, 425, 429, 503 in other words | inconclusive | not used | with backoff |
//! | HTTP 500, 502, 504 and other 5xx in other words | inconclusive | maybe used | at once |
//! | a redirect, which is not followed | inconclusive | not used | with backoff |
//! | HTTP 400, 401, 403, 404 and other 4xx in other words | inconclusive | not used | with backoff |
//! | HTTP 511, and an HTML page with HTTP 2xx: a captive portal, a login proxy | inconclusive | not used | with backoff |
//! | HTTP 2xx with an empty body | inconclusive | maybe used | at once |
//! | HTTP 2xx with a body that is not JSON, or not an object | inconclusive | maybe used | at once |
//! | HTTP 2xx with JSON that has neither tokens nor errors | inconclusive | maybe used | at once |
//! | no such name | inconclusive | not sent | with backoff |
//! | no connection | inconclusive | not sent | with backoff |
//! | no trusted TLS | inconclusive | not sent | with backoff |
//! | the connection reset or closed before the first byte of an answer | inconclusive | maybe used | at once |
//! | no answer within the limit of an attempt | inconclusive | maybe used | at once |
//! | an answer that breaks off: its length not reached, its last chunk missing, a reset | inconclusive | maybe used | at once |
//! | an answer that stalls | inconclusive | maybe used | at once |
//! | an answer of more than 1 MiB, announced or not | inconclusive | maybe used | at once |
//! | anything at all, where the protocol's own code panics over it | inconclusive | maybe used | at once |
//!
//! *Maybe used*: the attempts that follow fall inside the protocol's grace time, the first one at once. *With backoff*:
//! after 0.3 to 1 s at first, then in growing pauses. Retry-After, in seconds or as a date by the server's clock, is a
//! floor for either: nothing but time ends that pause, and it is capped at 10 min.

use std::time::Duration;

use crate::protocol::{Dialect, Protocol, Tokens};
use crate::transport::{Answer, TransportError};

mod envelope;

pub use envelope::{Data, Envelope, Extensions, GraphqlError};
pub use graphql_session_renewal::TokenFate;

/// What one renewal attempt proved.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// New credentials.
    Renewed {
        /// What the server issued.
        tokens: Tokens,
        /// The dialect it spoke.
        dialect: Dialect,
    },
    /// The server rejects the refresh token.
    Rejected {
        /// This server gives the same answer by mistake, too: ask once more before believing it.
        ambiguous: bool,
    },
    /// Nothing is proven about the session.
    Inconclusive {
        /// What is known about the refresh token.
        token: TokenFate,
        /// The pause that the server asked for.
        retry_after: Option<Duration>,
    },
}

/// How a protocol reads one answer to a renewal.
#[derive(Clone, Debug)]
pub enum Reading {
    /// New tokens.
    Renewed(Tokens),
    /// A final error.
    Rejected {
        /// See [`Verdict::Rejected`].
        ambiguous: bool,
    },
    /// The server does not know this dialect; another one is tried at once, and this was no attempt.
    OtherDialect,
    /// A protocol error that is not final.
    Inconclusive,
    /// Not the protocol's words at all.
    NotProtocol,
}

/// The verdict on an attempt that got an answer, or none.
pub(crate) fn judge(
    outcome: Result<(&Answer, Reading), TransportError>,
    dialect: Dialect,
) -> Verdict {
    let inconclusive = |token, retry_after| Verdict::Inconclusive { token, retry_after };
    match outcome {
        Ok((_, Reading::Renewed(tokens))) => Verdict::Renewed { tokens, dialect },
        Ok((_, Reading::Rejected { ambiguous })) => Verdict::Rejected { ambiguous },
        Ok((answer, Reading::Inconclusive | Reading::OtherDialect)) => {
            inconclusive(TokenFate::NotUsed, answer.retry_after)
        }
        Ok((answer, Reading::NotProtocol)) => {
            inconclusive(fate_by_status(answer), answer.retry_after)
        }
        Err(error) if error.not_sent() => inconclusive(TokenFate::NotSent, None),
        Err(_) => inconclusive(TokenFate::MaybeUsed, None),
    }
}

/// What the reply to a call says about the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallVerdict {
    /// The server served the call, or refused it for a reason that no renewal mends.
    Served,
    /// Refused as a whole because the access token was not accepted: by the protocol's own words, or by a plain HTTP 401
    /// without any.
    Refused,
    /// Something in front of the server answered, because the server is away.
    GatewayError,
}

/// The verdict on a call's reply.
///
/// Most replies begin with a data object, and their first bytes decide: something ran, so nothing is replayed, whatever
/// comes after them and whatever the HTTP status. Such a body is not read further: 10 MB of it would take 6 ms. Where the
/// errors come first, the envelope is read to its end, and one that is not whole counts as no GraphQL at all.
pub(crate) fn judge_call(protocol: &dyn Protocol, status: u16, body: &[u8]) -> CallVerdict {
    if Envelope::opens_with_data(body) {
        return CallVerdict::Served;
    }
    let is_refused = match Envelope::read(body) {
        // Part of it ran: the caller's, whatever the protocol thinks of the errors beside it.
        Some(envelope) if envelope.data == Data::Present => false,
        Some(envelope) if envelope.is_graphql() => protocol.refuses(status, &envelope),
        _ if matches!(status, 502..=504) => return CallVerdict::GatewayError,
        _ => status == 401,
    };
    if is_refused {
        CallVerdict::Refused
    } else {
        CallVerdict::Served
    }
}

fn fate_by_status(answer: &Answer) -> TokenFate {
    match answer.status {
        408 | 425 | 429 | 503 => TokenFate::NotUsed,
        500.. if answer.status != 511 => TokenFate::MaybeUsed,
        // A page in place of the protocol's JSON comes from something in the way, which does not know the token; an
        // empty or broken body comes from the server.
        _ if looks_like_a_page(&answer.body) || (300..500).contains(&answer.status) => {
            TokenFate::NotUsed
        }
        511 => TokenFate::NotUsed,
        _ => TokenFate::MaybeUsed,
    }
}

fn looks_like_a_page(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}
