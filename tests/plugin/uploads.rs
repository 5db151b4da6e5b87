//! Uploads: slices come in, and one whole body is sent, or nothing.

use graphql_session_testing::{Fault, FaultServer, Gate, upload};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tauri_plugin_graphql_session::graphql_session::Call;

use crate::test_app::{
    Page, Reply, TestApp, assert_fails, code, joined, new_id, scriptable_server, wait,
};

const FIELD: &str = "uploadFile";

/// Length of every slice but the last.
const SLICE: usize = 1 << 20;

/// The longest request of a session by default, in bytes.
const LONGEST: usize = 26 << 20;

/// A signed-in page, its server, and an upload of three slices.
struct Uploading {
    app: TestApp,
    page: Page,
    server: FaultServer,
    call: Call,
}

impl Uploading {
    fn start() -> Self {
        let app = TestApp::open();
        let server = scriptable_server();
        let page = app.window("main");
        page.sign_in_at(&server);
        let file: Vec<u8> = (0..SLICE * 5 / 2)
            .map(|place| (place % 251) as u8)
            .collect();
        Self {
            app,
            page,
            server,
            call: upload("mutation", FIELD, &file),
        }
    }

    fn slice(&self, number: usize) -> Vec<u8> {
        let slice = self.call.body.chunks(SLICE).nth(number);
        slice.expect("there are three").to_vec()
    }

    /// The metadata of a slice.
    fn label(&self, id: &str, number: usize) -> Value {
        let total = self.call.body.len();
        label(id, number * SLICE, total, &self.slice(number))
    }

    fn send(&self, id: &str, number: usize) -> Result<(), Value> {
        send(&self.page, &self.label(id, number), self.slice(number))
    }

    fn send_all(&self, id: &str) {
        for number in 0..3 {
            self.send(id, number).expect("taken");
        }
    }

    fn execute(&self, id: &str) -> Result<Reply, Value> {
        self.execute_as(&new_id(), id)
    }

    fn execute_as(&self, request: &str, id: &str) -> Result<Reply, Value> {
        execute(&self.page, request, id, &self.call)
    }

    /// The bodies of all uploads that the server has seen.
    fn arrived(&self) -> Vec<Vec<u8>> {
        let seen = self.server.seen_asking_for(FIELD);
        seen.into_iter().map(|request| request.body).collect()
    }

    fn assert_arrived(&self, times: usize) {
        let arrived = self.arrived();
        assert_eq!(arrived.len(), times);
        for body in arrived {
            assert!(body == self.call.body, "{} bytes arrived", body.len());
        }
    }
}

fn label(id: &str, offset: usize, total: usize, slice: &[u8]) -> Value {
    let hash = Sha256::digest(slice);
    let sha256: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "uploadId": id, "offset": offset, "total": total, "sha256": sha256 })
}

fn send(page: &Page, label: &Value, slice: Vec<u8>) -> Result<(), Value> {
    page.invoke_bytes("upload", label, slice).map(drop)
}

fn execute(page: &Page, request: &str, id: &str, call: &Call) -> Result<Reply, Value> {
    let content_type = &call.headers[0].1;
    let metadata = json!({
        "requestId": request, "uploadId": id, "endpoint": "graphql",
        "headers": { "content-type": content_type },
    });
    page.invoke_bytes("execute", &metadata, Vec::new())
        .map(Reply::read)
}

#[test]
fn slices_arrive_at_the_server_as_one_body_to_the_byte() {
    let uploading = Uploading::start();
    uploading.send_all("a");
    assert_eq!(uploading.server.counts().calls, 0);
    let reply = uploading.execute("a").expect("served");
    assert_eq!(reply.head["status"], 200);
    uploading.assert_arrived(1);
    let seen = uploading.server.seen_asking_for(FIELD).remove(0);
    let content_type = Some(uploading.call.headers[0].1.as_str());
    assert_eq!(seen.header("content-type"), content_type);
    let length = uploading.call.body.len().to_string();
    assert_eq!(seen.header("content-length"), Some(length.as_str()));
}

#[test]
fn a_slice_that_was_cut_short_or_changed_is_refused_and_taken_when_it_is_sent_again() {
    let uploading = Uploading::start();
    uploading.send("a", 0).expect("taken");
    let label = uploading.label("a", 1);
    let slice = uploading.slice(1);
    let mut changed = slice.clone();
    changed[SLICE / 2] ^= 1;
    for spoilt in [slice[..SLICE - 1].to_vec(), Vec::new(), changed] {
        let refusal = send(&uploading.page, &label, spoilt);
        assert_fails(refusal, "upload_broken");
    }
    let mut wrong_hash = label.clone();
    wrong_hash["sha256"] = "00".into();
    let refusal = send(&uploading.page, &wrong_hash, slice.clone());
    assert_fails(refusal, "upload_broken");
    uploading.send("a", 1).expect("taken");
    // The last one is as long as what is left.
    let last = uploading.slice(2);
    let cut = last[..last.len() - 1].to_vec();
    let refusal = send(&uploading.page, &uploading.label("a", 2), cut);
    assert_fails(refusal, "upload_broken");
    uploading.send("a", 2).expect("taken");
    uploading.execute("a").expect("served");
    uploading.assert_arrived(1);
}

