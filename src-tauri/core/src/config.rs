//! Settings of a session. Everything is checked by [`Session::open`](crate::Session::open); a wrong value fails there,
//! with its key's name.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderName;
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use url::Host;

use crate::clock::Clock;
use crate::error::Error;
use crate::files::FileSystem;
use crate::http::{AddressRules, Origin, read_certificates, read_host};
use crate::network::Network;
use crate::protocol::Protocol;
use crate::vault::Vault;

/// The account's name where an application has only one.
pub const DEFAULT_ACCOUNT: &str = "default";

/// Longest account name, in bytes: it becomes part of file names, of which most systems allow 255 bytes.
const ACCOUNT_NAME_MAX: usize = 64;

/// Longest pause that can be set: a person should not wait longer for a server that is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Longest of the other limits that can be set, a day: sums of them can still be counted, and a longer wait is
/// no limit any more.
const LONGEST_LIMIT: Duration = Duration::from_secs(86_400);

/// Longest `end_after`, ten years: so much can be counted on every clock.
const LONGEST_END_AFTER: Duration = Duration::from_secs(315_360_000);

/// Headers that no setting can add: the session sets them itself, or they belong to the connection.
const NEVER_ALLOWED: [&str; 15] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The files of one upload, in bytes: 25 MiB. Enough for scans and presentations, and not too much to keep in memory until
/// the server has taken it.
const UPLOAD_BYTES: usize = 25 << 20;

/// The rest of an upload, in bytes: the operations with their variables, the map, the parts' heads.
const FORM_BYTES: usize = 1 << 20;

/// Most places on the wire that can be set: more than a process has connections.
const PLACES_MAX: usize = 100_000;

/// Most bytes of a request, of a reply, and of all requests together: more than a process should hold.
const BYTES_MAX: usize = 1 << 30;

/// Most calls under way that can be set: a kilobyte each, a gigabyte together.
const CALLS_MAX: usize = 1_000_000;

/// What a session needs to know. Built with [`Config::new`] or [`Config::from_json`].
#[derive(Clone)]
pub struct Config {
    /// Names one account of this application: its state files and its keyring entry. Letters, digits, `-`, `_`, `.`.
    /// Default: [`DEFAULT_ACCOUNT`].
    pub account: String,
    /// Where the accounts' state files lie, each account's in a folder of its own that only this user can enter. Made on
    /// demand. The files hold no secrets.
    pub state_dir: PathBuf,
    /// The only server that sign-in may use. A session that is stored for another one is not used: the status is locked, with
    /// the reason `keyring_other_server`, until the person signs in or the setting is corrected. Default: none, the person
    /// names it.
    pub server: Option<String>,
    /// Ends the session after this much awake time of failed attempts. Default: none, a session never ends because a
    /// server is away.
    pub end_after: Option<Duration>,
    /// Root certificates that are trusted besides the system's, as PEM: one or more, one after another. For a server whose
    /// certificate is by a root of its own, where that root is not installed in the system. Default: none.
    pub extra_root_certificates: String,
    /// Hosts to which plain `http` is accepted, such as a server at home: exact names or IP addresses (`192.168.8.8`). The
    /// password, the tokens and all data go there unencrypted, and everybody on the network can read and change them;
    /// [`Status::insecure`](crate::Status::insecure) says so. Default: none. Loopback addresses need no entry.
    pub allow_insecure: Vec<String>,
    /// Request headers that calls may carry besides [the usual ones](crate#requests), by their names. Name only what this
    /// server ignores or checks: a page decides on the value. Default: none.
    pub allowed_headers: Vec<String>,
    /// Deadlines and budgets.
    pub limits: Limits,
    /// The kind of server. Default: [`Twenty`](crate::Twenty).
    pub protocol: Arc<dyn Protocol>,
    /// Where credentials rest. [`Config::new`]: the OS keyring.
    pub vault: Arc<dyn Vault>,
    /// Where the state files lie. Default: [`SystemFiles`](crate::SystemFiles).
    pub file_system: Arc<dyn FileSystem>,
    /// Tells when the system's network has changed. Default: [`SystemNetwork`](crate::SystemNetwork).
    pub network: Arc<dyn Network>,
    /// Whether nothing is renewed where the state folder gives no lock, as some network folders do. Default: no. Each process
    /// then renews for itself, and the status says so; two processes that renew at once may end the session.
    pub requires_lock: bool,
    /// Time and randomness. Default: [`SystemClock`](crate::SystemClock).
    pub clock: Arc<dyn Clock>,
}

