//! One session and its server with clocks, lifetimes, sleeps and settings of every kind: it never makes more renewals than
//! its budget allows, never spins, and never panics.

use std::collections::VecDeque;

use graphql_session_renewal::sim::Host;
use graphql_session_renewal::{
    Action, Awake, Cause, CredentialsId, CredentialsInfo, Event, Exchange, Now, Outcome,
    RenewalReason, Rules, ServerTime, SessionId, State, TokenFate, WaiterId, Wall, step,
};
use proptest::prelude::*;

/// The budget: renewals of young credentials at once, and how often one more, in ms.
const AT_ONCE: u64 = 3;
const ONE_MORE_AFTER: u64 = 60_000;

/// Renewals for refusals that the clocks agree with: one in this time, in ms, beyond the budget.
const BEYOND_APART: u64 = 10_000;

/// A token that expires within this time counts as expired for a call, in ms: as at Twenty.
const EXPIRY_MARGIN: u64 = 1_000;

/// A pair that arrives with less than this left, in ms, has no known expiry: as in `credentials.rs`.
const SHORTEST_LIFETIME: u64 = 2_000;

/// Smaller differences to the server's clock are noise, in ms: as in `clock.rs`.
const CLOCK_NOISE: u64 = 2_000;

/// A day and a year, in ms.
const DAY: u64 = 86_400_000;
const YEAR: u64 = 365 * DAY;

/// More events than this at one moment, and the decisions spin.
const EVENTS_AT_ONCE: usize = 1_000;

/// More ticks than this at one moment, and the decisions spin: a failed attempt may take no time here, and an ending may
/// follow it at once.
const TICKS_AT_ONCE: usize = 10;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Move {
    /// A call; one of an operation that the server always refuses, if `refused`.
    Call {
        refused: bool,
    },
    /// The machine is awake.
    Pass(u64),
    /// The machine sleeps. On some systems the awake time counts that, too.
    Sleep {
        ms: u64,
        counts: bool,
    },
    /// Date headers are wrong by this much from now on, in ms.
    Dates(i64),
    /// Renewals fail, or are answered, from now on.
    Outage(bool),
    NetworkChanged,
    RetryNow,
    /// A call without an answer.
    Lost,
}

/// What stays the same during one story.
#[derive(Clone, Copy, Debug)]
struct Setting {
    rules: Rules,
    /// How long access tokens live, in ms.
    lifetime: u64,
    /// Where the machine's clock stands at first.
    wall: i64,
    /// Whether the server states when a token expires.
    states_expiry: bool,
    random: u64,
}

/// A length of time, in ms: mostly an ordinary one, and sometimes as short or long as it can be.
fn span() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 1_000..DAY,
        1 => Just(0),
        1 => Just(1),
        1 => Just(u64::MAX),
        1 => any::<u64>(),
    ]
}

fn settings() -> impl Strategy<Value = Setting> {
    let rules = (span(), span(), span(), span(), proptest::option::of(span()));
    let rules = (rules, any::<(bool, bool)>()).prop_map(|(limits, flags)| {
        let (attempt_timeout, renewal_timeout, grace, max_backoff, end_after) = limits;
        let (requires_lock, reuse_ends_session) = flags;
        Rules {
            attempt_timeout,
            renewal_timeout,
            grace,
            reuse_ends_session,
            max_backoff,
            end_after,
            requires_lock,
        }
    });
    let lifetime = prop_oneof![5_000_u64..120_000, 120_000..DAY, Just(YEAR)];
    let wall = prop_oneof![
        4 => 0_i64..4_000_000_000_000,
        1 => any::<i32>().prop_map(|seconds| i64::from(seconds) * 1_000),
    ];
    (rules, lifetime, wall, any::<bool>(), any::<u64>()).prop_map(
        |(rules, lifetime, wall, states_expiry, random)| Setting {
            rules,
            lifetime,
            wall,
            states_expiry,
            random,
        },
    )
}

fn moves() -> impl Strategy<Value = Move> {
    let off_by = prop_oneof![
        3 => Just(0),
        3 => -7_200_000_i64..7_200_000,
        1 => any::<i32>().prop_map(|seconds| i64::from(seconds) * 1_000),
    ];
    prop_oneof![
        12 => any::<bool>().prop_map(|refused| Move::Call { refused }),
        6 => prop_oneof![0_u64..10_000, 0_u64..600_000].prop_map(Move::Pass),
        1 => (0_u64..DAY, any::<bool>()).prop_map(|(ms, counts)| Move::Sleep { ms, counts }),
        3 => off_by.prop_map(Move::Dates),
        1 => any::<bool>().prop_map(Move::Outage),
        1 => Just(Move::NetworkChanged),
        1 => Just(Move::RetryNow),
        1 => Just(Move::Lost),
    ]
}

