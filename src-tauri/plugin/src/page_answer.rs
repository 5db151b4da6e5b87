//! What a page answers to a step of a sign-in, and how long it may be. A script in the page could put what it has read into the
//! answer to a server of its own.

use std::fmt;

use graphql_session::{Code, PasswordLogin, ServerRefusal, StepAnswer};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, Error as _};

use crate::error::CommandError;

/// Longest e-mail address, in bytes (RFC 5321, section 4.5.3.1.3, without its brackets).
const EMAIL_MAX: usize = 254;

/// Longest password, in bytes: many times what password managers make.
const PASSWORD_MAX: usize = 1_024;

/// Longest one-time code, in bytes: recovery codes have a few words.
const CODE_MAX: usize = 128;

/// `{ email, password }`, `{ code }` or `{ workspace }`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageAnswer {
    email: Option<String>,
    password: Option<Secret>,
    code: Option<Secret>,
    workspace: Option<usize>,
}

impl PageAnswer {
    /// # Errors
    /// [`Code::InvalidRequest`], where it is none of the three; with the entry for the journal, where a part is longer than any
    /// real one.
    pub(crate) fn read(self) -> Result<StepAnswer, (Option<ServerRefusal>, CommandError)> {
        match self {
            Self {
                email: Some(email),
                password: Some(Secret(password)),
                code: None,
                workspace: None,
            } => {
                check(
                    email.len(),
                    EMAIL_MAX,
                    "An e-mail address has 254 bytes at most.",
                )?;
                let length = password.expose_secret().len();
                check(length, PASSWORD_MAX, "A password has 1,024 bytes at most.")?;
                Ok(StepAnswer::Password(PasswordLogin { email, password }))
            }
            Self {
                email: None,
                password: None,
                code: Some(Secret(code)),
                workspace: None,
            } => {
                let length = code.expose_secret().len();
                check(length, CODE_MAX, "A one-time code has 128 bytes at most.")?;
                Ok(StepAnswer::OneTimeCode(code))
            }
            Self {
                email: None,
                password: None,
                code: None,
                workspace: Some(place),
            } => Ok(StepAnswer::Workspace(place)),
            _ => Err((
                None,
                CommandError::new(
                    Code::InvalidRequest,
                    "An answer has an e-mail address and a password, or a code, or the place of a workspace.",
                ),
            )),
        }
    }
}

fn check(
    length: usize,
    most: usize,
    problem: &'static str,
) -> Result<(), (Option<ServerRefusal>, CommandError)> {
    if length > most {
        let error = CommandError::new(Code::InvalidRequest, problem);
        return Err((Some(ServerRefusal::TooLong), error));
    }
    Ok(())
}

/// A password or a code from a page. It can be read, but neither shown nor sent back.
struct Secret(SecretString);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own error would quote what the page sent instead of a text.
        let text = String::deserialize(deserializer)
            .map_err(|_| D::Error::custom("passwords and codes must be texts"))?;
        Ok(Self(SecretString::from(text)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