impl Config {
    /// Changes these settings by what an application keeps in a JSON file; its keys are those of [`Config::from_json`].
    ///
    /// # Errors
    /// [`Config`](crate::Code::Config) with the key's name, for a key that does not exist or a value of the wrong type.
    pub fn with_settings(mut self, settings: &serde_json::Value) -> Result<Self, Error> {
        let settings: Settings = serde_path_to_error::deserialize(settings).map_err(|problem| {
            Error::config(&problem.path().to_string(), &problem.inner().to_string())
        })?;
        if let Some(account) = settings.account {
            self.account = account;
        }
        if let Some(name) = settings.protocol
            && name != self.protocol.facts().name
        {
            return Err(Error::config(
                "protocol",
                "only `twenty` can be named here; bring others in Rust",
            ));
        }
        self.server = settings.server;
        if let Some(requires_lock) = settings.requires_lock {
            self.requires_lock = requires_lock;
        }
        self.end_after = settings.end_after_seconds.map(Duration::from_secs);
        self.extra_root_certificates = settings.extra_root_certificates;
        self.allow_insecure = settings.allow_insecure;
        self.allowed_headers = settings.allowed_headers;
        settings.limits.apply(&mut self.limits);
        Ok(self)
    }

    /// Checks every value.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let name_is_plain = |name: &str| {
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        if self.account.is_empty()
            || self.account.len() > ACCOUNT_NAME_MAX
            || self.account.starts_with('.')
            || !name_is_plain(&self.account)
        {
            return Err(Error::config(
                "account",
                "use 1 to 64 letters, digits, `-`, `_` or `.`, not starting with `.`",
            ));
        }
        self.insecure_hosts()?;
        if let Some(server) = &self.server {
            self.origin(server)
                .map_err(|problem| Error::config("server", problem.message()))?;
        }
        if self.end_after.is_some_and(|after| after.is_zero()) {
            return Err(Error::config("endAfterSeconds", "use at least 1"));
        }
        if self
            .end_after
            .is_some_and(|after| after > LONGEST_END_AFTER)
        {
            return Err(Error::config(
                "endAfterSeconds",
                "use at most 315360000, which is ten years; or leave it out, and no session ends because a server is away",
            ));
        }
        self.extra_roots()?;
        if !self.allowed_headers.iter().all(|name| may_be_allowed(name)) {
            return Err(Error::config(
                "allowedHeaders",
                "use names of request headers that neither carry credentials nor belong to the connection",
            ));
        }
        self.limits.check()
    }

    /// Reads a server's address by these settings.
    ///
    /// # Errors
    /// [`InvalidAddress`](crate::Code::InvalidAddress) with the reason.
    pub(crate) fn origin(&self, address: &str) -> Result<Origin, Error> {
        let rules = AddressRules {
            allow_insecure: &self.insecure_hosts()?,
            keeps_path: self.protocol.facts().lives_below_paths,
        };
        Origin::parse_by(address, rules)
    }

    fn insecure_hosts(&self) -> Result<Vec<Host>, Error> {
        let hosts: Option<_> = self
            .allow_insecure
            .iter()
            .map(|host| read_host(host))
            .collect();
        hosts.ok_or_else(|| {
            Error::config(
                "allowInsecure",
                "use names or IP addresses of hosts, without scheme, port and wildcards",
            )
        })
    }

    /// The extra root certificates, read.
    ///
    /// # Errors
    /// [`Config`](crate::Code::Config) where they are not PEM.
    pub(crate) fn extra_roots(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        let pem = self.extra_root_certificates.trim();
        if pem.is_empty() {
            return Ok(Vec::new());
        }
        read_certificates(pem).ok_or_else(|| {
            Error::config(
                "extraRootCertificates",
                "use certificates in PEM, which begin with `-----BEGIN CERTIFICATE-----`",
            )
        })
    }
}

/// Whether a setting may add a header of this name to those that callers set.
fn may_be_allowed(name: &str) -> bool {
    let is_name = HeaderName::from_bytes(name.as_bytes()).is_ok();
    let name = name.to_ascii_lowercase();
    is_name && !NEVER_ALLOWED.contains(&&*name) && !name.starts_with("sec-")
}

