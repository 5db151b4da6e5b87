//! The actions themselves: lock, vault, files, and the exchange on the wire.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use graphql_session_renewal::{
    Action, Cause, CredentialsId, EndingReason, Event, Exchange, IoFailure, Note, SaveFailure,
    SessionId, TokenFate, VaultError, Wall,
};

use super::{Driver, Message};
use crate::credentials::Credentials;
use crate::files::{Failure, FileStanding, StateFile};
use crate::http::Envelope;
use crate::protocol::Reading;
use crate::shared::Shared;
use crate::verdict::judge;

impl Driver {
    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::TakeLock { patient } => self.take_lock(patient),
            Action::ReleaseLock => {
                if let Some(guard) = self.lock.take() {
                    // A write that outlived its limit may still be under way: the lock outlives it.
                    let shared = self.shared.clone();
                    self.shared
                        .vault_thread
                        .release_after_writes(guard, move |text| {
                            let protocol = shared.config.protocol.facts().name;
                            let found = Credentials::from_text(text, protocol);
                            found.is_some_and(|(found, _)| {
                                shared.files.ending_of(found.info.session).is_some()
                            })
                        });
                }
            }
            Action::Reread => {
                let held = self.state.held();
                self.spawn(|shared| async move {
                    let (view, found) = shared.look(held).await;
                    Message::Reread(Box::new(view), found.map(Box::new))
                });
            }
            Action::Mark { at } => {
                let Some(held) = self.shared.current.load_full() else {
                    return self.report(Event::Marked(Err(VaultError::Failed)));
                };
                self.spawn(move |shared| async move {
                    let limit = shared.config.limits.vault_write;
                    let text = held.to_text(Some(at));
                    let marked = shared.vault_thread.write(Some(text), limit).await;
                    Message::done(Event::Marked(marked))
                });
            }
            Action::Exchange => self.exchange(),
            Action::Probe => {
                if let Some(held) = self.shared.current.load_full() {
                    self.spawn(move |shared| async move {
                        Message::done(Event::Probed(probe(&shared, &held).await))
                    });
                }
            }
            Action::Save(info) => {
                let Some(credentials) = self.find(info.credentials) else {
                    let failure = SaveFailure::Vault(VaultError::Failed);
                    return self.report(Event::Saved(Err(failure)));
                };
                self.spawn(move |shared| async move {
                    Message::done(Event::Saved(save(&shared, &credentials).await))
                });
            }
            Action::Remove(session) => self.spawn(move |shared| async move {
                Message::done(Event::Removed(remove(&shared, session).await))
            }),
            Action::Use(id) => {
                if let Some(credentials) = self.find(id) {
                    self.identity = Some((credentials.origin.clone(), credentials.person.clone()));
                    self.shared.hold(Some(credentials));
                }
            }
            Action::Forget => self.shared.hold(None),
            Action::Drop(id) => {
                if let Some(credentials) = self.find(id) {
                    self.revoke(credentials);
                }
            }
            Action::RevokeHeld => {
                if let Some(credentials) = self.shared.current.load_full() {
                    self.revoke(credentials);
                }
            }
            Action::AppendEnded(session, reason) => {
                let appended = self.shared.files.append_ended(session, reason);
                log_failure("ended list", appended);
            }
            Action::WriteState {
                of,
                saved,
                not_before,
                failure,
            } => self.write_state(of, saved, not_before, failure),
            Action::WriteEnded(reason) => self.write_ended(reason),
            // These wake callers after the new status is published, or need both states: see `decide`.
            Action::Settle(..) | Action::SignInDone | Action::Note(_) => {}
        }
    }

    /// Runs a slow action in a task of its own; it reports by a message.
    fn spawn<F>(&self, action: impl FnOnce(Arc<Shared>) -> F)
    where
        F: Future<Output = Message> + Send + 'static,
    {
        let outbox = self.outbox.clone();
        let work = action(self.shared.clone());
        tokio::spawn(async move {
            let _ = outbox.send(work.await);
        });
    }

    fn report(&self, event: Event) {
        let _ = self.outbox.send(Message::done(event));
    }

    fn find(&self, id: CredentialsId) -> Option<Arc<Credentials>> {
        self.known
            .iter()
            .find(|known| known.info.credentials == id)
            .cloned()
    }

    fn take_lock(&self, patient: bool) {
        let limit = if patient {
            self.shared.config.limits.lock_timeout
        } else {
            Duration::ZERO
        };
        let began = self.shared.awake();
        self.spawn(move |shared| async move {
            let clock = &shared.config.clock;
            let taken = match shared.files.try_lock() {
                Ok(None) if !limit.is_zero() => tokio::select! {
                    taken = shared.files.lock() => taken.map(Some),
                    () = clock.sleep(limit) => Ok(None),
                },
                taken => taken,
            };
            let ms = shared.awake().since(began);
            if ms > 0 {
                shared.note(&Note::LockWaited { ms });
            }
            Message::Lock(match taken {
                Ok(guard) => guard.ok_or(Cause::LockHeld),
                Err(error) => Err(Cause::NoLock(IoFailure::from(&error))),
            })
        });
    }

    fn exchange(&self) {
        let Some(held) = self.shared.current.load_full() else {
            return self.report(Event::Exchanged(not_sent()));
        };
        self.spawn(move |shared| async move {
            // A protocol that an adopter brought may panic. The attempt is over then, and nothing else.
            let attempt = AssertUnwindSafe(exchange(&shared, &held))
                .catch_unwind()
                .await;
            let (exchange, received) =
                attempt.unwrap_or_else(|_| (maybe_used(Cause::ProtocolPanicked), None));
            Message::Exchanged(Box::new(exchange), received.map(Box::new))
        });
    }

    /// Tells the server that these are no longer wanted. Nobody waits for it, and nothing depends on it.
    fn revoke(&self, credentials: Arc<Credentials>) {
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let done = revoke(&shared, &credentials).await;
            shared.note(&Note::Revoked(done));
        });
    }

    fn write_state(
        &self,
        of: CredentialsId,
        saved: bool,
        not_before: Option<Wall>,
        failure: Option<(TokenFate, Wall)>,
    ) {
        let Some(credentials) = self.find(of) else {
            return;
        };
        let wall = self.shared.wall();
        let mut file = StateFile::new(
            &self.shared.config.account,
            &credentials,
            FileStanding::SignedIn,
        );
        file.saved_at = saved.then_some(wall);
        file.not_before = not_before;
        file.last_failure = failure.map(|(token, next_at)| Failure {
            credentials: of,
            at: wall,
            token,
            next_at,
        });
        log_failure("state file", self.shared.files.write_state(&file));
    }

    fn write_ended(&self, reason: EndingReason) {
        if let Some(credentials) = self.shared.current.load_full() {
            let file = self.shared.files.state();
            if file.is_some_and(|file| file.info.supersedes(&credentials.info)) {
                // Another process has signed in since; the ended list says the rest.
                return;
            }
            let at = self.shared.wall();
            let file = StateFile::new(
                &self.shared.config.account,
                &credentials,
                FileStanding::Ended { reason, at },
            );
            log_failure("state file", self.shared.files.write_state(&file));
        }
    }
}

