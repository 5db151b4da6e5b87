//! A test's end of a stream of events.

use tokio::sync::mpsc;

/// A test's end of one stream. Clones are handles on the same stream; what is fed to one that is over is dropped.
#[derive(Clone, Debug)]
pub struct Feed {
    to_stream: mpsc::UnboundedSender<Fed>,
}

/// What a test does to a stream.
#[derive(Debug)]
pub(super) enum Fed {
    Bytes(Vec<u8>),
    End,
    Cut,
    Silence,
}

impl Feed {
    /// A new stream's two ends.
    pub(super) fn open() -> (Self, mpsc::UnboundedReceiver<Fed>) {
        let (to_stream, fed) = mpsc::unbounded_channel();
        (Self { to_stream }, fed)
    }

    /// One event with this JSON text.
    pub fn next(&self, payload: &str) {
        self.bytes(format!("event: next\ndata: {payload}\n\n"));
    }

    /// The subscription's end in the protocol's words, without a data line, as Twenty sends it.
    pub fn complete(&self) {
        self.bytes("event: complete\n\n");
        self.end();
    }

    /// Anything at all.
    pub fn bytes(&self, bytes: impl Into<Vec<u8>>) {
        self.feed(Fed::Bytes(bytes.into()));
    }

    /// Ends the body.
    pub fn end(&self) {
        self.feed(Fed::End);
    }

    /// Resets the connection.
    pub fn cut(&self) {
        self.feed(Fed::Cut);
    }

    /// Falls silent: nothing more is said, and the connection stays.
    pub fn fall_silent(&self) {
        self.feed(Fed::Silence);
    }

    fn feed(&self, fed: Fed) {
        let _ = self.to_stream.send(fed);
    }
}
