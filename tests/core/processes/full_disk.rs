//! The disk is full while a process writes its files.

use crate::fixture::leftovers;
use crate::host::Host;
use crate::moments::halt_at;

/// The new credentials are in the keyring. The write of the state file fails after 64 bytes.
#[tokio::test]
async fn a_full_disk_leaves_the_old_state_file_whole_and_no_partial_file_beside_it() {
    let host = Host::start().await;
    drop(host.processes(1).await);
    let mut process = host.process_that_sees_a_full_disk();
    host.server.expire_access_tokens();
    let call = halt_at(&mut process, "SaveEnds").await;
    let before = host.state_file();

    process.limit_files();
    let _ = process.tell("go_on");

    assert_eq!(process.answer(call).await, "200");
    assert_eq!(process.ask("noted renewed").await, "1");
    assert_eq!(
        host.state_file(),
        before,
        "replaced by a part of the new one"
    );
    assert_eq!(leftovers(&host.file("")), [""; 0]);
    assert_eq!(process.ask("call").await, "200");

    // The keyring has the new credentials, and the next start works with them.
    drop(process);
    let mut restarted = host.process();
    assert_eq!(restarted.ask("call").await, "200");
    assert_eq!(host.server.counts().exchanged, 1);
}
