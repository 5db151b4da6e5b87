//! Ours: a session as an application opens it, with the real keyring and all settings at their defaults.
//!
//! The windows of a process share the session, as they do through the plugin, and each learns of an ending once. State
//! files are beside the store that the other clients have; what they keep in it is in the keyring here.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use graphql_session::{Call, Clock, Config, Phase, Reply, Session, Sleep, SystemClock, Vault};
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;

use crate::client::{Failure, JUMP, Place};
use crate::protocol::{self, tell};
use crate::store::Tokens;
use crate::wire::Answer;

/// Under which its keyring entries are found, an account for each store.
const APPLICATION: &str = "holdfast-compare";

/// The session of a process.
pub(crate) struct Holdfast {
    session: Session,
    clock: Arc<JumpingClock>,
    vault: Arc<dyn Vault>,
    account: String,
}

impl Holdfast {
    /// Signs in with these tokens, or goes on with what the keyring has.
    pub(crate) async fn open(place: &Place, tokens: Option<Tokens>) -> Result<Self, String> {
        let folder = place.store.folder();
        let name = folder.file_name().and_then(|name| name.to_str());
        let clock = Arc::new(JumpingClock::default());
        let mut config = Config::new(APPLICATION, folder.join("state"));
        name.unwrap_or_default()
            .trim_start_matches('.')
            .clone_into(&mut config.account);
        config.clock = clock.clone();
        let (vault, account) = (config.vault.clone(), config.account.clone());
        let session = Session::open(config)
            .await
            .map_err(|error| error.to_string())?;
        if let Some(tokens) = tokens {
            session
                .sign_in_with_tokens(&place.origin, None, tokens.into())
                .await
                .map_err(|error| error.to_string())?;
        }
        tell_endings(&session, place.windows);
        Ok(Self {
            session,
            clock,
            vault,
            account,
        })
    }

    /// One call.
    pub(crate) async fn call(&self, body: Bytes) -> Result<Answer, Failure> {
        let reply = self.session.execute(Call::new("graphql", body)).await;
        match reply {
            Ok(Reply { status, body, .. }) => Ok(Answer {
                status: StatusCode::from_u16(status).expect("reqwest has read it as one"),
                body,
            }),
            // The status announces an ending to every window. The outcome of a call does not.
            Err(error) => Err(Failure {
                text: error.to_string(),
                logout: false,
            }),
        }
    }

    pub(crate) async fn sign_out(&self) {
        self.session.sign_out().await;
    }

    /// The session says so, or the keyring has an entry still: as with the store of the others, what is left there counts.
    /// So does a keyring that cannot be read.
    pub(crate) async fn is_signed_in(&self) -> bool {
        if !matches!(self.session.status().phase, Phase::SignedOut | Phase::Ended) {
            return true;
        }
        let (vault, account) = (self.vault.clone(), self.account.clone());
        let read = tokio::task::spawn_blocking(move || vault.read(&account)).await;
        !matches!(read, Ok(Ok(None)))
    }

    /// The session looks at the clock that it was given, until the server's Date header corrects it.
    pub(crate) fn expire(&self) {
        self.clock.jumps.fetch_add(1, Ordering::SeqCst);
    }
}

/// As the plugin does: one event to each window for each ending.
fn tell_endings(session: &Session, windows: usize) {
    let mut changes = session.changes();
    tokio::spawn(async move {
        let mut told = 0;
        loop {
            let endings = changes.borrow_and_update().endings;
            while told < endings {
                told += 1;
                for window in 0..windows {
                    tell(&protocol::Reply::Logout {
                        logout: true,
                        window,
                    });
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    });
}

/// The machine's clock, whose wall time [`Holdfast::expire`] pushes ahead.
#[derive(Default)]
struct JumpingClock {
    machine: SystemClock,
    jumps: AtomicI32,
}

impl Clock for JumpingClock {
    fn wall(&self) -> Timestamp {
        let jump = SignedDuration::try_from(JUMP).expect("a day");
        self.machine.wall() + jump * self.jumps.load(Ordering::SeqCst)
    }

    fn awake(&self) -> Duration {
        self.machine.awake()
    }

    fn sleep(&self, pause: Duration) -> Sleep {
        self.machine.sleep(pause)
    }

    fn random(&self) -> u64 {
        self.machine.random()
    }
}
