//! A client that shows every byte: one connection per request, and no retries.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use demo_server::{DEMO_EMAIL, DEMO_PASSWORD, DemoServer, Options, Switches};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::fixtures::fixture;

/// The limit of every wait: only something that hangs takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// 2027-01-15, 08:00 UTC, and half a second.
const START: i64 = 1_800_000_000_500;

const LOGIN: &str = "mutation GetLoginTokenFromCredentials($email: String!, $password: String!, $captchaToken: String, $origin: String!) { getLoginTokenFromCredentials(email: $email, password: $password, captchaToken: $captchaToken, origin: $origin) { loginToken { token expiresAt } } }";
const EXCHANGE: &str = "mutation GetAuthTokensFromLoginToken($loginToken: String!, $origin: String!) { getAuthTokensFromLoginToken(loginToken: $loginToken, origin: $origin) { tokens { accessOrWorkspaceAgnosticToken { token expiresAt } refreshToken { token expiresAt } } } }";
pub(crate) const USER: &str = "query GetCurrentUser { currentUser { id firstName lastName email workspaceMember { id name { firstName lastName } colorScheme locale } currentWorkspace { id displayName subdomain metadataVersion } } }";
pub(crate) const RENEW: &str = "mutation RenewToken($appToken: String!) { renewToken(appToken: $appToken) { tokens { accessOrWorkspaceAgnosticToken { token expiresAt } refreshToken { token expiresAt } } } }";

/// A server in memory under a clock that stands still.
pub(crate) struct Demo {
    pub(crate) server: DemoServer,
    pub(crate) switches: Switches,
    clock: Arc<AtomicI64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) access_expires_at: String,
    pub(crate) refresh: String,
}

impl Demo {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// A server, and the tokens of the demo's person.
    pub(crate) async fn signed_in() -> (Self, Tokens) {
        let demo = Self::start().await;
        let tokens = demo.sign_in().await;
        (demo, tokens)
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        let clock = Arc::new(AtomicI64::new(START));
        let hand = Arc::clone(&clock);
        let options = Options {
            clock: Arc::new(move || hand.load(Ordering::Relaxed)),
            ..options
        };
        let server = DemoServer::start(options).await.expect("the server starts");
        Self {
            switches: server.switches(),
            server,
            clock,
        }
    }

    /// Moves the clock.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.fetch_add(
            i64::try_from(time.as_millis()).expect("short"),
            Ordering::Relaxed,
        );
    }

    pub(crate) fn graphql(&self, query: &str) -> Ask {
        self.ask("/graphql", query)
    }

    pub(crate) fn metadata(&self, query: &str) -> Ask {
        self.ask("/metadata", query)
    }

    /// A GET without a body.
    pub(crate) fn get(&self, path: &str) -> Ask {
        self.ask("", "").line(&format!("GET {path}")).raw("")
    }

    pub(crate) fn ask(&self, path: &str, query: &str) -> Ask {
        let address = self.server.address().to_string();
        Ask::to(&address, &format!("POST {path}"), json!({ "query": query }))
    }

    pub(crate) async fn login(
        &self,
        path: &str,
        email: &str,
        password: &str,
        origin: &str,
    ) -> Reply {
        let variables = json!({ "email": email, "password": password, "origin": origin });
        self.ask(path, LOGIN).variables(variables).send().await
    }

    pub(crate) async fn sign_in(&self) -> Tokens {
        self.sign_in_as(DEMO_EMAIL, DEMO_PASSWORD).await
    }

    pub(crate) async fn sign_in_as(&self, email: &str, password: &str) -> Tokens {
        let origin = self.server.origin();
        let login = self.login("/graphql", email, password, &origin).await;
        let reply = self.exchange("/graphql", login.login_token()).send().await;
        tokens(&reply.body["data"]["getAuthTokensFromLoginToken"])
    }

    /// Asks for the tokens that a login token stands for.
    pub(crate) fn exchange(&self, path: &str, login_token: &Value) -> Ask {
        let origin = self.server.origin();
        let variables = json!({ "loginToken": login_token, "origin": origin });
        self.ask(path, EXCHANGE).variables(variables)
    }

    pub(crate) fn renewal(&self, refresh: &str) -> Ask {
        self.renewal_at("/graphql", json!(refresh))
    }

    pub(crate) fn renewal_at(&self, path: &str, refresh: Value) -> Ask {
        let variables = json!({ "appToken": refresh });
        self.ask(path, RENEW).variables(variables)
    }

    pub(crate) async fn renew(&self, refresh: &str) -> Reply {
        self.renewal(refresh).send().await
    }

    /// Renews with a token that is good.
    pub(crate) async fn renewed(&self, refresh: &str) -> Tokens {
        self.renew(refresh).await.renewed()
    }

    /// A token that was used longer ago than the grace time, or revoked, is refused.
    pub(crate) async fn refuses_reuse(&self, refresh: &str) {
        let reply = self.renew(refresh).await;
        reply.is("renewal after the grace time");
    }

    /// Asks `path` who is signed in.
    pub(crate) fn user_at(&self, path: &str, access: &str) -> Ask {
        self.ask(path, USER).bearer(access)
    }

    pub(crate) async fn user(&self, access: &str) -> Reply {
        self.user_at("/graphql", access).send().await
    }

    /// The access token is good, and the demo's person has it.
    pub(crate) async fn accepts(&self, access: &str) {
        let reply = self.user(access).await;
        let user = &reply.is("user").body["data"]["currentUser"];
        assert_eq!(user["email"], DEMO_EMAIL);
    }
}

