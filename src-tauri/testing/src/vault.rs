//! A vault that fails on demand.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::clock::{Activity, ManualClock};
use graphql_session::{Vault, VaultError};

/// How long a test waits for a vault call before it takes it for missing.
const MISSING: Duration = Duration::from_secs(20);

/// Memory with scripted failures. Clones are handles on the same vault; sessions that share it are processes of one
/// machine.
#[derive(Clone, Default)]
pub struct ScriptedVault {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Default)]
struct Inside {
    entries: HashMap<String, String>,
    scripts: HashMap<VaultCall, Script>,
    counts: HashMap<VaultCall, u64>,
    blocked_now: usize,
    longest: Option<usize>,
    activity: Activity,
}

#[derive(Default)]
struct Script {
    next: VecDeque<Mishap>,
    always: Option<VaultError>,
    closed: bool,
}

#[derive(Clone, Copy)]
enum Mishap {
    Fail(VaultError),
    Panic,
}

/// One kind of call to a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VaultCall {
    /// [`Vault::read`].
    Read,
    /// [`Vault::write`].
    Write,
    /// [`Vault::remove`].
    Remove,
}

/// All kinds of calls.
const EVERY_CALL: [VaultCall; 3] = [VaultCall::Read, VaultCall::Write, VaultCall::Remove];

impl ScriptedVault {
    /// An empty vault that works.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with `clock` standing still while a call is under way (not while one is [held](Self::hold)).
    pub fn watched_by(clock: &ManualClock) -> Self {
        let vault = Self::default();
        vault.inside().activity = clock.activity();
        vault
    }

    /// The next `times` calls of this kind fail with `error`.
    pub fn fail_next(&self, call: VaultCall, times: usize, error: VaultError) {
        let mishaps = std::iter::repeat_n(Mishap::Fail(error), times);
        self.inside()
            .scripts
            .entry(call)
            .or_default()
            .next
            .extend(mishaps);
    }

    /// The next call of this kind panics, as an adopter's vault may.
    pub fn panic_next(&self, call: VaultCall) {
        let mut inside = self.inside();
        let script = inside.scripts.entry(call).or_default();
        script.next.push_back(Mishap::Panic);
    }

    /// Every call of this kind fails with `error`, until [`work_again`](Self::work_again).
    pub fn fail(&self, call: VaultCall, error: VaultError) {
        self.inside().scripts.entry(call).or_default().always = Some(error);
    }

    /// Every call fails with `error`, until [`work_again`](Self::work_again): a locked or missing keyring.
    pub fn fail_all(&self, error: VaultError) {
        for call in EVERY_CALL {
            self.fail(call, error);
        }
    }

    /// Ends all scripted failures, and releases all held calls.
    pub fn work_again(&self) {
        self.inside().scripts.clear();
        self.shared.changed.notify_all();
    }

    /// Calls of this kind block from now on, before they do anything, until [`release`](Self::release).
    pub fn hold(&self, call: VaultCall) {
        self.inside().scripts.entry(call).or_default().closed = true;
    }

    /// Held calls of this kind go on, and later ones are not held.
    pub fn release(&self, call: VaultCall) {
        self.inside().scripts.entry(call).or_default().closed = false;
        self.shared.changed.notify_all();
    }

    /// Texts longer than this many bytes are too long, as on Windows; `None` for no limit.
    pub fn limit_length(&self, bytes: Option<usize>) {
        self.inside().longest = bytes;
    }

    /// How many calls of this kind have begun.
    pub fn count(&self, call: VaultCall) -> u64 {
        self.inside().counts.get(&call).copied().unwrap_or(0)
    }

    /// How many calls are held just now.
    pub fn held_now(&self) -> usize {
        self.inside().blocked_now
    }

    /// Returns once `count` calls are held, blocking the caller's thread for at most 20 s.
    ///
    /// # Panics
    /// When that does not happen.
    pub async fn wait_until_held(&self, count: usize) {
        let vault = self.clone();
        let arrived = tokio::task::spawn_blocking(move || {
            let inside = vault.inside();
            let (_inside, waited) = vault
                .shared
                .changed
                .wait_timeout_while(inside, MISSING, |inside| inside.blocked_now < count)
                .unwrap_or_else(PoisonError::into_inner);
            !waited.timed_out()
        });
        assert!(
            arrived.await.unwrap_or(false),
            "no vault call came that could be held"
        );
    }

    /// The stored text. It holds tokens: for assertions only.
    pub fn stored(&self, account: &str) -> Option<String> {
        self.inside().entries.get(account).cloned()
    }

    /// Puts `text` there, as another process or a person would.
    pub fn replace(&self, account: &str, text: impl Into<String>) {
        self.inside()
            .entries
            .insert(account.to_owned(), text.into());
    }

    /// Removes the entry, as a person would.
    pub fn clear(&self, account: &str) {
        self.inside().entries.remove(account);
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Scripted panics happen outside the lock, and every step inside is one call.
        self.shared
            .inside
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the call, waits while it is held, and says how it fails, if it does.
    fn arrive(&self, call: VaultCall) -> Result<(), VaultError> {
        let mut inside = self.inside();
        *inside.counts.entry(call).or_default() += 1;
        let is_held = |inside: &Inside| {
            inside
                .scripts
                .get(&call)
                .is_some_and(|script| script.closed)
        };
        if is_held(&inside) {
            inside.blocked_now += 1;
            inside.activity.note();
            self.shared.changed.notify_all();
            inside = self
                .shared
                .changed
                .wait_while(inside, |inside| is_held(inside))
                .unwrap_or_else(PoisonError::into_inner);
            inside.blocked_now -= 1;
        }
        let script = inside.scripts.entry(call).or_default();
        let mishap = script.next.pop_front().or(script.always.map(Mishap::Fail));
        drop(inside);
        match mishap {
            Some(Mishap::Fail(error)) => Err(error),
            Some(Mishap::Panic) => panic!("the vault panics, as scripted"),
            None => Ok(()),
        }
    }

    fn activity(&self) -> Activity {
        self.inside().activity.clone()
    }
}

impl Vault for ScriptedVault {
    fn read(&self, account: &str) -> Result<Option<SecretString>, VaultError> {
        self.activity().note();
        self.arrive(VaultCall::Read)?;
        let _under_way = self.activity().begin();
        Ok(self
            .inside()
            .entries
            .get(account)
            .map(|text| text.as_str().into()))
    }

    fn write(&self, account: &str, text: &SecretString) -> Result<(), VaultError> {
        self.activity().note();
        self.arrive(VaultCall::Write)?;
        let _under_way = self.activity().begin();
        let mut inside = self.inside();
        let text = text.expose_secret();
        if inside.longest.is_some_and(|longest| text.len() > longest) {
            return Err(VaultError::TooLong);
        }
        inside.entries.insert(account.to_owned(), text.to_owned());
        Ok(())
    }

    fn remove(&self, account: &str) -> Result<(), VaultError> {
        self.activity().note();
        self.arrive(VaultCall::Remove)?;
        let _under_way = self.activity().begin();
        self.inside().entries.remove(account);
        Ok(())
    }
}

impl std::fmt::Debug for ScriptedVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedVault").finish_non_exhaustive()
    }
}
