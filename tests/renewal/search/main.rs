//! A search through the decisions: every order in which two processes, three callers and five faults can meet, with the
//! same [`step`](graphql_session_renewal::step) that the session runs. Each fault comes once or stays away, at every
//! boundary between two actions.

mod process;
mod server;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use graphql_session_renewal::sim::Saving;
use graphql_session_renewal::{EndingReason, Standing, Step, Storage};
use stateright::{Checker, HasDiscoveries, Model, Property};

use process::{Process, Work};
use world::{Caller, Left, Move, World};

/// The cores of a CI machine.
const THREADS: usize = 2;

/// One search: which faults may happen in it, and which of the [`CASES`] it has met.
struct Search {
    left: Left,
    met: Arc<[AtomicBool; CASES.len()]>,
}

impl Model for Search {
    // Boxed: the checker moves states about, and a world is large.
    type State = Box<World>;
    type Action = Move;

    fn init_states(&self) -> Vec<Box<World>> {
        vec![Box::new(World::new(self.left))]
    }

    fn actions(&self, world: &Box<World>, moves: &mut Vec<Move>) {
        world.moves(moves);
    }

    fn next_state(&self, world: &Box<World>, next: Move) -> Option<Box<World>> {
        let mut world = world.clone();
        world.play(next);
        for ((_, is_case), met) in CASES.iter().zip(&*self.met) {
            if !met.load(Ordering::Relaxed) && is_case(&world) {
                met.store(true, Ordering::Relaxed);
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        [guarded(), at_rest()].concat()
    }
}

/// I1 to I9, in every state.
fn guarded() -> Vec<Property<Search>> {
    vec![
        Property::<Search>::always("nothing happens that is named in `Wrong`", |_, world| {
            world.wrong.is_none()
        }),
        Property::<Search>::always(
            "I1: at most one exchange is on the wire, under the lock",
            |_, world| {
                let mut on_the_wire =
                    (0..2).filter(|process| world.processes[*process].is_on_the_wire());
                let first = on_the_wire.next();
                first.is_none_or(|process| world.host.lock == Some(process))
                    && on_the_wire.next().is_none()
            },
        ),
        Property::<Search>::always(
            "I2: a process that sent an exchange waits for its answer",
            |_, world| {
                world.processes.iter().all(|own| {
                    own.is_on_the_wire() == matches!(own.state.step, Step::Exchanging { .. })
                        || !own.queue.is_empty()
                })
            },
        ),
        Property::<Search>::always(
            "I3: what is used is stored, or said to be unsaved",
            |_, world| {
                world.ended().is_some()
                    || world
                        .processes
                        .iter()
                        .filter(|own| own.queue.is_empty())
                        .all(|own| {
                            own.current.is_none_or(|used| {
                                own.says_unsaved()
                                    || world
                                        .host
                                        .vault
                                        .is_some_and(|stored| !used.supersedes(&stored.info))
                            })
                        })
            },
        ),
        Property::<Search>::always(
            "I8: who waits is known to the process in which it waits",
            |_, world| {
                let callers = world.callers.iter();
                let waiting = callers.filter(|doing| matches!(doing, Caller::Waiting));
                let processes = || world.processes.iter();
                let known: usize = processes().map(|own| own.state.waiters.len()).sum();
                known == waiting.count() || processes().any(|own| !own.queue.is_empty())
            },
        ),
    ]
}

/// What must hold once nothing more happens by itself.
fn at_rest() -> Vec<Property<Search>> {
    vec![
        Property::<Search>::always(
            "I8, I10: at rest every call has settled, and nobody holds the lock",
            |_, world| {
                !world.is_over()
                    || world.callers.iter().all(|doing| *doing == Caller::Settled)
                        && world.host.lock.is_none()
                        && world.processes.iter().all(|own| {
                            own.state.step == Step::Idle
                                && own.state.waiters.is_empty()
                                && own.work.is_none()
                                && own.queue.is_empty()
                        })
            },
        ),
        Property::<Search>::always(
            "I3, I7: at rest a session that stands is held, stored, and taken by the server",
            |_, world| {
                world.ended().is_some()
                    || !world.is_over()
                    || world.host.vault.is_some_and(|stored| {
                        world.server.takes(stored.info, world.now)
                            && world.processes.iter().all(|own| {
                                own.current == Some(stored.info)
                                    && own.state.held() == own.current
                                    && own.state.storage == Storage::Saved
                            })
                    })
            },
        ),
        Property::<Search>::always(
            "I5: at rest a session that is over is held by nobody, and stored only by a keyring that failed",
            |_, world| {
                world.ended().is_none()
                    || !world.is_over()
                    || world
                        .processes
                        .iter()
                        .all(|own| own.current.is_none() && own.state.held().is_none())
                        && (world.host.vault.is_none()
                            || !world.left.failure
                            || !world.left.late_write)
            },
        ),
    ]
}

/// A case's name, and how to recognise it.
type Case = (&'static str, fn(&World) -> bool);

/// The cases that the search is there for: it would prove nothing if it did not meet them.
const CASES: [Case; 7] = [
    ("one process adopts what the other renewed", |world| {
        let [first, second] = world.processes.both();
        first.current == second.current && first.current.is_some_and(|used| used.generation > 1)
    }),
    ("a lost answer is recovered", |world| {
        let stored = world.host.vault.map(|stored| stored.info);
        world.server.issued() > 2 && stored.is_some_and(|info| info.generation > 1)
    }),
    (
        "a lost answer is past its grace time, and ends the session",
        |world| world.ended() == Some(EndingReason::LostAnswer),
    ),
    (
        "a sign-out comes between a save and its second look",
        |world| {
            let undoes = |work: &Work| {
                matches!(
                    work,
                    Work::Save {
                        saving: Saving::Undo(_),
                        ..
                    }
                )
            };
            let mut works = world.processes.iter().filter_map(|own| own.work.as_ref());
            works.any(undoes)
        },
    ),
    (
        "one keeps the lock because it cannot save, and the other waits",
        |world| {
            let [first, second] = world.processes.both();
            matches!(first.state.step, Step::KeepingLock { .. })
                && second.state.step == Step::Locking
        },
    ),
    ("a late write holds back the lock", |world| {
        let is_late = |own: &Process| own.is_running() && own.outstanding.is_some();
        let mut processes = world.processes.iter();
        processes.any(|own| is_late(own) && !own.state.has_lock)
    }),
    (
        "the keyring hides the session from a process that starts",
        |world| {
            let mut standing = world.processes.iter().map(|own| own.state.session);
            standing.any(|standing| matches!(standing, Standing::Locked { .. }))
        },
    ),
];

/// The faults, each as the way to allow it.
const FAULTS: [fn(&mut Left); 5] = [
    |left| left.sign_out = true,
    |left| left.crash = true,
    |left| left.lost_answer = true,
    |left| left.failure = true,
    |left| left.late_write = true,
];

/// What may still happen where a search allows these faults.
fn with(faults: &[fn(&mut Left)]) -> Left {
    let mut left = Left::NOTHING;
    for allow in faults {
        allow(&mut left);
    }
    left
}

/// Searches each of `scopes` to its end, and says which of the cases were met.
fn search(scopes: impl IntoIterator<Item = Left>) -> Vec<&'static str> {
    let began = Instant::now();
    let met: Arc<[AtomicBool; CASES.len()]> = Arc::default();
    let (mut searches, mut states, mut transitions) = (0, 0, 0);
    for left in scopes {
        let search = Search {
            left,
            met: met.clone(),
        };
        let checker = search.checker().threads(THREADS);
        // Depth first: the frontier of a breadth-first search does not fit into a small machine.
        let checker = checker
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_dfs()
            .join();
        checker.assert_properties();
        searches += 1;
        states += checker.unique_state_count();
        transitions += checker.state_count();
    }
    let seconds = began.elapsed().as_secs_f32();
    println!("{searches} searches, {states} states, {transitions} transitions, {seconds:.1} s");
    let met = CASES.iter().zip(&*met);
    met.filter(|(_, met)| met.load(Ordering::Relaxed))
        .map(|((case, _), _)| *case)
        .collect()
}

#[test]
fn every_order_of_two_processes_three_callers_and_five_faults_keeps_the_invariants() {
    let met = search([with(&FAULTS)]);

    assert_eq!(met, CASES.map(|(case, _)| case));
}

#[test]
fn every_order_of_a_fault_a_leaving_caller_and_a_delay_keeps_the_invariants() {
    search(FAULTS.map(|fault| Left {
        delay: true,
        leaving: true,
        ..with(&[fault])
    }));
}

#[test]
fn every_order_of_a_fault_and_a_change_of_the_network_keeps_the_invariants() {
    search(FAULTS.map(|fault| Left {
        network_change: true,
        ..with(&[fault])
    }));
}
