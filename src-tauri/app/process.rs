//! What the system lets this process do, and lets others do with it.

/// Descriptors that the client may open at a time. Each window takes some dozens, each connection and stream one; many
/// systems start with 1,024 and allow more.
#[cfg(unix)]
const DESCRIPTORS: u64 = 8_192;

/// Descriptors that a new window may need. WebKit ends the whole process where it gets none. A window was measured to take 20.
#[cfg(unix)]
const DESCRIPTORS_OF_A_WINDOW: usize = 64;

/// Raises the limit on descriptors as far as the system allows.
#[cfg(unix)]
pub(crate) fn allow_more_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    // None is no limit at all.
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum,
    };
    if let Err(problem) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%problem, "the client may run out of descriptors");
    }
}

/// Whether a window would get the descriptors that it needs. Not a promise: others take some meanwhile.
#[cfg(unix)]
pub(crate) fn has_room_for_a_window() -> bool {
    let taken: std::io::Result<Vec<_>> = (0..DESCRIPTORS_OF_A_WINDOW)
        .map(|_| std::fs::File::open("/dev/null"))
        .collect();
    taken.is_ok()
}

/// Keeps other programs of the same user from reading this process's memory, where passwords and tokens are, and the system
/// from writing it to a core file. Linux refuses both to a process that is not dumpable. macOS does it for an application
/// that is signed with the hardened runtime, and Windows has nothing for it.
#[cfg(target_os = "linux")]
pub(crate) fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};

    if let Err(problem) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%problem, "other programs of this user can read the client's memory");
    }
}

/// Windows has no such limit.
#[cfg(not(unix))]
pub(crate) fn allow_more_descriptors() {}

/// Windows has no such limit.
#[cfg(not(unix))]
pub(crate) fn has_room_for_a_window() -> bool {
    true
}

/// See above.
#[cfg(not(target_os = "linux"))]
pub(crate) fn keep_memory_private() {}
