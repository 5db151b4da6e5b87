//! The records of the workspace on `/graphql`: for each object a connection, a single record, and the mutations, under
//! the type names that Twenty generates.

use std::sync::Arc;

use async_graphql::dynamic::{
    Field, FieldFuture, FieldValue, InputObject, InputValue, Object, ResolverContext,
};
use async_graphql::dynamic::{SchemaBuilder, TypeRef};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::call::caller;
use super::parts::{argument, input, keyed, plain, shown, text, type_ref, with_arguments, words};
use crate::auth::Auth;
use crate::auth::Caller;
use crate::events::{Action, Event, Events};
use crate::objects::{self, ACTOR_SOURCES, ColumnType, Kind, OBJECTS};
use crate::records::{self, PageRequest};
use crate::refusal::Refusal;
use crate::store::Store;

pub(super) fn register(
    mut query: Object,
    mut mutation: Object,
    mut builder: SchemaBuilder,
) -> (Object, Object, SchemaBuilder) {
    builder = register_shared(builder);
    for object in OBJECTS.iter() {
        query = query
            .field(many(object.plural, object, None))
            .field(one(object));
        for field in mutations(object) {
            mutation = mutation.field(field);
        }
        builder = register_object(builder, object);
    }
    (query, mutation, builder)
}

/// The connection of an object: all of its records, or with `by` those whose relation names the parent.
fn many(name: &str, object: &'static objects::Object, by: Option<&'static str>) -> Field {
    let type_name = object.type_name;
    let field = Field::new(
        name,
        type_ref(&format!("{type_name}Connection")),
        move |context| {
            FieldFuture::new(async move {
                caller(&context)?;
                let node = context.look_ahead().field("edges").field("node");
                let relations = to_one(object)
                    .filter(|relation| node.field(relation).exists())
                    .collect();
                let number = |name| argument(&context, name).as_i64();
                let cursor = |name| argument(&context, name).as_str().map(str::to_owned);
                let within = by.and_then(|by| {
                    let id = parent_json(&context)["id"].as_str()?.to_owned();
                    Some((object.field(by)?.key(), id))
                });
                let request = PageRequest {
                    filter: argument(&context, "filter"),
                    order_by: argument(&context, "orderBy"),
                    first: number("first"),
                    last: number("last"),
                    after: cursor("after"),
                    before: cursor("before"),
                    within,
                    relations,
                };
                on_store(&context, move |connection| {
                    records::list(connection, object, &request)
                })
                .await
            })
        },
    );
    with_arguments(
        field,
        &[
            ("filter", &format!("{type_name}FilterInput")),
            ("orderBy", &format!("[{type_name}OrderByInput]")),
            ("first", "Int"),
            ("last", "Int"),
            ("after", "String"),
            ("before", "String"),
        ],
    )
}

fn one(object: &'static objects::Object) -> Field {
    let field = Field::new(
        object.singular,
        type_ref(object.type_name),
        move |context| {
            FieldFuture::new(async move {
                caller(&context)?;
                let filter = argument(&context, "filter");
                on_store(&context, move |connection| {
                    records::one(connection, object, &filter)
                })
                .await
            })
        },
    );
    with_arguments(
        field,
        &[("filter", &format!("{}FilterInput!", object.type_name))],
    )
}

