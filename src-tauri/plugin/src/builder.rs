//! Builds the plugin: settings, sessions, and what happens when windows close and the application quits.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use graphql_session::{Call, Code, Config, Error, OperationKind, Session};
use tauri::plugin::TauriPlugin;
use tauri::webview::PageLoadEvent;
use tauri::{AppHandle, Manager, RunEvent, Runtime, Url, Webview, WindowEvent};

use crate::accounts::Accounts;
use crate::broadcast;
use crate::calls::{CallLimits, Calls};
use crate::commands;
use crate::dialog;
use crate::extension::GraphqlSessionExt;
use crate::navigation::{AllowedNavigation, is_inside};
use crate::opener::{self, OpenBrowser};
use crate::prefetch::Prefetch;
use crate::servers::{Confirm, IsTrusted, ServerChange, Servers, confirm_with};
use crate::sign_ins::SignIns;
use crate::streams::Streams;
use crate::uploads::{UploadLimits, Uploads};

/// The value of `plugins.graphql-session` in `tauri.conf.json`: an object as
/// [`Config::from_json`] reads it, or nothing.
pub type Settings = Option<serde_json::Value>;

/// Folder of the state files, below the application's own data folder. Debug and release builds differ, so that a
/// developer's run never touches the installed application's session.
const STATE_FOLDER: &str = if cfg!(debug_assertions) {
    "graphql-session-debug"
} else {
    "graphql-session"
};

/// How long quitting waits beyond `limits.quitTimeoutMs`. A session stops waiting at that limit itself; the margin lets
/// it say how it was left.
const CLOSE_MARGIN: Duration = Duration::from_millis(500);

/// Tauri's handler, from `command_list!`.
macro_rules! handler {
    ($($_permission:literal { $($command:ident),+ })+) => {
        tauri::generate_handler![$($(commands::$command),+),+]
    };
}

/// Builds the plugin with several accounts, own configurations or another folder. Otherwise [`init`](crate::init) is
/// enough.
///
/// ```no_run
/// # use tauri_plugin_graphql_session::{Builder, graphql_session::Config};
/// let mut archive = Config::new("my-app", "/var/lib/my-app/sessions");
/// archive.account = "archive".to_owned();
/// tauri::Builder::default()
///     .plugin(
///         Builder::new()
///             .session(archive)
///             .window_account("archive", "archive")
///             .build(),
///     )
/// #   ;
/// ```
#[derive(Default)]
pub struct Builder {
    state_dir: Option<PathBuf>,
    configs: Vec<Config>,
    by_window: HashMap<String, String>,
    are_confined: bool,
    prefetch: Option<Call>,
    allowed_navigation: Option<AllowedNavigation>,
    confirm: Option<Confirm>,
    is_trusted: Option<IsTrusted>,
    open_browser: Option<OpenBrowser>,
}

