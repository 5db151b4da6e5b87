//! What a session does when something fails: scriptable server, scripted vault, manual clock. One binary, for one
//! link. Real processes, the real keyring and the log capture have their own.

mod addresses;
mod budget;
mod codings;
mod config;
mod defects;
mod early_attempts;
mod endings;
mod files;
mod fixture;
mod journal;
mod ledger;
mod lost_answers;
mod manual;
mod network;
mod one_renewal;
mod other_faces;
mod outages;
mod replay;
mod replies;
mod requests;
mod retry_after;
mod sharing;
mod sign_in;
mod sign_out;
mod state_folder;
mod storage;
mod stored_records;
mod subscriptions;
mod time;
mod tls;
mod uploads;
mod verdicts;
mod waiting;
