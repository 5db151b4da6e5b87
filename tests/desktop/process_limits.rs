//! What the system lets the client's process do: descriptors, and who may read its memory.

use std::fs;
use std::process::Command;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit, set_dumpable_behavior,
    setrlimit,
};

use crate::kit::steps::{second_window, sign_in};
use crate::kit::waiting::until;
use crate::{home, process, start};

/// Descriptors that many systems give a process at its start.
const USUAL: u64 = 1_024;

#[tokio::test]
async fn without_descriptors_a_window_is_an_error_and_the_client_lives_on() {
    let home = home("descriptors").await;
    let app = start(&home).await;
    let window = app.window().await;
    sign_in(&app, &window).await;
    let client = app.processes()[0];
    let open = fs::read_dir(format!("/proc/{client}/fd")).map_or(0, Iterator::count);
    let before = getrlimit(Resource::Nofile).current.unwrap_or(USUAL);

    // Enough for what the client does now, and too few for a window.
    limit_descriptors(client, open + 40);
    window.click("account-menu").await;
    window.click("menu-new-window").await;
    until("the error on the screen", async || {
        let text = window.ask("return document.body.innerText", vec![]).await;
        text.as_str()?
            .contains("inside the application")
            .then_some(())
    })
    .await;
    assert_eq!(app.windows().await.len(), 1);
    window.has_phase("signed_in").await;

    limit_descriptors(client, usize::try_from(before).expect("a number"));
    second_window(&app, &window).await;
}

#[tokio::test]
async fn the_client_raises_its_soft_limit_of_descriptors() {
    let home = home("soft-limit").await;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let limits = |current| Rlimit { current, maximum };
    setrlimit(Resource::Nofile, limits(Some(USUAL))).expect("it can be lowered");
    let app = start(&home).await;
    setrlimit(Resource::Nofile, limits(current)).expect("it can be raised again");
    app.window().await;

    let client = app.processes()[0];
    let now = fs::read_to_string(format!("/proc/{client}/limits")).expect("its limits");
    let line = now.lines().find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    let wanted = maximum.map_or(8_192, |maximum| maximum.min(8_192));
    assert_eq!(soft, Some(wanted), "{line:?}");
}

#[test]
fn the_memory_of_a_release_build_is_closed_to_other_programs() {
    process::keep_memory_private();
    let now = dumpable_behavior().expect("the system says");
    set_dumpable_behavior(DumpableBehavior::Dumpable).expect("a test may be looked into");
    assert_eq!(now, DumpableBehavior::NotDumpable);
}

fn limit_descriptors(process: u32, most: usize) {
    let limited = Command::new("prlimit")
        .args(["--pid", &process.to_string()])
        .arg(format!("--nofile={most}:"))
        .status();
    assert!(limited.expect("prlimit is installed").success());
}
