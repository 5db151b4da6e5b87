//! The whole core at random: real sessions in up to three processes, a server that breaks, a keyring and a disk that fail, time
//! that passes, jumps and stands still. After every step everything comes to rest, and I1 to I10 are checked.
//!
//! `cargo test --test random` plays [`STEPS`] steps from a fixed seed; `make random` plays 100,000 from another one each
//! time. `RANDOM_STEPS` and `RANDOM_SEED` set both. A failing case is shrunk and printed as a list of steps; keep it
//! in `regressions.rs`, as a test whose name says the scenario and its outcome.

mod beginning;
mod choices;
mod disk;
mod faults;
mod healing;
mod invariants;
mod keyring;
mod model;
mod process;
mod records;
mod regressions;
mod requests;
mod rest;
mod time;
mod under_way;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;

use model::{Happenings, Model, Setting, Step};
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use world::World;

/// Steps in all, unless `RANDOM_STEPS` says otherwise.
const STEPS: u32 = 5_000;

/// The seed, unless `RANDOM_SEED` says otherwise. It is fixed, so that a change is tested with the same cases.
const SEED: u64 = 77;

/// Steps of one case: enough for a few sessions, and few enough to read after shrinking.
const STEPS_PER_CASE: u32 = 50;

/// What a run of [`STEPS`] meets about eighty times or more. A run that met none of it would keep every invariant, and
/// prove nothing.
const MET: [&str; 9] = [
    "adoptions",
    "calls",
    "deaths",
    "endings",
    "failed",
    "renewals",
    "served",
    "sign-ins",
    "sign-outs",
];

/// Counts over all cases.
static TALLY: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

struct TestHost;

impl StateMachineTest for TestHost {
    type SystemUnderTest = World;
    type Reference = Happenings;

    fn init_test(model: &Model) -> World {
        World::start(model)
    }

    fn apply(mut world: World, _: &Model, step: Step) -> World {
        world.play(step);
        world
    }

    fn teardown(mut world: World, _: Model) {
        world.finish();
        let mut tally = TALLY.lock().expect("no panic while counting");
        for (what, more) in &world.tally {
            *tally.entry(what).or_default() += more;
        }
    }
}

#[test]
fn any_order_of_calls_faults_sign_ins_sleeps_and_deaths_keeps_the_invariants() {
    let steps = from_environment("RANDOM_STEPS").map_or(STEPS, |steps| steps as u32);
    let seed = from_environment("RANDOM_SEED").unwrap_or(SEED);
    let config = Config {
        cases: steps.div_ceil(STEPS_PER_CASE),
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_time: 120_000,
        ..Config::default()
    };
    println!("{steps} steps from seed {seed}");
    let per_case = STEPS_PER_CASE as usize;
    let cases = Happenings::sequential_strategy(per_case..=per_case);
    let played = TestRunner::new(config.clone()).run(&cases, |(model, steps, seen)| {
        TestHost::test_sequential(config.clone(), model, steps, seen);
        Ok(())
    });
    let tally = TALLY.lock().expect("no panic while counting").clone();
    println!("{tally:?}");
    match played {
        Ok(()) => {
            let missed = |what: &&str| tally.get(what).is_none_or(|times| *times == 0);
            let missed: Vec<_> = MET.into_iter().filter(missed).collect();
            assert!(steps < STEPS || missed.is_empty(), "never met: {missed:?}");
        }
        Err(TestError::Fail(why, (model, steps, _))) => {
            let steps: Vec<_> = steps.iter().map(|step| format!("    {step:?},")).collect();
            panic!(
                "{why}\nwith RANDOM_SEED={seed}, and shrunk:\n{:?}\n{}",
                model.setting,
                steps.join("\n")
            );
        }
        Err(aborted) => panic!("{aborted}"),
    }
}

impl Setting {
    /// Plays a case of `regressions.rs`.
    fn replay(self, steps: &[Step]) {
        let mut world = World::start(&Model::new(self));
        for step in steps {
            world.play(*step);
        }
        world.finish();
    }
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
