//! How much memory the application's process took at most, as Linux counts it.

use std::fs;

/// Begins anew with the peak, and says what is taken now, in bytes. Nothing where the system does not count this.
#[tauri::command]
pub(crate) async fn watch_memory() -> Option<u64> {
    // proc_pid_clear_refs(5): the peak becomes what is resident now.
    fs::write("/proc/self/clear_refs", "5").ok()?;
    line("VmRSS:")
}

/// The most that was taken since then, in bytes.
#[tauri::command]
pub(crate) async fn peak_memory() -> Option<u64> {
    line("VmHWM:")
}

fn line(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
