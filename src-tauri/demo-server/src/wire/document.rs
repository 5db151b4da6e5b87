//! What must be known of a query before it runs: its operation, its root fields, and whether its variables are there.

use std::collections::HashSet;

use async_graphql::Value as ConstValue;
use async_graphql::parser::types::{
    BaseType, DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType,
    Selection, SelectionSet,
};
use async_graphql::parser::{self, Pos};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::answer::Problem;
use crate::refusal::Refusal;

/// Most records that one query may ask for: two of the longest pages. Screens ask for 60 at a time.
const MOST_RECORDS: u64 = 2_000;

/// Records in a page where the query does not say, as at Twenty.
const USUAL_PAGE: u64 = 60;

/// What a connection costs at least, in records: it is counted, too.
const LEAST_PAGE: u64 = 10;

/// A parsed query and the operation in it that is meant.
pub(super) struct Document {
    pub(super) kind: &'static str,
    /// The operation's name, or its first root field.
    pub(super) name: String,
    roots: HashSet<String>,
    /// The pages of records that it asks for.
    pages: Vec<Page>,
    operation: Option<OperationDefinition>,
}

impl Document {
    pub(super) fn read(text: &str, operation_name: Option<&str>) -> Result<Self, Problem> {
        let document = parser::parse_query(text).map_err(|error| syntax_error(text, &error))?;
        let (name, operation) = match &document.operations {
            DocumentOperations::Single(operation) => (None, Some(operation.node.clone())),
            DocumentOperations::Multiple(operations) => operations
                .iter()
                .find(|(name, _)| operation_name.is_none_or(|wanted| wanted == name.as_str()))
                .map_or((None, None), |(name, operation)| {
                    (Some(name.to_string()), Some(operation.node.clone()))
                }),
        };
        let (mut roots, mut pages) = (Vec::new(), Vec::new());
        if let Some(operation) = &operation {
            // A name twice in a chain of fragments is a circle; validation will say so.
            collect(
                &document,
                &operation.selection_set.node,
                &mut roots,
                &mut pages,
                &mut HashSet::new(),
            );
        }
        let kind = operation
            .as_ref()
            .map_or("query", |operation| match operation.ty {
                OperationType::Query => "query",
                OperationType::Mutation => "mutation",
                OperationType::Subscription => "subscription",
            });
        let name = name.or_else(|| roots.first().cloned()).unwrap_or_default();
        Ok(Self {
            kind,
            name,
            roots: roots.into_iter().collect(),
            pages,
            operation,
        })
    }

    pub(super) fn renews(&self) -> bool {
        self.kind == "mutation" && self.asks("renewToken")
    }

    pub(super) fn asks(&self, root: &str) -> bool {
        self.roots.contains(root)
    }

    /// Whether it asks for more records than a screen can need. Aliases would otherwise multiply the longest page.
    pub(super) fn is_too_costly(&self, variables: &Value) -> bool {
        let length = |page: &Page| match page {
            Page::Of(length) => *length,
            Page::Variable(name) => variables[name].as_u64().unwrap_or(USUAL_PAGE),
        };
        let costs = self.pages.iter().map(|page| length(page).max(LEAST_PAGE));
        costs.fold(0, u64::saturating_add) > MOST_RECORDS
    }

