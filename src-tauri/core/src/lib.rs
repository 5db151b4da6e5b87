//! x
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
