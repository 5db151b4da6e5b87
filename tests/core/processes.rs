//! Several real processes with one session: this test binary, started again with a role (I1, I5, I6).
//!
//! The server runs in the test; the processes share a state folder and a file that stands in for the keyring.

#[allow(dead_code)] // each test binary uses its part
mod fixture;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use graphql_session::testing::{EMAIL, Fault, FaultServer, Gate, PASSWORD, query};
use graphql_session::{Config, Person, Session, SystemClock, Vault, VaultError};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::mpsc;

/// Where the role finds its folder; absent in an ordinary test run.
const FOLDER: &str = "SESSION_TEST_FOLDER";

/// How long one answer of a process may take, in real time.
const ANSWER: Duration = Duration::from_secs(20);

/// What every line of a process begins with: the test harness writes lines of its own.
const MARK: &str = "process: ";

/// A file in place of the keyring, replaced by rename.
struct FileVault(PathBuf);

impl Vault for FileVault {
    fn read(&self, _account: &str) -> Result<Option<SecretString>, VaultError> {
        match std::fs::read_to_string(&self.0) {
            Ok(text) => Ok(Some(text.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(_) => Err(VaultError::Failed),
        }
    }

    fn write(&self, _account: &str, text: &SecretString) -> Result<(), VaultError> {
        let new = self.0.with_extension(format!("{}.new", std::process::id()));
        std::fs::write(&new, text.expose_secret()).map_err(|_| VaultError::Failed)?;
        std::fs::rename(&new, &self.0).map_err(|_| VaultError::Failed)
    }

    fn remove(&self, _account: &str) -> Result<(), VaultError> {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(VaultError::Failed),
            _ => Ok(()),
        }
    }
}

/// The role: does nothing in an ordinary run. Reads one command per line, and answers with one line.
#[tokio::test]
async fn a_process_of_the_application() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let mut config = Config::new("testing", &folder);
    config.vault = Arc::new(FileVault(folder.join("vault")));
    config.limits.attempt = Duration::from_secs(2);
    config.limits.waiting = Duration::from_secs(4);
    config.limits.lock = Duration::from_secs(2);
    let session = Session::open(config).await.expect("opens");
    let (lines, mut commands) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    while let Some(line) = commands.recv().await {
        let answer = obey(&session, &line).await;
        println!("{MARK}{answer}");
    }
    session.close().await;
}

async fn obey(session: &Session, line: &str) -> String {
    match line.split_once(' ').unwrap_or((line, "")) {
        ("sign_in", address) => {
            let person = Person {
                email: EMAIL.into(),
                password: PASSWORD.into(),
            };
            let signed_in = session.sign_in(address, person).await;
            signed_in.map_or_else(|error| code(&error), |_| "ok".into())
        }
        ("call", _) => {
            let reply = session.execute(query("currentUser")).await;
            reply.map_or_else(|error| code(&error), |reply| reply.status.to_string())
        }
        ("calls", count) => {
            let count = count.parse().expect("a number");
            let outcomes = fixture::finish(fixture::start(session, count, &query("people"))).await;
            let failed = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
            failed.map_or_else(|| "200".into(), code)
        }
        ("sign_out", _) => format!("{:?}", session.sign_out().await.phase),
        ("phase", _) => format!("{:?}", session.status().phase),
        ("ending", _) => {
            let ending = session.status().ending;
            ending.map_or("none".into(), |ending| format!("{:?}", ending.reason))
        }
        ("noted", what) => fixture::noted(session, what).to_string(),
        (other, _) => panic!("no such command: {other}"),
    }
}

fn code(error: &graphql_session::Error) -> String {
    format!("{:?}", error.code())
}

/// A started process; killed when dropped.
struct Process {
    child: Child,
    commands: ChildStdin,
    answers: mpsc::UnboundedReceiver<String>,
}

