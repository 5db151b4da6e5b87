//! [`Origin`]: which server.

use std::net::IpAddr;

use url::{Host, Url};

use super::resolver::is_loopback_name;
use crate::error::{Code, Error};

/// Longest address that is read, in bytes: no browser's address is longer.
const LONGEST_ADDRESS: usize = 2_048;

/// Longest host of an address with its port, in bytes: four for each letter of the longest name. Reading an international name
/// takes some fifty times its length in memory.
const LONGEST_AUTHORITY: usize = 1_024;

/// Longest name of a host, in bytes (RFC 1035, section 2.3.4).
const LONGEST_HOST: usize = 255;

const TOO_LONG: &str = "This is longer than any address. Use one like https://crm.example.com";

/// Scheme, host and port of a server, and the path below which it lives where its protocol allows one
/// ([`Facts::lives_below_paths`](crate::Facts::lives_below_paths)). Credentials are bound to the origin that issued them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Url);

/// What an address is read by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AddressRules<'a> {
    /// Hosts to which plain `http` is accepted, beside this computer.
    pub(crate) allow_insecure: &'a [Host],
    /// Whether the path in an address is a part of it.
    pub(crate) keeps_path: bool,
}

impl Origin {
    /// Reads an address as people type it: `crm.example.com`, `https://crm.example.com/objects/people`, `localhost:3000`. A
    /// path is dropped. Without a scheme it is `https`, or `http` for a loopback address. Plain `http` is for loopback
    /// addresses only: anywhere else it would show the tokens to the network.
    ///
    /// # Errors
    /// [`Code::InvalidAddress`] with the reason.
    pub fn parse(address: &str) -> Result<Self, Error> {
        Self::parse_by(address, AddressRules::default())
    }

    /// The same by other rules.
    pub(crate) fn parse_by(address: &str, rules: AddressRules<'_>) -> Result<Self, Error> {
        let invalid = |why: &'static str| Error::new(Code::InvalidAddress, why);
        let address = address.trim();
        if address.len() > LONGEST_ADDRESS || authority(address).len() > LONGEST_AUTHORITY {
            return Err(invalid(TOO_LONG));
        }
        let not_an_address =
            |_| invalid("This is not an address. Use one like https://crm.example.com");
        let url = if address.contains("://") {
            Url::parse(address).map_err(not_an_address)?
        } else {
            // A server on this computer seldom has TLS, and nobody else can read along.
            let plain = Url::parse(&format!("http://{address}")).map_err(not_an_address)?;
            if is_loopback(&plain) {
                plain
            } else {
                Url::parse(&format!("https://{address}")).map_err(not_an_address)?
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("Leave the name and password out of the address"));
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http"
                if url
                    .host()
                    .is_some_and(|host| rules.allow_insecure.contains(&host.to_owned())) => {}
            "http" => {
                return Err(invalid(
                    "Use https: plain http shows your password to everybody on the network. A server at home can be named in the setting `allowInsecure`",
                ));
            }
            _ => return Err(invalid("Use an address that starts with https://")),
        }
        // An international name is longer in ASCII than as it was typed.
        if url.host_str().is_some_and(|host| host.len() > LONGEST_HOST) {
            return Err(invalid(TOO_LONG));
        }
        if url.host().is_none() {
            return Err(invalid(
                "The address has no host. Use one like https://crm.example.com",
            ));
        }
        let mut origin = Url::parse(&url.origin().ascii_serialization()).map_err(not_an_address)?;
        if rules.keeps_path {
            origin.set_path(url.path().trim_end_matches('/'));
        }
        Ok(Self(origin))
    }

    /// The origin as text, with its path if it has one, and without a trailing slash.
    pub fn text(&self) -> String {
        self.without_path() + self.path()
    }

    /// Scheme, host and port as text.
    pub(super) fn without_path(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    fn path(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }

    /// The host, for sentences.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether an address lies at this origin.
    pub(super) fn has(&self, address: &Url) -> bool {
        self.0.origin() == address.origin()
    }

    pub(super) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        url.set_path(&[self.path(), path].concat());
        url.set_query(query);
        url
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether others on the network can read what is sent.
    pub(crate) fn is_exposed(&self) -> bool {
        !self.is_https() && !is_loopback(&self.0)
    }

    /// Without TLS a proxy would see the tokens; and a loopback address is another one on the proxy's computer.
    pub(super) fn may_use_proxy(&self) -> bool {
        self.is_https() && !is_loopback(&self.0)
    }
}

/// Where the host stands in an address, by its first bytes alone. A parser of addresses skips any number of slashes before it.
fn authority(address: &str) -> &str {
    const SLASHES: [char; 2] = ['/', '\\'];
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let rest = rest.trim_start_matches(SLASHES);
    rest.split(['/', '\\', '?', '#']).next().unwrap_or_default()
}

/// A host as a setting names it: a name or an IP address, without scheme, port and wildcards.
pub(crate) fn read_host(text: &str) -> Option<Host> {
    if let Ok(address) = text.parse() {
        return Some(match address {
            IpAddr::V4(address) => Host::Ipv4(address),
            IpAddr::V6(address) => Host::Ipv6(address),
        });
    }
    if text.len() > LONGEST_HOST {
        return None;
    }
    let is_name = text.chars().all(|character| !"*:/@ ".contains(character));
    Host::parse(text).ok().filter(|_| is_name)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => is_loopback_name(name),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_longer_than_any_is_refused_before_it_is_read() {
        let long = |length: usize| {
            let path = "a".repeat(length - "https://crm.example.com/".len());
            Origin::parse(&format!("https://crm.example.com/{path}"))
        };
        assert!(long(LONGEST_ADDRESS).is_ok());
        let error = long(LONGEST_ADDRESS + 1).expect_err("refused");
        assert_eq!(error.code(), Code::InvalidAddress);
        for long in [
            format!("https:////{}", ".".repeat(LONGEST_AUTHORITY + 1)),
            "a".repeat(LONGEST_AUTHORITY + 1),
            format!("https://{}example", "ü.".repeat(50)),
        ] {
            let error = Origin::parse(&long).expect_err("refused");
            assert!(
                error.message().contains("longer than any address"),
                "{error}"
            );
        }
        assert_eq!(read_host(&"a".repeat(LONGEST_HOST + 1)), None);
    }
}
