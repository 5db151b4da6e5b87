//! The task that performs what [`step`] decides.
//!
//! One task per session owns the state. It never waits for anything but its inbox: each slow action runs in a task of
//! its own and reports by a message. Callers only leave a message and wait for their outcome, so that none of them can
//! cancel a renewal (I2), and no two decisions are ever made at once.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use graphql_session_renewal::{
    Action, Awake, Cause, CredentialsId, CredentialsInfo, Event, Exchange, FileView, IoFailure,
    Now, Outcome, RenewalReason, Rules, Standing, State, Step, Storage, Unreachable, View,
    WaiterId, step,
};
use jiff::Timestamp;
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};

use crate::clock::{Sleep, millis};
use crate::credentials::Credentials;
use crate::files::Guard;
use crate::journal::NoteContext;
use crate::shared::Shared;
use crate::status::{Ending, Phase, Status};

mod perform;

/// How often the files are looked at where the file system does not tell of changes, so that a sign-out in one process
/// reaches the others within 2 s; in ms.
const FILE_POLL: u64 = 500;

/// The same where it does, in ms: for a change that it kept to itself, as after the folder was replaced.
const WATCHED_FILE_POLL: u64 = 30_000;

/// An application without a call for this long is not in use, and renews nothing ahead of expiry, in ms.
const IN_USE_FOR: u64 = 300_000;

/// A status that differs only in when the next attempt is due is published this long after the one before it, in ms: it is
/// shown in whole seconds, and each one wakes every window.
const COUNTDOWN_APART: u64 = 1_000;

/// Most messages between two looks at the files and at what is due. A call's message takes about a microsecond.
const BURST: usize = 256;

/// What reaches the task. Small: ten thousand calls may leave one each, all at once.
pub(crate) enum Message {
    /// A call waits for newer credentials than these.
    Need {
        waiter: WaiterId,
        seen: Arc<Credentials>,
        reason: RenewalReason,
        reply: oneshot::Sender<Outcome>,
    },
    WaiterLeft(WaiterId),
    Served(CredentialsId),
    /// A call that was refused is served after the renewal.
    ReplayServed(CredentialsId),
    /// A call got no answer.
    Lost(CredentialsId, Cause),
    RetryNow(oneshot::Sender<()>),
    NetworkChanged,
    SignIn(Box<Credentials>, oneshot::Sender<()>),
    SignOut(oneshot::Sender<()>),
    /// Answered once nothing would be lost by quitting.
    Quit(oneshot::Sender<()>),
    /// The last handle is gone.
    HandlesGone,
    Lock(Result<Guard, Cause>),
    /// What the files say to a process that holds these, if they have changed.
    Looked(Option<Box<(Option<CredentialsInfo>, FileView)>>),
    Reread(Box<View>, Option<Box<Credentials>>),
    Exchanged(Box<Exchange>, Option<Box<Credentials>>),
    Done(Box<Event>),
}

impl Message {
    /// An action is done, as the event says.
    pub(super) fn done(event: Event) -> Self {
        Self::Done(Box::new(event))
    }
}

/// Most bytes of one.
const MESSAGE_BYTES: usize = 32;
const _: () = assert!(size_of::<Message>() <= MESSAGE_BYTES);

/// The task.
pub(crate) struct Driver {
    pub(super) shared: Arc<Shared>,
    inbox: mpsc::UnboundedReceiver<Message>,
    pub(super) outbox: mpsc::UnboundedSender<Message>,
    pub(super) state: State,
    rules: Rules,
    pub(super) lock: Option<Guard>,
    /// Every credentials that the state names: held, received, found.
    pub(super) known: Vec<Arc<Credentials>>,
    waiters: FxHashMap<WaiterId, oneshot::Sender<Outcome>>,
    sign_ins: Vec<oneshot::Sender<()>>,
    quitting: Vec<oneshot::Sender<()>>,
    handles_gone: bool,
    /// It ended because nobody needs it any more.
    is_done: bool,
    /// The files are being looked at.
    is_looking: bool,
    trouble: Trouble,
    countdown: Countdown,
    pub(super) identity: Option<(String, Option<String>)>,
}

