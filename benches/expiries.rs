//! Whether a renewal is felt: calls at a constant rate over 30 expiries, those around a renewal beside all others, in
//! one run and in real time. The server is a process of its own, this binary with a role.

use std::sync::Arc;
use std::time::{Duration, Instant};

use graphql_session::{Config, MemoryVault, PasswordLogin, Session, SystemClock};
use graphql_session_testing::{EMAIL, Fault, FaultServer, Gate, PASSWORD, query};
use jiff::{SignedDuration, Timestamp};

use server_process::ServerProcess;

#[path = "server_process.rs"]
mod server_process;

/// Renewals to be seen.
const RENEWALS: usize = 30;

/// Lifetime of an access token. It is renewed after 5.3 to 6 s, and counts as expired a second before its end.
const LIFETIME: Duration = Duration::from_secs(8);

/// How long the server takes for a renewal: a call that waited for one would stand out.
const EXCHANGE: Duration = Duration::from_millis(250);

/// A call is started this often: 200 a second.
const PACE: Duration = Duration::from_millis(5);

/// A call counts as around a renewal from so long before its exchange is sent until so long after it is done.
const AROUND: SignedDuration = SignedDuration::from_millis(100);

const ROLE: &str = "HOLDFAST_BENCH_ROLE";

/// One call: when it was due, and how long after that it had its reply.
type Call = (Timestamp, Duration);

#[tokio::main(worker_threads = 2)]
async fn main() {
    if std::env::var_os(ROLE).is_some() {
        return serve().await;
    }
    let mut server = ServerProcess::start(|command| {
        command.env(ROLE, "server");
    });
    let (calls, renewals) = run(&server.origin).await;
    let (mut around, mut others): (Vec<_>, Vec<_>) = calls
        .into_iter()
        .partition(|(due, _)| renewals.iter().any(|one| one.is_around(*due)));
    println!("{RENEWALS} renewals of {EXCHANGE:?} each, a call every {PACE:?}");
    println!("calls              count      p50      p99      max");
    report("around a renewal", &mut around);
    report("all others", &mut others);
    let waiters: u64 = renewals.iter().map(|one| one.waiters).sum();
    let refused: u64 = server.ask().parse().expect("a number");
    println!("calls that waited for a renewal: {waiters}; refused for their token: {refused}");
    assert_eq!((waiters, refused), (0, 0), "a renewal was felt");
}

fn report(name: &str, calls: &mut [Call]) {
    calls.sort_by_key(|(_, took)| *took);
    let at = |share: usize| calls[(calls.len() - 1) * share / 100].1.as_secs_f64() * 1e3;
    let (median, p99, longest) = (at(50), at(99), at(100));
    let count = calls.len();
    println!("{name:<17} {count:>6} {median:>5.2} ms {p99:>5.2} ms {longest:>5.1} ms");
}

/// Calls at a constant rate until enough renewals are done.
async fn run(address: &str) -> (Vec<Call>, Vec<Renewal>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut config = Config::new("bench", folder.path());
    config.vault = Arc::new(MemoryVault::new());
    let session = Session::open(config).await.expect("opens");
    let person = PasswordLogin {
        email: EMAIL.to_owned(),
        password: PASSWORD.into(),
    };
    let signing_in = session.sign_in(address, person);
    signing_in.await.expect("signs in");
    let mut running = Vec::new();
    let mut pace = tokio::time::interval(PACE);
    while running.len() % 100 > 0 || renewals(&session).len() < RENEWALS {
        // Counted from when it was due: a generator that falls behind hides nothing.
        let due = pace.tick().await;
        let late = due.elapsed();
        let session = session.clone();
        running.push(tokio::spawn(async move {
            let began = Instant::now();
            let due = Timestamp::now() - late;
            let reply = session.execute(query("people")).await.expect("a reply");
            assert_eq!(reply.status, 200);
            (due, late + began.elapsed())
        }));
    }
    let mut calls = Vec::with_capacity(running.len());
    for call in running {
        calls.push(call.await.expect("no panic"));
    }
    (calls, renewals(&session))
}

/// One renewal, as the journal has it.
struct Renewal {
    sent_at: Timestamp,
    done_at: Timestamp,
    waiters: u64,
}

impl Renewal {
    fn is_around(&self, at: Timestamp) -> bool {
        (self.sent_at - AROUND..=self.done_at + AROUND).contains(&at)
    }
}

fn renewals(session: &Session) -> Vec<Renewal> {
    let mut renewals = Vec::new();
    let mut sent_at = Timestamp::UNIX_EPOCH;
    for entry in session.journal() {
        match entry.what {
            "attempt_sent" => sent_at = entry.at,
            "renewal" => renewals.push(Renewal {
                sent_at,
                done_at: entry.at,
                waiters: entry.facts["waiters"].as_u64().expect("a number"),
            }),
            _ => {}
        }
    }
    renewals
}

/// The server: says its address, and at each line how many calls it has refused.
async fn serve() {
    let server = FaultServer::start(Arc::new(SystemClock::new())).await;
    server.access_tokens_last(LIFETIME);
    println!("{}", server.address());
    tokio::spawn(take_time_for_renewals(server.clone()));
    let asked = tokio::task::spawn_blocking(move || {
        for _ in std::io::stdin().lines() {
            println!("{}", server.counts().calls_refused);
        }
    });
    asked.await.expect("no panic");
}

async fn take_time_for_renewals(server: FaultServer) {
    for renewals in 1.. {
        let gate = Gate::new();
        server.on_renewal(Fault::hold(&gate));
        server.wait_for(|counts| counts.renewals == renewals).await;
        tokio::time::sleep(EXCHANGE).await;
        gate.open();
    }
}
