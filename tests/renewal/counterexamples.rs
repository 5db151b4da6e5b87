//! What the search (`search/main.rs`) has found, each as the shortest story that shows it.

use graphql_session_renewal::{
    Action, Cause, CredentialsId, EndingReason, Event, Exchange, Outcome, SessionId, Standing,
    Step, VaultError, VaultView,
};

use crate::process::{Process, entry, files, info};

#[test]
fn a_sign_out_while_the_vault_is_read_is_not_undone_by_what_was_read() {
    let mut process = Process::rereading();

    process.hears(Event::SignedOut);
    process.rereads(files(1, true), entry(1));

    assert_eq!(process.state.held(), None);
    assert!(process.does(|action| *action == Action::Remove(SessionId::of(1))));
}

/// 1. Another process renews and saves.
/// 2. The keyring fails when this one reads it.
#[test]
fn while_the_vault_hides_newer_credentials_the_spent_ones_are_not_exchanged() {
    for (vault, saved) in [
        (VaultView::Unavailable(VaultError::Locked), true),
        (VaultView::Unavailable(VaultError::Slow), false),
    ] {
        let mut process = Process::rereading();

        process.rereads(files(2, saved), vault);

        assert!(process.told_unreachable(), "{vault:?}");
        assert!(matches!(process.state.step, Step::Pausing { .. }));
        assert!(!process.state.has_lock);
    }
}

/// The same, and the keyring was cleared.
#[test]
fn newer_credentials_that_were_deleted_leave_the_session_locked_and_nothing_is_sent() {
    for vault in [VaultView::Empty, VaultView::Damaged] {
        let mut process = Process::rereading();

        process.rereads(files(2, true), vault);

        assert!(process.does(|action| matches!(action, Action::Settle(_, Outcome::Locked))));
        assert!(matches!(process.state.session, Standing::Locked { .. }));
        assert!(!process.does(|action| matches!(action, Action::Exchange { .. })));
        assert!(!process.does(|action| matches!(action, Action::AppendEnded(..))));
        assert!(!process.state.has_lock);
    }
}

/// The entry is that of an older session, which is over.
#[test]
fn a_dead_entry_that_cannot_be_removed_does_not_stop_a_renewal() {
    let dead = SessionId::of(9);
    let mut process = Process::rereading();
    process.rereads(files(1, true), VaultView::DeadEntry(dead));
    assert_eq!(process.actions, [Action::Remove(dead)]);

    process.hears(Event::Removed(Err(VaultError::Locked)));
    assert!(process.does(|action| *action == Action::Reread));
    process.rereads(files(1, true), VaultView::DeadEntry(dead));

    assert!(process.does(|action| matches!(action, Action::Mark { .. })));
}

#[test]
fn a_rejection_is_not_believed_while_the_vault_hides_newer_credentials() {
    let mut process = Process::exchanging();
    process.hears(Event::Exchanged(Exchange::Rejected {
        ambiguous: false,
        cause: Cause::Http(200),
    }));

    process.rereads(files(2, true), VaultView::Unavailable(VaultError::Locked));

    assert!(process.told_unreachable());
    assert!(
        !process
            .does(|action| { matches!(action, Action::AppendEnded(_, EndingReason::Rejected)) })
    );
}

/// 1. Another process renews, saves, and dies before it has written the state file.
/// 2. The keyring fails when this one reads it, and works when it writes.
#[test]
fn an_entry_that_could_not_be_read_is_not_overwritten_by_a_mark() {
    let mut process = Process::rereading();

    process.rereads(files(1, true), VaultView::Unavailable(VaultError::Failed));

    assert!(!process.does(|action| matches!(action, Action::Mark { .. })));
    assert!(process.does(|action| matches!(action, Action::Exchange { .. })));
}

/// The same, and this process renews after the grace time. If the state file did not name the new credentials, it would
/// exchange the spent ones.
#[test]
fn the_state_file_names_new_credentials_before_they_are_saved() {
    let mut process = Process::exchanging();

    process.hears(Event::Exchanged(Exchange::Renewed(
        info(2),
        Cause::NewTokens,
    )));

    let told = process.actions.iter().position(
        |action| matches!(action, Action::WriteState(write) if !write.saved && write.of == CredentialsId::of(2)),
    );
    let saved = process
        .actions
        .iter()
        .position(|action| *action == Action::Save(info(2)));
    assert!(told.is_some() && told < saved);
}

#[test]
fn without_a_keyring_no_newer_credentials_are_hidden_and_the_renewal_goes_on() {
    let mut process = Process::rereading();

    process.rereads(files(2, false), VaultView::Unavailable(VaultError::Missing));

    assert!(process.does(|action| matches!(action, Action::Exchange { .. })));
}
