//! A server's process, so that its work is never counted as a side's: the program itself, started again.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Ends with this value. It says its address in its first line, and may answer a line with a line.
pub(crate) struct ServerProcess {
    child: Child,
    answers: BufReader<ChildStdout>,
    /// Its address.
    pub(crate) origin: String,
}

impl ServerProcess {
    /// Starts this very program anew; `as_server` tells it to be the server.
    pub(crate) fn start(as_server: impl FnOnce(&mut Command)) -> Self {
        let own = std::env::current_exe().expect("our own path");
        let mut command = Command::new(own);
        as_server(&mut command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server process");
        let mut server = Self {
            answers: BufReader::new(child.stdout.take().expect("its output")),
            child,
            origin: String::new(),
        };
        server.origin = server.line();
        server
    }

    /// What it answers to an empty line.
    #[allow(dead_code)] // most servers are asked over HTTP
    pub(crate) fn ask(&mut self) -> String {
        let asking = self.child.stdin.as_mut().expect("its input");
        writeln!(asking).expect("it listens");
        self.line()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        line.trim().to_owned()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
