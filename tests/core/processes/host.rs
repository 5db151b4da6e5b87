//! A host with a server to talk to, and the processes on it, as a test sees them.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graphql_session::{DEFAULT_ACCOUNT, Keyring, SystemClock, Vault};
use graphql_session_testing::{FaultServer, Seen};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::child::{APPLICATION, FILES, FOLDER, KEYRING, NAME, SETTINGS};
use crate::file_vault::FileVault;
use crate::process::{ANSWER, Process, Told};

/// Longer limits than the defaults, in ms, unless a test sets its own. A limit must not end the halt of a process
/// before the test has seen it, on a busy machine either.
fn patient(named: Value) -> Value {
    let mut limits = json!({
        "attemptTimeoutMs": 20_000, "vaultReadMs": 20_000, "vaultWriteMs": 20_000, "callTimeoutMs": 100_000, "quitTimeoutMs": 15_000,
    });
    for (key, value) in named.as_object().expect("limits by name") {
        limits[key] = value.clone();
    }
    limits
}

/// A server, and a folder and a vault for the processes.
pub(crate) struct Host {
    pub(crate) server: FaultServer,
    pub(crate) folder: tempfile::TempDir,
    vault: Arc<dyn Vault>,
    has_keyring: bool,
    /// Whether the server accepts a used refresh token again for a minute.
    pub(crate) has_grace: bool,
    settings: Value,
}

impl Host {
    /// With a file in place of the keyring, and [`patient`] limits.
    pub(crate) async fn start() -> Self {
        Self::with_limits(json!({})).await
    }

    /// The same, with these limits in place of the patient ones.
    pub(crate) async fn with_limits(limits: Value) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            server: FaultServer::start(Arc::new(SystemClock::new())).await,
            vault: Arc::new(FileVault::in_folder(folder.path())),
            folder,
            has_keyring: false,
            has_grace: true,
            settings: json!({ "limits": patient(limits) }),
        }
    }

    /// With the keyring service of the bus that the test runs on, without an entry from an earlier host.
    pub(crate) async fn with_keyring(limits: Value) -> Self {
        let vault = Arc::new(Keyring::new(format!("{APPLICATION}-debug")));
        let host = Self {
            vault,
            has_keyring: true,
            ..Self::with_limits(limits).await
        };
        host.store(None).await;
        host
    }

    /// The server accepts no used refresh token.
    pub(crate) fn without_grace(self) -> Self {
        self.server.grace(None);
        Self {
            has_grace: false,
            ..self
        }
    }

    /// Processes that are started from now on trust the server's root.
    pub(crate) fn trust_server(&mut self) {
        self.settings["extraRootCertificates"] = self.server.root_certificate().into();
    }

    /// Starts a process.
    pub(crate) fn process(&self) -> Process {
        Process::start(self.command(Self::own_program()))
    }

    /// Starts a process with these variables in its environment.
    pub(crate) fn process_with(&self, variables: &[(&str, &str)]) -> Process {
        let mut command = self.command(Self::own_program());
        command.envs(variables.iter().copied());
        Process::start(command)
    }

    /// Starts a process under `strace`, which writes into `trace` what the process asks of the system for its files.
    pub(crate) fn process_traced(&self, trace: &Path) -> Process {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-y", "-qq", "-o"]).arg(trace);
        strace.args([
            "-e",
            "trace=openat,fsync,fdatasync,rename,renameat,renameat2",
        ]);
        strace.arg(Self::own_program().get_program());
        Process::start(self.command(strace))
    }

    /// Starts a process that is not killed when it runs into its limit for the size of a file.
    pub(crate) fn process_that_sees_a_full_disk(&self) -> Process {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#]);
        shell.arg(Self::own_program().get_program());
        Process::start(self.command(shell))
    }

    fn own_program() -> Command {
        Command::new(std::env::current_exe().expect("this test has a file"))
    }

    /// The program in the role of a process on this host.
    fn command(&self, mut program: Command) -> Command {
        program
            .args(["--ignored", "--exact", NAME, "--nocapture"])
            .env(FOLDER, self.folder.path())
            .env(SETTINGS, self.settings.to_string());
        if self.has_keyring {
            program.env(KEYRING, "yes");
        }
        program
    }

    /// `count` processes with one session. Each has made a call, and the server has served it.
    pub(crate) async fn processes(&self, count: usize) -> Vec<Process> {
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

    /// The record in the vault; it holds tokens.
    pub(crate) async fn stored(&self) -> Option<Value> {
        let vault = self.vault.clone();
        let reading = tokio::task::spawn_blocking(move || vault.read(DEFAULT_ACCOUNT));
        let text = reading
            .await
            .expect("no panic")
            .expect("the vault can be read")?;
        Some(serde_json::from_str(text.expose_secret()).expect("never half a record"))
    }

    /// The state file, from which the processes learn of each other. It is whole, even if its writer was killed.
    pub(crate) fn state_file(&self) -> Value {
        let text = std::fs::read(self.file("state.json")).expect("signed in");
        serde_json::from_slice(&text).expect("never half a state file")
    }

    /// Writes or removes the vault's record, as another process or a person would.
    pub(crate) async fn store(&self, record: Option<Value>) {
        let vault = self.vault.clone();
        let storing = tokio::task::spawn_blocking(move || match record {
            Some(record) => vault.write(DEFAULT_ACCOUNT, &record.to_string().into()),
            None => vault.remove(DEFAULT_ACCOUNT),
        });
        let stored = storing.await.expect("no panic");
        stored.expect("the vault can be changed");
    }

    /// A file of the account.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(FILES).join(name)
    }

    /// Whether a process holds the account's lock.
    pub(crate) fn is_locked(&self) -> bool {
        let file = File::options()
            .read(true)
            .write(true)
            .open(self.file("lock"))
            .expect("a process made it");
        match file.try_lock() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(error)) => panic!("{error}"),
        }
    }

    /// Waits until no process holds the account's lock.
    pub(crate) async fn until_unlocked(&self) {
        let until = Instant::now() + ANSWER;
        while self.is_locked() {
            assert!(Instant::now() < until, "the lock is kept for ever");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The refresh tokens that were sent to be exchanged, in their order.
    pub(crate) fn refresh_tokens_sent(&self) -> Vec<String> {
        let token = |seen: &Seen| {
            let body: Value = serde_json::from_slice(&seen.body).expect("JSON");
            body["variables"]["appToken"]
                .as_str()
                .expect("a token")
                .to_owned()
        };
        self.server
            .seen_asking_for("renewToken")
            .iter()
            .map(token)
            .collect()
    }
}

/// Each process makes a call.
pub(crate) fn call_all(processes: &mut [Process]) -> Vec<Told> {
    let calls = processes.iter_mut().map(|process| process.tell("call"));
    calls.collect()
}

/// Each process says that its call was served.
pub(crate) async fn all_served(processes: &mut [Process], calls: Vec<Told>) {
    for (process, call) in processes.iter_mut().zip(calls) {
        assert_eq!(process.answer(call).await, "200");
    }
}

/// How many entries with this word all journals together have.
pub(crate) async fn noted_by_all(processes: &mut [Process], what: &str) -> usize {
    let mut sum = 0;
    for process in processes {
        let noted = process.ask(&format!("noted {what}")).await;
        sum += noted.parse::<usize>().expect("a number");
    }
    sum
}
