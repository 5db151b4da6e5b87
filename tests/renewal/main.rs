//! The decisions about a session, without I/O: properties of every order of events, and cases that once failed.

mod clocks;
mod counterexamples;
mod decisions;
mod early_renewal;
mod lost_answer;
mod process;
mod unsaved;
