//! Every server starts, answers, and is gone when it is dropped.

use std::net::TcpStream;

use plinth_emulators::{Fault, FaultProxy, Gcs, Server, Wire, WireFault};

fn answers(server: Option<Server>, path: &str, status: u16) {
    let Some(server) = server else { return };
    assert_eq!(server.send("GET", path, &[], ""), status, "{}", server.said());
    let port = server.port();
    drop(server);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "something still listens");
}

#[test]
fn moto() {
    answers(plinth_emulators::moto(), "/moto-api/", 200);
}

#[test]
fn ministack() {
    answers(plinth_emulators::ministack(), "/_ministack/health", 200);
}

#[test]
fn azurite() {
    answers(plinth_emulators::azurite(), "/devstoreaccount1/none/none", 403);
}

#[test]
fn fake_gcs_server() {
    answers(plinth_emulators::fake_gcs_server(), "/storage/v1/b/none", 404);
}

#[test]
fn postgres() {
    let Some(server) = plinth_emulators::postgres() else { return };
    let port = server.port();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    drop(server);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "something still listens");
}

/// One request by hand; `None` when the connection ends without a reply.
fn status(url: &str, request: &str) -> Option<u16> {
    use std::io::{Read as _, Write as _};
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply.split(' ').nth(1)?.parse().ok()
}

const CREATE: &str = "PUT /bucket/a%2Fb HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\
                      x-goog-if-generation-match: 0\r\n\r\nx";
const READ: &str = "GET /bucket/a%2Fb HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[test]
fn the_stand_in_creates_only_what_is_absent() {
    let gcs = Gcs::new();
    assert_eq!(status(&gcs.url(), READ), Some(404));
    assert_eq!(status(&gcs.url(), CREATE), Some(200));
    assert_eq!(status(&gcs.url(), CREATE), Some(412));
    assert_eq!(status(&gcs.url(), READ), Some(200));
}

#[test]
fn the_proxy_loses_replies_and_drops_requests() {
    let gcs = Gcs::new();
    let proxy = FaultProxy::before(&gcs.url());
    proxy.judge(|seen| if seen.creates { Fault::Drop } else { Fault::Pass });
    assert_eq!(status(&proxy.url(), CREATE), None);
    assert_eq!(status(&proxy.url(), READ), Some(404));
    proxy.judge(|seen| if seen.creates { Fault::LoseReply } else { Fault::Pass });
    assert_eq!(status(&proxy.url(), CREATE), None);
    assert_eq!(status(&proxy.url(), READ), Some(200));
    proxy.judge(|_| Fault::Answer(503, "<Error/>"));
    assert_eq!(status(&proxy.url(), READ), Some(503));
    assert_eq!(proxy.take_seen().len(), 5);
}

#[test]
fn the_wire_loses_what_is_answered() {
    let gcs = Gcs::new();
    let port: u16 = gcs.url().rsplit(':').next().unwrap().parse().unwrap();
    let wire = Wire::before(port);
    let url = format!("127.0.0.1:{}", wire.port());
    wire.set(WireFault::LoseReplyTo("PUT /bucket"));
    assert_eq!(status(&url, CREATE), None);
    assert_eq!(status(&url, READ), Some(200));
    wire.set(WireFault::DropBefore("GET"));
    assert_eq!(status(&url, READ), None);
    assert_eq!(wire.connections(), 3);
}
