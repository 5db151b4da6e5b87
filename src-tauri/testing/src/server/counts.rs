//! What the server has seen and done.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// What the server has seen and done since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// TLS handshakes completed.
    pub handshakes: u64,
    /// Requests that came over HTTP/2.
    pub http2_requests: u64,
    /// Requests over HTTP/2 that the client took back while the server was answering.
    pub streams_cancelled: u64,
    /// Requests that were answered with GOAWAY, unread; see [`ConnectionFault`](super::ConnectionFault::GoAway).
    pub requests_turned_away: u64,
    /// Requests of any kind.
    pub requests: u64,
    /// Renewals that arrived, whatever came of them. One that asks in a dialect which the server does not know counts
    /// here and nowhere else.
    pub renewals: u64,
    /// Refresh tokens exchanged, whether or not the answer arrived.
    pub exchanged: u64,
    /// Renewals rejected in the protocol's words.
    pub renewals_refused: u64,
    /// The largest number of renewals under way at once.
    pub renewals_at_once: u64,
    /// Token pairs issued by sign-in.
    pub sign_ins: u64,
    /// `signOut` requests done.
    pub sign_outs: u64,
    /// Calls that arrived.
    pub calls: u64,
    /// Calls answered with data.
    pub served: u64,
    /// Calls refused for their access token.
    pub calls_refused: u64,
    /// Calls that arrived, by `endpoint field`, such as `graphql people`.
    pub by_name: BTreeMap<String, u64>,
    /// Subscriptions that arrived.
    pub subscriptions: u64,
    /// Subscriptions refused for their access token.
    pub subscriptions_refused: u64,
    /// Streams opened.
    pub streams: u64,
    /// Streams that are over: completed, cut, or closed by the client.
    pub streams_over: u64,
    /// Bytes of events that the connections of streams have taken.
    pub streamed_bytes: u64,
    /// Mutations that ran, by field.
    pub effects: BTreeMap<String, u64>,
}

impl Counts {
    /// How often this mutation ran.
    pub fn effects_of(&self, field: &str) -> u64 {
        self.effects.get(field).copied().unwrap_or(0)
    }
}

/// One request as it arrived, for assertions about what must not be sent.
#[derive(Clone)]
pub struct Seen {
    /// The path.
    pub path: String,
    /// The first field asked for; empty outside GraphQL.
    pub field: String,
    /// All headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When, by the server's clock.
    pub at: Timestamp,
}

impl Seen {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen")
            .field("path", &self.path)
            .field("field", &self.field)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
