//! How often each kind of fault is chosen.

use graphql_session::VaultError;
use graphql_session_testing::{FileCall, VaultCall};
use proptest::prelude::*;

use super::faults::Trouble;
use super::model::{DiskTrouble, KeyringTrouble, Span};

pub(crate) fn spans() -> impl Strategy<Value = Span> + Clone {
    prop_oneof![
        4 => Just(Span::Moment),
        4 => Just(Span::Seconds),
        3 => Just(Span::Attempt),
        2 => Just(Span::LockWait),
        2 => Just(Span::Grace),
        1 => Just(Span::Call),
        1 => Just(Span::Minutes),
        2 => Just(Span::Lifetime),
        3 => Just(Span::NextAttempt),
    ]
}

pub(crate) fn renewal_troubles() -> impl Strategy<Value = Trouble> {
    let status = prop::sample::select(vec![408, 425, 429, 500, 502, 503, 504]);
    prop_oneof![
        8 => status.clone().prop_map(Trouble::Status),
        2 => prop::sample::select(vec![1, 20, 40, 300]).prop_map(Trouble::RetryAfter),
        1 => prop::sample::select(vec![200, 403, 511]).prop_map(Trouble::Page),
        1 => Just(Trouble::Redirect),
        1 => Just(Trouble::Empty),
        1 => Just(Trouble::NotJson),
        1 => Just(Trouble::WithoutTokens),
        1 => Just(Trouble::Truncated),
        1 => Just(Trouble::StallsInBody),
        1 => Just(Trouble::BreaksInBody),
        2 => Just(Trouble::Stalls),
        1 => Just(Trouble::Breaks),
        1 => Just(Trouble::Closes),
        3 => Just(Trouble::ActsThenBreaks),
        2 => Just(Trouble::ActsThenStalls),
        1 => status.prop_map(Trouble::ActsThenStatus),
        1 => Just(Trouble::InternalError),
        1 => Just(Trouble::Throttled),
        1 => Just(Trouble::NoMember),
        1 => Just(Trouble::Rejected),
        1 => Just(Trouble::KeepsRefreshToken),
        1 => Just(Trouble::OtherPersonsTokens),
    ]
}

pub(crate) fn call_troubles() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        1 => prop::sample::select(vec![401, 500, 503]).prop_map(Trouble::Status),
        1 => prop::sample::select(vec![200, 302, 403]).prop_map(Trouble::Page),
        8 => Just(Trouble::Refused),
        2 => Just(Trouble::PartlyRefused),
        1 => Just(Trouble::Stalls),
        1 => Just(Trouble::Breaks),
        1 => Just(Trouble::Closes),
        1 => Just(Trouble::StallsInBody),
        1 => Just(Trouble::BreaksInBody),
        2 => Just(Trouble::ActsThenBreaks),
        1 => Just(Trouble::ActsThenStalls),
    ]
}

pub(crate) fn keyring_troubles() -> impl Strategy<Value = KeyringTrouble> {
    let error = prop::sample::select(vec![
        VaultError::Locked,
        VaultError::Missing,
        VaultError::Failed,
    ]);
    let kind = prop::sample::select(vec![VaultCall::Read, VaultCall::Write, VaultCall::Remove]);
    prop_oneof![
        3 => error.clone().prop_map(KeyringTrouble::Fails),
        2 => (kind.clone(), error).prop_map(|(kind, error)| KeyringTrouble::Only(kind, error)),
        2 => kind.clone().prop_map(KeyringTrouble::Once),
        2 => kind.prop_map(KeyringTrouble::Slow),
        2 => Just(KeyringTrouble::Slow(VaultCall::Write)),
        1 => Just(KeyringTrouble::Panics),
    ]
}

pub(crate) fn disk_troubles() -> impl Strategy<Value = DiskTrouble> {
    let write = prop::sample::select(vec![FileCall::Append, FileCall::Replace]);
    // Less than the shortest record of an ending: a whole one would be read.
    let torn = 1_usize..40;
    prop_oneof![
        3 => Just(DiskTrouble::Full),
        2 => write.clone().prop_map(DiskTrouble::Fails),
        2 => write.prop_map(DiskTrouble::Once),
        1 => torn.clone().prop_map(DiskTrouble::Tears),
        2 => torn.prop_map(DiskTrouble::TearsOnce),
        2 => Just(DiskTrouble::Slow),
    ]
}
