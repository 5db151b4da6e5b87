//! In which order a process writes its files, as the system sees it: after a loss of power, each is there as a whole.

use std::fs;
use std::path::Path;

use crate::host::Host;

/// What the process asked for about files whose path contains `part`, in order: the call and the rest of its line.
fn calls_about(trace: &Path, part: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(trace).expect("strace has written it");
    let lines = text.lines().filter(|line| line.contains(part));
    lines
        .filter_map(|line| {
            let (_, call) = line.trim_start().split_once(' ')?;
            let (name, rest) = call.trim_start().split_once('(')?;
            Some((name.to_owned(), rest.to_owned()))
        })
        .collect()
}

#[tokio::test]
async fn state_and_endings_rest_on_the_disk_with_their_names() {
    let host = Host::start().await;
    let trace = host.folder.path().join("trace");
    let mut process = host.process_traced(&trace);
    let signing_in = format!("sign_in {}", host.server.address());
    assert_eq!(process.ask(&signing_in).await, "ok");
    host.server.expire_access_tokens();
    assert_eq!(process.ask("call").await, "200");
    assert_eq!(process.ask("quit").await, "Kept");
    process.ends().await;

    let folder = host.file("");
    let folder = folder.to_str().expect("text").trim_end_matches('/');
    let calls = calls_about(&trace, folder);
    let names: Vec<_> = calls.iter().map(|(name, _)| name.as_str()).collect();
    let renamed = calls
        .iter()
        .rposition(|(name, rest)| name.starts_with("rename") && rest.contains("/state.json\""));
    let renamed = renamed.expect("the state file is replaced");
    assert_eq!(
        names[renamed - 2..renamed + 3],
        ["openat", "fdatasync", "rename", "openat", "fsync"],
        "the new file, its bytes, its name, and the folder that holds the name"
    );
    let locks = calls_about(&trace, "/lock\"");
    assert!(!locks.is_empty());
    for (_, lock) in locks {
        // Windows locks nothing that is opened for appending only.
        assert!(
            lock.contains("O_RDWR") && !lock.contains("O_APPEND"),
            "{lock}"
        );
    }

    let mut process = host.process_traced(&trace);
    assert_eq!(process.ask("sign_out").await, "SignedOut");
    assert_eq!(process.ask("quit").await, "Kept");
    process.ends().await;

    let ended = calls_about(&trace, "/ended");
    let names: Vec<_> = ended.iter().map(|(name, _)| name.as_str()).collect();
    let written = ended
        .iter()
        .position(|(name, rest)| name == "openat" && rest.contains("O_APPEND"));
    let written = written.expect("the list is appended to");
    assert_eq!(names.get(written + 1), Some(&"fdatasync"));
}
