//! How a case begins: mostly with a session and one process. The other beginnings are situations that random steps
//! rarely reach. In each, the next step may already break something.

use graphql_session::VaultError;
use graphql_session_testing::VaultCall;
use proptest::prelude::*;

use super::faults::Trouble;
use super::model::{AtServer, Calls, KeyringTrouble, Span, Step};

/// What has happened before the first step. It begins with one process, signed in to every account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// One process.
    SignedIn,
    /// Two processes.
    TwoProcesses,
    /// One process has renewed, and the other does not know of it yet.
    Behind,
    /// The same, and the keyring cannot be read.
    BehindALockedKeyring,
    /// One process renews, and the other has signed out.
    SignedOutElsewhere,
    /// The same, and a process has signed in anew.
    SignedInElsewhere,
    /// A call has been sent under a session that was replaced since.
    CallOfTheSessionBefore,
    /// A call has been sent with credentials that were renewed since.
    CallOfTheGenerationBefore,
    /// The process was killed, and has started with a locked keyring.
    StartedLocked,
    /// The process was killed while it renewed, and the answer is lost. It runs again.
    DiedWhileRenewing,
}

pub(crate) fn beginnings() -> impl Strategy<Value = Beginning> {
    prop_oneof![
        8 => Just(Beginning::SignedIn),
        4 => Just(Beginning::TwoProcesses),
        1 => Just(Beginning::Behind),
        3 => Just(Beginning::BehindALockedKeyring),
        3 => Just(Beginning::SignedOutElsewhere),
        1 => Just(Beginning::SignedInElsewhere),
        3 => Just(Beginning::CallOfTheSessionBefore),
        3 => Just(Beginning::CallOfTheGenerationBefore),
        2 => Just(Beginning::StartedLocked),
        2 => Just(Beginning::DiedWhileRenewing),
    ]
}

impl Beginning {
    /// The steps that lead there, from one process that is signed in.
    pub(crate) fn steps(self) -> Vec<Step> {
        let account = 0;
        let query = Step::Call(Calls::one_query(0));
        let opens = |process| Step::Opens { process };
        let sign_in = |process| Step::SignIn { process, account };
        let expires = Step::Server(account, AtServer::AccessExpires);
        let renews = [opens(1), expires, query];
        let is_renewing = [
            opens(1),
            expires,
            Step::Server(account, AtServer::HoldRenewal),
            query,
        ];
        let sign_out = Step::SignOut {
            process: 1,
            account,
        };
        let locked = KeyringTrouble::Only(VaultCall::Read, VaultError::Locked);
        let dies = Step::Dies {
            process: 0,
            lands: true,
        };
        let holds_call = |breaks| Step::HoldCall { account, breaks };
        match self {
            Self::SignedIn => vec![],
            Self::TwoProcesses => vec![opens(1)],
            Self::Behind => renews.to_vec(),
            Self::BehindALockedKeyring => [&renews[..], &[Step::Keyring(locked)]].concat(),
            Self::SignedOutElsewhere => [&is_renewing[..], &[sign_out]].concat(),
            Self::SignedInElsewhere => [&is_renewing[..], &[sign_out, sign_in(1)]].concat(),
            Self::CallOfTheSessionBefore => {
                // The server issues the same access token twice within a second.
                vec![
                    holds_call(true),
                    query,
                    Step::Pass(Span::Seconds),
                    sign_in(0),
                ]
            }
            Self::CallOfTheGenerationBefore => vec![holds_call(false), query, expires, query],
            Self::StartedLocked => {
                let locked = KeyringTrouble::Fails(VaultError::Locked);
                vec![Step::Keyring(locked), dies, opens(0)]
            }
            Self::DiedWhileRenewing => vec![
                expires,
                Step::RenewalsGoWrong {
                    account,
                    how: Trouble::ActsThenStalls,
                    times: 1,
                },
                query,
                dies,
                opens(0),
            ],
        }
    }
}
