//! One process: its decisions, what they made it do, and how far each slow action has got. This is the shell
//! (`driver/perform.rs`, `vault/thread.rs`) cut at every boundary that another process, a caller or a crash can see.

use graphql_session_renewal::sim::{RULES, Record, Saving, remove_entry};
use graphql_session_renewal::{
    Action, Awake, Cause, CredentialsInfo, EndingReason, Event, Exchange, Now, Outcome, ServerTime,
    SessionId, State, Step, Storage, TokenFate, VaultError, View, WaiterId, step,
};

use crate::world::{World, Wrong};

mod work;

pub(crate) use work::{How, Reading, Work};

/// The random bits of every decision. They only draw pauses, and how long a pause is decides nothing but whether the
/// lock is released for it: this one is long enough.
const RANDOM: u64 = 700;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Life {
    #[default]
    Dead,
    Opening,
    Running,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    life: Life,
    pub(crate) state: State,
    /// Decided, and not performed yet. The first is always one that somebody else can notice.
    pub(crate) queue: Vec<Action>,
    pub(crate) work: Option<Work>,
    /// A write that has outlived its limit: `None` inside removes the entry.
    pub(crate) outstanding: Option<Option<Record>>,
    /// The write that waits behind it, given up as well. One slot: the newest wins.
    slot: Option<Option<Record>>,
    /// The lock is released once nothing is outstanding.
    releases: bool,
    /// What calls use.
    pub(crate) current: Option<CredentialsInfo>,
    /// It ended the session itself, or learned of the ending from the files.
    knows_the_end: bool,
}

impl Process {
    pub(crate) fn is_running(&self) -> bool {
        self.life == Life::Running
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.life == Life::Dead
    }

    pub(crate) fn next_wake(&self) -> Option<u64> {
        self.is_running()
            .then(|| self.state.next_wake(&RULES))
            .flatten()
            .map(Awake::ms)
    }

    pub(crate) fn says_unsaved(&self) -> bool {
        matches!(self.state.storage, Storage::NotSaved(_))
    }

    pub(crate) fn is_on_the_wire(&self) -> bool {
        matches!(self.work, Some(Work::Exchange { .. }))
    }
}

impl World {
    /// One decision of a process. Its actions wait in the queue.
    pub(crate) fn decide(&mut self, process: usize, event: Event) {
        let now = self.moment();
        let before = std::mem::take(&mut self.processes[process].state);
        let (after, actions) = step(before.clone(), event.clone(), now, &RULES);
        self.judge(&before, &event, &after, &actions);
        let learns = match &event {
            Event::FilesChanged(files) => files.ended.is_some(),
            Event::Reread(view) => view.files.ended.is_some(),
            _ => false,
        };
        self.processes[process].state = after;
        self.processes[process].knows_the_end |= learns;
        // Callers that are woken must find the new status.
        let (last, mut first): (Vec<_>, Vec<_>) = actions
            .into_iter()
            .filter(leaves_something_behind)
            .partition(|action| matches!(action, Action::Settle(..)));
        first.extend(last);
        self.processes[process].queue = first;
        self.perform_unseen(process);
    }

    pub(crate) fn moment(&self) -> Now {
        Now {
            awake: Awake::from_ms(self.now),
            wall: self.wall(),
            server: ServerTime::from_ms(self.wall().ms()),
            random: RANDOM,
            in_use: true,
        }
    }

    /// Whether the process would decide anything at this event.
    pub(crate) fn would_change(&self, process: usize, event: Event) -> bool {
        let before = &self.processes[process].state;
        let moment = self.moment();
        // A tick without work changes only its time.
        let (same, _) = step(
            before.clone(),
            Event::WaiterLeft(WaiterId::MAX),
            moment,
            &RULES,
        );
        let (after, actions) = step(before.clone(), event, moment, &RULES);
        after != same || !actions.is_empty()
    }

    /// What one decision must not do.
    fn judge(&mut self, before: &State, event: &Event, after: &State, actions: &[Action]) {
        match event {
            Event::Exchanged(Exchange::Renewed(received, _)) => {
                let is_ours = before
                    .held()
                    .is_some_and(|held| held.session == received.session);
                let is_saved = matches!(after.step, Step::Saving { received: saved, .. } if saved == *received);
                if is_ours && !is_saved {
                    self.wrong = Some(Wrong::AnswerDropped);
                }
            }
            Event::Needed { seen, .. } => {
                let is_older = before.held().is_some_and(|held| held.supersedes(seen));
                if is_older && after.step != before.step {
                    self.wrong = Some(Wrong::RenewedWithoutNeed);
                }
            }
            _ => {}
        }
        let fails_some = actions.iter().any(|action| {
            matches!(action, Action::Settle(told, Outcome::Unreachable { .. })
                if told.iter().any(|waiter| before.waiters.iter().any(|known| known == *waiter)))
        });
        if fails_some && !after.waiters.is_empty() {
            self.wrong = Some(Wrong::FailedOneByOne);
        }
    }

    /// Performs the next action, and those after it that nobody else can notice: whether a crash or another process
    /// comes before or after these is all the same.
    pub(crate) fn perform_next(&mut self, process: usize) {
        let todo = self.processes[process].queue.remove(0);
        self.perform(process, todo);
        self.perform_unseen(process);
    }