impl Process {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this test has a file"))
            .args(["--exact", "a_process_of_the_application", "--nocapture"])
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test can be started again");
        let commands = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (lines, answers) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // The harness may have begun the line.
                if let Some((_, answer)) = line.split_once(MARK) {
                    let _ = lines.send(answer.to_owned());
                }
            }
        });
        Self {
            child,
            commands,
            answers,
        }
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("the process reads");
    }

    async fn answer(&mut self) -> String {
        let answer = tokio::time::timeout(ANSWER, self.answers.recv()).await;
        answer
            .expect("the process answers in time")
            .expect("the process lives")
    }

    async fn ask(&mut self, command: &str) -> String {
        self.tell(command);
        self.answer().await
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status();
        assert!(sent.expect("kill is there").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A server and a folder for processes.
struct Computer {
    server: FaultServer,
    folder: tempfile::TempDir,
}

impl Computer {
    async fn start() -> Self {
        Self {
            server: FaultServer::start(Arc::new(SystemClock::new())).await,
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    fn process(&self) -> Process {
        Process::start(self.folder.path())
    }

    /// So many processes with one session, each of which has served a call.
    async fn processes(&self, count: usize) -> Vec<Process> {
        let mut first = self.process();
        let signing_in = format!("sign_in {}", self.server.address());
        assert_eq!(first.ask(&signing_in).await, "ok");
        let mut processes = vec![first];
        processes.extend((1..count).map(|_| self.process()));
        for process in &mut processes {
            assert_eq!(process.ask("call").await, "200");
        }
        processes
    }
}

async fn noted_by_all(processes: &mut [Process], what: &str) -> usize {
    let mut sum = 0;
    for process in processes {
        let noted = process.ask(&format!("noted {what}")).await;
        sum += noted.parse::<usize>().expect("a number");
    }
    sum
}

#[tokio::test]
async fn two_processes_that_see_the_expiry_together_make_one_renewal_and_one_adoption() {
    let computer = Computer::start().await;
    let mut processes = computer.processes(2).await;
    let gate = Gate::new();
    computer.server.expire_access_tokens();
    computer.server.on_renewal(Fault::hold(&gate));

    for process in &mut processes {
        process.tell("call");
    }
    computer
        .server
        .wait_for(|counts| counts.calls_refused == 2 && counts.renewals == 1)
        .await;
    gate.open();
    for process in &mut processes {
        assert_eq!(process.answer().await, "200");
    }

    let counts = computer.server.counts();
    assert_eq!((counts.renewals, counts.exchanged), (1, 1));
    assert_eq!(noted_by_all(&mut processes, "adopted").await, 1);
    assert_eq!(noted_by_all(&mut processes, "ended").await, 0);
}

#[tokio::test]
async fn when_the_process_that_renews_is_killed_the_other_proceeds_at_once() {
    let computer = Computer::start().await;
    let mut processes = computer.processes(2).await;
    computer.server.expire_access_tokens();
    computer.server.on_renewal(Fault::Stall);
    processes[0].tell("call");
    computer
        .server
        .wait_for(|counts| counts.renewals == 1)
        .await;
    processes[1].tell("call");
    computer
        .server
        .wait_for(|counts| counts.calls_refused == 2)
        .await;

    processes[0].kill();

    assert_eq!(processes[1].answer().await, "200");
    let counts = computer.server.counts();
    assert_eq!((counts.renewals, counts.exchanged), (2, 1));
}

#[tokio::test]
async fn while_the_process_that_renews_is_frozen_the_other_fails_in_time_and_both_recover() {
    let computer = Computer::start().await;
    let mut processes = computer.processes(2).await;
    computer.server.expire_access_tokens();
    let gate = Gate::new();
    computer.server.on_renewal(Fault::hold(&gate));
    processes[0].tell("call");
    computer
        .server
        .wait_for(|counts| counts.renewals == 1)
        .await;
    processes[0].signal("-STOP");

    assert_eq!(processes[1].ask("call").await, "Unreachable");
    assert_eq!(processes[1].ask("phase").await, "Unreachable");
    assert_eq!(
        computer.server.counts().renewals,
        1,
        "renewed without the lock"
    );

    gate.open();
    processes[0].signal("-CONT");
    assert_eq!(processes[0].answer().await, "200");
    // Its next attempt comes by itself; a call in the meantime fails typed.
    let recovered = async {
        while processes[1].ask("call").await != "200" {
            tokio::task::yield_now().await;
        }
    };
    let recovered = tokio::time::timeout(ANSWER, recovered).await;
    recovered.expect("the other recovers");
    assert_eq!(noted_by_all(&mut processes, "ended").await, 0);
    assert_eq!(computer.server.counts().renewals_at_once, 1);
}

#[tokio::test]
async fn a_process_killed_after_the_rotation_and_before_the_save_leaves_a_session_that_recovers() {
    let computer = Computer::start().await;
    let mut processes = computer.processes(1).await;
    computer.server.expire_access_tokens();
    computer
        .server
        .on_renewal(Fault::after_acting(Fault::Stall));
    processes[0].tell("call");
    computer
        .server
        .wait_for(|counts| counts.exchanged == 1)
        .await;
    processes[0].kill();

    let mut restarted = computer.process();

    assert_eq!(restarted.ask("call").await, "200");
    assert_eq!(computer.server.counts().exchanged, 2);
    assert_eq!(restarted.ask("noted ended").await, "0");
}

#[tokio::test]
async fn a_process_killed_before_the_save_at_a_server_without_grace_ends_once_with_that_reason() {
    let computer = Computer::start().await;
    let mut processes = computer.processes(1).await;
    computer.server.grace(None);
    computer.server.expire_access_tokens();
    computer
        .server
        .on_renewal(Fault::after_acting(Fault::Stall));
    processes[0].tell("call");
    computer
        .server
        .wait_for(|counts| counts.exchanged == 1)
        .await;
    processes[0].kill();

    let mut restarted = computer.process();

    assert_eq!(restarted.ask("call").await, "SignedOut");
    assert_eq!(restarted.ask("ending").await, "LostAnswer");
    assert_eq!(restarted.ask("noted ended").await, "1");
}

#[tokio::test]
async fn a_sign_out_in_one_process_reaches_the_other_which_sends_nothing_more() {
    let computer = Computer::start().await;
    let mut processes = computer.processes(2).await;
    let before = computer.server.counts().calls;

    assert_eq!(processes[0].ask("sign_out").await, "SignedOut");
    let learnt = async {
        while processes[1].ask("phase").await != "SignedOut" {
            tokio::task::yield_now().await;
        }
    };
    let learnt = tokio::time::timeout(Duration::from_secs(5), learnt).await;
    learnt.expect("the other learns it");

    assert_eq!(processes[1].ask("call").await, "SignedOut");
    assert_eq!(computer.server.counts().calls, before);
    assert!(
        !computer.folder.path().join("vault").exists(),
        "the entry is still there"
    );
}

#[tokio::test]
async fn four_processes_with_calls_at_each_of_five_expiries_never_renew_twice_at_once() {
    let computer = Computer::start().await;
    let mut processes = computer.processes(4).await;

    for round in 1..=5 {
        computer.server.expire_access_tokens();
        for process in &mut processes {
            process.tell("calls 25");
        }
        for process in &mut processes {
            assert_eq!(process.answer().await, "200", "round {round}");
        }
        assert_eq!(computer.server.counts().exchanged, round);
    }

    assert_eq!(computer.server.counts().renewals_at_once, 1);
    assert_eq!(noted_by_all(&mut processes, "ended").await, 0);
}
