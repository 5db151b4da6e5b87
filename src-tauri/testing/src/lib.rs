//! The test kit of `graphql-session`, for its own tests and for those of applications that use it: a server that fails on
//! demand, a vault and a file system that fail on demand, a clock that moves on demand,
//! mutated inputs for parsers, and an allocator that counts. It uses only what the crate makes public.
//!
//! ```
//! use std::time::Duration;
//! use graphql_session_testing::{Fault, TestHost, query};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let host = TestHost::start().await;
//! let session = host.signed_in().await;
//!
//! // The access token has run out, and the server is in trouble for a moment.
//! host.server.expire_access_tokens();
//! host.server.on_renewal(Fault::status(503));
//!
//! // Time passes by itself, as far as it is needed.
//! let reply = host.clock.run_until(session.execute(query("people"))).await?;
//! assert_eq!(reply.status, 200);
//! assert_eq!(host.server.counts().renewals, 2);
//! # Ok::<(), graphql_session::Error>(())
//! # }).unwrap();
//! ```
//!
//! Real are: sockets on 127.0.0.1, the state files, the file lock, the vault's thread. Not real are time and
//! randomness; see [`ManualClock`] for what that makes deterministic.
//!
//! # Features
//!
//! `kit`, on by default, is all of that. Without it there is only [`rotation`], which needs no other crate: how a server
//! rotates refresh tokens, for programs that must not carry a test kit.

#[cfg(feature = "kit")]
mod allocator;
#[cfg(feature = "kit")]
mod browser;
#[cfg(feature = "kit")]
mod clock;
#[cfg(feature = "kit")]
mod files;
#[cfg(feature = "kit")]
mod fuzz;
#[cfg(feature = "kit")]
mod host;
#[cfg(feature = "kit")]
mod network;
pub mod rotation;
#[cfg(feature = "kit")]
mod script;
#[cfg(feature = "kit")]
mod server;
#[cfg(feature = "kit")]
mod vault;

#[cfg(feature = "kit")]
pub use allocator::{Allocations, CountingAllocator};
#[cfg(feature = "kit")]
pub use browser::{Browser, Page};
#[cfg(feature = "kit")]
pub use clock::{Activity, InFlight, ManualClock, NextSleep};
#[cfg(feature = "kit")]
pub use files::{FileCall, FileFailure, ScriptedFiles};
#[cfg(feature = "kit")]
pub use fuzz::Fuzz;
#[cfg(feature = "kit")]
pub use host::{TestHost, TestProtocol, call, mutation, query, subscription, upload};
#[cfg(feature = "kit")]
pub use network::ScriptedNetwork;
#[cfg(feature = "kit")]
pub use server::{
    AccessField, Alpn, AnswerFate, Attempt, AttemptOutcome, AuthenticationOn, CLIENT_ID, Coding,
    ConnectionFault, Counts, Discovery, EMAIL, Entry, Explanation, Fact, Fault, FaultServer, Feed,
    Gate, Iss, IssuedPair, Ledger, OAuthRules, ONE_TIME_CODE, PASSWORD, PROXIED_HOST, Pair,
    PairNumber, Rejection, Revocation, Seen, ServerCertificate, SessionNumber, Spent, Words,
};
#[cfg(feature = "kit")]
pub use vault::{ScriptedVault, VaultCall};
