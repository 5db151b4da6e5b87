//! [`report`]: one text for a bug report.

use std::fmt::Write as _;

use crate::config::Config;
use crate::journal::Entry;
use crate::status::Status;

/// Journal entries in a report, the newest: a renewal makes about six, so these are the last thirty or so.
const ENTRIES: usize = 200;

/// What a person can paste into a bug report: versions, settings, the status with its cause, and the newest journal
/// entries. No token, no e-mail address, and no name of a server.
pub(crate) fn report(
    config: &Config,
    status: &Status,
    generation: Option<u64>,
    journal: &[Entry],
) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing into a text cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    };
    let (os, cpu) = (std::env::consts::OS, std::env::consts::ARCH);
    line("graphql-session", &env!("CARGO_PKG_VERSION"));
    line("system", &format_args!("{os} {cpu}"));
    line("time", &config.clock.wall());
    line("account", &status.account);
    line("protocol", &config.protocol.facts().name);
    line("server", &server(config, status));
    line("phase", &word(&status.phase));
    line("storage", &word(&status.storage));
    if let Some(generation) = generation {
        line("generation", &generation);
    }
    if let Some(cause) = status.cause {
        line("cause", &cause);
    }
    if let Some(reason) = status.locked {
        line("locked", &word(&reason));
    }
    if let Some(ending) = &status.ending {
        line("ended", &word(ending));
    }
    line("limits", &format_args!("{:?}", config.limits));
    line("end_after", &format_args!("{:?}", config.end_after));
    let newest = &journal[journal.len().saturating_sub(ENTRIES)..];
    let counted = format!("{} of {} entries", newest.len(), journal.len());
    line("journal", &counted);
    for entry in newest {
        line(&format!("{} {}", entry.at, entry.what), &word(&entry.facts));
    }
    text
}

/// How the server is reached, without its name.
fn server(config: &Config, status: &Status) -> &'static str {
    match status.server.as_deref().map(|server| config.origin(server)) {
        None => "none",
        Some(Ok(origin)) if origin.is_https() => "over https",
        Some(Ok(origin)) if origin.is_exposed() => "over plain http",
        Some(Ok(_)) => "on this computer",
        Some(Err(_)) => "an address that cannot be read",
    }
}

fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