fn mutations(object: &'static objects::Object) -> Vec<Field> {
    let type_name = object.type_name;
    let named = |verb: &str| format!("{verb}{type_name}");
    let create = Field::new(named("create"), type_ref(type_name), move |context| {
        FieldFuture::new(async move {
            let Caller {
                account,
                membership,
            } = caller(&context)?;
            let created_by = json!({
                "source": "MANUAL",
                "workspaceMemberId": membership.map(|membership| membership.member_id),
                "name": account.full_name(),
                "context": null,
            });
            let (data, now) = (argument(&context, "data"), now(&context));
            change(&context, Action::Created, object, move |connection| {
                records::create(connection, object, &data, now, &created_by)
            })
            .await
        })
    });
    let update = Field::new(named("update"), type_ref(type_name), move |context| {
        FieldFuture::new(async move {
            caller(&context)?;
            let (id, data, now) = (
                text(&context, "id"),
                argument(&context, "data"),
                now(&context),
            );
            change(&context, Action::Updated, object, move |connection| {
                records::update(connection, object, &id, &data, now)
            })
            .await
        })
    });
    let marked = |verb: &str, action: Action| {
        let field = Field::new(named(verb), type_ref(type_name), move |context| {
            FieldFuture::new(async move {
                caller(&context)?;
                let id = text(&context, "id");
                let at = (action == Action::Deleted).then(|| now(&context));
                change(&context, action, object, move |connection| {
                    records::mark_deleted(connection, object, &id, at)
                })
                .await
            })
        });
        with_arguments(field, &[("id", "UUID!")])
    };
    let destroy = Field::new(named("destroy"), type_ref(type_name), move |context| {
        FieldFuture::new(async move {
            caller(&context)?;
            let id = text(&context, "id");
            change(&context, Action::Destroyed, object, move |connection| {
                records::destroy(connection, object, &id)
            })
            .await
        })
    });
    vec![
        with_arguments(create, &[("data", &format!("{type_name}CreateInput!"))]),
        with_arguments(
            update,
            &[
                ("id", "UUID!"),
                ("data", &format!("{type_name}UpdateInput!")),
            ],
        ),
        marked("delete", Action::Deleted),
        marked("restore", Action::Restored),
        with_arguments(destroy, &[("id", "UUID!")]),
    ]
}

/// A relation to one record. A page has fetched it already; below a single record it is fetched here.
fn related(field: &'static objects::Field, target: &'static objects::Object) -> Field {
    Field::new(field.name, type_ref(target.type_name), move |context| {
        FieldFuture::new(async move {
            let parent = parent_json(&context);
            match parent.get(field.name) {
                Some(Value::Null) => return Ok(None),
                Some(fetched) => return Ok(shown(fetched.clone())?),
                None => {}
            }
            let Some(id) = parent[field.key()].as_str().map(str::to_owned) else {
                return Ok(None);
            };
            on_store(&context, move |connection| {
                Ok(records::by_ids(connection, target, &[id])?
                    .into_iter()
                    .next()
                    .unwrap_or_default())
            })
            .await
        })
    })
}

fn register_object(mut builder: SchemaBuilder, object: &'static objects::Object) -> SchemaBuilder {
    let type_name = object.type_name;
    let mut output = Object::new(type_name);
    let mut filter = InputObject::new(format!("{type_name}FilterInput"));
    let mut order = InputObject::new(format!("{type_name}OrderByInput"));
    let mut create = InputObject::new(format!("{type_name}CreateInput"));
    let mut update = InputObject::new(format!("{type_name}UpdateInput"));
    let value = |name: &str, ty: &str| InputValue::new(name.to_owned(), type_ref(ty));
    for field in &object.fields {
        match field.kind {
            Kind::Many { target, by } => {
                output = output.field(many(field.name, objects::object(target), Some(by)));
                continue;
            }
            Kind::One { target } => output = output.field(related(field, objects::object(target))),
            _ => {}
        }
        let key = field.key();
        let (shown, filtered, ordered, written) = match field.kind.composite() {
            Some((name, _)) => (
                name.to_owned(),
                format!("{name}FilterInput"),
                format!("{name}OrderByInput"),
                (format!("{name}CreateInput"), format!("{name}UpdateInput")),
            ),
            None => {
                let (shown, filtered, written) = leaf(object, field);
                (
                    shown,
                    filtered,
                    "OrderByDirection".to_owned(),
                    (written.clone(), written),
                )
            }
        };
        output = output.field(keyed(&key, &shown, &key));
        filter = filter.field(value(&key, &filtered));
        order = order.field(value(&key, &ordered));
        create = create.field(value(&key, &written.0));
        update = update.field(value(&key, &written.1));
        if !field.kind.choices().is_empty() {
            let name = field.enum_name(object);
            builder = builder
                .register(words(
                    &name,
                    field.kind.choices().iter().map(|choice| choice.value),
                ))
                .register(word_filter(&name));
        }
    }
    let list = format!("[{type_name}FilterInput]");
    filter = filter.field(value("and", &list)).field(value("or", &list));
    filter = filter.field(value("not", &format!("{type_name}FilterInput")));
    let connection = plain(
        &format!("{type_name}Connection"),
        &[
            ("edges", &format!("[{type_name}Edge!]")),
            ("pageInfo", "PageInfo"),
            ("totalCount", "Int"),
        ],
    );
    let edge = plain(
        &format!("{type_name}Edge"),
        &[("node", type_name), ("cursor", "Cursor")],
    );
    builder
        .register(output)
        .register(filter)
        .register(order)
        .register(create)
        .register(update)
        .register(connection)
        .register(edge)
}

