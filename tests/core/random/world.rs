//! The system under test: servers, one machine with its keyring and files, and the processes on it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use graphql_session::{Clock, Config, VaultError};
use graphql_session_testing::{Fault, FaultServer, Gate, ManualClock, VaultCall, call};
use jiff::SignedDuration;
use tempfile::TempDir;

use super::disk::RecordingDisk;
use super::faults::Trouble;
use super::keyring::RecordingKeyring;
use super::model::{AtServer, Calls, KeyringTrouble, Model, PROCESSES, Setting, Step};
use super::process::{Asked, Entering, Own, Process};
use super::records::{Account, Family};

/// The check for rest looks at all threads of the test process, so one world runs at a time.
static ONE_WORLD: Mutex<()> = Mutex::new(());

const SECOND: Duration = Duration::from_secs(1);

/// How long the server may stay away where that ends a session.
pub(crate) const END_AFTER: Duration = Duration::from_secs(600);

/// Deadline of a call that is in a hurry.
const HURRIED: Duration = Duration::from_secs(5);

/// Limit of work on the files; the default of the core.
const FILES_AT_MOST: Duration = Duration::from_secs(2);

/// The longest sign-in: two exchanges, the lock, a read and a write.
const SIGN_IN_AT_MOST: Duration = Duration::from_secs(10 + 10 + 30 + 2 + 3);

/// How much longer it may take where the disk has failed: a write that is made again takes the lock first, and reads the
/// keyring; and there are three waits for files.
pub(crate) const LONGER_WITH_A_BAD_DISK: Duration = Duration::from_secs(30 + 2 + 6);

/// The longest pause after which a failed write is made again, and a little.
const WRITTEN_AGAIN_AFTER: Duration = Duration::from_secs(601);