impl Driver {
    /// Reads the stored session, then starts the task.
    pub(crate) async fn start(shared: Arc<Shared>) -> mpsc::UnboundedSender<Message> {
        let (outbox, inbox) = mpsc::unbounded_channel();
        let limits = &shared.config.limits;
        let facts = shared.config.protocol.facts();
        let rules = Rules {
            attempt_timeout: millis(limits.attempt_timeout),
            renewal_timeout: millis(limits.renewal_timeout),
            grace: facts.grace.map_or(0, millis),
            reuse_ends_session: facts.reuse_ends_session,
            max_backoff: millis(limits.max_backoff),
            end_after: shared.config.end_after.map(millis),
            requires_lock: shared.config.requires_lock,
        };
        let file = shared.files.run(|files| files.state()).await;
        let file = file.ok().and_then(Result::ok).flatten();
        let identity = file.map(|file| (file.server, file.person));
        let (view, found) = shared.look(None).await;
        let mut driver = Self {
            shared,
            inbox,
            outbox: outbox.clone(),
            state: State::default(),
            rules,
            lock: None,
            known: found.into_iter().map(Arc::new).collect(),
            waiters: FxHashMap::default(),
            sign_ins: Vec::new(),
            quitting: Vec::new(),
            handles_gone: false,
            is_done: false,
            is_looking: false,
            trouble: Trouble::default(),
            countdown: Countdown::default(),
            identity,
        };
        driver.trouble.read(view.files.unreadable);
        driver.decide(Event::Opened(view));
        tokio::spawn(driver.run());
        outbox
    }

    async fn run(mut self) {
        let mut next_poll = self.shared.awake().plus(self.file_poll());
        let files_changed = self.shared.files_changed.clone();
        // When it is due, and its sleep. Kept from one message to the next: to set a timer costs as much as to
        // handle a message.
        let mut timer: Option<(Awake, Pin<Box<Sleep>>)> = None;
        while !(self.handles_gone && self.is_at_rest()) {
            let now = self.shared.awake();
            let wake = self.state.next_wake(&self.rules);
            if wake.is_some_and(|wake| wake <= now) {
                self.decide(Event::Tick);
            }
            if next_poll <= now {
                next_poll = now.plus(self.file_poll());
                self.look_at_files();
            }
            if self.countdown.due.is_some_and(|due| due <= now) {
                self.publish();
            }
            // Messages come in bursts; one look at the files and at what is due serves a whole burst.
            if self.receive_burst() {
                continue;
            }
            let wake = self.state.next_wake(&self.rules);
            let due = [wake, self.countdown.due].into_iter().flatten().min();
            let due = due.map_or(next_poll, |due| due.min(next_poll));
            let (_, sleep) = match &mut timer {
                Some(set) if set.0 == due => set,
                unset_or_other => {
                    let pause = due.since(self.shared.awake());
                    let sleep = self.shared.config.clock.sleep(Duration::from_millis(pause));
                    unset_or_other.insert((due, Box::pin(sleep)))
                }
            };
            tokio::select! {
                biased;
                Some(message) = self.inbox.recv() => self.receive(message),
                () = files_changed.notified() => self.look_at_files(),
                () = sleep => timer = None,
            }
        }
        self.perform(Action::ReleaseLock);
        self.is_done = true;
    }

    /// Receives what is there already. Whether there was anything.
    fn receive_burst(&mut self) -> bool {
        for received in 0..BURST {
            let Ok(message) = self.inbox.try_recv() else {
                return received > 0;
            };
            self.receive(message);
        }
        true
    }

    /// Whether the task could end now without losing anything.
    fn is_at_rest(&self) -> bool {
        let waits = matches!(
            self.state.step,
            Step::Idle | Step::Pausing { .. } | Step::KeepingLock { .. }
        );
        waits && !self.state.must_finish()
    }

