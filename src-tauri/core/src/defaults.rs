//! The settings that a session has where an application names no others. In a file of its own: the settings know no kind of
//! server, and their default is one.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::SystemClock;
use crate::config::{Config, DEFAULT_ACCOUNT, Limits};
#[cfg(feature = "keyring")]
use crate::error::Error;
use crate::files::SystemFiles;
use crate::network::SystemNetwork;
use crate::protocol::Twenty;
use crate::vault::Vault;

impl Config {
    /// The defaults for an application called `app`, the name that the keyring shows. Debug builds append `-debug` to it, and
    /// `debug` to the folder, so that a developer's run never touches the installed application's session. Needs the feature
    /// `keyring`, which is on by default.
    #[cfg(feature = "keyring")]
    pub fn new(app: &str, state_dir: impl Into<PathBuf>) -> Self {
        let (mut service, mut state_dir) = (app.to_owned(), state_dir.into());
        if cfg!(debug_assertions) {
            service.push_str("-debug");
            state_dir.push("debug");
        }
        Self::with_vault(state_dir, crate::vault::Keyring::new(service))
    }

    /// The defaults with a vault of your own.
    pub fn with_vault(state_dir: impl Into<PathBuf>, vault: impl Vault) -> Self {
        Self {
            account: DEFAULT_ACCOUNT.to_owned(),
            state_dir: state_dir.into(),
            server: None,
            end_after: None,
            extra_root_certificates: String::new(),
            allow_insecure: Vec::new(),
            allowed_headers: Vec::new(),
            limits: Limits::default(),
            protocol: Arc::new(Twenty::new()),
            vault: Arc::new(vault),
            file_system: Arc::new(SystemFiles),
            network: Arc::new(SystemNetwork),
            requires_lock: false,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The same, changed by settings such as an application keeps in a JSON file:
    ///
    /// ```
    /// # use graphql_session::Config;
    /// # let folder = std::env::temp_dir();
    /// let settings = serde_json::json!({
    ///     "account": "work",
    ///     "server": "https://crm.example.com",
    ///     "endAfterSeconds": 86400,
    ///     "limits": { "attemptTimeoutMs": 10000, "callTimeoutMs": 75000 }
    /// });
    /// let config = Config::from_json("my-app", folder, &settings)?;
    /// assert_eq!(config.account, "work");
    /// # Ok::<(), graphql_session::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Config`](crate::Code::Config) with the key's name, for a key that does not exist or a value of the wrong type.
    #[cfg(feature = "keyring")]
    pub fn from_json(
        app: &str,
        state_dir: impl Into<PathBuf>,
        settings: &serde_json::Value,
    ) -> Result<Self, Error> {
        Self::new(app, state_dir).with_settings(settings)
    }
}
