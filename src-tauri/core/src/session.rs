//! [`Session`], the one public handle: sign in, run calls, watch the status, sign out.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use graphql_session_renewal::{Outcome, RenewalReason, WaiterId};
use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::call::{AllowedHeaders, Call, Reply};
use crate::clock::CLOCK_NOISE;
use crate::config::Config;
use crate::credentials::{Credentials, CredentialsInfo, Id, random_id};
use crate::driver::{Driver, Message};
use crate::error::{Code, Error};
use crate::journal;
use crate::operation::OperationKind;
use crate::protocol::{Dialect, Endpoint, Issued, PasswordLogin, Tokens};
use crate::shared::Shared;
use crate::status::{Closed, Phase, Status, Storage};
use crate::subscription::Subscription;
use crate::transport::{Origin, TransportError, header_date, read_body};
use crate::verdict::{self, CallVerdict};

/// An access token this close to its end counts as expired, in ms: Twenty states an expiry up to 1 s later than the
/// one it applies.
const EXPIRY_MARGIN: i64 = 1_000;

/// What a person has with one account at one server. Cheap to clone; all clones are the same session.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    inbox: mpsc::UnboundedSender<Message>,
    on_the_wire: Semaphore,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // An exchange under way is still finished and saved.
        let _ = self.inbox.send(Message::HandlesGone);
    }
}

/// A server that can be signed in to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ServerCheck {
    /// The address as it will be used.
    pub origin: String,
    /// The protocol that answered.
    pub protocol: &'static str,
}

impl Session {
    /// Opens the account's session: reads what is stored, and starts the task that keeps it. Needs a tokio runtime.
    ///
    /// A locked or missing keyring is no error: the status says so.
    ///
    /// # Errors
    /// [`Code::Config`] with the key's name.
    pub async fn open(config: Config) -> Result<Self, Error> {
        config.check()?;
        let on_the_wire = Semaphore::new(config.limits.concurrent_calls);
        let shared = Arc::new(Shared::new(config)?);
        let inbox = Driver::start(shared.clone()).await;
        Ok(Self {
            inner: Arc::new(Inner {
                shared,
                inbox,
                on_the_wire,
            }),
        })
    }

    /// The account's name, as configured.
    pub fn account(&self) -> &str {
        &self.shared().config.account
    }

    /// Which session calls are made in now: tells one from the next, which can have the very same status. Made at each
    /// sign-in, the same through all renewals, restarts and processes, and no secret. `None` where there is no session:
    /// nobody is signed in, it has ended, or the keyring does not show it.
    pub fn id(&self) -> Option<Id> {
        let current = self.shared().current.load();
        current.as_ref().map(|held| held.info.session)
    }

    /// The generation of the credentials that the next call uses: 1 after the sign-in, +1 per renewal, the same in every
    /// process, and no secret. `None` where [`Session::id`] is.
    pub fn generation(&self) -> Option<u64> {
        let held = self.held(None).ok()?;
        Some(held.info.generation)
    }

    /// Where the session stands.
    pub fn status(&self) -> Status {
        self.shared().status.borrow().clone()
    }

    /// Every change of the status. A slow watcher misses steps, never the last one.
    pub fn changes(&self) -> watch::Receiver<Status> {
        self.shared().status.subscribe()
    }

    /// What happened, oldest first, without secrets.
    pub fn journal(&self) -> Vec<journal::Entry> {
        self.shared().journal.entries()
    }

    /// Asks whether a server of the configured kind answers at `address`.
    ///
    /// # Errors
    /// A code that a sign-in form can show: the address, the network, the certificate, or another kind of server.
    pub async fn check_server(&self, address: &str) -> Result<ServerCheck, Error> {
        let origin = self.server_for(address)?;
        let protocol = &self.shared().config.protocol;
        protocol.check(&self.auth_client(&origin)?).await?;
        Ok(ServerCheck {
            origin: origin.text(),
            protocol: protocol.name(),
        })
    }

    /// Signs in with a password. A session that is still there is signed out first, once the server accepted the new one.
    ///
    /// # Errors
    /// A code that a sign-in form can show. The session that was there before is untouched then.
    pub async fn sign_in(&self, server: &str, person: PasswordLogin) -> Result<Status, Error> {
        let origin = self.server_for(server)?;
        let client = self.auth_client(&origin)?;
        let issued = self
            .shared()
            .config
            .protocol
            .sign_in(&client, &person)
            .await?;
        self.establish(&origin, Some(person.email), issued).await
    }

