//! Small pieces from which the schemas are put together. Resolvers below the roots pass JSON objects down, and each
//! field takes its own key from the object above it.

use async_graphql::dynamic::{
    Enum, Field, FieldFuture, FieldValue, InputObject, InputValue, Object, ResolverContext,
};
use async_graphql::dynamic::{Scalar, SchemaBuilder, TypeRef};
use async_graphql::{Name, Value};

use crate::refusal::Refusal;

/// The scalars that Twenty adds to GraphQL's own.
const SCALARS: [&str; 9] = [
    "UUID",
    "DateTime",
    "Date",
    "Position",
    "BigFloat",
    "JSON",
    "RawJSONScalar",
    "Cursor",
    "ConnectionCursor",
];

pub(super) fn register_scalars(mut builder: SchemaBuilder) -> SchemaBuilder {
    for name in SCALARS {
        builder = builder.register(Scalar::new(name));
    }
    let page_info = plain(
        "PageInfo",
        &[
            ("hasNextPage", "Boolean!"),
            ("hasPreviousPage", "Boolean!"),
            ("startCursor", "ConnectionCursor"),
            ("endCursor", "ConnectionCursor"),
        ],
    );
    builder.register(page_info)
}

/// A type as GraphQL writes it: `[String!]!`.
pub(super) fn type_ref(text: &str) -> TypeRef {
    if let Some(inner) = text.strip_suffix('!') {
        return TypeRef::NonNull(Box::new(type_ref(inner)));
    }
    if let Some(inner) = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
    {
        return TypeRef::List(Box::new(type_ref(inner)));
    }
    TypeRef::named(text.to_owned())
}

/// An object type whose fields are the keys of a JSON object.
pub(super) fn plain(name: &str, fields: &[(&str, &str)]) -> Object {
    fields
        .iter()
        .fold(Object::new(name), |object, (field, ty)| {
            object.field(keyed(field, ty, field))
        })
}

/// A field that shows the parent's `key`.
pub(super) fn keyed(name: &str, ty: &str, key: &str) -> Field {
    let key = Name::new(key);
    Field::new(name, type_ref(ty), move |context| {
        let value = match context.parent_value.as_value() {
            Some(Value::Object(parent)) => parent
                .get(&key)
                .filter(|value| **value != Value::Null)
                .cloned(),
            _ => None,
        };
        FieldFuture::from_value(value)
    })
}

/// Arguments, in the form `("first", "Int")`.
pub(super) fn with_arguments(field: Field, arguments: &[(&str, &str)]) -> Field {
    arguments.iter().fold(field, |field, (name, ty)| {
        field.argument(InputValue::new(*name, type_ref(ty)))
    })
}

/// An input type, in the same form.
pub(super) fn input(name: &str, fields: &[(&str, &str)]) -> InputObject {
    fields
        .iter()
        .fold(InputObject::new(name), |object, (name, ty)| {
            object.field(InputValue::new(*name, type_ref(ty)))
        })
}

pub(super) fn words<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> Enum {
    values
        .into_iter()
        .fold(Enum::new(name), |words, value| words.item(value))
}

/// An argument as JSON; absent is null.
pub(super) fn argument(context: &ResolverContext<'_>, name: &str) -> serde_json::Value {
    context
        .args
        .get(name)
        .and_then(|value| value.as_value().clone().into_json().ok())
        .unwrap_or_default()
}

/// A text argument; absent is empty.
pub(super) fn text(context: &ResolverContext<'_>, name: &str) -> String {
    argument(context, name)
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// JSON on its way into a response.
pub(super) fn shown(value: serde_json::Value) -> Result<Option<FieldValue<'static>>, Refusal> {
    let value = Value::from_json(value).map_err(|error| Refusal::internal(error.to_string()))?;
    Ok(Some(FieldValue::value(value)))
}
