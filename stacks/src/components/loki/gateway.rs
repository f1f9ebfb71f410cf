//! The one address in front of Loki: nginx, which sends each path to the part that serves it. Everyone who calls must
//! show a certificate of the internal authority, except the kubelet, which may ask about health only.

use std::fmt::Write;

use crate::catalogue::Image;
use crate::kit::parts::{self, ports};
use crate::kit::{Build, CA_FILE, CERT_FILE, Check, KEY_FILE, Part, Probes, Workload};

/// The image takes any uid and gid; a high one is nobody on the node.
const USER: i64 = 10101;

/// How a location matches.
enum Path {
    /// This path only.
    Exactly(&'static str),
    /// Everything below.
    Below(&'static str),
}

/// What is served by whom. The first part is the pattern; nginx prefers exact ones, then the longest.
const ROUTES: [(Path, Part); 10] = [
    (Path::Exactly("/loki/api/v1/push"), parts::LOKI_DISTRIBUTOR),
    (Path::Exactly("/otlp/v1/logs"), parts::LOKI_DISTRIBUTOR),
    (Path::Below("/loki/api/v1/rules"), parts::LOKI_RULER),
    (Path::Below("/prometheus/api/v1/rules"), parts::LOKI_RULER),
    (Path::Below("/prometheus/api/v1/alerts"), parts::LOKI_RULER),
    (Path::Below("/loki/api/v1/delete"), parts::LOKI_COMPACTOR),
    (Path::Exactly("/loki/api/v1/tail"), parts::LOKI_QUERY_FRONTEND),
    (Path::Below("/loki/api/"), parts::LOKI_QUERY_FRONTEND),
    (Path::Below("/api/prom/"), parts::LOKI_QUERY_FRONTEND),
    (Path::Exactly("/ready"), parts::LOKI_QUERY_FRONTEND),
];

pub(super) fn declare(b: &mut Build<'_>) {
    let part = parts::LOKI_GATEWAY;
    let shape = b.sizing.loki.gateway.clone();
    let text = nginx(b);
    // nginx looks up whom it calls when it starts, so the Services must be there.
    let behind =
        [parts::LOKI_DISTRIBUTOR, parts::LOKI_QUERY_FRONTEND, parts::LOKI_RULER, parts::LOKI_COMPACTOR];
    let services: Vec<_> = behind
        .into_iter()
        .map(|part| {
            let name = format!("{}/{}", b.namespace(part.space), part.name());
            b.urn("k8s:v1/Service", &name)
        })
        .collect();
    Workload::deployment(b, part, Image::LokiGateway, &shape)
        .user(USER, USER)
        .grace(60)
        .main(|main| {
            main.command(["nginx"])
                .args(["-e", "/dev/stderr", "-c", "/etc/loki-gateway/nginx.conf", "-g", "daemon off;"])
                .port("https", ports::LOKI_GATEWAY)
                .probes(Probes::same(Check::Https("https", "/healthz")))
                .stop_delay(10)
        })
        .config("/etc/loki-gateway", [("nginx.conf", text)])
        .tls()
        .after(services)
        .deploy(b);
    for to in behind {
        b.allow(part, to, &[ports::LOKI_HTTP]);
    }
}

/// The configuration. Certificates are named by variables, which makes nginx read them for each handshake: renewed
/// ones are used without a restart.
fn nginx(b: &Build<'_>) -> String {
    let mut locations = String::new();
    for (path, part) in &ROUTES {
        let (modifier, path) = match path {
            Path::Exactly(path) => ("= ", path),
            Path::Below(path) => ("", path),
        };
        let host = b.host(*part);
        let port = ports::LOKI_HTTP;
        let _ = write!(
            locations,
            "
    location {modifier}{path} {{
      if ($ssl_client_verify != SUCCESS) {{ return 403; }}
      proxy_ssl_name {host};
      proxy_pass https://{host}:{port};
    }}
"
        );
    }
    format!(
        "worker_processes 2;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;

events {{
  worker_connections 4096;
}}

http {{
  client_body_temp_path /tmp/client_body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;

  default_type application/octet-stream;
  server_tokens off;
  sendfile on;
  tcp_nopush on;
  client_max_body_size 32m;
  proxy_read_timeout 300s;
  proxy_send_timeout 300s;
  proxy_http_version 1.1;
  proxy_buffering off;

  log_format main '$remote_addr $ssl_client_s_dn [$time_local] $status \"$request\" $body_bytes_sent $request_time';
  map $status $worth_logging {{
    ~^[23] 0;
    default 1;
  }}
  access_log /dev/stderr main if=$worth_logging;

  map $http_upgrade $connection_upgrade {{
    default upgrade;
    '' '';
  }}
  map $ssl_protocol $certificate {{
    default {CERT_FILE};
  }}
  map $ssl_protocol $certificate_key {{
    default {KEY_FILE};
  }}

  server {{
    listen {listen} ssl;
    listen [::]:{listen} ssl;
    http2 on;

    ssl_certificate $certificate;
    ssl_certificate_key $certificate_key;
    ssl_client_certificate {CA_FILE};
    ssl_verify_client optional;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_tickets off;

    proxy_ssl_certificate $certificate;
    proxy_ssl_certificate_key $certificate_key;
    proxy_ssl_trusted_certificate {CA_FILE};
    proxy_ssl_verify on;
    proxy_ssl_server_name on;
    proxy_ssl_protocols TLSv1.2 TLSv1.3;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;

    location = /healthz {{
      access_log off;
      return 200 'ok';
    }}
{locations}
    location / {{
      return 404;
    }}
  }}
}}
",
        listen = ports::LOKI_GATEWAY,
    )
}
