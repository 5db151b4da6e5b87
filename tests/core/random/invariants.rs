//! I1 to I10, checked after each step against what server, keyring, files and statuses show. Here are the list of
//! checks and those of keyring, endings, statuses and files. Those of requests and calls are in
//! [`requests`](super::requests).
//!
//! Nothing here knows how the core decides. A check that fails names its invariant.

use std::collections::BTreeSet;

use graphql_session::{EndingReason, Phase, Storage};
use serde_json::Value;

use super::keyring::Record;
use super::model::{AtServer, Step};
use super::records::{Account, Ended, LEARNT_AFTER, Refusal};
use super::world::{END_AFTER, World};

impl World {
    /// All checks that hold whenever everything rests.
    pub(crate) fn check(&mut self, step: &Step) {
        for at in 0..self.accounts.len() {
            self.check_writes(at);
            self.check_endings(at, step);
            self.check_requests(at, step);
            self.check_statuses(at);
            self.check_files(at);
        }
        self.check_calls();
        self.check_that_nobody_is_forgotten();
        self.check_sign_ins();
    }

    /// I2: nothing but an answer, a limit, or the end of the process or the server ends a renewal.
    pub(crate) fn check_that_nobody_cancelled_a_renewal(&self, step: &Step, before: &[u64]) {
        let may_end = matches!(
            step,
            Step::Pass(_)
                | Step::LetGo { .. }
                | Step::Server(_, AtServer::Stops)
                | Step::Dies { .. }
                | Step::Quits { .. }
        );
        if may_end {
            return;
        }
        for (after, before) in self.renewals_under_way().iter().zip(before) {
            assert!(after >= before, "a renewal was cancelled (I2)");
        }
    }

    // ── The keyring ─────────────────────────────────────────────────────────────────────────────────────────────

    fn check_writes(&mut self, at: usize) {
        let account = &mut self.accounts[at];
        // Begins with the oldest write that had not ended at the last check.
        let first = account.writes_read;
        let mut new = self.keyring.writes_from(first);
        let (worked, writes_before) = self.keyring_before;
        let of_this_step = new
            .get(writes_before.saturating_sub(first)..)
            .unwrap_or_default();
        let of_this_step = of_this_step.to_vec();
        let open = new.iter().position(|write| write.ended.is_none());
        account.writes_read = first + open.unwrap_or(new.len());
        new.retain(|write| write.account == account.name);
        for write in &new {
            account.learn(write);
        }
        self.read_ended_list(at);
        let account = &mut self.accounts[at];
        for write in of_this_step.iter().filter(|_| worked && self.keyring_works) {
            // Every save reads the ended list itself, so this holds at once.
            let is_dead = |record: &Record| account.had_ended_before(&record.session, self.steps);
            assert!(
                write.account != account.name || !write.record.as_ref().is_some_and(is_dead),
                "credentials of a session that has ended are stored (I5)"
            );
        }
        for write in new {
            let (Some((Ok(()), _)), Some(old)) = (&write.ended, &write.replaced) else {
                continue;
            };
            if account.is_touched || account.has_ended(&old.session) {
                continue;
            }
            match &write.record {
                Some(new) => assert!(
                    !old.is_newer_than(new),
                    "an older record overwrites a newer one: generation {} over {} (I5)",
                    new.generation,
                    old.generation
                ),
                None => panic!("the entry of a session that has not ended is removed (I6)"),
            }
        }
        let text = self.keyring.scripted.stored(&account.name);
        if let Some(text) = text
            && account.backups.last() != Some(&text)
            && !account.backups.contains(&text)
        {
            account.backups.push(text);
        }
    }

    // ── The endings ─────────────────────────────────────────────────────────────────────────────────────────────

