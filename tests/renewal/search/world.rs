//! The world around the decisions: two processes of one machine with their callers, the files, the vault, the server,
//! and everything that may happen next.
//!
//! One session throughout: a second sign-in is not searched here. The clock stands still except where a move says
//! otherwise, so that only few moments exist; no fault is bound to one of them.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

use graphql_session_renewal::sim::{Host, RULES, Record};
use graphql_session_renewal::{
    CredentialsId, CredentialsInfo, EndingReason, Event, FileView, Outcome, RenewalReason,
    ServerTime, SessionId, Standing, Step, Wall, step,
};

use crate::process::{How, Process, Work};
use crate::server::Server;

/// The one session.
pub(crate) const SESSION: u128 = 1;

/// When the search begins, in wall ms. Any moment will do that is later than the longest pause.
const BEGIN: i64 = 1_000_000;

/// A silence that is longer than the grace time and every budget, in ms: after it, all of them are over.
const LONG_SILENCE: u64 = 100_000;

/// How often one write or read may be given up because a late write is still under way: once for the late write
/// itself, once for what waits behind it. Whatever waits longer meets the same state with a later clock.
const GIVEN_UP_BEHIND_A_LATE_WRITE: u8 = 1;

/// The callers, by the process in which they call: two share a renewal, one races with it. The first and the last have
/// sent their calls when the search begins, and are refused at any later moment; the one between calls at any moment,
/// also after its process was started again, and knows whether its credentials have expired.
const CALLS_IN: [usize; 3] = [0, 0, 1];

/// What each fault may still do. Those that a search allows come or stay away, in any combination and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    /// A person signs out, in either process.
    pub(crate) sign_out: bool,
    /// A process dies, and is started again at any later moment.
    pub(crate) crash: bool,
    /// An exchange gets no answer, whether or not the server rotated.
    pub(crate) lost_answer: bool,
    /// One call to the keyring fails.
    pub(crate) failure: bool,
    /// One write to the keyring outlives its limit, and lands at any later moment.
    pub(crate) late_write: bool,
    /// See [`GIVEN_UP_BEHIND_A_LATE_WRITE`].
    pub(crate) given_up: u8,
    /// Something under way takes longer than the next timer, or than the wait for the lock.
    pub(crate) delay: bool,
    /// See [`LONG_SILENCE`].
    pub(crate) long_silence: bool,
    /// One caller goes away while it waits.
    pub(crate) leaving: bool,
    /// A process learns that the network has changed.
    pub(crate) network_change: bool,
}

impl Left {
    /// No fault.
    pub(crate) const NOTHING: Self = Self {
        sign_out: false,
        crash: false,
        lost_answer: false,
        failure: false,
        late_write: false,
        given_up: GIVEN_UP_BEHIND_A_LATE_WRITE,
        delay: false,
        long_silence: true,
        leaving: false,
        network_change: false,
    };
}

/// What one call is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// Not made yet.
    Idle,
    /// On the wire, with the first credentials.
    Sent,
    /// Waits for the renewal.
    Waiting,
    /// Has its outcome, or died with its process. A waiter that gets newer credentials uses them at once: later, they
    /// could only be newer still, or gone. The server serves it then. The decisions learn of that only while
    /// credentials are new and unproven, and here new credentials always work.
    Settled,
}

/// A transition that must not happen, and the invariant that it breaks. The last world of a path that fails shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wrong {
    /// I1: vault and server are used under the lock only.
    UsedWithoutLock,
    /// I1: a process does one slow thing at a time.
    TwoUnderWay,
    /// I2: new credentials of a session that stands are saved.
    AnswerDropped,
    /// I3: nothing is used before it is stored, or said to be unsaved.
    UsedUnsaved,
    /// I4: a refusal of older credentials renews nothing.
    RenewedWithoutNeed,
    /// I5: a process that knows of the end uses the session no more.
    UsedAfterItsEnd,
    /// I5: what calls use never becomes older.
    WentBack,
    /// I5: a late write overwrites nothing newer.
    OverwroteNewer,
    /// I6, I7: a session ends by sign-out, or when the server takes nothing that is left of it.
    EndedWithoutProof,
    /// I8: a waiter gets one outcome.
    ToldTwice,
    /// I8: one failure is the failure of all who wait.
    FailedOneByOne,
    /// I9: a call is replayed with newer credentials, once.
    ReplayedWithTheSame,
    /// No spent token is exchanged after its grace time while this machine holds a newer one.
    ExchangedSpent,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// Ms since the search began. Awake time, wall clock and the server's clock move together.
    pub(crate) now: u64,
    pub(crate) processes: Processes,
    pub(crate) callers: [Caller; 3],
    /// Lock, files and vault, with the one session.
    pub(crate) host: Host<1>,
    pub(crate) server: Server,
    pub(crate) left: Left,
    pub(crate) wrong: Option<Wrong>,
}

