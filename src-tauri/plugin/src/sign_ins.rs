//! Sign-ins under way, at most one in each window. Each has a task that owns the core's `SignIn`. The page asks for the next
//! step, answers it, and asks again.
//!
//! Tauri may repeat an invoke, and deliver two in another order than they were sent. So each sign-in has an id that its page
//! made, and each step a number: a repeated answer is used once, and an old one returns where the sign-in stands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graphql_session::{Code, Session, SignInEvent, SignInMethod, SignInStep, Status, StepAnswer};
use serde::Serialize;
use tauri::{Runtime, UserAttentionType, Window};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::error::CommandError;
use crate::opener::{OpenBrowser, open};
use crate::page_answer::PageAnswer;
use crate::servers::{Servers, Wanted};

/// All sign-ins of all windows. Cheap to clone; managed state of the plugin.
#[derive(Clone)]
pub(crate) struct SignIns(Arc<Shared>);

struct Shared {
    open_browser: OpenBrowser,
    windows: Mutex<HashMap<String, Place>>,
}

/// What one window has.
#[derive(Default)]
struct Place {
    /// The sign-in that runs, or the last one.
    entry: Option<Entry>,
    /// The id of a sign-in that was cancelled before its own invoke arrived.
    cancelled: Option<Box<str>>,
}

struct Entry {
    id: Box<str>,
    session: Session,
    standing: watch::Receiver<Standing>,
    answers: mpsc::UnboundedSender<StepAnswer>,
    /// The number of the last step that was answered.
    answered: u64,
    task: JoinHandle<()>,
}

impl Drop for Entry {
    /// A sign-in that nobody can ask for any more is cancelled (I14).
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where a sign-in stands.
#[derive(Clone)]
enum Standing {
    Begun,
    Step(u64, ShownStep),
    Over(Result<Status, CommandError>),
}

/// What a page gets to know of a sign-in: `{ number, step }`, or `{ status }` once it is done.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Progress {
    /// The person has something to do.
    Step {
        /// The step's number, from 1.
        number: u64,
        /// The step.
        step: ShownStep,
    },
    /// The person is signed in.
    Done {
        /// The status after it.
        status: Box<Status>,
    },
}

/// A step as a page reads it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShownStep {
    #[serde(flatten)]
    step: SignInStep,
    /// No browser could be opened. Absent where one was, as far as the system says.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    not_opened: bool,
}

/// What a page wants to sign in to.
pub(crate) struct SignInRequest {
    pub(crate) session: Session,
    pub(crate) server: String,
    pub(crate) method: Option<SignInMethod>,
}

impl SignIns {
    pub(crate) fn new(open_browser: OpenBrowser) -> Self {
        Self(Arc::new(Shared {
            open_browser,
            windows: Mutex::default(),
        }))
    }

    /// Begins a sign-in, once per id, and returns its first step. The one that the window had before is cancelled.
    ///
    /// # Errors
    /// What [`Servers::admit`] and the sign-in fail with; [`Code::SignInCancelled`].
    pub(crate) async fn begin<R: Runtime>(
        &self,
        window: &Window<R>,
        id: &str,
        servers: &Servers,
        request: SignInRequest,
    ) -> Result<Progress, CommandError> {
        let standing = self.start(window, id, servers, request)?;
        after(standing, 0).await
    }

    fn start<R: Runtime>(
        &self,
        window: &Window<R>,
        id: &str,
        servers: &Servers,
        request: SignInRequest,
    ) -> Result<watch::Receiver<Standing>, CommandError> {
        let mut windows = self.windows();
        let place = windows.entry(window.label().to_owned()).or_default();
        if place.cancelled.as_deref() == Some(id) {
            return Err(cancelled());
        }
        if let Some(entry) = place.entry.as_ref().filter(|entry| *entry.id == *id) {
            return Ok(entry.standing.clone());
        }
        let (person, standing, answers) = Person::new(window, self.0.open_browser.clone());
        let servers = servers.clone();
        place.entry = Some(Entry {
            id: id.into(),
            session: request.session.clone(),
            standing: standing.clone(),
            answers,
            answered: 0,
            task: tokio::spawn(async move { person.sign_in(&servers, request).await }),
        });
        Ok(standing)
    }