struct World {
    setting: Setting,
    state: State,
    host: Host<1>,
    in_use: Option<CredentialsInfo>,
    events: VecDeque<Event>,
    /// The outcome of the call that waits.
    outcome: Option<Outcome>,
    awake: u64,
    /// Since the story began, in ms, by the server, whose own clock is right.
    passed: u64,
    /// What the process knows of the server's clock, against its own, in ms.
    offset: i64,
    dates_are_off_by: i64,
    is_away: bool,
    issued_at: u64,
    draws: u64,
    ids: u128,
    /// Renewals of tokens that had most of their life before them.
    unneeded: u64,
    has_refused_operation: bool,
}

impl World {
    fn new(setting: Setting) -> Self {
        let mut world = Self {
            setting,
            state: State::default(),
            host: Host::default(),
            in_use: None,
            events: VecDeque::new(),
            outcome: None,
            awake: 0,
            passed: 0,
            offset: 0,
            dates_are_off_by: 0,
            is_away: false,
            issued_at: 0,
            draws: 0,
            ids: 0,
            unneeded: 0,
            has_refused_operation: false,
        };
        let nothing = world.host.view(None, world.wall());
        world.happen(Event::Opened(nothing));
        let info = world.issue(SessionId::of(1), Wall::default(), 1);
        world.happen(Event::SignedIn(info));
        world
    }

    fn play(&mut self, next: Move) {
        match next {
            Move::Call { refused } => self.call(refused),
            Move::Pass(ms) => self.pass(ms),
            Move::Sleep { ms, counts } => {
                self.passed += ms;
                self.awake += if counts { ms } else { 0 };
                self.happen(Event::Tick);
            }
            Move::Dates(off_by) => self.dates_are_off_by = off_by,
            Move::Outage(is_away) => self.is_away = is_away,
            Move::NetworkChanged => self.happen(Event::NetworkChanged),
            Move::RetryNow => self.happen(Event::RetryNow),
            Move::Lost => {
                if let Some(held) = self.state.held() {
                    self.happen(Event::Lost(held.credentials, Cause::Timeout));
                }
            }
        }
        self.check();
    }

    /// One call, as `sending.rs` makes it.
    fn call(&mut self, is_refused_operation: bool) {
        self.has_refused_operation |= is_refused_operation;
        let Some(mut held) = self.state.held() else {
            return;
        };
        if held.has_expired(self.server_time().plus(EXPIRY_MARGIN)) {
            match self.wait(held, RenewalReason::Expired) {
                Some(Outcome::Renewed | Outcome::SendAnyway) => {}
                _ => return,
            }
            held = self.state.held().expect("a call goes on with credentials");
        }
        if !self.is_refused(is_refused_operation) {
            return self.happen(Event::Served(held.credentials));
        }
        if self.wait(held, RenewalReason::Refused) != Some(Outcome::Renewed) {
            return;
        }
        let held = self.state.held().expect("a call goes on with credentials");
        if !self.is_refused(is_refused_operation) {
            self.happen(Event::ReplayServed(held.credentials));
            self.happen(Event::Served(held.credentials));
        }
    }

    /// Whether the server refuses a call now. Its answer carries a date.
    fn is_refused(&mut self, is_refused_operation: bool) -> bool {
        self.learn();
        is_refused_operation || self.passed - self.issued_at >= self.setting.lifetime
    }

    /// A call waits for the renewal, at most until its time is over.
    fn wait(&mut self, seen: CredentialsInfo, reason: RenewalReason) -> Option<Outcome> {
        let waiter: WaiterId = 1;
        self.outcome = None;
        self.happen(Event::Needed {
            waiter,
            seen,
            reason,
        });
        // The longest wait of a call.
        let until = self.awake + 75_000;
        while self.outcome.is_none() && self.awake < until {
            let wake = self.state.next_wake(&self.setting.rules).map(Awake::ms);
            let next = wake.unwrap_or(until).clamp(self.awake, until);
            self.pass(next - self.awake);
        }
        if self.outcome.is_none() {
            self.happen(Event::WaiterLeft(waiter));
        }
        self.outcome.take()
    }