    /// How often to look at the files, in ms.
    fn file_poll(&self) -> u64 {
        if self.shared.files.is_watched() {
            WATCHED_FILE_POLL
        } else {
            FILE_POLL
        }
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Need {
                waiter,
                seen,
                reason,
                reply,
            } => {
                self.waiters.insert(waiter, reply);
                let seen = seen.info;
                self.decide(Event::Needed {
                    waiter,
                    seen,
                    reason,
                });
            }
            Message::WaiterLeft(waiter) => {
                if self.waiters.remove(&waiter).is_some() {
                    self.decide(Event::WaiterLeft(waiter));
                }
            }
            Message::Served(credentials) => self.decide(Event::Served(credentials)),
            Message::ReplayServed(credentials) => self.decide(Event::ReplayServed(credentials)),
            Message::NetworkChanged => self.decide(Event::NetworkChanged),
            Message::Lost(credentials, cause) => self.decide(Event::Lost(credentials, cause)),
            Message::RetryNow(reply) => {
                self.decide(Event::RetryNow);
                let _ = reply.send(());
            }
            Message::SignIn(credentials, reply) => {
                self.sign_ins.push(reply);
                let info = credentials.info;
                self.known.push(Arc::from(credentials));
                self.decide(Event::SignedIn(info));
            }
            Message::SignOut(reply) => {
                self.decide(Event::SignedOut);
                self.reply_after_writes(vec![reply]);
            }
            Message::Quit(reply) => {
                self.quitting.push(reply);
                let is_unsaved = matches!(self.state.step, Step::KeepingLock { .. });
                if is_unsaved || self.state.has_unwritten() {
                    // The last chance to save: the keyring may be back, and the disk have room.
                    self.decide(Event::RetryNow);
                }
            }
            Message::HandlesGone => self.handles_gone = true,
            Message::Lock(Ok(guard)) => {
                self.trouble.lock(None);
                self.lock = Some(guard);
                self.decide(Event::LockTaken);
            }
            Message::Lock(Err(cause)) => {
                self.trouble.lock(Some(cause));
                self.decide(Event::LockNotTaken(cause));
            }
            Message::Looked(looked) => self.looked(looked),
            Message::Reread(view, found) => {
                self.trouble.read(view.files.unreadable);
                self.known.extend(found.map(Arc::from));
                self.decide(Event::Reread(*view));
            }
            Message::Exchanged(exchange, received) => {
                self.known.extend(received.map(Arc::from));
                self.decide(Event::Exchanged(*exchange));
            }
            Message::Done(event) => {
                if let Event::Written(_, result) = *event {
                    self.trouble.written(result);
                }
                self.decide(*event);
            }
        }
        if !self.state.must_finish() && !self.quitting.is_empty() {
            let quitting = std::mem::take(&mut self.quitting);
            self.reply_after_writes(quitting);
        }
    }

    /// Replies once the files say what was decided, or the limit has passed: the caller may be about to quit.
    fn reply_after_writes(&self, replies: Vec<oneshot::Sender<()>>) {
        let shared = self.shared.clone();
        tokio::spawn(async move {
            shared.files.settle().await;
            for reply in replies {
                let _ = reply.send(());
            }
        });
    }

    /// Looks at the files, if nobody does so already.
    fn look_at_files(&mut self) {
        if std::mem::replace(&mut self.is_looking, true) {
            return;
        }
        let held = self.state.held();
        self.spawn(Message::Looked(None), move |shared| async move {
            let wall = shared.wall();
            let files = &shared.files;
            let looked = files.run(move |files| files.changed_view(held, wall)).await;
            let view = looked.ok().flatten();
            Message::Looked(view.map(|view| Box::new((held, view))))
        });
    }

    fn looked(&mut self, looked: Option<Box<(Option<CredentialsInfo>, FileView)>>) {
        self.is_looking = false;
        let Some((asked, mut files)) = looked.map(|looked| *looked) else {
            return;
        };
        self.trouble.read(files.unreadable);
        let held = self.state.held();
        if held.map(|held| held.session) != asked.map(|asked| asked.session) {
            // What the files said was about the session before.
            files.ended = held.and_then(|held| self.shared.files.known_ending(held.session));
        }
        self.decide(Event::FilesChanged(files));
    }

    /// One decision, and all of its actions in their order.
    fn decide(&mut self, event: Event) {
        let now = self.now();
        let before = NoteContext {
            why: self.state.renewal_reason(),
            from: self.state.held().map(|held| held.generation),
            waiters: self.state.waiters.len(),
            ..NoteContext::default()
        };
        let shown = self.shown();
        let (state, actions) = step(std::mem::take(&mut self.state), event, now, &self.rules);
        self.state = state;
        let context = NoteContext {
            to: self.state.held().map(|held| held.generation),
            unreachable: self.state.unreachable(),
            ..before
        };
        // Callers that wake must find the new status.
        let mut outcomes = Vec::new();
        let mut signed_in = false;
        for action in actions {
            match action {
                Action::Settle(waiters, outcome) => outcomes.push((waiters, outcome)),
                Action::SignInDone => signed_in = true,
                Action::Note(note) => {
                    let at = self.shared.config.clock.wall();
                    self.shared.journal.note(at, &note, &context);
                }
                action => self.perform(action),
            }
        }
        self.shared
            .wants_served
            .store(self.state.wants_served(), Ordering::Relaxed);
        self.shared
            .wants_proof
            .store(self.state.wants_proof(), Ordering::Relaxed);
        // Ten thousand calls that join a renewal change nothing in the status.
        if std::mem::take(&mut self.trouble.is_news) || self.shown() != shown {
            self.publish();
        }
        if signed_in {
            let signed_in = std::mem::take(&mut self.sign_ins);
            self.reply_after_writes(signed_in);
        }
        for (waiters, outcome) in outcomes {
            for waiter in waiters {
                if let Some(reply) = self.waiters.remove(&waiter) {
                    let _ = reply.send(outcome);
                }
            }
        }
        let state = &self.state;
        self.known
            .retain(|known| state.names(known.info.credentials));
    }

    fn shown(&self) -> Shown {
        let state = &self.state;
        Shown {
            none: Some(state.session).filter(|session| !matches!(session, Standing::Active(_))),
            held: state.held(),
            storage: state.storage,
            unreachable: state.unreachable().map(|who| (who, state.cause())),
            next_attempt: state
                .next_attempt()
                .filter(|_| state.unreachable().is_some()),
            has_waiters: !state.waiters.is_empty(),
        }
    }

    fn now(&self) -> Now {
        let shared = &self.shared;
        let (awake, wall) = (shared.awake(), shared.wall());
        let last_call = Awake::from_ms(shared.last_call.load(Ordering::Relaxed));
        Now {
            awake,
            wall,
            server: shared.server_clock.at(wall),
            random: shared.config.clock.random(),
            in_use: awake.since(last_call) < IN_USE_FOR,
        }
    }

    /// Publishes the status if it changed: one revision per change.
    fn publish(&mut self) {
        let now = self.shared.awake();
        let mut next = self.status();
        let mut countdown = std::mem::take(&mut self.countdown);
        countdown.due = None;
        self.shared.status.send_if_modified(|status| {
            next.revision = status.revision;
            next.endings = status.endings;
            if next == *status {
                return false;
            }
            let next_attempt_at =
                std::mem::replace(&mut next.next_attempt_at, status.next_attempt_at);
            let is_only_countdown = next == *status;
            next.next_attempt_at = next_attempt_at;
            let due = countdown.published_at.plus(COUNTDOWN_APART);
            if is_only_countdown && now < due {
                countdown.due = Some(due);
                return false;
            }
            countdown.published_at = now;
            next.revision += 1;
            let ended_now = next.ending.is_some() && next.ending != status.ending;
            if ended_now && !matches!(status.phase, Phase::Opening) {
                next.endings += 1;
            }
            *status = next.clone();
            true
        });
        self.countdown = countdown;
    }

    /// When the next attempt is due, as a status says it.
    fn next_attempt_at(&mut self) -> Option<Timestamp> {
        let due = self.state.next_attempt()?;
        let pause = due.since(self.shared.awake());
        let at = self.shared.wall().plus(pause);
        let at = Timestamp::from_millisecond(at.ms()).unwrap_or(Timestamp::MAX);
        let shown = self.countdown.shown.filter(|(shown_due, shown)| {
            let apart = at.duration_since(*shown).unsigned_abs();
            *shown_due == due && apart < Duration::from_millis(COUNTDOWN_APART)
        });
        let (_, at) = *self.countdown.shown.insert(shown.unwrap_or((due, at)));
        Some(at)
    }

    fn status(&mut self) -> Status {
        let next_attempt_at = self.next_attempt_at();
        let state = &self.state;
        let (phase, ending, locked) = match state.session {
            Standing::Opening => (Phase::Opening, None, None),
            Standing::SignedOut => (Phase::SignedOut, None, None),
            Standing::Locked { reason, .. } => (Phase::Locked, None, Some(reason)),
            Standing::Ended { reason, at, cause } => {
                let at = Timestamp::from_millisecond(at.ms()).unwrap_or(Timestamp::UNIX_EPOCH);
                (Phase::Ended, Some(Ending { reason, at, cause }), None)
            }
            Standing::Active(_) if state.unreachable().is_some() => {
                (Phase::Unreachable, None, None)
            }
            Standing::Active(_) if !state.waiters.is_empty() => (Phase::Renewing, None, None),
            Standing::Active(_) => (Phase::SignedIn, None, None),
        };
        let is_unreachable = phase == Phase::Unreachable;
        let (server, person) = self.identity.clone().unzip();
        let origin = server
            .as_deref()
            .map(|server| self.shared.config.origin(server));
        let insecure = origin.is_some_and(|origin| origin.is_ok_and(|origin| origin.is_exposed()));
        Status {
            account: self.shared.config.account.clone(),
            revision: 0,
            phase,
            server,
            person: person.flatten(),
            storage: state.storage,
            ending,
            next_attempt_at: next_attempt_at.filter(|_| is_unreachable),
            unreachable: state.unreachable().filter(|_| is_unreachable),
            cause: state.cause().filter(|_| is_unreachable),
            files: self.trouble.cause(),
            locked,
            insecure,
            endings: 0,
        }
    }
}

