//! What the server knows about every session, in its order: the proof of why one ended.
//!
//! Tokens are numbers here: a *pair* is an access token with its refresh token, numbered from 1 as issued. A *session*
//! is a sign-in with all pairs that descend from it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

/// Numbers a token pair of this server, from 1.
pub type PairNumber = usize;

/// Numbers a session of this server, from 1: the sign-in and all that descends from it.
pub type SessionNumber = usize;

/// The server's account of facts, oldest first; a copy as of the moment it was asked for
/// ([`FaultServer::ledger`](super::FaultServer::ledger)).
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    pairs: Vec<Pair>,
    sessions: Vec<Arc<str>>,
    /// Where each token text stands in `texts`.
    numbers: Numbers,
    texts: Vec<Text>,
    /// Where the attempts stand that are under way.
    in_flight: Vec<usize>,
    /// How the attempts were rejected whose rejection a test scripted, by where they stand.
    words: HashMap<usize, Words>,
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, by the server's clock. An attempt: when it arrived.
    pub at: Timestamp,
    /// The account, by its e-mail address; empty for an attempt with a token that this server never issued.
    pub account: Arc<str>,
    /// The session; `None` where the fact is about all of the account's.
    pub session: Option<SessionNumber>,
    /// What.
    pub fact: Fact,
}

/// What can happen to a session at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A sign-in began the session with this pair.
    SignedIn(PairNumber),
    /// A renewal attempt arrived.
    Attempt(Attempt),
    /// The client revoked this pair.
    SignedOut(PairNumber),
    /// Injected: every pair so far is revoked.
    Revoked,
    /// Injected: every access token so far is refused.
    AccessExpired,
    /// Injected: every refresh token so far is rejected as expired.
    RefreshExpired,
    /// Injected: the server knows none of the refresh tokens so far.
    Forgotten,
    /// Injected: the account is no member of the workspace any more.
    MemberRemoved,
}

/// One renewal attempt, as the server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The pair whose refresh token was presented; `None` for one that this server never issued.
    pub pair: Option<PairNumber>,
    /// Whether that token had been exchanged before.
    pub spent: Option<Spent>,
    /// Other attempts of the same account that were under way when this one arrived.
    pub beside: usize,
    /// What the server did.
    pub outcome: AttemptOutcome,
    /// What became of its answer.
    pub answer: AnswerFate,
    /// When the server was done with it: the answer written, or the connection given up.
    pub over_at: Option<Timestamp>,
}

/// A token that had been exchanged before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// How long before, by the server's clock.
    pub ago: SignedDuration,
    /// Whether the server's grace time was still running.
    pub inside_grace: bool,
}

/// What the server did with a renewal attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Nothing: it never looked at the token, or did not understand the request.
    Untouched,
    /// Exchanged for this pair.
    Exchanged(PairNumber),
    /// A new access token in this pair, and the refresh token stays good.
    Kept(PairNumber),
    /// Rejected in the protocol's words.
    Rejected(Rejection),
}

/// Why the server rejects a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It was exchanged before, and the grace time is over. By default all tokens of the account are revoked with it.
    Spent,
    /// It is revoked.
    Revoked(Revocation),
    /// It has expired, by its lifetime or by injection.
    Expired,
    /// The server knows no such token: never issued, or forgotten.
    Unknown,
    /// The account is no member any more.
    NotMember,
    /// A test put these words into the server's mouth.
    Scripted,
}

/// Why a refresh token is revoked; the first cause counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// A test revoked it.
    Injected,
    /// The client signed out.
    SignedOut,
    /// This pair, spent or revoked itself, was presented once more.
    Reused(PairNumber),
}

/// What became of the server's answer to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFate {
    /// Not sent yet.
    InFlight,
    /// Written whole. Whether anybody read it, only [`Ledger::newer_shown`] can tell.
    Written,
    /// Cut off, or replaced by something else.
    Lost,
}

