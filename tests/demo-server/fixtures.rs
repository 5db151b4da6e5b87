//! Answers of a Twenty server, written down from observation in `fixtures.json`. In texts `*` stands for any text; a lone
//! `*` also for a number. The keys must be the same: an absent `data` differs from a null one.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use crate::pattern::differs;

/// The answer to one request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Fixture {
    pub(crate) name: String,
    /// Names of the recordings of a real server from which it was written.
    pub(crate) recorded: Vec<String>,
    #[serde(default = "usual_status")]
    status: u16,
    #[serde(default = "usual_content_type")]
    content_type: String,
    /// JSON, or the text of any other body.
    body: Value,
}

impl Fixture {
    /// The first difference, if there is one.
    pub(crate) fn difference(
        &self,
        status: u16,
        content_type: &str,
        body: &Value,
    ) -> Option<String> {
        if status != self.status {
            return Some(format!("status {status} instead of {}", self.status));
        }
        if content_type != self.content_type {
            let expected = &self.content_type;
            return Some(format!("content type {content_type} instead of {expected}"));
        }
        differs(&self.body, body, "$")
    }
}

pub(crate) fn fixture(name: &str) -> &'static Fixture {
    FIXTURES
        .iter()
        .find(|fixture| fixture.name == name)
        .unwrap_or_else(|| panic!("no fixture {name}"))
}

pub(crate) static FIXTURES: LazyLock<Vec<Fixture>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("fixtures.json")).expect("a list of fixtures")
});

fn usual_status() -> u16 {
    200
}

fn usual_content_type() -> String {
    "application/json; charset=utf-8".to_owned()
}
