//! What has not reached the server: it survives a crash, on a disk that nobody else can read.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use demo_server::{DEMO_EMAIL, DEMO_PASSWORD, DemoServer, Options};
use serde_json::json;

use crate::kit::application::signal;
use crate::kit::steps::sign_in_at;
use crate::kit::waiting::until;
use crate::unsent_files::{Owner, Work, forget, keep, take};
use crate::{home, start};

#[tokio::test]
async fn what_was_made_while_the_server_was_away_survives_a_crash_and_is_sent_later() {
    let home = home("unsent").await;
    let data = tempfile::tempdir().expect("a temporary folder");
    let options = |port| Options {
        port,
        data: Some(data.path().into()),
        ..Options::default()
    };
    let server = DemoServer::start(options(0)).await.expect("a server");
    let port = server.address().port();
    let app = start(&home).await;
    let window = app.window().await;
    sign_in_at(&window, &server.origin(), DEMO_EMAIL, DEMO_PASSWORD).await;
    window
        .has("session-indicator", "data-storage", "saved")
        .await;

    server.stop().await;
    window.click("new-record").await;
    window.fill("field-jobTitle", "Pearl diver").await;
    window.click("record-save").await;
    window.has("pending-edits", "data-count", "1").await;
    window.click("new-record").await;
    window.fill("field-city", "Half a city").await;
    window.picture("draft-in-form").await;
    let files = unsent_files(&home);
    assert_eq!(files.len(), 1, "{files:?}");
    let text = fs::read_to_string(&files[0]).expect("the file can be read");
    assert!(text.contains("Pearl diver") && text.contains("Half a city"));
    assert!(
        !text.contains("eyJ") && !text.contains(DEMO_PASSWORD),
        "a secret in the file"
    );
    assert_private(&files[0]);
    let processes = app.processes();
    for process in &processes {
        signal("KILL", &process.to_string());
    }
    app.has_quit().await;
    // While one of its threads is left, the next start takes it for a running instance.
    until("the killed application to be gone", async || {
        let mut left = processes
            .iter()
            .filter(|process| Path::new("/proc").join(process.to_string()).exists());
        left.next().is_none().then_some(())
    })
    .await;

    let app = start(&home).await;
    let window = app.window().await;
    window.says("session-banner", "1 edit waits").await;
    window.picture("waits-at-start").await;
    let server = DemoServer::start(options(port)).await.expect("the server");
    // Not where the client has found the server by itself.
    window.click_if_shown("try-now").await;
    window.says("record-count", "1,001").await;
    window.hides("pending-edits").await;
    window.has("drafts", "data-count", "1").await;
    window.click("drafts").await;
    window.click("draft-continue").await;
    window.shows("field-city").await;
    assert_eq!(
        window.value("field-city").await.as_deref(),
        Some("Half a city")
    );
    app.quit().await;
    server.stop().await;
}

#[test]
fn the_work_of_closed_windows_is_taken_over_once_and_that_of_open_ones_is_left() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let owner = owner("ada@example.com");
    keep(root.path(), &owner, "main", &work("one")).expect("kept");
    keep(root.path(), &owner, "main-2", &work("two")).expect("kept");
    keep(root.path(), &owner, "main-3", &work("three")).expect("kept");
    let taken = take(root.path(), &owner, "main", |window| window == "main-3").expect("taken");
    assert_eq!(taken.edits, [json!("one"), json!("two")]);
    // It rests in the file of the window that took it over, and in no other.
    let again = take(root.path(), &owner, "main", |_| false).expect("taken");
    assert_eq!(again.edits, [json!("one"), json!("two"), json!("three")]);
    keep(root.path(), &owner, "main", &Work::default()).expect("nothing is left");
    assert_eq!(
        take(root.path(), &owner, "main", |_| false).expect("taken"),
        Work::default()
    );
}

#[test]
fn unsent_work_belongs_to_one_person_at_one_server_and_can_be_forgotten() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let (ada, eve) = (owner("ada@example.com"), owner("eve@example.com"));
    keep(root.path(), &ada, "main", &work("hers")).expect("kept");
    assert_eq!(
        take(root.path(), &eve, "main", |_| false).expect("taken"),
        Work::default()
    );
    forget(root.path(), &eve).expect("there is nothing");
    assert_eq!(
        take(root.path(), &ada, "main", |_| false).expect("taken"),
        work("hers")
    );
    forget(root.path(), &ada).expect("forgotten");
    assert_eq!(
        take(root.path(), &ada, "main", |_| false).expect("taken"),
        Work::default()
    );
}

