//! [`Condition`]s: what the server's answers are recognised by.

use serde::Deserialize;
use serde_json::Value;

use super::pointer::Pointer;
use crate::http::{Answer, RawReply};

/// All that is stated has to hold. With a pointer, it is enough that one of the places that it names does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Condition {
    /// The HTTP status.
    status: Option<OneOrMany<u16>>,
    /// A place in the body.
    pub(super) pointer: Option<Pointer>,
    /// A header, by its name.
    pub(super) header: Option<String>,
    /// What stands there, as a text.
    pub(super) equals: Option<OneOrMany<String>>,
    /// How the text there begins.
    pub(super) starts_with: Option<OneOrMany<String>>,
}

/// What an answer means that a condition matches.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Rule<M> {
    pub(super) when: Condition,
    pub(super) is: M,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// An answer, as conditions look at it.
pub(super) struct Seen<'a> {
    status: u16,
    body: Value,
    headers: Headers<'a>,
}

enum Headers<'a> {
    All(&'a Answer),
    /// Only `WWW-Authenticate` of a call's reply.
    Challenge(Option<&'a str>),
}

impl<'a> Seen<'a> {
    pub(super) fn of(answer: &'a Answer) -> Self {
        Self {
            status: answer.status,
            body: serde_json::from_slice(&answer.body).unwrap_or_default(),
            headers: Headers::All(answer),
        }
    }

    pub(super) fn of_reply(reply: &RawReply<'a>) -> Self {
        Self {
            status: reply.status,
            body: serde_json::from_slice(reply.body).unwrap_or_default(),
            headers: Headers::Challenge(reply.www_authenticate),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        match self.headers {
            Headers::All(answer) => answer.header(name),
            Headers::Challenge(text) => text.filter(|_| name == "www-authenticate"),
        }
    }
}

impl Condition {
    /// Whether it states nothing, and so would match every answer.
    pub(super) fn is_empty(&self) -> bool {
        self.status.is_none() && self.pointer.is_none() && self.header.is_none()
    }

    pub(super) fn matches(&self, seen: &Seen<'_>) -> bool {
        let status = self
            .status
            .as_ref()
            .is_none_or(|status| status.as_slice().contains(&seen.status));
        let place = self.pointer.as_ref().is_none_or(|pointer| {
            let mut found = pointer.find(&seen.body).into_iter();
            found.any(|value| match value {
                Value::Null => false,
                Value::String(text) => self.is_text(text),
                other => self.is_text(&other.to_string()),
            })
        });
        let header = self.header.as_ref().is_none_or(|name| {
            seen.header(&name.to_ascii_lowercase())
                .is_some_and(|text| self.is_text(text))
        });
        status && place && header
    }

    fn is_text(&self, text: &str) -> bool {
        let equals = self
            .equals
            .as_ref()
            .is_none_or(|known| known.as_slice().iter().any(|known| known == text));
        let starts = self.starts_with.as_ref().is_none_or(|known| {
            let mut known = known.as_slice().iter();
            known.any(|known| text.starts_with(known.as_str()))
        });
        equals && starts
    }
}

/// The first rule that matches: its number, from 1, and what it means.
pub(super) fn first_match<M: Copy>(rules: &[Rule<M>], seen: &Seen<'_>) -> Option<(u8, M)> {
    let found = rules.iter().position(|rule| rule.when.matches(seen))?;
    let number = u8::try_from(found + 1).unwrap_or(u8::MAX);
    Some((number, rules[found].is))
}
