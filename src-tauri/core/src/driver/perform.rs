//! The actions themselves: lock, vault, files, and the exchange on the wire.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use graphql_session_renewal::{
    Action, Cause, CredentialsId, EndingReason, Event, Exchange, FileView, FileWrite, IoFailure,
    Note, SaveFailure, SessionId, StateWrite, TokenFate, VaultError, VaultView, View,
};
use secrecy::SecretString;
use tokio::sync::mpsc;

use super::{Driver, Message};
use crate::credentials::Credentials;
use crate::files::{About, AccountFiles, Guard, StateFile};
use crate::protocol::Reading;
use crate::shared::Shared;
use crate::verdict::judge;

impl Driver {
    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::TakeLock { patient } => self.take_lock(patient),
            Action::ReleaseLock => {
                if let Some(guard) = self.lock.take() {
                    self.release(guard);
                }
            }
            Action::Reread => {
                let held = self.state.held();
                let nothing = View {
                    files: FileView {
                        unreadable: Some(IoFailure::Other),
                        ..FileView::default()
                    },
                    vault: VaultView::Unavailable(VaultError::Failed),
                };
                let dead = Message::Reread(Box::new(nothing), None);
                self.spawn(dead, move |shared| async move {
                    let (view, found) = shared.look(held).await;
                    Message::Reread(Box::new(view), found.map(Box::new))
                });
            }
            Action::Mark { at } => {
                let Some(held) = self.shared.current.load_full() else {
                    return self.report(Event::Marked(Err(VaultError::Failed)));
                };
                let dead = Message::done(Event::Marked(Err(VaultError::Failed)));
                self.spawn(dead, move |shared| async move {
                    let limit = shared.config.limits.vault_write;
                    let text = held.to_text(Some(at), shared.config.vault.longest());
                    let marked = shared.vault_thread.write(Some(text), limit).await;
                    Message::done(Event::Marked(marked))
                });
            }
            Action::Exchange { limit } => self.exchange(Duration::from_millis(limit)),
            Action::Probe => {
                if let Some(held) = self.shared.current.load_full() {
                    let dead = Message::done(Event::Probed(false));
                    self.spawn(dead, move |shared| async move {
                        Message::done(Event::Probed(probe(&shared, &held).await))
                    });
                }
            }
            Action::Save(info) => {
                let Some(credentials) = self.find(info.credentials) else {
                    let failure = SaveFailure::Vault(VaultError::Failed);
                    return self.report(Event::Saved(Err(failure)));
                };
                // Only a person's sign-in replaces what another installation has stored.
                let spares_foreign = self.state.held().is_some();
                let dead = Event::Saved(Err(SaveFailure::Vault(VaultError::Failed)));
                self.spawn(Message::done(dead), move |shared| async move {
                    let saved = save(&shared, &credentials, spares_foreign).await;
                    Message::done(Event::Saved(saved))
                });
            }
            Action::Remove(session) => {
                let dead = Message::done(Event::Removed(Err(VaultError::Failed)));
                self.spawn(dead, move |shared| async move {
                    Message::done(Event::Removed(remove(&shared, session).await))
                });
            }
            Action::Use(id) => {
                if let Some(credentials) = self.find(id) {
                    self.identity = Some((credentials.origin.clone(), credentials.person.clone()));
                    self.shared.hold(Some(credentials));
                }
            }
            Action::Forget => {
                self.shared.hold(None);
                // Their buffers have held the access token.
                self.shared.forget_connections();
            }
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
                self.shared.files.note_ending(session, reason);
                let write = FileWrite::Ended(session, reason);
                self.write_file(write, move |files| files.append_ended(session, reason));
            }
            Action::WriteState(write) => self.write_state(write),
            Action::WriteEnded(reason) => self.write_ended(reason),
            // These wake callers after the new status is published, or need both states: see `decide`.
            Action::Settle(..) | Action::SignInDone | Action::Note(_) => {}
        }
    }

    /// Runs a slow action in a task of its own; it reports by a message. `dead` is its report where it panics: protocol,
    /// vault, files and clock may be an adopter's, and without a report the session would wait for it for ever.
    pub(super) fn spawn<F>(&self, dead: Message, action: impl FnOnce(Arc<Shared>) -> F)
    where
        F: Future<Output = Message> + Send + 'static,
    {
        let report = self.report_of(dead);
        let work = action(self.shared.clone());
        tokio::spawn(async move { report.says(work.await) });
    }

    fn report_of(&self, dead: Message) -> Report {
        Report {
            outbox: self.outbox.clone(),
            message: Some(dead),
        }
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
        let limit = self.shared.config.limits.lock_timeout;
        let began = self.shared.awake();
        let dead = Message::Lock(Err(Cause::NoLock(IoFailure::Other)));
        self.spawn(dead, move |shared| async move {
            let clock = &shared.config.clock;
            let taken = tokio::select! {
                biased;
                taken = shared.files.lock(patient) => taken,
                () = clock.sleep(limit) => Ok(None),
            };
            let ms = shared.awake().since(began);
            if ms > 0 {
                shared.note(&Note::LockWaited { ms });
            }
            Message::Lock(match taken {
                Ok(guard) => guard.ok_or(Cause::LockHeld),
                Err(failure) => Err(Cause::NoLock(failure)),
            })
        });
    }

    fn exchange(&self, limit: Duration) {
        let Some(held) = self.shared.current.load_full() else {
            return self.report(Event::Exchanged(not_sent()));
        };
        // A protocol that an adopter brought may panic. The attempt is over then, and nothing else.
        let dead = Message::Exchanged(Box::new(maybe_used(Cause::ProtocolPanicked)), None);
        self.spawn(dead, move |shared| async move {
            let (exchange, received) = exchange(&shared, &held, limit).await;
            Message::Exchanged(Box::new(exchange), received.map(Box::new))
        });
    }

    /// Tells the server that these are no longer wanted. Nobody waits for it, and nothing depends on it.
    fn revoke(&self, credentials: Arc<Credentials>) {
        let shared = self.shared.clone();
        let asking = shared.clone();
        let revoking = tokio::spawn(async move { revoke(&asking, &credentials).await });
        tokio::spawn(async move {
            // A protocol that an adopter brought may panic.
            shared.note(&Note::Revoked(revoking.await.unwrap_or(false)));
        });
    }

    /// A write that outlived its limit may still be under way, to the files or to the vault: the lock outlives it.
    fn release(&self, guard: Guard) {
        let shared = self.shared.clone();
        self.shared.files.enqueue(move |_| {
            let reader = shared.clone();
            let is_dead = move |text: &SecretString| {
                Credentials::session_in(text)
                    .is_some_and(|session| reader.files.ending_of_blocking(session).is_some())
            };
            shared.vault_thread.release_after_writes(guard, is_dead);
        });
    }

    fn write_state(&self, write: StateWrite) {
        if let Some(credentials) = self.find(write.of) {
            let file = StateFile::standing(self.about(&credentials), &write, self.shared.wall());
            self.write_file(FileWrite::State(write), move |files| {
                files.write_state(&file)
            });
        }
    }

    fn write_ended(&self, reason: EndingReason) {
        if let Some(credentials) = self.shared.current.load_full() {
            let file = StateFile::ended(self.about(&credentials), reason, self.shared.wall());
            self.shared.files.enqueue(move |files| {
                let _ = log_failure(files.write_ended(&file));
            });
        }
    }

    fn about<'a>(&'a self, credentials: &'a Credentials) -> About<'a> {
        About {
            account: &self.shared.config.account,
            server: &credentials.origin,
            person: credentials.person.as_deref(),
            protocol: &credentials.protocol,
            info: credentials.info,
        }
    }

    /// Writes to the account's files; the result is an event. Nobody waits for it.
    fn write_file(
        &self,
        write: FileWrite,
        work: impl FnOnce(&mut AccountFiles) -> io::Result<()> + Send + 'static,
    ) {
        let dead = Event::Written(write, Err(IoFailure::Other));
        let report = self.report_of(Message::done(dead));
        self.shared.files.enqueue(move |files| {
            let result = log_failure(work(files));
            report.says(Message::done(Event::Written(write, result)));
        });
    }
}

