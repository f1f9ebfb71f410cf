//! Rules of the fields of every kind but pods, by the name under which objects are stored.

use super::super::json::{Json, Look, json};
use super::super::quantity::Quantity;
use super::super::status::Cause;
use super::podfields;
use super::rules::{Row, Rule::*, check};

const MANY: i64 = i64::MAX;
const COUNT: &str = "must be greater than or equal to 0";
const PORT: &str = "must be between 1 and 65535, inclusive";
const TEN_MINUTES: &str = "may not specify a duration less than 10 minutes";
const VERBS_OF_RULES: &[&str] = &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const SOURCE: &str = "must populate information for the given metric source";
const METRIC: &str = "must specify a metric name";

type Table = (&'static str, &'static [Row]);

const TABLES: &[Table] = &[
    (
        "services",
        &[
            ("spec.ports[].port", IsWithin(1, 65535, PORT)),
            ("spec.ports[].appProtocol", Qualified),
            (
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                Within(1, 86_400, "must be greater than 0 and less than 86400"),
            ),
            ("spec.ipFamilyPolicy", OneOf(&["PreferDualStack", "RequireDualStack", "SingleStack"])),
            ("spec.ipFamilies[]", OneOf(&["IPv4", "IPv6"])),
            ("spec.ipFamilies", Distinct),
            ("spec.internalTrafficPolicy", OneOf(&["Cluster", "Local"])),
            ("spec.externalIPs[]", Address),
            ("spec.trafficDistribution", OneOf(&["PreferClose", "PreferSameZone", "PreferSameNode"])),
            ("spec.loadBalancerClass", Qualified),
        ],
    ),
    (
        "persistentvolumeclaims",
        &[("spec.volumeMode", OneOf(&["Block", "Filesystem"])), ("spec.selector", Selector)],
    ),
    (
        "persistentvolumes",
        &[
            ("spec.accessModes", Need("")),
            ("spec.capacity", Need("")),
            ("spec.accessModes[]", OneOf(MODES)),
            ("spec.volumeMode", OneOf(&["Block", "Filesystem"])),
            ("spec.persistentVolumeReclaimPolicy", OneOf(&["Delete", "Recycle", "Retain"])),
            ("spec.storageClassName", Subdomain),
            ("spec.csi.driver", Need("")),
            ("spec.csi.driver", Subdomain),
            ("spec.csi.volumeHandle", Need("")),
        ],
    ),
    ("replicasets.apps", &[("spec.minReadySeconds", Within(0, MANY, COUNT)), ("spec.selector", Selector)]),
    ("statefulsets.apps", &[("spec.ordinals.start", Within(0, MANY, COUNT))]),
    (
        "jobs.batch",
        &[
            ("spec.backoffLimitPerIndex", Within(0, MANY, COUNT)),
            ("spec.maxFailedIndexes", Within(0, MANY, COUNT)),
            ("spec.maxFailedIndexes", Within(-MANY, 100_000, "must be less than or equal to 100000")),
            ("spec.completionMode", OneOf(&["NonIndexed", "Indexed"])),
            (
                "spec.podFailurePolicy.rules[].action",
                Need("valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]"),
            ),
            ("spec.podFailurePolicy.rules[].onExitCodes.operator", Need("valid values: [\"In\" \"NotIn\"]")),
            ("spec.podFailurePolicy.rules[].onExitCodes.values", Distinct),
        ],
    ),
    (
        "cronjobs.batch",
        &[
            ("spec.schedule", Need("")),
            ("spec.startingDeadlineSeconds", Within(0, MANY, COUNT)),
            ("spec.jobTemplate.spec.backoffLimit", Within(0, MANY, COUNT)),
            ("spec.jobTemplate.spec.parallelism", Within(0, MANY, COUNT)),
            ("spec.jobTemplate.spec.completions", Within(0, MANY, COUNT)),
            ("spec.jobTemplate.spec.activeDeadlineSeconds", Within(0, MANY, COUNT)),
            ("spec.jobTemplate.spec.ttlSecondsAfterFinished", Within(0, MANY, COUNT)),
        ],
    ),
    (
        "poddisruptionbudgets.policy",
        &[
            ("spec.unhealthyPodEvictionPolicy", OneOf(&["AlwaysAllow", "IfHealthyBudget"])),
            ("spec.selector", Selector),
        ],
    ),
    (
        "ingresses.networking.k8s.io",
        &[
            ("spec.tls[].secretName", Subdomain),
            ("spec.rules[].http.paths", Need("")),
            ("spec.rules[].http.paths[].pathType", OneOf(&["Exact", "ImplementationSpecific", "Prefix"])),
        ],
    ),
    (
        "ingressclasses.networking.k8s.io",
        &[
            ("spec.controller", Need("")),
            ("spec.parameters.kind", Need("")),
            ("spec.parameters.name", Need("")),
            ("spec.parameters.apiGroup", IsSubdomain),
            ("spec.parameters.scope", OneOf(&["Cluster", "Namespace"])),
        ],
    ),
    (
        "networkpolicies.networking.k8s.io",
        &[
            ("spec.podSelector", Selector),
            ("spec.policyTypes[]", OneOf(&["Ingress", "Egress"])),
            ("spec.ingress[].from[].podSelector", Selector),
            ("spec.ingress[].from[].namespaceSelector", Selector),
            ("spec.egress[].to[].podSelector", Selector),
            ("spec.egress[].to[].namespaceSelector", Selector),
            ("spec.ingress[].ports[].protocol", OneOf(&["TCP", "UDP", "SCTP"])),
            ("spec.egress[].ports[].protocol", OneOf(&["TCP", "UDP", "SCTP"])),
            ("spec.ingress[].from[].ipBlock.cidr", Need("")),
            ("spec.egress[].to[].ipBlock.cidr", Need("")),
            ("spec.ingress[].from[].ipBlock.except[]", Network),
            ("spec.egress[].to[].ipBlock.except[]", Network),
        ],
    ),
    (
        "rolebindings.rbac.authorization.k8s.io",
        &[
            ("roleRef.kind", IsOneOf(&["Role", "ClusterRole"])),
            ("subjects[].kind", IsOneOf(&["ServiceAccount", "User", "Group"])),
        ],
    ),
    (
        "clusterrolebindings.rbac.authorization.k8s.io",
        &[
            ("roleRef.kind", IsOneOf(&["ClusterRole"])),
            ("subjects[].kind", IsOneOf(&["ServiceAccount", "User", "Group"])),
        ],
    ),
    (
        "clusterroles.rbac.authorization.k8s.io",
        &[(
            "aggregationRule.clusterRoleSelectors",
            Need("at least one clusterRoleSelector required if aggregationRule is non-nil"),
        )],
    ),
    (
        "storageclasses.storage.k8s.io",
        &[
            ("provisioner", Named),
            ("volumeBindingMode", OneOf(&["Immediate", "WaitForFirstConsumer"])),
            ("allowedTopologies[].matchLabelExpressions[].key", Qualified),
            ("allowedTopologies[].matchLabelExpressions[].values", Need("")),
            ("allowedTopologies[].matchLabelExpressions[].values", Distinct),
            ("allowedTopologies[].matchLabelExpressions", DistinctBy("key")),
        ],
    ),
    (
        "csidrivers.storage.k8s.io",
        &[
            ("spec.fsGroupPolicy", OneOf(&["File", "None", "ReadWriteOnceWithFSType"])),
            ("spec.tokenRequests", DistinctBy("audience")),
            ("spec.tokenRequests[].expirationSeconds", Within(600, MANY, TEN_MINUTES)),
        ],
    ),
    ("runtimeclasses.node.k8s.io", &[("handler", Need("")), ("handler", Label)]),
    (
        "endpointslices.discovery.k8s.io",
        &[
            ("addressType", Need("")),
            ("endpoints[].addresses", Need("must contain at least 1 address")),
            ("endpoints[].hostname", IsLabel),
            ("endpoints[].nodeName", IsSubdomain),
            ("ports", DistinctBy("name")),
            ("ports[].name", Label),
            ("ports[].protocol", OneOf(&["SCTP", "TCP", "UDP"])),
            ("ports[].appProtocol", Qualified),
        ],
    ),
    (
        "endpoints",
        &[
            ("subsets[].addresses[].ip", IsAddress),
            ("subsets[].notReadyAddresses[].ip", IsAddress),
            ("subsets[].ports[].port", IsWithin(1, 65535, PORT)),
            ("subsets[].ports[].name", Label),
            ("subsets[].ports[].protocol", OneOf(&["SCTP", "TCP", "UDP"])),
        ],
    ),
    (
        "leases.coordination.k8s.io",
        &[
            ("spec.leaseDurationSeconds", Within(1, MANY, "must be greater than 0")),
            ("spec.leaseTransitions", Within(0, MANY, COUNT)),
        ],
    ),
    (
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        &[
            ("spec.matchConstraints", Need("")),
            ("spec.failurePolicy", OneOf(&["Fail", "Ignore"])),
            ("spec.matchConstraints.resourceRules", Need("")),
            ("spec.matchConstraints.resourceRules[].apiGroups", Need("")),
            ("spec.matchConstraints.resourceRules[].apiVersions", Need("")),
            ("spec.matchConstraints.resourceRules[].operations", Need("")),
            ("spec.matchConstraints.resourceRules[].resources", Need("")),
            ("spec.matchConstraints.resourceRules[].operations[]", OneOf(VERBS_OF_RULES)),
            ("spec.validations[].expression", Need("expression is not specified")),
            ("spec.validations[].reason", OneOf(&["Forbidden", "Invalid", "RequestEntityTooLarge"])),
            ("spec.variables[].expression", Need("expression is not specified")),
            ("spec.variables[].name", Need("name is not specified")),
            ("spec.matchConditions", DistinctBy("name")),
            ("spec.matchConditions[].expression", Need("")),
            ("spec.matchConditions[].name", Need("")),
        ],
    ),
    (
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
        &[
            ("spec.policyName", Need("")),
            ("spec.policyName", Subdomain),
            ("spec.validationActions", Need("at least one validation action is required")),
            ("spec.validationActions", Distinct),
            ("spec.validationActions[]", OneOf(&["Audit", "Deny", "Warn"])),
            ("spec.matchResources.namespaceSelector", Selector),
            ("spec.matchResources.objectSelector", Selector),
        ],
    ),
    (
        "flowschemas.flowcontrol.apiserver.k8s.io",
        &[
            ("spec.priorityLevelConfiguration.name", Need("must reference a priority level")),
            ("spec.priorityLevelConfiguration.name", Subdomain),
            ("spec.matchingPrecedence", Within(0, MANY, "must be a positive value")),
            ("spec.matchingPrecedence", Within(-MANY, 10_000, "must not be greater than 10000")),
            ("spec.rules[].subjects", Need("subjects must contain at least one value")),
            ("spec.rules[].subjects[].kind", IsOneOf(&["Group", "ServiceAccount", "User"])),
            ("spec.rules[].subjects[].serviceAccount.name", Need("")),
            ("spec.rules[].subjects[].serviceAccount.name", Subdomain),
            (
                "spec.rules[].subjects[].serviceAccount.namespace",
                Need("must specify namespace for service account"),
            ),
            (
                "spec.rules[].resourceRules[].apiGroups",
                Need("resource rules must supply at least one api group"),
            ),
            (
                "spec.rules[].resourceRules[].resources",
                Need("resource rules must supply at least one resource"),
            ),
            ("spec.rules[].resourceRules[].verbs", Need("verbs must contain at least one value")),
            (
                "spec.rules[].nonResourceRules[].nonResourceURLs",
                Need("nonResourceURLs must contain at least one value"),
            ),
            ("spec.rules[].nonResourceRules[].verbs", Need("verbs must contain at least one value")),
        ],
    ),
    (
        "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
        &[
            ("spec.type", IsOneOf(&["Exempt", "Limited"])),
            ("spec.limited.nominalConcurrencyShares", Within(0, MANY, "must be a non-negative integer")),
            ("spec.limited.lendablePercent", Within(0, 100, "must be between 0 and 100, inclusive")),
            ("spec.limited.limitResponse.type", IsOneOf(&["Queue", "Reject"])),
        ],
    ),
    (
        "apiservices.apiregistration.k8s.io",
        &[
            ("spec.service.name", Need("")),
            ("spec.service.namespace", Need("")),
            ("spec.versionPriority", IsWithin(1, 1000, "must be positive and less than 1000")),
            ("spec.groupPriorityMinimum", IsWithin(1, 20_000, "must be positive and less than 20000")),
        ],
    ),
];

