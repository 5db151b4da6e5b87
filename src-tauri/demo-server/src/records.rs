//! One engine for the records of all objects: reading, paging and writing, over the definitions of [`crate::objects`].
//! SQL text is built from column names of those definitions; whatever a client sends is a bound parameter.

mod filter;
mod page;
mod rows;

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, ErrorCode, params_from_iter};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock::iso;
use crate::objects::{Column, ColumnType, Kind, Object};
use crate::refusal::Refusal;
use rows::{select, stored};

pub(crate) use page::{PageRequest, list};
pub(crate) use rows::by_ids;

/// Makes the tables of all objects where they do not exist yet.
pub(crate) fn create_tables(connection: &Connection) -> Result<(), rusqlite::Error> {
    for object in crate::objects::OBJECTS.iter() {
        let columns = object.columns();
        let definitions: Vec<String> = columns.iter().map(column_definition).collect();
        connection.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS \"{}\" ({}) STRICT;",
            object.singular,
            definitions.join(", ")
        ))?;
        for (index, column) in columns.iter().enumerate() {
            // Empty text means "none" here, and a deleted record does not keep its value from others.
            let statement = if column.label_if_unique.is_some() {
                format!(
                    "CREATE UNIQUE INDEX IF NOT EXISTS \"{0}_{index}\" ON \"{0}\" ({1})
                     WHERE {1} <> '' AND \"deletedAt\" IS NULL;",
                    object.singular, column.quoted_name
                )
            } else if column.column_type == ColumnType::Uuid
                && column.part.is_none()
                && column.key != "id"
            {
                format!(
                    "CREATE INDEX IF NOT EXISTS \"{0}_{index}\" ON \"{0}\" ({1});",
                    object.singular, column.quoted_name
                )
            } else {
                continue;
            };
            connection.execute_batch(&statement)?;
        }
    }
    Ok(())
}

/// The first record that `filter` finds, or Twenty's "Record not found".
pub(crate) fn one(
    connection: &Connection,
    object: &Object,
    filter: &Value,
) -> Result<Value, Refusal> {
    let request = PageRequest {
        filter: filter.clone(),
        first: Some(1),
        ..PageRequest::default()
    };
    page::rows(connection, object, &request)?
        .into_iter()
        .next()
        .ok_or_else(Refusal::record_not_found)
}

/// A new record; what `data` leaves out has its default.
pub(crate) fn create(
    connection: &Connection,
    object: &Object,
    data: &Value,
    now: i64,
    created_by: &Value,
) -> Result<Value, Refusal> {
    let id = insert(connection, object, data, now, created_by)?;
    by_id(connection, object, &id, Deleted::Included)
}

/// As [`create`], but answers only the id.
pub(crate) fn insert(
    connection: &Connection,
    object: &Object,
    data: &Value,
    now: i64,
    created_by: &Value,
) -> Result<String, Refusal> {
    let mut data = data.as_object().cloned().unwrap_or_default();
    let text = |value: String| Value::String(value);
    let id = data
        .get("id")
        .and_then(Value::as_str)
        .map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
    data.insert("id".to_owned(), text(id.clone()));
    for key in ["createdAt", "updatedAt"] {
        if data.get(key).is_none_or(Value::is_null) {
            data.insert(key.to_owned(), text(iso(now)));
        }
    }
    if data.get("createdBy").is_none_or(Value::is_null) {
        data.insert("createdBy".to_owned(), created_by.clone());
    }
    if !data.get("position").is_some_and(Value::is_number) {
        // A new record comes first, as at Twenty.
        let sql = format!(
            "SELECT coalesce(min(\"position\"), 1) - 1 FROM \"{}\"",
            object.singular
        );
        let position: f64 = connection
            .prepare_cached(&sql)?
            .query_row([], |row| row.get(0))?;
        data.insert("position".to_owned(), json!(position));
    }
    for field in &object.fields {
        if let (Kind::Select(choices), false) = (field.kind, data.contains_key(field.name)) {
            data.insert(field.name.to_owned(), choices[0].value.into());
        }
        if let (Kind::Boolean, false) = (field.kind, data.contains_key(field.name)) {
            data.insert(field.name.to_owned(), false.into());
        }
    }

    let columns = object.columns();
    let values = columns
        .iter()
        .map(|column| stored(column, sent(&data, column).unwrap_or(&Value::Null)))
        .collect::<Result<Vec<Sql>, Refusal>>()?;
    let names: Vec<&str> = columns
        .iter()
        .map(|column| column.quoted_name.as_str())
        .collect();
    let marks = vec!["?"; columns.len()].join(", ");
    let sql = format!(
        "INSERT INTO \"{}\" ({}) VALUES ({marks})",
        object.singular,
        names.join(", ")
    );
    connection
        .prepare_cached(&sql)?
        .execute(params_from_iter(values))
        .map_err(|error| explained(error, object, &data))?;
    Ok(id)
}

