//! The decisions alone, against a small model of the world: random orders of calls, answers, faults, sign-ins,
//! sign-outs and other processes, with the invariants checked after every step.

use std::collections::{BTreeMap, BTreeSet};

use graphql_session_renewal::{
    Action, Awake, Cause, CredentialsId, CredentialsInfo, EndingReason, Event, Exchange,
    FailureSeen, FileState, FileView, Now, RenewalReason, Rules, SaveFailure, ServerTime,
    SessionId, State, Step, TokenFate, VaultError, VaultView, View, WaiterId, Wall, step,
};
use proptest::prelude::*;

const RULES: Rules = Rules {
    renewal_timeout: 25_000,
    grace: 60_000,
    max_backoff: 30_000,
    end_after: None,
};

/// Lifetime of an access token, in ms.
const LIFETIME: u64 = 1_800_000;

/// Turns in which everything that is under way must come to rest once nothing fails any more.
const SETTLING_TURNS: usize = 500;

/// One thing that the world does.
#[derive(Clone, Debug)]
enum Move {
    Call(RenewalReason),
    CallLeaves,
    Served,
    RetryNow,
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
    state: State,
    awake: Awake,
    wall: Wall,
    ids: u128,
    keyring_locked: bool,
    other_has_lock: bool,
    vault: Option<(CredentialsInfo, Option<Wall>)>,
    file: Option<FileState>,
    ended: BTreeMap<String, EndingReason>,
    /// The credentials whose refresh token the server accepts; it accepts others only within their grace time.
    newest: Option<CredentialsInfo>,
    under_way: Option<Action>,
    probing: bool,
    in_use: Option<CredentialsId>,
    waiting: BTreeSet<WaiterId>,
    next_waiter: WaiterId,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            state: State::default(),
            awake: Awake::default(),
            wall: Wall::from_ms(1_000_000),
            ids: 0,
            keyring_locked: false,
            other_has_lock: false,
            vault: None,
            file: None,
            ended: BTreeMap::new(),
            newest: None,
            under_way: None,
            probing: false,
            in_use: None,
            waiting: BTreeSet::new(),
            next_waiter: 0,
        };
        let view = world.view();
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
                if let Some(held) = self.state.held() {
                    self.happen(Event::Served(held.credentials));
                }
            }
            Move::RetryNow => self.happen(Event::RetryNow),
            Move::SignIn => {
                let session = SessionId::of(self.next_number());
                let info = self.info(session, 1);
                self.newest = Some(info);
                self.happen(Event::SignedIn(info));
            }
            Move::SignOut => self.happen(Event::SignedOut),
            Move::Finish(answer) => self.finish(answer),
            Move::Pass(ms) => self.pass(ms),
            Move::Sleep(ms) => self.wall = self.wall.plus(ms),
            Move::LockKeyring(locked) => self.keyring_locked = locked,
            Move::OtherTakesLock(takes) => self.other_has_lock = takes && !self.state.has_lock,
            Move::OtherRenews => self.other_renews(),
            Move::OtherSignsOut => self.other_signs_out(),
            Move::CallIsLost => {
                if let Some(held) = self.state.held() {
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
        let Some(seen) = self.state.held() else {
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
        let until = self.awake.plus(ms);
        while let Some(wake) = self.state.next_wake(&RULES).filter(|wake| *wake <= until) {
            self.wall = self.wall.plus(wake.since(self.awake));
            self.awake = self.awake.max(wake);
            self.happen(Event::Tick);
            let again = self.state.next_wake(&RULES);
            assert!(
                again.is_none_or(|again| again > wake),
                "a tick that changes nothing would spin: {:?}",
                self.state
            );
        }
        self.wall = self.wall.plus(until.since(self.awake));
        self.awake = self.awake.max(until);
    }

    fn other_renews(&mut self) {
        if self.state.has_lock || self.keyring_locked {
            return;
        }
        let Some((stored, _)) = self
            .vault
            .filter(|(stored, _)| !self.has_ended(stored.session))
        else {
            return;
        };
        let renewed = self.info(stored.session, stored.generation + 1);
        self.newest = Some(CredentialsInfo {
            begun_at: stored.begun_at,
            ..renewed
        });
        self.vault = self.newest.map(|info| (info, None));
        self.file = self.newest.map(|info| file(info, true));
        let files = self.files();
        self.happen(Event::FilesChanged(files));
    }

    fn other_signs_out(&mut self) {
        if let Some((stored, _)) = self.vault {
            let reason = EndingReason::SignedOut;
            self.ended.insert(stored.session.to_string(), reason);
            let files = self.files();
            self.happen(Event::FilesChanged(files));
        }
    }

    /// Ends what is under way.
    fn finish(&mut self, answer: Answer) {
        let Some(action) = self.under_way.take() else {
            return;
        };
        let event = match action {
            Action::TakeLock { .. } if self.other_has_lock => Event::LockNotTaken(Cause::LockHeld),
            Action::TakeLock { .. } => Event::LockTaken,
            Action::Reread => Event::Reread(self.view()),
            Action::Mark { at } => Event::Marked(self.write(self.state.held(), Some(at))),
            Action::Save(info) => {
                if let Some(reason) = self.ended.get(&info.session.to_string()) {
                    Event::Saved(Err(SaveFailure::Ended(*reason)))
                } else {
                    let written = self.write(Some(info), None);
                    Event::Saved(written.map_err(SaveFailure::Vault))
                }
            }
            Action::Remove(session) => {
                let removed = self.write(None, None).err().map_or(Ok(()), Err);
                if removed.is_ok()
                    && self
                        .vault
                        .is_some_and(|(stored, _)| stored.session == session)
                {
                    self.vault = None;
                }
                Event::Removed(removed)
            }
            Action::Exchange => Event::Exchanged(self.answer(answer)),
            other => unreachable!("{other:?} is never under way"),
        };
        self.happen(event);
    }

    fn answer(&mut self, answer: Answer) -> Exchange {
        let Step::Exchanging { from, .. } = self.state.step else {
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
                let info = self.info(from.session, from.generation + 1);
                self.newest = Some(CredentialsInfo {
                    begun_at: from.begun_at,
                    ..info
                });
                inconclusive(TokenFate::MaybeUsed, None)
            }
            Answer::Trouble => inconclusive(TokenFate::NotUsed, None),
            Answer::RetryAfter => inconclusive(TokenFate::NotUsed, Some(40_000)),
            Answer::NotSent => inconclusive(TokenFate::NotSent, None),
            Answer::Ambiguous => rejected(true),
            Answer::Honest if !is_newest => rejected(false),
            Answer::Honest | Answer::Renewed => {
                let info = self.info(from.session, from.generation + 1);
                let info = CredentialsInfo {
                    begun_at: from.begun_at,
                    ..info
                };
                self.newest = Some(info);
                Exchange::Renewed(info, Cause::NewTokens)
            }
        }
    }

    fn write(
        &mut self,
        info: Option<CredentialsInfo>,
        mark: Option<Wall>,
    ) -> Result<(), VaultError> {
        if self.keyring_locked {
            return Err(VaultError::Locked);
        }
        if let Some(info) = info {
            self.vault = Some((info, mark));
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) {
        let before = self.state.clone();
        let shown = format!("{event:?}");
        let now = Now {
            awake: self.awake,
            wall: self.wall,
            server: self.server(),
            random: 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(u64::from(self.ids as u32)),
            in_use: true,
        };
        let (state, actions) = step(before.clone(), event, now, &RULES);
        self.state = state;
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
            Action::Mark { .. } | Action::Exchange | Action::Save(_) | Action::Remove(_) => {
                assert!(
                    self.state.has_lock,
                    "{action:?} without the lock at {event} (I1)"
                );
                self.begin(action);
            }
            Action::Use(id) => {
                assert_eq!(self.state.held().map(|held| held.credentials), Some(id));
                self.in_use = Some(id);
            }
            Action::Forget => self.in_use = None,
            Action::AppendEnded(session, reason) => {
                if reason == EndingReason::Rejected {
                    let proven = matches!(before.step, Step::Confirming { .. });
                    assert!(
                        proven,
                        "ended without a confirmed rejection at {event} (I6)"
                    );
                }
                self.ended.insert(session.to_string(), reason);
            }
            Action::WriteState {
                of,
                saved,
                not_before,
                failure,
            } => {
                let info = [self.state.held(), Some(self.last_known(of))]
                    .into_iter()
                    .flatten()
                    .find(|info| info.credentials == of);
                self.file = info.map(|info| FileState {
                    not_before,
                    last_failure: failure.map(|(token, next_at)| FailureSeen {
                        credentials: of,
                        at: self.wall,
                        token,
                        next_at,
                    }),
                    ..file(info, saved)
                });
            }
            Action::WriteEnded(reason) => {
                if let Some(file) = &mut self.file {
                    file.ended = Some((reason, self.wall));
                }
            }
            Action::Settle(waiters, _) => {
                for waiter in waiters {
                    assert!(
                        self.waiting.remove(&waiter),
                        "a waiter gets two outcomes, or one after it left, at {event} (I8)"
                    );
                }
            }
            Action::ReleaseLock
            | Action::Drop(_)
            | Action::RevokeHeld
            | Action::SignInDone
            | Action::Note(_) => {}
        }
    }

    fn begin(&mut self, action: Action) {
        assert_eq!(
            self.under_way, None,
            "two things under way, with {action:?}"
        );
        self.under_way = Some(action);
    }

    fn check(&self, event: &str) {
        let held = self.state.held().map(|held| held.credentials);
        assert_eq!(
            self.in_use, held,
            "calls use something else than is held, after {event}"
        );
        if let Some(held) = self.state.held() {
            assert!(
                !self.has_ended(held.session),
                "a dead session is used after {event} (I5)"
            );
        }
        assert_eq!(
            self.state.waiters.iter().collect::<BTreeSet<_>>(),
            self.waiting,
            "a waiter is forgotten after {event}"
        );
        let rests = matches!(
            self.state.step,
            Step::Idle | Step::Pausing { .. } | Step::KeepingLock { .. }
        );
        assert_eq!(
            self.under_way.is_none(),
            rests,
            "an action and the step do not fit after {event}: {:?}",
            self.state
        );
        if self.state.step == Step::Idle {
            assert!(
                !self.state.has_lock,
                "the lock is kept for nothing after {event}"
            );
            assert!(
                self.waiting.is_empty(),
                "somebody waits for nothing after {event}"
            );
        }
        if let (Some(held), Step::Exchanging { from, .. }) = (self.state.held(), self.state.step) {
            assert!(!from.supersedes(&held) || from.session != held.session);
        }
    }

    /// Lets everything come to rest with a world in which nothing fails.
    fn settle(&mut self) {
        self.keyring_locked = false;
        self.other_has_lock = false;
        for _ in 0..SETTLING_TURNS {
            self.finish(Answer::Honest);
            if self.under_way.is_none() && self.waiting.is_empty() && self.state.step == Step::Idle
            {
                return;
            }
            if self.under_way.is_none() {
                self.pass(1_000);
            }
        }
        panic!("never comes to rest: {:?}", self.state);
    }

    fn view(&self) -> View {
        let vault = if self.keyring_locked {
            VaultView::Unavailable(VaultError::Locked)
        } else {
            match self.vault {
                None => VaultView::Empty,
                Some((info, _)) if self.has_ended(info.session) => {
                    VaultView::DeadEntry(info.session)
                }
                Some((info, renewing_at)) => VaultView::Entry { info, renewing_at },
            }
        };
        View {
            files: self.files(),
            vault,
        }
    }

    fn files(&self) -> FileView {
        let ending = |session: SessionId| self.ended.get(&session.to_string()).copied();
        FileView {
            ended: self.state.held().and_then(|held| ending(held.session)),
            state: self.file.map(|file| FileState {
                ended: file
                    .ended
                    .or_else(|| ending(file.info.session).map(|reason| (reason, self.wall))),
                ..file
            }),
        }
    }

    fn has_ended(&self, session: SessionId) -> bool {
        self.ended.contains_key(&session.to_string())
    }

    fn last_known(&self, credentials: CredentialsId) -> CredentialsInfo {
        let vault = self.vault.map(|(info, _)| info);
        [vault, self.newest]
            .into_iter()
            .flatten()
            .find(|info| info.credentials == credentials)
            .or(self.newest)
            .expect("somebody signed in")
    }

    fn next_number(&mut self) -> u128 {
        self.ids += 1;
        self.ids
    }

    fn info(&mut self, session: SessionId, generation: u64) -> CredentialsInfo {
        CredentialsInfo {
            session,
            begun_at: self.wall.plus(u64::try_from(self.ids).expect("few")),
            generation,
            credentials: CredentialsId::of(self.next_number()),
            access_until: Some(self.server().plus(LIFETIME)),
            issued_at: self.server(),
        }
    }

    /// The server's clock and this machine's agree.
    fn server(&self) -> ServerTime {
        ServerTime::from_ms(self.wall.ms())
    }
}

fn file(info: CredentialsInfo, saved: bool) -> FileState {
    FileState {
        info,
        ended: None,
        saved,
        not_before: None,
        last_failure: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_events_keeps_the_invariants_and_settles_every_waiter(
        moves in prop::collection::vec(moves(), 1..80)
    ) {
        let mut world = World::new();
        for next in moves {
            world.play(next);
        }
        world.settle();
    }
}
