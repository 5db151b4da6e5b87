//! The reference model: what can happen next, given what has happened so far.
//!
//! It knows the world only as far as steps change it (which processes run, which servers are away, how many answers
//! are held), so that every shrunk list of steps still makes sense. It does not predict what the sessions do: the
//! [checks](super::invariants) compare that with the records of server, keyring and files.

use graphql_session::VaultError;
use graphql_session_testing::{FileCall, VaultCall};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::beginning::{Beginning, beginnings};
use super::choices::{call_troubles, disk_troubles, keyring_troubles, renewal_troubles, spans};
use super::faults::Trouble;

/// Processes that can run at once.
pub(crate) const PROCESSES: usize = 3;

/// What stays the same during one case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Accounts of each process, each at a server of its own.
    pub(crate) accounts: usize,
    /// Whether the servers take a used refresh token again for a minute.
    pub(crate) grace: bool,
    /// Whether the servers know `signOut`, and revoke the session then.
    pub(crate) revokes: bool,
    /// Whether ten minutes without a server end a session.
    pub(crate) end_after: bool,
    /// Whether a person edits the keyring by hand.
    pub(crate) hands: bool,
    /// Whether the local clock is set.
    pub(crate) clocks: bool,
    /// What has happened before the first step.
    pub(crate) beginning: Beginning,
}

/// One thing that happens. Its Debug form is Rust source, for the cases in `regressions.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A window calls.
    Call(Calls),
    /// A caller cancels one of the open calls.
    CallerLeaves {
        which: usize,
    },
    /// At the server of an account.
    Server(usize, AtServer),
    Pass(Span),
    /// The machine sleeps for so many hours.
    Sleep {
        hours: i64,
    },
    /// The local clock is set, forward or back, by so many hours.
    ClockSet {
        hours: i64,
    },
    RenewalsGoWrong {
        account: usize,
        how: Trouble,
        times: usize,
    },
    CallsGoWrong {
        account: usize,
        how: Trouble,
        times: usize,
    },
    /// The next call's answer is held. Then it comes, or the connection `breaks`.
    HoldCall {
        account: usize,
        breaks: bool,
    },
    /// One of the held answers is released, not always the oldest.
    LetGo {
        which: usize,
    },
    SignIn {
        process: usize,
        account: usize,
    },
    SignOut {
        process: usize,
        account: usize,
    },
    TryNow {
        process: usize,
        account: usize,
    },
    /// The system tells a process that the network has changed.
    NetworkChanges {
        process: usize,
        account: usize,
    },
    Opens {
        process: usize,
    },
    /// The process is killed. A keyring call that hangs takes effect (`lands`), or does not.
    Dies {
        process: usize,
        lands: bool,
    },
    Quits {
        process: usize,
    },
    Keyring(KeyringTrouble),
    KeyringHeals,
    Disk(DiskTrouble),
    DiskHeals,
    EntryDeleted {
        account: usize,
    },
    EntryDamaged {
        account: usize,
    },
    /// An older entry, or the newest of all, is put back by hand.
    EntryRestored {
        account: usize,
        age: usize,
    },
}

/// What happens at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtServer {
    /// It refuses every access token from now on; no session knows.
    AccessExpires,
    /// The next renewal's answer is held.
    HoldRenewal,
    Behaves,
    Stops,
    Returns,
    /// The person's sessions are revoked.
    Revoked,
    /// The database was reset: it knows no refresh token.
    Forgotten,
    /// All refresh tokens issued so far run out.
    RefreshExpires,
}

/// Calls of one process, `many` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) process: usize,
    pub(crate) account: usize,
    pub(crate) mutation: bool,
    pub(crate) metadata: bool,
    pub(crate) many: usize,
    pub(crate) hurried: bool,
}

impl Calls {
    /// One query of the first account.
    pub(crate) const fn one_query(process: usize) -> Self {
        Self {
            process,
            account: 0,
            mutation: false,
            metadata: false,
            many: 1,
            hurried: false,
        }
    }
}

