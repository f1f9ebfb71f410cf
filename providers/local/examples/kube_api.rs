//! Serves the embedded Kubernetes API on a loopback port: `cargo run --example kube_api -- [DIR] [PORT]`.
//! Writes a kubeconfig beside it and prints its path.

use plinth_local::kube::{ApiServer, Options};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let dir = std::path::PathBuf::from(args.next().unwrap_or_else(|| ".plinth/kubernetes".into()));
    let port: u16 = args.next().and_then(|p| p.parse().ok()).unwrap_or(0);
    let server = ApiServer::open(&dir, Options::default())?;
    let serving = server.serve(tokio::net::TcpListener::bind(("127.0.0.1", port)).await?)?;
    let kubeconfig = dir.join("kubeconfig");
    std::fs::write(&kubeconfig, serving.kubeconfig())?;
    println!("{}", kubeconfig.display());
    serving.wait().await;
    Ok(())
}