/// One token pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its session.
    pub session: SessionNumber,
    /// The pair that it was exchanged for; `None` from a sign-in.
    pub from: Option<PairNumber>,
    /// Only its access token was handed out; the refresh token of [`from`](Self::from) stays good.
    pub access_only: bool,
    /// When it was issued.
    pub issued_at: Timestamp,
}

/// The words of a rejection that a test scripted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// `extensions.code`.
    pub code: String,
    /// `message`.
    pub message: String,
}

/// One token text. Access tokens of one second can be the same text, as a real server's are.
#[derive(Clone, Debug, Default)]
struct Text {
    pairs: Vec<PairNumber>,
    /// When a request first came with it, and how many of the pairs there were then.
    shown: Option<(Timestamp, usize)>,
}

impl Text {
    /// The pairs of which the client had one before `at`.
    fn shown_before(&self, at: Timestamp) -> Option<&[PairNumber]> {
        let (shown_at, count) = self.shown?;
        (shown_at < at).then(|| &self.pairs[..count])
    }
}

/// Why the server rejected a session, where that is in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Explanation {
    /// A test revoked it, let it expire, forgot it, removed the member, or scripted the rejection.
    Injected,
    /// The client had signed out.
    SignedOut,
    /// An exchange's answer was lost, its token was presented again after the grace time, and the client never showed
    /// that it has anything newer.
    LostAnswer,
}

impl Ledger {
    /// Every fact, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The facts about one account.
    pub fn of_account<'a>(&'a self, account: &'a str) -> impl Iterator<Item = &'a Entry> {
        let is_its = move |entry: &&Entry| &*entry.account == account;
        self.entries.iter().filter(is_its)
    }

    /// A pair by its number.
    pub fn pair(&self, number: PairNumber) -> Option<&Pair> {
        self.pairs.get(number.checked_sub(1)?)
    }

    /// How many pairs there are; the newest has this number.
    pub fn pairs(&self) -> PairNumber {
        self.pairs.len()
    }

    /// The number of the pair that this token text belongs to; of several, the earliest.
    pub fn number_of(&self, token: &str) -> Option<PairNumber> {
        self.numbers_of(token).first().copied()
    }

    /// The numbers of all pairs that this token text belongs to, the earliest first.
    pub fn numbers_of(&self, token: &str) -> &[PairNumber] {
        let text = self.numbers.0.get(token);
        text.map_or(&[], |text| &self.texts[*text].pairs)
    }

    /// The account's sessions, oldest first, each with the time of its sign-in.
    pub fn sessions_of(&self, account: &str) -> Vec<(SessionNumber, Timestamp)> {
        let began = self.of_account(account).filter_map(|entry| {
            let session = entry.session?;
            matches!(entry.fact, Fact::SignedIn(_)).then_some((session, entry.at))
        });
        began.collect()
    }

    /// Every renewal attempt, with the fact that it is.
    pub fn attempts(&self) -> impl Iterator<Item = (&Entry, &Attempt)> {
        self.entries.iter().filter_map(|entry| match &entry.fact {
            Fact::Attempt(attempt) => Some((entry, attempt)),
            _ => None,
        })
    }

    /// The attempts that exchanged a token.
    pub fn exchanges(&self) -> impl Iterator<Item = (&Entry, &Attempt)> {
        self.attempts()
            .filter(|(_, attempt)| matches!(attempt.outcome, AttemptOutcome::Exchanged(_)))
    }

    /// The attempts that were rejected.
    pub fn rejections(&self) -> impl Iterator<Item = (&Entry, &Attempt)> {
        self.attempts()
            .filter(|(_, attempt)| matches!(attempt.outcome, AttemptOutcome::Rejected(_)))
    }