/// How much time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    Moment,
    Seconds,
    /// Longer than one attempt.
    Attempt,
    /// Longer than the wait for the lock.
    LockWait,
    /// Longer than the grace time.
    Grace,
    /// Longer than any call.
    Call,
    Minutes,
    /// Longer than an access token lasts.
    Lifetime,
    /// To the next attempt that a status names.
    NextAttempt,
}

/// The fault of the keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyringTrouble {
    /// Every call fails.
    Fails(VaultError),
    /// Every call of this kind fails.
    Only(VaultCall, VaultError),
    /// The next call of this kind fails.
    Once(VaultCall),
    /// Calls of this kind do not return.
    Slow(VaultCall),
    /// The next write panics, as an adopter's vault may.
    Panics,
}

/// The fault of the disk with the state folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskTrouble {
    /// Nothing can be written.
    Full,
    /// Every write of this kind fails.
    Fails(FileCall),
    /// The next write of this kind fails.
    Once(FileCall),
    /// Every append ends after so many bytes.
    Tears(usize),
    /// The next append ends after so many bytes.
    TearsOnce(usize),
    /// Appends do not return.
    Slow,
}

/// What the model knows.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) setting: Setting,
    pub(crate) running: [bool; PROCESSES],
    server_is_away: Vec<bool>,
    /// Answers that may be held.
    held: usize,
    /// Calls that may be open.
    open_calls: usize,
    keyring_works: bool,
    disk_works: bool,
    /// Something has ended a session. Most often a sign-in follows.
    may_be_signed_out: bool,
}

impl Step {
    /// The account that it names.
    fn account(&self) -> Option<usize> {
        match *self {
            Self::Call(Calls { account, .. })
            | Self::Server(account, _)
            | Self::RenewalsGoWrong { account, .. }
            | Self::CallsGoWrong { account, .. }
            | Self::HoldCall { account, .. }
            | Self::SignIn { account, .. }
            | Self::SignOut { account, .. }
            | Self::TryNow { account, .. }
            | Self::NetworkChanges { account, .. }
            | Self::EntryDeleted { account }
            | Self::EntryDamaged { account }
            | Self::EntryRestored { account, .. } => Some(account),
            _ => None,
        }
    }
}

/// What can happen next, each with its weight.
#[derive(Default)]
struct Choices(Vec<(u32, BoxedStrategy<Step>)>);

impl Choices {
    fn can(&mut self, weight: u32, steps: impl Strategy<Value = Step> + 'static) {
        self.0.push((weight, steps.boxed()));
    }
}

/// A case's list of steps.
pub(crate) struct Happenings;

impl Model {
    pub(crate) fn new(setting: Setting) -> Self {
        let start = Self {
            setting,
            running: [true, false, false],
            server_is_away: vec![false; setting.accounts],
            held: 0,
            open_calls: 0,
            keyring_works: true,
            disk_works: true,
            may_be_signed_out: false,
        };
        let before = setting.beginning.steps();
        before.iter().fold(start, Happenings::apply)
    }
}

impl ReferenceStateMachine for Happenings {
    type State = Model;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Model> {
        let one_or_two = prop_oneof![3 => Just(1_usize), 1 => Just(2_usize)];
        let rarely = || prop::bool::weighted(0.25);
        let mostly = prop::bool::weighted(0.8);
        (
            one_or_two,
            mostly,
            rarely(),
            rarely(),
            prop::bool::weighted(0.4),
            (prop::bool::weighted(0.7), beginnings()),
        )
            .prop_map(
                |(accounts, grace, end_after, hands, clocks, (revokes, beginning))| {
                    Model::new(Setting {
                        accounts,
                        // Within a grace time the lost answer is made up for.
                        grace: grace && beginning != Beginning::DiedWhileRenewing,
                        // A renewal that was revoked meanwhile has nothing to save.
                        revokes: revokes && beginning != Beginning::SignedOutElsewhere,
                        end_after,
                        hands,
                        // If the clock is set, the order of two sign-ins is unknown.
                        clocks: clocks && beginning != Beginning::DiedWhileRenewing,
                        beginning,
                    })
                },
            )
            .boxed()
    }

