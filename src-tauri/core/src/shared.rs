//! What calls and the renewal task share, and how files and vault are looked at.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use graphql_session_renewal::{
    Awake, CredentialsInfo, FileView, Note, SessionId, Storage, VaultError, VaultView, View,
    WaiterId, Wall,
};
use tokio::sync::{Notify, watch};

use crate::clock::{ServerClock, millis, wall_of};
use crate::config::Config;
use crate::credentials::Credentials;
use crate::error::{Code, Error};
use crate::files::FilesThread;
use crate::http::{AuthClient, Clients, Origin, Route, idle_time};
use crate::journal::{Journal, NoteContext};
use crate::status::{Phase, Status};
use crate::vault::VaultThread;

/// What calls and the task share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) server_clock: ServerClock,
    pub(crate) files: FilesThread,
    /// A file of the account may have changed.
    pub(crate) files_changed: Arc<Notify>,
    pub(crate) journal: Journal,
    pub(crate) status: watch::Sender<Status>,
    /// What calls use; read without waiting. Written by [`Shared::hold`] alone.
    pub(crate) current: ArcSwapOption<Credentials>,
    /// The session that `current` belongs to. Streams end with theirs, and the status does not tell one session from
    /// the next of the same person.
    pub(crate) session: watch::Sender<Option<SessionId>>,
    /// Whether a served call is worth a message.
    pub(crate) wants_served: AtomicBool,
    /// Whether it is worth a message that a call which was refused is served after the renewal.
    pub(crate) wants_proof: AtomicBool,
    /// Awake ms of the last call.
    pub(crate) last_call: AtomicU64,
    next_waiter: AtomicU64,
    /// The vault's entry belonged to another installation when it was last read.
    pub(crate) sees_foreign: AtomicBool,
    pub(crate) vault_thread: VaultThread,
    clients: ArcSwapOption<Clients>,
    /// Whether no reply has come over these clients' connections yet.
    awaits_first_reply: AtomicBool,
    /// Whether the server keeps idle connections for longer than these clients do.
    keeps_longer: AtomicBool,
    /// What a server's replies said of how long it keeps an idle connection, and which server's.
    learned_idle: Mutex<Option<(String, Duration)>>,
    /// Wall clock minus awake time, in ms, at the last request.
    apart: AtomicI64,
}

/// The wall clock gains this much on the awake time, in ms, only while the machine sleeps, or when somebody sets it.
const SLEEP_JUMP: i64 = 5_000;

impl Shared {
    pub(crate) fn new(config: Config) -> Result<Self, Error> {
        let no_thread = |_| {
            Error::new(
                Code::Internal,
                "No thread could be started. The system may have too many: close other programs, and start again.",
            )
        };
        let files_changed = Arc::new(Notify::new());
        let changed = files_changed.clone();
        let files = FilesThread::start(
            config.file_system.clone(),
            &config.state_dir,
            &config.account,
            config.clock.clone(),
            config.limits.file_timeout,
            move || changed.notify_one(),
        )
        .map_err(no_thread)?;
        let vault_thread = VaultThread::start(
            config.vault.clone(),
            config.account.clone(),
            config.clock.clone(),
        )
        .map_err(no_thread)?;
        let status = Status {
            account: config.account.clone(),
            revision: 0,
            phase: Phase::Opening,
            server: None,
            person: None,
            storage: Storage::Saved,
            ending: None,
            next_attempt_at: None,
            unreachable: None,
            cause: None,
            files: None,
            locked: None,
            insecure: false,
            endings: 0,
        };
        Ok(Self {
            server_clock: ServerClock::new(config.clock.clone()),
            files,
            files_changed,
            journal: Journal::new(&config.account),
            status: watch::Sender::new(status),
            current: ArcSwapOption::empty(),
            session: watch::Sender::new(None),
            wants_served: AtomicBool::new(false),
            wants_proof: AtomicBool::new(false),
            last_call: AtomicU64::new(0),
            next_waiter: AtomicU64::new(1),
            sees_foreign: AtomicBool::new(false),
            vault_thread,
            clients: ArcSwapOption::empty(),
            awaits_first_reply: AtomicBool::new(false),
            keeps_longer: AtomicBool::new(false),
            learned_idle: Mutex::new(None),
            apart: AtomicI64::new(i64::MAX),
            config,
        })
    }

    pub(crate) fn awake(&self) -> Awake {
        Awake::from_ms(millis(self.config.clock.awake()))
    }

    pub(crate) fn next_waiter(&self) -> WaiterId {
        self.next_waiter.fetch_add(1, Ordering::Relaxed)
    }

