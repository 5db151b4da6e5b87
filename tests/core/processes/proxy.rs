//! A proxy in the environment: meant for the network, not for this machine's own addresses.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::host::Host;

/// Every variable that names a proxy, for curl and for us.
const VARIABLES: [&str; 6] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// Closes every connection at once, and counts them.
struct Proxy {
    address: String,
    connections: Arc<AtomicUsize>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let connections = Arc::new(AtomicUsize::new(0));
        let counting = connections.clone();
        std::thread::spawn(move || {
            for _ in listener.incoming() {
                counting.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self {
            address: format!("http://{address}"),
            connections,
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Plain http is for this machine's own addresses only: a proxy would read the password and the tokens.
#[tokio::test]
async fn a_proxy_in_the_environment_sees_nothing_of_a_server_on_this_machine() {
    let proxy = Proxy::start();
    let mut variables = VARIABLES
        .map(|name| (name, proxy.address.as_str()))
        .to_vec();
    // Addresses that the person's own environment excludes from the proxy must not be excluded here.
    variables.extend([("NO_PROXY", ""), ("no_proxy", "")]);
    let host = Host::start().await;
    let mut process = host.process_with(&variables);

    let signing_in = format!("sign_in {}", host.server.address());
    let mut answers = vec![process.ask(&signing_in).await, process.ask("call").await];
    host.server.expire_access_tokens();
    answers.push(process.ask("call").await);
    answers.push(process.ask("sign_out").await);

    assert_eq!(proxy.connections(), 0, "a proxy could have read the tokens");
    assert_eq!(answers, ["ok", "200", "200", "SignedOut"]);
    host.server.wait_for(|counts| counts.sign_outs == 1).await;

    // The process does read these variables: it asks for another server through the proxy.
    assert_eq!(process.ask("check https://crm.example").await, "NoAnswer");
    assert!(proxy.connections() > 0, "the process ignores the variables");
}
