//! Opens an address in the person's browser.

use std::io;
use std::sync::Arc;

use tauri::Url;
use tokio::sync::oneshot;

/// Opens an address in a browser. It may block.
pub(crate) type OpenBrowser = Arc<dyn Fn(&str) -> io::Result<()> + Send + Sync>;

/// The system's own way.
pub(crate) fn system() -> OpenBrowser {
    Arc::new(open_with_the_system)
}

/// Returns whether the address was handed to a browser, as far as the system says: openers report success and open nothing.
pub(crate) async fn open(open_browser: &OpenBrowser, url: &str) -> bool {
    let is_web = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if !is_web {
        tracing::warn!("the server named no address of a web page for its sign-in");
        return false;
    }
    let (tell, told) = oneshot::channel();
    let (open_browser, url) = (open_browser.clone(), url.to_owned());
    // A thread of its own: an opener may run for as long as its browser, and the runtime would wait for it when quitting.
    let started = std::thread::Builder::new()
        .name("open-browser".to_owned())
        .spawn(move || {
            let opened = open_browser(&url);
            if let Err(problem) = &opened {
                tracing::warn!(%problem, "no browser was opened");
            }
            // The sign-in may be over.
            let _ = tell.send(opened.is_ok());
        });
    started.is_ok() && told.await.unwrap_or(false)
}

/// Tries the system's openers until one reports success. Each has a process group of its own, so that a browser that it runs
/// outlives an interrupted application.
#[cfg(unix)]
fn open_with_the_system(url: &str) -> io::Result<()> {
    use std::os::unix::process::CommandExt;
    use std::process::Stdio;

    let mut problem = io::Error::from(io::ErrorKind::NotFound);
    for mut command in open::commands(url) {
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        match command.status() {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => problem = io::Error::other(status.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => problem = error,
        }
    }
    Err(problem)
}

#[cfg(not(unix))]
fn open_with_the_system(url: &str) -> io::Result<()> {
    open::that_detached(url)
}
