//! `objects`: what the workspace consists of, as `/metadata` tells it. On `/graphql` the field exists without its
//! argument and finds nothing, as at Twenty.

use std::sync::LazyLock;

use async_graphql::dynamic::{Field, FieldFuture, Object, SchemaBuilder};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::call::{Endpoint, caller};
use super::parts::{argument, input, plain, shown, type_ref, with_arguments, words};
use crate::objects::{self, Kind, OBJECTS};
use crate::refusal::Refusal;
use crate::seed::fixed_id;

/// Objects of one page where the caller names no number, Twenty's default.
const PAGE_LENGTH: u64 = 10;
/// When the demo's objects were defined; only a date that never changes.
const DEFINED_AT: &str = "2025-01-06T08:00:00.000Z";
/// What a cursor says before the object's number.
const CURSOR_PREFIX: &str = "arrayconnection:";

pub(super) fn register(
    query: Object,
    mut builder: SchemaBuilder,
    endpoint: Endpoint,
) -> (Object, SchemaBuilder) {
    for object in types() {
        builder = builder.register(object);
    }
    builder = builder
        .register(words("RelationType", ["ONE_TO_MANY", "MANY_TO_ONE"]))
        .register(words(
            "FieldMetadataType",
            [
                "UUID",
                "TEXT",
                "PHONES",
                "EMAILS",
                "DATE_TIME",
                "DATE",
                "BOOLEAN",
                "NUMBER",
                "NUMERIC",
                "LINKS",
                "CURRENCY",
                "FULL_NAME",
                "RATING",
                "SELECT",
                "MULTI_SELECT",
                "RELATION",
                "MORPH_RELATION",
                "POSITION",
                "ADDRESS",
                "RAW_JSON",
                "RICH_TEXT",
                "RICH_TEXT_V2",
                "ACTOR",
                "ARRAY",
                "TS_VECTOR",
            ],
        ));
    let field = match endpoint {
        Endpoint::Graphql => Field::new("objects", type_ref("ObjectConnection!"), |context| {
            FieldFuture::new(async move {
                caller(&context)?;
                Ok(shown(connection(&Value::Null, &[])?)?)
            })
        }),
        Endpoint::Metadata => {
            builder = builder.register(input(
                "CursorPaging",
                &[
                    ("before", "ConnectionCursor"),
                    ("after", "ConnectionCursor"),
                    ("first", "Int"),
                    ("last", "Int"),
                ],
            ));
            let field = Field::new("objects", type_ref("ObjectConnection!"), |context| {
                FieldFuture::new(async move {
                    caller(&context)?;
                    Ok(shown(connection(
                        &argument(&context, "paging"),
                        &DEFINITIONS,
                    )?)?)
                })
            });
            with_arguments(field, &[("paging", "CursorPaging")])
        }
    };
    (query.field(field), builder)
}

/// One page of the definitions, forward only: Twenty's own pages ask no other way.
fn connection(paging: &Value, definitions: &[Value]) -> Result<Value, Refusal> {
    let start = match paging["after"].as_str() {
        None => 0,
        Some(cursor) => {
            let number = STANDARD.decode(cursor).ok().and_then(|bytes| {
                String::from_utf8(bytes)
                    .ok()?
                    .strip_prefix(CURSOR_PREFIX)?
                    .parse::<usize>()
                    .ok()
            });
            let number = number.ok_or_else(|| {
                Refusal::bad_input(format!("Invalid cursor: {cursor}"), "INVALID_CURSOR")
            })?;
            number.saturating_add(1).min(definitions.len())
        }
    };
    let first =
        usize::try_from(paging["first"].as_u64().unwrap_or(PAGE_LENGTH)).unwrap_or(usize::MAX);
    let end = start.saturating_add(first).min(definitions.len());
    let cursor = |number: usize| STANDARD.encode(format!("{CURSOR_PREFIX}{number}"));
    let edges: Vec<Value> = (start..end)
        .map(|number| json!({ "node": definitions[number], "cursor": cursor(number) }))
        .collect();
    Ok(json!({
        "pageInfo": {
            "hasNextPage": end < definitions.len(),
            "hasPreviousPage": start > 0,
            "startCursor": edges.first().map(|edge| edge["cursor"].clone()),
            "endCursor": edges.last().map(|edge| edge["cursor"].clone()),
        },
        "edges": edges,
    }))
}

