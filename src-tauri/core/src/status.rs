//! What a window may know about a session. Nothing here is secret.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use graphql_session_renewal::{
    Cause, EndingReason, LockedReason, Storage, Unreachable, VaultError,
};

/// Where the session stands, as published to every observer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The account this is about, as named in the configuration.
    pub account: String,
    /// +1 at each published change in this process. Never stored, never compared between processes.
    pub revision: u64,
    /// The phase, which decides what a screen shows.
    pub phase: Phase,
    /// Origin of the server; absent before the first sign-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// E-mail address of the person, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Whether the credentials would survive a restart.
    pub storage: Storage,
    /// Why and when the session ended, in [`Phase::Ended`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// When the next attempt is due, in [`Phase::Unreachable`]; milliseconds since 1970 on the wire.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::optional", default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// Who is out of reach, in [`Phase::Unreachable`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<Unreachable>,
    /// Why the last attempt failed, in [`Phase::Unreachable`].
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub cause: Option<Cause>,
    /// Why the state folder does not do its part: `no_lock_...` where other processes of this application may renew at the
    /// same time, `files_...` where it cannot be read or written, and other processes and the next start may not learn what
    /// happens here. Nothing is lost while this process runs.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub files: Option<Cause>,
    /// Why the stored session cannot be read, in [`Phase::Locked`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<LockedReason>,
    /// Whether others on the network can read the password, the tokens and all data: the server is reached over plain
    /// `http`, which [`Config::allow_insecure`](crate::Config::allow_insecure) accepts for it. A screen should say so all
    /// the time.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub insecure: bool,
    /// Endings of sessions in this process other than by the person's sign-out. A watcher that sees it grow emits
    /// `logout`, once per step, however many changes it missed in between.
    #[serde(skip)]
    pub endings: u64,
}

impl Status {
    /// Whether the person would have to sign in again after quitting now: there is a session, and it could not be saved.
    pub fn is_lost_by_quitting(&self) -> bool {
        self.has_session() && matches!(self.storage, Storage::NotSaved(_))
    }

    /// Whether somebody is signed in: calls go out, or wait for a server that is away. Not in [`Phase::Locked`], where a
    /// session is stored and cannot be used.
    pub fn has_session(&self) -> bool {
        matches!(
            self.phase,
            Phase::SignedIn | Phase::Renewing | Phase::Unreachable
        )
    }
}

/// The phases of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The stored session is being read.
    Opening,
    /// Nobody is signed in; also after the person's own sign-out.
    SignedOut,
    /// Calls go out.
    SignedIn,
    /// Calls wait for a renewal.
    Renewing,
    /// A renewal, or a call, got no answer; still signed in, attempts go on.
    Unreachable,
    /// A session is stored, but the keyring does not show it.
    Locked,
    /// The session is over.
    Ended,
    /// The task that keeps the session is gone: a defect of ours, or its runtime has ended. Every function says
    /// [`Code::Internal`](crate::Code::Internal). Nobody is signed out by this; the application has to be started again.
    Stopped,
}

/// Whether quitting loses anything; what [`Session::close`](crate::Session::close) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", content = "reason", rename_all = "snake_case")]
pub enum Closed {
    /// Nothing is lost: the next start finds the session as it is, or nobody is signed in.
    Kept,
    /// The credentials live in memory only, after one more try to save them. The next start finds older ones or none,
    /// and most likely asks to sign in. Worth a warning before quitting.
    NotSaved(VaultError),
    /// A renewal that was sent, or its save, did not end in time. The next start sends it again; that succeeds within
    /// the server's grace time.
    Unfinished,
}

/// A session that is over.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ending {
    /// Why.
    pub reason: EndingReason,
    /// When; milliseconds since 1970 on the wire.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub at: Timestamp,
    /// The cause of the server's rejection, if this process received it.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub cause: Option<Cause>,
}