/// Deadlines and budgets, each with its default and the reason for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One renewal attempt, from connecting to the last byte. Default 10 s: a restarting server was measured to answer
    /// its first request after 2.4 s, and people give up on a page at about 10 s. After each attempt that ends at its limit
    /// the next one has twice the time, up to 60 s: some servers need 12 s for their first answers.
    pub attempt_timeout: Duration,
    /// How long a waiter waits for a renewal, counted from holding the lock. Default 25 s: two attempts and a pause.
    pub renewal_timeout: Duration,
    /// Longest pause between two attempts while somebody needs a renewal; probes of a server that is away are up to half
    /// as long again apart. Default 30 s: with it, 99 of 100 people whose token expired during an outage are served
    /// within 30 s of its end. Shorter pauses cost the server more at that moment (`docs/fleet.md`). Calls that need the
    /// renewal, and a change of the network, bring the next attempt forward. At most 10 min.
    pub max_backoff: Duration,
    /// How long to try for the lock that another process holds. Default 30 s: longer than that process's own attempts.
    pub lock_timeout: Duration,
    /// One read of the vault. Default 2 s: measured 1 ms; a locked keyring blocks without limit.
    pub vault_read: Duration,
    /// One write to the vault. Default 3 s: measured 5 ms; the write itself is never abandoned.
    pub vault_write: Duration,
    /// One look at the state files, or one write to them. Default 2 s: measured 1 ms; a network folder that is gone blocks
    /// without limit. The write itself is never abandoned.
    pub file_timeout: Duration,
    /// One call in all, with its renewal and its replay. Default 75 s: lock + waiting + two requests.
    pub call_timeout: Duration,
    /// How long a person may take for one step of a sign-in: in the browser, or for a one-time code. Default 5 min: an
    /// authorization code lives as long at most servers.
    pub sign_in_timeout: Duration,
    /// How long quitting waits for an exchange that was sent, and for its save. Default 3 s.
    pub quit_timeout: Duration,
    /// Calls on the wire to one server at a time, without slow ones; the rest queue within their deadline. Default 32.
    pub concurrent_calls: usize,
    /// A call that is on the wire for longer counts as slow: if others wait, it gives its place to them, and goes on. Default
    /// 2 s: most calls take a tenth of that, and people do not wait longer for a click.
    pub slow_after: Duration,
    /// Slow calls on the wire at a time, beside the others. Default 96: with them, 128 calls. Over HTTP/1.1 each has a connection.
    pub slow_calls: usize,
    /// Calls under way at a time: on the wire, in the queue, and waiting for a renewal. One more fails with
    /// [`TooManyCalls`](crate::Code::TooManyCalls). Default 20,000: each waits in a kilobyte.
    pub calls_under_way: usize,
    /// The bodies of these calls together, in bytes; each is kept until its call has settled. Default 256 MiB: eight uploads,
    /// which is as many as the plugin has at a time, and room for the rest.
    pub bytes_under_way: usize,
    /// Longest request that is sent, in bytes. Default 26 MiB: an upload of 25 MiB of files, and 1 MiB for the form around
    /// them. A request is in memory for as long as its call lasts, so that it can be replayed.
    pub request_bytes: usize,
    /// Longest reply that is handed on, in bytes. Default 64 MiB.
    pub reply_bytes: usize,
    /// Longest silence of a stream before its connection counts as lost; also how long it may take to connect. Default
    /// 60 s: servers on graphql-yoga say something every 12 s, so five times in a row went missing. A connection that died without a
    /// word (a laptop that moved to another network) is noticed by nothing else.
    pub stream_silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(10),
            renewal_timeout: Duration::from_secs(25),
            max_backoff: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(30),
            vault_read: Duration::from_secs(2),
            vault_write: Duration::from_secs(3),
            file_timeout: Duration::from_secs(2),
            call_timeout: Duration::from_secs(75),
            sign_in_timeout: Duration::from_secs(300),
            quit_timeout: Duration::from_secs(3),
            concurrent_calls: 32,
            slow_after: Duration::from_secs(2),
            slow_calls: 96,
            calls_under_way: 20_000,
            bytes_under_way: 256 << 20,
            request_bytes: UPLOAD_BYTES + FORM_BYTES,
            reply_bytes: 64 << 20,
            stream_silence: Duration::from_secs(60),
        }
    }
}

