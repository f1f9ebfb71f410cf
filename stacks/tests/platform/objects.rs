//! What holds for every object that a platform consists of, whatever the stack.

use std::collections::{BTreeMap, BTreeSet};

use super::support::{Case, cases, manifest};
use plinth_provider::{Resource, Urn};
use plinth_stacks::program::{Target, program};
use serde_json::Value as Json;

fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Json::as_str).unwrap_or("")
}

fn name(object: &Json) -> String {
    format!(
        "{} {}/{}",
        text(object, "/kind"),
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name")
    )
}

fn list<'a>(object: &'a Json, pointer: &str) -> &'a [Json] {
    object.pointer(pointer).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// The pod template of a workload.
fn template(object: &Json) -> Option<&Json> {
    match text(object, "/kind") {
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" => object.pointer("/spec/template"),
        "CronJob" => object.pointer("/spec/jobTemplate/spec/template"),
        _ => None,
    }
}

fn workloads(case: &Case) -> Vec<(String, String, Json)> {
    case.manifests()
        .iter()
        .filter_map(|object| {
            Some((name(object), text(object, "/kind").to_owned(), template(object)?.clone()))
        })
        .collect()
}

#[test]
fn no_two_resources_have_the_same_name() {
    for case in cases() {
        let mut seen = BTreeSet::new();
        for resource in &case.resources {
            assert!(seen.insert(&resource.urn), "{}: {} is declared twice", case.name, resource.urn);
        }
    }
}

#[test]
fn references_lead_somewhere_and_not_in_circles() {
    for case in cases() {
        let all: BTreeMap<&Urn, &Resource> = case.resources.iter().map(|one| (&one.urn, one)).collect();
        let mut done: BTreeSet<Urn> = BTreeSet::new();
        let mut left: Vec<&Resource> = case.resources.iter().collect();
        for resource in &left {
            for needed in resource.dependencies() {
                assert!(all.contains_key(&needed), "{}: {} needs {needed}", case.name, resource.urn);
            }
        }
        while !left.is_empty() {
            let before = left.len();
            left.retain(|resource| {
                let ready = resource.dependencies().iter().all(|needed| done.contains(needed));
                if ready {
                    done.insert(resource.urn.clone());
                }
                !ready
            });
            let stuck: Vec<_> = left.iter().map(|one| one.urn.short()).collect();
            assert!(left.len() < before, "{}: a circle among {stuck:?}", case.name);
        }
    }
}

#[test]
fn the_same_stack_gives_the_same_program() {
    let (first, second) = (cases(), cases());
    for (one, other) in first.iter().zip(&second) {
        assert_eq!(one.resources, other.resources, "{}", one.name);
    }
}

#[test]
fn every_resource_has_a_phase_that_people_know() {
    const PHASES: &[&str] = &[
        "cloud",
        "cluster",
        "storage",
        "identity",
        "certificates",
        "ingress",
        "database",
        "metrics",
        "logs",
        "traces",
        "collectors",
        "dashboards",
        "backup",
        "monitoring",
        "resources",
    ];
    for case in cases() {
        for resource in &case.resources {
            let phase = resource.options.phase.as_str();
            assert!(PHASES.contains(&phase), "{}: {} is in phase `{phase}`", case.name, resource.urn);
        }
    }
}

#[test]
fn every_container_is_limited_probed_and_confined() {
    for case in cases() {
        for (name, kind, template) in workloads(&case) {
            let name = format!("{}: {name}", case.name);
            // Agents on nodes read what belongs to the node.
            let agent = kind == "DaemonSet";
            let once = kind == "Job" || kind == "CronJob";
            let pod = template.pointer("/spec").unwrap();
            assert!(pod.pointer("/serviceAccountName").is_some(), "{name} has no ServiceAccount");
            assert!(
                pod.pointer("/automountServiceAccountToken").is_some(),
                "{name} says nothing about its token"
            );
            assert!(pod.pointer("/priorityClassName").is_some(), "{name} has no priority");
            assert_eq!(
                text(pod, "/securityContext/seccompProfile/type"),
                "RuntimeDefault",
                "{name} is not confined by seccomp"
            );
            if !agent {
                assert_eq!(
                    pod.pointer("/securityContext/runAsNonRoot"),
                    Some(&Json::Bool(true)),
                    "{name} may run as root"
                );
                for volume in list(pod, "/volumes") {
                    assert!(volume.get("hostPath").is_none(), "{name} mounts a folder of its node");
                }
                for key in ["hostNetwork", "hostPID", "hostIPC"] {
                    assert!(pod.get(key).is_none(), "{name} has {key}");
                }
            }
            let init = list(pod, "/initContainers");
            for (container, starts) in list(pod, "/containers")
                .iter()
                .map(|one| (one, false))
                .chain(init.iter().map(|one| (one, true)))
            {
                let name = format!("{name} container {}", text(container, "/name"));
                for amount in ["cpu", "memory"] {
                    for part in ["requests", "limits"] {
                        let path = format!("/resources/{part}/{amount}");
                        assert!(container.pointer(&path).is_some(), "{name} lacks {path}");
                    }
                }
                for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                    // What runs once is done when it ends.
                    let asked = !once && !starts;
                    assert_eq!(container.get(probe).is_some(), asked, "{name}: {probe}");
                }
                let security = container.get("securityContext").unwrap();
                assert_eq!(security["readOnlyRootFilesystem"], Json::Bool(true), "{name}");
                assert_eq!(security["allowPrivilegeEscalation"], Json::Bool(false), "{name}");
                assert_eq!(security["capabilities"]["drop"][0], "ALL", "{name}");
                assert!(agent || security["capabilities"].get("add").is_none(), "{name} keeps a capability");
                let image = text(container, "/image");
                assert!(
                    image.rsplit_once(':').is_some_and(|(_, tag)| tag != "latest"),
                    "{name}: {image} has no exact version"
                );
            }
        }
    }
}

