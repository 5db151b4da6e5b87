//! How much memory an application's processes take once they rest.
//!
//! PSS counts a page that several processes share by the share of each, so that it can be added up. It falls where other
//! programs happen to use the same libraries; what is private to the process does not, and is counted beside it.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

/// An application rests when all its processes have worked so little for so long: a caret that blinks does more.
const REST: Duration = Duration::from_secs(2);
const REST_TICKS: u64 = 2;

/// How long to wait for that.
const PATIENCE: Duration = Duration::from_secs(60);

/// One look at the memory, in megabytes of 1,000,000 bytes.
pub(crate) struct Memory {
    /// The application's own process.
    pub(crate) pss: f64,
    /// Of that, what no other process has.
    pub(crate) private: f64,
    /// Of the PSS, what is no file: heap, stacks and the like.
    pub(crate) anonymous: f64,
    /// WebKit's network process.
    pub(crate) network_pss: f64,
    /// WebKit's web processes together.
    pub(crate) web_pss: f64,
    pub(crate) threads: f64,
}

impl Memory {
    /// Of the application whose own process is `main`, as soon as it rests.
    pub(crate) async fn at_rest(main: u32) -> Self {
        let began = Instant::now();
        loop {
            let before = ticks(main);
            tokio::time::sleep(REST).await;
            if ticks(main).saturating_sub(before) <= REST_TICKS {
                break;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "the application does not come to rest"
            );
        }
        let (mut network_pss, mut web_pss) = (0.0, 0.0);
        for process in family(main) {
            // WebKit's names, cut off after 15 letters by the system.
            match name(process).as_str() {
                "WebKitNetworkPr" => network_pss += Rollup::of(process).megabytes(&["Pss"]),
                "WebKitWebProces" => web_pss += Rollup::of(process).megabytes(&["Pss"]),
                _ => {}
            }
        }
        let own = Rollup::of(main);
        Self {
            pss: own.megabytes(&["Pss"]),
            private: own.megabytes(&["Private_Clean", "Private_Dirty"]),
            anonymous: own.megabytes(&["Pss_Anon"]),
            network_pss,
            web_pss,
            threads: fs::read_dir(format!("/proc/{main}/task")).map_or(0, Iterator::count) as f64,
        }
    }
}

/// The sums over all of a process's mappings, in kB.
struct Rollup(HashMap<String, u64>);

impl Rollup {
    fn of(process: u32) -> Self {
        let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"));
        let text = text.expect("Linux 4.14 or newer, and the process runs");
        let lines = text.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            let kilobytes = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some((name.to_owned(), kilobytes))
        });
        Self(lines.collect())
    }

    fn megabytes(&self, names: &[&str]) -> f64 {
        let kilobytes: u64 = names
            .iter()
            .map(|name| *self.0.get(*name).expect("Linux counts it"))
            .sum();
        // The system's kB has 1,024 bytes.
        (kilobytes * 1_024) as f64 / 1e6
    }
}

/// The processor time that the application has used, in the system's ticks (usually 10 ms).
fn ticks(main: u32) -> u64 {
    let used = |process| {
        // The 14th and 15th field of the line.
        let fields = stat(process)?;
        let user: u64 = fields.get(11)?.parse().ok()?;
        let system: u64 = fields.get(12)?.parse().ok()?;
        Some(user + system)
    };
    family(main).into_iter().filter_map(used).sum()
}

/// The process, with all that it started.
fn family(main: u32) -> Vec<u32> {
    let running: Vec<(u32, u32)> = fs::read_dir("/proc")
        .expect("Linux's list of processes")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, stat(process)?.get(1)?.parse().ok()?)))
        .collect();
    let mut family = vec![main];
    let mut at = 0;
    while at < family.len() {
        let parent = family[at];
        let children = running.iter().filter(|(_, of)| *of == parent);
        family.extend(children.map(|(child, _)| *child));
        at += 1;
    }
    family
}

/// The fields behind the name, which may contain anything: the state, the parent, and so on.
fn stat(process: u32) -> Option<Vec<String>> {
    let line = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = line.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn name(process: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}
