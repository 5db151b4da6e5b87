//! Keeps every window at the application's own page. A script that leads a window elsewhere could send data there in the
//! address, and would show a foreign page where people expect the application.

use tauri::utils::config::FrontendDist;
use tauri::webview::NewWindowResponse;
use tauri::{Config, Manager, Runtime, Url, WebviewWindowBuilder};

/// Where a confined page's requests go: a port of this computer that only an administrator can open, and nobody does.
const NOWHERE: &str = "http://127.0.0.1:1";

/// Gives a window's builder what a plugin cannot set for a window: the page there reaches no network by itself, opens no
/// other window and saves no download. The plugin keeps every window from being led elsewhere.
///
/// The first one matters on Linux: WebKit connects ahead for a link that is clicked and for `<link rel="preconnect">`,
/// whatever the content security policy and the plugin say about it, and a host name can carry data. So the page gets a
/// proxy that does not exist. It counts for all windows with the same data folder. Not while developing, when the page
/// comes from a server; not on macOS without Tauri's feature `macos-proxy`.
///
/// Without the second one, Windows opens a window of its own for `window.open` and for links with a target. Linux and
/// macOS open none.
///
/// ```no_run
/// use tauri::{App, WebviewUrl, WebviewWindowBuilder};
/// use tauri_plugin_graphql_session::confined;
///
/// fn open(app: &App) -> tauri::Result<()> {
///     confined(WebviewWindowBuilder::new(app, "main", WebviewUrl::default())).build()?;
///     Ok(())
/// }
/// ```
#[must_use]
pub fn confined<'a, R: Runtime, M: Manager<R>>(
    window: WebviewWindowBuilder<'a, R, M>,
) -> WebviewWindowBuilder<'a, R, M> {
    let window = window
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .on_download(|_, _| false);
    match Url::parse(NOWHERE) {
        Ok(nowhere) if !tauri::is_dev() => window.proxy_url(nowhere),
        _ => window,
    }
}

/// Which addresses outside of the application a window may still go to, by its label.
pub(crate) type AllowedNavigation = Box<dyn Fn(&str, &Url) -> bool + Send + Sync>;

/// Whether an address is the application's own page, by its configuration.
pub(crate) fn is_inside(config: &Config, is_dev: bool, url: &Url) -> bool {
    // An empty document has the origin and the policy of the page that made it.
    if matches!(url.as_str(), "about:blank" | "about:srcdoc") {
        return true;
    }
    let dev_server = config.build.dev_url.as_ref().filter(|_| is_dev);
    let frontend = match &config.build.frontend_dist {
        Some(FrontendDist::Url(url)) => Some(url),
        _ => None,
    };
    is_embedded(url)
        || [dev_server, frontend]
            .into_iter()
            .flatten()
            .any(|own| has_same_origin(own, url))
}

/// Whether Tauri itself serves the address, from the files inside of the application.
fn is_embedded(url: &Url) -> bool {
    if cfg!(any(windows, target_os = "android")) {
        matches!(url.scheme(), "http" | "https") && url.host_str() == Some("tauri.localhost")
    } else {
        url.scheme() == "tauri" && url.host_str() == Some("localhost")
    }
}

/// Compares the parts, because the origin of a scheme that browsers do not know is equal to nothing.
fn has_same_origin(one: &Url, other: &Url) -> bool {
    let parts = |url: &Url| {
        let host = url.host_str().map(str::to_owned);
        (url.scheme().to_owned(), host, url.port_or_known_default())
    };
    parts(one) == parts(other)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn config(build: Value) -> Config {
        let config = json!({ "identifier": "dev.holdfast.test", "build": build });
        serde_json::from_value(config).expect("a configuration")
    }

    fn url(text: &str) -> Url {
        Url::parse(text).expect("an address")
    }

    #[test]
    #[cfg(not(any(windows, target_os = "android")))]
    fn the_embedded_page_and_empty_documents_are_inside_and_nothing_else_is() {
        let config = config(json!({ "devUrl": "http://localhost:5173" }));
        for inside in [
            "tauri://localhost",
            "tauri://localhost/index.html?a#/people",
            "about:blank",
            "about:srcdoc",
        ] {
            assert!(is_inside(&config, false, &url(inside)), "{inside}");
        }
        for outside in [
            "https://evil.example/?data",
            "http://localhost:5173/",
            "http://tauri.localhost/",
            "tauri://localhost.evil.example/",
            "tauri://evil.example/",
            "about:blank#data",
            "data:text/html,x",
            "blob:null/0",
            "javascript:0",
            "file:///etc/passwd",
            "mailto:eve@evil.example?body=data",
            "holdfast://data",
        ] {
            assert!(!is_inside(&config, false, &url(outside)), "{outside}");
        }
    }

    #[test]
    fn the_dev_server_is_inside_only_while_developing_and_a_frontend_by_address_always() {
        let dev = config(json!({ "devUrl": "http://localhost:5173" }));
        let page = url("http://localhost:5173/index.html");
        assert!(is_inside(&dev, true, &page));
        assert!(!is_inside(&dev, false, &page));
        for other in ["http://localhost:5174/", "https://localhost:5173/"] {
            assert!(!is_inside(&dev, true, &url(other)), "{other}");
        }

        let remote = config(json!({ "frontendDist": "https://app.example.com/start" }));
        assert!(is_inside(
            &remote,
            false,
            &url("https://app.example.com/other")
        ));
        assert!(!is_inside(
            &remote,
            false,
            &url("https://app.example.com:8443/")
        ));
    }
}
