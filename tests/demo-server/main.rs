//! The demo server's answers on the wire against fixtures, its switches, and its records.

mod accounts;
mod browser;
mod client;
mod faults;
mod fixtures;
mod oauth;
mod pattern;
mod person;
mod recorded;
mod records;
mod renewal;
mod session;
mod sign_in;
mod streams;
mod uploads;
mod wire;
