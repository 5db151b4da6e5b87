//! The outside of a GraphQL reply: whether it has data, and the codes of its errors.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The outside of a GraphQL reply, read without building its data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// What stands under `data`.
    pub data: Data,
    /// What stands under `errors`.
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
    /// An object, perhaps with nulls in it: something ran.
    Present,
}

/// One entry under `errors`, with the extensions that say who is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GraphqlError {
    /// For people. May quote what was sent; never passed on.
    pub message: String,
    /// `code` and `subCode`.
    pub extensions: Extensions,
}

/// The extensions of an error that programs act on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// `code`, such as `UNAUTHENTICATED`.
    pub code: Option<String>,
    /// `subCode`, such as `USER_NOT_FOUND`.
    pub sub_code: Option<String>,
}

impl Envelope {
    /// Reads the outside of a reply; `None` where the body is not a JSON object.
    pub fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Whether a reply begins with a data object, `{"data":{`, as one does to which nothing is objected. Looks at these
    /// bytes only, however long the reply is.
    pub fn opens_with_data(body: &[u8]) -> bool {
        // Of the blanks that JSON has, ASCII's are one more.
        [&b"{"[..], b"\"data\"", b":", b"{"]
            .into_iter()
            .try_fold(body, |rest, token| {
                rest.trim_ascii_start().strip_prefix(token)
            })
            .is_some()
    }

    /// Whether this is a GraphQL reply at all, and not some other object.
    pub(crate) fn is_graphql(&self) -> bool {
        self.data != Data::Absent || !self.errors.is_empty()
    }

    /// The code of the first error.
    pub fn code(&self) -> Option<&str> {
        self.errors.first()?.extensions.code.as_deref()
    }

    /// The sub-code of the first error.
    pub fn sub_code(&self) -> Option<&str> {
        self.errors.first()?.extensions.sub_code.as_deref()
    }

    /// The message of the first error.
    pub fn message(&self) -> &str {
        self.errors.first().map_or("", |error| &error.message)
    }
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "lowercase")]
        enum Key {
            Data,
            Errors,
            #[serde(other)]
            Other,
        }
        struct Outside;
        impl<'de> Visitor<'de> for Outside {
            type Value = Envelope;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a GraphQL reply")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope, A::Error> {
                let mut envelope = Envelope::default();
                while let Some(key) = map.next_key()? {
                    match key {
                        // Skipped, not built: it can be megabytes.
                        Key::Data => {
                            let present = map.next_value::<Option<IgnoredAny>>()?.is_some();
                            envelope.data = if present { Data::Present } else { Data::Null };
                        }
                        Key::Errors => {
                            let errors: Option<Vec<GraphqlError>> = map.next_value()?;
                            envelope.errors = errors.unwrap_or_default();
                        }
                        Key::Other => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(envelope)
            }
        }
        deserializer.deserialize_map(Outside)
    }
}

impl<'de> Deserialize<'de> for Extensions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Leniently(PhantomData))
    }
}

impl Lenient for Extensions {
    fn of_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "camelCase")]
        enum Key {
            Code,
            SubCode,
            #[serde(other)]
            Other,
        }
        let mut extensions = Self::default();
        while let Some(key) = map.next_key()? {
            match key {
                Key::Code => extensions.code = map.next_value::<Text>()?.0,
                Key::SubCode => extensions.sub_code = map.next_value::<Text>()?.0,
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(extensions)
    }
}

/// A text; nothing where a value of another type stands.
#[derive(Default)]
struct Text(Option<String>);

impl Lenient for Text {
    fn of_text(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Leniently(PhantomData))
    }
}

/// Read from one type of value, and empty where another one stands: other servers put anything into an error's
/// extensions, and that is no error of ours. Nothing is built of what is not wanted: every refused call pays for this.
trait Lenient: Default {
    fn of_text(_text: &str) -> Self {
        Self::default()
    }

    fn of_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

struct Leniently<T>(PhantomData<T>);

impl<'de, T: Lenient> Visitor<'de> for Leniently<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::of_text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::of_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
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
    fn the_codes_are_found_among_whatever_else_stands_there() {
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
        ] {
            assert_eq!(extensions(other), Extensions::default(), "{other}");
        }
    }
}
