//! What an authorization server says about itself: its discovery document (RFC 8414; OpenID Connect Discovery).

use serde::Deserialize;
use url::Url;

use crate::error::{Code, Error};
use crate::http::{Answer, Request, Target};
use crate::protocol::{Conversation, SignInMethod};

/// The only method of PKCE that is used (RFC 7636, section 4.2).
const S256: &str = "S256";

/// The discovery document, as far as it is needed. Every address in it is one that a token may be sent to: `https`, or
/// this computer.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationServer {
    /// As it names itself.
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: Option<Url>,
    pub(crate) token_endpoint: Url,
    pub(crate) registration_endpoint: Option<Url>,
    revocation_endpoint: Option<Url>,
    pub(crate) device_authorization_endpoint: Option<Url>,
    /// Whether its redirects bring `iss` (RFC 9207).
    pub(crate) sends_iss: bool,
    /// Twenty: a public client that every server knows.
    pub(crate) cli_client_id: Option<String>,
    allows_s256: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    registration_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    cli_client_id: Option<String>,
}

/// Reads the discovery document of `issuer`; `None` where it has none.
///
/// # Errors
/// A server that cannot be reached, or a document that is not this issuer's or names places that no token may be sent to.
pub(crate) async fn discover(
    conversation: &Conversation,
    issuer: &str,
) -> Result<Option<AuthorizationServer>, Error> {
    let base: Url = issuer.parse().map_err(|_| not_an_issuer(issuer))?;
    for address in places(&base) {
        let answer = conversation
            .send(Request::get(Target::Address(address)))
            .await?;
        match answer.status {
            200 => {}
            408 | 425 | 429 | 500.. => return Err(in_trouble(&base)),
            _ => continue,
        }
        // A front end that answers everything with its page has no document.
        if let Some(document) = read(&answer) {
            return AuthorizationServer::new(document, issuer).map(Some);
        }
    }
    Ok(None)
}

/// Where the document may lie: RFC 8414, section 3.1, then OpenID Connect Discovery, section 4.
fn places(issuer: &Url) -> [Url; 2] {
    let path = issuer.path().trim_end_matches('/').to_owned();
    let at = |path: String| {
        let mut place = issuer.clone();
        place.set_path(&path);
        place.set_query(None);
        place.set_fragment(None);
        place
    };
    [
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("{path}/.well-known/openid-configuration")),
    ]
}

fn read(answer: &Answer) -> Option<Document> {
    serde_json::from_slice(&answer.body).ok()
}

impl AuthorizationServer {
    fn new(document: Document, expected: &str) -> Result<Self, Error> {
        // RFC 8414, section 3.3. A slash at the end makes no other issuer.
        if document.issuer.trim_end_matches('/') != expected.trim_end_matches('/') {
            return Err(Error::new(
                Code::NotThisServer,
                format!(
                    "The discovery document at {expected} is another issuer's. Use the issuer's own address."
                ),
            ));
        }
        let read = |address: Option<String>| match address {
            None => Ok(None),
            Some(address) => endpoint(&address).map(Some),
        };
        let token_endpoint = read(document.token_endpoint)?.ok_or_else(|| {
            Error::new(
                Code::NotThisServer,
                format!("{expected} names no token endpoint. Ask the person who runs the server."),
            )
        })?;
        let methods = document.code_challenge_methods_supported;
        Ok(Self {
            issuer: document.issuer,
            authorization_endpoint: read(document.authorization_endpoint)?,
            token_endpoint,
            registration_endpoint: read(document.registration_endpoint)?,
            revocation_endpoint: read(document.revocation_endpoint)?,
            device_authorization_endpoint: read(document.device_authorization_endpoint)?,
            sends_iss: document.authorization_response_iss_parameter_supported,
            cli_client_id: document.cli_client_id,
            // A server that says nothing may still check the challenge; one that checks nothing ignores it.
            allows_s256: methods.is_none_or(|methods| methods.iter().any(|name| name == S256)),
        })
    }