    fn read_ended_list(&mut self, at: usize) {
        let text = std::fs::read_to_string(self.path(at, "ended")).unwrap_or_default();
        let (seen_at, seen_in) = (self.awake, self.steps);
        let account = &mut self.accounts[at];
        let records = text.lines().filter(|line| !line.is_empty());
        for line in records.skip(account.ended.len()) {
            let (session, reason) = line.split_once(' ').expect("a session and a reason");
            let reason = serde_json::from_value(reason.into()).expect("a reason");
            account.ended.push(Ended {
                session: session.to_owned(),
                reason,
                family: account.family_of_session(session),
                seen_at,
                seen_in,
            });
        }
        for at in 0..account.ended.len() {
            if account.ended[at].family.is_none() {
                account.ended[at].family = account.family_of_session(&account.ended[at].session);
            }
        }
    }

    fn check_endings(&mut self, at: usize, step: &Step) {
        let account = &self.accounts[at];
        let checked = account.endings_checked;
        for (number, ended) in account.ended.iter().enumerate().skip(checked) {
            let also: Vec<_> = account
                .ended
                .iter()
                .filter(|other| other.session == ended.session)
                // These endings are noted without the lock, so two processes may note one in the same moment.
                .filter(|other| {
                    !matches!(
                        other.reason,
                        EndingReason::SignedOut | EndingReason::UnreachableTooLong
                    )
                })
                .collect();
            assert!(also.len() <= 1, "a session ends twice: {also:?} (I6)");
            match ended.reason {
                EndingReason::SignedOut => {
                    let asked = matches!(step, Step::SignIn { .. } | Step::SignOut { .. });
                    let enters = self.entering.iter().any(|one| one.account == at);
                    let entered = self.entered_before.contains(&at);
                    // A later sign-in ended it, after it had waited for the lock or the keyring.
                    let is_replaced = ended
                        .family
                        .is_some_and(|family| account.signed_in_since(family));
                    assert!(
                        asked || enters || entered || is_replaced,
                        "signed out without a sign-out (I6)"
                    );
                }
                EndingReason::Rejected | EndingReason::LostAnswer => {
                    self.check_rejection(account, ended, number);
                }
                EndingReason::UnreachableTooLong => {
                    let allows = self.setting.end_after
                        && self.processes.iter().flatten().any(|process| {
                            let last = process.seats[at].memory.last_success;
                            self.awake >= last + END_AFTER
                        });
                    assert!(allows, "ended for being unreachable, too early (I6)");
                }
            }
        }
        let new = account.ended.len() - checked;
        self.accounts[at].endings_checked += new;
        self.count("endings", new as u64);
    }

    /// I6 and I7: the server rejected this session's token, and the keyring held nothing newer.
    fn check_rejection(&self, account: &Account, ended: &Ended, number: usize) {
        let is_its = |refusal: &Refusal| {
            let family = refusal.pair.and_then(|pair| account.family_of_pair(pair));
            ended.family.is_none() || family == ended.family
        };
        let mut refusals = account.refusals();
        let last = refusals.iter().rposition(is_its);
        refusals.retain(is_its);
        let is_final = refusals.iter().any(Refusal::is_final);
        let ambiguous = refusals.iter().filter(|refusal| refusal.is_ambiguous());
        assert!(
            is_final || ambiguous.count() >= 2,
            "ended as {:?}, and the server never rejected it (I6, I7)",
            ended.reason
        );
        if let Some(last) = last.filter(|_| self.keyring_works) {
            let rejections = last as u64 + 1;
            assert!(
                self.keyring.was_read(&account.name, rejections, number),
                "ended by a rejection, and the keyring was not read again (I6)"
            );
        }
        self.check_reason(account, ended);
        let refused = refusals.last().and_then(|refusal| refusal.pair);
        let (Some(refused), Some(stored)) = (refused, &account.stored_before) else {
            return;
        };
        let is_newer =
            stored.session == ended.session && account.pair_of(&stored.refresh) != Some(refused);
        let refused_generation = account.generation_of_pair(refused);
        assert!(
            !(self.keyring_works
                && is_newer
                && refused_generation.is_some_and(|refused| stored.generation > refused)),
            "ended by the rejection of an older token than the stored one (I6)"
        );
    }