/// One attempt: every dialect at most once, the one that worked last first.
async fn exchange(shared: &Shared, held: &Credentials) -> (Exchange, Option<Credentials>) {
    let protocol = &shared.config.protocol;
    let Ok(clients) = shared.clients(&held.origin) else {
        return (not_sent(), None);
    };
    let client = shared.auth_client(&clients);
    let mut proved = not_sent();
    for dialect in protocol.dialects(Some(held.dialect)) {
        let answer = client.post(&protocol.renewal(&held.refresh, dialect)).await;
        let outcome = answer
            .as_ref()
            .map(|answer| (answer, protocol.read_renewal(answer, dialect)))
            .map_err(|error| *error);
        let is_other_dialect = matches!(outcome, Ok((_, Reading::OtherDialect)));
        match judge(outcome) {
            Err(exchange) if is_other_dialect => proved = exchange,
            Err(exchange) => return (exchange, None),
            Ok(tokens) => {
                let subject = protocol.subject(&tokens);
                if held.subject.is_some() && subject != held.subject {
                    // Credentials of another account: never used, and no reason to end the session.
                    return (maybe_used(Cause::OtherAccount), None);
                }
                let cause = match tokens.refresh {
                    Some(_) => Cause::NewTokens,
                    None => Cause::NewAccessToken,
                };
                let received = held.renewed(tokens, dialect, subject, shared.server_clock.now());
                return (Exchange::Renewed(received.info, cause), Some(received));
            }
        }
    }
    (proved, None)
}

