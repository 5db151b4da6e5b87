//! A small application with its windows and its server.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use demo_server::{Counter, Counts, DEMO_EMAIL, DEMO_PASSWORD, DemoServer, Options, Switches};
use graphql_session_testing::{EMAIL, FaultServer, PASSWORD};
use serde_json::{Value, json};
use tauri::http::HeaderMap;
use tauri::ipc::{CallbackFn, InvokeBody, InvokeResponseBody};
use tauri::test::{
    INVOKE_KEY, MockRuntime, NoopAsset, get_ipc_response, mock_builder, mock_context, noop_assets,
};
use tauri::utils::acl::capability::Capability;
use tauri::utils::acl::manifest::{Manifest, PermissionFile};
use tauri::utils::acl::resolved::Resolved;
use tauri::utils::platform::Target;
use tauri::webview::InvokeRequest;
use tauri::{App, Context, Listener, WebviewWindow, WebviewWindowBuilder};
use tauri_plugin_graphql_session::graphql_session::{
    Config, MemoryVault, Session, SystemClock, Vault,
};
use tauri_plugin_graphql_session::{Builder, GraphqlSessionExt};

/// How long anything may take before a test fails. A test that passes never waits this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// The query of most tests.
pub(crate) const PEOPLE: &str = "query People { people(first: 1) { totalCount } }";

/// The permissions of the windows in most tests: all of the plugin, without Tauri's `emit`.
pub(crate) const EVERYTHING: &[&str] = &[
    "graphql-session:default",
    "graphql-session:sign-in",
    "graphql-session:allow-journal",
    "graphql-session:allow-diagnostics",
];

/// One application and its demo server.
pub(crate) struct TestApp {
    pub(crate) app: App<MockRuntime>,
    pub(crate) switches: Switches,
    pub(crate) vault: Arc<MemoryVault>,
    server: Option<DemoServer>,
    origin: String,
    messages: Arc<(Mutex<Messages>, Condvar)>,
    _folder: tempfile::TempDir,
}

/// The messages of each channel, in order, by the channel's number.
type Messages = BTreeMap<u32, Vec<Value>>;

impl TestApp {
    pub(crate) fn open() -> Self {
        Self::open_with(EVERYTHING, |builder, _| builder)
    }

    /// `further` changes the plugin's builder. It gets a function that makes configurations of more accounts.
    pub(crate) fn open_with(
        permissions: &[&str],
        further: impl FnOnce(Builder, &dyn Fn(&str) -> Config) -> Builder,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the state files");
        let vault = Arc::new(MemoryVault::new());
        let configure = |account: &str| {
            let mut config = Config::new("plugin-test", folder.path());
            config.account = account.to_owned();
            config.vault = vault.clone();
            // Calls that wait for a failed renewal fail soon.
            config.limits.attempt_timeout = Duration::from_secs(5);
            config.limits.renewal_timeout = Duration::from_secs(5);
            config
        };
        let plugin = further(Builder::new().session(configure("default")), &configure);
        let messages = Arc::new((Mutex::new(Messages::new()), Condvar::new()));
        let received = messages.clone();
        let app = mock_builder()
            .channel_interceptor(move |_, channel, _, message| {
                let message = match message {
                    InvokeResponseBody::Json(text) => serde_json::from_str(text).expect("JSON"),
                    InvokeResponseBody::Raw(_) => panic!("messages travel as JSON"),
                };
                let mut so_far = received.0.lock().expect("no panic");
                so_far.entry(channel.0).or_default().push(message);
                received.1.notify_all();
                true
            })
            .plugin(plugin.build())
            .build(context(permissions))
            .expect("the application starts");
        let server = wait(DemoServer::start(Options::default())).expect("the demo server starts");
        Self {
            app,
            switches: server.switches(),
            vault,
            origin: server.origin(),
            server: Some(server),
            messages,
            _folder: folder,
        }
    }