#[test]
fn slices_out_of_order_are_refused_and_repeated_ones_change_nothing() {
    let uploading = Uploading::start();
    assert_fails(uploading.send("a", 1), "upload_broken");
    uploading.send("a", 0).expect("taken");
    assert_fails(uploading.send("a", 2), "upload_broken");
    uploading.send("a", 0).expect("known");
    uploading.send("a", 1).expect("taken");
    let differs = vec![7; SLICE];
    let label = label("a", SLICE, uploading.call.body.len(), &differs);
    let refusal = send(&uploading.page, &label, differs);
    assert_fails(refusal, "upload_broken");
    uploading.send("a", 2).expect("taken");
    for number in [2, 0, 1] {
        uploading.send("a", number).expect("known");
    }
    uploading.execute("a").expect("served");
    uploading.assert_arrived(1);
}

#[test]
fn slices_that_do_not_belong_to_one_body_are_refused() {
    let uploading = Uploading::start();
    let total = uploading.call.body.len();
    let first = uploading.slice(0);
    uploading.send("a", 0).expect("taken");
    for (offset, total) in [(0, total + 1), (1, total), (total, total), (0, 0)] {
        let label = label("a", offset, total, &first);
        let refusal = send(&uploading.page, &label, first.clone());
        assert_eq!(code(refusal), "invalid_request", "{offset} of {total}");
    }
    for odd in [
        json!({}),
        json!({ "uploadId": "", "offset": 0, "total": 1, "sha256": "" }),
    ] {
        let refusal = send(&uploading.page, &odd, vec![1]);
        assert_eq!(code(refusal), "invalid_request", "{odd}");
    }
}

#[test]
fn an_upload_that_is_not_complete_is_refused_and_nothing_is_sent() {
    let uploading = Uploading::start();
    uploading.send("a", 0).expect("taken");
    uploading.send("a", 1).expect("taken");
    let error = uploading.execute("a").expect_err("a slice is missing");
    assert_eq!(error["code"], "upload_broken");
    let message = error["message"].as_str().expect("a sentence");
    assert!(message.contains("nothing was sent"), "{message}");
    assert_fails(uploading.execute("unknown"), "upload_broken");
    // Another window's upload is not this one's.
    let other = uploading.app.window("second");
    uploading.send("a", 2).expect("taken");
    let answer = execute(&other, &new_id(), "a", &uploading.call);
    assert_fails(answer, "upload_broken");
    let metadata = json!({ "requestId": new_id(), "uploadId": "a", "endpoint": "graphql" });
    let page = &uploading.page;
    let both = page.invoke_bytes("execute", &metadata, vec![b'x']);
    assert_fails(both, "invalid_request");
    assert_eq!(uploading.server.counts().calls, 0);
    uploading.execute("a").expect("it is still there");
    uploading.assert_arrived(1);
}

#[test]
fn an_upload_over_the_limit_is_refused_at_its_first_slice() {
    let uploading = Uploading::start();
    let slice = uploading.slice(0);
    let too_long = label("a", 0, LONGEST + 1, &slice);
    let refusal = send(&uploading.page, &too_long, slice.clone());
    assert_fails(refusal, "too_large");
    let label = label("b", 0, LONGEST, &slice);
    send(&uploading.page, &label, slice).expect("just short enough");
}

#[test]
fn a_closed_window_and_a_cancelled_call_leave_no_upload() {
    let uploading = Uploading::start();
    let second = uploading.app.window("second");
    for number in 0..3 {
        let label = uploading.label("a", number);
        send(&second, &label, uploading.slice(number)).expect("taken");
    }
    uploading.app.close(second.clone());
    // As a window that is opened later under the same label.
    let answer = execute(&second, &new_id(), "a", &uploading.call);
    assert_fails(answer, "upload_broken");

    uploading.send_all("b");
    let cancel = json!({ "requestId": "b" });
    uploading.page.invoke("cancel", cancel).expect("cancelled");
    assert_fails(uploading.execute("b"), "upload_broken");
    assert_fails(uploading.execute_as("b", "b"), "cancelled");
    assert_eq!(uploading.server.counts().calls, 0);
}

#[test]
fn an_upload_with_an_expired_token_is_replayed_whole_after_one_renewal() {
    let uploading = Uploading::start();
    uploading.server.expire_access_tokens();
    uploading.send_all("a");
    let reply = uploading.execute("a").expect("replayed");
    assert_eq!(reply.head["status"], 200);
    uploading.assert_arrived(2);
    let counts = uploading.server.counts();
    assert_eq!((counts.renewals, counts.effects_of(FIELD)), (1, 1));
}

#[test]
fn an_upload_whose_answer_was_lost_may_have_run_and_is_not_replayed() {
    let uploading = Uploading::start();
    uploading.server.on_call(Fault::after_acting(Fault::Reset));
    uploading.send_all("a");
    assert_fails(uploading.execute_as("one", "a"), "maybe_executed");
    // Not by a repeated invoke either; and its body is gone.
    assert_fails(uploading.execute_as("one", "a"), "maybe_executed");
    assert_fails(uploading.execute_as("two", "a"), "upload_broken");
    uploading.assert_arrived(1);
    assert_eq!(uploading.server.effects_of(FIELD), 1);
}

#[test]
fn an_invoke_that_is_repeated_while_its_upload_is_on_the_way_joins_it() {
    let uploading = Uploading::start();
    let gate = Gate::new();
    uploading.server.on_call(Fault::hold(&gate));
    uploading.send_all("a");
    let invoked = || {
        let (page, call) = (uploading.page.clone(), uploading.call.clone());
        std::thread::spawn(move || execute(&page, "one", "a", &call))
    };
    let first = invoked();
    wait(uploading.server.wait_for(|counts| counts.calls == 1));
    let second = invoked();
    gate.open();
    let first = joined(first).expect("served");
    assert_eq!(first, joined(second).expect("the same result"));
    wait(uploading.server.wait_for_calls_to_end());
    uploading.assert_arrived(1);
}