const WEBHOOK: &[Row] = &[
    ("failurePolicy", OneOf(&["Fail", "Ignore"])),
    ("matchPolicy", OneOf(&["Equivalent", "Exact"])),
    ("reinvocationPolicy", OneOf(&["IfNeeded", "Never"])),
    ("timeoutSeconds", Within(1, 30, "the timeout value must be between 1 and 30 seconds")),
    ("name", Need("")),
    ("name", Subdomain),
    ("clientConfig", Need("exactly one of url or service is required")),
    ("clientConfig.service.name", Need("")),
    ("clientConfig.service.namespace", Need("")),
    (
        "clientConfig.service.port",
        Within(1, 65535, "port is not valid: must be between 1 and 65535, inclusive"),
    ),
    ("rules[].apiGroups", Need("")),
    ("rules[].apiVersions", Need("")),
    ("rules[].operations", Need("")),
    ("rules[].resources", Need("")),
    ("rules[].operations[]", OneOf(VERBS_OF_RULES)),
    ("rules[].scope", OneOf(&["*", "Cluster", "Namespaced"])),
    ("namespaceSelector", Selector),
    ("objectSelector", Selector),
    ("matchConditions", DistinctBy("name")),
    ("rules[].apiVersions[]", Need("")),
    ("rules[].resources[]", Need("")),
    ("matchConditions[].name", Need("")),
    ("matchConditions[].name", Named),
    ("matchConditions[].expression", Need("")),
];

