//! One process of a person, with one client in it, told what to do in lines of JSON. The whole protocol is in
//! `README.md` beside this file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use graphql_session_testing::IssuedPair;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::clients::Client;

/// How long a driver may take for what needs no network: Node starts in half a second, several at once in some.
const PROMPT: Duration = Duration::from_secs(60);

/// Beside an answer that says nothing: why.
const ERROR: &str = "error";

/// How a call ended, as the driver says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Data, and no errors.
    Data,
    /// Data beside errors.
    Partial,
    /// No data; with what the client said.
    Error(String),
    /// Taken back by its caller.
    Aborted,
}

/// Why there is no answer.
pub(crate) enum Silence {
    /// The process has said nothing in time.
    Late,
    /// The process has ended.
    Ended,
    /// It could not do it, and says why.
    Failed(String),
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => f.write_str("not in time"),
            Self::Ended => f.write_str("the process has ended"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// A running process.
pub(crate) struct Driver {
    child: Child,
    lines: Mutex<ChildStdin>,
    heard: Arc<watch::Sender<Heard>>,
    calls: AtomicU64,
}

/// All that it has said so far.
#[derive(Default)]
struct Heard {
    settled: BTreeMap<u64, Outcome>,
    /// The windows that were told that the person is signed out.
    logouts: BTreeSet<u64>,
    /// Answers, by their one key.
    answers: BTreeMap<String, Value>,
    is_over: bool,
}

impl Driver {
    /// Starts a process for this client.
    pub(crate) fn start(client: &Client) -> Self {
        let (program, arguments) = client.command();
        let mut child = Command::new(&program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let heard = Arc::new(watch::Sender::new(Heard::default()));
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let hearing = heard.clone();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(said) => hearing.send_modify(|heard| heard.take(said)),
                    Err(_) => eprintln!("not a line of the protocol: {line}"),
                }
            }
            hearing.send_modify(|heard| heard.is_over = true);
        });
        Self {
            lines: Mutex::new(child.stdin.take().expect("a pipe")),
            child,
            heard,
            calls: AtomicU64::new(0),
        }
    }

    /// Opens the client in so many windows, over a store that may be shared with another process. With `tokens` the
    /// person has signed in with these; without, the client starts with what is stored.
    pub(crate) async fn open(
        &self,
        origin: &str,
        store: &Path,
        windows: u64,
        tokens: Option<&IssuedPair>,
    ) {
        let mut command = json!({
            "do": "open", "origin": origin, "store": store, "windows": windows,
        });
        if let Some(tokens) = tokens {
            command["tokens"] = json!({
                "access": tokens.access,
                "accessExpiresAt": tokens.access_until.to_string(),
                "refresh": tokens.refresh,
                "refreshExpiresAt": tokens.refresh_until.to_string(),
            });
        }
        let opened = self.ask(&command, "opened", PROMPT).await;
        assert_eq!(opened, true, "the client opens");
    }

    /// Makes a call in a window, and returns its number. It has that number as its one variable where the query takes
    /// it, because urql would answer two identical queries with one request.
    pub(crate) fn call(&self, window: u64, query: &str) -> u64 {
        let id = self.calls.fetch_add(1, Ordering::SeqCst);
        let variables = match query.contains("$caller") {
            true => json!({ "caller": id }),
            false => json!({}),
        };
        self.tell(&json!({
            "do": "call", "id": id, "window": window, "query": query, "variables": variables,
        }));
        id
    }

    /// The caller takes a call back.
    pub(crate) fn abort(&self, call: u64) {
        self.tell(&json!({ "do": "abort", "id": call }));
    }

    /// The person signs out. Returns when the client says that it is done, or does not say so in time.
    pub(crate) async fn sign_out(&self, limit: Duration) {
        let command = json!({ "do": "signOut", "window": 0 });
        let _ = self.answer(&command, "signedOut", limit).await;
    }

    /// Whether the client still holds the session.
    pub(crate) async fn is_signed_in(&self) -> bool {
        let command = json!({ "do": "status", "window": 0 });
        let status = self.ask(&command, "status", PROMPT).await;
        status["signedIn"] == true
    }

    /// Waits until every call so far has settled, at most so long.
    pub(crate) async fn settle(&self, limit: Duration) {
        let made = self.calls.load(Ordering::SeqCst);
        let mut watching = self.heard.subscribe();
        let all = watching.wait_for(|heard| heard.is_over || heard.settled.len() as u64 >= made);
        let _ = tokio::time::timeout(limit, all).await;
    }

    /// How each call ended; `None` for one that has not.
    pub(crate) fn outcomes(&self) -> Vec<Option<Outcome>> {
        let heard = self.heard.borrow();
        let made = self.calls.load(Ordering::SeqCst);
        (0..made)
            .map(|id| heard.settled.get(&id).cloned())
            .collect()
    }

    /// The windows that were told that the person is signed out. Some clients say it once for each call that failed, where
    /// a page would have left at the first.
    pub(crate) fn logouts(&self) -> u64 {
        self.heard.borrow().logouts.len() as u64
    }

    /// Gives a command, and returns what the driver answers under `key`.
    ///
    /// # Panics
    /// When there is none within `limit`.
    pub(crate) async fn ask(&self, command: &Value, key: &str, limit: Duration) -> Value {
        let answer = self.answer(command, key, limit).await;
        answer.unwrap_or_else(|why| panic!("no {key:?} within {limit:?} to {command}: {why}"))
    }

    /// The same, with the reason where there is none.
    pub(crate) async fn answer(
        &self,
        command: &Value,
        key: &str,
        limit: Duration,
    ) -> Result<Value, Silence> {
        let mut watching = self.heard.subscribe();
        self.heard.send_modify(|heard| {
            heard.answers.remove(key);
            heard.answers.remove(ERROR);
        });
        self.tell(command);
        let answer = watching.wait_for(|heard| heard.is_over || heard.answers.contains_key(key));
        let answer = tokio::time::timeout(limit, answer).await;
        let heard = answer.map_err(|_| Silence::Late)?;
        let heard = heard.expect("this handle holds the sender");
        if let Some(error) = heard.answers.get(ERROR) {
            return Err(Silence::Failed(error.to_string()));
        }
        heard.answers.get(key).cloned().ok_or(Silence::Ended)
    }

    fn tell(&self, command: &Value) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        // A driver that has ended is noticed where its answer is awaited.
        let _ = writeln!(lines, "{command}").and_then(|()| lines.flush());
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Heard {
    fn take(&mut self, said: Value) {
        let Value::Object(said) = said else { return };
        if let Some(id) = said.get("settled").and_then(Value::as_u64) {
            let error = said.get("error").and_then(Value::as_str);
            let outcome = match said.get("outcome").and_then(Value::as_str) {
                Some("data") => Outcome::Data,
                Some("partial") => Outcome::Partial,
                Some("aborted") => Outcome::Aborted,
                _ => Outcome::Error(error.unwrap_or_default().to_owned()),
            };
            self.settled.insert(id, outcome);
        } else if said.contains_key("logout") {
            let window = said.get("window").and_then(Value::as_u64);
            self.logouts.insert(window.unwrap_or_default());
        } else {
            self.answers.extend(said);
        }
    }
}
