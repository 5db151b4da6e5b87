//! Files in the multipart request form.

use serde_json::json;

use crate::client::{Ask, Demo, Tokens};

const UPLOAD: &str = "mutation Upload($file: Upload!, $fileFolder: FileFolder) { uploadFile(file: $file, fileFolder: $fileFolder) { path size sha256 } }";

/// SHA-256 of three million times the letter a, by `sha256sum`.
const SHA256: &str = "2a152c894398719c0570f83fac34ac03a0f6e8e474b995c2403aa5434f7b9dd4";

fn upload(demo: &Demo, file: &str) -> Ask {
    let operations = json!({
        "query": UPLOAD,
        "variables": { "file": null, "fileFolder": "Attachment" },
    });
    let part = |name: &str, more: &str, content: &str| {
        format!(
            "--edge\r\ncontent-disposition: form-data; name=\"{name}\"{more}\r\n\r\n{content}\r\n"
        )
    };
    let form = part("operations", "", &operations.to_string())
        + &part("map", "", "{\"0\": [\"variables.file\"]}")
        + &part("0", "; filename=\"a.txt\"", file)
        + "--edge--\r\n";
    demo.graphql("")
        .header("content-type", "multipart/form-data; boundary=edge")
        .raw(&form)
}

#[tokio::test]
async fn an_upload_is_answered_with_its_length_and_its_hash() {
    let (demo, Tokens { access, .. }) = Demo::signed_in().await;
    let file = "a".repeat(3_000_000);
    let reply = upload(&demo, &file).bearer(&access).send().await;
    let path = format!("attachment/{SHA256}");
    let arrived = json!({ "path": path, "size": 3_000_000, "sha256": SHA256 });
    assert_eq!(reply.body["data"]["uploadFile"], arrived, "{}", reply.text);
    assert_eq!(demo.switches.counts().operation("Upload"), 1);
}

#[tokio::test]
async fn an_upload_without_a_good_bearer_is_refused_as_any_call() {
    let (demo, Tokens { access, .. }) = Demo::signed_in().await;
    demo.switches.expire_access_tokens().await.expect("expired");
    let reply = upload(&demo, "a").bearer(&access).send().await;
    reply.is("expired bearer");
    let reply = upload(&demo, "a").send().await;
    assert_eq!(reply.message(), "Forbidden resource", "{}", reply.text);
}

#[tokio::test]
async fn a_form_that_cannot_be_read_is_a_bad_request() {
    let demo = Demo::start().await;
    let ask = demo.graphql("").raw("--edge--\r\n");
    let ask = ask.header("content-type", "multipart/form-data; boundary=edge");
    assert_eq!(ask.send().await.status, 400);
}
