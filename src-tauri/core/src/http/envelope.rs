//! The outside of a GraphQL reply: whether it has data, and the codes of its errors.
//!
//! Other servers put anything into their errors, and what we cannot read there must not hide what we can: a reply whose
//! data is overlooked would be replayed, and its mutation would run twice. So every level is read on its own, and a value
//! of another type than expected counts as one that says nothing.
//!
//! Nothing is built of what nobody asks for, and what is kept has its limits: a reply may be 64 MiB of errors.

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Most errors of one reply that are read. A request with a hundred aliases of a refused field has a hundred.
const ERRORS_MAX: usize = 1_000;

/// Longest message or code that is read, in bytes of JSON. A longer one counts as none: a stack trace, not a word.
const TEXT_MAX: usize = 16 << 10;

/// How the errors of a reply begin, wherever they stand in it. No server writes this key with escapes.
static ERRORS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"errors\""));

/// The outside of a GraphQL reply, read without building its data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// What stands under `data`.
    pub data: Data,
    /// What stands under `errors`, of which the first thousand count; one that says nothing where that is neither a list nor
    /// `null`.
    pub errors: Vec<GraphqlError>,
}

/// What stands under `data` in a GraphQL reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Data {
    /// No such key: refused before anything ran.
    #[default]
    Absent,
    /// `null`.
    Null,
    /// Anything else, an object in GraphQL, perhaps with nulls in it: something ran.
    Present,
}

/// One entry under `errors`, with the extensions that say who is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphqlError {
    /// For people. May quote what was sent; never passed on. Empty where no text stands, or one of more than 16 KiB.
    pub message: String,
    /// `code` and `subCode`.
    pub extensions: Extensions,
}

/// The extensions of an error that programs act on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// `code`, such as `UNAUTHENTICATED`; none where no text stands.
    pub code: Option<String>,
    /// `subCode`, such as `USER_NOT_FOUND`; none where no text stands.
    pub sub_code: Option<String>,
}

impl Envelope {
    /// Reads the outside of a reply; `None` where the body is not one JSON object, or not whole. Of a key that stands
    /// twice the last counts, as in JavaScript.
    pub fn read(body: &[u8]) -> Option<Self> {
        Self::read_text(&text_of(body))
    }

    /// Whether a reply begins with a data object, `{"data":{`, as one does to which nothing is objected. Looks at these
    /// bytes only, however long the reply is.
    pub fn opens_with_data(body: &[u8]) -> bool {
        // Of the blanks that JSON has, ASCII's are one more.
        [&b"{"[..], b"\"data\"", b":", b"{"]
            .into_iter()
            .try_fold(without_byte_order_mark(body), |rest, token| {
                rest.trim_ascii_start().strip_prefix(token)
            })
            .is_some()
    }

    /// Whether a reply is data and nothing else, so that nothing in it is a refusal: it opens with data, and the bytes
    /// `"errors"` stand nowhere in it. Builds nothing, however long the reply is.
    pub fn is_only_data(body: &[u8]) -> bool {
        Self::opens_with_data(body) && ERRORS.find(body).is_none()
    }

    /// Hands over the replies to the parts of a batch, one after another, until told to break: what does not read as a
    /// reply is `None`. Breaks with what it was told; `None` where the body is not one JSON list, or not whole.
    pub(crate) fn each_of_batch<B>(
        body: &[u8],
        take: impl FnMut(Option<Self>) -> ControlFlow<B>,
    ) -> Option<ControlFlow<B>> {
        let text = text_of(body);
        let mut broken = None;
        let parts = Parts {
            take,
            broken: &mut broken,
        };
        let mut reading = serde_json::Deserializer::from_str(&text);
        let read = reading.deserialize_seq(parts).and_then(|()| reading.end());
        match broken {
            Some(told) => Some(ControlFlow::Break(told)),
            None => read.ok().map(ControlFlow::Continue),
        }
    }

