//! What a call costs in the real window: through the session's `execute`, beside the page's own `fetch` to the same
//! server, an empty command with a reply of the same length, and the request alone. All take turns in one run.
//!
//! The page (`src/main.ts`) keeps the time, this side answers it and prints what it found. The server is a process of its
//! own, this binary with a role.

#[path = "../../../bare_client.rs"]
mod bare_client;
mod figures;
mod memory;
mod server;
#[path = "../../../server_process.rs"]
mod server_process;

use std::sync::Arc;
use std::time::Instant;

use bare_client::bare_client;
use figures::Figures;
use jiff::{SignedDuration, Timestamp};
use server::LENGTH_HEADER;
use server_process::ServerProcess;
use tauri::ipc::{Request, Response};
use tauri::{AppHandle, State};
use tauri_plugin_graphql_session::graphql_session::{Config, Expiry, MemoryVault, Tokens};
use tauri_plugin_graphql_session::{Builder, GraphqlSessionExt};

/// Longer than any run, so that no renewal is in the figures.
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// What both sides send: as short as requests usually are.
const QUERY: &str = r#"{"query":"query People { people { id } }"}"#;

const ROLE: &str = "HOLDFAST_BENCH_ROLE";

fn main() {
    if cfg!(debug_assertions) {
        eprintln!("A debug build's figures would say nothing. Run: make bench-window");
        std::process::exit(2);
    }
    if std::env::var_os(ROLE).is_some() {
        return tauri::async_runtime::block_on(server::serve());
    }
    let server = ServerProcess::start(|command| {
        command.env(ROLE, "server");
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut config = Config::new("bench", folder.path());
    config.vault = Arc::new(MemoryVault::new());
    config.allowed_headers = vec![LENGTH_HEADER.to_owned()];
    let bench = Bench {
        origin: server.origin.clone(),
        client: bare_client(),
    };
    let app = tauri::Builder::default()
        .plugin(Builder::new().session(config).build())
        .manage(bench)
        .invoke_handler(tauri::generate_handler![
            beginning,
            empty,
            request,
            memory::watch_memory,
            memory::peak_memory,
            report,
            fail,
        ])
        .setup({
            let origin = server.origin.clone();
            move |app| {
                let session = app.graphql_session().expect("the plugin's session");
                let signing_in = session.sign_in_with_tokens(&origin, None, tokens());
                tauri::async_runtime::block_on(signing_in)?;
                Ok(())
            }
        })
        .build(tauri::generate_context!())
        .expect("the application starts");
    let status = app.run_return(|_, _| {});
    drop((server, folder));
    std::process::exit(status);
}

/// Nobody checks them.
fn tokens() -> Tokens {
    Tokens {
        refresh: Some("r".into()),
        ..Tokens::of("t".into(), Expiry::At(Timestamp::now() + LIFETIME))
    }
}

struct Bench {
    origin: String,
    client: reqwest::Client,
}

/// Where the server is, and what to send to it.
#[tauri::command]
async fn beginning(bench: State<'_, Bench>) -> Result<(String, &'static str), String> {
    Ok((bench.origin.clone(), QUERY))
}

/// The floor: a command that does nothing, with a reply of the length that is asked for.
#[tauri::command]
async fn empty(request: Request<'_>) -> Result<Response, String> {
    let asked = request
        .headers()
        .get(LENGTH_HEADER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let length = asked.ok_or("a length is missing")?;
    Ok(Response::new(vec![b'x'; length]))
}

/// The request alone: so many in a row without a session, and how long one took, in milliseconds.
#[tauri::command]
async fn request(bench: State<'_, Bench>, length: usize, calls: u32) -> Result<f64, String> {
    let began = Instant::now();
    for _ in 0..calls {
        let body = bench.request(length).await.map_err(|e| e.to_string())?;
        if body != length {
            return Err(format!("{body} bytes came instead of {length}"));
        }
    }
    Ok(began.elapsed().as_secs_f64() * 1e3 / f64::from(calls))
}

impl Bench {
    async fn request(&self, length: usize) -> reqwest::Result<usize> {
        let reply = self
            .client
            .post(format!("{}/graphql", self.origin))
            .header("content-type", "application/json")
            .header(LENGTH_HEADER, length)
            .bearer_auth("t")
            .body(QUERY)
            .send()
            .await?;
        Ok(reply.bytes().await?.len())
    }
}

/// The page is done.
#[tauri::command]
async fn report(app: AppHandle, figures: Figures) {
    figures.print();
    app.exit(0);
}

/// The page cannot go on.
#[tauri::command]
async fn fail(app: AppHandle, problem: String) {
    eprintln!("The page failed: {problem}");
    app.exit(1);
}