/// What the tables find wrong with an object.
pub(super) fn object(storage: &str, object: &Json, causes: &mut Vec<Cause>) {
    let empty = json!({});
    // The server knows no absence of a specification, only one in which everything is empty.
    let mut whole = object.clone();
    if let Some(map) = whole.as_object_mut()
        && !storage.ends_with(".rbac.authorization.k8s.io")
    {
        map.entry("spec").or_insert_with(|| empty.clone());
    }
    for (_, rows) in TABLES.iter().filter(|(of, _)| *of == storage) {
        check(rows, &whole, "", causes);
    }
    match storage {
        "services" => service(object, causes),
        "endpoints" => endpoints(object, causes),
        "endpointslices.discovery.k8s.io" => slice(object, causes),
        "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io" => {
            subjects(object, causes);
        }
        "persistentvolumes" => volume(object, causes),
        "jobs.batch" => job(object, causes),
        "cronjobs.batch" => cron(object, causes),
        "horizontalpodautoscalers.autoscaling" => autoscaler(object, causes),
        "limitranges" => limits(object, causes),
        "ingresses.networking.k8s.io" => ingress(object, causes),
        "networkpolicies.networking.k8s.io" => policy(object, causes),
        "resourcequotas" => quota(object, causes),
        "priorityclasses.scheduling.k8s.io" if object.at("preemptionPolicy") == "" => {
            causes.push(Cause::required("preemptionPolicy", ""));
        }
        "ingressclasses.networking.k8s.io" => {
            let controller = object.text("spec.controller");
            let prefixed = controller
                .split_once('/')
                .is_some_and(|(domain, path)| !domain.is_empty() && !path.is_empty());
            if !controller.is_empty() && !prefixed {
                let why = "must be a domain-prefixed path (such as \"acme.io/foo\")";
                causes.push(Cause::invalid("spec.controller", &json!(controller), why));
            }
        }
        "csidrivers.storage.k8s.io" => {
            const MODES: [&str; 2] = ["Persistent", "Ephemeral"];
            for mode in object.list("spec.volumeLifecycleModes") {
                if !MODES.contains(&mode.as_str().unwrap_or_default()) {
                    causes.push(Cause::unsupported("spec.volumeLifecycleModes", mode, &MODES));
                }
            }
        }
        "validatingadmissionpolicies.admissionregistration.k8s.io"
            if object.list("spec.validations").is_empty()
                && object.list("spec.auditAnnotations").is_empty() =>
        {
            let why = "validations or auditAnnotations must contain at least one item";
            causes.push(Cause::required("spec.validations", why));
            causes.push(Cause::required("spec.auditAnnotations", why));
        }
        "flowschemas.flowcontrol.apiserver.k8s.io" => {
            for (index, rule) in object.list("spec.rules").iter().enumerate() {
                if rule.list("resourceRules").is_empty() && rule.list("nonResourceRules").is_empty() {
                    let why = "at least one of resourceRules and nonResourceRules has to be non-empty";
                    causes.push(Cause::required(format!("spec.rules[{index}]"), why));
                }
            }
        }
        "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io"
            if object.text("spec.type") == "Limited" && !object.has("spec.limited") =>
        {
            causes.push(Cause::required("spec.limited", "must not be empty when type is Limited"));
        }
        _ if storage.ends_with("webhookconfigurations.admissionregistration.k8s.io") => {
            for (index, hook) in object.list("webhooks").iter().enumerate() {
                let at = format!("webhooks[{index}]");
                check(WEBHOOK, hook, &at, causes);
                webhook(hook, &at, causes);
            }
            let hooks = object.list("webhooks");
            for (index, hook) in hooks.iter().enumerate() {
                let name = hook.at("name");
                if hooks[..index].iter().any(|other| other.at("name") == name && !name.is_null()) {
                    causes.push(Cause::duplicate(format!("webhooks[{index}].name"), name));
                }
            }
        }
        _ => {}
    }
}

