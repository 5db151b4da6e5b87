//! A server that speaks Twenty and fails on demand.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpSocket;
use tokio::sync::watch;

use self::authorization::Authorization;
use self::shared::{Inside, Listening, Script, Shared};
use self::tls::Root;
use self::twenty::Records;
use super::clock::{Activity, ManualClock};
use super::rotation::{Grace, Rotation};
use graphql_session::{Clock, PasswordLogin};

mod authorization;
mod bodies;
mod channel;
mod coding;
mod counts;
mod fault;
mod feed;
mod http;
mod http2;
mod issued_pair;
mod ledger;
mod person;
mod question;
mod serve;
mod shared;
mod stream;
mod tls;
mod token_endpoint;
mod twenty;

pub use authorization::{CLIENT_ID, Discovery, Iss, OAuthRules};
pub use counts::{Counts, Seen};
pub use fault::{Coding, Fault, Gate};
pub use feed::Feed;
pub use issued_pair::IssuedPair;
pub use ledger::{
    AnswerFate, Attempt, AttemptOutcome, Entry, Explanation, Fact, Ledger, Pair, PairNumber,
    Rejection, Revocation, SessionNumber, Spent, Words,
};
pub use person::{EMAIL, PASSWORD};
pub use tls::{Alpn, ConnectionFault, PROXIED_HOST, ServerCertificate};
pub use twenty::{AccessField, AuthenticationOn, ONE_TIME_CODE};

/// How long [`FaultServer::wait_for`] waits, in real time, before it takes what it waits for for missing.
const MISSING: Duration = Duration::from_secs(20);

/// A Twenty server on a free port of 127.0.0.1. Clones are handles on the same server; it ends with the runtime, or
/// with [`stop`](Self::stop).
///
/// It issues real-looking JWTs, rotates refresh tokens with a grace time, notices reuse, and counts everything. Faults
/// are scripted by name: [`on_renewal`](Self::on_renewal), [`on_call`](Self::on_call),
/// [`on_sign_in`](Self::on_sign_in) for the next request of that kind, `on_every_…` until
/// [`behave`](Self::behave).
#[derive(Clone)]
pub struct FaultServer {
    shared: Arc<Shared>,
}

impl FaultServer {
    /// Starts a server whose Date header and expiries follow `clock`.
    ///
    /// # Panics
    /// Outside a tokio runtime, or when no port is free.
    pub async fn start(clock: Arc<dyn Clock>) -> Self {
        Self::start_with(clock, Activity::default()).await
    }

    /// The same on a manual clock, which stands still while a request is being answered.
    ///
    /// # Panics
    /// Outside a tokio runtime, or when no port is free.
    pub async fn start_on(clock: &ManualClock) -> Self {
        Self::start_with(Arc::new(clock.clone()), clock.activity()).await
    }

    async fn start_with(clock: Arc<dyn Clock>, activity: Activity) -> Self {
        let socket = reserve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let address = socket.local_addr().expect("a bound socket has an address");
        let mut records = Records::new(format!("http://{address}"));
        records.add_person(EMAIL, PASSWORD);
        let server = Self {
            shared: Arc::new(Shared {
                clock,
                activity,
                address,
                inside: Mutex::new(Inside {
                    records,
                    renewals: Script::default(),
                    calls: Script::default(),
                    sign_ins: Script::default(),
                    subscriptions: Script::default(),
                    checks: Script::default(),
                    connections: Script::default(),
                    root: None,
                    tls: None,
                    feeds: Vec::new(),
                    seen: Vec::new(),
                    keeps_requests: true,
                    renewals_now: 0,
                    calls_now: 0,
                    clock_is_off_by: SignedDuration::ZERO,
                    sends_date: true,
                    dates_are_off_by: SignedDuration::ZERO,
                    refuses_calls_with: 200,
                    listening: Listening::No(socket),
                    farewell: watch::Sender::new(0),
                }),
                counts: watch::Sender::new(Counts::default()),
            }),
        };
        server.start_again();
        server
    }

    /// The server's origin: `http://127.0.0.1:port`, or `https://` where it speaks TLS.
    pub fn address(&self) -> String {
        self.address_as("127.0.0.1")
    }

