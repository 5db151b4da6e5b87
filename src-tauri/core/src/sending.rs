//! [`Sender`]: sends calls and streams with the current credentials. A request that is refused joins the one renewal and
//! is sent once more.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use graphql_session_renewal::{
    Awake, Cause, CredentialsInfo, LockedReason, Outcome, RenewalReason, ServerTime, SessionId,
    VaultError, WaiterId,
};
use tokio::sync::{mpsc, oneshot};

use crate::clock::{CLOCK_NOISE, millis};
use crate::credentials::Credentials;
use crate::driver::{Driver, Message};
use crate::error::{Code, Error};
use crate::http::EndpointNumber;
use crate::network::NetworkWatch;
use crate::places::{Place, Places, Room};
use crate::shared::Shared;
use crate::status::Phase;

/// The way from callers to the server and to the task that renews. All handles on a session share one.
pub(crate) struct Sender {
    shared: Arc<Shared>,
    inbox: mpsc::UnboundedSender<Message>,
    places: Arc<Places>,
    network: OnceLock<NetworkWatch>,
}

/// One request, as often as it has to be sent.
pub(crate) trait Outgoing {
    /// What comes of it once the server accepts the access token.
    type Accepted;

    /// Sends it once, with these credentials.
    fn send(
        &mut self,
        held: Arc<Credentials>,
    ) -> impl Future<Output = Result<Sent<Self::Accepted>, Error>> + Send;

    /// The error of one that the server has accepted for a session that is over by now.
    fn answered_too_late(&self, error: Error) -> Error {
        error
    }

    /// Whether it counts among the requests that may be on the wire at a time.
    fn counts_on_the_wire(&self) -> bool;
}

/// What came of sending once.
pub(crate) enum Sent<T> {
    /// The server accepted the access token.
    Accepted(T),
    /// It refused the access token. With what it accepted beside that, where it ran a part: the caller's, if the server
    /// refuses fresh credentials, too.
    Refused(Option<Box<T>>),
    /// There was no answer, and the request can be sent again at once.
    Again,
}

impl Drop for Sender {
    fn drop(&mut self) {
        // An exchange under way is still finished and saved.
        self.tell(Message::HandlesGone);
    }
}

impl Sender {
    /// Starts the task that renews.
    pub(crate) async fn start(shared: Arc<Shared>) -> Self {
        Self {
            places: Arc::new(Places::new(
                shared.config.limits,
                shared.config.clock.clone(),
            )),
            inbox: Driver::start(shared.clone()).await,
            network: OnceLock::new(),
            shared,
        }
    }

    /// Keeps the watch over the network for as long as the session lives.
    pub(crate) fn keep(&self, watch: Option<NetworkWatch>) {
        if let Some(watch) = watch {
            let _ = self.network.set(watch);
        }
    }

    /// Sends `request` until the server accepts or finally refuses it: with the current credentials, after a renewal if
    /// they have expired, once more after a renewal if they are refused. `session`: the one that it belongs to; without
    /// one, it belongs to the session with whose credentials it is sent first.
    ///
    /// # Errors
    /// [`Code::SignedOut`], [`Code::Locked`], [`Code::Unreachable`], [`Code::AccessDenied`], and those of the request.
    pub(crate) async fn send<R: Outgoing>(
        &self,
        request: &mut R,
        mut session: Option<SessionId>,
    ) -> Result<R::Accepted, Error> {
        let wall = self.shared.wall();
        self.shared.notice_sleep(wall);
        let began_at = self.shared.server_clock.at(wall);
        let mut refused = false;
        let mut waited = false;
        loop {
            let place = self.place(request.counts_on_the_wire()).await;
            let held = match session {
                None => self.held()?,
                Some(session) => self.held_in(session).await?,
            };
            if !waited && self.has_expired(&held) {
                // Once: with a wrong clock they look expired for ever, and only the server knows.
                waited = true;
                drop(place);
                self.wait_for_renewal(held, RenewalReason::Expired).await?;
                continue;
            }
            session = Some(held.info.session);
            let part = match request.send(held.clone()).await? {
                Sent::Accepted(accepted) => {
                    if refused {
                        self.replay_served(&held);
                    }
                    return match self.stands(held.info.session) {
                        Ok(()) => Ok(accepted),
                        Err(error) => Err(request.answered_too_late(error)),
                    };
                }
                Sent::Again => continue,
                Sent::Refused(part) => part,
            };
            if refused {
                self.stands(held.info.session)?;
                return or_part(self.refused_again(&held.info, began_at), part);
            }
            refused = true;
            waited = true;
            drop(place);
            if let Err(error) = self.wait_for_renewal(held, RenewalReason::Refused).await {
                return or_part(error, part);
            }
        }
    }

