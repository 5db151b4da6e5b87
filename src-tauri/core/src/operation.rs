//! What a GraphQL request does: a query may be repeated, anything else may not.

use apollo_parser::Parser;
use apollo_parser::cst::Definition;
use serde::Deserialize;

/// What a GraphQL request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// Reads; may be repeated after a lost answer.
    Query,
    /// Writes, or is not understood; never repeated once it may have run.
    Mutation,
    /// A stream of events.
    Subscription,
}

impl OperationKind {
    /// Reads the kind from a request body. What cannot be told is a [`Mutation`](OperationKind::Mutation): a batch, a
    /// persisted query, a broken document, an `operationName` that is not there.
    pub fn of(body: &[u8]) -> Self {
        Self::find(body).unwrap_or(Self::Mutation)
    }

    fn find(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body {
            query: String,
            #[serde(rename = "operationName")]
            operation_name: Option<String>,
        }
        let body: Body = serde_json::from_slice(body).ok()?;
        let tree = Parser::new(&body.query).parse();
        if tree.errors().next().is_some() {
            return None;
        }
        let wanted = body.operation_name.filter(|name| !name.is_empty());
        let mut found = None;
        for definition in tree.document().definitions() {
            let Definition::OperationDefinition(operation) = definition else {
                continue;
            };
            let name = operation.name().map(|name| name.text().to_string());
            if wanted.is_some() && name != wanted {
                continue;
            }
            // Two candidates and no name: the server will refuse it, and we do not guess.
            if found.is_some() {
                return None;
            }
            // The type is left out in the short form, which is a query.
            found = Some(match operation.operation_type() {
                None => Self::Query,
                Some(kind) if kind.query_token().is_some() => Self::Query,
                Some(kind) if kind.subscription_token().is_some() => Self::Subscription,
                Some(_) => Self::Mutation,
            });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::OperationKind::{self, Mutation, Query, Subscription};

    fn kind(query: &str, name: Option<&str>) -> OperationKind {
        let body = serde_json::json!({ "query": query, "operationName": name });
        OperationKind::of(body.to_string().as_bytes())
    }

    #[test]
    fn the_kind_comes_from_the_parsed_document() {
        assert_eq!(kind("{ me { id } }", None), Query);
        assert_eq!(kind("query A { mutation }", None), Query);
        assert_eq!(kind("# query\nmutation { a }", None), Mutation);
        assert_eq!(kind("subscription S { a }", None), Subscription);
        assert_eq!(kind("fragment F on T { a } query Q { ...F }", None), Query);
    }

    #[test]
    fn of_several_operations_the_named_one_counts() {
        let two = "query Read { a } mutation Write { a }";
        assert_eq!(kind(two, Some("Read")), Query);
        assert_eq!(kind(two, Some("Write")), Mutation);
        assert_eq!(kind(two, None), Mutation);
        assert_eq!(kind(two, Some("Gone")), Mutation);
    }

    #[test]
    fn what_cannot_be_told_counts_as_a_mutation() {
        assert_eq!(kind("query {", None), Mutation);
        assert_eq!(OperationKind::of(b"[{\"query\":\"{ a }\"}]"), Mutation);
        assert_eq!(OperationKind::of(b"{\"id\":\"persisted\"}"), Mutation);
        assert_eq!(OperationKind::of(b""), Mutation);
    }
}
