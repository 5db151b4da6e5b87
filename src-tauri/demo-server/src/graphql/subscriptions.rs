//! `onDbEvent` on `/graphql`: what happens to records, for those who are in the workspace.

use async_graphql::dynamic::{
    InputValue, ResolverContext, SchemaBuilder, Subscription, SubscriptionField,
    SubscriptionFieldFuture,
};
use futures_util::{Stream, stream};
use serde_json::{Value, json};

use super::call::caller;
use super::parts::{argument, input, plain, type_ref, words};
use crate::clock::iso;
use crate::events::{Action, Event, Events};
use crate::refusal::Refusal;

/// The schema's root of subscriptions.
pub(super) const ROOT: &str = "Subscription";

pub(super) fn register(builder: SchemaBuilder) -> SchemaBuilder {
    let on_db_event = SubscriptionField::new("onDbEvent", type_ref("OnDbEventDTO!"), |context| {
        SubscriptionFieldFuture::new(async move { Ok(events(&context)?) })
    })
    .argument(InputValue::new("input", type_ref("OnDbEventInput!")));
    builder
        .register(Subscription::new(ROOT).field(on_db_event))
        .register(words("DatabaseEventAction", Action::ALL.map(Action::name)))
        .register(input(
            "OnDbEventInput",
            &[
                ("action", "DatabaseEventAction"),
                ("objectNameSingular", "String"),
                ("recordId", "UUID"),
            ],
        ))
        .register(plain(
            "OnDbEventDTO",
            &[
                ("action", "DatabaseEventAction!"),
                ("objectNameSingular", "String!"),
                ("eventDate", "DateTime!"),
                ("updatedFields", "[String!]"),
                ("record", "JSON!"),
            ],
        ))
}

/// The events that the input asks for, from now on.
fn events(
    context: &ResolverContext<'_>,
) -> Result<impl Stream<Item = async_graphql::Result<async_graphql::Value>> + Send + use<>, Refusal>
{
    if caller(context)?.membership.is_none() {
        return Err(Refusal::forbidden_resource());
    }
    let heard = context
        .data::<Events>()
        .map_err(|error| Refusal::internal(error.message))?
        .hear();
    let input = argument(context, "input");
    Ok(stream::unfold(
        (heard, input),
        |(mut heard, input)| async move {
            loop {
                let event = heard.next().await?;
                if is_asked_for(&event, &input) {
                    return Some((shown(&event), (heard, input)));
                }
            }
        },
    ))
}

/// What the input leaves out, or names as null, is not asked about.
fn is_asked_for(event: &Event, input: &Value) -> bool {
    let fits = |name: &str, value: &str| input[name].as_str().is_none_or(|asked| asked == value);
    fits("action", event.action.name())
        && fits("objectNameSingular", event.object)
        && fits("recordId", event.record["id"].as_str().unwrap_or_default())
}

fn shown(event: &Event) -> async_graphql::Result<async_graphql::Value> {
    let event = json!({
        "action": event.action.name(),
        "objectNameSingular": event.object,
        "eventDate": iso(event.at),
        "updatedFields": event.updated_fields,
        "record": event.record,
    });
    Ok(async_graphql::Value::from_json(event)?)
}
