//! One driver process, spoken to in lines.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::QUERY;
use crate::server::Server;

/// More than any answer takes on a busy machine; google's three attempts of a rejected renewal take up to 3 s.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// What every token of these tests contains, and no output may.
const SECRET: &str = "secret";

pub(crate) struct Driver {
    client: String,
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    folder: Rc<TempDir>,
}

impl Driver {
    pub(crate) fn start(client: &str) -> Self {
        Self::start_in(client, Rc::new(tempfile::tempdir().expect("a folder")))
    }

    /// Two windows of a person who has just signed in.
    pub(crate) async fn open(client: &str, server: &Server) -> Self {
        Self::open_for(client, server, SignedDuration::from_mins(30)).await
    }

    /// The same, with an access token that lasts so long.
    pub(crate) async fn open_for(client: &str, server: &Server, lifetime: SignedDuration) -> Self {
        let mut driver = Self::start(client);
        let now = Timestamp::now();
        let tokens = json!({
            "access": "secret-access-0",
            "accessExpiresAt": now + lifetime,
            "refresh": "secret-refresh-0",
            "refreshExpiresAt": now + SignedDuration::from_hours(24 * 60),
        });
        driver
            .say(json!({"do": "open", "origin": server.origin(), "store": driver.store(), "windows": 2, "tokens": tokens}))
            .await;
        assert_eq!(driver.hear().await, json!({"opened": true}));
        driver
    }

    /// Another process on the same store.
    pub(crate) async fn beside(&self, server: &Server) -> Self {
        let mut driver = Self::start_in(&self.client, self.folder.clone());
        driver
            .say(json!({"do": "open", "origin": server.origin(), "store": driver.store(), "windows": 1}))
            .await;
        assert_eq!(driver.hear().await, json!({"opened": true}));
        driver
    }

    fn start_in(client: &str, folder: Rc<TempDir>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_compare-rust-clients"))
            .arg(client)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a driver");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self {
            client: client.to_owned(),
            child,
            input,
            output,
            folder,
        }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store.json")
    }

    /// The account under which ours has its keyring entry.
    #[cfg(target_os = "linux")]
    pub(crate) fn account(&self) -> String {
        let name = self.folder.path().file_name().expect("a name");
        let name = name.to_str().expect("text");
        name.trim_start_matches('.').to_owned()
    }

    pub(crate) fn stored(&self) -> Value {
        let bytes = std::fs::read(self.store()).expect("a store");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    pub(crate) async fn say(&mut self, command: Value) {
        let line = format!("{command}\n");
        self.input
            .write_all(line.as_bytes())
            .await
            .expect("the driver listens");
    }

    pub(crate) async fn hear(&mut self) -> Value {
        let line = timeout(DEADLINE, self.output.next_line())
            .await
            .expect("an answer in time");
        let line = line.expect("an output").expect("a line");
        assert!(!line.contains(SECRET), "{line}");
        serde_json::from_str(&line).expect("JSON")
    }

    pub(crate) async fn say_call(&mut self, id: u64, window: usize) {
        self.say(json!({"do": "call", "id": id, "window": window, "query": QUERY}))
            .await;
    }

    pub(crate) async fn call(&mut self, id: u64, window: usize) -> Value {
        self.say_call(id, window).await;
        self.hear().await
    }

    /// These calls at once, in both windows by turns. Counts their outcomes.
    pub(crate) async fn calls(
        &mut self,
        ids: impl IntoIterator<Item = u64>,
    ) -> BTreeMap<String, usize> {
        let mut asked = 0;
        for id in ids {
            self.say_call(id, (id % 2) as usize).await;
            asked += 1;
        }
        let mut outcomes = BTreeMap::new();
        for _ in 0..asked {
            let settled = self.hear().await;
            let outcome = settled["outcome"]
                .as_str()
                .expect("a settlement")
                .to_owned();
            *outcomes.entry(outcome).or_default() += 1;
        }
        outcomes
    }

    pub(crate) async fn expire(&mut self) {
        self.say(json!({"do": "expire"})).await;
        assert_eq!(self.hear().await, json!({"expired": true}));
    }

    pub(crate) async fn signed_in(&mut self) -> bool {
        self.say(json!({"do": "status", "window": 0})).await;
        self.hear().await["status"]["signedIn"]
            .as_bool()
            .expect("a status")
    }

    /// Closes its input, on which it ends by itself, with nothing more to say and no token on standard error.
    pub(crate) async fn end(mut self) {
        drop(self.input);
        let ended = timeout(DEADLINE, self.child.wait())
            .await
            .expect("an end in time");
        assert!(ended.expect("an end").success());
        assert_eq!(self.output.next_line().await.expect("an output"), None);
        let mut said = String::new();
        let mut errors = self.child.stderr.take().expect("its errors");
        errors.read_to_string(&mut said).await.expect("text");
        assert!(!said.contains(SECRET), "{said}");
    }
}
