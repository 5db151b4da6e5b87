//! What the orchestrator says and hears: one JSON object a line, commands on standard input, replies on standard output.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::store::Tokens;

/// One line from the orchestrator.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "camelCase")]
pub(crate) enum Command {
    /// Opens the client for so many windows; with tokens a person has just signed in, without them the store has them.
    Open {
        origin: String,
        store: PathBuf,
        windows: usize,
        tokens: Option<Tokens>,
    },
    /// One GraphQL operation, which settles exactly once.
    Call {
        id: u64,
        window: usize,
        query: String,
    },
    /// The caller takes its call back.
    Abort { id: u64 },
    /// The person signs out, in whichever window: they share the client.
    SignOut,
    /// Whether the session's credentials are still held, by the client or the store.
    Status,
    /// The client shall believe that its access token has expired.
    Expire,
    /// Added time per call.
    Measure {
        callers: usize,
        calls: usize,
        turns: usize,
    },
    /// Many calls that wait for one renewal.
    Waiters { calls: usize, turns: usize },
    /// Refused calls, renewed and replayed.
    Replays { turns: usize },
    /// What is measured here.
    Versions,
}

/// One line to the orchestrator.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Reply {
    Opened {
        opened: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    Settled {
        settled: u64,
        #[serde(flatten)]
        settlement: Settlement,
    },
    #[serde(rename_all = "camelCase")]
    SignedOut {
        signed_out: bool,
    },
    Status {
        status: Status,
    },
    Expired {
        expired: bool,
    },
    Measured {
        measured: Option<Measured>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    Waited {
        waited: Option<Waited>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// `null` from a client that does not replay a refused call.
    Replayed {
        replayed: Option<Replayed>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    Versions {
        versions: BTreeMap<&'static str, &'static str>,
    },
    /// Unasked: the client has told this window's application that only a new sign-in helps.
    Logout {
        logout: bool,
        window: usize,
    },
}

/// How a call settled, and why it is an error.
#[derive(Serialize)]
pub(crate) struct Settlement {
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    Data,
    Partial,
    Error,
    Aborted,
}

/// The answer to [`Command::Status`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    pub(crate) signed_in: bool,
}

/// Microseconds per call, one number per turn: wall time and the process's CPU time of both sides.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measured {
    pub(crate) bare: Vec<f64>,
    pub(crate) client: Vec<f64>,
    pub(crate) bare_cpu: Vec<f64>,
    pub(crate) client_cpu: Vec<f64>,
}

/// Milliseconds per turn of both sides, and how many calls of the client did not get their data.
#[derive(Default, Serialize)]
pub(crate) struct Waited {
    pub(crate) bare: Vec<f64>,
    pub(crate) client: Vec<f64>,
    pub(crate) failed: usize,
}

/// Microseconds from the refusal to the replay, of both sides.
#[derive(Default, Serialize)]
pub(crate) struct Replayed {
    pub(crate) bare: Vec<f64>,
    pub(crate) client: Vec<f64>,
}

impl Reply {
    pub(crate) fn measured(result: Result<Measured, String>) -> Self {
        let (measured, error) = halves(result);
        Self::Measured { measured, error }
    }

    pub(crate) fn waited(result: Result<Waited, String>) -> Self {
        let (waited, error) = halves(result);
        Self::Waited { waited, error }
    }

    pub(crate) fn replayed(result: Result<Option<Replayed>, String>) -> Self {
        let (replayed, error) = halves(result);
        Self::Replayed {
            replayed: replayed.flatten(),
            error,
        }
    }
}

impl Settlement {
    pub(crate) const DATA: Self = Self::without_error(Outcome::Data);
    pub(crate) const PARTIAL: Self = Self::without_error(Outcome::Partial);
    pub(crate) const ABORTED: Self = Self::without_error(Outcome::Aborted);

    pub(crate) fn error(text: impl ToString) -> Self {
        Self {
            outcome: Outcome::Error,
            error: Some(text.to_string()),
        }
    }

    const fn without_error(outcome: Outcome) -> Self {
        Self {
            outcome,
            error: None,
        }
    }
}

/// Reads a line. What it says otherwise is not repeated: it may hold a token.
pub(crate) fn read(line: &str) -> Result<Command, String> {
    serde_json::from_str(line)
        .map_err(|error| format!("not a command, from column {}", error.column()))
}

/// Writes a line, whole. Nobody is left to be told when that fails: the driver ends with its standard input.
pub(crate) fn tell(reply: &Reply) {
    let mut line = serde_json::to_vec(reply).expect("replies are plain data");
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(&line).and_then(|()| out.flush());
}

fn halves<T>(result: Result<T, String>) -> (Option<T>, Option<String>) {
    match result {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error)),
    }
}