    async fn place(&self, is_needed: bool) -> Option<Place<'_>> {
        if !is_needed {
            return None;
        }
        let now = Awake::from_ms(self.shared.last_call.load(Ordering::Relaxed));
        Some(self.places.take(now).await)
    }

    /// Room for a call, which it takes until it has settled.
    ///
    /// # Errors
    /// [`Code::TooManyCalls`].
    pub(crate) fn admit(&self, bytes: usize) -> Result<Room<'_>, Error> {
        self.places.admit(bytes)
    }

    /// The current credentials.
    ///
    /// # Errors
    /// [`Code::SignedOut`] and [`Code::Locked`].
    pub(crate) fn held(&self) -> Result<Arc<Credentials>, Error> {
        let current = self.shared.current.load_full();
        current.ok_or_else(|| self.no_session())
    }

    /// The current credentials, for a request that belongs to `session` already. Another process may have ended it.
    ///
    /// # Errors
    /// [`Code::SignedOut`] and [`Code::Locked`].
    pub(crate) async fn held_in(&self, session: SessionId) -> Result<Arc<Credentials>, Error> {
        let ending = self.shared.files.ending_of(session).await;
        let held = self.held()?;
        if ending.is_some() || held.info.session != session {
            return Err(Error::signed_out());
        }
        Ok(held)
    }

    /// What a session was answered is handed over in that session only: the page may show another person by now.
    ///
    /// # Errors
    /// [`Code::SignedOut`].
    fn stands(&self, session: SessionId) -> Result<(), Error> {
        match &*self.shared.current.load() {
            Some(held) if held.info.session == session => Ok(()),
            Some(_) => Err(Error::signed_out()),
            // It has lost its credentials, and is not over.
            None if self.shared.status.borrow().phase == Phase::Locked
                && self.shared.files.known_ending(session).is_none() =>
            {
                Ok(())
            }
            None => Err(self.no_session()),
        }
    }

    /// Whether the access token is known to have expired.
    fn has_expired(&self, held: &Credentials) -> bool {
        let margin = millis(self.shared.config.protocol.facts().expiry_margin);
        let now = self.shared.server_clock.now();
        held.info.has_expired(now.plus(margin))
    }

    /// Joins the one renewal, unless these credentials have been renewed already.
    async fn wait_for_renewal(
        &self,
        seen: Arc<Credentials>,
        reason: RenewalReason,
    ) -> Result<(), Error> {
        let (reply, outcome) = oneshot::channel();
        let guard = WaiterGuard {
            waiter: self.shared.next_waiter(),
            inbox: &self.inbox,
        };
        self.tell(Message::Need {
            waiter: guard.waiter,
            seen,
            reason,
            reply,
        });
        let outcome = outcome.await;
        std::mem::forget(guard);
        let Ok(outcome) = outcome else {
            return Err(Error::stopped());
        };
        match outcome {
            Outcome::Renewed | Outcome::SendAnyway => Ok(()),
            Outcome::SignedOut | Outcome::Locked => Err(self.no_session()),
            Outcome::Denied => Err(access_denied()),
            Outcome::Unreachable { due, cause, .. } => {
                let error = Error::new(
                    Code::Unreachable,
                    "The server cannot be reached. You are still signed in; trying again by itself.",
                );
                let pause = due.since(self.shared.awake());
                let error = error.retry_after(Duration::from_millis(pause));
                Err(cause.map_or(error.clone(), |cause| error.caused_by(cause)))
            }
        }
    }

    /// The server has accepted these credentials.
    pub(crate) fn served(&self, held: &Credentials) {
        if self.shared.wants_served.load(Ordering::Relaxed) {
            let account = self.shared.config.account.as_str();
            let generation = held.info.generation;
            tracing::debug!(target: "graphql_session", account, generation, "served");
            self.tell(Message::Served(held.info.credentials));
        }
    }

    /// The server has accepted these credentials for a request that it had refused before the renewal.
    fn replay_served(&self, held: &Credentials) {
        if self.shared.wants_proof.load(Ordering::Relaxed) {
            self.tell(Message::ReplayServed(held.info.credentials));
        }
    }

    /// A request with these credentials got no answer: the status says so until the server is back.
    pub(crate) fn lost(&self, held: &Credentials, cause: Cause) {
        self.tell(Message::Lost(held.info.credentials, cause));
    }

    /// Refused with fresh credentials, it is the caller's error. Credentials from before the call say nothing: another
    /// process may have stored them long ago, and the next call renews them.
    fn refused_again(&self, sent_with: &CredentialsInfo, began_at: ServerTime) -> Error {
        let is_fresh = sent_with.issued_at.plus(CLOCK_NOISE) >= began_at;
        let current = self.shared.current.load();
        let is_current = current
            .as_ref()
            .is_some_and(|current| current.info.credentials == sent_with.credentials);
        if is_current && is_fresh && !sent_with.has_expired(self.shared.server_clock.now()) {
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
        // Not a copy of the status: ten thousand waiters may ask at once.
        let (phase, locked) = {
            let status = self.shared.status.borrow();
            (status.phase, status.locked)
        };
        match phase {
            Phase::Locked if locked == Some(LockedReason::KeyringOtherServer) => Error::new(
                Code::Locked,
                "The session that is stored is at another server than the one in this application's settings. Sign in anew, or correct the settings; nothing is lost.",
            )
            .caused_by(Cause::Vault(VaultError::OtherServer)),
            Phase::Locked => Error::new(
                Code::Locked,
                "Your keyring does not show the session. Unlock it, then try again; or sign in anew.",
            ),
            Phase::Stopped => Error::stopped(),
            _ => Error::signed_out(),
        }
    }

    /// The endpoint of this name.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] where the protocol has none.
    pub(crate) fn endpoint(&self, name: &str) -> Result<EndpointNumber, Error> {
        let mut endpoints = self.shared.config.protocol.facts().endpoints.iter();
        let named = endpoints.position(|endpoint| endpoint.name == name);
        named.map(EndpointNumber).ok_or_else(|| {
            Error::new(
                Code::InvalidRequest,
                "There is no such endpoint. Use one that the protocol names, not an address.",
            )
        })
    }

    /// Leaves the task a message. A task that is gone drops it with its reply, which tells the caller.
    pub(crate) fn tell(&self, message: Message) {
        let _ = self.inbox.send(message);
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}

/// A waiter that leaves when its call is dropped.
struct WaiterGuard<'a> {
    waiter: WaiterId,
    inbox: &'a mpsc::UnboundedSender<Message>,
}

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        let _ = self.inbox.send(Message::WaiterLeft(self.waiter));
    }
}

/// Where this person may not have all that was asked for, the part that was given.
fn or_part<T>(error: Error, part: Option<Box<T>>) -> Result<T, Error> {
    match part {
        Some(part) if error.code() == Code::AccessDenied => Ok(*part),
        _ => Err(error),
    }
}

fn access_denied() -> Error {
    Error::new(
        Code::AccessDenied,
        "The server refuses this with fresh credentials. Ask the person who runs it for access.",
    )
    .caused_by(Cause::FreshTokenRefused)
}
