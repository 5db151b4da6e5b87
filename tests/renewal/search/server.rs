//! The server: which refresh tokens it accepts. It does as Twenty: it rotates with a grace time, and a token that comes
//! back after that time revokes the whole session.

use graphql_session_renewal::sim::RULES;
use graphql_session_renewal::{CredentialsId, CredentialsInfo};
use graphql_session_testing::rotation::{
    Exchange, FamilyChange, Grace, OnReuse, Rotation, Standing, Token,
};

use crate::world::info;

const ROTATION: Rotation = Rotation {
    grace: Grace::FromFirstUse(RULES.grace as i64),
    on_reuse: OnReuse::RevokeFamily,
};

/// More credentials than any run can be issued: one each, and one for each fault that repeats an exchange.
const MOST_CREDENTIALS: usize = 6;

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
    /// A revocation was sent. It may arrive at any later moment, or never.
    pub(crate) is_being_revoked: bool,
}

impl Server {
    pub(crate) fn new() -> Self {
        let mut tokens = [Token::Unknown; MOST_CREDENTIALS];
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
        let exchange = ROTATION.exchange(self.token(credentials), self.is_revoked, now as i64);
        matches!(exchange, Exchange::Granted(_))
    }

    /// Whether these were used, and their grace time is over.
    pub(crate) fn is_spent(&self, credentials: CredentialsInfo, now: u64) -> bool {
        let standing = ROTATION.standing(self.token(credentials), false, now as i64);
        matches!(standing, Standing::Spent | Standing::Unknown)
    }

    pub(crate) fn has_used(&self, credentials: CredentialsInfo) -> bool {
        matches!(self.token(credentials), Token::Used(_))
    }

    /// How many credentials it has issued.
    pub(crate) fn issued(&self) -> usize {
        let issued = self.tokens.iter().filter(|token| **token != Token::Unknown);
        issued.count()
    }

    pub(crate) fn exchange(&mut self, from: CredentialsInfo, now: u64) -> Answer {
        match ROTATION.exchange(self.token(from), self.is_revoked, now as i64) {
            Exchange::Granted(used) => {
                self.tokens[number(from) - 1] = used;
                self.issue(from.generation + 1)
            }
            Exchange::Rejected { family, .. } => {
                self.is_revoked |= family == FamilyChange::Revoked;
                Answer::Rejected
            }
        }
    }

    fn issue(&mut self, generation: u64) -> Answer {
        let free = self
            .tokens
            .iter()
            .position(|token| *token == Token::Unknown);
        let next = free.expect("more credentials than a run can be issued");
        self.tokens[next] = Token::Fresh;
        Answer::Renewed(info(next as u128 + 1, generation))
    }

    fn token(&self, credentials: CredentialsInfo) -> Token {
        self.tokens[number(credentials) - 1]
    }
}

fn number(credentials: CredentialsInfo) -> usize {
    (1..=MOST_CREDENTIALS)
        .find(|number| CredentialsId::of(*number as u128) == credentials.credentials)
        .expect("credentials of this server")
}
