//! [`OAuth2Settings`]: how an authorization server is spoken to.

use std::borrow::Cow;
use std::time::Duration;

use crate::http::Endpoint;

/// Fixed ports for the browser's redirect, for servers that compare it to the letter. Unassigned by IANA, and outside the
/// range that Linux, macOS and Windows hand out by themselves.
pub const REDIRECT_PORTS: [u16; 3] = [27_311, 27_312, 27_313];

/// The path of the redirect address.
pub(crate) const REDIRECT_PATH: &str = "/callback";

/// How an authorization server is spoken to.
///
/// ```
/// use graphql_session::{Config, Endpoint, OAuth2, OAuth2Client, OAuth2Settings};
///
/// let protocol = OAuth2::new(OAuth2Settings {
///     issuer: Some("https://id.example.com".into()),
///     client: OAuth2Client::Id("my-desktop-app".into()),
///     scopes: vec!["openid".into(), "offline_access".into()],
///     endpoints: vec![Endpoint::new("graphql", "/graphql")],
///     ..OAuth2Settings::default()
/// });
/// # drop(protocol);
/// ```
#[derive(Clone, Debug)]
pub struct OAuth2Settings {
    /// Short name, stored with the credentials. Default: `oauth2`.
    pub name: Cow<'static, str>,
    /// The issuer's address, exactly as its discovery document states it. Default: the API's own origin.
    pub issuer: Option<String>,
    /// Who the application is at the server.
    pub client: OAuth2Client,
    /// What the application asks for. Many servers issue a refresh token only with `offline_access`.
    pub scopes: Vec<String>,
    /// The API that the tokens are for (RFC 8707), where the server asks for it.
    pub resource: Option<String>,
    /// The same by the name that some servers use: `audience`.
    pub audience: Option<String>,
    /// Further parameters of the address that the browser opens, such as `prompt=consent`, which some servers want for a
    /// refresh token.
    pub authorization_parameters: Vec<(String, String)>,
    /// Ports for the browser's redirect, in this order. Default: [`REDIRECT_PORTS`] for an application that registers itself,
    /// because it registers exactly these. With a client id: any free one, which RFC 8252 has servers allow for loopback
    /// addresses; servers that compare the redirect to the letter need ports that are registered there.
    pub redirect_ports: Vec<u16>,
    /// Whether a redirect without `iss` is taken although the server says that it sends one. Default: no (RFC 9207).
    pub allows_missing_iss: bool,
    /// How long a used refresh token is taken again, by the server's configuration. Default: not at all.
    pub grace: Option<Duration>,
    /// Whether a used refresh token that comes in again ends the session at the server. Then one that may have been used is
    /// never sent a second time, unless a grace time is stated. Default: yes, as RFC 9700 recommends.
    pub reuse_ends_session: bool,
    /// Descriptions with which `invalid_grant` may also mean that the server is in trouble. Such an answer is asked for once
    /// more before it counts. Default: none.
    pub ambiguous_descriptions: Vec<Cow<'static, str>>,
    /// Whether a sign-out revokes the refresh token (RFC 7009), where the server can. Default: yes. Not for a client id that
    /// other programs share, because some servers then sign those out, too.
    pub revokes: bool,
    /// The GraphQL endpoints that calls may name. Default: `graphql` at `/graphql`.
    pub endpoints: Vec<Endpoint>,
}

impl OAuth2Settings {
    /// The ports to listen on for the browser's redirect; none: any free one.
    pub(crate) fn listening_ports(&self) -> &[u16] {
        match self.client {
            OAuth2Client::Registers { .. } if self.redirect_ports.is_empty() => &REDIRECT_PORTS,
            _ => &self.redirect_ports,
        }
    }
}

/// Who the application is at the authorization server. It is a public client: it has no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OAuth2Client {
    /// Registered by a person beforehand, under this client id.
    Id(String),
    /// Registers itself under this name at its first sign-in (RFC 7591). The client id is kept with the account's files.
    Registers {
        /// What the server shows to people.
        name: String,
    },
}

impl Default for OAuth2Settings {
    fn default() -> Self {
        Self {
            name: Cow::Borrowed("oauth2"),
            issuer: None,
            client: OAuth2Client::Registers {
                name: "Holdfast".into(),
            },
            scopes: Vec::new(),
            resource: None,
            audience: None,
            authorization_parameters: Vec::new(),
            redirect_ports: Vec::new(),
            allows_missing_iss: false,
            grace: None,
            reuse_ends_session: true,
            ambiguous_descriptions: Vec::new(),
            revokes: true,
            endpoints: vec![Endpoint::new("graphql", "/graphql")],
        }
    }
}