/// The two processes. A move changes one of them mostly; the other is shared with the world before, and not copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Processes([Arc<Process>; 2]);

impl Processes {
    pub(crate) fn both(&self) -> [&Process; 2] {
        let [first, second] = &self.0;
        [first, second]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Process> {
        self.both().into_iter()
    }
}

impl Index<usize> for Processes {
    type Output = Process;

    fn index(&self, at: usize) -> &Process {
        &self.0[at]
    }
}

impl IndexMut<usize> for Processes {
    fn index_mut(&mut self, at: usize) -> &mut Process {
        Arc::make_mut(&mut self.0[at])
    }
}

/// One thing that happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// The caller reads the current credentials, and sends or waits.
    Call(usize),
    /// The caller's request is refused.
    Refuse(usize),
    /// The caller goes away.
    Leave(usize),
    /// The process performs the next action that another process or a caller could notice.
    Perform(usize),
    /// The process's slow action advances by one part.
    Advance(usize, How),
    /// The process's late write lands.
    Land(usize),
    /// The process looks at the files, which have changed.
    Look(usize),
    /// The process's timer is due.
    Tick(usize),
    /// The person signs out in this process.
    SignOut(usize),
    /// The process learns that the network has changed.
    NetworkChanges(usize),
    /// The person has unlocked the keyring, and asks this process to try again.
    Unlocked(usize),
    /// The process dies; what it was writing lands, or does not.
    Crash(usize, bool),
    /// The process is started again.
    Start(usize),
    /// Time passes until the next timer.
    Pass,
    /// Time passes until after the grace time.
    LongSilence,
}

impl World {
    /// Two processes that have opened the same stored session; its access token has just expired.
    pub(crate) fn new(left: Left) -> Self {
        let info = info(1, 1);
        let mut host = Host::default();
        host.store(info);
        let mut world = Self {
            now: 0,
            processes: Processes::default(),
            callers: [Caller::Sent, Caller::Idle, Caller::Sent],
            host,
            server: Server::new(),
            left,
            wrong: None,
        };
        for process in 0..2 {
            world.play(Move::Start(process));
            world.play(Move::Advance(process, How::Fine));
            world.play(Move::Advance(process, How::Fine));
            world.decide(process, Event::Served(info.credentials));
        }
        world
    }

    /// Everything that may happen next.
    pub(crate) fn moves(&self, moves: &mut Vec<Move>) {
        if let Some(caller) = self.refused_late() {
            moves.push(Move::Refuse(caller));
            return;
        }
        for process in 0..2 {
            self.moves_of(process, moves);
        }
        for (caller, doing) in self.callers.iter().enumerate() {
            let process = CALLS_IN[caller];
            if !self.is_ready(process) {
                continue;
            }
            match doing {
                Caller::Idle => moves.push(Move::Call(caller)),
                Caller::Sent => moves.push(Move::Refuse(caller)),
                Caller::Waiting if self.left.leaving => moves.push(Move::Leave(caller)),
                Caller::Waiting | Caller::Settled => {}
            }
        }
        if self.next_wake().is_some_and(|wake| wake > self.now)
            && (self.left.delay || self.is_quiet())
        {
            moves.push(Move::Pass);
        }
        if self.left.long_silence && self.may_repeat_an_exchange() {
            moves.push(Move::LongSilence);
        }
    }

    /// A caller whose refusal comes too late to matter: its process holds newer credentials, or none any more, and never
    /// goes back. It gets its outcome at once, now as at any later moment, and nothing else depends on when.
    fn refused_late(&self) -> Option<usize> {
        (0..self.callers.len()).find(|caller| {
            let own = &self.processes[CALLS_IN[*caller]];
            let is_late = own.state.held().is_none_or(|held| held.generation > 1);
            self.callers[*caller] == Caller::Sent && is_late && self.is_ready(CALLS_IN[*caller])
        })
    }