static DEFINITIONS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    OBJECTS
        .iter()
        .map(|object| {
            let mut definition = object_definition(object);
            definition["fieldsList"] = object
                .fields
                .iter()
                .map(|field| field_definition(object, field))
                .collect();
            definition
        })
        .collect()
});

/// An object without its fields, as relations show it.
fn object_definition(object: &objects::Object) -> Value {
    let label_field = object
        .field(object.label_field)
        .map(|field| field_id(object, field));
    json!({
        "id": fixed_id("object", object.singular),
        "nameSingular": object.singular,
        "namePlural": object.plural,
        "labelSingular": object.label_singular,
        "labelPlural": object.label_plural,
        "description": object.description,
        "icon": object.icon,
        "shortcut": null,
        "isCustom": false,
        "isRemote": false,
        "isActive": true,
        "isSystem": object.is_system,
        "isUIReadOnly": false,
        "isSearchable": !object.is_system,
        "createdAt": DEFINED_AT,
        "updatedAt": DEFINED_AT,
        "labelIdentifierFieldMetadataId": label_field,
        "imageIdentifierFieldMetadataId": object.field("avatarUrl").map(|field| field_id(object, field)),
        "isLabelSyncedWithName": false,
        "duplicateCriteria": null,
        "fieldsList": [],
        "indexMetadataList": [],
    })
}

fn field_definition(object: &objects::Object, field: &objects::Field) -> Value {
    let options: Vec<Value> = field
        .kind
        .choices()
        .iter()
        .enumerate()
        .map(|(position, choice)| {
            json!({
                "id": fixed_id("option", &format!("{}.{}.{}", object.singular, field.name, choice.value)),
                "value": choice.value,
                "label": choice.label,
                "color": choice.color,
                "position": position,
            })
        })
        .collect();
    let settings = match field.kind {
        Kind::One { .. } => json!({
            "relationType": "MANY_TO_ONE", "onDelete": "SET_NULL", "joinColumnName": field.key(),
        }),
        Kind::Many { .. } => json!({ "relationType": "ONE_TO_MANY" }),
        _ => Value::Null,
    };
    let mut definition = short_field_definition(object, field);
    definition["options"] = if options.is_empty() {
        Value::Null
    } else {
        options.into()
    };
    definition["settings"] = settings;
    definition["defaultValue"] = match field.kind {
        Kind::Text => "''".into(),
        Kind::Select(choices) => format!("'{}'", choices[0].value).into(),
        Kind::Boolean => false.into(),
        _ => Value::Null,
    };
    definition["relation"] = relation(object, field);
    definition
}

fn short_field_definition(object: &objects::Object, field: &objects::Field) -> Value {
    json!({
        "id": field_id(object, field),
        "type": field.kind.metadata_name(),
        "name": field.name,
        "label": field.label,
        "description": null,
        "icon": field.icon,
        "isCustom": false,
        "isActive": true,
        "isSystem": field.is_system,
        "isUIReadOnly": field.is_system,
        "isNullable": field.nullable,
        "isUnique": field.unique,
        "isLabelSyncedWithName": false,
        "createdAt": DEFINED_AT,
        "updatedAt": DEFINED_AT,
    })
}

