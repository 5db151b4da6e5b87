//! A million clients of one server on virtual time. Each is a real [`State`] that the real [`step`] moves on; around it
//! are a vault, a lock and a network that answer at once or not at all, and a person who makes calls.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use graphql_session_renewal::sim::{Host, RULES};
use graphql_session_renewal::{
    Action, Awake, Cause, CredentialsId, CredentialsInfo, Event, Exchange, Now, Outcome,
    RenewalReason, Rules, ServerTime, SessionId, State, TokenFate, Wall, step,
};

use crate::counts::{Counts, count};
use crate::random::Random;

/// One second, in ms.
pub(crate) const SECOND: u64 = 1_000;

/// Lifetime of an access token, in ms: Twenty's default of 30 min.
pub(crate) const LIFETIME: u64 = 1_800 * SECOND;

/// From a request to its answer, or to the refusal of the connection, in ms.
pub(crate) const ROUND_TRIP: u64 = 50;

/// Between two bursts of calls of a person at work, on average, in ms.
pub(crate) const BETWEEN_CALLS: u64 = 20 * SECOND;

/// A token this close to its end counts as expired for a call, in ms: as in `session.rs`.
const EXPIRY_MARGIN: u64 = 1_000;

/// Sessions of one client that end in a run: one with the outage, and one for each sign-in that a person in a hurry sends
/// before the last one is answered.
const MOST_ENDINGS: usize = 4;

/// What is simulated.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) clients: u32,
    /// How many of them are in use.
    pub(crate) active: u32,
    /// How many of the others come back at a random moment of the ten minutes after the outage.
    pub(crate) returning: u32,
    pub(crate) outage: Outage,
    /// The outage, in ms from the start.
    pub(crate) away: (u64, u64),
    /// The end, in ms from the start.
    pub(crate) until: u64,
    pub(crate) policy: Policy,
    /// Longest pause of those who need a renewal, in ms.
    pub(crate) max_backoff: u64,
    /// All signed in within this long before the start, in ms; without, their tokens' ages are those of a steady state.
    pub(crate) signed_in_within: Option<u64>,
}

/// What clients see of a server that is away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outage {
    /// Connections are refused.
    Refused,
    /// Something in front takes every request, and no answer comes. What is behind it sees none of them.
    AnswersLost,
    /// Calls are served; renewals get HTTP 503.
    RenewalsOnly,
    /// The clients have no network, and their systems report it when it comes back, to all at once.
    Offline,
}

/// What clients do about it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    Ours,
    /// The same with every random draw in the middle of its range.
    NoJitter,
    /// A client whose renewal fails is signed out; its person signs in with the next action after the outage.
    LogOut,
}

/// What a client waits for, in the order of time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Wake,
    Exchanged { answered: bool },
    Probed { answered: bool },
    CallEnds { answered: bool },
    NetworkChanges,
    SignedIn,
    PersonActs,
}

struct Client {
    state: State,
    /// Each has a machine of its own.
    host: Host<MOST_ENDINGS>,
    wake_at: u64,
    /// When the person asked for what has not been served yet.
    wants_since: Option<u64>,
    /// When the person acted first after the server's return, if the token was still an expired one.
    acted_at: Option<u64>,
    in_use: bool,
    signed_out: bool,
    /// The token had expired when the server came back, and there is no newer one yet.
    was_expired: bool,
    returned: bool,
}

/// The whole fleet, and what its server counted.
pub(crate) struct Simulation {
    plan: Plan,
    rules: Rules,
    clients: Vec<Client>,
    /// Until when a call that is served tells each client nothing. Most calls are such, and this fits the cache.
    quiet_until: Vec<u64>,
    queue: BinaryHeap<Reverse<(u64, u32, Due)>>,
    random: Random,
    ids: u128,
    now: u64,
    counts: Counts,
}

