//! What happens to a client, case by case: the same for all, and counted by the server.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graphql_session::SystemClock;
use graphql_session_testing::{
    AttemptOutcome, Counts, EMAIL, Fault, FaultServer, Gate, IssuedPair, Rejection,
};

use crate::clients::Client;
use crate::driver::{Driver, Outcome};
use crate::tally::Tally;

/// A call that has not settled after this long counts as hung: nobody looks at a spinner for a minute.
pub(crate) const HUNG: Duration = Duration::from_secs(60);

/// Between a failure and the person's next try.
const NEXT_TRY: Duration = Duration::from_secs(3);

/// How long something that may never happen is waited for, with a dozen processes on two cores.
const ARRIVAL: Duration = Duration::from_secs(10);

/// How long the server takes for a renewal where two are to meet.
const SLOW_RENEWAL: Duration = Duration::from_secs(2);

/// How often the server is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// After the last answer, before looking at what a client made of it.
const REST: Duration = Duration::from_secs(1);

/// What the server asks for with Retry-After.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(3);

const QUERY: &str = "query People($caller: Int) { people { totalCount } }";
const MUTATION: &str = "mutation Create { createPerson { id } }";

/// One case.
pub(crate) struct Case {
    /// A short name, as in the tables.
    pub(crate) title: &'static str,
    /// What happens.
    pub(crate) story: &'static str,
    /// How many renewals are needed.
    pub(crate) renewals_needed: u64,
    /// What the session is at the end.
    pub(crate) end: End,
    /// Whether calls may fail, as long as they settle.
    pub(crate) calls_may_fail: bool,
    /// How often mutations are meant to run.
    pub(crate) effects_meant: u64,
    run: fn(Stage) -> Played,
}

/// What becomes of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It goes on.
    SignedIn,
    /// It goes on after an outage.
    Recovered,
    /// The server has ended it: every window announces a logout.
    Ended,
    /// The person has.
    SignedOut,
}

type Played = Pin<Box<dyn Future<Output = Tally> + Send>>;

macro_rules! plays {
    ($play:path) => {
        |stage| Box::pin($play(stage))
    };
}

/// In the order of the tables. For ours, `README.md` names the test of the project that covers each.
pub(crate) const CASES: [Case; 19] = [
    Case {
        run: plays!(burst),
        ..usual(
            "burst of 50",
            "50 calls at once, with an access token that has expired.",
        )
    },
    Case {
        run: plays!(late_refusal),
        ..usual(
            "late refusal",
            "Two calls with a token that the server refuses without telling before. One refusal arrives after the renewal that the other one began.",
        )
    },
    Case {
        run: plays!(busy_server),
        ..tried_twice(
            "503 once",
            "The first renewal is answered with 503. 5 calls wait for it; 3 s after they settled the person tries 5 more.",
        )
    },
    Case {
        run: plays!(retry_after),
        calls_may_fail: true,
        ..tried_twice(
            "429 once",
            "The first renewal is answered with 429 and Retry-After: 3. Calls as before.",
        )
    },
    Case {
        run: plays!(captive_portal),
        ..tried_twice(
            "HTML once",
            "The first renewal is answered with 200 and a page for people, as a captive portal does. Calls as before.",
        )
    },
    Case {
        run: plays!(reset),
        ..tried_twice(
            "reset once",
            "The first renewal's connection is reset before an answer. Calls as before.",
        )
    },
    Case {
        run: plays!(truncated),
        ..tried_twice(
            "answer cut",
            "The server renews, and its answer breaks off after 40 bytes. A used refresh token is taken again for 60 s. Calls as before.",
        )
    },
    Case {
        run: plays!(hanging),
        calls_may_fail: true,
        ..tried_twice(
            "renewal hangs",
            "The first renewal is never answered. 5 calls wait for it; after they settled, or after 60 s, the person tries 5 more, and the server answers.",
        )
    },
    Case {
        run: plays!(refused),
        end: End::Ended,
        calls_may_fail: true,
        ..usual(
            "renewal refused",
            "The session was revoked: the server refuses the token, and rejects the renewal. 10 calls at once.",
        )
    },
    Case {
        run: plays!(two_windows),
        ..usual(
            "two windows",
            "Two windows of one application, 10 calls each at once, with an expired token. A used refresh token is taken again for 60 s.",
        )
    },
    Case {
        run: plays!(two_windows_strict),
        ..usual(
            "two windows, strict",
            "The same at a server that revokes a session whose refresh token is used twice.",
        )
    },
    Case {
        run: plays!(two_processes),
        ..usual(
            "two processes",
            "Two processes over one store, 10 calls each at once, with an expired token. A used refresh token is taken again for 60 s.",
        )
    },
    Case {
        run: plays!(two_processes_strict),
        ..usual(
            "two processes, strict",
            "The same at a server that revokes a session whose refresh token is used twice.",
        )
    },
    Case {
        run: plays!(two_mutations),
        effects_meant: 2,
        ..usual(
            "two mutations",
            "The same mutation twice at once, with an expired token. Both are meant.",
        )
    },
    Case {
        run: plays!(partial_mutation),
        effects_meant: 1,
        renewals_needed: 0,
        calls_may_fail: true,
        ..usual(
            "partial mutation",
            "A mutation with a valid token is carried out in part: data, and beside it the error of a part that was not authenticated.",
        )
    },
    Case {
        run: plays!(refused_mutation),
        effects_meant: 1,
        ..usual(
            "refused mutation",
            "A mutation whose token the server refuses without telling before; nothing of it ran.",
        )
    },
    Case {
        run: plays!(cancelled_first),
        ..usual(
            "first caller leaves",
            "An expired token. The caller whose call began the renewal takes it back; 4 others wait, and 1 comes later.",
        )
    },
    Case {
        run: plays!(sign_out),
        end: End::SignedOut,
        calls_may_fail: true,
        ..usual(
            "sign-out meanwhile",
            "The person signs out while a renewal is under way. Its answer arrives later, and the person makes one more call.",
        )
    },
    Case {
        run: plays!(outage),
        end: End::Recovered,
        calls_may_fail: true,
        ..usual(
            "outage",
            "The server refuses connections for 20 s with the token expired; the page calls twice a second until it is served.",
        )
    },
];