fn webhook(hook: &Json, at: &str, causes: &mut Vec<Cause>) {
    let path = hook.text("clientConfig.service.path");
    if !path.is_empty() && !path.starts_with('/') {
        let shown = hook.at("clientConfig.service.path");
        causes.push(Cause::invalid(
            format!("{at}.clientConfig.service.path"),
            shown,
            "must start with a '/'",
        ));
    }
    let versions = hook.list("admissionReviewVersions");
    for (index, version) in versions.iter().enumerate() {
        if versions[..index].contains(version) {
            let at = format!("{at}.admissionReviewVersions[{index}]");
            causes.push(Cause::invalid(at, version, "duplicate version"));
        }
    }
    if !versions.is_empty() && !versions.iter().any(|version| *version == "v1" || *version == "v1beta1") {
        let why = "must include at least one of v1, v1beta1";
        causes.push(Cause::invalid(format!("{at}.admissionReviewVersions"), &json!(versions), why));
    }
    for (index, rule) in hook.list("rules").iter().enumerate() {
        let operations = rule.at("operations");
        let all =
            operations.as_array().is_some_and(|list| list.len() > 1 && list.iter().any(|one| *one == "*"));
        if all {
            let why = "if '*' is present, must not specify other operations";
            causes.push(Cause::invalid(format!("{at}.rules[{index}].operations"), operations, why));
        }
    }
}

fn slice(object: &Json, causes: &mut Vec<Cause>) {
    const TYPES: [&str; 3] = ["FQDN", "IPv4", "IPv6"];
    let kind = object.text("addressType");
    if !kind.is_empty() && !TYPES.contains(&kind) {
        causes.push(Cause::unsupported("addressType", &json!(kind), &TYPES));
    }
    if matches!(kind, "IPv4" | "IPv6") {
        check(&[("endpoints[].addresses[]", Address)], object, "", causes);
    }
}

fn endpoints(object: &Json, causes: &mut Vec<Cause>) {
    for (index, subset) in object.list("subsets").iter().enumerate() {
        let at = format!("subsets[{index}]");
        if subset.list("addresses").is_empty() && subset.list("notReadyAddresses").is_empty() {
            causes.push(Cause::required(&at, "must specify `addresses` or `notReadyAddresses`"));
        }
        // The real server says it in two ways at once.
        for (index, address) in subset.list("addresses").iter().enumerate() {
            if address.text("ip").parse::<std::net::IpAddr>().is_err() {
                let at = format!("{at}.addresses[{index}].ip");
                causes.push(Cause::invalid(at, &json!(address.text("ip")), "must be a valid IP address"));
            }
        }
    }
}

