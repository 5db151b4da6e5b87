//! oidc-provider, in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use graphql_session_testing::Browser;
use serde::Deserialize;

/// Where it is installed.
const INSTALLED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/oauth/server/node_modules/oidc-provider"
);

/// Where its server for these tests lies.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/real/oidc");

/// Whether a renewal brings a new refresh token. With one, the old one is spent, and a second use of it revokes all that was
/// issued to this sign-in.
#[derive(Clone, Copy)]
pub(crate) enum Rotation {
    Always,
    Never,
}

pub(crate) struct Provider {
    child: Child,
    port: u16,
    rotation: Rotation,
    access_seconds: u64,
    folder: tempfile::TempDir,
}

/// What the server has counted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    /// Requests at the token endpoint.
    pub(crate) token_requests: u64,
    /// Renewals that it granted.
    pub(crate) renewed: u64,
    /// Renewals that it refused.
    pub(crate) refused: u64,
}

impl Provider {
    pub(crate) fn start(rotation: Rotation, access_seconds: u64) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let folder = tempfile::tempdir().expect("a folder");
        let child = run(port, rotation, access_seconds, &state_in(folder.path()));
        Self {
            child,
            port,
            rotation,
            access_seconds,
            folder,
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends it as a deploy does.
    pub(crate) fn stop(&mut self) {
        let id = self.child.id().to_string();
        let stopped = Command::new("kill").args(["-TERM", &id]).status();
        assert!(stopped.expect("kill runs").success());
        self.child.wait().expect("it ends");
    }

    pub(crate) fn start_again(&mut self) {
        let state = state_in(self.folder.path());
        self.child = run(self.port, self.rotation, self.access_seconds, &state);
    }

    pub(crate) async fn counts(&self) -> Counts {
        let counts = self.ask("/test/counts").await;
        serde_json::from_str(&counts).expect("counts")
    }

    /// This person may no longer use it.
    pub(crate) async fn disable(&self, person: &str) {
        self.ask(&format!("/test/disable?user={person}")).await;
    }

    /// So many requests at the token endpoint are told to come back in a second.
    pub(crate) async fn throttle(&self, times: u32) {
        self.ask(&format!("/test/throttle?times={times}")).await;
    }

    async fn ask(&self, path: &str) -> String {
        let url = format!("{}{path}", self.address());
        let page = Browser::default().get(&url).await.expect("an answer");
        // In chunks, which such a short text needs one of.
        let body = page.body.trim();
        let begin = body.find(['{', '[']).unwrap_or(0);
        let end = body.rfind(['}', ']']).map_or(body.len(), |end| end + 1);
        body[begin..end].to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn state_in(folder: &Path) -> PathBuf {
    folder.join("state.json")
}

fn run(port: u16, rotation: Rotation, access_seconds: u64, state: &Path) -> Child {
    assert!(
        Path::new(INSTALLED).is_dir(),
        "oidc-provider is not installed. Install it with:  scripts/prepare.sh test"
    );
    let rotate = match rotation {
        Rotation::Always => "always",
        Rotation::Never => "never",
    };
    let mut child = Command::new("node")
        .arg("server.mjs")
        .current_dir(FOLDER)
        .env("PORT", port.to_string())
        .env("ACCESS_SECONDS", access_seconds.to_string())
        .env("ROTATE", rotate)
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
