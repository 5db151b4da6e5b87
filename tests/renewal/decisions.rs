//! The decisions alone, against a small model of the world: random orders of calls, answers, faults, sign-ins,
//! sign-outs and other processes, with the invariants checked after every step.

use std::collections::BTreeSet;

use graphql_session_renewal::sim::Host;
use graphql_session_renewal::{
    Action, Awake, Cause, CredentialsId, CredentialsInfo, EndingReason, Event, Exchange,
    RenewalReason, SessionId, State, Step, Storage, TokenFate, VaultError, WaiterId, Wall,
};
use proptest::prelude::*;

use crate::process::{Process, RULES};

/// Lifetime of an access token, in ms.
const LIFETIME: u64 = 1_800_000;

/// Most moves of a story. Each may be a sign-in, and so may the start.
const MOST_MOVES: usize = 80;

/// This process, and the other one that may hold the lock.
const OWN: usize = 0;
const OTHER: usize = 1;

/// The pause that the server asks for, in ms.
const RETRY_AFTER: u64 = 40_000;

/// Turns in which everything that is under way must come to rest once nothing fails any more.
const SETTLING_TURNS: usize = 500;

/// One thing that the world does.
#[derive(Clone, Debug)]
enum Move {
    Call(RenewalReason),
    CallLeaves,
    Served,
    RetryNow,
    NetworkChanges,
    SignIn,
    SignOut,
    /// The slow action that runs ends. An exchange has this outcome, if the world allows it.
    Finish(Answer),
    Pass(u64),
    Sleep(u64),
    LockKeyring(bool),
    OtherTakesLock(bool),
    OtherRenews,
    OtherSignsOut,
    /// A call with the held credentials gets no answer.
    CallIsLost,
    ProbeEnds(bool),
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Renewed,
    Lost,
    Trouble,
    RetryAfter,
    NotSent,
    Ambiguous,
    /// The server takes the newest refresh token only.
    Honest,
}

fn moves() -> impl Strategy<Value = Move> {
    let answer = prop_oneof![
        3 => Just(Answer::Honest),
        2 => Just(Answer::Renewed),
        1 => Just(Answer::Lost),
        1 => Just(Answer::Trouble),
        1 => Just(Answer::RetryAfter),
        1 => Just(Answer::NotSent),
        1 => Just(Answer::Ambiguous),
    ];
    prop_oneof![
        8 => answer.prop_map(Move::Finish),
        4 => prop_oneof![Just(RenewalReason::Expired), Just(RenewalReason::Refused)].prop_map(Move::Call),
        3 => (1_u64..40_000).prop_map(Move::Pass),
        1 => Just(Move::CallLeaves),
        1 => Just(Move::Served),
        1 => Just(Move::RetryNow),
        1 => Just(Move::NetworkChanges),
        1 => Just(Move::SignIn),
        1 => Just(Move::SignOut),
        1 => (0_u64..30_000_000).prop_map(Move::Sleep),
        1 => any::<bool>().prop_map(Move::LockKeyring),
        1 => any::<bool>().prop_map(Move::OtherTakesLock),
        1 => Just(Move::OtherRenews),
        1 => Just(Move::OtherSignsOut),
        1 => Just(Move::CallIsLost),
        1 => any::<bool>().prop_map(Move::ProbeEnds),
    ]
}

