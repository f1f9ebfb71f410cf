//! Each wrong file, and the whole of what is said about it.

use super::{HEAD, complaints};

/// The texts after the head of a stack file.
const WRONG: &[(&str, &str)] = &[
    (
        "unknown_keys",
        "platform:\n  loki:\n    ingester:\n      replcas: 3\n  grafana:\n    replicas: 2\n    colour: green\nclod:\n  provider: local\n",
    ),
    (
        "wrong_types",
        "cluster:\n  version: 1.30\n  deletionProtection: perhaps\n  nodePools: three\nplatform:\n  highAvailability: 1\n  grafana:\n    replicas: many\n  prometheus:\n    replicas: 2.5\n    storage: 100\n",
    ),
    (
        "wrong_forms",
        "cluster:\n  version: \"1.35.2\"\n  publicCidrs: [10.0.0.1/8, not-a-range, 300.0.0.0/8, 10.0.0.0/33]\nplatform:\n  domain: Example_Com\n  prometheus:\n    retention: 15 days\n    storage: 100GB\n  backup:\n    schedule: \"61 * * * *\"\n  grafana:\n    oidc:\n      issuer: idp.example.com\n      clientId: a\n      clientSecret: { value: b }\n      authUrl: https://\n      tokenUrl: https://user:word@example.com/\n      apiUrl: https://example.com:99999/\n",
    ),
    (
        "out_of_range",
        "platform:\n  grafana: { replicas: 0 }\n  prometheus: { replicas: 99 }\n  database:\n    external:\n      host: db.example.com\n      port: 0\n      password: { generate: { length: 4 } }\n",
    ),
    (
        "choices",
        "cloud:\n  provider: amazon\nplatform:\n  mesh: isto\n  database:\n    externl: { host: db }\n  certManager:\n    acme:\n      email: nobody\n      solver: { dns: { route53: { region: a }, cloudDns: { project: b } } }\n",
    ),
    ("cloud_without_provider", "cloud: { region: eu-central-1 }\n"),
    ("cloud_missing_field", "cloud: { provider: aws, accountId: 12345 }\n"),
    (
        "secrets_are_not_repeated",
        "platform:\n  grafana:\n    admin: { password: hunter2 }\n  database:\n    external:\n      host: db\n      password: { vlaue: hunter2 }\n  alertmanager:\n    receivers:\n      - name: a\n        webhook: [ { url: { value: 12345678 } } ]\n",
    ),
    (
        "node_pools",
        "cloud: { provider: aws, region: eu-central-1, network: { vpcCidr: 10.0.0.0/28 } }\ncluster:\n  nodePools:\n    - { name: a, minSize: 5, maxSize: 3 }\n    - { name: a, maxSize: 0 }\n    - { name: b, desiredSize: 9 }\n",
    ),
    ("node_pool_without_a_name", "cluster:\n  nodePools:\n    - { instanceType: m7i.xlarge }\n"),
    (
        "sizes_without_units",
        "platform:\n  prometheus:\n    storage: 100\n    resources: { cpu: 500, memory: 512 }\n",
    ),
    (
        "platform_rules",
        "platform:\n  namespaces: { platform: x, agents: x }\n  loki: { retention: 36h }\n  alertmanager:\n    receivers: [ { name: team } ]\n    route: { receiver: teem, routes: [ { receiver: nobody } ] }\n  grafana:\n    secretKey: { fromExternalSecret: { key: a } }\n",
    ),
    (
        "resource_graph",
        "resources:\n  - { kind: \"plinth:Data\", name: a, inputs: { value: \"${b.value}\" } }\n  - { kind: \"plinth:Data\", name: b, inputs: { value: [ { deep: \"x ${c.value}\" } ] } }\n  - { kind: \"plinth:Data\", name: c, dependsOn: [a] }\n  - { kind: \"plinth:Data\", name: self, inputs: { value: \"${self.value}\" } }\n  - { kind: \"plinth:Data\", name: d, inputs: { value: \"${ba.value} ${HOME}\" }, dependsOn: [nowhere] }\n  - { kind: \"plinth:Data\", name: d }\n  - { kind: data, name: e, inputs: { open: \"${a\", whole: \"${a}\" } }\n  - { kind: \"k8s:ConfigMap\", name: f }\n  - { name: g, dependOn: [a] }\n",
    ),
    (
        "paths_and_former_names",
        "resources:\n  - kind: \"plinth:Data\"\n    name: a\n    ignoreChanges: [\"*\", \"l[*].x\", \"m.n.*\", \"a[\", \"[x]\", \"a..b\", \"l[-1]\", \"$.v\", \"\", \"a.\", \"l[0]x\"]\n    replaceOnChanges: [v, \"l[0].c\", \"labels[\\\"a.b/c\\\"].d\", \"x[1][2]\", \".v\"]\n    aliases: [b, \"plinth:t::plinth:Data::c\", \"\", \"plinth:t::foo\"]\n",
    ),
    ("second_document", "---\napiVersion: plinth.dev/v1\n"),
    ("duplicate_key", "platform:\n  domain: a.example.com\n  domain: b.example.com\n"),
    ("key_is_a_number", "platform:\n  grafana:\n    settings:\n      8: { a: b }\n"),
    ("key_is_a_map", "platform: { { a: b }: c }\n"),
    ("merge_key", "platform: &p {}\ncluster:\n  <<: *p\n"),
    ("tag", "platform: !custom {}\n"),
    ("tab", "platform:\n\tdomain: a\n"),
    ("unclosed_bracket", "platform: { domain: a\n"),
    ("unclosed_quote", "platform:\n  domain: \"a\n"),
    ("alias_without_anchor", "platform: *nothing\n"),
    ("infinite_number", "platform:\n  loki: { gbPerDay: .inf }\n"),
    ("huge_number", "platform:\n  loki: { gbPerDay: 99999999999999999999 }\n"),
    ("control_character", "platform:\n  domain: a\u{1}b\n"),
    ("missing_base", "extends: nowhere.yaml\n"),
];

#[test]
fn everything_that_is_said_about_wrong_files() {
    let mut all = String::new();
    for (name, body) in WRONG {
        let said = complaints(&format!("{HEAD}{body}"));
        assert_ne!(said, "nothing is wrong", "{name}");
        assert!(
            !said.contains("hunter2") && !said.contains("12345678"),
            "{name} gives a secret away:\n{said}"
        );
        all.push_str(&format!("──── {name}\n{said}\n\n"));
    }
    insta::assert_snapshot!("wrong_files", all);
}

#[test]
fn everything_that_is_said_about_wrong_heads() {
    let mut all = String::new();
    for (name, text) in [
        ("empty", ""),
        ("white_space", " \n\n"),
        ("comment", "# nothing\n"),
        ("text", "hello"),
        ("list", "- a\n- b\n"),
        ("nothing_given", "platform: {}\n"),
        ("other_kind", "apiVersion: plinth.dev/v2\nkind: Stak\nname: My Stack\n"),
    ] {
        all.push_str(&format!("──── {name}\n{}\n\n", complaints(text)));
    }
    insta::assert_snapshot!("wrong_heads", all);
}
