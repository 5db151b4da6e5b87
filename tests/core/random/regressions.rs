//! Cases that once failed, as shrunk lists of steps, each with what it showed. All are about account 0.

use graphql_session::VaultError::Locked;
use graphql_session_testing::VaultCall::{Read, Write};

use super::beginning::Beginning;
use super::faults::Trouble;
use super::model::AtServer::{AccessExpires, HoldRenewal, RefreshExpires, Stops};
use super::model::KeyringTrouble::{Fails, Slow};
use super::model::Span::Call as LongerThanAnyCall;
use super::model::Span::{Grace, Lifetime, LockWait, Minutes, Moment, NextAttempt, Seconds};
use super::model::Step::*;
use super::model::{Calls, DiskTrouble, Setting, Step};

const ORDINARY: Setting = Setting {
    accounts: 1,
    grace: true,
    revokes: true,
    end_after: false,
    hands: false,
    clocks: false,
    beginning: Beginning::SignedIn,
};

/// A failed attempt had been noted by the clock from before the change. It counted as "just tried", and its pause
/// lasted for hours.
#[test]
fn a_clock_set_back_after_a_failed_attempt_does_not_prolong_its_pause() {
    let setting = Setting {
        clocks: true,
        ..ORDINARY
    };
    setting.replay(&[
        Sleep { hours: 1 },
        Server(0, Stops),
        call(0),
        ClockSet { hours: -2 },
    ]);
}

/// The other process had renewed and saved, and its spent token was exchanged because the vault did not answer.
#[test]
fn a_spent_token_is_not_exchanged_while_the_keyring_is_locked() {
    let setting = Setting {
        grace: false,
        ..ORDINARY
    };
    setting.replay(&[
        Opens { process: 2 },
        Pass(Lifetime),
        Opens { process: 1 },
        call(2),
        Keyring(Fails(Locked)),
        call(0),
    ]);
}

/// A sign-out with a locked keyring tried to remove the entry once, and never again.
#[test]
fn a_sign_out_with_a_locked_keyring_keeps_trying_to_remove_the_entry() {
    ORDINARY.replay(&[Keyring(Fails(Locked)), sign_out(0), Pass(Moment)]);
}

/// The second sign-in replaced the first one during its save. In half of the runs the first one was then adopted as the
/// newer one, and its entry removed: of two sign-ins in one instant, either may count as newer.
#[test]
fn a_sign_in_that_a_later_one_replaced_is_not_adopted_afterwards() {
    for _ in 0..6 {
        ORDINARY.replay(&[
            Opens { process: 2 },
            Keyring(Slow(Write)),
            sign_in(2),
            sign_in(2),
            KeyringHeals,
        ]);
    }
}

/// The other process looked at the keyring while it was locked, and showed "signed out" from then on.
#[test]
fn a_sign_in_of_another_process_is_noticed_although_the_keyring_is_locked() {
    ORDINARY.replay(&[
        Opens { process: 2 },
        sign_out(2),
        sign_in(0),
        Keyring(Fails(Locked)),
        Pass(Seconds),
    ]);
}

/// The second process did not know of the first one's sign-in, and overwrote it. After its sign-out the first process
/// went on with a session that was stored nowhere.
#[test]
fn a_session_that_another_process_overwrote_by_a_sign_in_is_over() {
    ORDINARY.replay(&[Opens { process: 1 }, sign_in(0), sign_in(1), sign_out(1)]);
}

/// A process that did not know of the new session yet signed out, and overwrote the new session's state file.
#[test]
fn a_sign_out_does_not_overwrite_the_newer_sign_in_of_another_process() {
    ORDINARY.replay(&[
        Opens { process: 1 },
        Opens { process: 2 },
        sign_out(1),
        sign_in(2),
        sign_out(0),
    ]);
}

/// The later of two sign-ins was saved only after the earlier one. Its mark overwrote the entry, and its ending removed
/// the entry, while the other process took its own session for saved. (In half of the runs: see above.)
#[test]
fn the_mark_of_an_unsaved_sign_in_does_not_overwrite_an_entry_saved_meanwhile() {
    let setting = Setting {
        grace: false,
        revokes: false,
        beginning: Beginning::DiedWhileRenewing,
        ..ORDINARY
    };
    for _ in 0..6 {
        setting.replay(&[
            Opens { process: 1 },
            Keyring(Slow(Write)),
            calls_go_wrong(Trouble::Refused, 5),
            sign_in(1),
            sign_in(0),
            Server(0, RefreshExpires),
            Pass(LongerThanAnyCall),
            Call(Calls {
                mutation: true,
                metadata: true,
                many: 3,
                ..Calls::one_query(0)
            }),
        ]);
    }
}

