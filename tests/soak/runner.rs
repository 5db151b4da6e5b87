//! Performs the plan, listens to the processes, and checks.

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graphql_session::{Keyring, SystemClock, Vault};
use graphql_session_testing::{Alpn, FaultServer, PASSWORD, ServerCertificate};
use secrecy::ExposeSecret;
use tokio::sync::mpsc;

use crate::bus::KeyringDaemon;
use crate::endings::{Endings, Violation, email};
use crate::plan::{ACCOUNTS, DiskTrouble, Injection, KeyringTrouble, Kind, PROCESSES, Plan};
use crate::processes::{Processes, Said, account_name};
use crate::report::{self, Tally};
use crate::{GRACE, limits, process};

/// How long access tokens last: some ten renewals a minute and account, besides the injected expiries.
const ACCESS_LIFETIME: Duration = Duration::from_secs(6);

/// Minutes of a run, unless `MINUTES` says otherwise.
const MINUTES: u64 = 60;

/// How often everything is checked.
const CHECK: Duration = Duration::from_secs(1);

/// In a calm every process recovers within this time: the longest pause between two attempts is 30 s.
const CALM: Duration = Duration::from_secs(75);

/// How long after the disk works again every ending is listed: a failed write is made again after 1, 2, 4 and 8 s.
const LISTED_AFTER: Duration = Duration::from_secs(12);

/// Pause between two checks during a calm.
const ASK_AGAIN: Duration = Duration::from_millis(300);

/// What is undone later.
enum Undo {
    Restart(usize),
    Thaw(usize),
    Keyring(KeyringTrouble),
    Disk(usize),
    Tls,
    ServerBack,
    Behave,
}

/// A sign-in or a sign-out that runs.
struct Leaving {
    account: usize,
    place: usize,
    is_sign_in: bool,
}

struct Soak {
    seed: u64,
    began: Instant,
    server: FaultServer,
    keyring: KeyringDaemon,
    vault: Keyring,
    processes: Processes,
    said: mpsc::UnboundedReceiver<Said>,
    tally: Tally,
    undo: Vec<(Instant, Undo)>,
    /// Until when a process may have an ending that it could not list: it must not die before, because it would forget it.
    unlisted_until: HashMap<usize, Instant>,
    leaving: HashMap<u64, Leaving>,
    /// In a calm: the last outcome of each process's call.
    heard: HashMap<usize, String>,
    /// In a calm: the calls that test whether a process has recovered.
    asking: HashMap<u64, usize>,
    next_check: Instant,
    next_line: Duration,
    /// Processes that ended after the command `close`.
    gone: usize,
    closing: bool,
}

/// The whole run. `SEED` repeats a plan; `MINUTES` is how long.
pub(crate) async fn run(folder: &Path) -> ExitCode {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seed = number("SEED").unwrap_or_else(|| rand::random_range(1..1_000_000));
    let minutes = number("MINUTES").unwrap_or(MINUTES);
    println!(
        "Soak: seed {seed}, {minutes} min, {ACCOUNTS} accounts with {PROCESSES} processes each. SEED={seed} repeats the plan."
    );
    let mut soak = Soak::start(folder, seed).await;
    match soak.play(Duration::from_secs(60 * minutes)).await {
        Ok(()) => {
            let since = soak.began.elapsed();
            report::table(seed, since, &soak.tally, &soak.server.ledger());
            ExitCode::SUCCESS
        }
        Err(violation) => {
            let places = &soak.processes.places;
            report::violation(seed, &violation, places, &soak.server.ledger());
            ExitCode::FAILURE
        }
    }
}

impl Soak {
    async fn start(folder: &Path, seed: u64) -> Self {
        let server = FaultServer::start(Arc::new(SystemClock::new())).await;
        server.keeps_requests(false);
        server.speak_tls(ServerCertificate::Good, Alpn::Http2);
        server.grace(Some(GRACE));
        server.access_tokens_last(ACCESS_LIFETIME);
        for account in 0..ACCOUNTS {
            server.add_person(&email(account), PASSWORD);
        }
        let keyring = KeyringDaemon::start();
        let (mut processes, said) = Processes::new(folder, server.root_certificate());
        for place in 0..processes.places.len() {
            processes.start(place);
        }
        Self {
            seed,
            began: Instant::now(),
            server,
            keyring,
            vault: Keyring::new(process::service()),
            processes,
            said,
            tally: Tally::new(Endings::new(folder)),
            undo: Vec::new(),
            unlisted_until: HashMap::new(),
            leaving: HashMap::new(),
            heard: HashMap::new(),
            asking: HashMap::new(),
            next_check: Instant::now(),
            next_line: Duration::from_secs(60),
            gone: 0,
            closing: false,
        }
    }