fn not_sent() -> Exchange {
    Exchange::Inconclusive {
        token: TokenFate::NotSent,
        retry_after: None,
        cause: Cause::NotSent,
    }
}

/// The server may have exchanged the token, and what it issued is lost.
fn maybe_used(cause: Cause) -> Exchange {
    Exchange::Inconclusive {
        token: TokenFate::MaybeUsed,
        retry_after: None,
        cause,
    }
}

/// Saves under the lock. A sign-out needs no lock, so the ended list is read before and after (I5):
/// 1. ended, then looked at: nothing is written;
/// 2. looked at, ended, written: the second look finds it, and the entry is removed again;
/// 3. written, looked at, ended: the process that ended it removes the entry once it has the lock.
async fn save(shared: &Shared, credentials: &Credentials) -> Result<(), SaveFailure> {
    let limit = shared.config.limits.vault_write;
    let session = credentials.info.session;
    if let Some(reason) = shared.files.ending_of(session) {
        return Err(SaveFailure::Ended(reason));
    }
    let written = shared
        .vault_thread
        .write(Some(credentials.to_text(None)), limit)
        .await;
    if let Some(reason) = shared.files.ending_of(session) {
        let _ = shared.vault_thread.write(None, limit).await;
        return Err(SaveFailure::Ended(reason));
    }
    written.map_err(SaveFailure::Vault)
}

/// Removes the entry under the lock, if it is this session's: a compare before the delete.
async fn remove(shared: &Shared, session: SessionId) -> Result<(), VaultError> {
    let limits = &shared.config.limits;
    let Some(text) = shared.vault_thread.read(limits.vault_read).await? else {
        return Ok(());
    };
    let found = Credentials::from_text(&text, shared.config.protocol.facts().name);
    match found {
        Some((found, _)) if found.info.session == session => {
            shared.vault_thread.write(None, limits.vault_write).await
        }
        _ => Ok(()),
    }
}

/// Whether the server answers, asked without credentials.
async fn probe(shared: &Shared, held: &Credentials) -> bool {
    let Ok(clients) = shared.clients(&held.origin) else {
        return false;
    };
    let client = shared.auth_client(&clients);
    shared.config.protocol.check(&client).await.is_ok()
}

async fn revoke(shared: &Shared, credentials: &Credentials) -> bool {
    let protocol = &shared.config.protocol;
    let Some(request) = protocol.revocation(&credentials.refresh, credentials.dialect) else {
        return false;
    };
    let Ok(clients) = shared.clients(&credentials.origin) else {
        return false;
    };
    let client = shared.auth_client(&clients);
    let answer = client.post(&request).await;
    answer.is_ok_and(|answer| {
        Envelope::read(&answer.body).is_some_and(|envelope| envelope.errors.is_empty())
    })
}

fn log_failure(file: &'static str, result: std::io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!(target: "graphql_session", file, cause = %error.kind(), "write_failed");
    }
}
