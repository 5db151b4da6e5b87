//! [`Flow`]: the conversation that signs a person in, without any I/O of its own.
//!
//! A flow says what it needs next, and goes on with the answer: a request to be sent, a person to be asked, a browser's
//! redirect to be caught, a pause. The session does all of that, so one flow runs the same in an application, in a test, and
//! in a program without a screen.
//!
//! A protocol writes its flow as one `async` function over a [`Conversation`], which reads from top to bottom:
//!
//! ```
//! use graphql_session::{Conversation, Flow, Issued, SignInMethod};
//!
//! let flow = Flow::new(|conversation: Conversation| async move {
//!     conversation.offer(vec![SignInMethod::Password]).await?;
//!     let login = conversation.password().await?;
//!     # let _ = login;
//!     // … ask the server, with `conversation.send(request).await` …
//!     # Err::<Issued, _>(graphql_session::Error::new(graphql_session::Code::SignInRefused, "no"))
//! });
//! # drop(flow);
//! ```

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Issued, PasswordLogin};
use crate::clock::BoxFuture;
use crate::error::{Code, Error};
use crate::http::{Answer, Request, TransportError};

/// A way to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SignInMethod {
    /// In the person's browser: OAuth 2 with PKCE and a redirect to this computer (RFC 8252).
    Browser,
    /// By a name and a password.
    Password,
    /// By a code that the person types into a browser on any device (RFC 8628).
    Device,
}

/// What a person has to do next. It holds no secret of theirs, and may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(
    tag = "kind",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum SignInStep {
    /// Type a name and a password.
    Password,
    /// Sign in at this address in a browser. The flow goes on by itself when the browser comes back.
    Browser {
        /// The address to open. It holds no secret that is worth anything without this process.
        url: String,
        /// For so many seconds the sign-in waits for the browser: the setting `signInTimeoutMs`.
        expires_in_seconds: u64,
    },
    /// Type the code that an authenticator application shows, or a recovery code.
    OneTimeCode {
        /// Whether the code before this one was wrong, or too old.
        was_wrong: bool,
    },
    /// Choose one of these workspaces, by its place in the list.
    Choose {
        /// Names and addresses.
        workspaces: Vec<Workspace>,
    },
    /// Open the address on any device, and type the code there. The flow goes on by itself.
    Device {
        /// The code to type.
        user_code: String,
        /// Where to type it.
        verification_url: String,
        /// The same address with the code in it, where the server gives one.
        #[serde(skip_serializing_if = "Option::is_none")]
        complete_url: Option<String>,
        /// After so many seconds the code stops working.
        expires_in_seconds: u64,
    },
}

/// A workspace that the person may sign in to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Workspace {
    /// Its name.
    pub name: String,
    /// Its origin.
    pub origin: String,
}

/// What a person answers to a [`SignInStep`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StepAnswer {
    /// To [`SignInStep::Password`].
    Password(PasswordLogin),
    /// To [`SignInStep::OneTimeCode`].
    OneTimeCode(SecretString),
    /// To [`SignInStep::Choose`]: a place in its list, from 0.
    Workspace(usize),
}

/// What a browser brought back to the address of this computer, once its `state` has proven to be ours.
#[derive(Clone, Default)]
pub struct Redirected {
    /// The authorization code.
    pub code: Option<SecretString>,
    /// Who issued it (RFC 9207).
    pub issuer: Option<String>,
    /// Why there is no code (RFC 6749, section 4.1.2.1).
    pub error: Option<String>,
}

impl fmt::Debug for Redirected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redirected").finish_non_exhaustive()
    }
}

/// Where the answers of a browser are caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The redirect address, with an IP literal and the port that was bound: `http://127.0.0.1:49152/callback`.
    pub redirect_uri: String,
}

/// Why a request of a flow has no answer: what is proven, and the error that a sign-in form shows.
#[derive(Clone, Debug)]
pub struct Unanswered {
    /// What is proven.
    pub transport: TransportError,
    /// The error in words that name the server, or the proxy before it.
    pub error: Error,
}

impl From<Unanswered> for Error {
    fn from(unanswered: Unanswered) -> Self {
        unanswered.error
    }
}

/// What a flow needs before it can go on.
#[derive(Debug)]
pub enum Need {
    /// To know which of these methods to use, best first. Finding out what a server offers ends here.
    Method(Vec<SignInMethod>),
    /// The answer to this request.
    Answer(Request),
    /// A port of this computer for a browser's redirect: one of these, or any where there are none. `state` is what the
    /// redirect has to bring along.
    Listener {
        /// Ports to try, in this order. None: any free one.
        ports: Vec<u16>,
        /// The path of the redirect address, with its leading slash.
        path: &'static str,
        /// The redirect's `state`.
        state: SecretString,
    },
    /// This step, done by the person.
    Step(SignInStep),
    /// The browser's redirect, after the person has signed in at this address.
    Redirect(String),
    /// The step stays, and this much time passes.
    Pause(Duration),
    /// What was kept under this name, in an earlier sign-in of this account.
    Recall(String),
    /// This text to be kept under this name. It is no secret.
    Remember(String, String),
    /// Nothing: the person is signed in.
    Done(Box<Issued>),
    /// Nothing: it failed.
    Failed(Error),
}