/// Types of a field with one column: shown, filtered, written.
fn leaf(object: &objects::Object, field: &objects::Field) -> (String, String, String) {
    let (shown, filtered, written) = match field.kind {
        Kind::Uuid => ("UUID", "UUIDFilter", "ID"),
        Kind::One { .. } => ("ID", "UUIDFilter", "ID"),
        Kind::Number => ("Float", "FloatFilter", "Float"),
        Kind::Position => ("Position", "FloatFilter", "Position"),
        Kind::Boolean => ("Boolean", "BooleanFilter", "Boolean"),
        Kind::DateTime => ("DateTime", "DateFilter", "DateTime"),
        Kind::Select(_) | Kind::Rating => {
            let name = field.enum_name(object);
            return (name.clone(), format!("{name}Filter"), name);
        }
        Kind::MultiSelect(_) => {
            let name = field.enum_name(object);
            return (
                format!("[{name}]"),
                format!("{name}Filter"),
                format!("[{name}]"),
            );
        }
        _ => ("String", "StringFilter", "String"),
    };
    (shown.to_owned(), filtered.to_owned(), written.to_owned())
}

/// Types that all objects share: composites with their inputs, filters, directions.
fn register_shared(mut builder: SchemaBuilder) -> SchemaBuilder {
    let compared = |name: &str, ty: &str, more: &[(&str, &str)]| {
        let list = format!("[{ty}!]");
        let mut fields: Vec<(&str, &str)> = ["eq", "neq", "gt", "gte", "lt", "lte"]
            .map(|name| (name, ty))
            .to_vec();
        fields.push(("in", &list));
        fields.push(("is", "FilterIs"));
        fields.extend(more);
        input(name, &fields)
    };
    let patterns: Vec<(&str, &str)> = ["startsWith", "like", "ilike", "regex", "iregex"]
        .map(|name| (name, "String"))
        .to_vec();
    builder = builder
        .register(words(
            "OrderByDirection",
            [
                "AscNullsFirst",
                "AscNullsLast",
                "DescNullsFirst",
                "DescNullsLast",
            ],
        ))
        .register(words("FilterIs", ["NULL", "NOT_NULL"]))
        .register(words("ActorSourceEnum", ACTOR_SOURCES))
        .register(word_filter("ActorSourceEnum"))
        .register(compared("StringFilter", "String", &patterns))
        .register(compared("UUIDFilter", "UUID", &[]))
        .register(compared("FloatFilter", "Float", &[]))
        .register(compared("BigFloatFilter", "BigFloat", &[]))
        .register(compared("DateFilter", "Date", &[]))
        .register(input(
            "BooleanFilter",
            &[("eq", "Boolean"), ("is", "FilterIs")],
        ))
        .register(input(
            "RawJsonFilter",
            &[("like", "String"), ("is", "FilterIs")],
        ));
    for kind in Kind::COMPOSITES {
        let Some((name, parts)) = kind.composite() else {
            continue;
        };
        let typed = |of: fn(ColumnType) -> &'static str| -> Vec<(&str, &str)> {
            parts
                .iter()
                .map(|(part, column_type)| (*part, of(*column_type)))
                .collect()
        };
        let ordered: Vec<(&str, &str)> = parts
            .iter()
            .map(|(part, _)| (*part, "OrderByDirection"))
            .collect();
        builder = builder
            .register(plain(name, &typed(part_type)))
            .register(input(&format!("{name}FilterInput"), &typed(part_filter)))
            .register(input(&format!("{name}OrderByInput"), &ordered))
            .register(input(&format!("{name}CreateInput"), &typed(part_type)))
            .register(input(&format!("{name}UpdateInput"), &typed(part_type)));
    }
    builder
}

