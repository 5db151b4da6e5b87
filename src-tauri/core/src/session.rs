//! [`Session`], the one public handle: sign in, run calls, watch the status, sign out.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use graphql_session_renewal::{Cause, IoFailure, Note, ServerRefusal, SessionId, Storage};
use tokio::sync::{oneshot, watch};

use crate::call::{AllowedHeaders, Call, Reply};
use crate::config::Config;
use crate::credentials::Credentials;
use crate::diagnostics;
use crate::driver::Message;
use crate::error::{Code, Error};
use crate::http::{EndpointNumber, Origin, Over, TransportError, header_date, read_body};
use crate::journal;
use crate::operation::OperationKind;
use crate::protocol::{Issued, PasswordLogin, SignInMethod, SignInStep, StepAnswer, Tokens};
use crate::sending::{Outgoing, Sender, Sent};
use crate::shared::Shared;
use crate::sign_in::{SignIn, SignInEvent, establish};
use crate::status::{Closed, Phase, Status};
use crate::subscription::Subscription;
use crate::verdict::{CallVerdict, judge_call};

/// What a person has with one account at one server. Cheap to clone; all clones are the same session.
#[derive(Clone)]
pub struct Session {
    sender: Arc<Sender>,
}

/// A server that can be signed in to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ServerCheck {
    /// The address as it will be used.
    pub origin: String,
    /// The protocol that answered.
    pub protocol: String,
    /// The ways to sign in, best first.
    pub methods: Vec<SignInMethod>,
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
        let shared = Arc::new(Shared::new(config)?);
        match shared.files.make_folder().await {
            // One that does not answer may do so later. Until then the session lives without its files, and says so.
            Ok(()) | Err(IoFailure::Slow) => {}
            Err(failure) => {
                return Err(Error::config(
                    "stateDir",
                    "no private folder can be made there; choose one that this user can write to",
                )
                .caused_by(Cause::Files(failure)));
            }
        }
        let session = Self {
            sender: Arc::new(Sender::start(shared).await),
        };
        session.watch_network();
        Ok(session)
    }

    /// The account's name, as configured.
    pub fn account(&self) -> &str {
        &self.shared().config.account
    }

    /// The session in which calls are made now. It tells a session from the next one, whose status may be equal. Made
    /// at each sign-in, the same through all renewals, restarts and processes, and no secret. `None` where there is no
    /// session: nobody is signed in, it has ended, or the keyring does not show it.
    pub fn id(&self) -> Option<SessionId> {
        let current = self.shared().current.load();
        current.as_ref().map(|held| held.info.session)
    }

    /// The generation of the credentials that the next call uses: 1 after the sign-in, +1 per renewal, the same in every
    /// process, and no secret. `None` where [`Session::id`] is.
    pub fn generation(&self) -> Option<u64> {
        let held = self.sender.held().ok()?;
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

    /// One text for a bug report: versions, settings, the status with its cause, and the newest journal entries. It holds no
    /// token, no e-mail address, and no name of a server.
    pub fn diagnostics(&self) -> String {
        let config = &self.shared().config;
        diagnostics::report(config, &self.status(), self.generation(), &self.journal())
    }

    /// The origin that an address means, as [`Status::server`] would show it: international names in Punycode. Nothing is
    /// sent.
    ///
    /// # Errors
    /// [`Code::InvalidAddress`] with the reason.
    pub fn server_origin(&self, address: &str) -> Result<String, Error> {
        Ok(self.server_for(address)?.text())
    }

    /// Writes into the journal that a page was refused a server, for hosts that guard what pages ask.
    pub fn note_refused_server(&self, reason: ServerRefusal) {
        self.shared().note(&Note::ServerRefused(reason));
    }

    /// Asks whether a server of the configured kind answers at `address`, and which ways to sign in it offers.
    ///
    /// # Errors
    /// A code that a sign-in form can show: the address, the network, the certificate, or another kind of server.
    pub async fn check_server(&self, address: &str) -> Result<ServerCheck, Error> {
        let server = self.server_for(address)?;
        let other = self.shared().is_other_server(&server);
        self.shared().note(&Note::ServerChecked { other });
        let mut sign_in = SignIn::new(self.sender.clone(), server.clone(), None)?;
        let keeps_path = self.shared().config.protocol.facts().lives_below_paths;
        let methods = sign_in.offered().await.map_err(|error| match keeps_path {
            true => error,
            false => say_that_the_path_is_left_out(error, address),
        })?;
        Ok(ServerCheck {
            origin: server.text(),
            protocol: self
                .shared()
                .config
                .protocol
                .facts()
                .name
                .clone()
                .into_owned(),
            methods,
        })
    }

    /// Begins a sign-in at `server`: by `method`, or by the best one that it offers. Nothing is sent before the first
    /// [`SignIn::next`].
    ///
    /// # Errors
    /// [`Code::InvalidAddress`].
    pub fn begin_sign_in(
        &self,
        server: &str,
        method: Option<SignInMethod>,
    ) -> Result<SignIn, Error> {
        self.shared().runs()?;
        SignIn::new(self.sender.clone(), self.server_for(server)?, method)
    }

    /// Signs in with a password. A session that is still there is signed out first, once the server accepted the new one.
    ///
    /// # Errors
    /// A code that a sign-in form can show; [`Code::SecondFactorRequired`] where the server asks for more than a password,
    /// which [`begin_sign_in`](Self::begin_sign_in) can give. The session that was there before is untouched then.
    pub async fn sign_in(&self, server: &str, login: PasswordLogin) -> Result<Status, Error> {
        let mut sign_in = self.begin_sign_in(server, Some(SignInMethod::Password))?;
        let mut login = Some(login);
        loop {
            match (sign_in.next().await?, login.take()) {
                (SignInEvent::Done(status), _) => return Ok(status),
                (SignInEvent::Step(SignInStep::Password), Some(login)) => {
                    sign_in.answer(StepAnswer::Password(login));
                }
                (SignInEvent::Step(_), _) => {
                    return Err(Error::new(
                        Code::SecondFactorRequired,
                        "The server asks for more than a password: a one-time code, or which workspace. Sign in step by step.",
                    ));
                }
            }
        }
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
        mut tokens: Tokens,
    ) -> Result<Status, Error> {
        self.shared().runs()?;
        if self.shared().config.protocol.dialects(None).is_empty() {
            return Err(Error::new(
                Code::InvalidRequest,
                "Such a server's tokens cannot be renewed without its addresses. Use sign_in_with, which takes them, too.",
            ));
        }
        let server = self.server_for(server)?;
        tokens.identity.name = email.or(tokens.identity.name);
        establish(&self.sender, &server, Issued::new(tokens)).await
    }

    /// The same with all that a sign-in of this protocol produces: at an OAuth 2 server, [`OAuth2::elsewhere`] makes it.
    ///
    /// # Errors
    /// [`Code::InvalidAddress`], or [`Code::InvalidRequest`] where there is no refresh token.
    ///
    /// [`OAuth2::elsewhere`]: crate::OAuth2::elsewhere
    pub async fn sign_in_with(&self, server: &str, issued: Issued) -> Result<Status, Error> {
        self.shared().runs()?;
        establish(&self.sender, &self.server_for(server)?, issued).await
    }

    /// Runs one call: with the current credentials, through the one renewal if they are refused, replayed at most once.
    /// Dropping the future takes the call back; it never cancels a renewal.
    ///
    /// # Errors
    /// [`Code::SignedOut`], [`Code::Locked`], [`Code::Unreachable`], [`Code::AccessDenied`], [`Code::TimedOut`],
    /// [`Code::MaybeExecuted`] (mutations only), [`Code::TooLarge`], [`Code::TooManyCalls`], [`Code::InvalidRequest`],
    /// [`Code::Internal`].
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` has room for the call twice"
    )]
    pub fn execute(&self, call: Call) -> impl Future<Output = Result<Reply, Error>> + Send {
        async move {
            let shared = self.shared();
            shared.begin_call(shared.awake().ms());
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
    /// ```no_run
    /// use graphql_session::{Call, Error, Session, StreamEvent};
    ///
    /// # async fn example(session: Session) -> Result<(), Error> {
    /// let call = Call::new("graphql", r#"{"query":"subscription { personChanged { id } }"}"#);
    /// let mut events = session.subscribe(call)?;
    /// while let Some(event) = events.next().await {
    ///     match event {
    ///         StreamEvent::Open => println!("the server accepted it"),
    ///         StreamEvent::Next(payload) => println!("a result of {} bytes", payload.len()),
    ///         StreamEvent::Lost { retry_after } => println!("connection lost; next try in {retry_after:?}"),
    ///         StreamEvent::Reconnected => println!("events may be missing: fetch again"),
    ///         StreamEvent::Complete => println!("the server ended it"),
    ///         StreamEvent::Failed(error) => return Err(error),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] for an unknown endpoint, a header that is not allowed, or an operation that is not a
    /// subscription. Everything later comes as an event.
    pub fn subscribe(&self, call: Call) -> Result<Subscription, Error> {
        Subscription::new(self.sender.clone(), call)
    }

    /// Signs out: here at once, and at the server as soon as it can be reached. Where the status is [`Phase::Stopped`],
    /// nothing was done.
    pub async fn sign_out(&self) -> Status {
        let (reply, done) = oneshot::channel();
        self.sender.tell(Message::SignOut(reply));
        let _ = done.await;
        self.status()
    }

    /// Tries now instead of at the next attempt's time; reads a locked keyring again.
    pub async fn retry_now(&self) -> Status {
        let (reply, done) = oneshot::channel();
        self.sender.tell(Message::RetryNow(reply));
        let _ = done.await;
        self.status()
    }

    /// The system's network has changed: another Wi-Fi, a cable, a VPN. The session notices that by itself
    /// ([`Config::network`]); an application calls this where it knows better. Connections that are idle now may
    /// lead nowhere, and a call on one would wait for nothing; the next call opens its own. Those under way go on. A
    /// renewal that waits for its next attempt starts it within a second, unless the server has asked for the pause.
    pub fn network_changed(&self) {
        self.shared().forget_connections();
        self.sender.tell(Message::NetworkChanged);
    }

    /// Before quitting: waits until nothing would be lost, at most [`Limits::quit_timeout`](crate::Limits::quit_timeout), and says
    /// whether something would be. Credentials that are not saved are tried once more. The session goes on: an
    /// application can warn, let the person solve it, and close again.
    pub async fn close(&self) -> Closed {
        let (reply, done) = oneshot::channel();
        self.sender.tell(Message::Quit(reply));
        let limit = self.shared().config.limits.quit_timeout;
        let is_done = tokio::select! {
            biased;
            _ = done => true,
            () = self.shared().config.clock.sleep(limit) => false,
        };
        let status = self.status();
        match status.storage {
            Storage::NotSaved(reason) if status.is_lost_by_quitting() => Closed::NotSaved(reason),
            _ if status.phase == Phase::Stopped => Closed::Unfinished,
            _ if is_done || !status.has_session() => Closed::Kept,
            _ => Closed::Unfinished,
        }
    }

    fn watch_network(&self) {
        // Weak: the watch is a part of the session that it tells.
        let sender = Arc::downgrade(&self.sender);
        let network = &self.shared().config.network;
        self.sender.keep(network.watch(Box::new(move || {
            if let Some(sender) = sender.upgrade() {
                Self { sender }.network_changed();
            }
        })));
    }

    async fn run(&self, call: &Call, may_have_run: &AtomicBool) -> Result<Reply, Error> {
        call.fits(self.shared().config.limits.request_bytes)?;
        let _room = self.sender.admit(call.body.len())?;
        let mut sending = SendingCall {
            sender: &self.sender,
            endpoint: self.sender.endpoint(&call.endpoint)?,
            headers: AllowedHeaders::of(&call.headers, &self.shared().config.allowed_headers)?,
            call,
            may_have_run,
            lost: false,
        };
        self.sender.send(&mut sending, None).await
    }

    fn server_for(&self, address: &str) -> Result<Origin, Error> {
        let config = &self.shared().config;
        let origin = config.origin(address)?;
        if let Some(only) = &config.server
            && config.origin(only)? != origin
        {
            return Err(Error::new(
                Code::InvalidAddress,
                format!("This application works with {only} only."),
            ));
        }
        Ok(origin)
    }

    fn shared(&self) -> &Shared {
        self.sender.shared()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// The statuses of answers (RFC 9110, section 15). A page's `Response` takes no others.
const ANSWERS: RangeInclusive<u16> = 200..=599;

/// One call on its way.
struct SendingCall<'a> {
    sender: &'a Sender,
    call: &'a Call,
    endpoint: EndpointNumber,
    headers: AllowedHeaders,
    may_have_run: &'a AtomicBool,
    /// Its reply was lost once, and it was sent again.
    lost: bool,
}

impl Outgoing for SendingCall<'_> {
    type Accepted = Reply;

    fn counts_on_the_wire(&self) -> bool {
        true
    }

    fn answered_too_late(&self, error: Error) -> Error {
        // Who reads `signed_out` may send it again after the next sign-in.
        if self.is_query() {
            error
        } else {
            maybe_executed()
        }
    }

    async fn send(&mut self, held: Arc<Credentials>) -> Result<Sent<Reply>, Error> {
        let shared = self.sender.shared();
        self.may_have_run.store(true, Ordering::Relaxed);
        let over = if self.lost {
            Over::OwnConnection
        } else {
            Over::Pool
        };
        let sending = shared.clients(&held.origin)?.send(
            over,
            self.endpoint,
            self.headers.authorized(&held)?,
            self.call.body.clone(),
        );
        let receiving = match sending.await {
            // On the heap: as many as there are places receive at a time, and thousands may wait for a renewal, each
            // with room for what it would receive.
            Ok(response) => Box::pin(self.receive(response, &held)),
            // No byte of a reply had arrived: most often a connection that the server gave up meanwhile.
            Err(error) if error.was_on_the_way() && !self.lost && self.is_query() => {
                self.lost = true;
                return Ok(Sent::Again);
            }
            Err(error) => return Err(self.no_answer(error, &held)),
        };
        let reply = receiving.await?;
        let verdict = judge_call(&*shared.config.protocol, reply.parts(), || {
            self.call.operation()
        });
        match verdict {
            CallVerdict::Refused => {
                self.may_have_run.store(false, Ordering::Relaxed);
                // Without the reply: it would keep the connection's buffer from being used again while the call waits.
                Ok(Sent::Refused(None))
            }
            CallVerdict::RefusedInPart => Ok(Sent::Refused(Some(Box::new(reply)))),
            CallVerdict::GatewayError(cause) => {
                self.sender.lost(&held, cause);
                Ok(Sent::Accepted(reply))
            }
            CallVerdict::Served => {
                self.sender.served(&held);
                Ok(Sent::Accepted(reply))
            }
            CallVerdict::RequestTimeout(_) if self.is_query() && !self.lost => {
                self.lost = true;
                Ok(Sent::Again)
            }
            CallVerdict::RequestTimeout(cause) if self.is_query() => {
                self.sender.lost(&held, cause);
                Ok(Sent::Accepted(reply))
            }
            CallVerdict::RequestTimeout(cause) => {
                self.sender.lost(&held, cause);
                Err(maybe_executed().caused_by(cause))
            }
            CallVerdict::Unreadable(cause) if self.is_query() => Err(unreadable(cause)),
            CallVerdict::Unreadable(cause) => Err(maybe_executed().caused_by(cause)),
        }
    }
}

