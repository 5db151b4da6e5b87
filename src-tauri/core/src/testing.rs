//! What tests of this crate and of its adopters stand on: a server that breaks on demand, a vault that fails on
//! demand, a clock that moves on demand. Feature `testing`.
//!
//! ```
//! use std::time::Duration;
//! use graphql_session::testing::{Fault, Machine, query};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let machine = Machine::start().await;
//! let session = machine.signed_in().await;
//!
//! // The access token has run out, and the server is in trouble for a moment.
//! machine.server.expire_access_tokens();
//! machine.server.on_renewal(Fault::status(503));
//!
//! // Time passes by itself, as far as it is needed.
//! let reply = machine.clock.run_until(session.execute(query("people"))).await?;
//! assert_eq!(reply.status, 200);
//! assert_eq!(machine.server.counts().renewals, 2);
//! # Ok::<(), graphql_session::Error>(())
//! # }).unwrap();
//! ```
//!
//! Real are: sockets on 127.0.0.1, the state files, the file lock, the vault's thread. Not real are time and
//! randomness; see [`ManualClock`] for what that makes deterministic.

mod clock;
mod machine;
mod server;
mod vault;

pub use clock::{Activity, ManualClock, NextSleep, UnderWay};
pub use machine::{Machine, call, mutation, query, subscription, upload};
pub use server::{
    AccessField, AnswerFate, Attempt, AttemptOutcome, AuthenticationOn, Counts, EMAIL, Entry,
    Explanation, Fact, Fault, FaultServer, Feed, Gate, IssuedPair, Ledger, PASSWORD, Pair,
    PairNumber, Rejection, Revocation, Seen, SessionNumber, Spent, Words,
};
pub use vault::{ScriptedVault, VaultCall};
