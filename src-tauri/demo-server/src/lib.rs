//! A server that behaves on the wire like Twenty (release 1.6, and 2.21 for OAuth 2) for what the desktop client uses:
//! sign-in by browser and by password, rotating refresh tokens with a grace time and reuse detection, object metadata,
//! records as connections, and a subscription to what happens to them, on SQLite.
//!
//! It has two uses. The desktop client embeds it as the demo that needs no account anywhere, and the tests use its
//! [`Switches`] to produce the faults a session must survive, while [`Counts`] say what really reached the server.
//!
//! ```no_run
//! # async fn demo() -> Result<(), demo_server::Error> {
//! use demo_server::{Counter, DemoServer, Options};
//!
//! let server = DemoServer::start(Options::default()).await?;
//! println!("{} {} {}", server.origin(), demo_server::DEMO_EMAIL, demo_server::DEMO_PASSWORD);
//!
//! let switches = server.switches();
//! switches.expire_access_tokens().await?;
//! switches.wait_for(Counter::RenewalsAccepted, 1).await;
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Reading order: [`DemoServer`] (life of the listener), `routes` and `wire` (one request from bytes to bytes), `auth`
//! (tokens and rotation), `oauth` (the sign-in in the browser), `objects` (what a workspace consists of), `records` (one engine for all objects), `switches`
//! and `counts`.

mod accounts;
mod auth;
mod clock;
mod control;
mod counts;
mod databases;
mod doorway;
mod error;
mod events;
mod graphql;
mod oauth;
mod objects;
mod records;
mod refusal;
mod routes;
mod seed;
mod server;
mod stopping;
mod store;
mod switch_state;
mod switches;
mod tokens;
mod wire;

pub use accounts::{
    DEMO_EMAIL, DEMO_PASSWORD, ONE_TIME_CODE, ONE_TIME_CODE_EMAIL, ONE_TIME_CODE_PASSWORD,
    SECOND_EMAIL, SECOND_PASSWORD, SECOND_WORKSPACE_NAME, TWO_WORKSPACES_EMAIL,
    TWO_WORKSPACES_PASSWORD, WORKSPACE_NAME, people,
};
pub use clock::{Clock, system_clock};
pub use counts::{Counter, Counts, OperationCount, Outcome, Renewal};
pub use error::Error;
pub use server::{DemoServer, Options};
pub use switch_state::{Calls, RenewalRefusal, Slow, SwitchState};
pub use switches::Switches;
