//! One window, and the plugin for an OAuth 2 server: an authorization server, and an API that takes its tokens.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use tauri::plugin::TauriPlugin;
use tauri::{App, Manager, Runtime, WebviewWindowBuilder};
use tauri_plugin_graphql_session::graphql_session::{Config, OAuth2, OAuth2Client, OAuth2Settings};
use tauri_plugin_graphql_session::{Builder, Settings};

/// The name that the system's keyring shows.
const KEYRING_NAME: &str = "dev.holdfast.example.oauth";

/// Opens the window, and returns when it has been closed.
pub fn run() {
    tauri::Builder::default()
        .setup(open)
        .run(tauri::generate_context!())
        .expect("the application runs");
}

/// The plugin first: it guards the windows that are opened after it. So the window of the configuration has `create: false`.
fn open<R: Runtime>(app: &mut App<R>) -> Result<(), Box<dyn Error>> {
    let folder = app.path().app_local_data_dir()?.join("graphql-session");
    app.handle().plugin(session(folder))?;
    let windows = app.config().app.windows.clone();
    for window in &windows {
        WebviewWindowBuilder::from_config(app, window)?.build()?;
    }
    Ok(())
}

/// The session: people sign in by browser, at the server that the page names.
fn session<R: Runtime>(folder: PathBuf) -> TauriPlugin<R, Settings> {
    let mut config = Config::new(KEYRING_NAME, folder);
    config.protocol = Arc::new(OAuth2::new(OAuth2Settings {
        // Registered at the server by a person. A server that registers applications itself needs a name in its place.
        client: OAuth2Client::Id("desktop".into()),
        scopes: ["openid", "offline_access", "email"].map(Into::into).into(),
        // Without it, OpenID Connect has servers leave `offline_access` out, and issue no refresh token.
        authorization_parameters: vec![("prompt".into(), "consent".into())],
        ..OAuth2Settings::default()
    }));
    Builder::new().session(config).build()
}