struct World {
    own: Process,
    ids: u128,
    host: Host<MOST_MOVES>,
    /// The refresh token that the server takes, by credentials; others only within their grace time.
    newest: Option<CredentialsInfo>,
    /// A slow action, and what calls used when it began.
    under_way: Option<(Action, Option<CredentialsInfo>)>,
    probing: bool,
    in_use: Option<CredentialsInfo>,
    waiting: BTreeSet<WaiterId>,
    next_waiter: WaiterId,
    /// The server has asked for silence until then, about these credentials.
    silent_until: Option<(Wall, CredentialsId)>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            own: Process::unopened(),
            ids: 0,
            host: Host::default(),
            newest: None,
            under_way: None,
            probing: false,
            in_use: None,
            waiting: BTreeSet::new(),
            next_waiter: 0,
            silent_until: None,
        };
        let view = world.host.view(None, world.own.now.wall);
        world.happen(Event::Opened(view));
        world.play(Move::SignIn);
        world.settle();
        world
    }

    fn play(&mut self, next: Move) {
        match next {
            Move::Call(why) => self.call(why),
            Move::CallLeaves => {
                if let Some(waiter) = self.waiting.pop_first() {
                    self.happen(Event::WaiterLeft(waiter));
                }
            }
            Move::Served => {
                if let Some(held) = self.own.state.held() {
                    self.happen(Event::Served(held.credentials));
                }
            }
            Move::RetryNow => self.happen(Event::RetryNow),
            Move::NetworkChanges => self.happen(Event::NetworkChanged),
            Move::SignIn => {
                let session = SessionId::of(self.next_number());
                let info = self.issue(session, 1);
                self.happen(Event::SignedIn(info));
            }
            Move::SignOut => self.happen(Event::SignedOut),
            Move::Finish(answer) => self.finish(answer),
            Move::Pass(ms) => self.pass(ms),
            Move::Sleep(ms) => self.own.sleeps(ms),
            Move::LockKeyring(true) => self.host.vault_answers = Err(VaultError::Locked),
            Move::LockKeyring(false) => self.host.vault_answers = Ok(()),
            Move::OtherTakesLock(true) => {
                self.host.take_lock(OTHER);
            }
            Move::OtherTakesLock(false) => self.host.release_lock(OTHER),
            Move::OtherRenews => self.other_renews(),
            Move::OtherSignsOut => self.other_signs_out(),
            Move::CallIsLost => {
                if let Some(held) = self.own.state.held() {
                    self.happen(Event::Lost(held.credentials, Cause::Timeout));
                }
            }
            Move::ProbeEnds(answered) => {
                if std::mem::take(&mut self.probing) {
                    self.happen(Event::Probed(answered));
                }
            }
        }
    }

    fn call(&mut self, reason: RenewalReason) {
        let Some(seen) = self.own.state.held() else {
            return;
        };
        self.next_waiter += 1;
        let waiter = self.next_waiter;
        self.waiting.insert(waiter);
        self.happen(Event::Needed {
            waiter,
            seen,
            reason,
        });
    }

    fn pass(&mut self, ms: u64) {
        let until = self.own.now.awake.plus(ms);
        let is_due = |wake: &Awake| *wake <= until;
        while let Some(wake) = self.own.state.next_wake(&RULES).filter(is_due) {
            self.own.stays_awake(wake.since(self.own.now.awake));
            self.happen(Event::Tick);
            let again = self.own.state.next_wake(&RULES);
            assert!(
                again.is_none_or(|again| again > wake),
                "a tick that changes nothing would spin: {:?}",
                self.own.state
            );
        }
        self.own.stays_awake(until.since(self.own.now.awake));
    }

    fn other_renews(&mut self) {
        if self.own.state.has_lock {
            return;
        }
        let Some(stored) = self.host.read().ok().flatten().map(|entry| entry.info) else {
            return;
        };
        if self.host.ending_of(stored.session).is_some() {
            return;
        }
        let renewed = self.renew(stored);
        self.host.store(renewed);
        self.look();
    }

    fn other_signs_out(&mut self) {
        if let Some(stored) = self.host.vault {
            let session = stored.info.session;
            self.host.append_ended(session, EndingReason::SignedOut);
            self.look();
        }
    }

    /// Somebody else has written the files.
    fn look(&mut self) {
        let files = self.host.files(self.own.state.held(), self.own.now.wall);
        self.happen(Event::FilesChanged(files));
    }

    /// Ends what is under way.
    fn finish(&mut self, answer: Answer) {
        let event = match self.under_way.take() {
            None => return,
            Some((Action::Exchange { .. }, _)) => Event::Exchanged(self.answer(answer)),
            Some((action, used)) => self
                .perform_on_host(&action, used)
                .unwrap_or_else(|| unreachable!("{action:?} is never under way")),
        };
        self.happen(event);
    }

    fn perform_on_host(
        &mut self,
        action: &Action,
        current: Option<CredentialsInfo>,
    ) -> Option<Event> {
        self.host
            .perform(OWN, &self.own.state, current, self.own.now.wall, action)
    }

    fn answer(&mut self, answer: Answer) -> Exchange {
        let Step::Exchanging { from, .. } = self.own.state.step else {
            unreachable!("an exchange is under way")
        };
        let inconclusive = |token, retry_after| Exchange::Inconclusive {
            token,
            retry_after,
            cause: Cause::Timeout,
        };
        let rejected = |ambiguous| Exchange::Rejected {
            ambiguous,
            cause: Cause::Http(200),
        };
        let newest = self.newest.filter(|newest| newest.session == from.session);
        let is_newest = newest.is_some_and(|newest| newest.credentials == from.credentials);
        match answer {
            Answer::Lost => {
                // Rotated, and the process does not know.
                self.renew(from);
                inconclusive(TokenFate::MaybeUsed, None)
            }
            Answer::Trouble => inconclusive(TokenFate::NotUsed, None),
            Answer::RetryAfter => {
                let until = self.own.now.wall.plus(RETRY_AFTER);
                self.silent_until = Some((until, from.credentials));
                inconclusive(TokenFate::NotUsed, Some(RETRY_AFTER))
            }
            Answer::NotSent => inconclusive(TokenFate::NotSent, None),
            Answer::Ambiguous => rejected(true),
            Answer::Honest if !is_newest => rejected(false),
            Answer::Honest | Answer::Renewed => {
                Exchange::Renewed(self.renew(from), Cause::NewTokens)
            }
        }
    }

    fn happen(&mut self, event: Event) {
        let before = self.own.state.clone();
        let shown = format!("{event:?}");
        self.own.now.random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(u64::from(self.ids as u32));
        self.own.hears(event);
        let actions = std::mem::take(&mut self.own.actions);
        for action in actions {
            self.perform(action, &before, &shown);
        }
        self.check(&shown);
    }

    fn perform(&mut self, action: Action, before: &State, event: &str) {
        match action {
            Action::TakeLock { .. } => {
                assert!(!before.has_lock, "takes its own lock again at {event}");
                self.begin(action);
            }
            Action::Reread => self.begin(action),
            Action::Probe => self.probing = true,
            Action::Mark { .. } | Action::Exchange { .. } | Action::Save(_) | Action::Remove(_) => {
                if matches!(action, Action::Exchange { .. }) {
                    self.check_silence(event);
                }
                assert!(
                    self.host.lock == Some(OWN),
                    "{action:?} without the lock at {event} (I1)"
                );
                self.begin(action);
            }
            Action::Use(id) => {
                self.in_use = self.own.state.held();
                assert_eq!(self.in_use.map(|used| used.credentials), Some(id));
            }
            Action::Forget => self.in_use = None,
            Action::AppendEnded(_, reason) => {
                if reason == EndingReason::Rejected {
                    let proven = matches!(before.step, Step::Confirming { .. });
                    assert!(
                        proven,
                        "ended without a confirmed rejection at {event} (I6)"
                    );
                }
                self.perform_on_host(&action, self.in_use);
            }
            Action::Settle(waiters, _) => {
                for waiter in waiters {
                    assert!(
                        self.waiting.remove(&waiter),
                        "a waiter gets two outcomes, or one after it left, at {event} (I8)"
                    );
                }
            }
            Action::ReleaseLock | Action::WriteState(_) | Action::WriteEnded(_) => {
                self.perform_on_host(&action, self.in_use);
            }
            Action::Drop(_) | Action::RevokeHeld | Action::SignInDone | Action::Note(_) => {}
        }
    }

    /// Whatever asks for the attempt: a call, a person, the network.
    fn check_silence(&self, event: &str) {
        let held = self.own.state.held().map(|held| held.credentials);
        if let Some((until, asked)) = self.silent_until
            && held == Some(asked)
        {
            assert!(
                self.own.now.wall >= until,
                "an attempt against Retry-After at {event}"
            );
        }
    }

    fn begin(&mut self, action: Action) {
        assert_eq!(
            self.under_way, None,
            "two things under way, with {action:?}"
        );
        self.under_way = Some((action, self.in_use));
    }

    fn check(&self, event: &str) {
        let held = self.own.state.held();
        assert_eq!(
            self.in_use, held,
            "calls use something else than is held, after {event}"
        );
        if let Some(held) = held {
            assert!(
                self.host.ending_of(held.session).is_none(),
                "a dead session is used after {event} (I5)"
            );
            let stored = self.host.vault;
            assert!(
                stored.is_some_and(|stored| !held.supersedes(&stored.info))
                    || self.own.state.storage != Storage::Saved,
                "neither stored nor said to be unsaved after {event} (I3)"
            );
        }
        assert_eq!(
            self.own.state.waiters.iter().collect::<BTreeSet<_>>(),
            self.waiting,
            "a waiter is forgotten after {event}"
        );
        let rests = matches!(
            self.own.state.step,
            Step::Idle | Step::Pausing { .. } | Step::KeepingLock { .. }
        );
        assert_eq!(
            self.under_way.is_none(),
            rests,
            "an action and the step do not fit after {event}: {:?}",
            self.own.state
        );
        if self.own.state.step == Step::Idle {
            assert!(
                !self.own.state.has_lock,
                "the lock is kept for nothing after {event}"
            );
            assert!(
                self.waiting.is_empty(),
                "somebody waits for nothing after {event}"
            );
        }
        if let (Some(held), Step::Exchanging { from, .. }) =
            (self.own.state.held(), self.own.state.step)
        {
            assert!(!from.supersedes(&held) || from.session != held.session);
        }
    }

    /// Lets everything come to rest with a world in which nothing fails.
    fn settle(&mut self) {
        self.host.vault_answers = Ok(());
        self.host.release_lock(OTHER);
        for _ in 0..SETTLING_TURNS {
            self.finish(Answer::Honest);
            if self.under_way.is_none()
                && self.waiting.is_empty()
                && self.own.state.step == Step::Idle
            {
                return;
            }
            if self.under_way.is_none() {
                self.pass(1_000);
            }
        }
        panic!("never comes to rest: {:?}", self.own.state);
    }

    fn next_number(&mut self) -> u128 {
        self.ids += 1;
        self.ids
    }

    /// The server exchanges these credentials for newer ones.
    fn renew(&mut self, from: CredentialsInfo) -> CredentialsInfo {
        let renewed = CredentialsInfo {
            begun_at: from.begun_at,
            ..self.issue(from.session, from.generation + 1)
        };
        self.newest = Some(renewed);
        renewed
    }

    fn issue(&mut self, session: SessionId, generation: u64) -> CredentialsInfo {
        let info = CredentialsInfo {
            session,
            begun_at: self
                .own
                .now
                .wall
                .plus(u64::try_from(self.ids).expect("few")),
            generation,
            credentials: CredentialsId::of(self.next_number()),
            access_until: Some(self.own.now.server.plus(LIFETIME)),
            issued_at: self.own.now.server,
        };
        self.newest = Some(info);
        info
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_events_keeps_the_invariants_and_settles_every_waiter(
        moves in prop::collection::vec(moves(), 1..MOST_MOVES)
    ) {
        let mut world = World::new();
        for next in moves {
            world.play(next);
        }
        world.settle();
    }
}
