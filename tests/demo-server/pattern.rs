//! Comparison of JSON with a pattern.

use serde_json::Value;

/// Where the value first differs from the pattern, if it does. Keys must be the same; in texts `*` is any text and `?`
/// any character, and a lone `*` also any number.
pub(crate) fn differs(pattern: &Value, value: &Value, path: &str) -> Option<String> {
    match (pattern, value) {
        (Value::Object(pattern), Value::Object(value)) => {
            let keys = |map: &serde_json::Map<String, Value>| {
                let mut keys: Vec<String> = map.keys().cloned().collect();
                keys.sort();
                keys
            };
            if keys(pattern) != keys(value) {
                return Some(format!(
                    "{path}: keys {:?} instead of {:?}",
                    keys(value),
                    keys(pattern)
                ));
            }
            pattern
                .iter()
                .find_map(|(key, pattern)| differs(pattern, &value[key], &format!("{path}.{key}")))
        }
        (Value::Array(pattern), Value::Array(value)) => {
            if pattern.len() != value.len() {
                return Some(format!(
                    "{path}: {} items instead of {}",
                    value.len(),
                    pattern.len()
                ));
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
    assert_eq!(
        differs(
            &serde_json::json!({ "a": "x*z" }),
            &serde_json::json!({ "a": "xyz" }),
            "$"
        ),
        None
    );
    assert!(
        differs(
            &serde_json::json!({ "a": null }),
            &serde_json::json!({}),
            "$"
        )
        .is_some()
    );
    assert!(
        differs(
            &serde_json::json!({}),
            &serde_json::json!({ "a": null }),
            "$"
        )
        .is_some()
    );
    assert!(
        differs(
            &serde_json::json!({ "a": "*" }),
            &serde_json::json!({ "a": null }),
            "$"
        )
        .is_some()
    );
    assert!(
        differs(
            &serde_json::json!(["*"]),
            &serde_json::json!(["a", "b"]),
            "$"
        )
        .is_some()
    );
    assert!(differs(&serde_json::json!("x?z"), &serde_json::json!("xz"), "$").is_some());
}
