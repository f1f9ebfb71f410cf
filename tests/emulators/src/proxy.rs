//! A proxy that understands HTTP: it passes requests on, loses replies, and answers in the server's place.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// What becomes of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it is passed on, and so is its reply.
    Pass,
    /// It is passed on, and carried out; the connection is closed in place of the reply.
    LoseReply,
    /// It is never seen: the connection is closed.
    Drop,
    /// It is never seen: the proxy answers with this status and body.
    Answer(u16, &'static str),
    /// It is passed on, and carried out; the proxy answers with this status and body.
    AnswerAfter(u16, &'static str),
    /// It is passed on after this long.
    Delay(Duration),
}

/// A request as the proxy saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub path: String,
    /// Whether it may only create what is absent.
    pub creates: bool,
}

type Judge = Arc<Mutex<Box<dyn FnMut(&Seen) -> Fault + Send>>>;

/// A proxy before an HTTP server. It passes creates on one after another, and everything else as it comes.
pub struct FaultProxy {
    background: Background,
    judge: Judge,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultProxy").field("background", &self.background).finish_non_exhaustive()
    }
}

impl FaultProxy {
    /// Stands before the server at `http://host:port`.
    ///
    /// # Panics
    /// When the URL is not one.
    pub fn before(url: &str) -> Self {
        let judge: Judge = Arc::new(Mutex::new(Box::new(|_: &Seen| Fault::Pass)));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let authority = url.parse::<Uri>().expect("a URL").authority().expect("with a host").to_string();
        let shared = Arc::new(Shared {
            authority,
            client: Client::builder(TokioExecutor::new()).build_http(),
            judge: Arc::clone(&judge),
            seen: Arc::clone(&seen),
            creating: tokio::sync::Mutex::new(()),
        });
        let background = Background::start(move |listener| async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        let shared = Arc::clone(&shared);
                        async move { shared.serve(request).await }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { background, judge, seen }
    }

    /// Where it listens: `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        self.background.url()
    }

    /// Decides from now on what becomes of each request.
    pub fn judge(&self, judge: impl FnMut(&Seen) -> Fault + Send + 'static) {
        *self.judge.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(judge);
    }

    /// Every request since the last call.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Shared {
    authority: String,
    client: Client<HttpConnector, Full<Bytes>>,
    judge: Judge,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// One create at a time: see [`crate::moto`].
    creating: tokio::sync::Mutex<()>,
}

/// Ends the connection without a reply.
#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the proxy closes the connection")
    }
}

impl std::error::Error for Closed {}

impl From<Infallible> for Closed {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Shared {
    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Closed> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let has = |name: &str| request.headers().contains_key(name);
        let creates = has("if-none-match") || has("x-goog-if-generation-match");
        let seen = Seen { method: request.method().clone(), path, creates };
        let fault = self.judge.lock().unwrap_or_else(PoisonError::into_inner)(&seen);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen.clone());
        let (mut parts, body) = request.into_parts();
        // Read in any case: a client that is still sending would see a broken pipe and not what it was told.
        let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
        match fault {
            Fault::Drop => return Err(Closed),
            Fault::Answer(status, text) => return Ok(answer(status, text)),
            Fault::Delay(time) => tokio::time::sleep(time).await,
            _ => {}
        }
        let _turn = if seen.creates { Some(self.creating.lock().await) } else { None };
        let target = format!("http://{}{}", self.authority, seen.path);
        parts.uri = target.parse().map_err(|_| Closed)?;
        let reply =
            self.client.request(Request::from_parts(parts, Full::new(body))).await.map_err(|_| Closed)?;
        let (parts, body) = reply.into_parts();
        let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
        match fault {
            Fault::LoseReply => Err(Closed),
            Fault::AnswerAfter(status, text) => Ok(answer(status, text)),
            _ => Ok(Response::from_parts(parts, Full::new(body))),
        }
    }
}

fn answer(status: u16, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// A server in a thread and runtime of its own, so that synchronous tests can have it. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Background {
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Background {
    pub(crate) fn start<F>(serve: impl FnOnce(TcpListener) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()>,
    {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a non-blocking listener");
        let port = listener.local_addr().expect("its address").port();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = serve(listener) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { port, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