    fn read_text(text: &str) -> Option<Self> {
        let [data, errors] = values(text, ["data", "errors"])?;
        Some(Self {
            data: match data {
                None => Data::Absent,
                Some("null") => Data::Null,
                Some(_) => Data::Present,
            },
            errors: errors.map(read_errors).unwrap_or_default(),
        })
    }

    /// Whether this is a GraphQL reply at all, and not some other object.
    pub(crate) fn is_graphql(&self) -> bool {
        self.data != Data::Absent || !self.errors.is_empty()
    }

    /// The code of the first error.
    pub fn code(&self) -> Option<&str> {
        self.errors.first()?.code()
    }

    /// The sub-code of the first error.
    pub fn sub_code(&self) -> Option<&str> {
        self.errors.first()?.sub_code()
    }

    /// The message of the first error.
    pub fn message(&self) -> &str {
        self.errors.first().map_or("", |error| &error.message)
    }
}

impl GraphqlError {
    /// Its `extensions.code`.
    pub fn code(&self) -> Option<&str> {
        self.extensions.code.as_deref()
    }

    /// Its `extensions.subCode`.
    pub fn sub_code(&self) -> Option<&str> {
        self.extensions.sub_code.as_deref()
    }
}

/// JSON begins after it; some servers put one there (RFC 8259, section 8.1 lets a parser ignore it).
pub(super) fn without_byte_order_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// A body as text. One in another encoding is still worth its data and codes: each piece that is no text becomes `?`, so
/// that it takes no more room than the body.
fn text_of(body: &[u8]) -> Cow<'_, str> {
    let body = without_byte_order_mark(body);
    // Looked at first: taking it apart takes several times as long as the check that it is text.
    if let Ok(text) = str::from_utf8(body) {
        return Cow::from(text);
    }
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push('?');
        }
    }
    Cow::from(text)
}

fn read_errors(errors: &str) -> Vec<GraphqlError> {
    if errors == "null" {
        return Vec::new();
    }
    let mut reading = serde_json::Deserializer::from_str(errors);
    let read = reading.deserialize_seq(Errors);
    read.unwrap_or_else(|_| vec![GraphqlError::default()])
}

fn read_error(error: &str) -> GraphqlError {
    let [message, extensions] = values(error, ["message", "extensions"]).unwrap_or_default();
    let [code, sub_code] = extensions
        .and_then(|extensions| values(extensions, ["code", "subCode"]))
        .unwrap_or_default();
    GraphqlError {
        message: message.and_then(read_text).unwrap_or_default(),
        extensions: Extensions {
            code: code.and_then(read_text),
            sub_code: sub_code.and_then(read_text),
        },
    }
}

fn read_text(json: &str) -> Option<String> {
    if json.len() > TEXT_MAX {
        return None;
    }
    serde_json::from_str(json).ok()
}

/// What stands under these keys of a JSON object, unread; `None` for anything but one object.
pub(crate) fn values<'a, const N: usize>(
    json: &'a str,
    keys: [&str; N],
) -> Option<[Option<&'a str>; N]> {
    let mut reading = serde_json::Deserializer::from_str(json);
    let values = reading.deserialize_map(Values(keys)).ok()?;
    reading.end().ok()?;
    Some(values)
}

struct Values<'k, const N: usize>([&'k str; N]);

impl<'a, const N: usize> Visitor<'a> for Values<'_, N> {
    type Value = [Option<&'a str>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = [None; N];
        while let Some(key) = map.next_key_seed(Key(&self.0))? {
            match key {
                Some(at) => values[at] = Some(map.next_value::<&RawValue>()?.get()),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(values)
    }
}

/// The first errors of a list, each read when it comes by.
struct Errors;

impl<'a> Visitor<'a> for Errors {
    type Value = Vec<GraphqlError>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut errors = Vec::new();
        while errors.len() < ERRORS_MAX {
            let Some(error) = list.next_element::<&RawValue>()? else {
                return Ok(errors);
            };
            errors.push(read_error(error.get()));
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(errors)
    }
}

/// The parts of a batch, each read and handed over when it comes by.
struct Parts<'b, T, B> {
    take: T,
    broken: &'b mut Option<B>,
}