impl Builder {
    /// One account, configured by `tauri.conf.json`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Folder of the state files of the account in `tauri.conf.json`. Default: `graphql-session` in the application's
    /// local data folder (debug builds: `graphql-session-debug`).
    #[must_use]
    pub fn state_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(folder.into());
        self
    }

    /// Adds an account with its own configuration. The account from `tauri.conf.json` comes first, if the plugin has
    /// settings there. The first account is the default one.
    #[must_use]
    pub fn session(mut self, config: Config) -> Self {
        self.configs.push(config);
        self
    }

    /// Sets the account that the commands of one window use where they name none. Default: the first account.
    #[must_use]
    pub fn window_account(mut self, label: impl Into<String>, account: impl Into<String>) -> Self {
        self.by_window.insert(label.into(), account.into());
        self
    }

    /// Confines each window to its own account: it can neither use another one in a command, nor hear of its changes. Default:
    /// every window may name any account, and hears of all.
    #[must_use]
    pub fn confine_windows(mut self) -> Self {
        self.are_confined = true;
        self
    }

    /// Sends this query of the default account as soon as a stored session is open, while the first window still loads
    /// its page. The first page that makes the same call gets the reply. Other calls are sent as usual.
    ///
    /// A call is the same if these match: account and endpoint; the body, byte for byte; all headers with their values.
    /// The order of the headers and the case of their names do not matter. A deadline set here is not used: the page's
    /// deadline counts, for the prefetch too.
    ///
    /// The page gets a reply with HTTP status 2xx, with data, without errors, and of the same session. If the server is
    /// away or takes too long while the page waits, the page gets that error. In all other cases its own call is sent, in
    /// the rest of its time. The prefetch is dropped after 10 s, when the session is over, and when a page of the same
    /// account runs anything but a query.
    ///
    /// The plugin's setup fails if this is anything but one query ([`Call::operation`]).
    #[must_use]
    pub fn prefetch(mut self, query: Call) -> Self {
        self.prefetch = Some(query);
        self
    }

    /// Asks the person, in place of the system's dialog, before an account signs in at another server than so far. The
    /// function resolves to whether the person agrees. It must not ask in a page: a script there could answer.
    #[must_use]
    pub fn confirm_server<F, A>(mut self, ask: F) -> Self
    where
        F: Fn(ServerChange) -> A + Send + Sync + 'static,
        A: Future<Output = bool> + Send + 'static,
    {
        self.confirm = Some(confirm_with(ask));
        self
    }

    /// Origins (`http://127.0.0.1:3900`) at which people may sign in without being asked, because the server is the
    /// application's own. Default: none.
    #[must_use]
    pub fn trust_server(
        mut self,
        is_trusted: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.is_trusted = Some(Arc::new(is_trusted));
        self
    }

    /// Opens the address of a sign-in in a browser, in place of the system's own way. The function runs on a thread of its own
    /// and may block. An error makes the page show the address to the person.
    #[must_use]
    pub fn open_browser(
        mut self,
        open: impl Fn(&str) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.open_browser = Some(Arc::new(open));
        self
    }

    /// Lets windows go to addresses outside of the application, such as a page of help: the function gets the window's
    /// label and the address. Default: none. Every window stays at the application's own page then, whatever a script, a
    /// form, a link or a redirect asks for. A page that is led elsewhere could take data along in the address.
    #[must_use]
    pub fn allow_navigation(
        mut self,
        is_allowed: impl Fn(&str, &Url) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.allowed_navigation = Some(Box::new(is_allowed));
        self
    }

    /// Builds the plugin. If a setting is wrong, its setup fails with the name of the key.
    pub fn build<R: Runtime>(mut self) -> TauriPlugin<R, Settings> {
        let allowed = self.allowed_navigation.take();
        tauri::plugin::Builder::<R, Settings>::new("graphql-session")
            .invoke_handler(command_list!(handler))
            .setup(move |app, api| self.open(app, api.config()))
            .on_webview_ready(|webview| {
                #[cfg(target_os = "linux")]
                crate::prefetching::switch_off(&webview);
                #[cfg(not(target_os = "linux"))]
                drop(webview);
            })
            .on_navigation(move |webview, url| may_go_to(webview, url, allowed.as_ref()))
            .on_page_load(|webview, load| {
                // Calls go on over a reload, because Tauri repeats their invokes. The page that listened to a subscription,
                // would have sent the next slice or shown the next step is gone.
                if load.event() == PageLoadEvent::Started {
                    webview.forget_page(webview.window().label());
                }
            })
            .on_event(|app, event| match event {
                RunEvent::WindowEvent {
                    label,
                    event: WindowEvent::Destroyed,
                    ..
                } => app.forget_window_calls(label),
                // Not on `ExitRequested`: the application may still decide to stay.
                RunEvent::Exit => close_all(app),
                _ => {}
            })
            .build()
    }

    fn open<R: Runtime>(
        mut self,
        app: &AppHandle<R>,
        settings: &Settings,
    ) -> Result<(), Box<dyn StdError>> {
        if settings.is_some() || self.configs.is_empty() {
            let folder = match self.state_dir.take() {
                Some(folder) => folder,
                None => app.path().app_local_data_dir()?.join(STATE_FOLDER),
            };
            let name = &app.config().identifier;
            let config = match settings {
                Some(settings) => Config::from_json(name, folder, settings)?,
                None => Config::new(name, folder),
            };
            self.configs.insert(0, config);
        }
        refuse_doubles(&self.configs)?;
        refuse_all_but_queries(self.prefetch.as_ref())?;
        let clock = self.configs[0].clock.clone();
        let prefetch = Prefetch::new(clock.clone(), self.configs[0].limits.call_timeout);
        let closing = self
            .configs
            .iter()
            .map(|config| config.limits.quit_timeout)
            .max();
        let longest = self
            .configs
            .iter()
            .map(|config| config.limits.request_bytes);
        let uploads = UploadLimits::of_length(longest.max().unwrap_or_default());
        let confirm = self.confirm.take().unwrap_or_else(|| {
            let app = app.clone();
            confirm_with(move |change| dialog::confirm(app.clone(), change))
        });
        let is_trusted = self
            .is_trusted
            .take()
            .unwrap_or_else(|| Arc::new(|_| false));
        let open_browser = self.open_browser.take().unwrap_or_else(opener::system);
        let sessions = wait_for(open_all(self.configs, &prefetch, self.prefetch))?;
        let accounts = Accounts::new(sessions, self.by_window, self.are_confined)?;
        let sessions = accounts.all().to_vec();
        app.manage(accounts);
        for session in &sessions {
            broadcast::start(app, session);
        }
        app.manage(prefetch);
        app.manage(Calls::new(clock.clone(), CallLimits::default()));
        app.manage(Uploads::new(clock.clone(), uploads));
        app.manage(Servers::new(clock.clone(), confirm, is_trusted));
        app.manage(SignIns::new(open_browser));
        app.manage(Streams::default());
        app.manage(ClosingLimit(closing.unwrap_or_default() + CLOSE_MARGIN));
        Ok(())
    }
}

