//! The ended list: which sessions are over, for ever. A file to which every process of the account appends, and the memory
//! of this process, which decides also where the file cannot be written (I17).

use std::sync::{Mutex, MutexGuard, PoisonError};

use graphql_session_renewal::{EndingReason, SessionId};

/// What this process knows of sessions that are over.
#[derive(Debug, Default)]
pub(crate) struct Endings {
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    /// The file as last read.
    listed: Vec<(SessionId, EndingReason)>,
    /// Its length in bytes. It only grows, so this says whether it has changed.
    length: u64,
    /// Ended by this process, whether or not the file says so.
    own: Vec<(SessionId, EndingReason)>,
}

impl Endings {
    /// This process ended `session`. The first reason stays.
    pub(super) fn add(&self, session: SessionId, reason: EndingReason) {
        let mut inside = self.inside();
        if !inside.own.iter().any(|(known, _)| *known == session) {
            inside.own.push((session, reason));
        }
    }

    /// Why `session` ended, if it did, as far as this process knows.
    pub(crate) fn of(&self, session: SessionId) -> Option<EndingReason> {
        let inside = self.inside();
        let mut known = inside.own.iter().chain(&inside.listed);
        known
            .find(|(ended, _)| *ended == session)
            .map(|(_, reason)| *reason)
    }

    /// The length of the file as last read, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.inside().length
    }

    /// The file has been read.
    pub(super) fn replace(&self, text: &[u8]) {
        let mut inside = self.inside();
        inside.listed = text
            .split(|byte| *byte == b'\n')
            .filter_map(parse)
            .collect();
        inside.length = text.len() as u64;
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Every step inside is one call, so that a panic leaves nothing half done.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is appended for one ending. It begins with an end of line: a record before it that a crash or a full disk cut off
/// hides only itself.
pub(super) fn record(session: SessionId, reason: EndingReason) -> Vec<u8> {
    let reason = serde_json::to_value(reason).unwrap_or_default();
    format!("\n{session} {}\n", reason.as_str().unwrap_or_default()).into_bytes()
}

fn parse(line: &[u8]) -> Option<(SessionId, EndingReason)> {
    let (id, reason) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let reason = serde_json::from_value(reason.into()).ok()?;
    Some((id.parse().ok()?, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_record_of_the_ended_list_hides_only_itself() {
        let whole = [1, 2, 3].map(|id| record(SessionId::of(id), EndingReason::SignedOut));
        let cut = &whole[0][..20];
        for (damage, what) in [
            (cut, "cut off"),
            (&[0; 48], "zero bytes"),
            (b"\xff\xfe", "no UTF-8"),
            (b"", "nothing"),
            (b"\nnonsense of another version\n", "unknown words"),
        ] {
            let endings = Endings::default();
            endings.replace(&[whole[1].as_slice(), damage, &whole[2]].concat());
            for id in [2, 3] {
                let ended = endings.of(SessionId::of(id));
                assert_eq!(ended, Some(EndingReason::SignedOut), "{what}, record {id}");
            }
            assert_eq!(endings.of(SessionId::of(1)), None, "{what}");
        }
    }

    #[test]
    fn what_this_process_ended_stays_ended_whatever_the_file_says() {
        let endings = Endings::default();
        endings.add(SessionId::of(1), EndingReason::Rejected);
        endings.add(SessionId::of(1), EndingReason::SignedOut);
        endings.replace(b"");
        assert_eq!(endings.of(SessionId::of(1)), Some(EndingReason::Rejected));
    }
}
