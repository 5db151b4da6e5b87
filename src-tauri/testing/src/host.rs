//! One computer with a server to talk to: a folder, a keyring, a clock.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::clock::ManualClock;
use super::files::ScriptedFiles;
use super::network::ScriptedNetwork;
use super::server::{Alpn, FaultServer, ServerCertificate};
use super::vault::ScriptedVault;
use graphql_session::{Call, Config, DEFAULT_ACCOUNT, Session};

/// Longer limits than the defaults for vault and files: their threads run in real time, and a busy test machine must not
/// make them look slow. They still fit into one call.
const VAULT_READ: Duration = Duration::from_secs(7);
const VAULT_WRITE: Duration = Duration::from_secs(8);
const FILE: Duration = Duration::from_secs(5);

/// Between the parts of an upload.
const BOUNDARY: &str = "----formdata-graphql-session";

/// A computer and a server. Sessions that it opens for one account share folder and vault, as processes do.
#[derive(Debug)]
pub struct TestHost {
    /// Its time, and the server's.
    pub clock: ManualClock,
    /// Its keyring.
    pub vault: ScriptedVault,
    /// Its file system.
    pub files: ScriptedFiles,
    /// Its network.
    pub network: ScriptedNetwork,
    /// The server.
    pub server: FaultServer,
    folder: TemporaryFolder,
}

impl TestHost {
    /// Starts the server; nobody is signed in.
    pub async fn start() -> Self {
        let clock = ManualClock::new();
        Self {
            server: FaultServer::start_on(&clock).await,
            vault: ScriptedVault::watched_by(&clock),
            files: ScriptedFiles::watched_by(&clock),
            network: ScriptedNetwork::default(),
            clock,
            folder: TemporaryFolder::new(),
        }
    }

    /// The same with a server that speaks TLS and HTTP/2. Sessions trust its root.
    pub async fn start_with_tls() -> Self {
        let host = Self::start().await;
        host.server.speak_tls(ServerCertificate::Good, Alpn::Http2);
        host
    }

    /// Another computer that talks to the same server, by the same clock.
    pub fn another(&self) -> Self {
        Self {
            clock: self.clock.clone(),
            vault: ScriptedVault::watched_by(&self.clock),
            files: ScriptedFiles::watched_by(&self.clock),
            network: ScriptedNetwork::default(),
            server: self.server.clone(),
            folder: TemporaryFolder::new(),
        }
    }

    /// The settings of a process on this computer. The limits of vault and files are 7, 8 and 5 s.
    pub fn config(&self, account: &str) -> Config {
        let mut config = Config::with_vault(self.folder(), self.vault.clone());
        config.account = account.to_owned();
        config.file_system = Arc::new(self.files.clone());
        config.network = Arc::new(self.network.clone());
        config.clock = Arc::new(self.clock.clone());
        config.limits.vault_read = VAULT_READ;
        config.limits.vault_write = VAULT_WRITE;
        config.limits.file_timeout = FILE;
        if self.server.speaks_tls() {
            config.extra_root_certificates = self.server.root_certificate();
        }
        config
    }

    /// The folder of the sessions' files.
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// A file of an account, such as `state.json`, whose name has small letters and digits only.
    pub fn file(&self, account: &str, name: &str) -> PathBuf {
        let folder = self.folder().join(format!("account-{account}"));
        folder.join(name)
    }

    /// Opens a session for `account`: another process on this computer, if there is one already.
    ///
    /// # Panics
    /// When that fails.
    pub async fn session(&self, account: &str) -> Session {
        let config = self.config(account);
        Session::open(config).await.expect("the session opens")
    }

    /// Opens the default account's session and signs in.
    ///
    /// # Panics
    /// When that fails.
    pub async fn signed_in(&self) -> Session {
        let session = self.session(DEFAULT_ACCOUNT).await;
        self.sign_in(&session).await;
        session
    }

    /// Signs in as the person that the server knows.
    ///
    /// # Panics
    /// When that fails.
    pub async fn sign_in(&self, session: &Session) {
        let address = self.server.address();
        let signing_in = session.sign_in(&address, self.server.person());
        signing_in.await.expect("the server knows this person");
    }
}

/// A query for `field` on the endpoint `graphql`.
pub fn query(field: &str) -> Call {
    call("graphql", "query", field)
}

/// A mutation of `field` on the endpoint `graphql`.
pub fn mutation(field: &str) -> Call {
    call("graphql", "mutation", field)
}

/// A subscription to `field` on the endpoint `graphql`.
pub fn subscription(field: &str) -> Call {
    call("graphql", "subscription", field)
}

/// A call of `kind` (`query`, `mutation` or `subscription`) for `field` on `endpoint`.
pub fn call(endpoint: impl Into<Cow<'static, str>>, kind: &str, field: &str) -> Call {
    let body = json!({ "query": format!("{kind} {{ {field} {{ id }} }}") });
    Call::new(endpoint, Bytes::from(body.to_string()))
}

/// An upload of one file on the endpoint `graphql`, in the GraphQL multipart request form: a call of `kind` for `field`.
pub fn upload(kind: &str, field: &str, file: &[u8]) -> Call {
    let operations = json!({
        "query": format!("{kind} ($file: Upload!) {{ {field} (file: $file) {{ id }} }}"),
        "variables": { "file": null },
    });
    let parts = [
        ("operations\"", operations.to_string().into_bytes()),
        ("map\"", br#"{"0":["variables.file"]}"#.to_vec()),
        ("0\"; filename=\"scan.bin\"", file.to_vec()),
    ];
    let mut body = Vec::with_capacity(file.len() + 1024);
    for (name, content) in parts {
        let head = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let mut call = Call::new("graphql", body);
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    call.headers = vec![("content-type".into(), content_type)];
    call
}

/// Removed with everything in it when dropped.
#[derive(Debug)]
struct TemporaryFolder {
    path: PathBuf,
}

impl TemporaryFolder {
    fn new() -> Self {
        let name = format!("graphql-session-{:032x}", rand::random::<u128>());
        Self {
            path: std::env::temp_dir().join(name),
        }
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
