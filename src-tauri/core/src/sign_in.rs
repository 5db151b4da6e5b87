//! [`SignIn`]: a sign-in under way. It does what its protocol's flow asks for: sends requests, catches the browser's redirect,
//! lets time pass, and hands the person's steps to the caller.
//!
//! Until it is done it changes nothing: the session that was there stays, and dropping a sign-in cancels it (I14).

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use graphql_session_renewal::{CredentialsInfo, Note, Wall};
use tokio::sync::oneshot;
use url::Url;

use crate::clock::Sleep;
use crate::credentials::{
    AccessToken, Credentials, expiry, expiry_of_new, new_credentials_id, new_session_id,
};
use crate::driver::Message;
use crate::error::{Code, Error};
use crate::http::{Answer, AuthClient, Origin, Request, Target};
use crate::protocol::{
    Expiry, Flow, Given, Issued, Need, SignInMethod, SignInStep, StepAnswer, Unanswered,
};
use crate::sending::Sender;
use crate::shared::Shared;
use crate::status::Status;

mod loopback;

use loopback::Loopback;

/// Origins that one sign-in may talk to: the API's, the issuer's, and one for each endpoint that a large provider has
/// elsewhere.
const ORIGINS: usize = 4;

/// A sign-in under way, as [`Session::begin_sign_in`](crate::Session::begin_sign_in) returns it. Dropping it cancels it.
///
/// ```no_run
/// use graphql_session::{Error, PasswordLogin, Session, SignInEvent, SignInStep, StepAnswer};
///
/// # async fn example(session: Session) -> Result<(), Error> {
/// let mut sign_in = session.begin_sign_in("https://crm.example.com", None)?;
/// loop {
///     match sign_in.next().await? {
///         // The sign-in goes on by itself when the browser comes back.
///         SignInEvent::Step(SignInStep::Browser { url, .. }) => println!("open {url}"),
///         SignInEvent::Step(SignInStep::Device { user_code, verification_url, .. }) => {
///             println!("type {user_code} at {verification_url}");
///         }
///         SignInEvent::Step(SignInStep::Password) => {
///             let login = PasswordLogin { email: "ada@example.com".into(), password: "correct horse".into() };
///             sign_in.answer(StepAnswer::Password(login));
///         }
///         // One-time codes, and a choice of workspaces.
///         SignInEvent::Step(_) => return Ok(()),
///         SignInEvent::Done(status) => {
///             println!("signed in at {:?}", status.server);
///             return Ok(());
///         }
///     }
/// }
/// # }
/// ```
pub struct SignIn {
    sender: Arc<Sender>,
    server: Origin,
    method: Option<SignInMethod>,
    flow: Flow,
    client: AuthClient,
    loopback: Option<Loopback>,
    state: State,
}

/// Where a sign-in stands between two calls of [`SignIn::next`].
enum State {
    /// It goes on with this.
    Ready(Given),
    /// The person has been asked, at this awake time in ms.
    Asked(SignInStep, u64),
    /// It is over, or a call of `next` was dropped in the middle.
    Over,
}

/// What [`SignIn::next`] returns.
#[derive(Clone, Debug)]
pub enum SignInEvent {
    /// The person has something to do. A password, a one-time code and a choice are answered with [`SignIn::answer`]; for a
    /// browser and a device code, the next call waits until the person is done there.
    Step(SignInStep),
    /// The person is signed in.
    Done(Status),
}

impl SignIn {
    pub(crate) fn new(
        sender: Arc<Sender>,
        server: Origin,
        method: Option<SignInMethod>,
    ) -> Result<Self, Error> {
        let shared = sender.shared();
        Ok(Self {
            client: shared.sign_in_client(&server)?,
            flow: shared.config.protocol.sign_in(&server),
            server,
            method,
            loopback: None,
            state: State::Ready(Given::Begin),
            sender,
        })
    }

    /// The origin at which it signs in.
    pub fn server(&self) -> String {
        self.server.text()
    }

    /// Answers the step that [`next`](Self::next) has returned.
    pub fn answer(&mut self, answer: StepAnswer) {
        if let State::Asked(_, asked_at) = self.state {
            self.state = if self.time_left(asked_at).is_zero() {
                State::Asked(SignInStep::Password, asked_at)
            } else {
                State::Ready(Given::Step(answer))
            };
        }
    }

    /// Over when the time for the present step is over: [`next`](Self::next) fails then. A program that waits for its person
    /// waits for this beside them.
    pub fn timed_out(&self) -> Sleep {
        let left = match self.state {
            State::Asked(_, asked_at) => self.time_left(asked_at),
            _ => Duration::ZERO,
        };
        self.shared().config.clock.sleep(left)
    }

