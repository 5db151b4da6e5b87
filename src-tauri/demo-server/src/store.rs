//! The database: one SQLite connection behind one mutex, used on blocking threads only.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use crate::error::Error;
use crate::refusal::Refusal;

/// One connection is enough for a demo, and a mutex around it makes each operation atomic to every other.
pub(crate) struct Store {
    connection: Mutex<Connection>,
}

impl Store {
    /// Opens the database of this name in `folder`, or one that lives in memory.
    pub(crate) fn open(folder: Option<&Path>, file: &str) -> Result<Self, Error> {
        let connection = match folder {
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(Error::Folder)?;
                let connection = Connection::open(folder.join(file))?;
                connection.pragma_update(None, "journal_mode", "WAL")?;
                // Safe in WAL mode against a crash of the process; only a power cut could lose the last commit.
                connection.pragma_update(None, "synchronous", "NORMAL")?;
                connection
            }
            None => Connection::open_in_memory()?,
        };
        // More than the distinct statements of one page with its relations.
        connection.set_prepared_statement_cache_capacity(64);
        for (name, fold) in [("like_text", false), ("ilike_text", true)] {
            let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
            connection.create_scalar_function(name, 2, flags, move |call| {
                let pattern = call.get_raw(0).as_str_or_null()?;
                let text = call.get_raw(1).as_str_or_null()?;
                Ok(pattern
                    .zip(text)
                    .map(|(pattern, text)| like(pattern, text, fold)))
            })?;
        }
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    /// Runs `work` on a blocking thread. A caller that goes away does not stop it.
    pub(crate) async fn run<T, W>(self: &Arc<Self>, work: W) -> Result<T, Refusal>
    where
        T: Send + 'static,
        W: FnOnce(&mut Connection) -> Result<T, Refusal> + Send + 'static,
    {
        let store = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&mut store.lock()))
            .await
            .unwrap_or_else(|_| Err(Refusal::internal("The operation was interrupted")))
    }

    /// The connection itself, for the moments before the server answers anybody.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic while holding the lock rolls its transaction back; the connection itself stays sound.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// SQL's LIKE as PostgreSQL has it: case matters unless `fold`, and case folding knows more than ASCII.
fn like(pattern: &str, text: &str, fold: bool) -> bool {
    let characters = |text: &str| -> Vec<char> {
        if fold {
            text.to_lowercase().chars().collect()
        } else {
            text.chars().collect()
        }
    };
    let (pattern, text) = (characters(pattern), characters(text));
    // The classic two-pointer match: on a mismatch, go back to the last `%` and let it take one character more.
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        let escaped = pattern.get(p) == Some(&'\\') && p + 1 < pattern.len();
        let wanted = if escaped {
            pattern.get(p + 1)
        } else {
            pattern.get(p)
        };
        match wanted {
            Some('%') if !escaped => {
                retry = Some((p, t));
                p += 1;
            }
            Some('_') if !escaped => {
                p += 1;
                t += 1;
            }
            Some(character) if *character == text[t] => {
                p += if escaped { 2 } else { 1 };
                t += 1;
            }
            _ => match retry {
                Some((percent, from)) => {
                    p = percent + 1;
                    t = from + 1;
                    retry = Some((percent, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|character| *character == '%')
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn like_matches_as_postgresql_does() {
        for (pattern, text, fold, expected) in [
            ("%son", "Johnson", false, true),
            ("%SON", "Johnson", false, false),
            ("%SON", "Johnson", true, true),
            ("%ü%", "MÜLLER", true, true),
            ("a_c", "abc", false, true),
            ("a\\_c", "abc", false, false),
            ("a\\_c", "a_c", false, true),
            ("%a%b%", "xxaxxbxx", false, true),
            ("%aab", "aaab", false, true),
            ("", "", false, true),
            ("", "a", false, false),
            ("%", "", false, true),
        ] {
            assert_eq!(like(pattern, text, fold), expected, "{pattern} on {text}");
        }
    }
}
