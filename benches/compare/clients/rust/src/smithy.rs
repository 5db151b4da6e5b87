//! aws-smithy-runtime: the lazy identity cache of the AWS SDKs, in front of a resolver that is the application's.
//!
//! The cache decides when an identity is too old and lets one of many callers load the next; how one is loaded is the
//! application's [`ResolveIdentity`]: here the exchange of the refresh token, stored and kept for the next time. The cache
//! has its defaults: a load may take about 22 s, and an identity counts as expired 5 to 10 s early.
//!
//! The load runs inside the first caller's future: a caller that leaves takes the exchange with it. Each caller that waits
//! makes its own attempt when the one before it failed. Nothing here mends that, because it is what is compared.
//!
//! Two processes: each reads the store when it starts, and holds its own copy of the refresh token from then on. Both
//! exchange the same one and rotate it apart; the store has the one that was written last.

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
use crate::store::{Store, Tokens};
use crate::wire::{Wire, bearer};

/// The cache, its resolver, and the parts of an SDK's client that both are handed.
pub(crate) struct Smithy {
    components: RuntimeComponents,
    resolver: SharedIdentityResolver,
    settings: ConfigBag,
    clock: Clock,
}

impl Smithy {
    pub(crate) fn open(place: &Place, tokens: Tokens) -> Result<Self, BoxError> {
        let clock = Clock::default();
        let expiry = SystemTime::try_from(tokens.access_expires_at)?;
        let resolver = SharedIdentityResolver::new(RefreshToken {
            wire: place.wire.clone(),
            store: place.store.clone(),
            held: Mutex::new(Held {
                unused: Some((tokens.access, expiry)),
                refresh: tokens.refresh,
            }),
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

    /// The cache looks at the clock that it was given.
    pub(crate) fn expire(&self) {
        self.clock.jumps.fetch_add(1, Ordering::SeqCst);
    }
}

/// Loads an identity by exchanging the refresh token.
struct RefreshToken {
    wire: Arc<Wire>,
    store: Store,
    held: Mutex<Held>,
}

struct Held {
    /// The access token from the sign-in or the store with its expiry, until the cache has it.
    unused: Option<(String, SystemTime)>,
    refresh: String,
}

impl ResolveIdentity for RefreshToken {
    fn resolve_identity<'a>(
        &'a self,
        components: &'a RuntimeComponents,
        _settings: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        IdentityFuture::new(async move {
            let clock = components.time_source().expect("Smithy::open sets one");
            let (unused, refresh) = {
                let mut held = self.lock();
                (held.unused.take(), held.refresh.clone())
            };
            if let Some((access, expiry)) = unused
                && clock.now() < expiry
            {
                return Ok(Token::new(access, Some(expiry)).into());
            }
            let issued = self.wire.renew(&refresh).await?;
            let tokens = Tokens {
                access: issued.access_token,
                access_expires_at: Timestamp::now()
                    + SignedDuration::from_secs(issued.expires_in.into()),
                refresh: issued.refresh_token.unwrap_or(refresh),
                refresh_expires_at: None,
            };
            self.lock().refresh = tokens.refresh.clone();
            if let Err(error) = self.store.write(&tokens) {
                eprintln!("the store: {error}");
            }
            let expiry = clock.now() + Duration::from_secs(issued.expires_in.into());
            Ok(Identity::from(Token::new(tokens.access, Some(expiry))))
        })
    }
}

impl RefreshToken {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("nothing panics while it is held")
    }
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
