//! [`OneHandshake`]: calls that start at once share one HTTP/2 connection.
//!
//! Only the handshake shows whether a server has HTTP/2. Until then hyper's pool connects for each call, so that 32 calls
//! that start at once would make 32 handshakes and use one connection. Here the first connection goes ahead. If it has
//! become HTTP/2, the pool hands it to all calls that wait, and theirs are never made; otherwise each makes its own.

use std::future::pending;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::Connection;
use tokio::sync::watch;
use tower_layer::Layer;
use tower_service::Service;

use crate::clock::BoxFuture;

/// The layer around reqwest's connections to one origin.
#[derive(Clone, Default)]
pub(super) struct OneHandshake {
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    /// The server has chosen HTTP/1.1: nothing can be shared.
    is_http1: bool,
    /// The connection that goes ahead.
    first: Option<watch::Receiver<Option<Became>>>,
}

/// What became of the connection that went ahead.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Became {
    Http2,
    Http1,
    Failed,
}

enum Turn {
    /// Goes ahead, and says here what became of it.
    First(watch::Sender<Option<Became>>),
    After(watch::Receiver<Option<Became>>),
    Alone,
}

impl OneHandshake {
    fn turn(&self) -> Turn {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_http1 {
            return Turn::Alone;
        }
        if let Some(first) = &known.first
            // An error: its call was dropped, and the connection with it.
            && first.has_changed().is_ok()
            && first.borrow().is_none()
        {
            return Turn::After(first.clone());
        }
        let (became, first) = watch::channel(None);
        known.first = Some(first);
        Turn::First(became)
    }

    fn learn(&self, became: Became) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.is_http1 = became == Became::Http1;
    }
}

impl<S> Layer<S> for OneHandshake {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Connector {
            inner,
            shared: self.clone(),
        }
    }
}

/// A connector that waits for its turn.
#[derive(Clone)]
pub(super) struct Connector<S> {
    inner: S,
    shared: OneHandshake,
}

impl<S, To> Service<To> for Connector<S>
where
    S: Service<To> + Clone + Send + 'static,
    S::Response: Connection + Send,
    S::Error: Send,
    S::Future: Send,
    To: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, to: To) -> Self::Future {
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let shared = self.shared.clone();
        Box::pin(async move {
            loop {
                let mut first = match shared.turn() {
                    Turn::Alone => return inner.call(to).await,
                    Turn::First(say) => {
                        let connection = inner.call(to).await;
                        let became = match &connection {
                            Ok(made) if made.connected().is_negotiated_h2() => Became::Http2,
                            Ok(_) => Became::Http1,
                            Err(_) => Became::Failed,
                        };
                        shared.learn(became);
                        say.send_replace(Some(became));
                        return connection;
                    }
                    Turn::After(first) => first,
                };
                let became = first.wait_for(Option::is_some).await.map(|became| *became);
                match became {
                    // The pool has it for this call. Should it break before that, the limit of connecting ends this wait.
                    Ok(Some(Became::Http2)) => return pending().await,
                    Ok(_) => return inner.call(to).await,
                    // Its call was dropped: another one goes ahead.
                    Err(_) => {}
                }
            }
        })
    }
}
