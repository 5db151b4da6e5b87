//! The server's faults, for renewals and for calls.

use graphql_session_testing::Fault;

/// The fault of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Status(u16),
    RetryAfter(u32),
    Page(u16),
    Redirect,
    Empty,
    NotJson,
    WithoutTokens,
    Truncated,
    StallsInBody,
    BreaksInBody,
    Stalls,
    Breaks,
    Closes,
    /// The server acts, and then its answer fails.
    ActsThenBreaks,
    ActsThenStalls,
    ActsThenStatus(u16),
    InternalError,
    Throttled,
    /// An answer that is final at times and a mistake at others.
    NoMember,
    /// A final refusal of a refresh token.
    Rejected,
    KeepsRefreshToken,
    OtherPersonsTokens,
    /// A call is refused as if its access token had expired.
    Refused,
    /// A part of a call's data, and a refusal of the rest.
    PartlyRefused,
}

impl Trouble {
    pub(crate) fn fault(self) -> Fault {
        let refuse = Fault::refuse;
        match self {
            Self::Status(status) => Fault::status(status),
            Self::RetryAfter(seconds) => Fault::retry_after(429, seconds.to_string()),
            Self::Page(status) => Fault::html(status),
            Self::Redirect => Fault::redirect("http://127.0.0.1:9/"),
            Self::Empty => Fault::empty(),
            Self::NotJson => Fault::not_json(),
            Self::WithoutTokens => Fault::json_without_tokens(),
            Self::Truncated => Fault::Truncate(40),
            Self::StallsInBody => Fault::StallInBody,
            Self::BreaksInBody => Fault::ResetInBody,
            Self::Stalls => Fault::Stall,
            Self::Breaks => Fault::Reset,
            Self::Closes => Fault::Close,
            Self::ActsThenBreaks => Fault::rotate_then_drop(),
            Self::ActsThenStalls => Fault::after_acting(Fault::Stall),
            Self::ActsThenStatus(status) => Fault::after_acting(Fault::status(status)),
            Self::InternalError => refuse("INTERNAL_SERVER_ERROR", "", "Internal server error"),
            Self::Throttled => refuse("BAD_USER_INPUT", "LIMIT_REACHED", "Limit reached"),
            Self::NoMember => refuse("INTERNAL_SERVER_ERROR", "", "User Workspace not found"),
            Self::Rejected => refuse("UNAUTHENTICATED", "UNAUTHENTICATED", "Token invalid."),
            Self::KeepsRefreshToken => Fault::WithoutRefreshToken,
            Self::OtherPersonsTokens => Fault::OtherPersonsTokens,
            Self::Refused => Fault::access_refused(),
            Self::PartlyRefused => Fault::after_acting(Fault::json(
                r#"{"data":{"partly":1},"errors":[{"message":"Token has expired.","extensions":{"code":"UNAUTHENTICATED"}}]}"#,
            )),
        }
    }
}
