//! The process whose memory is read: this test binary, started again to hold a session and to carry out commands. It has a
//! session bus of its own, and a keyring service on it.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::sync::atomic::Ordering;

use graphql_session::{Config, Keyring, MemoryVault, PasswordLogin, Session};
use graphql_session_testing::query;
use zeroize::Zeroizing;

use crate::CLEARS;
use crate::daemon::KeyringDaemon;

/// Where it finds its home.
pub(crate) const HOME: &str = "SESSION_TEST_HOME";

/// Its vault: `keyring`, or memory.
pub(crate) const VAULT: &str = "SESSION_TEST_VAULT";

/// Whether it clears what it frees: `yes`.
pub(crate) const CLEARING: &str = "SESSION_TEST_CLEARING";

/// The root certificate that it trusts, as PEM.
pub(crate) const ROOT: &str = "SESSION_TEST_ROOT";

/// The beginning of every answer. The test harness writes other lines.
pub(crate) const MARK: &str = "process: ";

/// The role that is the process.
pub(crate) const NAME: &str = "role::a_process_that_is_signed_in";

/// Longest command, in bytes: an address, an e-mail address and a password. The buffer never grows, which would leave a copy.
const COMMAND: usize = 512;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a role: the tests of this binary start it again to play it"]
async fn a_process_that_is_signed_in() {
    let home = std::env::var_os(HOME).expect("a role is played by a test, not by hand");
    let says = |name, word| std::env::var(name).is_ok_and(|value| value == word);
    CLEARS.store(says(CLEARING, "yes"), Ordering::Relaxed);
    let has_keyring = says(VAULT, "keyring");
    let _service = has_keyring.then(KeyringDaemon::start);
    let mut config = Config::with_vault(home, MemoryVault::new());
    if has_keyring {
        config.vault = std::sync::Arc::new(Keyring::new("own-memory"));
    }
    config.extra_root_certificates = std::env::var(ROOT).unwrap_or_default();
    let session = Session::open(config).await.expect("opens");
    say(&std::process::id().to_string());
    while let Some(command) = next_command().await {
        let mut words = command.split(' ');
        let (word, [address, email, password]) = (words.next(), [(); 3].map(|()| words.next()));
        match (word, address.zip(email).zip(password)) {
            (Some("sign_in"), Some(((address, email), password))) => {
                let person = PasswordLogin {
                    email: email.into(),
                    password: password.into(),
                };
                let signed_in = session.sign_in(address, person).await;
                say(&signed_in.map_or_else(|error| error.to_string(), |_| "ok".into()));
            }
            (Some("call"), _) => {
                let reply = session.execute(query("currentUser")).await;
                say(&reply.map_or_else(|error| error.to_string(), |reply| reply.status.to_string()));
            }
            (Some("sign_out"), _) => say(&format!("{:?}", session.sign_out().await.phase)),
            _ => panic!("no such command"),
        }
    }
}

fn say(answer: &str) {
    println!("{MARK}{answer}");
}

/// Reads a line without the standard library's buffer, which would keep it.
async fn next_command() -> Option<Zeroizing<String>> {
    let reading = tokio::task::spawn_blocking(|| {
        let input = std::io::stdin();
        let mut input = File::from(input.as_fd().try_clone_to_owned().expect("an open input"));
        let mut line = Zeroizing::new(String::with_capacity(COMMAND));
        let mut byte = [0];
        while input.read(&mut byte).expect("an open input") == 1 {
            if byte == *b"\n" {
                return Some(line);
            }
            assert!(line.len() < COMMAND, "too long a command");
            line.push(char::from(byte[0]));
        }
        None
    });
    reading.await.expect("no panic")
}
