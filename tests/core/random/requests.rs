//! The checks of what the server saw and of the outcomes that callers got: I3, I4, I5, I8, I9 and I10.

use std::time::Duration;

use graphql_session::{Clock, Code, Error, Phase, Reply};
use graphql_session_testing::Seen;
use serde_json::Value;

use super::keyring::{Record, Write};
use super::model::Step;
use super::process::Asked;
use super::world::{LONGER_WITH_A_BAD_DISK, World};

/// Limit of a keyring write; the default of the core.
const VAULT_WRITE: Duration = Duration::from_secs(3);

/// Renewals within one step in which no time passes: the attempt, the one that follows a lost answer at once, and one
/// for each process that takes over. More would be a queue of attempts.
const RENEWALS_WITHOUT_TIME: usize = 6;

impl World {
    // ── What the server saw ─────────────────────────────────────────────────────────────────────────────────────

    pub(crate) fn check_requests(&mut self, at: usize, step: &Step) {
        let account = &self.accounts[at];
        let first = account.requests_read;
        let new = account.server.seen_from(first);
        let mut renewals = 0;
        for (number, seen) in (first..).zip(&new) {
            match seen.field.as_str() {
                "renewToken" => {
                    renewals += 1;
                    self.check_renewal(at, number, seen);
                }
                field if field.starts_with("field") => self.check_sent_call(at, number, seen),
                _ => {}
            }
        }
        self.count("renewals", renewals as u64);
        self.count("requests", new.len() as u64);
        if !matches!(step, Step::Pass(_) | Step::Quits { .. }) {
            assert!(
                renewals <= RENEWALS_WITHOUT_TIME,
                "{renewals} renewals at once, in a row (I8)"
            );
        }
        let account = &mut self.accounts[at];
        account.requests_read += new.len();
        account.stored_before = self.keyring.stored(&account.name);
        let at_once = account.server.counts().renewals_at_once;
        assert!(at_once <= 1, "{at_once} renewals at once (I1)");
    }

    fn check_renewal(&mut self, at: usize, number: usize, seen: &Seen) {
        let body: Value = serde_json::from_slice(&seen.body).expect("JSON");
        let token = body["variables"]["appToken"].as_str().expect("a token");
        let account = &self.accounts[at];
        let family = account.family_of_refresh(token).expect("issued here");
        assert!(
            !account.was_known_to_have_ended(family, self.step_began, None),
            "a renewal of a session that has ended (I5)"
        );
        // The process that renewed last died without saving: what the broken keyring holds is spent as well.
        let newest_is_lost = account.lost_unsaved && !self.keyring_works;
        // Another process has ended the session and removed what said so, and could not list it: nothing tells of the newest.
        let is_over_elsewhere = account.has_unlisted_ending(family);
        if !account.is_touched
            && !newest_is_lost
            && !is_over_elsewhere
            && let Some(newest) = self.newest_known(at, token, number)
        {
            // A generation that was never written is newer than all that were: its write waits behind one that hangs.
            let generation = account
                .pair_of(token)
                .and_then(|pair| account.generation_of_pair(pair));
            let is_older = generation.is_some_and(|generation| generation < newest.generation);
            assert!(
                !is_older || newest.refresh == token,
                "a spent token is exchanged, and generation {} is known here (I4)",
                newest.generation
            );
        }
        let is_first = !account.presented.contains_key(token);
        assert!(
            !is_first || account.has_reason_to_renew(token, seen.at),
            "renewed without a reason: nobody was refused, and nothing expired (I4)"
        );
        let times = self.accounts[at].presented.entry(token.to_owned());
        *times.or_default() += 1;
    }