    fn transitions(model: &Model) -> BoxedStrategy<Step> {
        let account = 0..model.setting.accounts;
        let of_account = |step: fn(usize) -> Step| account.clone().prop_map(step);
        let at_server = |what| account.clone().prop_map(move |at| Step::Server(at, what));
        let running: Vec<_> = (0..PROCESSES).filter(|at| model.running[*at]).collect();
        let stopped: Vec<_> = (0..PROCESSES).filter(|at| !model.running[*at]).collect();
        let mut choices = Choices::default();

        choices.can(14, spans().prop_map(Step::Pass));
        choices.can(12, at_server(AtServer::AccessExpires));
        let troubles = (account.clone(), renewal_troubles(), 1_usize..4);
        let go_wrong = troubles.prop_map(|(account, how, times)| Step::RenewalsGoWrong {
            account,
            how,
            times,
        });
        choices.can(14, go_wrong);
        let troubles = (account.clone(), call_troubles(), 1_usize..6);
        let go_wrong = troubles.prop_map(|(account, how, times)| Step::CallsGoWrong {
            account,
            how,
            times,
        });
        choices.can(9, go_wrong);
        choices.can(6, at_server(AtServer::HoldRenewal));
        let held = (account.clone(), prop::bool::weighted(0.3));
        let hold = held.prop_map(|(account, breaks)| Step::HoldCall { account, breaks });
        choices.can(4, hold);
        choices.can(2, at_server(AtServer::Behaves));
        choices.can(1, at_server(AtServer::Revoked));
        choices.can(1, at_server(AtServer::RefreshExpires));
        choices.can(1, at_server(AtServer::Forgotten));
        choices.can(2, (1_i64..10).prop_map(|hours| Step::Sleep { hours }));
        for (account, away) in model.server_is_away.iter().enumerate() {
            if *away {
                choices.can(4, Just(Step::Server(account, AtServer::Returns)));
            } else {
                choices.can(1, Just(Step::Server(account, AtServer::Stops)));
            }
        }
        if model.held > 0 {
            choices.can(10, (0_usize..4).prop_map(|which| Step::LetGo { which }));
        }
        if model.open_calls > 0 {
            let leaves = (0_usize..8).prop_map(|which| Step::CallerLeaves { which });
            choices.can(4, leaves);
        }
        let breaks = if model.keyring_works { 5 } else { 2 };
        choices.can(breaks, keyring_troubles().prop_map(Step::Keyring));
        if !model.keyring_works {
            choices.can(9, Just(Step::KeyringHeals));
        }
        // Only when asked for: what a process may forget that dies on a full disk is more than the checks know.
        if std::env::var_os("RANDOM_DISK").is_some() {
            choices.can(2, disk_troubles().prop_map(Step::Disk));
        }
        if !model.disk_works {
            choices.can(7, Just(Step::DiskHeals));
        }
        if model.setting.clocks {
            let hours = prop_oneof![-30_i64..0, 1_i64..30];
            choices.can(6, hours.prop_map(|hours| Step::ClockSet { hours }));
        }
        if model.setting.hands {
            choices.can(2, of_account(|account| Step::EntryDeleted { account }));
            choices.can(1, of_account(|account| Step::EntryDamaged { account }));
            let old = (account.clone(), 0_usize..4);
            let restored = old.prop_map(|(account, age)| Step::EntryRestored { account, age });
            choices.can(5, restored);
        }
        if !stopped.is_empty() {
            let opens = prop::sample::select(stopped).prop_map(|process| Step::Opens { process });
            choices.can(if running.is_empty() { 40 } else { 7 }, opens);
        }
        if !running.is_empty() {
            let process = prop::sample::select(running);
            let calls = (
                process.clone(),
                account.clone(),
                any::<bool>(),
                any::<bool>(),
                prop_oneof![4 => Just(1_usize), 2 => 2_usize..4, 1 => Just(8_usize)],
                prop::bool::weighted(0.15),
            );
            let calls = calls.prop_map(|(process, account, mutation, metadata, many, hurried)| {
                Step::Call(Calls {
                    process,
                    account,
                    mutation,
                    metadata,
                    many,
                    hurried,
                })
            });
            choices.can(30, calls);
            let of_both = |step: fn((usize, usize)) -> Step| {
                (process.clone(), account.clone()).prop_map(step)
            };
            let sign_in = of_both(|(process, account)| Step::SignIn { process, account });
            choices.can(if model.may_be_signed_out { 25 } else { 3 }, sign_in);
            let sign_out = of_both(|(process, account)| Step::SignOut { process, account });
            choices.can(2, sign_out);
            let try_now = of_both(|(process, account)| Step::TryNow { process, account });
            choices.can(3, try_now);
            let network = of_both(|(process, account)| Step::NetworkChanges { process, account });
            choices.can(3, network);
            let deaths = (process.clone(), any::<bool>());
            choices.can(
                3,
                deaths.prop_map(|(process, lands)| Step::Dies { process, lands }),
            );
            choices.can(1, process.prop_map(|process| Step::Quits { process }));
        }
        prop::strategy::Union::new_weighted(choices.0).boxed()
    }

