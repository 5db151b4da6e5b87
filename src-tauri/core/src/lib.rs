//! Keeps a person signed in to a GraphQL API whose access tokens are short-lived.
//!
//! A [`Session`] holds one account at one server. It keeps the tokens in the OS keyring, sends calls with the current
//! access token, renews it once for everybody who waits, and ends only when the server has confirmed that the session
//! is over. No function of this crate returns a token.
//!
//! ```no_run
//! use graphql_session::{Call, Config, Person, Session};
//!
//! # async fn example() -> Result<(), graphql_session::Error> {
//! let session = Session::open(Config::new("my-app", "/home/ada/.local/share/my-app")).await?;
//! let person = Person { email: "ada@example.com".into(), password: "correct horse".into() };
//! session.sign_in("https://crm.example.com", person).await?;
//! let reply = session
//!     .execute(Call::new("graphql", r#"{"query":"{ people { totalCount } }"}"#))
//!     .await?;
//! println!("{} bytes, untouched", reply.body.len());
//! # Ok(())
//! # }
//! ```
//!
//! # Words
//!
//! - *Credentials*: an access token, a refresh token and their expiries, as one value. They carry a *session id* (128
//!   random bits, made at sign-in), a *generation* (+1 per renewal), and a *credentials id* (random, one per exchange).
//! - *Renewal*: exchanging the refresh token for new credentials. Its *verdict*: renewed, rejected, or inconclusive;
//!   the table is in [`verdict`].
//! - *Waiter*: a call that waits for a renewal. *Replay*: sending a refused call once more with newer credentials.
//! - *Adoption*: another process renewed first, and its stored credentials are taken over.
//! - *Vault*: where credentials rest. *Ending*: why a session is over ([`EndingReason`]).
//!
//! # The states of a session
//!
//! ```text
//!                 ┌────────────── sign in ──────────────┐
//!                 ▼                                     │
//!  opening ─▶ signed in ◀──▶ renewing ──▶ unreachable   │
//!     │           │              │  ▲         │  │      │
//!     │           │              │  └─ answer ┘  │      │
//!     │           │ sign out     │ rejected,     │ only with `end_after`
//!     │           ▼              ▼ and confirmed ▼      │
//!     ├─▶ signed out          ended ──────────────── ───┤
//!     └─▶ locked ── unlocked, or signed in anew ────────┘
//! ```
//!
//! # How it is built
//!
//! Every decision is made by one pure function, [`renewal::step`]: it takes the state and what happened, and returns
//! the next state and what to do. It does no I/O, and sees no token. One task per session performs the actions and
//! reports back; callers leave it a message and wait for their outcome. Hence nobody can cancel a renewal, and no two
//! decisions race.
//!
//! One thread owns every call to the vault, because a keyring can block for minutes. One OS file lock per account makes
//! it one renewal per machine; beside it lie a state file (no secrets) and an append-only list of ended sessions, by
//! which processes learn of each other within half a second.
//!
//! # What holds, and the test that guards it
//!
//! | | invariant | guarded by |
//! |---|---|---|
//! | I1 | At most one renewal is in flight per account on a machine. | soon |
//!
//! Which calls are replayed: a query may be. A mutation may be when it was refused as a whole (no `data`, or `data:
//! null`, or a plain HTTP 401). With partial data it is handed over as it is. After a lost reply a mutation never is,
//! and a query only if no byte of a reply had arrived. What cannot be told counts as a mutation ([`OperationKind`]).
//!
//! Request headers that a call may carry: `content-type`, `accept`, `accept-language`, `apollo-require-preflight`,
//! and those that begin with `x-` (not `x-forwarded`), `graphql-` or `apollographql-`.
//!
//! # Limits
//!
//! Every number is a named constant or a setting, with its unit, default and reason: [`Limits`] for deadlines and
//! budgets, [`Protocol`] for what belongs to a kind of server, and the constants at the top of the modules.

mod clock;
mod config;
mod credentials;
mod error;
pub mod journal;
mod lock;
mod operation;
pub mod protocol;
pub mod renewal;
mod session;
mod shared;
mod status;
mod transport;
pub mod vault;
pub mod verdict;

#[cfg(feature = "testing")]
pub mod testing;

pub use clock::{BoxFuture, Clock, SystemClock};
pub use config::{Config, DEFAULT_ACCOUNT, Limits};
pub use credentials::{Id, Stamp};
pub use error::{Code, Error};
pub use operation::OperationKind;
pub use protocol::{Person, Protocol, Tokens, Twenty};
pub use session::{Call, Reply, ServerCheck, Session};
pub use status::{
    Ending, EndingReason, LockedReason, NotSaved, Phase, Status, Storage, Unreachable,
};
pub use transport::{Answer, Origin, Trouble, Wire};
pub use vault::{Keyring, MemoryVault, Vault, VaultError};
