//! The state file is replaced as a whole: no process reads a part of it, and no other file is left beside it.

use std::fs::{self, File};
use std::io::Read as _;

use graphql_session::{DEFAULT_ACCOUNT, Phase, Storage};

use crate::fixture::{call_succeeds, leftovers, renew, signed_out, state_file, with_expired_token};

#[tokio::test]
async fn a_reader_of_the_state_file_keeps_the_whole_old_one_while_it_is_replaced() {
    let (host, session) = with_expired_token().await;
    let old = fs::read_to_string(state_file(&host)).expect("signed in");
    let mut opened = File::open(state_file(&host)).expect("signed in");

    call_succeeds(&session).await;

    let mut read = String::new();
    opened.read_to_string(&mut read).expect("a file");
    assert_eq!(read, old, "the file was written in place");
    let new = fs::read_to_string(state_file(&host)).expect("renewed");
    assert_ne!(new, old);
}

/// A folder in the file's place stands for all that can prevent its replacement.
#[tokio::test]
async fn a_state_file_that_cannot_be_replaced_leaves_nothing_beside_it() {
    let (host, session) = signed_out().await;
    fs::create_dir(state_file(&host)).expect("own folder");

    host.sign_in(&session).await;
    renew(&host, &session).await;

    let status = session.status();
    assert_eq!(
        (status.phase, status.storage),
        (Phase::SignedIn, Storage::Saved)
    );
    assert!(state_file(&host).is_dir(), "nothing was replaced");
    assert_eq!(leftovers(&host.file(DEFAULT_ACCOUNT, "")), [""; 0]);
}
