//! Every call settles in time, and its effect agrees with the outcome that its caller got.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use graphql_session_testing::FaultServer;

/// How much longer than its limit a call may take on a busy machine before it counts as late.
const LATE: Duration = Duration::from_secs(10);

/// How long an effect is looked for after its caller left or died: the request may still be on its way.
const LOOKED_AFTER: Duration = Duration::from_secs(20);

/// One call that has not settled.
struct Open {
    place: usize,
    incarnation: u32,
    is_mutation: bool,
    /// When the process got the command, or went on after a freeze.
    since: Instant,
}

/// The calls of the run.
#[derive(Default)]
pub(crate) struct Calls {
    next: u64,
    open: HashMap<u64, Open>,
    /// Settled, by outcome.
    pub(crate) settled: BTreeMap<String, u64>,
    pub(crate) died_with_process: u64,
    pub(crate) slowest_ms: u128,
    /// Mutations whose effect is still to be looked at, and when.
    to_look_at: Vec<(u64, Instant)>,
}

impl Calls {
    /// A new call's number.
    pub(crate) fn begin(&mut self, place: usize, incarnation: u32, is_mutation: bool) -> u64 {
        self.next += 1;
        let open = Open {
            place,
            incarnation,
            is_mutation,
            since: Instant::now(),
        };
        self.open.insert(self.next, open);
        self.next
    }

    pub(crate) fn made(&self) -> u64 {
        self.next
    }

    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// A process said that a call has settled.
    pub(crate) fn settle(
        &mut self,
        call: u64,
        outcome: &str,
        ms: u128,
        server: &FaultServer,
    ) -> Result<(), String> {
        let Some(open) = self.open.remove(&call) else {
            return Err(format!("call {call} settled twice"));
        };
        *self.settled.entry(outcome.to_owned()).or_default() += 1;
        self.slowest_ms = self.slowest_ms.max(ms);
        if !open.is_mutation {
            return Ok(());
        }
        let ran = effects(call, server);
        // `MaybeExecuted`, or a reply that is not the server's own: the mutation may have run.
        let fits = match outcome {
            "served" => ran == 1,
            "MaybeExecuted" => ran <= 1,
            reply if reply.starts_with("reply:") => ran <= 1,
            _ => ran == 0,
        };
        self.to_look_at.push((call, Instant::now() + LOOKED_AFTER));
        if fits {
            Ok(())
        } else {
            Err(format!(
                "mutation {call} ran {ran} times, and its caller was told {outcome}"
            ))
        }
    }

    /// The process has ended, and its calls with it.
    pub(crate) fn die(&mut self, place: usize, incarnation: u32) {
        let due = Instant::now() + LOOKED_AFTER;
        let (died, to_look_at) = (&mut self.died_with_process, &mut self.to_look_at);
        self.open.retain(|call, open| {
            let stays = (open.place, open.incarnation) != (place, incarnation);
            if !stays {
                *died += 1;
                if open.is_mutation {
                    to_look_at.push((*call, due));
                }
            }
            stays
        });
    }

    /// The process was frozen, and its clock stood still for its callers.
    pub(crate) fn thawed(&mut self, place: usize) {
        for open in self.open.values_mut().filter(|open| open.place == place) {
            open.since = Instant::now();
        }
    }

    /// No call is late, and no mutation ran twice. `is_frozen` tells of a place.
    pub(crate) fn check(
        &mut self,
        limit: Duration,
        is_frozen: impl Fn(usize) -> bool,
        server: &FaultServer,
    ) -> Result<(), (Option<usize>, String)> {
        let late = self
            .open
            .iter()
            .find(|(_, open)| !is_frozen(open.place) && open.since.elapsed() > limit + LATE);
        if let Some((call, open)) = late {
            let place = open.place;
            let what =
                format!("call {call} of process {place} did not settle within its {limit:?}");
            return Err((Some(place), what));
        }
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.to_look_at)
            .into_iter()
            .partition(|(_, due)| *due <= now);
        self.to_look_at = later;
        let due: Vec<(u64, Instant)> = due;
        match due.iter().find(|(call, _)| effects(*call, server) > 1) {
            Some((call, _)) => Err((None, format!("mutation {call} ran more than once"))),
            None => Ok(()),
        }
    }
}

fn effects(call: u64, server: &FaultServer) -> u64 {
    server.effects_of(&format!("m{call}"))
}