fn subjects(object: &Json, causes: &mut Vec<Cause>) {
    for (index, subject) in object.list("subjects").iter().enumerate() {
        let at = format!("subjects[{index}]");
        let (kind, group) = (subject.text("kind"), subject.text("apiGroup"));
        if kind == "ServiceAccount" {
            check(&[("name", Subdomain)], subject, &at, causes);
        }
        let wanted: &[&str] = match kind {
            "ServiceAccount" => &[""],
            "User" | "Group" => &["rbac.authorization.k8s.io"],
            _ => continue,
        };
        if !group.is_empty() && !wanted.contains(&group) {
            causes.push(Cause::unsupported(format!("{at}.apiGroup"), &json!(group), wanted));
        }
    }
}

fn service(object: &Json, causes: &mut Vec<Cause>) {
    let balanced = object.text("spec.type") == "LoadBalancer";
    let outside =
        balanced || object.text("spec.type") == "NodePort" || !object.list("spec.externalIPs").is_empty();
    if !balanced {
        for (field, shown) in [
            ("loadBalancerSourceRanges", "LoadBalancerSourceRanges"),
            ("allocateLoadBalancerNodePorts", "allocateLoadBalancerNodePorts"),
            ("loadBalancerClass", "loadBalancerClass"),
        ] {
            let found = object.at("spec").at(field);
            if !found.is_null() && found.as_array().is_none_or(|list| !list.is_empty()) {
                let why = "may only be used when `type` is 'LoadBalancer'";
                causes.push(Cause::forbidden(format!("spec.{shown}"), why));
            }
        }
    }
    let policy = object.at("spec.externalTrafficPolicy");
    if !outside && policy.as_str().is_some_and(|policy| !policy.is_empty()) {
        let why = "may only be set for externally-accessible services";
        causes.push(Cause::invalid("spec.externalTrafficPolicy", policy, why));
    }
    let health = object.at("spec.healthCheckNodePort");
    if health.as_i64().is_some_and(|port| port != 0) {
        if !(balanced && policy == "Local") {
            let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            causes.push(Cause::invalid("spec.healthCheckNodePort", health, why));
        } else if !health.as_i64().is_some_and(|port| (1..=65535).contains(&port)) {
            causes.push(Cause::invalid("spec.healthCheckNodePort", health, PORT));
        }
    }
    for (index, port) in object.list("spec.ports").iter().enumerate() {
        if port.at("targetPort").is_null() && !port.has("port") {
            causes.push(Cause::invalid(format!("spec.ports[{index}].targetPort"), &json!(0), PORT));
        }
    }
    let mut seen: Vec<(i64, &str)> = Vec::new();
    for (index, port) in object.list("spec.ports").iter().enumerate() {
        let Some(number) = port.int("nodePort").filter(|number| *number != 0) else { continue };
        if seen.contains(&(number, port.text("protocol"))) {
            let field = format!("spec.ports[{index}].nodePort");
            causes.push(Cause::duplicate(field, &json!(number)));
        }
        seen.push((number, port.text("protocol")));
    }
}

fn volume(object: &Json, causes: &mut Vec<Cause>) {
    let spec = object.at("spec");
    const NOT_SOURCES: [&str; 9] = [
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    ];
    if !spec.as_object().into_iter().flatten().any(|(key, _)| !NOT_SOURCES.contains(&key.as_str())) {
        causes.push(Cause::required("spec", "must specify a volume type"));
    }
    let capacity = spec.at("capacity");
    let only_storage = capacity.as_object().is_some_and(|map| map.len() == 1 && map.contains_key("storage"));
    if !only_storage {
        let sorted: std::collections::BTreeMap<_, _> = capacity.as_object().into_iter().flatten().collect();
        let shown =
            if object.has("spec.capacity") || capacity.is_object() { json!(sorted) } else { Json::Null };
        causes.push(Cause::unsupported("spec.capacity", &shown, &["storage"]));
    }
    if spec.text("csi.driver").len() > 63 {
        causes.push(Cause::too_long("spec.csi.driver", "may not be more than 63 bytes"));
    }
    let size = capacity.at("storage");
    if let Some(amount) = size.as_str().and_then(Quantity::parse).filter(|amount| amount.milli() <= 0) {
        if amount.milli() < 0 {
            causes.push(Cause::invalid("spec.capacity[storage]", size, "must be a valid resource quantity"));
        }
        causes.push(Cause::invalid("spec.capacity[storage]", size, "must be greater than zero"));
    }
    let nodes = spec.at("nodeAffinity");
    if nodes.is_object() {
        match nodes.at("required") {
            required @ Json::Object(_) => {
                podfields::node_selector(required, "spec.nodeAffinity.required", causes)
            }
            _ => causes.push(Cause::required(
                "spec.nodeAffinity.required",
                "must specify required node constraints",
            )),
        }
    }
    for cause in causes.iter_mut().filter(|cause| cause.field.starts_with("spec.accessModes[")) {
        cause.field = "spec.accessModes".into();
    }
}