impl Simulation {
    /// Runs a plan to its end.
    pub(crate) fn run(plan: Plan) -> Counts {
        let mut simulation = Self {
            plan,
            rules: Rules {
                max_backoff: plan.max_backoff,
                ..RULES
            },
            clients: Vec::with_capacity(plan.clients as usize),
            quiet_until: vec![0; plan.clients as usize],
            queue: BinaryHeap::new(),
            random: Random::new(1),
            ids: 0,
            now: 0,
            counts: Counts::new(plan.until / SECOND),
        };
        for client in 0..plan.clients {
            simulation.open(client);
        }
        simulation.go_on();
        simulation.counts
    }

    fn go_on(&mut self) {
        let mut server_is_back = false;
        while let Some(Reverse((at, client, due))) = self.queue.pop() {
            if at >= self.plan.until {
                break;
            }
            if at >= self.plan.away.1 && !std::mem::replace(&mut server_is_back, true) {
                self.note_who_needs_a_renewal();
                if self.plan.outage == Outage::Offline {
                    self.report_the_network();
                }
            }
            self.now = at;
            self.happen(client, due);
        }
    }

    /// A client with a token of some age, and, if it is in use, with its person's first call ahead.
    fn open(&mut self, number: u32) {
        let is_active = number < self.plan.active;
        let is_returning =
            (self.plan.active..self.plan.active + self.plan.returning).contains(&number);
        self.clients.push(Client {
            state: State::default(),
            host: Host::default(),
            wake_at: u64::MAX,
            wants_since: None,
            acted_at: None,
            in_use: is_active,
            signed_out: false,
            was_expired: false,
            returned: is_returning,
        });
        // A steady state is one in which no renewal is overdue: ages that the policy would have ended are drawn again.
        loop {
            let age = self
                .random
                .below(self.plan.signed_in_within.unwrap_or(LIFETIME));
            let info = self.new_credentials(1, age);
            let client = &mut self.clients[number as usize];
            client.state = State::default();
            client.host = Host::default();
            let nothing = client.host.view(None, wall(self.now));
            self.tell(number, Event::Opened(nothing));
            self.tell(number, Event::SignedIn(info));
            let is_overdue = self.clients[number as usize]
                .state
                .next_wake(&self.rules)
                .is_none_or(|at| at == Awake::default());
            if !is_overdue {
                break;
            }
        }
        if is_active {
            let first = self.random.exponential(BETWEEN_CALLS);
            self.later(first, number, Due::PersonActs);
        } else if is_returning {
            let after = self.random.below(600 * SECOND);
            self.later(self.plan.away.1 + after, number, Due::PersonActs);
        }
        // Nobody uses the others. Their ticks would only look again a minute later, and are left out.
    }

    /// When the server comes back, tokens of some people have expired.
    fn note_who_needs_a_renewal(&mut self) {
        self.now = self.plan.away.1;
        let server_now = server_time(self.now).plus(EXPIRY_MARGIN);
        for client in &mut self.clients {
            client.was_expired = client
                .state
                .held()
                .is_some_and(|held| held.has_expired(server_now))
                && (client.in_use || client.returned);
        }
    }

    /// The systems of all clients in use tell them that the network is back.
    fn report_the_network(&mut self) {
        for client in 0..self.plan.active {
            self.later(self.now, client, Due::NetworkChanges);
        }
    }

    fn happen(&mut self, client: u32, due: Due) {
        let index = client as usize;
        match due {
            Due::Wake => {
                if self.clients[index].wake_at != self.now {
                    return;
                }
                self.clients[index].wake_at = u64::MAX;
                self.tell(client, Event::Tick);
            }
            Due::Exchanged { answered } => self.exchanged(client, answered),
            Due::NetworkChanges => self.tell(client, Event::NetworkChanged),
            Due::Probed { answered } => self.tell(client, Event::Probed(answered)),
            Due::CallEnds { answered } => self.call_ends(client, answered),
            Due::SignedIn => {
                self.clients[index].signed_out = false;
                let info = self.new_credentials(1, 0);
                self.tell(client, Event::SignedIn(info));
                self.send(client);
            }
            Due::PersonActs => {
                let next = self.now + self.random.exponential(BETWEEN_CALLS);
                self.later(next, client, Due::PersonActs);
                if self.now < self.quiet_until[index] && self.is_up() {
                    return count(&mut self.counts.calls, self.now);
                }
                let acting = &mut self.clients[index];
                acting.in_use = true;
                acting.wants_since.get_or_insert(self.now);
                let held = acting.state.held();
                let has_expired = held.is_some_and(|held| has_expired(held, self.now));
                if acting.was_expired && !acting.returned && has_expired {
                    acting.acted_at.get_or_insert(self.now);
                }
                if !acting.signed_out {
                    self.send(client);
                } else if self.is_up() {
                    count(&mut self.counts.sign_ins, self.now);
                    self.later(self.now + ROUND_TRIP, client, Due::SignedIn);
                }
            }
        }
    }

