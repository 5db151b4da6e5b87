//! The end of each case: everything works again, and so does the session.

use std::time::Duration;

use graphql_session::{Code, Error, Phase, Reply, Status};
use graphql_session_testing::call;

use super::model::{AtServer, PROCESSES, Span, Step};
use super::world::World;

const SECOND: Duration = Duration::from_secs(1);

/// Longer than any pause: Retry-After is capped at ten minutes.
const LONGEST_PAUSE: Duration = Duration::from_secs(660);

/// Longer than the pause after a lock that another process held.
const LOCK_AGAIN: Duration = Duration::from_secs(301);

/// Longer than any call takes.
const LONGEST_CALL: Duration = Duration::from_secs(76);

impl World {
    /// Heals everything, and checks that the surviving session works with one call, that no lock is left and no call
    /// unsettled, and that a person can sign in anew.
    pub(crate) fn finish(&mut self) {
        let waits = Step::Pass(Span::Minutes);
        self.heal();
        if self.processes.iter().all(Option::is_none) {
            self.play(Step::Opens { process: 0 });
        }
        self.unlock();
        self.pass(LONGEST_PAUSE, &waits);
        // A process that waited for the lock while another one paused with it tries again.
        self.pass(LOCK_AGAIN, &waits);
        // Time for every process to learn of what happened last.
        self.pass(SECOND, &Step::Pass(Span::Moment));
        assert!(self.asked.is_empty(), "a call is never settled (I10)");
        assert!(self.entering.is_empty(), "a sign-in never ends (I10)");
        for account in 0..self.accounts.len() {
            self.check_that_every_ending_is_listed(account);
            self.check_that_the_stored_session_works(account);
            self.check_that_signing_in_works(account);
        }
    }

    /// Retries as a person does who has unlocked the keyring.
    fn unlock(&mut self) {
        for process in 0..PROCESSES {
            for account in 0..self.accounts.len() {
                if self.processes[process].is_some() {
                    self.play(Step::TryNow { process, account });
                }
            }
        }
    }

    /// For one reason or another: a process that could not list its own may die once another one has listed that session.
    fn check_that_every_ending_is_listed(&self, account: usize) {
        let text = std::fs::read_to_string(self.path(account, "ended")).unwrap_or_default();
        let sessions = text.lines().filter_map(|line| line.split_once(' '));
        let listed: Vec<_> = sessions.map(|(session, _)| session).collect();
        for ended in &self.accounts[account].ended {
            assert!(
                ended.listed.is_some() && listed.contains(&ended.session.as_str()),
                "an ending was never listed: {ended:?} (I17)"
            );
        }
    }

    fn check_that_the_stored_session_works(&mut self, account: usize) {
        assert!(
            self.lock_is_free(account),
            "a process keeps the lock although everything works again (I10)"
        );
        if self.a_dead_entry_is_stored(account) {
            // The process that ended the session died before it could remove the entry: the next start removes it.
            assert!(
                self.has_lost_a_process || self.accounts[account].is_touched,
                "the entry of a session that has ended is still there (I5)"
            );
            self.restart();
            assert!(
                !self.a_dead_entry_is_stored(account),
                "a start leaves the entry of a session that has ended (I5)"
            );
        }
        let stored = self.keyring.stored(&self.accounts[account].name);
        for (process, status) in self.statuses(account) {
            let is_in = matches!(status.phase, Phase::SignedIn | Phase::Unreachable);
            // A later sign-in that was never saved is lost with its process. A process that only knew of it has none to
            // adopt.
            let excused = self.accounts[account].is_touched || self.accounts[account].lost_unsaved;
            let fits = stored.is_some() == is_in || excused;
            assert!(
                fits,
                "process {process} is {:?}, and stored is {stored:?}\n{}",
                status.phase,
                self.described()
            );
        }
        // With an expired access token, one call makes a renewal or learns that the session is over.
        self.play(Step::Server(account, AtServer::AccessExpires));
        let is_touched = self.accounts[account].is_touched;
        for (process, before) in self.statuses(account) {
            let mut outcome = self.one_call(process, account);
            if may_be_tried_at_once(&outcome) {
                outcome = self.one_call(process, account);
            }
            let after = self.status(process, account);
            let is_fine = match &outcome {
                Ok(reply) => reply.status == 200,
                Err(error) => match error.code() {
                    Code::SignedOut => {
                        is_touched || matches!(after.phase, Phase::SignedOut | Phase::Ended)
                    }
                    Code::Locked => after.phase == Phase::Locked,
                    _ => false,
                },
            };
            assert!(
                is_fine,
                "everything works again, and process {process} ({:?}) answers {outcome:?}\n{}",
                before.phase,
                self.described()
            );
        }
        self.pass(SECOND, &Step::Pass(Span::Moment));
        let statuses = self.statuses(account);
        let phases: Vec<_> = statuses.iter().map(|(_, status)| status.phase).collect();
        let agree = |one: &Phase| (*one == Phase::SignedIn) == (phases[0] == Phase::SignedIn);
        assert!(
            phases.iter().all(agree)
                || self.accounts[account].is_touched
                || self.accounts[account].lost_unsaved,
            "the processes disagree for ever: {phases:?} (I12)"
        );
    }

