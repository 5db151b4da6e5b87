//! Requests with places for what is known only when they are sent: `{refresh_token}` and others.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::http::{Method, Request, Target};

/// A request with places in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RequestTemplate {
    #[serde(default)]
    pub(super) method: MethodName,
    /// A path at the API's origin, or a whole address.
    pub(super) path: String,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) json: Option<Value>,
    pub(super) form: Option<BTreeMap<String, String>>,
    pub(super) graphql: Option<GraphqlTemplate>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum MethodName {
    Get,
    #[default]
    Post,
}

/// A GraphQL request: places stand in its variables only.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct GraphqlTemplate {
    pub(super) query: String,
    #[serde(default)]
    pub(super) variables: Value,
}

/// What stands for the places.
#[derive(Clone, Copy, Default)]
pub(super) struct Values<'a> {
    pub(super) settings: Option<&'a BTreeMap<String, String>>,
    pub(super) access: Option<&'a str>,
    pub(super) refresh: Option<&'a str>,
    pub(super) username: Option<&'a str>,
    pub(super) password: Option<&'a str>,
    pub(super) one_time_code: Option<&'a str>,
    pub(super) device_id: Option<&'a str>,
}

/// The names of the places, beside `setting.…`.
pub(super) const NAMES: [&str; 6] = [
    "access_token",
    "refresh_token",
    "username",
    "password",
    "one_time_code",
    "device_id",
];

/// How the place of a setting begins.
pub(super) const SETTING: &str = "setting.";

impl<'a> Values<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        if let Some(setting) = name.strip_prefix(SETTING) {
            return self.settings?.get(setting).map(String::as_str);
        }
        match name {
            "access_token" => self.access,
            "refresh_token" => self.refresh,
            "username" => self.username,
            "password" => self.password,
            "one_time_code" => self.one_time_code,
            "device_id" => self.device_id,
            _ => None,
        }
    }
}

/// The places in a text: each with its whole text, braces included, and its name.
pub(super) fn places(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let begin = rest.find('{')?;
            let after = &rest[begin + 1..];
            let length = after
                .find(|letter: char| !(letter.is_ascii_alphanumeric() || "_.".contains(letter)))
                .unwrap_or(after.len());
            let is_place = length > 0 && after[length..].starts_with('}');
            let whole = &rest[begin..begin + length + 1 + usize::from(is_place)];
            rest = &rest[begin + whole.len()..];
            if is_place {
                return Some((whole, &whole[1..=length]));
            }
        }
    })
}

/// A text with its places filled. What is not known is left out.
pub(super) fn filled<'a>(text: &'a str, values: &Values<'_>) -> Zeroizing<String> {
    let mut length = text.len();
    for (_, name) in places(text) {
        length += values.get(name).unwrap_or_default().len();
    }
    // Of its full size from the start: one that grows would leave copies of secrets.
    let mut filled = Zeroizing::new(String::with_capacity(length));
    let mut rest: &'a str = text;
    for (whole, name) in places(text) {
        let (before, after) = rest.split_once(whole).unwrap_or((rest, ""));
        filled.push_str(before);
        filled.push_str(values.get(name).unwrap_or_default());
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// The request that a template describes.
pub(super) fn fill(template: &RequestTemplate, values: &Values<'_>) -> Request {
    let path = filled(&template.path, values);
    let to = match path.parse() {
        Ok(address) => Target::Address(address),
        Err(_) => Target::Api(Cow::Owned(path.to_string())),
    };
    let mut request = if let Some(json) = &template.json {
        Request::json(
            to,
            &Filled {
                template: json,
                values,
            },
        )
    } else if let Some(graphql) = &template.graphql {
        let variables = Filled {
            template: &graphql.variables,
            values,
        };
        let body = Graphql {
            query: &graphql.query,
            variables,
        };
        Request::json(to, &body)
    } else if let Some(form) = &template.form {
        let fields: Vec<_> = form
            .iter()
            .map(|(name, value)| (name.as_str(), filled(value, values)))
            .collect();
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        Request::form(to, &fields)
    } else {
        Request::get(to)
    };
    request.method = match template.method {
        MethodName::Get => Method::Get,
        MethodName::Post => Method::Post,
    };
    let headers = template.headers.iter();
    request.headers = headers
        .map(|(name, value)| {
            let value = filled(value, values);
            (Cow::Owned(name.to_ascii_lowercase()), value.as_str().into())
        })
        .collect();
    request
}

#[derive(Serialize)]
struct Graphql<'a> {
    query: &'a str,
    variables: Filled<'a>,
}

/// JSON with its places filled while it is written, so that no value holds a secret.
struct Filled<'a> {
    template: &'a Value,
    values: &'a Values<'a>,
}

impl Serialize for Filled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let of = |template| Filled {
            template,
            values: self.values,
        };
        match self.template {
            Value::String(text) => serializer.serialize_str(&filled(text, self.values)),
            Value::Array(elements) => {
                let mut array = serializer.serialize_seq(Some(elements.len()))?;
                for element in elements {
                    array.serialize_element(&of(element))?;
                }
                array.end()
            }
            Value::Object(members) => {
                let mut object = serializer.serialize_map(Some(members.len()))?;
                for (key, member) in members {
                    object.serialize_entry(key, &of(member))?;
                }
                object.end()
            }
            other => other.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_from_other_braces() {
        let found: Vec<_> = places("{a} { b } {c.d}{} {e")
            .map(|(_, name)| name)
            .collect();
        assert_eq!(found, ["a", "c.d"]);
    }

    #[test]
    fn a_value_that_looks_like_a_place_is_not_filled_again() {
        let values = Values {
            username: Some("{password}"),
            password: Some("secret"),
            ..Values::default()
        };
        let text = filled("{username}:{password}!", &values);
        assert_eq!(&*text, "{password}:secret!");
        assert!(text.capacity() >= text.len());
    }
}