    /// Every rejection: of which pair, why, and in which words if a test scripted it.
    pub fn rejections_in_words(
        &self,
    ) -> impl Iterator<Item = (Option<PairNumber>, Rejection, Option<&Words>)> {
        let entries = self.entries.iter().enumerate();
        entries.filter_map(|(at, entry)| match &entry.fact {
            Fact::Attempt(Attempt {
                pair,
                outcome: AttemptOutcome::Rejected(why),
                ..
            }) => Some((*pair, *why, self.words.get(&at))),
            _ => None,
        })
    }

    /// The attempts with a token that had been exchanged so long before that its grace time was over.
    pub fn spent_outside_grace(&self) -> impl Iterator<Item = (&Entry, &Attempt)> {
        self.attempts().filter(|(_, attempt)| {
            let spent = attempt.spent;
            spent.is_some_and(|spent| !spent.inside_grace)
        })
    }

    /// A pair descending from `pair` that the client had shown before `at`, by a request with one of its tokens: it
    /// held a newer refresh token. Where one text belongs to several pairs, all of them must be newer.
    pub fn newer_shown(&self, pair: PairNumber, at: Timestamp) -> Option<PairNumber> {
        let is_newer = |number: &PairNumber| {
            let access_only = self.pair(*number).is_some_and(|it| it.access_only);
            *number != pair && !access_only && self.descends(*number, pair)
        };
        let mut shown = self.texts.iter().rev();
        shown.find_map(|text| {
            let pairs = text.shown_before(at)?;
            pairs.last().copied().filter(|_| pairs.iter().all(is_newer))
        })
    }

    /// Why this rejection is in order; `None` where it is not a rejection, or nothing explains it.
    pub fn explain(&self, entry: &Entry) -> Option<Explanation> {
        let Fact::Attempt(attempt) = &entry.fact else {
            return None;
        };
        let AttemptOutcome::Rejected(rejection) = attempt.outcome else {
            return None;
        };
        match rejection {
            Rejection::Expired | Rejection::NotMember | Rejection::Scripted => {
                Some(Explanation::Injected)
            }
            // Forgotten by injection. A token that was never issued explains nothing.
            Rejection::Unknown => attempt.pair.map(|_| Explanation::Injected),
            Rejection::Revoked(Revocation::Injected) => Some(Explanation::Injected),
            Rejection::Revoked(Revocation::SignedOut) => Some(Explanation::SignedOut),
            Rejection::Spent => self.explain_reuse(entry, attempt.pair?),
            Rejection::Revoked(Revocation::Reused(pair)) => self.explain_cascade(entry, pair),
        }
    }

    /// Why this session may be over: the explanation of its last rejection.
    pub fn explain_session(&self, session: SessionNumber) -> Option<Explanation> {
        self.explain(self.last_rejection(session)?.0)
    }

    /// Whether this session was rejected in the end because an answer to itself was lost, and not because of another
    /// session's spent token: this server revokes all sessions of an account with it.
    pub fn has_lost_answer(&self, session: SessionNumber) -> bool {
        let Some((entry, attempt)) = self.last_rejection(session) else {
            return false;
        };
        let reused = match attempt.outcome {
            AttemptOutcome::Rejected(Rejection::Spent) => attempt.pair,
            AttemptOutcome::Rejected(Rejection::Revoked(Revocation::Reused(pair))) => Some(pair),
            _ => None,
        };
        let reused = reused.and_then(|pair| self.pair(pair));
        reused.is_some_and(|pair| pair.session == session)
            && self.explain(entry) == Some(Explanation::LostAnswer)
    }

    fn last_rejection(&self, session: SessionNumber) -> Option<(&Entry, &Attempt)> {
        let is_its = |(entry, _): &(&Entry, &Attempt)| entry.session == Some(session);
        self.rejections().filter(is_its).last()
    }

    /// The largest number of attempts that were under way at once for one account.
    pub fn attempts_at_once(&self) -> usize {
        let beside = self.attempts().map(|(_, attempt)| attempt.beside + 1);
        beside.max().unwrap_or(0)
    }

