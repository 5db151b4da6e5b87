//! Every ending and every renewal, checked against the server's ledger, account by account.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use graphql_session_testing::{AnswerFate, Attempt, AttemptOutcome, Entry, Fact, Ledger};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::plan::ACCOUNTS;
use crate::process;
use crate::processes::account_name;

/// The server learns of a closed connection this much later on a busy machine; the next attempt may be there first.
const LATE_NOTICE: SignedDuration = SignedDuration::from_millis(500);

/// How long after a `kill -9` the dead process's connection may still look open.
const AFTER_KILL: SignedDuration = SignedDuration::from_secs(3);

/// The reasons that a record of the ended list can have.
const REASONS: [&str; 4] = [
    "signed_out",
    "rejected",
    "lost_answer",
    "unreachable_too_long",
];

/// What must not happen, and the account where it happened.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) account: Option<usize>,
    pub(crate) what: String,
}

impl Violation {
    pub(crate) fn of(account: usize, what: impl Into<String>) -> Self {
        Self {
            account: Some(account),
            what: what.into(),
        }
    }
}

/// The state of the checks.
pub(crate) struct Endings {
    accounts: Vec<Account>,
    /// How many entries of the ledger are checked.
    judged: usize,
    /// Endings by what explains them, in words.
    pub(crate) counted: BTreeMap<String, u64>,
    /// Spent tokens presented after their grace time, each after a lost answer.
    pub(crate) spent_outside_grace: u64,
    pub(crate) lost_answers_recovered: u64,
    /// Renewals that arrived, each found to be alone and not to present a token older than the machine's newest. One
    /// that is not ends the run.
    pub(crate) attempts_judged: u64,
}

struct Account {
    email: String,
    state: PathBuf,
    ended: PathBuf,
    /// When each session began, by its id: wall ms, from the state file.
    began: HashMap<String, i64>,
    /// Sign-outs and sign-ins that were asked for: from, and until they were done.
    leaving: HashMap<u64, (Timestamp, Option<Timestamp>)>,
    kills: Vec<Timestamp>,
    /// Until when a process may have an ending that the others cannot know, because it could not list it.
    unlisted_until: Timestamp,
    /// Kills of processes with the only copy of the newest credentials, because the keyring did not work.
    lost_with_process: Vec<Timestamp>,
    /// How many lines of the ended list are checked.
    judged: usize,
}

/// The person of an account.
pub(crate) fn email(account: usize) -> String {
    format!("person-{account}@example.com")
}

impl Endings {
    pub(crate) fn new(folder: &Path) -> Self {
        let folder = folder.join("state");
        let accounts = (0..ACCOUNTS).map(|account| Account {
            email: email(account),
            state: process::file(&folder, &account_name(account), "state.json"),
            ended: process::file(&folder, &account_name(account), "ended"),
            began: HashMap::new(),
            leaving: HashMap::new(),
            kills: Vec::new(),
            unlisted_until: Timestamp::MIN,
            lost_with_process: Vec::new(),
            judged: 0,
        });
        Self {
            accounts: accounts.collect(),
            judged: 0,
            counted: BTreeMap::new(),
            spent_outside_grace: 0,
            lost_answers_recovered: 0,
            attempts_judged: 0,
        }
    }

    /// Call this before anything that may replace a state file.
    pub(crate) fn look(&mut self) {
        for account in &mut self.accounts {
            account.look();
        }
    }

    /// A sign-out, or a new sign-in.
    pub(crate) fn leaving(&mut self, account: usize, request: u64) {
        let since = (Timestamp::now(), None);
        self.accounts[account].leaving.insert(request, since);
    }

    pub(crate) fn left(&mut self, account: usize, request: u64) {
        if let Some((_, until)) = self.accounts[account].leaving.get_mut(&request) {
            until.get_or_insert(Timestamp::now());
        }
    }

    /// A process of the account may not list its endings before then.
    pub(crate) fn unlisted(&mut self, account: usize, until: Timestamp) {
        let known = &mut self.accounts[account].unlisted_until;
        *known = until.max(*known);
    }

    /// A process of the account has just died.
    pub(crate) fn killed(&mut self, account: usize) {
        let account = &mut self.accounts[account];
        let now = Timestamp::now();
        account.kills.push(now);
        if let Some(state) = account.look()
            && state["standing"] == "signed_in"
            && state["saved_at"].is_null()
        {
            account.lost_with_process.push(now);
        }
    }

