//! How a server rotates refresh tokens: whether it takes one that comes in, and what it remembers afterwards.
//!
//! Only the decision, in values: a server keeps its tokens as it likes, in rows or in an array, and asks with its own
//! clock. The scriptable server, the demo server and the model checker decide by it.
//!
//! Tokens that stand and fall together are a *family*: the descendants of one sign-in, or, at Twenty, all tokens of one
//! person. A token is *used* once it was exchanged for another, and *spent* once its grace time is over.
//!
//! ```
//! use graphql_session_testing::rotation::{Exchange, Grace, OnReuse, Rotation, Standing, Token};
//!
//! let rotation = Rotation { grace: Grace::FromFirstUse(60_000), on_reuse: OnReuse::RevokeFamily };
//! let Exchange::Granted(used) = rotation.exchange(Token::Fresh, false, 1_000) else { panic!() };
//!
//! // A lost answer: the same token once more, inside its grace time and after it.
//! assert_eq!(rotation.standing(used, false, 60_999), Standing::InGrace);
//! assert_eq!(rotation.standing(used, false, 61_000), Standing::Spent);
//! ```

/// The rules of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rotation {
    /// How long it takes a used token again.
    pub grace: Grace,
    /// What it does when a token comes in that is spent or revoked.
    pub on_reuse: OnReuse,
}

/// How long a server takes a used token again. Times are in ms; the grace time is over once so many have passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grace {
    /// Not at all: each token works once. Directus (JSON mode), Strapi, oidc-provider.
    None,
    /// So long after its first use. Twenty 2.21.
    FromFirstUse(i64),
    /// So long after its latest use: each use inside the grace time starts it again. Twenty 1.6.
    FromLatestUse(i64),
    /// For ever: the server does not rotate, or leaves old tokens valid. Saleor, django-graphql-jwt by default.
    Forever,
}

/// What a server does to the family when a spent or revoked token comes in. It rejects that token in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnReuse {
    /// Nothing: newer tokens of the family stay good. Directus, Strapi, Twenty 2.21.
    KeepFamily,
    /// It revokes the whole family. oidc-provider, django-oauth-toolkit with reuse protection.
    RevokeFamily,
    /// It marks the whole family as used, so each token works for one more grace time. Twenty 1.6.
    SpendFamily,
}

/// What a server remembers of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Token {
    /// Nothing: it never issued the token, or forgot it.
    Unknown,
    /// Issued, and not used yet.
    Fresh,
    /// Used. Its grace time counts from this moment, in ms by the server's clock.
    Used(i64),
}

/// Where a token stands at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// The server knows no such token.
    Unknown,
    /// Not used yet.
    Fresh,
    /// Used, and inside its grace time.
    InGrace,
    /// Used, and its grace time is over.
    Spent,
    /// Revoked, by itself or with its family.
    Revoked,
}

/// A server's decision about an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exchange {
    /// It issues a new token, and remembers this of the one that came in.
    Granted(Token),
    /// It issues nothing.
    Rejected {
        /// Where the token stands: unknown, spent or revoked.
        standing: Standing,
        /// What happens to the token's family.
        family: FamilyChange,
    },
}

/// What a rejected exchange does to the family of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FamilyChange {
    /// Nothing.
    Unchanged,
    /// Every token is revoked.
    Revoked,
    /// Every token, fresh ones too, becomes this. Revoked ones stay revoked.
    Becomes(Token),
}

// Inlined, so that the model checker, which asks millions of times, optimises them in its own crate.
impl Rotation {
    /// Where a token stands at `now`, in ms by the server's clock. `is_revoked`: the token itself or its family.
    #[inline]
    pub fn standing(self, token: Token, is_revoked: bool, now: i64) -> Standing {
        match token {
            Token::Unknown => Standing::Unknown,
            _ if is_revoked => Standing::Revoked,
            Token::Fresh => Standing::Fresh,
            Token::Used(since) if self.grace.lasts(since, now) => Standing::InGrace,
            Token::Used(_) => Standing::Spent,
        }
    }

    /// Decides about a token that comes in at `now`, in ms by the server's clock, to be exchanged for a new one.
    /// `is_revoked`: the token itself or its family.
    #[inline]
    pub fn exchange(self, token: Token, is_revoked: bool, now: i64) -> Exchange {
        let standing = self.standing(token, is_revoked, now);
        let family = match (standing, self.on_reuse) {
            (Standing::Fresh, _) => return Exchange::Granted(Token::Used(now)),
            (Standing::InGrace, _) => {
                let begins_anew = matches!(self.grace, Grace::FromLatestUse(_));
                return Exchange::Granted(if begins_anew { Token::Used(now) } else { token });
            }
            // An unknown token has no family.
            (Standing::Unknown, _) | (_, OnReuse::KeepFamily) => FamilyChange::Unchanged,
            (_, OnReuse::RevokeFamily) => FamilyChange::Revoked,
            (_, OnReuse::SpendFamily) => FamilyChange::Becomes(Token::Used(now)),
        };
        Exchange::Rejected { standing, family }
    }
}

