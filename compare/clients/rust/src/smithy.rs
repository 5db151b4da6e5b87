//! aws-smithy-runtime: the lazy identity cache of the AWS SDKs, in front of a resolver that is the application's.
//!
//! The cache decides when an identity is too old and lets one of many callers load the next; how one is loaded is the
//! application's [`ResolveIdentity`]: here the exchange of the refresh token, stored and kept for the next time. The cache
//! has its defaults: a load may take about 22 s, and an identity counts as expired 5 to 10 s early.
//!
//! The load runs inside the first caller's future: a caller that leaves takes the exchange with it. Each caller that waits
//! makes its own attempt when the one before it failed. Nothing here mends that, because it is what is compared.
//!
//! The resolver is what a careful application writes, after the model of the AWS SDK's provider of SSO tokens: the exchange
//! has the SDK's retry (`exchange.rs`), and before one the store is read again, for another process may have renewed. Two
//! that read it at the same time still exchange the same refresh token. After the sign-out it writes nothing.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime::client::auth::http::BearerAuthScheme;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime::client::orchestrator::endpoints::StaticUriEndpointResolver;
use aws_smithy_runtime::client::retries::strategy::NeverRetryStrategy;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::http::HTTP_BEARER_AUTH_SCHEME_ID;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::identity::http::Token;
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityFuture, ResolveCachedIdentity, ResolveIdentity, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;

use crate::client::{Failure, JUMP, Place};
use crate::exchange::Exchange;
use crate::store::{Store, Tokens};
use crate::wire::bearer;

const SIGNED_OUT: &str = "signed out";

/// The cache, its resolver, and the parts of an SDK's client that both are handed.
pub(crate) struct Smithy {
    components: RuntimeComponents,
    held: Arc<Mutex<Held>>,
    resolver: SharedIdentityResolver,
    settings: ConfigBag,
    clock: Clock,
}

impl Smithy {
    pub(crate) fn open(place: &Place, tokens: Tokens) -> Result<Self, BoxError> {
        let clock = Clock::default();
        let held = Arc::new(Mutex::new(Held {
            tokens,
            is_used: false,
            is_signed_out: false,
        }));
        let resolver = SharedIdentityResolver::new(RefreshToken {
            exchange: Exchange::new(&place.wire, &place.origin, clock.clone()),
            store: place.store.clone(),
            held: held.clone(),
        });
        // As an SDK's client puts them together. The cache asks for the clock and the sleep; the rest has to be there.
        let components = RuntimeComponents::builder("compare")
            .with_identity_cache(Some(IdentityCache::lazy().build()))
            .with_identity_resolver(HTTP_BEARER_AUTH_SCHEME_ID, resolver.clone())
            .with_auth_scheme(BearerAuthScheme::new())
            .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![
                HTTP_BEARER_AUTH_SCHEME_ID,
            ])))
            .with_endpoint_resolver(Some(StaticUriEndpointResolver::uri(place.origin.as_str())))
            .with_retry_strategy(Some(NeverRetryStrategy::new()))
            .with_sleep_impl(Some(TokioSleep::new()))
            .with_time_source(Some(clock.clone()))
            .build()?;
        Ok(Self {
            components,
            held,
            resolver,
            settings: ConfigBag::base(),
            clock,
        })
    }

    /// Resolves the identity, through the cache. Its errors do not tell whether they are final, so none is a logout.
    pub(crate) async fn authorization(&self) -> Result<HeaderMap, Failure> {
        let failure = |text: String| Failure {
            text,
            logout: false,
        };
        let cache = self.components.identity_cache();
        let identity = cache
            .resolve_cached_identity(self.resolver.clone(), &self.components, &self.settings)
            .await
            .map_err(|error| failure(error.to_string()))?;
        let token = identity.data::<Token>().expect("the resolver makes tokens");
        bearer(token.token()).map_err(|_| failure("the token is no header value".to_owned()))
    }

    /// From now on nothing is written: a renewal that is on the wire ends as an error.
    pub(crate) fn sign_out(&self) {
        lock(&self.held).is_signed_out = true;
    }

    /// The cache looks at the clock that it was given.
    pub(crate) fn expire(&self) {
        self.clock.jumps.fetch_add(1, Ordering::SeqCst);
    }
}

/// Loads an identity by exchanging the refresh token.
struct RefreshToken {
    exchange: Exchange,
    store: Store,
    held: Arc<Mutex<Held>>,
}

struct Held {
    tokens: Tokens,
    /// The cache has had this access token.
    is_used: bool,
    is_signed_out: bool,
}

impl ResolveIdentity for RefreshToken {
    fn resolve_identity<'a>(
        &'a self,
        components: &'a RuntimeComponents,
        _settings: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        IdentityFuture::new(async move {
            let clock = components.time_source().expect("Smithy::open sets one");
            let refresh = {
                let mut held = lock(&self.held);
                held.look_again(&self.store)?;
                let expiry = SystemTime::try_from(held.tokens.access_expires_at)?;
                if !held.is_used && clock.now() < expiry {
                    held.is_used = true;
                    return Ok(Token::new(held.tokens.access.clone(), Some(expiry)).into());
                }
                held.tokens.refresh.clone()
            };
            let issued = self.exchange.exchange(refresh.clone()).await?;
            let tokens = Tokens {
                access: issued.access_token,
                access_expires_at: Timestamp::now()
                    + SignedDuration::from_secs(issued.expires_in.into()),
                refresh: issued.refresh_token.unwrap_or(refresh),
                refresh_expires_at: None,
            };
            let expiry = clock.now() + Duration::from_secs(issued.expires_in.into());
            let identity = Identity::from(Token::new(tokens.access.clone(), Some(expiry)));
            self.keep(tokens)?;
            Ok(identity)
        })
    }
}

impl Held {
    /// Takes what another process has stored since.
    fn look_again(&mut self, store: &Store) -> Result<(), BoxError> {
        match store.read() {
            Ok(Some(stored)) if stored.access != self.tokens.access => {
                self.tokens = stored;
                self.is_used = false;
            }
            Ok(None) => return Err(SIGNED_OUT.into()),
            // Unreadable for now: what is held may still do.
            Ok(Some(_)) | Err(_) => {}
        }
        Ok(())
    }
}

impl RefreshToken {
    /// Under the lock that the sign-out takes: of the two one is first, and the store ends empty either way.
    fn keep(&self, tokens: Tokens) -> Result<(), BoxError> {
        let mut held = lock(&self.held);
        if held.is_signed_out {
            return Err(SIGNED_OUT.into());
        }
        if let Err(error) = self.store.write(&tokens) {
            eprintln!("the store: {error}");
        }
        held.tokens = tokens;
        held.is_used = true;
        Ok(())
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().expect("nothing panics while it is held")
}

/// Required by the trait. Shows no token.
impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken")
    }
}

/// The machine's clock, which [`Smithy::expire`] pushes ahead.
#[derive(Clone, Debug, Default)]
struct Clock {
    jumps: Arc<AtomicU32>,
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        SystemTime::now() + JUMP * self.jumps.load(Ordering::SeqCst)
    }
}