/// What comes of a [`Need`].
#[derive(Debug)]
pub enum Given {
    /// The start.
    Begin,
    /// To [`Need::Method`].
    Method(SignInMethod),
    /// To [`Need::Answer`].
    Answer(Result<Answer, Unanswered>),
    /// To [`Need::Listener`].
    Listener(Result<Listening, Error>),
    /// To [`Need::Step`], by the person.
    Step(StepAnswer),
    /// To [`Need::Redirect`].
    Redirected(Redirected),
    /// To [`Need::Pause`], [`Need::Remember`], and a step at which nobody answers.
    Done,
    /// To [`Need::Recall`].
    Recalled(Option<String>),
}

/// A conversation that is under way.
pub struct Flow {
    work: BoxFuture<'static, Result<Issued, Error>>,
    line: Arc<Mutex<Line>>,
}

impl Flow {
    /// A flow that goes as `write` says.
    pub fn new<F>(write: impl FnOnce(Conversation) -> F) -> Self
    where
        F: Future<Output = Result<Issued, Error>> + Send + 'static,
    {
        let line = Arc::new(Mutex::new(Line::default()));
        Self {
            work: Box::pin(write(Conversation(line.clone()))),
            line,
        }
    }

    /// What it needs next, now that it has what it asked for. The first time: [`Given::Begin`]. Not to be called again after
    /// [`Need::Done`] and [`Need::Failed`].
    pub fn next(&mut self, given: Given) -> Need {
        lock(&self.line).given = Some(given);
        // It waits for nothing but this conversation, so it needs no waking.
        let polled = self
            .work
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Ready(Ok(issued)) => Need::Done(Box::new(issued)),
            Poll::Ready(Err(error)) => Need::Failed(error),
            Poll::Pending => lock(&self.line)
                .need
                .take()
                .unwrap_or_else(|| Need::Failed(waits_for_something_else())),
        }
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").finish_non_exhaustive()
    }
}

/// A flow's side of the conversation.
#[derive(Clone)]
pub struct Conversation(Arc<Mutex<Line>>);

impl Conversation {
    /// Offers these methods, best first; returns the one to use.
    ///
    /// # Errors
    /// [`Code::Internal`], when the other side answers something else.
    pub async fn offer(&self, methods: Vec<SignInMethod>) -> Result<SignInMethod, Error> {
        match self.ask(Need::Method(methods)).await {
            Given::Method(method) => Ok(method),
            _ => Err(answered_something_else()),
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send(&self, request: Request) -> Result<Answer, Unanswered> {
        match self.ask(Need::Answer(request)).await {
            Given::Answer(answer) => answer,
            _ => Err(Unanswered {
                transport: TransportError::Connect,
                error: answered_something_else(),
            }),
        }
    }

    /// Asks for a name and a password.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`], when the person's answer is another one.
    pub async fn password(&self) -> Result<PasswordLogin, Error> {
        match self.ask(Need::Step(SignInStep::Password)).await {
            Given::Step(StepAnswer::Password(login)) => Ok(login),
            _ => Err(not_an_answer_to_this_step()),
        }
    }

    /// Asks for a one-time code; once more, where the one before `was_wrong`.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`], when the person's answer is another one.
    pub async fn one_time_code(&self, was_wrong: bool) -> Result<SecretString, Error> {
        let step = SignInStep::OneTimeCode { was_wrong };
        match self.ask(Need::Step(step)).await {
            Given::Step(StepAnswer::OneTimeCode(code)) => Ok(code),
            _ => Err(not_an_answer_to_this_step()),
        }
    }

    /// Lets the person choose; returns a place in the list.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`], when the person's answer is another one, or no place in the list.
    pub async fn choose(&self, workspaces: Vec<Workspace>) -> Result<usize, Error> {
        let count = workspaces.len();
        match self
            .ask(Need::Step(SignInStep::Choose { workspaces }))
            .await
        {
            Given::Step(StepAnswer::Workspace(chosen)) if chosen < count => Ok(chosen),
            _ => Err(not_an_answer_to_this_step()),
        }
    }

    /// Opens a port for a browser's redirect; see [`Need::Listener`].
    ///
    /// # Errors
    /// [`Code::BrowserUnavailable`], when no port is free.
    pub async fn listen(
        &self,
        ports: Vec<u16>,
        path: &'static str,
        state: SecretString,
    ) -> Result<Listening, Error> {
        match self.ask(Need::Listener { ports, path, state }).await {
            Given::Listener(listening) => listening,
            _ => Err(answered_something_else()),
        }
    }

    /// Shows the address to the person, and waits for the redirect.
    ///
    /// # Errors
    /// [`Code::Internal`], when the other side answers something else.
    pub async fn browser(&self, url: String) -> Result<Redirected, Error> {
        match self.ask(Need::Redirect(url)).await {
            Given::Redirected(redirected) => Ok(redirected),
            _ => Err(answered_something_else()),
        }
    }

    /// Shows a code to type into a browser on any device. Returns at once: the flow asks the server itself.
    pub async fn device(&self, step: SignInStep) {
        self.ask(Need::Step(step)).await;
    }

    /// Waits, while the last step stays on the screen.
    pub async fn pause(&self, pause: Duration) {
        self.ask(Need::Pause(pause)).await;
    }

    /// What was kept under this name, in an earlier sign-in of this account.
    pub async fn recall(&self, name: String) -> Option<String> {
        match self.ask(Need::Recall(name)).await {
            Given::Recalled(text) => text,
            _ => None,
        }
    }

    /// Keeps a text with the account's files, for later sign-ins. Not for secrets.
    pub async fn remember(&self, name: String, text: String) {
        self.ask(Need::Remember(name, text)).await;
    }

    fn ask(&self, need: Need) -> Asking<'_> {
        Asking {
            line: &self.0,
            need: Some(need),
        }
    }
}

/// What lies between the two sides: at most one need, or what was given for it.
#[derive(Default)]
struct Line {
    need: Option<Need>,
    given: Option<Given>,
}

/// One need, until something is given for it.
struct Asking<'a> {
    line: &'a Mutex<Line>,
    need: Option<Need>,
}

