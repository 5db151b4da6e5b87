//! Files that come in the multipart request form. None is kept: the answer says what has arrived.

use std::io::Read;

use async_graphql::UploadValue;
use async_graphql::dynamic::{Field, FieldFuture, Object, ResolverContext, SchemaBuilder, TypeRef};
use axum::body::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::call::caller;
use super::parts::{plain, shown, text, type_ref, with_arguments, words};
use crate::refusal::Refusal;

/// What a file is for, as Twenty names it.
const FOLDERS: [&str; 6] = [
    "ProfilePicture",
    "WorkspaceLogo",
    "Attachment",
    "PersonPicture",
    "ServerlessFunction",
    "File",
];

pub(super) fn register(mutation: Object, builder: SchemaBuilder) -> (Object, SchemaBuilder) {
    let upload_file = Field::new("uploadFile", type_ref("SignedFileDTO!"), |context| {
        FieldFuture::new(async move { Ok(shown(received(&context).await?)?) })
    });
    let upload_file = with_arguments(
        upload_file,
        &[
            ("file", &format!("{}!", TypeRef::UPLOAD)),
            ("fileFolder", "FileFolder"),
        ],
    );
    let builder = builder
        .enable_uploading()
        .register(words("FileFolder", FOLDERS))
        // Twenty has a token to fetch the file with in place of the last two.
        .register(plain(
            "SignedFileDTO",
            &[("path", "String!"), ("size", "Int!"), ("sha256", "String!")],
        ));
    (mutation.field(upload_file), builder)
}

async fn received(context: &ResolverContext<'_>) -> async_graphql::Result<Value> {
    caller(context)?;
    let folder = text(context, "fileFolder").to_lowercase();
    let folder = if folder.is_empty() { "file" } else { &folder };
    let file = context.args.try_get("file")?.upload()?.value(context.ctx)?;
    let (size, sha256) = tokio::task::spawn_blocking(|| measured(file))
        .await
        .map_err(|_| Refusal::internal("The upload was interrupted"))??;
    Ok(json!({ "path": format!("{folder}/{sha256}"), "size": size, "sha256": sha256 }))
}

/// A file's length in bytes, and its hash.
fn measured(file: UploadValue) -> std::io::Result<(usize, String)> {
    let mut bytes = Vec::new();
    file.into_read().read_to_end(&mut bytes)?;
    let hash = Bytes::copy_from_slice(&Sha256::digest(&bytes));
    Ok((bytes.len(), format!("{hash:x}")))
}