    /// The ways to sign in, best first.
    pub(crate) fn methods(&self) -> Vec<SignInMethod> {
        let browser = self.authorization_endpoint.is_some() && self.allows_s256;
        let device = self.device_authorization_endpoint.is_some();
        [
            (browser, SignInMethod::Browser),
            (device, SignInMethod::Device),
        ]
        .into_iter()
        .filter_map(|(has, method)| has.then_some(method))
        .collect()
    }

    /// Where tokens are revoked; only at the origin that issues them.
    pub(crate) fn revocation(&self) -> Option<Url> {
        let issues = self.token_endpoint.origin();
        let endpoint = self.revocation_endpoint.clone();
        endpoint.filter(|endpoint| endpoint.origin() == issues)
    }

    /// For sentences.
    pub(crate) fn host(&self) -> &str {
        self.token_endpoint.host_str().unwrap_or_default()
    }
}

/// An address in the document. The session checks it against its settings once more before anything is sent there.
fn endpoint(address: &str) -> Result<Url, Error> {
    let url: Option<Url> = address.parse().ok();
    url.filter(|url| matches!(url.scheme(), "https" | "http") && url.fragment().is_none())
        .ok_or_else(|| {
            Error::new(
                Code::NotThisServer,
                "The server's discovery document names an address that cannot be used. Ask the person who runs it.",
            )
        })
}

fn not_an_issuer(issuer: &str) -> Error {
    Error::new(
        Code::InvalidAddress,
        format!("{issuer} is not an address. Use one like https://id.example.com"),
    )
}

fn in_trouble(issuer: &Url) -> Error {
    let host = issuer.host_str().unwrap_or_default();
    Error::new(
        Code::NoAnswer,
        format!("{host} is in trouble just now. Try again in a moment."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(issuer: &str) -> Document {
        serde_json::from_value(serde_json::json!({
            "issuer": issuer,
            "authorization_endpoint": "https://id.example.com/authorize",
            "token_endpoint": "https://id.example.com/token",
            "revocation_endpoint": "https://elsewhere.example.com/revoke",
            "code_challenge_methods_supported": ["plain"],
        }))
        .expect("a document")
    }

    #[test]
    fn the_document_of_another_issuer_is_refused() {
        for (issuer, is_taken) in [
            ("https://id.example.com", true),
            ("https://id.example.com/", true),
            ("https://id.example.com.evil.example", false),
            ("http://id.example.com", false),
            ("https://id.example.com/tenant", false),
        ] {
            let server = AuthorizationServer::new(document(issuer), "https://id.example.com");
            assert_eq!(server.is_ok(), is_taken, "{issuer}");
        }
    }

    #[test]
    fn the_path_of_an_issuer_stands_after_the_well_known_part_or_before_it() {
        let issuer: Url = "https://id.example.com/tenant/"
            .parse()
            .expect("an address");
        let places = places(&issuer).map(String::from);
        assert_eq!(
            places,
            [
                "https://id.example.com/.well-known/oauth-authorization-server/tenant",
                "https://id.example.com/tenant/.well-known/openid-configuration",
            ]
        );
    }

    #[test]
    fn without_s256_there_is_no_sign_in_by_browser() {
        let issuer = "https://id.example.com";
        let server = AuthorizationServer::new(document(issuer), issuer).expect("this issuer");
        assert!(server.methods().is_empty());
    }

    #[test]
    fn a_revocation_endpoint_at_another_origin_gets_no_token() {
        let issuer = "https://id.example.com";
        let server = AuthorizationServer::new(document(issuer), issuer).expect("this issuer");
        assert_eq!(server.revocation(), None);
    }

    #[test]
    fn addresses_that_no_browser_and_no_client_should_open_are_refused() {
        for address in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "/token",
            "",
            "https://a/#b",
        ] {
            assert!(endpoint(address).is_err(), "{address}");
        }
    }
}