    /// Answers a step, where its number is still the present one, and returns what comes after it. Without an answer it only
    /// waits, as for a browser.
    ///
    /// # Errors
    /// What the sign-in fails with; [`Code::InvalidRequest`] for an answer to a step that takes none;
    /// [`Code::SignInCancelled`] for a sign-in that this window does not have.
    pub(crate) async fn answer(
        &self,
        window: &str,
        id: &str,
        number: u64,
        answer: Option<PageAnswer>,
    ) -> Result<Progress, CommandError> {
        let standing = {
            let mut windows = self.windows();
            let entry = windows.get_mut(window).and_then(|place| place.of(id));
            let entry = entry.ok_or_else(cancelled)?;
            if let Some(answer) = answer {
                entry.take(number, answer)?;
            }
            entry.standing.clone()
        };
        after(standing, number).await
    }

    /// Cancels a sign-in. One that arrives after its own cancellation does not start.
    pub(crate) fn cancel(&self, window: &str, id: &str) {
        let mut windows = self.windows();
        let place = windows.entry(window.to_owned()).or_default();
        if place.of(id).is_some() {
            place.entry = None;
        }
        place.cancelled = Some(id.into());
    }

    /// The page of this window is gone, and its sign-in with it.
    pub(crate) fn forget_window(&self, window: &str) {
        self.windows().remove(window);
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<String, Place>> {
        // Held for a few map operations and never across an await; nothing in it can panic half way.
        let windows = &self.0.windows;
        windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn of(&mut self, id: &str) -> Option<&mut Entry> {
        self.entry.as_mut().filter(|entry| *entry.id == *id)
    }
}

impl Entry {
    /// Hands the answer over once, if the sign-in is still at this step. An answer that is too long is in the journal.
    fn take(&mut self, number: u64, answer: PageAnswer) -> Result<(), CommandError> {
        let answer = answer.read().map_err(|(refusal, error)| {
            if let Some(refusal) = refusal {
                self.session.note_refused_server(refusal);
            }
            error
        })?;
        match &*self.standing.borrow() {
            Standing::Step(present, shown) if *present == number => {
                if !shown.takes_an_answer() {
                    return Err(CommandError::new(
                        Code::InvalidRequest,
                        "This step goes on by itself. Ask for the next one without an answer.",
                    ));
                }
            }
            _ => return Ok(()),
        }
        if self.answered < number {
            self.answered = number;
            // The task may be at its end.
            let _ = self.answers.send(answer);
        }
        Ok(())
    }
}

impl ShownStep {
    fn takes_an_answer(&self) -> bool {
        !matches!(
            self.step,
            SignInStep::Browser { .. } | SignInStep::Device { .. }
        )
    }
}

impl Standing {
    fn is_after(&self, number: u64) -> bool {
        match self {
            Self::Begun => false,
            Self::Step(present, _) => *present > number,
            Self::Over(_) => true,
        }
    }
}

/// Waits until a sign-in is past the step with this number.
async fn after(
    mut standing: watch::Receiver<Standing>,
    number: u64,
) -> Result<Progress, CommandError> {
    let reached = standing.wait_for(|standing| standing.is_after(number));
    // Its task was cancelled where nobody sends any more.
    let reached = reached.await.map_err(|_| cancelled())?.clone();
    match reached {
        Standing::Begun => Err(cancelled()),
        Standing::Step(number, step) => Ok(Progress::Step { number, step }),
        Standing::Over(outcome) => outcome.map(|status| Progress::Done {
            status: Box::new(status),
        }),
    }
}

/// The task's side of a sign-in: its person, in front of a window.
struct Person<R: Runtime> {
    window: Window<R>,
    open_browser: OpenBrowser,
    /// A sign-in opens one tab, whatever its server makes of it (I15).
    has_opened: bool,
    standing: watch::Sender<Standing>,
    answers: mpsc::UnboundedReceiver<StepAnswer>,
    steps: u64,
}

impl<R: Runtime> Person<R> {
    fn new(
        window: &Window<R>,
        open_browser: OpenBrowser,
    ) -> (
        Self,
        watch::Receiver<Standing>,
        mpsc::UnboundedSender<StepAnswer>,
    ) {
        let (standing, seen) = watch::channel(Standing::Begun);
        let (answer, answers) = mpsc::unbounded_channel();
        let person = Self {
            window: window.clone(),
            open_browser,
            has_opened: false,
            standing,
            answers,
            steps: 0,
        };
        (person, seen, answer)
    }

    async fn sign_in(mut self, servers: &Servers, request: SignInRequest) {
        let outcome = self.go_through(servers, request).await;
        self.standing.send_replace(Standing::Over(outcome));
    }

    async fn go_through(
        &mut self,
        servers: &Servers,
        request: SignInRequest,
    ) -> Result<Status, CommandError> {
        let SignInRequest {
            session,
            server,
            method,
        } = request;
        let label = self.window.label().to_owned();
        servers
            .admit(&session, &label, &server, Wanted::SignIn)
            .await?;
        let mut sign_in = session.begin_sign_in(&server, method)?;
        let mut event = sign_in.next().await?;
        loop {
            let step = match event {
                SignInEvent::Done(status) => return Ok(status),
                SignInEvent::Step(step) => step,
            };
            self.show(step.clone(), false);
            event = match &step {
                SignInStep::Browser { url, .. } => {
                    let redirected = self.beside_the_browser(url, &step, sign_in.next()).await;
                    if !matches!(&redirected, Err(error) if error.code() == Code::SignInTimedOut) {
                        self.come_forward();
                    }
                    redirected?
                }
                SignInStep::Device { .. } => sign_in.next().await?,
                _ => {
                    tokio::select! {
                        biased;
                        Some(answer) = self.answers.recv() => sign_in.answer(answer),
                        () = sign_in.timed_out() => {}
                    }
                    sign_in.next().await?
                }
            };
        }
    }

    /// Opens the browser, and shows the step once more where that fails. A slow opener keeps nobody from going on.
    async fn beside_the_browser<T>(
        &mut self,
        url: &str,
        step: &SignInStep,
        redirected: impl Future<Output = T>,
    ) -> T {
        if self.has_opened {
            self.show(step.clone(), true);
            return redirected.await;
        }
        self.has_opened = true;
        let opened = open(&self.open_browser, url);
        tokio::pin!(redirected);
        tokio::select! {
            biased;
            redirected = &mut redirected => return redirected,
            opened = opened => if !opened {
                self.show(step.clone(), true);
            },
        }
        redirected.await
    }

    fn show(&mut self, step: SignInStep, not_opened: bool) {
        self.steps += 1;
        let shown = ShownStep { step, not_opened };
        self.standing
            .send_replace(Standing::Step(self.steps, shown));
    }

    /// The person comes back from the browser. A desktop that lets no window take the focus marks it.
    fn come_forward(&self) {
        let window = &self.window;
        let came = window
            .unminimize()
            .and_then(|()| window.show())
            .and_then(|()| window.set_focus())
            .and_then(|()| window.request_user_attention(Some(UserAttentionType::Informational)));
        if let Err(problem) = came {
            tracing::debug!(%problem, "the window stays where it is");
        }
    }
}

fn cancelled() -> CommandError {
    CommandError::new(
        Code::SignInCancelled,
        "This sign-in was cancelled. Start again to sign in.",
    )
}