    /// A call, as `session.rs` makes it.
    fn send(&mut self, client: u32) {
        let Some(held) = self.clients[client as usize].state.held() else {
            return;
        };
        if has_expired(held, self.now) {
            let needed = Event::Needed {
                waiter: 1,
                seen: held,
                reason: RenewalReason::Expired,
            };
            return self.tell(client, needed);
        }
        count(&mut self.counts.calls, self.now);
        let answered = self.is_up() || self.plan.outage == Outage::RenewalsOnly;
        self.later(self.now + ROUND_TRIP, client, Due::CallEnds { answered });
    }

    fn call_ends(&mut self, client: u32, answered: bool) {
        let ending = &mut self.clients[client as usize];
        let Some(held) = ending.state.held() else {
            return;
        };
        if !answered && self.plan.policy == Policy::LogOut {
            // Such a client learns nothing from a call that got no answer.
            return;
        }
        if !answered {
            let cause = self.plan.outage.cause();
            return self.tell(client, Event::Lost(held.credentials, cause));
        }
        if let Some(acted_at) = ending.acted_at.take() {
            self.counts.acting_waits.push(self.now - acted_at);
        }
        if let Some(since) = ending.wants_since.take()
            && self.now >= self.plan.away.1
        {
            let waited = self.now - since.max(self.plan.away.1);
            if std::mem::take(&mut ending.returned) {
                self.counts.returned_waits.push(waited);
            } else if std::mem::take(&mut ending.was_expired) {
                self.counts.waits.push(waited);
            }
        }
        if ending.state.wants_served() {
            self.tell(client, Event::Served(held.credentials));
        }
        self.settle(client);
    }

    fn exchanged(&mut self, client: u32, answered: bool) {
        let Some(held) = self.clients[client as usize].state.held() else {
            return;
        };
        let exchange = if answered {
            let renewed = CredentialsInfo {
                session: held.session,
                begun_at: held.begun_at,
                ..self.new_credentials(held.generation + 1, 0)
            };
            Exchange::Renewed(renewed, Cause::NewTokens)
        } else {
            let token = match self.plan.outage {
                Outage::Refused | Outage::Offline => TokenFate::NotSent,
                Outage::AnswersLost => TokenFate::MaybeUsed,
                Outage::RenewalsOnly => TokenFate::NotUsed,
            };
            Exchange::Inconclusive {
                token,
                retry_after: None,
                cause: self.plan.outage.cause(),
            }
        };
        self.tell(client, Event::Exchanged(exchange));
        if !answered && self.plan.policy == Policy::LogOut {
            self.clients[client as usize].signed_out = true;
            self.tell(client, Event::SignedOut);
        }
    }