    fn perform_unseen(&mut self, process: usize) {
        while let Some(first) = self.processes[process].queue.first()
            && !matches!(
                first,
                Action::AppendEnded(..) | Action::WriteState(_) | Action::WriteEnded(_)
            )
        {
            let action = self.processes[process].queue.remove(0);
            self.perform(process, action);
        }
    }

    fn perform(&mut self, process: usize, action: Action) {
        let at = self.wall();
        let own = &mut self.processes[process];
        let current = own.current;
        match action {
            Action::TakeLock { patient } => self.begin(process, Work::Lock { patient }),
            Action::Reread => {
                let held = own.state.held();
                let reading = Reading::Vault;
                self.begin(process, Work::Look { held, reading });
            }
            Action::Mark { at } => {
                let renewing_at = Some(at);
                let record = current.map(|info| Record { info, renewing_at });
                self.begin(process, Work::Mark { record });
            }
            Action::Exchange { .. } => {
                self.judge_exchange(current);
                let (from, answer) = (current, None);
                self.begin(process, Work::Exchange { from, answer });
            }
            Action::Save(info) => {
                let saving = Saving::Write;
                self.begin(process, Work::Save { info, saving });
            }
            Action::Remove(session) => self.begin(process, Work::Remove(session)),
            Action::Use(id) => {
                let held = own.state.held();
                if let Some(info) = held.filter(|held| held.credentials == id) {
                    self.begin_to_use(process, info);
                }
            }
            Action::Forget => own.current = None,
            Action::Settle(waiters, outcome) => {
                for waiter in waiters {
                    self.tell(process, waiter, outcome);
                }
            }
            Action::RevokeHeld => self.server.is_being_revoked = true,
            Action::ReleaseLock if own.outstanding.is_some() => own.releases = true,
            Action::AppendEnded(session, reason) => {
                own.knows_the_end = true;
                if !self.is_proven(reason) {
                    self.wrong = Some(Wrong::EndedWithoutProof);
                }
                self.host.append_ended(session, reason);
            }
            Action::ReleaseLock | Action::WriteState(_) | Action::WriteEnded(_) => {
                let state = &self.processes[process].state;
                self.host.perform(process, state, current, at, &action);
            }
            Action::Probe | Action::Drop(_) | Action::SignInDone | Action::Note(_) => {}
        }
    }

    fn begin_to_use(&mut self, process: usize, info: CredentialsInfo) {
        let is_stored = self
            .host
            .vault
            .is_some_and(|stored| !info.supersedes(&stored.info));
        let is_over = self.ended().is_some();
        let own = &mut self.processes[process];
        if !is_stored && !is_over && !own.says_unsaved() {
            self.wrong = Some(Wrong::UsedUnsaved);
        }
        if is_over && own.knows_the_end {
            self.wrong = Some(Wrong::UsedAfterItsEnd);
        }
        if own.current.is_some_and(|used| used.supersedes(&info)) {
            self.wrong = Some(Wrong::WentBack);
        }
        own.current = Some(info);
    }

    /// A sign-out ends a session if there was one; a rejection only if the server takes neither what is stored nor
    /// what any process has.
    fn is_proven(&self, reason: EndingReason) -> bool {
        match reason {
            EndingReason::SignedOut => !self.left.sign_out,
            EndingReason::Rejected | EndingReason::LostAnswer => {
                let stored = self.host.vault.map(|stored| stored.info);
                let held = self.processes.iter().filter_map(|own| own.current);
                let mut any = stored.into_iter().chain(held);
                self.ended().is_some() || !any.any(|info| self.server.takes(info, self.now))
            }
            EndingReason::UnreachableTooLong => false,
        }
    }

    fn begin(&mut self, process: usize, work: Work) {
        let needs_lock = !matches!(work, Work::Lock { .. } | Work::Look { .. });
        if needs_lock && self.host.lock != Some(process) {
            self.wrong = Some(Wrong::UsedWithoutLock);
        }
        let own = &mut self.processes[process];
        if own.work.replace(work).is_some() {
            self.wrong = Some(Wrong::TwoUnderWay);
        }
    }

    fn judge_exchange(&mut self, from: Option<CredentialsInfo>) {
        let Some(from) = from else {
            return;
        };
        if from.generation > 1 {
            self.wrong = Some(Wrong::RenewedWithoutNeed);
        }
        let stored = self.host.vault.map(|stored| stored.info);
        let held = self.processes.iter().filter_map(|own| own.current);
        if stored
            .into_iter()
            .chain(held)
            .any(|newer| newer.supersedes(&from))
            && self.server.is_spent(from, self.now)
        {
            self.wrong = Some(Wrong::ExchangedSpent);
        }
    }

    /// Starts a process: it reads the stored session before it does anything else.
    pub(crate) fn start(&mut self, process: usize) {
        self.processes[process].life = Life::Opening;
        self.processes[process].work = Some(Work::Look {
            held: None,
            reading: Reading::Vault,
        });
    }
}

/// Journal, probes and drops leave nothing behind that matters here; what a dropped token's revocation does is done by
/// the sign-out's.
fn leaves_something_behind(action: &Action) -> bool {
    !matches!(
        action,
        Action::Probe | Action::Drop(_) | Action::SignInDone | Action::Note(_)
    )
}