/// The task ends before its time where it panics, and with its runtime. Callers learn that it is gone, and nothing about
/// the session that may not be so. The waiters' replies are dropped after this.
impl Drop for Driver {
    fn drop(&mut self) {
        if !self.is_done {
            let account = self.shared.config.account.as_str();
            tracing::error!(target: "graphql_session", account, "stopped");
            self.shared.stop();
        }
    }
}

/// The parts of a state that a status shows. Server and person change with what is held.
#[derive(PartialEq)]
struct Shown {
    /// Where there is no session: why.
    none: Option<Standing>,
    held: Option<CredentialsInfo>,
    storage: Storage,
    /// What does not answer, and why.
    unreachable: Option<(Unreachable, Option<Cause>)>,
    next_attempt: Option<Awake>,
    has_waiters: bool,
}

/// What a screen counts down to.
#[derive(Default)]
struct Countdown {
    /// When the next attempt is due, and what the status says of it. Read from two clocks it would be another millisecond
    /// each time.
    shown: Option<(Awake, Timestamp)>,
    /// When the status was published last.
    published_at: Awake,
    /// When the status is published that differs in nothing else.
    due: Option<Awake>,
}

/// What is wrong with the account's files.
#[derive(Default)]
struct Trouble {
    lock: Option<Cause>,
    read: Option<IoFailure>,
    write: Option<IoFailure>,
    /// Not published yet.
    is_news: bool,
}

impl Trouble {
    /// The lock was taken, or not. That another process holds it is no trouble.
    fn lock(&mut self, cause: Option<Cause>) {
        let before = self.cause();
        self.lock = cause.filter(|cause| *cause != Cause::LockHeld);
        self.is_news |= self.cause() != before;
    }

    fn read(&mut self, failure: Option<IoFailure>) {
        let before = self.cause();
        self.read = failure;
        self.is_news |= self.cause() != before;
    }

    fn written(&mut self, result: Result<(), IoFailure>) {
        let before = self.cause();
        self.write = result.err();
        self.is_news |= self.cause() != before;
    }

    fn cause(&self) -> Option<Cause> {
        let files = self.write.or(self.read).map(Cause::Files);
        self.lock.or(files)
    }
}
