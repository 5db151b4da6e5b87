//! The examples that sign in by browser: the guide's at the demo server, and the one for any OAuth 2 server at oidc-provider.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use demo_server::{DEMO_EMAIL, DEMO_PASSWORD};

use crate::kit::application::{Application, Home};
use crate::kit::browser::SystemBrowser;
use crate::{EVIDENCE, built, server, shows_people};

/// Where the example for OAuth 2 has its server.
const PROVIDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/oauth/server");

/// The provider, until it is dropped.
struct Provider(Child);

impl Provider {
    /// Starts it on the port that the example's page names.
    fn start() -> Self {
        let process = Command::new("setpriv")
            // If this process is killed, the system ends the server.
            .args(["--pdeathsig", "KILL", "node", "server.mjs"])
            .current_dir(PROVIDER)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut process = process.expect("node and setpriv are installed");
        let output = process.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(output).lines();
        let is_ready = lines.any(|line| line.is_ok_and(|line| line == "READY"));
        assert!(is_ready, "the provider did not start: is port 4310 free?");
        Self(process)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_guides_application_signs_in_by_browser_and_shows_its_list() {
    let server = server().await;
    let home = Home::new(Path::new(EVIDENCE), "minimal-browser-").await;
    let mut browser = SystemBrowser::of(&home);
    let app = Application::start(&home, &built("example-minimal")).await;
    let window = app.window().await;
    window.fill("server", &server.origin()).await;
    window.click("browser").await;
    window.says("asked", "Finish signing in").await;
    window.picture("step").await;
    let page = browser.page().await;
    page.fill("email", DEMO_EMAIL).await;
    page.fill("password", DEMO_PASSWORD).await;
    page.click("form button").await;
    page.click("[name='answer'][value='allow']").await;

    window.has("status", "data-phase", "signed_in").await;
    window.says("status", DEMO_EMAIL).await;
    shows_people(&window, 20).await;
    window.click("sign-out").await;
    window.has("status", "data-phase", "signed_out").await;
    app.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn the_oauth_example_signs_in_at_its_provider_asks_its_api_and_signs_out() {
    let _provider = Provider::start();
    let home = Home::new(Path::new(EVIDENCE), "oauth-").await;
    let mut browser = SystemBrowser::of(&home);
    let app = Application::start(&home, &built("example-oauth")).await;
    let window = app.window().await;

    window.click("sign-in").await;
    window.says("browser-text", "Your browser shows").await;
    window.picture("browser").await;
    let page = browser.page().await;
    page.click("[name='answer'][value='allow']").await;

    window.has("status", "data-phase", "signed_in").await;
    window.says("status", "ada@example.com").await;
    window.click("ask").await;
    window.says("answer", "ada, ada@example.com").await;
    window.picture("answer").await;
    window.click("sign-out").await;
    window.has("status", "data-phase", "signed_out").await;
    app.quit().await;
}
