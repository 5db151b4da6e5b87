//! Where the application keeps its tokens: a JSON file. Neither client has a store of its own.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a sign-in yields. No `Debug`: it would print them.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) access_expires_at: Timestamp,
    pub(crate) refresh: String,
    /// An OAuth 2 server does not say it at a renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_expires_at: Option<Timestamp>,
}

impl From<Tokens> for graphql_session::Tokens {
    fn from(tokens: Tokens) -> Self {
        Self {
            refresh: Some(tokens.refresh.into()),
            refresh_expires: tokens.refresh_expires_at.into(),
            ..Self::of(
                tokens.access.into(),
                graphql_session::Expiry::At(tokens.access_expires_at),
            )
        }
    }
}

/// The file, which several processes may share.
#[derive(Clone)]
pub(crate) struct Store {
    path: PathBuf,
}

impl Store {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// None where nobody has signed in, or somebody has signed out.
    pub(crate) fn read(&self) -> io::Result<Option<Tokens>> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaced by a rename, so that another process never reads half of it.
    pub(crate) fn write(&self, tokens: &Tokens) -> io::Result<()> {
        let unfinished = self
            .path
            .with_extension(format!("{}.tmp", std::process::id()));
        std::fs::write(&unfinished, serde_json::to_vec(tokens)?)?;
        std::fs::rename(unfinished, &self.path)
    }

    /// Makes the stored access token look expired, as time would.
    pub(crate) fn expire(&self) -> io::Result<()> {
        let Some(mut tokens) = self.read()? else {
            return Ok(());
        };
        tokens.access_expires_at = Timestamp::now();
        self.write(&tokens)
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().expect("a file is in a folder")
    }

    pub(crate) fn holds_tokens(&self) -> bool {
        self.path.exists()
    }

    pub(crate) fn remove(&self) {
        // The person is signed out all the same when there was no file.
        let _ = std::fs::remove_file(&self.path);
    }
}
