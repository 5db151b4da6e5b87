//! What a command rejects with, and what can go wrong in the plugin itself.

use std::borrow::Cow;
use std::time::Duration;

use graphql_session::Error;
use serde::Serialize;

/// Every code that a command can reject with: those of the session, and the plugin's own. Both lists are closed, and
/// the page reads one list of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Code {
    /// The session failed, or a rule of its own was broken before it was asked.
    Session(graphql_session::Code),
    /// Something that only a page can meet.
    Plugin(PluginCode),
}

/// What can go wrong between a page and the session. The session itself knows nothing of request ids, cancelling and
/// slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PluginCode {
    /// The page cancelled the call.
    Cancelled,
    /// The id of this request ran before, and its result is no longer kept.
    AlreadyRan,
    /// The window has too many request ids, uploads or subscriptions. Nothing was sent.
    TooManyCalls,
    /// It is another server than so far, and the person did not confirm it. Nothing was sent.
    NotConfirmed,
    /// An upload did not arrive as it left the page, or not all of it. Nothing was sent; the page sends it again.
    UploadBroken,
}

impl From<graphql_session::Code> for Code {
    fn from(code: graphql_session::Code) -> Self {
        Self::Session(code)
    }
}

impl From<PluginCode> for Code {
    fn from(code: PluginCode) -> Self {
        Self::Plugin(code)
    }
}

/// What a command rejects with: `{ code, message, retryAfterMs?, leadsTo? }`. Cheap to clone, because all invokes of one request
/// id share one.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommandError {
    code: Code,
    message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leads_to: Option<Box<str>>,
}

impl CommandError {
    /// An error with its sentence, which says what to do next and holds no secret.
    pub(crate) fn new(code: impl Into<Code>, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            retry_after_ms: None,
            leads_to: None,
        }
    }

    /// Adds when a repetition makes sense.
    #[must_use]
    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after_ms = Some(milliseconds(after));
        self
    }

    #[cfg(test)]
    pub(crate) fn code(&self) -> Code {
        self.code
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        Self {
            code: error.code().into(),
            message: error.message().to_owned().into(),
            retry_after_ms: error.retry_after_hint().map(milliseconds),
            leads_to: error.leads_to().map(Box::from),
        }
    }
}

/// A length of time as the page reads it.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_of_the_plugin_and_of_the_session_have_the_same_shape() {
        let own = CommandError::new(PluginCode::AlreadyRan, "Look first.");
        assert_eq!(
            json!(own),
            json!({ "code": "already_ran", "message": "Look first." })
        );

        let of_session = Error::new(graphql_session::Code::Unreachable, "Try later.")
            .retry_after(Duration::from_millis(1_500));
        assert_eq!(
            json!(CommandError::from(of_session)),
            json!({ "code": "unreachable", "message": "Try later.", "retryAfterMs": 1_500 })
        );
    }
}
