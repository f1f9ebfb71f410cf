//! Calls to a place, wherever it is served: when its owner has ended, the call finds or becomes the next one.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower_service::Service;

use super::gate::{ABOUT, About, INSTANCE, Requests};
use super::{Place, PlaceError};

pub type Http = Client<HttpConnector, Full<Bytes>>;

/// How often a call that cannot have been served looks for the owner again.
const TRIES: u32 = 12;

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is nobody to call. The call was not served.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The owner was not reached. The call was not served.
    #[error("the place cannot be reached: {0}")]
    Unreached(String),
    /// The connection broke; the call may have been served.
    #[error("the connection broke before the answer: {0}")]
    Lost(String),
    /// The request cannot be sent at all.
    #[error("not a request: {0}")]
    Malformed(String),
}

pub fn client() -> Http {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

impl Place {
    /// Sends a request whose address is a path (`/api/v1/nodes?limit=5`), with the token, and gives the answer as a
    /// stream. Reads are repeated when the owner ends; everything else only as long as it cannot have been served.
    ///
    /// # Errors
    /// When the place cannot be reached, or the connection broke.
    pub async fn request(&self, request: Request<Bytes>) -> Result<Response<Incoming>, CallError> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let mut tries = 0;
        loop {
            let endpoint = self.endpoint().await?;
            let sent = addressed(&request, &endpoint.url, &endpoint.token)?;
            let failure = match self.inner.http.request(sent).await {
                Ok(response) => {
                    let instance = response.headers().get(INSTANCE).and_then(|value| value.to_str().ok());
                    // Another program may have taken the port after the owner ended.
                    if instance.is_some_and(|instance| !instance.is_empty()) {
                        return Ok(response);
                    }
                    CallError::Unreached(format!("{} is not a place", endpoint.url))
                }
                Err(error) if error.is_connect() => CallError::Unreached(chain(&error)),
                Err(error) => CallError::Lost(chain(&error)),
            };
            tries += 1;
            if tries == TRIES || (matches!(failure, CallError::Lost(_)) && !reads) {
                return Err(failure);
            }
            tokio::time::sleep(Duration::from_millis(10 * u64::from(tries))).await;
        }
    }

    /// Like [`Place::request`], with the whole answer.
    ///
    /// # Errors
    /// As [`Place::request`].
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, CallError> {
        let (parts, body) = self.request(request).await?.into_parts();
        let body = body.collect().await.map_err(|error| CallError::Lost(chain(&error)))?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }

    /// How many requests the place has served since its owner opened it.
    ///
    /// # Errors
    /// As [`Place::request`].
    pub async fn requests(&self) -> Result<Requests, CallError> {
        let request = Request::get(ABOUT).body(Bytes::new()).map_err(malformed)?;
        let response = self.send(request).await?;
        let about: About = serde_json::from_slice(response.body())
            .map_err(|error| CallError::Unreached(error.to_string()))?;
        Ok(about.requests)
    }
}

/// A place is what a Kubernetes client can be built on: `kube::Client::new(place.clone(), "default")`. Such a client needs
/// no address and no token, and survives the end of the place's owner.
impl<B> Service<Request<B>> for Place
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Incoming>;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<Self::Response, CallError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let place = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(|error| malformed(error.into()))?.to_bytes();
            Place::request(&place, Request::from_parts(parts, body)).await
        })
    }
}

fn addressed(request: &Request<Bytes>, url: &str, token: &str) -> Result<Request<Full<Bytes>>, CallError> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut sent = Request::new(Full::new(request.body().clone()));
    *sent.method_mut() = request.method().clone();
    *sent.uri_mut() = format!("{url}{path}").parse::<Uri>().map_err(malformed)?;
    *sent.headers_mut() = request.headers().clone();
    sent.headers_mut().remove(header::HOST);
    let mut bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(malformed)?;
    bearer.set_sensitive(true);
    sent.headers_mut().insert(header::AUTHORIZATION, bearer);
    Ok(sent)
}

fn malformed(error: impl std::fmt::Display) -> CallError {
    CallError::Malformed(error.to_string())
}

/// An error with its causes: hyper's own text is only "client error".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
