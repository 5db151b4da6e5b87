//! How an `execute` and the slices of an upload travel: the page's bytes as they are, everything else in one header; the
//! server's reply as it is, with a small head in front.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use graphql_session::{Call, Code, Error, Reply};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tauri::http::HeaderMap;
use tauri::ipc::{InvokeBody, Request};

/// The header that carries [`Metadata`], or [`Slice`], as JSON in printable ASCII.
const METADATA_HEADER: &str = "x-graphql-session";

/// Longest id of a request or an upload, in bytes. Ours have 32; another page may use UUIDs.
const ID_MAX: usize = 128;

/// What comes beside the body of an `execute`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Metadata {
    /// Made in the page: Tauri repeats an invoke whose answer was lost.
    pub(crate) request_id: String,
    pub(crate) endpoint: String,
    pub(crate) account: Option<String>,
    /// The body came before, in slices under this id.
    pub(crate) upload_id: Option<String>,
    deadline_ms: Option<u64>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Ids of earlier calls whose replies the page has read: they need not be kept for a repetition any more.
    #[serde(default)]
    pub(crate) received: Vec<String>,
}

/// What comes beside the bytes of an `upload`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Slice {
    /// Made in the page: the slices of one body, and the `execute` that takes it, have the same.
    pub(crate) upload_id: String,
    /// Where in the body it belongs, in bytes.
    pub(crate) offset: usize,
    /// Length of the whole body, in bytes.
    pub(crate) total: usize,
    /// SHA-256 of its bytes as they were in the page, in hexadecimal digits.
    pub(crate) sha256: String,
}

/// Reads an `execute`. The body of an upload has to be put in by the caller.
pub(crate) fn read_request(request: &Request<'_>) -> Result<(Metadata, Call), Error> {
    let mut metadata: Metadata = read_metadata(request.headers())?;
    check_id(&metadata.request_id)?;
    let body = read_body(request.body())?;
    if metadata.upload_id.is_some() && !body.is_empty() {
        return Err(invalid("The body of an upload comes before, in slices."));
    }
    let mut call = Call::new(metadata.endpoint.clone(), Bytes::from(body.into_owned()));
    call.deadline = metadata.deadline_ms.map(Duration::from_millis);
    // Which of them a page may set is for the session to say: it refuses those that identify the person or the host.
    call.headers = std::mem::take(&mut metadata.headers).into_iter().collect();
    Ok((metadata, call))
}

/// Reads an `upload`.
pub(crate) fn read_slice<'a>(request: &'a Request<'_>) -> Result<(Slice, Cow<'a, [u8]>), Error> {
    let slice: Slice = read_metadata(request.headers())?;
    check_id(&slice.upload_id)?;
    Ok((slice, read_body(request.body())?))
}

/// Four bytes of length (big-endian), a JSON head of that length, then the server's bytes.
pub(crate) fn write_reply(reply: &Reply) -> Result<Vec<u8>, Error> {
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
}

fn read_metadata<T: DeserializeOwned>(headers: &HeaderMap) -> Result<T, Error> {
    let text = headers
        .get(METADATA_HEADER)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| invalid(format!("The header `{METADATA_HEADER}` is missing.")))?;
    // The cause is left out: it would quote what the page sent.
    serde_json::from_str(text)
        .map_err(|_| invalid(format!("The header `{METADATA_HEADER}` cannot be read.")))
}

fn check_id(id: &str) -> Result<(), Error> {
    if id.is_empty() || id.len() > ID_MAX {
        return Err(invalid(format!("An id must have 1 to {ID_MAX} bytes.")));
    }
    Ok(())
}

/// The body's bytes. An array of numbers is what Tauri makes of bytes when it falls back to its message channel.
fn read_body(body: &InvokeBody) -> Result<Cow<'_, [u8]>, Error> {
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

fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Code::InvalidRequest, message)
}

fn unwritable() -> Error {
    Error::new(Code::Internal, "The reply could not be handed to the page.")
}
