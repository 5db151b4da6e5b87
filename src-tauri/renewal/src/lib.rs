//! Every decision about a session, as one pure function: [`step`].
//!
//! The driver of `graphql-session` performs the [`Action`]s in their order and feeds back [`Event`]s. Nothing here
//! does I/O, reads a clock, draws a random number, or sees a token: credentials are named by their [`CredentialsInfo`].
//!
//! ```text
//!          Needed              LockTaken        Reread           Marked
//!  Idle ───────────▶ Locking ───────────▶ Rereading ─────▶ Marking ─────▶ Exchanging
//!   ▲                   │ not in time        │ adopted,        │ vault locked,    │
//!   │                   ▼                    │ ended           │ token works      ├─ renewed ──▶ Saving ─▶ Idle
//!   └──────────────  Pausing ◀───────────────┴─────────────────┘                  │                 └ failed ─▶ Keeping
//!                       ▲  ▲                                                      ├─ inconclusive ─▶ Pausing
//!                       │  └──────────── ambiguous ──── Confirming ◀── rejected ──┘
//!                       │                                   └─ confirmed ─▶ Removing ─▶ Idle (ended)
//! ```

mod action;
mod ending;
mod event;
mod exchange;
mod ids;
mod note;
mod requests;
mod schedule;
mod standing;

pub use action::{Action, Outcome};
use ending::{locked_reason, not_saved};
pub use event::{Event, Exchange, FailureSeen, FileState, FileView, SaveFailure, VaultView, View};
pub use ids::{CredentialsInfo, Id};
pub use note::Note;
pub use schedule::Backoff;
use schedule::{LostAnswer, RenewalBudget};
pub use standing::{
    EndingReason, LockedReason, NotSaved, Storage, TokenFate, Unreachable, VaultError,
};

/// How long to wait before an ambiguous rejection is asked for once more, in ms: an outage that hides behind one is
/// mostly shorter (a database's failover takes seconds).
const ASK_AGAIN_AFTER: u64 = 30_000;

/// A pause up to this long keeps the lock, in ms: giving it up and taking it again costs more.
const KEEP_LOCK_UP_TO: u64 = 250;

/// How often an unsaved session is saved again, in ms: soon at first, for a keyring that was just restarted.
const SAVE_AGAIN_AFTER: u64 = 1_000;
const SAVE_AGAIN_AT_MOST: u64 = 30_000;

/// How often the entry of a session that is over is removed again, in ms: like a save at first, and then rarely, because
/// nobody waits for it and each try may open a prompt.
const REMOVE_AGAIN_AFTER: u64 = 1_000;
const REMOVE_AGAIN_AT_MOST: u64 = 600_000;

/// How far the wall clock must outrun awake time between two events to count as a sleep, in ms. A clock that is set
/// by hand looks the same; both effects (read again, count a lost answer as past its grace) are harmless then.
const SLEEP_JUMP: i64 = 10_000;

/// An idle application looks at its early renewal again after this long, in ms.
const LOOK_AGAIN_WHEN_IDLE: u64 = 60_000;

/// A server's pause in the files that ends later than this, in ms, was written by a clock that has been set back since:
/// Retry-After is capped at 10 min.
const LONGEST_RETRY_AFTER: i64 = 600_000;

/// Names one waiter; given by the shell.
pub type WaiterId = u64;

/// The settings that decisions depend on, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Waiters' budget, from holding the lock.
    pub renewal_timeout: u64,
    /// The protocol's grace time for a used refresh token; 0 where it has none.
    pub grace: u64,
    /// Longest pause between attempts while somebody needs a renewal.
    pub max_backoff: u64,
    /// Ends the session after this much awake time of failed attempts.
    pub end_after: Option<u64>,
}

/// When an event happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Now {
    /// Awake time, in ms.
    pub awake: u64,
    /// The local wall clock, in ms since 1970.
    pub wall: i64,
    /// The server's clock as far as known, in ms since 1970.
    pub server: i64,
    /// Random bits, for jitter.
    pub random: u64,
    /// Whether a call was made lately.
    pub in_use: bool,
}

