//! A proxy that passes bytes on without understanding them, and breaks connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::proxy::Background;

/// What becomes of what is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum WireFault {
    /// Everything arrives.
    #[default]
    Pass,
    /// A client's bytes arrive that hold this text; what is answered is lost, and so is the connection.
    LoseReplyTo(&'static str),
    /// A client's bytes that hold this text do not arrive, and the connection is lost.
    DropBefore(&'static str),
    /// Whoever connects is turned away.
    Refuse,
}

/// A proxy before any server that speaks over TCP.
#[derive(Debug)]
pub struct Wire {
    background: Background,
    fault: watch::Sender<WireFault>,
    cut: watch::Sender<u64>,
    connections: Arc<AtomicU64>,
}

impl Wire {
    /// Stands before a port of this machine.
    pub fn before(port: u16) -> Self {
        let (fault, faults) = watch::channel(WireFault::Pass);
        let (cut, cuts) = watch::channel(0);
        let connections = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&connections);
        let background = Background::start(move |listener| async move {
            while let Ok((client, _)) = listener.accept().await {
                if *faults.borrow() == WireFault::Refuse {
                    continue;
                }
                counter.fetch_add(1, Ordering::SeqCst);
                let (faults, mut cuts) = (faults.clone(), cuts.clone());
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = pass(client, port, faults) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { background, fault, cut, connections }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.background.port()
    }

    /// Says what becomes of what is sent from now on.
    pub fn set(&self, fault: WireFault) {
        self.fault.send_replace(fault);
    }

    /// Breaks every connection there is.
    pub fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    /// How many connections there have been.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn pass(client: TcpStream, port: u16, faults: watch::Receiver<WireFault>) -> std::io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let muted = AtomicBool::new(false);
    let upwards = async {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = from_client.read(&mut buffer).await?;
            if length == 0 {
                return std::io::Result::Ok(());
            }
            let holds = |text: &str| {
                let text = text.as_bytes();
                buffer[..length].windows(text.len()).any(|window| window == text)
            };
            let fault = faults.borrow().clone();
            match fault {
                WireFault::DropBefore(text) if holds(text) => return Ok(()),
                WireFault::LoseReplyTo(text) if holds(text) => {
                    muted.store(true, Ordering::SeqCst);
                    to_server.write_all(&buffer[..length]).await?;
                    // The server gets its time to act; nobody hears of it.
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    return Ok(());
                }
                _ => to_server.write_all(&buffer[..length]).await?,
            }
        }
    };
    let downwards = async {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = from_server.read(&mut buffer).await?;
            if length == 0 {
                return std::io::Result::Ok(());
            }
            if !muted.load(Ordering::SeqCst) {
                to_client.write_all(&buffer[..length]).await?;
            }
        }
    };
    tokio::select! {
        done = upwards => done,
        done = downwards => done,
    }
}
