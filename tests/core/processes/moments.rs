//! Every moment of a renewal at which a process can be stopped, and what it leaves behind there.
//!
//! Moments that look the same from outside count as one. A process publishes the status and hands the new credentials
//! to its calls in memory: if it dies before, between or after these, the files, the vault and the server are the same.
//! It releases the lock before it answers a call, and a released lock looks like one whose holder died. An answer that
//! has not arrived whole is the same as none.

use graphql_session_testing::Fault;

use crate::host::Host;
use crate::process::{Process, Told};

/// One moment.
pub(crate) struct Moment {
    /// The name in messages.
    pub(crate) name: &'static str,
    stop: Stop,
    /// The record in the vault.
    pub(crate) stored: Stored,
}

/// The record in the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// The old credentials.
    Old,
    /// The old credentials, with the mark of an exchange that has begun.
    Marked,
    /// The same, and the server has exchanged them.
    Spent,
    /// The new credentials.
    New,
}

/// How a process is stopped at a moment.
enum Stop {
    /// It halts at the step with this name.
    Halt(&'static str),
    /// The server stalls, before or after it has acted.
    Server(fn() -> Fault),
    /// It runs into its limit for the size of a file, as on a full disk: the system kills it while it writes the new
    /// state file beside the old one.
    #[cfg(target_os = "linux")]
    HalfStateFile,
    /// The vault fails, and the process keeps the lock.
    CannotSave,
    /// The server stalls on the first call that uses the new credentials.
    FirstUse,
    /// The call that wanted the renewal is answered.
    Answered,
}

/// All moments, in their order.
pub(crate) const MOMENTS: &[Moment] = &[
    Moment {
        name: "the lock is taken",
        stop: Stop::Halt("ReadBegins"),
        stored: Stored::Old,
    },
    Moment {
        name: "the vault is read again",
        stop: Stop::Halt("ReadEnds"),
        stored: Stored::Old,
    },
    Moment {
        name: "files and vault are read, and the mark is about to be written",
        stop: Stop::Halt("MarkBegins"),
        stored: Stored::Old,
    },
    Moment {
        name: "the record is marked",
        stop: Stop::Halt("MarkEnds"),
        stored: Stored::Marked,
    },
    Moment {
        name: "the exchange is about to be sent",
        stop: Stop::Halt("ExchangeBegins"),
        stored: Stored::Marked,
    },
    Moment {
        name: "the exchange is sent, and the server has not acted",
        stop: Stop::Server(|| Fault::Stall),
        stored: Stored::Marked,
    },
    Moment {
        name: "the server has rotated, and has not answered",
        stop: Stop::Server(|| Fault::after_acting(Fault::Stall)),
        stored: Stored::Spent,
    },
    Moment {
        name: "half of the answer has been sent",
        stop: Stop::Server(|| Fault::StallInBody),
        stored: Stored::Spent,
    },
    Moment {
        name: "the answer has arrived whole",
        stop: Stop::Halt("AnswerRead"),
        stored: Stored::Spent,
    },
    Moment {
        name: "the save is about to begin",
        stop: Stop::Halt("SaveBegins"),
        stored: Stored::Spent,
    },
    Moment {
        name: "the save has failed",
        stop: Stop::CannotSave,
        stored: Stored::Spent,
    },
    Moment {
        name: "the new credentials are saved, and the state file is the old one",
        stop: Stop::Halt("SaveEnds"),
        stored: Stored::New,
    },
    #[cfg(target_os = "linux")]
    Moment {
        name: "the new state file is half written beside the old one",
        stop: Stop::HalfStateFile,
        stored: Stored::New,
    },
    Moment {
        name: "the state file is written, and a first call uses the new credentials",
        stop: Stop::FirstUse,
        stored: Stored::New,
    },
    Moment {
        name: "the call is answered",
        stop: Stop::Answered,
        stored: Stored::New,
    },
];

impl Moment {
    /// The stored refresh token is spent, and only the process has the newer one.
    pub(crate) fn is_at_stake(&self) -> bool {
        self.stored == Stored::Spent
    }

    /// The process holds the account's lock.
    pub(crate) fn is_locked(&self) -> bool {
        match self.stop {
            // The system has killed the process there.
            #[cfg(target_os = "linux")]
            Stop::HalfStateFile => false,
            Stop::FirstUse | Stop::Answered => false,
            Stop::Halt(_) | Stop::Server(_) | Stop::CannotSave => true,
        }
    }

    /// Lets the process make the first renewal since its sign-in, up to this moment. Returns the call that needs it.
    pub(crate) async fn reach(&self, host: &Host, process: &mut Process) -> Told {
        let server = &host.server;
        match self.stop {
            Stop::Halt(step) => halt_at(process, step).await,
            Stop::Server(fault) => {
                server.on_renewal(fault());
                let call = process.tell("call");
                let exchanged = u64::from(self.is_at_stake());
                server
                    .wait_for(|counts| counts.renewals >= 1 && counts.exchanged == exchanged)
                    .await;
                call
            }
            #[cfg(target_os = "linux")]
            Stop::HalfStateFile => {
                let call = halt_at(process, "SaveEnds").await;
                process.limit_files();
                let _ = process.tell("go_on");
                let status = process.ends().await;
                assert!(!status.success(), "the limit did not stop it");
                call
            }
            Stop::CannotSave => {
                let call = halt_at(process, "AnswerRead").await;
                let _ = process.tell("vault fails");
                let _ = process.tell("go_on");
                assert_eq!(
                    process.answer(call).await,
                    "200",
                    "the session goes on in memory"
                );
                process.tell("call")
            }
            Stop::FirstUse => {
                let calls = server.counts().calls;
                server.on_call(Fault::access_refused());
                server.on_call(Fault::Stall);
                let call = process.tell("call");
                server.wait_for(|counts| counts.calls == calls + 2).await;
                call
            }
            Stop::Answered => {
                let call = process.tell("call");
                assert_eq!(process.answer(call).await, "200");
                process.tell("call")
            }
        }
    }

    /// What the vault must hold, byte for byte in every token.
    pub(crate) async fn check_stored(&self, host: &Host, before: &serde_json::Value) {
        let stored = host.stored().await.expect("an entry");
        let found = match (
            stored["credentials"] == before["credentials"],
            stored["renewing_at"].is_null(),
        ) {
            (true, true) => Stored::Old,
            (true, false) if self.is_at_stake() => Stored::Spent,
            (true, false) => Stored::Marked,
            (false, _) => Stored::New,
        };
        assert_eq!(found, self.stored, "{}", self.name);
        let secrets = host.server.secrets();
        for token in ["access", "refresh"] {
            let text = stored[token].as_str().expect("a token");
            assert!(secrets.iter().any(|issued| issued == text), "a whole token");
            let is_old = stored[token] == before[token];
            assert_eq!(is_old, found != Stored::New, "{}: mixed", self.name);
        }
        assert_eq!(stored["session"], before["session"]);
        let generation = if found == Stored::New { 2 } else { 1 };
        assert_eq!(stored["generation"], generation, "{}", self.name);
        let file = host.state_file();
        assert_eq!(file["stamp"]["session"], before["session"], "{}", self.name);
    }
}

/// Lets the process make a call, and returns once its renewal has halted at this step.
pub(crate) async fn halt_at(process: &mut Process, step: &str) -> Told {
    let halted = process.tell(&format!("halt {step}"));
    let call = process.tell("call");
    assert_eq!(process.answer(halted).await, "halted");
    call
}