    /// Opens a window with a page in it.
    pub(crate) fn window(&self, label: &str) -> Page {
        let window = WebviewWindowBuilder::new(&self.app, label, tauri::WebviewUrl::default())
            .build()
            .expect("a window opens");
        let events = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        for event in ["changed", "logout"] {
            let events = events.clone();
            window.listen(format!("graphql-session://{event}"), move |hint| {
                let payload = serde_json::from_str(hint.payload()).expect("a hint is JSON");
                events.0.lock().expect("no panic").push((event, payload));
                events.1.notify_all();
            });
        }
        Page {
            window,
            events,
            origin: self.origin.clone(),
        }
    }

    /// Opens windows, and signs in once.
    pub(crate) fn signed_in_windows<const COUNT: usize>(&self) -> [Page; COUNT] {
        let pages = std::array::from_fn(|index| match index {
            0 => self.window("main"),
            _ => self.window(&format!("main-{}", index + 1)),
        });
        pages[0].sign_in().expect("the demo account signs in");
        pages
    }

    /// Opens a window and signs in there.
    pub(crate) fn signed_in_window(&self, label: &str) -> Page {
        let page = self.window(label);
        page.sign_in().expect("the demo account signs in");
        page
    }

    pub(crate) fn session(&self) -> Session {
        self.app.graphql_session().expect("the plugin is set up")
    }

    /// Starts with a window that is signed in.
    pub(crate) fn signed_in() -> (Self, Page) {
        let app = Self::open();
        let page = app.signed_in_window("main");
        (app, page)
    }

    /// Closes a window. The mock runtime reports no destroyed window, so this tells the plugin.
    pub(crate) fn close(&self, page: Page) {
        let label = page.window.label().to_owned();
        page.window.destroy().expect("the window closes");
        self.app.handle().forget_window_calls(&label);
    }

    /// Lets the window load a page. The mock runtime loads none, so this tells the plugin.
    pub(crate) fn load_page(&self, page: &Page) {
        self.app.handle().forget_page(page.window.label());
    }

    /// Waits for the first `count` messages of a channel; returns all that have come.
    pub(crate) fn messages(&self, channel: u32, count: usize) -> Vec<Value> {
        let messages = self.messages.0.lock().expect("no panic");
        let so_far = |messages: &Messages| messages.get(&channel).map_or(0, Vec::len);
        let (messages, limit) = self
            .messages
            .1
            .wait_timeout_while(messages, PATIENCE, |messages| so_far(messages) < count)
            .expect("no panic");
        assert!(!limit.timed_out(), "only {} messages", so_far(&messages));
        messages.get(&channel).cloned().unwrap_or_default()
    }

    pub(crate) fn expire_access_tokens(&self) {
        wait(self.switches.expire_access_tokens()).expect("the switch turns");
    }

    pub(crate) fn revoke_refresh_tokens(&self) {
        wait(self.switches.revoke_refresh_tokens()).expect("the switch turns");
    }

    pub(crate) fn stop_server(&mut self) {
        if let Some(server) = self.server.take() {
            wait(server.stop());
        }
    }

    /// Waits until the server's counter has reached the number.
    pub(crate) fn wait_for(&self, counter: Counter, at_least: u64) -> Counts {
        wait(self.switches.wait_for(counter, at_least))
    }

    /// The stored credentials as text, or `None`.
    pub(crate) fn stored(&self) -> Option<String> {
        let stored = self.vault.read("default").expect("memory can be read");
        stored.map(|text| secrecy::ExposeSecret::expose_secret(&text).to_owned())
    }
}

/// An event that a window received: `changed` or `logout`, and its payload.
pub(crate) type WindowEvent = (&'static str, Value);

/// A page in one window.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) window: WebviewWindow<MockRuntime>,
    events: Arc<(Mutex<Vec<WindowEvent>>, Condvar)>,
    origin: String,
}

/// The result of a command, as the page sees it.
pub(crate) type Answer = Result<Value, Value>;

impl Page {
    pub(crate) fn invoke(&self, command: &str, args: Value) -> Answer {
        let command = format!("plugin:graphql-session|{command}");
        self.invoke_raw(&command, InvokeBody::Json(args), HeaderMap::new())
            .map(|body| body.deserialize().expect("an answer in JSON"))
    }

