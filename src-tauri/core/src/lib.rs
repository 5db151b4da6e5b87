//! Keeps a person signed in to a GraphQL API whose access tokens are short-lived.
//!
//! A [`Session`] holds one account at one server. It keeps the tokens in the OS keyring, sends calls with the current
//! access token, and renews it once for all calls that wait. It ends when the person signs out, or when the server rejects
//! the refresh token that is still the stored one when it is read again. No function of this crate returns a token.
//!
//! ```no_run
//! use graphql_session::{Call, Config, PasswordLogin, Session};
//!
//! # async fn example() -> Result<(), graphql_session::Error> {
//! let session = Session::open(Config::new("my-app", "/home/ada/.local/share/my-app")).await?;
//! let person = PasswordLogin { email: "ada@example.com".into(), password: "correct horse".into() };
//! session.sign_in("https://crm.example.com", person).await?;
//! let reply = session
//!     .execute(Call::new("graphql", r#"{"query":"{ people { totalCount } }"}"#))
//!     .await?;
//! println!("{} bytes, untouched", reply.body.len());
//! # Ok(())
//! # }
//! ```
//!
//! # Words
//!
//! - *Credentials*: an access token, a refresh token and their expiries, as one value. They carry a *session id* (128
//!   random bits, made at sign-in), a *generation* (+1 per renewal), and a *credentials id* (random, one per exchange).
//! - *Exchange*: one HTTP request that sends the refresh token. Its *verdict*: renewed, rejected, or inconclusive; the table
//!   is in [`verdict`]. Its [`Cause`]: why it came out so, as one word. *Renewal*: getting new credentials, which may need
//!   several exchanges.
//! - *Mark*: a note in the stored credentials, written before an exchange. A process that finds it after a crash knows
//!   that an answer may be lost.
//! - *Waiter*: a call that waits for a renewal. *Replay*: sending a refused call once more with newer credentials.
//! - *Adoption*: another process renewed first, and this one takes over the stored credentials.
//! - *Vault*: where credentials rest. *Ending*: why a session is over ([`EndingReason`]).
//!
//! # The states of a session
//!
//! ```text
//!                 ┌────────────── sign in ──────────────┐
//!                 ▼                                     │
//!  opening ─▶ signed in ◀──▶ renewing ──▶ unreachable   │
//!     │           │              │  ▲         │  │      │
//!     │           │              │  └─ answer ┘  │      │
//!     │           │ sign out     │ rejected,     │ only with `end_after`
//!     │           ▼              ▼ and confirmed ▼      │
//!     ├─▶ signed out          ended ──────────────── ───┤
//!     └─▶ locked ── unlocked, or signed in anew ────────┘
//! ```
//!
//! A call without an answer makes a session *unreachable*, too, while its access token still works. Nothing needs a
//! renewal then. The session only asks the server whether it is back ([`Protocol::probe`]), with growing pauses, until it
//! answers or serves another call.
//!
//! # How it is built
//!
//! One pure function makes every decision: [`step`](graphql_session_renewal::step), in the crate `graphql-session-renewal`.
//! It takes the state and what happened, and returns the next state and what to do. It does no I/O and sees no token; its
//! own first page tells one renewal in reading order. This crate does the rest, from outside in:
//!
//! | file | does |
//! |---|---|
//! | `session.rs`, `sign_in.rs`, `subscription.rs` | what an application calls: sign in, run a call, subscribe, sign out |
//! | `sending.rs`, `places.rs` | sends a call or opens a stream, waits for the renewal when it is refused, and sends it once more; how many calls at a time |
//! | `driver.rs`, `driver/perform.rs` | the one task that owns the state, and the actions: lock, vault, files, exchange |
//! | `shared.rs` | what calls and that task share: the current credentials, the status, the journal |
//! | `call.rs`, `config.rs`, `files.rs`, `credentials.rs` | a call, the settings, the files of an account and their thread, the stored form |
//! | `verdict.rs`, `journal.rs`, `diagnostics.rs` | what an answer proves; what happened; one text of it for a bug report |
//! | `protocol.rs`, `http.rs`, `vault.rs` | how a kind of server speaks (`twenty`, `oauth2`, `declared`); requests and answers; the keyring and its thread |
//! | `network.rs` | tells when the system's network has changed |
//! | `status.rs`, `error.rs`, `clock.rs`, `operation.rs` | what everything above uses |
//!
//! Callers leave the task a message and wait for their outcome. So no caller can cancel a renewal, and no two decisions
//! race. One thread makes every call to the vault, because a keyring can block for minutes; another one does all work on
//! files, because a file system can, too.
//!
//! One OS file lock per account makes it one renewal per machine. Beside the lock lie a state file (without secrets) and an
//! append-only list of ended sessions. The file system tells every process when another one has written; where it does not,
//! they look twice a second.
//!
//! # What holds, and the test that guards it
//!
//! Names are `folder/file::test` below the repository's `tests`; `manual.rs` there fails when one is gone.
//!
//! | | invariant | guarded by |
//! |---|---|---|
//! | I1 | At most one renewal is in flight per account on a machine: across calls, windows, endpoints and processes. | `core/one_renewal::fifty_calls_refused_together_cause_one_renewal_and_fifty_replays`, `core/processes/together::eight_processes_with_many_calls_over_twenty_expiries_never_renew_at_once` |
//! | I2 | A renewal that was sent is never cancelled by a caller. | `core/waiting::the_first_caller_leaves_during_the_renewal_and_the_others_succeed`, `core/waiting::when_every_waiter_has_gone_the_new_credentials_are_still_stored` |
//! | I3 | New credentials are in the vault before any call uses them. If saving fails, the session lives on in memory, says so, and keeps trying to save. | `core/storage::new_credentials_are_in_the_vault_before_any_call_uses_them`, `core/storage::a_keyring_write_that_fails_after_the_rotation_is_reported_and_retried` |
//! | I4 | A refusal of an older generation starts no renewal. | `core/one_renewal::a_late_refusal_of_the_old_generation_is_replayed_without_another_renewal` |
//! | I5 | A late result, read or write never overwrites something newer; credentials of an ended session are dead for ever. | `core/sign_out::a_sign_out_during_the_save_of_a_renewal_leaves_nothing_behind`, `core/storage::a_write_that_returns_long_after_its_limit_overwrites_nothing_newer`, `core/storage::credentials_of_an_ended_session_that_come_back_from_a_backup_stay_dead` |
//! | I6 | A session ends only on sign-out, on the server's rejection of the refresh token that is still the stored one when read again, by `end_after`, or where the only refresh token may have been used and its server ends sessions whose token comes twice. | `core/oauth::a_refresh_token_that_may_have_been_used_is_never_sent_a_second_time`, `core/endings::each_final_answer_ends_the_session_once_and_no_call_is_replayed`, `core/sharing::a_rejection_with_newer_credentials_in_the_vault_is_an_adoption_and_no_logout`, `core/endings::with_end_after_set_a_server_that_stays_away_ends_the_session_exactly_once` |
//! | I7 | No network failure, timeout, HTTP trouble, foreign page, broken reply, locked keyring or unknown GraphQL error ever ends a session. | `core/verdicts::http_408_425_429_and_503_leave_the_token_unused_whatever_their_body`, `core/verdicts::any_other_5xx_may_have_used_the_token_whatever_its_body`, `core/verdicts::a_final_error_inside_http_5xx_given_once_leaves_the_session`, `core/verdicts::a_4xx_in_other_words_leaves_the_token_unused_whatever_its_body`, `core/verdicts::a_captive_portal_leaves_the_token_unused`, `core/verdicts::an_empty_answer_may_have_used_the_token`, `core/verdicts::an_answer_that_is_no_json_object_may_have_used_the_token`, `core/verdicts::json_without_tokens_and_errors_may_have_used_the_token`, `core/verdicts::an_answer_that_stalls_may_have_used_the_token`, `core/verdicts::an_attempt_that_stalls_ends_at_its_limit_and_may_have_used_the_token`, `core/verdicts::an_answer_that_breaks_off_may_have_used_the_token`, `core/storage::a_keyring_locked_at_the_start_is_not_taken_for_signed_out_and_unlocking_recovers` |
//! | I8 | Every waiter gets the renewal's outcome, once; a failed renewal is one failure for all, and nothing is replayed after it. | `core/waiting::a_failed_renewal_is_one_failure_for_a_hundred_waiters_at_once`, `core/one_renewal::ten_thousand_waiters_share_one_renewal_and_every_one_settles` |
//! | I9 | A call is replayed at most once, only under the session that sent it, and never if the server may have executed part of it. | `core/replay::a_mutation_with_partial_data_and_a_refusal_is_handed_over_and_not_replayed`, `core/replay::a_mutation_whose_answer_was_lost_is_not_replayed_and_says_so`, `core/sharing::a_refused_call_of_the_other_process_after_a_sign_out_is_not_replayed` |
//! | I10 | Every call settles within its deadline: network, keyring and lock are all waited for with a limit. | `core/waiting::a_renewal_that_hangs_gives_every_waiter_an_error_within_the_budget`, `core/storage::a_keyring_that_does_not_answer_delays_neither_status_nor_calls_nor_the_exit`, `core/processes/frozen::while_the_renewing_process_is_frozen_the_others_fail_with_unreachable_in_time` |
//! | I11 | No token or password appears in a log, error, journal, status, Debug output or file. | `core/secrecy::a_full_run_shows_no_token_and_no_password_in_any_log_error_debug_text_or_file` |
//! | I12 | A window that opens late, reloads, or misses an event converges on the same status, by asking. | `plugin/endings::a_window_that_opens_after_the_ending_learns_it_by_asking` |
//! | I13 | A token, a password, a code or a PKCE verifier goes only to the origin, of the API or of the issuer, that it belongs to. | `core/browser_sign_in::a_refresh_token_goes_where_it_came_from_whatever_the_document_says_later`, `core/browser_sign_in::a_document_of_another_issuer_is_refused_before_anything_is_opened`, `core/addresses::a_sign_in_that_is_redirected_sends_no_password_there_and_says_where` |
//! | I14 | A sign-in that is not finished changes nothing, can be cancelled at any step, and ends by itself; `state` and verifier are used once and never leave the process. | `core/browser_sign_in::cancelling_closes_the_port_and_a_late_redirect_changes_nothing`, `core/browser_sign_in::a_closed_tab_ends_the_sign_in_after_its_time_and_closes_the_port`, `core/browser_sign_in::no_verifier_state_or_code_is_in_any_text_of_the_session` |
//! | I15 | At most one browser tab for each action of a person; no renewal in the background opens one. | `plugin/sign_ins::a_person_signs_in_by_browser_which_the_application_opens_once`, `plugin/sign_ins::repeated_invokes_begin_and_answer_once`, `plugin/sign_ins::where_no_browser_opens_the_page_learns_it_and_the_copied_address_still_signs_in`, `desktop/signing_in::a_stranger_signs_in_by_browser_at_the_first_start_and_the_session_renews` |
//! | I16 | What was stored can be read again; a file or entry that cannot be read is named, kept aside, and never taken for "signed out". | `core/stored_records::a_person_with_quotes_and_backslashes_is_still_signed_in_after_a_restart`, `core/state_folder::a_damaged_state_file_is_kept_aside_and_is_no_sign_out`, `core/state_folder::files_that_cannot_be_read_and_an_empty_keyring_are_no_sign_out` |
//! | I17 | A failed write is never forgotten: ended list, state file and vault entry are each written later, and until then memory decides. | `core/state_folder::a_state_file_that_could_not_be_written_is_written_once_the_disk_has_room`, `core/state_folder::an_ending_that_could_not_be_listed_is_listed_later_and_reaches_the_other_process`, `core/storage::a_keyring_write_that_fails_after_the_rotation_is_reported_and_retried` |
//!
//! Which calls are sent again:
//!
//! - A query or a mutation that the server refused as a whole, in the protocol's words ([`Protocol::refuses`]): the replay,
//!   after the renewal. Any entry of `errors` may be the refusal.
//! - A query that the server refused in part, as with `data: {"me": null}` beside the refusal: the same. If fresh credentials
//!   are refused, too, the caller gets the part.
//! - Not a mutation that brought part of its data: the caller gets that reply as it is.
//! - A batch only where every part of it was refused.
//! - After a lost reply: never a mutation; a query once, if no byte of a reply had arrived, over a connection of its own.
//!   Most often the server had closed an idle connection. HTTP 408 in other words than the server's is such a loss. This is
//!   no replay: a query that is refused then is still replayed once.
//! - After a server's word that it did not look at the request (HTTP/2: REFUSED_STREAM, GOAWAY): never a mutation, whose error
//!   then says that it did not run; a query once.
//!
//! An operation of an unknown kind counts as a mutation ([`OperationKind`]). An upload in the GraphQL multipart request form
//! is a call like any other: its `operations` say what it does, and a replay sends all of it again, from the one buffer that
//! the call came with.
//!
//! # Requests
//!
//! Request headers that a call may carry: `content-type`, `accept`, `accept-language`; those that make a request no simple
//! one (`apollo-require-preflight`, `graphql-require-preflight`, `graphql-preflight`, `x-apollo-operation-id`,
//! `x-apollo-operation-name`); those that name the client (`apollographql-client-name`, `apollographql-client-version`,
//! `graphql-client-name`, `graphql-client-version`); those that follow a request (`traceparent`, `tracestate`,
//! `x-request-id`, `x-correlation-id`); and Twenty's `x-locale` and `x-schema-version`. At most 32, with 4 KiB in all.
//! [`Config::allowed_headers`] adds more.
//!
//! # Streams
//!
//! [`Session::subscribe`] runs a subscription over graphql-sse, each on a connection of its own, and reads from it only
//! when it is asked for the next [`StreamEvent`]. It connects as a call is sent: with the current credentials, and through
//! the one renewal where they have expired or the server refuses them. A renewal never touches an open stream.
//!
//! A connection can break, end without `complete`, or be silent for [`Limits::stream_silence`]. The stream then connects
//! again after a pause with full jitter, and says `Reconnected`: events may be missing, because no server repeats them. When
//! the session ends, its streams end at once. A stream is not a call: it has no deadline, and does not count among the calls
//! that may be on the wire at a time ([`Limits::concurrent_calls`]).
//!
//! # Why did that happen
//!
//! Every attempt has a [`Cause`], and so has every ending that this process has seen: one word of a closed list, such as
//! `dns`, `http_503` or `graphql_UNAUTHENTICATED`. A server's error code stands there only if it is on our list, and no other
//! text of a server or a person ever does, so a bug report may quote it.
//! It stands in:
//!
//! | where | what about |
//! |---|---|
//! | [`Error::cause`] | a call that got no answer, or whose renewal failed |
//! | [`Status::cause`] | the last attempt that failed, while the phase is `unreachable` |
//! | [`Ending::cause`] | why the session ended |
//! | [`Session::journal`] | each entry: its facts `cause` and `httpStatus`. The entry `renewal` sums up one renewal |
//! | [`Session::diagnostics`] | one text for a bug report, with the status and the newest entries |
//! | the log | the same entries, as `tracing` events of level `INFO` with the target `graphql_session` |
//!
//! The message of a log line is the entry's word, such as `answered`. Its fields are `account` and `facts` (the entry's, as
//! JSON), and where they apply `generation`, `cause` and `ms`. `RUST_LOG=graphql_session=debug` shows them, with the
//! keyring's own troubles. `docs/signed-out.md` has every word, what it means, and what to do.
//!
//! # What is proven, and how
//!
//! `tests/renewal/search` runs [`step`](graphql_session_renewal::step) itself, not a description of it, under a model
//! checker. In it, two processes and three callers meet at most one each of: a sign-out, a crash with its restart, a lost
//! answer (the server rotated the token, or did not), a keyring call that fails, and a keyring write that ends after its
//! limit. Each can come between any two actions, wherever the order makes a difference to another process, a caller or a
//! restart. I1 to I9 are checked in every state. In every state where nothing is left to do, every call has settled, the
//! lock is free, and both processes hold what is stored.
//!
//! Each `make test` searches all five faults together, in all orders: 21.8 million states and 56.3 million transitions. It
//! searches each fault once more with a caller that leaves and a wait that outlasts a timer, and with a change of the
//! network. What it has found is in `tests/renewal/counterexamples.rs`.
//!
//! Not covered:
//!
//! - The real driver. The model has one of its own, with every action cut into its steps. It assumes that files are read and
//!   replaced whole, and that the keyring carries out requests in their order.
//! - A second sign-in, renewals ahead of expiry, ambiguous rejections, Retry-After and `end_after`; attempts that calls start
//!   early: every pause is shorter than that.
//! - Sleep, clocks that disagree, and times other than "now", "at the next timer" and "past the grace time".
//! - Endless loops that come back to the same state.
//!
//! `tests/core/random` plays the whole core, the driver included, and checks I1 to I10 after every step. It has real sessions
//! in up to three processes, two accounts, real sockets, files and locks, on virtual time. Steps are: calls, and callers that
//! leave; expiries; every fault of server and keyring; answers that are held back and arrive in another order; revocations,
//! sign-ins and sign-outs; sleeps, clocks that are set, and changes of the network; entries edited by hand; processes that
//! quit, die and start. At the end of each case everything is healed, and the session that survived must work again with one
//! call. The test proves nothing about orders that it has not tried. `make test` plays 5,000 steps from a fixed seed,
//! `make random` 100,000 from another one each time. With RANDOM_DISK=1 file writes fail, are cut off or hang, too; the checks
//! do not know yet all that a process may forget that dies then. Cases that once failed are tests of their own in
//! `tests/core/random/regressions.rs`.
//!
//! # Limits
//!
//! Every number is a named constant or a setting, with its unit, default and reason: [`Limits`] for deadlines and
//! budgets, [`Protocol`] for what belongs to a kind of server, and the constants at the top of the modules.

