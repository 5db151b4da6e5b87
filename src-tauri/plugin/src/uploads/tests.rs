//! The bounds of what is kept. How slices become a call is tested in `tests/plugin`.

use std::fmt::Debug;

use graphql_session_testing::ManualClock;

use super::*;
use crate::error;

const WINDOW: &str = "main";

/// Two slices, the last of them short.
const TOTAL: usize = SLICE_BYTES + 3;

fn uploads() -> (Uploads, ManualClock) {
    let clock = ManualClock::new();
    let limits = UploadLimits::of_length(26 << 20);
    (Uploads::new(Arc::new(clock.clone()), limits), clock)
}

fn body() -> Vec<u8> {
    (0..TOTAL).map(|place| (place % 253) as u8).collect()
}

fn slice(id: &str, offset: usize, bytes: &[u8]) -> Slice {
    Slice {
        upload_id: id.to_owned(),
        offset,
        total: TOTAL,
        sha256: hash(bytes),
    }
}

fn begin(uploads: &Uploads, window: &str, id: &str) -> Result<(), CommandError> {
    let first = &body()[..SLICE_BYTES];
    uploads.append(window, &slice(id, 0, first), first)
}

fn finish(uploads: &Uploads, window: &str, id: &str) -> Result<(), CommandError> {
    let last = &body()[SLICE_BYTES..];
    uploads.append(window, &slice(id, SLICE_BYTES, last), last)
}

/// It failed with this code.
#[track_caller]
fn assert_fails<T: Debug>(outcome: Result<T, CommandError>, with: PluginCode) {
    let failure = outcome.expect_err("it must fail");
    assert_eq!(failure.code(), error::Code::from(with));
}

#[test]
fn the_hash_is_sha_256_in_hexadecimal_digits() {
    let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(hash(b"abc"), of_abc);
}

#[tokio::test]
async fn a_whole_body_is_the_buffer_that_its_slices_filled() {
    let (uploads, _) = uploads();
    begin(&uploads, WINDOW, "a").expect("room");
    let buffer = match &uploads.table().uploads[0].body {
        Body::Growing(held) => (held.as_ptr(), held.capacity()),
        Body::Whole(_) => panic!("one slice is missing"),
    };
    finish(&uploads, WINDOW, "a").expect("the last slice");
    let whole = uploads.whole(WINDOW, "a").expect("complete");
    assert!(whole == body());
    assert_eq!((whole.as_ptr(), whole.len()), buffer);
}

#[tokio::test]
async fn a_window_has_four_uploads_at_a_time_and_all_windows_eight() {
    let (uploads, _) = uploads();
    for window in ["main", "second"] {
        for id in ["a", "b", "c", "d"] {
            begin(&uploads, window, id).expect("room");
        }
        assert_fails(begin(&uploads, window, "e"), PluginCode::TooManyCalls);
    }
    assert_fails(begin(&uploads, "third", "a"), PluginCode::TooManyCalls);
    // One that is known goes on, and one that has gone makes room.
    finish(&uploads, "main", "a").expect("no more room is needed");
    uploads.forget("main", "b");
    begin(&uploads, "third", "a").expect("room again");
    assert_fails(begin(&uploads, "main", "e"), PluginCode::TooManyCalls);
    uploads.forget_window("main");
    begin(&uploads, "main", "e").expect("room again");
    uploads.whole("second", "a").expect_err("not complete");
    finish(&uploads, "second", "a").expect("another window keeps its own");
}

#[tokio::test]
async fn an_upload_without_a_call_is_forgotten_after_ten_minutes_a_later_one_is_not() {
    let (uploads, clock) = uploads();
    begin(&uploads, WINDOW, "a").expect("room");
    finish(&uploads, WINDOW, "a").expect("the last slice");
    clock.quiet().await;
    clock.advance(Duration::from_secs(10 * 60 - 1));
    clock.quiet().await;
    uploads.whole(WINDOW, "a").expect("still there");
    uploads.forget(WINDOW, "a");
    begin(&uploads, WINDOW, "a").expect("room");
    clock.quiet().await;
    clock.advance(Duration::from_secs(1));
    clock.quiet().await;
    finish(&uploads, WINDOW, "a").expect("younger than ten minutes");
    clock.advance(Duration::from_secs(10 * 60));
    clock.quiet().await;
    assert!(uploads.table().uploads.is_empty());
    assert_fails(uploads.whole(WINDOW, "a"), PluginCode::UploadBroken);
}

#[tokio::test]
async fn uploads_that_are_begun_and_cancelled_leave_nothing_that_waits() {
    let (uploads, clock) = uploads();
    for number in 0..20 {
        let id = number.to_string();
        begin(&uploads, WINDOW, &id).expect("room");
        uploads.forget(WINDOW, &id);
    }
    clock.quiet().await;
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(tasks, 0);
}