fn job(object: &Json, causes: &mut Vec<Cause>) {
    let spec = object.at("spec");
    let indexed = spec.text("completionMode") == "Indexed";
    if indexed {
        if !spec.has("completions") {
            causes.push(Cause::required("spec.completions", "when completion mode is Indexed"));
        }
        if spec.int("parallelism").is_some_and(|number| number > 100_000) {
            let why = "must be less than or equal to 100000 when completion mode is Indexed";
            causes.push(Cause::invalid("spec.parallelism", spec.at("parallelism"), why));
        }
    }
    for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
        if !indexed && spec.has(field) {
            causes.push(Cause::invalid(
                format!("spec.{field}"),
                spec.at(field),
                "requires indexed completion mode",
            ));
        }
    }
    if spec.has("maxFailedIndexes") && !spec.has("backoffLimitPerIndex") {
        causes.push(Cause::required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified"));
    }
    let policies: &[&str] =
        if spec.has("podFailurePolicy") { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    check(&[("podReplacementPolicy", OneOf(policies))], spec, "spec", causes);
    failures(spec, causes);
    if let (Some(failed), Some(completions)) = (spec.int("maxFailedIndexes"), spec.int("completions"))
        && failed > completions
    {
        let why = "must be less than or equal to completions";
        causes.push(Cause::invalid("spec.maxFailedIndexes", &json!(failed), why));
    }
}

/// What is to follow from how pods fail.
fn failures(spec: &Json, causes: &mut Vec<Cause>) {
    const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
    let pods = spec.at("template.spec");
    let names: Vec<&str> = ["containers", "initContainers"]
        .iter()
        .flat_map(|list| pods.list(list).iter().map(|container| container.text("name")))
        .collect();
    for (index, rule) in spec.list("podFailurePolicy.rules").iter().enumerate() {
        let at = format!("spec.podFailurePolicy.rules[{index}]");
        let action = rule.text("action");
        if !action.is_empty() && !ACTIONS.contains(&action) {
            causes.push(Cause::unsupported(format!("{at}.action"), &json!(action), &ACTIONS));
        }
        let codes = rule.at("onExitCodes");
        if !codes.is_object() && rule.list("onPodConditions").is_empty() {
            let why = "specifying one of OnExitCodes and OnPodConditions is required";
            causes.push(Cause::plain(&at, why));
        }
        if codes.is_object() {
            let at = format!("{at}.onExitCodes");
            let operator = codes.text("operator");
            if !operator.is_empty() && !["In", "NotIn"].contains(&operator) {
                causes.push(Cause::unsupported(format!("{at}.operator"), &json!(operator), &["In", "NotIn"]));
            }
            let name = codes.at("containerName");
            if name.as_str().is_some_and(|name| !names.contains(&name)) {
                let why = "must be one of the container or initContainer names in the pod template";
                causes.push(Cause::invalid(format!("{at}.containerName"), name, why));
            }
            if codes.list("values").is_empty() {
                let why = "at least one value is required";
                causes.push(Cause::invalid(format!("{at}.values"), codes.at("values"), why));
            }
            for (index, value) in
                codes.list("values").iter().enumerate().filter(|(_, value)| *value == &json!(0))
            {
                if operator == "In" {
                    let why = "must not be 0 for the In operator";
                    causes.push(Cause::invalid(format!("{at}.values[{index}]"), value, why));
                }
            }
        }
        for (index, condition) in rule.list("onPodConditions").iter().enumerate() {
            let at = format!("{at}.onPodConditions[{index}]");
            let kind = json!(condition.text("type"));
            let whys = super::names::qualified_errors(condition.text("type"));
            causes.extend(whys.iter().map(|why| Cause::invalid(format!("{at}.type"), &kind, why)));
            let status = condition.at("status");
            if status.as_str().is_some_and(|status| !["", "True", "False", "Unknown"].contains(&status)) {
                causes.push(Cause::unsupported(
                    format!("{at}.status"),
                    status,
                    &["False", "True", "Unknown"],
                ));
            }
        }
    }
}

fn cron(object: &Json, causes: &mut Vec<Cause>) {
    let zone = object.at("spec.timeZone");
    let Some(text) = zone.as_str() else { return };
    if text.is_empty() {
        causes.push(Cause::invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string"));
    } else if jiff::tz::TimeZone::get(text).is_err() {
        causes.push(Cause::invalid("spec.timeZone", zone, &format!("unknown time zone {text}")));
    }
}

fn autoscaler(object: &Json, causes: &mut Vec<Cause>) {
    let spec = object.at("spec");
    let scales_to_zero =
        spec.list("metrics").iter().any(|one| ["Object", "External"].contains(&one.text("type")));
    if spec.int("minReplicas").is_some_and(|least| least < i64::from(!scales_to_zero)) {
        let why = "must be greater than or equal to 1";
        causes.push(Cause::invalid("spec.minReplicas", spec.at("minReplicas"), why));
    }
    for (index, metric) in spec.list("metrics").iter().enumerate() {
        self::metric(metric, &format!("spec.metrics[{index}]"), causes);
    }
    for direction in ["scaleUp", "scaleDown"] {
        let rules = spec.at("behavior").at(direction);
        if !rules.is_object() {
            continue;
        }
        let at = format!("spec.behavior.{direction}");
        let rows: [Row; 6] = [
            ("stabilizationWindowSeconds", Within(0, MANY, "must be greater than or equal to zero")),
            ("stabilizationWindowSeconds", Within(-MANY, 3600, "must be less than or equal to 3600")),
            ("selectPolicy", OneOf(&["Disabled", "Max", "Min"])),
            ("policies[].type", IsOneOf(&["Percent", "Pods"])),
            ("policies[].value", IsWithin(1, MANY, "must be greater than zero")),
            ("policies[].periodSeconds", IsWithin(1, MANY, "must be greater than zero")),
        ];
        check(&rows, rules, &at, causes);
        let most: [Row; 1] =
            [("policies[].periodSeconds", Within(-MANY, 1800, "must be less than or equal to 1800"))];
        check(&most, rules, &at, causes);
        if rules.at("policies").as_array().is_some_and(Vec::is_empty) {
            causes.push(Cause::required(format!("{at}.policies"), "must specify at least one Policy"));
        }
    }
}

fn metric(metric: &Json, at: &str, causes: &mut Vec<Cause>) {
    const KINDS: [(&str, &str); 5] = [
        ("ContainerResource", "containerResource"),
        ("External", "external"),
        ("Object", "object"),
        ("Pods", "pods"),
        ("Resource", "resource"),
    ];
    let kind = metric.text("type");
    if kind.is_empty() {
        causes.push(Cause::required(format!("{at}.type"), "must specify a metric source type"));
    }
    let Some((_, field)) = KINDS.iter().find(|(known, _)| *known == kind) else {
        let known: Vec<&str> = KINDS.iter().map(|(known, _)| *known).collect();
        let said =
            causes.iter().any(|c| c.field == format!("{at}.type") && c.detail.starts_with("Unsupported"));
        if !said {
            causes.push(Cause::unsupported(format!("{at}.type"), &json!(kind), &known));
        }
        return;
    };
    let source = metric.at(field);
    let at = format!("{at}.{field}");
    if !source.is_object() {
        causes.push(Cause::required(at, SOURCE));
        return;
    }
    let needs: &[Row] = match *field {
        "resource" => &[("name", Need("must specify a resource name"))],
        "containerResource" => &[
            ("name", Need("must specify a resource name")),
            ("container", Need("must specify a container")),
            ("container", Label),
        ],
        _ => &[],
    };
    check(needs, source, &at, causes);
    if !matches!(*field, "resource" | "containerResource") && source.text("metric.name").is_empty() {
        causes.push(Cause::required(format!("{at}.metric.name"), METRIC));
    }
    if *field == "object" {
        for field in ["kind", "name"] {
            if source.at("describedObject").text(field).is_empty() {
                causes.push(Cause::required(format!("{at}.describedObject.{field}"), ""));
            }
        }
    }
    target(field, source.at("target"), &format!("{at}.target"), causes);
}

fn target(field: &str, target: &Json, at: &str, causes: &mut Vec<Cause>) {
    let kind = target.text("type");
    if kind.is_empty() {
        causes.push(Cause::required(format!("{at}.type"), "must specify a metric target type"));
    }
    if !["Utilization", "Value", "AverageValue"].contains(&kind) {
        let why = "must be either Utilization, Value, or AverageValue";
        causes.push(Cause::invalid(format!("{at}.type"), &json!(kind), why));
    }
    if target.int("averageUtilization").is_some_and(|share| share < 1) {
        let why = "must be greater than 0";
        causes.push(Cause::invalid(format!("{at}.averageUtilization"), target.at("averageUtilization"), why));
    }
    for amount in ["value", "averageValue"] {
        check(&[(amount, Positive("must be positive"))], target, at, causes);
    }
    let (has_value, has_average) = (target.has("value"), target.has("averageValue"));
    let missing = match field {
        "resource" | "containerResource" if !target.has("averageUtilization") && !has_average => {
            Some(("averageUtilization", "must set either a target raw value or a target utilization"))
        }
        "pods" if !has_average => Some(("averageValue", "must specify a positive target averageValue")),
        "object" if !has_value && !has_average => {
            Some(("averageValue", "must set either a target value or averageValue"))
        }
        "external" if !has_value && !has_average => {
            Some(("averageValue", "must set either a target value for metric or a per-pod target"))
        }
        _ => None,
    };
    causes.extend(missing.map(|(field, why)| Cause::required(format!("{at}.{field}"), why)));
}

fn limits(object: &Json, causes: &mut Vec<Cause>) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, limit) in object.list("spec.limits").iter().enumerate() {
        let at = format!("spec.limits[{index}]");
        let kind = limit.text("type");
        let field = format!("{at}.type");
        causes.extend(
            super::names::qualified_errors(kind).iter().map(|why| Cause::invalid(&field, &json!(kind), why)),
        );
        if seen.contains(&kind) {
            causes.push(Cause::duplicate(&field, &json!(kind)));
        }
        seen.push(kind);
        let amount = |part: &str, key: &str| limit.at(part).get(key).cloned().unwrap_or_default();
        let parsed = |value: &Json| value.as_str().and_then(Quantity::parse).map(Quantity::milli);
        if kind == "Container" {
            let rows: [Row; 4] = [
                ("min", Resources),
                ("max", Resources),
                ("default", Resources),
                ("defaultRequest", Resources),
            ];
            check(&rows, limit, &at, causes);
        }
        let keys: std::collections::BTreeSet<&String> = ["min", "max", "default", "defaultRequest"]
            .iter()
            .flat_map(|part| limit.map(part).into_iter().flatten().map(|(key, _)| key))
            .collect();
        for key in keys {
            // Of each pair the first must not be greater than the second; the one that is told is the smaller's field.
            for (lower, upper, told, low, high) in [
                ("min", "max", "min", "min", "max"),
                ("min", "defaultRequest", "defaultRequest", "min", "default request"),
                ("defaultRequest", "max", "defaultRequest", "default request", "max"),
                ("defaultRequest", "default", "defaultRequest", "default request", "default limit"),
                ("min", "default", "default", "min", "default"),
                ("default", "max", "default", "default", "max"),
            ] {
                let (less, more) = (amount(lower, key), amount(upper, key));
                if let (Some(a), Some(b)) = (parsed(&less), parsed(&more))
                    && a > b
                {
                    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
                    let why =
                        format!("{low} value {} is greater than {high} value {}", text(&less), text(&more));
                    // Of a pair with a default the value of the other is shown.
                    let shown = if told == "default" { &less } else { &amount(told, key) };
                    causes.push(Cause::invalid(format!("{at}.{told}[{key}]"), shown, &why));
                }
            }
        }
    }
}

