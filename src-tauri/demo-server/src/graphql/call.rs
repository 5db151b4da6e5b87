//! One call, as its resolvers see it: where it was sent, and by whom.

use std::sync::{Arc, Mutex};

use async_graphql::dynamic::ResolverContext;

use crate::auth::{Caller, LinkSeen};
use crate::refusal::Refusal;

/// Where a call was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Graphql,
    Metadata,
}

impl Endpoint {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Graphql => "graphql",
            Self::Metadata => "metadata",
        }
    }
}

/// What resolvers find in each request.
pub(crate) struct Call {
    pub(crate) caller: Option<Caller>,
    pub(crate) link_seen: LinkSeen,
}

impl Call {
    pub(crate) fn new(caller: Option<Caller>) -> Self {
        Self {
            caller,
            link_seen: Arc::new(Mutex::new(None)),
        }
    }
}

/// The caller, who must have a bearer.
pub(super) fn caller(context: &ResolverContext<'_>) -> Result<Caller, Refusal> {
    context
        .data::<Call>()
        .ok()
        .and_then(|call| call.caller)
        .ok_or_else(Refusal::forbidden_resource)
}
