//! [`Pointer`]: a place in a JSON text (RFC 6901). In a rule, `*` stands for every element of an array.

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::http::values;

/// A place in a JSON text: `/data/auth_login/access_token`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer(Vec<String>);

/// Stands for every element of an array.
const EVERY: &str = "*";

impl Pointer {
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let keys = text.strip_prefix('/')?.split('/');
        Some(Self(
            keys.map(|key| key.replace("~1", "/").replace("~0", "~"))
                .collect(),
        ))
    }

    /// The JSON text at this place. It is not copied: a token there stands in the answer only.
    pub(super) fn raw<'a>(&self, json: &'a str) -> Option<&'a str> {
        let mut at = json;
        for key in &self.0 {
            at = if at.trim_start().starts_with('[') {
                let elements: Vec<&RawValue> = serde_json::from_str(at).ok()?;
                elements.get(key.parse::<usize>().ok()?)?.get()
            } else {
                let [value] = values(at, [key.as_str()])?;
                value?
            };
        }
        Some(at)
    }

    /// Everything at this place.
    pub(super) fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![value];
        for key in &self.0 {
            found = found
                .into_iter()
                .flat_map(|value| step(value, key))
                .collect();
        }
        found
    }
}

fn step<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    match value {
        Value::Array(elements) if key == EVERY => elements.iter().collect(),
        Value::Array(elements) => {
            let element = key.parse().ok().and_then(|at: usize| elements.get(at));
            element.into_iter().collect()
        }
        Value::Object(members) => members.get(key).into_iter().collect(),
        _ => Vec::new(),
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom("a place in JSON begins with a slash, as in /data/token")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"data":{"a/b":{"token":"t\"1"}},"errors":[{"code":1},{"code":2}]}"#;

    fn at(pointer: &str) -> Pointer {
        Pointer::parse(pointer).expect("a pointer")
    }

    #[test]
    fn a_place_is_found_in_text_and_in_values() {
        assert_eq!(at("/data/a~1b/token").raw(JSON), Some(r#""t\"1""#));
        assert_eq!(at("/errors/1/code").raw(JSON), Some("2"));
        assert_eq!(at("/errors/2/code").raw(JSON), None);
        assert_eq!(at("/data/nothing").raw(JSON), None);
        assert_eq!(at("").raw("7"), Some("7"));
        let value: Value = serde_json::from_str(JSON).expect("JSON");
        assert_eq!(at("/errors/*/code").find(&value), [1, 2]);
        assert!(at("/data/*").find(&value).is_empty());
    }

    #[test]
    fn a_place_without_its_slash_is_refused() {
        assert_eq!(Pointer::parse("data/token"), None);
    }
}
