//! The exchange of a refresh token as an operation of smithy's runtime, so that the SDK's own standard retry is behind
//! it, as it is behind the exchanges of AWS's providers: three attempts with backoff and jitter from 1 s on.
//!
//! What is worth another attempt say the SDK's classifiers: 500, 502, 503, 504, and a connection or an answer that
//! breaks off. Two more are ours, in its favour: 429, which a service of AWS says by an error code, is throttling; and an
//! answer with 200 that cannot be read is the server's error, as in AWS's provider of credentials over HTTP. A
//! Retry-After is not looked at, for smithy knows `x-amz-retry-after` only.

use std::fmt;
use std::sync::Arc;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{
    HttpStatusCodeClassifier, ModeledAsRetryableClassifier, TransientErrorClassifier,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::{ErrorKind, ProvideErrorKind, RetryConfig};
use reqwest::StatusCode;

use crate::wire::{Issued, Wire, WireError};

/// Exchanges refresh tokens.
pub(crate) struct Exchange {
    operation: Operation<RefreshToken, Issued, WireError>,
}

/// The input of the operation.
struct RefreshToken(String);

impl Exchange {
    pub(crate) fn new(wire: &Arc<Wire>, origin: &str, clock: impl TimeSource + 'static) -> Self {
        let connector = SharedHttpConnector::new(Connector(wire.clone()));
        let wire = wire.clone();
        let operation = Operation::builder()
            .service_name("compare")
            .operation_name("RefreshToken")
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .endpoint_url(origin)
            .no_auth()
            .standard_retry(&RetryConfig::standard())
            .retry_classifier(ModeledAsRetryableClassifier::<WireError>::new())
            .retry_classifier(TransientErrorClassifier::<WireError>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .sleep_impl(TokioSleep::new())
            .time_source(clock)
            .serializer(move |token: RefreshToken| request(&wire, &token))
            .deserializer(issued)
            .build();
        Self { operation }
    }

    /// The errors show no token, and nothing that the server wrote.
    pub(crate) async fn exchange(&self, refresh_token: String) -> Result<Issued, BoxError> {
        let exchanged = self.operation.invoke(RefreshToken(refresh_token)).await;
        exchanged.map_err(|error| match error {
            SdkError::ServiceError(refused) => refused.into_err().into(),
            SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => WireError::NoReply.into(),
            _ => "the renewal could not be sent".into(),
        })
    }
}

fn request(wire: &Wire, token: &RefreshToken) -> Result<HttpRequest, BoxError> {
    let request: http::Request<reqwest::Body> = wire.renewal(&token.0).build()?.try_into()?;
    let request = request.map(|form| SdkBody::from(form.as_bytes().unwrap_or_default()));
    Ok(request.try_into()?)
}

fn issued(response: &HttpResponse) -> Result<Issued, OrchestratorError<WireError>> {
    let status =
        StatusCode::from_u16(response.status().as_u16()).map_err(OrchestratorError::other)?;
    let body = response.body().bytes().unwrap_or_default();
    Issued::read(status, body).map_err(OrchestratorError::operation)
}

/// The application's requests all go over one wire, this one too.
struct Connector(Arc<Wire>);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.0.clone();
        HttpConnectorFuture::new(async move {
            let user = |error: BoxError| ConnectorError::user(error);
            let request = request
                .try_into_http1x()
                .map_err(|error| user(error.into()))?;
            let request =
                request.map(|form| reqwest::Body::from(form.bytes().unwrap_or_default().to_vec()));
            let request = request
                .try_into()
                .map_err(|error: reqwest::Error| user(error.into()))?;
            let answer = wire.execute(request).await;
            let answer = answer.map_err(|error| ConnectorError::io(error.into()))?;
            let status = answer.status.as_u16().try_into();
            let status = status.map_err(|_| user("no HTTP status".into()))?;
            Ok(HttpResponse::new(
                status,
                SdkBody::from(answer.body.to_vec()),
            ))
        })
    }
}

impl ProvideErrorKind for WireError {
    fn retryable_error_kind(&self) -> Option<ErrorKind> {
        match self {
            Self::RenewalRefused(StatusCode::TOO_MANY_REQUESTS) => Some(ErrorKind::ThrottlingError),
            Self::Unreadable => Some(ErrorKind::ServerError),
            _ => None,
        }
    }

    fn code(&self) -> Option<&str> {
        None
    }
}

// The runtime asks for these of what goes in and comes out. Neither shows a token.

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken")
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issued")
    }
}
