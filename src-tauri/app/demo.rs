//! The demo server: a whole Twenty-compatible server in this process, so that the client can be tried without an account
//! anywhere. It listens on a loopback port that stays the same, because a session is bound to its server's address.
//!
//! It takes 16 MB, so it runs only for those who use it: from the sign-in form on, and at each start at which the stored
//! session is one with it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use demo_server::{DemoServer, Options};
use serde::Serialize;
use tauri::plugin::TauriPlugin;
use tauri::{AppHandle, Manager, Runtime, State};
use tauri_plugin_graphql_session::GraphqlSessionExt;
use tokio::sync::Mutex;

/// `off`: no demo server. `control`: it runs from the start, and its fault switches can be turned over HTTP, for tests and
/// for the demo's own walk.
const SETTING: &str = "HOLDFAST_DEMO";

/// Tried first where no port is remembered: unassigned, and below the ports that systems hand out by themselves.
const FIRST_PORT: u16 = 27_310;

/// Remembers the port, in the data folder.
const PORT_FILE: &str = "demo-port";

/// There where the last session was one with the demo server, so that the server runs before the session opens. In the
/// data folder.
const IN_USE_FILE: &str = "demo-in-use";

/// The server's own folder, in the data folder.
const DATABASE: &str = "demo";

/// How long quitting waits for the server's last answers: they come from this machine, in milliseconds.
const STOP_LIMIT: Duration = Duration::from_millis(500);

/// Where the server listens, once it has started. It starts once.
static ORIGIN: OnceLock<String> = OnceLock::new();

/// Whether this is the address of the demo server that runs in this process: people sign in there without being asked.
pub(crate) fn is_own_server(origin: &str) -> bool {
    ORIGIN.get().is_some_and(|own| own == origin)
}

/// Starts the server before the plugins that follow, where the stored session needs it.
pub(crate) fn plugin<R: Runtime>() -> TauriPlugin<R> {
    tauri::plugin::Builder::new("demo")
        .setup(|app, _api| {
            let setting = std::env::var(SETTING).unwrap_or_default();
            let demo = Demo {
                folder: app.path().app_local_data_dir()?,
                is_off: setting == "off",
                has_switches: setting == "control",
                server: Mutex::new(None),
            };
            if demo.has_switches || demo.in_use_file().exists() {
                tauri::async_runtime::block_on(demo.run());
            }
            app.manage(demo);
            Ok(())
        })
        .build()
}

/// The address and the account to fill in a sign-in form with, at a server that runs from now on; nothing where there is
/// no demo server.
#[tauri::command]
pub(crate) async fn demo_account(demo: State<'_, Demo>) -> Result<Option<Account>, ()> {
    Ok(demo.run().await)
}

/// Keeps in mind whether the session is one with the demo server, for the next start. Where it was not kept in mind, the
/// server starts now.
pub(crate) fn follow_session<R: Runtime>(app: &AppHandle<R>) {
    let Some(session) = app.graphql_session() else {
        return;
    };
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        let mut changes = session.changes();
        loop {
            let server = changes.borrow_and_update().server.clone();
            app.state::<Demo>().note_use(server.as_deref()).await;
            if changes.changed().await.is_err() {
                return;
            }
        }
    });
}

/// Stops the server, so that its last answers arrive and its database is closed in order.
pub(crate) fn stop<R: Runtime>(app: &AppHandle<R>) {
    let Some(demo) = app.try_state::<Demo>() else {
        return;
    };
    let stopping = async {
        // It may be starting just now: its first database takes seconds.
        if let Some(server) = demo.server.lock().await.take() {
            server.stop().await;
        }
    };
    // Past the limit it is dropped, which closes what is left.
    let stopping = async { tokio::time::timeout(STOP_LIMIT, stopping).await };
    if tauri::async_runtime::block_on(stopping).is_err() {
        tracing::debug!("the demo server was cut off");
    }
}

/// The demo server, which may not run yet.
pub(crate) struct Demo {
    folder: PathBuf,
    is_off: bool,
    has_switches: bool,
    /// Held while it starts: two windows that ask at once get the same one.
    server: Mutex<Option<DemoServer>>,
}

impl Demo {
    /// From now on, unless it is off or cannot start.
    async fn run(&self) -> Option<Account> {
        if self.is_off {
            return None;
        }
        let mut server = self.server.lock().await;
        if server.is_none() {
            *server = start(&self.folder, self.has_switches).await;
        }
        server.as_ref().map(|server| Account {
            server: server.origin(),
            email: demo_server::DEMO_EMAIL,
            password: demo_server::DEMO_PASSWORD,
        })
    }

    async fn note_use(&self, session_at: Option<&str>) {
        // By the port, whether it runs or not: while it is off, a session with it is still one with it.
        let demo_at = remembered_port(&self.folder).map(origin);
        let is_in_use = demo_at.is_some() && demo_at.as_deref() == session_at;
        let file = self.in_use_file();
        if is_in_use == file.exists() {
            return;
        }
        let noted = if is_in_use {
            self.run().await;
            fs::write(file, "")
        } else {
            fs::remove_file(file)
        };
        if let Err(problem) = noted {
            tracing::warn!(%problem, "the demo server may not run at the next start: open the sign-in form then");
        }
    }

    fn in_use_file(&self) -> PathBuf {
        self.folder.join(IN_USE_FILE)
    }
}

/// What the sign-in form is filled in with. The password is no secret: everyone's demo has the same.
#[derive(Serialize)]
pub(crate) struct Account {
    server: String,
    email: &'static str,
    password: &'static str,
}

/// Without the demo server the client still works with a person's own server, so a failure is only logged.
async fn start(folder: &Path, control: bool) -> Option<DemoServer> {
    if let Err(problem) = fs::create_dir_all(folder) {
        tracing::warn!(%problem, "no folder for the demo server, so it does not run");
        return None;
    }
    let remembered = remembered_port(folder);
    let mut refused = None;
    // Zero is any free port. People then sign in to the demo again, which is better than no demo.
    for port in [remembered.unwrap_or(FIRST_PORT), 0] {
        let options = Options {
            port,
            data: Some(folder.join(DATABASE)),
            control,
            ..Options::default()
        };
        match DemoServer::start(options).await {
            Ok(server) => {
                let port = server.address().port();
                ORIGIN.get_or_init(|| server.origin());
                if remembered != Some(port) {
                    remember_port(folder, port);
                }
                return Some(server);
            }
            Err(problem) => refused = Some(problem),
        }
    }
    if let Some(problem) = refused {
        tracing::warn!(%problem, "the demo server does not run");
    }
    None
}

/// Its address, as a session knows it.
fn origin(port: u16) -> String {
    format!("http://{}", SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

fn remembered_port(folder: &Path) -> Option<u16> {
    let text = fs::read_to_string(folder.join(PORT_FILE)).ok()?;
    text.trim().parse().ok().filter(|port| *port != 0)
}

fn remember_port(folder: &Path, port: u16) {
    if let Err(problem) = fs::write(folder.join(PORT_FILE), port.to_string()) {
        tracing::warn!(%problem, "the demo server's port is not remembered: sign in to it anew after a restart");
    }
}
