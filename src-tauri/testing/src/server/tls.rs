//! The server's side of TLS: a private root, a certificate for each reason to refuse one, and connections that break
//! before a request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::server::TlsStream;

/// A name for tests that go through a proxy: no resolver knows it, and loopback addresses go through none.
pub const PROXIED_HOST: &str = "crm.example.test";

/// The names and addresses that a good certificate is for.
const NAMES: [&str; 5] = [
    "127.0.0.1",
    "localhost",
    "crm.localhost",
    PROXIED_HOST,
    "::1",
];

/// The first bytes of a server's hello: a handshake record that announces more than will come.
const HALF_A_HELLO: &[u8] = &[0x16, 3, 3, 0, 122, 2, 0, 0, 118, 3, 3];

/// A fatal alert: handshake_failure (RFC 8446, section 6.2).
const HANDSHAKE_FAILURE: &[u8] = &[0x15, 3, 3, 0, 2, 2, 40];

/// Longest hello of a client that is read, in bytes.
const HELLO_MAX: usize = 16 * 1024;

/// The certificate that the server shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerCertificate {
    /// For its addresses, by the root that [`FaultServer::root_certificate`](super::FaultServer::root_certificate) returns.
    #[default]
    Good,
    /// By a root that nobody knows.
    Untrusted,
    /// It ran out in 2020.
    Expired,
    /// It is good from 2200 on.
    NotYetValid,
    /// For another server's name.
    OtherName,
}

/// What the server offers by ALPN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2, and HTTP/1.1.
    #[default]
    Http2,
    /// HTTP/1.1.
    Http1,
    /// Nothing: the server does not know ALPN, and speaks HTTP/1.1.
    Unknown,
}

/// How a connection breaks before the server reads a request from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionFault {
    /// The server closes it as soon as it is open.
    HangUp,
    /// The server reads the client's hello, sends a part of its own, and closes the connection.
    HangUpInHandshake,
    /// The server reads the client's hello, and answers that it accepts none of what the client offers.
    RefuseHandshake,
    /// The server reads the client's hello, and says nothing until the client closes the connection.
    Stall,
    /// HTTP/2: the server answers the first request with GOAWAY, and says in it that it has looked at none.
    GoAway,
}

/// A private root.
pub(super) struct Root(CertifiedIssuer<'static, KeyPair>);

impl Root {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("a root");
        Self(issuer)
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// What the server needs to speak TLS like this.
    pub(super) fn acceptor(&self, certificate: ServerCertificate, alpn: Alpn) -> TlsAcceptor {
        let names = match certificate {
            ServerCertificate::OtherName => vec!["other.example".to_owned()],
            _ => NAMES.map(str::to_owned).to_vec(),
        };
        let mut params = CertificateParams::new(names).expect("names and addresses");
        match certificate {
            ServerCertificate::Expired => params.not_after = date_time_ymd(2020, 1, 1),
            ServerCertificate::NotYetValid => params.not_before = date_time_ymd(2200, 1, 1),
            _ => {}
        }
        let stranger;
        let issuer = match certificate {
            ServerCertificate::Untrusted => {
                stranger = Self::new();
                &stranger.0
            }
            _ => &self.0,
        };
        let key = key();
        let certificate = params.signed_by(&key, issuer).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows the usual versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())
            .expect("a certificate and its key");
        let offered: &[&[u8]] = match alpn {
            Alpn::Http2 => &[b"h2", b"http/1.1"],
            Alpn::Http1 => &[b"http/1.1"],
            Alpn::Unknown => &[],
        };
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

/// Breaks a connection before its handshake is over.
pub(super) async fn break_handshake(fault: ConnectionFault, mut stream: TcpStream) {
    if fault == ConnectionFault::HangUp {
        return;
    }
    let mut hello = [0; HELLO_MAX];
    let _ = stream.read(&mut hello).await;
    let said = match fault {
        ConnectionFault::HangUpInHandshake => HALF_A_HELLO,
        ConnectionFault::RefuseHandshake => HANDSHAKE_FAILURE,
        _ => &[],
    };
    if !said.is_empty() {
        let _ = stream.write_all(said).await;
        return;
    }
    while stream.read(&mut hello).await.is_ok_and(|count| count > 0) {}
}

/// A connection, with TLS or without.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(super) fn set_zero_linger(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.set_zero_linger(),
            Self::Tls(stream) => stream.get_ref().0.set_zero_linger(),
        }
    }

    /// Whether client and server have agreed on HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
