//! Every way in which a script in the page could send something elsewhere: to a listener of this test, which counts its
//! connections, and to a name, whose lookups are counted. The same ways are tried in a window without guards
//! (`unguarded/main.rs`), so a way that this test would overlook is known.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::kit::application::{Application, DemoSetting, Home};
use crate::kit::waiting::until;
use crate::kit::window::Window;
use crate::{APPLICATION, home};

/// A script that knows all `ways`, by their names.
const WAYS: &str = include_str!("ways_out.js");

/// Nothing to show: a window that goes there stays at its page.
const ANSWER: &[u8] =
    b"HTTP/1.1 204 No Content\r\naccess-control-allow-origin: *\r\nconnection: close\r\n\r\n";

/// Loads something of the page's own, and says how many such loads have ended. What was asked of the network before goes the
/// same way ahead of them.
const LOAD_OWN: &str = "window.ownLoads ??= 0; \
    const own = new Image(); \
    own.onload = own.onerror = () => { window.ownLoads += 1; }; \
    own.src = '/?' + Math.random(); \
    return window.ownLoads";

/// Loads after which something that was asked for before has had its chance.
const OWN_LOADS: u64 = 5;

/// Notes what the content security policy refuses.
const NOTE_REFUSALS: &str = "window.refused = {}; \
    addEventListener('securitypolicyviolation', (event) => { \
        window.refused[event.effectiveDirective.replace(/-(elem|attr)$/, '')] = true; \
    })";

/// What the ways need that the policy refuses.
const BY_POLICY: [&str; 9] = [
    "base-uri",
    "connect-src",
    "font-src",
    "form-action",
    "frame-src",
    "img-src",
    "object-src",
    "script-src",
    "style-src",
];

#[tokio::test]
async fn no_script_gets_anything_out_of_the_page() {
    let lookups = Lookups::new();
    let home = watched_home("inside", &lookups).await;
    let app = Application::start(&home, Path::new(APPLICATION)).await;
    let window = app.window().await;
    window.shows("sign-in-submit").await;
    let place = "return location.href.split('#')[0]";
    let page = window.ask(place, vec![]).await;
    window.ask(NOTE_REFUSALS, vec![]).await;

    let ways = Ways::of(&window).await;
    let mut got_out = Vec::new();
    for way in ways.0.values() {
        for target in [&way.address, &way.name_address] {
            way.follow(&window, target).await;
        }
        got_out.extend(way.arrived(&lookups));
        let now = window.ask(place, vec![]).await;
        assert_eq!(now, page, "{} led the window elsewhere", way.name);
    }
    // Late ones, too: most ways have had seconds by now.
    got_out.extend(ways.0.values().filter_map(|way| way.arrived(&lookups)));
    assert!(got_out.is_empty(), "{got_out:#?}");
    assert_eq!(app.windows().await.len(), 1, "no window was opened");
    // The page's proxy would stop these, too.
    let refused = window.ask("return window.refused", vec![]).await;
    for directive in BY_POLICY {
        let is_refused = refused[directive].as_bool() == Some(true);
        assert!(
            is_refused,
            "the policy says nothing of {directive}: {refused}"
        );
    }
    window.shows("sign-in-submit").await;
}

#[tokio::test]
async fn without_the_guards_each_way_out_of_the_page_is_noticed() {
    let lookups = Lookups::new();
    let home = watched_home("unguarded", &lookups).await;
    let app = Application::start(&home, &example("unguarded")).await;
    let window = app.window().await;
    until("the page", async || {
        let scheme = "return document.body && location.protocol";
        (window.ask(scheme, vec![]).await == json!("tauri:")).then_some(())
    })
    .await;

    for way in Ways::of(&window).await.0.values() {
        let (target, how) = match way.gets.as_str() {
            "connected" => (&way.address, Arrival::Connected),
            "looked up" => (&way.name_address, Arrival::LookedUp),
            _ => continue,
        };
        way.follow(&window, target).await;
        until(&format!("{} to get out", way.name), async || {
            way.arrivals(&lookups).contains(&how).then_some(())
        })
        .await;
    }
}

