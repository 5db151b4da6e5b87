//! A Twenty filter as an SQL condition.

use rusqlite::types::Value as Sql;
use serde_json::{Map, Value};

use super::rows::stored;
use crate::objects::{Column, ColumnType, Object};
use crate::refusal::Refusal;

/// Levels of `and`, `or` and `not` inside each other: more than a person builds, and no danger to the stack.
const DEPTH: u32 = 32;

/// A condition and the values of its marks, in their order.
#[derive(Debug, Default)]
pub(super) struct Condition {
    pub(super) sql: String,
    pub(super) values: Vec<Sql>,
}

/// The condition of `filter`. Deleted records are left out, unless the filter itself speaks of `deletedAt`.
pub(super) fn condition(object: &Object, filter: &Value) -> Result<Condition, Refusal> {
    let mut condition = Condition::default();
    let (sql, mentions_deleted) = match filter {
        Value::Object(filter) => (
            all(object, filter, &mut condition.values, DEPTH)?,
            mentions(filter, "deletedAt"),
        ),
        _ => ("1".to_owned(), false),
    };
    condition.sql = if mentions_deleted {
        sql
    } else {
        format!("{sql} AND \"deletedAt\" IS NULL")
    };
    Ok(condition)
}

/// All entries of one filter object together.
fn all(
    object: &Object,
    filter: &Map<String, Value>,
    values: &mut Vec<Sql>,
    depth: u32,
) -> Result<String, Refusal> {
    if depth == 0 {
        return Err(Refusal::bad_input(
            "Filter is nested too deeply",
            "INVALID_QUERY_INPUT",
        ));
    }
    let mut conditions = Vec::new();
    for (name, value) in filter {
        if value.is_null() {
            continue;
        }
        let condition = match name.as_str() {
            "and" => several(object, value, " AND ", values, depth)?,
            "or" => several(object, value, " OR ", values, depth)?,
            "not" => {
                let Value::Object(inner) = value else {
                    continue;
                };
                // As in SQL, what is unknown about a record (a null) makes neither side true.
                format!("NOT ({})", all(object, inner, values, depth - 1)?)
            }
            _ => of_field(object, name, value, values)?,
        };
        conditions.push(condition);
    }
    Ok(joined(conditions, " AND "))
}

fn several(
    object: &Object,
    list: &Value,
    joint: &str,
    values: &mut Vec<Sql>,
    depth: u32,
) -> Result<String, Refusal> {
    // GraphQL lets a single value stand for a list of one.
    let items = list
        .as_array()
        .map_or(std::slice::from_ref(list), Vec::as_slice);
    let conditions = items
        .iter()
        .filter_map(Value::as_object)
        .map(|item| all(object, item, values, depth - 1))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(joined(conditions, joint))
}

fn of_field(
    object: &Object,
    name: &str,
    value: &Value,
    values: &mut Vec<Sql>,
) -> Result<String, Refusal> {
    let columns: Vec<&Column> = object
        .columns()
        .iter()
        .filter(|column| column.key == name)
        .collect();
    let Value::Object(entries) = value else {
        return Ok("1".to_owned());
    };
    let mut conditions = Vec::new();
    for column in columns {
        match column.part {
            None => conditions.push(of_column(column, entries, values)?),
            Some(part) => {
                if let Some(Value::Object(operators)) = entries.get(part) {
                    conditions.push(of_column(column, operators, values)?);
                }
            }
        }
    }
    Ok(joined(conditions, " AND "))
}

fn of_column(
    column: &Column,
    operators: &Map<String, Value>,
    values: &mut Vec<Sql>,
) -> Result<String, Refusal> {
    let mut conditions = Vec::new();
    for (operator, operand) in operators {
        conditions.push(compared(column, operator, operand, values)?);
    }
    Ok(joined(conditions, " AND "))
}

fn compared(
    column: &Column,
    operator: &str,
    operand: &Value,
    values: &mut Vec<Sql>,
) -> Result<String, Refusal> {
    let sql = &column.quoted_name;
    let mut bind = |value: Sql| {
        values.push(value);
    };
    let text = || Sql::Text(operand.as_str().unwrap_or_default().to_owned());
    let listed = || {
        operand
            .as_array()
            .map_or(std::slice::from_ref(operand), Vec::as_slice)
    };
    Ok(match operator {
        "is" => match operand.as_str() {
            Some("NULL" | "Null") if column.column_type == ColumnType::Text => {
                format!("({sql} IS NULL OR {sql} = '')")
            }
            Some("NULL" | "Null") => format!("{sql} IS NULL"),
            _ if column.column_type == ColumnType::Text => format!("{sql} <> ''"),
            _ => format!("{sql} IS NOT NULL"),
        },
        // As in SQL, nothing equals null.
        "eq" | "neq" | "gt" | "gte" | "lt" | "lte" if operand.is_null() => "0".to_owned(),
        "eq" | "neq" | "gt" | "gte" | "lt" | "lte" => {
            bind(stored(column, operand)?);
            let sign = match operator {
                "eq" => "=",
                "neq" => "<>",
                "gt" => ">",
                "gte" => ">=",
                "lt" => "<",
                _ => "<=",
            };
            format!("{sql} {sign} ?")
        }
        "in" => {
            let items = listed();
            for item in items {
                bind(stored(column, item)?);
            }
            format!("{sql} IN ({})", vec!["?"; items.len()].join(", "))
        }
        "like" => {
            bind(text());
            format!("like_text(?, {sql})")
        }
        "ilike" => {
            bind(text());
            format!("ilike_text(?, {sql})")
        }
        "startsWith" => {
            bind(text());
            bind(text());
            format!("substr({sql}, 1, length(?)) = ?")
        }
        "containsAny" => {
            let items = listed();
            for item in items {
                bind(Sql::Text(item.as_str().unwrap_or_default().to_owned()));
            }
            let marks = vec!["?"; items.len()].join(", ");
            format!("EXISTS (SELECT 1 FROM json_each({sql}) WHERE value IN ({marks}))")
        }
        "isEmptyArray" => format!("coalesce({sql}, '[]') = '[]'"),
        _ => {
            let message = format!("Operator \"{operator}\" is not supported");
            return Err(Refusal::bad_input(message, "UNSUPPORTED_OPERATOR"));
        }
    })
}

fn joined(conditions: Vec<String>, joint: &str) -> String {
    if conditions.is_empty() {
        "1".to_owned()
    } else {
        format!("({})", conditions.join(joint))
    }
}

fn mentions(filter: &Map<String, Value>, name: &str) -> bool {
    filter.iter().any(|(key, value)| {
        key == name
            || match value {
                Value::Object(inner) => mentions(inner, name),
                Value::Array(items) => items
                    .iter()
                    .filter_map(Value::as_object)
                    .any(|item| mentions(item, name)),
                _ => false,
            }
    })
}