/// Everything that the decisions remember.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Whether there is a session.
    pub standing: Standing,
    /// The credentials that calls use.
    pub held: Option<CredentialsInfo>,
    /// The session that is stored and cannot be read, while the standing is `Locked`.
    hidden: Option<Id>,
    /// Whether `held` rests in the vault.
    pub storage: Storage,
    /// What the renewal task is doing.
    pub step: Step,
    /// Whether this process holds the account's lock.
    pub locked: bool,
    /// Calls that wait for the outcome.
    pub waiters: Vec<WaiterId>,
    /// Set once waiters were told that nothing answers, or a call got no answer; cleared by the next success.
    pub unreachable: Option<Unreachable>,
    /// While the server is away and the access token works, nothing needs a renewal: it is probed instead. A renewal by
    /// everybody after an outage would be the next one.
    probe: Option<Probe>,
    agenda: Agenda,
    /// An entry that could not be removed.
    leftover: Option<Leftover>,
    /// The last moment at which waiters are told, in awake ms.
    budget_until: Option<u64>,
    /// When this round of renewal began, in wall ms: a failure that another process noted after it counts as ours.
    round_began: i64,
    lost_answer: Option<LostAnswer>,
    backoff: Backoff,
    /// Awake ms of the first failed attempt since the last success.
    failing_since: Option<u64>,
    /// The server asked for silence until then, in wall ms.
    not_before: Option<i64>,
    asked_twice: bool,
    /// The next attempt is made whatever pause another process has drawn: a person, or a served call, asks for it.
    insists: bool,
    /// A served call has cut a pause short already, since the last success.
    skipped: bool,
    /// When this process last marked the record, in wall ms: its own mark proves no crash.
    marked_at: Option<i64>,
    /// Whether any call has been served with `held`.
    served: bool,
    budget: RenewalBudget,
    /// When to renew ahead of expiry, in awake ms.
    ahead_at: Option<u64>,
    last: Option<(u64, i64)>,
}

/// The probing of a server that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Probe {
    /// When the next probe is due, in awake ms; none while one is under way.
    due: Option<u64>,
    backoff: Backoff,
}

/// The entry of a session that is over, which the vault would not remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Leftover {
    session: Id,
    /// Tries before.
    tries: u32,
    /// When to try again, in awake ms.
    due: u64,
}

/// What is still to be done with the lock, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Agenda {
    /// Another process wrote something newer, or the keyring may be open now: take it over.
    look: bool,
    /// Asked for while an older look was under way, which may come too early.
    look_again: bool,
    /// Store the credentials of a new sign-in; its caller waits for it.
    sign_in: Option<CredentialsInfo>,
    /// Remove the entry of a session that is over.
    remove: Option<Id>,
    /// Renew.
    renew: Option<RenewalReason>,
}

/// Whether there is a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Not read yet.
    Opening,
    /// None.
    SignedOut,
    /// There is one, and `held` says which.
    Active,
    /// One is stored, and the vault does not show it.
    Locked(LockedReason),
    /// It is over.
    Ended {
        /// RenewalReason.
        reason: EndingReason,
        /// Wall ms.
        at: i64,
    },
}

/// What the renewal task is doing. While it is neither `Idle`, `Pausing` nor `Keeping`, exactly one action is under
/// way whose event moves it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Nothing.
    Idle,
    /// Waiting for the account's lock.
    Locking,
    /// Reading the state file, the ended list and the vault.
    Rereading,
    /// Writing `renewing` into the vault's record.
    Marking,
    /// An exchange is on the wire.
    Exchanging {
        /// What is being exchanged.
        from: CredentialsInfo,
        /// When it was sent, in awake ms.
        sent_at: u64,
        /// Its number since the last success, from 1.
        attempt: u32,
    },
    /// Writing credentials: new ones, or again the held ones.
    Saving {
        /// Which.
        received: CredentialsInfo,
        /// Tries before this one.
        tries: u32,
    },
    /// Rejected: reading once more before it is believed.
    Confirming {
        /// The server gives the same answer by mistake, too.
        ambiguous: bool,
    },
    /// Waiting for the next attempt.
    Pausing {
        /// When it is due, in awake ms.
        due: u64,
        /// The server asked for this pause: nothing but time ends it.
        floor: bool,
    },
    /// The lock is kept because `held` could not be saved: nobody else may exchange the stored, spent token.
    Keeping {
        /// When to save again, in awake ms.
        due: u64,
        /// Tries so far.
        tries: u32,
    },
    /// Removing the entry of a session that is over.
    Removing,
}

/// RenewalReason a renewal is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RenewalReason {
    /// The access token is known to have expired.
    Expired,
    /// The server refused it.
    Refused,
    /// It will expire soon, and the application is in use.
    Ahead,
}

impl Default for State {
    fn default() -> Self {
        Self {
            standing: Standing::Opening,
            held: None,
            hidden: None,
            storage: Storage::Saved,
            step: Step::Idle,
            locked: false,
            waiters: Vec::new(),
            unreachable: None,
            probe: None,
            agenda: Agenda::default(),
            leftover: None,
            budget_until: None,
            round_began: 0,
            lost_answer: None,
            backoff: Backoff::default(),
            failing_since: None,
            not_before: None,
            asked_twice: false,
            insists: false,
            skipped: false,
            marked_at: None,
            served: false,
            budget: RenewalBudget::default(),
            ahead_at: None,
            last: None,
        }
    }
}

