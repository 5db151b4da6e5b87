//! One page of records: order, cursors and counts. Cursors name the last record's place in the order, so that a page
//! stays right when records are added or deleted between two pages.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params_from_iter};
use serde_json::{Map, Value, json};

use super::filter::{self, Condition};
use super::rows::{attach, select, stored};
use crate::objects::{Column, ColumnType, Object};
use crate::refusal::Refusal;

/// Records of one page where the caller names no number, and the most of any page; Twenty's default.
const PAGE_LENGTH: i64 = 60;
/// The most records that one call can ask for.
const PAGE_LENGTH_LIMIT: i64 = 1_000;

/// What a caller asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct PageRequest {
    pub(crate) filter: Value,
    pub(crate) order_by: Value,
    pub(crate) first: Option<i64>,
    pub(crate) last: Option<i64>,
    pub(crate) after: Option<String>,
    pub(crate) before: Option<String>,
    /// Only records whose column of this key holds this id: the records of a relation.
    pub(crate) within: Option<(String, String)>,
    /// Relations whose records are wanted too.
    pub(crate) relations: Vec<&'static str>,
}

/// A page as a connection.
pub(crate) fn list(
    connection: &Connection,
    object: &Object,
    request: &PageRequest,
) -> Result<Value, Refusal> {
    let order = order(object, &request.order_by);
    let backward = request.last.is_some() || (request.before.is_some() && request.first.is_none());
    let length = length(request)?;
    let mut found = rows_in(connection, object, request, &order, backward, length + 1)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 1 to PAGE_LENGTH_LIMIT.
    let more = found.len() > length as usize;
    if more {
        found.pop();
    }
    if backward {
        found.reverse();
    }
    attach(
        connection,
        object,
        &mut found.iter_mut().collect::<Vec<_>>(),
        &request.relations,
    )?;
    let edges: Vec<Value> = found
        .into_iter()
        .map(|record| json!({ "cursor": cursor(&order, &record), "node": record }))
        .collect();
    let end = |edge: Option<&Value>| edge.map_or(Value::Null, |edge| edge["cursor"].clone());
    Ok(json!({
        "totalCount": count(connection, object, request)?,
        "pageInfo": {
            // As at Twenty 1.6, each direction knows only what lies ahead of it.
            "hasNextPage": more && !backward,
            "hasPreviousPage": more && backward,
            "startCursor": end(edges.first()),
            "endCursor": end(edges.last()),
        },
        "edges": edges,
    }))
}

/// The records of a page without the connection around them.
pub(super) fn rows(
    connection: &Connection,
    object: &Object,
    request: &PageRequest,
) -> Result<Vec<Value>, Refusal> {
    let order = order(object, &request.order_by);
    rows_in(connection, object, request, &order, false, length(request)?)
}

fn rows_in(
    connection: &Connection,
    object: &Object,
    request: &PageRequest,
    order: &[Term<'_>],
    backward: bool,
    limit: i64,
) -> Result<Vec<Value>, Refusal> {
    let Condition {
        mut sql,
        mut values,
    } = restricted(object, request)?;
    for (text, reverse) in [(&request.after, false), (&request.before, true)] {
        if let Some(text) = text {
            let place = place(object, order, text)?;
            let beyond = beyond(order, &place, reverse, &mut values);
            sql = format!("{sql} AND ({beyond})");
        }
    }
    let terms: Vec<String> = order.iter().map(|term| term.sql(backward)).collect();
    let tail = format!("ORDER BY {} LIMIT {limit}", terms.join(", "));
    select(connection, object, &sql, &tail, values)
}

fn count(connection: &Connection, object: &Object, request: &PageRequest) -> Result<i64, Refusal> {
    let Condition { sql, values } = restricted(object, request)?;
    let sql = format!("SELECT count(*) FROM \"{}\" WHERE {sql}", object.singular);
    Ok(connection
        .prepare_cached(&sql)?
        .query_row(params_from_iter(values), |row| row.get(0))?)
}

fn restricted(object: &Object, request: &PageRequest) -> Result<Condition, Refusal> {
    let mut condition = filter::condition(object, &request.filter)?;
    if let Some((key, id)) = &request.within
        && let Some(column) = object.columns().iter().find(|column| column.key == *key)
    {
        condition.sql = format!("{} AND {} = ?", condition.sql, column.quoted_name);
        condition.values.push(Sql::Text(id.clone()));
    }
    Ok(condition)
}

fn length(request: &PageRequest) -> Result<i64, Refusal> {
    for (name, sub_code, value) in [
        ("First", "INVALID_ARGS_FIRST", request.first),
        ("Last", "INVALID_ARGS_LAST", request.last),
    ] {
        if value.is_some_and(|value| value < 0) {
            return Err(Refusal::bad_input(
                format!("{name} argument must be non-negative"),
                sub_code,
            ));
        }
    }
    Ok(request
        .first
        .or(request.last)
        .unwrap_or(PAGE_LENGTH)
        .min(PAGE_LENGTH_LIMIT))
}

/// One column of an order.
struct Term<'a> {
    column: &'a Column,
    descending: bool,
    nulls_first: bool,
}