/// What an action reports when it is over, however it ends.
struct Report {
    outbox: mpsc::UnboundedSender<Message>,
    message: Option<Message>,
}

impl Report {
    fn says(mut self, message: Message) {
        self.message = Some(message);
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            let _ = self.outbox.send(message);
        }
    }
}

/// One attempt: every dialect at most once, the one that worked last first.
async fn exchange(
    shared: &Shared,
    held: &Credentials,
    limit: Duration,
) -> (Exchange, Option<Credentials>) {
    let protocol = &shared.config.protocol;
    let Ok(client) = shared.client_of(held, limit) else {
        return (not_sent(), None);
    };
    let mut proved = not_sent();
    for dialect in protocol.dialects(Some(&held.dialect)) {
        let Some(request) = protocol.renewal(&held.for_protocol(), &dialect) else {
            continue;
        };
        let asked = shared.awake();
        let answer = client.send(&request).await;
        let outcome = answer
            .as_ref()
            .map(|answer| (answer, protocol.read_renewal(answer, &dialect)))
            .map_err(|error| *error);
        let is_other_dialect = matches!(outcome, Ok((_, Reading::OtherDialect)));
        match judge(outcome) {
            Err(exchange) if is_other_dialect => proved = exchange,
            Err(exchange) => return (exchange, None),
            Ok(tokens) => {
                let subject = protocol.subject(&tokens);
                let both = subject.as_ref().zip(held.subject.as_ref());
                if both.is_some_and(|(theirs, ours)| theirs != ours) {
                    // Credentials of another account: never used, and no reason to end the session.
                    return (maybe_used(Cause::OtherAccount), None);
                }
                let cause = match tokens.refresh {
                    Some(_) => Cause::NewTokens,
                    None => Cause::NewAccessToken,
                };
                // By the clock that this very answer has shown.
                let issued_at = shared.server_clock.now();
                let asked_at = issued_at.minus(shared.awake().since(asked));
                let received = held.renewed(
                    tokens,
                    subject,
                    dialect,
                    protocol.facts(),
                    asked_at,
                    issued_at,
                );
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
async fn save(
    shared: &Shared,
    credentials: &Credentials,
    spares_foreign: bool,
) -> Result<(), SaveFailure> {
    let limit = shared.config.limits.vault_write;
    let session = credentials.info.session;
    let longest = shared.config.vault.longest();
    if spares_foreign && shared.sees_foreign.load(Ordering::Relaxed) {
        return Err(SaveFailure::Vault(VaultError::OtherFolder));
    }
    if let Some(reason) = shared.files.ending_of(session).await {
        return Err(SaveFailure::Ended(reason));
    }
    let written = shared
        .vault_thread
        .write(Some(credentials.to_text(None, longest)), limit)
        .await;
    if let Some(reason) = shared.files.ending_of(session).await {
        let _ = shared.vault_thread.write(None, limit).await;
        return Err(SaveFailure::Ended(reason));
    }
    written.map_err(SaveFailure::Vault)
}

/// Removes the entry under the lock, if it is this session's: a compare before the delete. One that cannot be read is this
/// session's if the state file says so.
async fn remove(shared: &Shared, session: SessionId) -> Result<(), VaultError> {
    let limits = &shared.config.limits;
    let Some(text) = shared.vault_thread.read(limits.vault_read).await? else {
        return Ok(());
    };
    let found = match Credentials::session_in(&text) {
        Some(found) => Some(found),
        None => {
            let file = shared.files.run(|files| files.state()).await;
            let file = file.ok().and_then(Result::ok).flatten();
            file.map(|file| file.info.session)
        }
    };
    if found == Some(session) {
        shared.vault_thread.write(None, limits.vault_write).await
    } else {
        Ok(())
    }
}

/// Whether the server answers, asked without credentials.
async fn probe(shared: &Shared, held: &Credentials) -> bool {
    let protocol = &shared.config.protocol;
    let limit = shared.config.limits.attempt_timeout;
    let Ok(client) = shared.client_of(held, limit) else {
        return false;
    };
    let answer = client.send(&protocol.probe()).await;
    answer.is_ok_and(|answer| protocol.is_back(&answer))
}

async fn revoke(shared: &Shared, credentials: &Credentials) -> bool {
    let protocol = &shared.config.protocol;
    let Some(request) = protocol.revocation(&credentials.for_protocol()) else {
        return false;
    };
    let limit = shared.config.limits.attempt_timeout;
    let Ok(client) = shared.client_of(credentials, limit) else {
        return false;
    };
    let answer = client.send(&request).await;
    answer.is_ok_and(|answer| protocol.is_revoked(&answer))
}

fn log_failure(result: io::Result<()>) -> Result<(), IoFailure> {
    result.map_err(|error| {
        tracing::warn!(target: "graphql_session", cause = %error.kind(), "file_not_written");
        IoFailure::from(&error)
    })
}
