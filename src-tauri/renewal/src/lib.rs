//! Every decision about a session and its renewal, as one pure function: [`step`].
//!
//! It takes a [`State`], one [`Event`], the time and the settings, and returns the next state and the [`Action`]s to
//! perform in their order. Nothing here does I/O, reads a clock, draws a random number, or sees a token: credentials are
//! named by their [`CredentialsInfo`]. The crate `graphql-session` performs the actions and feeds the events.
//!
//! # The steps
//!
//! ```text
//!          Needed              LockTaken        Reread           Marked
//!  Idle ───────────▶ Locking ───────────▶ Rereading ─────▶ Marking ─────▶ Exchanging
//!   ▲                   │ not in time        │ adopted,        │ vault locked,    │
//!   │                   ▼                    │ ended           │ token works      ├─ renewed ──▶ Saving ─▶ Idle
//!   └──────────────  Pausing ◀───────────────┴─────────────────┘                  │                 └ failed ─▶ KeepingLock
//!                       ▲  ▲                                                      ├─ inconclusive ─▶ Pausing
//!                       │  └──────────── ambiguous ──── Confirming ◀── rejected ──┘
//!                       │                                   └─ confirmed ─▶ Removing ─▶ Idle (ended)
//! ```
//!
//! # One renewal, in reading order
//!
//! 1. A call was refused, or its token has expired: `need` in `requests.rs` puts the renewal on the agenda and the call
//!    among the waiters, if the budget allows it. A call that comes later joins them; one with older credentials goes on
//!    at once (I4).
//! 2. `proceed` in `exchange.rs` takes the account's lock (I1). `lock_taken` starts the waiters' time; `lock_not_taken`
//!    pauses.
//! 3. `reread` looks at the files and the vault under the lock. Newer credentials are adopted (`adopt`) and the renewal
//!    is over; an ending is followed (`follow_ending` in `ending.rs`).
//! 4. `consider_renewing` keeps the pauses that the server or another process asked for, then marks the record: a
//!    process that finds the mark after a crash knows that an answer may be lost.
//! 5. `marked` sends the exchange, whether or not the mark could be written. From here on no caller can cancel it (I2).
//! 6. `exchanged` reads what it proved. New credentials are saved (7), a rejection is confirmed (8), all else is a
//!    failure (9).
//! 7. `saved`: `hold` gives the new credentials to the calls after the save (I3), and wakes every waiter once (I8). What
//!    could not be saved is saved again, with the lock kept (`keep_lock` in `retry.rs`).
//! 8. A rejection counts only if the same credentials are still the stored ones: `reread` once more, then `confirm` in
//!    `ending.rs`. An ambiguous one is asked for again first. Only then the session ends (I6).
//! 9. `fail` in `retry.rs` draws the pause until the next attempt. After a lost answer the attempts fall inside the
//!    server's grace time. Waiters whose time would run out get one failure (I8), and the session stays (I7). A call, a
//!    refusal or a change of the network brings the next attempt forward (`forward.rs`).
//! 10. `finish` in `exchange.rs` looks at the agenda again, and releases the lock when it is empty.
//!
//! # What is where
//!
//! | file | holds |
//! |---|---|
//! | `state.rs` | [`State`]: the session's standing, the step, the waiters, the agenda, the outage, the cleanup |
//! | `transition.rs` | [`step`] |
//! | `requests.rs` | what people, calls and other processes ask for |
//! | `exchange.rs` | lock, reread, mark, exchange, save |
//! | `retry.rs`, `outage.rs`, `schedule.rs` | after a failure: pauses, probes, early renewals |
//! | `forward.rs` | what ends a pause before its time: a call, a refusal, a change of the network |
//! | `budget.rs` | how many renewals of credentials that were just issued are made |
//! | `ending.rs` | rejections, endings, and the entries that are left of them |
//! | `unwritten.rs` | writes to the state folder that failed |
//! | `event.rs`, `action.rs`, `file_write.rs`, `note.rs` | what goes in and out |
//! | `cause.rs`, `reasons.rs` | why: the closed lists that people see |
//! | `ids.rs`, `time.rs` | ids and clocks as types of their own |
//! | `sim.rs` | with the feature `sim`: files, vault and lock as values, for tests and simulations |

mod action;
mod budget;
mod cause;
mod ending;
mod event;
mod exchange;
mod file_write;
mod forward;
mod ids;
mod note;
mod outage;
mod reasons;
mod requests;
mod retry;
mod schedule;
#[cfg(feature = "sim")]
pub mod sim;
mod standing;
mod state;
mod step;
mod time;
mod transition;
mod unwritten;

pub use action::{Action, Outcome};
pub use cause::{Cause, GraphqlCode, IoFailure, OAuthError};
pub use event::{
    Event, Exchange, FailureSeen, FileState, FileView, RenewalReason, SaveFailure, VaultView, View,
    WaiterId,
};
pub use file_write::{FileWrite, StateWrite};
pub use ids::{CredentialsId, CredentialsInfo, SessionId};
pub use note::Note;
pub use reasons::{
    EndingReason, LockedReason, ServerRefusal, Storage, TokenFate, Unreachable, VaultError,
};
pub use schedule::{Backoff, Rules};
pub use standing::{Held, Standing};
pub use state::{State, Waiters};
pub use step::Step;
pub use time::{Awake, Now, ServerTime, Wall};
pub use transition::step;
