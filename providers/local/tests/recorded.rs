//! Requests and what a real 1.36.2 API server answered, put to the embedded one. The same requests go to the cluster that
//! `PLINTH_TEST_KUBECONFIG` names, if it names one. Steps that say `trap` are those that a tool which manages objects by
//! server-side apply falls into.
//!
//! `<ns>` is the run's own namespace. `[..]` stands for anything within a text. `owners` are the entries of
//! `managedFields` in order (manager, operation, subresource, paths), without those of the cluster's own controllers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::Client;
use kube::client::Body;
use plinth_local::kube::{ApiServer, Options};
use serde::Deserialize;
use serde_json::{Value as Json, json};

/// In the order in which they were recorded: later ones go on with what earlier ones left.
const FILES: [(&str, &str); 13] = [
    ("apply", include_str!("recorded/apply.yaml")),
    ("values", include_str!("recorded/values.yaml")),
    ("services", include_str!("recorded/services.yaml")),
    ("ownership", include_str!("recorded/ownership.yaml")),
    ("immutable", include_str!("recorded/immutable.yaml")),
    ("checks", include_str!("recorded/checks.yaml")),
    ("verbs", include_str!("recorded/verbs.yaml")),
    ("reads", include_str!("recorded/reads.yaml")),
    ("fields", include_str!("recorded/fields.yaml")),
    ("deletes", include_str!("recorded/deletes.yaml")),
    ("watches", include_str!("recorded/watches.yaml")),
    ("custom", include_str!("recorded/custom.yaml")),
    ("namespaces", include_str!("recorded/namespaces.yaml")),
];

/// What a run leaves behind outside its namespace.
const LEFT: [&str; 10] = [
    "/api/v1/namespaces/<ns>-b/configmaps/b",
    "/apis/storage.k8s.io/v1/storageclasses/<ns>-sc",
    "/api/v1/persistentvolumes/<ns>-pv",
    "/apis/networking.k8s.io/v1/ingressclasses/<ns>-ic",
    "/apis/scheduling.k8s.io/v1/priorityclasses/<ns>-pc",
    "/apis/node.k8s.io/v1/runtimeclasses/<ns>-rc",
    "/apis/storage.k8s.io/v1/csidrivers/<ns>.csi",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/<ns>-agg",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/<ns>-wh",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.probe.io",
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    step: String,
    #[serde(default)]
    trap: String,
    send: String,
    #[serde(default, rename = "as")]
    content: String,
    #[serde(default)]
    accept: String,
    #[serde(default)]
    body: Option<Json>,
    #[serde(default)]
    text: Option<String>,
    code: u16,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    says: Option<String>,
    #[serde(default)]
    causes: Option<Vec<String>>,
    #[serde(default)]
    owners: Option<Vec<String>>,
    #[serde(default)]
    warns: Option<String>,
    #[serde(default)]
    has: BTreeMap<String, Json>,
    /// A cluster takes a moment until what this step did is in force.
    #[serde(default)]
    settle: bool,
}

/// What a kind takes, and what it does not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusals {
    path: String,
    base: Json,
    wrong: Vec<Wrong>,
}

/// One field of the base that is set or dropped, and what is said to that.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrong {
    #[serde(default)]
    set: String,
    #[serde(default)]
    to: Json,
    #[serde(default)]
    drop: String,
    causes: Vec<String>,
}

impl Wrong {
    /// The base with what is wrong in it.
    fn object(&self, base: &Json) -> Json {
        let mut object = base.clone();
        if self.drop.is_empty() {
            *object.pointer_mut(&self.set).expect("a field of the base") = self.to.clone();
            return object;
        }
        let (parent, last) = self.drop.rsplit_once('/').expect("a pointer");
        match object.pointer_mut(parent).expect("its parent") {
            Json::Object(map) => drop(map.shift_remove(&last.replace("~1", "/").replace("~0", "~"))),
            Json::Array(items) => drop(items.remove(last.parse().expect("an index"))),
            _ => panic!("{parent} holds nothing"),
        }
        object
    }
}

struct Answer {
    code: u16,
    body: Json,
    warnings: String,
}

