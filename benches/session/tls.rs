//! The same server behind TLS, and the two sides that trust it.

use std::sync::Arc;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response};
use rcgen::generate_simple_self_signed;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::server::{ROLE, Server, ServerProcess, converse};
use crate::sides::{Bare, Ours};

/// How a server speaks over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http1,
    Http2,
}

impl Speaks {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Http1 => "TLS, HTTP/1.1",
            Self::Http2 => "TLS, HTTP/2",
        }
    }

    /// What this process is to be, if it is to be such a server.
    pub(crate) fn of_this_process() -> Option<Self> {
        let role = std::env::var(ROLE).ok()?;
        [Self::Http1, Self::Http2]
            .into_iter()
            .find(|speaks| role == speaks.word())
    }

    fn protocol(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

/// A session and bare reqwest, each with such a server of its own.
pub(crate) async fn sides(speaks: Speaks) -> (Arc<Bare>, Arc<Ours>) {
    let (server, root) = start(speaks);
    let bare = Arc::new(Bare::at(server, client(&root)));
    let (server, root) = start(speaks);
    let control = Bare::at(server, client(&root));
    let ours = Ours::at(control, root).await;
    (bare, Arc::new(ours))
}

/// What the server does until it is killed. Its first line has its address, and the certificate that it shows.
pub(crate) async fn serve(speaks: Speaks) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let shown = generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let pem = shown.cert.pem().replace('\n', "|");
    println!("https://{address} {pem}");
    let key = PrivatePkcs8KeyDer::from(shown.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![shown.cert.der().clone()], key.into())
        .expect("a key");
    config.alpn_protocols = vec![speaks.protocol().to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.set_nodelay(true);
        let (acceptor, server) = (acceptor.clone(), server.clone());
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            match speaks {
                Speaks::Http1 => converse(stream, server).await,
                Speaks::Http2 => {
                    let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::spawn(answer(request, respond, server.clone()));
                    }
                }
            }
        });
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    server: Arc<Server>,
) -> Option<()> {
    let (head, mut body) = request.into_parts();
    let mut like_http1 = format!("POST {} HTTP/1.1\r\n", head.uri.path()).into_bytes();
    for (name, value) in &head.headers {
        like_http1.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    like_http1.extend(b"\r\n");
    while let Some(data) = body.data().await {
        let data = data.ok()?;
        like_http1.extend(&data);
        body.flow_control().release_capacity(data.len()).ok()?;
    }
    let text = server.answer(&like_http1).await;
    let head = Response::builder()
        .header("date", server.date())
        .header("content-type", "application/json")
        .header("content-length", text.len());
    let head = head.body(()).expect("a head");
    let mut stream = respond.send_response(head, false).ok()?;
    stream.send_data(text.into(), true).ok()
}

/// A server's process, and its certificate as PEM.
fn start(speaks: Speaks) -> (ServerProcess, String) {
    let mut server = ServerProcess::start(|command| {
        command.env(ROLE, speaks.word());
    });
    let said = std::mem::take(&mut server.origin);
    let (origin, pem) = said.split_once(' ').expect("an address and a certificate");
    server.origin = origin.to_owned();
    (server, pem.replace('|', "\n"))
}

/// Bare reqwest that trusts it, and offers what a session offers.
fn client(root: &str) -> reqwest::Client {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(root.as_bytes()).expect("a certificate");
    roots.add(root).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = [Speaks::Http2, Speaks::Http1]
        .map(|speaks| speaks.protocol().to_vec())
        .to_vec();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .build()
        .expect("a client")
}
