//! [`Resolver`]: names of this computer mean this computer, whatever a name server says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Asks the system, except for the names of the loopback interface (RFC 6761, section 6.3). Plain HTTP is accepted for
/// those: a name server that gave another address for `crm.localhost` would get the password and the tokens in the clear.
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move {
            if is_loopback_name(&name) {
                return Ok(Box::new(LOOPBACK.into_iter()) as Addrs);
            }
            // The port is the connector's business.
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(Box::new(found) as Addrs)
        })
    }
}

const LOOPBACK: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0),
];

/// Whether this is a name of the loopback interface.
pub(super) fn is_loopback_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_localhost = |name: &str| name.eq_ignore_ascii_case("localhost");
    is_localhost(name)
        || name
            .rsplit_once('.')
            .is_some_and(|(_, last)| is_localhost(last))
}
