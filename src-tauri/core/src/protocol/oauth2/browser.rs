//! The authorization code grant in the person's browser: PKCE, a redirect to this computer, and `iss`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graphql_session_renewal::{Cause, OAuthError};
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use zeroize::Zeroizing;

use super::discovery::AuthorizationServer;
use super::registration::client_id;
use super::settings::{OAuth2Settings, REDIRECT_PATH};
use super::token::{Refused, TokenAnswer, issued, read_token_answer};
use crate::error::{Code, Error};
use crate::http::{Request, Target};
use crate::protocol::{Conversation, Issued, Redirected};

/// Random bytes in a verifier and in a state: 256 bits, as RFC 7636, section 7.1 asks for.
const RANDOM_BYTES: usize = 32;

/// A secret of one sign-in, and what the server is shown of it (RFC 7636).
pub(crate) struct Pkce {
    verifier: SecretString,
}

impl Pkce {
    pub(crate) fn new() -> Self {
        Self {
            verifier: random_text(),
        }
    }

    /// The verifier's hash, for the browser's address.
    pub(crate) fn challenge(&self) -> String {
        let hash = digest(&SHA256, self.verifier.expose_secret().as_bytes());
        URL_SAFE_NO_PAD.encode(hash)
    }
}

/// Text that nobody guesses, for addresses and forms.
fn random_text() -> SecretString {
    let bytes = Zeroizing::new(rand::random::<[u8; RANDOM_BYTES]>());
    let mut text = Zeroizing::new([0; RANDOM_BYTES.div_ceil(3) * 4]);
    let length = URL_SAFE_NO_PAD.encode_slice(*bytes, &mut *text);
    let length = length.expect("base64 is a third longer");
    let text = std::str::from_utf8(&text[..length]).expect("base64 is ASCII");
    SecretString::from(text)
}

/// Signs in at `server` in the person's browser.
///
/// # Errors
/// A code that a sign-in form can show.
pub(crate) async fn sign_in_with_browser(
    conversation: &Conversation,
    server: &AuthorizationServer,
    settings: &OAuth2Settings,
) -> Result<Issued, Error> {
    let Some(authorization_endpoint) = server.authorization_endpoint.clone() else {
        return Err(Error::new(
            Code::BrowserUnavailable,
            format!(
                "{} offers no sign-in by browser. Sign in another way.",
                server.host()
            ),
        ));
    };
    let (pkce, state) = (Pkce::new(), random_text());
    let listening = conversation
        .listen(
            settings.listening_ports().to_vec(),
            REDIRECT_PATH,
            state.clone(),
        )
        .await?;
    let redirect_uri = listening.redirect_uri;
    let client = client_id(conversation, server, settings).await?;
    let (scopes, challenge) = (settings.scopes.join(" "), pkce.challenge());
    let more = settings.authorization_parameters.iter();
    let mut parameters: Vec<_> = more.map(|(name, value)| (&**name, &**value)).collect();
    parameters.extend([
        ("response_type", "code"),
        ("client_id", &*client),
        ("redirect_uri", &*redirect_uri),
        ("scope", &*scopes),
        ("state", state.expose_secret()),
        ("code_challenge", &*challenge),
        ("code_challenge_method", "S256"),
        ("resource", settings.resource.as_deref().unwrap_or_default()),
        ("audience", settings.audience.as_deref().unwrap_or_default()),
    ]);
    let url = authorization_url(authorization_endpoint, &parameters);
    let redirected = conversation.browser(url.into()).await?;
    let code = code_in(redirected, server, settings)?;
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code.expose_secret()),
        ("redirect_uri", &redirect_uri),
        ("client_id", &client),
        ("code_verifier", pkce.verifier.expose_secret()),
    ];
    fields.extend(settings.resource.as_deref().map(|to| ("resource", to)));
    let request = Request::form(Target::Address(server.token_endpoint.clone()), &fields);
    let answer = conversation.send(request).await?;
    match read_token_answer(&answer, server.host())? {
        TokenAnswer::Granted(granted) => issued(granted, server, client),
        TokenAnswer::Refused(refused, status) => Err(refused.to_error(server.host(), status)),
    }
}

/// The address to open. What is empty is left out; what the server's own address brings along stays.
fn authorization_url(mut endpoint: Url, parameters: &[(&str, &str)]) -> Url {
    let mut query = endpoint.query_pairs_mut();
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    drop(query);
    endpoint
}

/// The code that the browser brought back, once it is certain that this issuer sent it (RFC 9207).
fn code_in(
    redirected: Redirected,
    server: &AuthorizationServer,
    settings: &OAuth2Settings,
) -> Result<SecretString, Error> {
    let is_by_server = match &redirected.issuer {
        Some(issuer) => *issuer == server.issuer,
        None => !server.sends_iss || settings.allows_missing_iss,
    };
    if !is_by_server {
        return Err(Error::new(
            Code::SignInRefused,
            format!(
                "The browser came back from another server than {}. Start again; if it happens again, ask the person who runs the server.",
                server.host()
            ),
        )
        .caused_by(Cause::OtherIssuer));
    }
    if let Some(error) = redirected.error {
        let refused = Refused {
            error,
            error_description: None,
        };
        return Err(refused.to_error(server.host(), 302));
    }
    redirected.code.ok_or_else(|| {
        Error::new(
            Code::SignInRefused,
            format!(
                "{} sent the browser back without a code. Start again.",
                server.host()
            ),
        )
        .caused_by(Cause::OAuth(OAuthError::Other, 302))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_standards_example() {
        // RFC 7636, appendix B.
        let pkce = Pkce {
            verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into(),
        };
        assert_eq!(
            pkce.challenge(),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn verifiers_have_the_length_that_the_standard_asks_for_and_differ() {
        let (one, other) = (random_text(), random_text());
        assert_eq!(one.expose_secret().len(), 43);
        assert_ne!(one.expose_secret(), other.expose_secret());
    }

    #[test]
    fn a_query_in_the_servers_own_address_stays() {
        let endpoint = "https://id.example.com/authorize?tenant=1"
            .parse()
            .expect("an address");
        let url = authorization_url(endpoint, &[("client_id", "a b"), ("scope", "")]);
        assert_eq!(
            url.as_str(),
            "https://id.example.com/authorize?tenant=1&client_id=a+b"
        );
    }
}