fn part_type(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Uuid => "UUID",
        ColumnType::BigFloat | ColumnType::Number => "BigFloat",
        ColumnType::Json => "JSON",
        ColumnType::Enum => "ActorSourceEnum",
        _ => "String",
    }
}

fn part_filter(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Uuid => "UUIDFilter",
        ColumnType::BigFloat | ColumnType::Number => "BigFloatFilter",
        ColumnType::Json => "RawJsonFilter",
        ColumnType::Enum => "ActorSourceEnumFilter",
        _ => "StringFilter",
    }
}

fn word_filter(name: &str) -> InputObject {
    let list = format!("[{name}]");
    input(
        &format!("{name}Filter"),
        &[
            ("eq", name),
            ("neq", name),
            ("in", &list),
            ("containsAny", &list),
            ("is", "FilterIs"),
            ("isEmptyArray", TypeRef::BOOLEAN),
        ],
    )
}

fn to_one(object: &'static objects::Object) -> impl Iterator<Item = &'static str> {
    object
        .fields
        .iter()
        .filter(|field| matches!(field.kind, Kind::One { .. }))
        .map(|field| field.name)
}

fn parent_json(context: &ResolverContext<'_>) -> Value {
    context
        .parent_value
        .as_value()
        .and_then(|value| value.clone().into_json().ok())
        .unwrap_or_default()
}

fn now(context: &ResolverContext<'_>) -> i64 {
    context.data::<Arc<Auth>>().map_or(0, |auth| auth.now())
}

/// Does the work on the store, shows the record that it answers, and tells the streams of it.
async fn change<W>(
    context: &ResolverContext<'_>,
    action: Action,
    object: &'static objects::Object,
    work: W,
) -> async_graphql::Result<Option<FieldValue<'static>>>
where
    W: FnOnce(&mut Connection) -> Result<Value, Refusal> + Send + 'static,
{
    let (events, at) = (context.data::<Events>()?.clone(), now(context));
    let updated_fields = (action == Action::Updated).then(|| {
        let data = argument(context, "data");
        let fields = data.as_object().into_iter().flatten();
        fields.map(|(name, _)| name.clone()).collect()
    });
    on_store(context, move |connection| {
        let record = work(connection)?;
        // While the store is held: events come in the order of what they tell of.
        events.tell(Event {
            action,
            object: object.singular,
            at,
            updated_fields,
            record: record.clone(),
        });
        Ok(record)
    })
    .await
}

/// Does the work on the store and shows what it finds. All fields here may be null: a refusal makes this one field null
/// and leaves the others alone.
async fn on_store<W>(
    context: &ResolverContext<'_>,
    work: W,
) -> async_graphql::Result<Option<FieldValue<'static>>>
where
    W: FnOnce(&mut Connection) -> Result<Value, Refusal> + Send + 'static,
{
    let store = context.data::<Arc<Store>>()?;
    match store.run(work).await {
        Ok(Value::Null) => Ok(None),
        Ok(value) => Ok(shown(value)?),
        Err(refusal) => {
            let error = async_graphql::Error::from(refusal).into_server_error(context.ctx.item.pos);
            context.ctx.add_error(context.ctx.set_error_path(error));
            Ok(None)
        }
    }
}