    async fn play(&mut self, length: Duration) -> Result<(), Violation> {
        let mut plan = Plan::new(self.seed);
        self.calm(&mut plan).await?;
        while self.began.elapsed() < length {
            for (pause, injection) in plan.round() {
                self.attend(Instant::now() + pause).await?;
                self.inject(injection).await;
                if self.began.elapsed() >= length {
                    break;
                }
            }
            self.calm(&mut plan).await?;
        }
        self.close().await
    }

    // ── The plan ────────────────────────────────────────────────────────────────────────────────────────────────

    async fn inject(&mut self, injection: Injection) {
        let name = match &injection {
            Injection::Calls { .. } => "calls and bursts",
            Injection::Expire { .. } => "access tokens expired",
            Injection::Renewals(_) => "renewals that go wrong",
            Injection::Call(_) => "calls that go wrong",
            Injection::SignInStep(_) => "sign-ins that go wrong",
            Injection::Outage { .. } => "outages",
            Injection::ServerAway { .. } => "server stopped",
            Injection::Revoke { .. } => "revocations",
            Injection::SignOut { .. } => "sign-outs",
            Injection::SignIn { .. } => "sign-ins, where nobody is signed in",
            Injection::Kill { .. } => "processes killed",
            Injection::Freeze { .. } => "processes frozen",
            Injection::Disk { trouble, .. } => match trouble {
                DiskTrouble::Full => "disk full",
                DiskTrouble::Tears(_) => "appends torn",
                DiskTrouble::Slow => "appends that hang",
            },
            Injection::NetworkChange { .. } => "network changes",
            Injection::Tls { .. } => "other certificates, or HTTP/1.1",
            Injection::Connection(_) => "connections that break",
            Injection::Keyring { trouble, .. } => match trouble {
                KeyringTrouble::Killed => "keyring killed",
                KeyringTrouble::Frozen => "keyring frozen",
                KeyringTrouble::Locked => "keyring locked",
            },
        };
        *self.tally.injected.entry(name).or_default() += 1;
        match injection {
            Injection::Calls {
                process,
                count,
                kind,
            } => {
                for _ in 0..count {
                    self.call(process, kind);
                }
            }
            Injection::Expire { account } => self.server.expire_access_tokens_of(&email(account)),
            Injection::Renewals(faults) => {
                for fault in faults {
                    self.server.on_renewal(fault);
                }
            }
            Injection::Call(fault) => self.server.on_call(fault),
            Injection::SignInStep(fault) => self.server.on_sign_in(fault),
            Injection::Outage { fault, calls, ms } => {
                self.server.on_every_renewal(fault.clone());
                if calls {
                    self.server.on_every_call(fault);
                }
                self.later(ms, Undo::Behave);
            }
            Injection::ServerAway { ms } => {
                self.server.stop().await;
                self.later(ms, Undo::ServerBack);
            }
            Injection::Revoke { account } => self.server.revoke_sessions_of(&email(account)),
            Injection::SignOut { process } => self.leave(process, false),
            Injection::SignIn { process, anew } => {
                let account = self.processes.places[process].account;
                if anew || !self.tally.endings.has_session(account) {
                    self.leave(process, true);
                }
            }
            Injection::Kill { process, ms } => self.kill(process, ms),
            Injection::Freeze { process, ms } => {
                self.processes.freeze(process, true);
                self.later(ms, Undo::Thaw(process));
            }
            Injection::Disk {
                process,
                trouble,
                ms,
            } => self.break_disk(process, trouble, ms),
            Injection::NetworkChange { process } => {
                self.processes.tell(process, "network");
            }
            Injection::Tls {
                certificate,
                alpn,
                ms,
            } => {
                self.server.speak_tls(certificate, alpn);
                self.later(ms, Undo::Tls);
            }
            Injection::Connection(fault) => self.server.on_connection(fault),
            Injection::Keyring { trouble, ms } => {
                let is_troubled = |(_, undo): &(Instant, Undo)| matches!(undo, Undo::Keyring(_));
                if !self.undo.iter().any(is_troubled) {
                    self.keyring.suffer(trouble);
                    self.later(ms, Undo::Keyring(trouble));
                }
            }
        }
    }