    fn preconditions(model: &Model, step: &Step) -> bool {
        // Shrinking may take an account away.
        if step
            .account()
            .is_some_and(|account| account >= model.setting.accounts)
        {
            return false;
        }
        match *step {
            Step::Call(Calls { process, .. })
            | Step::SignIn { process, .. }
            | Step::SignOut { process, .. }
            | Step::TryNow { process, .. }
            | Step::NetworkChanges { process, .. }
            | Step::Dies { process, .. }
            | Step::Quits { process } => model.running[process],
            Step::Opens { process } => !model.running[process],
            Step::Server(account, AtServer::Stops) => !model.server_is_away[account],
            Step::Server(account, AtServer::Returns) => model.server_is_away[account],
            Step::LetGo { .. } => model.held > 0,
            Step::CallerLeaves { .. } => model.open_calls > 0,
            _ => true,
        }
    }

    fn apply(mut model: Model, step: &Step) -> Model {
        match *step {
            Step::Call(Calls { many, .. }) => model.open_calls += many,
            Step::CallerLeaves { .. } => model.open_calls -= 1,
            Step::Pass(Span::Call | Span::Minutes | Span::Lifetime) => model.open_calls = 0,
            Step::Server(_, AtServer::HoldRenewal) | Step::HoldCall { .. } => model.held += 1,
            Step::LetGo { .. } => model.held -= 1,
            Step::Server(account, AtServer::Stops) => model.server_is_away[account] = true,
            Step::Server(account, AtServer::Returns) => model.server_is_away[account] = false,
            Step::Opens { process } => model.running[process] = true,
            Step::Dies { process, .. } | Step::Quits { process } => model.running[process] = false,
            Step::Keyring(_) => model.keyring_works = false,
            Step::KeyringHeals => model.keyring_works = true,
            Step::Disk(_) => model.disk_works = false,
            Step::DiskHeals => model.disk_works = true,
            Step::SignIn { .. } => model.may_be_signed_out = false,
            Step::SignOut { .. }
            | Step::Server(_, AtServer::Revoked | AtServer::Forgotten | AtServer::RefreshExpires)
            | Step::RenewalsGoWrong {
                how: Trouble::Rejected,
                ..
            } => model.may_be_signed_out = true,
            _ => {}
        }
        model
    }
}
