//! The commands, as a page calls them. All are asynchronous, because a synchronous command runs on the main thread and
//! freezes every window.

use std::collections::HashMap;

use graphql_session::{Call, Code, ServerCheck, Session, SignInMethod, Status, journal};
use tauri::ipc::{Channel, Request, Response};
use tauri::{Manager, Runtime, State, Window};

use crate::accounts::Accounts;
use crate::calls::Calls;
use crate::error::CommandError;
use crate::framing::{self, Message};
use crate::page_answer::PageAnswer;
use crate::prefetch::Prefetch;
use crate::servers::{Servers, Wanted};
use crate::sign_ins::{Progress, SignInRequest, SignIns};
use crate::streams::Streams;
use crate::uploads::Uploads;

/// Longest request of a subscription, in bytes: 1 MiB. It is kept for as long as the subscription, and a window may have 100.
const SUBSCRIPTION_MAX: usize = 1 << 20;

/// `status`: the status as it is now.
#[tauri::command]
pub(crate) async fn status<R: Runtime>(
    window: Window<R>,
    accounts: State<'_, Accounts>,
    account: Option<String>,
) -> Result<Status, CommandError> {
    Ok(session(&window, &accounts, account.as_deref())?.status())
}

/// `check_server`: checks that a server of the right kind answers at an address. Where it is another server than so far, the
/// person is asked, if the page says so.
#[tauri::command(rename_all = "camelCase")]
pub(crate) async fn check_server<R: Runtime>(
    window: Window<R>,
    accounts: State<'_, Accounts>,
    servers: State<'_, Servers>,
    address: String,
    may_ask: Option<bool>,
    account: Option<String>,
) -> Result<ServerCheck, CommandError> {
    let session = session(&window, &accounts, account.as_deref())?;
    let wanted = Wanted::Check {
        may_ask: may_ask.unwrap_or_default(),
    };
    servers
        .admit(session, window.label(), &address, wanted)
        .await?;
    Ok(session.check_server(&address).await?)
}

/// `sign_in`: begins a sign-in and returns its first step, or the status where there is none. Once per sign-in id, because
/// Tauri may repeat the invoke. Where it is another server than so far, the person is asked.
#[tauri::command(rename_all = "camelCase")]
#[expect(
    clippy::too_many_arguments,
    reason = "they are what a page sends, by name, and the plugin's state"
)]
pub(crate) async fn sign_in<R: Runtime>(
    window: Window<R>,
    accounts: State<'_, Accounts>,
    servers: State<'_, Servers>,
    sign_ins: State<'_, SignIns>,
    sign_in_id: String,
    server: String,
    method: Option<SignInMethod>,
    account: Option<String>,
) -> Result<Progress, CommandError> {
    framing::check_id(&sign_in_id)?;
    let request = SignInRequest {
        session: session(&window, &accounts, account.as_deref())?.clone(),
        server,
        method,
    };
    sign_ins
        .begin(&window, &sign_in_id, &servers, request)
        .await
}

/// `answer_sign_in`: answers a step by its number and returns the next one, or the status at the end. Without an answer it
/// waits: for the browser, or for the device on which the person types a code.
#[tauri::command(rename_all = "camelCase")]
pub(crate) async fn answer_sign_in<R: Runtime>(
    window: Window<R>,
    sign_ins: State<'_, SignIns>,
    sign_in_id: String,
    number: u64,
    answer: Option<PageAnswer>,
) -> Result<Progress, CommandError> {
    framing::check_id(&sign_in_id)?;
    sign_ins
        .answer(window.label(), &sign_in_id, number, answer)
        .await
}

/// `cancel_sign_in`: cancels a sign-in. The session that was there before it stays.
#[tauri::command(rename_all = "camelCase")]
pub(crate) async fn cancel_sign_in<R: Runtime>(
    window: Window<R>,
    sign_ins: State<'_, SignIns>,
    sign_in_id: String,
) -> Result<(), CommandError> {
    framing::check_id(&sign_in_id)?;
    sign_ins.cancel(window.label(), &sign_in_id);
    Ok(())
}

/// `upload`: takes one slice of a body that is too long for one invoke. The `execute` that names the upload sends it.
#[tauri::command]
pub(crate) async fn upload<R: Runtime>(
    window: Window<R>,
    uploads: State<'_, Uploads>,
    request: Request<'_>,
) -> Result<(), CommandError> {
    let (slice, bytes) = framing::read_slice(&request)?;
    uploads.append(window.label(), &slice, &bytes)
}

