//! The multipart request form: a GraphQL request with files beside it.

use async_graphql::http::{MultipartOptions, receive_body};
use async_graphql::{ParseRequestError, UploadValue};
use serde_json::{Value, json};

pub(super) const MEDIA_TYPE: &str = "multipart/form-data";

/// The request as a JSON body has it, and its files: variables name those by their place in the list.
pub(super) async fn read(
    content_type: &str,
    body: &[u8],
) -> Result<(Value, Vec<UploadValue>), ParseRequestError> {
    let request = receive_body(Some(content_type), body, MultipartOptions::default()).await?;
    let body = json!({
        "query": request.query,
        "operationName": request.operation_name,
        "variables": request.variables,
    });
    Ok((body, request.uploads))
}