    /// Lets the client decide, and does what it asks for. Lock, vault and files answer at once.
    fn tell(&mut self, number: u32, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = self.moment(number);
            let client = &mut self.clients[number as usize];
            let was_away = client.state.unreachable().is_some();
            let mut used = client.state.held();
            let state = std::mem::take(&mut client.state);
            let (state, actions) = step(state, event, now, &self.rules);
            client.state = state;
            let is_back = was_away && client.state.unreachable().is_none();
            for action in actions {
                if matches!(action, Action::Use(_) | Action::Forget) {
                    used = self.clients[number as usize].state.held();
                }
                self.perform(number, action, used, &mut events);
            }
            let client = &self.clients[number as usize];
            if is_back && client.wants_since.is_some() && client.state.waiters.is_empty() {
                // The screens ask again once the status is back.
                self.send(number);
            }
        }
        self.settle(number);
    }

    /// `used` is what calls use.
    fn perform(
        &mut self,
        number: u32,
        action: Action,
        used: Option<CredentialsInfo>,
        events: &mut VecDeque<Event>,
    ) {
        let up = self.is_up();
        let client = &mut self.clients[number as usize];
        match action {
            Action::Exchange { .. } => {
                let held = client.state.held();
                let has_expired = held.is_some_and(|held| has_expired(held, self.now));
                let in_a_hurry = client.was_expired || (!up && has_expired);
                let counted = if in_a_hurry {
                    &mut self.counts.expired
                } else {
                    &mut self.counts.working
                };
                count(counted, self.now);
                let at = self.now + ROUND_TRIP;
                self.later(at, number, Due::Exchanged { answered: up });
            }
            Action::Probe => {
                let answered = up || self.plan.outage == Outage::RenewalsOnly;
                count(&mut self.counts.probes, self.now);
                self.later(self.now + ROUND_TRIP, number, Due::Probed { answered });
            }
            Action::Settle(_, Outcome::Renewed | Outcome::SendAnyway) => self.send(number),
            other => {
                let at = wall(self.now);
                events.extend(client.host.perform(0, &client.state, used, at, &other));
            }
        }
    }

    /// To be called after every change of a client.
    fn settle(&mut self, number: u32) {
        let client = &self.clients[number as usize];
        let expects = client.wants_since.is_some() || client.state.wants_served();
        let until = client.state.held().and_then(|held| held.access_until);
        self.quiet_until[number as usize] = until
            .filter(|_| client.in_use && !expects)
            .map_or(0, |until| {
                u64::try_from(until.minus(EXPIRY_MARGIN).ms()).unwrap_or(0)
            });
        let wake = self.clients[number as usize].state.next_wake(&self.rules);
        let wake = wake.map_or(u64::MAX, |at| at.ms().max(self.now));
        let client = &mut self.clients[number as usize];
        if client.in_use && client.wake_at != wake {
            client.wake_at = wake;
            if wake < self.plan.until {
                self.later(wake, number, Due::Wake);
            }
        }
    }

    fn later(&mut self, at: u64, client: u32, due: Due) {
        self.queue.push(Reverse((at, client, due)));
    }

    fn is_up(&self) -> bool {
        !(self.plan.away.0..self.plan.away.1).contains(&self.now)
    }

    fn moment(&mut self, client: u32) -> Now {
        Now {
            awake: Awake::from_ms(self.now),
            wall: wall(self.now),
            server: server_time(self.now),
            random: match self.plan.policy {
                Policy::NoJitter => u64::MAX / 2,
                Policy::Ours | Policy::LogOut => self.random.bits(),
            },
            in_use: self.clients[client as usize].in_use,
        }
    }

    /// Credentials of a session of its own, issued `age` ms ago.
    fn new_credentials(&mut self, generation: u64, age: u64) -> CredentialsInfo {
        self.ids += 2;
        let issued_at = server_time(self.now).minus(age);
        CredentialsInfo {
            session: SessionId::of(self.ids),
            begun_at: wall(self.now).minus(age),
            generation,
            credentials: CredentialsId::of(self.ids + 1),
            access_until: Some(issued_at.plus(LIFETIME)),
            issued_at,
        }
    }
}

impl Outage {
    /// What a client says of an attempt or a call in it.
    fn cause(self) -> Cause {
        match self {
            Self::Refused => Cause::Connect,
            Self::AnswersLost => Cause::Timeout,
            Self::RenewalsOnly => Cause::Http(503),
            Self::Offline => Cause::Dns,
        }
    }
}

/// Whether a call renews first, as `sending.rs` decides it.
fn has_expired(held: CredentialsInfo, now: u64) -> bool {
    held.has_expired(server_time(now).plus(EXPIRY_MARGIN))
}

/// All clocks are right, and begin with the simulation.
fn wall(ms: u64) -> Wall {
    Wall::default().plus(ms)
}

fn server_time(ms: u64) -> ServerTime {
    ServerTime::default().plus(ms)
}

/// What one client takes, in bytes.
pub(crate) const fn bytes_per_client() -> usize {
    size_of::<Client>()
}