/// `execute`: runs one GraphQL request. Once per request id, because Tauri may repeat the invoke.
#[tauri::command]
pub(crate) async fn execute<R: Runtime>(
    window: Window<R>,
    accounts: State<'_, Accounts>,
    calls: State<'_, Calls>,
    uploads: State<'_, Uploads>,
    prefetch: State<'_, Prefetch>,
    request: Request<'_>,
) -> Result<Response, CommandError> {
    let (metadata, mut call) = framing::read_request(&request)?;
    let session = session(&window, &accounts, metadata.account.as_deref())?.clone();
    calls.acknowledge(window.label(), &metadata.received);
    let has_body = match &metadata.upload_id {
        Some(id) => uploads
            .whole(window.label(), id)
            .map(|body| call.body = body),
        None => Ok(()),
    };
    let operation = call.operation();
    let bytes = call.body.len();
    let (uploads, label) = (uploads.inner().clone(), window.label().to_owned());
    let prefetch = prefetch.inner().clone();
    let run = async move {
        has_body?;
        // Not before the call runs. A repeated invoke finds no upload then, and joins this call by its request id.
        if let Some(id) = metadata.upload_id {
            uploads.forget(&label, &id);
        }
        Ok(prefetch.execute(&session, operation, call).await?)
    };
    let reply = calls
        .run(window.label(), &metadata.request_id, operation, bytes, run)
        .await?;
    Ok(Response::new(framing::write_reply(&reply)?))
}

/// `subscribe`: starts a subscription and answers at once. Its events follow as messages, in order. Once per
/// subscription id, because Tauri may repeat the invoke.
#[tauri::command(rename_all = "camelCase")]
pub(crate) async fn subscribe<R: Runtime>(
    window: Window<R>,
    subscription_id: String,
    endpoint: String,
    headers: HashMap<String, String>,
    body: String,
    account: Option<String>,
    messages: Channel<Message>,
) -> Result<(), CommandError> {
    framing::check_id(&subscription_id)?;
    if body.len() > SUBSCRIPTION_MAX {
        return Err(CommandError::new(
            Code::TooLarge,
            "A subscription has 1 MiB at most. Ask for less.",
        ));
    }
    let accounts = window.state::<Accounts>();
    let mut call = Call::new(endpoint, body);
    call.headers = headers.into_iter().collect();
    let stream = session(&window, &accounts, account.as_deref())?.subscribe(call)?;
    let streams = window.state::<Streams>();
    streams.start(window.label(), &subscription_id, stream, messages)
}

/// `ack_events`: acknowledges the messages of a subscription by their number so far. Without it, the stream pauses.
#[tauri::command(rename_all = "camelCase")]
pub(crate) async fn ack_events<R: Runtime>(
    window: Window<R>,
    streams: State<'_, Streams>,
    subscription_id: String,
    count: u64,
) -> Result<(), CommandError> {
    framing::check_id(&subscription_id)?;
    streams.acknowledge(window.label(), &subscription_id, count);
    Ok(())
}

/// `cancel`: cancels a call with its upload, or ends a subscription. A renewal that the call started goes on.
#[tauri::command(rename_all = "camelCase")]
pub(crate) async fn cancel<R: Runtime>(
    window: Window<R>,
    calls: State<'_, Calls>,
    uploads: State<'_, Uploads>,
    streams: State<'_, Streams>,
    request_id: String,
) -> Result<(), CommandError> {
    framing::check_id(&request_id)?;
    if !streams.cancel(window.label(), &request_id) {
        calls.cancel(window.label(), &request_id);
        uploads.forget(window.label(), &request_id);
    }
    Ok(())
}

/// `sign_out`: ends the session, in every window and process at once.
#[tauri::command]
pub(crate) async fn sign_out<R: Runtime>(
    window: Window<R>,
    accounts: State<'_, Accounts>,
    account: Option<String>,
) -> Result<Status, CommandError> {
    Ok(session(&window, &accounts, account.as_deref())?
        .sign_out()
        .await)
}

/// `retry_now`: skips the pause before the next attempt, and reads the keyring again.
#[tauri::command]
pub(crate) async fn retry_now<R: Runtime>(
    window: Window<R>,
    accounts: State<'_, Accounts>,
    account: Option<String>,
) -> Result<Status, CommandError> {
    Ok(session(&window, &accounts, account.as_deref())?
        .retry_now()
        .await)
}

/// `journal`: returns what happened to the session, oldest first, without secrets.
#[tauri::command]
pub(crate) async fn journal<R: Runtime>(
    window: Window<R>,
    accounts: State<'_, Accounts>,
    account: Option<String>,
) -> Result<Vec<journal::Entry>, CommandError> {
    Ok(session(&window, &accounts, account.as_deref())?.journal())
}

/// `diagnostics`: returns one text for a bug report, without secrets, people and names of servers.
#[tauri::command]
pub(crate) async fn diagnostics<R: Runtime>(
    window: Window<R>,
    accounts: State<'_, Accounts>,
    account: Option<String>,
) -> Result<String, CommandError> {
    Ok(session(&window, &accounts, account.as_deref())?.diagnostics())
}

fn session<'a, R: Runtime>(
    window: &Window<R>,
    accounts: &'a Accounts,
    account: Option<&str>,
) -> Result<&'a Session, CommandError> {
    Ok(accounts.session(window.label(), account)?)
}