#[test]
fn a_file_of_unsent_work_that_is_damaged_is_kept_aside() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let owner = owner("ada@example.com");
    keep(root.path(), &owner, "main", &work("one")).expect("kept");
    let file = files_below(root.path()).remove(0);
    fs::write(&file, "{\"edits\":[").expect("written");
    assert_eq!(
        take(root.path(), &owner, "main", |_| false).expect("taken"),
        Work::default()
    );
    keep(root.path(), &owner, "main", &work("two")).expect("kept");
    let aside = file.with_extension("damaged");
    assert_eq!(
        fs::read_to_string(aside).expect("it is there"),
        "{\"edits\":["
    );
}

#[test]
fn unsent_work_is_private_also_where_the_folder_was_open_to_others() {
    let root = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("opened");
    let owner = owner("ada@example.com");
    keep(root.path(), &owner, "main", &work("one")).expect("kept");
    // A write that was cut off has left this behind.
    let file = files_below(root.path()).remove(0);
    fs::write(file.with_extension("new"), "half").expect("written");
    keep(root.path(), &owner, "main", &work("two")).expect("kept");
    assert_private(&file);
    assert_eq!(mode(root.path()), 0o700);
    assert!(!file.with_extension("new").exists());
}

/// The folder in which the process below keeps unsent work.
const ROOT: &str = "UNSENT_WORK_ROOT";

#[test]
fn unsent_work_rests_on_the_disk_with_the_names_of_its_file_and_folder() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let trace = root.path().join("trace");
    let traced = Command::new("strace")
        .args([
            "-f",
            "-y",
            "-qq",
            "-e",
            "trace=mkdir,openat,fsync,rename",
            "-o",
        ])
        .arg(&trace)
        .arg(std::env::current_exe().expect("this test has a file"))
        .args([
            "--ignored",
            "--exact",
            "unsent::a_process_that_keeps_unsent_work",
        ])
        .env(ROOT, root.path().join("unsent"))
        .output();
    assert!(traced.expect("strace is installed").status.success());

    let trace = fs::read_to_string(trace).expect("written");
    let about_unsent = trace.lines().filter(|line| line.contains("/unsent"));
    let names: Vec<_> = about_unsent
        .filter_map(|line| line.split('(').next()?.split_whitespace().last())
        .collect();
    let until_the_folder = ["mkdir", "mkdir", "openat", "fsync"];
    let until_the_file = ["openat", "fsync", "rename", "openat", "fsync"];
    assert_eq!(names, [&until_the_folder[..], &until_the_file[..]].concat());
}

#[test]
#[ignore = "a role: the test above starts it under strace"]
fn a_process_that_keeps_unsent_work() {
    let root = std::env::var_os(ROOT).expect("the test above names it");
    let owner = owner("ada@example.com");
    keep(Path::new(&root), &owner, "main", &work("one")).expect("kept");
}

fn owner(person: &str) -> Owner {
    Owner {
        server: "https://crm.example.com".into(),
        person: person.into(),
    }
}

fn work(edit: &str) -> Work {
    Work {
        edits: vec![json!(edit)],
        drafts: Vec::new(),
    }
}

fn assert_private(file: &Path) {
    let folder = file.parent().expect("a folder");
    assert_eq!((mode(file), mode(folder)), (0o600, 0o700));
}

fn mode(path: &Path) -> u32 {
    let about = fs::symlink_metadata(path).expect("it is there");
    about.permissions().mode() & 0o777
}

/// The files in the folder of unsent work, which lies somewhere in the data folder.
fn unsent_files(home: &crate::kit::application::Home) -> Vec<PathBuf> {
    let mut files = files_below(home.data());
    files.retain(|file| {
        let mut parts = file.components();
        parts.any(|part| part.as_os_str() == "unsent")
    });
    files
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files_below(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn the_hash_in_names_of_files_and_keyring_entries_is_the_same_in_every_version() {
    for (text, hash) in [
        ("", "cbf29ce484222325"),
        ("a", "af63dc4c8601ec8c"),
        ("foobar", "85944171f73967e8"),
    ] {
        assert_eq!(crate::stable_hash::stable_hash(text.as_bytes()), hash);
    }
}
