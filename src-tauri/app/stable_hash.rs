//! A hash for names of files and of keyring entries: they must be found again by every later version, built by any compiler.

/// FNV-1a with 64 bits, as 16 hexadecimal digits.
pub(crate) fn stable_hash(bytes: &[u8]) -> String {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let hash = bytes.iter().fold(OFFSET, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    });
    format!("{hash:016x}")
}
