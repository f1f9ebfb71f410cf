//! The way in from outside: Traefik, with certificates that cert-manager keeps in Secrets. Nothing of it where the
//! stack names the class of an ingress controller that is there already.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{IngressClass, IngressClassSpec};
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::json;

use crate::catalogue::Image;
use crate::kit::{
    Build, CA_FILE, Check, Outside, Peer, Phase, Probes, Space, Workload, metadata, parts, rule,
    service_port, yaml,
};
use crate::model::{Cloud, ServiceType, TlsVersion};

const WEB: i32 = 8000;
const WEB_SECURE: i32 = 8443;
const PING: i32 = 8080;
const METRICS: i32 = 9100;

pub(crate) fn declare(build: &mut Build<'_>) {
    if build.platform.ingress.class_name.is_some() {
        return;
    }
    build.phase(Phase::Ingress);
    let part = parts::TRAEFIK;
    let namespace = build.namespace(Space::Ingress).to_owned();
    let class = build.ingress_class();
    let class = build.object(IngressClass {
        metadata: metadata(None, class, build.labels(part)),
        spec: Some(IngressClassSpec {
            controller: Some("traefik.io/ingress-controller".to_owned()),
            parameters: None,
        }),
    });
    let service = service(build);
    let settings = build.platform.ingress.traefik.clone();
    let shape = build.sizing.traefik.clone();
    let file = file_provider(settings.min_tls_version, build.peer_name());
    let workload = Workload::deployment(build, part, Image::Traefik, &shape)
        .priority("plinth-foundation")
        .grace(60)
        .main(|main| {
            main.args(arguments(&build.ingress_class(), &format!("{namespace}/{}", part.name())))
                .port("web", WEB)
                .port("websecure", WEB_SECURE)
                .port("traefik", PING)
                .port("metrics", METRICS)
                .probes(Probes::same(Check::Http("traefik", "/ping")))
                .go_memory_limit()
        })
        .config("/etc/traefik/dynamic", [("dynamic.yaml", yaml::to_yaml(&file))])
        .scratch("data", "/data")
        .tls()
        .without_service()
        .cluster_rules(access())
        .plain_metrics(METRICS, "/metrics")
        .deploy(build);
    build.ingress = vec![class, service, workload];
    build.allow(Peer::Anyone, part, &[WEB, WEB_SECURE]);
    build.allow_outside(part, Outside::ApiServer);
    // Pods that answer proofs over HTTP for an ACME authority live for a minute, with labels of cert-manager.
    if build.platform.cert_manager.acme.is_some() {
        build.allow_out(part, super::network_policies::acme_solver(), &[8089]);
    }
}