fn ingress(object: &Json, causes: &mut Vec<Cause>) {
    let mut backends: Vec<(String, &Json)> = Vec::new();
    if object.has("spec.defaultBackend") {
        backends.push(("spec.defaultBackend".to_owned(), object.at("spec.defaultBackend")));
    }
    for (r, rule) in object.list("spec.rules").iter().enumerate() {
        // Of a path without a type nothing else is looked at.
        for (p, path) in rule.list("http.paths").iter().enumerate().filter(|(_, path)| path.has("pathType")) {
            backends.push((format!("spec.rules[{r}].http.paths[{p}].backend"), path.at("backend")));
        }
    }
    for (at, backend) in backends {
        if !backend.at("service").is_object() && !backend.at("resource").is_object() {
            causes.push(Cause::invalid(&at, &json!(""), "resource or service backend is required"));
            continue;
        }
        let rows: [Row; 5] = [
            ("service.name", Need("")),
            ("service.name", Label),
            ("resource.kind", Need("")),
            ("resource.name", Need("")),
            ("resource.apiGroup", IsSubdomain),
        ];
        check(&rows, backend, &at, causes);
        let port = backend.at("service.port");
        if port.int("number").is_some_and(|number| number != 0) {
            check(&[("service.port.number", Within(1, 65535, PORT))], backend, &at, causes);
        } else if !port.text("name").is_empty() {
            causes.extend(super::names::port_or_name(port.at("name"), &format!("{at}.service.port.name")));
        } else if backend.at("service").is_object() {
            causes.push(Cause::required(&at, "port name or number is required"));
        }
    }
}