    fn check_sent_call(&mut self, at: usize, number: usize, seen: &Seen) {
        let bearer = seen.header("authorization").unwrap_or_default();
        let token = bearer.strip_prefix("Bearer ").expect("a bearer").to_owned();
        let account = &self.accounts[at];
        let families = account.families_of_access(&token);
        assert!(
            !families.is_empty(),
            "a call with a token that no server issued"
        );
        let call: usize = seen
            .header("x-request-id")
            .and_then(|number| number.parse().ok())
            .expect("every call has a number");
        let sender = self.asked.iter().find(|asked| asked.number == call);
        let sender = sender.map(|asked| asked.process);
        assert!(
            !families.iter().all(|family| {
                account.was_known_to_have_ended(*family, self.step_began, sender)
            }),
            "a call with the token of a session that has ended (I5)"
        );
        let Some(asked) = self.asked.iter().position(|asked| asked.number == call) else {
            // Its caller has left meanwhile.
            return;
        };
        let process = self.asked[asked].process;
        assert!(
            self.was_stored_or_said_unsaved(at, &token, process, number),
            "a call uses credentials that are not in the vault yet (I3)"
        );
        if let ([family], Some(generation)) = (&families[..], self.generation_with(at, &token)) {
            let used = self.used.entry((process, at, *family)).or_default();
            assert!(
                generation >= used.0,
                "a process goes back from generation {} to {generation} (I5)",
                used.0
            );
            used.1 = used.1.max(generation);
        }
        let issued_so_named = families.len();
        let asked = &mut self.asked[asked];
        asked.sent_with.push(token);
        check_sendings(asked, issued_so_named);
        let account = &self.accounts[at];
        let under_one = families.iter().any(|family| {
            asked
                .sent_with
                .iter()
                .all(|token| account.families_of_access(token).contains(family))
        });
        assert!(under_one, "a call is replayed under another session (I9)");
    }

    /// I3: the credentials were in the vault by then; or the save had failed by then, and the status says so.
    fn was_stored_or_said_unsaved(
        &self,
        at: usize,
        token: &str,
        process: usize,
        request: usize,
    ) -> bool {
        let name = &self.accounts[at].name;
        let Some(holder) = self.process_numbered(process) else {
            return true;
        };
        let awake = holder.clock.awake();
        let had_its_chance = |write: &Write| match write.ended {
            Some((_, after)) => after <= request,
            None => write.began_at + VAULT_WRITE <= awake,
        };
        let is_it = |write: &Write| {
            &write.account == name
                && write
                    .record
                    .as_ref()
                    .is_some_and(|record| record.access == token)
        };
        let its_writes = self.keyring.writes_that(is_it);
        let said = || holder.seats[at].has_said_unsaved();
        if its_writes.is_empty() {
            // No attempt to save at all: only where the lock could not be taken, or where a person edited the entry.
            return said() || self.accounts[at].is_touched;
        }
        let mut tried = its_writes
            .iter()
            .filter(|write| had_its_chance(write))
            .peekable();
        // Those of a sign-in are used before any attempt to save, too, if the lock could not be taken.
        let is_sign_in = |write: &Write| {
            let record = write.record.as_ref();
            record.is_some_and(|record| record.generation == 1)
        };
        let may_be_unsaved = tried.peek().is_some() || its_writes.iter().all(is_sign_in);
        tried.any(|write| matches!(write.ended, Some((Ok(()), _)))) || may_be_unsaved && said()
    }

    /// The newest record of the session of `refresh` that was known on this machine before the request numbered
    /// `request`: one that lay in the keyring, or that a running process holds because it tried to save it.
    fn newest_known(&self, at: usize, refresh: &str, request: usize) -> Option<Record> {
        let account = &self.accounts[at];
        let family = account.family_of_refresh(refresh);
        let is_known = |write: &&Write| {
            write.account == account.name
                && write.began_after <= request
                && match write.ended {
                    Some((Ok(()), _)) => true,
                    _ => self.process_numbered(write.process).is_some(),
                }
        };
        self.keyring.ask_writes(|writes| {
            let records = writes.iter().filter(is_known);
            records
                .filter_map(|write| write.record.as_ref())
                .filter(|record| account.family_of_session(&record.session) == family)
                .max_by_key(|record| record.generation)
                .cloned()
        })
    }

    /// The generation with this access token, if any process tried to write it.
    fn generation_with(&self, at: usize, access: &str) -> Option<u64> {
        // Two servers may issue the same text.
        let name = &self.accounts[at].name;
        self.keyring.ask_writes(|writes| {
            let writes = writes.iter().filter(|write| write.account == *name);
            writes
                .filter_map(|write| write.record.as_ref())
                .filter(|record| record.access == access)
                .map(|record| record.generation)
                .max()
        })
    }

    // ── The calls ───────────────────────────────────────────────────────────────────────────────────────────────

