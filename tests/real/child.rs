//! One process of the application at a real server: this test binary, started again.
//!
//! Commands come on its input, one per line, each with a number. They run side by side, and their answers have that number.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use graphql_session::{
    Call, Config, DeclaredProtocol, Error, MemoryVault, OAuth2, OAuth2Client, OAuth2Settings,
    PasswordLogin, Phase, Protocol, Reply, Session, SignInEvent, SignInMethod, SignInStep,
};
use graphql_session_testing::Browser;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::file_vault::FileVault;
use crate::process::MARK;

/// The variable that describes a process: its folder, server and protocol, as JSON.
const PLACE: &str = "REAL_TEST_PLACE";

/// The role that is the process.
const NAME: &str = "child::a_process_of_the_application";

/// The pause of a caller between two calls: a busy window, and not as fast as it can.
const BETWEEN_CALLS: Duration = Duration::from_millis(20);

/// How long calls may take to settle once the server answers again.
const SETTLES: Duration = Duration::from_secs(15);

/// Where a process lives, and whom it talks to.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) server: String,
    pub(crate) kind: Kind,
    /// The body of the calls.
    pub(crate) query: String,
}

/// How a server is spoken to, and how a person signs in there.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// By browser.
    OAuth2 {
        grace: Option<Duration>,
        reuse_ends_session: bool,
    },
    /// With a password.
    Preset {
        name: String,
        login: String,
        password: String,
    },
}

/// What became of a process's calls.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) served: u64,
    /// By the error's code, or by the status of a reply that is no success.
    pub(crate) failed: BTreeMap<String, u64>,
    pub(crate) unsettled: usize,
}

/// What a process says about its session.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Report {
    pub(crate) is_signed_in: bool,
    pub(crate) person: Option<String>,
    pub(crate) generation: Option<u64>,
    /// Endings that it has told the application of.
    pub(crate) endings: u64,
    pub(crate) ending: Option<String>,
    pub(crate) cause: Option<String>,
}

impl Place {
    /// This test binary in the role of a process here.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("this test has a file"));
        let place = serde_json::to_string(self).expect("texts are JSON");
        command
            .args(["--ignored", "--exact", NAME, "--nocapture"])
            .env(PLACE, place);
        command
    }

    async fn open(&self) -> Session {
        let mut config = Config::with_vault(&self.folder, MemoryVault::default());
        config.vault = Arc::new(FileVault::in_folder(&self.folder));
        config.protocol = self.kind.protocol();
        config.server = Some(self.server.clone());
        Session::open(config).await.expect("the session opens")
    }

    async fn sign_in(&self, session: &Session) -> Result<(), Error> {
        match &self.kind {
            Kind::OAuth2 { .. } => by_browser(session, &self.server).await,
            Kind::Preset {
                login, password, ..
            } => {
                let login = PasswordLogin {
                    email: login.clone(),
                    password: password.as_str().into(),
                };
                session.sign_in(&self.server, login).await.map(drop)
            }
        }
    }

    async fn call(&self, session: &Session) -> Result<Reply, Error> {
        let call = Call::new("graphql", self.query.clone());
        session.execute(call).await
    }
}

impl Kind {
    fn protocol(&self) -> Arc<dyn Protocol> {
        match self {
            Self::OAuth2 {
                grace,
                reuse_ends_session,
            } => Arc::new(OAuth2::new(OAuth2Settings {
                client: OAuth2Client::Id("desktop".into()),
                scopes: ["openid", "offline_access", "email"].map(Into::into).into(),
                authorization_parameters: vec![("prompt".into(), "consent".into())],
                grace: *grace,
                reuse_ends_session: *reuse_ends_session,
                ..OAuth2Settings::default()
            })),
            Self::Preset { name, .. } => {
                Arc::new(DeclaredProtocol::preset(name, []).expect("a preset"))
            }
        }
    }
}

/// What a person does: opens the page, and the browser comes back.
async fn by_browser(session: &Session, server: &str) -> Result<(), Error> {
    let mut sign_in = session.begin_sign_in(server, Some(SignInMethod::Browser))?;
    let url = match sign_in.next().await? {
        SignInEvent::Step(SignInStep::Browser { url, .. }) => url,
        other => panic!("no page to open: {other:?}"),
    };
    let browser = Browser::default();
    let (event, page) = tokio::join!(sign_in.next(), browser.open(&url));
    drop(page.expect("a page"));
    event.map(|event| assert!(matches!(event, SignInEvent::Done(_)), "{event:?}"))
}

