//! A proxy in the environment: used for the network, and not for this machine's own addresses.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use graphql_session_testing::{Alpn, PROXIED_HOST, ServerCertificate};

use crate::host::Host;
use crate::process::Process;

/// Every variable that names a proxy, for curl and for us.
const VARIABLES: [&str; 6] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// The name and password that a proxy with one accepts, as an address holds them.
const LOGIN: &str = "ada:open-sesame";

/// The same in a header (RFC 7617).
const BASIC: &str = "Basic YWRhOm9wZW4tc2VzYW1l";

/// Longest head of a request to a proxy, in bytes.
const HEAD_MAX: usize = 8 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    HttpWithPassword,
    /// Answers every request with 502.
    HttpThatRefuses,
    Socks,
    SocksWithPassword,
    /// Closes every connection.
    HangsUp,
}

/// A proxy that leads everywhere to one server, and keeps what it was asked for.
struct Proxy {
    /// Host and port.
    name: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(kind: Kind, server: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let name = listener.local_addr().expect("a bound port").to_string();
        let server = server
            .rsplit_once('/')
            .map_or(server, |(_, host)| host)
            .to_owned();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (server, heard) = (server.clone(), heard.clone());
                // A client that goes away is no business of the proxy.
                std::thread::spawn(move || drop(serve(kind, client, &server, &heard)));
            }
        });
        Self { name, asked }
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock();
        asked.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(
    kind: Kind,
    mut client: TcpStream,
    server: &str,
    heard: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let hear = |what: String| {
        heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(what);
    };
    match kind {
        Kind::HangsUp => {
            hear("a connection".into());
            return Ok(());
        }
        Kind::Http | Kind::HttpWithPassword | Kind::HttpThatRefuses => {
            let head = read_head(&mut client)?;
            let line = head.lines().next().unwrap_or_default();
            hear(line.to_owned());
            let has_password =
                head.to_ascii_lowercase().contains("proxy-authorization:") && head.contains(BASIC);
            if kind == Kind::HttpThatRefuses {
                return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
            }
            if kind == Kind::HttpWithPassword && !has_password {
                return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
            }
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        }
        Kind::Socks | Kind::SocksWithPassword => {
            let wants_password = kind == Kind::SocksWithPassword;
            hear(greet(&mut client, wants_password)?);
        }
    }
    let mut upstream = TcpStream::connect(server)?;
    let (mut from, mut to) = (client.try_clone()?, upstream.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    io::copy(&mut upstream, &mut client)?;
    client.shutdown(Shutdown::Write)
}

fn read_head(client: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_MAX {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// SOCKS 5 (RFC 1928, RFC 1929) up to the connection: where to.
fn greet(client: &mut TcpStream, wants_password: bool) -> io::Result<String> {
    read_counted(client, 1)?;
    let method = if wants_password { 2 } else { 0 };
    client.write_all(&[5, method])?;
    if wants_password {
        let name = read_counted(client, 1)?;
        let password = read_counted(client, 0)?;
        let login = [name, b":".to_vec(), password].concat();
        let is_known = login == LOGIN.as_bytes();
        client.write_all(&[1, u8::from(!is_known)])?;
        if !is_known {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
    }
    let mut head = [0; 4];
    client.read_exact(&mut head)?;
    let host = match head[3] {
        3 => String::from_utf8_lossy(&read_counted(client, 0)?).into_owned(),
        _ => {
            client.read_exact(&mut [0; 4])?;
            "an IP address".into()
        }
    };
    client.read_exact(&mut [0; 2])?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    Ok(host)
}

/// So many bytes, then a count, and as many bytes as it says.
fn read_counted(client: &mut TcpStream, skipped: usize) -> io::Result<Vec<u8>> {
    client.read_exact(&mut vec![0; skipped])?;
    let mut count = [0];
    client.read_exact(&mut count)?;
    let mut bytes = vec![0; count[0].into()];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A server behind TLS that only a proxy can find by its name.
async fn proxied_host() -> (Host, String) {
    let mut host = Host::start().await;
    host.server.speak_tls(ServerCertificate::Good, Alpn::Http2);
    host.server.is_called(PROXIED_HOST);
    host.trust_server();
    let address = host.server.address_as(PROXIED_HOST);
    (host, address)
}

/// A process in whose environment this variable names a proxy, and no other does.
fn process_behind(host: &Host, variable: &str, proxy: &str) -> Process {
    let mut variables = VARIABLES.map(|name| (name, "")).to_vec();
    variables.extend([("NO_PROXY", ""), ("no_proxy", ""), (variable, proxy)]);
    host.process_with(&variables)
}

/// Plain http is for this machine's own addresses only: a proxy would read the password and the tokens.
#[tokio::test]
async fn a_proxy_in_the_environment_sees_nothing_of_a_server_on_this_machine() {
    for is_tls in [false, true] {
        let mut host = Host::start().await;
        if is_tls {
            host.server.speak_tls(ServerCertificate::Good, Alpn::Http2);
            host.trust_server();
        }
        let proxy = Proxy::start(Kind::HangsUp, &host.server.address());
        let address = format!("http://{}", proxy.name);
        let mut variables = VARIABLES.map(|name| (name, address.as_str())).to_vec();
        // Addresses that the person's own environment excludes from the proxy must not be excluded here.
        variables.extend([("NO_PROXY", ""), ("no_proxy", "")]);
        let mut process = host.process_with(&variables);

        let signing_in = format!("sign_in {}", host.server.address());
        let mut answers = vec![process.ask(&signing_in).await, process.ask("call").await];
        host.server.expire_access_tokens();
        answers.push(process.ask("call").await);
        answers.push(process.ask("sign_out").await);

        assert!(proxy.asked().is_empty(), "a proxy could read the tokens");
        assert_eq!(answers, ["ok", "200", "200", "SignedOut"]);
        host.server.wait_for(|counts| counts.sign_outs == 1).await;

        // The process does read these variables: it asks for another server through the proxy.
        assert_eq!(process.ask("check https://crm.example").await, "NoAnswer");
        assert!(!proxy.asked().is_empty(), "the process ignores them");
    }
}

#[tokio::test]
async fn sign_in_calls_and_renewals_go_through_each_kind_of_proxy() {
    for (variable, kind, scheme) in [
        ("HTTPS_PROXY", Kind::Http, "http://"),
        (
            "HTTPS_PROXY",
            Kind::HttpWithPassword,
            "http://ada:open-sesame@",
        ),
        ("ALL_PROXY", Kind::Socks, "socks5h://"),
        (
            "ALL_PROXY",
            Kind::SocksWithPassword,
            "socks5h://ada:open-sesame@",
        ),
    ] {
        let (host, address) = proxied_host().await;
        let proxy = Proxy::start(kind, &host.server.address());
        let mut process = process_behind(&host, variable, &format!("{scheme}{}", proxy.name));

        let mut answers = vec![process.ask(&format!("sign_in {address}")).await];
        answers.push(process.ask("calls 8").await);
        host.server.expire_access_tokens();
        answers.push(process.ask("call").await);

        assert_eq!(answers, ["ok", "200", "200"], "{kind:?}");
        let asked = proxy.asked();
        assert!(
            asked.iter().all(|asked| asked.contains(PROXIED_HOST)),
            "{asked:?}"
        );
        let counts = host.server.counts();
        assert_eq!(counts.connections, asked.len() as u64, "{kind:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_fails_is_named_and_its_password_is_not() {
    for (kind, scheme, word) in [
        (Kind::HttpWithPassword, "http://", "proxy_authentication"),
        (
            Kind::HttpWithPassword,
            "http://ada:wrong-word@",
            "proxy_authentication",
        ),
        (
            Kind::SocksWithPassword,
            "socks5h://ada:wrong-word@",
            "proxy_authentication",
        ),
        (Kind::HttpThatRefuses, "http://", "proxy_refused"),
        (Kind::HangsUp, "http://", "proxy_refused"),
        (Kind::HangsUp, "socks5h://", "proxy_refused"),
    ] {
        let (host, address) = proxied_host().await;
        let proxy = Proxy::start(kind, &host.server.address());
        let mut process = process_behind(&host, "ALL_PROXY", &format!("{scheme}{}", proxy.name));

        let said = process.ask(&format!("explain {address}")).await;

        let case = format!("{kind:?} {said}");
        assert!(said.starts_with(&format!("{word}: ")), "{case}");
        assert!(said.contains(&proxy.name), "{case}");
        assert!(!said.contains("wrong-word"), "{case}");
        assert_eq!(host.server.counts().connections, 0, "{case}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_down_is_blamed_and_not_the_server() {
    let (host, address) = proxied_host().await;
    let down = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let name = down.local_addr().expect("a bound port").to_string();
    drop(down);
    for scheme in ["http://ada:open-sesame@", "socks5h://ada:open-sesame@"] {
        let mut process = process_behind(&host, "HTTPS_PROXY", &format!("{scheme}{name}"));
        let said = process.ask(&format!("explain {address}")).await;
        let expected = format!("proxy_unreachable: The proxy {name} does not answer.");
        assert!(said.starts_with(&expected), "{scheme} {said}");
    }
}

#[tokio::test]
async fn a_server_that_no_proxy_names_is_asked_directly() {
    let (host, address) = proxied_host().await;
    let proxy = Proxy::start(Kind::Http, &host.server.address());
    let all = format!("http://{}", proxy.name);
    let mut process = host.process_with(&[("ALL_PROXY", &all), ("NO_PROXY", "example.test")]);

    let said = process.ask(&format!("explain {address}")).await;

    // Nobody but the proxy knows this name.
    assert!(said.starts_with("dns: "), "{said}");
    assert_eq!(proxy.asked(), [""; 0]);
}
