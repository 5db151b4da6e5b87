//! One process with one session, as the decisions see it.

pub(crate) use graphql_session_renewal::sim::RULES;
use graphql_session_renewal::{
    Action, Awake, CredentialsId, CredentialsInfo, Event, FileState, FileView, Now, Outcome,
    RenewalReason, ServerTime, SessionId, State, VaultView, View, Wall, step,
};

/// When a [`Process`] begins. Its random bits draw the shortest of every pause.
const START: Now = Now {
    awake: Awake::from_ms(0),
    wall: Wall::from_ms(1_000_000),
    server: ServerTime::from_ms(1_000_000),
    random: 700,
    in_use: true,
};

/// Credentials of the one session.
pub(crate) fn info(generation: u64) -> CredentialsInfo {
    CredentialsInfo {
        session: SessionId::of(1),
        begun_at: Wall::default(),
        generation,
        credentials: CredentialsId::of(generation.into()),
        access_until: None,
        issued_at: ServerTime::default(),
    }
}

pub(crate) fn files(generation: u64, saved: bool) -> FileView {
    FileView {
        ended: None,
        state: Some(FileState {
            info: info(generation),
            ended: None,
            saved,
            not_before: None,
            last_failure: None,
        }),
        unreadable: None,
    }
}

pub(crate) fn entry(generation: u64) -> VaultView {
    VaultView::Entry {
        info: info(generation),
        renewing_at: None,
    }
}

/// A process with one session, and what it did last.
pub(crate) struct Process {
    pub(crate) state: State,
    pub(crate) actions: Vec<Action>,
    pub(crate) now: Now,
}

impl Process {
    /// Has not looked at files and vault yet.
    pub(crate) fn unopened() -> Self {
        Self {
            state: State::default(),
            actions: Vec::new(),
            now: START,
        }
    }

    /// Has opened the first generation, was refused, and reads files and vault again under the lock.
    pub(crate) fn rereading() -> Self {
        let mut process = Self::unopened();
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

    /// The same, and an exchange of the first generation is on the wire.
    pub(crate) fn exchanging() -> Self {
        let mut process = Self::rereading();
        process.rereads(files(1, true), entry(1));
        process.hears(Event::Marked(Ok(())));
        assert!(process.does(|action| matches!(action, Action::Exchange { .. })));
        process
    }

    pub(crate) fn hears(&mut self, event: Event) {
        let state = std::mem::take(&mut self.state);
        (self.state, self.actions) = step(state, event, self.now, &RULES);
    }

    /// Finds this in files and vault when it reads them again.
    pub(crate) fn rereads(&mut self, files: FileView, vault: VaultView) {
        self.hears(Event::Reread(View { files, vault }));
    }

    /// The machine is awake for this long, in ms.
    pub(crate) fn stays_awake(&mut self, ms: u64) {
        self.now.awake = self.now.awake.plus(ms);
        self.sleeps(ms);
    }

    /// The machine sleeps for this long, in ms: only the wall clocks go on.
    pub(crate) fn sleeps(&mut self, ms: u64) {
        self.now.wall = self.now.wall.plus(ms);
        self.now.server = self.now.server.plus(ms);
    }

    pub(crate) fn does(&self, is_meant: impl Fn(&Action) -> bool) -> bool {
        self.actions.iter().any(is_meant)
    }

    pub(crate) fn told_unreachable(&self) -> bool {
        self.does(|action| matches!(action, Action::Settle(_, Outcome::Unreachable { .. })))
    }
}