mod call;
mod cleared;
mod clearing_allocator;
mod clock;
mod config;
mod credentials;
mod defaults;
mod diagnostics;
mod driver;
mod error;
mod files;
mod http;
pub mod journal;
mod network;
mod operation;
#[cfg(feature = "parsers")]
#[doc(hidden)]
pub mod parsers;
mod places;
pub mod protocol;
mod sending;
mod session;
mod shared;
mod sign_in;
mod status;
mod subscription;
pub mod vault;
pub mod verdict;

pub use call::{Call, Reply};
pub use clearing_allocator::ClearingAllocator;
pub use clock::{BoxFuture, Clock, Sleep, SystemClock};
pub use config::{Config, DEFAULT_ACCOUNT, Limits};
pub use error::{Code, Error};
pub use files::{FileSystem, Guard, OnChange, SystemFiles};
pub use graphql_session_renewal::{
    Cause, CredentialsId, EndingReason, GraphqlCode, IoFailure, LockedReason, OAuthError,
    RenewalReason, ServerRefusal, SessionId, Storage, TokenFate, Unreachable, VaultError,
};
pub use http::{
    Answer, Body, Data, Endpoint, Envelope, Extensions, GraphqlError, Method, Origin, RawReply,
    Request, Target, TransportError,
};
pub use network::{Network, NetworkWatch, OnNetworkChange, SystemNetwork};
pub use operation::OperationKind;
pub use protocol::{
    Conversation, DeclaredProtocol, Dialect, Expiry, Facts, Flow, Given, Held, Identity, Issued,
    Listening, Need, OAuth2, OAuth2Client, OAuth2Settings, PRESETS, PasswordLogin, Protocol,
    REDIRECT_PORTS, Reading, Redirected, SignInMethod, SignInStep, StepAnswer, TokenHeader, Tokens,
    Twenty, Unanswered, Workspace,
};
pub use session::{ServerCheck, Session};
pub use sign_in::{SignIn, SignInEvent};
pub use status::{Closed, Ending, Phase, Status};
pub use subscription::{StreamEvent, Subscription};
#[cfg(feature = "keyring")]
pub use vault::Keyring;
pub use vault::{MemoryVault, Vault};