/// Changes the fields that `data` names. A composite field is replaced as a whole: a part that `data` leaves out is emptied,
/// so that a client that does not send every part loses data here, too.
pub(crate) fn update(
    connection: &Connection,
    object: &Object,
    id: &str,
    data: &Value,
    now: i64,
) -> Result<Value, Refusal> {
    by_id(connection, object, id, Deleted::Excluded)?;
    let mut data = data.as_object().cloned().unwrap_or_default();
    data.remove("id");
    data.insert("updatedAt".to_owned(), iso(now).into());
    let mut assignments = Vec::new();
    let mut values = Vec::new();
    for column in object.columns() {
        if let Some(value) = sent(&data, column) {
            assignments.push(format!("{} = ?", column.quoted_name));
            values.push(stored(column, value)?);
        }
    }
    values.push(Sql::from(id.to_owned()));
    let sql = format!(
        "UPDATE \"{}\" SET {} WHERE \"id\" = ?",
        object.singular,
        assignments.join(", ")
    );
    connection
        .execute(&sql, params_from_iter(values))
        .map_err(|error| explained(error, object, &data))?;
    by_id(connection, object, id, Deleted::Excluded)
}

/// Marks a record deleted, or with `None` not deleted. A deleted record may be deleted again.
pub(crate) fn mark_deleted(
    connection: &Connection,
    object: &Object,
    id: &str,
    deleted_at: Option<i64>,
) -> Result<Value, Refusal> {
    by_id(connection, object, id, Deleted::Included)?;
    let sql = format!(
        "UPDATE \"{}\" SET \"deletedAt\" = ?1 WHERE \"id\" = ?2",
        object.singular
    );
    connection
        .execute(&sql, rusqlite::params![deleted_at.map(iso), id])
        .map_err(|error| explained(error, object, &Map::new()))?;
    by_id(connection, object, id, Deleted::Included)
}

/// Removes a record for good, and answers what it was.
pub(crate) fn destroy(
    connection: &Connection,
    object: &Object,
    id: &str,
) -> Result<Value, Refusal> {
    let record = by_id(connection, object, id, Deleted::Included)?;
    connection.execute(
        &format!("DELETE FROM \"{}\" WHERE \"id\" = ?1", object.singular),
        [id],
    )?;
    Ok(record)
}

/// Whether deleted records are found too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deleted {
    Included,
    Excluded,
}

fn by_id(
    connection: &Connection,
    object: &Object,
    id: &str,
    deleted: Deleted,
) -> Result<Value, Refusal> {
    let condition = match deleted {
        Deleted::Included => "\"id\" = ?",
        Deleted::Excluded => "\"id\" = ? AND \"deletedAt\" IS NULL",
    };
    let found = select(
        connection,
        object,
        condition,
        "",
        vec![Sql::from(id.to_owned())],
    )?;
    found
        .into_iter()
        .next()
        .ok_or_else(Refusal::record_not_found)
}

fn column_definition(column: &Column) -> String {
    let kind = match column.column_type {
        ColumnType::Number => "REAL",
        ColumnType::BigFloat | ColumnType::Boolean => "INTEGER",
        _ => "TEXT",
    };
    let key = if column.key == "id" {
        " PRIMARY KEY"
    } else {
        ""
    };
    format!("{} {kind}{key}", column.quoted_name)
}

/// What the client sent for this column, if anything.
fn sent<'a>(data: &'a Map<String, Value>, column: &Column) -> Option<&'a Value> {
    let value = data.get(&column.key)?;
    match column.part {
        None => Some(value),
        Some(_) if value.is_null() => Some(&Value::Null),
        Some(part) => Some(value.get(part).unwrap_or(&Value::Null)),
    }
}

/// A violated uniqueness in Twenty's words, any other failure as it is.
fn explained(error: rusqlite::Error, object: &Object, data: &Map<String, Value>) -> Refusal {
    let rusqlite::Error::SqliteFailure(failure, Some(text)) = &error else {
        return error.into();
    };
    if failure.code != ErrorCode::ConstraintViolation {
        return error.into();
    }
    for column in object.columns() {
        let name = column.quoted_name.trim_matches('"');
        if text.ends_with(&format!(".{name}")) {
            let value = sent(data, column)
                .and_then(Value::as_str)
                .unwrap_or_default();
            return Refusal::duplicate(column.label_if_unique.unwrap_or("Id"), value);
        }
    }
    error.into()
}
