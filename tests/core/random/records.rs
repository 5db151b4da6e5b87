//! The records of server, keyring and files about one account, joined for the checks.

use std::collections::HashMap;
use std::time::Duration;

use graphql_session::{EndingReason, Session};
use graphql_session_testing::{
    EMAIL, FaultServer, Ledger, PairNumber, Rejection, SessionNumber, Words,
};
use jiff::{SignedDuration, Timestamp};

use super::keyring::{Record, Write};

/// The sign-in that a token comes from.
pub(crate) type Family = SessionNumber;

/// After this time every process knows of an ending, because it reads the files twice a second.
pub(crate) const LEARNT_AFTER: Duration = Duration::from_millis(600);

/// Of two sign-ins this close to each other, either may count as the later one: a session begins at least 1 ms after
/// the one that its process knows of, and two processes may choose the same time. No person signs in twice so fast.
const SAME_INSTANT: SignedDuration = SignedDuration::from_millis(5);

/// An ending that a process has decided.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) session: String,
    pub(crate) reason: EndingReason,
    pub(crate) family: Option<Family>,
    /// Which process, counted over the whole case.
    pub(crate) process: usize,
    /// Awake time of the case when it was first seen.
    pub(crate) seen_at: Duration,
    /// The number of the step.
    pub(crate) seen_in: usize,
    /// The same two for its line in the ended list, by which all other processes learn of it.
    pub(crate) listed: Option<(Duration, usize)>,
}

/// A renewal that the server rejected.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) pair: Option<PairNumber>,
    why: Rejection,
    /// If a step scripted it.
    words: Option<Words>,
}

impl Refusal {
    /// The server's words are final.
    pub(crate) fn is_final(&self) -> bool {
        match (self.why, &self.words) {
            (Rejection::NotMember, _) => false,
            (Rejection::Scripted, Some(words)) => words.code == "UNAUTHENTICATED",
            (Rejection::Scripted, None) => false,
            _ => true,
        }
    }

    /// The server's words are ambiguous: final if they come twice.
    pub(crate) fn is_ambiguous(&self) -> bool {
        let says_so = |words: &Words| words.message == "User Workspace not found";
        self.why == Rejection::NotMember || self.words.as_ref().is_some_and(says_so)
    }
}

/// One account: its server, and what is known of its sessions.
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) server: FaultServer,
    /// A person has edited the entry since the last sign-in, so the entry proves nothing.
    pub(crate) is_touched: bool,
    /// A step made the server answer a renewal with a status that does not say whether it exchanged the token, or
    /// exchange a refresh token at one time and keep it at another.
    pub(crate) hides_exchanges: bool,
    /// A step made the server refuse calls that it would have served, or set the clock.
    pub(crate) refuses_valid_tokens: bool,
    /// A step set the wall clock.
    pub(crate) clock_was_set: bool,
    /// Every text that lay in the keyring.
    pub(crate) backups: Vec<String>,
    pub(crate) ended: Vec<Ended>,
    pub(crate) endings_checked: usize,
    /// An append has hung in this case: what waited behind it is seen later than it was decided.
    pub(crate) decides_late: bool,
    pub(crate) requests_read: usize,
    pub(crate) writes_read: usize,
    /// What lay in the keyring at the last look.
    pub(crate) stored_before: Option<Record>,
    /// Renewals presented so far, by token.
    pub(crate) presented: HashMap<String, usize>,
    /// The newest pair whose calls may have been refused, or that a wrong clock shows as expired.
    suspect_up_to: PairNumber,
    generations: HashMap<PairNumber, u64>,
    sessions: HashMap<String, Family>,
    /// A process died with a session that it could not save.
    pub(crate) lost_unsaved: bool,
}

impl Account {
    pub(crate) fn new(name: String, server: FaultServer) -> Self {
        Self {
            name,
            server,
            is_touched: false,
            hides_exchanges: false,
            refuses_valid_tokens: false,
            clock_was_set: false,
            backups: Vec::new(),
            ended: Vec::new(),
            endings_checked: 0,
            decides_late: false,
            requests_read: 0,
            writes_read: 0,
            stored_before: None,
            presented: HashMap::new(),
            suspect_up_to: 0,
            generations: HashMap::new(),
            sessions: HashMap::new(),
            lost_unsaved: false,
        }
    }

    /// Learns from which sign-in a session comes, and which generation a pair became.
    pub(crate) fn learn(&mut self, write: &Write) {
        let Some(record) = &write.record else { return };
        let Some(pair) = self.pair_of(&record.refresh) else {
            return;
        };
        if let Some(family) = self.family_of_pair(pair) {
            self.sessions.insert(record.session.clone(), family);
        }
        let generation = self.generations.entry(pair).or_default();
        *generation = record.generation.max(*generation);
    }

    pub(crate) fn family_of_session(&self, session: &str) -> Option<Family> {
        self.sessions.get(session).copied()
    }

    pub(crate) fn pair_of(&self, token: &str) -> Option<PairNumber> {
        self.server.ask_ledger(|ledger| ledger.number_of(token))
    }