    /// Replaces what calls use.
    pub(crate) fn hold(&self, credentials: Option<Arc<Credentials>>) {
        let session = credentials.as_ref().map(|held| held.info.session);
        self.current.store(credentials);
        self.session.send_if_modified(|known| {
            let is_another = *known != session;
            *known = session;
            is_another
        });
    }

    /// The task is gone, and nobody knows any more where the session stands.
    pub(crate) fn stop(&self) {
        self.status.send_modify(|status| {
            status.revision += 1;
            status.phase = Phase::Stopped;
            status.ending = None;
            status.next_attempt_at = None;
            status.unreachable = None;
            status.cause = None;
            status.locked = None;
        });
        self.hold(None);
    }

    /// Whether the task is gone.
    ///
    /// # Errors
    /// [`Code::Internal`] if so.
    pub(crate) fn runs(&self) -> Result<(), Error> {
        match self.status.borrow().phase {
            Phase::Stopped => Err(Error::stopped()),
            _ => Ok(()),
        }
    }

    /// The HTTP clients for an origin; made once, and anew when the origin changes.
    pub(crate) fn clients(&self, origin: &str) -> Result<Arc<Clients>, Error> {
        if let Some(clients) = &*self.clients.load()
            && clients.are_for(origin)
        {
            return Ok(clients.clone());
        }
        let clients = Arc::new(self.new_clients(self.config.origin(origin)?)?);
        self.clients.store(Some(clients.clone()));
        self.awaits_first_reply.store(true, Ordering::Relaxed);
        self.keeps_longer.store(false, Ordering::Relaxed);
        Ok(clients)
    }

    /// Learns from the first reply over new connections how long they may be idle. Where that is a shorter time than theirs,
    /// the next call opens another one.
    pub(crate) fn learn_idle(&self, origin: &str, response: &reqwest::Response) {
        let is_first = self.awaits_first_reply.load(Ordering::Relaxed)
            && self.awaits_first_reply.swap(false, Ordering::Relaxed);
        let Some(said) = is_first.then(|| idle_time(response)).flatten() else {
            return;
        };
        let used = self.idle(origin);
        let mut learned = self.learned_idle();
        let is_known = learned.as_ref().is_some_and(|(server, _)| server == origin);
        // Two servers behind one address may say different things: the shorter time is good for both.
        if said < used {
            self.forget_connections();
        } else if said == used || is_known {
            return;
        } else {
            self.keeps_longer.store(true, Ordering::Relaxed);
        }
        *learned = Some((origin.to_owned(), said));
    }

    /// A call begins; `now` is in awake ms. If the pool has given its connections up since the last call, the new ones are kept
    /// for as long as the server says.
    pub(crate) fn begin_call(&self, now: u64) {
        let pause = now.saturating_sub(self.last_call.swap(now, Ordering::Relaxed));
        if self.keeps_longer.load(Ordering::Relaxed) {
            let idle = self.config.protocol.facts().idle_connection;
            if Duration::from_millis(pause) >= idle {
                self.forget_connections();
            }
        }
    }

    /// How long a connection to `origin` may be idle.
    fn idle(&self, origin: &str) -> Duration {
        match &*self.learned_idle() {
            Some((server, idle)) if server == origin => *idle,
            _ => self.config.protocol.facts().idle_connection,
        }
    }

    fn learned_idle(&self) -> MutexGuard<'_, Option<(String, Duration)>> {
        let learned = self.learned_idle.lock();
        learned.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the machine has slept since the last request; its connections are forgotten then. The awake time is that of
    /// the last call: reading both clocks once more would cost each call more than all else here.
    pub(crate) fn notice_sleep(&self, wall: Wall) {
        let awake = self.last_call.load(Ordering::Relaxed);
        let apart = wall.ms().saturating_sub_unsigned(awake);
        let before = self.apart.load(Ordering::Relaxed);
        self.apart.store(apart, Ordering::Relaxed);
        if apart.saturating_sub(before) > SLEEP_JUMP {
            self.forget_connections();
        }
    }

    /// The next request opens a connection. Those that are idle now may lead nowhere: the machine has slept, or is in
    /// another network.
    pub(crate) fn forget_connections(&self) {
        self.clients.store(None);
    }

    /// What a sign-in exchanges tokens over: not the session's own connections, which may be for another server.
    pub(crate) fn sign_in_client(&self, server: &Origin) -> Result<AuthClient, Error> {
        let limit = self.config.limits.attempt_timeout;
        Ok(self.auth_client(self.route(server.clone())?, limit))
    }

