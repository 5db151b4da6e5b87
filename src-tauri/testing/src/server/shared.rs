//! What the handles on one server and its connections share.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::counts::{Counts, Seen};
use super::fault::Fault;
use super::feed::Feed;
use super::tls::{ConnectionFault, Root};
use super::twenty::Records;
use crate::clock::Activity;
use graphql_session::Clock;

/// One server. The handles on it share it with the connections that it serves.
pub(super) struct Shared {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) activity: Activity,
    pub(super) address: SocketAddr,
    pub(super) inside: Mutex<Inside>,
    pub(super) counts: watch::Sender<Counts>,
}

/// What changes while it runs.
pub(super) struct Inside {
    pub(super) records: Records,
    pub(super) renewals: Script,
    pub(super) calls: Script,
    pub(super) sign_ins: Script,
    pub(super) subscriptions: Script,
    pub(super) checks: Script,
    pub(super) connections: Script<ConnectionFault>,
    /// Made when the server speaks TLS for the first time.
    pub(super) root: Option<Root>,
    /// How it speaks TLS; `None` where it speaks plain HTTP.
    pub(super) tls: Option<TlsAcceptor>,
    /// Every stream that was opened.
    pub(super) feeds: Vec<Feed>,
    pub(super) seen: Vec<Seen>,
    pub(super) keeps_requests: bool,
    pub(super) renewals_now: u64,
    pub(super) calls_now: u64,
    pub(super) clock_is_off_by: SignedDuration,
    pub(super) sends_date: bool,
    /// By how much the Date headers are wrong, against the server's own clock.
    pub(super) dates_are_off_by: SignedDuration,
    /// HTTP status around the refusal of a call.
    pub(super) refuses_calls_with: u16,
    pub(super) listening: Listening,
    /// Changes when idle connections are to be closed.
    pub(super) farewell: watch::Sender<u64>,
}

/// Whether it accepts connections.
pub(super) enum Listening {
    Yes(JoinHandle<()>),
    /// The port is kept, so that nobody else gets it, and connections are refused.
    No(TcpSocket),
    Between,
}

/// The faults of one kind of request: those of the next ones, then the one of all others.
pub(super) struct Script<F = Fault> {
    pub(super) next: VecDeque<F>,
    pub(super) always: Option<F>,
}

impl<F> Default for Script<F> {
    fn default() -> Self {
        Self {
            next: VecDeque::new(),
            always: None,
        }
    }
}

impl<F: Clone> Script<F> {
    pub(super) fn draw(&mut self) -> Option<F> {
        self.next.pop_front().or_else(|| self.always.clone())
    }
}

/// What kind of request a fault is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Renewal,
    Call,
    SignIn,
    Stream,
    Check,
    Other,
}

impl Shared {
    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.wall() + self.inside().clock_is_off_by
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.counts.send_modify(change);
    }

    /// The server's date, where it sends one.
    pub(super) fn date(&self) -> Option<String> {
        let (sends_date, off_by) = {
            let inside = self.inside();
            (inside.sends_date, inside.dates_are_off_by)
        };
        let since_1970 = u64::try_from((self.now() + off_by).as_second()).unwrap_or(0);
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(since_1970);
        sends_date.then(|| httpdate::fmt_http_date(date))
    }
}
