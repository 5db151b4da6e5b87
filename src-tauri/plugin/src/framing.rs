//! How calls, uploads and subscriptions travel between a page and the commands.
//!
//! A body crosses as raw bytes, and what belongs to it as JSON in one header. A reply is the server's bytes with a small
//! head in front. A subscription is a sequence of messages.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use graphql_session::{Call, Code, Reply, StreamEvent};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tauri::http::HeaderMap;
use tauri::ipc::{InvokeBody, Request};

use crate::error::{CommandError, milliseconds};

/// The header that carries [`Metadata`], or [`Slice`], as JSON in printable ASCII.
const METADATA_HEADER: &str = "x-graphql-session";

/// Longest id of a request or an upload, in bytes. Ours have 32; another page may use UUIDs.
const ID_MAX: usize = 128;

/// Longest metadata, in bytes. The page's side sends 64 ids of received replies at most, 35 bytes each, and a session takes
/// 4 KiB of headers.
const METADATA_MAX: usize = 32 << 10;

/// What belongs to the body of an `execute`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Metadata {
    /// Made by the page. Tauri repeats an invoke whose answer was lost, and the id tells that it is the same call.
    pub(crate) request_id: String,
    pub(crate) endpoint: String,
    pub(crate) account: Option<String>,
    /// The id of the slices in which the body was sent before this call.
    pub(crate) upload_id: Option<String>,
    deadline_ms: Option<u64>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Ids of earlier calls whose replies the page has. Their replies need not be kept for a repetition.
    #[serde(default)]
    pub(crate) received: Vec<String>,
}

/// What belongs to the bytes of an `upload`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Slice {
    /// Made by the page. The slices of one body, and the `execute` that sends it, have the same id.
    pub(crate) upload_id: String,
    /// Where the slice begins in the body, in bytes.
    pub(crate) offset: usize,
    /// Length of the whole body, in bytes.
    pub(crate) total: usize,
    /// SHA-256 of the slice, taken in the page, in hexadecimal digits.
    pub(crate) sha256: String,
}

/// Reads an `execute`. Where it names an upload, the call has no body yet.
pub(crate) fn read_request(request: &Request<'_>) -> Result<(Metadata, Call), CommandError> {
    let mut metadata: Metadata = read_metadata(request.headers())?;
    check_id(&metadata.request_id)?;
    let body = read_body(request.body())?;
    if metadata.upload_id.is_some() && !body.is_empty() {
        return Err(invalid("A call with an upload has no body of its own."));
    }
    let mut call = Call::new(metadata.endpoint.clone(), Bytes::from(body.into_owned()));
    call.deadline = metadata.deadline_ms.map(Duration::from_millis);
    // The session refuses the headers that a page may not set.
    call.headers = std::mem::take(&mut metadata.headers).into_iter().collect();
    Ok((metadata, call))
}

/// Reads an `upload`.
pub(crate) fn read_slice<'a>(
    request: &'a Request<'_>,
) -> Result<(Slice, Cow<'a, [u8]>), CommandError> {
    let slice: Slice = read_metadata(request.headers())?;
    check_id(&slice.upload_id)?;
    Ok((slice, read_body(request.body())?))
}

/// The length of the head in four bytes (big-endian), the head as JSON, then the server's bytes.
pub(crate) fn write_reply(reply: &Reply) -> Result<Vec<u8>, CommandError> {
    let head = Head {
        status: reply.status,
        content_type: reply.content_type.as_deref(),
    };
    let head = serde_json::to_vec(&head).map_err(|_| unwritable())?;
    let length = u32::try_from(head.len()).map_err(|_| unwritable())?;
    let mut framed = Vec::with_capacity(size_of::<u32>() + head.len() + reply.body.len());
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(&head);
    framed.extend_from_slice(&reply.body);
    Ok(framed)
}

/// One message of a subscription, as its page receives it.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Message {
    /// The server has accepted the subscription.
    Open,
    /// One result, as the server's JSON text.
    Next { payload: String },
    /// The connection is lost. The next attempt follows after the pause.
    #[serde(rename_all = "camelCase")]
    Lost { retry_after_ms: u64 },
    /// Connected again. Events may be missing.
    Reconnected,
    /// The server has ended the subscription. Nothing follows.
    Complete,
    /// The subscription has failed. Nothing follows.
    Failed { error: CommandError },
}

impl Message {
    /// The bytes of its payload.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Next { payload } => payload.len(),
            _ => 0,
        }
    }
}

impl From<StreamEvent> for Message {
    fn from(event: StreamEvent) -> Self {
        match event {
            StreamEvent::Open => Self::Open,
            StreamEvent::Next(payload) => Self::Next {
                payload: String::from_utf8_lossy(&payload).into_owned(),
            },
            StreamEvent::Lost { retry_after } => Self::Lost {
                retry_after_ms: milliseconds(retry_after),
            },
            StreamEvent::Reconnected => Self::Reconnected,
            StreamEvent::Complete => Self::Complete,
            StreamEvent::Failed(error) => Self::Failed {
                error: error.into(),
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
}

fn read_metadata<T: DeserializeOwned>(headers: &HeaderMap) -> Result<T, CommandError> {
    let text = headers
        .get(METADATA_HEADER)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| invalid(format!("The header `{METADATA_HEADER}` is missing.")))?;
    if text.len() > METADATA_MAX {
        return Err(invalid(format!(
            "The header `{METADATA_HEADER}` is longer than {METADATA_MAX} bytes."
        )));
    }
    // The cause is left out, because it would quote what the page sent.
    serde_json::from_str(text)
        .map_err(|_| invalid(format!("The header `{METADATA_HEADER}` cannot be read.")))
}

/// # Errors
/// [`Code::InvalidRequest`] for an id that nobody should keep.
pub(crate) fn check_id(id: &str) -> Result<(), CommandError> {
    if id.is_empty() || id.len() > ID_MAX {
        return Err(invalid(format!("An id must have 1 to {ID_MAX} bytes.")));
    }
    Ok(())
}

/// The body's bytes. Tauri sends an array of numbers instead where it falls back to its message channel.
fn read_body(body: &InvokeBody) -> Result<Cow<'_, [u8]>, CommandError> {
    match body {
        InvokeBody::Raw(bytes) => Ok(Cow::Borrowed(bytes)),
        InvokeBody::Json(serde_json::Value::Array(numbers)) => numbers
            .iter()
            .map(|number| number.as_u64().and_then(|byte| u8::try_from(byte).ok()))
            .collect::<Option<Vec<u8>>>()
            .map(Cow::Owned)
            .ok_or_else(|| invalid("The body must be bytes.")),
        InvokeBody::Json(_) => Err(invalid("The body must be bytes.")),
    }
}

fn invalid(message: impl Into<Cow<'static, str>>) -> CommandError {
    CommandError::new(Code::InvalidRequest, message)
}

fn unwritable() -> CommandError {
    CommandError::new(Code::Internal, "The reply could not be handed to the page.")
}

#[cfg(test)]
mod tests;