fn arguments(class: &str, service: &str) -> Vec<String> {
    [
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        "--log.format=json",
        "--accesslog=true",
        "--accesslog.format=json",
        "--ping=true",
        "--providers.kubernetesingress=true",
        &format!("--providers.kubernetesingress.ingressclass={class}"),
        &format!("--providers.kubernetesingress.ingressendpoint.publishedservice={service}"),
        "--providers.kubernetesingress.strictprefixmatching=true",
        "--providers.file.directory=/etc/traefik/dynamic",
        "--providers.file.watch=true",
        &format!("--entrypoints.traefik.address=:{PING}/tcp"),
        &format!("--entrypoints.metrics.address=:{METRICS}/tcp"),
        &format!("--entrypoints.web.address=:{WEB}/tcp"),
        "--entrypoints.web.http.redirections.entrypoint.to=:443",
        "--entrypoints.web.http.redirections.entrypoint.scheme=https",
        "--entrypoints.web.http.redirections.entrypoint.permanent=true",
        &format!("--entrypoints.websecure.address=:{WEB_SECURE}/tcp"),
        "--entrypoints.websecure.http.tls=true",
        "--entrypoints.websecure.http.tls.options=modern@file",
        // Load balancers need some seconds to notice that a pod is going.
        "--entrypoints.web.transport.lifecycle.requestacceptgracetimeout=15s",
        "--entrypoints.websecure.transport.lifecycle.requestacceptgracetimeout=15s",
        "--metrics.prometheus=true",
        "--metrics.prometheus.entrypoint=metrics",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// What Ingress objects refer to: versions of TLS, headers, and how backends prove who they are.
fn file_provider(oldest: TlsVersion, peer_name: &str) -> serde_json::Value {
    let mut modern = json!({
        "minVersion": match oldest {
            TlsVersion::Tls12 => "VersionTLS12",
            TlsVersion::Tls13 => "VersionTLS13",
        },
        "sniStrict": true,
    });
    if oldest == TlsVersion::Tls12 {
        modern["cipherSuites"] = json!([
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        ]);
    }
    json!({
        "tls": {
            "options": { "modern": modern },
        },
        "http": {
            "middlewares": {
                "secure-headers": {
                    "headers": {
                        "stsSeconds": 31_536_000,
                        "stsIncludeSubdomains": true,
                        "contentTypeNosniff": true,
                        "referrerPolicy": "strict-origin-when-cross-origin",
                    },
                },
            },
            "serversTransports": {
                "internal": {
                    // Pods are dialled by their address; this is the name that their certificates share. No
                    // certificate of our own: Traefik would go on using the one it read at its start.
                    "serverName": peer_name,
                    "rootCAs": [CA_FILE],
                },
            },
        },
    })
}

fn access() -> Vec<PolicyRule> {
    let read = &["get", "list", "watch"];
    vec![
        rule(&[""], &["services", "secrets", "nodes", "configmaps"], read),
        rule(&[""], &["namespaces"], &["list", "watch"]),
        rule(&["discovery.k8s.io"], &["endpointslices"], &["list", "watch"]),
        rule(&["networking.k8s.io"], &["ingresses", "ingressclasses"], read),
        rule(&["networking.k8s.io"], &["ingresses/status"], &["update"]),
    ]
}

fn service(build: &mut Build<'_>) -> plinth_provider::Urn {
    let part = parts::TRAEFIK;
    let settings = build.platform.ingress.traefik.clone();
    let namespace = build.namespace(Space::Ingress).to_owned();
    let mut meta = metadata(Some(&namespace), part.name(), build.labels(part));
    let mut annotations = settings.service_annotations.clone();
    if matches!(build.stack.cloud, Cloud::Aws(_)) {
        // The balancer that keeps connections and the sender's address; the older kind is what comes by itself.
        annotations
            .entry("service.beta.kubernetes.io/aws-load-balancer-type".to_owned())
            .or_insert_with(|| "nlb".to_owned());
    }
    meta.annotations = (!annotations.is_empty()).then_some(annotations);
    let ports = [("web", 80), ("websecure", 443)]
        .map(|(name, port)| ServicePort { port, ..service_port(name, port, "TCP") })
        .to_vec();
    let outside = settings.service_type != ServiceType::ClusterIp;
    let ranges: Vec<String> = settings.source_ranges.iter().map(ToString::to_string).collect();
    build.object(Service {
        metadata: meta,
        spec: Some(ServiceSpec {
            type_: Some(
                match settings.service_type {
                    ServiceType::LoadBalancer => "LoadBalancer",
                    ServiceType::NodePort => "NodePort",
                    ServiceType::ClusterIp => "ClusterIP",
                }
                .to_owned(),
            ),
            // Keeps the sender's address, and a hop away.
            external_traffic_policy: outside.then(|| "Local".to_owned()),
            load_balancer_source_ranges: (settings.service_type == ServiceType::LoadBalancer
                && !ranges.is_empty())
            .then_some(ranges),
            selector: Some(build.selector(part)),
            ports: Some(ports),
            ..ServiceSpec::default()
        }),
        status: None,
    })
}
