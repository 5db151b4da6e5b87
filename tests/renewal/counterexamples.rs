//! What the search (`search/main.rs`) has found, each as the shortest story that shows it.

use graphql_session_renewal::sim::RULES;
use graphql_session_renewal::{
    Action, Awake, Cause, CredentialsId, CredentialsInfo, EndingReason, Event, Exchange, FileState,
    FileView, Now, Outcome, RenewalReason, ServerTime, SessionId, Standing, State, Step,
    VaultError, VaultView, View, Wall, step,
};

const NOW: Now = Now {
    awake: Awake::from_ms(0),
    wall: Wall::from_ms(1_000_000),
    server: ServerTime::from_ms(1_000_000),
    random: 700,
    in_use: true,
};

/// Credentials of the one session.
fn info(generation: u64) -> CredentialsInfo {
    CredentialsInfo {
        session: SessionId::of(1),
        begun_at: Wall::default(),
        generation,
        credentials: CredentialsId::of(generation.into()),
        access_until: None,
        issued_at: ServerTime::default(),
    }
}

fn files(generation: u64, saved: bool) -> FileView {
    FileView {
        ended: None,
        state: Some(FileState {
            info: info(generation),
            ended: None,
            saved,
            not_before: None,
            last_failure: None,
        }),
    }
}

fn entry(generation: u64) -> VaultView {
    VaultView::Entry {
        info: info(generation),
        renewing_at: None,
    }
}

/// A process with one session, and what it did last.
struct Process {
    state: State,
    actions: Vec<Action>,
}

impl Process {
    /// Has opened the first generation, was refused, and reads files and vault again under the lock.
    fn rereading() -> Self {
        let mut process = Self {
            state: State::default(),
            actions: Vec::new(),
        };
        process.hears(Event::Opened(View {
            files: files(1, true),
            vault: entry(1),
        }));
        process.hears(Event::Needed {
            waiter: 1,
            seen: info(1),
            reason: RenewalReason::Refused,
        });
        process.hears(Event::LockTaken);
        assert_eq!(process.actions, [Action::Reread]);
        process
    }

    fn hears(&mut self, event: Event) {
        let state = std::mem::take(&mut self.state);
        (self.state, self.actions) = step(state, event, NOW, &RULES);
    }

    fn does(&self, is_meant: impl Fn(&Action) -> bool) -> bool {
        self.actions.iter().any(is_meant)
    }

    fn told_unreachable(&self) -> bool {
        self.does(|action| matches!(action, Action::Settle(_, Outcome::Unreachable { .. })))
    }
}

#[test]
fn a_sign_out_while_the_vault_is_read_is_not_undone_by_what_was_read() {
    let mut process = Process::rereading();

    process.hears(Event::SignedOut);
    process.hears(Event::Reread(View {
        files: files(1, true),
        vault: entry(1),
    }));

    assert_eq!(process.state.held(), None);
    assert!(process.does(|action| *action == Action::Remove(SessionId::of(1))));
}

/// 1. Another process renews and saves.
/// 2. The keyring fails when this one reads it.
#[test]
fn newer_credentials_that_the_vault_does_not_show_keep_the_spent_ones_from_being_exchanged() {
    for (vault, saved) in [
        (VaultView::Unavailable(VaultError::Locked), true),
        (VaultView::Unavailable(VaultError::Slow), false),
    ] {
        let mut process = Process::rereading();

        process.hears(Event::Reread(View {
            files: files(2, saved),
            vault,
        }));

        assert!(process.told_unreachable(), "{vault:?}");
        assert!(matches!(process.state.step, Step::Pausing { .. }));
        assert!(!process.state.has_lock);
    }
}

/// The same, and somebody has cleared the keyring.
#[test]
fn newer_credentials_that_somebody_took_away_leave_the_session_locked_and_nothing_is_sent() {
    for vault in [VaultView::Empty, VaultView::Damaged] {
        let mut process = Process::rereading();

        process.hears(Event::Reread(View {
            files: files(2, true),
            vault,
        }));

        assert!(process.does(|action| matches!(action, Action::Settle(_, Outcome::Locked))));
        assert!(matches!(process.state.session, Standing::Locked { .. }));
        assert!(!process.does(|action| *action == Action::Exchange));
        assert!(!process.does(|action| matches!(action, Action::AppendEnded(..))));
        assert!(!process.state.has_lock);
    }
}

/// The entry is that of an older session, which is over.
#[test]
fn a_dead_entry_that_cannot_be_removed_does_not_keep_a_renewal_from_its_turn() {
    let dead = SessionId::of(9);
    let view = View {
        files: files(1, true),
        vault: VaultView::DeadEntry(dead),
    };
    let mut process = Process::rereading();
    process.hears(Event::Reread(view));
    assert_eq!(process.actions, [Action::Remove(dead)]);

    process.hears(Event::Removed(Err(VaultError::Locked)));
    assert!(process.does(|action| *action == Action::Reread));
    process.hears(Event::Reread(view));

    assert!(process.does(|action| matches!(action, Action::Mark { .. })));
}

#[test]
fn a_rejection_is_not_believed_while_the_vault_hides_newer_credentials() {
    let mut process = Process::rereading();
    process.hears(Event::Reread(View {
        files: files(1, true),
        vault: entry(1),
    }));
    process.hears(Event::Marked(Ok(())));
    process.hears(Event::Exchanged(Exchange::Rejected {
        ambiguous: false,
        cause: Cause::Http(200),
    }));

    process.hears(Event::Reread(View {
        files: files(2, true),
        vault: VaultView::Unavailable(VaultError::Locked),
    }));

    assert!(process.told_unreachable());
    assert!(
        !process
            .does(|action| { matches!(action, Action::AppendEnded(_, EndingReason::Rejected)) })
    );
}

/// 1. Another process renews, saves, and dies before it has written the state file.
/// 2. The keyring fails when this one reads it, and works when it writes.
#[test]
fn what_could_not_be_read_is_not_written_over_by_a_mark() {
    let mut process = Process::rereading();

    process.hears(Event::Reread(View {
        files: files(1, true),
        vault: VaultView::Unavailable(VaultError::Failed),
    }));

    assert!(!process.does(|action| matches!(action, Action::Mark { .. })));
    assert!(process.does(|action| *action == Action::Exchange));
}

/// The same, and this one comes after the grace time: without a word in the state file it would exchange the spent one.
#[test]
fn the_state_file_names_new_credentials_before_they_are_saved() {
    let mut process = Process::rereading();
    process.hears(Event::Reread(View {
        files: files(1, true),
        vault: entry(1),
    }));
    process.hears(Event::Marked(Ok(())));

    process.hears(Event::Exchanged(Exchange::Renewed(
        info(2),
        Cause::NewTokens,
    )));

    let told = process.actions.iter().position(
        |action| matches!(action, Action::WriteState { of, saved: false, .. } if *of == CredentialsId::of(2)),
    );
    let saved = process
        .actions
        .iter()
        .position(|action| *action == Action::Save(info(2)));
    assert!(told.is_some() && told < saved);
}

#[test]
fn where_there_is_no_keyring_nothing_is_hidden_and_the_renewal_goes_on() {
    let mut process = Process::rereading();

    process.hears(Event::Reread(View {
        files: files(2, false),
        vault: VaultView::Unavailable(VaultError::Missing),
    }));

    assert!(process.does(|action| *action == Action::Exchange));
}
