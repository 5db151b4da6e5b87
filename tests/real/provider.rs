//! oidc-provider, in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use graphql_session_testing::Browser;

use crate::child::Kind;
use crate::process::signal;
use crate::scenario::{Counts, LostAnswer, RealServer};

/// Where it is installed.
const INSTALLED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/oauth/server/node_modules/oidc-provider"
);

/// Where its server for these tests lies.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/real/oidc");

/// How long access tokens last, in seconds: shorter than that, and the margin of a second would leave nothing.
const ACCESS_SECONDS: u64 = 2;

/// How long a used refresh token is taken again where there is a grace time.
const GRACE: Duration = Duration::from_secs(10);

/// Whether a renewal brings a new refresh token, and what a second use of the old one does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// It is taken again for [`GRACE`].
    WithGrace,
    /// It revokes all that was issued to this sign-in. The provider's own way.
    RevokesReused,
    Never,
}

pub(crate) struct Provider {
    child: Child,
    port: u16,
    issuer: String,
    rotation: Rotation,
    folder: tempfile::TempDir,
}

/// What its token endpoint has counted.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct TokenEndpoint {
    #[serde(rename = "tokenRequests")]
    pub(crate) requests: u64,
    pub(crate) renewed: u64,
}

impl Provider {
    /// Listens on `port` of 127.0.0.1, and is `issuer` for its clients.
    pub(crate) fn start(port: u16, issuer: &str, rotation: Rotation) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            child: run(port, issuer, rotation, &state_in(folder.path())),
            port,
            issuer: issuer.to_owned(),
            rotation,
            folder,
        }
    }

    /// The server refuses the next requests at the token endpoint, this many, with a pause of a second.
    pub(crate) async fn throttle(&self, times: u32) {
        self.ask(&format!("/test/throttle?times={times}")).await;
    }

    pub(crate) async fn requests_for_tokens(&self) -> TokenEndpoint {
        let counts = self.ask("/test/counts").await;
        serde_json::from_str(&counts).expect("counts")
    }

    async fn ask(&self, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let page = Browser::default().get(&url).await.expect("an answer");
        // In chunks, which such a short text needs one of.
        let body = page.body.trim();
        let begin = body.find(['{', '[']).unwrap_or(0);
        let end = body.rfind(['}', ']']).map_or(body.len(), |end| end + 1);
        body[begin..end].to_owned()
    }
}

impl RealServer for Provider {
    const RENEWAL: &'static str = "grant_type=refresh_token";

    fn kind(&self) -> Kind {
        Kind::OAuth2 {
            grace: (self.rotation == Rotation::WithGrace).then_some(GRACE),
            reuse_ends_session: self.rotation == Rotation::RevokesReused,
        }
    }

    fn query(&self) -> &'static str {
        r#"{"query":"{ me { id } }"}"#
    }

    fn access_lifetime(&self) -> Duration {
        Duration::from_secs(ACCESS_SECONDS)
    }

    fn lost_answer(&self) -> LostAnswer {
        match self.rotation {
            Rotation::WithGrace | Rotation::Never => LostAnswer::Recovers,
            Rotation::RevokesReused => LostAnswer::EndsUnsent,
        }
    }

    fn stop(&mut self) {
        signal(self.child.id(), "-TERM");
        self.child.wait().expect("it ends");
    }

    async fn start_again(&mut self) {
        let state = state_in(self.folder.path());
        self.child = run(self.port, &self.issuer, self.rotation, &state);
    }

    async fn counts(&self) -> Counts {
        let counts = self.ask("/test/counts").await;
        serde_json::from_str(&counts).expect("counts")
    }

    async fn suspend(&mut self) {
        self.ask("/test/disable?user=ada").await;
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("bound").port()
}

fn state_in(folder: &Path) -> PathBuf {
    folder.join("state.json")
}

fn run(port: u16, issuer: &str, rotation: Rotation, state: &Path) -> Child {
    assert!(
        Path::new(INSTALLED).is_dir(),
        "oidc-provider is not installed. Install it with:  scripts/prepare.sh test"
    );
    let (rotates, grace) = match rotation {
        Rotation::WithGrace => ("always", GRACE),
        Rotation::RevokesReused => ("always", Duration::ZERO),
        Rotation::Never => ("never", Duration::ZERO),
    };
    let mut child = Command::new("node")
        .arg("server.mjs")
        .current_dir(FOLDER)
        .env("PORT", port.to_string())
        .env("ISSUER", issuer)
        .env("ACCESS_SECONDS", ACCESS_SECONDS.to_string())
        .env("ROTATE", rotates)
        .env("GRACE_SECONDS", grace.as_secs().to_string())
        .env("STATE", state)
        .env("NODE_ENV", "production")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("node runs");
    let output = child.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(output).lines();
    let is_ready = lines.any(|line| line.is_ok_and(|line| line == "READY"));
    assert!(is_ready, "the server did not start");
    // Read on: a server that writes to a closed pipe ends.
    std::thread::spawn(move || lines.for_each(drop));
    child
}