    fn moves_of(&self, process: usize, moves: &mut Vec<Move>) {
        let own = &self.processes[process];
        if own.outstanding.is_some() {
            moves.push(Move::Land(process));
        }
        if !own.is_running() {
            if own.is_dead() {
                moves.push(Move::Start(process));
            } else {
                self.advances(process, moves);
            }
            return;
        }
        if self.left.crash {
            moves.push(Move::Crash(process, false));
            if own.outstanding.is_some() {
                moves.push(Move::Crash(process, true));
            }
        }
        if !own.queue.is_empty() {
            moves.push(Move::Perform(process));
        }
        self.advances(process, moves);
        if own.queue.is_empty() && self.is_tick_due(process) {
            moves.push(Move::Tick(process));
        }
        if !self.is_ready(process) {
            return;
        }
        if self.look_matters(process) {
            moves.push(Move::Look(process));
        }
        let is_locked = matches!(own.state.session, Standing::Locked { .. });
        if self.left.sign_out && (own.state.held().is_some() || is_locked) {
            moves.push(Move::SignOut(process));
        }
        if is_locked && own.state.step == Step::Idle {
            moves.push(Move::Unlocked(process));
        }
        if self.left.network_change && self.would_change(process, Event::NetworkChanged) {
            moves.push(Move::NetworkChanges(process));
        }
    }

    /// What `next` makes of the world.
    pub(crate) fn play(&mut self, next: Move) {
        match next {
            Move::Call(caller) => self.call(caller),
            Move::Refuse(caller) => self.need(caller, info(1, 1), RenewalReason::Refused),
            Move::Leave(caller) => {
                self.left.leaving = false;
                self.callers[caller] = Caller::Settled;
                self.decide(CALLS_IN[caller], Event::WaiterLeft(caller as u64));
            }
            Move::Perform(process) => self.perform_next(process),
            Move::Advance(process, how) => self.advance(process, how),
            Move::Land(process) => self.land(process),
            Move::Look(process) => {
                let files = self.files(self.processes[process].state.held());
                self.decide(process, Event::FilesChanged(files));
            }
            Move::Tick(process) => self.decide(process, Event::Tick),
            Move::SignOut(process) => {
                self.left.sign_out = false;
                self.decide(process, Event::SignedOut);
            }
            Move::Unlocked(process) => self.decide(process, Event::RetryNow),
            Move::NetworkChanges(process) => {
                self.left.network_change = false;
                self.decide(process, Event::NetworkChanged);
            }
            Move::Crash(process, lands) => self.crash(process, lands),
            Move::Start(process) => self.start(process),
            Move::Pass => {
                self.left.delay &= self.is_quiet();
                self.now = self.next_wake().unwrap_or(self.now);
            }
            Move::LongSilence => {
                self.left.long_silence = false;
                self.now += LONG_SILENCE;
            }
        }
    }

    /// Reads the current credentials; served where these are new.
    fn call(&mut self, caller: usize) {
        match self.processes[CALLS_IN[caller]].current {
            Some(held) if !Server::serves(held) => self.need(caller, held, RenewalReason::Expired),
            _ => self.callers[caller] = Caller::Settled,
        }
    }

    fn need(&mut self, caller: usize, seen: CredentialsInfo, reason: RenewalReason) {
        self.callers[caller] = Caller::Waiting;
        let waiter = caller as u64;
        self.decide(
            CALLS_IN[caller],
            Event::Needed {
                waiter,
                seen,
                reason,
            },
        );
    }

    /// A waiter gets its outcome.
    pub(crate) fn tell(&mut self, process: usize, waiter: u64, outcome: Outcome) {
        let doing = usize::try_from(waiter)
            .ok()
            .filter(|caller| CALLS_IN.get(*caller) == Some(&process))
            .and_then(|caller| self.callers.get_mut(caller));
        if doing.is_none_or(|doing| std::mem::replace(doing, Caller::Settled) != Caller::Waiting) {
            self.wrong = Some(Wrong::ToldTwice);
        }
        if outcome == Outcome::Renewed {
            self.replay_is_served(process);
        }
        // As `Session::run` does: the replay is sent with what is current then, if there is something.
        let current = self.processes[process].current;
        if outcome == Outcome::Renewed && current.is_some_and(|current| !Server::serves(current)) {
            self.wrong = Some(Wrong::ReplayedWithTheSame);
        }
    }

    /// The process learns that its new credentials work. It decides nothing at that.
    fn replay_is_served(&mut self, process: usize) {
        let Some(used) = self.processes[process].current else {
            return;
        };
        let now = self.moment();
        let own = &mut self.processes[process];
        let before = std::mem::take(&mut own.state);
        let (after, actions) = step(before, Event::ReplayServed(used.credentials), now, &RULES);
        assert_eq!(actions, []);
        own.state = after;
    }