impl Future for Asking<'_> {
    type Output = Given;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Given> {
        let mut line = lock(self.line);
        if let Some(need) = self.need.take() {
            // What was given before has been taken, or was the start.
            line.given = None;
            line.need = Some(need);
            return Poll::Pending;
        }
        match line.given.take() {
            Some(given) => Poll::Ready(given),
            None => Poll::Pending,
        }
    }
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

fn waits_for_something_else() -> Error {
    Error::new(
        Code::Internal,
        "The sign-in waits for something that it did not ask for. Report it to the application's developers.",
    )
}

fn answered_something_else() -> Error {
    Error::new(
        Code::Internal,
        "The sign-in got something that it did not ask for. Report it to the application's developers.",
    )
}

fn not_an_answer_to_this_step() -> Error {
    Error::new(
        Code::InvalidRequest,
        "This is no answer to the step of the sign-in that was asked. Start again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(code: Code) -> Result<Issued, Error> {
        Err(Error::new(code, "The end."))
    }

    #[test]
    fn a_flow_goes_on_with_what_it_asked_for() {
        let mut flow = Flow::new(|conversation| async move {
            let method = conversation
                .offer(vec![SignInMethod::Browser, SignInMethod::Password])
                .await?;
            assert_eq!(method, SignInMethod::Password);
            let login = conversation.password().await?;
            assert_eq!(login.email, "ada@example.com");
            conversation.pause(Duration::from_secs(5)).await;
            failing(Code::SignInRefused)
        });

        let Need::Method(offered) = flow.next(Given::Begin) else {
            panic!("no method asked for");
        };
        assert_eq!(offered.len(), 2);
        let need = flow.next(Given::Method(SignInMethod::Password));
        assert!(matches!(need, Need::Step(SignInStep::Password)), "{need:?}");
        let need = flow.next(Given::Step(StepAnswer::Password(PasswordLogin {
            email: "ada@example.com".into(),
            password: "secret".into(),
        })));
        assert!(matches!(need, Need::Pause(_)), "{need:?}");
        let Need::Failed(error) = flow.next(Given::Done) else {
            panic!("goes on");
        };
        assert_eq!(error.code(), Code::SignInRefused);
    }

    #[test]
    fn an_answer_to_another_step_ends_the_flow() {
        let mut flow = Flow::new(|conversation| async move {
            conversation.one_time_code(false).await?;
            failing(Code::SignInRefused)
        });
        flow.next(Given::Begin);

        let need = flow.next(Given::Step(StepAnswer::Workspace(0)));

        let Need::Failed(error) = need else {
            panic!("{need:?}");
        };
        assert_eq!(error.code(), Code::InvalidRequest);
    }

    #[test]
    fn a_flow_that_waits_for_anything_else_fails_and_does_not_hang() {
        let mut flow = Flow::new(|_| async {
            std::future::pending::<()>().await;
            failing(Code::SignInRefused)
        });
        let need = flow.next(Given::Begin);
        assert!(
            matches!(&need, Need::Failed(error) if error.code() == Code::Internal),
            "{need:?}"
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let given = Given::Redirected(Redirected {
            code: Some("the-code".into()),
            ..Redirected::default()
        });
        assert!(!format!("{given:?}").contains("the-code"));
        let need = Need::Listener {
            ports: Vec::new(),
            path: "/callback",
            state: "the-state".into(),
        };
        assert!(!format!("{need:?}").contains("the-state"));
    }
}