/// One renewal, everything succeeds, nobody is signed out.
const fn usual(title: &'static str, story: &'static str) -> Case {
    Case {
        title,
        story,
        renewals_needed: 1,
        end: End::SignedIn,
        calls_may_fail: false,
        effects_meant: 0,
        run: plays!(burst),
    }
}

/// The same with a first attempt in vain.
const fn tried_twice(title: &'static str, story: &'static str) -> Case {
    Case {
        renewals_needed: 2,
        ..usual(title, story)
    }
}

impl Case {
    /// Plays it to a client, with a server and a store of its own.
    pub(crate) async fn play(&self, client: &'static Client) -> Tally {
        let stage = Stage::set(client).await;
        (self.run)(stage).await
    }
}

/// A client, a server, and a folder for what is stored.
struct Stage {
    client: &'static Client,
    server: FaultServer,
    folder: tempfile::TempDir,
    drivers: Vec<Driver>,
    /// Calls of the first process that hung, by their numbers: what becomes of them later is too late.
    hung: BTreeSet<usize>,
}

async fn burst(mut stage: Stage) -> Tally {
    stage.sign_in_expired(1).await;
    stage.calls(50, QUERY);
    stage.settled().await
}

async fn late_refusal(mut stage: Stage) -> Tally {
    stage.sign_in(1).await;
    stage.server.expire_access_tokens();
    let gate = Gate::new();
    stage.server.on_call(Fault::hold(&gate));
    stage.calls(1, QUERY);
    stage.arrived(|counts| counts.calls >= 1).await;
    stage.calls(1, QUERY);
    // With the replay of the second one, by a client that notices refusals.
    let wanted = if stage.client.notices_refusals { 3 } else { 2 };
    stage.arrived(|counts| counts.calls >= wanted).await;
    tokio::time::sleep(REST).await;
    gate.open();
    stage.settled().await
}

async fn busy_server(stage: Stage) -> Tally {
    first_renewal_goes_wrong(stage, Fault::status(503)).await
}

async fn retry_after(stage: Stage) -> Tally {
    let fault = Fault::retry_after(429, RETRY_AFTER.as_secs().to_string());
    let server = stage.server.clone();
    let mut tally = first_renewal_goes_wrong(stage, fault).await;
    tally.asked_again_after = server.ask_ledger(|ledger| {
        let mut attempts = ledger.attempts();
        let (_, put_off) = attempts.next()?;
        let told_at = put_off.over_at?;
        // Those that were on their way when it was told are no answer to it.
        let (again, _) = attempts.find(|(entry, _)| entry.at >= told_at)?;
        Some(again.at.duration_since(told_at).unsigned_abs())
    });
    tally
}

async fn captive_portal(stage: Stage) -> Tally {
    first_renewal_goes_wrong(stage, Fault::html(200)).await
}

async fn reset(stage: Stage) -> Tally {
    first_renewal_goes_wrong(stage, Fault::Reset).await
}

async fn truncated(stage: Stage) -> Tally {
    first_renewal_goes_wrong(stage, Fault::Truncate(40)).await
}

async fn hanging(stage: Stage) -> Tally {
    first_renewal_goes_wrong(stage, Fault::Stall).await
}

