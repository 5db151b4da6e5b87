//! One process of the application: this test binary, started again to hold a session and to carry out commands.
//!
//! Commands come on its input, one per line, each with a number. They run at once and side by side, and their answers
//! have that number. A command halts the process at a [`Step`] of its renewals: its session has a vault and a protocol
//! of the tests' own, which can block, and calls them before and after every effect on files, vault and server.

use std::io::BufRead;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use graphql_session::{
    Code, Config, Error, PasswordLogin, Session, SignInEvent, SignInMethod, SignInStep, Status,
    Storage, Vault, VaultError,
};
use graphql_session_testing::{EMAIL, PASSWORD, query};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::file_vault::FileVault;
use crate::fixture::{self, watched_twenty::WatchedTwenty};
use crate::process::MARK;

/// Where a process finds its folder.
pub(crate) const FOLDER: &str = "SESSION_TEST_FOLDER";

/// Its settings, as JSON.
pub(crate) const SETTINGS: &str = "SESSION_TEST_SETTINGS";

/// Set where it uses the keyring service of its bus in place of a file.
pub(crate) const KEYRING: &str = "SESSION_TEST_KEYRING";

/// The application's name.
pub(crate) const APPLICATION: &str = "testing";

/// Where [`Config::from_json`] puts the files of the default account, below the folder.
pub(crate) const FILES: &str = if cfg!(debug_assertions) {
    "debug/account-default"
} else {
    "account-default"
};

/// The role that is the process.
pub(crate) const NAME: &str = "child::a_process_of_the_application";

#[tokio::test]
#[ignore = "a role: the tests of several processes start this binary again to play it"]
async fn a_process_of_the_application() {
    let folder = std::env::var_os(FOLDER).map(PathBuf::from);
    let folder = folder.expect("a role is played by a test, not by hand");
    let settings = std::env::var(SETTINGS).expect("set with the folder");
    let settings = serde_json::from_str(&settings).expect("JSON");
    let mut config = Config::from_json(APPLICATION, &folder, &settings).expect("good settings");
    let watched = Arc::new(Watched::default());
    let vault: Arc<dyn Vault> = if std::env::var_os(KEYRING).is_some() {
        config.vault.clone()
    } else {
        Arc::new(FileVault::in_folder(&folder))
    };
    config.vault = Arc::new(WatchedVault {
        vault,
        watched: watched.clone(),
    });
    let reach = |step| {
        let watched = watched.clone();
        Box::new(move || watched.reach(step))
    };
    config.protocol = Arc::new(WatchedTwenty {
        begins: reach(Step::ExchangeBegins),
        answered: reach(Step::AnswerRead),
        ..WatchedTwenty::default()
    });
    let session = Session::open(config).await.expect("opens");
    let mut commands = listen(watched.clone());
    while let Some((number, command)) = commands.recv().await {
        if command == "quit" {
            say(number, &format!("{:?}", session.close().await));
            return;
        }
        let (session, watched) = (session.clone(), watched.clone());
        tokio::spawn(async move { say(number, &obey(&session, &watched, &command).await) });
    }
}

/// Reads commands in a thread of its own. It carries out those for the vault and for halts itself, because the rest of
/// the process may be halted.
fn listen(watched: Arc<Watched>) -> mpsc::UnboundedReceiver<(u64, String)> {
    let (heard, commands) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let (number, command) = line.split_once(' ').expect("a number and a command");
            let number = number.parse().expect("a number");
            match command.split_once(' ').unwrap_or((command, "")) {
                ("halt", step) => {
                    let step = serde_json::from_value(step.into()).expect("a step's name");
                    watched.halt(step, number);
                }
                ("go_on", _) => watched.go_on(),
                ("vault", how) => watched.fails.store(how == "fails", Ordering::SeqCst),
                _ => {
                    let _ = heard.send((number, command.to_owned()));
                }
            }
        }
        // The test has ended: nothing else would let the process go on.
        watched.go_on();
    });
    commands
}