impl SendingCall<'_> {
    /// Learns the server's clock from a reply's head, and reads the rest of it. Not an `async fn`, which would have room
    /// for the response twice.
    fn receive(
        &self,
        mut response: reqwest::Response,
        held: &Credentials,
    ) -> impl Future<Output = Result<Reply, Error>> {
        let shared = self.sender.shared();
        if let Some(date) = header_date(response.headers()) {
            shared.server_clock.learn(date);
        }
        shared.learn_idle(&held.origin, &response);
        async move {
            match read_body(&mut response, shared.config.limits.reply_bytes).await {
                Ok(body) => {
                    let status = response.status().as_u16();
                    if !ANSWERS.contains(&status) {
                        return Err(self.no_answer_in_http(status));
                    }
                    let headers = std::mem::take(response.headers_mut());
                    Ok(Reply::new(status, body, held.info.session).with_headers(headers))
                }
                Err(TransportError::TooLong) => Err(Error::new(
                    Code::TooLarge,
                    "The server's reply is larger than this application accepts. Ask for less at a time.",
                )),
                Err(error) => Err(self.no_answer(error, held)),
            }
        }
    }

    /// The call got no answer; the status says that the server is away.
    fn no_answer(&self, error: TransportError, held: &Credentials) -> Error {
        self.sender.lost(held, error.cause());
        if error.not_sent() || self.is_query() {
            unreachable_server(self.sender.shared(), held, error)
        } else {
            maybe_executed().caused_by(error.cause())
        }
    }

    /// Not the server's own: HTTP defines no such status for an answer.
    fn no_answer_in_http(&self, status: u16) -> Error {
        let cause = Cause::Http(status);
        if self.is_query() {
            Error::new(
                Code::Unreachable,
                format!("Something answers with the status {status}, which HTTP does not have. You are still signed in; ask the person who runs the server."),
            )
            .caused_by(cause)
        } else {
            maybe_executed().caused_by(cause)
        }
    }

    fn is_query(&self) -> bool {
        self.call.operation() == OperationKind::Query
    }
}

