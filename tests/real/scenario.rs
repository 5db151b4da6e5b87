//! What every real server is put through: two processes of one account, eight callers, many expiries, a restart, lost answers,
//! a suspended person. What counts is what the server has counted.

use std::time::{Duration, Instant};

use crate::child::{Kind, Place, Report, Tally};
use crate::cutting_proxy::CuttingProxy;
use crate::process::Process;

/// Processes with one account.
const PROCESSES: usize = 2;

/// Callers at once in each process: eight in all, as many queries as a page of the desktop client has under way.
const CALLERS: usize = 4;

/// Answers that are lost in a run whose session recovers from it.
const LOST_ANSWERS: u64 = 2;

/// How long the scenario waits for what must come. A server that starts cold was seen to take 20 s on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at the server's counts.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A server in a process of its own, which may be ended and started again.
pub(crate) trait RealServer {
    /// Text that stands in a request that renews, and in no other.
    const RENEWAL: &'static str;

    /// How a session speaks to it, and who signs in.
    fn kind(&self) -> Kind;

    /// The body of a call.
    fn query(&self) -> &'static str;

    /// How long its access tokens last at least.
    fn access_lifetime(&self) -> Duration;

    fn lost_answer(&self) -> LostAnswer;

    /// Statuses with which it turns calls away while it has too much to do.
    fn turns_away_with(&self) -> &'static [&'static str] {
        &[]
    }

    /// Ends it as a deploy does: it finishes what it has begun.
    fn stop(&mut self);

    /// Returns when it answers.
    async fn start_again(&mut self);

    async fn counts(&self) -> Counts;

    /// The person may no longer use it.
    async fn suspend(&mut self);
}

/// What the right outcome of a lost answer to a renewal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LostAnswer {
    /// The server takes the token again.
    Recovers,
    /// The server takes it once only. The session asks once more, is rejected, and ends.
    EndsRejected,
    /// A token that comes twice ends the session at the server. It is not sent again, and the session ends.
    EndsUnsent,
}

/// What the server itself has counted, since its first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    /// Renewals that it granted.
    pub(crate) renewed: u64,
    /// Renewals that it refused.
    pub(crate) refused: u64,
}

/// A server, the processes, and what lies between.
pub(crate) struct Host<S> {
    pub(crate) server: S,
    pub(crate) proxy: CuttingProxy,
    pub(crate) processes: Vec<Process>,
    _folder: tempfile::TempDir,
}

impl<S: RealServer> Host<S> {
    /// One person is signed in, and every process has made a call. `start` starts the server on `port`, for clients that know it
    /// by the address that it gets.
    pub(crate) async fn signed_in(port: u16, start: impl AsyncFnOnce(&str) -> S) -> Self {
        let proxy = CuttingProxy::start(port, S::RENEWAL);
        let server = start(&proxy.address()).await;
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place {
            folder: folder.path().to_owned(),
            server: proxy.address(),
            kind: server.kind(),
            query: server.query().to_owned(),
        };
        let mut first = Process::start(place.command());
        until(&mut first, "sign_in", "ok").await;
        let mut processes = vec![first];
        processes.extend((1..PROCESSES).map(|_| Process::start(place.command())));
        for process in &mut processes {
            until(process, "call", "200").await;
        }
        Self {
            processes,
            server,
            proxy,
            _folder: folder,
        }
    }

    /// Many expiries, with a restart in the middle and lost answers near the end. Nobody is signed out who should not be, each
    /// expiry is one renewal for both processes, and every call settles.
    pub(crate) async fn stays_signed_in(&mut self, expiries: u64) {
        let began = Instant::now();
        self.begin_calls().await;
        self.restart_after(expiries / 2).await;
        let lost_answer = self.server.lost_answer();
        if lost_answer == LostAnswer::Recovers {
            self.until_renewed(expiries / 2 + expiries / 4).await;
            self.proxy.lose_answers(LOST_ANSWERS);
        }
        self.until_renewed(expiries).await;
        let tallies = self.stop_calls().await;
        let took = began.elapsed();

        let (counts, generation) = self.at_rest().await;
        let lost = self.proxy.lost();
        println!("{counts:?}, {lost} answers lost, generation {generation}, {took:?}, {tallies:?}");
        assert_eq!(counts.refused, 0, "{counts:?}");
        // One renewal for both processes: a second one for the same expiry would be the server's, and no generation.
        assert_eq!(counts.renewed, generation - 1 + lost, "{counts:?}");
        let most = took.as_millis() / (self.server.access_lifetime() / 2).as_millis() + 2;
        assert!(
            u128::from(counts.renewed) <= most + u128::from(lost),
            "{counts:?} in {took:?}"
        );
        for tally in &tallies {
            assert_eq!(tally.unsettled, 0, "{tally:?}");
            assert!(tally.served > 100, "{tally:?}");
            // The server was away for a moment.
            let is_expected = |code: &String| {
                code == "Unreachable" || self.server.turns_away_with().contains(&code.as_str())
            };
            assert!(tally.failed.keys().all(is_expected), "{tally:?}");
        }
        match lost_answer {
            LostAnswer::Recovers => assert_eq!(lost, LOST_ANSWERS),
            ends => self.ends_after_a_lost_answer(ends).await,
        }
    }