    /// Whether the state file names a session that goes on. Not one that could not be saved, and died with its process.
    pub(crate) fn has_session(&mut self, account: usize) -> bool {
        let account = &mut self.accounts[account];
        let Some(state) = account.look() else {
            return false;
        };
        let session = state["stamp"]["session"].as_str().unwrap_or_default();
        let began = state["stamp"]["begun_at"].as_i64().unwrap_or_default();
        let mut lost = account.lost_with_process.iter();
        if state["saved_at"].is_null() && lost.any(|at| at.as_millisecond() >= began) {
            return false;
        }
        state["standing"] == "signed_in" && !account.list().iter().any(|(id, _)| id == session)
    }

    /// The credentials that the state file calls saved.
    pub(crate) fn saved(&mut self, account: usize) -> Option<String> {
        let state = self.accounts[account].look()?;
        let credentials = state["stamp"]["credentials"].as_str()?.to_owned();
        (!state["saved_at"].is_null()).then_some(credentials)
    }

    /// Checks all new entries.
    pub(crate) fn check(&mut self, ledger: &Ledger) -> Result<(), Violation> {
        self.look();
        self.check_attempts(ledger)?;
        for account in 0..ACCOUNTS {
            self.check_endings(account, ledger)
                .map_err(|what| Violation::of(account, what))?;
        }
        Ok(())
    }

    /// At the end: no entry may be left unchecked.
    pub(crate) fn check_all_judged(&self) -> Result<(), Violation> {
        for (number, account) in self.accounts.iter().enumerate() {
            let list = account.list();
            if let Some((session, reason)) = list.get(account.judged) {
                let what = "ended, and no state file ever named it";
                return Err(Violation::of(
                    number,
                    format!("session {session} {what} ({reason})"),
                ));
            }
        }
        Ok(())
    }

    fn check_endings(&mut self, number: usize, ledger: &Ledger) -> Result<(), String> {
        let account = &mut self.accounts[number];
        let list = account.list();
        for (session, reason) in list.iter().skip(account.judged) {
            let Some(began) = account.began.get(session).copied() else {
                // Its state file is written next.
                return Ok(());
            };
            let explained = if reason == "signed_out" {
                account.explain_sign_out(began)
            } else {
                let before = &list[..account.judged];
                let could_know = account.unlisted_until < Timestamp::now();
                if could_know
                    && before
                        .iter()
                        .any(|(id, why)| id == session && why != "signed_out")
                {
                    return Err(format!("session {session} ended twice"));
                }
                account.explain_rejection(began, reason, ledger)
            };
            let Some(explained) = explained else {
                return Err(format!(
                    "session {session} ended ({reason}), and the ledger does not explain it"
                ));
            };
            *self.counted.entry(explained).or_default() += 1;
            account.judged += 1;
        }
        Ok(())
    }

    fn check_attempts(&mut self, ledger: &Ledger) -> Result<(), Violation> {
        while let Some(entry) = ledger.entries().get(self.judged) {
            if let Fact::Attempt(attempt) = &entry.fact {
                if attempt.answer == AnswerFate::InFlight {
                    return Ok(());
                }
                let mut accounts = self.accounts.iter();
                let number = accounts.position(|account| *account.email == *entry.account);
                let Some(number) = number else {
                    return Err(Violation {
                        account: None,
                        what: format!("a token of no session was presented: {entry}"),
                    });
                };
                self.check_attempt(number, entry, attempt, ledger)
                    .map_err(|what| Violation::of(number, format!("{what}: {entry}")))?;
            }
            self.judged += 1;
        }
        Ok(())
    }

