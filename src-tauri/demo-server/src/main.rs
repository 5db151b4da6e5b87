//! The demo server on its own: `demo-server [--port N] [--data DIR] [--control]`.

use std::path::PathBuf;
use std::process::ExitCode;

use demo_server::{DemoServer, Options};
use tracing_subscriber::EnvFilter;

const USAGE: &str = "usage: demo-server [--port N] [--data DIR] [--control]
  --port N    port on 127.0.0.1 (default 3900; 0 takes any free one)
  --data DIR  folder of the database (default: in memory)
  --control   allow POST /demo/switches and GET /demo/counts";

/// One above the ports that Twenty's own development servers take.
const DEFAULT_PORT: u16 = 3900;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let server = match DemoServer::start(options).await {
        Ok(server) => server,
        Err(error) => {
            eprintln!("demo-server: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!(
        "{}  (Ctrl-C stops)  Sign in as:\n{}",
        server.origin(),
        demo_server::people()
    );
    // Where signals cannot be watched, the server simply runs until it is killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    server.stop().await;
    ExitCode::SUCCESS
}

fn options(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        port: DEFAULT_PORT,
        ..Options::default()
    };
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--port" => {
                options.port = value()?
                    .parse()
                    .map_err(|_| "--port needs a number up to 65535".to_owned())?
            }
            "--data" => options.data = Some(PathBuf::from(value()?)),
            "--control" => options.control = true,
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    Ok(options)
}
