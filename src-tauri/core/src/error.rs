//! What can go wrong, as a closed [`Code`] for programs and one sentence for people.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use graphql_session_renewal::Cause;
use serde::{Deserialize, Serialize};

/// The closed list of what can go wrong. A code exists only if a screen acts on it.
///
/// A later version may add codes, so a `match` needs an arm for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Code {
    /// Nobody is signed in, or the session has ended. The person signs in.
    SignedOut,
    /// The server (or the process that renews) gave no usable answer in time. Still signed in; try again later.
    Unreachable,
    /// Fresh credentials were refused: this person may not do this. Not a logout.
    AccessDenied,
    /// The call's own deadline passed.
    TimedOut,
    /// The answer to a mutation was lost: it may or may not have run. Look before repeating it.
    MaybeExecuted,
    /// A request or reply is over its size limit.
    TooLarge,
    /// Too many calls, or too many bytes of them, are under way; nothing was sent. Wait until some of them are done.
    TooManyCalls,
    /// The call itself is wrong: unknown endpoint, forbidden header, body that is not GraphQL over HTTP.
    InvalidRequest,
    /// A session is stored but the keyring does not show it. The person unlocks the keyring.
    Locked,
    /// Sign-in: the password is wrong.
    WrongPassword,
    /// Sign-in: the server knows nobody by that e-mail address.
    UnknownUser,
    /// Sign-in: the server asks for a second factor.
    SecondFactorRequired,
    /// Sign-in: the server refused for another reason, which the message quotes.
    SignInRefused,
    /// Sign-in: the person cancelled it, or began another one.
    SignInCancelled,
    /// Sign-in: nobody finished it in time.
    SignInTimedOut,
    /// Sign-in: not by browser, at this server or on this computer. The person signs in another way.
    BrowserUnavailable,
    /// The address is not one that can be used (not https, not an origin).
    InvalidAddress,
    /// No such host, or no network to ask for it.
    HostNotFound,
    /// The server's certificate is not trusted.
    Certificate,
    /// Something answers there, but not this kind of server.
    NotThisServer,
    /// The address redirects to another origin, which [`Error::leads_to`] names. Nothing was sent there.
    LeadsElsewhere,
    /// The server did not answer, refused the connection, or was in error.
    NoAnswer,
    /// The configuration is wrong; the message names the key.
    Config,
    /// A defect of ours. Nothing is lost; report it.
    Internal,
}

/// What every fallible function of this crate returns. Cheap to clone: all waiters of one renewal share one.
///
/// Holds no secret by construction: messages are built from fixed sentences, codes, keys, hosts and numbers.
///
/// Act on the code, repeat after the hint, and put the cause into the log:
///
/// ```
/// use std::time::Duration;
///
/// use graphql_session::{Cause, Code, Error};
///
/// enum Next {
///     SignIn,
///     UnlockKeyring,
///     RepeatAfter(Duration),
///     LookFirst,
///     Show(String),
/// }
///
/// fn next(error: &Error) -> Next {
///     match error.code() {
///         Code::SignedOut => Next::SignIn,
///         Code::Locked => Next::UnlockKeyring,
///         // Still signed in: the same call may succeed later.
///         Code::Unreachable => Next::RepeatAfter(error.retry_after_hint().unwrap_or(Duration::from_secs(1))),
///         // A mutation whose answer was lost. It may have run, so nothing repeats it by itself.
///         Code::MaybeExecuted => Next::LookFirst,
///         // The list may grow.
///         _ => Next::Show(error.to_string()),
///     }
/// }
///
/// let error = Error::new(Code::Unreachable, "The server does not answer.")
///     .retry_after(Duration::from_secs(2))
///     .caused_by(Cause::Http(503));
/// assert!(matches!(next(&error), Next::RepeatAfter(pause) if pause == Duration::from_secs(2)));
/// assert_eq!(error.cause().expect("known").to_string(), "http_503");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: Code,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    cause: Option<Cause>,
    leads_to: Option<Box<str>>,
}

impl Error {
    /// An error with its sentence, which says what to do next.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
            cause: None,
            leads_to: None,
        }
    }

    /// Adds when a repetition makes sense.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Adds why it came to this.
    #[must_use]
    pub fn caused_by(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Adds the origin to which an address leads.
    #[must_use]
    pub(crate) fn leading_to(mut self, origin: &str) -> Self {
        self.leads_to = Some(origin.into());
        self
    }

    /// The code that programs act on.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The sentence for people, in English; screens may have their own by code.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How long to wait before a repetition makes sense, where that is known.
    pub fn retry_after_hint(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Why it came to this, where that is known: a word from a closed list, for logs and bug reports.
    pub fn cause(&self) -> Option<Cause> {
        self.cause
    }

    /// The origin to which the address redirects, with [`Code::LeadsElsewhere`].
    pub fn leads_to(&self) -> Option<&str> {
        self.leads_to.as_deref()
    }

    pub(crate) fn config(key: &str, problem: &str) -> Self {
        Self::new(Code::Config, format!("Setting `{key}`: {problem}."))
    }

    pub(crate) fn stopped() -> Self {
        Self::new(
            Code::Internal,
            "The session has stopped working, by a defect of this application. Start it again; you are not signed out by this.",
        )
    }

    pub(crate) fn signed_out() -> Self {
        Self::new(Code::SignedOut, "You are signed out. Sign in to go on.")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
