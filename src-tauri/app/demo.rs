//! The demo server: a whole Twenty-compatible server in this process, so that the client can be tried without an account
//! anywhere. It listens on a loopback port that stays the same, because a session is bound to its server's address.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use demo_server::{DemoServer, Options};
use serde::Serialize;
use tauri::plugin::TauriPlugin;
use tauri::{AppHandle, Manager, Runtime, State};

/// `off`: no demo server. `control`: its fault switches can be turned over HTTP, for tests and for the demo's own walk.
const SETTING: &str = "HOLDFAST_DEMO";

/// Tried first where no port is remembered: unassigned, and below the ports that systems hand out by themselves.
const FIRST_PORT: u16 = 27_310;

/// Remembers the port, in the data folder.
const PORT_FILE: &str = "demo-port";

/// The server's own folder, in the data folder.
const DATABASE: &str = "demo";

/// How long quitting waits for the server's last answers: they come from this machine, in milliseconds.
const STOP_LIMIT: Duration = Duration::from_millis(500);

/// Starts the server before the plugins that follow.
pub(crate) fn plugin<R: Runtime>() -> TauriPlugin<R> {
    tauri::plugin::Builder::new("demo")
        .setup(|app, _api| {
            let setting = std::env::var(SETTING).unwrap_or_default();
            let server = if setting == "off" {
                None
            } else {
                let folder = app.path().app_local_data_dir()?;
                tauri::async_runtime::block_on(start(&folder, setting == "control"))
            };
            app.manage(Demo(Mutex::new(server)));
            Ok(())
        })
        .build()
}

/// The address and the account to fill in a sign-in form with; nothing where there is no demo server.
#[tauri::command]
pub(crate) async fn demo_account(demo: State<'_, Demo>) -> Result<Option<Account>, ()> {
    let server = demo.0.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(server.as_ref().map(|server| Account {
        server: server.origin(),
        email: demo_server::DEMO_EMAIL,
        password: demo_server::DEMO_PASSWORD,
    }))
}

/// Stops the server, so that its last answers arrive and its database is closed in order.
pub(crate) fn stop<R: Runtime>(app: &AppHandle<R>) {
    let Some(demo) = app.try_state::<Demo>() else {
        return;
    };
    let server = demo.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(server) = server {
        // Past the limit it is dropped, which closes what is left.
        let stopped = tauri::async_runtime::block_on(async {
            tokio::time::timeout(STOP_LIMIT, server.stop()).await
        });
        if stopped.is_err() {
            tracing::debug!("calls to the demo server were cut off");
        }
    }
}

/// The running server, if there is one.
pub(crate) struct Demo(Mutex<Option<DemoServer>>);

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
    // Zero is any free port: then people sign in to the demo anew, which is better than no demo.
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

fn remembered_port(folder: &Path) -> Option<u16> {
    let text = fs::read_to_string(folder.join(PORT_FILE)).ok()?;
    text.trim().parse().ok().filter(|port| *port != 0)
}

fn remember_port(folder: &Path, port: u16) {
    if let Err(problem) = fs::write(folder.join(PORT_FILE), port.to_string()) {
        tracing::warn!(%problem, "the demo server's port is not remembered: sign in to it anew after a restart");
    }
}