    /// Where the ledger shows a lost answer, and the session could remember it, its ending has the reason
    /// `lost_answer`.
    fn check_reason(&self, account: &Account, ended: &Ended) {
        let may_have_forgotten = self.keyring_has_failed
            || account.is_touched
            || account.hides_exchanges
            || self.setting.clocks;
        let Some(family) = ended.family.filter(|_| !may_have_forgotten) else {
            return;
        };
        let has_lost_answer = account
            .server
            .ask_ledger(|ledger| ledger.has_lost_answer(family));
        assert!(
            ended.reason == EndingReason::LostAnswer || !has_lost_answer,
            "an answer was lost, and the ending is called {:?} (I6)",
            ended.reason
        );
    }

    // ── The statuses ────────────────────────────────────────────────────────────────────────────────────────────

    fn check_statuses(&mut self, at: usize) {
        let awake = self.awake;
        let Self {
            accounts,
            processes,
            tally,
            ..
        } = self;
        let account = &accounts[at];
        for process in processes.iter_mut().flatten() {
            let seat = &mut process.seats[at];
            let Some(session) = seat.session() else {
                continue;
            };
            let (status, journal) = (session.status(), session.journal());
            let memory = &mut seat.memory;
            assert!(
                status.revision >= memory.revision,
                "the revision goes backwards (I12)"
            );
            memory.revision = status.revision;
            memory.said_unsaved = matches!(status.storage, Storage::NotSaved(_));
            for entry in journal.iter().skip(memory.journal_read) {
                match entry.what {
                    "renewed" | "adopted" | "opened" => memory.last_success = awake,
                    _ => {}
                }
                if entry.what == "adopted" {
                    *tally.entry("adoptions").or_default() += 1;
                }
            }
            memory.journal_read = journal.len();
            let is_in = matches!(
                status.phase,
                Phase::SignedIn | Phase::Renewing | Phase::Unreachable
            );
            if let Some(since) = memory.signed_in_at.filter(|_| !is_in) {
                let explained = account
                    .ended
                    .iter()
                    .any(|ended| ended.seen_at + LEARNT_AFTER >= since);
                // A person removed the entry.
                let is_lost = account.is_touched && status.phase == Phase::Locked;
                assert!(
                    explained || is_lost,
                    "no longer signed in, but {:?}, and no session has ended (I6, I7)",
                    status.phase
                );
            }
            memory.signed_in_at = is_in.then_some(awake);
            let endings = account
                .ended
                .iter()
                .filter(|ended| ended.reason != EndingReason::SignedOut);
            let sessions: BTreeSet<_> = endings.clone().map(|ended| &ended.session).collect();
            assert!(
                status.endings <= sessions.len() as u64,
                "the status counts more endings than there were (I6)"
            );
            if let Some(ending) = &status.ending {
                let known = endings.clone().any(|ended| ended.reason == ending.reason);
                assert!(known, "the status shows an ending that never happened (I6)");
            }
        }
    }

    // ── The files ───────────────────────────────────────────────────────────────────────────────────────────────

    /// I3: what the state file calls saved is in the keyring.
    fn check_files(&self, at: usize) {
        let account = &self.accounts[at];
        let file = std::fs::read(self.path(at, "state.json")).unwrap_or_default();
        let Ok(file) = serde_json::from_slice::<Value>(&file) else {
            return;
        };
        let session = file["stamp"]["session"].as_str().expect("an id");
        let generation = file["stamp"]["generation"].as_u64().expect("a number");
        let is_saved = file["standing"] == "signed_in" && !file["saved_at"].is_null();
        if !is_saved || account.is_touched || account.has_ended(session) {
            return;
        }
        let begun_at = file["stamp"]["begun_at"].as_i64().expect("a time");
        let Some(stored) = self.keyring.stored(&account.name) else {
            panic!("the state file says saved, and the keyring is empty (I3)");
        };
        let holds = if stored.session == session {
            stored.generation >= generation
        } else {
            stored.begun_at > begun_at
        };
        assert!(
            holds,
            "the state file says that generation {generation} is saved, the keyring holds {} (I3)",
            stored.generation
        );
    }
}
