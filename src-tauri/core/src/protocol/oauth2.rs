//! [`OAuth2`]: any authorization server of OAuth 2, for a public client with PKCE.
//!
//! Sources: RFC 6749 (OAuth 2), 7636 (PKCE), 8252 (native applications), 8414 (discovery), 9207 (`iss`), 8628 (device
//! grant), 7591 (registration), 7009 (revocation), 8707 (`resource`). An ID token is not needed to call an API: who the
//! person is, is read from it without a check of its signature, because it comes from the token endpoint itself.

use std::time::Duration;

use url::Url;

use super::{
    Dialect, Facts, Flow, Held, Issued, Protocol, Reading, SignInMethod, TokenHeader, Tokens,
};
use crate::error::{Code, Error};
use crate::http::{Answer, Origin, Request};

mod browser;
mod device;
mod discovery;
mod registration;
mod settings;
mod token;

pub(crate) use browser::sign_in_with_browser;
use device::sign_in_with_device;
pub(crate) use discovery::discover;
pub use settings::{OAuth2Client, OAuth2Settings, REDIRECT_PORTS};
pub(crate) use token::{Binding, read_renewal};

/// An authorization server of OAuth 2, and an API that takes its tokens as bearers.
#[derive(Clone, Debug)]
pub struct OAuth2 {
    settings: OAuth2Settings,
    facts: Facts,
}

impl OAuth2 {
    /// The protocol with these settings.
    pub fn new(settings: OAuth2Settings) -> Self {
        let facts = Facts {
            name: settings.name.clone(),
            endpoints: settings.endpoints.clone(),
            token_header: TokenHeader::Bearer,
            call_headers: Vec::new(),
            grace: settings.grace,
            reuse_ends_session: settings.reuse_ends_session,
            lives_below_paths: true,
            // A token that expires on its way is refused, and renewed then.
            expiry_margin: Duration::from_secs(1),
            // Node's servers close idle connections after 5 s, and have the shortest default of the common ones.
            idle_connection: Duration::from_secs(4),
        };
        Self { settings, facts }
    }

    /// What a sign-in elsewhere produced, for [`Session::sign_in_with`](crate::Session::sign_in_with): tokens that were issued
    /// to `client_id`, and where the server renews and revokes them.
    ///
    /// # Errors
    /// [`Code::InvalidAddress`], where an endpoint is no address.
    pub fn elsewhere(
        tokens: Tokens,
        client_id: &str,
        token_endpoint: &str,
        revocation_endpoint: Option<&str>,
    ) -> Result<Issued, Error> {
        let address = |text: &str| {
            text.parse::<Url>().map_err(|_| {
                Error::new(
                    Code::InvalidAddress,
                    "An endpoint is not an address. Use one like https://id.example.com/token",
                )
            })
        };
        let token = address(token_endpoint)?;
        let issuer = token.origin().ascii_serialization();
        let binding = Binding {
            token,
            revocation: revocation_endpoint.map(address).transpose()?,
            client: client_id.to_owned(),
            is_shared: false,
        };
        Ok(Issued {
            dialect: binding.to_dialect(),
            issuer: Some(issuer),
            ..Issued::new(tokens)
        })
    }
}

impl Protocol for OAuth2 {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn sign_in(&self, server: &Origin) -> Flow {
        let settings = self.settings.clone();
        let issuer = settings.issuer.clone().unwrap_or_else(|| server.text());
        Flow::new(|conversation| async move {
            let server = discover(&conversation, &issuer).await?.ok_or_else(|| {
                Error::new(
                    Code::NotThisServer,
                    format!("{issuer} has no OAuth 2 discovery document. Check the address of the issuer."),
                )
            })?;
            match conversation.offer(server.methods()).await? {
                SignInMethod::Device => {
                    sign_in_with_device(&conversation, &server, &settings).await
                }
                _ => sign_in_with_browser(&conversation, &server, &settings).await,
            }
        })
    }

    fn dialects(&self, last: Option<&Dialect>) -> Vec<Dialect> {
        last.cloned().into_iter().collect()
    }

    fn renewal(&self, held: &Held<'_>, dialect: &Dialect) -> Option<Request> {
        Some(Binding::of(dialect)?.renewal(held, self.settings.resource.as_deref()))
    }

    fn read_renewal(&self, answer: &Answer, _dialect: &Dialect) -> Reading {
        read_renewal(answer, &self.settings.ambiguous_descriptions)
    }

    fn revocation(&self, held: &Held<'_>) -> Option<Request> {
        Binding::of(held.dialect)?
            .revocation(held)
            .filter(|_| self.settings.revokes)
    }

    fn is_revoked(&self, answer: &Answer) -> bool {
        // RFC 7009, section 2.2: also for a token that it does not know, whatever the body.
        answer.status == 200
    }
}
