//! The real application: its data folder, the WebDriver that starts it, and its end, even if a test fails.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use super::demo_control::DemoControl;
use super::display;
use super::waiting::{self, until};
use super::window::Window;

/// Both passwords of the demo server begin with this. They are public on purpose.
const DEMO_PASSWORD: &str = "demo-holdfast";

/// An address at which no session bus listens.
const NO_BUS: &str = "unix:path=/nonexistent";

/// The beginning of every JSON web token.
const TOKEN_START: &str = "eyJ";

/// One display and one keyring: applications run one after another.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Which demo server the application has.
#[derive(Clone, Copy)]
pub(crate) enum DemoSetting {
    /// One that runs from the start, with fault switches for tests.
    WithSwitches,
    /// One that runs only while it is used, without switches, as in the build that people use.
    WhereUsed,
    /// None.
    Off,
}

/// The folder of the application's data. It outlives the application, as a person's disk does.
pub(crate) struct Home {
    data: TempDir,
    evidence: PathBuf,
    prefix: String,
    has_keyring: bool,
    demo: DemoSetting,
    further: Vec<(&'static str, OsString)>,
    _turn: MutexGuard<'static, ()>,
}

impl Home {
    /// Waits for its turn. Screenshots and logs go into the folder `evidence`; their names begin with `prefix`.
    pub(crate) async fn new(evidence: &Path, prefix: &str) -> Self {
        let turn = ONE_AT_A_TIME.lock().await;
        fs::create_dir_all(evidence).expect("the folder of the screenshots can be made");
        Self {
            data: tempfile::tempdir().expect("a temporary folder"),
            evidence: evidence.to_path_buf(),
            prefix: prefix.to_owned(),
            has_keyring: true,
            demo: DemoSetting::WithSwitches,
            further: Vec::new(),
            _turn: turn,
        }
    }

    /// Takes the session bus away, and the keyring with it.
    pub(crate) fn without_keyring(mut self) -> Self {
        self.has_keyring = false;
        self
    }

    /// For the application's next start.
    pub(crate) fn set_demo(&mut self, demo: DemoSetting) {
        self.demo = demo;
    }

    /// Puts a variable into the application's environment.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.further.push((name, value.into()));
    }

    /// The port of the application's own demo server, running or not; nothing where it has never run.
    pub(crate) fn demo_port(&self) -> Option<u16> {
        // In the folder with the application's name, which this test does not know.
        let folders = fs::read_dir(self.data.path()).expect("the data folder can be read");
        let mut folders = folders.map(|entry| entry.expect("an entry").path());
        let port = folders.find_map(|folder| fs::read_to_string(folder.join("demo-port")).ok());
        let port = port.or_else(|| fs::read_to_string(self.data.path().join("demo-port")).ok());
        Some(port?.trim().parse().expect("a port"))
    }

    /// The folder of the application's data.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// What the application finds in its environment.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let demo = match self.demo {
            DemoSetting::WithSwitches => "control",
            DemoSetting::WhereUsed => "",
            DemoSetting::Off => "off",
        };
        let mut environment = vec![
            ("HOLDFAST_DATA_DIR", self.data.path().into()),
            // The examples know no setting of their own.
            ("XDG_DATA_HOME", self.data.path().into()),
            ("HOLDFAST_DEMO", demo.into()),
            ("GDK_BACKEND", "x11".into()),
            ("NO_COLOR", "1".into()),
        ];
        if !self.has_keyring {
            environment.push(("DBUS_SESSION_BUS_ADDRESS", NO_BUS.into()));
        }
        environment.extend(self.further.iter().cloned());
        environment
    }

    /// The file of a screenshot or log.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.evidence.join(format!("{}{name}", self.prefix))
    }
}

/// A running application with its embedded demo server, and the WebDriver in between.
pub(crate) struct Application<'home> {
    home: &'home Home,
    client: Client,
    driver: Driver,
    log: PathBuf,
}