    fn pass(&mut self, ms: u64) {
        let until = self.awake + ms;
        let mut at_once = 0;
        while let Some(wake) = self.state.next_wake(&self.setting.rules)
            && wake.ms() <= until
        {
            at_once = if wake.ms() > self.awake {
                0
            } else {
                at_once + 1
            };
            assert!(at_once < TICKS_AT_ONCE, "it spins: {:?}", self.state);
            self.passed += wake.ms().saturating_sub(self.awake);
            self.awake = self.awake.max(wake.ms());
            self.happen(Event::Tick);
        }
        self.passed += until - self.awake;
        self.awake = until;
    }

    /// One event, and all that follows from it at the same moment.
    fn happen(&mut self, event: Event) {
        self.events.push_back(event);
        for _ in 0..EVENTS_AT_ONCE {
            let Some(event) = self.events.pop_front() else {
                return;
            };
            let now = self.now();
            let state = std::mem::take(&mut self.state);
            let (state, actions) = step(state, event, now, &self.setting.rules);
            self.state = state;
            for action in actions {
                self.perform(action);
            }
        }
        panic!("it spins: {:?}", self.state);
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Exchange { .. } => {
                let exchange = self.exchange();
                self.events.push_back(Event::Exchanged(exchange));
            }
            Action::Probe => self.events.push_back(Event::Probed(!self.is_away)),
            Action::Settle(_, outcome) => self.outcome = Some(outcome),
            Action::Use(_) => self.in_use = self.state.held(),
            Action::Forget => self.in_use = None,
            other => {
                let (used, wall) = (self.in_use, self.wall());
                let event = self.host.perform(0, &self.state, used, wall, &other);
                self.events.extend(event);
            }
        }
    }

    fn exchange(&mut self) -> Exchange {
        if self.is_away {
            return Exchange::Inconclusive {
                token: TokenFate::NotUsed,
                retry_after: None,
                cause: Cause::Http(503),
            };
        }
        let held = self.state.held().expect("nothing else is exchanged");
        let age = self.passed - self.issued_at;
        // A token that is known to live shorter than a minute is old after half of its life; Date headers count seconds.
        if age + CLOCK_NOISE < (self.setting.lifetime / 2).min(ONE_MORE_AFTER) {
            self.unneeded += 1;
        }
        self.learn();
        let renewed = self.issue(held.session, held.begun_at, held.generation + 1);
        Exchange::Renewed(renewed, Cause::NewTokens)
    }

    /// What the server issues now, as the process records it.
    fn issue(&mut self, session: SessionId, begun_at: Wall, generation: u64) -> CredentialsInfo {
        self.ids += 1;
        self.issued_at = self.passed;
        let issued_at = self.server_time();
        let until = ServerTime::from_ms(self.setting.wall)
            .plus(self.passed)
            .plus(self.setting.lifetime);
        let is_known = self.setting.states_expiry && until > issued_at.plus(SHORTEST_LIFETIME);
        CredentialsInfo {
            session,
            begun_at,
            generation,
            credentials: CredentialsId::of(self.ids),
            access_until: is_known.then_some(until),
            issued_at,
        }
    }

    /// A date arrives. The machine's clock is right.
    fn learn(&mut self) {
        let off_by = self.dates_are_off_by;
        self.offset = if off_by.unsigned_abs() < CLOCK_NOISE {
            0
        } else {
            off_by
        };
    }

    fn wall(&self) -> Wall {
        Wall::from_ms(self.setting.wall).plus(self.passed)
    }

    fn server_time(&self) -> ServerTime {
        ServerTime::from_ms(self.wall().ms().saturating_add(self.offset))
    }

    fn now(&mut self) -> Now {
        self.draws = self.draws.wrapping_add(self.setting.random | 1);
        Now {
            awake: Awake::from_ms(self.awake),
            wall: self.wall(),
            server: self.server_time(),
            random: self.draws.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            in_use: true,
        }
    }

    fn check(&self) {
        let minutes = self.passed / ONE_MORE_AFTER;
        let mut allowed = AT_ONCE + minutes;
        if self.has_refused_operation {
            // Where the clocks call what is refused expired.
            allowed += 1 + self.passed / BEYOND_APART;
        }
        assert!(
            self.unneeded <= allowed,
            "{} renewals that nobody needed in {} ms",
            self.unneeded,
            self.passed
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_clock_lifetime_sleep_or_setting_causes_more_renewals_than_the_budget(
        setting in settings(),
        moves in prop::collection::vec(moves(), 1..120),
    ) {
        let mut world = World::new(setting);
        for next in moves {
            world.play(next);
        }
    }
}
