//! A process of the application, as a test sees it: commands go to its input, one per line and each with a number; its answers
//! have that number.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

/// The beginning of every line of a process. The test harness writes other lines.
pub(crate) const MARK: &str = "process: ";

/// How long one answer of a process may take, in real time.
pub(crate) const ANSWER: Duration = Duration::from_secs(20);

/// A started process; killed when dropped.
pub(crate) struct Process {
    child: Child,
    commands: ChildStdin,
    answers: mpsc::UnboundedReceiver<(u64, String)>,
    early: HashMap<u64, String>,
    told: u64,
}

/// A command that was sent, and whose answer can be awaited.
#[must_use]
#[derive(Clone, Copy)]
pub(crate) struct Told(u64);

impl Process {
    /// Starts this test binary again, as the command says.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test can be started again");
        let commands = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (lines, answers) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // The test harness may have written the beginning of the line.
                let answer = line
                    .split_once(MARK)
                    .and_then(|(_, said)| said.split_once(' '));
                if let Some((number, answer)) = answer {
                    let _ = lines.send((number.parse().expect("a number"), answer.to_owned()));
                }
            }
        });
        Self {
            child,
            commands,
            answers,
            early: HashMap::new(),
            told: 0,
        }
    }

    /// Sends a command. Commands begin in their order and run side by side.
    pub(crate) fn tell(&mut self, command: &str) -> Told {
        self.told += 1;
        writeln!(self.commands, "{} {command}", self.told).expect("the process reads");
        Told(self.told)
    }

    pub(crate) async fn answer(&mut self, Told(number): Told) -> String {
        let answered = async {
            loop {
                if let Some(answer) = self.early.remove(&number) {
                    return answer;
                }
                let (number, answer) = self.answers.recv().await.expect("the process lives");
                self.early.insert(number, answer);
            }
        };
        let answer = tokio::time::timeout(ANSWER, answered).await;
        answer.expect("the process answers in time")
    }

    pub(crate) async fn ask(&mut self, command: &str) -> String {
        let told = self.tell(command);
        self.answer(told).await
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Freezes it until it is [thawed](Self::thaw), as a debugger or a suspended desktop does.
    pub(crate) fn freeze(&self) {
        freeze(self.pid());
    }

    pub(crate) fn thaw(&self) {
        signal(self.pid(), "-CONT");
    }

    /// Its next write into a file stops after 64 bytes: the system kills it there, or tells it that there is no room.
    pub(crate) fn limit_files(&self) {
        let limited = Command::new("prlimit")
            .args(["--pid", &self.pid().to_string()])
            .args(["--fsize=64:64", "--core=0:0"])
            .status();
        assert!(limited.expect("prlimit is there").success());
    }

    /// Waits for it to end by itself.
    pub(crate) async fn ends(&mut self) -> ExitStatus {
        let until = Instant::now() + ANSWER;
        loop {
            if let Some(status) = self.child.try_wait().expect("own child") {
                return status;
            }
            assert!(Instant::now() < until, "the process does not end");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Freezes any process; returns once the system has stopped it.
pub(crate) fn freeze(pid: u32) {
    signal(pid, "-STOP");
    let is_still = || {
        let shown = Command::new("ps")
            .args(["-o", "state=", "-p", &pid.to_string()])
            .output();
        shown.expect("ps is there").stdout.starts_with(b"T")
    };
    while !is_still() {}
}

/// Sends a signal to any process.
pub(crate) fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(sent.expect("kill is there").success());
}