impl<'home> Application<'home> {
    /// Starts `program` and waits for its first window.
    pub(crate) async fn start(home: &'home Home, program: &Path) -> Self {
        let log = home.file("log.txt");
        let driver = Driver::start(home, &log);
        let client = until("the WebDriver to start the application", async || {
            let browser = json!({ "binary": program, "args": [] });
            let capabilities = [("webkitgtk:browserOptions".to_owned(), browser)];
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities.into_iter().collect())
                .connect(&driver.address)
                .await
                .ok()
        })
        .await;
        Self {
            home,
            client,
            driver,
            log,
        }
    }

    /// The only window, right after the start.
    pub(crate) async fn window(&self) -> Window<'_> {
        let mut windows = self.windows().await;
        assert_eq!(windows.len(), 1, "one window at the start");
        windows.remove(0)
    }

    /// The window that appears while `opening` is done.
    pub(crate) async fn new_window(&self, opening: impl Future<Output = ()>) -> Window<'_> {
        let known = self.client.windows().await.expect("the list of windows");
        opening.await;
        let handle = until("a new window", async || {
            let now = self.client.windows().await.ok()?;
            now.into_iter().find(|handle| !known.contains(handle))
        })
        .await;
        Window::new(self.home, &self.client, handle)
    }

    /// All windows, in the WebDriver's order.
    pub(crate) async fn windows(&self) -> Vec<Window<'_>> {
        let handles = self.client.windows().await.expect("the list of windows");
        handles
            .into_iter()
            .map(|handle| Window::new(self.home, &self.client, handle))
            .collect()
    }

    /// Fills the sign-in form in `window` in for the demo server, and gives that server's switches.
    pub(crate) async fn choose_demo(&self, window: &Window<'_>) -> DemoControl {
        window.click("sign-in-demo").await;
        let what = "the demo server's address in the sign-in form";
        let origin = until(what, async || {
            let origin = window.value("sign-in-server").await;
            origin.filter(|origin| !origin.is_empty())
        });
        DemoControl::new(origin.await)
    }

    /// Ends the application as a desktop does at log-out, and waits until it has gone.
    pub(crate) async fn quit(self) {
        self.begin_to_quit();
        self.has_quit().await;
    }

    /// Asks the application to end as a desktop does at log-out.
    pub(crate) fn begin_to_quit(&self) {
        for process in self.processes() {
            signal("TERM", &process.to_string());
        }
    }

    /// Waits until the application has logged this.
    pub(crate) async fn logs(&self, text: &str) {
        until(&format!("`{text}` in the log"), async || {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            log.contains(text).then_some(())
        })
        .await;
    }

    /// Waits until the application has gone.
    pub(crate) async fn has_quit(mut self) {
        until("the application to quit", async || {
            let processes = self.driver.applications();
            processes.into_iter().all(has_ended).then_some(())
        })
        .await;
        self.driver.end();
        self.assert_log_is_clean();
    }

    /// Presses the close button of its windows.
    pub(crate) fn press_close_button(&self) {
        display::press(&self.processes());
    }

    /// Closes a dialog of the system as soon as it is there.
    pub(crate) async fn close_dialog(&self, title: &str) {
        until(&format!("the dialog {title:?}"), async || {
            display::press_of(&self.processes(), title).then_some(())
        })
        .await;
    }

    /// Clicks the left button of a dialog of the system, until it has gone.
    pub(crate) async fn confirm_dialog(&self, title: &str) {
        let mut was_there = false;
        until(
            &format!("the dialog {title:?} to be confirmed"),
            async || {
                let is_there = display::click_left_button(&self.processes(), title);
                was_there |= is_there;
                (was_there && !is_there).then_some(())
            },
        )
        .await;
    }

    /// The application's processes: one, and it runs.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let processes = self.driver.applications();
        let runs = !processes.is_empty();
        assert!(runs, "the application runs until it is asked to quit");
        processes
    }

    /// No token and no password is in the application's log.
    fn assert_log_is_clean(&self) {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        for secret in [TOKEN_START, DEMO_PASSWORD] {
            let is_clean = !log.contains(secret);
            assert!(is_clean, "{:?} contains a secret ({secret}...)", self.log);
        }
    }
}

impl Drop for Application<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            waiting::picture_of_the_screen(&self.home.file("failed.png"));
        }
        self.driver.end();
        if !std::thread::panicking() {
            self.assert_log_is_clean();
        }
    }
}

/// WebKitWebDriver on a free port, with everything that it started in a process group of its own.
struct Driver {
    process: Child,
    address: String,
    ended: bool,
}

impl Driver {
    fn start(home: &Home, log: &Path) -> Self {
        let port = free_port();
        // A file and no pipe: a process that survives by mistake must not keep a test run waiting for the pipe's end.
        let output = || {
            let file = File::options().create(true).append(true).open(log);
            Stdio::from(file.expect("the log"))
        };
        let process = Command::new("setpriv")
            // If this process is killed, the system ends the driver.
            .args(["--pdeathsig", "KILL", "WebKitWebDriver", "--host=127.0.0.1"])
            .arg(format!("--port={port}"))
            .env("TAURI_WEBVIEW_AUTOMATION", "true")
            .envs(home.environment())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .spawn();
        let installed =
            "WebKitWebDriver (Debian's package webkit2gtk-driver) and setpriv are installed";
        Self {
            process: process.expect(installed),
            address: format!("http://127.0.0.1:{port}"),
            ended: false,
        }
    }

    /// The processes that the driver itself started: the application.
    fn applications(&self) -> Vec<u32> {
        let id = self.process.id();
        let children =
            fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        children
            .split_whitespace()
            .filter_map(|child| child.parse().ok())
            .collect()
    }

    /// Kills the driver, the application and its web processes.
    fn end(&mut self) {
        if !self.ended {
            self.ended = true;
            signal("KILL", &format!("-{}", self.process.id()));
            // It may have been collected already.
            let _ = self.process.wait();
        }
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Signals one process, or with a minus a process group. It may have ended meanwhile.
pub(crate) fn signal(name: &str, to: &str) {
    let _ = Command::new("kill")
        .args([&format!("-{name}"), "--", to])
        .stderr(Stdio::null())
        .status();
}

/// Whether it has ended, even if the driver has not collected its status yet.
fn has_ended(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/stat"));
    // The state follows the program's name, which stands in brackets.
    status.map_or(true, |status| {
        let (_, rest) = status.rsplit_once(')').unwrap_or_default();
        rest.trim_start().starts_with('Z')
    })
}
