//! Comparison of JSON with a pattern.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Where the value first differs from the pattern, if it does. Keys must be the same; in texts `*` is any text and `?`
/// any character, and a lone `*` also any number.
pub(crate) fn differs(pattern: &Value, value: &Value, path: &str) -> Option<String> {
    match (pattern, value) {
        (Value::Object(pattern), Value::Object(value)) => {
            let keys = |map: &Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
            let (expected, found) = (keys(pattern), keys(value));
            if expected != found {
                return Some(format!("{path}: keys {found:?} instead of {expected:?}"));
            }
            pattern
                .iter()
                .find_map(|(key, pattern)| differs(pattern, &value[key], &format!("{path}.{key}")))
        }
        (Value::Array(pattern), Value::Array(value)) => {
            let (expected, found) = (pattern.len(), value.len());
            if expected != found {
                return Some(format!("{path}: {found} items instead of {expected}"));
            }
            let pairs = pattern.iter().zip(value).enumerate();
            pairs.into_iter().find_map(|(index, (pattern, value))| {
                differs(pattern, value, &format!("{path}[{index}]"))
            })
        }
        (Value::String(pattern), Value::Number(_)) if pattern == "*" => None,
        (Value::String(pattern), Value::String(value))
            if alike(pattern.as_bytes(), value.as_bytes()) =>
        {
            None
        }
        _ if pattern == value => None,
        _ => Some(format!("{path}: {value} instead of {pattern}")),
    }
}

/// `*` is any text, `?` any character.
fn alike(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|from| alike(rest, &text[from..])),
        ([b'?', pattern @ ..], [_, text @ ..]) => alike(pattern, text),
        ([own, pattern @ ..], [other, text @ ..]) => own == other && alike(pattern, text),
        _ => false,
    }
}

#[test]
fn a_pattern_distinguishes_absent_from_null_and_one_text_from_another() {
    for (pattern, value, is_alike) in [
        (json!({ "a": "x*z" }), json!({ "a": "xyz" }), true),
        (json!({ "a": null }), json!({}), false),
        (json!({}), json!({ "a": null }), false),
        (json!({ "a": "*" }), json!({ "a": null }), false),
        (json!(["*"]), json!(["a", "b"]), false),
        (json!("x?z"), json!("xz"), false),
    ] {
        let difference = differs(&pattern, &value, "$");
        assert_eq!(difference.is_none(), is_alike, "{pattern} and {value}");
    }
}