impl State {
    /// When the shell has to send the next [`Event::Tick`], in awake ms.
    pub fn next_wake(&self, rules: &Rules) -> Option<u64> {
        let due = match self.step {
            Step::Pausing { due, .. } | Step::Keeping { due, .. } => Some(due),
            _ => None,
        };
        let budget = self.budget_until.filter(|_| !self.waiters.is_empty());
        let end = self
            .failing_since
            .zip(rules.end_after)
            .filter(|_| matches!(self.step, Step::Pausing { .. }))
            .map(|(since, after)| since + after);
        let can_go_ahead = self.step == Step::Idle && self.unreachable.is_none();
        let ahead = self.ahead_at.filter(|_| can_go_ahead);
        let probe = self.probe.and_then(|probe| probe.due);
        let leftover = self
            .leftover
            .filter(|_| self.step == Step::Idle)
            .map(|left| left.due);
        [due, budget, end, ahead, probe, leftover]
            .into_iter()
            .flatten()
            .min()
    }

    /// When the next attempt is due, in awake ms.
    pub fn next_attempt(&self) -> Option<u64> {
        match self.step {
            Step::Pausing { due, .. } => Some(due),
            _ => self.probe.and_then(|probe| probe.due),
        }
    }

    /// Whether quitting now would lose something: an exchange that was sent, or its save; or would leave something
    /// behind: the entry of a session that is over.
    pub fn must_finish(&self) -> bool {
        self.agenda.remove.is_some()
            || matches!(
                self.step,
                Step::Marking | Step::Exchanging { .. } | Step::Saving { .. }
            )
    }

    /// Whether [`Event::Served`] would change anything.
    pub fn wants_served(&self) -> bool {
        self.held.is_some()
            && (!self.served || self.failing_since.is_some() || self.unreachable.is_some())
    }

    /// Whether these credentials are held, waited for by a sign-in, or being saved.
    pub fn names(&self, credentials: Id) -> bool {
        let saving = match self.step {
            Step::Saving { received, .. } => Some(received),
            _ => None,
        };
        [self.held, self.agenda.sign_in, saving]
            .into_iter()
            .flatten()
            .any(|info| info.credentials == credentials)
    }

    /// RenewalReason a renewal is wanted, if one is.
    pub fn renewal_reason(&self) -> Option<RenewalReason> {
        self.agenda.renew
    }

    /// Whether an attempt is under way that a new caller can join.
    fn is_under_way(&self) -> bool {
        match self.step {
            Step::Locking | Step::Rereading => self.agenda.renew.is_some(),
            Step::Marking | Step::Exchanging { .. } | Step::Confirming { .. } => true,
            Step::Saving { received, .. } => self.held != Some(received),
            Step::Idle | Step::Pausing { .. } | Step::Keeping { .. } | Step::Removing => false,
        }
    }
}

/// The next state, and what to do. The one place where anything about a session is decided.
pub fn step(state: State, event: Event, now: Now, rules: &Rules) -> (State, Vec<Action>) {
    let mut transition = Transition {
        state,
        actions: Vec::new(),
        now,
        rules,
    };
    transition.notice_sleep();
    transition.take(event);
    (transition.state, transition.actions)
}

struct Transition<'a> {
    state: State,
    actions: Vec<Action>,
    now: Now,
    rules: &'a Rules,
}

impl Transition<'_> {
    fn take(&mut self, event: Event) {
        match event {
            Event::Opened(view) => self.open(view),
            Event::Needed { waiter, seen, why } => self.need(waiter, seen, why),
            Event::WaiterLeft(waiter) => self.state.waiters.retain(|id| *id != waiter),
            Event::Served(credentials) => self.served(credentials),
            Event::Lost(credentials) => self.lost(credentials),
            Event::Probed(answered) => self.probed(answered),
            Event::RetryNow => self.retry_now(),
            Event::SignedIn(info) => self.sign_in(info),
            Event::SignedOut => self.sign_out(),
            Event::FilesChanged(files) => self.files_changed(files),
            Event::LockTaken => self.lock_taken(),
            Event::LockNotTaken => self.lock_not_taken(),
            Event::Reread(view) => self.reread(view),
            Event::Marked(result) => self.marked(result),
            Event::Exchanged(exchange) => self.exchanged(exchange),
            Event::Saved(result) => self.saved(result),
            Event::Removed(result) => self.removed(result),
            Event::Tick => self.tick(),
        }
    }

    /// A sleep of the machine is a jump of the wall clock between two events.
    fn notice_sleep(&mut self) {
        let Now { awake, wall, .. } = self.now;
        if let Some((last_awake, last_wall)) = self.state.last.replace((awake, wall)) {
            let awake_passed = i64::try_from(awake.saturating_sub(last_awake)).unwrap_or(i64::MAX);
            if wall - last_wall > awake_passed.saturating_add(SLEEP_JUMP)
                && let Some(lost) = &mut self.state.lost_answer
            {
                lost.sleep();
            }
        }
    }
}