    fn call(&mut self, place: usize, kind: Kind) -> Option<u64> {
        if !self.processes.is_alive(place) {
            return None;
        }
        let incarnation = self.processes.places[place].incarnation;
        let is_mutation = matches!(kind, Kind::Mutation);
        let call = self.tally.calls.begin(place, incarnation, is_mutation);
        let command = match kind {
            Kind::Query => format!("query {call}"),
            Kind::Mutation => format!("mutate {call}"),
            Kind::Leaving(ms) => format!("leave {call} {ms}"),
        };
        self.processes.tell(place, &command);
        Some(call)
    }

    /// Signs out, or in; one sign-in of an account at a time.
    fn leave(&mut self, place: usize, is_sign_in: bool) {
        let account = self.processes.places[place].account;
        let is_busy = |it: &Leaving| it.account == account && it.is_sign_in;
        if is_sign_in && self.may_have_unlisted(place) {
            return;
        }
        if !self.processes.is_alive(place) || is_sign_in && self.leaving.values().any(is_busy) {
            return;
        }
        self.tally.endings.look();
        let incarnation = self.processes.places[place].incarnation;
        let request = self.tally.calls.begin(place, incarnation, false);
        self.tally.endings.leaving(account, request);
        let leaving = Leaving {
            account,
            place,
            is_sign_in,
        };
        self.leaving.insert(request, leaving);
        let command = if is_sign_in {
            let (address, email) = (self.server.address(), email(account));
            format!("sign_in {request} {address} {email}")
        } else {
            format!("sign_out {request}")
        };
        self.processes.tell(place, &command);
    }

    /// Not while it signs in: the checks know a session by its state file.
    fn break_disk(&mut self, place: usize, trouble: DiskTrouble, ms: u64) {
        let signs_in = |it: &Leaving| it.place == place && it.is_sign_in;
        if self.leaving.values().any(signs_in) {
            return;
        }
        let command = match trouble {
            DiskTrouble::Full => "disk full".to_owned(),
            DiskTrouble::Tears(bytes) => format!("disk tears {bytes}"),
            DiskTrouble::Slow => "disk slow".to_owned(),
        };
        if self.processes.tell(place, &command) {
            let unlisted = Duration::from_millis(ms) + LISTED_AFTER;
            self.unlisted_until.insert(place, Instant::now() + unlisted);
            let account = self.processes.places[place].account;
            let until = jiff::Timestamp::now() + unlisted;
            self.tally.endings.unlisted(account, until);
            self.later(ms, Undo::Disk(place));
        }
    }

    fn may_have_unlisted(&self, place: usize) -> bool {
        let until = self.unlisted_until.get(&place);
        until.is_some_and(|until| Instant::now() < *until)
    }

    fn kill(&mut self, place: usize, ms: u64) {
        if !self.processes.is_alive(place) || self.may_have_unlisted(place) {
            return;
        }
        let (account, incarnation) = {
            let place = &self.processes.places[place];
            (place.account, place.incarnation)
        };
        self.processes.kill(place);
        self.tally.endings.killed(account);
        self.tally.calls.die(place, incarnation);
        self.asking.retain(|_, asked| *asked != place);
        let endings = &mut self.tally.endings;
        self.leaving.retain(|request, leaving| {
            if leaving.place == place {
                endings.left(account, *request);
            }
            leaving.place != place
        });
        self.later(ms, Undo::Restart(place));
    }

    fn later(&mut self, ms: u64, undo: Undo) {
        let due = Instant::now() + Duration::from_millis(ms);
        self.undo.push((due, undo));
    }