    /// Everything in the process is gone, and the system releases its lock. A request that was on its way to the
    /// keyring is carried out before any later request of another process, or never.
    fn crash(&mut self, process: usize, lands: bool) {
        self.left.crash = false;
        if lands && let Some(write) = self.processes[process].outstanding {
            self.write(write);
        }
        self.processes[process] = Process::default();
        self.host.release_lock(process);
        for (caller, doing) in self.callers.iter_mut().enumerate() {
            if CALLS_IN[caller] == process && *doing != Caller::Idle {
                *doing = Caller::Settled;
            }
        }
    }

    /// What the files say to a process. They are read in one go: the list only grows, so reading it later than the state
    /// file is as if both had been read then, or the state file is stale, which the next look makes up for.
    pub(crate) fn files(&self, held: Option<CredentialsInfo>) -> FileView {
        self.host.files(held, self.wall())
    }

    /// Why the one session ended, if it is on the ended list.
    pub(crate) fn ended(&self) -> Option<EndingReason> {
        self.host.ending_of(SessionId::of(SESSION))
    }

    /// Whether a look at the files would change anything. A process looks whenever they have changed since; here it may
    /// also look at other times, which are more orders and not fewer. A look that changes nothing is none.
    fn look_matters(&self, process: usize) -> bool {
        let state = &self.processes[process].state;
        let files = self.files(state.held());
        let is_newer = files
            .state
            .zip(state.held())
            .is_none_or(|(file, held)| file.info.supersedes(&held));
        (files.ended.is_some() || is_newer)
            && self.would_change(process, Event::FilesChanged(files))
    }

    /// Whether nothing but a timer moves anything on.
    fn is_quiet(&self) -> bool {
        self.processes.iter().all(|own| {
            let waits_for_lock =
                self.host.lock.is_some() && matches!(own.work, Some(Work::Lock { .. }));
            own.is_running()
                && (own.work.is_none() || waits_for_lock)
                && own.queue.is_empty()
                && own.outstanding.is_none()
        })
    }

    /// Whether an exchange may be sent a second time: before, a silence is only a delay. (A silence before a crash is
    /// to the server the same as one after it.)
    fn may_repeat_an_exchange(&self) -> bool {
        let is_used = |info| self.server.has_used(info);
        (!self.left.lost_answer || !self.left.crash)
            && (self.host.vault.is_some_and(|stored| is_used(stored.info))
                || self
                    .processes
                    .iter()
                    .any(|own| own.current.is_some_and(is_used)))
    }

    /// A write to the vault takes effect.
    pub(crate) fn write(&mut self, record: Option<Record>) {
        if let (Some(stored), Some(record)) = (self.host.vault, record)
            && self.ended().is_none()
            && stored.info.supersedes(&record.info)
        {
            self.wrong = Some(Wrong::OverwroteNewer);
        }
        self.host.vault = record;
    }

    pub(crate) fn wall(&self) -> Wall {
        Wall::from_ms(BEGIN).plus(self.now)
    }

    /// When the next timer of any process is due.
    fn next_wake(&self) -> Option<u64> {
        let wakes = self.processes.iter().filter_map(Process::next_wake);
        wakes.min()
    }

    pub(crate) fn is_tick_due(&self, process: usize) -> bool {
        self.processes[process]
            .next_wake()
            .is_some_and(|wake| wake <= self.now)
    }

    /// Whether the process can take an event: its task performs all actions of one decision before the next, and looks
    /// at its timer first.
    pub(crate) fn is_ready(&self, process: usize) -> bool {
        let own = &self.processes[process];
        own.is_running() && own.queue.is_empty() && !self.is_tick_due(process)
    }

    /// Whether nothing can happen any more.
    pub(crate) fn is_over(&self) -> bool {
        // Most states have a move that is found at once. A process may wait for ever for a lock that another one keeps.
        let is_moving = |own: &Process| {
            let waits = self.host.lock.is_some() && matches!(own.work, Some(Work::Lock { .. }));
            own.work.is_some() && !waits || !own.queue.is_empty() || !own.is_running()
        };
        if self.processes.iter().any(is_moving) {
            return false;
        }
        let mut moves = Vec::new();
        self.moves(&mut moves);
        // These may happen, and need not.
        moves.iter().all(|next| {
            matches!(
                next,
                Move::SignOut(_) | Move::Crash(..) | Move::LongSilence | Move::NetworkChanges(_)
            )
        })
    }
}

/// The credentials with this number. Only the first have expired; whether and when the others do changes nothing
/// before they are refused.
pub(crate) fn info(number: u128, generation: u64) -> CredentialsInfo {
    CredentialsInfo {
        session: SessionId::of(SESSION),
        begun_at: Wall::default(),
        generation,
        credentials: CredentialsId::of(number),
        access_until: None,
        issued_at: ServerTime::default(),
    }
}