    fn explain_reuse(&self, reused: &Entry, pair: PairNumber) -> Option<Explanation> {
        let newer = self.newer_shown(pair, reused.at);
        newer.is_none().then_some(Explanation::LostAnswer)
    }

    /// A rejection that follows from presenting `reused` once more. Where that was dead already, it was in order only
    /// for its own session: nobody may present it after another has begun.
    fn explain_cascade(&self, entry: &Entry, reused: PairNumber) -> Option<Explanation> {
        let mut of_pair = self
            .rejections()
            .filter(|(_, attempt)| attempt.pair == Some(reused));
        let (first, why) = of_pair.find_map(|(entry, attempt)| match attempt.outcome {
            AttemptOutcome::Rejected(why @ (Rejection::Spent | Rejection::Revoked(_))) => {
                Some((entry, why))
            }
            _ => None,
        })?;
        match why {
            Rejection::Spent => self.explain_reuse(first, reused),
            Rejection::Revoked(Revocation::Reused(_)) => None,
            _ if first.session == entry.session => self.explain(first),
            _ => None,
        }
    }

    fn descends(&self, number: PairNumber, from: PairNumber) -> bool {
        let mut at = Some(number);
        while let Some(number) = at.filter(|number| *number >= from) {
            if number == from {
                return true;
            }
            at = self.pair(number).and_then(|pair| pair.from);
        }
        false
    }
}

// ── How the server keeps it ─────────────────────────────────────────────────────────────────────────────────────────

impl Ledger {
    pub(super) fn note(&mut self, account: &str, at: Timestamp, fact: Fact) {
        self.push(Entry {
            at,
            account: account.into(),
            session: None,
            fact,
        });
    }

    /// A pair was issued: by a sign-in, or in exchange for another.
    pub(super) fn issue(
        &mut self,
        account: &str,
        at: Timestamp,
        from: Option<PairNumber>,
        texts: [&str; 2],
    ) -> PairNumber {
        let of_parent = from.and_then(|from| self.pair(from)).map(|it| it.session);
        let session = of_parent.unwrap_or_else(|| {
            self.sessions.push(account.into());
            self.sessions.len()
        });
        self.pairs.push(Pair {
            session,
            from,
            access_only: false,
            issued_at: at,
        });
        let number = self.pairs.len();
        for text in texts {
            let at = *self.numbers.0.entry(text.into()).or_insert_with(|| {
                self.texts.push(Text::default());
                self.texts.len() - 1
            });
            self.texts[at].pairs.push(number);
        }
        if from.is_none() {
            self.about(number, at, Fact::SignedIn(number));
        }
        number
    }

    /// A request came with this token.
    pub(super) fn shown(&mut self, token: &str, at: Timestamp) {
        if let Some(text) = self.numbers.0.get(token) {
            let text = &mut self.texts[*text];
            text.shown.get_or_insert((at, text.pairs.len()));
        }
    }

    pub(super) fn signed_out(&mut self, token: &str, at: Timestamp) {
        if let Some(number) = self.number_of(token) {
            self.about(number, at, Fact::SignedOut(number));
        }
    }

    /// A renewal arrived. Returns where its attempt stands.
    pub(super) fn attempt(&mut self, token: &str, at: Timestamp) -> usize {
        let pair = self.number_of(token);
        let session = pair.and_then(|pair| self.pair(pair)).map(|it| it.session);
        let account: Arc<str> = session.map_or_else(|| "".into(), |it| self.account(it));
        let is_its = |at: &&usize| self.entries[**at].account == account;
        let beside = self.in_flight.iter().filter(is_its).count();
        self.in_flight.push(self.entries.len());
        self.push(Entry {
            at,
            account,
            session,
            fact: Fact::Attempt(Attempt {
                pair,
                spent: None,
                beside,
                outcome: AttemptOutcome::Untouched,
                answer: AnswerFate::InFlight,
                over_at: None,
            }),
        });
        self.entries.len() - 1
    }