/// A person who typed a path may think that the server is there.
fn say_that_the_path_is_left_out(error: Error, address: &str) -> Error {
    if error.code() != Code::NotThisServer || !has_path(address) {
        return error;
    }
    let sentence = format!(
        "{} The path in the address was left out: such a server has a host of its own.",
        error.message()
    );
    Error::new(Code::NotThisServer, sentence)
}

fn has_path(address: &str) -> bool {
    let address = address.trim();
    let after_scheme = address.split_once("://").map_or(address, |(_, rest)| rest);
    let path = after_scheme.split_once('/');
    path.is_some_and(|(_, path)| !path.is_empty())
}

fn maybe_executed() -> Error {
    Error::new(
        Code::MaybeExecuted,
        "The answer was lost; the change may have been made. Look before you repeat it.",
    )
}

fn unreadable(cause: Cause) -> Error {
    Error::new(
        Code::Unreachable,
        "The server's answer cannot be read: something on the way compresses it and does not say so. You are still signed in.",
    )
    .caused_by(cause)
}

fn unreachable_server(shared: &Shared, held: &Credentials, error: TransportError) -> Error {
    let sentence = match shared.clients(&held.origin) {
        Ok(clients) => clients.sentence(error),
        Err(_) => "The server cannot be reached.".to_owned(),
    };
    Error::new(
        Code::Unreachable,
        format!("{sentence} You are still signed in."),
    )
    .caused_by(error.cause())
}
