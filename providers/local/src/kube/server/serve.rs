//! Serving over loopback HTTP, and calling in process.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tower_service::Service;

use super::super::rest::{self, lost::LostReply};
use super::ApiServer;

/// A server that is being served; it stops when this is dropped.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Serving {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig for `kubectl`.
    pub fn kubeconfig(&self) -> String {
        let url = self.url();
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: plinth-local\n  cluster:\n    server: {url}\nusers:\n- name: plinth-local\n  user: {{}}\ncontexts:\n- name: plinth-local\n  context:\n    cluster: plinth-local\n    user: plinth-local\ncurrent-context: plinth-local\n"
        )
    }

    /// Serves until stopped from elsewhere.
    pub async fn wait(mut self) {
        let _ = (&mut self.task).await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ApiServer {
    /// The API as a router, for callers that serve it themselves. A lost reply ends the body with an error.
    pub fn router(&self) -> Router {
        rest::router(self.server().clone())
    }

    /// Serves the API on a listener until the handle is dropped.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn serve(&self, listener: TcpListener) -> io::Result<Serving> {
        let address = listener.local_addr()?;
        let api = self.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else { continue };
                        let _ = stream.set_nodelay(true);
                        let router = api.router();
                        connections.spawn(async move {
                            let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                                answer(router.clone(), request.map(Body::new))
                            });
                            let _ = hyper::server::conn::http1::Builder::new()
                                .serve_connection(TokioIo::new(stream), service)
                                .await;
                        });
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Serving { address, task })
    }
}

/// One request; a reply that is to be lost becomes an error, which closes the connection.
async fn answer(mut router: Router, request: Request<Body>) -> Result<Response<Body>, LostReply> {
    let response = match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    match response.extensions().get::<LostReply>() {
        Some(lost) => Err(lost.clone()),
        None => Ok(response),
    }
}

impl<B> Service<Request<B>> for ApiServer
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = LostReply;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(answer(self.router(), request.map(Body::new)))
    }
}
