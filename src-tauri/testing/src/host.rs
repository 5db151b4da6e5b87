//! One computer with a server to talk to: a folder, a keyring, a clock.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::browser::Browser;
use super::clock::ManualClock;
use super::files::ScriptedFiles;
use super::network::ScriptedNetwork;
use super::server::{Alpn, CLIENT_ID, FaultServer, OAuthRules, ServerCertificate};
use super::vault::ScriptedVault;
use graphql_session::{
    Call, Config, DEFAULT_ACCOUNT, Error, OAuth2, OAuth2Client, OAuth2Settings, PasswordLogin,
    Protocol as _, Session, SignInEvent, SignInMethod, SignInStep, Status, Twenty,
};

/// Longer limits than the defaults for vault and files: their threads run in real time, and a busy test machine must not
/// make them look slow. They still fit into one call.
const VAULT_READ: Duration = Duration::from_secs(7);
const VAULT_WRITE: Duration = Duration::from_secs(8);
const FILE: Duration = Duration::from_secs(5);

/// The scriptable server rotates as Twenty does, by whatever protocol it is asked.
const TWENTYS_GRACE: Duration = Duration::from_secs(60);

/// Names the protocol of hosts whose test does not choose one: `twenty`, the default, or `oauth2`. So one set of tests holds
/// for both.
const PROTOCOL: &str = "GRAPHQL_SESSION_TEST_PROTOCOL";

/// What a server says of a removed member, which may also mean that it is in trouble.
const AMBIGUOUS: &str = "User Workspace not found";

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
    protocol: TestProtocol,
    folder: TemporaryFolder,
}

/// How sessions of a host sign in and renew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestProtocol {
    /// As at Twenty, with a password.
    Twenty,
    /// By OAuth 2, in the browser.
    OAuth2,
}

impl TestProtocol {
    /// That of the environment: see the stage `core-and-server` of `scripts/test.sh`.
    ///
    /// # Panics
    /// When it names another one.
    pub fn of_environment() -> Self {
        match std::env::var(PROTOCOL).as_deref() {
            Ok("oauth2") => Self::OAuth2,
            Ok("twenty") | Err(_) => Self::Twenty,
            Ok(other) => panic!("{PROTOCOL} is `{other}`: use twenty or oauth2"),
        }
    }

    /// Signs in as `person`, who is known to the server.
    ///
    /// # Errors
    /// The sign-in's own.
    pub async fn sign_in(
        self,
        server: &FaultServer,
        session: &Session,
        person: PasswordLogin,
    ) -> Result<Status, Error> {
        let address = server.address();
        if self == Self::Twenty {
            return session.sign_in(&address, person).await;
        }
        let mut sign_in = session.begin_sign_in(&address, Some(SignInMethod::Browser))?;
        loop {
            match sign_in.next().await? {
                SignInEvent::Done(status) => return Ok(status),
                SignInEvent::Step(SignInStep::Browser { url, .. }) => {
                    server.change_oauth(|rules| rules.person = person.email.clone());
                    let opened = Browser::default().open(&url).await;
                    opened.expect("the browser comes back");
                }
                SignInEvent::Step(step) => panic!("the server asks for {step:?}"),
            }
        }
    }
}

impl TestHost {
    /// Starts the server; nobody is signed in.
    pub async fn start() -> Self {
        Self::start_with(TestProtocol::of_environment()).await
    }

    /// The same with this protocol.
    pub async fn start_with(protocol: TestProtocol) -> Self {
        let clock = ManualClock::new();
        let server = FaultServer::start_on(&clock).await;
        if protocol == TestProtocol::OAuth2 {
            server.offer_oauth(OAuthRules::default());
        }
        Self {
            server,
            vault: ScriptedVault::watched_by(&clock),
            files: ScriptedFiles::watched_by(&clock),
            protocol,
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
            protocol: self.protocol,
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
        if self.protocol == TestProtocol::OAuth2 {
            let (grace, reuse_ends_session) = (Some(TWENTYS_GRACE), false);
            config.protocol = Arc::new(OAuth2::new(OAuth2Settings {
                client: OAuth2Client::Id(CLIENT_ID.into()),
                ambiguous_descriptions: vec![AMBIGUOUS.into()],
                grace,
                reuse_ends_session,
                endpoints: Twenty::new().facts().endpoints.clone(),
                ..OAuth2Settings::default()
            }));
        }
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
        self.sign_in_as(session, self.server.person()).await;
    }

    /// Signs in as somebody else whom the server knows.
    ///
    /// # Panics
    /// When that fails.
    pub async fn sign_in_as(&self, session: &Session, person: PasswordLogin) -> Status {
        let signing_in = self.protocol.sign_in(&self.server, session, person);
        signing_in.await.expect("the server knows this person")
    }

    /// How its sessions sign in.
    pub fn protocol(&self) -> TestProtocol {
        self.protocol
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
