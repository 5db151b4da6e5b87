//! Sessions at servers that other people wrote, in real time and over real sockets.
//!
//! `scripts/prepare.sh test` installs them. REAL_EXPIRIES says how many expiries each run sees; default 6.

mod provider;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graphql_session::{
    Call, Code, Config, EndingReason, Error, MemoryVault, OAuth2, OAuth2Client, OAuth2Settings,
    Phase, Reply, Session, SignInEvent, SignInMethod, SignInStep, Vault,
};
use graphql_session_testing::Browser;

use provider::{Provider, Rotation};

/// How long access tokens last, in seconds: shorter than that, and the margin of a second would leave nothing.
const ACCESS_SECONDS: u64 = 3;

/// Callers at once, in each of two processes.
const CALLERS: usize = 4;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

fn expiries() -> u64 {
    let asked = std::env::var("REAL_EXPIRIES").ok();
    asked.and_then(|count| count.parse().ok()).unwrap_or(6)
}

/// A process of its own, as far as the session knows: it shares the folder and the vault.
async fn open(provider: &Provider, folder: &Path, vault: &Arc<dyn Vault>) -> Session {
    let mut config = Config::with_vault(folder, MemoryVault::default());
    config.vault = vault.clone();
    config.protocol = Arc::new(OAuth2::new(OAuth2Settings {
        client: OAuth2Client::Id("desktop".into()),
        scopes: ["openid", "offline_access", "email"].map(Into::into).into(),
        authorization_parameters: vec![("prompt".into(), "consent".into())],
        ..OAuth2Settings::default()
    }));
    config.server = Some(provider.address());
    Session::open(config).await.expect("the session opens")
}

async fn sign_in(provider: &Provider, session: &Session) {
    let beginning = session.begin_sign_in(&provider.address(), Some(SignInMethod::Browser));
    let mut sign_in = beginning.expect("an address");
    let url = match sign_in.next().await.expect("a page to open") {
        SignInEvent::Step(SignInStep::Browser { url, .. }) => url,
        other => panic!("no page to open: {other:?}"),
    };
    let browser = Browser::default();
    let (event, page) = tokio::join!(sign_in.next(), browser.open(&url));
    let page = page.expect("a page");
    assert!(
        matches!(event, Ok(SignInEvent::Done(_))),
        "{event:?}: {page:?}"
    );
}

async fn call(session: &Session) -> Result<Reply, Error> {
    let call = Call::new("graphql", r#"{"query":"{ me { id } }"}"#);
    session.execute(call).await
}

async fn succeeds(session: &Session) {
    let reply = call(session).await.expect("a reply");
    assert_eq!(reply.status, 200, "{:?}", reply.body);
}

/// A server with one person signed in, in one process.
struct SignedIn {
    provider: Provider,
    session: Session,
    vault: Arc<dyn Vault>,
    folder: tempfile::TempDir,
}

async fn signed_in(rotation: Rotation) -> SignedIn {
    let provider = Provider::start(rotation, ACCESS_SECONDS);
    let folder = tempfile::tempdir().expect("a folder");
    let vault: Arc<dyn Vault> = Arc::new(MemoryVault::default());
    let session = open(&provider, folder.path(), &vault).await;
    sign_in(&provider, &session).await;
    SignedIn {
        provider,
        session,
        vault,
        folder,
    }
}

/// Two processes with callers, until the server has renewed so often.
async fn many_expiries(rotation: Rotation) {
    let host = signed_in(rotation).await;
    let other = open(&host.provider, host.folder.path(), &host.vault).await;
    assert_eq!(
        host.session.status().person.as_deref(),
        Some("ada@example.com")
    );
    let until = Instant::now()
        + Duration::from_secs(ACCESS_SECONDS) * u32::try_from(expiries()).expect("few");
    let callers: Vec<_> = [&host.session, &other]
        .into_iter()
        .flat_map(|session| std::iter::repeat_n(session.clone(), CALLERS))
        .map(|session| {
            tokio::spawn(async move {
                let mut calls = 0;
                while Instant::now() < until {
                    succeeds(&session).await;
                    calls += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                calls
            })
        })
        .collect();
    let mut calls = 0;
    for caller in callers {
        calls += caller.await.expect("every call succeeds");
    }

    let counts = host.provider.counts().await;
    assert!(calls > 100, "{calls} calls");
    assert_eq!(counts.refused, 0, "{counts:?}");
    // One exchange of a code, and then a renewal per expiry and no more.
    assert_eq!(counts.token_requests, counts.renewed + 1, "{counts:?}");
    assert!(
        (expiries() - 2..=expiries() * 2).contains(&counts.renewed),
        "{counts:?}"
    );
    assert_eq!(host.session.status().phase, Phase::SignedIn);
    assert_eq!(host.session.generation(), other.generation());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_renew_once_per_expiry_where_refresh_tokens_rotate() {
    many_expiries(Rotation::Always).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_renew_once_per_expiry_where_refresh_tokens_stay() {
    many_expiries(Rotation::Never).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_server_signs_nobody_out() {
    let mut host = signed_in(Rotation::Always).await;
    succeeds(&host.session).await;
    host.provider.stop();
    tokio::time::sleep(Duration::from_secs(ACCESS_SECONDS)).await;
    let error = call(&host.session).await.expect_err("the server is away");
    assert_eq!(error.code(), Code::Unreachable);

    host.provider.start_again();
    host.session.retry_now().await;

    let back = async {
        while call(&host.session).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, back)
        .await
        .expect("served again");
    assert_eq!(host.session.status().phase, Phase::SignedIn);
    assert_eq!(host.provider.counts().await.refused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_person_is_signed_out_and_told_why() {
    let host = signed_in(Rotation::Always).await;
    succeeds(&host.session).await;

    host.provider.disable("ada").await;

    assert_eq!(
        call(&host.session).await.expect_err("refused").code(),
        Code::SignedOut
    );
    let ending = host.session.status().ending.expect("it has ended");
    assert_eq!(ending.reason, EndingReason::Rejected);
    assert_eq!(
        ending.cause.map(|cause| cause.to_string()).as_deref(),
        Some("invalid_grant")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_renewal_is_sent_again_after_the_pause_and_nobody_is_signed_out() {
    let host = signed_in(Rotation::Always).await;
    host.provider.throttle(2).await;
    tokio::time::sleep(Duration::from_secs(ACCESS_SECONDS)).await;

    let reply = tokio::time::timeout(PATIENCE, call(&host.session)).await;

    assert_eq!(reply.expect("in time").expect("a reply").status, 200);
    let counts = host.provider.counts().await;
    assert_eq!((counts.renewed, counts.refused), (1, 0), "{counts:?}");
    assert_eq!(counts.token_requests, 4, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_revokes_the_refresh_token_at_the_server() {
    let host = signed_in(Rotation::Always).await;
    succeeds(&host.session).await;

    host.session.sign_out().await;

    let revoked = async {
        while host
            .session
            .journal()
            .iter()
            .all(|entry| entry.what != "revoked")
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, revoked)
        .await
        .expect("it says so");
    let entry = host
        .session
        .journal()
        .into_iter()
        .find(|entry| entry.what == "revoked");
    assert_eq!(entry.expect("an entry").facts["done"], true);
}