/// Everything.
pub(crate) struct World {
    pub(crate) setting: Setting,
    pub(crate) processes: [Option<Process>; PROCESSES],
    pub(crate) accounts: Vec<Account>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) entering: Vec<Entering>,
    /// Accounts with a sign-in under way when the step began: a process that dies during it may still do its next
    /// action.
    pub(crate) entered_before: Vec<usize>,
    pub(crate) keyring: RecordingKeyring,
    pub(crate) keyring_works: bool,
    pub(crate) disk: RecordingDisk,
    /// Whether it has failed in this case.
    pub(crate) disk_has_failed: bool,
    /// Whether it has failed in this case.
    pub(crate) keyring_has_failed: bool,
    /// Whether it worked when the step began, and how many writes had reached it by then.
    pub(crate) keyring_before: (bool, usize),
    pub(crate) has_lost_a_process: bool,
    /// Awake time since the start of the case.
    pub(crate) awake: Duration,
    /// The same at the start of the step.
    pub(crate) step_began: Duration,
    pub(crate) server_clock: ManualClock,
    /// The newest generation that a process used, by process and sign-in of an account: before this step, and by now.
    pub(crate) used: HashMap<(usize, usize, Family), (u64, u64)>,
    pub(crate) tally: BTreeMap<&'static str, u64>,
    pub(crate) machine: ManualClock,
    gates: Vec<Gate>,
    calls: usize,
    started: usize,
    pub(crate) steps: usize,
    servers: Own,
    folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl World {
    /// One process, signed in to all of its accounts, and what the setting begins with.
    pub(crate) fn start(model: &Model) -> Self {
        let alone = ONE_WORLD.lock().unwrap_or_else(PoisonError::into_inner);
        let setting = model.setting;
        let servers = Own::start("servers");
        let server_clock = ManualClock::new();
        let accounts: Vec<_> = (0..setting.accounts)
            .map(|at| {
                let server = servers
                    .handle()
                    .block_on(FaultServer::start(std::sync::Arc::new(
                        server_clock.clone(),
                    )));
                server.knows_sign_out(setting.revokes);
                if !setting.grace {
                    server.grace(None);
                }
                Account::new(format!("account-{at}"), server)
            })
            .collect();
        let by_name: HashMap<_, _> = accounts
            .iter()
            .map(|account| (account.name.clone(), account.server.clone()))
            .collect();
        let folder = folder();
        let machine = ManualClock::new();
        let disk = RecordingDisk::watched_by(&machine);
        let mut world = Self {
            setting,
            processes: [None, None, None],
            accounts,
            asked: Vec::new(),
            entering: Vec::new(),
            entered_before: Vec::new(),
            keyring: RecordingKeyring::new(by_name, disk.clone()),
            keyring_works: true,
            disk,
            disk_has_failed: false,
            keyring_has_failed: false,
            keyring_before: (true, 0),
            has_lost_a_process: false,
            awake: Duration::ZERO,
            step_began: Duration::ZERO,
            server_clock,
            used: HashMap::new(),
            tally: BTreeMap::new(),
            machine,
            gates: Vec::new(),
            calls: 0,
            started: 0,
            steps: 0,
            servers,
            folder,
            _alone: alone,
        };
        world.play(Step::Opens { process: 0 });
        for account in 0..setting.accounts {
            world.play(Step::SignIn {
                process: 0,
                account,
            });
        }
        for step in setting.beginning.steps() {
            world.play(step);
        }
        world
    }

    /// One step, until everything has come to rest; then everything is checked.
    pub(crate) fn play(&mut self, step: Step) {
        self.steps += 1;
        self.step_began = self.awake;
        self.entered_before = self.entering.iter().map(|one| one.account).collect();
        let writes = self.keyring.ask_writes(<[_]>::len);
        self.keyring_before = (self.keyring_works, writes);
        for (before, now) in self.used.values_mut() {
            *before = *now;
        }
        let under_way = self.renewals_under_way();
        self.happen(step);
        self.rest();
        self.check(&step);
        self.check_that_nobody_cancelled_a_renewal(&step, &under_way);
    }

    fn happen(&mut self, step: Step) {
        match step {
            Step::Call(calls) => {
                for _ in 0..calls.many {
                    self.call(calls);
                }
            }
            Step::CallerLeaves { which } => {
                if !self.asked.is_empty() {
                    let left = self.asked.swap_remove(which % self.asked.len());
                    left.task.abort();
                }
            }
            Step::Server(account, what) => self.happen_at_server(account, what),
            Step::Pass(span) => self.pass(self.length(span), &step),
            Step::Sleep { hours } => {
                self.machine.jump_wall(SignedDuration::from_hours(hours));
                self.server_clock
                    .jump_wall(SignedDuration::from_hours(hours));
            }
            Step::ClockSet { hours } => {
                self.machine.jump_wall(SignedDuration::from_hours(hours));
                for account in &mut self.accounts {
                    account.suspect_all();
                    account.refuses_valid_tokens = true;
                    account.clock_was_set = true;
                }
            }
            Step::RenewalsGoWrong {
                account,
                how,
                times,
            } => {
                let account = &mut self.accounts[account];
                account.hides_exchanges |= matches!(
                    how,
                    // An answer without a refresh token looks as if it recovered the lost answer before it.
                    Trouble::ActsThenStatus(_) | Trouble::KeepsRefreshToken
                );
                for _ in 0..times {
                    account.server.on_renewal(how.fault());
                }
            }
            Step::CallsGoWrong {
                account,
                how,
                times,
            } => {
                let account = &mut self.accounts[account];
                if matches!(
                    how,
                    Trouble::Refused | Trouble::PartlyRefused | Trouble::Status(401)
                ) {
                    account.suspect_all();
                    account.refuses_valid_tokens = true;
                }
                for _ in 0..times {
                    account.server.on_call(how.fault());
                }
            }
            Step::HoldCall { account, breaks } => {
                let gate = Gate::new();
                let fault = if breaks {
                    Fault::hold_then(&gate, Fault::Reset)
                } else {
                    Fault::hold(&gate)
                };
                self.accounts[account].server.on_call(fault);
                self.gates.push(gate);
            }
            Step::LetGo { which } => {
                if !self.gates.is_empty() {
                    let which = which % self.gates.len();
                    self.gates.remove(which).open();
                }
            }
            Step::SignIn { process, account } => self.sign_in(process, account),
            Step::SignOut { process, account } => self.sign_out(process, account, &step),
            Step::TryNow { process, account } => {
                let process = self.running(process);
                if let Some(session) = process.session(account) {
                    process.own.run(async move { session.retry_now().await });
                }
            }
            Step::NetworkChanges { process, account } => {
                let process = self.running(process);
                if let Some(session) = process.session(account) {
                    process.own.run(async move { session.network_changed() });
                }
            }
            Step::Opens { process } => self.open(process),
            Step::Dies { process, lands } => {
                self.list_endings_of(process, &step);
                self.kill(process, lands);
            }
            Step::Quits { process } => {
                self.list_endings_of(process, &step);
                self.quit(process, &step);
            }
            Step::Keyring(trouble) => self.break_keyring(trouble),
            Step::KeyringHeals => {
                self.keyring.heal();
                self.keyring_works = true;
            }
            Step::Disk(trouble) => {
                self.disk_has_failed = true;
                self.disk.suffer(trouble);
            }
            Step::DiskHeals => self.disk.heal(),
            Step::EntryDeleted { account } => {
                self.accounts[account].is_touched = true;
                self.keyring.scripted.clear(&self.accounts[account].name);
            }
            Step::EntryDamaged { account } => {
                self.accounts[account].is_touched = true;
                let name = &self.accounts[account].name;
                self.keyring.scripted.replace(name, "{\"version\":1");
            }
            Step::EntryRestored { account, age } => {
                let account = &mut self.accounts[account];
                let newest_first = account.backups.iter().rev().skip(age);
                if let Some(text) = newest_first.chain(&account.backups).next() {
                    account.is_touched = true;
                    self.keyring.scripted.replace(&account.name, text);
                }
            }
        }
    }

    fn happen_at_server(&mut self, account: usize, what: AtServer) {
        let server = self.accounts[account].server.clone();
        match what {
            AtServer::AccessExpires => {
                server.expire_access_tokens();
                self.accounts[account].suspect_all();
            }
            AtServer::HoldRenewal => {
                let gate = Gate::new();
                server.on_renewal(Fault::hold(&gate));
                self.gates.push(gate);
            }
            AtServer::Behaves => server.behave(),
            AtServer::Stops => self.on_servers(async move { server.stop().await }),
            AtServer::Returns => self.on_servers(async move { server.start_again() }),
            AtServer::Revoked => server.revoke_sessions(),
            AtServer::Forgotten => server.forget_refresh_tokens(),
            AtServer::RefreshExpires => server.expire_refresh_tokens(),
        }
    }

    fn call(&mut self, calls: Calls) {
        let (account, is_mutation) = (calls.account, calls.mutation);
        let process = self.running(calls.process);
        let Some(session) = process.session(account) else {
            return;
        };
        let number = self.calls + 1;
        let endpoint = if calls.metadata {
            "metadata"
        } else {
            "graphql"
        };
        let kind = if is_mutation { "mutation" } else { "query" };
        let field = format!("field{number}");
        let mut asked = call(endpoint, kind, &field);
        asked.headers = vec![("x-request-id".into(), number.to_string())];
        asked.deadline = calls.hurried.then_some(HURRIED);
        let limit = if calls.hurried { HURRIED } else { 75 * SECOND };
        let due = process.clock.awake() + limit;
        let (task, outcome) = process.own.run(async move { session.execute(asked).await });
        let process = process.number;
        self.calls = number;
        self.asked.push(Asked {
            number,
            account,
            process,
            field,
            is_mutation,
            due,
            task,
            outcome,
            sent_with: Vec::new(),
        });
        self.count("calls", 1);
    }

    fn sign_in(&mut self, at: usize, account: usize) {
        let process = self.running(at);
        let Some(session) = process.session(account) else {
            return;
        };
        let server = self.accounts[account].server.clone();
        let due = process.clock.awake() + SIGN_IN_AT_MOST;
        let (_, outcome) = process
            .own
            .run(async move { session.sign_in(&server.address(), server.person()).await });
        let process = process.number;
        self.entering.push(Entering {
            account,
            process,
            due,
            outcome,
        });
        self.count("sign-ins", 1);
    }

    fn sign_out(&mut self, at: usize, account: usize, step: &Step) {
        let process = self.running(at);
        let Some(session) = process.session(account) else {
            return;
        };
        let (_, done) = process.own.run(async move { session.sign_out().await });
        self.rest();
        if done.get().is_none() && self.disk.is_hanging() {
            // It is decided; its caller, who may be about to quit, waits for the files as long as they may take.
            self.pass(FILES_AT_MOST, step);
        }
        assert!(done.get().is_some(), "a sign-out waits for something (I10)");
        self.count("sign-outs", 1);
    }

    fn open(&mut self, at: usize) {
        self.started += 1;
        let clock = ManualClock::new();
        clock.seed(self.started as u64);
        let way = self.keyring.way_of(self.started, clock.clone());
        let configs = self
            .accounts
            .iter()
            .map(|account| {
                let mut config = Config::with_vault(self.folder.path(), way.clone());
                config.account = account.name.clone();
                config.end_after = self.setting.end_after.then_some(END_AFTER);
                config
            })
            .collect();
        let mount = self.disk.mount(self.started);
        let process = Process::start(self.started, &self.machine, (way, mount), clock, configs);
        self.processes[at] = Some(process);
    }

    fn kill(&mut self, at: usize, lands: bool) {
        let process = self.processes[at].take().expect("runs");
        self.count("deaths", 1);
        // First: a call to the keyring that ends now must not lead to one more ending, which nobody would list.
        process.mount.die();
        process.way.die(lands);
        // A call that hangs in the keyring ends before another process can take the lock.
        self.wait_for_rest();
        self.bury(process);
    }

    fn quit(&mut self, at: usize, step: &Step) {
        let process = self.running(at);
        let mut closed = Vec::new();
        for seat in &process.seats {
            if let Some(session) = seat.session().cloned() {
                closed.push(process.own.run(async move { session.close().await }).1);
            }
        }
        self.rest();
        let limit = 3 * SECOND;
        if closed.iter().any(|closed| closed.get().is_none()) {
            self.pass(limit, step);
        }
        assert!(
            closed.iter().all(|closed| closed.get().is_some()),
            "quitting takes longer than its limit (I10)"
        );
        let process = self.processes[at].take().expect("runs");
        process.way.die(false);
        process.mount.die();
        self.bury(process);
    }

    /// A process that dies after an ending that it could not list may forget it: until then its memory decides (I17). What
    /// would be right then depends on what the others have seen; so the disk has room again before.
    fn list_endings_of(&mut self, at: usize, step: &Step) {
        let number = self.running(at).number;
        if !self.disk.has_unlisted(number) && !self.disk.is_hanging() {
            return;
        }
        self.disk.heal();
        self.rest();
        if self.disk.has_unlisted(number) {
            self.pass(WRITTEN_AGAIN_AFTER, step);
        }
        assert!(
            !self.disk.has_unlisted(number),
            "the disk works again, and an ending is not listed (I17)"
        );
    }

    /// What a dead process left behind, for the checks.
    fn bury(&mut self, process: Process) {
        self.has_lost_a_process = true;
        let number = process.number;
        for (account, seat) in self.accounts.iter_mut().zip(&process.seats) {
            if let Some(session) = seat.session() {
                account.bury(session);
            }
        }
        drop(process);
        self.asked.retain(|asked| asked.process != number);
        self.entering.retain(|entering| entering.process != number);
    }

    fn break_keyring(&mut self, trouble: KeyringTrouble) {
        self.keyring_works = false;
        self.keyring_has_failed = true;
        let scripted = &self.keyring.scripted;
        match trouble {
            KeyringTrouble::Fails(error) => scripted.fail_all(error),
            KeyringTrouble::Only(kind, error) => scripted.fail(kind, error),
            KeyringTrouble::Once(kind) => scripted.fail_next(kind, 1, VaultError::Failed),
            KeyringTrouble::Slow(kind) => self.keyring.hang(kind),
            KeyringTrouble::Panics => scripted.panic_next(VaultCall::Write),
        }
    }

    // ── Around it ───────────────────────────────────────────────────────────────────────────────────────────────

    /// Everything works again, and all held answers are released.
    pub(crate) fn heal(&mut self) {
        self.keyring.heal();
        self.keyring_works = true;
        self.disk.heal();
        for gate in self.gates.drain(..) {
            gate.open();
        }
        for account in 0..self.accounts.len() {
            let server = self.accounts[account].server.clone();
            server.behave();
            self.on_servers(async move { server.start_again() });
        }
        self.rest();
    }

    pub(crate) fn running(&self, at: usize) -> &Process {
        self.processes[at]
            .as_ref()
            .expect("the model knows who runs")
    }

    pub(crate) fn process_numbered(&self, number: usize) -> Option<&Process> {
        let mut processes = self.processes.iter().flatten();
        processes.find(|process| process.number == number)
    }

    pub(crate) fn renewals_under_way(&self) -> Vec<u64> {
        let under_way = |account: &Account| account.server.renewals_under_way();
        self.accounts.iter().map(under_way).collect()
    }

    pub(crate) fn path(&self, account: usize, name: &str) -> PathBuf {
        let account = &self.accounts[account].name;
        let folder = self.folder.path().join(format!("account-{account}"));
        folder.join(name)
    }

    pub(crate) fn count(&mut self, what: &'static str, more: u64) {
        *self.tally.entry(what).or_default() += more;
    }

    fn on_servers(&self, work: impl Future<Output = ()> + Send + 'static) {
        let (_, done) = self.servers.run(work);
        self.wait_for_rest();
        assert!(done.get().is_some(), "the servers do not answer");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // No thread of this case may hang in the next one.
        for process in self.processes.iter().flatten() {
            process.way.die(false);
            process.mount.die();
        }
        self.keyring.heal();
        self.disk.heal();
    }
}

/// In memory where the system has such a place: a renewal writes its files through to the disk several times.
fn folder() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
    made.expect("a temporary folder")
}