#[test]
fn every_mount_has_a_volume_and_every_volume_a_mount() {
    for case in cases() {
        for (name, kind, template) in workloads(&case) {
            let mut volumes: BTreeSet<&str> =
                list(&template, "/spec/volumes").iter().map(|volume| text(volume, "/name")).collect();
            if kind == "StatefulSet" {
                volumes.insert("data");
            }
            let containers =
                list(&template, "/spec/containers").iter().chain(list(&template, "/spec/initContainers"));
            let mut mounted = BTreeSet::new();
            for container in containers {
                let mut paths = BTreeSet::new();
                for mount in list(container, "/volumeMounts") {
                    let volume = text(mount, "/name");
                    assert!(
                        volumes.contains(volume),
                        "{}: {name} mounts `{volume}`, which is not there",
                        case.name
                    );
                    assert!(
                        paths.insert(text(mount, "/mountPath")),
                        "{}: {name} mounts twice at one place",
                        case.name
                    );
                    mounted.insert(volume);
                }
            }
            for volume in volumes.iter().filter(|volume| **volume != "data") {
                assert!(
                    mounted.contains(volume),
                    "{}: {name} has a volume `{volume}` that nobody mounts",
                    case.name
                );
            }
        }
    }
}

#[test]
fn what_pods_refer_to_is_declared() {
    for case in cases() {
        let manifests = case.manifests();
        let has = |kind: &str, namespace: &str, name: &str| {
            manifests.iter().any(|object| {
                text(object, "/kind") == kind
                    && text(object, "/metadata/namespace") == namespace
                    && text(object, "/metadata/name") == name
            })
        };
        let secret = |namespace: &str, name: &str| {
            has("Secret", namespace, name)
                || has("ExternalSecret", namespace, name)
                || manifests.iter().any(|object| {
                    text(object, "/kind") == "Certificate"
                        && text(object, "/metadata/namespace") == namespace
                        && text(object, "/spec/secretName") == name
                })
        };
        for object in &manifests {
            let Some(template) = template(object) else { continue };
            let namespace = text(object, "/metadata/namespace");
            let who = format!("{}: {}", case.name, name(object));
            let account = text(template, "/spec/serviceAccountName");
            assert!(has("ServiceAccount", namespace, account), "{who}: no ServiceAccount {account}");
            for volume in list(template, "/spec/volumes") {
                if let Some(map) = volume.pointer("/configMap/name").and_then(Json::as_str) {
                    assert!(has("ConfigMap", namespace, map), "{who}: no ConfigMap {map}");
                }
                if let Some(one) = volume.pointer("/secret/secretName").and_then(Json::as_str) {
                    assert!(secret(namespace, one), "{who}: no Secret {one}");
                }
            }
            let containers =
                list(template, "/spec/containers").iter().chain(list(template, "/spec/initContainers"));
            for variable in containers.flat_map(|container| list(container, "/env")) {
                if let Some(one) = variable.pointer("/valueFrom/secretKeyRef/name").and_then(Json::as_str) {
                    assert!(secret(namespace, one), "{who}: no Secret {one}");
                }
            }
            if text(object, "/kind") == "StatefulSet" {
                let service = text(object, "/spec/serviceName");
                assert!(has("Service", namespace, service), "{who}: no Service {service}");
            }
            if matches!(text(object, "/kind"), "Deployment" | "StatefulSet") {
                let own = text(object, "/metadata/name");
                assert!(has("PodDisruptionBudget", namespace, own), "{who}: no PodDisruptionBudget");
            }
            if case.stack.platform.as_ref().is_some_and(|platform| platform.network_policies.enabled) {
                let own = text(object, "/metadata/name");
                assert!(has("NetworkPolicy", namespace, own), "{who}: no NetworkPolicy");
            }
        }
    }
}

