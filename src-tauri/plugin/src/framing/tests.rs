//! What a page sends, mutated: never a panic, and no more time and memory than `tests/fuzz` allows the parsers of the core.

use graphql_session_testing::{CountingAllocator, Fuzz};
use serde_json::Value;
use tauri::http::HeaderValue;

use super::*;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Inputs for each parser, unless `FUZZ_INPUTS` says otherwise.
const INPUTS: u64 = 20_000;

/// The seed, unless `FUZZ_SEED` says otherwise.
const SEED: u64 = 13;

/// Most memory for a body as JSON, in bytes for each of its own: Tauri makes a value of 32 bytes of each number before we see
/// it.
const JSON_BODY: usize = 64;

/// Most CPU time for one input, as for the parsers of the core.
const CPU: Duration = Duration::from_millis(50);

const METADATA: &[&[u8]] = &[
    br#"{"requestId":"0123456789abcdef0123456789abcdef","endpoint":"graphql","account":"default","deadlineMs":60000,"headers":{"accept-language":"de"},"received":["0123456789abcdef0123456789abcde0"]}"#,
    br#"{"requestId":"\u00e9","endpoint":"metadata","uploadId":"u","headers":{},"received":[]}"#,
    br#"{"uploadId":"u","offset":0,"total":18446744073709551615,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#,
];

const BODIES: &[&[u8]] = &[
    b"[123,34,113,34,58,34,123,32,97,32,125,34,125]",
    b"[]",
    b"[256,-1,1.5,null]",
    br#"{"query":"{ a }"}"#,
];

const JSON: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b"null",
    b"true",
    b"1e999",
    b"-1",
    b"255",
    b"256",
    b"\\u0000",
    b"\\ud83d",
    b"\\\"",
    b"\"requestId\":",
    b"\"uploadId\":",
    b"\"headers\":",
    b"\"received\":",
    b"\"deadlineMs\":",
    b"\"offset\":",
];

fn fuzz() -> Fuzz {
    Fuzz::new(SEED, INPUTS, std::env::temp_dir()).or_from_environment()
}

#[test]
fn metadata_of_any_bytes_is_read_or_refused() {
    fuzz().run("metadata", METADATA, JSON, |input| {
        let Ok(value) = HeaderValue::from_bytes(input) else {
            return;
        };
        let mut headers = HeaderMap::new();
        headers.insert(METADATA_HEADER, value);
        if let Ok(metadata) = read_metadata::<Metadata>(&headers) {
            assert!(input.len() <= METADATA_MAX);
            let _ = check_id(&metadata.request_id);
        }
        if let Ok(slice) = read_metadata::<Slice>(&headers) {
            let _ = check_id(&slice.upload_id);
        }
    });
}

#[test]
fn a_body_of_any_json_is_bytes_or_refused() {
    let fuzz = fuzz().with_limits(JSON_BODY, CPU);
    fuzz.run("body", BODIES, JSON, |input| {
        let Ok(json) = serde_json::from_slice::<Value>(input) else {
            return;
        };
        let is_byte = |number: &Value| number.as_u64().is_some_and(|byte| byte < 256);
        let numbers = json.as_array();
        let are_bytes = numbers.is_some_and(|numbers| numbers.iter().all(is_byte));
        assert_eq!(read_body(&InvokeBody::Json(json)).is_ok(), are_bytes);
    });
}
