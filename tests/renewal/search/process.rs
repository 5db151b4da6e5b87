//! One process: its decisions, the actions that follow, and the progress of each slow action. This is the core's shell
//! (`driver/perform.rs`, `vault/thread.rs`), cut at every boundary that another process, a caller or a crash can see.

use graphql_session_renewal::{
    Action, Awake, Cause, CredentialsInfo, EndingReason, Event, Exchange, FailureSeen, FileState,
    Now, Outcome, Rules, SaveFailure, ServerTime, State, Step, TokenFate, VaultError, VaultView,
    View, WaiterId, Wall, step,
};

use crate::server::GRACE;
use crate::world::{Record, World, Wrong};

mod work;

pub(crate) use work::{How, Reading, Saving, Work};

pub(crate) const RULES: Rules = Rules {
    renewal_timeout: 25_000,
    grace: GRACE,
    max_backoff: 30_000,
    end_after: None,
};

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
    /// Actions that are decided and not performed yet. The first is always one that another process or a caller can
    /// notice.
    pub(crate) queue: Vec<Todo>,
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

/// An [`Action`] with the credentials that its ids name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Todo {
    Begin(Work),
    Use(CredentialsInfo),
    Forget,
    Settle(Vec<WaiterId>, Outcome),
    ReleaseLock,
    AppendEnded(EndingReason),
    Revoke,
    WriteState(FileState),
    WriteEnded(EndingReason),
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
        let mut settled = Vec::new();
        for action in actions {
            match self.todo(process, action) {
                // Callers that are woken must find the new status.
                Some(todo @ Todo::Settle(..)) => settled.push(todo),
                Some(todo) => self.processes[process].queue.push(todo),
                None => {}
            }
        }
        self.processes[process].queue.extend(settled);
        self.perform_unseen(process);
    }

    fn moment(&self) -> Now {
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

    /// What the shell does for an action. Journal, probes and drops have no effect that matters here; the revocation of
    /// a dropped token has the same effect as that of a sign-out.
    fn todo(&self, process: usize, action: Action) -> Option<Todo> {
        let own = &self.processes[process];
        let begin = |work| Some(Todo::Begin(work));
        match action {
            Action::TakeLock { patient } => begin(Work::Lock { patient }),
            Action::Reread => begin(Work::Look {
                held: own.state.held(),
                reading: Reading::Vault,
            }),
            Action::Mark { at } => begin(Work::Mark { at, record: None }),
            Action::Exchange => begin(Work::Exchange {
                from: None,
                answer: None,
            }),
            Action::Save(info) => begin(Work::Save {
                info,
                saving: Saving::Write,
            }),
            Action::Remove(_) => begin(Work::Remove),
            Action::ReleaseLock => Some(Todo::ReleaseLock),
            Action::Use(id) => own
                .state
                .held()
                .filter(|held| held.credentials == id)
                .map(Todo::Use),
            Action::Forget => Some(Todo::Forget),
            Action::RevokeHeld => Some(Todo::Revoke),
            Action::AppendEnded(_, reason) => Some(Todo::AppendEnded(reason)),
            Action::WriteState {
                of,
                saved,
                not_before,
                failure,
            } => {
                let received = match own.state.step {
                    Step::Saving { received, .. } => Some(received),
                    _ => None,
                };
                let mut known = own.state.held().into_iter().chain(received);
                let held = known.find(|info| info.credentials == of);
                held.map(|info| {
                    Todo::WriteState(FileState {
                        info,
                        ended: None,
                        saved,
                        not_before,
                        last_failure: failure.map(|(token, next_at)| FailureSeen {
                            credentials: of,
                            at: self.wall(),
                            token,
                            next_at,
                        }),
                    })
                })
            }
            Action::WriteEnded(reason) => Some(Todo::WriteEnded(reason)),
            Action::Settle(waiters, outcome) => Some(Todo::Settle(waiters, outcome)),
            Action::Probe | Action::Drop(_) | Action::SignInDone | Action::Note(_) => None,
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
        while let Some(
            Todo::Begin(_)
            | Todo::Use(_)
            | Todo::Forget
            | Todo::Settle(..)
            | Todo::Revoke
            | Todo::ReleaseLock,
        ) = self.processes[process].queue.first()
        {
            let todo = self.processes[process].queue.remove(0);
            self.perform(process, todo);
        }
    }

    fn perform(&mut self, process: usize, todo: Todo) {
        match todo {
            Todo::Begin(work) => self.begin(process, work),
            Todo::Use(info) => self.begin_to_use(process, info),
            Todo::Forget => self.processes[process].current = None,
            Todo::Settle(waiters, outcome) => {
                for waiter in waiters {
                    self.tell(process, waiter, outcome);
                }
            }
            Todo::Revoke => self.server.is_being_revoked = true,
            Todo::ReleaseLock => {
                if self.processes[process].outstanding.is_some() {
                    self.processes[process].releases = true;
                } else {
                    self.lock = None;
                }
            }
            Todo::AppendEnded(reason) => {
                if !self.is_proven(reason) {
                    self.wrong = Some(Wrong::EndedWithoutProof);
                }
                self.ended.get_or_insert(reason);
                self.processes[process].knows_the_end = true;
            }
            Todo::WriteState(file) => {
                self.file = Some(file);
            }
            Todo::WriteEnded(reason) => {
                if let Some(info) = self.processes[process].current {
                    self.file = Some(FileState {
                        info,
                        ended: Some((reason, self.wall())),
                        saved: false,
                        not_before: None,
                        last_failure: None,
                    });
                }
            }
        }
    }

    fn begin_to_use(&mut self, process: usize, info: CredentialsInfo) {
        let is_stored = self
            .vault
            .is_some_and(|stored| !info.supersedes(&stored.info));
        let own = &mut self.processes[process];
        if !is_stored && self.ended.is_none() && !own.says_unsaved() {
            self.wrong = Some(Wrong::UsedUnsaved);
        }
        if self.ended.is_some() && own.knows_the_end {
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
                let stored = self.vault.map(|stored| stored.info);
                let held = self.processes.iter().filter_map(|own| own.current);
                let mut any = stored.into_iter().chain(held);
                self.ended.is_some() || !any.any(|info| self.server.takes(info, self.now))
            }
            EndingReason::UnreachableTooLong => false,
        }
    }

    fn begin(&mut self, process: usize, mut work: Work) {
        let current = self.processes[process].current;
        let needs_lock = match &mut work {
            Work::Lock { .. } | Work::Look { .. } => false,
            Work::Mark { at, record } => {
                *record = current.map(|info| Record {
                    info,
                    renewing_at: Some(*at),
                });
                true
            }
            Work::Exchange { from, .. } => {
                *from = current;
                self.judge_exchange(current);
                true
            }
            Work::Save { .. } | Work::Remove => true,
        };
        if needs_lock && self.lock != Some(process) {
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
        let stored = self.vault.map(|stored| stored.info);
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

impl Process {
    pub(crate) fn says_unsaved(&self) -> bool {
        matches!(
            self.state.storage,
            graphql_session_renewal::Storage::NotSaved(_)
        )
    }
}
