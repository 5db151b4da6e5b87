//! What the OAuth endpoints remember between two requests: sign-ins that are on their way through the browser, and the
//! codes that these ended with. In memory only: after a restart a person starts again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::clients::{Client, Clients};
use super::refusal::OAuthRefusal;
use crate::accounts::{Account, Membership};
use crate::auth::Subject;

/// Milliseconds that a code is good for, as at Twenty.
const CODE_LIFETIME: i64 = 5 * 60 * 1_000;
/// Milliseconds that a person has between two pages.
const PAGE_LIFETIME: i64 = 10 * 60 * 1_000;
/// Sign-ins in browsers and codes at a time; of more, the oldest are forgotten. Nobody has so many open.
const AT_A_TIME: usize = 64;

/// What an application asks for in the browser.
#[derive(Clone, Debug)]
pub(crate) struct Authorization {
    pub(crate) client: Client,
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    /// Of the verifier that the application keeps (RFC 7636, S256).
    pub(crate) challenge: String,
}

/// What a person is asked next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    Password,
    OneTimeCode(&'static Account),
    Workspace(&'static Account),
    Consent(&'static Account, &'static Membership),
}

/// One sign-in in a browser.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) authorization: Authorization,
    pub(crate) stage: Stage,
}

/// A code that was given out.
#[derive(Clone)]
struct Code {
    authorization: Authorization,
    subject: Subject,
    is_used: bool,
}

/// Everything about OAuth 2 that is not a token.
pub(crate) struct OAuthState {
    pub(crate) clients: Clients,
    visits: Expiring<Visit>,
    codes: Expiring<Code>,
}

impl OAuthState {
    pub(crate) fn new(clients: Clients) -> Self {
        Self {
            clients,
            visits: Expiring::new(PAGE_LIFETIME),
            codes: Expiring::new(CODE_LIFETIME),
        }
    }

    /// Keeps a sign-in until its next page; returns its name, which nobody can guess.
    pub(crate) fn keep_visit(&self, visit: Visit, now: i64) -> String {
        self.visits.keep(visit, now)
    }

    /// The sign-in of this name, which is over unless it is kept again.
    pub(crate) fn take_visit(&self, name: &str, now: i64) -> Option<Visit> {
        self.visits
            .change(now, |visits| visits.remove(name))
            .map(|entry| entry.value)
    }

    /// A code for the tokens of this person.
    pub(crate) fn issue_code(
        &self,
        authorization: Authorization,
        subject: Subject,
        now: i64,
    ) -> String {
        let code = Code {
            authorization,
            subject,
            is_used: false,
        };
        self.codes.keep(code, now)
    }

    /// Whose tokens a code stands for. It works once; a wrong verifier does not use it up, as at Twenty.
    pub(crate) fn redeem_code(
        &self,
        code: &str,
        client_id: &str,
        redirect_uri: &str,
        verifier: &str,
        now: i64,
    ) -> Result<Subject, OAuthRefusal> {
        self.codes.change(now, |codes| {
            let not_found = || OAuthRefusal::invalid_grant("Authorization code not found");
            let kept = &mut codes.get_mut(code).ok_or_else(not_found)?.value;
            if kept.authorization.client.id != client_id {
                return Err(not_found());
            }
            if kept.is_used {
                return Err(OAuthRefusal::invalid_grant(
                    "Authorization code has already been used",
                ));
            }
            if kept.authorization.redirect_uri != redirect_uri {
                return Err(OAuthRefusal::invalid_grant(
                    "Redirect URI does not match the authorization request",
                ));
            }
            if challenge_of(verifier) != kept.authorization.challenge {
                return Err(OAuthRefusal::invalid_grant(
                    "Code verifier does not match the code challenge",
                ));
            }
            kept.is_used = true;
            Ok(kept.subject)
        })
    }
}

/// RFC 7636, section 4.2.
fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// Values under names that nobody can guess, each for a limited time.
struct Expiring<T> {
    lifetime: i64,
    entries: Mutex<HashMap<String, Entry<T>>>,
}

struct Entry<T> {
    value: T,
    until: i64,
}

impl<T> Expiring<T> {
    fn new(lifetime: i64) -> Self {
        Self {
            lifetime,
            entries: Mutex::new(HashMap::new()),
        }
    }

    fn keep(&self, value: T, now: i64) -> String {
        let name = Uuid::new_v4().simple().to_string();
        let until = now.saturating_add(self.lifetime);
        self.change(now, |entries| {
            if entries.len() >= AT_A_TIME {
                let oldest = entries.iter().min_by_key(|(_, entry)| entry.until);
                if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                    entries.remove(&oldest);
                }
            }
            entries.insert(name.clone(), Entry { value, until });
        });
        name
    }

    /// Works on the values that have not expired.
    fn change<R>(&self, now: i64, work: impl FnOnce(&mut HashMap<String, Entry<T>>) -> R) -> R {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| now < entry.until);
        work(&mut entries)
    }
}