#[test]
fn highly_available_stacks_have_two_of_everything_but_what_must_be_alone() {
    // Each of these is one by nature: two would undo each other's work, or nothing is lost while one is away.
    const ALONE: &[&str] = &["thanos-compactor", "loki-compactor", "tempo-compactor", "kube-state-metrics"];
    for case in cases() {
        if !case.stack.platform.as_ref().is_some_and(|platform| platform.high_availability) {
            continue;
        }
        for object in case.manifests() {
            let Some(replicas) = object.pointer("/spec/replicas").and_then(Json::as_i64) else { continue };
            let own = text(&object, "/metadata/name");
            assert!(replicas >= 2 || ALONE.contains(&own), "{}: {own} has {replicas}", case.name);
        }
    }
}

#[test]
fn services_lead_to_ports_of_pods() {
    for case in cases() {
        let pods: Vec<(String, BTreeMap<String, String>, BTreeSet<String>)> = case
            .manifests()
            .iter()
            .filter_map(|object| {
                let template = template(object)?;
                let labels = serde_json::from_value(template.pointer("/metadata/labels")?.clone()).ok()?;
                let ports = list(template, "/spec/containers")
                    .iter()
                    .flat_map(|container| list(container, "/ports"))
                    .map(|port| text(port, "/name").to_owned())
                    .collect();
                Some((text(object, "/metadata/namespace").to_owned(), labels, ports))
            })
            .collect();
        for service in case.manifests().iter().filter(|object| text(object, "/kind") == "Service") {
            let who = format!("{}: {}", case.name, name(service));
            let selector: BTreeMap<String, String> =
                serde_json::from_value(service["spec"]["selector"].clone()).unwrap();
            let behind: Vec<_> = pods
                .iter()
                .filter(|(namespace, labels, _)| {
                    namespace == text(service, "/metadata/namespace")
                        && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
                })
                .collect();
            assert!(!behind.is_empty(), "{who} leads to no pods");
            for port in list(service, "/spec/ports") {
                let target = text(port, "/targetPort");
                assert!(
                    behind.iter().all(|(_, _, ports)| ports.contains(target)),
                    "{who}: no pod has a port {target}"
                );
            }
        }
    }
}

/// The labels and ports of every pod, with its namespace.
fn pods(case: &Case) -> Vec<(String, BTreeMap<String, String>, BTreeSet<i64>)> {
    case.manifests()
        .iter()
        .filter_map(|object| {
            let template = template(object)?;
            let labels = serde_json::from_value(template.pointer("/metadata/labels")?.clone()).ok()?;
            let ports = list(template, "/spec/containers")
                .iter()
                .flat_map(|container| list(container, "/ports"))
                .filter_map(|port| port["containerPort"].as_i64())
                .collect();
            Some((text(object, "/metadata/namespace").to_owned(), labels, ports))
        })
        .collect()
}

