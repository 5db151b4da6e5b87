//! What reads bytes from outside and is private, for the fuzz test (`tests/fuzz`). No application has the feature `parsers`.

use crate::protocol::{Protocol as _, Twenty};
use std::time::Duration;

use bytes::Bytes;
use graphql_session_renewal::SessionId;
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

use crate::cleared::secret_of_json;
use crate::clock::ServerClock;
use crate::credentials::Credentials;
use crate::files::{StateFile, ended_in_list};
use crate::http::{read_certificates, read_host, retry_after};
use crate::subscription::read_events;

/// The record of a vault. Whether it could be read.
pub fn stored_record(text: &str) -> bool {
    let text = text.into();
    let is_named = Credentials::session_in(&text).is_some();
    Credentials::from_text(&text, Twenty::new().facts()).is_some() && is_named
}

/// A state file. Whether it could be read.
pub fn state_file(text: &[u8]) -> bool {
    StateFile::parse(text).is_some()
}

/// The list of ended sessions. Whether this session is in it.
pub fn ended_list(text: &[u8], session: SessionId) -> bool {
    ended_in_list(text, session)
}

/// The pause that these two headers of an answer ask for, and what the server's clock shows after it, in ms.
pub fn pause(retry: &[u8], date: &[u8], clock: &ServerTimeSource) -> (Option<Duration>, i64) {
    let mut headers = HeaderMap::new();
    for (name, value) in [(RETRY_AFTER, retry), (DATE, date)] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    let pause = retry_after(&headers, &clock.0);
    (pause, clock.0.now().ms())
}

/// A clock that learns from Date headers.
pub struct ServerTimeSource(ServerClock);

impl ServerTimeSource {
    /// One that has seen no server.
    pub fn new(local: std::sync::Arc<dyn crate::Clock>) -> Self {
        Self(ServerClock::new(local))
    }
}

/// A stream of server-sent events that arrives in these pieces. How many of its events are handed on; `None` where one of them
/// is longer than `limit` bytes.
pub async fn events(pieces: Vec<Bytes>, limit: usize) -> Option<usize> {
    read_events(pieces, limit).await
}

/// A host as a setting names it. Whether it could be read.
pub fn host(text: &str) -> bool {
    read_host(text).is_some()
}

/// Certificates as PEM. Whether they could be read.
pub fn certificates(text: &str) -> bool {
    read_certificates(text).is_some()
}

/// A JSON string that holds a secret. Whether it could be read.
pub fn secret_text(json: &str) -> bool {
    secret_of_json(json).is_some()
}