impl Term<'_> {
    fn sql(&self, backward: bool) -> String {
        let direction = if self.descending == backward {
            "ASC"
        } else {
            "DESC"
        };
        let nulls = if self.nulls_first == backward {
            "LAST"
        } else {
            "FIRST"
        };
        format!("{} {direction} NULLS {nulls}", self.expression())
    }

    /// Texts are ordered as a person reads them, not by the code of their letters.
    fn expression(&self) -> String {
        if self.column.column_type == ColumnType::Text {
            format!("{} COLLATE NOCASE", self.column.quoted_name)
        } else {
            self.column.quoted_name.clone()
        }
    }
}

/// The asked order, made total by the id.
fn order<'a>(object: &'a Object, order_by: &Value) -> Vec<Term<'a>> {
    let entries = order_by
        .as_array()
        .map_or(std::slice::from_ref(order_by), Vec::as_slice);
    let columns = object.columns();
    let mut terms: Vec<Term<'_>> = Vec::new();
    for (name, direction) in entries.iter().filter_map(Value::as_object).flatten() {
        for column in columns.iter().filter(|column| column.key == *name) {
            let direction = column
                .part
                .map_or(Some(direction), |part| direction.get(part))
                .and_then(Value::as_str);
            let Some(direction) = direction else { continue };
            if !terms
                .iter()
                .any(|term| term.column.quoted_name == column.quoted_name)
            {
                terms.push(Term {
                    column,
                    descending: direction.starts_with("Desc"),
                    nulls_first: direction.ends_with("First"),
                });
            }
        }
    }
    if !terms.iter().any(|term| term.column.key == "id") {
        let id = columns.iter().filter(|column| column.key == "id");
        terms.extend(id.map(|column| Term {
            column,
            descending: false,
            nulls_first: false,
        }));
    }
    terms
}

/// A cursor is base64 of JSON: the record's values in the order's columns.
fn cursor(order: &[Term<'_>], record: &Value) -> String {
    let mut place = Map::new();
    for Term { column, .. } in order {
        let value = &record[&column.key];
        match column.part {
            None => _ = place.insert(column.key.clone(), value.clone()),
            Some(part) => {
                if let Value::Object(parts) =
                    place.entry(column.key.clone()).or_insert_with(|| json!({}))
                {
                    parts.insert(part.to_owned(), value[part].clone());
                }
            }
        }
    }
    STANDARD.encode(Value::Object(place).to_string())
}

/// The values that a cursor names, in the order's columns.
fn place(object: &Object, order: &[Term<'_>], cursor: &str) -> Result<Vec<Sql>, Refusal> {
    let invalid = || Refusal::bad_input(format!("Invalid cursor: {cursor}"), "INVALID_CURSOR");
    let bytes = STANDARD.decode(cursor).map_err(|_| invalid())?;
    let place: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
    if place
        .keys()
        .any(|key| object.columns().iter().all(|column| column.key != *key))
    {
        return Err(invalid());
    }
    order
        .iter()
        .map(|Term { column, .. }| {
            let value = place.get(&column.key).ok_or_else(invalid)?;
            let value = column
                .part
                .map_or(Some(value), |part| value.get(part))
                .ok_or_else(invalid)?;
            stored(column, value).map_err(|_| invalid())
        })
        .collect()
}

/// "Comes after this place in the order", or before it: equal in the first columns and beyond in the next one.
fn beyond(order: &[Term<'_>], place: &[Sql], reverse: bool, values: &mut Vec<Sql>) -> String {
    let mut alternatives = Vec::new();
    for (index, (term, value)) in order.iter().zip(place).enumerate() {
        let expression = term.expression();
        let nulls_ahead = term.nulls_first == reverse;
        let sign = if term.descending == reverse { ">" } else { "<" };
        let mut conditions = Vec::new();
        for (equal, value) in order[..index].iter().zip(place) {
            conditions.push(format!("{} IS ?", equal.expression()));
            values.push(value.clone());
        }
        conditions.push(match (value, nulls_ahead) {
            (Sql::Null, true) => "0".to_owned(),
            (Sql::Null, false) => format!("{expression} IS NOT NULL"),
            (value, ahead) => {
                values.push(value.clone());
                if ahead {
                    format!("({expression} {sign} ? OR {expression} IS NULL)")
                } else {
                    format!("{expression} {sign} ?")
                }
            }
        });
        alternatives.push(format!("({})", conditions.join(" AND ")));
    }
    alternatives.join(" OR ")
}