/// Two sign-ins a millisecond apart, both unsaved: either may count as the later one, and the other is over. (In half
/// of the runs the check took that for a session that ended without a sign-out.)
#[test]
fn of_two_unsaved_sign_ins_in_one_instant_one_is_over() {
    let setting = Setting {
        revokes: false,
        beginning: Beginning::SignedOutElsewhere,
        ..ORDINARY
    };
    for _ in 0..6 {
        setting.replay(&[
            sign_in(1),
            Pass(NextAttempt),
            sign_in(0),
            Keyring(Fails(Locked)),
            Pass(LockWait),
        ]);
    }
}

/// The later of two unsaved sign-ins died with its process, and the earlier one was saved. (The check took the lost one for
/// a session that ended without a sign-out.)
#[test]
fn an_unsaved_sign_in_that_died_with_its_process_gives_way_to_an_earlier_one() {
    let setting = Setting {
        grace: false,
        revokes: false,
        beginning: Beginning::SignedInElsewhere,
        ..ORDINARY
    };
    setting.replay(&[
        Keyring(Fails(Locked)),
        sign_in(0),
        Pass(LockWait),
        sign_in(0),
        Dies {
            process: 0,
            lands: false,
        },
    ]);
}

/// A sign-in came while an ambiguous rejection waited for its confirmation. It waited for that pause, too: half a
/// minute, for a session that was over anyway.
#[test]
fn a_sign_in_does_not_wait_for_the_confirmation_of_an_old_sessions_rejection() {
    let setting = Setting {
        grace: false,
        revokes: false,
        beginning: Beginning::CallOfTheSessionBefore,
        ..ORDINARY
    };
    setting.replay(&[
        renewals_go_wrong(Trouble::StallsInBody, 2),
        calls_go_wrong(Trouble::Refused, 1),
        renewals_go_wrong(Trouble::NoMember, 2),
        call(0),
        Keyring(Slow(Read)),
        Pass(Minutes),
        Pass(Grace),
        sign_in(0),
        Pass(Grace),
    ]);
}

/// The server exchanged the refresh token, and its answer was lost. The next attempt got only an access token, so the
/// spent refresh token stayed. (The check expected the reason `lost_answer` for its rejection.)
#[test]
fn after_a_lost_answer_a_server_may_renew_without_a_new_refresh_token() {
    ORDINARY.replay(&[
        Opens { process: 2 },
        renewals_go_wrong(Trouble::Truncated, 1),
        renewals_go_wrong(Trouble::KeepsRefreshToken, 1),
        Server(0, AccessExpires),
        call(2),
        Pass(Grace),
        Server(0, AccessExpires),
        call(0),
    ]);
}

/// Written by hand, because random steps rarely find it: a process that was started on a restored older entry sends its
/// spent token, and the newer entry is put back while the server rejects it.
#[test]
fn a_rejection_is_not_believed_while_the_vault_holds_a_newer_entry() {
    let setting = Setting {
        grace: false,
        hands: true,
        ..ORDINARY
    };
    setting.replay(&[
        Server(0, AccessExpires),
        call(0),
        entry_restored(2),
        Opens { process: 1 },
        Server(0, HoldRenewal),
        call(1),
        entry_restored(1),
        LetGo { which: 0 },
    ]);
}

/// The sign-out is decided at once. Its caller may be about to quit, and so waits for the list, for as long as files may take.
#[test]
fn a_sign_out_while_the_ended_list_hangs_replies_within_the_limit_of_files() {
    ORDINARY.replay(&[
        Opens { process: 2 },
        Disk(DiskTrouble::Slow),
        sign_out(0),
        call(2),
    ]);
}

fn call(process: usize) -> Step {
    Call(Calls::one_query(process))
}

fn sign_in(process: usize) -> Step {
    let account = 0;
    SignIn { process, account }
}

fn sign_out(process: usize) -> Step {
    let account = 0;
    SignOut { process, account }
}

fn entry_restored(age: usize) -> Step {
    let account = 0;
    EntryRestored { account, age }
}

fn renewals_go_wrong(how: Trouble, times: usize) -> Step {
    let account = 0;
    RenewalsGoWrong {
        account,
        how,
        times,
    }
}

fn calls_go_wrong(how: Trouble, times: usize) -> Step {
    let account = 0;
    CallsGoWrong {
        account,
        how,
        times,
    }
}
