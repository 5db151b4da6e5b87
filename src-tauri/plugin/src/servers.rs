//! Which servers a page may name for a sign-in, how often, and how long an address it may send there. A script in the page
//! could sign in at a server of its own, and put what it has read into the address.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use graphql_session::{BoxFuture, Clock, Code, ServerRefusal, Session};

use crate::error::{CommandError, PluginCode};

/// Longest typed address, in bytes: what browsers take.
const ADDRESS_MAX: usize = 2_048;

/// The time in which checks, sign-ins and questions are counted.
const COUNTED_FOR: Duration = Duration::from_secs(60);

/// Checks of an address per minute: a form checks when the typing pauses.
const CHECKS: usize = 10;

/// Sign-ins per minute: a person corrects a password a few times.
const SIGN_INS: usize = 10;

/// Questions to the person per minute: more of them would only teach to say yes.
const QUESTIONS: usize = 3;

/// A person is to confirm that an account signs in at another server than so far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerChange {
    /// The account.
    pub account: String,
    /// Label of the window that asks.
    pub window: String,
    /// Origin of the server so far, such as `https://crm.example.com`; international names in Punycode.
    pub known: String,
    /// Origin of the other server.
    pub asked: String,
}

/// Asks the person. `true`: the server may be used.
pub(crate) type Confirm = Arc<dyn Fn(ServerChange) -> BoxFuture<'static, bool> + Send + Sync>;

/// Whether an origin is a server of the application's own.
pub(crate) type IsTrusted = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Guards what takes an address. Cheap to clone; managed state of the plugin.
#[derive(Clone)]
pub(crate) struct Servers(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    confirm: Confirm,
    is_trusted: IsTrusted,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    /// Origins that an account has used, or that its person has confirmed; since this process started.
    used: HashMap<String, HashSet<String>>,
    checks: VecDeque<Duration>,
    sign_ins: VecDeque<Duration>,
    questions: VecDeque<Duration>,
}

/// What a page wants of a server.
#[derive(Clone, Copy)]
pub(crate) enum Wanted {
    /// To check the address. Asks the person only where the page says so, because a form checks while people type.
    Check { may_ask: bool },
    /// To sign in there.
    SignIn,
}

impl Servers {
    pub(crate) fn new(clock: Arc<dyn Clock>, confirm: Confirm, is_trusted: IsTrusted) -> Self {
        Self(Arc::new(Shared {
            clock,
            confirm,
            is_trusted,
            inside: Mutex::default(),
        }))
    }

    /// Returns when the page may have what it wants. What it may not have is in the session's journal.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] and [`Code::InvalidAddress`] for what is too long or no address,
    /// [`PluginCode::TooManyCalls`] for too much in a minute, [`PluginCode::NotConfirmed`] where the person says no, or is
    /// not asked.
    pub(crate) async fn admit(
        &self,
        session: &Session,
        window: &str,
        address: &str,
        wanted: Wanted,
    ) -> Result<(), CommandError> {
        let admitted = self.judge(session, window, address, wanted).await;
        if let Err((Some(refusal), _)) = &admitted {
            session.note_refused_server(*refusal);
        }
        admitted.map_err(|(_, error)| error)
    }

    async fn judge(
        &self,
        session: &Session,
        window: &str,
        address: &str,
        wanted: Wanted,
    ) -> Result<(), (Option<ServerRefusal>, CommandError)> {
        check_length(address).map_err(|error| (Some(ServerRefusal::TooLong), error))?;
        let too_often = |error| (Some(ServerRefusal::TooOften), error);
        self.count(wanted).map_err(too_often)?;
        let asked = session
            .server_origin(address)
            .map_err(|error| (None, error.into()))?;
        let known = session.status().server;
        let Some(known) = known.filter(|known| !self.may_use(session, known, &asked)) else {
            return Ok(());
        };
        let not_confirmed = || (Some(ServerRefusal::NotConfirmed), not_confirmed());
        if matches!(wanted, Wanted::Check { may_ask: false }) {
            return Err(not_confirmed());
        }
        self.count_question().map_err(too_often)?;
        let change = ServerChange {
            account: session.account().to_owned(),
            window: window.to_owned(),
            known,
            asked: asked.clone(),
        };
        if !(self.0.confirm)(change).await {
            return Err(not_confirmed());
        }
        self.remember(session.account(), asked);
        Ok(())
    }

    /// Remembers the server so far, and returns whether the other one needs no question.
    fn may_use(&self, session: &Session, known: &str, asked: &str) -> bool {
        self.remember(session.account(), known.to_owned());
        let inside = self.inside();
        let used = &inside.used[session.account()];
        used.contains(asked) || (self.0.is_trusted)(asked)
    }

    fn remember(&self, account: &str, origin: String) {
        let mut inside = self.inside();
        inside
            .used
            .entry(account.to_owned())
            .or_default()
            .insert(origin);
    }

    fn count(&self, wanted: Wanted) -> Result<(), CommandError> {
        let now = self.0.clock.awake();
        let mut inside = self.inside();
        match wanted {
            Wanted::Check { .. } => count(&mut inside.checks, CHECKS, now),
            Wanted::SignIn => count(&mut inside.sign_ins, SIGN_INS, now),
        }
    }

    fn count_question(&self) -> Result<(), CommandError> {
        let now = self.0.clock.awake();
        count(&mut self.inside().questions, QUESTIONS, now)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Held for a few map operations and never across an await; nothing in it can panic half way.
        self.0.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The function of an application as it is kept.
pub(crate) fn confirm_with<F, A>(ask: F) -> Confirm
where
    F: Fn(ServerChange) -> A + Send + Sync + 'static,
    A: Future<Output = bool> + Send + 'static,
{
    Arc::new(move |change| Box::pin(ask(change)))
}

fn check_length(address: &str) -> Result<(), CommandError> {
    if address.len() > ADDRESS_MAX {
        return Err(CommandError::new(
            Code::InvalidAddress,
            "An address has 2,048 bytes at most.",
        ));
    }
    Ok(())
}

/// Counts one more, unless there were too many in the last minute.
fn count(counted: &mut VecDeque<Duration>, most: usize, now: Duration) -> Result<(), CommandError> {
    counted.retain(|at| now.saturating_sub(*at) < COUNTED_FOR);
    match counted.front() {
        Some(first) if counted.len() >= most => {
            let pause = (*first + COUNTED_FOR).saturating_sub(now);
            Err(too_often(pause))
        }
        _ => {
            counted.push_back(now);
            Ok(())
        }
    }
}

fn too_often(pause: Duration) -> CommandError {
    CommandError::new(
        PluginCode::TooManyCalls,
        "Too many servers or sign-ins were tried in a minute. Wait a moment.",
    )
    .retry_after(pause)
}

fn not_confirmed() -> CommandError {
    CommandError::new(
        PluginCode::NotConfirmed,
        "This is another server than so far, and nobody has confirmed it. Nothing was sent.",
    )
}
