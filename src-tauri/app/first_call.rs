//! The page's first call, which is sent while the page still loads: its reply is there when the page asks.

use std::collections::BTreeMap;

use serde::Deserialize;
use tauri_plugin_graphql_session::graphql_session::Call;

/// Written and checked by the page's own test (`ui/src/data/firstCall.test.ts`): with any other byte the page would
/// send its own call.
const FIRST_CALL: &str = include_str!("../../ui/src/data/firstCall.json");

#[derive(Deserialize)]
struct FirstCall {
    endpoint: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// What the page will ask for first.
pub(crate) fn first_call() -> Call {
    let FirstCall {
        endpoint,
        headers,
        body,
    } = serde_json::from_str(FIRST_CALL).expect("the file has this form");
    let mut call = Call::new(endpoint, body);
    call.headers = headers.into_iter().collect();
    call
}
