//! A vault that fails on demand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::{ExposeSecret, SecretString};

use super::clock::{Activity, ManualClock};
use super::script::Script;
use graphql_session::{Vault, VaultError};

/// Memory with scripted failures. Clones are handles on the same vault; sessions that share it are processes of one
/// machine.
#[derive(Clone)]
pub struct ScriptedVault {
    script: Script<VaultCall, VaultError>,
    stored: Arc<Mutex<Stored>>,
}

#[derive(Default)]
struct Stored {
    entries: HashMap<String, String>,
    longest: Option<usize>,
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
        Self::noting(Activity::default())
    }

    /// The same, with `clock` standing still while a call is under way (not while one is [held](Self::hold)).
    pub fn watched_by(clock: &ManualClock) -> Self {
        Self::noting(clock.activity())
    }

    fn noting(activity: Activity) -> Self {
        Self {
            script: Script::new(activity),
            stored: Arc::default(),
        }
    }

    /// The next `times` calls of this kind fail with `error`.
    pub fn fail_next(&self, call: VaultCall, times: usize, error: VaultError) {
        self.script.fail_next(call, times, error);
    }

    /// The next call of this kind panics, as an adopter's vault may.
    pub fn panic_next(&self, call: VaultCall) {
        self.script.panic_next(call);
    }

    /// Every call of this kind fails with `error`, until [`work_again`](Self::work_again).
    pub fn fail(&self, call: VaultCall, error: VaultError) {
        self.script.fail(call, error);
    }

    /// Every call fails with `error`, until [`work_again`](Self::work_again): a locked or missing keyring.
    pub fn fail_all(&self, error: VaultError) {
        for call in EVERY_CALL {
            self.fail(call, error);
        }
    }

    /// Ends all scripted failures, and releases all held calls.
    pub fn work_again(&self) {
        self.script.clear();
    }

    /// Calls of this kind block from now on, before they do anything, until [`release`](Self::release).
    pub fn hold(&self, call: VaultCall) {
        self.script.hold(call);
    }

    /// Held calls of this kind go on, and later ones are not held.
    pub fn release(&self, call: VaultCall) {
        self.script.release(call);
    }

    /// Texts longer than this many bytes are too long, as on Windows; `None` for no limit.
    pub fn limit_length(&self, bytes: Option<usize>) {
        self.inside().longest = bytes;
    }

    /// How many calls of this kind have begun.
    pub fn count(&self, call: VaultCall) -> u64 {
        self.script.count(call)
    }

    /// How many calls are held just now.
    pub fn held_now(&self) -> usize {
        self.script.held_now()
    }

    /// Returns once `count` calls are held, blocking a thread for at most 20 s.
    ///
    /// # Panics
    /// When that does not happen.
    pub async fn wait_until_held(&self, count: usize) {
        self.script.wait_until_held(count).await;
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

    fn inside(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ScriptedVault {
    fn default() -> Self {
        Self::new()
    }
}

impl Vault for ScriptedVault {
    fn read(&self, account: &str) -> Result<Option<SecretString>, VaultError> {
        let read = || self.stored(account).map(SecretString::from);
        self.script.play(VaultCall::Read, read)
    }

    fn write(&self, account: &str, text: &SecretString) -> Result<(), VaultError> {
        self.script.play(VaultCall::Write, || {
            let text = text.expose_secret();
            let longest = self.inside().longest;
            if longest.is_some_and(|longest| text.len() > longest) {
                return Err(VaultError::TooLong);
            }
            self.replace(account, text);
            Ok(())
        })?
    }

    fn remove(&self, account: &str) -> Result<(), VaultError> {
        self.script.play(VaultCall::Remove, || self.clear(account))
    }

    fn longest(&self) -> Option<usize> {
        self.inside().longest
    }
}

impl std::fmt::Debug for ScriptedVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedVault").finish_non_exhaustive()
    }
}
