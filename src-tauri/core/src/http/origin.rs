//! [`Origin`]: which server.

use std::net::IpAddr;

use url::{Host, Url};

use crate::error::{Code, Error};

/// Scheme, host and port of a server. Credentials are bound to the origin that issued them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Url);

impl Origin {
    /// Reads an address as people type it: `crm.example.com`, `https://crm.example.com/objects/people`. A path is
    /// dropped. Plain `http` is for loopback addresses only: anywhere else it would show the tokens to the network.
    ///
    /// # Errors
    /// [`Code::InvalidAddress`] with the reason.
    pub fn parse(address: &str) -> Result<Self, Error> {
        let invalid = |why: &'static str| Error::new(Code::InvalidAddress, why);
        let address = address.trim();
        let parsed = if address.contains("://") {
            Url::parse(address)
        } else {
            Url::parse(&format!("https://{address}"))
        };
        let url = parsed
            .map_err(|_| invalid("This is not an address. Use one like https://crm.example.com"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("Leave the name and password out of the address"));
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => {
                return Err(invalid(
                    "Use https: plain http is accepted for this computer's own addresses only",
                ));
            }
            _ => return Err(invalid("Use an address that starts with https://")),
        }
        if url.host().is_none() {
            return Err(invalid(
                "The address has no host. Use one like https://crm.example.com",
            ));
        }
        let origin = Url::parse(&url.origin().ascii_serialization())
            .map_err(|_| invalid("This is not an address. Use one like https://crm.example.com"))?;
        Ok(Self(origin))
    }

    /// The origin as text, without a trailing slash.
    pub fn text(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The host, for sentences.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    pub(super) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}