    /// Required variables are there, and identifiers look like ones.
    pub(super) fn check_variables(&self, variables: &Value) -> Result<(), Refusal> {
        let Some(operation) = &self.operation else {
            return Ok(());
        };
        for definition in &operation.variable_definitions {
            let (name, ty) = (
                definition.node.name.node.as_str(),
                &definition.node.var_type.node,
            );
            let bad = |text: String| Refusal::variable(text, "BAD_USER_INPUT");
            match variables.get(name) {
                None if !ty.nullable && definition.node.default_value.is_none() => {
                    return Err(bad(format!(
                        "Variable \"${name}\" of required type \"{ty}\" was not provided."
                    )));
                }
                Some(Value::Null) if !ty.nullable => {
                    return Err(bad(format!(
                        "Variable \"${name}\" of non-null type \"{ty}\" must not be null."
                    )));
                }
                Some(value) if !value.is_null() => {
                    let is_uuid = matches!(&ty.base, BaseType::Named(name) if name == "UUID");
                    if is_uuid
                        && value
                            .as_str()
                            .is_none_or(|text| Uuid::parse_str(text).is_err())
                    {
                        return Err(Refusal::variable(
                            "Invalid UUID",
                            "GRAPHQL_VALIDATION_FAILED",
                        ));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The body that a GET carries in its address.
pub(super) fn from_query_string(query: &str) -> Value {
    let mut body = Map::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value);
        let value = if name == "variables" {
            serde_json::from_str(&value).unwrap_or(Value::Null)
        } else {
            Value::String(value)
        };
        body.insert(name.to_owned(), value);
    }
    Value::Object(body)
}

fn collect(
    document: &ExecutableDocument,
    set: &SelectionSet,
    roots: &mut Vec<String>,
    pages: &mut Vec<Page>,
    entered: &mut HashSet<String>,
) {
    for item in &set.items {
        match &item.node {
            Selection::Field(field) => {
                roots.push(field.node.name.node.to_string());
                // The other roots have no selection of their own, or are one object.
                if !field.node.selection_set.node.items.is_empty() {
                    pages.push(Page::of(&field.node));
                }
            }
            Selection::InlineFragment(fragment) => {
                let set = &fragment.node.selection_set.node;
                collect(document, set, roots, pages, entered);
            }
            Selection::FragmentSpread(spread) => {
                let name = &spread.node.fragment_name.node;
                if let Some(fragment) = document.fragments.get(name)
                    && entered.insert(name.to_string())
                {
                    let set = &fragment.node.selection_set.node;
                    collect(document, set, roots, pages, entered);
                }
            }
        }
    }
}

/// Whether a connection's records are asked for. In doubt, yes.
fn selects_records(field: &Field) -> bool {
    let mut items = field.selection_set.node.items.iter();
    items.any(|item| match &item.node {
        Selection::Field(field) => field.node.name.node == "edges",
        Selection::InlineFragment(_) | Selection::FragmentSpread(_) => true,
    })
}

/// How long a page is that a root field asks for.
enum Page {
    Of(u64),
    Variable(String),
}

impl Page {
    fn of(field: &Field) -> Self {
        let asked = ["first", "last"].map(|name| field.get_argument(name));
        let asked = asked.into_iter().flatten().next();
        match asked.map(|value| value.node.clone().into_const_with(Err::<ConstValue, _>)) {
            Some(Ok(ConstValue::Number(length))) => Self::Of(length.as_u64().unwrap_or(USUAL_PAGE)),
            Some(Err(variable)) => Self::Variable(variable.to_string()),
            _ if selects_records(field) => Self::Of(USUAL_PAGE),
            // One object, or only the number of records.
            _ => Self::Of(LEAST_PAGE),
        }
    }
}

fn syntax_error(text: &str, error: &parser::Error) -> Problem {
    let end = Pos {
        line: text.lines().count().max(1),
        column: text.lines().last().unwrap_or_default().chars().count() + 1,
    };
    let at = error.positions().next().unwrap_or(end);
    let opened = text.matches('{').count();
    if opened > text.matches('}').count() && at.line >= end.line {
        return Problem::at("Syntax Error: Expected Name, found <EOF>.", end);
    }
    let character = text
        .lines()
        .nth(at.line.saturating_sub(1))
        .and_then(|line| line.chars().nth(at.column.saturating_sub(1)));
    let message = match character {
        Some(character) => format!("Syntax Error: Unexpected character: \"{character}\"."),
        None => "Syntax Error: Unexpected <EOF>.".to_owned(),
    };
    Problem::at(message, at)
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = bytes
            .get(index + 1..index + 3)
            .and_then(|hex| std::str::from_utf8(hex).ok());
        match (
            bytes[index],
            hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()),
        ) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                index += 2;
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        index += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