    /// What these credentials are renewed and revoked over: their API's origin, and their issuer's. `limit`: that of one
    /// request.
    pub(crate) fn client_of(
        &self,
        held: &Credentials,
        limit: Duration,
    ) -> Result<AuthClient, Error> {
        let api = self.clients(&held.origin)?.route().clone();
        let mut client = self.auth_client(api, limit);
        if let Some(issuer) = held
            .issuer
            .as_ref()
            .filter(|issuer| **issuer != held.origin)
        {
            client.allow(self.route(self.config.origin(issuer)?)?);
        }
        Ok(client)
    }

    /// Whether this is another server than the session's, or the last one's.
    pub(crate) fn is_other_server(&self, origin: &Origin) -> bool {
        let known = &self.status.borrow().server;
        known.as_ref().is_some_and(|known| *known != origin.text())
    }

    /// The way to an origin that is not the session's.
    pub(crate) fn route(&self, origin: Origin) -> Result<Route, Error> {
        Route::new(origin, &self.config.extra_roots()?)
    }

    fn auth_client(&self, api: Route, limit: Duration) -> AuthClient {
        AuthClient::new(api, self.server_clock.clone(), limit)
    }

    fn new_clients(&self, origin: Origin) -> Result<Clients, Error> {
        let facts = self.config.protocol.facts();
        let roots = self.config.extra_roots()?;
        let idle = self.idle(&origin.text());
        Clients::new(origin, &facts.endpoints, idle, &roots)
    }

    pub(crate) fn wall(&self) -> Wall {
        wall_of(&*self.config.clock)
    }

    /// Notes what the driver alone knows.
    pub(crate) fn note(&self, note: &Note) {
        let at = self.config.clock.wall();
        self.journal.note(at, note, &NoteContext::default());
    }

    /// What files and vault say about this account. The caller takes the lock first where that matters.
    pub(crate) async fn look(&self, held: Option<CredentialsInfo>) -> (View, Option<Credentials>) {
        let account = self.config.account.as_str();
        tracing::debug!(target: "graphql_session", account, "vault_read");
        let entry = self.vault_thread.read(self.config.limits.vault_read).await;
        tracing::debug!(target: "graphql_session", account, ok = entry.is_ok(), "vault_answered");
        let files = self.look_at_files(held).await;
        let (vault, credentials) = match entry {
            Err(error) => (VaultView::Unavailable(error), None),
            Ok(None) => (VaultView::Empty, None),
            Ok(Some(text)) => match Credentials::from_text(&text, self.config.protocol.facts()) {
                None => (VaultView::Damaged, None),
                Some((found, renewing_at)) => self.judge(found, renewing_at).await,
            },
        };
        let sees_foreign = vault == VaultView::Unavailable(VaultError::OtherFolder);
        self.sees_foreign.store(sees_foreign, Ordering::Relaxed);
        (View { files, vault }, credentials)
    }

    /// Whether the credentials that the vault's entry holds are this installation's to use.
    async fn judge(
        &self,
        mut found: Credentials,
        renewing_at: Option<Wall>,
    ) -> (VaultView, Option<Credentials>) {
        let ours = self.files.folder_id(found.folder.as_deref()).await;
        let theirs = found.folder.as_deref();
        if ours
            .zip(theirs)
            .is_some_and(|(ours, theirs)| ours != theirs)
        {
            // Another installation of this application stored them, which has another folder and so another lock.
            return (VaultView::Unavailable(VaultError::OtherFolder), None);
        }
        if self.is_elsewhere(&found) {
            return (VaultView::Unavailable(VaultError::OtherServer), None);
        }
        let info = found.info;
        if self.files.known_ending(info.session).is_some() {
            return (VaultView::DeadEntry(info.session), None);
        }
        // One of an older version does not say where it belongs.
        found.folder = ours.map(str::to_owned);
        (VaultView::Entry { info, renewing_at }, Some(found))
    }

    /// Whether these are for another server than the one that the settings name.
    fn is_elsewhere(&self, found: &Credentials) -> bool {
        let only = self.config.server.as_deref();
        let only = only.and_then(|only| self.config.origin(only).ok());
        only.is_some_and(|only| only.text() != found.origin)
    }

    /// What the files say to a process that holds `held`. Files that do not answer in time say nothing.
    pub(crate) async fn look_at_files(&self, held: Option<CredentialsInfo>) -> FileView {
        let wall = self.wall();
        let view = self.files.run(move |files| files.view(held, wall)).await;
        view.unwrap_or_else(|failure| FileView {
            ended: held.and_then(|held| self.files.known_ending(held.session)),
            state: None,
            unreadable: Some(failure),
        })
    }
}
