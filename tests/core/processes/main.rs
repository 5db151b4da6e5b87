//! Several real processes with one session: this test binary, started again (I1, I3, I5, I6, I10).
//!
//! The server runs in the test; the processes share a state folder and a file that stands in for the keyring. Nothing
//! here waits for a machine to be fast: each test waits for events, with a generous limit.

#![cfg(unix)]

mod child;
mod file_vault;
#[cfg(target_os = "linux")]
mod files_on_disk;
#[allow(dead_code)]
#[path = "../fixture/mod.rs"]
mod fixture;
mod frozen;
#[cfg(target_os = "linux")]
mod full_disk;
#[allow(dead_code)] // each test binary uses its part
mod host;
mod kill;
mod moments;
#[allow(dead_code)] // each test binary uses its part
mod process;
mod proxy;
mod quitting;
mod saving;
mod sign_out;
mod signing_in;
mod survival;
mod together;
