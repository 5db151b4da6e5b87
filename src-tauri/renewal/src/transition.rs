//! [`step`]: one event in, the next state and the actions out. What each event does stands in `requests.rs`,
//! `exchange.rs`, `retry.rs` and `ending.rs`.

use crate::action::{Action, Outcome};
use crate::budget::RenewalBudget;
use crate::event::{Event, WaiterId};
use crate::file_write::StateWrite;
use crate::ids::{CredentialsId, CredentialsInfo};
use crate::note::Note;
use crate::outage::Outage;
use crate::reasons::TokenFate;
use crate::schedule::{self, Rules};
use crate::state::State;
use crate::step::Step;
use crate::time::{Now, Wall};

/// How far the wall clock must outrun awake time between two events to count as a sleep, in ms. A clock that is set
/// by hand looks the same; both effects (read again, count a lost answer as past its grace) are harmless then.
const SLEEP_JUMP: u64 = 10_000;

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

/// One event on its way through the decisions.
pub(crate) struct Transition<'a> {
    pub(crate) state: State,
    pub(crate) actions: Vec<Action>,
    pub(crate) now: Now,
    pub(crate) rules: &'a Rules,
}

impl Transition<'_> {
    fn take(&mut self, event: Event) {
        match event {
            Event::Opened(view) => self.open(view),
            Event::Needed {
                waiter,
                seen,
                reason,
            } => self.need(waiter, seen, reason),
            Event::WaiterLeft(waiter) => self.state.waiters.ids.retain(|id| *id != waiter),
            Event::Served(credentials) => self.served(credentials),
            Event::ReplayServed(credentials) => self.replay_served(credentials),
            Event::Lost(credentials, cause) => self.lost(credentials, cause),
            Event::Probed(answered) => self.probed(answered),
            Event::RetryNow => self.retry_now(),
            Event::NetworkChanged => self.network_changed(),
            Event::SignedIn(info) => self.sign_in(info),
            Event::SignedOut => self.sign_out(),
            Event::FilesChanged(files) => self.files_changed(files),
            Event::LockTaken => self.lock_taken(),
            Event::LockNotTaken(cause) => self.lock_not_taken(cause),
            Event::Reread(view) => self.reread(view),
            Event::Marked(result) => self.marked(result),
            Event::Exchanged(exchange) => self.exchanged(exchange),
            Event::Saved(result) => self.saved(result),
            Event::Removed(result) => self.removed(result),
            Event::Written(write, result) => self.written(write, result),
            Event::Tick => self.tick(),
        }
    }

    /// A sleep of the machine is a jump of the wall clock between two events. On Windows the awake time counts it, too: only
    /// the timers are late then.
    fn notice_sleep(&mut self) {
        let Now { awake, wall, .. } = self.now;
        let is_late = self.is_late();
        let Some((last_awake, last_wall)) = self.state.last_event.replace((awake, wall)) else {
            return;
        };
        let awake_passed = awake.since(last_awake);
        let wall_passed = wall.since(last_wall).unwrap_or(0);
        let has_jumped = wall_passed > awake_passed.saturating_add(SLEEP_JUMP);
        if has_jumped && let Some(lost) = &mut self.state.outage.lost_answer {
            lost.sleep();
        }
        if has_jumped || is_late {
            self.state.outage.slept = true;
            // Most often in another network, and mostly before that is there.
            self.network_changed();
        }
    }

    /// Whether the end of a pause or of an attempt comes so late that this process stood still meanwhile. It matters only
    /// where that may end the session.
    fn is_late(&self) -> bool {
        if self.rules.end_after.is_none() {
            return false;
        }
        let due = match self.state.step {
            Step::Pausing { due, .. } => due,
            Step::Exchanging { sent_at, .. } => {
                let limit = schedule::attempt_limit(self.rules, self.state.outage.timeouts);
                sent_at.plus(limit)
            }
            _ => return false,
        };
        self.now.awake.since(due) > SLEEP_JUMP
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(crate) fn note(&mut self, note: Note) {
        self.actions.push(Action::Note(note));
    }

    /// The session is over, or another one begins.
    pub(crate) fn forget_session(&mut self) {
        self.forget_outage();
        self.state.budget = RenewalBudget::default();
    }

    pub(crate) fn forget_outage(&mut self) {
        self.state.outage = Outage::default();
    }

    /// Replaces the state file: the session of these credentials stands.
    pub(crate) fn write_state(
        &mut self,
        of: CredentialsId,
        saved: bool,
        failure: Option<(TokenFate, Wall)>,
    ) {
        // The newer one counts, whatever becomes of an older one.
        self.state.unwritten.state = None;
        self.act(Action::WriteState(StateWrite {
            of,
            saved,
            not_before: self.state.outage.not_before,
            failure,
        }));
    }

    pub(crate) fn wait(&mut self, waiter: WaiterId) {
        self.state.waiters.ids.push(waiter);
        self.start_deadline();
    }

    /// The waiters' time begins once this process holds the lock.
    pub(crate) fn start_deadline(&mut self) {
        let waiters = &mut self.state.waiters;
        if self.state.has_lock && !waiters.ids.is_empty() {
            let deadline = self.now.awake.plus(self.rules.renewal_timeout);
            waiters.deadline.get_or_insert(deadline);
        }
    }

    /// The same outcome for everybody who waits (I8).
    pub(crate) fn settle(&mut self, outcome: Outcome) {
        self.state.waiters.deadline = None;
        if !self.state.waiters.is_empty() {
            let waiters = std::mem::take(&mut self.state.waiters.ids);
            self.act(Action::Settle(waiters, outcome));
        }
    }

    pub(crate) fn settle_one(&mut self, waiter: WaiterId, outcome: Outcome) {
        self.act(Action::Settle(vec![waiter], outcome));
    }

    /// Whether the credentials that are held now have expired.
    pub(crate) fn has_expired(&self, held: &CredentialsInfo) -> bool {
        held.has_expired(self.now.server)
    }
}
