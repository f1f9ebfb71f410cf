//! Serving a place: opening its stores, listening on a loopback port, and ending in good order.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::files::{Files, Lock};
use super::gate::Gate;
use super::kubernetes::Kubernetes;
use super::{Endpoint, Options, PlaceError};
use crate::cloud::{Cloud, Settings};

/// How long requests in flight may take once serving ends. A watch never ends by itself.
const GRACE: Duration = Duration::from_millis(300);

/// A place that this process serves.
#[derive(Debug)]
pub struct Owner {
    pub endpoint: Endpoint,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Owner {
    /// Opens the stores and serves them, on `port`, else on the port of last time, else on any.
    pub async fn start(
        files: Files,
        mut lock: Lock,
        options: &Options,
        port: Option<u16>,
    ) -> Result<Self, PlaceError> {
        // What an owner that was killed left behind must not be taken for ours.
        files.withdraw();
        lock.sign();
        let token = files.token()?;
        let identity = files.identity()?;
        let acceptor = identity.acceptor()?;
        let listener = listen(&files, port).await?;
        let kubernetes = Kubernetes::open(&files.kubernetes(), options).await?;
        let settings = Settings {
            latency_scale: options.latency_scale,
            latencies: options.latencies.clone(),
            nodes: Arc::new(kubernetes.clone()),
        };
        let opening = PlaceError::files(format!("open {}", files.cloud().display()));
        let cloud = Cloud::open(&files.cloud(), settings).map_err(opening)?;
        let address = listener.local_addr().map_err(PlaceError::files("listen on a loopback port"))?;
        files.remember_port(address.port());
        let endpoint = Endpoint {
            url: format!("http://{address}"),
            token,
            authority: identity.authority,
            pid: std::process::id(),
            started: jiff::Timestamp::now(),
            instance: uuid::Uuid::new_v4().simple().to_string(),
        };
        let gate = Gate::new(endpoint.clone(), options, cloud.router(), kubernetes.router())?;
        let stop = CancellationToken::new();
        let serving = {
            let (stop, files) = (stop.clone(), files.clone());
            async move {
                serve(listener, Arc::new(gate), acceptor, stop).await;
                files.withdraw();
                if let Err(error) = cloud.close().await {
                    tracing::warn!(%error, "the simulated cloud could not be synced");
                }
                drop((cloud, kubernetes));
                // Only now may another process open the stores.
                drop(lock);
            }
        };
        let task = tokio::spawn(serving);
        files.announce(&endpoint)?;
        Ok(Self { endpoint, stop, task })
    }

    /// Whether serving has ended: with the runtime that it ran on, at the latest.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends serving and waits until another process could take over.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn listen(files: &Files, port: Option<u16>) -> Result<TcpListener, PlaceError> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    if let Some(port) = port {
        return bind(port).await.map_err(PlaceError::files(format!("listen on 127.0.0.1:{port}")));
    }
    if let Some(port) = files.remembered_port()
        && let Ok(listener) = bind(port).await
    {
        return Ok(listener);
    }
    bind(0).await.map_err(PlaceError::files("listen on a loopback port"))
}

async fn serve(listener: TcpListener, gate: Arc<Gate>, acceptor: TlsAcceptor, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(greet(stream, gate.clone(), acceptor.clone(), stop.clone()));
            }
            // Out of file descriptors, most likely: they come back when connections end.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// How a TLS connection begins; no HTTP request does.
const HANDSHAKE: u8 = 0x16;

/// One port speaks both: Plinth's own processes come without TLS, `kubectl` with it, since it sends tokens over nothing
/// else.
async fn greet(stream: TcpStream, gate: Arc<Gate>, acceptor: TlsAcceptor, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let mut first = [0];
    let peeked = tokio::select! {
        () = stop.cancelled() => return,
        peeked = stream.peek(&mut first) => peeked,
    };
    match peeked {
        Ok(1) if first[0] == HANDSHAKE => {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = acceptor.accept(stream) => accepted,
            };
            // Who does not trust the certificate goes away; that is its own affair.
            if let Ok(stream) = accepted {
                connection(stream, gate, stop).await;
            }
        }
        Ok(1) => connection(stream, gate, stop).await,
        _ => {}
    }
}

async fn connection<S>(stream: S, gate: Arc<Gate>, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request| {
        let gate = gate.clone();
        async move { gate.serve(request).await }
    });
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // A client that goes away in the middle is its own affair.
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(GRACE, connection).await;
        }
    }
}
