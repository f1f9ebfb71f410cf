//! Rules between the parts of a stack that no schema can state. What is merely unwise belongs to `check`.

use std::collections::BTreeSet;

use plinth_provider::Path;
use serde_json::Value;

use super::diagnostic::{Diagnostic, closest, listed};
use super::locations::Locations;
use crate::model::{Alertmanager, Cloud, Platform, Quantity, Route, Stack};

/// Tells every broken rule.
pub(crate) fn check(stack: &Stack, tree: &Value, locations: &Locations, found: &mut Vec<Diagnostic>) {
    let mut rules = Rules { locations, found };
    rules.node_pools(stack);
    rules.cloud(stack);
    rules.promoted_parameters(stack);
    rules.unique(
        stack.storage.classes.iter().map(|class| class.name.as_str()),
        "storage.classes",
        "storage class",
    );
    if let Some(platform) = &stack.platform {
        rules.platform(platform);
        rules.sizes(tree.get("platform").unwrap_or(&Value::Null), &Path::parse("platform"));
        rules.alertmanager(&platform.alertmanager);
        if platform.external_secrets.is_none() {
            rules.external_secrets(tree);
        }
    }
}

struct Rules<'a> {
    locations: &'a Locations,
    found: &'a mut Vec<Diagnostic>,
}