/// All ways, by their place in the list.
struct Ways(BTreeMap<u64, Way>);

impl Ways {
    async fn of(window: &Window<'_>) -> Self {
        let list =
            format!("{WAYS} return Object.entries(ways).map(([name, way]) => [name, way.gets])");
        let list = window.ask(&list, vec![]).await;
        let list: Vec<(String, String)> = serde_json::from_value(list).expect("the ways");
        assert!(!list.is_empty());
        let mut ways = BTreeMap::new();
        for ((name, gets), number) in list.into_iter().zip(0_u64..) {
            ways.insert(number, Way::listening(name, gets, number).await);
        }
        Self(ways)
    }
}

/// How something arrived.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Arrival {
    Connected,
    LookedUp,
}

/// One way out, with a listener and a host name of its own.
struct Way {
    name: String,
    gets: String,
    /// Where it is to lead, by the listener's address.
    address: String,
    /// The same, by the name of a host.
    name_address: String,
    host: String,
    connections: Arc<AtomicUsize>,
    listening: JoinHandle<()>,
}

impl Way {
    async fn listening(name: String, gets: String, number: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        let host = format!("data-{number}.invalid");
        let listening = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    // Each connection counts. Nobody looks at the bytes.
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(ANSWER).await;
                });
            }
        });
        Self {
            name,
            gets,
            address: format!("http://{address}/data"),
            name_address: format!("http://{host}/data"),
            host,
            connections,
            listening,
        }
    }

    /// Tries it, and waits until it had its chance.
    async fn follow(&self, window: &Window<'_>, target: &str) {
        println!("{} to {target}", self.name);
        // By a click, because WebKit opens a window only for a person.
        let offer = format!(
            "{WAYS} \
            document.getElementById('way')?.remove(); \
            const [name, to] = arguments; \
            const button = add('button', {{ id: 'way', style: 'position: fixed; inset: 0; z-index: 9999' }}); \
            button.onclick = () => {{ button.remove(); return ways[name].run(to); }}"
        );
        window
            .ask(&offer, vec![json!(self.name), json!(target)])
            .await;
        window.click("way").await;
        let before = window.ask(LOAD_OWN, vec![]).await.as_u64();
        until("the page's own loads", async || {
            let now = window.ask(LOAD_OWN, vec![]).await.as_u64()?;
            (now >= before.unwrap_or_default() + OWN_LOADS).then_some(())
        })
        .await;
    }

    fn arrivals(&self, lookups: &Lookups) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        if self.connections.load(Ordering::SeqCst) > 0 {
            arrivals.push(Arrival::Connected);
        }
        if lookups.contain(&self.host) {
            arrivals.push(Arrival::LookedUp);
        }
        arrivals
    }

    /// What arrived, in words, if anything did.
    fn arrived(&self, lookups: &Lookups) -> Option<String> {
        let arrivals = self.arrivals(lookups);
        (!arrivals.is_empty()).then(|| format!("{}: {arrivals:?}", self.name))
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// The host names that the application's processes look up.
struct Lookups {
    folder: TempDir,
}

impl Lookups {
    fn new() -> Self {
        let lookups = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/desktop/lookups.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(lookups.library())
            .arg(source)
            .status();
        assert!(compiled.expect("a C compiler").success());
        lookups
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("lookups.so")
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("names")
    }

    fn contain(&self, host: &str) -> bool {
        let names = fs::read_to_string(self.file()).unwrap_or_default();
        names.lines().any(|name| name == host)
    }
}

async fn watched_home(scenario: &str, lookups: &Lookups) -> Home {
    let mut home = home(scenario).await;
    home.set_demo(DemoSetting::Off);
    home.set("LD_PRELOAD", lookups.library());
    home.set("LOOKUPS", lookups.file());
    home
}

/// A program of this package beside the application.
fn example(name: &str) -> PathBuf {
    let folder = Path::new(APPLICATION).parent().expect("a folder");
    folder.join("examples").join(name)
}
