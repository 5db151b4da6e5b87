//! The person's browser: a headless Chromium, which the system's opener starts as it would start theirs. A page in it is
//! driven through its WebDriver.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

use super::application::{Home, free_port, signal};
use super::waiting::until;

/// A browser that has not been opened yet.
pub(crate) struct SystemBrowser {
    folder: PathBuf,
    port: u16,
    driver: Option<(Child, Client)>,
}

impl SystemBrowser {
    /// Makes it the browser of the system that the application finds.
    pub(crate) fn of(home: &Home) -> Self {
        let folder = home.data().join("browser");
        fs::create_dir_all(&folder).expect("a folder of its own");
        let port = free_port();
        let program = folder.join("browser.sh");
        let script = format!(
            "#!/bin/sh\necho \"$1\" >> '{opened}'\necho $$ > '{pid}'\n\
             exec chromium --headless --no-sandbox --disable-gpu --no-first-run --remote-debugging-port={port} \
             --user-data-dir='{profile}' \"$1\" > '{log}' 2>&1\n",
            opened = folder.join("opened.txt").display(),
            pid = folder.join("pid").display(),
            profile = folder.join("profile").display(),
            log = folder.join("log.txt").display(),
        );
        fs::write(&program, script).expect("the script can be written");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&program, executable).expect("it can be run");
        make_default(home, &program);
        Self {
            folder,
            port,
            driver: None,
        }
    }

    /// The addresses that it was opened with so far.
    pub(crate) fn opened(&self) -> Vec<String> {
        let opened = fs::read_to_string(self.folder.join("opened.txt")).unwrap_or_default();
        opened.lines().map(str::to_owned).collect()
    }

    /// Waits until the system has opened it, and takes hold of its page.
    pub(crate) async fn page(&mut self) -> BrowserPage<'_> {
        if self.driver.is_none() {
            until("the browser to be opened", async || self.opened().pop()).await;
            self.driver = Some(self.connect().await);
        }
        let (_, client) = self.driver.as_ref().expect("connected");
        BrowserPage { client }
    }

    async fn connect(&self) -> (Child, Client) {
        let port = free_port();
        let driver = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "chromedriver"])
            .arg(format!("--port={port}"))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let driver = driver.expect("Debian's package chromium-driver is installed");
        let browser = json!({ "debuggerAddress": format!("127.0.0.1:{}", self.port) });
        let client = until("the WebDriver to reach the browser", async || {
            let capabilities = [("goog:chromeOptions".to_owned(), browser.clone())];
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities.into_iter().collect())
                .connect(&format!("http://127.0.0.1:{port}"))
                .await
                .ok()
        })
        .await;
        (driver, client)
    }
}

/// Says to the system that this program opens web pages, as a person's choice of their browser does.
fn make_default(home: &Home, program: &Path) {
    // The application's XDG_DATA_HOME is its data folder.
    let folder = home.data().join("applications");
    fs::create_dir_all(&folder).expect("a folder for it");
    let entry = format!(
        "[Desktop Entry]\nType=Application\nName=Browser\nExec={} %u\nMimeType=x-scheme-handler/http;\n",
        program.display()
    );
    fs::write(folder.join("browser.desktop"), entry).expect("the entry can be written");
    let choice = "[Default Applications]\nx-scheme-handler/http=browser.desktop\n";
    fs::write(folder.join("mimeapps.list"), choice).expect("the choice can be written");
}

impl Drop for SystemBrowser {
    fn drop(&mut self) {
        if let Some((mut driver, _)) = self.driver.take() {
            signal("KILL", &format!("-{}", driver.id()));
            // It may have been collected already.
            let _ = driver.wait();
        }
        let pid = fs::read_to_string(self.folder.join("pid")).unwrap_or_default();
        if !pid.trim().is_empty() {
            signal("TERM", pid.trim());
        }
    }
}

/// The page that the browser shows.
pub(crate) struct BrowserPage<'a> {
    client: &'a Client,
}

impl BrowserPage<'_> {
    /// Types into the field of this name.
    pub(crate) async fn fill(&self, name: &str, text: &str) {
        let selector = format!("[name='{name}']");
        until(&format!("the field {name}"), async || {
            let field = self.client.find(Locator::Css(&selector)).await.ok()?;
            field.clear().await.ok()?;
            field.send_keys(text).await.ok()
        })
        .await;
    }

    /// Clicks the first element that this selector finds.
    pub(crate) async fn click(&self, selector: &str) {
        until(&format!("`{selector}` in the browser"), async || {
            let button = self.client.find(Locator::Css(selector)).await.ok()?;
            button.click().await.ok()
        })
        .await;
    }

    /// Waits until the page says this.
    pub(crate) async fn says(&self, text: &str) {
        until(&format!("{text:?} in the browser"), async || {
            let body = self.client.find(Locator::Css("body")).await.ok()?;
            body.text().await.ok()?.contains(text).then_some(())
        })
        .await;
    }
}