fn policy(object: &Json, causes: &mut Vec<Cause>) {
    let types = object.at("spec.policyTypes");
    if types.as_array().is_some_and(|types| types.len() > 2) {
        causes.push(Cause::invalid("spec.policyTypes", types, "may not specify more than two policyTypes"));
    }
    for (direction, rules) in
        [("ingress", object.list("spec.ingress")), ("egress", object.list("spec.egress"))]
    {
        for (r, rule) in rules.iter().enumerate() {
            for (p, port) in rule.list("ports").iter().enumerate() {
                let Some(end) = port.int("endPort") else { continue };
                let at = format!("spec.{direction}[{r}].ports[{p}].endPort");
                let shown = json!(end);
                if !(1..=65535).contains(&end) {
                    causes.push(Cause::invalid(&at, &shown, PORT));
                }
                match port.int("port") {
                    None if port.at("port").is_null() => {
                        let why = "may not be specified when `port` is not specified";
                        causes.push(Cause::invalid(&at, &shown, why));
                    }
                    Some(begin) if end < begin => {
                        causes.push(Cause::invalid(&at, &shown, "must be greater than or equal to `port`"));
                    }
                    _ => {}
                }
            }
        }
    }
}

fn quota(object: &Json, causes: &mut Vec<Cause>) {
    for (key, amount) in object.map("spec.hard").into_iter().flatten() {
        let at = format!("spec.hard[{key}]");
        if amount.as_str().and_then(Quantity::parse).is_some_and(|amount| amount.milli() < 0) {
            causes.push(Cause::invalid(at, amount, COUNT));
        }
    }
}