    /// The session ends once in every process, and says why.
    async fn ends_after_a_lost_answer(&mut self, outcome: LostAnswer) {
        let (before, _) = self.at_rest().await;
        self.proxy.lose_answers(1);
        self.begin_calls().await;
        for process in &mut self.processes {
            assert_eq!(process.ask("until_ended").await, "ended");
        }
        let tallies = self.stop_calls().await;
        let after = self.server.counts().await;
        assert_eq!(self.proxy.lost(), 1);
        assert_eq!(after.renewed, before.renewed + 1, "{after:?}");
        let asked_again = u64::from(outcome == LostAnswer::EndsRejected);
        assert_eq!(after.refused, before.refused + asked_again, "{after:?}");
        assert!(
            tallies.iter().all(|tally| tally.unsettled == 0),
            "{tallies:?}"
        );
        for report in self.reports().await {
            assert_eq!(report.ending.as_deref(), Some("LostAnswer"), "{report:?}");
            assert_eq!(report.endings, 1, "{report:?}");
        }
    }

    /// One process learns it from the server, and the other one from that process.
    pub(crate) async fn ends_once_for_a_suspended_person(&mut self) -> Vec<Report> {
        let (before, _) = self.at_rest().await;
        self.begin_calls().await;

        self.server.suspend().await;

        for process in &mut self.processes {
            assert_eq!(process.ask("until_ended").await, "ended");
        }
        let tallies = self.stop_calls().await;
        assert!(
            tallies.iter().all(|tally| tally.unsettled == 0),
            "{tallies:?}"
        );
        let after = self.server.counts().await;
        assert_eq!(after.refused, before.refused + 1, "{after:?}");
        let reports = self.reports().await;
        for report in &reports {
            assert_eq!(report.ending.as_deref(), Some("Rejected"), "{report:?}");
            assert_eq!(report.endings, 1, "{report:?}");
        }
        reports
    }

    /// Right after a renewal, so that none is under way: what a server does with those it has begun is its own affair.
    async fn restart_after(&mut self, renewals: u64) {
        self.until_renewed(renewals).await;
        self.proxy.refuse().await;
        self.server.stop();
        self.server.start_again().await;
        self.proxy.accept();
        // A deploy takes longer than people wait; this is their button.
        for process in &mut self.processes {
            process.ask("retry").await;
        }
    }

    pub(crate) async fn until_renewed(&self, renewals: u64) {
        let until = Instant::now() + PATIENCE;
        loop {
            let counts = self.server.counts().await;
            if counts.renewed >= renewals {
                return;
            }
            assert!(Instant::now() < until, "no more renewals: {counts:?}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The server's counts and the generation that all processes have, when both agree about the moment.
    pub(crate) async fn at_rest(&mut self) -> (Counts, u64) {
        let until = Instant::now() + PATIENCE;
        loop {
            let before = self.server.counts().await;
            let reports = self.reports().await;
            let generation = reports[0].generation;
            let is_at_rest = reports
                .iter()
                .all(|report| report.is_signed_in && report.generation == generation);
            if let Some(generation) = generation
                && is_at_rest
                && self.server.counts().await == before
            {
                return (before, generation);
            }
            assert!(Instant::now() < until, "{before:?}, {reports:?}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    pub(crate) async fn begin_calls(&mut self) {
        for process in &mut self.processes {
            assert_eq!(process.ask(&format!("begin {CALLERS}")).await, "begun");
        }
    }

    pub(crate) async fn stop_calls(&mut self) -> Vec<Tally> {
        let mut tallies = Vec::new();
        for process in &mut self.processes {
            let tally = process.ask("stop").await;
            tallies.push(serde_json::from_str(&tally).expect("a tally"));
        }
        tallies
    }

    pub(crate) async fn reports(&mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        for process in &mut self.processes {
            let report = process.ask("report").await;
            reports.push(serde_json::from_str(&report).expect("a report"));
        }
        reports
    }
}

/// Again while the server is in trouble, as a person does: one that has just started turns some away on a busy machine.
async fn until(process: &mut Process, command: &str, wanted: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = process.ask(command).await;
        if answer == wanted {
            return;
        }
        let is_trouble = answer.contains("NoAnswer") || answer == "503";
        assert!(is_trouble && Instant::now() < until, "{command}: {answer}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
