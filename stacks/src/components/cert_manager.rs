//! cert-manager, and the platform's authorities: a self-made root that signs certificates between components, and,
//! where the stack asks for it, an authority that speaks ACME for public names.

mod access;
mod crds;
mod issuers;
mod webhook;

use plinth_provider::Urn;

use crate::catalogue::Image;
use crate::kit::{Build, Check, Container, Outside, Part, Peer, Phase, Probes, Space, Workload, parts};

/// The Secret in which the webhook keeps its own authority.
const WEBHOOK_CA: &str = "cert-manager-webhook-ca";

const METRICS: i32 = 9402;
const WEBHOOK: i32 = 10250;

pub(crate) fn declare(build: &mut Build<'_>) {
    build.phase(Phase::Certificates);
    let installed = if build.platform.cert_manager.install { install(build) } else { Vec::new() };
    issuers::declare(build, &installed);
}

/// Everything that must stand before a certificate can be asked for.
fn install(build: &mut Build<'_>) -> Vec<Urn> {
    let mut ready = crds::declare(build);
    ready.push(controller(build));
    let webhook = webhook_server(build);
    let cainjector = cainjector(build);
    ready.extend(webhook::declare(build, &[webhook.clone(), cainjector.clone()]));
    ready.extend([webhook, cainjector]);
    for part in [parts::CERT_MANAGER_CONTROLLER, parts::CERT_MANAGER_WEBHOOK, parts::CERT_MANAGER_CAINJECTOR]
    {
        build.allow_outside(part, Outside::ApiServer);
    }
    ready
}

fn base(main: Container) -> Container {
    main.env_field("POD_NAMESPACE", "metadata.namespace").go_memory_limit()
}

fn deployment(build: &Build<'_>, part: Part, image: Image, shape: &crate::sizing::Shape) -> Workload {
    Workload::deployment(build, part, image, shape).priority("plinth-foundation")
}

fn controller(build: &mut Build<'_>) -> Urn {
    let part = parts::CERT_MANAGER_CONTROLLER;
    let shape = build.sizing.cert_manager_controller.clone();
    let namespace = build.namespace(Space::CertManager).to_owned();
    let solver = build.stack.catalogue.image(Image::CertManagerAcmesolver);
    // ACME's authority, and the DNS services by which names are proved.
    if build.platform.cert_manager.acme.is_some() {
        build.allow_outside(part, Outside::Internet(443));
        build.allow_outside(part, Outside::Internet(80));
        build.allow_outside(part, Outside::Internet(53));
    }
    deployment(build, part, Image::CertManagerController, &shape)
        .main(|main| {
            base(main)
                .args([
                    "--v=2".to_owned(),
                    "--cluster-resource-namespace=$(POD_NAMESPACE)".to_owned(),
                    format!("--leader-election-namespace={namespace}"),
                    format!("--acme-http01-solver-image={solver}"),
                    "--max-concurrent-challenges=60".to_owned(),
                ])
                .port("http-metrics", METRICS)
                .port("http-healthz", 9403)
                .probes(Probes::same(Check::Http("http-healthz", "/livez")))
        })
        .cluster_rules(access::controller())
        .rules(access::leases(&["cert-manager-controller"]))
        .plain_metrics(METRICS, "/metrics")
        .deploy(build)
}

fn webhook_server(build: &mut Build<'_>) -> Urn {
    let part = parts::CERT_MANAGER_WEBHOOK;
    let shape = build.sizing.cert_manager_webhook.clone();
    let namespace = build.namespace(Space::CertManager).to_owned();
    let name = part.name();
    build.allow(Peer::ApiServer, part, &[WEBHOOK]);
    deployment(build, part, Image::CertManagerWebhook, &shape)
        .main(|main| {
            base(main)
                .args([
                    "--v=2".to_owned(),
                    format!("--secure-port={WEBHOOK}"),
                    "--dynamic-serving-ca-secret-namespace=$(POD_NAMESPACE)".to_owned(),
                    format!("--dynamic-serving-ca-secret-name={WEBHOOK_CA}"),
                    format!("--dynamic-serving-dns-names={name},{name}.{namespace},{name}.{namespace}.svc"),
                ])
                .port("https", WEBHOOK)
                .port("healthcheck", 6080)
                .port("http-metrics", METRICS)
                .probes(Probes::new(
                    Check::Http("healthcheck", "/healthz"),
                    Check::Http("healthcheck", "/livez"),
                ))
        })
        .cluster_rules(access::webhook())
        .rules(access::webhook_authority(WEBHOOK_CA))
        .plain_metrics(METRICS, "/metrics")
        .deploy(build)
}

fn cainjector(build: &mut Build<'_>) -> Urn {
    let shape = build.sizing.cert_manager_cainjector.clone();
    let namespace = build.namespace(Space::CertManager).to_owned();
    deployment(build, parts::CERT_MANAGER_CAINJECTOR, Image::CertManagerCainjector, &shape)
        .main(|main| {
            base(main)
                .args(["--v=2".to_owned(), format!("--leader-election-namespace={namespace}")])
                .port("http-metrics", METRICS)
                .probes(Probes::same(Check::Tcp("http-metrics")))
        })
        .cluster_rules(access::cainjector())
        .rules(access::leases(&[
            "cert-manager-cainjector-leader-election",
            "cert-manager-cainjector-leader-election-core",
        ]))
        .plain_metrics(METRICS, "/metrics")
        .deploy(build)
}
