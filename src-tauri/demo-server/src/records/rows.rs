//! Records as SQL gives them: rows read by a condition, relations attached, values in the form of their columns.

use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, params_from_iter};
use serde_json::{Map, Value, json};

use crate::clock::normalised;
use crate::objects::{Column, ColumnType, Kind, Object, object};
use crate::refusal::Refusal;

/// The records with these ids that are not deleted, in no order.
pub(crate) fn by_ids(
    connection: &Connection,
    object: &Object,
    ids: &[String],
) -> Result<Vec<Value>, Refusal> {
    let marks = vec!["?"; ids.len()].join(", ");
    let condition = format!("\"id\" IN ({marks}) AND \"deletedAt\" IS NULL");
    let values = ids.iter().map(|id| Sql::from(id.clone())).collect();
    select(connection, object, &condition, "", values)
}

/// Puts the records of the named relations into the records, one query for each relation.
pub(super) fn attach(
    connection: &Connection,
    of: &Object,
    records: &mut [&mut Value],
    relations: &[&str],
) -> Result<(), Refusal> {
    for field in &of.fields {
        let Kind::One { target } = field.kind else {
            continue;
        };
        if !relations.contains(&field.name) {
            continue;
        }
        let key = field.key();
        let mut ids: Vec<String> = records
            .iter()
            .filter_map(|record| record[&key].as_str().map(str::to_owned))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let found = by_ids(connection, object(target), &ids)?;
        for record in records.iter_mut() {
            let related = found
                .iter()
                .find(|related| related["id"] == record[&key])
                .cloned();
            record[field.name] = related.unwrap_or(Value::Null);
        }
    }
    Ok(())
}

/// The records that fulfil `condition`; `tail` is what follows it in SQL, such as an order.
pub(super) fn select(
    connection: &Connection,
    object: &Object,
    condition: &str,
    tail: &str,
    values: Vec<Sql>,
) -> Result<Vec<Value>, Refusal> {
    let columns = object.columns();
    let names: Vec<&str> = columns
        .iter()
        .map(|column| column.quoted_name.as_str())
        .collect();
    let sql = format!(
        "SELECT {} FROM \"{}\" WHERE {condition} {tail}",
        names.join(", "),
        object.singular
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let mut record = Map::new();
        for (index, column) in columns.iter().enumerate() {
            let value = shown(column, row.get_ref(index)?);
            match column.part {
                None => _ = record.insert(column.key.clone(), value),
                Some(part) => {
                    if let Value::Object(parts) = record
                        .entry(column.key.clone())
                        .or_insert_with(|| json!({}))
                    {
                        parts.insert(part.to_owned(), value);
                    }
                }
            }
        }
        records.push(Value::Object(record));
    }
    Ok(records)
}

/// A JSON value in the form in which its column stores and compares it.
pub(super) fn stored(column: &Column, value: &Value) -> Result<Sql, Refusal> {
    let wrong = || {
        let name = column.part.unwrap_or(&column.key);
        Refusal::bad_input(
            format!("Invalid value for field \"{name}\""),
            "INVALID_ARGS_DATA",
        )
    };
    if value.is_null() {
        // Text has no null at Twenty; an empty one stands for it.
        return Ok(if column.column_type == ColumnType::Text {
            Sql::Text(String::new())
        } else {
            Sql::Null
        });
    }
    Ok(match column.column_type {
        ColumnType::Text | ColumnType::Uuid | ColumnType::Enum => {
            Sql::Text(value.as_str().ok_or_else(wrong)?.to_owned())
        }
        ColumnType::Number => Sql::Real(value.as_f64().ok_or_else(wrong)?),
        ColumnType::BigFloat => {
            let parsed = value.as_str().and_then(|text| text.parse().ok());
            #[allow(clippy::cast_possible_truncation)] // Amounts in millionths stay far below 2^53.
            let number = parsed
                .or_else(|| value.as_i64())
                .or_else(|| value.as_f64().map(|number| number as i64));
            Sql::Integer(number.ok_or_else(wrong)?)
        }
        ColumnType::Boolean => Sql::Integer(value.as_bool().ok_or_else(wrong)?.into()),
        ColumnType::DateTime => Sql::Text(value.as_str().and_then(normalised).ok_or_else(wrong)?),
        ColumnType::Json | ColumnType::EnumList => Sql::Text(value.to_string()),
    })
}

fn shown(column: &Column, value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Integer(number) if column.column_type == ColumnType::Boolean => {
            (number != 0).into()
        }
        ValueRef::Integer(number) => number.into(),
        #[allow(clippy::cast_possible_truncation)] // Guarded: whole, and far inside the range.
        ValueRef::Real(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            (number as i64).into()
        }
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => {
            let text = String::from_utf8_lossy(text);
            match column.column_type {
                ColumnType::Json | ColumnType::EnumList => {
                    serde_json::from_str(&text).unwrap_or(Value::Null)
                }
                _ => text.into(),
            }
        }
        ValueRef::Null | ValueRef::Blob(_) => Value::Null,
    }
}
