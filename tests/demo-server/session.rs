//! The core's session at a demo server, as the desktop client has it.

use demo_server::{DemoServer, Options};
use graphql_session::{
    Call, Config, Error, MemoryVault, PasswordLogin, Session, SignIn, SignInEvent, SignInMethod,
    SignInStep, Status, StepAnswer,
};
use serde_json::Value;

use crate::client::in_time;

/// A demo server in real time, and a session with nobody in it.
pub(crate) struct Client {
    pub(crate) server: DemoServer,
    pub(crate) session: Session,
    _folder: tempfile::TempDir,
}

impl Client {
    pub(crate) async fn start() -> Self {
        let server = DemoServer::start(Options::default()).await;
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config::with_vault(folder.path(), MemoryVault::default());
        Self {
            server: server.expect("the server starts"),
            session: Session::open(config).await.expect("the session opens"),
            _folder: folder,
        }
    }

    pub(crate) fn begin(&self, method: SignInMethod) -> SignIn {
        let beginning = self
            .session
            .begin_sign_in(&self.server.origin(), Some(method));
        beginning.expect("an address")
    }

    /// Begins a sign-in and answers its first step; returns it with what follows.
    pub(crate) async fn with_password(
        &self,
        email: &str,
        password: &str,
    ) -> (SignIn, Result<SignInEvent, Error>) {
        let mut sign_in = self.begin(SignInMethod::Password);
        let step = in_time(sign_in.next()).await.expect("a step");
        assert!(matches!(step, SignInEvent::Step(SignInStep::Password)));
        sign_in.answer(StepAnswer::Password(PasswordLogin {
            email: email.to_owned(),
            password: password.into(),
        }));
        let next = in_time(sign_in.next()).await;
        (sign_in, next)
    }

    /// Asks in the session, and returns the data.
    pub(crate) async fn data(&self, query: &str) -> Value {
        let body = serde_json::json!({ "query": query }).to_string();
        let call = Call::new("graphql", body);
        let reply = in_time(self.session.execute(call)).await.expect("a reply");
        let reply: Value = serde_json::from_slice(&reply.body).expect("JSON");
        assert_eq!(reply.get("errors"), None, "{reply}");
        reply["data"].clone()
    }

    /// How many people the session's workspace has, and its name.
    pub(crate) async fn workspace(&self) -> (Value, Value) {
        let data = self
            .data("{ people { totalCount } currentUser { currentWorkspace { displayName } } }")
            .await;
        (
            data["currentUser"]["currentWorkspace"]["displayName"].clone(),
            data["people"]["totalCount"].clone(),
        )
    }
}

/// The status of a sign-in that is done.
pub(crate) fn done(event: Result<SignInEvent, Error>) -> Status {
    match event {
        Ok(SignInEvent::Done(status)) => status,
        other => panic!("not done: {other:?}"),
    }
}
