//! [`CuttingProxy`]: what lies between a client and its server, and loses answers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// Longest request that it reads to see what it is, in bytes. Sign-ins and queries of the tests have a few hundred.
const REQUEST_MAX: usize = 64 * 1024;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 64;

/// Passes HTTP/1.1 on to one server. The answers to renewals it can lose: the server has done its work, and the client never
/// learns of it.
pub(crate) struct CuttingProxy {
    port: u16,
    upstream: u16,
    seen: Arc<Seen>,
    accepting: Option<JoinHandle<()>>,
    /// Bound and not listening: nobody else gets the port while the proxy refuses connections.
    _reserved: TcpSocket,
}

struct Seen {
    /// Part of a renewal's request, and of no other one.
    renewal: &'static str,
    to_lose: AtomicU64,
    lost: AtomicU64,
}

impl CuttingProxy {
    /// In front of a server on this port of 127.0.0.1. `renewal`: text that stands in a request that renews, and in no other.
    pub(crate) fn start(upstream: u16, renewal: &'static str) -> Self {
        let reserved = socket_at(0);
        let mut proxy = Self {
            port: reserved.local_addr().expect("a bound port").port(),
            upstream,
            seen: Arc::new(Seen {
                renewal,
                to_lose: AtomicU64::new(0),
                lost: AtomicU64::new(0),
            }),
            accepting: None,
            _reserved: reserved,
        };
        proxy.accept();
        proxy
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The answers to so many renewals are lost from now on.
    pub(crate) fn lose_answers(&self, count: u64) {
        self.seen.to_lose.fetch_add(count, Ordering::SeqCst);
    }

    /// How many it has lost.
    pub(crate) fn lost(&self) -> u64 {
        self.seen.lost.load(Ordering::SeqCst)
    }

    /// Refuses connections, as the port of a server that is down does.
    pub(crate) async fn refuse(&mut self) {
        let accepting = self.accepting.take().expect("it accepts");
        accepting.abort();
        // The port is closed once the task is gone.
        let _ = accepting.await;
    }

    pub(crate) fn accept(&mut self) {
        let listener = socket_at(self.port).listen(BACKLOG);
        let listener: TcpListener = listener.expect("the port is reserved");
        let (upstream, seen) = (self.upstream, self.seen.clone());
        self.accepting = Some(tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let seen = seen.clone();
                // A side that goes away is no business of the proxy.
                tokio::spawn(async move { drop(pass_on(client, upstream, &seen).await) });
            }
        }));
    }
}

/// Bound to this port, which it shares with others of this process; 0: any free one.
fn socket_at(port: u16) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseport(true).expect("Unix has it");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket.bind(address).expect("a free port");
    socket
}

impl Drop for CuttingProxy {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

/// One connection, until either side closes it or an answer is lost. Renewals have connections of their own, so a lost answer
/// takes no other one along.
async fn pass_on(client: TcpStream, upstream: u16, seen: &Seen) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let loses = AtomicBool::new(false);
    tokio::select! {
        ended = requests(from_client, to_server, seen, &loses) => ended,
        ended = answers(from_server, to_client, seen, &loses) => ended,
    }
}

/// Passes requests on, each once it is there as a whole.
async fn requests(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    seen: &Seen,
    loses: &AtomicBool,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    while client.read_buf(&mut bytes).await? > 0 {
        if !is_whole(&bytes) && bytes.len() < REQUEST_MAX {
            continue;
        }
        let is_renewal = String::from_utf8_lossy(&bytes).contains(seen.renewal);
        if is_renewal && take_one(&seen.to_lose) {
            loses.store(true, Ordering::SeqCst);
        }
        server.write_all(&bytes).await?;
        bytes.clear();
    }
    Ok(())
}

/// Passes answers on, and ends the connection in place of one that is to be lost.
async fn answers(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    seen: &Seen,
    loses: &AtomicBool,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    while server.read_buf(&mut bytes).await? > 0 {
        if loses.load(Ordering::SeqCst) {
            seen.lost.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        client.write_all(&bytes).await?;
        bytes.clear();
    }
    Ok(())
}

fn take_one(count: &AtomicU64) -> bool {
    count
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| {
            count.checked_sub(1)
        })
        .is_ok()
}

/// Whether a request is there with its body. The session's requests state their length.
fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, length)| length.parse().ok());
    body.len() >= length.unwrap_or(0)
}
