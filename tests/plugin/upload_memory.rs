//! The memory that an upload takes. A test binary of its own, because it counts every byte that the process allocates.

#[allow(dead_code)] // each test binary uses its part
#[path = "test_app.rs"]
mod test_app;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use graphql_session_testing::FaultServer;
use serde_json::json;
use sha2::{Digest, Sha256};
use tauri_plugin_graphql_session::graphql_session::SystemClock;

use crate::test_app::{Reply, TestApp, eventually};

/// Length of the body.
const TOTAL: usize = 25 << 20;

/// Length of every slice but the last.
const SLICE: usize = 1 << 20;

/// Most bytes that may be in use at once, in tenths of the body. Measured: 10.4, which is the body, the slice that has
/// just arrived, and the beginning of the form that is read for its operations.
const PEAK_TENTHS: usize = 22;

/// Bytes that may still be in use when the upload is over.
const LEFT: usize = 1 << 20;

const BEGINNING: &str = "--xxx\r\ncontent-disposition: form-data; name=\"operations\"\r\n\r\n\
    {\"query\":\"mutation ($file: Upload!) { uploadFile (file: $file) { id } }\",\"variables\":{\"file\":null}}\r\n\
    --xxx\r\ncontent-disposition: form-data; name=\"map\"\r\n\r\n{\"0\":[\"variables.file\"]}\r\n\
    --xxx\r\ncontent-disposition: form-data; name=\"0\"; filename=\"scan.bin\"\r\n\r\n";
const END: &str = "\r\n--xxx--\r\n";

/// The system's allocator, counting the bytes that are in use by all threads but the server's.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static IS_SERVER: Cell<bool> = const { Cell::new(false) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// There is no other way to count allocations; it hands everything on as it is.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !IS_SERVER.get() {
            let in_use = IN_USE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
            PEAK.fetch_max(in_use, Ordering::Relaxed);
        }
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !IS_SERVER.get() {
            IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        }
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The slice at `offset`. The test never holds the whole body.
fn slice(offset: usize) -> Vec<u8> {
    let byte_at = |place: usize| {
        let in_end = (place + END.len()).checked_sub(TOTAL);
        BEGINNING
            .as_bytes()
            .get(place)
            .or_else(|| END.as_bytes().get(in_end?))
            .copied()
            .unwrap_or((place % 251) as u8)
    };
    (offset..TOTAL.min(offset + SLICE)).map(byte_at).collect()
}

#[test]
fn an_upload_of_25_mib_with_its_replay_takes_at_most_2_2_times_its_length() {
    let server_threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .on_thread_start(|| IS_SERVER.set(true))
        .enable_all()
        .build()
        .expect("threads for the server");
    let server = server_threads.block_on(FaultServer::start(Arc::new(SystemClock::new())));
    let app = TestApp::open();
    let page = app.window("main");
    page.sign_in_at(&server);
    page.execute("graphql", "{ people { id } }")
        .expect("served");
    server.expire_access_tokens();
    let before = IN_USE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);

    for offset in (0..TOTAL).step_by(SLICE) {
        let bytes = slice(offset);
        let hash = Sha256::digest(&bytes);
        let sha256: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let label = json!({ "uploadId": "a", "offset": offset, "total": TOTAL, "sha256": sha256 });
        page.invoke_bytes("upload", &label, bytes).expect("taken");
    }
    let metadata = json!({
        "requestId": "a", "uploadId": "a", "endpoint": "graphql",
        "headers": { "content-type": "multipart/form-data; boundary=xxx" },
    });
    let reply = page.invoke_bytes("execute", &metadata, Vec::new());
    let peak = PEAK.load(Ordering::Relaxed) - before;

    assert_eq!(Reply::read(reply.expect("replayed")).head["status"], 200);
    let lengths: Vec<_> = server
        .seen_asking_for("uploadFile")
        .iter()
        .map(|request| request.body.len())
        .collect();
    assert_eq!(lengths, [TOTAL, TOTAL], "sent, refused and replayed");
    assert_eq!(server.effects_of("uploadFile"), 1);
    println!("at most {:.2} times the body", peak as f64 / TOTAL as f64);
    assert!(peak >= TOTAL, "{peak} bytes: the body was not counted");
    assert!(peak * 10 <= TOTAL * PEAK_TENTHS, "{peak} bytes");
    // The connection frees its part a moment after the reply.
    eventually("the body is freed", || {
        IN_USE.load(Ordering::Relaxed).saturating_sub(before) <= LEFT
    });
}