#[test]
fn network_policies_open_ports_that_pods_have_from_pods_that_run() {
    for case in cases() {
        let pods = pods(&case);
        let chosen = |namespace: &str, selector: &Json| -> Vec<&BTreeSet<i64>> {
            let wanted: BTreeMap<String, String> =
                serde_json::from_value(selector["matchLabels"].clone()).unwrap_or_default();
            pods.iter()
                .filter(|(place, labels, _)| {
                    place == namespace && wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
                })
                .map(|(_, _, ports)| ports)
                .collect()
        };
        for policy in case.manifests().iter().filter(|object| text(object, "/kind") == "NetworkPolicy") {
            let who = format!("{}: {}", case.name, name(policy));
            // Pods that cert-manager makes are nobody's workload.
            if who.ends_with("acme-http-solver") || policy["spec"]["podSelector"] == serde_json::json!({}) {
                continue;
            }
            let own = chosen(text(policy, "/metadata/namespace"), &policy["spec"]["podSelector"]);
            assert!(!own.is_empty(), "{who} is for nobody");
            for rule in list(policy, "/spec/ingress") {
                for port in list(rule, "/ports") {
                    let port = port["port"].as_i64().unwrap();
                    assert!(
                        own.iter().all(|ports| ports.contains(&port)),
                        "{who} opens {port}, where nobody listens"
                    );
                }
            }
            for direction in ["/spec/ingress", "/spec/egress"] {
                for rule in list(policy, direction) {
                    for peer in list(rule, "/from").iter().chain(list(rule, "/to")) {
                        let namespace =
                            text(peer, "/namespaceSelector/matchLabels/kubernetes.io~1metadata.name");
                        let Some(selector) = peer.get("podSelector") else { continue };
                        if namespace == "kube-system" || selector.to_string().contains("http01-solver") {
                            continue;
                        }
                        let other = chosen(namespace, selector);
                        assert!(!other.is_empty(), "{who} knows {selector}, which does not run");
                        if direction == "/spec/egress" {
                            for port in list(rule, "/ports") {
                                let port = port["port"].as_i64().unwrap();
                                assert!(
                                    other.iter().all(|ports| ports.contains(&port)),
                                    "{who} goes to {port} of {selector}, where nobody listens"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn no_secret_stands_in_a_config_map_or_an_argument() {
    for case in cases() {
        for resource in &case.resources {
            let kind = resource.urn.kind();
            if kind == "k8s:v1/Secret" {
                continue;
            }
            assert!(!resource.inputs.has_secret(), "{}: {} holds a secret", case.name, resource.urn);
            let mut passwords = Vec::new();
            resource.inputs.references(&mut |reference| {
                if reference.urn.kind() == "plinth:Password" {
                    passwords.push(reference.urn.to_string());
                }
            });
            assert!(passwords.is_empty(), "{}: {} holds {passwords:?}", case.name, resource.urn);
        }
    }
}

#[test]
fn configurations_are_small_enough_for_the_api_server() {
    for case in cases() {
        for object in case.manifests() {
            let size = object.to_string().len();
            assert!(size < 1_000_000, "{}: {} has {size} bytes", case.name, name(&object));
        }
    }
}

#[test]
fn a_cloud_that_is_not_built_in_says_so_and_a_rehearsal_works() {
    for case in cases() {
        let now = program(&case.stack, &Target::default());
        let rehearsed = program(&case.stack, &Target { rehearse: true, offline: false });
        assert!(rehearsed.is_ok(), "{}: {rehearsed:?}", case.name);
        if matches!(case.stack.cloud.name(), "gcp" | "azure") && case.stack.platform.is_some() {
            let errors = now.unwrap_err();
            assert!(errors.iter().any(|error| error.help.contains("--rehearse")), "{errors:?}");
        } else {
            assert!(now.is_ok(), "{}: {now:?}", case.name);
        }
        if case.stack.platform.is_some() {
            let objects: Vec<Resource> = rehearsed.unwrap();
            assert!(
                objects.iter().filter(|one| one.urn.kind().starts_with("k8s:")).all(|one| {
                    one.connection.as_ref().is_some_and(|connection| connection.has_unknown())
                }),
                "every object waits for the rehearsed cluster"
            );
            assert!(
                objects.iter().all(|one| !manifest(one).to_string().contains("ExternalSecret")),
                "nobody fills Secrets from outside in a rehearsal"
            );
        }
    }
}

/// Needs `kubernetes-validate`; `cargo xtask test` provides it.
#[test]
fn every_object_follows_the_schema_of_kubernetes() {
    let Some(tool) = std::env::var_os("PLINTH_KUBERNETES_VALIDATE") else {
        assert!(std::env::var_os("PLINTH_REQUIRE_TOOLS").is_none(), "kubernetes-validate is missing");
        return;
    };
    for case in cases() {
        let directory = tempfile::tempdir().unwrap();
        let mut command = std::process::Command::new(&tool);
        command.args(["-k", "1.35", "--strict", "--quiet"]);
        for (position, object) in case.manifests().iter().enumerate() {
            let file = directory.path().join(format!("{position}.json"));
            std::fs::write(&file, serde_json::to_vec_pretty(object).unwrap()).unwrap();
            command.arg(file);
        }
        let output = command.output().unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}: {said}", case.name);
    }
}

#[test]
fn the_platform_is_as_large_as_it_says() {
    for case in cases() {
        let at_least = match case.name.as_str() {
            "local" => 150,
            "prod" => 250,
            _ => 0,
        };
        assert!(case.resources.len() >= at_least, "{}: {}", case.name, case.resources.len());
    }
}

/// How many resources each stack of the repository has in each phase; a change here should be one that was meant.
#[test]
fn phases_of_the_repository_stacks() {
    let mut table = String::new();
    for case in
        cases().iter().filter(|case| ["local", "dev", "staging", "prod"].contains(&case.name.as_str()))
    {
        let mut phases: BTreeMap<&str, usize> = BTreeMap::new();
        for resource in &case.resources {
            *phases.entry(resource.options.phase.as_str()).or_default() += 1;
        }
        table.push_str(&format!("{} {}\n", case.name, case.resources.len()));
        for (phase, count) in phases {
            table.push_str(&format!("  {phase} {count}\n"));
        }
    }
    insta::assert_snapshot!(table);
}
