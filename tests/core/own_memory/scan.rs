//! Looks for texts in the memory of another process.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use rustc_hash::FxHashMap;

/// What is looked for.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// How often each secret was found, by its name.
pub(crate) type Found = BTreeMap<String, usize>;

/// How many bytes of a secret are compared first.
const HEAD: usize = 8;

/// Looks for each secret in all memory that the process can write to. What it can only read is its program and the libraries.
/// A region that it gives back meanwhile is left out.
pub(crate) fn find(pid: u32, secrets: &[Secret]) -> Found {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("an own process");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("an own process can be read");
    let mut heads: FxHashMap<[u8; HEAD], Vec<&Secret>> = FxHashMap::default();
    for secret in secrets {
        let head = secret.text.as_bytes()[..HEAD].try_into().expect("long");
        heads.entry(head).or_default().push(secret);
    }
    let mut begins = vec![false; 1 << 16];
    for head in heads.keys() {
        begins[usize::from(u16::from_le_bytes([head[0], head[1]]))] = true;
    }
    let mut found = Found::new();
    for line in maps.lines() {
        let Some((from, to)) = writable(line) else {
            continue;
        };
        let mut bytes = vec![0; usize::try_from(to - from).expect("a region fits")];
        if memory.read_exact_at(&mut bytes, from).is_err() {
            continue;
        }
        for (at, head) in bytes.windows(HEAD).enumerate() {
            if !begins[usize::from(u16::from_le_bytes([head[0], head[1]]))] {
                continue;
            }
            let head: [u8; HEAD] = head.try_into().expect("a window");
            for secret in heads.get(&head).into_iter().flatten() {
                if bytes[at..].starts_with(secret.text.as_bytes()) {
                    *found.entry(secret.name.clone()).or_default() += 1;
                }
            }
        }
    }
    found
}

/// The bounds of a region that the process can read and write.
fn writable(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_ascii_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let is_writable = words.next()?.starts_with("rw");
    let number = |hex| u64::from_str_radix(hex, 16).ok();
    is_writable.then_some((number(from)?, number(to)?))
}