    fn perform(&mut self, undo: &Undo) {
        match undo {
            Undo::Restart(place) if !self.processes.is_alive(*place) => {
                self.processes.start(*place)
            }
            Undo::Restart(_) => {}
            Undo::Thaw(place) => {
                self.processes.freeze(*place, false);
                self.tally.calls.thawed(*place);
            }
            Undo::Keyring(trouble) => self.keyring.recover(*trouble),
            Undo::Disk(place) => {
                self.processes.tell(*place, "disk works");
            }
            Undo::Tls => self.server.speak_tls(ServerCertificate::Good, Alpn::Http2),
            Undo::ServerBack => self.server.start_again(),
            Undo::Behave => self.server.behave(),
        }
    }

    // ── Listening ───────────────────────────────────────────────────────────────────────────────────────────────

    /// Reads lines until then, undoes what is due, and checks.
    async fn attend(&mut self, until: Instant) -> Result<(), Violation> {
        loop {
            let now = Instant::now();
            while let Some(at) = self.undo.iter().position(|(due, _)| *due <= now) {
                let (_, undo) = self.undo.swap_remove(at);
                self.perform(&undo);
            }
            if now >= self.next_check {
                self.check()?;
                self.next_check = Instant::now() + CHECK;
            }
            if now >= until {
                return Ok(());
            }
            let undo = self.undo.iter().map(|(due, _)| *due).min();
            let wake = until.min(self.next_check).min(undo.unwrap_or(until));
            tokio::select! {
                said = self.said.recv() => {
                    if let Some(said) = said {
                        self.hear(&said)?;
                    }
                }
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
    }

    fn hear(&mut self, said: &Said) -> Result<(), Violation> {
        self.processes.remember(said);
        let account = self.processes.places[said.place].account;
        let violation = |what: String| Violation::of(account, what);
        let is_present = self.processes.places[said.place].incarnation == said.incarnation
            && self.processes.is_alive(said.place);
        let words: Vec<_> = said.line.split(' ').collect();
        match words[..] {
            ["noted", what, ..] => *self.tally.noted.entry(what.to_owned()).or_default() += 1,
            ["gone"] if is_present && !self.closing => {
                return Err(violation(format!("process {} died by itself", said.place)));
            }
            ["gone"] if is_present => self.gone += 1,
            // The last lines of a killed process come late. Its calls already count as dead.
            _ if !is_present => {}
            ["settled", call, outcome, ms] => {
                let (call, ms) = (number(call), u128::from(number(ms)));
                if let Some(place) = self.asking.remove(&call) {
                    self.heard.insert(place, outcome.to_owned());
                }
                let settled = self.tally.calls.settle(call, outcome, ms, &self.server);
                settled.map_err(violation)?;
            }
            ["signed_in" | "signed_out", request, ..] => {
                let request = number(request);
                self.tally.endings.left(account, request);
                self.leaving.remove(&request);
                let outcome = words[..].join(":");
                let word = outcome.split(':').nth(2).unwrap_or("done");
                let kind = format!("{} {word}", words[0]);
                let settled = self.tally.calls.settle(request, &kind, 0, &self.server);
                settled.map_err(violation)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), Violation> {
        let ledger = self.server.ledger();
        self.tally.endings.check(&ledger)?;
        let places = &self.processes.places;
        let checked = self.tally.calls.check(
            limits().call_timeout,
            |place| places[place].frozen,
            &self.server,
        );
        checked.map_err(|(place, what)| {
            let threads = place.map(|place| self.processes.waits_for(place));
            let threads =
                threads.map_or(String::new(), |threads| format!("; its threads: {threads}"));
            Violation {
                account: place.map(|place| places[place].account),
                what: what + &threads,
            }
        })?;
        if self.began.elapsed() >= self.next_line {
            self.next_line += Duration::from_secs(60);
            report::progress(self.began.elapsed(), &self.tally, &ledger);
        }
        Ok(())
    }

    // ── The calm between two rounds ─────────────────────────────────────────────────────────────────────────────

    /// Everything works again: every process must recover, and every account that is signed out signs in.
    async fn calm(&mut self, plan: &mut Plan) -> Result<(), Violation> {
        self.server.behave();
        let undo = std::mem::take(&mut self.undo);
        for (_, undo) in &undo {
            self.perform(undo);
        }
        for account in 0..ACCOUNTS {
            let until = Instant::now() + CALM;
            let has_session = self.recover(account, until).await?;
            if !has_session {
                self.sign_in(account, plan, until).await?;
                self.recover(account, until).await?;
            }
        }
        self.tally.calms += 1;
        Ok(())
    }

    /// Every process of the account serves a call and the keyring holds what the state file says; or nobody is signed
    /// in, and every process says so.
    async fn recover(&mut self, account: usize, until: Instant) -> Result<bool, Violation> {
        let places = Processes::of_account(account);
        for place in places.clone() {
            self.heard.remove(&place);
        }
        loop {
            // All processes call again, even those that were served: their session may have ended since.
            for place in places.clone() {
                let is_asked = self.asking.values().any(|asked| *asked == place);
                if !is_asked {
                    self.processes.tell(place, "retry");
                    if let Some(call) = self.call(place, Kind::Query) {
                        self.asking.insert(call, place);
                    }
                }
            }
            self.attend(Instant::now() + ASK_AGAIN).await?;
            let is_busy = self.leaving.values().any(|it| it.account == account);
            let all = |word: &str| {
                let mut words = places.clone().map(|place| self.heard.get(&place));
                words.all(|heard| heard.is_some_and(|heard| heard == word))
            };
            let (served, signed_out) = (all("served"), all("SignedOut"));
            if served && !is_busy && self.is_stored(account) {
                return Ok(true);
            }
            if signed_out && !is_busy && !self.tally.endings.has_session(account) {
                return Ok(false);
            }
            if Instant::now() > until {
                let is_stored = self.is_stored(account);
                let heard: Vec<_> = places.map(|place| self.heard.get(&place)).collect();
                let what = format!(
                    "not every process recovered within {CALM:?}: {heard:?}, stored as the state file says: {is_stored}"
                );
                return Err(Violation::of(account, what));
            }
        }
    }

    /// Whether the keyring holds the credentials that the state file calls saved.
    fn is_stored(&mut self, account: usize) -> bool {
        let Some(saved) = self.tally.endings.saved(account) else {
            return false;
        };
        let stored = self.vault.read(&account_name(account)).ok().flatten();
        stored.is_some_and(|text| {
            let record = serde_json::from_str::<serde_json::Value>(text.expose_secret());
            record.is_ok_and(|record| record["credentials"] == saved.as_str())
        })
    }

    async fn sign_in(
        &mut self,
        account: usize,
        plan: &mut Plan,
        until: Instant,
    ) -> Result<(), Violation> {
        while !self.tally.endings.has_session(account) {
            let is_busy = self.leaving.values().any(|it| it.account == account);
            if !is_busy {
                let place = plan.anybody(account);
                self.leave(place, true);
            }
            self.attend(Instant::now() + ASK_AGAIN).await?;
            if Instant::now() > until {
                let what = format!("nobody could sign in within {CALM:?}");
                return Err(Violation::of(account, what));
            }
        }
        Ok(())
    }

    /// Every call settles, then every process ends in order. A call that is late fails the check.
    async fn close(&mut self) -> Result<(), Violation> {
        self.attend(Instant::now() + CHECK).await?;
        // Before that: a process that ends takes its calls with it.
        while self.tally.calls.open() > 0 {
            self.attend(Instant::now() + ASK_AGAIN).await?;
        }
        self.closing = true;
        for place in 0..self.processes.places.len() {
            self.processes.tell(place, "close");
        }
        let until = Instant::now() + limits().call_timeout;
        while self.gone < self.processes.places.len() && Instant::now() < until {
            self.attend(Instant::now() + ASK_AGAIN).await?;
        }
        self.check()?;
        self.tally.endings.check_all_judged()?;
        let left = self.processes.places.len() - self.gone;
        if left > 0 {
            return Err(Violation {
                account: None,
                what: format!("{left} processes did not end when told to"),
            });
        }
        Ok(())
    }
}

fn number(word: &str) -> u64 {
    word.parse().expect("the line has a number")
}
