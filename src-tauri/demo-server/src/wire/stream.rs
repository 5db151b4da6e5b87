//! A subscription's answer: graphql-sse, with a connection of its own. Twenty looks at the bearer at the start and never
//! again; a token that expires changes nothing.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;

use super::answer;
use crate::counts::Counting;
use crate::stopping::true_in;

/// Whether the client takes a stream of events. Without a word about it, it takes anything.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).map(|value| value.to_str());
    let Some(accept) = accept else {
        return true;
    };
    accept.is_ok_and(|accept| accept.contains("text/event-stream") || accept.contains("*/*"))
}

/// Answers with `results`, one event for each, until they end, the client leaves or the server stops. After
/// `comment_after` of silence it sends a comment.
pub(super) fn response(
    results: BoxStream<'static, async_graphql::Response>,
    counting: &Arc<Counting>,
    mut stopping: watch::Receiver<bool>,
    comment_after: Duration,
) -> Response {
    let mut results = results.fuse();
    // Runs up to where it waits for events, so that none is missed from the answer's first byte on. A query that does not
    // validate has its only result by then.
    let first = results.next().now_or_never();
    let open = first.is_none().then(|| Open::new(counting));
    let frames = stream::once(ready(Event::DEFAULT_KEEP_ALIVE))
        .chain(
            stream::iter(first.flatten())
                .chain(results)
                .map(|result| Event::default().event("next").data(answer::result(result))),
        )
        .chain(stream::once(ready(Event::default().event("complete"))))
        // Without `complete`: to the client it is a connection that was lost.
        .take_until(async move { true_in(&mut stopping).await })
        .map(move |frame| {
            let _ = &open;
            Ok::<_, Infallible>(frame)
        });
    Sse::new(frames)
        .keep_alive(KeepAlive::new().interval(comment_after))
        .into_response()
}

/// Counts as open for as long as the answer lives.
struct Open(Arc<Counting>);

impl Open {
    fn new(counting: &Arc<Counting>) -> Self {
        counting.stream_opened();
        Self(Arc::clone(counting))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.stream_closed();
    }
}
