//! The server: which refresh tokens it takes. As Twenty does: rotation with a grace time, and a token that comes back
//! after it takes the whole session down.

use graphql_session_renewal::CredentialsInfo;

use crate::world::info;

/// How long a used refresh token is taken again, in ms.
pub(crate) const GRACE: u64 = 60_000;

/// More credentials than any run can be issued: one each, and one for each fault that repeats an exchange.
const MOST_CREDENTIALS: usize = 6;

/// One refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Token {
    NotIssued,
    Fresh,
    /// First used then, in ms.
    Used(u64),
}

/// What the server answers to an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Renewed(CredentialsInfo),
    Rejected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    /// By number, from 1.
    tokens: [Token; MOST_CREDENTIALS],
    /// The session was revoked, or a token was reused after its grace time.
    pub(crate) is_revoked: bool,
    /// A revocation was sent; nobody knows when it arrives, if ever.
    pub(crate) is_being_revoked: bool,
}

impl Server {
    pub(crate) fn new() -> Self {
        let mut tokens = [Token::NotIssued; MOST_CREDENTIALS];
        tokens[0] = Token::Fresh;
        Self {
            tokens,
            is_revoked: false,
            is_being_revoked: false,
        }
    }

    /// Whether a call with these is served: the first have expired, and the search ends before the others do.
    pub(crate) fn serves(with: CredentialsInfo) -> bool {
        with.generation > 1
    }

    /// Whether an exchange of these would bring new ones.
    pub(crate) fn takes(&self, credentials: CredentialsInfo, now: u64) -> bool {
        !self.is_revoked && !self.is_spent(credentials, now)
    }

    /// Whether these were used, and their grace time is over.
    pub(crate) fn is_spent(&self, credentials: CredentialsInfo, now: u64) -> bool {
        match self.token(credentials) {
            Token::NotIssued => true,
            Token::Fresh => false,
            Token::Used(at) => now > at + GRACE,
        }
    }

    pub(crate) fn has_used(&self, credentials: CredentialsInfo) -> bool {
        matches!(self.token(credentials), Token::Used(_))
    }

    /// How many credentials it has issued.
    pub(crate) fn issued(&self) -> usize {
        let issued = self
            .tokens
            .iter()
            .filter(|token| **token != Token::NotIssued);
        issued.count()
    }

    pub(crate) fn exchange(&mut self, from: CredentialsInfo, now: u64) -> Answer {
        if !self.takes(from, now) {
            self.is_revoked = true;
            return Answer::Rejected;
        }
        let number = number(from);
        if self.tokens[number - 1] == Token::Fresh {
            self.tokens[number - 1] = Token::Used(now);
        }
        let free = self
            .tokens
            .iter()
            .position(|token| *token == Token::NotIssued);
        let next = free.expect("more credentials than a run can be issued");
        self.tokens[next] = Token::Fresh;
        Answer::Renewed(info(next as u128 + 1, from.generation + 1))
    }

    fn token(&self, credentials: CredentialsInfo) -> Token {
        self.tokens[number(credentials) - 1]
    }
}

fn number(credentials: CredentialsInfo) -> usize {
    (1..=MOST_CREDENTIALS)
        .find(|number| {
            graphql_session_renewal::CredentialsId::of(*number as u128) == credentials.credentials
        })
        .expect("credentials of this server")
}
