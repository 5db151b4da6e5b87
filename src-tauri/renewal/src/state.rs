//! [`State`]: everything that the decisions remember, in parts that live equally long.

use crate::budget::RenewalBudget;
use crate::cause::Cause;
use crate::event::{RenewalReason, WaiterId};
use crate::file_write::StateWrite;
use crate::ids::{CredentialsId, CredentialsInfo, SessionId};
use crate::outage::Outage;
use crate::reasons::{EndingReason, Storage, Unreachable};
use crate::schedule::Rules;
use crate::standing::{Held, Standing};
use crate::step::Step;
use crate::time::{Awake, Wall};

/// Everything that the decisions remember.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Whether there is a session, and which credentials calls use.
    pub session: Standing,
    /// Whether the credentials rest in the vault.
    pub storage: Storage,
    /// What the renewal is doing.
    pub step: Step,
    /// Whether this process holds the account's lock.
    pub has_lock: bool,
    /// Calls that wait for the outcome.
    pub waiters: Waiters,
    /// What is still to be done with the lock.
    pub(crate) agenda: Agenda,
    /// What is known of attempts that failed.
    pub(crate) outage: Outage,
    /// The entry of a session that is over, which the vault would not remove.
    pub(crate) cleanup: Option<Cleanup>,
    /// Writes to the state folder that failed.
    pub(crate) unwritten: Unwritten,
    /// How many more renewals of credentials that were just issued may be made.
    pub(crate) budget: RenewalBudget,
    /// When the steps for what is on the agenda began: a failure that another process noted after it counts as ours.
    pub(crate) round_began: Wall,
    /// When the last event happened: a sleep of the machine shows between two.
    pub(crate) last_event: Option<(Awake, Wall)>,
}

/// The calls that wait for a renewal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Waiters {
    pub(crate) ids: Vec<WaiterId>,
    /// The last moment at which they get an outcome.
    pub(crate) deadline: Option<Awake>,
}

/// What is still to be done with the lock, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Agenda {
    /// Another process wrote something newer, or the keyring may be open now: read it.
    pub(crate) look: bool,
    /// Asked for while an older look was under way, which may come too early.
    pub(crate) look_again: bool,
    /// Store the credentials of a new sign-in; its caller waits for it.
    pub(crate) sign_in: Option<CredentialsInfo>,
    /// Remove the entry of a session that is over.
    pub(crate) remove: Option<SessionId>,
    /// Renew.
    pub(crate) renew: Option<RenewalReason>,
    /// Replace the state file by what could not be written before.
    pub(crate) write_state: bool,
}

/// The entry of a session that is over, which the vault would not remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cleanup {
    pub(crate) session: SessionId,
    /// Tries before.
    pub(crate) tries: u32,
    /// When to try again.
    pub(crate) due: Awake,
}

/// Writes to the state folder that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Unwritten {
    /// Endings that are not on the ended list.
    pub(crate) ended: Vec<(SessionId, EndingReason)>,
    /// The newest state file.
    pub(crate) state: Option<StateWrite>,
    pub(crate) tries: u32,
    /// When they are made again; none while they are under way.
    pub(crate) due: Option<Awake>,
}

impl Unwritten {
    pub(crate) fn is_empty(&self) -> bool {
        self.ended.is_empty() && self.state.is_none()
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            session: Standing::Opening,
            storage: Storage::Saved,
            step: Step::Idle,
            has_lock: false,
            waiters: Waiters::default(),
            agenda: Agenda::default(),
            outage: Outage::default(),
            cleanup: None,
            unwritten: Unwritten::default(),
            budget: RenewalBudget::default(),
            round_began: Wall::default(),
            last_event: None,
        }
    }
}

impl State {
    /// The credentials that calls use.
    pub fn held(&self) -> Option<CredentialsInfo> {
        match self.session {
            Standing::Active(held) => Some(held.info),
            _ => None,
        }
    }

    /// What does not answer: set once waiters were woken because of it, or a call got no answer.
    pub fn unreachable(&self) -> Option<Unreachable> {
        self.outage.unreachable
    }

    /// Why the last attempt failed, or the last call without an answer; `None` after a success.
    pub fn cause(&self) -> Option<Cause> {
        self.outage.cause
    }

    /// Why a renewal is wanted, if one is.
    pub fn renewal_reason(&self) -> Option<RenewalReason> {
        self.agenda.renew
    }

