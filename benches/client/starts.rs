//! One start with a stored session, from the process to the page: what the core logs with its times, and what reaches
//! the server.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use demo_server::DemoServer;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::kit::application::{Home, signal};

/// The core's moments, by the words of its log.
const LOG: &str = "warn,graphql_session=debug";
const ASKED: &str = "vault_read";
const READ: &str = "vault_answered";
const SERVED: &str = "served";

/// What the page asks once it knows the server's objects: it has the first reply by then.
const RECORDS: &str = "FindManyPerson";

/// How long a start may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// When things happened, in milliseconds since the process was started.
pub(crate) struct Start {
    /// The keyring is asked.
    pub(crate) asked: f64,
    /// The keyring has answered.
    pub(crate) read: f64,
    /// The first call with credentials has reached the server.
    pub(crate) sent: f64,
    /// The core has the first reply to a call with credentials, and has judged it.
    pub(crate) served: f64,
    /// The page has that reply and asks for records.
    pub(crate) shown: f64,
}

impl Start {
    /// Starts the client where a session is stored, and ends it when its page is there.
    pub(crate) async fn of(client: &Path, home: &Home, server: &DemoServer) -> Self {
        let switches = server.switches();
        switches.reset_counts();
        let began = Timestamp::now();
        let mut process = Process::start(client, home);
        let mut log = process.log();
        let core = async {
            let asked = moment(&mut log, ASKED).await;
            let read = moment(&mut log, READ).await;
            let served = moment(&mut log, SERVED).await;
            (asked, read, served)
        };
        let arrivals = async {
            switches.wait_until(|counts| counts.calls > 0).await;
            let sent = Timestamp::now();
            switches
                .wait_until(|counts| counts.operation(RECORDS) > 0)
                .await;
            (sent, Timestamp::now())
        };
        let both = tokio::time::timeout(PATIENCE, async { tokio::join!(core, arrivals) });
        let ((asked, read, served), (sent, shown)) = both.await.expect("the client starts");
        let counts = switches.counts();
        assert_eq!(
            (counts.calls_refused, counts.renewals_sent),
            (0, 0),
            "a start with a valid token: {counts:?}"
        );
        process.quit().await;
        let since = |moment: Timestamp| moment.duration_since(began).as_secs_f64() * 1e3;
        Self {
            asked: since(asked),
            read: since(read),
            sent: since(sent),
            served: since(served),
            shown: since(shown),
        }
    }
}

/// The client without a WebDriver: started as a person starts it.
struct Process(Child);

impl Process {
    fn start(client: &Path, home: &Home) -> Self {
        let process = Command::new(client)
            .envs(home.environment())
            .env("RUST_LOG", LOG)
            .env("HOLDFAST_LOG_FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        Self(process.expect("the client is built"))
    }

    /// The log's lines as they come. A thread reads them, so that the pipe never fills.
    fn log(&mut self) -> mpsc::UnboundedReceiver<String> {
        let output = self.0.stderr.take().expect("it is piped");
        let (lines, log) = mpsc::unbounded_channel();
        std::thread::spawn(move || read_lines(output, &lines));
        log
    }

    /// Ends it as a desktop does, and waits until it has gone: the next start would only bring it forward.
    async fn quit(mut self) {
        signal("TERM", &self.0.id().to_string());
        let gone = async {
            while self.0.try_wait().expect("our own process").is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let gone = tokio::time::timeout(PATIENCE, gone).await;
        gone.expect("the client quits");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After a failure only: a client that has quit is not signalled any more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read_lines(output: ChildStderr, lines: &mpsc::UnboundedSender<String>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        // The receiver may be gone. The lines are read all the same, or the client could not write any more.
        let _ = lines.send(line);
    }
}

/// When the client logged this word, by its own time stamp.
async fn moment(log: &mut mpsc::UnboundedReceiver<String>, word: &str) -> Timestamp {
    while let Some(line) = log.recv().await {
        // Lines of other libraries on the error output are none of the log's.
        let Ok(event) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        if event["fields"]["message"] == word {
            let stamp = event["timestamp"].as_str().expect("a line has its time");
            return stamp.parse().expect("a timestamp");
        }
    }
    panic!("the client ended before it logged `{word}`");
}
