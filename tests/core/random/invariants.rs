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
        self.read_decisions(at);
        let account = &mut self.accounts[at];
        for write in of_this_step.iter().filter(|_| worked && self.keyring_works) {
            // Every save reads the ended list itself, so this holds at once.
            let is_dead = |record: &Record| {
                account.had_ended_before(&record.session, self.steps, write.process)
            };
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
            // Another process has ended this session and signed in anew. It could not list that, and the keyring may not be
            // readable: nothing tells this one. The entry is as if a person had put it back.
            let session = write.record.as_ref().map(|record| &record.session);
            if session.is_some_and(|session| account.is_over_elsewhere(session)) {
                account.is_touched = true;
                continue;
            }
            match &write.record {
                Some(new) => assert!(
                    !old.is_newer_than(new),
                    "an older record overwrites a newer one: generation {} over {} (I5)",
                    new.generation,
                    old.generation
                ),
                None => panic!(
                    "the entry of a session that has not ended is removed, by process {} (I6)",
                    write.process
                ),
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

    fn read_decisions(&mut self, at: usize) {
        let (seen_at, seen_in) = (self.awake, self.steps);
        let account = &mut self.accounts[at];
        let decisions = self.disk.decisions(&account.name);
        for (number, decision) in decisions.into_iter().enumerate() {
            if number == account.ended.len() {
                account.ended.push(Ended {
                    session: decision.session.clone(),
                    reason: decision.reason,
                    family: None,
                    process: decision.process,
                    seen_at,
                    seen_in,
                    listed: None,
                });
            }
            let family = account.family_of_session(&decision.session);
            let ended = &mut account.ended[number];
            ended.family = ended.family.or(family);
            if decision.is_listed {
                ended.listed.get_or_insert((seen_at, seen_in));
            }
        }
        // A step that ends a session while an append hangs has its decision only later.
        account.decides_late |= self.disk.is_hanging();
    }

    fn check_endings(&mut self, at: usize, step: &Step) {
        let account = &self.accounts[at];
        let checked = account.endings_checked;
        for (number, ended) in account.ended.iter().enumerate().skip(checked) {
            let also: Vec<_> = account
                .ended
                .iter()
                .filter(|other| other.session == ended.session)
                // Where the disk fails, a process may end a session of whose end it could not know.
                .filter(|other| {
                    let could_know = |listed_in: usize| listed_in < ended.seen_in;
                    !self.disk_has_failed
                        || std::ptr::eq(*other, ended)
                        || other
                            .listed
                            .is_some_and(|(_, listed_in)| could_know(listed_in))
                })
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
                    // It was never stored, and its process is gone: an earlier one that is stored now takes its place.
                    let is_lost = account.lost_unsaved && !account.was_stored(&ended.session);
                    assert!(
                        asked
                            || enters
                            || entered
                            || is_replaced
                            || is_lost
                            || account.decides_late,
                        "signed out without a sign-out (I6): {ended:?}"
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
                    assert!(
                        allows || account.decides_late,
                        "ended for being unreachable, too early (I6)"
                    );
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
            || self.disk_has_failed
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
                let explained = account.ended.iter().any(|ended| {
                    let listed_at = ended.listed.map(|(at, _)| at);
                    listed_at.unwrap_or(ended.seen_at).max(ended.seen_at) + LEARNT_AFTER >= since
                });
                // A person removed the entry.
                let is_lost = account.is_touched && status.phase == Phase::Locked;
                assert!(
                    explained || is_lost || account.decides_late,
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
                status.endings <= sessions.len() as u64 || account.decides_late,
                "the status counts more endings than there were (I6)"
            );
            if let Some(ending) = &status.ending {
                let known = endings.clone().any(|ended| ended.reason == ending.reason);
                assert!(
                    known || account.decides_late,
                    "the status shows an ending that never happened (I6)"
                );
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