    /// The demo server's address.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn status(&self) -> Value {
        self.invoke("status", json!({})).expect("a status")
    }

    /// Signs in at a scriptable server.
    pub(crate) fn sign_in_at(&self, server: &FaultServer) {
        let request = json!({ "server": server.address() });
        let login = json!({ "email": EMAIL, "password": PASSWORD });
        self.sign_in_by_password(request, login).expect("signs in");
    }

    pub(crate) fn sign_in(&self) -> Answer {
        self.sign_in_with(DEMO_EMAIL, json!(DEMO_PASSWORD))
    }

    pub(crate) fn sign_in_with(&self, email: &str, password: Value) -> Answer {
        let login = json!({ "email": email, "password": password });
        self.sign_in_by_password(json!({ "server": self.origin }), login)
    }

    /// Signs in, and answers the one step that a password needs; returns the status, or null where there are more steps.
    pub(crate) fn sign_in_by_password(&self, mut request: Value, login: Value) -> Answer {
        let id = new_id();
        request["signInId"] = json!(id);
        request["method"] = json!("password");
        let asked = self.invoke("sign_in", request)?;
        assert_eq!(asked["step"], json!({ "kind": "password" }));
        let answer = json!({ "signInId": id, "number": asked["number"], "answer": login });
        let mut progress = self.invoke("answer_sign_in", answer)?;
        Ok(progress["status"].take())
    }

    /// Runs a GraphQL request on an endpoint; returns the reply's body.
    pub(crate) fn execute(&self, endpoint: &str, query: &str) -> Answer {
        let metadata = json!({ "requestId": new_id(), "endpoint": endpoint });
        let reply = self.execute_as(metadata, query)?;
        Ok(reply.body)
    }

    /// The same on a thread, while the test goes on.
    pub(crate) fn execute_in_background(
        &self,
        endpoint: &'static str,
        query: &'static str,
    ) -> JoinHandle<Answer> {
        let page = self.clone();
        std::thread::spawn(move || page.execute(endpoint, query))
    }

    /// Runs a GraphQL request with this metadata.
    pub(crate) fn execute_as(&self, metadata: Value, query: &str) -> Result<Reply, Value> {
        let body = json!({ "query": query }).to_string().into_bytes();
        self.invoke_bytes("execute", &metadata, body)
            .map(Reply::read)
    }

    /// Runs a command that takes bytes, with this metadata in its header.
    pub(crate) fn invoke_bytes(
        &self,
        command: &str,
        metadata: &Value,
        bytes: Vec<u8>,
    ) -> Result<InvokeResponseBody, Value> {
        let mut headers = HeaderMap::new();
        let metadata = metadata.to_string().parse().expect("a header's value");
        headers.insert("x-graphql-session", metadata);
        let command = format!("plugin:graphql-session|{command}");
        self.invoke_raw(&command, InvokeBody::Raw(bytes), headers)
    }

    pub(crate) fn invoke_raw(
        &self,
        command: &str,
        body: InvokeBody,
        headers: HeaderMap,
    ) -> Result<InvokeResponseBody, Value> {
        get_ipc_response(
            &self.window,
            InvokeRequest {
                cmd: command.to_owned(),
                callback: CallbackFn(0),
                error: CallbackFn(1),
                url: "tauri://localhost".parse().expect("an address"),
                body,
                headers,
                invoke_key: INVOKE_KEY.to_owned(),
            },
        )
    }

    /// The events that the window has received so far, in order.
    pub(crate) fn events(&self) -> Vec<WindowEvent> {
        self.events.0.lock().expect("no panic").clone()
    }

    /// Waits until the window has received this event. Events of one session come in order, so all before it have come.
    pub(crate) fn wait_for_event(&self, event: &str, phase: &str, revision: u64) {
        let events = self.events.0.lock().expect("no panic");
        let is_meant = |hint: &WindowEvent| {
            hint.0 == event
                && hint.1["phase"] == phase
                && hint.1["revision"].as_u64() >= Some(revision)
        };
        let (events, limit) = self
            .events
            .1
            .wait_timeout_while(events, PATIENCE, |events| !events.iter().any(is_meant))
            .expect("no panic");
        assert!(!limit.timed_out(), "no {event} {phase}: {events:?}");
    }

    /// Waits until the window knows of this status, which a command has answered.
    pub(crate) fn wait_for_change(&self, status: &Value) {
        let phase = status["phase"].as_str().expect("a word");
        let revision = status["revision"].as_u64().expect("a number");
        self.wait_for_event("changed", phase, revision);
    }

    pub(crate) fn logouts(&self) -> usize {
        let is_logout = |(event, _): &&WindowEvent| *event == "logout";
        self.events().iter().filter(is_logout).count()
    }
}

