//! [`StateFile`]: what the processes of one account tell each other. It holds no secret.

use graphql_session_renewal::{
    CredentialsId, CredentialsInfo, EndingReason, FailureSeen, StateWrite, TokenFate, Wall,
};
use serde::{Deserialize, Serialize};

/// Version of the state file. One of another version counts as damaged: it is kept aside, and says nothing.
const VERSION: u32 = 1;

/// The state file of an account, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateFile {
    version: u32,
    account: String,
    pub(crate) server: String,
    /// E-mail address of the person, for the sign-in form; none after the person's own sign-out.
    pub(crate) person: Option<String>,
    protocol: String,
    /// The credentials that are current, whether or not they could be saved.
    #[serde(rename = "stamp")]
    pub(crate) info: CredentialsInfo,
    pub(crate) standing: FileStanding,
    /// No attempt before this time: the server's Retry-After.
    pub(crate) not_before: Option<Wall>,
    /// The last attempt that proved nothing, and with which credentials.
    pub(crate) last_failure: Option<Failure>,
    /// When these credentials were put into the vault.
    pub(crate) saved_at: Option<Wall>,
}

/// Whose session a state file is about.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) account: &'a str,
    pub(crate) server: &'a str,
    pub(crate) person: Option<&'a str>,
    pub(crate) protocol: &'a str,
    pub(crate) info: CredentialsInfo,
}

/// Where the session stands, as the state file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileStanding {
    SignedIn,
    Ended { reason: EndingReason, at: Wall },
}

/// One attempt that proved nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Failure {
    credentials: CredentialsId,
    at: Wall,
    token: TokenFate,
    /// When the next attempt is due, for every process: one outage is one series of attempts.
    next_at: Wall,
}

impl StateFile {
    /// The session stands.
    pub(crate) fn standing(about: About<'_>, write: &StateWrite, at: Wall) -> Self {
        Self {
            not_before: write.not_before,
            last_failure: write.failure.map(|(token, next_at)| Failure {
                credentials: write.of,
                at,
                token,
                next_at,
            }),
            saved_at: write.saved.then_some(at),
            ..Self::new(about, FileStanding::SignedIn)
        }
    }

    /// The session is over.
    pub(crate) fn ended(about: About<'_>, reason: EndingReason, at: Wall) -> Self {
        let mut file = Self::new(about, FileStanding::Ended { reason, at });
        if reason == EndingReason::SignedOut {
            file.person = None;
        }
        file
    }

    fn new(about: About<'_>, standing: FileStanding) -> Self {
        Self {
            version: VERSION,
            account: about.account.to_owned(),
            server: about.server.to_owned(),
            person: about.person.map(str::to_owned),
            protocol: about.protocol.to_owned(),
            info: about.info,
            standing,
            not_before: None,
            last_failure: None,
            saved_at: None,
        }
    }

    /// Reads the file's text; `None` where it is damaged, or of another version.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let state: Self = serde_json::from_slice(text).ok()?;
        let failure = state.last_failure;
        let mut times = [
            state.not_before,
            state.saved_at,
            failure.map(|failure| failure.at),
            failure.map(|failure| failure.next_at),
            match state.standing {
                FileStanding::Ended { at, .. } => Some(at),
                FileStanding::SignedIn => None,
            },
        ]
        .into_iter()
        .flatten();
        let is_sound =
            state.version == VERSION && state.info.is_countable() && times.all(Wall::is_countable);
        is_sound.then_some(state)
    }

    pub(super) fn last_failure(&self) -> Option<FailureSeen> {
        self.last_failure.map(|failure| FailureSeen {
            credentials: failure.credentials,
            at: failure.at,
            token: failure.token,
            next_at: failure.next_at,
        })
    }
}