    /// Notes whether an attempt's answer was written or lost.
    pub(super) fn answered(&mut self, attempt: usize, at: Timestamp, fate: AnswerFate) {
        self.in_flight.retain(|it| *it != attempt);
        if let Some(attempt) = self.attempt_mut(attempt) {
            attempt.answer = fate;
            attempt.over_at = Some(at);
        }
    }

    /// An attempt is over; whatever was not answered by now never is.
    pub(super) fn over(&mut self, attempt: usize, at: Timestamp) {
        if self.in_flight.contains(&attempt) {
            self.answered(attempt, at, AnswerFate::Lost);
        }
    }

    pub(super) fn hands_out_access_only(&mut self, number: PairNumber) {
        if let Some(pair) = self.pairs.get_mut(number.saturating_sub(1)) {
            pair.access_only = true;
        }
    }

    /// A test rejects an attempt in these words.
    pub(super) fn scripted(&mut self, attempt: usize, words: Words) {
        if let Some(attempt) = self.attempt_mut(attempt) {
            attempt.outcome = AttemptOutcome::Rejected(Rejection::Scripted);
        }
        self.words.insert(attempt, words);
    }

    pub(super) fn attempt_mut(&mut self, at: usize) -> Option<&mut Attempt> {
        match &mut self.entries.get_mut(at)?.fact {
            Fact::Attempt(attempt) => Some(attempt),
            _ => None,
        }
    }

    fn about(&mut self, pair: PairNumber, at: Timestamp, fact: Fact) {
        if let Some(session) = self.pair(pair).map(|pair| pair.session) {
            self.push(Entry {
                at,
                account: self.account(session),
                session: Some(session),
                fact,
            });
        }
    }

    fn account(&self, session: SessionNumber) -> Arc<str> {
        self.sessions[session - 1].clone()
    }

    fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }
}

/// The token texts themselves; its Debug shows none.
#[derive(Clone, Default)]
struct Numbers(HashMap<Arc<str>, usize>);

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} texts", self.0.len())
    }
}

// ── How it reads ────────────────────────────────────────────────────────────────────────────────────────────────────

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} ", self.at)?;
        match self.session {
            Some(session) => write!(f, "session {session}: ")?,
            None => write!(f, "every session: ")?,
        }
        match &self.fact {
            Fact::SignedIn(pair) => write!(f, "signed in with {pair}"),
            Fact::Attempt(attempt) => attempt.fmt(f),
            Fact::SignedOut(pair) => write!(f, "signed out with {pair}"),
            Fact::Revoked => f.write_str("revoked"),
            Fact::AccessExpired => f.write_str("access expired"),
            Fact::RefreshExpired => f.write_str("refresh expired"),
            Fact::Forgotten => f.write_str("forgotten"),
            Fact::MemberRemoved => f.write_str("member removed"),
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pair {
            Some(pair) => write!(f, "renewal of {pair}")?,
            None => f.write_str("renewal of a foreign token")?,
        }
        if let Some(spent) = self.spent {
            let side = if spent.inside_grace {
                "inside"
            } else {
                "outside"
            };
            let ago = spent.ago.as_millis();
            write!(f, ", spent {ago} ms before ({side} the grace time)")?;
        }
        match self.outcome {
            AttemptOutcome::Untouched => f.write_str(": untouched")?,
            AttemptOutcome::Exchanged(to) => write!(f, ": exchanged for {to}")?,
            AttemptOutcome::Kept(to) => write!(f, ": access of {to}, refresh token kept")?,
            AttemptOutcome::Rejected(why) => write!(f, ": rejected, {why:?}")?,
        }
        match self.answer {
            AnswerFate::InFlight => f.write_str("; answer under way")?,
            AnswerFate::Written => {}
            AnswerFate::Lost => f.write_str("; answer lost")?,
        }
        if self.beside > 0 {
            write!(f, "; {} BESIDE IT", self.beside)?;
        }
        Ok(())
    }
}