/// The code with which a command failed; null where it did not fail.
pub(crate) fn code<T>(answer: Result<T, Value>) -> Value {
    answer.map_or_else(|error| error["code"].clone(), |_| Value::Null)
}

/// The command failed with this code.
#[track_caller]
pub(crate) fn assert_fails<T>(answer: Result<T, Value>, with: &str) {
    assert_eq!(code(answer), with);
}

/// The answer of a call that runs on a thread.
#[track_caller]
pub(crate) fn joined<T>(call: JoinHandle<T>) -> T {
    eventually("the call settles", || call.is_finished());
    call.join().expect("no panic")
}

/// A server's reply, as `execute` frames it.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) head: Value,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn read(raw: InvokeResponseBody) -> Self {
        let (head, body) = unframe(raw);
        Self {
            head,
            body: serde_json::from_slice(&body).expect("a body in JSON"),
        }
    }
}

/// The head of a framed reply, and the server's bytes.
pub(crate) fn unframe(raw: InvokeResponseBody) -> (Value, Vec<u8>) {
    let InvokeResponseBody::Raw(bytes) = raw else {
        panic!("replies travel as bytes");
    };
    let (length, rest) = bytes.split_at(4);
    let length = u32::from_be_bytes(length.try_into().expect("four bytes"));
    let (head, body) = rest.split_at(usize::try_from(length).expect("a short head"));
    let head = serde_json::from_slice(head).expect("a head in JSON");
    (head, body.to_vec())
}

/// A server with scripted answers, for use instead of the demo server.
pub(crate) fn scriptable_server() -> FaultServer {
    wait(FaultServer::start(Arc::new(SystemClock::new())))
}

/// A request id that no other call of this test run has.
pub(crate) fn new_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("call-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Runs a future to its end, or fails.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    tauri::async_runtime::block_on(async {
        tokio::time::timeout(PATIENCE, future)
            .await
            .expect("within the time limit")
    })
}

/// Waits until it is true, or fails.
pub(crate) fn eventually(what: &str, is_true: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < PATIENCE, "never came true: {what}");
        std::thread::yield_now();
    }
}

/// An application context in which every window has these permissions of the plugin.
pub(crate) fn context(permissions: &[&str]) -> Context<MockRuntime> {
    let capability: Capability = serde_json::from_value(json!({
        "identifier": "test", "windows": ["*"], "permissions": permissions,
    }))
    .expect("a capability");
    let acl = BTreeMap::from([("graphql-session".to_owned(), manifest())]);
    let capabilities = BTreeMap::from([("test".to_owned(), capability)]);
    let resolved =
        Resolved::resolve(&acl, capabilities, Target::current()).expect("known permissions");
    let mut context = mock_context::<MockRuntime, NoopAsset>(noop_assets());
    *context.runtime_authority_mut() = tauri::runtime_authority!(acl, resolved);
    context
}

/// The plugin's permissions, from the files that it ships.
fn manifest() -> Manifest {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("permissions");
    let files = [folder.join("autogenerated/commands"), folder]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).expect("the plugin's permissions"))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a readable file");
            toml::from_str::<PermissionFile>(&text).expect("a permission file")
        })
        .collect();
    Manifest::new(files, None)
}