    fn check_attempt(
        &mut self,
        number: usize,
        entry: &Entry,
        attempt: &Attempt,
        ledger: &Ledger,
    ) -> Result<(), String> {
        let account = &self.accounts[number];
        let Some(pair) = attempt.pair else {
            return Err("a token that was never issued was presented".into());
        };
        let lost_since = |since: Timestamp| {
            let mut lost = account.lost_with_process.iter();
            lost.any(|at| (since..=entry.at).contains(at))
        };
        if attempt.spent.is_some()
            && let Some(newer) = ledger.newer_shown(pair, entry.at)
        {
            let issued_at = ledger.pair(newer).map(|pair| pair.issued_at);
            if !issued_at.is_some_and(lost_since) {
                return Err(format!(
                    "a spent token was presented although this machine held {newer}"
                ));
            }
        }
        if matches!(attempt.outcome, AttemptOutcome::Rejected(_))
            && ledger.explain(entry).is_none()
            && !lost_since(Timestamp::MIN)
        {
            return Err("nothing explains this rejection".into());
        }
        if attempt.beside > 0 && account.overlaps(entry, ledger) {
            return Err("two renewals of one account at once".into());
        }
        if let Some(spent) = attempt.spent {
            let exchanged = matches!(attempt.outcome, AttemptOutcome::Exchanged(_));
            if exchanged && account.had_its_answer(pair, entry, ledger) {
                return Err("exchanged once more, although the answer had been delivered".into());
            }
            self.spent_outside_grace += u64::from(!spent.inside_grace);
            self.lost_answers_recovered += u64::from(exchanged);
        }
        self.attempts_judged += 1;
        Ok(())
    }
}

impl Account {
    /// The state file, whose session is remembered.
    fn look(&mut self) -> Option<Value> {
        let state: Value = serde_json::from_slice(&fs::read(&self.state).ok()?).ok()?;
        let session = state["stamp"]["session"].as_str()?.to_owned();
        let began = state["stamp"]["begun_at"].as_i64()?;
        self.began.insert(session, began);
        Some(state)
    }

    /// The ended list: session ids with their reasons.
    fn list(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(&self.ended).unwrap_or_default();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let lines = text[..whole]
            .lines()
            .filter_map(|line| line.split_once(' '));
        lines
            // A record that a full disk has cut off says nothing.
            .filter(|(_, why)| REASONS.contains(why))
            .map(|(id, why)| (id.to_owned(), why.to_owned()))
            .collect()
    }

    fn explain_sign_out(&self, began: i64) -> Option<String> {
        let was_asked_for = self
            .leaving
            .values()
            .any(|(_, until)| until.is_none_or(|until| until.as_millisecond() >= began));
        was_asked_for.then(|| "signed out".to_owned())
    }

    /// By the server's session that began last before this one did here: sign-ins of one account never overlap.
    fn explain_rejection(&self, began: i64, reason: &str, ledger: &Ledger) -> Option<String> {
        let sessions = ledger.sessions_of(&self.email);
        let mut before = sessions
            .iter()
            .filter(|(_, at)| at.as_millisecond() <= began);
        let (session, _) = before.next_back()?;
        if let Some(explanation) = ledger.explain_session(*session) {
            return Some(format!("{reason}: {explanation:?}"));
        }
        let was_rejected = ledger
            .rejections()
            .any(|(entry, _)| entry.session == Some(*session));
        let mut lost = self.lost_with_process.iter();
        let is_lost = was_rejected && lost.any(|at| at.as_millisecond() >= began);
        is_lost.then(|| format!("{reason}: lost with a killed process while the keyring failed"))
    }

    /// Whether an earlier attempt was really still under way: not one whose end the server noticed late, and not one of
    /// a process that was just killed.
    fn overlaps(&self, entry: &Entry, ledger: &Ledger) -> bool {
        let was_killed = |from: Timestamp| {
            let mut kills = self.kills.iter();
            kills.any(|at| *at >= from && *at <= entry.at)
        };
        let shortly_before = entry.at.saturating_sub(AFTER_KILL);
        if was_killed(shortly_before.unwrap_or(Timestamp::MIN)) {
            return false;
        }
        let mut earlier = ledger.attempts().filter(|(other, _)| {
            other.account == entry.account && other.at <= entry.at && *other != entry
        });
        earlier.any(|(_, other)| match (other.answer, other.over_at) {
            (AnswerFate::Lost, Some(over)) => over.duration_since(entry.at) > LATE_NOTICE,
            (_, Some(over)) => over > entry.at,
            (_, None) => true,
        })
    }

    /// Whether the pair was exchanged before, with an answer that went out whole, and no process was killed since that
    /// may have read it.
    fn had_its_answer(&self, pair: usize, entry: &Entry, ledger: &Ledger) -> bool {
        ledger.exchanges().any(|(other, attempt)| {
            let mut kills = self.kills.iter();
            attempt.pair == Some(pair)
                && other.at < entry.at
                && attempt.answer == AnswerFate::Written
                && !kills.any(|at| *at >= other.at && *at <= entry.at)
        })
    }
}
