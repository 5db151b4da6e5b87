//! Buffers for secrets, which are overwritten before they are freed.

use std::io;

use bytes::{Bytes, BytesMut};
use secrecy::SecretString;
use serde::Serialize;
use zeroize::{Zeroize, Zeroizing};

/// First capacity of a buffer, in bytes: most requests of exchanges, stored records and answers fit in. One that is longer
/// grows by doubling.
const FIRST_CAPACITY: usize = 2_048;

/// How often other tasks run while an answer waits for its connection to close.
const TURNS: usize = 64;

/// Collects bytes. Where it has to grow, it overwrites the place that it leaves, too.
#[derive(Default)]
pub(crate) struct ClearedBuffer(Zeroizing<Vec<u8>>);

impl ClearedBuffer {
    /// The JSON text of `value`.
    ///
    /// # Panics
    /// Where the value is none that JSON has, such as a map whose keys are no texts.
    pub(crate) fn json(value: &impl Serialize) -> Self {
        let mut buffer = Self::default();
        serde_json::to_writer(&mut buffer, value).expect("texts and numbers are JSON");
        buffer
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let capacity = needed.next_power_of_two().max(FIRST_CAPACITY);
            let mut longer = Zeroizing::new(Vec::with_capacity(capacity));
            longer.extend_from_slice(&self.0);
            self.0 = longer;
        }
        self.0.extend_from_slice(bytes);
    }

    /// The bytes, which are overwritten when the last handle on them is dropped.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self.0)
    }

    /// The same as a secret text; `None` for bytes that are none.
    pub(crate) fn text(&self) -> Option<SecretString> {
        str::from_utf8(&self.0).ok().map(SecretString::from)
    }
}

impl io::Write for ClearedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Overwrites what a connection has read, once the connection has no handle on it any more. That is when it is closed, which is
/// the next thing that its task does; where it takes longer, what has been read stays as it is.
pub(crate) async fn clear_read(mut chunks: Vec<Bytes>) {
    // Chunks that lie one after another in one allocation share it, and the first one has all of it, to the end.
    chunks.truncate(1);
    for _ in 0..TURNS {
        match chunks.pop().map(Bytes::try_into_mut) {
            None => return,
            Some(Ok(mut chunk)) => return clear(&mut chunk),
            Some(Err(shared)) => chunks.push(shared),
        }
        tokio::task::yield_now().await;
    }
}

fn clear(bytes: &mut BytesMut) {
    bytes.as_mut().zeroize();
    bytes.spare_capacity_mut().zeroize();
}

/// The text that a JSON string stands for; `None` for another value. serde unescapes a text in a buffer that nobody clears.
pub(crate) fn secret_of_json(json: &str) -> Option<SecretString> {
    let mut rest = json.strip_prefix('"')?.strip_suffix('"')?;
    // Never longer than what stands for it, so that it never grows.
    let mut text = Zeroizing::new(String::with_capacity(rest.len()));
    while let Some((plain, escaped)) = rest.split_once('\\') {
        text.push_str(plain);
        let (character, after) = unescape(escaped)?;
        text.push(character);
        rest = after;
    }
    text.push_str(rest);
    Some(SecretString::from(text.as_str()))
}

/// The character that begins here, after its backslash, and what follows it.
fn unescape(escaped: &str) -> Option<(char, &str)> {
    let mut characters = escaped.chars();
    let character = match characters.next()? {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unescape_number(characters.as_str()),
        itself @ ('"' | '\\' | '/') => itself,
        _ => return None,
    };
    Some((character, characters.as_str()))
}

/// Four hexadecimal digits, or twice four for what UTF-16 needs two units for.
fn unescape_number(digits: &str) -> Option<(char, &str)> {
    let (first, rest) = code_unit(digits)?;
    if let Some(character) = char::from_u32(first.into()) {
        return Some((character, rest));
    }
    let (second, rest) = code_unit(rest.strip_prefix("\\u")?)?;
    let mut both = char::decode_utf16([first, second]);
    Some((both.next()?.ok()?, rest))
}

fn code_unit(digits: &str) -> Option<(u16, &str)> {
    let (unit, rest) = digits.split_at_checked(4)?;
    let is_number = unit.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_number.then_some((u16::from_str_radix(unit, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_buffer_that_grows_keeps_its_bytes() {
        let mut buffer = ClearedBuffer::default();
        let long: Vec<u8> = (0..10_000_u32).map(|number| number as u8).collect();
        for piece in long.chunks(7) {
            buffer.push(piece);
        }
        assert_eq!(buffer.len(), long.len());
        assert_eq!(buffer.freeze(), long);
    }

    #[tokio::test]
    async fn what_a_connection_keeps_is_not_waited_for_without_end() {
        let kept = BytesMut::from(&b"an answer"[..]).freeze();
        clear_read(vec![kept.clone(), kept.clone()]).await;
        assert_eq!(&kept[..], b"an answer");
    }

    #[test]
    fn what_was_read_is_overwritten_with_all_that_follows_it_in_its_allocation() {
        let mut read = BytesMut::from(&b"head answer more"[..]);
        drop(read.split_to(5));
        let answer = read.split_to(7).freeze();
        drop(read);
        let mut answer = answer.try_into_mut().expect("nobody shares it");

        clear(&mut answer);

        assert_eq!(&answer[..], [0; 7]);
        answer.reserve(4);
        assert!(answer.spare_capacity_mut().len() >= 4);
    }

    #[test]
    fn a_json_string_that_serde_refuses_is_no_text() {
        for json in [
            "1",
            "null",
            "\"",
            "",
            "\"\\",
            "\"\\\"",
            r#""\x""#,
            r#""\u12""#,
            r#""\u+123""#,
            r#""\ud83d""#,
            r#""\ud83d\u0041""#,
            r#""\udc00\ud83d""#,
        ] {
            assert!(secret_of_json(json).is_none(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn a_json_string_is_read_as_serde_reads_it(text in "(?s).{0,60}", escapes_all in any::<bool>()) {
            let json = if escapes_all {
                let units = text.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
                format!("\"{}\"", units.collect::<String>())
            } else {
                serde_json::to_string(&text).expect("a text")
            };
            let read = secret_of_json(&json).expect("a JSON string");
            prop_assert_eq!(read.expose_secret(), text);
        }
    }
}