async fn obey(session: &Session, watched: &Watched, command: &str) -> String {
    match command.split_once(' ').unwrap_or((command, "")) {
        ("sign_in", address) => {
            let person = PasswordLogin {
                email: EMAIL.into(),
                password: PASSWORD.into(),
            };
            let signed_in = session.sign_in(address, person).await;
            signed_in.map_or_else(|error| code(&error), |_| "ok".into())
        }
        // The address for the browser. The sign-in waits for its redirect.
        ("begin_sign_in", address) => {
            let beginning = session.begin_sign_in(address, Some(SignInMethod::Browser));
            let mut sign_in = beginning.expect("an address");
            let Ok(SignInEvent::Step(SignInStep::Browser { url, .. })) = sign_in.next().await
            else {
                panic!("no page to open");
            };
            tokio::spawn(async move { sign_in.next().await });
            url
        }
        ("check", address) => {
            let checked = session.check_server(address).await;
            checked.map_or_else(|error| code(&error), |_| "ok".into())
        }
        // The cause and the sentence for people.
        ("explain", address) => match session.check_server(address).await {
            Ok(_) => "ok".into(),
            Err(error) => {
                let cause = error.cause().map(|cause| cause.to_string());
                format!("{}: {error}", cause.unwrap_or_default())
            }
        },
        ("call", _) => {
            let reply = session.execute(query("currentUser")).await;
            reply.map_or_else(|error| code(&error), |reply| reply.status.to_string())
        }
        ("calls", count) => {
            let count = count.parse().expect("a number");
            let outcomes =
                fixture::join_all(fixture::spawn_calls(session, count, &query("people"))).await;
            let failed = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
            failed.map_or_else(|| "200".into(), code)
        }
        // Calls until one is served. After `Unreachable` it waits for a new status before the next call.
        ("served", _) => loop {
            let mut changes = session.changes();
            match session.execute(query("currentUser")).await {
                Ok(reply) => break reply.status.to_string(),
                Err(error) => match error.code() {
                    Code::Unreachable => drop(changes.changed().await),
                    Code::TimedOut => {}
                    _ => break code(&error),
                },
            }
        },
        ("close", _) => format!("{:?}", session.close().await),
        ("sign_out", _) => format!("{:?}", session.sign_out().await.phase),
        ("phase", _) => phase(&session.status()),
        ("storage", _) => storage(&session.status()),
        ("until", wanted) => {
            let mut changes = session.changes();
            let reached = changes
                .wait_for(|status| [phase(status), storage(status)].contains(&wanted.to_owned()));
            phase(&reached.await.expect("the session lives"))
        }
        ("until_noted", what) => {
            let mut changes = session.changes();
            let noted = changes.wait_for(|_| fixture::journal_count(session, what) > 0);
            drop(noted.await.expect("the session lives"));
            "noted".into()
        }
        ("ending", _) => {
            let ending = session.status().ending;
            ending.map_or("none".into(), |ending| format!("{:?}", ending.reason))
        }
        ("noted", what) => fixture::journal_count(session, what).to_string(),
        ("changed_vault", _) => watched.changes.load(Ordering::SeqCst).to_string(),
        (other, _) => panic!("no such command: {other}"),
    }
}

fn say(number: u64, answer: &str) {
    println!("{MARK}{number} {answer}");
}

fn code(error: &Error) -> String {
    format!("{:?}", error.code())
}

fn phase(status: &Status) -> String {
    format!("{:?}", status.phase)
}

fn storage(status: &Status) -> String {
    match status.storage {
        Storage::Saved => "Saved".into(),
        Storage::NotSaved(reason) => format!("{reason:?}"),
    }
}

/// Where a process can halt during a renewal.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
enum Step {
    ReadBegins,
    ReadEnds,
    MarkBegins,
    MarkEnds,
    /// The request is being built; no byte of it is on the wire.
    ExchangeBegins,
    /// The answer has arrived whole, and the session has not used it.
    AnswerRead,
    SaveBegins,
    SaveEnds,
}

/// What a test can see and control in a process.
#[derive(Default)]
struct Watched {
    /// The step at which to halt, and the number of the command to answer then.
    halt: Mutex<Option<(Step, u64)>>,
    resumed: Condvar,
    /// Every change of the vault fails.
    fails: AtomicBool,
    /// How often the session has asked the vault to change something.
    changes: AtomicU64,
}

impl Watched {
    fn halt(&self, step: Step, number: u64) {
        *self.halt.lock().unwrap_or_else(PoisonError::into_inner) = Some((step, number));
    }

    fn go_on(&self) {
        *self.halt.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.resumed.notify_all();
    }

    fn reach(&self, step: Step) {
        let halt = self.halt.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((wanted, number)) = *halt
            && wanted == step
        {
            say(number, "halted");
            let _halt = self.resumed.wait_while(halt, |halt| halt.is_some());
        }
    }

    fn change(&self) -> Result<(), VaultError> {
        self.changes.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Err(VaultError::Failed);
        }
        Ok(())
    }
}

struct WatchedVault {
    vault: Arc<dyn Vault>,
    watched: Arc<Watched>,
}

impl Vault for WatchedVault {
    fn read(&self, account: &str) -> Result<Option<SecretString>, VaultError> {
        self.watched.reach(Step::ReadBegins);
        let read = self.vault.read(account);
        self.watched.reach(Step::ReadEnds);
        read
    }

    fn write(&self, account: &str, text: &SecretString) -> Result<(), VaultError> {
        let record: serde_json::Value =
            serde_json::from_str(text.expose_secret()).expect("the session writes JSON");
        let (begins, ends) = if record["renewing_at"].is_null() {
            (Step::SaveBegins, Step::SaveEnds)
        } else {
            (Step::MarkBegins, Step::MarkEnds)
        };
        self.watched.reach(begins);
        let written = self
            .watched
            .change()
            .and_then(|()| self.vault.write(account, text));
        self.watched.reach(ends);
        written
    }

    fn remove(&self, account: &str) -> Result<(), VaultError> {
        self.watched.change()?;
        self.vault.remove(account)
    }
}