async fn send(client: &Client, step: &Step, namespace: &str) -> Answer {
    let (method, path) = step.send.split_once(' ').expect("method and path");
    let own = |text: &str| text.replace("<ns>", namespace);
    let body = match (&step.text, &step.body) {
        (Some(text), _) => own(text),
        (None, Some(body)) => own(&body.to_string()),
        (None, None) => String::new(),
    };
    let mut request = http::Request::builder().method(method).uri(own(path)).header("user-agent", "probe/1");
    if !step.accept.is_empty() {
        request = request.header("accept", &step.accept);
    }
    if step.body.is_some() || step.text.is_some() {
        let content = if step.content.is_empty() { "application/json" } else { &step.content };
        request = request.header("content-type", content);
    }
    let response = client.send(request.body(Body::from(body.into_bytes())).expect("request")).await;
    let response = response.unwrap_or_else(|error| panic!("{}: {error}", step.step));
    let code = response.status().as_u16();
    let warnings = response.headers().get_all("warning").iter();
    let warnings = warnings.filter_map(|w| w.to_str().ok()).collect::<Vec<_>>().join("; ");
    let bytes = response.into_body().collect_bytes().await.expect("body");
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Json::String(String::from_utf8_lossy(&bytes).trim().to_owned()));
    Answer { code, body, warnings }
}