impl Rules<'_> {
    fn tell(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.found.push(self.locations.diagnostic(&Path::parse(path), message).help(help));
    }

    fn unique<'s>(&mut self, names: impl Iterator<Item = &'s str>, path: &str, what: &str) {
        let mut seen = BTreeSet::new();
        for (position, name) in names.enumerate() {
            if !seen.insert(name) {
                self.tell(
                    &format!("{path}[{position}].name"),
                    format!("a second {what} is named `{name}`"),
                    "rename one of them",
                );
            }
        }
    }

    fn node_pools(&mut self, stack: &Stack) {
        let pools = &stack.cluster.node_pools;
        self.unique(pools.iter().map(|pool| pool.name.as_str()), "cluster.nodePools", "node pool");
        for (position, pool) in pools.iter().enumerate() {
            let path = format!("cluster.nodePools[{position}]");
            let (least, most, desired) = (pool.min_size, pool.max_size, pool.desired());
            if most == 0 {
                self.tell(
                    &format!("{path}.maxSize"),
                    "a node pool of at most 0 nodes is none",
                    "raise `maxSize`, or remove the pool",
                );
            } else if least > most {
                self.tell(
                    &format!("{path}.minSize"),
                    format!("`minSize` is {least}, more than `maxSize`, which is {most}"),
                    "raise `maxSize` or lower `minSize`",
                );
            } else if !(least..=most).contains(&desired) {
                self.tell(
                    &format!("{path}.desiredSize"),
                    format!(
                        "`desiredSize` is {desired}, outside of `minSize` to `maxSize`, {least} to {most}"
                    ),
                    "choose a number in between",
                );
            }
        }
    }

    fn cloud(&mut self, stack: &Stack) {
        if let Cloud::Aws(aws) = &stack.cloud {
            let prefix =
                aws.network.vpc_cidr.as_str().split('/').nth(1).and_then(|length| length.parse::<u8>().ok());
            if aws.network.vpc_cidr.as_str().contains(':')
                || prefix.is_none_or(|prefix| !(16..=20).contains(&prefix))
            {
                self.tell(
                    "cloud.network.vpcCidr",
                    format!("a VPC of the range `{}` cannot be made", aws.network.vpc_cidr),
                    "choose an IPv4 range from /16 to /20, so that public and private subnets in every zone fit",
                );
            }
        }
    }

    /// A mistyped name would quietly promote nothing.
    fn promoted_parameters(&mut self, stack: &Stack) {
        for (position, path) in stack.settings.promote_parameters.iter().enumerate() {
            let mut steps = path.split('.');
            let first = steps.next().and_then(|step| stack.parameters.get(step));
            if steps.try_fold(first, |value, step| Some(value?.get(step))).flatten().is_none() {
                let near = closest(path, stack.parameters.keys().map(String::as_str));
                self.tell(
                    &format!("settings.promoteParameters[{position}]"),
                    format!("there is no parameter `{path}` to promote"),
                    near.map_or_else(
                        || "name one that stands under `parameters`".to_owned(),
                        |near| format!("did you mean `{near}`?"),
                    ),
                );
            }
        }
    }

    fn platform(&mut self, platform: &Platform) {
        let day = 86_400;
        let retention = platform.loki.retention.seconds();
        if platform.loki.enabled && (retention == 0 || !retention.is_multiple_of(day)) {
            self.tell(
                "platform.loki.retention",
                format!("Loki cannot keep logs for `{}`", platform.loki.retention),
                "use a multiple of a day, at least `1d`",
            );
        }
        let namespaces = &platform.namespaces;
        let all = [
            ("platform", &namespaces.platform),
            ("agents", &namespaces.agents),
            ("certManager", &namespaces.cert_manager),
            ("ingress", &namespaces.ingress),
        ];
        for (position, (key, name)) in all.iter().enumerate() {
            if all[..position].iter().any(|(_, earlier)| earlier == name) {
                self.tell(
                    &format!("platform.namespaces.{key}"),
                    format!("two parts of the platform are in the namespace `{name}`"),
                    "give each a namespace of its own: they need different privileges",
                );
            }
        }
        for (path, interval) in [
            ("platform.prometheus.scrapeInterval", &platform.prometheus.scrape_interval),
            ("platform.prometheus.evaluationInterval", &platform.prometheus.evaluation_interval),
        ] {
            if interval.seconds() == 0 {
                self.tell(path, format!("`{interval}` is shorter than a second"), "use `15s` to `60s`");
            }
        }
    }

    /// A size without its unit is a mistake that would be noticed only when pods do not start.
    fn sizes(&mut self, value: &Value, path: &Path) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    let path = path.key(key);
                    let quantity = match value {
                        Value::String(text) => text.parse::<Quantity>().ok(),
                        Value::Number(number) => number.to_string().parse().ok(),
                        _ => None,
                    };
                    let (least, most, unit) = match key.as_str() {
                        "memory" | "memoryLimit" => (1 << 20, u64::MAX, "Mi"),
                        "storage" => (1 << 20, u64::MAX, "Gi"),
                        "cpu" | "cpuLimit" => (0, 256, "m"),
                        _ => {
                            self.sizes(value, &path);
                            continue;
                        }
                    };
                    let Some(quantity) = quantity else {
                        self.sizes(value, &path);
                        continue;
                    };
                    if quantity.whole() == 0 {
                        self.found.push(
                            self.locations
                                .diagnostic(&path, format!("`{key}` is nothing"))
                                .help("leave it out, or give it a size"),
                        );
                    } else if !(least..=most).contains(&quantity.whole()) {
                        let meaning = if unit == "m" { "cores" } else { "bytes" };
                        self.found.push(
                            self.locations
                                .diagnostic(
                                    &path,
                                    format!(
                                        "`{key}` is {quantity}, which means {} {meaning}",
                                        quantity.whole()
                                    ),
                                )
                                .help(format!("did you mean `{quantity}{unit}`?")),
                        );
                    }
                }
            }
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(at, value)| self.sizes(value, &path.index(at)));
            }
            _ => {}
        }
    }

    fn alertmanager(&mut self, alertmanager: &Alertmanager) {
        let names: Vec<&str> = alertmanager.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        self.unique(names.iter().copied(), "platform.alertmanager.receivers", "receiver");
        if let Some(route) = &alertmanager.route {
            self.route(route, "platform.alertmanager.route", &names);
        }
    }

    fn route(&mut self, route: &Route, path: &str, names: &[&str]) {
        if let Some(receiver) = &route.receiver
            && !names.contains(&receiver.as_str())
        {
            let help = match (closest(receiver, names.iter().copied()), names.is_empty()) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, true) => "add it under `receivers`".to_owned(),
                (None, false) => format!("there are {}", listed(names.iter().copied())),
            };
            self.tell(
                &format!("{path}.receiver"),
                format!("this route names the receiver `{receiver}`, which does not exist"),
                help,
            );
        }
        for (position, child) in route.routes.iter().enumerate() {
            self.route(child, &format!("{path}.routes[{position}]"), names);
        }
    }

    /// Secrets from a store need a store.
    fn external_secrets(&mut self, tree: &Value) {
        let first = ["platform", "cloud"].into_iter().find_map(|part| {
            tree.get(part).and_then(|value| first_external_secret(value, &Path::root().key(part)))
        });
        if let Some(path) = first {
            let message = "this secret comes from an External Secrets store, and the stack names none";
            let diagnostic = self.locations.diagnostic(&path, message);
            self.found.push(diagnostic.help("name one under `platform.externalSecrets.storeRef`"));
        }
    }
}

fn first_external_secret(value: &Value, path: &Path) -> Option<Path> {
    match value {
        Value::Object(map) if map.len() == 1 && map.contains_key("fromExternalSecret") => {
            Some(path.key("fromExternalSecret"))
        }
        Value::Object(map) => {
            map.iter().find_map(|(key, value)| first_external_secret(value, &path.key(key)))
        }
        Value::Array(list) => {
            list.iter().enumerate().find_map(|(at, value)| first_external_secret(value, &path.index(at)))
        }
        _ => None,
    }
}
