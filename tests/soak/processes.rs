//! The processes of the application: starts them, sends commands, reads their lines, kills them and starts them again.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use tokio::sync::mpsc;

use crate::plan::{ACCOUNTS, PROCESSES};
use crate::{ACCOUNT, FOLDER, ROLE, ROOT, bus};

/// Lines of a process that are kept to be shown with a violation.
const TAIL: usize = 200;

/// One line of a process.
pub(crate) struct Said {
    pub(crate) place: usize,
    /// The number of the process among all that had this place, from 1.
    pub(crate) incarnation: u32,
    pub(crate) line: String,
}

/// A place for one process after another.
pub(crate) struct Place {
    pub(crate) account: usize,
    pub(crate) incarnation: u32,
    pub(crate) running: Option<Running>,
    pub(crate) frozen: bool,
    /// The last lines of all processes that had this place.
    pub(crate) tail: VecDeque<String>,
}

/// A started process; killed when dropped.
pub(crate) struct Running {
    child: Child,
    commands: ChildStdin,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All places, [`PROCESSES`] per account in a row.
pub(crate) struct Processes {
    folder: PathBuf,
    /// What the processes trust, as PEM.
    root: String,
    pub(crate) places: Vec<Place>,
    lines: mpsc::UnboundedSender<Said>,
}

/// The name of an account, and of its files.
pub(crate) fn account_name(account: usize) -> String {
    format!("account-{account}")
}

impl Processes {
    pub(crate) fn new(folder: &Path, root: String) -> (Self, mpsc::UnboundedReceiver<Said>) {
        let (lines, said) = mpsc::unbounded_channel();
        let places = (0..ACCOUNTS * PROCESSES).map(|place| Place {
            account: place / PROCESSES,
            incarnation: 0,
            running: None,
            frozen: false,
            tail: VecDeque::new(),
        });
        let processes = Self {
            folder: folder.join("state"),
            root,
            places: places.collect(),
            lines,
        };
        (processes, said)
    }

    /// Starts the next process at this place.
    pub(crate) fn start(&mut self, at: usize) {
        let place = &mut self.places[at];
        let mut child = Command::new(std::env::current_exe().expect("this program has a file"))
            .env(ROLE, "process")
            .env(FOLDER, &self.folder)
            .env(ROOT, &self.root)
            .env(ACCOUNT, account_name(place.account))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started again");
        let commands = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        place.incarnation += 1;
        place.frozen = false;
        place.running = Some(Running { child, commands });
        let (lines, incarnation) = (self.lines.clone(), place.incarnation);
        std::thread::spawn(move || {
            let lines_and_end = output.lines().map_while(Result::ok);
            for line in lines_and_end.chain(["gone".to_owned()]) {
                let said = Said {
                    place: at,
                    incarnation,
                    line,
                };
                if lines.send(said).is_err() {
                    return;
                }
            }
        });
    }

    /// Sends a command to a process; `false` if none runs.
    pub(crate) fn tell(&mut self, at: usize, command: &str) -> bool {
        let Some(running) = &mut self.places[at].running else {
            return false;
        };
        // A pipe holds far more than all commands that a frozen process can get.
        writeln!(running.commands, "{command}").is_ok()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, at: usize) {
        self.places[at].running = None;
        self.places[at].frozen = false;
    }

    /// Stops a process, or lets it go on.
    pub(crate) fn freeze(&mut self, at: usize, frozen: bool) {
        let place = &mut self.places[at];
        if let Some(running) = &place.running
            && place.frozen != frozen
        {
            bus::signal(&running.child, if frozen { "-STOP" } else { "-CONT" });
            place.frozen = frozen;
        }
    }

    /// Keeps a line for the report of a violation.
    pub(crate) fn remember(&mut self, said: &Said) {
        let tail = &mut self.places[said.place].tail;
        // There are many lines about calls, and they explain least.
        if said.line.starts_with("settled") {
            return;
        }
        if tail.len() == TAIL {
            tail.pop_front();
        }
        let now = jiff::Timestamp::now();
        tail.push_back(format!("{now:.3} #{} {}", said.incarnation, said.line));
    }

    /// What each thread of a process waits for in the system, to be shown with a call that is late.
    pub(crate) fn waits_for(&self, at: usize) -> String {
        let Some(running) = &self.places[at].running else {
            return "no process".into();
        };
        let tasks = PathBuf::from(format!("/proc/{}/task", running.child.id()));
        let read = |task: &Path, name: &str| {
            let text = std::fs::read_to_string(task.join(name)).unwrap_or_default();
            text.trim().to_owned()
        };
        let threads = std::fs::read_dir(tasks).into_iter().flatten().flatten();
        let threads = threads.map(|task| {
            let task = task.path();
            format!("{} in {}", read(&task, "comm"), read(&task, "wchan"))
        });
        threads.collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn is_alive(&self, at: usize) -> bool {
        self.places[at].running.is_some()
    }

    /// The places of an account.
    pub(crate) fn of_account(account: usize) -> std::ops::Range<usize> {
        account * PROCESSES..(account + 1) * PROCESSES
    }
}