pub(crate) fn tokens(of: &Value) -> Tokens {
    let text = |value: &Value| {
        value
            .as_str()
            .unwrap_or_else(|| panic!("no tokens in {of}"))
            .to_owned()
    };
    let access = &of["tokens"]["accessOrWorkspaceAgnosticToken"];
    Tokens {
        access: text(&access["token"]),
        access_expires_at: text(&access["expiresAt"]),
        refresh: text(&of["tokens"]["refreshToken"]["token"]),
    }
}

/// A request in the making.
#[derive(Clone)]
pub(crate) struct Ask {
    address: String,
    line: String,
    headers: Vec<(String, String)>,
    body: Value,
    raw: Option<String>,
}

impl Ask {
    /// A request with a JSON body, to `address` and with this request line, without the version.
    pub(crate) fn to(address: &str, line: &str, body: Value) -> Self {
        Self {
            address: address.to_owned(),
            line: line.to_owned(),
            headers: vec![("content-type".into(), "application/json".into())],
            body,
            raw: None,
        }
    }

    /// The same with a form as its body.
    pub(crate) fn form(self, fields: &[(&str, &str)]) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        self.header("content-type", "application/x-www-form-urlencoded")
            .raw(&form.finish())
    }

    pub(crate) fn variables(mut self, variables: Value) -> Self {
        self.body["variables"] = variables;
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(own, _)| own != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Exactly this request line, without the version.
    pub(crate) fn line(mut self, line: &str) -> Self {
        self.line = line.to_owned();
        self
    }

    /// Exactly this body.
    pub(crate) fn raw(mut self, body: &str) -> Self {
        self.raw = Some(body.to_owned());
        self
    }

    pub(crate) async fn send(self) -> Reply {
        let (name, reply) = (self.line.clone(), self.try_send().await);
        reply.unwrap_or_else(|| panic!("{name}: the connection was closed without a byte"))
    }

    /// Sends it, and compares the answer with the fixture of this name.
    pub(crate) async fn gets(self, fixture: &str) -> Reply {
        let reply = self.send().await;
        reply.is(fixture);
        reply
    }

    /// None if the connection was closed, or refused, without a byte.
    pub(crate) async fn try_send(self) -> Option<Reply> {
        in_time(self.exchange()).await
    }

    /// Waits for the head of an answer that has no end yet.
    pub(crate) async fn open(self) -> Streamed {
        let stream = self.sent().await.expect("a connection");
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let line = in_time(stream.read_line(&mut head)).await;
            assert_ne!(line.expect("a head"), 0, "closed within the head: {head}");
        }
        Streamed {
            status: head[9..12].parse().expect("a status"),
            content_type: header(&head, "content-type"),
            stream,
        }
    }

    async fn exchange(self) -> Option<Reply> {
        let mut stream = self.sent().await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.ok()?;
        (!bytes.is_empty()).then(|| Reply::read(&bytes))
    }

    async fn sent(self) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(&self.address).await.ok()?;
        let body = self.raw.unwrap_or_else(|| self.body.to_string());
        let mut request = format!("{} HTTP/1.1\r\nconnection: close\r\n", self.line);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            request += &format!("host: {}\r\n", self.address);
        }
        for (name, value) in &self.headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.ok()?;
        Some(stream)
    }
}

/// An answer that comes piece by piece. Dropping it closes the connection.
pub(crate) struct Streamed {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    stream: BufReader<TcpStream>,
}

impl Streamed {
    /// The next frame that is no comment; none at the end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        // One limit for all frames, because comments keep coming.
        in_time(async {
            loop {
                let chunk = self.chunk().await?;
                if !chunk.starts_with(':') {
                    return Some(chunk);
                }
            }
        })
        .await
    }

    /// The next frame, comments included: the server sends each in a chunk of its own.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let mut length = String::new();
        let line = in_time(self.stream.read_line(&mut length)).await;
        line.expect("a length");
        let length = usize::from_str_radix(length.trim_end(), 16).expect("a length");
        let mut chunk = vec![0; length + 2];
        let read = in_time(self.stream.read_exact(&mut chunk)).await;
        read.expect("a whole chunk");
        chunk.truncate(length);
        (length > 0).then(|| String::from_utf8(chunk).expect("text"))
    }
}

/// The value of a header; empty if there is none.
fn header(head: &str, name: &str) -> String {
    let line = head
        .lines()
        .find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
    line.map(|line| line[name.len() + 1..].trim().to_owned())
        .unwrap_or_default()
}

pub(crate) async fn in_time<T>(wait: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    waited.expect("an answer in time")
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) content_type: String,
    /// Where a redirect leads; empty if it is none.
    pub(crate) location: String,
    /// JSON; any other body as a string.
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Reply {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("a complete head");
        Self {
            status: head[9..12].parse().expect("a status"),
            content_type: header(head, "content-type"),
            location: header(head, "location"),
            body: serde_json::from_str(body).unwrap_or_else(|_| body.into()),
            text: body.to_owned(),
            head: head.to_lowercase(),
        }
    }

    /// Compares status, content type and body with the fixture of this name.
    pub(crate) fn is(&self, name: &str) -> &Self {
        let fixture = fixture(name);
        if let Some(difference) = fixture.difference(self.status, &self.content_type, &self.body) {
            panic!("{name}: {difference}\n{} {}", self.head, self.text);
        }
        self
    }

    pub(crate) fn login_token(&self) -> &Value {
        &self.body["data"]["getLoginTokenFromCredentials"]["loginToken"]["token"]
    }

    /// The tokens of a renewal that succeeded.
    pub(crate) fn renewed(&self) -> Tokens {
        tokens(&self.is("renewed").body["data"]["renewToken"])
    }

    pub(crate) fn message(&self) -> &str {
        self.body["errors"][0]["message"]
            .as_str()
            .unwrap_or_default()
    }
}
