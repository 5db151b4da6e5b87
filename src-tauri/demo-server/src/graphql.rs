//! The schemas. Which one answers a call depends on the endpoint, on who calls, and on two switches: as at Twenty, a
//! call without a workspace does not even see that records exist.

mod account;
mod call;
mod files;
mod metadata;
mod parts;
mod subscriptions;
mod workspace;

use std::sync::Arc;

use async_graphql::dynamic::{Object, Schema, SchemaBuilder, SchemaError};

use crate::auth::Auth;

pub(crate) use call::{Call, Endpoint};

/// What decides about the schema of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) endpoint: Endpoint,
    /// The caller's token names a workspace.
    pub(crate) in_workspace: bool,
    pub(crate) old_token_field: bool,
    pub(crate) auth_on_metadata_only: bool,
}

/// All schemas, built once.
pub(crate) struct Schemas {
    schemas: Vec<(View, Schema)>,
}

impl Schemas {
    pub(crate) fn build(auth: &Arc<Auth>) -> Result<Self, SchemaError> {
        let mut schemas = Vec::new();
        for endpoint in [Endpoint::Graphql, Endpoint::Metadata] {
            for bits in 0..8_u8 {
                let view = View {
                    endpoint,
                    in_workspace: bits & 1 != 0,
                    old_token_field: bits & 2 != 0,
                    auth_on_metadata_only: bits & 4 != 0,
                };
                schemas.push((view, schema(view, auth)?));
            }
        }
        Ok(Self { schemas })
    }

    pub(crate) fn of(&self, view: View) -> &Schema {
        let found = self
            .schemas
            .iter()
            .find(|(candidate, _)| *candidate == view);
        // Every combination was built; the first one only satisfies the type.
        &found.unwrap_or(&self.schemas[0]).1
    }
}

fn schema(view: View, auth: &Arc<Auth>) -> Result<Schema, SchemaError> {
    let mut query = Object::new("Query");
    let mut mutation = Object::new("Mutation");
    let with_subscriptions = view.endpoint == Endpoint::Graphql;
    let subscription = with_subscriptions.then_some(subscriptions::ROOT);
    let mut builder: SchemaBuilder = Schema::build("Query", Some("Mutation"), subscription)
        .data(Arc::clone(auth))
        // Deep enough for introspection and for any screen, and no danger to the stack.
        .limit_depth(32);
    builder = parts::register_scalars(builder);
    let with_auth = view.endpoint == Endpoint::Metadata || !view.auth_on_metadata_only;
    (query, mutation, builder) =
        account::register(query, mutation, builder, with_auth, view.old_token_field);
    (mutation, builder) = files::register(mutation, builder);
    (query, builder) = metadata::register(query, builder, view.endpoint);
    if with_subscriptions {
        builder = subscriptions::register(builder);
    }
    if view.endpoint == Endpoint::Graphql && view.in_workspace {
        (query, mutation, builder) = workspace::register(query, mutation, builder);
    }
    builder.register(query).register(mutation).finish()
}
