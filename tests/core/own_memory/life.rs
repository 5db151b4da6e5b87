//! A session's life, from sign-in to sign-out, and what is left of it in memory at each stage.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use graphql_session::SystemClock;
use graphql_session_testing::{Alpn, FaultServer, ServerCertificate};

use crate::daemon::this_program_on_a_private_bus;
use crate::role::{CLEARING, HOME, MARK, NAME, ROOT, VAULT};
use crate::scan::{Found, Secret, find};

/// How long what is no longer needed may stay, in real time: a connection that is idle for 4 s is closed, and a busy machine
/// takes its time.
const SOON: Duration = Duration::from_secs(30);

/// Most copies of parts of dead tokens that other crates may have left where nothing clears what they free. Measured: 0 to 8
/// after the renewals (rustls has decrypted them), and 2 to 4 after the sign-out (hyper has sent the last access token). Without
/// our own clearing it was 28 to 56 then, and over plain HTTP the password was among them.
const LEFT_BY_OTHERS: usize = 16;

/// The renewals of a life.
const RENEWALS: usize = 3;

const EMAIL: &str = "grace@example.com";

/// The name under which the password is looked for.
const PASSWORD: &str = "password";

/// What a process does differently.
#[derive(Clone, Copy, Debug)]
struct Setup {
    vault: &'static str,
    alpn: Option<Alpn>,
    clears: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn where_freed_memory_is_cleared_no_password_and_no_dead_token_stays_in_it() {
    for vault in ["memory", "keyring"] {
        for alpn in [None, Some(Alpn::Http1), Some(Alpn::Http2)] {
            let setup = Setup {
                vault,
                alpn,
                clears: true,
            };
            for found in live(setup, 0).await {
                assert_eq!(found, Found::new(), "{setup:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_not_no_password_stays_and_only_what_other_crates_leave_of_tokens() {
    for (vault, alpn) in [
        ("memory", None),
        ("keyring", None),
        ("keyring", Some(Alpn::Http2)),
    ] {
        let setup = Setup {
            vault,
            alpn,
            clears: false,
        };
        for found in live(setup, LEFT_BY_OTHERS).await {
            println!("{setup:?}: {found:?}");
            assert!(!found.contains_key(PASSWORD), "{setup:?}: {found:?}");
            assert!(copies(&found) <= LEFT_BY_OTHERS, "{setup:?}: {found:?}");
        }
    }
}

/// A session signs in, renews and signs out. Returns what was found in memory after the renewals, and after the sign-out: of
/// the password, and of tokens that were no longer valid then.
async fn live(setup: Setup, enough: usize) -> [Found; 2] {
    let server = FaultServer::start(Arc::new(SystemClock::new())).await;
    if let Some(alpn) = setup.alpn {
        server.speak_tls(ServerCertificate::Good, alpn);
    }
    // One that no program has among its constants.
    let password = format!("pw{:032x}", rand::random::<u128>());
    server.add_person(EMAIL, &password);
    let mut process = Process::start(setup, &server.root_certificate());
    let signing_in = format!("sign_in {} {EMAIL} {password}", server.address());
    assert_eq!(process.ask(&signing_in), "ok");
    assert_eq!(process.ask("call"), "200");
    for _ in 0..RENEWALS {
        server.expire_access_tokens();
        assert_eq!(process.ask("call"), "200");
    }
    assert_eq!(server.counts().renewals, RENEWALS as u64);

    let tokens = server.secrets();
    let (dead, valid) = tokens.split_at(tokens.len() - 2);
    let valid = parts(valid, dead.len());
    let mut secrets = parts(dead, 0);
    // Tokens of the same second have the same claims, if not the same signature.
    secrets.retain(|dead| valid.iter().all(|valid| valid.text != dead.text));
    secrets.push(Secret {
        name: PASSWORD.into(),
        text: password,
    });
    let after_renewals = process.left_of(&secrets, enough);
    for token in &valid {
        let found = find(process.pid, std::slice::from_ref(token));
        assert!(copies(&found) > 0, "what is there is not found either");
    }
    assert_eq!(process.ask("sign_out"), "SignedOut");
    secrets.extend(valid);
    [after_renewals, process.left_of(&secrets, enough)]
}

fn copies(found: &Found) -> usize {
    found.values().sum()
}

/// The secret parts of each token, the claims and the signature.
fn parts(tokens: &[String], first: usize) -> Vec<Secret> {
    let numbered = tokens.iter().enumerate();
    let parts = numbered.flat_map(|(number, token)| {
        let parts = token.split('.').skip(1).enumerate();
        parts.map(move |(part, text)| Secret {
            name: format!("token {} {}", first + number, ["claims", "signature"][part]),
            text: text.to_owned(),
        })
    });
    parts.collect()
}

/// A process on a bus and with a home of its own. It ends with its commands, when this is dropped.
struct Process {
    child: Child,
    commands: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    pid: u32,
    _home: tempfile::TempDir,
}

impl Process {
    fn start(setup: Setup, root: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let mut child = this_program_on_a_private_bus(home.path(), false)
            .args(["--ignored", "--exact", NAME, "--nocapture"])
            .env(HOME, home.path())
            .env(VAULT, setup.vault)
            .env(CLEARING, if setup.clears { "yes" } else { "no" })
            .env(ROOT, root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-run-session is installed");
        let mut process = Self {
            commands: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().expect("piped")).lines(),
            child,
            pid: 0,
            _home: home,
        };
        process.pid = process.answer().parse().expect("its number");
        process
    }

    fn ask(&mut self, command: &str) -> String {
        let commands = self.commands.as_mut().expect("piped");
        writeln!(commands, "{command}").expect("the process reads");
        self.answer()
    }

    fn answer(&mut self) -> String {
        loop {
            let line = self.answers.next().expect("the process lives");
            let line = line.expect("text");
            if let Some((_, answer)) = line.split_once(MARK) {
                return answer.to_owned();
            }
        }
    }

    /// What is found of these, once that is few enough or [`SOON`] has passed.
    fn left_of(&self, secrets: &[Secret], enough: usize) -> Found {
        let until = Instant::now() + SOON;
        loop {
            let found = find(self.pid, secrets);
            let is_few = copies(&found) <= enough && !found.contains_key(PASSWORD);
            if is_few || Instant::now() > until {
                return found;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ = self.child.wait();
    }
}
