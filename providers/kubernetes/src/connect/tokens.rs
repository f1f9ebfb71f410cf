//! Bearer tokens that do not last: asked for with each request, so that one client serves a run however long it takes.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, Response};
use kube::client::Body;
use plinth_provider::Result;
use tower::BoxError;

/// Gives the token of a request. Called for every one, so a token should be kept for as long as it is good.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// A token that is good now.
    ///
    /// # Errors
    /// When there is none to be had.
    async fn token(&self) -> Result<String>;
}

/// The layer that puts a token into each request.
#[derive(Clone)]
pub(super) struct TokenLayer(pub Arc<dyn Tokens>);

impl<S> tower::Layer<S> for TokenLayer {
    type Service = WithToken<S>;

    fn layer(&self, inner: S) -> WithToken<S> {
        WithToken { inner, tokens: Arc::clone(&self.0) }
    }
}

#[derive(Clone)]
pub(super) struct WithToken<S> {
    inner: S,
    tokens: Arc<dyn Tokens>,
}

impl<S, B> tower::Service<Request<Body>> for WithToken<S>
where
    S: tower::Service<Request<Body>, Response = Response<B>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
    B: 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = futures::future::BoxFuture<'static, std::result::Result<Response<B>, BoxError>>;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::result::Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The one that was asked whether it is ready goes; its successor is asked the next time.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let tokens = Arc::clone(&self.tokens);
        Box::pin(async move {
            let token = tokens.token().await?;
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
            inner.call(request).await
        })
    }
}