    pub(crate) fn check_calls(&mut self) {
        let effects: Vec<_> = self
            .accounts
            .iter()
            .map(|account| account.server.counts().effects)
            .collect();
        for effects in &effects {
            let twice = effects.iter().find(|(_, times)| **times > 1);
            assert!(twice.is_none(), "a mutation ran twice: {twice:?} (I9)");
        }
        let asked = std::mem::take(&mut self.asked);
        for asked in asked {
            let process = self
                .process_numbered(asked.process)
                .expect("calls of dead processes are gone");
            let Some(outcome) = asked.outcome.get() else {
                assert!(
                    process.clock.awake() < asked.due,
                    "call {} has not settled by its deadline (I10)",
                    asked.number
                );
                self.asked.push(asked);
                continue;
            };
            let ran = effects[asked.account].contains_key(&asked.field);
            check_outcome(&asked, outcome, ran);
            let is_served = outcome.is_ok();
            let (number, account) = (asked.process, asked.account);
            let awake = self.awake;
            let mut processes = self.processes.iter_mut().flatten();
            if let Some(process) = processes.find(|process| process.number == number)
                && is_served
            {
                process.seats[account].memory.last_success = awake;
            }
            self.count(if is_served { "served" } else { "failed" }, 1);
        }
    }

    /// I8: a call that is neither on the wire nor waits for a renewal has its outcome.
    pub(crate) fn check_that_nobody_is_forgotten(&self) {
        for (at, account) in self.accounts.iter().enumerate() {
            let on_the_wire = account.server.calls_under_way();
            for process in self.processes.iter().flatten() {
                let Some(session) = process.seats[at].session() else {
                    continue;
                };
                let may_wait =
                    matches!(session.status().phase, Phase::Renewing | Phase::Unreachable);
                let open = self
                    .asked
                    .iter()
                    .filter(|asked| asked.account == at && asked.process == process.number)
                    .count() as u64;
                assert!(
                    may_wait || open <= on_the_wire,
                    "{open} calls wait, and no renewal is under way (I8)"
                );
            }
        }
    }

    pub(crate) fn check_sign_ins(&mut self) {
        let entering = std::mem::take(&mut self.entering);
        for one in entering {
            let process = self
                .process_numbered(one.process)
                .expect("sign-ins of dead processes are gone");
            match one.outcome.get() {
                None => {
                    let awake = process.clock.awake();
                    // The disk may have failed after it began.
                    let longer = self.disk_has_failed.then_some(LONGER_WITH_A_BAD_DISK);
                    let due = one.due + longer.unwrap_or_default();
                    assert!(awake < due, "a sign-in has not settled in time (I10)");
                    self.entering.push(one);
                }
                Some(Ok(_)) => {
                    let account = &mut self.accounts[one.account];
                    account.lost_unsaved = false;
                }
                Some(Err(_)) => {}
            }
        }
    }
}

/// I9: at most one replay, with other credentials; a query may also be sent again after a lost connection.
fn check_sendings(asked: &Asked, issued_so_named: usize) {
    let times = asked.sent_with.len();
    let at_most = if asked.is_mutation { 2 } else { 3 };
    assert!(
        times <= at_most,
        "call {} is sent {times} times (I9)",
        asked.number
    );
    if asked.is_mutation && times == 2 && issued_so_named < 2 {
        assert!(
            asked.sent_with[0] != asked.sent_with[1],
            "a call is replayed after a failed renewal (I8)"
        );
    }
}

/// The outcome that a caller gets is true.
fn check_outcome(asked: &Asked, outcome: &Result<Reply, Error>, ran: bool) {
    let number = asked.number;
    match outcome {
        Ok(reply) => {
            let text = String::from_utf8_lossy(&reply.body);
            let is_its_own = text.contains(&format!("\"{}\"", asked.field));
            let is_data = text.contains("\"data\":{\"field");
            assert!(
                !is_data || is_its_own,
                "call {number} gets the reply of another"
            );
        }
        Err(error) => {
            let may_have_run = error.code() == Code::MaybeExecuted;
            assert!(
                !may_have_run || asked.is_mutation,
                "query {number} may have executed"
            );
            assert!(
                !ran || may_have_run,
                "mutation {number} ran, and fails with {:?} (I9)",
                error.code()
            );
            let expected = matches!(
                error.code(),
                Code::SignedOut
                    | Code::Locked
                    | Code::Unreachable
                    | Code::AccessDenied
                    | Code::TimedOut
                    | Code::MaybeExecuted
            );
            assert!(expected, "call {number} fails with {:?}", error.code());
        }
    }
}