    /// When the driver has to send the next [`Event::Tick`](crate::Event::Tick).
    pub fn next_wake(&self, rules: &Rules) -> Option<Awake> {
        let is_idle = self.step == Step::Idle;
        let due = match self.step {
            Step::Pausing { due, .. } | Step::KeepingLock { due, .. } => Some(due),
            _ => None,
        };
        let deadline = self
            .waiters
            .deadline
            .filter(|_| !self.waiters.ids.is_empty());
        let end = self
            .end_due(rules)
            .filter(|_| matches!(self.step, Step::Pausing { .. }) && !self.outage.slept);
        let ahead = self
            .renew_ahead_at()
            .filter(|_| is_idle && self.outage.unreachable.is_none());
        let probe = self.outage.probe.and_then(|probe| probe.due);
        let cleanup = self.cleanup.filter(|_| is_idle).map(|cleanup| cleanup.due);
        let write = self.unwritten.due;
        [due, deadline, end, ahead, probe, cleanup, write]
            .into_iter()
            .flatten()
            .min()
    }

    /// When the next attempt is due.
    pub fn next_attempt(&self) -> Option<Awake> {
        match self.step {
            Step::Pausing { due, .. } => Some(due),
            _ => self.outage.probe.and_then(|probe| probe.due),
        }
    }

    /// Whether quitting now would lose something (an exchange that was sent, or its save), or leave something behind (the
    /// entry of a session that is over, or an ending that other processes cannot see).
    pub fn must_finish(&self) -> bool {
        self.agenda.remove.is_some()
            || !self.unwritten.ended.is_empty()
            || matches!(
                self.step,
                Step::Marking | Step::Exchanging { .. } | Step::Saving { .. }
            )
    }

    /// Whether a write to the state folder failed, and is to be made again.
    pub fn has_unwritten(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Whether [`Event::Served`](crate::Event::Served) would change anything.
    pub fn wants_served(&self) -> bool {
        let is_failing = self.outage.failing_since.is_some() || self.outage.unreachable.is_some();
        self.held().is_some() && is_failing
    }

    /// Whether [`Event::ReplayServed`](crate::Event::ReplayServed) would change anything.
    pub fn wants_proof(&self) -> bool {
        matches!(self.session, Standing::Active(held) if held.renewed_for.is_some())
    }

    /// Whether these credentials are held, waited for by a sign-in, or being saved.
    pub fn names(&self, credentials: CredentialsId) -> bool {
        self.named(credentials).is_some()
    }

    /// The credentials with this id, if they are held, waited for by a sign-in, or being saved.
    pub(crate) fn named(&self, credentials: CredentialsId) -> Option<CredentialsInfo> {
        let saving = match self.step {
            Step::Saving { received, .. } => Some(received),
            _ => None,
        };
        [self.held(), self.agenda.sign_in, saving]
            .into_iter()
            .flatten()
            .find(|info| info.credentials == credentials)
    }

    /// When `end_after` has passed since the first failed attempt.
    pub(crate) fn end_due(&self, rules: &Rules) -> Option<Awake> {
        let since = self.outage.failing_since?;
        Some(since.plus(rules.end_after?))
    }

    pub(crate) fn renew_ahead_at(&self) -> Option<Awake> {
        match self.session {
            Standing::Active(held) => held.renew_ahead_at,
            _ => None,
        }
    }

    pub(crate) fn held_mut(&mut self) -> Option<&mut Held> {
        match &mut self.session {
            Standing::Active(held) => Some(held),
            _ => None,
        }
    }

    /// Whether the held credentials live in memory only.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.held().is_some() && matches!(self.storage, Storage::NotSaved(_))
    }

    /// Whether an attempt is under way that a new caller can join.
    pub(crate) fn is_attempting(&self) -> bool {
        match self.step {
            Step::Locking | Step::Rereading => self.agenda.renew.is_some(),
            Step::Marking | Step::Exchanging { .. } | Step::Confirming { .. } => true,
            Step::Saving { received, .. } => self.held() != Some(received),
            Step::Idle | Step::Pausing { .. } | Step::KeepingLock { .. } | Step::Removing => false,
        }
    }

    /// The credentials whose exchange is under way, if they are still the held ones.
    pub(crate) fn exchanged(&self) -> Option<CredentialsInfo> {
        let held = self.held();
        match self.step {
            Step::Exchanging { from, .. } => {
                held.filter(|held| held.credentials == from.credentials)
            }
            _ => held,
        }
    }
}

impl Waiters {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Who waits, in the order of their coming.
    pub fn iter(&self) -> impl Iterator<Item = WaiterId> + '_ {
        self.ids.iter().copied()
    }
}
