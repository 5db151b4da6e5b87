//! Whether everything rests.
//!
//! Processes, servers and the keyring's threads all live in this test process, and virtual time stands still. So they
//! have come to rest when every other thread sleeps, and none has run between two looks: only a timer could wake one
//! then. That is exact on a machine of any speed, and faster than waiting for a while.

use std::time::{Duration, Instant};

/// Real time after which a world that does not come to rest counts as spinning.
pub(crate) const STUCK: Duration = Duration::from_secs(20);

/// Between two looks; long enough for a thread that was just woken to be seen as running.
const BETWEEN_LOOKS: Duration = Duration::from_micros(60);

/// That everything rested, and how often the other threads had run by then.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rest(u64);

impl Rest {
    /// Returns when every other thread of this process sleeps; `None`: they never do.
    pub(crate) fn wait_for() -> Option<Self> {
        let began = Instant::now();
        let mut last = None;
        while began.elapsed() < STUCK {
            let seen = look();
            if seen.is_some() && seen == last {
                return seen.map(Self);
            }
            last = seen;
            std::thread::sleep(BETWEEN_LOOKS);
        }
        None
    }

    /// Whether no other thread has run since.
    pub(crate) fn lasts(self) -> bool {
        look() == Some(self.0)
    }
}

/// How often the other threads have run so far, if all of them sleep.
#[cfg(target_os = "linux")]
fn look() -> Option<u64> {
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::ffi::OsString;

    thread_local! {
        /// Kept open between looks, because opening costs more than reading. The system does not use a thread's number
        /// again soon.
        static THREADS: RefCell<HashMap<OsString, Thread>> = RefCell::default();
        static ME: Option<OsString> = std::fs::read_link("/proc/thread-self")
            .ok()
            .and_then(|path| path.file_name().map(OsString::from));
    }
    let numbers: Vec<OsString> = std::fs::read_dir("/proc/self/task")
        .ok()?
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|number| ME.with(|me| me.as_ref() != Some(number)))
        .collect();
    THREADS.with_borrow_mut(|known| {
        known.retain(|number, _| numbers.contains(number));
        let mut turns = 0;
        for number in numbers {
            if !known.contains_key(&number) {
                known.insert(number.clone(), Thread::open(&number)?);
            }
            // A thread that has just ended cannot be read: look again.
            turns += known[&number].turns_if_asleep()?;
        }
        Some(turns)
    })
}

/// What the system shows of one thread.
#[cfg(target_os = "linux")]
struct Thread {
    stat: std::fs::File,
    schedule: std::fs::File,
}

#[cfg(target_os = "linux")]
impl Thread {
    fn open(number: &std::ffi::OsStr) -> Option<Self> {
        let path = std::path::Path::new("/proc/self/task").join(number);
        Some(Self {
            stat: std::fs::File::open(path.join("stat")).ok()?,
            schedule: std::fs::File::open(path.join("schedstat")).ok()?,
        })
    }

    fn turns_if_asleep(&self) -> Option<u64> {
        use std::os::unix::fs::FileExt;
        let mut text = [0; 512];
        let length = self.stat.read_at(&mut text, 0).ok()?;
        // "number (name) state ..."
        let end = text[..length].windows(2).rposition(|two| two == b") ")?;
        if text.get(end + 2) != Some(&b'S') {
            return None;
        }
        let length = self.schedule.read_at(&mut text, 0).ok()?;
        // "time on the processor, time waiting for it, turns"
        let schedule = std::str::from_utf8(&text[..length]).ok()?;
        schedule.split_ascii_whitespace().last()?.parse().ok()
    }
}

/// On other systems: a pause that is long for all that happens on one machine.
#[cfg(not(target_os = "linux"))]
fn look() -> Option<u64> {
    std::thread::sleep(Duration::from_millis(5));
    Some(0)
}
