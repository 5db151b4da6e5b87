//! What can go wrong around the server itself; what it answers to a client is a `Refusal`.

/// Starting the server, or turning one of its switches, failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is taken or may not be used. Choose another, or 0 for any free one.
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The data folder cannot be made or written. Choose another.
    #[error("cannot use the data folder: {0}")]
    Folder(std::io::Error),
    /// The database in the data folder is damaged or locked by another process. Stop that one, or remove the file.
    #[error("cannot use the database: {0}")]
    Database(String),
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        Self::Database(source.to_string())
    }
}
