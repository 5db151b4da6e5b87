//! One process of the application: it carries out one command per line, and reports one event per line.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use graphql_session::{Call, Config, Data, Envelope, Error, PasswordLogin, Reply, Session};
use graphql_session_testing::{
    FileCall, FileFailure, ManualClock, PASSWORD, ScriptedFiles, mutation, query,
};
use tokio::sync::mpsc;

use crate::watched_twenty::WatchedTwenty;
use crate::{GRACE, ROOT, limits};

/// How often new entries of the journal are passed on. A killed process loses only its entries of this time.
const PASS_ON: Duration = Duration::from_millis(100);

/// The name under which the keyring keeps the entries.
const APPLICATION: &str = "holdfast-soak";

/// The name of the service in the keyring: [`Config::new`] makes the same of the application's.
pub(crate) fn service() -> String {
    let suffix = if cfg!(debug_assertions) { "-debug" } else { "" };
    format!("{APPLICATION}{suffix}")
}

/// Where [`Config::new`] puts a file of an account below the folder.
pub(crate) fn file(folder: &Path, account: &str, name: &str) -> PathBuf {
    let folder = if cfg!(debug_assertions) {
        folder.join("debug")
    } else {
        folder.to_owned()
    };
    folder.join(format!("account-{account}")).join(name)
}

/// Runs until the command `close`, or until its input ends.
pub(crate) async fn run(folder: &Path, account: &str) {
    let mut config = Config::new(APPLICATION, folder);
    account.clone_into(&mut config.account);
    let mut protocol = WatchedTwenty::default();
    protocol.facts.grace = Some(GRACE);
    config.protocol = Arc::new(protocol);
    config.limits = limits();
    config.extra_root_certificates = std::env::var(ROOT).expect("the runner has one");
    // Time is real here, and nothing looks at this clock.
    let files = ScriptedFiles::watched_by(&ManualClock::new()).telling_of_changes();
    config.file_system = Arc::new(files.clone());
    let session = Session::open(config).await.expect("opens");
    tokio::spawn(pass_on_status(session.clone()));
    let journal = tokio::spawn(pass_on_journal(session.clone()));
    let mut commands = lines();
    while let Some(line) = commands.recv().await {
        if line == "close" {
            break;
        }
        obey(&session, &files, &line);
    }
    session.close().await;
    tokio::time::sleep(2 * PASS_ON).await;
    journal.abort();
    say("closed");
}

fn lines() -> mpsc::UnboundedReceiver<String> {
    let (lines, commands) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    commands
}

/// Begins the command in the line. Its end is reported in a line of its own.
fn obey(session: &Session, files: &ScriptedFiles, line: &str) {
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (what, id, more) = (word(), word(), word());
    let person = word();
    let session = session.clone();
    match what.as_str() {
        "query" => run_call(session, id, query("currentUser"), None),
        "mutate" => {
            let call = mutation(&format!("m{id}"));
            run_call(session, id, call, None);
        }
        "leave" => {
            let after = Duration::from_millis(more.parse().expect("a number of ms"));
            run_call(session, id, query("currentUser"), Some(after));
        }
        "sign_in" => {
            tokio::spawn(async move {
                let person = PasswordLogin {
                    email: person,
                    password: PASSWORD.into(),
                };
                let signed_in = session.sign_in(&more, person).await;
                let word = signed_in.map_or_else(|error| code(&error), |_| "ok".into());
                say(&format!("signed_in {id} {word}"));
            });
        }
        "sign_out" => {
            tokio::spawn(async move {
                session.sign_out().await;
                say(&format!("signed_out {id}"));
            });
        }
        "retry" => {
            tokio::spawn(async move {
                session.retry_now().await;
            });
        }
        "network" => session.network_changed(),
        "disk" => match id.as_str() {
            "full" => files.fill(),
            "tears" => {
                let bytes = more.parse().expect("a number of bytes");
                files.fail(FileCall::Append, FileFailure::Torn(bytes));
            }
            "slow" => files.hold(FileCall::Append),
            _ => files.work_again(),
        },
        other => panic!("no such command: {other}"),
    }
}

fn run_call(session: Session, id: String, call: Call, leaves_after: Option<Duration>) {
    tokio::spawn(async move {
        let began = Instant::now();
        let leaving = tokio::time::sleep(leaves_after.unwrap_or(Duration::MAX / 2));
        let outcome = tokio::select! {
            outcome = session.execute(call) => outcome.map_or_else(|error| code(&error), |reply| reading(&reply)),
            () = leaving, if leaves_after.is_some() => "left".into(),
        };
        say(&format!(
            "settled {id} {outcome} {}",
            began.elapsed().as_millis()
        ));
    });
}

/// How the answer without tokens ends, which the plan also gives to calls.
const NO_TOKENS: &[u8] = b":null}}";

/// `served` only if the server's own data is there: an answer that was meant for a renewal has data, too, and is null.
fn reading(reply: &Reply) -> String {
    let has_data = Envelope::read(&reply.body).is_some_and(|it| it.data == Data::Present);
    let is_own = !reply.body.ends_with(NO_TOKENS);
    if reply.status == 200 && has_data && is_own {
        "served".into()
    } else {
        format!("reply:{}", reply.status)
    }
}

fn code(error: &Error) -> String {
    format!("{:?}", error.code())
}

async fn pass_on_status(session: Session) {
    let mut changes = session.changes();
    loop {
        let status = changes.borrow_and_update().clone();
        let ending = status.ending.map(|ending| ending.reason);
        let (phase, storage) = (status.phase, status.storage);
        say(&format!("status {phase:?} {storage:?} {ending:?}"));
        if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn pass_on_journal(session: Session) {
    let mut last = None;
    loop {
        let entries = session.journal();
        // The journal is bounded, so new entries are found behind the last one that was passed on.
        let known = last.as_ref().and_then(|last| {
            let at = entries.iter().rposition(|entry| entry == last);
            at.map(|at| at + 1)
        });
        for entry in &entries[known.unwrap_or(0)..] {
            let facts = serde_json::Value::Object(entry.facts.clone());
            say(&format!("noted {} {:.3} {facts}", entry.what, entry.at));
        }
        last = entries.last().cloned();
        tokio::time::sleep(PASS_ON).await;
    }
}

/// Writes one whole line. If that fails, the soak is over, and the process ends.
fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    if writeln!(output, "{line}").is_err() {
        std::process::exit(1);
    }
}