    pub(crate) fn family_of_pair(&self, pair: PairNumber) -> Option<Family> {
        self.server
            .ask_ledger(|ledger| ledger.pair(pair).map(|pair| pair.session))
    }

    pub(crate) fn family_of_refresh(&self, token: &str) -> Option<Family> {
        self.family_of_pair(self.pair_of(token)?)
    }

    /// Whether the person has signed in since this sign-in, or within [`SAME_INSTANT`] of it. Where the clock was set,
    /// processes that could not note their sign-ins do not know which one came later.
    pub(crate) fn signed_in_since(&self, family: Family) -> bool {
        let same_instant = if self.clock_was_set {
            SignedDuration::MAX
        } else {
            SAME_INSTANT
        };
        self.server.ask_ledger(|ledger| {
            let sessions = ledger.sessions_of(EMAIL);
            let this = sessions.iter().find(|(session, _)| *session == family);
            this.is_some_and(|(_, began)| {
                let mut others = sessions.iter();
                others.any(|(session, at)| {
                    *session != family && began.duration_since(*at) <= same_instant
                })
            })
        })
    }

    /// The generation that this pair became, if any process tried to write it.
    pub(crate) fn generation_of_pair(&self, pair: PairNumber) -> Option<u64> {
        self.generations.get(&pair).copied()
    }

    /// All sign-ins that an access token may come from: a server may issue the same text twice within a second.
    pub(crate) fn families_of_access(&self, token: &str) -> Vec<Family> {
        self.server.ask_ledger(|ledger| {
            let pairs = ledger.numbers_of(token).iter();
            let sessions = pairs.filter_map(|pair| ledger.pair(*pair));
            sessions.map(|pair| pair.session).collect()
        })
    }

    /// Every renewal so far that the server rejected.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        self.server.ask_ledger(|ledger| {
            let rejections = ledger.rejections_in_words();
            rejections
                .map(|(pair, why, words)| Refusal {
                    pair,
                    why,
                    words: words.cloned(),
                })
                .collect()
        })
    }

    /// Whether anybody had a reason to renew the pair of `refresh`.
    pub(crate) fn has_reason_to_renew(&self, refresh: &str, now: Timestamp) -> bool {
        /// Two thirds of the lifetime of an access token, less 5 s for the tolerance of the clocks.
        const EARLIEST: SignedDuration = SignedDuration::from_secs(1_200 - 5);
        let issued = self.server.ask_ledger(|ledger| {
            let number = ledger.number_of(refresh)?;
            Some((number, ledger.pair(number)?.issued_at))
        });
        issued.is_none_or(|(number, at)| {
            let is_suspect = self.refuses_valid_tokens || number <= self.suspect_up_to;
            is_suspect || now.duration_since(at) >= EARLIEST
        })
    }

    /// Calls may be refused with every token issued so far.
    pub(crate) fn suspect_all(&mut self) {
        self.suspect_up_to = self.server.ask_ledger(Ledger::pairs);
    }

    pub(crate) fn has_ended(&self, session: &str) -> bool {
        self.ended.iter().any(|ended| ended.session == session)
    }

    /// Whether the keyring has ever held credentials of this session.
    pub(crate) fn was_stored(&self, session: &str) -> bool {
        let mut records = self.backups.iter().filter_map(|text| Record::read(text));
        records.any(|record| record.session == session)
    }

    /// Whether this process could know before this step that the session has ended: by the list, or because it has ended the
    /// session itself.
    pub(crate) fn had_ended_before(&self, session: &str, step: usize, process: usize) -> bool {
        let mut ended = self.ended.iter();
        ended.any(|ended| {
            let is_listed = ended.listed.is_some_and(|(_, listed_in)| listed_in < step);
            let is_own = ended.process == process && ended.seen_in < step;
            ended.session == session && (is_listed || is_own)
        })
    }

    /// Whether this sign-in's session was on the ended list so early that every process knew of it by then; or whether this
    /// `process` had ended it before.
    pub(crate) fn was_known_to_have_ended(
        &self,
        family: Family,
        by: Duration,
        process: Option<usize>,
    ) -> bool {
        let mut ended = self.ended.iter();
        ended.any(|ended| {
            let is_listed = ended.listed.is_some_and(|(at, _)| at + LEARNT_AFTER <= by);
            let is_own = process == Some(ended.process) && ended.seen_at < by;
            ended.family == Some(family) && (is_listed || is_own)
        })
    }

    /// Whether a process has ended this sign-in's session without a line in the ended list.
    pub(crate) fn has_unlisted_ending(&self, family: Family) -> bool {
        let mut ended = self.ended.iter();
        ended.any(|ended| ended.family == Some(family) && ended.listed.is_none())
    }

    /// Whether a process has ended this session without a line in the ended list.
    pub(crate) fn is_over_elsewhere(&self, session: &str) -> bool {
        let mut ended = self.ended.iter();
        ended.any(|ended| ended.session == session && ended.listed.is_none())
    }

    /// A process with this session has ended.
    pub(crate) fn bury(&mut self, session: &Session) {
        let status = session.status();
        if matches!(status.storage, graphql_session::Storage::NotSaved(_)) {
            self.lost_unsaved = true;
        }
    }
}