    fn a_dead_entry_is_stored(&self, account: usize) -> bool {
        let account = &self.accounts[account];
        let stored = self.keyring.stored(&account.name);
        stored.is_some_and(|stored| account.has_ended(&stored.session))
    }

    /// Ends one process, and starts it again.
    fn restart(&mut self) {
        let running = (0..PROCESSES).find(|at| self.processes[*at].is_some());
        let process = running.expect("one runs");
        self.play(Step::Quits { process });
        self.play(Step::Opens { process });
    }

    fn check_that_signing_in_works(&mut self, account: usize) {
        let (process, _) = self.statuses(account)[0];
        self.play(Step::SignIn { process, account });
        self.pass(SECOND, &Step::Pass(Span::Moment));
        assert!(self.entering.is_empty(), "signing in never ends (I10)");
        for (process, status) in self.statuses(account) {
            assert_eq!(
                status.phase,
                Phase::SignedIn,
                "process {process} after a new sign-in"
            );
            let outcome = self.one_call(process, account);
            assert!(
                outcome.as_ref().is_ok_and(|reply| reply.status == 200),
                "process {process} after a new sign-in: {outcome:?}"
            );
        }
    }

    fn one_call(&mut self, process: usize, account: usize) -> Result<Reply, Error> {
        let session = self.session(process, account);
        let mut one = call("graphql", "query", "people");
        one.headers = vec![("x-request-id".into(), "0".into())];
        let (_, outcome) = self
            .running(process)
            .own
            .run(async move { session.execute(one).await });
        self.rest();
        self.check(&Step::Pass(Span::Moment));
        if outcome.get().is_none() {
            self.pass(LONGEST_CALL, &Step::Pass(Span::Call));
        }
        outcome.get().expect("a call settles (I10)").clone()
    }

    fn statuses(&self, account: usize) -> Vec<(usize, Status)> {
        (0..PROCESSES)
            .filter(|at| self.processes[*at].is_some())
            .map(|at| (at, self.status(at, account)))
            .collect()
    }

    fn status(&self, process: usize, account: usize) -> Status {
        self.session(process, account).status()
    }

    fn session(&self, process: usize, account: usize) -> graphql_session::Session {
        let seat = &self.running(process).seats[account];
        seat.session().expect("a session opens").clone()
    }
}

/// The call was refused again with the credentials that it adopted. They looked fresh if another process had just
/// received them.
fn may_be_tried_at_once(outcome: &Result<Reply, Error>) -> bool {
    outcome.as_ref().is_err_and(|error| match error.code() {
        Code::Unreachable => error.retry_after_hint() == Some(Duration::ZERO),
        code => code == Code::AccessDenied,
    })
}