/// Whether a text is what it should be; `[..]` stands for anything.
fn fits(expected: &str, text: &str) -> bool {
    let mut parts = expected.split("[..]");
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn text<'a>(value: &'a Json, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

/// The paths of `fieldsV1`, in order.
fn leaves(fields: &Json, path: &str, out: &mut Vec<String>) {
    let mut keys: Vec<_> = fields.as_object().into_iter().flatten().collect();
    keys.sort_by_key(|(key, _)| *key);
    for (key, below) in keys {
        match (key.as_str(), below.as_object().is_none_or(serde_json::Map::is_empty)) {
            (".", _) => out.push(format!("{path}.")),
            (key, true) => out.push(format!("{path}/{key}")),
            (key, false) => leaves(below, &format!("{path}/{key}"), out),
        }
    }
}

fn owners(object: &Json) -> Vec<String> {
    const OWN: [&str; 4] =
        ["kube-controller-manager", "kube-apiserver", "clusterrole-aggregation-controller", "kube-scheduler"];
    let entries = object.pointer("/metadata/managedFields").and_then(Json::as_array);
    let ours = entries.into_iter().flatten().filter(|e| !OWN.contains(&text(e, "/manager")));
    ours.map(|e| {
        let sub = text(e, "/subresource");
        let mut words = vec![
            text(e, "/manager").to_owned(),
            text(e, "/operation").to_owned(),
            if sub.is_empty() { "-".to_owned() } else { sub.to_owned() },
        ];
        leaves(&e["fieldsV1"], "", &mut words);
        words.join(" ")
    })
    .collect()
}

/// What is not as it was recorded.
fn differs(step: &Step, answer: &Answer, namespace: &str) -> Vec<String> {
    let own = |text: &str| text.replace("<ns>", namespace);
    let mut out = Vec::new();
    let mut compare = |what: &str, expected: &str, found: &str| {
        if !fits(&own(expected), found) {
            out.push(format!("{what}\n    expected: {}\n    found:    {found}", own(expected)));
        }
    };
    compare("code", &step.code.to_string(), &answer.code.to_string());
    if let Some(reason) = &step.reason {
        compare("reason", reason, text(&answer.body, "/reason"));
    }
    if let Some(says) = &step.says {
        let found = answer.body.as_str().unwrap_or(text(&answer.body, "/message"));
        compare("message", says, found);
    }
    compare("warnings", step.warns.as_deref().unwrap_or_default(), &answer.warnings);
    if let Some(causes) = &step.causes {
        let list = answer.body.pointer("/details/causes").and_then(Json::as_array);
        let found = list.into_iter().flatten();
        let mut found: Vec<String> =
            found.map(|c| format!("{}: {}", text(c, "/field"), text(c, "/message"))).collect();
        found.sort();
        found.dedup();
        compare("causes", &causes.join("\n              "), &found.join("\n              "));
    }
    if let Some(expected) = &step.owners {
        // Entries stand by time, of one second by name; a run may pass from one second to the next.
        let sorted = |owners: &[String]| {
            let mut owners = owners.to_vec();
            owners.sort_unstable();
            owners.join("\n              ")
        };
        compare("owners", &sorted(expected), &sorted(&owners(&answer.body)));
    }
    for (pointer, expected) in &step.has {
        let found = answer.body.pointer(pointer).unwrap_or(&Json::Null);
        compare(pointer, &expected.to_string(), &found.to_string());
    }
    out
}

fn plain(method: &str, path: &str, body: Option<Json>) -> Step {
    let step = json!({"step": "around", "send": format!("{method} {path}"), "body": body, "code": 0,
        "as": if method == "PATCH" { "application/merge-patch+json" } else { "" }});
    serde_json::from_value(step).expect("step")
}

/// The embedded API, or the cluster that the environment names.
async fn client() -> (Client, bool) {
    let api = ApiServer::in_memory(Options { time_scale: 0.5, ..Options::default() });
    let cluster = std::env::var_os("PLINTH_TEST_KUBECONFIG");
    let client = match &cluster {
        Some(file) => {
            // Built together with others, the library may know several implementations and cannot choose.
            let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
            let kubeconfig = kube::config::Kubeconfig::read_from(file).expect("kubeconfig");
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await;
            let mut config = config.expect("config");
            // A refusal is an answer here, not a reason to ask again.
            config.default_retry = false;
            Client::try_from(config).expect("client")
        }
        None => Client::new(api, "default"),
    };
    (client, cluster.is_some())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_values_are_refused_in_a_real_servers_words() {
    let (client, _) = client().await;
    let namespace = format!("plinth-wrong-{}", std::process::id());
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    let made = send(&client, &plain("POST", "/api/v1/namespaces", Some(body)), &namespace).await;
    assert_eq!(made.code, 201, "{:#}", made.body);
    // Pods are not taken before it is there.
    let account = plain("GET", "/api/v1/namespaces/<ns>/serviceaccounts/default", None);
    while send(&client, &account, &namespace).await.code != 200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let kinds: Vec<Refusals> = serde_saphyr::from_str(include_str!("recorded/wrong.yaml")).expect("a table");
    let (mut differing, mut count) = (Vec::new(), 0);
    for Refusals { path, base, wrong } in kinds {
        let path = format!("{path}?dryRun=All&fieldValidation=Strict");
        let fine = send(&client, &plain("POST", &path, Some(base.clone())), &namespace).await;
        if fine.code != 201 {
            differing.push(format!("{path}: the base is refused: {}", fine.body));
        }
        for one in &wrong {
            count += 1;
            let mut step = plain("POST", &path, Some(one.object(&base)));
            (step.code, step.causes, step.warns) = (422, Some(one.causes.clone()), Some("[..]".to_owned()));
            let answer = send(&client, &step, &namespace).await;
            let differences = differs(&step, &answer, &namespace);
            if !differences.is_empty() {
                let what = format!("{}{} {}", one.set, one.drop, one.to);
                differing.push(format!("{path}: {what}\n  {}", differences.join("\n  ")));
            }
        }
    }
    send(&client, &plain("DELETE", "/api/v1/namespaces/<ns>", None), &namespace).await;
    assert!(differing.is_empty(), "{} of {count} differ:\n\n{}", differing.len(), differing.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_api_answers_what_a_real_one_answered() {
    let (client, real) = client().await;
    let namespace = format!("plinth-recorded-{}", std::process::id());
    for name in [namespace.clone(), format!("{namespace}-b")] {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let made = send(&client, &plain("POST", "/api/v1/namespaces", Some(body)), &namespace).await;
        assert_eq!(made.code, 201, "{:#}", made.body);
    }
    let blocker = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "b", "finalizers": ["probe.io/x"]}});
    send(&client, &plain("POST", "/api/v1/namespaces/<ns>-b/configmaps", Some(blocker)), &namespace).await;
    send(&client, &plain("GET", "/api/v1/namespaces/<ns>/serviceaccounts/default", None), &namespace).await;
    let mut wrong = Vec::new();
    let mut count = 0;
    for (file, steps) in FILES {
        let steps: Vec<Step> =
            serde_saphyr::from_str(steps).unwrap_or_else(|error| panic!("{file}: {error}"));
        if file == "namespaces" {
            send(&client, &plain("DELETE", "/api/v1/namespaces/<ns>-b", None), &namespace).await;
        }
        for step in &steps {
            count += 1;
            let patience = Instant::now() + Duration::from_secs(10);
            let differences = loop {
                let answer = send(&client, step, &namespace).await;
                let differences = differs(step, &answer, &namespace);
                // What is only read may still be on its way, and so may the paths of a new definition.
                let settling =
                    step.send.starts_with("GET") || (answer.code == 404 && answer.body.is_string());
                if differences.is_empty() || !settling || Instant::now() > patience {
                    break differences;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            };
            if step.settle && real {
                tokio::time::sleep(Duration::from_millis(1500)).await;
            }
            if !differences.is_empty() {
                let trap = if step.trap.is_empty() { String::new() } else { format!(" ({})", step.trap) };
                wrong.push(format!(
                    "{file}, {}{trap}: {}\n  {}",
                    step.step,
                    step.send,
                    differences.join("\n  ")
                ));
            }
        }
    }
    let free = json!({"metadata": {"finalizers": null}});
    send(&client, &plain("PATCH", LEFT[0], Some(free)), &namespace).await;
    for path in LEFT.into_iter().chain(["/api/v1/namespaces/<ns>"]) {
        send(&client, &plain("DELETE", path, None), &namespace).await;
    }
    assert!(wrong.is_empty(), "{} of {count} answers differ:\n\n{}", wrong.len(), wrong.join("\n\n"));
}