async fn first_renewal_goes_wrong(mut stage: Stage, fault: Fault) -> Tally {
    stage.server.on_renewal(fault);
    stage.sign_in_expired(1).await;
    stage.calls(5, QUERY);
    stage.drivers[0].settle(HUNG).await;
    stage.hung = stage.unsettled();
    tokio::time::sleep(NEXT_TRY).await;
    stage.calls(5, QUERY);
    stage.settled().await
}

async fn refused(mut stage: Stage) -> Tally {
    stage.sign_in(1).await;
    stage.server.expire_access_tokens();
    stage.server.revoke_sessions();
    stage.calls(10, QUERY);
    stage.settled().await
}

async fn two_windows(stage: Stage) -> Tally {
    windows(stage, Some(GRACE)).await
}

async fn two_windows_strict(stage: Stage) -> Tally {
    windows(stage, None).await
}

/// As Twenty has it.
const GRACE: Duration = Duration::from_secs(60);

async fn windows(mut stage: Stage, grace: Option<Duration>) -> Tally {
    stage.server.grace(grace);
    let gate = stage.renewals_are_slow();
    stage.sign_in_expired(2).await;
    stage.calls(10, QUERY);
    stage.calls_in(0, 1, 10, QUERY);
    tokio::time::sleep(SLOW_RENEWAL).await;
    gate.open();
    stage.settled().await
}

async fn two_processes(stage: Stage) -> Tally {
    processes(stage, Some(GRACE)).await
}

async fn two_processes_strict(stage: Stage) -> Tally {
    processes(stage, None).await
}

async fn processes(mut stage: Stage, grace: Option<Duration>) -> Tally {
    stage.server.grace(grace);
    let gate = stage.renewals_are_slow();
    stage.sign_in_expired(1).await;
    stage.start_process(1, None).await;
    stage.calls(10, QUERY);
    stage.calls_in(1, 0, 10, QUERY);
    tokio::time::sleep(SLOW_RENEWAL).await;
    gate.open();
    stage.settled().await
}

async fn two_mutations(mut stage: Stage) -> Tally {
    stage.sign_in_expired(1).await;
    stage.calls(2, MUTATION);
    stage.settled().await
}

async fn partial_mutation(mut stage: Stage) -> Tally {
    stage.server.answer(
        "createPerson",
        r#"{"data":{"createPerson":{"id":"1"},"sendInvitation":null},"errors":[{"message":"Unauthorized","path":["sendInvitation"],"extensions":{"code":"UNAUTHENTICATED","subCode":"UNAUTHENTICATED"}}]}"#,
    );
    stage.sign_in(1).await;
    stage.calls(
        1,
        "mutation Create { createPerson { id } sendInvitation { id } }",
    );
    stage.settled().await
}

async fn refused_mutation(mut stage: Stage) -> Tally {
    stage.sign_in(1).await;
    stage.server.expire_access_tokens();
    stage.calls(1, MUTATION);
    stage.settled().await
}

async fn cancelled_first(mut stage: Stage) -> Tally {
    let gate = Gate::new();
    stage.server.on_renewal(Fault::hold(&gate));
    stage.sign_in_expired(1).await;
    let first = stage.drivers[0].call(0, QUERY);
    stage.arrived(|counts| counts.renewals >= 1).await;
    stage.calls(4, QUERY);
    tokio::time::sleep(REST).await;
    stage.drivers[0].abort(first);
    tokio::time::sleep(REST).await;
    gate.open();
    stage.drivers[0].settle(HUNG).await;
    stage.calls(1, QUERY);
    stage.settled().await
}

async fn sign_out(mut stage: Stage) -> Tally {
    let gate = Gate::new();
    stage.server.on_renewal(Fault::hold(&gate));
    stage.sign_in_expired(1).await;
    stage.calls(3, QUERY);
    stage.arrived(|counts| counts.renewals >= 1).await;
    // Some clients wait with it until the renewal is over.
    tokio::join!(stage.drivers[0].sign_out(HUNG), async {
        tokio::time::sleep(REST).await;
        gate.open();
    });
    stage.drivers[0].settle(HUNG).await;
    tokio::time::sleep(REST).await;
    let served = stage.server.counts().served;
    stage.calls(1, QUERY);
    let mut tally = stage.settled().await;
    tally.served_after_sign_out = stage.server.counts().served > served;
    tally
}

/// How long the server is away.
const AWAY: Duration = Duration::from_secs(20);

/// How often a page asks meanwhile.
const PAGE_ASKS: Duration = Duration::from_millis(500);

async fn outage(mut stage: Stage) -> Tally {
    stage.sign_in_expired(1).await;
    stage.server.stop().await;
    let (served_after, ()) = tokio::join!(stage.page_asks_until_served(AWAY + HUNG), async {
        tokio::time::sleep(AWAY).await;
        stage.server.start_again();
    });
    let mut tally = stage.settled().await;
    tally.recovery = served_after.map(|after| after.saturating_sub(AWAY));
    tally
}

