//! Which applications the server knows: those that registered themselves (RFC 7591), and one that everybody may use.

use std::sync::Arc;

use rusqlite::{OptionalExtension, params};
use serde_json::Value;
use url::{Host, Url};
use uuid::Uuid;

use super::refusal::OAuthRefusal;
use crate::error::Error;
use crate::refusal::Refusal;
use crate::store::Store;

/// The client that every server knows from the start. It redirects to any port and path of this computer.
pub(crate) const CLI_CLIENT_ID: &str = "0d9f3c52-6f0e-4a54-9b1c-3f8f1d0c7a11";

/// What people read where that client asks for their account.
const CLI_CLIENT_NAME: &str = "Command line";

/// Longest name of an application that is shown, in characters.
const LONGEST_NAME: usize = 80;

/// An application.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) name: String,
    redirects: Redirects,
}

#[derive(Clone, Debug)]
enum Redirects {
    /// Exactly these, ports included.
    To(Vec<String>),
    /// Plain HTTP to this computer.
    Loopback,
}

impl Client {
    /// Whether a browser may bring a code there.
    pub(crate) fn may_redirect_to(&self, address: &str) -> bool {
        match &self.redirects {
            Redirects::To(addresses) => addresses.iter().any(|own| own == address),
            Redirects::Loopback => address
                .parse::<Url>()
                .is_ok_and(|url| url.scheme() == "http" && is_loopback(&url)),
        }
    }
}

/// All applications; they outlive a restart where the data does.
pub(crate) struct Clients {
    store: Arc<Store>,
}

impl Clients {
    pub(crate) fn open(store: Arc<Store>) -> Result<Self, Error> {
        store.lock().execute_batch(
            "CREATE TABLE IF NOT EXISTS application (
                 client_id TEXT PRIMARY KEY, name TEXT NOT NULL, redirect_uris TEXT NOT NULL, registered_at INTEGER NOT NULL
             ) STRICT, WITHOUT ROWID;",
        )?;
        Ok(Self { store })
    }

    pub(crate) async fn find(&self, id: &str) -> Result<Option<Client>, Refusal> {
        if id == CLI_CLIENT_ID {
            return Ok(Some(Client {
                id: id.to_owned(),
                name: CLI_CLIENT_NAME.to_owned(),
                redirects: Redirects::Loopback,
            }));
        }
        let id = id.to_owned();
        self.store
            .run(move |connection| {
                let row = connection
                    .query_row(
                        "SELECT name, redirect_uris FROM application WHERE client_id = ?1",
                        [&id],
                        |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
                    )
                    .optional()?;
                Ok(row.map(|(name, redirect_uris)| Client {
                    id,
                    name,
                    redirects: Redirects::To(
                        serde_json::from_str(&redirect_uris).unwrap_or_default(),
                    ),
                }))
            })
            .await
    }

    /// Registers an application; returns its client id.
    pub(crate) async fn register(
        &self,
        name: &str,
        redirect_uris: &[String],
        now: i64,
    ) -> Result<String, OAuthRefusal> {
        if redirect_uris.is_empty() {
            return Err(OAuthRefusal::client_metadata(
                "redirect_uris must be a list of at least one address",
            ));
        }
        for address in redirect_uris {
            if !may_be_registered(address) {
                return Err(OAuthRefusal::client_metadata(format!(
                    "Redirect URIs must use HTTPS (except localhost) or an allowed custom scheme: {address}"
                )));
            }
        }
        let id = Uuid::new_v4().to_string();
        let name: String = name.chars().take(LONGEST_NAME).collect();
        let redirect_uris = Value::from(redirect_uris).to_string();
        let new = id.clone();
        self.store
            .run(move |connection| {
                connection.execute(
                    "INSERT INTO application (client_id, name, redirect_uris, registered_at) VALUES (?1, ?2, ?3, ?4)",
                    params![new, name, redirect_uris, now],
                )?;
                Ok(())
            })
            .await?;
        Ok(id)
    }
}

fn may_be_registered(address: &str) -> bool {
    let url: Option<Url> = address.parse().ok();
    url.is_some_and(|url| match url.scheme() {
        "https" => true,
        "http" => is_loopback(&url),
        _ => false,
    })
}

/// As Twenty sees it: by these two names, and not by `[::1]`.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address == std::net::Ipv4Addr::LOCALHOST,
        Some(Host::Domain(name)) => name == "localhost",
        _ => false,
    }
}