/// Both ends of a relation. Where the other object has no field for it, the other end is the object's id.
fn relation(object: &objects::Object, field: &objects::Field) -> Value {
    let (kind, target, other) = match field.kind {
        Kind::One { target } => {
            let target = objects::object(target);
            let back = target.fields.iter().find(|candidate| {
                matches!(candidate.kind, Kind::Many { target, by } if target == object.singular && by == field.name)
            });
            ("MANY_TO_ONE", target, back)
        }
        Kind::Many { target, by } => {
            let target = objects::object(target);
            ("ONE_TO_MANY", target, target.field(by))
        }
        _ => return Value::Null,
    };
    json!({
        "type": kind,
        "sourceObjectMetadata": object_definition(object),
        "targetObjectMetadata": object_definition(target),
        "sourceFieldMetadata": short_field_definition(object, field),
        "targetFieldMetadata": short_field_definition(target, other.unwrap_or(&target.fields[0])),
    })
}

fn field_id(object: &objects::Object, field: &objects::Field) -> String {
    fixed_id("field", &format!("{}.{}", object.singular, field.name))
}

fn types() -> Vec<Object> {
    vec![
        plain(
            "ObjectConnection",
            &[("pageInfo", "PageInfo!"), ("edges", "[ObjectEdge!]!")],
        ),
        plain(
            "ObjectEdge",
            &[("node", "Object!"), ("cursor", "ConnectionCursor!")],
        ),
        plain(
            "Object",
            &[
                ("id", "UUID!"),
                ("nameSingular", "String!"),
                ("namePlural", "String!"),
                ("labelSingular", "String!"),
                ("labelPlural", "String!"),
                ("description", "String"),
                ("icon", "String"),
                ("shortcut", "String"),
                ("isCustom", "Boolean!"),
                ("isRemote", "Boolean!"),
                ("isActive", "Boolean!"),
                ("isSystem", "Boolean!"),
                ("isUIReadOnly", "Boolean!"),
                ("isSearchable", "Boolean!"),
                ("createdAt", "DateTime!"),
                ("updatedAt", "DateTime!"),
                ("labelIdentifierFieldMetadataId", "UUID"),
                ("imageIdentifierFieldMetadataId", "UUID"),
                ("isLabelSyncedWithName", "Boolean!"),
                ("duplicateCriteria", "JSON"),
                ("fieldsList", "[Field!]!"),
                ("indexMetadataList", "[Index!]!"),
            ],
        ),
        plain(
            "Field",
            &[
                ("id", "UUID!"),
                ("type", "FieldMetadataType!"),
                ("name", "String!"),
                ("label", "String!"),
                ("description", "String"),
                ("icon", "String"),
                ("isCustom", "Boolean"),
                ("isActive", "Boolean"),
                ("isSystem", "Boolean"),
                ("isUIReadOnly", "Boolean"),
                ("isNullable", "Boolean"),
                ("isUnique", "Boolean"),
                ("defaultValue", "JSON"),
                ("options", "JSON"),
                ("settings", "JSON"),
                ("isLabelSyncedWithName", "Boolean"),
                ("createdAt", "DateTime!"),
                ("updatedAt", "DateTime!"),
                ("relation", "Relation"),
            ],
        ),
        plain(
            "Relation",
            &[
                ("type", "RelationType!"),
                ("sourceObjectMetadata", "Object!"),
                ("targetObjectMetadata", "Object!"),
                ("sourceFieldMetadata", "Field!"),
                ("targetFieldMetadata", "Field!"),
            ],
        ),
        plain(
            "Index",
            &[
                ("id", "UUID!"),
                ("createdAt", "DateTime!"),
                ("updatedAt", "DateTime!"),
                ("name", "String!"),
                ("isUnique", "Boolean"),
                ("indexWhereClause", "String"),
                ("indexType", "String!"),
                ("indexFieldMetadataList", "[IndexField!]!"),
            ],
        ),
        plain(
            "IndexField",
            &[
                ("id", "UUID!"),
                ("fieldMetadataId", "UUID!"),
                ("order", "Float!"),
                ("createdAt", "DateTime!"),
                ("updatedAt", "DateTime!"),
            ],
        ),
    ]
}