    /// Goes on until the person has something to do, or is signed in. Dropping the future cancels the sign-in.
    ///
    /// # Errors
    /// A code that a sign-in form can show. The sign-in is over then, and the session that was there before is untouched.
    pub async fn next(&mut self) -> Result<SignInEvent, Error> {
        loop {
            let given = match std::mem::replace(&mut self.state, State::Over) {
                State::Ready(given) => given,
                State::Asked(step, asked_at) => self.after(step, asked_at).await?,
                State::Over => return Err(cancelled()),
            };
            match self.go_on(given)? {
                Need::Method(offered) => {
                    let method = choose(&offered, self.method)?;
                    let other = self.shared().is_other_server(&self.server);
                    self.shared().note(&Note::SignInSent { other });
                    self.state = State::Ready(Given::Method(method));
                }
                Need::Answer(request) => {
                    let answer = self.send(&request).await;
                    self.state = State::Ready(Given::Answer(answer));
                }
                Need::Listener { ports, path, state } => {
                    let opened = Loopback::open(&ports, path, state).await;
                    let listening = opened.as_ref().map(|opened| opened.listening().clone());
                    let listening = listening.map_err(Clone::clone);
                    self.loopback = opened.ok();
                    self.state = State::Ready(Given::Listener(listening));
                }
                Need::Step(step) => return Ok(self.ask(step)),
                Need::Redirect(url) => {
                    let expires_in_seconds = self.time_limit().as_secs();
                    return Ok(self.ask(SignInStep::Browser {
                        url,
                        expires_in_seconds,
                    }));
                }
                Need::Pause(pause) => {
                    self.shared().config.clock.sleep(pause).await;
                    self.state = State::Ready(Given::Done);
                }
                Need::Recall(name) => {
                    let files = &self.shared().files;
                    let kept = files.run(move |files| files.recall(&name)).await;
                    self.state = State::Ready(Given::Recalled(kept.ok().flatten()));
                }
                Need::Remember(name, text) => {
                    let files = &self.shared().files;
                    // What cannot be kept is asked for again by the next sign-in.
                    let _ = files.run(move |files| files.remember(name, text)).await;
                    self.state = State::Ready(Given::Done);
                }
                Need::Done(issued) => {
                    self.loopback = None;
                    let mut issued = *issued;
                    let now = self.shared().server_clock.now();
                    let stated = &mut issued.tokens.access_expires;
                    if expiry_of_new(*stated, now, now).is_none() {
                        *stated = Expiry::Unknown;
                    }
                    let status = establish(&self.sender, &self.server, issued).await?;
                    return Ok(SignInEvent::Done(status));
                }
                Need::Failed(error) => return Err(error),
            }
        }
    }

    /// The methods that the server offers, best first. The sign-in has not begun then.
    pub(crate) async fn offered(&mut self) -> Result<Vec<SignInMethod>, Error> {
        let mut given = Given::Begin;
        loop {
            match self.go_on(given)? {
                Need::Answer(request) => given = Given::Answer(self.send(&request).await),
                Need::Method(offered) => return Ok(offered),
                Need::Failed(error) => return Err(error),
                _ => return Err(out_of_order()),
            }
        }
    }

    /// A protocol that an adopter brought may panic. The sign-in is over then, and nothing else.
    fn go_on(&mut self, given: Given) -> Result<Need, Error> {
        let flow = &mut self.flow;
        catch_unwind(AssertUnwindSafe(|| flow.next(given))).map_err(|_| out_of_order())
    }

    fn ask(&mut self, step: SignInStep) -> SignInEvent {
        self.state = State::Asked(step.clone(), self.now());
        SignInEvent::Step(step)
    }

    /// What the person, or their browser, did at this step.
    async fn after(&mut self, step: SignInStep, asked_at: u64) -> Result<Given, Error> {
        let left = self.time_left(asked_at);
        match step {
            SignInStep::Browser { .. } => {
                let clock = self.shared().config.clock.clone();
                let loopback = self.loopback.as_mut().ok_or_else(out_of_order)?;
                tokio::select! {
                    biased;
                    redirected = loopback.redirected() => Ok(Given::Redirected(redirected)),
                    () = clock.sleep(left) => Err(timed_out()),
                }
            }
            // Its flow asks the server, and knows when the code expires.
            SignInStep::Device { .. } => Ok(Given::Done),
            _ if left.is_zero() => Err(timed_out()),
            _ => {
                self.state = State::Asked(step, asked_at);
                Err(Error::new(
                    Code::InvalidRequest,
                    "The sign-in waits for an answer. Give it first.",
                ))
            }
        }
    }