    /// The same under another name.
    pub fn address_as(&self, host: &str) -> String {
        let scheme = match self.inside().tls {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{host}:{}", self.shared.address.port())
    }

    /// Connections that are opened from now on speak TLS. Sign-ins are for the origin [`address`](Self::address).
    pub fn speak_tls(&self, certificate: ServerCertificate, alpn: Alpn) {
        let mut inside = self.inside();
        let root = inside.root.get_or_insert_with(Root::new);
        let acceptor = root.acceptor(certificate, alpn);
        inside.tls = Some(acceptor);
        inside.records.origin = format!("https://{}", self.shared.address);
    }

    /// Sign-ins are for its origin under this name from now on.
    pub fn is_called(&self, host: &str) {
        let origin = self.address_as(host);
        self.inside().records.origin = origin;
    }

    /// Whether it speaks TLS.
    pub fn speaks_tls(&self) -> bool {
        self.inside().tls.is_some()
    }

    /// The root that signs its certificates, as PEM. A client has to be told to trust it.
    pub fn root_certificate(&self) -> String {
        self.inside().root.get_or_insert_with(Root::new).pem()
    }

    /// The person that every server knows, ready to sign in.
    pub fn person(&self) -> PasswordLogin {
        login(EMAIL, PASSWORD)
    }

    /// Adds an account. Returns the person, ready to sign in.
    pub fn add_person(&self, email: &str, password: &str) -> PasswordLogin {
        self.inside().records.add_person(email, password);
        login(email, password)
    }

    /// This account asks for a second factor from now on.
    pub fn ask_second_factor(&self, email: &str) {
        self.inside().records.ask_second_factor(email);
    }

    /// Is an authorization server of OAuth 2 from now on, by these rules, and takes its tokens like all others. Default: it
    /// knows nothing of that, as Twenty before 2026.
    pub fn offer_oauth(&self, rules: OAuthRules) {
        self.inside().records.oauth = Some(Authorization::new(rules));
    }

    /// Changes the rules of [`offer_oauth`](Self::offer_oauth).
    pub fn change_oauth(&self, change: impl FnOnce(&mut OAuthRules)) {
        if let Some(oauth) = &mut self.inside().records.oauth {
            change(&mut oauth.rules);
        }
    }

    /// Forgets every client that has registered itself.
    pub fn forget_clients(&self) {
        if let Some(oauth) = &mut self.inside().records.oauth {
            oauth.forget_clients();
        }
    }

    /// Says `slow_down` at so many polls for a device code.
    pub fn slow_down(&self, times: u32) {
        if let Some(oauth) = &mut self.inside().records.oauth {
            oauth.slow_downs = times;
        }
    }

    /// The person types a device's code, and allows the sign-in as this account; `None`: declines.
    ///
    /// # Panics
    /// When there is no such code.
    pub fn answer_device(&self, user_code: &str, email: Option<&str>) {
        let mut inside = self.inside();
        let oauth = inside.records.oauth.as_mut();
        let is_there = oauth.is_some_and(|oauth| oauth.answer_device(user_code, email));
        assert!(is_there, "no device has this code");
    }

    /// Has several workspaces, with these names and origins: at an address that is none of theirs, a person chooses.
    pub fn has_workspaces(&self, workspaces: &[(&str, String)]) {
        let owned = workspaces
            .iter()
            .map(|(name, origin)| ((*name).to_owned(), origin.clone()));
        let mut inside = self.inside();
        inside.records.workspaces = owned.collect();
        inside.records.origin = "https://none.of.them".into();
    }

    /// This account is no longer a member of the workspace: its renewals say "User Workspace not found".
    pub fn remove_member(&self, email: &str) {
        let now = self.now();
        self.inside().records.remove_member(email, now);
    }

    // ── How long tokens last ────────────────────────────────────────────────────────────────────────────────────

    /// How long access tokens last that are issued from now on. Default: 30 min.
    pub fn access_tokens_last(&self, lifetime: Duration) {
        self.inside().records.access_lifetime = lifetime;
    }

    /// How long a used refresh token is taken again, from its first use; `None`: not at all. Default: 60 s.
    pub fn grace(&self, grace: Option<Duration>) {
        let in_ms = |grace: Duration| i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
        let grace = grace.map(|grace| Grace::FromFirstUse(in_ms(grace)));
        self.inside().records.rotation.grace = grace.unwrap_or(Grace::None);
    }

    /// Rotates refresh tokens by these rules, as other servers do. A family is all that was issued to one account.
    /// Default: 60 s of grace from the first use, and a reuse after it revokes the family.
    pub fn rotates_as(&self, rotation: Rotation) {
        self.inside().records.rotation = rotation;
    }

    /// Refuses every access token issued so far. Clients do not know it before they call.
    pub fn expire_access_tokens(&self) {
        let now = self.now();
        self.inside().records.expire_access(None, now);
    }

    /// The same for one account.
    pub fn expire_access_tokens_of(&self, email: &str) {
        let now = self.now();
        self.inside().records.expire_access(Some(email), now);
    }

    /// From now on, rejects all refresh tokens that were issued before as expired.
    pub fn expire_refresh_tokens(&self) {
        let now = self.now();
        self.inside().records.expire_refresh(now);
    }

    /// Revokes every refresh token issued so far; access tokens live on until they expire.
    pub fn revoke_sessions(&self) {
        let now = self.now();
        self.inside().records.revoke(None, now);
    }

    /// The same for one account.
    pub fn revoke_sessions_of(&self, email: &str) {
        let now = self.now();
        self.inside().records.revoke(Some(email), now);
    }

    /// Knows no refresh token any more, as a server whose database was reset.
    pub fn forget_refresh_tokens(&self) {
        let now = self.now();
        self.inside().records.forget_refresh(now);
    }

    /// Issues tokens as a sign-in would, for people who come from another client.
    pub fn issue(&self, email: &str) -> IssuedPair {
        let now = self.now();
        self.inside().records.issue(email, now)
    }

    // ── Faults ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// The next renewal (after those scripted before) meets this fault.
    pub fn on_renewal(&self, fault: Fault) {
        self.inside().renewals.next.push_back(fault);
    }

    /// Every renewal meets this fault.
    pub fn on_every_renewal(&self, fault: Fault) {
        self.inside().renewals.always = Some(fault);
    }

    /// The next call (after those scripted before) meets this fault.
    pub fn on_call(&self, fault: Fault) {
        self.inside().calls.next.push_back(fault);
    }

    /// Every call meets this fault.
    pub fn on_every_call(&self, fault: Fault) {
        self.inside().calls.always = Some(fault);
    }

    /// The next step of a sign-in (there are two) meets this fault.
    pub fn on_sign_in(&self, fault: Fault) {
        self.inside().sign_ins.next.push_back(fault);
    }

    /// The next question whether this is a Twenty server (after those scripted before) meets this fault.
    pub fn on_check(&self, fault: Fault) {
        self.inside().checks.next.push_back(fault);
    }

    /// The next subscription meets this fault. Others get a stream that the test [feeds](Self::feed).
    pub fn on_subscription(&self, fault: Fault) {
        self.inside().subscriptions.next.push_back(fault);
    }

    /// Every subscription meets this fault.
    pub fn on_every_subscription(&self, fault: Fault) {
        self.inside().subscriptions.always = Some(fault);
    }

    /// The stream that was opened as the one numbered `number`, counted from 0; waits for it.
    ///
    /// # Panics
    /// When it is not opened within 20 s of real time.
    pub async fn feed(&self, number: usize) -> Feed {
        let is_there = |counts: &Counts| counts.streams > number as u64;
        self.wait_for(is_there).await;
        self.inside().feeds[number].clone()
    }

    /// The next connection (after those scripted before) breaks like this, before its first request is read.
    pub fn on_connection(&self, fault: ConnectionFault) {
        self.inside().connections.next.push_back(fault);
    }

    /// Every connection breaks like this.
    pub fn on_every_connection(&self, fault: ConnectionFault) {
        self.inside().connections.always = Some(fault);
    }

    /// Forgets every scripted fault.
    pub fn behave(&self) {
        let mut inside = self.inside();
        inside.checks = Script::default();
        inside.connections = Script::default();
        inside.renewals = Script::default();
        inside.calls = Script::default();
        inside.sign_ins = Script::default();
        inside.subscriptions = Script::default();
    }

    /// Answers calls whose first field is `field` with exactly this text.
    pub fn answer(&self, field: &str, body: impl Into<String>) {
        let body = body.into();
        self.inside()
            .records
            .scripted
            .insert(field.to_owned(), body);
    }

    /// Where the authentication operations are known from now on.
    pub fn authentication_on(&self, on: AuthenticationOn) {
        self.inside().records.authentication_on = on;
    }

    /// What the access token's field is called from now on.
    pub fn access_field(&self, field: AccessField) {
        self.inside().records.access_field = field;
    }

    /// Whether it knows `signOut`; older releases do not.
    pub fn knows_sign_out(&self, knows: bool) {
        self.inside().records.knows_sign_out = knows;
    }

    /// The HTTP status around the refusal of a call. Default: 200, as Twenty; clients that look at nothing else need 401.
    pub fn refuses_calls_with(&self, status: u16) {
        self.inside().refuses_calls_with = status;
    }

    /// Whether a bearer that comes with a renewal has to be good, as Twenty demands. Default: yes. Clients that send
    /// their expired token along renew only at a server that does not look.
    pub fn checks_renewals_bearer(&self, checks: bool) {
        self.inside().records.checks_renewals_bearer = checks;
    }

    /// Sets the server's clock apart from everybody else's.
    pub fn clock_is_off_by(&self, by: SignedDuration) {
        self.inside().clock_is_off_by = by;
    }

    /// Whether answers carry a Date header. Default: yes.
    pub fn sends_date(&self, sends: bool) {
        self.inside().sends_date = sends;
    }

    /// Something on the way writes its own time into the Date headers from now on; tokens expire as before.
    pub fn dates_are_off_by(&self, by: SignedDuration) {
        self.inside().dates_are_off_by = by;
    }

    /// Goes away: open connections are closed without a word, new ones are refused. The port is kept, and whatever
    /// was issued is still good when it [comes back](Self::start_again).
    pub async fn stop(&self) {
        let listening = std::mem::replace(&mut self.inside().listening, Listening::Between);
        let reserved = match listening {
            Listening::Yes(accepting) => {
                accepting.abort();
                // Until the listener is gone, nobody can have its port.
                let _ = accepting.await;
                Listening::No(reserve(self.shared.address))
            }
            away => away,
        };
        self.inside().listening = reserved;
    }

    /// Comes back on the same port.
    pub fn start_again(&self) {
        let mut inside = self.inside();
        match std::mem::replace(&mut inside.listening, Listening::Between) {
            Listening::No(socket) => {
                let listener = socket
                    .listen(1024)
                    .expect("a reserved port can be listened on");
                let accepting = tokio::spawn(serve::accept(self.shared.clone(), listener));
                inside.listening = Listening::Yes(accepting);
            }
            listening => inside.listening = listening,
        }
    }

    /// Closes connections that wait for a next request, as Twenty does after 5 s.
    pub fn close_idle_connections(&self) {
        self.inside()
            .farewell
            .send_modify(|generation| *generation += 1);
    }

    // ── What it has seen ────────────────────────────────────────────────────────────────────────────────────────

    /// What the server has seen and done so far.
    pub fn counts(&self) -> Counts {
        self.shared.counts.borrow().clone()
    }

    /// Returns once `enough` is true for the counts; it is called at each change.
    ///
    /// # Panics
    /// When that does not happen within 20 s of real time.
    pub async fn wait_for(&self, mut enough: impl FnMut(&Counts) -> bool) -> Counts {
        let mut watching = self.shared.counts.subscribe();
        let waiting = watching.wait_for(|counts| enough(counts));
        match tokio::time::timeout(MISSING, waiting).await {
            Ok(counts) => counts
                .expect("the server lives as long as this handle")
                .clone(),
            Err(_) => panic!("the server never saw it; so far {:#?}", self.counts()),
        }
    }

    /// Returns once no call is under way: each was answered, or its client has closed the connection.
    ///
    /// # Panics
    /// When that does not happen within 20 s of real time.
    pub async fn wait_for_calls_to_end(&self) {
        self.wait_for(|_| self.calls_under_way() == 0).await;
    }

    /// What it knows about every session so far: the proof of why one ended.
    pub fn ledger(&self) -> Ledger {
        self.inside().records.ledger.clone()
    }

    /// Asks the ledger itself, without a copy.
    pub fn ask_ledger<T>(&self, ask: impl FnOnce(&Ledger) -> T) -> T {
        ask(&self.inside().records.ledger)
    }

    /// How often this mutation ran.
    pub fn effects_of(&self, field: &str) -> u64 {
        self.shared.counts.borrow().effects_of(field)
    }

    /// Whether requests are kept for [`seen`](Self::seen). A run of an hour would fill the memory. Default: yes.
    pub fn keeps_requests(&self, keeps: bool) {
        self.inside().keeps_requests = keeps;
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.inside().seen.clone()
    }

    /// The requests from the one numbered `first`, counted from 0.
    pub fn seen_from(&self, first: usize) -> Vec<Seen> {
        self.inside().seen.get(first..).unwrap_or_default().to_vec()
    }

    /// How many requests have arrived so far.
    pub fn seen_so_far(&self) -> usize {
        self.inside().seen.len()
    }

    /// How many renewals are under way just now: held, stalled, or being answered.
    pub fn renewals_under_way(&self) -> u64 {
        self.inside().renewals_now
    }

    /// How many calls are under way just now.
    pub fn calls_under_way(&self) -> u64 {
        self.inside().calls_now
    }

    /// Every request so far that asks for this field.
    pub fn seen_asking_for(&self, field: &str) -> Vec<Seen> {
        let mut seen = self.seen();
        seen.retain(|seen| seen.field == field);
        seen
    }

    /// Every token text that it has ever issued, for tests that look for them where they must not be.
    pub fn secrets(&self) -> Vec<String> {
        self.inside().records.issued.clone()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.shared.inside()
    }

    fn now(&self) -> Timestamp {
        self.shared.now()
    }
}

impl std::fmt::Debug for FaultServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultServer")
            .field("address", &self.shared.address)
            .finish_non_exhaustive()
    }
}

fn login(email: &str, password: &str) -> PasswordLogin {
    PasswordLogin {
        email: email.to_owned(),
        password: password.into(),
    }
}

fn reserve(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .set_reuseaddr(true)
        .expect("a new socket takes options");
    socket.bind(address).expect("a free port on 127.0.0.1");
    socket
}