impl<'a, T: FnMut(Option<Envelope>) -> ControlFlow<B>, B> Visitor<'a> for Parts<'_, T, B> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(part) = list.next_element::<&RawValue>()? {
            if let ControlFlow::Break(told) = (self.take)(Envelope::read_text(part.get())) {
                *self.broken = Some(told);
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Which of these a key is.
struct Key<'k>(&'k [&'k str]);

impl<'a> DeserializeSeed<'a> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        // As bytes, because not every escape that JSON allows is a text.
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|wanted| wanted.as_bytes() == key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extensions(json: &str) -> Extensions {
        let body = format!(r#"{{"errors":[{{"message":"m","extensions":{json}}}]}}"#);
        let envelope = Envelope::read(body.as_bytes()).expect("an object");
        envelope.errors[0].extensions.clone()
    }

    #[test]
    fn codes_are_found_among_other_extensions() {
        let found = extensions(
            r#"{"a":{"code":"no"},"subCode":"S","b":[1,{"c":null}],"code":"C\u0021","d":"e"}"#,
        );
        assert_eq!(found.code.as_deref(), Some("C!"));
        assert_eq!(found.sub_code.as_deref(), Some("S"));
    }

    #[test]
    fn a_code_of_another_type_is_no_code_and_the_rest_is_read() {
        for other in [
            "null",
            "true",
            "1",
            "-1",
            "1.5",
            "18446744073709551616",
            "[\"C\"]",
            "{\"code\":\"C\"}",
            "1e999",
            "\"\\ud83d\"",
        ] {
            let found = extensions(&format!(r#"{{"code":{other},"subCode":"S"}}"#));
            assert_eq!(found.code, None, "{other}");
            assert_eq!(found.sub_code.as_deref(), Some("S"), "{other}");
        }
    }

    #[test]
    fn extensions_of_another_type_are_none() {
        for other in [
            "null",
            "false",
            "7",
            "-7",
            "0.5",
            "\"code\"",
            "[{\"code\":\"C\"}]",
            "1e999",
        ] {
            assert_eq!(extensions(other), Extensions::default(), "{other}");
        }
    }

    #[test]
    fn data_is_found_beside_errors_of_every_kind() {
        for errors in [
            r#"["Unauthorized"]"#,
            r#"[["x",{"code":"UNAUTHENTICATED"}]]"#,
            r#"[{"message":null}]"#,
            r#"[{"message":"\ud83d"}]"#,
            r#"[{"message":7,"extensions":{"code":1e999}}]"#,
            "[null]",
            r#""Unauthorized""#,
            r#"{"message":"Unauthorized"}"#,
            "401",
        ] {
            let body = format!(r#"{{"errors":{errors},"data":{{"createPerson":{{"id":"1"}}}}}}"#);
            let envelope = Envelope::read(body.as_bytes()).expect("an object");
            assert_eq!(envelope.data, Data::Present, "{errors}");
            assert_eq!(envelope.errors, [GraphqlError::default()], "{errors}");
        }
    }

    #[test]
    fn an_error_without_a_readable_message_still_has_its_code() {
        for message in ["null", "7", "[]", r#""\ud83d""#, "1e999"] {
            let body = format!(
                r#"{{"errors":[{{"message":{message},"extensions":{{"code":"UNAUTHENTICATED"}}}}]}}"#
            );
            let envelope = Envelope::read(body.as_bytes()).expect("an object");
            assert_eq!(envelope.code(), Some("UNAUTHENTICATED"), "{message}");
            assert_eq!(envelope.message(), "", "{message}");
        }
    }

    #[test]
    fn a_reply_that_is_not_utf_8_is_read_with_question_marks() {
        let body = b"{\"errors\":[{\"message\":\"Non autoris\xe9\"}],\"data\":{\"name\":\"\xe9\"}}";
        let envelope = Envelope::read(body).expect("an object");
        assert_eq!(envelope.data, Data::Present);
        assert_eq!(envelope.message(), "Non autoris?");
    }

    #[test]
    fn escaped_keys_are_decoded_and_the_last_of_equal_keys_counts() {
        let body = br#" {"\u0064ata":{"a":1},"\ud83d":1,"errors":[{"message":"m"}],"errors":null,"data":null} "#;
        let envelope = Envelope::read(body).expect("an object");
        assert_eq!(
            envelope,
            Envelope {
                data: Data::Null,
                errors: Vec::new()
            }
        );
    }

    #[test]
    fn only_a_reply_that_opens_with_data_and_names_no_errors_is_only_data() {
        for (body, is_only_data) in [
            (r#"{"data":{"a":1}}"#, true),
            ("\u{feff}{ \"data\" :\n{}}", true),
            (r#"{"data":{"a":"errors"}}"#, false),
            (r#"{"data":{"errorsToday":1}}"#, true),
            (r#"{"data":{"a":null},"errors":[]}"#, false),
            (r#"{"data":{"errors":1}}"#, false),
            (r#"{"data":null}"#, false),
            (r#"{"errors":[],"data":{}}"#, false),
            (r#"[{"data":{}}]"#, false),
            ("", false),
        ] {
            assert_eq!(
                Envelope::is_only_data(body.as_bytes()),
                is_only_data,
                "{body}"
            );
        }
    }

    #[test]
    fn every_error_up_to_the_thousandth_is_read_and_the_data_behind_them_is_found() {
        let refusal = r#"{"extensions":{"code":"UNAUTHENTICATED"}}"#;
        let body = |before: usize| {
            let others = "0,".repeat(before);
            format!(r#"{{"errors":[{others}{refusal},0,0],"data":{{}}}}"#)
        };
        for (before, is_read) in [(0, true), (ERRORS_MAX - 1, true), (ERRORS_MAX, false)] {
            let envelope = Envelope::read(body(before).as_bytes()).expect("an object");
            let mut errors = envelope.errors.iter();
            let found = errors.any(|error| error.code() == Some("UNAUTHENTICATED"));
            assert_eq!(found, is_read, "after {before} others");
            assert_eq!(envelope.data, Data::Present);
        }
    }

    #[test]
    fn a_message_of_megabytes_counts_as_none_and_the_code_beside_it_is_read() {
        let long = "x".repeat(TEXT_MAX);
        let body = format!(
            r#"{{"errors":[{{"message":"{long}","extensions":{{"code":"UNAUTHENTICATED","subCode":"{long}"}}}}]}}"#
        );
        let envelope = Envelope::read(body.as_bytes()).expect("an object");
        assert_eq!(envelope.message(), "");
        assert_eq!(envelope.code(), Some("UNAUTHENTICATED"));
        assert_eq!(envelope.sub_code(), None);
    }

    #[test]
    fn the_parts_of_a_batch_come_one_after_another_until_it_is_told_to_break() {
        let batch = br#" [{"data":{}}, 7, {"errors":[{}]}] "#;
        let mut parts = Vec::new();
        let read = Envelope::each_of_batch(batch, |part| {
            parts.push(part.map(|part| part.data));
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(read, Some(ControlFlow::Continue(())));
        assert_eq!(parts, [Some(Data::Present), None, Some(Data::Absent)]);

        let mut seen = 0;
        let read = Envelope::each_of_batch(br#"[{"data":{}}, oops"#, |_| {
            seen += 1;
            ControlFlow::Break("enough")
        });
        assert_eq!((read, seen), (Some(ControlFlow::Break("enough")), 1));

        for body in ["{}", "[{}", "[] x", "[oops]", "", "null"] {
            let read =
                Envelope::each_of_batch(body.as_bytes(), |_| ControlFlow::<()>::Continue(()));
            assert_eq!(read, None, "{body}");
        }
    }

    #[test]
    fn anything_but_one_whole_object_is_no_envelope() {
        for body in [
            "",
            "null",
            "[]",
            "7",
            r#"{"data":{}"#,
            r#"{"data":{}} x"#,
            "<html>",
            r#"{"data":}"#,
        ] {
            assert_eq!(Envelope::read(body.as_bytes()), None, "{body}");
        }
    }
}