impl Grace {
    /// Whether the grace time that began at `since` still lasts at `now`. A clock that was set back does not end it.
    #[inline]
    fn lasts(self, since: i64, now: i64) -> bool {
        match self {
            Self::None => false,
            Self::FromFirstUse(time) | Self::FromLatestUse(time) => {
                now.saturating_sub(since).max(0) < time
            }
            Self::Forever => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 60 s, Twenty's default.
    const MINUTE: i64 = 60_000;

    const GRACES: [Grace; 4] = [
        Grace::None,
        Grace::FromFirstUse(MINUTE),
        Grace::FromLatestUse(MINUTE),
        Grace::Forever,
    ];
    const REUSES: [OnReuse; 3] = [
        OnReuse::KeepFamily,
        OnReuse::RevokeFamily,
        OnReuse::SpendFamily,
    ];

    fn all_rotations() -> impl Iterator<Item = Rotation> {
        GRACES
            .into_iter()
            .flat_map(|grace| REUSES.map(|on_reuse| Rotation { grace, on_reuse }))
    }

    /// What the server remembers of a token that was exchanged at these moments, one after another.
    fn used_at(rotation: Rotation, moments: &[i64]) -> Token {
        moments.iter().fold(Token::Fresh, |token, now| {
            match rotation.exchange(token, false, *now) {
                Exchange::Granted(used) => used,
                rejected => panic!("at {now} ms: {rejected:?}"),
            }
        })
    }

    #[test]
    fn a_fresh_token_is_exchanged_once_at_every_server() {
        for rotation in all_rotations() {
            let granted = Exchange::Granted(Token::Used(7));
            assert_eq!(rotation.exchange(Token::Fresh, false, 7), granted);
        }
    }

    #[test]
    fn a_used_token_is_taken_again_for_as_long_as_its_grace_time_lasts() {
        let (first, latest) = (Grace::FromFirstUse(MINUTE), Grace::FromLatestUse(MINUTE));
        let again: &[i64] = &[0, MINUTE - 1];
        let ages: &[i64] = &[0, MINUTE, i64::MAX];
        for (grace, uses, now, expected) in [
            // Without a grace time, also in the millisecond of its use.
            (Grace::None, &[7][..], 7, Standing::Spent),
            (Grace::FromFirstUse(0), &[7], 7, Standing::Spent),
            (Grace::FromLatestUse(0), &[7], 7, Standing::Spent),
            // In its last millisecond, and in the one after it.
            (first, &[7], 6 + MINUTE, Standing::InGrace),
            (first, &[7], 7 + MINUTE, Standing::Spent),
            (latest, &[7], 6 + MINUTE, Standing::InGrace),
            (latest, &[7], 7 + MINUTE, Standing::Spent),
            // A second use extends it only where it counts from the latest.
            (first, again, MINUTE + 1, Standing::Spent),
            (latest, again, MINUTE + 1, Standing::InGrace),
            // A server that does not rotate.
            (Grace::Forever, ages, i64::MAX, Standing::InGrace),
            // A clock that was set back does not end it.
            (first, &[MINUTE], 0, Standing::InGrace),
            (first, &[i64::MIN], i64::MAX, Standing::Spent),
        ] {
            for on_reuse in REUSES {
                let rotation = Rotation { grace, on_reuse };
                let case = format!("{rotation:?}, used at {uses:?}, now {now}");
                let used = used_at(rotation, uses);
                assert_eq!(rotation.standing(used, false, now), expected, "{case}");
                let is_granted =
                    matches!(rotation.exchange(used, false, now), Exchange::Granted(_));
                assert_eq!(is_granted, expected == Standing::InGrace, "{case}");
            }
        }
    }

    #[test]
    fn a_spent_token_does_to_its_family_what_the_server_says() {
        let spent = FamilyChange::Becomes(Token::Used(MINUTE));
        for (on_reuse, family) in [
            (OnReuse::KeepFamily, FamilyChange::Unchanged),
            (OnReuse::RevokeFamily, FamilyChange::Revoked),
            (OnReuse::SpendFamily, spent),
        ] {
            let grace = Grace::FromFirstUse(MINUTE);
            let exchange = Rotation { grace, on_reuse }.exchange(Token::Used(0), false, MINUTE);
            let standing = Standing::Spent;
            let rejected = Exchange::Rejected { standing, family };
            assert_eq!(exchange, rejected, "{on_reuse:?}");
        }
    }

    #[test]
    fn a_spent_family_works_for_one_more_grace_time() {
        let rotation = Rotation {
            grace: Grace::FromLatestUse(MINUTE),
            on_reuse: OnReuse::SpendFamily,
        };
        let Exchange::Rejected {
            family: FamilyChange::Becomes(token),
            ..
        } = rotation.exchange(Token::Used(0), false, MINUTE)
        else {
            panic!("taken after its grace time");
        };
        let at_its_end = rotation.standing(token, false, 2 * MINUTE - 1);
        assert_eq!(at_its_end, Standing::InGrace);
        assert_eq!(rotation.standing(token, false, 2 * MINUTE), Standing::Spent);
    }

    #[test]
    fn a_revoked_token_counts_as_reused_whether_it_was_used_or_not() {
        for rotation in all_rotations() {
            for token in [Token::Fresh, Token::Used(0)] {
                let Exchange::Rejected { standing, family } = rotation.exchange(token, true, 1)
                else {
                    panic!("{rotation:?} takes a revoked token");
                };
                assert_eq!(standing, Standing::Revoked);
                let keeps = rotation.on_reuse == OnReuse::KeepFamily;
                assert_eq!(family == FamilyChange::Unchanged, keeps, "{rotation:?}");
            }
        }
    }

    #[test]
    fn an_unknown_token_is_rejected_and_changes_no_family() {
        for rotation in all_rotations() {
            let rejected = Exchange::Rejected {
                standing: Standing::Unknown,
                family: FamilyChange::Unchanged,
            };
            assert_eq!(rotation.exchange(Token::Unknown, false, 0), rejected);
            assert_eq!(rotation.exchange(Token::Unknown, true, 0), rejected);
        }
    }
}