    /// Signs in with tokens obtained elsewhere, for people who come from another client. Not a command of the plugin: a
    /// page never holds a token.
    ///
    /// # Errors
    /// [`Code::InvalidAddress`], or [`Code::InvalidRequest`] where there is no refresh token.
    pub async fn sign_in_with_tokens(
        &self,
        server: &str,
        email: Option<String>,
        tokens: Tokens,
    ) -> Result<Status, Error> {
        let origin = self.server_for(server)?;
        let issued = Issued {
            tokens,
            dialect: Dialect::default(),
        };
        self.establish(&origin, email, issued).await
    }

    /// Runs one call: with the current credentials, through the one renewal if they are refused, replayed at most once.
    /// Dropping the future takes the call back; it never cancels a renewal.
    ///
    /// # Errors
    /// [`Code::SignedOut`], [`Code::Locked`], [`Code::Unreachable`], [`Code::AccessDenied`], [`Code::TimedOut`],
    /// [`Code::MaybeExecuted`] (mutations only), [`Code::TooLarge`], [`Code::InvalidRequest`].
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` has room for the call twice"
    )]
    pub fn execute(&self, call: Call) -> impl Future<Output = Result<Reply, Error>> + Send {
        async move {
            let shared = self.shared();
            shared.last_call.store(shared.awake_ms(), Ordering::Relaxed);
            let longest = shared.config.limits.call_timeout;
            let deadline = call.deadline.unwrap_or(longest).min(longest);
            let may_have_run = AtomicBool::new(false);
            tokio::select! {
                biased;
                reply = self.run(&call, &may_have_run) => reply,
                () = shared.config.clock.sleep(deadline) => {
                    if may_have_run.load(Ordering::Relaxed) && call.operation() != OperationKind::Query {
                        Err(maybe_executed())
                    } else {
                        Err(Error::new(Code::TimedOut, "The server took too long. Try again."))
                    }
                }
            }
        }
    }

    /// Subscribes to events of the server. Nothing is sent before the first [`Subscription::next`].
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] for an unknown endpoint, a header that is not allowed, or an operation that is not a
    /// subscription. Everything later comes as an event.
    pub fn subscribe(&self, call: Call) -> Result<Subscription, Error> {
        Subscription::new(self.clone(), call)
    }

    /// Signs out: here at once, at the server as soon as it can be told.
    pub async fn sign_out(&self) -> Status {
        let (reply, done) = oneshot::channel();
        self.tell(Message::SignOut(reply));
        let _ = done.await;
        self.status()
    }

    /// Tries now instead of at the next attempt's time; reads a locked keyring again.
    pub async fn retry_now(&self) -> Status {
        let (reply, done) = oneshot::channel();
        self.tell(Message::RetryNow(reply));
        let _ = done.await;
        self.status()
    }

    /// Before quitting: waits until nothing would be lost, at most [`Limits::quit_timeout`](crate::Limits::quit_timeout), and says
    /// whether something would be. Credentials that are not saved are tried once more. The session goes on: an
    /// application can warn, let the person solve it, and close again.
    pub async fn close(&self) -> Closed {
        let (reply, done) = oneshot::channel();
        self.tell(Message::Quit(reply));
        let limit = self.shared().config.limits.quit_timeout;
        let is_done = tokio::select! {
            biased;
            _ = done => true,
            () = self.shared().config.clock.sleep(limit) => false,
        };
        let status = self.status();
        match status.storage {
            Storage::NotSaved(reason) if status.is_lost_by_quitting() => Closed::NotSaved(reason),
            _ if is_done || !status.has_session() => Closed::Kept,
            _ => Closed::Unfinished,
        }
    }

    async fn run(&self, call: &Call, may_have_run: &AtomicBool) -> Result<Reply, Error> {
        let shared = self.shared();
        let endpoint = self.endpoint(&call.endpoint)?;
        let headers = AllowedHeaders::of(&call.headers)?;
        call.fits(shared.config.limits.request_bytes)?;
        let began_at = shared.server_clock.now();
        let mut sent_under: Option<Id> = None;
        let mut refused = false;
        let mut waited = false;
        let mut lost = false;
        loop {
            let place = self.inner.on_the_wire.acquire().await;
            let held = self.held(sent_under)?;
            if !waited && self.has_expired(&held) {
                // Once: with a wrong clock they look expired for ever, and only the server knows.
                waited = true;
                drop(place);
                self.wait_for_renewal(held, RenewalReason::Expired).await?;
                continue;
            }
            sent_under = Some(held.info.session);
            may_have_run.store(true, Ordering::Relaxed);
            let sending = shared.clients(&held.origin)?.call(
                endpoint,
                headers.authorized(&held)?,
                call.body.clone(),
            );
            let receiving = match sending.await {
                // On the heap: as many as there are places receive at a time, and thousands may wait for a renewal, each
                // with room for what it would receive.
                Ok(response) => Box::pin(self.receive(response, call, &held)),
                // No byte of a reply had arrived: most often a connection that the server gave up meanwhile.
                Err(error)
                    if !error.not_sent() && !lost && call.operation() == OperationKind::Query =>
                {
                    lost = true;
                    continue;
                }
                Err(error) => return Err(self.no_answer(error, call, &held)),
            };
            let reply = receiving.await?;
            match verdict::judge_call(&*shared.config.protocol, reply.status, &reply.body) {
                CallVerdict::Refused => {}
                CallVerdict::GatewayError => {
                    self.tell(Message::Lost(held.info.credentials));
                    return Ok(reply);
                }
                CallVerdict::Served => {
                    self.served(&held);
                    return Ok(reply);
                }
            }
            may_have_run.store(false, Ordering::Relaxed);
            if refused {
                return Err(self.refused_again(&held.info, began_at));
            }
            refused = true;
            waited = true;
            // The reply, too: it would keep the connection's buffer from being used again as long as the call waits.
            drop((place, reply));
            self.wait_for_renewal(held, RenewalReason::Refused).await?;
        }
    }

    /// The current credentials, for what was sent under this session before, if it was.
    pub(crate) fn held(&self, sent_under: Option<Id>) -> Result<Arc<Credentials>, Error> {
        let current = self.shared().current.load_full();
        let held = current.ok_or_else(|| self.no_session())?;
        if sent_under.is_some_and(|sent| sent != held.info.session || self.has_ended(sent)) {
            return Err(Error::signed_out());
        }
        Ok(held)
    }

    /// Whether the access token is known to have expired.
    pub(crate) fn has_expired(&self, held: &Credentials) -> bool {
        let now = self.shared().server_clock.now();
        held.info.has_expired(now + EXPIRY_MARGIN)
    }

    /// Learns the server's clock from a reply's head, and reads the rest of it. Not an `async fn`, which would have room
    /// for the response twice.
    pub(crate) fn receive(
        &self,
        mut response: reqwest::Response,
        call: &Call,
        held: &Credentials,
    ) -> impl Future<Output = Result<Reply, Error>> {
        if let Some(date) = header_date(response.headers()) {
            self.shared().server_clock.learn(date);
        }
        async move {
            let limit = self.shared().config.limits.reply_bytes;
            match read_body(&mut response, limit).await {
                Ok(body) => Ok(Reply {
                    status: response.status().as_u16(),
                    content_type: response
                        .headers()
                        .get(CONTENT_TYPE)
                        .and_then(|value| value.to_str().ok())
                        .map(str::to_owned),
                    body,
                }),
                Err(TransportError::TooLong) => Err(Error::new(
                    Code::TooLarge,
                    "The server's reply is larger than this application accepts. Ask for less at a time.",
                )),
                Err(error) => Err(self.no_answer(error, call, held)),
            }
        }
    }

    /// The server has accepted these credentials.
    pub(crate) fn served(&self, held: &Credentials) {
        if self.shared().wants_served.load(Ordering::Relaxed) {
            tracing::debug!("the server serves these credentials");
            self.tell(Message::Served(held.info.credentials));
        }
    }

    /// The call got no answer; people are told that the server is away.
    pub(crate) fn no_answer(
        &self,
        error: TransportError,
        call: &Call,
        held: &Credentials,
    ) -> Error {
        self.tell(Message::Lost(held.info.credentials));
        if error.not_sent() || call.operation() == OperationKind::Query {
            unreachable_server(held)
        } else {
            maybe_executed()
        }
    }

    /// Joins the one renewal, unless these credentials have been renewed already.
    pub(crate) async fn wait_for_renewal(
        &self,
        seen: Arc<Credentials>,
        why: RenewalReason,
    ) -> Result<(), Error> {
        let (reply, outcome) = oneshot::channel();
        let place = WaiterGuard {
            waiter: self.shared().next_waiter(),
            inbox: &self.inner.inbox,
        };
        self.tell(Message::Need {
            waiter: place.waiter,
            seen,
            why,
            reply,
        });
        let outcome = outcome.await.unwrap_or(Outcome::SignedOut);
        std::mem::forget(place);
        match outcome {
            Outcome::Renewed => Ok(()),
            Outcome::SignedOut | Outcome::Locked => Err(self.no_session()),
            Outcome::Denied => Err(access_denied()),
            Outcome::Unreachable { due, .. } => {
                let pause = due.saturating_sub(self.shared().awake_ms());
                Err(Error::new(
                    Code::Unreachable,
                    "The server cannot be reached. You are still signed in; trying again by itself.",
                )
                .retry_after(Duration::from_millis(pause)))
            }
        }
    }

    async fn establish(
        &self,
        origin: &Origin,
        email: Option<String>,
        issued: Issued,
    ) -> Result<Status, Error> {
        let shared = self.shared();
        let Issued { tokens, dialect } = issued;
        let subject = shared.config.protocol.subject(&tokens);
        let refresh = tokens.refresh.ok_or_else(|| {
            Error::new(
                Code::InvalidRequest,
                "A session needs a refresh token, too.",
            )
        })?;
        // Later than any session before it, even if the clock was set back: the later of two sessions wins.
        let before = shared.files.state().map_or(0, |file| file.info.begun_at);
        let begun_at = shared.config.clock.wall().as_millisecond().max(before + 1);
        let credentials = Credentials {
            info: CredentialsInfo {
                session: random_id(),
                begun_at,
                generation: 1,
                credentials: random_id(),
                access_until: tokens.access_expires_at.map(Timestamp::as_millisecond),
                issued_at: shared.server_clock.now(),
            },
            protocol: shared.config.protocol.name().to_owned(),
            origin: origin.text(),
            person: email,
            subject,
            dialect,
            access: tokens.access.into(),
            refresh,
            refresh_until: tokens.refresh_expires_at.map(Timestamp::as_millisecond),
        };
        let (reply, done) = oneshot::channel();
        self.tell(Message::SignIn(Box::new(credentials), reply));
        let _ = done.await;
        let status = self.status();
        if status.has_session() {
            Ok(status)
        } else {
            Err(Error::signed_out())
        }
    }

    fn server_for(&self, address: &str) -> Result<Origin, Error> {
        let origin = Origin::parse(address)?;
        if let Some(only) = &self.shared().config.server
            && Origin::parse(only)? != origin
        {
            return Err(Error::new(
                Code::InvalidAddress,
                format!("This application works with {only} only."),
            ));
        }
        Ok(origin)
    }

    fn auth_client(&self, origin: &Origin) -> Result<crate::transport::AuthClient, Error> {
        let shared = self.shared();
        // Not the session's own clients: these may be for another server.
        let clients = crate::transport::Clients::new(origin.clone(), &[])?;
        Ok(clients.auth_client(
            shared.server_clock.clone(),
            shared.config.limits.attempt_timeout,
        ))
    }

    pub(crate) fn endpoint(&self, name: &str) -> Result<&'static Endpoint, Error> {
        let mut endpoints = self.shared().config.protocol.endpoints().iter();
        let named = endpoints.find(|endpoint| endpoint.name == name);
        named.ok_or_else(|| {
            Error::new(
                Code::InvalidRequest,
                "There is no such endpoint. Use one that the protocol names, not an address.",
            )
        })
    }

    /// Refused with fresh credentials, it is the caller's error. Credentials from before the call say nothing: another
    /// process may have stored them long ago, and the next call renews them.
    pub(crate) fn refused_again(&self, sent_with: &CredentialsInfo, began_at: i64) -> Error {
        let shared = self.shared();
        let is_fresh = sent_with.issued_at + CLOCK_NOISE >= began_at;
        let current = shared.current.load();
        let is_current = current
            .as_ref()
            .is_some_and(|current| current.info.credentials == sent_with.credentials);
        if is_current && is_fresh && !sent_with.has_expired(shared.server_clock.now()) {
            access_denied()
        } else {
            Error::new(
                Code::Unreachable,
                "The credentials were no longer good when the call arrived. Try again.",
            )
            .retry_after(Duration::ZERO)
        }
    }

    fn no_session(&self) -> Error {
        // Not a copy of the status: ten thousand waiters may be told at once.
        let phase = self.shared().status.borrow().phase;
        match phase {
            Phase::Locked => Error::new(
                Code::Locked,
                "Your keyring does not show the session. Unlock it, then try again; or sign in anew.",
            ),
            _ => Error::signed_out(),
        }
    }

    fn has_ended(&self, session: Id) -> bool {
        self.shared().files.ending_of(session).is_some()
    }

    pub(crate) fn tell(&self, message: Message) {
        // The task ends only after the last handle; a failed send means that the runtime is shutting down.
        let _ = self.inner.inbox.send(message);
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// A place among the waiters; given up when its call goes away.
struct WaiterGuard<'a> {
    waiter: WaiterId,
    inbox: &'a mpsc::UnboundedSender<Message>,
}

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        let _ = self.inbox.send(Message::WaiterLeft(self.waiter));
    }
}

fn access_denied() -> Error {
    Error::new(
        Code::AccessDenied,
        "The server refuses this with fresh credentials. Ask whoever runs it for access.",
    )
}

fn maybe_executed() -> Error {
    Error::new(
        Code::MaybeExecuted,
        "The answer was lost; the change may have been made. Look before you repeat it.",
    )
}

fn unreachable_server(held: &Credentials) -> Error {
    let host = Origin::parse(&held.origin)
        .map_or_else(|_| held.origin.clone(), |origin| origin.host().to_owned());
    Error::new(
        Code::Unreachable,
        format!("{host} cannot be reached. You are still signed in; try again in a moment."),
    )
}