    /// Sends a request of the flow. An issuer's origin is allowed when the flow first names it; of those there are few.
    async fn send(&mut self, request: &Request) -> Result<Answer, Unanswered> {
        if let Target::Address(address) = &request.to
            && let Err(error) = self.allow(address)
        {
            let transport = crate::http::TransportError::ForeignOrigin;
            return Err(Unanswered { transport, error });
        }
        let sent = self.client.send(request).await;
        sent.map_err(|transport| Unanswered {
            transport,
            error: self.client.sign_in_error(&request.to, transport),
        })
    }

    fn allow(&mut self, address: &Url) -> Result<(), Error> {
        let shared = self.sender.shared();
        let origin = shared
            .config
            .origin(&address.origin().ascii_serialization())?;
        if !self.client.allows(&origin) {
            if self.client.origins() >= ORIGINS {
                return Err(Error::new(
                    Code::NotThisServer,
                    "The server names too many other servers for the sign-in. Ask the person who runs it.",
                ));
            }
            self.client.allow(shared.route(origin)?);
        }
        Ok(())
    }

    fn time_left(&self, asked_at: u64) -> Duration {
        let waited = Duration::from_millis(self.now() - asked_at);
        self.time_limit().saturating_sub(waited)
    }

    fn time_limit(&self) -> Duration {
        self.shared().config.limits.sign_in_timeout
    }

    fn now(&self) -> u64 {
        self.shared().awake().ms()
    }

    fn shared(&self) -> &Shared {
        self.sender.shared()
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn")
            .field("server", &self.server.text())
            .finish_non_exhaustive()
    }
}

/// The method that was asked for, or the best one.
fn choose(offered: &[SignInMethod], asked: Option<SignInMethod>) -> Result<SignInMethod, Error> {
    let Some(asked) = asked else {
        return offered.first().copied().ok_or_else(|| {
            Error::new(
                Code::SignInRefused,
                "This server offers no way to sign in that this application knows. Ask the person who runs it.",
            )
        });
    };
    if offered.contains(&asked) {
        return Ok(asked);
    }
    Err(match asked {
        SignInMethod::Browser => Error::new(
            Code::BrowserUnavailable,
            "This server has no sign-in by browser; it may be an older one. Sign in another way.",
        ),
        _ => Error::new(
            Code::SignInRefused,
            "This server does not offer this way to sign in. Use another one.",
        ),
    })
}

/// Makes what a server issued the session.
///
/// # Errors
/// [`Code::SignedOut`], when the session ended at once; [`Code::InvalidRequest`], where there is no refresh token.
pub(crate) async fn establish(
    sender: &Sender,
    server: &Origin,
    issued: Issued,
) -> Result<Status, Error> {
    let shared = sender.shared();
    let Issued {
        tokens,
        dialect,
        issuer,
        server: chosen,
    } = issued;
    let origin = match chosen {
        Some(chosen) => shared.config.origin(&chosen)?.text(),
        None => server.text(),
    };
    let protocol = &shared.config.protocol;
    let subject = protocol.subject(&tokens);
    let refresh = tokens.refresh.ok_or_else(|| {
        Error::new(
            Code::InvalidRequest,
            "A session needs a refresh token, too.",
        )
    })?;
    // Later than any session before it, even if the clock was set back: the later of two sessions wins.
    let file = shared.files.run(|files| files.state()).await;
    let before = match file {
        Ok(Ok(Some(file))) => file.info.begun_at,
        _ => Wall::default(),
    };
    let begun_at = shared.wall().max(before.plus(1));
    let (facts, now) = (protocol.facts(), shared.server_clock.now());
    let credentials = Credentials {
        info: CredentialsInfo {
            session: new_session_id(),
            begun_at,
            generation: 1,
            credentials: new_credentials_id(),
            access_until: expiry(tokens.access_expires, now),
            issued_at: now,
        },
        protocol: facts.name.clone().into_owned(),
        issuer: issuer.filter(|issuer| *issuer != origin),
        origin,
        person: tokens.identity.name,
        subject,
        folder: shared.files.folder_id(None).await.map(str::to_owned),
        dialect,
        access: AccessToken::new(tokens.access, facts),
        refresh,
        refresh_until: expiry(tokens.refresh_expires, now),
    };
    let (reply, done) = oneshot::channel();
    sender.tell(Message::SignIn(Box::new(credentials), reply));
    done.await.map_err(|_| Error::stopped())?;
    let status = shared.status.borrow().clone();
    if status.has_session() {
        Ok(status)
    } else {
        Err(Error::signed_out())
    }
}

fn cancelled() -> Error {
    Error::new(
        Code::SignInCancelled,
        "This sign-in was cancelled. Start again to sign in.",
    )
}

fn timed_out() -> Error {
    Error::new(
        Code::SignInTimedOut,
        "Nobody finished the sign-in in time. Start again.",
    )
}

fn out_of_order() -> Error {
    Error::new(
        Code::Internal,
        "The sign-in came out of order. Start again; if it happens again, report it to the application's developers.",
    )
}