impl Limits {
    fn check(&self) -> Result<(), Error> {
        for (key, value) in [
            ("limits.attemptTimeoutMs", self.attempt_timeout),
            ("limits.renewalTimeoutMs", self.renewal_timeout),
            ("limits.maxBackoffMs", self.max_backoff),
            ("limits.lockTimeoutMs", self.lock_timeout),
            ("limits.vaultReadMs", self.vault_read),
            ("limits.vaultWriteMs", self.vault_write),
            ("limits.fileTimeoutMs", self.file_timeout),
            ("limits.callTimeoutMs", self.call_timeout),
            ("limits.signInTimeoutMs", self.sign_in_timeout),
            ("limits.quitTimeoutMs", self.quit_timeout),
            ("limits.streamSilenceMs", self.stream_silence),
            ("limits.slowAfterMs", self.slow_after),
        ] {
            if value.is_zero() {
                return Err(Error::config(key, "use at least 1"));
            }
            if value > LONGEST_LIMIT {
                return Err(Error::config(key, "use at most 86400000, which is a day"));
            }
        }
        for (key, value) in [
            ("limits.concurrentCalls", self.concurrent_calls),
            ("limits.callsUnderWay", self.calls_under_way),
            ("limits.requestBytes", self.request_bytes),
            ("limits.replyBytes", self.reply_bytes),
        ] {
            if value == 0 {
                return Err(Error::config(key, "use at least 1"));
            }
        }
        for (key, value) in [
            ("limits.bytesUnderWay", self.bytes_under_way),
            ("limits.requestBytes", self.request_bytes),
            ("limits.replyBytes", self.reply_bytes),
        ] {
            if value > BYTES_MAX {
                return Err(Error::config(key, "use at most 1073741824, which is 1 GiB"));
            }
        }
        if self.calls_under_way > CALLS_MAX {
            return Err(Error::config("limits.callsUnderWay", "use at most 1000000"));
        }
        if self.concurrent_calls.max(self.slow_calls) > PLACES_MAX {
            return Err(Error::config(
                "limits.concurrentCalls",
                "use at most 100000, and for limits.slowCalls, too",
            ));
        }
        if self.bytes_under_way < self.request_bytes {
            return Err(Error::config(
                "limits.bytesUnderWay",
                "must be at least limits.requestBytes, or no such request is ever sent",
            ));
        }
        if self.max_backoff > LONGEST_PAUSE {
            return Err(Error::config("limits.maxBackoffMs", "use at most 600000"));
        }
        if self.renewal_timeout < self.attempt_timeout {
            return Err(Error::config(
                "limits.renewalTimeoutMs",
                "must be at least limits.attemptTimeoutMs, or no waiter ever sees an answer",
            ));
        }
        // No waiter outlives its call: the default call covers the lock, the reads, the mark, the waiting and a save.
        let longest_wait = self.lock_timeout
            + self.renewal_timeout
            + self.vault_read
            + self.vault_write
            + self.file_timeout;
        if self.call_timeout < longest_wait {
            return Err(Error::config(
                "limits.callTimeoutMs",
                "must be at least lockTimeoutMs + renewalTimeoutMs + vaultReadMs + vaultWriteMs + fileTimeoutMs, or waiters outlive their calls",
            ));
        }
        Ok(())
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Settings {
    account: Option<String>,
    server: Option<String>,
    protocol: Option<String>,
    end_after_seconds: Option<u64>,
    requires_lock: Option<bool>,
    extra_root_certificates: String,
    allow_insecure: Vec<String>,
    allowed_headers: Vec<String>,
    limits: LimitSettings,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct LimitSettings {
    attempt_timeout_ms: Option<u64>,
    renewal_timeout_ms: Option<u64>,
    max_backoff_ms: Option<u64>,
    lock_timeout_ms: Option<u64>,
    vault_read_ms: Option<u64>,
    vault_write_ms: Option<u64>,
    file_timeout_ms: Option<u64>,
    call_timeout_ms: Option<u64>,
    sign_in_timeout_ms: Option<u64>,
    quit_timeout_ms: Option<u64>,
    concurrent_calls: Option<usize>,
    slow_after_ms: Option<u64>,
    slow_calls: Option<usize>,
    calls_under_way: Option<usize>,
    bytes_under_way: Option<usize>,
    request_bytes: Option<usize>,
    reply_bytes: Option<usize>,
    stream_silence_ms: Option<u64>,
}

impl LimitSettings {
    fn apply(self, limits: &mut Limits) {
        for (given, limit) in [
            (self.attempt_timeout_ms, &mut limits.attempt_timeout),
            (self.renewal_timeout_ms, &mut limits.renewal_timeout),
            (self.max_backoff_ms, &mut limits.max_backoff),
            (self.lock_timeout_ms, &mut limits.lock_timeout),
            (self.vault_read_ms, &mut limits.vault_read),
            (self.vault_write_ms, &mut limits.vault_write),
            (self.file_timeout_ms, &mut limits.file_timeout),
            (self.call_timeout_ms, &mut limits.call_timeout),
            (self.sign_in_timeout_ms, &mut limits.sign_in_timeout),
            (self.quit_timeout_ms, &mut limits.quit_timeout),
            (self.stream_silence_ms, &mut limits.stream_silence),
            (self.slow_after_ms, &mut limits.slow_after),
        ] {
            if let Some(ms) = given {
                *limit = Duration::from_millis(ms);
            }
        }
        for (given, limit) in [
            (self.concurrent_calls, &mut limits.concurrent_calls),
            (self.slow_calls, &mut limits.slow_calls),
            (self.calls_under_way, &mut limits.calls_under_way),
            (self.bytes_under_way, &mut limits.bytes_under_way),
            (self.request_bytes, &mut limits.request_bytes),
            (self.reply_bytes, &mut limits.reply_bytes),
        ] {
            if let Some(given) = given {
                *limit = given;
            }
        }
    }
}