impl Stage {
    async fn set(client: &'static Client) -> Self {
        let server = FaultServer::start(Arc::new(SystemClock::new())).await;
        // urql sends its expired token along with the renewal, and Twenty would refuse that every time.
        server.checks_renewals_bearer(false);
        if client.needs_401 {
            server.refuses_calls_with(401);
        }
        Self {
            client,
            server,
            folder: tempfile::tempdir().expect("a temporary folder"),
            drivers: Vec::new(),
            hung: BTreeSet::new(),
        }
    }

    /// The person has signed in a moment ago, and whatever the client does then is done.
    async fn sign_in(&mut self, windows: u64) {
        let tokens = self.server.issue(EMAIL);
        self.start_process(windows, Some(tokens)).await;
        tokio::time::sleep(REST).await;
    }

    /// The person has signed in long ago, and the access token has expired: the laptop slept.
    async fn sign_in_expired(&mut self, windows: u64) {
        let second = Duration::from_secs(1);
        self.server.access_tokens_last(second);
        let tokens = self.server.issue(EMAIL);
        self.server.access_tokens_last(Duration::from_secs(1_800));
        tokio::time::sleep(second + REST).await;
        self.start_process(windows, Some(tokens)).await;
    }

    /// Without tokens, the same application once more, with what is stored.
    async fn start_process(&mut self, windows: u64, tokens: Option<IssuedPair>) {
        let driver = Driver::start(self.client);
        let store = self.folder.path().join("store.json");
        let origin = self.server.address();
        driver.open(&origin, &store, windows, tokens.as_ref()).await;
        self.drivers.push(driver);
    }

    /// The server takes its time for every renewal, until the gate is opened.
    fn renewals_are_slow(&self) -> Gate {
        let gate = Gate::new();
        self.server.on_every_renewal(Fault::hold(&gate));
        gate
    }

    fn calls(&self, count: u64, query: &str) {
        self.calls_in(0, 0, count, query);
    }

    fn calls_in(&self, process: usize, window: u64, count: u64, query: &str) {
        for _ in 0..count {
            self.drivers[process].call(window, query);
        }
    }

    /// Waits until the server has seen it; goes on without, for it may never happen.
    async fn arrived(&self, enough: impl Fn(&Counts) -> bool) {
        let deadline = Instant::now() + ARRIVAL;
        while !enough(&self.server.counts()) && Instant::now() < deadline {
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// A page that calls again and again until one call is served, at most so long. Returns how long that took.
    async fn page_asks_until_served(&self, limit: Duration) -> Option<Duration> {
        let began = Instant::now();
        let mut asks = tokio::time::interval(PAGE_ASKS);
        while began.elapsed() < limit {
            tokio::select! {
                _ = asks.tick() => self.calls(1, QUERY),
                () = tokio::time::sleep(GLANCE) => {}
            }
            if self.server.counts().served > 0 {
                return Some(began.elapsed());
            }
        }
        None
    }

    /// The first process's calls that have not settled.
    fn unsettled(&self) -> BTreeSet<usize> {
        let outcomes = self.drivers[0].outcomes().into_iter().enumerate();
        let unsettled = outcomes.filter(|(_, outcome)| outcome.is_none());
        unsettled.map(|(id, _)| id).collect()
    }

    /// Waits for the calls, and counts.
    async fn settled(&self) -> Tally {
        for driver in &self.drivers {
            driver.settle(HUNG).await;
        }
        tokio::time::sleep(REST).await;
        let counts = self.server.counts();
        let mut tally = Tally {
            renewals: counts.renewals,
            calls: counts.calls,
            effects: counts.effects.values().sum(),
            is_revoked: self.server.ask_ledger(|ledger| {
                let mut rejections = ledger.rejections();
                rejections.any(|(_, it)| it.outcome == AttemptOutcome::Rejected(Rejection::Spent))
            }),
            ..Tally::default()
        };
        for (process, driver) in self.drivers.iter().enumerate() {
            for (id, outcome) in driver.outcomes().into_iter().enumerate() {
                let is_too_late = process == 0 && self.hung.contains(&id);
                match outcome.filter(|_| !is_too_late) {
                    Some(Outcome::Data) => tally.succeeded += 1,
                    Some(Outcome::Partial) => tally.partial += 1,
                    Some(Outcome::Error(error)) => {
                        tally.failed += 1;
                        tally.errors.insert(error);
                    }
                    Some(Outcome::Aborted) => tally.aborted += 1,
                    None => tally.hung += 1,
                }
            }
            tally.logouts += driver.logouts();
            tally.left_without_session += u64::from(!driver.is_signed_in().await);
        }
        tally
    }
}