#[tokio::test]
#[ignore = "a role: the tests with several processes start this binary again to play it"]
async fn a_process_of_the_application() {
    let place = std::env::var(PLACE).expect("a role is played by a test, not by hand");
    let place: Place = serde_json::from_str(&place).expect("a place");
    let process = Arc::new(Application {
        session: place.open().await,
        place,
        has_stopped: AtomicBool::new(false),
        callers: Mutex::default(),
    });
    let mut commands = listen();
    while let Some((number, command)) = commands.recv().await {
        let process = process.clone();
        tokio::spawn(async move {
            let answer = process.obey(&command).await;
            println!("{MARK}{number} {answer}");
        });
    }
}

fn listen() -> mpsc::UnboundedReceiver<(u64, String)> {
    let (heard, commands) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let (number, command) = line.split_once(' ').expect("a number and a command");
            let number = number.parse().expect("a number");
            let _ = heard.send((number, command.to_owned()));
        }
    });
    commands
}

struct Application {
    session: Session,
    place: Place,
    has_stopped: AtomicBool,
    callers: Mutex<JoinSet<Tally>>,
}

impl Application {
    async fn obey(self: &Arc<Self>, command: &str) -> String {
        match command.split_once(' ').unwrap_or((command, "")) {
            ("sign_in", _) => {
                let signed_in = self.place.sign_in(&self.session).await;
                signed_in.map_or_else(|error| format!("{error:?}"), |()| "ok".into())
            }
            ("call", _) => outcome(&self.place.call(&self.session).await),
            ("begin", callers) => {
                self.has_stopped.store(false, Ordering::SeqCst);
                for _ in 0..callers.parse().expect("a number") {
                    let process = self.clone();
                    let call = async move { process.call_until_stopped().await };
                    self.callers.lock().await.spawn(call);
                }
                "begun".into()
            }
            ("stop", _) => serde_json::to_string(&self.stop().await).expect("numbers are JSON"),
            ("report", _) => serde_json::to_string(&self.report()).expect("texts are JSON"),
            ("until_ended", _) => {
                let mut changes = self.session.changes();
                let ended = changes.wait_for(|status| status.phase == Phase::Ended);
                drop(ended.await.expect("the session lives"));
                "ended".into()
            }
            ("sign_out", _) => format!("{:?}", self.session.sign_out().await.phase),
            // Until the journal has this word; whether it was done then.
            ("until_noted", what) => {
                let is_done = loop {
                    let noted = self.session.journal().into_iter();
                    match noted.rev().find(|entry| entry.what == what) {
                        Some(entry) => break entry.facts["done"] == true,
                        None => tokio::time::sleep(BETWEEN_CALLS).await,
                    }
                };
                if is_done { "done" } else { "not done" }.into()
            }
            ("retry", _) => format!("{:?}", self.session.retry_now().await.phase),
            (other, _) => panic!("no such command: {other}"),
        }
    }

    async fn call_until_stopped(&self) -> Tally {
        let mut tally = Tally::default();
        while !self.has_stopped.load(Ordering::SeqCst) {
            match outcome(&self.place.call(&self.session).await) {
                served if served == "200" => tally.served += 1,
                failed => *tally.failed.entry(failed).or_default() += 1,
            }
            tokio::time::sleep(BETWEEN_CALLS).await;
        }
        tally
    }

    /// Ends all callers, and sums up.
    async fn stop(&self) -> Tally {
        self.has_stopped.store(true, Ordering::SeqCst);
        let mut sum = Tally::default();
        let mut callers = self.callers.lock().await;
        let all = async {
            while let Some(tally) = callers.join_next().await {
                let tally = tally.expect("no panic");
                sum.served += tally.served;
                for (code, count) in tally.failed {
                    *sum.failed.entry(code).or_default() += count;
                }
            }
        };
        let _ = tokio::time::timeout(SETTLES, all).await;
        sum.unsettled = callers.len();
        sum
    }

    fn report(&self) -> Report {
        let status = self.session.status();
        let ending = status.ending;
        Report {
            is_signed_in: matches!(status.phase, Phase::SignedIn | Phase::Renewing),
            person: status.person,
            generation: self.session.generation(),
            endings: status.endings,
            cause: ending
                .as_ref()
                .and_then(|ending| ending.cause.as_ref())
                .map(ToString::to_string),
            ending: ending.map(|ending| format!("{:?}", ending.reason)),
        }
    }
}

/// A status; or the code of an error; or that a reply has errors.
fn outcome(reply: &Result<Reply, Error>) -> String {
    match reply {
        Ok(reply) if reply.status == 200 => {
            let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            if body["data"].is_object() && body["errors"].is_null() {
                "200".into()
            } else {
                "200 with errors".into()
            }
        }
        Ok(reply) => reply.status.to_string(),
        Err(error) => format!("{:?}", error.code()),
    }
}