fn may_go_to<R: Runtime>(
    webview: &Webview<R>,
    url: &Url,
    allowed: Option<&AllowedNavigation>,
) -> bool {
    let label = webview.label();
    let may = is_inside(webview.config(), tauri::is_dev(), url)
        || allowed.is_some_and(|is_allowed| is_allowed(label, url));
    if !may {
        // Without the address, which may carry a person's data.
        tracing::warn!(window = label, "a window stays: its page was led elsewhere");
    }
    may
}

struct ClosingLimit(Duration);

fn refuse_doubles(configs: &[Config]) -> Result<(), Error> {
    for (index, config) in configs.iter().enumerate() {
        let account = &config.account;
        if configs[..index]
            .iter()
            .any(|other| other.account == *account)
        {
            return Err(Error::new(
                Code::Config,
                format!("Setting `account`: `{account}` is configured twice."),
            ));
        }
    }
    Ok(())
}

/// No person has asked for it yet, so it must change nothing.
fn refuse_all_but_queries(prefetch: Option<&Call>) -> Result<(), Error> {
    match prefetch.map(Call::operation) {
        None | Some(OperationKind::Query) => Ok(()),
        Some(_) => Err(Error::new(Code::Config, "Only a query can be prefetched.")),
    }
}

/// Opens the sessions in order. The query of the first one is sent before the others are open.
async fn open_all(
    configs: Vec<Config>,
    prefetch: &Prefetch,
    mut query: Option<Call>,
) -> Result<Vec<Session>, Error> {
    let mut sessions = Vec::with_capacity(configs.len());
    for config in configs {
        let session = Session::open(config).await?;
        if let Some(query) = query.take() {
            prefetch.send(&session, query);
        }
        sessions.push(session);
    }
    Ok(sessions)
}

/// Closes all sessions at the same time: each finishes an exchange that was sent, and saves the new credentials.
fn close_all<R: Runtime>(app: &AppHandle<R>) {
    let (Some(accounts), Some(limit)) =
        (app.try_state::<Accounts>(), app.try_state::<ClosingLimit>())
    else {
        return;
    };
    tracing::info!("closing the sessions");
    let sessions = accounts.all().to_vec();
    let limit = limit.0;
    wait_for(async move {
        let mut closing = tokio::task::JoinSet::new();
        for session in sessions {
            closing.spawn(async move {
                let closed = session.close().await;
                tracing::info!(account = session.account(), ?closed, "closed");
            });
        }
        let all_closed = async { while closing.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all_closed).await.is_err() {
            tracing::warn!("quitting although not all sessions are closed");
        }
    });
}

/// Runs a future to its end on Tauri's runtime. It blocks a new thread, because an application may start inside a
/// runtime, whose threads must not block.
fn wait_for<F>(future: F) -> F::Output
where
    F: Future + Send,
    F::Output: Send,
{
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| tauri::async_runtime::block_on(future));
        waiting
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
