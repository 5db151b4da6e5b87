//! The lock is kept while the newest credentials are nowhere but in this process: the stored refresh token is spent, and
//! another process that took the lock would send it.

use graphql_session_renewal::{
    Action, Cause, Event, Exchange, RenewalReason, SaveFailure, SessionId, Step, TokenFate,
    VaultError, VaultView,
};

use crate::process::{Process, RULES, entry, files, info};

const SAVE_FAILED: Event = Event::Saved(Err(SaveFailure::Vault(VaultError::Failed)));

/// Has renewed, and could not save.
fn unsaved() -> Process {
    let mut process = Process::exchanging();
    process.hears(Event::Exchanged(Exchange::Renewed(
        info(2),
        Cause::NewTokens,
    )));
    process.hears(SAVE_FAILED);
    assert!(matches!(process.state.step, Step::KeepingLock { .. }));
    assert_keeps_the_lock(&process);
    process
}

#[track_caller]
fn assert_keeps_the_lock(process: &Process) {
    assert!(
        process.state.has_lock && !process.does(|action| *action == Action::ReleaseLock),
        "the lock was released: {:?}",
        process.actions
    );
}

#[test]
fn the_lock_is_kept_until_a_later_save_succeeds() {
    let mut process = unsaved();
    let save_again = |process: &mut Process| {
        let due = process.state.next_wake(&RULES).expect("it saves again");
        process.stays_awake(due.since(process.now.awake));
        process.hears(Event::Tick);
    };
    for _ in 0..10 {
        save_again(&mut process);
        assert_eq!(process.actions, [Action::Save(info(2))]);
        process.hears(SAVE_FAILED);
        assert_keeps_the_lock(&process);
    }

    save_again(&mut process);
    process.hears(Event::Saved(Ok(())));

    assert!(process.does(|action| *action == Action::ReleaseLock));
}

#[test]
fn the_lock_is_kept_through_the_pause_after_another_renewal_that_failed() {
    let mut process = unsaved();
    process.hears(Event::Needed {
        waiter: 2,
        seen: info(2),
        reason: RenewalReason::Expired,
    });
    // What is stored: the first generation, and in the state file that there is a second.
    process.rereads(files(2, false), entry(1));
    process.hears(Event::Marked(Err(VaultError::Failed)));
    assert!(process.does(|action| matches!(action, Action::Exchange { .. })));

    process.hears(Event::Exchanged(Exchange::Inconclusive {
        token: TokenFate::NotUsed,
        retry_after: Some(40_000),
        cause: Cause::Throttled(200),
    }));

    assert!(matches!(process.state.step, Step::Pausing { .. }));
    assert_keeps_the_lock(&process);
}

#[test]
fn the_lock_is_kept_after_the_entry_of_an_older_session_was_removed() {
    let dead = SessionId::of(9);
    let mut process = unsaved();
    // Another process says that it has something newer.
    process.hears(Event::FilesChanged(files(3, true)));
    assert_eq!(process.actions, [Action::Reread]);
    process.rereads(files(2, false), VaultView::DeadEntry(dead));
    assert_eq!(process.actions, [Action::Remove(dead)]);

    process.hears(Event::Removed(Ok(())));

    assert_keeps_the_lock(&process);
    assert!(process.does(|action| *action == Action::Reread));
    process.rereads(files(2, false), VaultView::Empty);
    assert_eq!(process.actions, [Action::Save(info(2))]);
}
